/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/learn.h"

#include "http/answer.h"
#include "http/word.h"

enum { WINDOW = 256 * 1024 }; /* bytes of events on their way */

/* Whether it is decided by who has appended what. */
static bool needs_state(const struct ds_writing *writing)
{
    return writing->note.has_producer || writing->note.seq.size > 0;
}

static void stop(struct ds_writing *writing)
{
    spn_unsubscribe(writing->subscription);
    writing->subscription = NULL;
}

static void know(struct ds_writing *writing)
{
    struct ds_state *state = writing->turn.state;
    stop(writing);
    if (needs_state(writing) && state->seq < writing->stream.seq)
        state->seq = writing->stream.seq; /* what is missing is no longer retained */
    if (writing->has_changed && writing->changed_after < writing->stream.seq && !writing->was_seen)
        answer_err(writing->exchange, SPN_E_TIMEOUT); /* perhaps the change was made */
    else
        writing->calls->know(writing);
}

static void take_event(struct ds_writing *writing, const struct spn_event *event)
{
    struct ds_state *state = writing->turn.state;
    if (writing->has_changed && event->seq == writing->changed_after + 1) {
        writing->was_seen = true;
        if (word_equals(event->id, ds_writing_event_id(writing)))
            writing->found = event->seq;
    }
    if (needs_state(writing) && event->seq > state->seq && !ds_state_note(state, event))
        answer_err(writing->exchange, SPN_E_NOMEM);
    else if (event->seq >= writing->stream.seq)
        know(writing);
}

static void take_end(struct ds_writing *writing, spn_err why)
{
    stop(writing);
    if (why == SPN_E_CLOSED)
        know(writing);
    else
        ds_writing_again(writing, why == SPN_E_DELETED ? SPN_E_UNKNOWN_SESSION : why);
}

static void on_item(struct taker *taker, const struct spn_item *item)
{
    struct ds_writing *writing = LINK_OWNER(taker, struct ds_writing, taker);
    if (exchange_is_answered(writing->exchange))
        return;
    if (item->kind == SPN_ITEM_EVENT)
        take_event(writing, item->event);
    else if (item->kind == SPN_ITEM_CAUGHT_UP)
        know(writing);
    else if (item->kind == SPN_ITEM_END)
        take_end(writing, item->why);
    ds_writing_settle(writing);
}

void ds_learn_begin(struct ds_writing *writing)
{
    struct ds_state *state = writing->turn.state;
    const struct ds_stream *stream = &writing->stream;
    ds_state_set_life(state, &stream->life);
    if (state->seq > stream->seq) /* the database went back */
        ds_state_forget(state);
    struct spn_subscription_options options = {
        .size = sizeof(options),
        .start = SPN_AFTER_SEQ,
        .window_bytes = WINDOW,
        .after_life = stream->life,
        .after_seq = needs_state(writing) ? state->seq : stream->seq,
    };
    if (writing->has_changed && writing->changed_after < options.after_seq)
        options.after_seq = writing->changed_after;
    if (options.after_seq >= stream->seq) {
        know(writing);
        return;
    }
    writing->taker.on_item = on_item;
    spn_err err =
        spn_subscribe(&writing->subscription, writing->gateway->client, writing->session, &options);
    if (err != SPN_OK)
        answer_err(writing->exchange, err);
    else
        spn_subscription_set_context(writing->subscription, &writing->taker);
}
