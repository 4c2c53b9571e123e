/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/clock.h"
#include "http/answer.h"
#include "http/names.h"
#include "http/problem.h"
#include "http/session_start.h"
#include "http/stream_text.h"

/* ASKING -> ABSENT -> LIVE -> ENDING, or from any of them to ENDING. The answer may come in ASKING:
 * then the sidecar is gone, and the stream is held until it is back. */
enum reader_phase {
    READER_ASKING, /* there is no verdict yet */
    READER_ABSENT, /* the session does not exist yet */
    READER_LIVE,
    READER_ENDING, /* the answer ends after its text */
};

enum {
    TEXT_ENOUGH = 8 * 1024, /* bytes of text, after which no more items are taken */
    RETRY_MS = 1000,        /* the least time after which a browser comes back ... */
    RETRY_JITTER_MS = 2000, /* ... and so much more at random */
};

struct reader {
    struct waiter waiter;
    struct taker taker;
    struct link link;
    struct gateway *gateway;
    struct exchange *exchange;
    spn_subscription *subscription;
    struct session_start start;
    struct reader_request request; /* its bytes are not used after the beginning */
    enum reader_phase phase;
    bool was_ahead;  /* its cursor was after the newest event */
    bool is_open;    /* counted among the streams */
    struct out text; /* on its way to the socket */
    size_t written;  /* of it */
    uint64_t opened_ns;
    uint64_t absent_ns;  /* since when the session is waited for */
    uint64_t written_ns; /* when something was last written, or nothing was left to write */
    uint64_t expires_ns; /* 0: never */
};

static void reader_due(struct waiter *waiter);

static const struct exchange_calls reader_calls;

/* -- time -------------------------------------------------------------------------------------- */

static void earlier(uint64_t *due_ns, uint64_t since_ns, uint64_t span_ns)
{
    if (span_ns > 0 && since_ns + span_ns < *due_ns)
        *due_ns = since_ns + span_ns;
}

/* The next moment at which reader_due may have something to do. It is looked at again then, so
 * writing does not move it. */
static void wait_for_next(struct reader *reader)
{
    const struct http_options *options = reader->gateway->options;
    uint64_t now_ns = gateway_now_ns();
    uint64_t due_ns = UINT64_MAX;
    bool has_text = reader->text.size > 0;
    bool is_answered = exchange_is_answered(reader->exchange);
    if (!is_answered)
        earlier(&due_ns, reader->opened_ns, options->verdict_ns);
    /* What cannot be due as things are is looked at again after its whole time. */
    earlier(&due_ns, has_text ? reader->written_ns : now_ns, options->stall_ns);
    if (reader->phase != READER_ENDING) {
        earlier(&due_ns, is_answered && !has_text ? reader->written_ns : now_ns,
                options->heartbeat_ns);
        if (reader->phase == READER_ABSENT)
            earlier(&due_ns, reader->absent_ns, options->wait_unknown_ns);
        earlier(&due_ns, reader->opened_ns, options->max_age_ns);
        earlier(&due_ns, 0, reader->expires_ns);
    }
    if (due_ns != UINT64_MAX)
        gateway_wait(reader->gateway, &reader->waiter, due_ns > now_ns ? due_ns - now_ns : 1);
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

/* There is text: nothing more is taken until it is written. */
static void settle(struct reader *reader)
{
    bool has_text = reader->text.size > 0 || reader->phase == READER_ENDING;
    if (reader->subscription != NULL && has_text &&
        spn_subscription_pause(reader->subscription, true) != SPN_OK)
        exchange_cut(reader->exchange);
    if (has_text)
        exchange_go_on(reader->exchange);
}

static void end(struct reader *reader)
{
    reader->phase = READER_ENDING;
}

static void end_for(struct reader *reader, const char *reason)
{
    stream_text_end(&reader->text, reason, reader->request.comments);
    end(reader);
}

static void add_verdict(struct exchange *exchange, const struct spn_item *verdict)
{
    answer_add_session(exchange, &verdict->life, verdict->newest, verdict->state);
    answer_add_number(exchange, name_MISSING, verdict->missing);
}

/* verdict: NULL while there is none. */
static void open_stream(struct reader *reader, const struct spn_item *verdict)
{
    if (exchange_is_answered(reader->exchange))
        return;
    answer_add_stream_headers(reader->exchange);
    if (verdict != NULL)
        add_verdict(reader->exchange, verdict);
    stream_text_retry(&reader->text, retry_ms(), reader->request.comments);
    reader->is_open = true;
    reader->gateway->counts.streams_opened++;
    reader->gateway->counts.streams++;
    exchange_stream(reader->exchange, 200);
    wait_for_next(reader);
}

static void refuse(struct reader *reader, unsigned status, spn_err err, const char *detail)
{
    end(reader);
    if (exchange_is_answered(reader->exchange)) {
        stream_text_end(&reader->text, spn_err_name(err), reader->request.comments);
        return;
    }
    struct problem problem;
    problem_set(&problem, status, err, "%s", detail);
    answer_problem(reader->exchange, &problem);
}

static void answer_nothing(struct reader *reader)
{
    end(reader);
    if (!exchange_is_answered(reader->exchange))
        exchange_answer(reader->exchange, 204, NULL, 0);
}

/* -- items ------------------------------------------------------------------------------------- */

static spn_err subscribe(struct reader *reader, unsigned otherwise)
{
    spn_unsubscribe(reader->subscription);
    reader->subscription = NULL;
    spn_err err =
        session_start_subscribe(&reader->start, reader->gateway, &reader->subscription, otherwise);
    if (err == SPN_OK)
        spn_subscription_set_context(reader->subscription, &reader->taker);
    return err;
}

static unsigned if_not_there(const struct reader *reader)
{
    return reader->request.fails_if_unknown_id ? SPN_FAIL : SPN_RESTART;
}

static void refuse_place(struct reader *reader, spn_err err)
{
    refuse(reader, 410, err, "no retained event of the session has this id");
}

/* The session begins again, as it does for an id that nobody knows. */
static void take_unknown_place(struct reader *reader)
{
    if (reader->request.fails_if_unknown_id) {
        refuse_place(reader, SPN_E_UNKNOWN_ID);
        return;
    }
    reader->was_ahead = true;
    reader->start.start.kind = START_EARLIEST;
    if (subscribe(reader, SPN_RESTART) != SPN_OK)
        end_for(reader, spn_err_name(SPN_E_NOMEM));
}

static void take_verdict(struct reader *reader, const struct spn_item *item)
{
    if (session_start_is_ahead(&reader->start, item)) {
        take_unknown_place(reader);
        return;
    }
    bool is_closed = item->state == SPN_CLOSED;
    bool is_at_end = item->why == SPN_OK && item->seq >= item->newest;
    if (is_closed &&
        (reader->request.active_only || (session_start_has_cursor(&reader->start) && is_at_end))) {
        answer_nothing(reader);
        return;
    }
    open_stream(reader, item);
    stream_text_cursor(&reader->text, &item->life, item->seq, reader->request.primes,
                       reader->request.comments);
    if (item->why == SPN_E_TRIMMED) {
        stream_text_gap(&reader->text, item->missing, reader->request.comments);
        reader->gateway->counts.gaps++;
    } else if (item->why != SPN_OK || reader->was_ahead) {
        spn_err why = reader->was_ahead ? SPN_E_UNKNOWN_ID : item->why;
        stream_text_reset(&reader->text, spn_err_name(why), item->missing,
                          reader->request.comments);
        reader->gateway->counts.resets++;
    }
    reader->phase = READER_LIVE;
}

/* There is no such session. Waits for it, unless the request says that it should not. */
static void take_absence(struct reader *reader)
{
    if (reader->request.active_only) {
        answer_nothing(reader);
        return;
    }
    if (reader->request.fails_if_unknown) {
        refuse(reader, 404, SPN_E_UNKNOWN_SESSION, "there is no such session");
        return;
    }
    open_stream(reader, NULL);
    if (session_start_has_cursor(&reader->start)) {
        stream_text_reset(&reader->text, spn_err_name(SPN_E_UNKNOWN_SESSION), 0,
                          reader->request.comments);
        reader->gateway->counts.resets++;
    }
    reader->phase = READER_ABSENT;
    reader->absent_ns = gateway_now_ns();
    if (subscribe(reader, SPN_WAIT) != SPN_OK)
        end_for(reader, spn_err_name(SPN_E_NOMEM));
    wait_for_next(reader);
}

static void take_end(struct reader *reader, const struct spn_item *item)
{
    if (session_start_again(&reader->start, item->why)) {
        if (subscribe(reader, if_not_there(reader)) != SPN_OK)
            end_for(reader, spn_err_name(SPN_E_NOMEM));
        return;
    }
    switch (item->why) {
    case SPN_E_UNKNOWN_SESSION:
        take_absence(reader);
        break;
    case SPN_E_UNKNOWN_ID:
    case SPN_E_OTHER_LIFE:
        refuse_place(reader, item->why);
        break;
    case SPN_E_CLOSED:
        end(reader);
        break;
    case SPN_E_DELETED:
        end_for(reader, "deleted");
        break;
    default: /* a limit, or damage: who comes back later may be luckier */
        open_stream(reader, NULL);
        end_for(reader, spn_err_name(item->why));
        break;
    }
}

static void take_event(struct reader *reader, const struct spn_event *event)
{
    size_t size = 0;
    bool has_size = spn_sse_format(event, NULL, 0, &size) == SPN_E_INVALID && size > 0;
    char *room = has_size ? out_reserve(&reader->text, size) : NULL;
    if (room == NULL || spn_sse_format(event, room, size, &size) != SPN_OK) {
        end_for(reader, spn_err_name(SPN_E_NOMEM));
        return;
    }
    reader->text.size += size;
    reader->gateway->counts.events_written++;
}

static void take_item(struct reader *reader, const struct spn_item *item)
{
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        take_verdict(reader, item);
        break;
    case SPN_ITEM_EVENT:
        take_event(reader, item->event);
        break;
    case SPN_ITEM_GAP:
        stream_text_gap(&reader->text, item->missing, reader->request.comments);
        reader->gateway->counts.gaps++;
        break;
    case SPN_ITEM_CAUGHT_UP:
        if (reader->request.until_caught_up)
            end(reader);
        break;
    case SPN_ITEM_END:
        take_end(reader, item);
        break;
    default:
        break;
    }
}

static void reader_item(struct taker *taker, const struct spn_item *item)
{
    struct reader *reader = LINK_OWNER(taker, struct reader, taker);
    if (reader->phase != READER_ENDING)
        take_item(reader, item);
    settle(reader);
}

/* -- writing ----------------------------------------------------------------------------------- */

/* The socket can be written and there is no text: takes items until there is enough, or none is
 * left. */
static void refill(struct reader *reader)
{
    out_release(&reader->text); /* one that is idle keeps no memory */
    reader->written = 0;
    if (reader->subscription == NULL || reader->phase == READER_ENDING)
        return;
    if (spn_subscription_pause(reader->subscription, false) != SPN_OK)
        end(reader);
    const struct spn_item *item;
    while (reader->phase != READER_ENDING && reader->text.size < TEXT_ENOUGH &&
           spn_subscription_next(reader->subscription, 0, &item) == SPN_OK)
        take_item(reader, item);
    if (reader->text.size > 0)
        settle(reader);
}

static ssize_t reader_give(struct exchange *exchange, char *out, size_t room)
{
    struct reader *reader = exchange_state(exchange);
    if (reader->written == reader->text.size)
        refill(reader);
    if (reader->text.error != 0)
        return EXCHANGE_CUT;
    size_t left = reader->text.size - reader->written;
    size_t size = left < room ? left : room;
    if (size == 0)
        return reader->phase == READER_ENDING ? EXCHANGE_END : EXCHANGE_WAIT;
    memcpy(out, reader->text.data + reader->written, size);
    reader->written += size;
    reader->written_ns = gateway_now_ns();
    reader->gateway->counts.bytes_written += size;
    return (ssize_t)size;
}

/* What time does to a stream that is not ending. */
static void take_time(struct reader *reader, uint64_t now_ns)
{
    const struct http_options *options = reader->gateway->options;
    bool is_answered = exchange_is_answered(reader->exchange);
    if (reader->phase == READER_ABSENT && now_ns - reader->absent_ns >= options->wait_unknown_ns) {
        end_for(reader, "unknown");
    } else if (reader->expires_ns > 0 && now_ns >= reader->expires_ns) {
        open_stream(reader, NULL);
        end_for(reader, "expired");
    } else if (options->max_age_ns > 0 && now_ns - reader->opened_ns >= options->max_age_ns) {
        open_stream(reader, NULL);
        end(reader);
    } else if (is_answered && reader->text.size == 0 &&
               now_ns - reader->written_ns >= options->heartbeat_ns) {
        stream_text_heartbeat(&reader->text);
    }
}

static void reader_due(struct waiter *waiter)
{
    struct reader *reader = LINK_OWNER(waiter, struct reader, waiter);
    const struct http_options *options = reader->gateway->options;
    uint64_t now_ns = gateway_now_ns();
    bool is_answered = exchange_is_answered(reader->exchange);
    if (!is_answered && now_ns - reader->opened_ns >= options->verdict_ns)
        open_stream(reader, NULL);
    bool has_text = reader->text.size > 0;
    if (is_answered && has_text && now_ns - reader->written_ns >= options->stall_ns) {
        reader->gateway->counts.streams_cut++;
        exchange_cut(reader->exchange);
        return;
    }
    if (reader->phase != READER_ENDING)
        take_time(reader, now_ns);
    settle(reader);
    wait_for_next(reader);
}

/* -- begin and end ----------------------------------------------------------------------------- */

static void reader_over(struct exchange *exchange)
{
    struct reader *reader = exchange_state(exchange);
    struct gateway *gateway = reader->gateway;
    if (reader->is_open) {
        gateway->counts.streams--;
        gateway->counts.streams_ended++;
    }
    gateway_wait(gateway, &reader->waiter, 0);
    spn_unsubscribe(reader->subscription);
    link_leave(&reader->link);
    session_start_release(&reader->start);
    out_release(&reader->text);
    free(reader);
}

static size_t ignore(struct exchange *exchange, const void *bytes, size_t size)
{
    (void)exchange;
    (void)bytes;
    return size;
}

static const struct exchange_calls reader_calls = {
    .take = ignore, .give = reader_give, .over = reader_over};

/* How long the token is good for, on the clock that we measure with. */
static uint64_t expires_ns(const struct reader_request *request)
{
    uint64_t now_ms = clock_wall_ms();
    if (request->expires_s == 0)
        return 0;
    uint64_t expires_ms = request->expires_s * 1000;
    uint64_t left_ms = expires_ms > now_ms ? expires_ms - now_ms : 0;
    return gateway_now_ns() + left_ms * 1000000 + 1;
}

static struct reader *reader_new(struct gateway *gateway, struct exchange *exchange,
                                 const struct reader_request *request)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        return NULL;
    reader->gateway = gateway;
    reader->exchange = exchange;
    reader->request = *request;
    reader->waiter = (struct waiter){.deadline = DEADLINE_INIT, .on_due = reader_due};
    reader->taker.on_item = reader_item;
    reader->opened_ns = reader->written_ns = gateway_now_ns();
    reader->expires_ns = expires_ns(request);
    out_init(&reader->text, -1);
    link_init(&reader->link);
    link_join(&gateway->readers, &reader->link);
    return reader;
}

/* The others' turn comes first: who is sent away comes back. */
static void end_for_now(struct reader *reader)
{
    bool was_open = exchange_is_answered(reader->exchange);
    open_stream(reader, NULL);
    if (was_open)
        stream_text_retry(&reader->text, retry_ms(), reader->request.comments);
    end(reader);
    settle(reader);
}

/* Streams leave a tenth of the connections to all other requests. */
static bool are_too_many(const struct gateway *gateway)
{
    unsigned most = gateway->options->connections_max;
    return gateway->counts.streams >= most - most / 10;
}

void reader_begin(struct gateway *gateway, struct exchange *exchange,
                  const struct reader_request *request)
{
    struct reader *reader = reader_new(gateway, exchange, request);
    if (reader == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    exchange_set(exchange, &reader_calls, reader);
    if (are_too_many(gateway)) {
        end_for_now(reader);
        return;
    }
    spn_err err = session_start_keep(&reader->start, request->session, &request->start);
    if (err == SPN_OK)
        err = subscribe(reader, if_not_there(reader));
    if (err != SPN_OK)
        answer_err(exchange, err);
    else
        wait_for_next(reader);
}

void reader_end_revoked(struct gateway *gateway)
{
    for (struct link *link = gateway->readers.next; link != &gateway->readers; link = link->next) {
        struct reader *reader = LINK_OWNER(link, struct reader, link);
        bool is_revoked =
            reader->request.key_mark != 0 && !keys_have(gateway->keys, reader->request.key_mark);
        if (!is_revoked || reader->phase == READER_ENDING)
            continue;
        open_stream(reader, NULL);
        end_for(reader, "revoked");
        settle(reader);
    }
}

void reader_end_all(struct gateway *gateway)
{
    for (struct link *link = gateway->readers.next; link != &gateway->readers; link = link->next) {
        struct reader *reader = LINK_OWNER(link, struct reader, link);
        if (reader->phase != READER_ENDING)
            end_for_now(reader);
    }
}
