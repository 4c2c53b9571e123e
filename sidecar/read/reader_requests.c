/* SPDX-License-Identifier: Apache-2.0 */
/* reader_requests: the requests on read.sock. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "read/reader_base.h"
#include "base/version.h"
#include "err.h"
#include "mail/welcome.h"

static struct spn_bytes text_bytes(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

static void answer_hello(struct reader *reader, struct caller caller)
{
    uint8_t bytes[WELCOME_SIZE_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct welcome welcome = {
        .instance = reader->options.instance,
        .data_max = atomic_load_explicit(reader->options.data_max, memory_order_relaxed),
        .frame_max = reader->options.frame_max,
        .window_max = reader->options.window_max,
        .database = reader->options.database,
        .commits = reader->options.commits,
    };
    welcome_put(&out, caller.request, &welcome);
    reader_send_bytes(reader, caller, &out);
}

/* A warning for a status that is still ok, about something that will become trouble if it
 * continues. An empty string: there is none. */
static const char *warn(const struct metrics *metrics, char words[WORDS_MAX])
{
    uint64_t count = metrics_get(&metrics->producers);
    uint64_t most = metrics_get(&metrics->producers_max);
    words[0] = '\0';
    if (most > 0 && count * 10 >= most * 9)
        (void)snprintf(words, WORDS_MAX,
                       "%llu of at most %llu producer ids (--producers) are known",
                       (unsigned long long)count, (unsigned long long)most);
    else if (metrics_get(&metrics->sessions_damaged) + metrics_get(&metrics->damaged_reads) > 0)
        (void)snprintf(words, WORDS_MAX, "damaged data in the database: the log has details");
    return words;
}

/* Why nothing is acknowledged, or nobody can publish; NULL: all is well. */
static const char *why_degraded(const struct reader *reader)
{
    unsigned trouble =
        atomic_load_explicit(&reader->options.commits->trouble, memory_order_relaxed);
    if (trouble != SPN_OK)
        return err_text((spn_err)trouble);
    return metrics_get(&reader->options.metrics->ingest_blocked) > 0
               ? "another file is in the place of ingest.sock"
               : NULL;
}

static uint64_t up_ns(const struct reader *reader)
{
    return reader->options.clock->monotonic_ns() - reader->started_ns;
}

static void health(struct reader *reader, struct caller caller)
{
    const struct commit_state *commits = reader->options.commits;
    const char *trouble = why_degraded(reader);
    uint8_t status = trouble                           ? WIRE_DEGRADED
                     : atomic_load(&commits->draining) ? WIRE_STOPPING
                                                       : WIRE_OK;
    char warning[WORDS_MAX];
    const char *reason = trouble ? trouble : warn(reader->options.metrics, warning);
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_HEALTH_IS, caller.request);
    wire_put_health(&out, &(struct wire_health){
                              .status = status,
                              .pid = (uint32_t)getpid(),
                              .instance = reader->options.instance,
                              .uptime_ms = up_ns(reader) / 1000000u,
                              .durable = atomic_load(&commits->durable),
                              .checkpoint = atomic_load(&commits->checkpoint),
                              .version = text_bytes(SPONSON_VERSION),
                              .reason = text_bytes(reason),
                          });
    reader_send_bytes(reader, caller, &out);
}

static uint64_t ratio(uint64_t dividend, uint64_t divisor)
{
    return divisor > 0 ? dividend / divisor : 0;
}

static void stats(struct reader *reader, struct caller caller)
{
    struct metrics *metrics = reader->options.metrics;
    metrics_set(&metrics->build_info, 1);
    metrics_set(&metrics->uptime_seconds, up_ns(reader) / 1000000000u);
    metrics_set(&metrics->degraded, why_degraded(reader) != NULL);
    const struct {
        uint64_t value;
        const char *name;
    } rows[] = {
#define STATS_ROW(field, text, help) {metrics_get(&metrics->field), text},
#define STATS_RATIO(dividend, divisor, text, help)                                                 \
    {ratio(metrics_get(&metrics->dividend), metrics_get(&metrics->divisor)), text},
        METRICS_MAP(STATS_ROW) METRICS_RATIO_MAP(STATS_RATIO)
#undef STATS_ROW
#undef STATS_RATIO
    };
    size_t count = sizeof(rows) / sizeof(rows[0]);
    if (!reader_has_room(reader, caller, ANSWER_MAX))
        return;
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_STATS_ARE, caller.request);
    wire_put_stats_are(&out, &(struct wire_stats_are){.count = (uint32_t)count});
    for (size_t i = 0; i < count; i++)
        wire_put_stat(
            &out, &(struct wire_stat){.value = rows[i].value, .name = text_bytes(rows[i].name)});
    reader_send_bytes(reader, caller, &out);
}

/* Reads the session's epoch from the names on disk; 0: it is not there. */
static spn_err look_up_name(struct reader *reader, struct session_asked *session)
{
    spn_err err = journal_reader_begin(reader->journal);
    if (err == SPN_OK)
        err = journal_read_name(reader->journal, session->name, &session->epoch);
    journal_reader_end(reader->journal);
    if (err == SPN_E_END) {
        session->epoch = 0;
        err = SPN_OK;
    }
    return err;
}

static struct asker asker_of(struct caller caller, uint8_t type)
{
    return (struct asker){.peer = caller.peer->peer, .request = caller.request, .type = type};
}

/* Requests a session's state from the broker, for the request in the frame, and takes over the
 * frame. */
static spn_err ask_about(struct reader *reader, struct caller caller, uint8_t type,
                         struct spn_bytes name, zmq_msg_t *frame)
{
    spn_err err = wire_check_session(name);
    if (err != SPN_OK)
        return err;
    if (!reader_has_room(reader, caller, type == WIRE_FETCH ? PUMP_BYTES_MAX : ANSWER_MAX))
        return SPN_OK;
    struct session_question *question = session_question_new(MESSAGE_SESSION, 1);
    if (!question)
        return SPN_E_NOMEM;
    session_question_name(question, 0, name);
    err = look_up_name(reader, &question->sessions[0]);
    if (err != SPN_OK) {
        session_question_free(question);
        return err;
    }
    question->asker = asker_of(caller, type);
    zmq_msg_move(&question->frame, frame);
    reader_ask(reader, &question->message);
    return SPN_OK;
}

static spn_err ask_holder(struct reader *reader, struct caller caller, const struct wire_ask *ask)
{
    /* The broker copies all results into a STATE: not for a peer that has no room for them. */
    if (!reader_has_room(reader, caller, STATE_SIZE_MAX))
        return SPN_OK;
    struct asker asker = asker_of(caller, WIRE_STATE);
    struct holder_question *question = holder_question_new(&asker);
    if (!question)
        return SPN_E_NOMEM;
    question->token = ask->token;
    question->base = ask->base;
    reader_ask(reader, &question->message);
    return SPN_OK;
}

static spn_err ask_sessions(struct reader *reader, struct caller caller, zmq_msg_t *frame)
{
    if (!reader_has_room(reader, caller, PUMP_BYTES_MAX))
        return SPN_OK;
    struct asker asker = asker_of(caller, WIRE_SESSIONS);
    struct generations_question *question = generations_question_new(&asker);
    if (!question)
        return SPN_E_NOMEM;
    zmq_msg_move(&question->frame, frame);
    reader_ask(reader, &question->message);
    return SPN_OK;
}

static spn_err request_last(struct reader *reader, struct caller caller, struct wire_in in,
                            zmq_msg_t *frame)
{
    struct spn_bytes session;
    wire_get_last(&in, &session);
    return wire_in_done(&in) ? ask_about(reader, caller, WIRE_LAST, session, frame)
                             : SPN_E_PROTOCOL;
}

static spn_err request_info(struct reader *reader, struct caller caller, struct wire_in in,
                            zmq_msg_t *frame)
{
    struct spn_bytes session;
    wire_get_info(&in, &session);
    return wire_in_done(&in) ? ask_about(reader, caller, WIRE_INFO, session, frame)
                             : SPN_E_PROTOCOL;
}

static spn_err request_fetch(struct reader *reader, struct caller caller, struct wire_in in,
                             zmq_msg_t *frame)
{
    struct wire_fetch fetch;
    wire_get_fetch(&in, &fetch);
    return wire_in_done(&in) ? ask_about(reader, caller, WIRE_FETCH, fetch.session, frame)
                             : SPN_E_PROTOCOL;
}

static spn_err request_sessions(struct reader *reader, struct caller caller, struct wire_in in,
                                zmq_msg_t *frame)
{
    struct wire_sessions sessions;
    wire_get_sessions(&in, &sessions);
    return wire_in_done(&in) ? ask_sessions(reader, caller, frame) : SPN_E_PROTOCOL;
}

static spn_err request_state(struct reader *reader, struct caller caller, struct wire_in in)
{
    struct wire_ask ask;
    wire_get_ask(&in, &ask);
    return wire_in_done(&in) ? ask_holder(reader, caller, &ask) : SPN_E_PROTOCOL;
}

static spn_err request_plain(struct reader *reader, struct caller caller, struct wire_in in,
                             void (*reply)(struct reader *, struct caller))
{
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    reply(reader, caller);
    return SPN_OK;
}

static spn_err request_hello(struct reader *reader, struct caller caller, struct wire_in in)
{
    uint64_t features;
    wire_get_hello(&in, &features);
    return request_plain(reader, caller, in, answer_hello);
}

static spn_err request_credit(struct reader *reader, struct caller caller, struct wire_in in)
{
    spn_err err = subscriptions_credit(reader->subscriptions, caller.peer, in);
    if (err == SPN_E_BACKPRESSURE)
        return SPN_OK; /* no room for ALIVE either: one answer is dropped, not two */
    if (err != SPN_OK)
        return err;
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_ALIVE, caller.request);
    wire_put_alive(&out, &(struct wire_alive){.instance = reader->options.instance,
                                              .subscriptions = subscriptions_of_peer(caller.peer)});
    reader_send_bytes(reader, caller, &out);
    return SPN_OK;
}

static spn_err dispatch(struct reader *reader, struct caller caller, uint8_t type,
                        struct wire_in in, zmq_msg_t *frame)
{
    switch (type) {
    case WIRE_HELLO:
        return request_hello(reader, caller, in);
    case WIRE_HEALTH:
        return request_plain(reader, caller, in, health);
    case WIRE_STATS:
        return request_plain(reader, caller, in, stats);
    case WIRE_STATE:
        return request_state(reader, caller, in);
    case WIRE_CLIENTS:
        return reader_request_clients(reader, caller, in);
    case WIRE_LAST:
        return request_last(reader, caller, in, frame);
    case WIRE_INFO:
        return request_info(reader, caller, in, frame);
    case WIRE_FETCH:
        return request_fetch(reader, caller, in, frame);
    case WIRE_SESSIONS:
        return request_sessions(reader, caller, in, frame);
    case WIRE_SUBSCRIBE:
        return subscriptions_subscribe(reader->subscriptions, caller.peer, in);
    case WIRE_FOLLOW:
        return subscriptions_follow(reader->subscriptions, caller.peer, in);
    case WIRE_CREDIT:
        return request_credit(reader, caller, in);
    case WIRE_UNSUBSCRIBE:
        return subscriptions_unsubscribe(reader->subscriptions, caller.peer, in);
    default:
        return wire_sockets(type) != 0 ? SPN_E_DENIED : SPN_E_PROTOCOL;
    }
}

void reader_take_request(struct reader *reader, struct outbox_peer *peer, zmq_msg_t *frame)
{
    struct wire_in in = wire_in(zmq_msg_data(frame), zmq_msg_size(frame));
    struct wire_header header = {0};
    spn_err err = wire_get_header(&in, &header);
    struct caller caller = {.peer = peer, .request = header.request};
    metrics_add(&reader->options.metrics->requests, 1);
    if (err == SPN_OK)
        err = dispatch(reader, caller, header.type, in, frame);
    if (err == SPN_OK)
        return;
    if (err == SPN_E_PROTOCOL || err == SPN_E_VERSION || err == SPN_E_DENIED)
        metrics_add(&reader->options.metrics->read_bad_frames, 1);
    char words[WIRE_FAULT_SIZE];
    const char *detail = err == SPN_E_DENIED ? wire_denial(header.type) : NULL;
    if (err == SPN_E_PROTOCOL)
        detail = wire_fault_words(zmq_msg_data(frame), zmq_msg_size(frame), words);
    reader_send_words(reader, caller, err, detail);
}
