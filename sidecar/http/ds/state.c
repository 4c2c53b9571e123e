/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/state.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static int compare(const void *a, const void *b)
{
    const struct spn_bytes *one = a;
    const struct spn_bytes *other = b;
    return text_compare(*one, *other);
}

static void state_free(void *node)
{
    struct ds_state *state = node;
    ds_producers_release(&state->producers);
    free(state);
}

void ds_states_init(struct ds_states *states)
{
    *states = (struct ds_states){0};
    link_init(&states->idle);
}

void ds_states_release(struct ds_states *states)
{
    tdestroy(states->tree, state_free);
    ds_states_init(states);
}

/* -- states ------------------------------------------------------------------------------------ */

static struct ds_state *state_new(struct ds_states *states, struct spn_bytes session)
{
    struct ds_state *state = calloc(1, sizeof(*state) + session.size);
    if (state == NULL)
        return NULL;
    memcpy(state->name, session.data, session.size);
    state->session = (struct spn_bytes){state->name, session.size};
    link_init(&state->idle);
    link_init(&state->turns);
    ds_producers_init(&state->producers);
    if (tsearch(state, &states->tree, compare) == NULL) {
        state_free(state);
        return NULL;
    }
    return state;
}

static void leave_idle(struct ds_states *states, struct ds_state *state)
{
    if (link_alone(&state->idle))
        return;
    link_leave(&state->idle);
    states->count--;
    states->bytes -= state->bytes;
}

static void drop_oldest(struct ds_states *states)
{
    struct ds_state *oldest = LINK_OWNER(states->idle.next, struct ds_state, idle);
    leave_idle(states, oldest);
    (void)tdelete(oldest, &states->tree, compare);
    state_free(oldest);
}

static void join_idle(struct ds_states *states, struct ds_state *state)
{
    state->bytes = sizeof(*state) + state->session.size + state->producers.bytes;
    link_join(&states->idle, &state->idle);
    states->count++;
    states->bytes += state->bytes;
    while (states->count > DS_STATES_MAX || states->bytes > DS_STATES_BYTES_MAX)
        drop_oldest(states);
}

/* -- turns ------------------------------------------------------------------------------------- */

/* One that leaves while it begins makes room for the next one here, not inside of its own call. */
static void call_first(struct ds_states *states, struct ds_state *state)
{
    const struct link *called = NULL;
    if (state->is_calling)
        return;
    state->is_calling = true;
    while (!link_alone(&state->turns) && state->turns.next != called) {
        called = state->turns.next;
        struct ds_turn *turn = LINK_OWNER(state->turns.next, struct ds_turn, link);
        turn->begin(turn);
    }
    state->is_calling = false;
    if (link_alone(&state->turns))
        join_idle(states, state);
}

bool ds_turn_join(struct ds_states *states, struct ds_turn *turn, struct spn_bytes session)
{
    struct ds_state *const *node = tfind(&session, &states->tree, compare);
    struct ds_state *state = node != NULL ? *node : state_new(states, session);
    if (state == NULL)
        return false;
    leave_idle(states, state);
    bool is_first = link_alone(&state->turns);
    turn->state = state;
    link_join(&state->turns, &turn->link);
    if (is_first)
        call_first(states, state);
    return true;
}

void ds_turn_leave(struct ds_states *states, struct ds_turn *turn)
{
    struct ds_state *state = turn->state;
    if (state == NULL)
        return;
    bool was_first = state->turns.next == &turn->link;
    turn->state = NULL;
    link_leave(&turn->link);
    if (was_first)
        call_first(states, state);
}

/* -- what was read ----------------------------------------------------------------------------- */

void ds_state_forget(struct ds_state *state)
{
    ds_producers_release(&state->producers);
    state->seq = 0;
    state->last_seq = (struct spn_bytes){0};
    state->closer_id = (struct spn_bytes){0};
}

void ds_state_set_life(struct ds_state *state, const struct spn_life *life)
{
    if (memcmp(&state->life, life, sizeof(*life)) != 0)
        ds_state_forget(state);
    state->life = *life;
}

static struct spn_bytes keep(char *room, struct spn_bytes bytes)
{
    memcpy(room, bytes.data, bytes.size);
    return (struct spn_bytes){room, bytes.size};
}

bool ds_state_note(struct ds_state *state, const struct spn_event *event)
{
    struct ds_note note;
    assert(event->seq > state->seq);
    state->seq = event->seq;
    if (event->kind != SPN_EVENT || !ds_note_read(event->note, &note))
        return true;
    if (note.seq.size > 0)
        state->last_seq = keep(state->seq_bytes, note.seq);
    if (!note.has_producer)
        return true;
    if (event->closes) {
        state->closer_id = keep(state->closer_bytes, note.producer.id);
        state->closer = (struct ds_progress){note.producer.epoch, note.producer.seq};
    }
    if (ds_producers_note(&state->producers, &note.producer))
        return true;
    ds_state_forget(state);
    return false;
}
