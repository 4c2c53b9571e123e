/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"

enum {
    SLICE_BYTES = 256 * 1024, /* two are held: the one being read and the next */
    FETCH_BODY_SIZE = 1 + 3 + 4 + 16 + 8 + 1 + WIRE_SESSION_MAX + 2 + WIRE_ID_MAX,
};

/* -- slices ------------------------------------------------------------------------------------ */

static void put_fetch(const struct spn_replay *replay, struct wire_out *body)
{
    struct wire_fetch fetch = {.start = WIRE_EARLIEST,
                               .bytes_max = SLICE_BYTES,
                               .session = {replay->session, replay->session_size}};
    if (replay->has_cursor) {
        fetch.start = WIRE_AFTER_SEQ;
        fetch.life = replay->life;
        fetch.seq = replay->seq;
    } else if (replay->after_size > 0) {
        fetch.start = WIRE_AFTER_ID;
        fetch.id = (struct spn_bytes){replay->after, replay->after_size};
    }
    wire_put_fetch(body, &fetch);
}

static spn_err fail_unknown_id(struct spn_replay *replay, uint64_t missing)
{
    if (missing == 0)
        return client_fail(replay->client, SPN_E_UNKNOWN_ID, NULL);
    return client_fail(replay->client, SPN_E_UNKNOWN_ID,
                       "no retained event has this id: %llu events are no longer retained",
                       (unsigned long long)missing);
}

static spn_err read_verdict(struct spn_replay *replay, const struct wire_slice *slice)
{
    switch ((enum wire_verdict)slice->verdict) {
    case WIRE_UNKNOWN_ID:
        return fail_unknown_id(replay, slice->missing);
    case WIRE_UNKNOWN_SESSION:
        return client_fail(replay->client, SPN_E_UNKNOWN_SESSION, NULL);
    case WIRE_OTHER_LIFE:
        return client_fail(replay->client, SPN_E_OTHER_LIFE, NULL);
    case WIRE_RESUMED:
    case WIRE_TRIMMED:
        break;
    default: /* verdicts of subscriptions only */
        return client_fail(replay->client, SPN_E_PROTOCOL, "the sidecar's SLICE cannot be read");
    }
    bool empty = slice->count == 0;
    if (slice->seq > slice->seq_last || (empty && slice->seq < slice->seq_last) ||
        (replay->started &&
         (!wire_same_life(slice->life, replay->life) || slice->seq < replay->seq)))
        return client_fail(replay->client, SPN_E_PROTOCOL,
                           "the sidecar's slice contradicts itself");
    return SPN_OK;
}

/* The answer becomes the slice that is read. */
static spn_err take_slice(struct spn_replay *replay, struct wire_in in)
{
    struct wire_slice slice;
    wire_get_slice(&in, &slice);
    spn_err err =
        in.bad ? client_fail(replay->client, SPN_E_PROTOCOL, "the sidecar's SLICE cannot be read")
               : read_verdict(replay, &slice);
    if (err != SPN_OK)
        return err;
    spn_question_close(replay->slice);
    replay->slice = replay->question;
    replay->question = NULL;
    replay->items = in;
    replay->left = slice.count;
    replay->caught_up = slice.seq == slice.seq_last;
    replay->missing += slice.missing;
    replay->seq_next = replay->has_cursor ? replay->seq + 1 + slice.missing : 0;
    replay->life = slice.life;
    replay->seq = slice.seq;
    replay->started = replay->has_cursor = true;
    return SPN_OK;
}

/* Asks for the slice after the one that is read. */
static spn_err ask(struct spn_replay *replay)
{
    uint8_t bytes[FETCH_BODY_SIZE];
    struct wire_out body = wire_out(bytes, sizeof(bytes));
    const struct question_request request = {WIRE_FETCH, WIRE_SLICE, &body};
    put_fetch(replay, &body);
    return question_new(&replay->question, replay->client, &request);
}

/* After an error the question is asked again, by the next call. */
static spn_err fetch(struct spn_replay *replay, uint64_t deadline_ns)
{
    struct wire_in in;
    spn_err err = replay->question == NULL ? ask(replay) : SPN_OK;
    if (err == SPN_OK)
        err = question_wait(replay->question, deadline_ns);
    if (err != SPN_OK)
        return err;
    err = question_read(replay->question, &in);
    if (err == SPN_OK)
        err = take_slice(replay, in);
    spn_question_close(replay->question);
    replay->question = NULL;
    if (err != SPN_OK || replay->caught_up)
        return err;
    err = ask(replay); /* it comes while the app reads this slice */
    return err == SPN_OK ? client_turn(replay->client) : err;
}

/* -- replay ------------------------------------------------------------------------------------ */

static void copy(struct spn_bytes from, uint8_t *bytes, size_t *size)
{
    if (from.size > 0)
        memcpy(bytes, from.data, from.size);
    *size = from.size;
}

static spn_err make(struct spn_client *client, struct spn_bytes session,
                    struct spn_replay **ret_replay)
{
    spn_err err = wire_check_session(session);
    struct spn_replay *replay = err == SPN_OK ? calloc(1, sizeof(*replay)) : NULL;
    if (err == SPN_OK && replay == NULL)
        err = SPN_E_NOMEM;
    if (err != SPN_OK) {
        client_fail(client, err, NULL);
        return err;
    }
    replay->client = client;
    copy(session, replay->session, &replay->session_size);
    *ret_replay = replay;
    return SPN_OK;
}

/* Asks for the first slice, or frees the replay. */
static spn_err begin(struct spn_replay *replay, struct spn_replay **ret_replay)
{
    spn_err err = ask(replay);
    if (err == SPN_OK)
        err = client_turn(replay->client);
    if (err == SPN_OK)
        *ret_replay = replay;
    else
        spn_replay_close(replay);
    return err;
}

/* Waits for the first slice, or frees the replay. */
static spn_err finish(struct spn_replay *replay, int timeout_ms, struct spn_replay **ret_replay)
{
    spn_err err = fetch(replay, client_deadline(replay->client, timeout_ms));
    if (err == SPN_OK)
        *ret_replay = replay;
    else
        spn_replay_close(replay);
    return err;
}

spn_err spn_replay_begin(spn_replay **ret_replay, spn_client *client, struct spn_bytes session,
                         struct spn_bytes after)
{
    struct spn_replay *replay;
    spn_err err = client_check_for(client, ret_replay);
    if (err != SPN_OK)
        return err;
    err = wire_check_id(after);
    if (err != SPN_OK) {
        client_fail(client, err, NULL);
        return err;
    }
    err = make(client, session, &replay);
    if (err != SPN_OK)
        return err;
    copy(after, replay->after, &replay->after_size);
    return begin(replay, ret_replay);
}

spn_err spn_replay_begin_after(spn_replay **ret_replay, spn_client *client,
                               struct spn_bytes session, const struct spn_life *life, uint64_t seq)
{
    struct spn_replay *replay;
    spn_err err = client_check_for(client, ret_replay);
    if (err != SPN_OK)
        return err;
    if (life == NULL || !wire_has_life(*life))
        return client_refuse(client, "a cursor names a life");
    err = make(client, session, &replay);
    if (err != SPN_OK)
        return err;
    replay->has_cursor = true;
    replay->life = *life;
    replay->seq = seq;
    return begin(replay, ret_replay);
}

spn_err spn_replay_open(spn_replay **ret_replay, spn_client *client, struct spn_bytes session,
                        struct spn_bytes after, int timeout_ms)
{
    struct spn_replay *replay;
    spn_err err = client_check_for(client, ret_replay);
    if (err == SPN_OK)
        err = spn_replay_begin(&replay, client, session, after);
    return err == SPN_OK ? finish(replay, timeout_ms, ret_replay) : err;
}

spn_err spn_replay_open_after(spn_replay **ret_replay, spn_client *client, struct spn_bytes session,
                              const struct spn_life *life, uint64_t seq, int timeout_ms)
{
    struct spn_replay *replay;
    spn_err err = client_check_for(client, ret_replay);
    if (err == SPN_OK)
        err = spn_replay_begin_after(&replay, client, session, life, seq);
    return err == SPN_OK ? finish(replay, timeout_ms, ret_replay) : err;
}

/* Seqs have no holes except those that the sidecar reported: any other hole is a lost event. The
 * rest of the slice is then never given, and every further call fails the same way. */
static spn_err next_item(struct spn_replay *replay, const struct spn_event **ret_event)
{
    struct wire_item item;
    struct wire_in items = replay->items;
    wire_get_item(&items, &item);
    if (items.bad || !item_is_readable(&item) ||
        (replay->seq_next != 0 && item.seq != replay->seq_next))
        return client_fail(replay->client, SPN_E_PROTOCOL,
                           "the sidecar's slice cannot be read or has a hole at event %llu",
                           (unsigned long long)replay->seq_next);
    replay->items = items;
    replay->left--;
    replay->seq_next = item.seq + 1;
    replay->event = item_event(&item, replay->life);
    *ret_event = &replay->event;
    return SPN_OK;
}

spn_err spn_replay_next(spn_replay *replay, int timeout_ms, const struct spn_event **ret_event)
{
    spn_err err = client_check_for(replay != NULL ? replay->client : NULL, ret_event);
    if (err != SPN_OK)
        return err;
    if (replay->left == 0) {
        if (!replay->caught_up)
            err = fetch(replay, client_deadline(replay->client, timeout_ms));
        if (err == SPN_E_UNAVAILABLE)
            err = client_fail(replay->client, SPN_E_TIMEOUT, "the sidecar is not connected");
        if (err == SPN_E_PATH && timeout_ms == 0)
            err = client_not_yet(replay->client, TRANSPORT_READ);
        if (err != SPN_OK)
            return err;
        if (replay->left == 0) {
            replay->caught_up = false; /* the next call requests a slice again */
            return client_fail(replay->client, SPN_E_END, NULL);
        }
    }
    return next_item(replay, ret_event);
}

uint64_t spn_replay_missing(const spn_replay *replay)
{
    return replay != NULL ? replay->missing : 0;
}

void spn_replay_close(spn_replay *replay)
{
    if (replay == NULL)
        return;
    spn_question_close(replay->question);
    spn_question_close(replay->slice);
    free(replay);
}
