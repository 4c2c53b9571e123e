/* SPDX-License-Identifier: Apache-2.0 */
#include "http/stream_parts.h"

#include "base/clock.h"

enum { TEXT_ENOUGH = 8 * 1024 }; /* bytes of text, after which no more items are taken */

bool stream_must_write(const struct stream *stream)
{
    return stream->block != NULL || stream->text.size > 0 || stream->phase == STREAM_ENDING;
}

void stream_end(struct stream *stream, enum counts_end why)
{
    if (stream->phase != STREAM_ENDING)
        stream->why = why;
    stream->phase = STREAM_ENDING;
}

static void set_paused(struct stream *stream, bool paused)
{
    if (stream->subscription != NULL &&
        spn_subscription_pause(stream->subscription, paused) != SPN_OK)
        exchange_cut(stream->exchange);
}

void stream_settle(struct stream *stream)
{
    if (!memory_is_waiting(&stream->share))
        memory_hold(&stream->share, stream->text.size);
    if (!stream_must_write(stream))
        return;
    if (!stream->has_text)
        stream->written_ns = gateway_now_ns();
    stream->has_text = true;
    set_paused(stream, true);
    exchange_go_on(stream->exchange);
}

bool stream_may_take(struct taker *taker, size_t bytes)
{
    struct stream *stream = LINK_OWNER(taker, struct stream, taker);
    if (memory_may_take(&stream->share, bytes))
        return true;
    memory_wait(&stream->share, bytes);
    set_paused(stream, true);
    return false;
}

void stream_on_room(struct memory_share *share)
{
    struct stream *stream = LINK_OWNER(share, struct stream, share);
    if (!stream_must_write(stream))
        set_paused(stream, false);
}

void stream_on_item(struct taker *taker, const struct spn_item *item)
{
    struct stream *stream = LINK_OWNER(taker, struct stream, taker);
    if (stream->phase != STREAM_ENDING)
        stream->calls->take(stream, item);
    stream_settle(stream);
}

/* -- feeds ------------------------------------------------------------------------------------- */

static void on_joined(struct feed_member *member)
{
    struct stream *stream = LINK_OWNER(member, struct stream, member);
    memory_release(&stream->share); /* the feed waits in its place */
    memory_hold(&stream->share, stream->text.size);
    spn_unsubscribe(stream->subscription);
    stream->subscription = NULL;
}

static void on_ready(struct feed_member *member)
{
    exchange_go_on(LINK_OWNER(member, struct stream, member)->exchange);
}

const struct feed_calls stream_feed_calls = {.joined = on_joined, .ready = on_ready};

void stream_share(struct stream *stream, struct spn_bytes session, const struct spn_life *life,
                  uint64_t seq)
{
    stream->member.seq = seq;
    feed_want(&stream->gateway->feeds, &stream->member, session, life, &stream->subscription);
}

/* -- writing ----------------------------------------------------------------------------------- */

/* All of the text is written. Events that were written together have the delay of the first. */
static void count_written(struct stream *stream)
{
    struct gateway_counts *counts = &stream->gateway->counts;
    uint64_t now_ms = stream->events > 0 && stream->time_ms > 0 ? clock_wall_ms() : 0;
    counts->events_written += stream->events;
    if (now_ms > 0)
        histogram_add(&counts->delay, now_ms > stream->time_ms ? now_ms - stream->time_ms : 0,
                      stream->events);
    stream->events = 0;
}

static void drop_text(struct stream *stream)
{
    out_release(&stream->text); /* one that is idle keeps no memory */
    if (!memory_is_waiting(&stream->share))
        memory_hold(&stream->share, 0);
    stream->written = 0;
    stream->has_text = false;
}

static void take_from_feed(struct stream *stream)
{
    spn_err why;
    switch (feed_next(&stream->member, &stream->block, &why)) {
    case FEED_BLOCK:
        stream->events = stream->block->events;
        stream->time_ms = stream->phase == STREAM_LIVE ? stream->block->time_ms : 0;
        break;
    case FEED_LEAVE:
        stream->calls->left(stream, why);
        break;
    case FEED_NONE:
        break;
    }
    stream_settle(stream);
}

/* Without room for an event of any size it leaves the next one for a turn: see stream_may_take. */
static void take_from_subscription(struct stream *stream)
{
    if (memory_is_waiting(&stream->share))
        return;
    if (stream->subscription != NULL &&
        spn_subscription_pause(stream->subscription, false) != SPN_OK)
        stream_end(stream, END_FAILED);
    const struct spn_item *item;
    while (stream->phase != STREAM_ENDING && stream->subscription != NULL &&
           stream->text.size < TEXT_ENOUGH && memory_may_take(&stream->share, MEMORY_SMALL + 1) &&
           spn_subscription_next(stream->subscription, 0, &item) == SPN_OK)
        stream->calls->take(stream, item);
    stream_settle(stream);
}

/* The socket can be written and there is no text: takes items until there is enough, or none is
 * left. */
static void refill(struct stream *stream)
{
    count_written(stream);
    drop_text(stream);
    if (stream->phase == STREAM_ENDING)
        return;
    if (stream->member.is_member)
        take_from_feed(stream);
    else
        take_from_subscription(stream);
}

/* What is being written: the block, then the text. */
static const struct out *source(const struct stream *stream)
{
    return stream->block != NULL ? &stream->block->text : &stream->text;
}

ssize_t stream_give(struct exchange *exchange, const char **ret_bytes)
{
    struct stream *stream = exchange_state(exchange);
    if (stream->written == source(stream)->size)
        refill(stream);
    if (stream->text.error != 0) {
        stream_end(stream, END_FAILED);
        return EXCHANGE_CUT;
    }
    size_t left = source(stream)->size - stream->written;
    if (left > 0) {
        *ret_bytes = source(stream)->data + stream->written;
        return (ssize_t)left;
    }
    return stream->phase == STREAM_ENDING ? EXCHANGE_END : EXCHANGE_WAIT;
}

static void drop_block(struct stream *stream)
{
    feed_block_release(stream->block);
    stream->block = NULL;
    stream->written = 0;
}

void stream_wrote(struct exchange *exchange, size_t size)
{
    struct stream *stream = exchange_state(exchange);
    stream->written += size;
    stream->written_ns = gateway_now_ns();
    stream->gateway->counts.bytes_written += size;
    if (stream->block == NULL || stream->written < stream->block->text.size)
        return;
    count_written(stream);
    drop_block(stream);
}

void stream_release_text(struct stream *stream)
{
    if (stream->written == source(stream)->size)
        count_written(stream);
    drop_block(stream);
    out_release(&stream->text);
    memory_release(&stream->share);
}
