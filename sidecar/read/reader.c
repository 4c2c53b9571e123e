/* SPDX-License-Identifier: Apache-2.0 */
#include "read/reader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "err.h"
#include "read/fetch.h"
#include "read/listing.h"
#include "net/outbox.h"
#include "net/router.h"
#include "base/slack.h"
#include "net/peer_uid.h"
#include "read/subscription.h"
#include "base/version.h"

enum {
    OPENING_MAX =
        256,          /* answered by a commit, which a full disk delays: they may not take it all */
    ASKED_MAX = 1024, /* at the broker; above it read.sock is not read */
    RECEIVE_PER_TURN = 64,
    UNANSWERED_MAX = 64, /* messages of peers that have no room, before a pause */
    PAUSE_MS = 1,
    ANSWER_MAX = 8192, /* of answers whose size is bounded by their fields */
    ANSWER_MIN = 128,
    STATE_SIZE_MAX = WIRE_HEADER_SIZE + 96 + WIRE_RUNS_MAX * WIRE_RUN_SIZE,
    WORDS_MAX = 128,
};

struct reader {
    struct reader_options options;
    struct router router; /* read.sock */
    struct journal_reader *journal;
    pthread_t thread;
    atomic_bool stop;
    size_t asked;
    size_t opening; /* of them, producers */
    uint64_t started_ns;
    size_t unanswered; /* since the last pause: messages of peers that had no room */
    uint64_t pause_ns; /* its end; 0: there is none */
    struct slack slack;
    struct outbox *outbox;
    struct subscriptions *subscriptions;
    struct fetch fetch;
    struct listing listing;
    struct slice slice; /* scratch, valid in one snapshot */
};

/* Where an answer goes. */
struct caller {
    struct outbox_peer *peer;
    uint64_t request;
};

/* -- answers ----------------------------------------------------------------------------------- */

/* A peer that leaves too much unread asks again if it still wants the answer. */
static void drop_answer(struct reader *reader)
{
    metrics_add(&reader->options.metrics->answers_dropped, 1);
    reader->unanswered++;
}

/* Nothing is done for an answer that has no room. */
static bool has_room(struct reader *reader, struct caller caller, size_t size)
{
    bool found = outbox_has_room(reader->outbox, caller.peer, size);
    if (!found)
        drop_answer(reader);
    return found;
}

static void send_parcel(struct reader *reader, struct outbox_peer *peer, struct parcel *parcel,
                        size_t size)
{
    if (outbox_put(reader->outbox, peer, parcel, size) != SPN_OK)
        drop_answer(reader);
}

static void send_bytes(struct reader *reader, struct caller caller, const struct wire_out *out)
{
    assert(!out->bad);
    struct parcel *parcel = parcel_resize(NULL, wire_out_size(out));
    if (!parcel) {
        drop_answer(reader);
        return;
    }
    memcpy(parcel->bytes, out->start, wire_out_size(out));
    send_parcel(reader, caller.peer, parcel, wire_out_size(out));
}

/* detail: NULL for the code's own words. */
static void send_words(struct reader *reader, struct caller caller, spn_err err, const char *detail)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 16 + 255];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    const char *text = detail ? detail : err_text(err);
    wire_put_header(&out, WIRE_ERROR, caller.request);
    wire_put_error(&out,
                   &(struct wire_error){.code = (uint32_t)err, .detail = {text, strlen(text)}});
    send_bytes(reader, caller, &out);
}

static void send_error(struct reader *reader, struct caller caller, spn_err err)
{
    send_words(reader, caller, err, NULL);
}

static struct spn_bytes text_bytes(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

/* -- what needs neither disk nor broker -------------------------------------------------------- */

static void welcome(struct reader *reader, struct caller caller)
{
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_WELCOME, caller.request);
    wire_put_welcome(&out, &(struct wire_welcome){.instance = reader->options.instance,
                                                  .data_max = reader->options.data_max,
                                                  .batch_bytes_max = WIRE_BATCH_BYTES_MAX,
                                                  .batch_events_max = WIRE_BATCH_EVENTS_MAX,
                                                  .version = text_bytes(SPONSON_VERSION)});
    send_bytes(reader, caller, &out);
}

/* What will be trouble if it goes on, while the status is ok still: words, or none. */
static const char *warn(const struct metrics *metrics, char words[WORDS_MAX])
{
    uint64_t count = metrics_get(&metrics->producers);
    uint64_t most = metrics_get(&metrics->producers_max);
    words[0] = '\0';
    if (most > 0 && count * 10 >= most * 9)
        (void)snprintf(words, WORDS_MAX, "%llu producers of the %llu that --producers allows",
                       (unsigned long long)count, (unsigned long long)most);
    return words;
}

static void health(struct reader *reader, struct caller caller)
{
    const struct commit_state *commits = reader->options.commits;
    spn_err trouble = (spn_err)atomic_load_explicit(&commits->trouble, memory_order_relaxed);
    uint64_t up_ns = reader->options.clock->monotonic_ns() - reader->started_ns;
    uint8_t status = trouble != SPN_OK                 ? WIRE_DEGRADED
                     : atomic_load(&commits->draining) ? WIRE_STOPPING
                                                       : WIRE_OK;
    char warning[WORDS_MAX];
    const char *reason =
        trouble == SPN_OK ? warn(reader->options.metrics, warning) : err_text(trouble);
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_HEALTH_IS, caller.request);
    wire_put_health(&out, &(struct wire_health){
                              .status = status,
                              .pid = (uint32_t)getpid(),
                              .instance = reader->options.instance,
                              .uptime_ms = up_ns / 1000000u,
                              .durable = atomic_load(&commits->durable),
                              .checkpoint = atomic_load(&commits->checkpoint),
                              .version = text_bytes(SPONSON_VERSION),
                              .reason = text_bytes(reason),
                          });
    send_bytes(reader, caller, &out);
}

static uint64_t ratio(uint64_t dividend, uint64_t divisor)
{
    return divisor > 0 ? dividend / divisor : 0;
}

static void stats(struct reader *reader, struct caller caller)
{
    const struct metrics *metrics = reader->options.metrics;
    const struct {
        uint64_t value;
        const char *name;
    } rows[] = {
#define STATS_ROW(field, text) {metrics_get(&metrics->field), text},
#define STATS_RATIO(dividend, divisor, text)                                                       \
    {ratio(metrics_get(&metrics->dividend), metrics_get(&metrics->divisor)), text},
        METRICS_MAP(STATS_ROW) METRICS_RATIO_MAP(STATS_RATIO)
#undef STATS_ROW
#undef STATS_RATIO
    };
    size_t count = sizeof(rows) / sizeof(rows[0]);
    if (!has_room(reader, caller, ANSWER_MAX))
        return;
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_STATS_ARE, caller.request);
    wire_put_stats_are(&out, &(struct wire_stats_are){.count = (uint32_t)count});
    for (size_t i = 0; i < count; i++)
        wire_put_stat(
            &out, &(struct wire_stat){.value = rows[i].value, .name = text_bytes(rows[i].name)});
    send_bytes(reader, caller, &out);
}

/* -- asking the broker ------------------------------------------------------------------------- */

static void push_ask(struct reader *reader, struct ask *ask)
{
    reader->asked++;
    handoff_push(reader->options.asks, &ask->node);
}

/* The session's epoch according to the names on disk; 0: not there. */
static spn_err look_up_name(struct reader *reader, struct ask_session *session)
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

/* An ask about one session, for the request in the frame, which it takes over. */
static spn_err ask_about(struct reader *reader, struct caller caller, uint8_t type,
                         struct spn_bytes name, zmq_msg_t *frame)
{
    spn_err err = wire_check_session(name);
    if (err != SPN_OK)
        return err;
    if (!has_room(reader, caller, type == WIRE_FETCH ? FETCH_BYTES_MAX : ANSWER_MAX))
        return SPN_OK;
    struct ask *ask = ask_new(ASK_VIEW, 1);
    if (!ask)
        return SPN_E_NOMEM;
    ask_name(ask, 0, name);
    err = look_up_name(reader, &ask->sessions[0]);
    if (err != SPN_OK) {
        ask_free(ask);
        return err;
    }
    ask->peer = caller.peer->peer;
    ask->request = caller.request;
    ask->type = type;
    zmq_msg_move(&ask->frame, frame);
    push_ask(reader, ask);
    return SPN_OK;
}

static spn_err ask_producer(struct reader *reader, struct caller caller, uint8_t type,
                            const struct wire_open *open, uint32_t uid)
{
    if (type == WIRE_OPEN && reader->opening >= OPENING_MAX)
        return SPN_E_BACKPRESSURE;
    /* The broker copies a state's results: not for who would not get them. */
    if (!has_room(reader, caller, STATE_SIZE_MAX))
        return SPN_OK;
    struct ask *ask = ask_new(type == WIRE_OPEN ? ASK_OPEN : ASK_STATE, 0);
    if (!ask)
        return SPN_E_NOMEM;
    reader->opening += type == WIRE_OPEN ? 1 : 0;
    ask->peer = caller.peer->peer;
    ask->request = caller.request;
    ask->type = type;
    memcpy(ask->producer_id, open->producer, sizeof(ask->producer_id));
    ask->token = open->token;
    ask->base = open->base;
    ask->owner = (struct producer_owner){.uid = uid, .kept = open->kept};
    ask->known = open->known;
    ask->known_of = open->instance;
    push_ask(reader, ask);
    return SPN_OK;
}

static spn_err ask_sessions(struct reader *reader, struct caller caller, zmq_msg_t *frame)
{
    if (!has_room(reader, caller, FETCH_BYTES_MAX))
        return SPN_OK;
    struct ask *ask = ask_new(ASK_GENERATIONS, 0);
    if (!ask)
        return SPN_E_NOMEM;
    ask->peer = caller.peer->peer;
    ask->request = caller.request;
    ask->type = WIRE_SESSIONS;
    zmq_msg_move(&ask->frame, frame);
    push_ask(reader, ask);
    return SPN_OK;
}

/* -- requests ---------------------------------------------------------------------------------- */

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

static spn_err request_producer(struct reader *reader, struct caller caller, uint8_t type,
                                struct wire_in in, zmq_msg_t *frame)
{
    struct wire_open open = {.base = 1};
    struct wire_ask ask;
    if (type == WIRE_OPEN) {
        wire_get_open(&in, &open);
    } else {
        wire_get_ask(&in, &ask);
        open.token = ask.token;
        open.base = ask.base;
    }
    return wire_in_done(&in) ? ask_producer(reader, caller, type, &open, peer_uid(frame))
                             : SPN_E_PROTOCOL;
}

static spn_err request_plain(struct reader *reader, struct caller caller, struct wire_in in,
                             void (*reply)(struct reader *, struct caller))
{
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    reply(reader, caller);
    return SPN_OK;
}

static spn_err dispatch(struct reader *reader, struct caller caller, uint8_t type,
                        struct wire_in in, zmq_msg_t *frame)
{
    switch (type) {
    case WIRE_HELLO:
        return request_plain(reader, caller, in, welcome);
    case WIRE_HEALTH:
        return request_plain(reader, caller, in, health);
    case WIRE_STATS:
        return request_plain(reader, caller, in, stats);
    case WIRE_OPEN:
    case WIRE_STATE:
        return request_producer(reader, caller, type, in, frame);
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
    case WIRE_CREDIT:
        return subscriptions_credit(reader->subscriptions, caller.peer, in);
    case WIRE_UNSUBSCRIBE:
        return subscriptions_unsubscribe(reader->subscriptions, caller.peer, in);
    default:
        return SPN_E_PROTOCOL;
    }
}

static void take_request(struct reader *reader, struct outbox_peer *peer, zmq_msg_t *frame)
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
    if (err == SPN_E_PROTOCOL || err == SPN_E_VERSION)
        metrics_add(&reader->options.metrics->read_bad_frames, 1);
    send_error(reader, caller, err);
}

/* -- answers that needed the broker ------------------------------------------------------------ */

static void answer_state(struct reader *reader, struct caller caller, const struct ask *ask)
{
    size_t size = WIRE_HEADER_SIZE + 96 + ask->state.run_count * WIRE_RUN_SIZE;
    struct parcel *parcel = parcel_resize(NULL, size);
    if (!parcel) {
        drop_answer(reader);
        return;
    }
    struct wire_out out = wire_out(parcel->bytes, size);
    wire_put_header(&out, ask->type == WIRE_OPEN ? WIRE_OPENED : WIRE_STATE_IS, ask->request);
    wire_put_state(&out, &ask->state);
    for (uint32_t i = 0; i < ask->state.run_count; i++)
        wire_put_run(&out, &ask->runs[i]);
    assert(!out.bad);
    send_parcel(reader, caller.peer, parcel, wire_out_size(&out));
}

/* The newest entry and the id in force: as the row says, once they are trimmed. It may be ahead of
 * the view: then it knows of a newer entry, which is durable. */
static spn_err read_last(const struct timeline *timeline, struct wire_last_is *last)
{
    struct record_entry entry;
    const struct record_row *row = &timeline->row;
    *last = (struct wire_last_is){
        .epoch = timeline->epoch, .seq = timeline->seq_last, .position = timeline->position_last};
    spn_err err = journal_read_entry(timeline->reader, timeline->position_last, &entry);
    if (err == SPN_OK) {
        last->time_ms = entry.wall_ms;
        err = timeline_last_id(timeline, &entry, &last->id);
    }
    if (err != SPN_E_END)
        return err;
    if (!timeline->has_row || row->position < timeline->position_last)
        return SPN_E_CORRUPT;
    last->seq = row->seq;
    last->position = row->position;
    last->time_ms = row->last_ms;
    last->id = row->last_id;
    return SPN_OK;
}

static spn_err answer_last(struct reader *reader, struct caller caller, const struct ask *ask)
{
    struct timeline timeline;
    spn_err err = timeline_open(&timeline, reader->journal, &ask->sessions[0].view);
    struct wire_last_is last = {0};
    if (err == SPN_OK)
        err = read_last(&timeline, &last);
    if (err != SPN_OK)
        return err;
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_LAST_IS, ask->request);
    wire_put_last_is(&out, &last);
    send_bytes(reader, caller, &out);
    return SPN_OK;
}

/* Which entries are retained, and how many of them are markers. */
static spn_err look_at_retained(struct reader *reader, const struct timeline *timeline,
                                struct wire_info_is *info)
{
    uint64_t position;
    size_t count;
    struct record_entry first;
    spn_err err = timeline_read_retained(timeline, 1, clock_database_ns(reader->options.clock), 1,
                                         &position, &info->first_seq, &count);
    if (err != SPN_OK || count == 0)
        return err;
    err = journal_read_entry(reader->journal, position, &first);
    if (err == SPN_OK)
        info->markers = info->row.markers - first.markers + (first.kind == RECORD_MARKER);
    return err == SPN_E_END ? SPN_E_CORRUPT : err;
}

static spn_err answer_info(struct reader *reader, struct caller caller, const struct ask *ask)
{
    struct timeline timeline;
    struct wire_info_is info = {0};
    spn_err err = listing_row(reader->journal, &ask->sessions[0], &timeline, &info.row);
    if (err == SPN_OK)
        err = look_at_retained(reader, &timeline, &info);
    if (err != SPN_OK)
        return err;
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_INFO_IS, ask->request);
    wire_put_info_is(&out, &info);
    send_bytes(reader, caller, &out);
    return SPN_OK;
}

/* An answer that finds no room is asked for again: nothing is read for one that cannot. */
static spn_err answer_fetch(struct reader *reader, struct caller caller, struct ask *ask)
{
    struct parcel *parcel;
    size_t size;
    if (!has_room(reader, caller, FETCH_BYTES_MAX))
        return SPN_OK;
    spn_err err = fetch_answer(&reader->fetch, ask, &parcel, &size);
    if (err == SPN_OK)
        send_parcel(reader, caller.peer, parcel, size);
    if (err == SPN_E_NOMEM)
        drop_answer(reader);
    return err == SPN_E_NOMEM ? SPN_OK : err;
}

/* One page of sessions goes to the broker twice: for the generations, then for the page's views;
 * and again, where all of a page is gone. */
static spn_err list_sessions(struct reader *reader, struct ask *ask)
{
    struct ask *page;
    spn_err err = listing_page(&reader->listing, reader->journal, ask, &page);
    if (err == SPN_E_END)
        err = listing_come_again(ask, &page);
    if (err == SPN_OK)
        push_ask(reader, page);
    return err;
}

/* The broker writes the log, and may be asleep. */
static void note_damage(struct reader *reader)
{
    metrics_count(&reader->options.metrics->damaged_reads);
    handoff_nudge(reader->options.asks);
}

static spn_err answer_sessions(struct reader *reader, struct caller caller, const struct ask *ask)
{
    struct parcel *parcel;
    size_t size;
    size_t damaged;
    spn_err err = listing_rows(reader->journal, ask, &parcel, &size, &damaged);
    if (damaged > 0)
        note_damage(reader);
    if (err == SPN_OK) {
        send_parcel(reader, caller.peer, parcel, size);
    } else if (err == SPN_E_END) {
        struct ask *further;
        err = listing_go_on(ask, &further);
        if (err == SPN_OK)
            push_ask(reader, further);
    }
    return err;
}

/* Inside a snapshot, which was begun after the broker answered. */
static spn_err answer_from_disk(struct reader *reader, struct caller caller, struct ask *ask)
{
    if (ask->kind == ASK_GENERATIONS)
        return list_sessions(reader, ask);
    if (ask->type == WIRE_SESSIONS)
        return answer_sessions(reader, caller, ask);
    if (ask->type == WIRE_LAST)
        return answer_last(reader, caller, ask);
    if (ask->type == WIRE_INFO)
        return answer_info(reader, caller, ask);
    return answer_fetch(reader, caller, ask);
}

/* An ask of a subscription's is not a request's: it is answered by a delivery, or not at all. */
static void finish_subscription(struct reader *reader, struct ask *ask)
{
    if (ask->err == SPN_OK)
        ask->err = journal_reader_begin(reader->journal);
    subscriptions_answer(reader->subscriptions, ask);
    journal_reader_end(reader->journal);
    ask_free(ask);
}

/* A peer that is gone meanwhile is met as a new one, and found to be gone when it is sent to. */
static void finish_ask(struct reader *reader, struct ask *ask)
{
    struct caller caller = {.peer = outbox_meet(reader->outbox, &ask->peer, NULL),
                            .request = ask->request};
    reader->asked--;
    reader->opening -= ask->kind == ASK_OPEN ? 1 : 0;
    spn_err err = caller.peer ? ask->err : SPN_E_NOMEM;
    if (err == SPN_OK && (ask->kind == ASK_OPEN || ask->kind == ASK_STATE)) {
        answer_state(reader, caller, ask);
    } else if (err == SPN_OK) {
        err = journal_reader_begin(reader->journal);
        if (err == SPN_OK)
            err = answer_from_disk(reader, caller, ask);
        journal_reader_end(reader->journal);
    }
    if (err == SPN_E_CORRUPT)
        note_damage(reader);
    if (err != SPN_OK && caller.peer)
        send_words(reader, caller, err, ask->detail);
    ask_free(ask);
}

/* -- for the broker ---------------------------------------------------------------------------- */

static void take_hydrate(struct reader *reader, struct ask *ask)
{
    struct ask_session *session = &ask->sessions[0];
    ask->err = journal_reader_begin(reader->journal);
    if (ask->err == SPN_OK)
        ask->err = timeline_hydrate(reader->journal, &session->view, session->name,
                                    reader->options.window_max, reader->options.secret,
                                    &session->epoch, &ask->tracker);
    journal_reader_end(reader->journal);
    handoff_push(reader->options.asks, &ask->node);
}

/* -- the loop ---------------------------------------------------------------------------------- */

static void take_answers(struct reader *reader)
{
    struct handoff_node *node = handoff_take(reader->options.answers);
    while (node) {
        struct handoff_node *next = node->next;
        struct ask *ask = (struct ask *)node;
        if (ask->kind == ASK_HYDRATE)
            take_hydrate(reader, ask);
        else if (ask->type == WIRE_SUBSCRIBE)
            finish_subscription(reader, ask);
        else
            finish_ask(reader, ask);
        node = next;
    }
}

/* True: there was a message. */
static bool receive_one(struct reader *reader)
{
    struct peer peer;
    zmq_msg_t frame;
    size_t frames;
    if (!router_receive(&reader->router, &peer, &frame, &frames))
        return false;
    struct outbox_peer *from = outbox_meet(reader->outbox, &peer, &frame);
    size_t unanswered = reader->unanswered;
    if (from && frames == 1)
        take_request(reader, from, &frame);
    else if (from)
        send_error(reader, (struct caller){.peer = from}, SPN_E_PROTOCOL);
    if (from && reader->unanswered == unanswered &&
        !outbox_has_room(reader->outbox, from, ANSWER_MIN))
        reader->unanswered++;
    zmq_msg_close(&frame);
    return true;
}

static long sooner_ms(long a_ms, long b_ms)
{
    return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

static long give_back(struct reader *reader, bool happened)
{
    uint64_t now_ns = reader->options.clock->monotonic_ns();
    uint64_t due_ns = slack_tick(&reader->slack, now_ns, happened);
    return due_ns == UINT64_MAX ? -1 : (long)((due_ns - now_ns) / 1000000) + 1;
}

/* Returns in how many ms to call again; -1: never. What was packed goes out before. */
static long tick(struct reader *reader, bool happened)
{
    long wait_ms = sooner_ms(subscriptions_tick(reader->subscriptions), fetch_tick(&reader->fetch));
    wait_ms = sooner_ms(wait_ms, listing_tick(&reader->listing));
    outbox_flush(reader->outbox);
    return sooner_ms(sooner_ms(wait_ms, outbox_tick(reader->outbox)), give_back(reader, happened));
}

/* ZeroMQ goes on reading from whoever asks on and on and reads nothing, as long as what it asked is
 * taken from ZeroMQ. */
static bool pauses(struct reader *reader)
{
    if (reader->unanswered < UNANSWERED_MAX)
        return false;
    uint64_t now_ns = reader->options.clock->monotonic_ns();
    if (reader->pause_ns == 0)
        reader->pause_ns = now_ns + PAUSE_MS * UINT64_C(1000000);
    if (now_ns < reader->pause_ns)
        return true;
    reader->unanswered = 0;
    reader->pause_ns = 0;
    return false;
}

/* Some of what is there. */
static void receive(struct reader *reader)
{
    for (int i = 0; i < RECEIVE_PER_TURN; i++)
        if (reader->asked >= ASKED_MAX || reader->unanswered >= UNANSWERED_MAX ||
            !receive_one(reader))
            return;
}

static void *run(void *argument)
{
    struct reader *reader = argument;
    (void)prctl(PR_SET_NAME, "spn-reader");
    long wait_ms = -1;
    bool more = false;
    while (!atomic_load(&reader->stop)) {
        zmq_pollitem_t items[] = {
            {.fd = reader->options.answers->event_fd, .events = ZMQ_POLLIN},
            {.socket = &reader->router, .events = ZMQ_POLLIN},
        };
        bool ahead = fetch_wants(&reader->fetch);
        bool paused = pauses(reader);
        bool listens = reader->asked < ASKED_MAX && !paused;
        if (paused)
            wait_ms = sooner_ms(wait_ms, PAUSE_MS);
        int ready = zmq_poll(items, listens ? 2 : 1, ahead || more ? 0 : wait_ms);
        if (ready == 0 && ahead && !more)
            fetch_ahead(&reader->fetch);
        take_answers(reader);
        endpoint_bind_wanted(reader->options.endpoint);
        receive(reader);
        more = subscriptions_scan(reader->subscriptions);
        wait_ms = tick(reader, ready > 0);
    }
    return NULL;
}

static spn_err send_message(void *router, const struct peer *peer, zmq_msg_t *message)
{
    return router_send_message(router, peer, message);
}

static spn_err new_outbox(struct reader *reader)
{
    return outbox_new(&reader->outbox,
                      &(struct outbox_options){.send = send_message,
                                               .socket = &reader->router,
                                               .clock = reader->options.clock,
                                               .metrics = reader->options.metrics,
                                               .stalled_uid = reader->options.stalled_uid});
}

static spn_err new_subscriptions(struct reader *reader)
{
    return subscriptions_new(&reader->subscriptions,
                             &(struct subscriptions_options){.outbox = reader->outbox,
                                                             .journal = reader->journal,
                                                             .commits = reader->options.commits,
                                                             .asks = reader->options.asks,
                                                             .clock = reader->options.clock,
                                                             .metrics = reader->options.metrics,
                                                             .secret = reader->options.secret,
                                                             .slice = &reader->slice});
}

spn_err reader_start(struct reader **ret_reader, const struct reader_options *options)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return SPN_E_NOMEM;
    reader->options = *options;
    reader->started_ns = options->clock->monotonic_ns();
    spn_err err = journal_reader_open(&reader->journal, options->journal);
    listing_init(&reader->listing, options->clock);
    fetch_init(&reader->fetch, &(struct fetch_options){.journal = reader->journal,
                                                       .clock = options->clock,
                                                       .metrics = options->metrics,
                                                       .secret = options->secret,
                                                       .slice = &reader->slice});
    if (err == SPN_OK)
        err = router_init(&reader->router, options->socket);
    if (err == SPN_OK)
        err = new_outbox(reader);
    if (err == SPN_OK)
        err = new_subscriptions(reader);
    if (err == SPN_OK && pthread_create(&reader->thread, NULL, run, reader) != 0)
        err = SPN_E_SYSTEM;
    if (err != SPN_OK) {
        subscriptions_free(reader->subscriptions);
        outbox_free(reader->outbox);
        journal_reader_close(reader->journal);
        free(reader);
        return err;
    }
    *ret_reader = reader;
    return SPN_OK;
}

void reader_stop(struct reader *reader)
{
    if (!reader)
        return;
    atomic_store(&reader->stop, true);
    handoff_nudge(reader->options.answers);
    pthread_join(reader->thread, NULL);
    fetch_release(&reader->fetch);
    listing_release(&reader->listing);
    subscriptions_free(reader->subscriptions);
    outbox_free(reader->outbox);
    journal_reader_close(reader->journal);
    free(reader);
}
