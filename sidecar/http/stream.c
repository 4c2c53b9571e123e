/* SPDX-License-Identifier: Apache-2.0 */
#include "http/stream.h"

#include <string.h>

#include "base/random.h"
#include "http/answer.h"
#include "http/names.h"
#include "http/problem.h"
#include "http/stream_parts.h"
#include "http/stream_text.h"

enum {
    RETRY_MS = 1000,        /* the least time after which a browser comes back ... */
    RETRY_JITTER_MS = 2000, /* ... and so much more at random */
};

#define SLOW_NS UINT64_C(1000000000)    /* after which a stream counts as behind */
#define PRESSED_NS UINT64_C(5000000000) /* after which one is cut while others wait for memory */

/* -- time -------------------------------------------------------------------------------------- */

static void earlier(uint64_t *due_ns, uint64_t since_ns, uint64_t span_ns)
{
    if (span_ns > 0 && since_ns + span_ns < *due_ns)
        *due_ns = since_ns + span_ns;
}

static uint64_t age_max_ns(const struct stream *stream)
{
    uint64_t most_ns = stream->gateway->options->max_age_ns;
    uint64_t own_ns = stream->options.age_ns;
    return own_ns > 0 && (most_ns == 0 || own_ns < most_ns) ? own_ns : most_ns;
}

/* The next moment at which on_due may have something to do. It is looked at again then, so writing
 * does not move it. */
static void wait_for_next(struct stream *stream)
{
    const struct http_options *options = stream->gateway->options;
    uint64_t now_ns = gateway_now_ns();
    uint64_t due_ns = UINT64_MAX;
    bool is_answered = exchange_is_answered(stream->exchange);
    if (!is_answered)
        earlier(&due_ns, stream->opened_ns, options->verdict_ns);
    /* What cannot be due as things are is looked at again after its whole time. */
    earlier(&due_ns, stream_must_write(stream) ? stream->written_ns : now_ns, options->stall_ns);
    if (stream->phase != STREAM_ENDING) {
        bool is_quiet = is_answered && !stream_must_write(stream);
        earlier(&due_ns, is_quiet ? stream->written_ns : now_ns, options->heartbeat_ns);
        earlier(&due_ns, 0, stream->give_up_ns);
        earlier(&due_ns, stream->opened_ns, age_max_ns(stream));
        earlier(&due_ns, 0, stream->expires_ns);
    }
    if (due_ns != UINT64_MAX)
        gateway_wait(stream->gateway, &stream->waiter, due_ns > now_ns ? due_ns - now_ns : 1);
}

/* So that those who were cut off together do not come back together. */
static uint32_t retry_ms(void)
{
    uint32_t random = 0;
    if (random_fill(&random, sizeof(random)) != SPN_OK)
        random = (uint32_t)gateway_now_ns();
    return RETRY_MS + random % RETRY_JITTER_MS;
}

/* -- the answer -------------------------------------------------------------------------------- */

void stream_open(struct stream *stream)
{
    if (exchange_is_answered(stream->exchange))
        return;
    if (stream->calls->open != NULL) {
        stream->calls->open(stream);
    } else {
        answer_add_stream_headers(stream->exchange);
        stream_text_retry(&stream->text, retry_ms(), stream->options.comments);
    }
    stream->is_open = true;
    stream->gateway->counts.streams_opened++;
    exchange_stream(stream->exchange, 200);
    wait_for_next(stream);
}

void stream_end_for(struct stream *stream, enum counts_end why, const char *reason)
{
    stream_open(stream);
    stream_text_end(&stream->text, reason, stream->options.comments);
    stream_end(stream, why);
}

void stream_refuse(struct stream *stream, unsigned status, spn_err err, const char *detail)
{
    if (exchange_is_answered(stream->exchange)) {
        stream_end_for(stream, END_FAILED, spn_err_name(err));
        return;
    }
    struct problem problem;
    problem_set(&problem, status, err, "%s", detail);
    answer_problem(stream->exchange, &problem);
    stream_end(stream, END_FAILED);
}

void stream_answer_nothing(struct stream *stream)
{
    stream_end(stream, END_CLOSED);
    if (!exchange_is_answered(stream->exchange))
        exchange_answer(stream->exchange, 204, NULL, 0);
}

/* -- items ------------------------------------------------------------------------------------- */

void stream_has_event(struct stream *stream, uint64_t time_ms)
{
    if (stream->events == 0)
        stream->time_ms = stream->phase == STREAM_LIVE ? time_ms : 0;
    stream->events++;
}

void stream_has_resumed(struct stream *stream, enum counts_resume how)
{
    stream->gateway->counts.resumes[how]++;
}

static void cut_slow(struct stream *stream)
{
    stream->phase = STREAM_ENDING;
    stream->why = END_SLOW;
    exchange_cut(stream->exchange);
}

/* What time does to a stream that is not ending. */
static void take_time(struct stream *stream, uint64_t now_ns)
{
    const struct http_options *options = stream->gateway->options;
    if (stream->give_up_ns > 0 && now_ns >= stream->give_up_ns) {
        stream->calls->give_up(stream);
        stream_end_for(stream, END_UNKNOWN, "unknown");
    } else if (stream->expires_ns > 0 && now_ns >= stream->expires_ns) {
        stream_end_for(stream, END_EXPIRED, "expired");
    } else if (age_max_ns(stream) > 0 && now_ns - stream->opened_ns >= age_max_ns(stream)) {
        stream_open(stream);
        stream_end(stream, END_AGE);
    } else if (!exchange_is_answered(stream->exchange)) {
        if (now_ns - stream->opened_ns >= options->verdict_ns)
            stream_open(stream);
    } else if (!stream_must_write(stream) && now_ns - stream->written_ns >= options->heartbeat_ns) {
        stream_text_heartbeat(&stream->text);
    }
}

static void on_due(struct waiter *waiter)
{
    struct stream *stream = LINK_OWNER(waiter, struct stream, waiter);
    uint64_t now_ns = gateway_now_ns();
    if (exchange_is_answered(stream->exchange) && stream_must_write(stream) &&
        now_ns - stream->written_ns >= stream->gateway->options->stall_ns) {
        cut_slow(stream);
        return;
    }
    if (stream->phase != STREAM_ENDING)
        take_time(stream, now_ns);
    stream_settle(stream);
    wait_for_next(stream);
}

/* -- begin and end ----------------------------------------------------------------------------- */

static void over(struct exchange *exchange)
{
    struct stream *stream = exchange_state(exchange);
    struct gateway_counts *counts = &stream->gateway->counts;
    counts->streams--;
    if (stream->is_open)
        counts->streams_ended[stream->why]++;
    gateway_wait(stream->gateway, &stream->waiter, 0);
    limits_leave(stream->gateway, &stream->seat);
    feed_leave(&stream->member);
    spn_unsubscribe(stream->subscription);
    link_leave(&stream->link);
    stream_release_text(stream);
    stream->calls->over(stream);
}

static const struct exchange_calls exchange_calls = {
    .take = exchange_ignore, .give = stream_give, .wrote = stream_wrote, .over = over};

/* Who is sent away comes back, after its own time. Until then its place is another's. */
static void send_away(struct stream *stream, enum counts_end why)
{
    bool was_open = exchange_is_answered(stream->exchange);
    if (!was_open)
        exchange_add(stream->exchange, name_CONNECTION, "close");
    stream_open(stream);
    if (was_open)
        stream_text_retry(&stream->text, retry_ms(), stream->options.comments);
    stream_end(stream, why);
    stream_settle(stream);
}

bool stream_begin(struct stream *stream, struct gateway *gateway, struct exchange *exchange,
                  const struct stream_calls *calls, const struct stream_options *options)
{
    *stream = (struct stream){
        .calls = calls,
        .options = *options,
        .waiter = {.deadline = DEADLINE_INIT, .on_due = on_due},
        .taker = {.on_item = stream_on_item, .may_take = stream_may_take},
        .member = {.calls = &stream_feed_calls},
        .gateway = gateway,
        .exchange = exchange,
        .opened_ns = gateway_now_ns(),
        .expires_ns = limits_expires_ns(options->expires_s),
    };
    stream->written_ns = stream->opened_ns;
    out_init(&stream->text, -1);
    memory_share_init(&stream->share, &gateway->memory[MEMORY_STREAMS], stream_on_room);
    link_init(&stream->member.link);
    link_init(&stream->link);
    link_join(&gateway->streams, &stream->link);
    gateway->counts.streams++;
    exchange_set(exchange, &exchange_calls, stream);
    enum counts_end why = limits_enter(gateway, &stream->seat, options->session, options->token);
    stream->options.session = stream->options.token = (struct spn_bytes){NULL, 0};
    if (why != END_PEER && options->refuses)
        stream_refuse(stream, 429, SPN_E_LIMIT, "there are too many streams");
    else if (why != END_PEER)
        send_away(stream, why);
    wait_for_next(stream);
    return stream->phase != STREAM_ENDING;
}

void stream_follow(struct stream *stream, spn_subscription *subscription)
{
    feed_leave(&stream->member);
    spn_unsubscribe(stream->subscription);
    stream->subscription = subscription;
    spn_subscription_set_context(subscription, &stream->taker);
}

void stream_give_up_after(struct stream *stream, uint64_t after_ns)
{
    stream->give_up_ns = gateway_now_ns() + after_ns;
    wait_for_next(stream);
}

/* -- all --------------------------------------------------------------------------------------- */

#define EACH_STREAM(gateway, link)                                                                 \
    for (struct link * (link) = (gateway)->streams.next; (link) != &(gateway)->streams;            \
         (link) = (link)->next)

void stream_phases(const struct gateway *gateway, uint64_t ret_counts[STREAM_ENDING])
{
    uint64_t now_ns = gateway_now_ns();
    memset(ret_counts, 0, STREAM_ENDING * sizeof(ret_counts[0]));
    EACH_STREAM(gateway, link)
    {
        const struct stream *stream = LINK_OWNER(link, struct stream, link);
        bool is_slow = stream->phase == STREAM_ENDING ||
                       (stream_must_write(stream) && now_ns - stream->written_ns >= SLOW_NS);
        ret_counts[is_slow ? STREAM_BEHIND : stream->phase]++;
    }
}

/* Also one that has little itself, but is a member that its feed keeps blocks for. */
static bool holds_memory(const struct stream *stream)
{
    const struct feed_block *block = stream->block;
    return stream->share.size > 0 || (block != NULL && block->share.size > 0) ||
           feed_keeps_for(&stream->member);
}

void stream_cut_holders(struct gateway *gateway)
{
    uint64_t now_ns = gateway_now_ns();
    EACH_STREAM(gateway, link)
    {
        struct stream *stream = LINK_OWNER(link, struct stream, link);
        if (stream->has_text && now_ns - stream->written_ns >= PRESSED_NS && holds_memory(stream))
            cut_slow(stream);
    }
}

void stream_end_revoked(struct gateway *gateway)
{
    EACH_STREAM(gateway, link)
    {
        struct stream *stream = LINK_OWNER(link, struct stream, link);
        bool is_revoked =
            stream->options.key_mark != 0 && !keys_have(gateway->keys, stream->options.key_mark);
        if (!is_revoked || stream->phase == STREAM_ENDING)
            continue;
        stream_end_for(stream, END_REVOKED, "revoked");
        stream_settle(stream);
    }
}

void stream_end_all(struct gateway *gateway)
{
    EACH_STREAM(gateway, link)
    {
        struct stream *stream = LINK_OWNER(link, struct stream, link);
        if (stream->phase != STREAM_ENDING)
            send_away(stream, END_STOPPING);
    }
}
