/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/freezing.h"

enum {
    EVICT_SLOTS = 65536,   /* looked at in each turn: 2 MB */
    SESSIONS_LEAST = 8192, /* sessions with room in a generation, even if fewer may be hot */
};

static uint64_t now_ns(const struct freezing *freezing)
{
    return freezing->options->clock->monotonic_ns();
}

void freezing_init(struct freezing *freezing, const struct broker_options *options,
                   struct broker_state *state, struct message_chain *handed_over)
{
    *freezing = (struct freezing){.options = options, .state = state, .handed_over = handed_over};
    if (state->frozen) {
        /* Recovery had no room to write it: the worker tries again. */
        freezing->frozen = state->frozen;
        state->frozen = NULL;
        freezing->frozen->message.kind = MESSAGE_GENERATION;
        mailbox_put(options->worker, &freezing->frozen->message);
    }
    freezing_note(freezing);
}

void freezing_note(struct freezing *freezing)
{
    if (freezing->due_ns == 0 && freezing->state->active->first_position > 0)
        freezing->due_ns = now_ns(freezing) + freezing->options->row_interval_ns;
}

void freezing_hurry(struct freezing *freezing)
{
    freezing->due_ns = now_ns(freezing);
}

uint64_t freezing_due_ns(const struct freezing *freezing)
{
    return freezing->due_ns > 0 && !freezing->frozen ? freezing->due_ns : UINT64_MAX;
}

bool freezing_freeze(struct freezing *freezing)
{
    struct broker_state *state = freezing->state;
    if (freezing->frozen)
        return false;
    struct generation *fresh = generation_new(state->active->serial + 1);
    if (!fresh)
        return false; /* retried with the next batch */
    freezing->frozen = state->active;
    freezing->frozen->message.kind = MESSAGE_GENERATION;
    message_chain_add(freezing->handed_over, &freezing->frozen->message);
    state->active = fresh;
    freezing->due_ns = 0;
    return true;
}

bool freezing_is_touched(const struct freezing *freezing)
{
    const struct generation *active = freezing->state->active;
    return active->first_position > 0 || active->session_count > 0;
}

/* When the interval is over; earlier, if the log could not be trimmed otherwise. */
void freezing_freeze_if_due(struct freezing *freezing)
{
    const struct generation *active = freezing->state->active;
    if (freezing->frozen || active->first_position == 0)
        return;
    if (active->bytes >= freezing->options->generation_bytes_max ||
        (freezing->due_ns > 0 && now_ns(freezing) >= freezing->due_ns))
        (void)freezing_freeze(freezing);
}

static bool is_in(const struct generation *generation, const struct session *session, uint32_t slot)
{
    return generation && generation_find(generation, session, slot);
}

/* The index does not have all of the session yet, or a parked frame needs it. A frame is taken when
 * all its sessions are in memory at once, so the first must not go while the last is being loaded.
 * Sessions that a dropped frame wanted stay until no frame is parked. */
static bool is_pinned(const void *owner, uint32_t slot)
{
    const struct freezing *freezing = owner;
    const struct session *session = &freezing->state->sessions.slots[slot];
    return (session->tracker->wanted && freezing->keeps_wanted) ||
           is_in(freezing->state->active, session, slot) || is_in(freezing->frozen, session, slot);
}

/* Whether hot sessions could be evicted. At most hot_max may be hot, but the sessions in the
 * generations have to be. */
bool freezing_has_idle(const struct freezing *freezing)
{
    uint64_t pinned = freezing->state->active->session_count;
    pinned += freezing->frozen ? freezing->frozen->session_count : 0;
    uint32_t hot = freezing->state->sessions.hot;
    return hot > freezing->options->hot_max && hot > pinned;
}

void freezing_evict(struct freezing *freezing, bool keeps_wanted)
{
    struct sessions *sessions = &freezing->state->sessions;
    if (!freezing_has_idle(freezing))
        return;
    freezing->keeps_wanted = keeps_wanted;
    size_t evicted =
        sessions_evict(sessions, freezing->options->hot_max, EVICT_SLOTS, is_pinned, freezing);
    metrics_add(&freezing->options->metrics->sessions_evicted, evicted);
}

/* The index has buried the sessions that were deleted in this generation. */
static void forget_deleted(struct freezing *freezing, const struct generation *written)
{
    struct sessions *sessions = &freezing->state->sessions;
    for (uint32_t i = 0; i < written->session_count; i++) {
        uint32_t slot = written->sessions[i].slot;
        const struct session *session = &sessions->slots[slot];
        if (written->sessions[i].state == RECORD_DELETED &&
            session->touched[written->serial & 1] == i && session->tracker &&
            session->tracker->epoch == 0 && !is_in(freezing->state->active, session, slot))
            sessions_forget(sessions, slot);
    }
}

/* Sessions in a generation stay hot until it is written: it must not have more than may be hot. */
static bool is_crowded(const struct freezing *freezing)
{
    uint32_t most = freezing->options->hot_max;
    if (most < SESSIONS_LEAST)
        most = SESSIONS_LEAST;
    return freezing->state->active->session_count >= most;
}

/* A generation can be trimmed only after it is written, and it is written only when all of it is in
 * the log. One that is larger than the quota by itself would wait for its own room for ever. */
static bool is_large(const struct freezing *freezing)
{
    return freezing->state->active->bytes >= freezing->options->generation_bytes_max;
}

bool freezing_has_room(struct freezing *freezing)
{
    bool room = generation_has_room(freezing->state->active, WIRE_BATCH_EVENTS_MAX);
    return (room && !is_crowded(freezing) && !is_large(freezing)) || freezing_freeze(freezing);
}

void freezing_written(struct freezing *freezing)
{
    forget_deleted(freezing, freezing->frozen);
    generation_drop(freezing->frozen);
    freezing->frozen = NULL;
}
