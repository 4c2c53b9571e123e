/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/broker.h"

#include <assert.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/kill_point.h"
#include "ingest/broker_base.h"
#include "mail/welcome.h"
#include "net/peer_uid.h"

enum {
    FRAMES_PER_TURN = 64,    /* at most, ... */
    NUMBERS_PER_TURN = 2048, /* ... about; then it is the turn of acknowledgements and mail */
    SHARED_BYTES = 8192,     /* bytes that ZeroMQ reads at a time */
    STUCK_MS = 1000, /* a database at its quota goes in and out of trouble with each segment */
};

/* -- the queue's marks ------------------------------------------------------------------------- */

static uint64_t queue_bytes(const struct broker *broker)
{
    return broker->queue_bytes + broker->parking.bytes;
}

/* Above the high-water mark nothing is taken until the queue is down to half of it. */
static bool below_mark(struct broker *broker)
{
    const struct broker_options *options = broker->options;
    if (broker->queue_events >= options->queue_events_max ||
        queue_bytes(broker) >= options->queue_bytes_max) {
        if (!broker->above_mark)
            metrics_add(&options->metrics->queue_high_water, 1);
        broker->above_mark = true;
    } else if (broker->queue_events <= options->queue_events_max / 2 &&
               queue_bytes(broker) <= options->queue_bytes_max / 2) {
        broker->above_mark = false;
    }
    return !broker->above_mark;
}

/* New batches would queue at the worker, and the batches that free room would queue after them. */
static bool is_quota_full(const struct broker *broker)
{
    return atomic_load_explicit(&broker->options->commits->trouble, memory_order_relaxed) ==
           SPN_E_QUOTA_FULL;
}

static bool is_troubled(const struct broker *broker)
{
    return atomic_load_explicit(&broker->options->commits->trouble, memory_order_relaxed) != SPN_OK;
}

/* Above the mark, or while no generation has room, the socket is not read: that passes soon, and
 * what its peers send waits in ZeroMQ. Trouble with the database may not pass soon, and a stop does
 * not pass at all. Then requests are answered all the same, and batches are dropped: their
 * producers send them again. Those of level none do not, so some of their batches wait here, and
 * then in ZeroMQ. */
static enum broker_takes takes(struct broker *broker)
{
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    bool room = below_mark(broker) && freezing_has_room(&broker->freezing);
    if (broker->stopping)
        return TAKES_REQUESTS;
    if (room && !is_quota_full(broker)) {
        broker->stuck_ns = 0;
        return TAKES_ALL;
    }
    if (broker->stuck_ns == 0)
        broker->stuck_ns = now_ns + STUCK_MS * 1000000ull;
    bool stuck = now_ns >= broker->stuck_ns && is_troubled(broker);
    return stuck && !parking_is_full(&broker->parking) ? TAKES_REQUESTS : TAKES_NOTHING;
}

/* -- receiving --------------------------------------------------------------------------------- */

/* A message of ingest.sock, after its header. */
struct request {
    const struct peer *peer;
    uint64_t number;
    uint8_t type;
    uint32_t uid; /* of the process that sent it; known for OPEN and PUBLISH */
    struct wire_in in;
    zmq_msg_t *frame;
};

static spn_err answer_hello(struct broker *broker, const struct request *request)
{
    const struct broker_options *options = broker->options;
    struct welcome welcome = {
        .instance = options->instance,
        .data_max = options->data_max,
        .frame_max = options->frame_max,
        .window_max = broker->state->sessions.window_max,
        .database = options->database,
        .commits = options->commits,
    };
    uint8_t bytes[WELCOME_SIZE_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_in in = request->in;
    uint64_t features;
    wire_get_hello(&in, &features);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    welcome_put(&out, request->number, &welcome);
    answers_send(&broker->answers, request->peer, &out);
    return SPN_OK;
}

static spn_err take_batch(struct broker *broker, const struct request *request)
{
    spn_err err = intake_decode(&broker->intake, request->in);
    if (err == SPN_OK)
        batches_take(broker, request->peer, request->frame, request->number);
    return err;
}

static spn_err dispatch(struct broker *broker, const struct request *request)
{
    switch (request->type) {
    case WIRE_HELLO:
        return answer_hello(broker, request);
    case WIRE_BATCH:
        return take_batch(broker, request);
    case WIRE_OPEN:
        return holders_open(broker, request->peer, request->number, request->uid, request->in);
    case WIRE_STATE:
        return holders_state(broker, request->peer, request->number, request->in);
    case WIRE_PUBLISH:
        return one_shots_take(broker, &(struct one_shot_request){request->peer, request->number,
                                                                 request->uid, request->in,
                                                                 request->frame});
    case WIRE_LEAVE:
        return holders_leave(broker, request->in);
    default:
        return wire_sockets(request->type) != 0 ? SPN_E_DENIED : SPN_E_PROTOCOL;
    }
}

static void take_frame(struct broker *broker, struct request *request)
{
    struct wire_header header = {0};
    spn_err err = wire_get_header(&request->in, &header);
    request->number = header.request;
    request->type = header.type;
    if (err == SPN_OK)
        err = dispatch(broker, request);
    if (err == SPN_OK)
        return;
    char words[WIRE_FAULT_SIZE];
    const char *detail = err == SPN_E_DENIED ? wire_denial(request->type) : NULL;
    if (err == SPN_E_PROTOCOL)
        detail =
            wire_fault_words(zmq_msg_data(request->frame), zmq_msg_size(request->frame), words);
    metrics_add(&broker->options->metrics->bad_frames, 1);
    answers_error(&broker->answers, request->peer, request->number, 0, err, detail);
}

/* ZeroMQ's message knows where it came from, its copy does not. */
static uint32_t uid_of(zmq_msg_t *frame)
{
    struct wire_in in = wire_in(zmq_msg_data(frame), zmq_msg_size(frame));
    struct wire_header header;
    bool wanted = wire_get_header(&in, &header) == SPN_OK &&
                  (header.type == WIRE_OPEN || header.type == WIRE_PUBLISH);
    return wanted ? peer_uid(frame) : PEER_NO_UID;
}

/* ZeroMQ gives out small frames inside the buffer that it read them into. A waiting frame keeps the
 * whole buffer, which has 18 KB: a batch of one event took 6.6 KB where 420 bytes were counted. */
static void leave_buffer(zmq_msg_t *frame)
{
    zmq_msg_t copy;
    size_t size = zmq_msg_size(frame);
    if (size > SHARED_BYTES || zmq_msg_init_size(&copy, size) != 0)
        return;
    memcpy(zmq_msg_data(&copy), zmq_msg_data(frame), size);
    zmq_msg_move(frame, &copy);
}

static void receive_one(struct broker *broker)
{
    struct peer peer;
    zmq_msg_t frame;
    size_t frames;
    if (!router_receive(&broker->router, &peer, &frame, &frames))
        return;
    if (frames == 1) {
        struct request request = {.peer = &peer, .uid = uid_of(&frame), .frame = &frame};
        leave_buffer(&frame);
        request.in = wire_in(zmq_msg_data(&frame), zmq_msg_size(&frame));
        take_frame(broker, &request);
    } else {
        metrics_add(&broker->options->metrics->bad_frames, 1);
        answers_error(&broker->answers, &peer, 0, 0, SPN_E_PROTOCOL, "a message is one frame");
    }
    zmq_msg_close(&frame);
}

static void receive(struct broker *broker)
{
    uint64_t numbers_max = broker->queue_events + NUMBERS_PER_TURN;
    for (int i = 0; i < FRAMES_PER_TURN && broker->queue_events < numbers_max && broker->router.due;
         i++) {
        broker->takes = takes(broker);
        if (broker->takes == TAKES_NOTHING)
            return;
        receive_one(broker);
    }
}

/* -- ends -------------------------------------------------------------------------------------- */

static void end_with(struct broker *broker, enum broker_end end)
{
    broker->ended = true;
    broker->end = end;
}

static void fail(struct broker *broker, spn_err err)
{
    end_with(broker, BROKER_FAILED);
    atomic_store(&broker->options->commits->fatal, (unsigned)err);
    mailbox_nudge(broker->options->worker); /* the worker looks at it when it wakes */
}

/* -- mail ------------------------------------------------------------------------------------- */

static void settle_endings(struct broker *broker)
{
    endings_settle(&broker->intake.endings, atomic_load(&broker->options->commits->durable));
}

static void answer_session(struct broker *broker, struct session_question *question)
{
    struct views views = broker_views(broker);
    settle_endings(broker);
    views_sessions(&views, &broker->intake.endings, question);
    mailbox_put(broker->options->reader, &question->message);
}

static void answer_generations(struct broker *broker, struct generations_question *question)
{
    struct views views = broker_views(broker);
    views_generations(&views, question);
    mailbox_put(broker->options->reader, &question->message);
}

static void finish_numbers(struct broker *broker, struct producer *producer,
                           const struct batch *batch)
{
    sender_of(producer)->queued--;
    sender_of(producer)->queued_bytes -= batch->bytes;
    if (sender_of(producer)->parking.first && sender_of(producer)->parking.loading == 0 &&
        !batches_must_wait(broker, producer))
        parking_set_ready(&broker->parking, producer);
    producer->durable = batch->record.number;
    metrics_add(&broker->options->metrics->events_durable, batch->number_count);
    if (producer->acked < producer->durable)
        acks_add(&broker->acks, producer);
    producer->on_disk = true;
    if (batch->opened)
        holders_opened(broker, batch->opened, producer);
}

static void finish_batch(struct broker *broker, struct batch *batch)
{
    struct producer *producer = batch->producer;
    broker->queue_events -= batch->number_count;
    broker->queue_bytes -= batch->bytes;
    if (producer)
        finish_numbers(broker, producer, batch);
    if (batch->one)
        one_shots_durable(broker, batch);
    batch_free(batch);
}

/* The names and rows of expired sessions go with the segment that has their ends: freeze it as soon
 * as possible. */
static void expire_early(struct broker *broker, const struct batch *batch)
{
    metrics_add(&broker->options->metrics->sessions_expired_early, batch->entry_count);
    freezing_hurry(&broker->freezing);
}

/* If there is no room now, the next walk finds these sessions again. */
static void expire(struct broker *broker, struct idle_sessions *idle)
{
    if (!broker->stopping && freezing_has_room(&broker->freezing)) {
        struct batch *batch = intake_expire(&broker->intake, broker->freezing.frozen, idle);
        if (batch && idle->early)
            expire_early(broker, batch);
        if (batch)
            batches_hand_over(broker, batch);
    }
    free(idle);
}

/* When the next session ends by itself, as a time of the monotonic clock. Without room the next
 * turns try again, and not at once. */
static uint64_t spans_wait_ns(const struct broker *broker, uint64_t now_ns)
{
    uint64_t due_ns = spans_due_ns(&broker->state->spans);
    if (due_ns == UINT64_MAX || broker->stopping)
        return UINT64_MAX;
    uint64_t database_ns = clock_database_ns(broker->options->clock);
    uint64_t at_ns = now_ns + (due_ns > database_ns ? due_ns - database_ns : 0);
    return at_ns > broker->spans_again_ns ? at_ns : broker->spans_again_ns;
}

static void end_due_sessions(struct broker *broker)
{
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    if (spans_wait_ns(broker, now_ns) > now_ns)
        return;
    if (!below_mark(broker) || !freezing_has_room(&broker->freezing)) {
        broker->spans_again_ns = now_ns + INTAKE_RETRY_NS;
        return;
    }
    struct batch *batch = intake_end_due(&broker->intake);
    if (batch)
        batches_hand_over(broker, batch);
}

/* If the database cannot be read, only a restart can judge. */
static void take_loaded(struct broker *broker, struct load *load)
{
    struct one_shot *one;
    spn_err err = loading_end(broker, load, &one);
    if (one)
        one_shots_loaded(broker, one);
    if (err != SPN_OK)
        fail(broker, err);
}

static void take_message(struct broker *broker, struct message *message)
{
    switch ((enum message_kind)message->kind) {
    case MESSAGE_BATCH:
        finish_batch(broker, (struct batch *)message);
        break;
    case MESSAGE_GENERATION:
        assert((struct generation *)message == broker->freezing.frozen);
        freezing_written(&broker->freezing);
        break;
    case MESSAGE_STOP:
        end_with(broker, BROKER_DRAINED);
        break;
    case MESSAGE_IDLE:
        expire(broker, (struct idle_sessions *)message);
        break;
    case MESSAGE_SESSION:
    case MESSAGE_SUBSCRIPTION:
        answer_session(broker, (struct session_question *)message);
        break;
    case MESSAGE_GENERATIONS:
        answer_generations(broker, (struct generations_question *)message);
        break;
    case MESSAGE_HOLDER:
        holders_answer(broker, (struct holder_question *)message);
        break;
    case MESSAGE_ONE_SHOT:
        one_shots_found(broker, (struct one_shot *)message);
        break;
    case MESSAGE_LOAD:
        take_loaded(broker, (struct load *)message);
        break;
    case MESSAGE_SETTINGS: /* the worker frees them */
        break;
    }
}

static void take_mail(struct broker *broker)
{
    struct message *message = mailbox_take(broker->options->mailbox);
    while (message) {
        struct message *next = message->next;
        take_message(broker, message);
        message = next;
    }
    settle_endings(broker);
    if (atomic_load(&broker->options->commits->fatal) != SPN_OK)
        end_with(broker, BROKER_FAILED);
}

/* What was made of the options at the start. */
static void follow_options(struct broker *broker)
{
    const struct broker_options *options = broker->options;
    parking_limit(&broker->parking, options->queue_bytes_max);
    publishing_limit(&broker->publishing, options->queue_bytes_max);
    broker->intake.data_max = options->data_max;
    broker->state->spans.default_ttl_ns = options->session_ttl_ns;
}

static void reload(struct broker *broker)
{
    if (!broker->options->reload || broker->stopping) {
        report_hangup(broker->options->notify);
        return;
    }
    notify_reloading(broker->options->notify);
    broker->options->reload(broker->options->reload_context);
    follow_options(broker);
    holders_follow_options(broker);
    notify_ready(broker->options->notify);
}

static void take_signals(struct broker *broker)
{
    struct signalfd_siginfo info;
    while (read(broker->options->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        KILL_POINT("broker_signal");
        if (info.ssi_signo == SIGHUP) {
            reload(broker);
            continue;
        }
        if (broker->stopping) {
            end_with(broker, BROKER_KILLED);
            continue;
        }
        report_stopping(broker->options->notify, broker->options->stop_timeout_ns,
                        broker->queue_events);
        broker->stopping = true;
        atomic_store(&broker->options->commits->draining, true);
        broker->stop_by_ns =
            broker->options->clock->monotonic_ns() + broker->options->stop_timeout_ns;
    }
}

/* First no more input, then the open generation, then the order to stop: the worker does them in
 * order. */
static void stop_on(struct broker *broker)
{
    if (!broker->stopping)
        return;
    if (!broker->stop_handed &&
        (!freezing_is_touched(&broker->freezing) || freezing_freeze(&broker->freezing))) {
        broker->state->stop.kind = MESSAGE_STOP;
        message_chain_add(&broker->handed_over, &broker->state->stop);
        broker->stop_handed = true;
    }
    if (!broker->ended && broker->options->clock->monotonic_ns() >= broker->stop_by_ns)
        end_with(broker, BROKER_LEFT);
}

static uint64_t parked_due_ns(const struct broker *broker)
{
    return broker->stopping ? UINT64_MAX : parking_due_ns(&broker->parking);
}

/* When requests are answered again although nothing else is taken. */
static uint64_t stuck_due_ns(const struct broker *broker)
{
    return broker->takes == TAKES_NOTHING && is_troubled(broker) &&
                   !parking_is_full(&broker->parking)
               ? broker->stuck_ns
               : UINT64_MAX;
}

static int wait_ms(const struct broker *broker)
{
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    const uint64_t due[] = {
        report_due_ns(&broker->report),
        notify_due_ns(broker->options->notify),
        watch_due_ns(broker->options->watch),
        acks_due_ns(&broker->acks),
        broker->slack_due_ns,
        parked_due_ns(broker),
        freezing_due_ns(&broker->freezing),
        holders_due_ns(broker),
        answers_due_ns(&broker->answers),
        stuck_due_ns(broker),
        spans_wait_ns(broker, now_ns),
        broker->stopping ? broker->stop_by_ns : UINT64_MAX,
    };
    uint64_t due_ns = UINT64_MAX;
    if (freezing_has_idle(&broker->freezing))
        return 0;
    for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++)
        due_ns = due[i] < due_ns ? due[i] : due_ns;
    if (due_ns == UINT64_MAX)
        return -1;
    uint64_t left_ms = due_ns > now_ns ? (due_ns - now_ns) / 1000000u + 1 : 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

/* zmq_poll would query the socket twice each time, and each query is several system calls. */
static void wait_for_events(struct broker *broker)
{
    enum { SIGNAL, MAIL, INGEST };
    struct pollfd fds[] = {
        [SIGNAL] = {.fd = broker->options->signal_fd, .events = POLLIN},
        [MAIL] = {.fd = broker->options->mailbox->event_fd, .events = POLLIN},
        [INGEST] = {.fd = broker->router.fd, .events = POLLIN},
    };
    broker->takes = takes(broker);
    bool reads = broker->takes != TAKES_NOTHING;
    int timeout_ms = reads && router_has_message(&broker->router) ? 0 : wait_ms(broker);
    int ready = poll(fds, reads ? INGEST + 1 : INGEST, timeout_ms);
    broker->slack_due_ns = slack_tick(&broker->slack, broker->options->clock->monotonic_ns(),
                                      ready > 0 || timeout_ms == 0);
    if (ready <= 0)
        return; /* a failure only makes the loop turn once more */
    if (fds[SIGNAL].revents != 0)
        take_signals(broker);
    if (fds[MAIL].revents != 0)
        take_mail(broker);
    if (reads && fds[INGEST].revents != 0)
        broker->router.due = true;
}

static void look_around(struct broker *broker)
{
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    report_trouble(&broker->report, broker->options->commits, broker->queue_events, now_ns);
    report_damage(&broker->report, metrics_get(&broker->options->metrics->damaged_reads), now_ns);
    report_connections(&broker->report, broker->options->connections, now_ns);
    report_counts(&broker->debug, broker->options->metrics, broker->options->connections, now_ns);
    report_service(&broker->report,
                   &(struct report_service){broker->options->notify, broker->options->pulses,
                                            broker->options->pulse_count, broker->options->metrics},
                   now_ns);
    if (!broker->ended && watch_look(broker->options->watch, now_ns) != SPN_OK)
        end_with(broker, BROKER_LOST);
}

static void publish_gauges(struct broker *broker)
{
    struct metrics *metrics = broker->options->metrics;
    const struct sessions *sessions = &broker->state->sessions;
    metrics_set(&metrics->queue_events, broker->queue_events);
    metrics_set(&metrics->queue_bytes, queue_bytes(broker));
    metrics_set(&metrics->queue_events_max, broker->options->queue_events_max);
    metrics_set(&metrics->queue_bytes_max, broker->options->queue_bytes_max);
    metrics_set(&metrics->queue_above_mark, !below_mark(broker));
    metrics_set(&metrics->sessions_known, sessions_known(sessions));
    metrics_set(&metrics->sessions_hot, sessions->hot);
    metrics_set(&metrics->tracker_bytes, sessions->tracker_bytes);
    metrics_set(&metrics->producers, broker->state->producers.count);
    metrics_set(&metrics->producers_max, broker->options->producers_max);
}

static void send_acks(struct broker *broker)
{
    acks_send(&broker->acks, broker->options->clock->monotonic_ns());
}

static spn_err init(struct broker *broker, const struct broker_options *options,
                    struct broker_state *state)
{
    *broker = (struct broker){.options = options, .state = state, .slack_due_ns = UINT64_MAX};
    parking_init(&broker->parking, &broker->share, options->queue_bytes_max);
    spn_err err = intake_init(&broker->intake, options, state);
    if (err == SPN_OK)
        err = router_init(&broker->router, options->ingest);
    if (err != SPN_OK)
        return err;
    acks_init(&broker->acks, &broker->router, options->commits, options->metrics);
    answers_init(&broker->answers, &broker->router, options->clock);
    holders_init(broker);
    follow_options(broker);
    state->spans.started_ns = clock_database_ns(options->clock);
    freezing_init(&broker->freezing, options, state, &broker->handed_over);
    return SPN_OK;
}

static void release(struct broker *broker)
{
    struct producers *producers = &broker->state->producers;
    for (uint32_t i = 0; i < producers->count; i++)
        parking_drop_all(&broker->parking, producers->slots[i]);
    answers_release(&broker->answers);
    intake_release(&broker->intake);
}

spn_err broker_run(const struct broker_options *options, struct broker_state *state,
                   enum broker_end *ret_end, struct broker_left *ret_left)
{
    struct broker broker;
    spn_err err = init(&broker, options, state);
    if (err != SPN_OK) {
        release(&broker);
        return err;
    }
    while (!broker.ended) {
        publish_gauges(&broker);
        wait_for_events(&broker);
        send_acks(&broker);
        answers_retry(&broker.answers);
        batches_take_up(&broker);
        batches_go_on(&broker);
        receive(&broker);
        freezing_freeze_if_due(&broker.freezing);
        freezing_evict(&broker.freezing, broker.parking.bytes > 0);
        end_due_sessions(&broker);
        holders_forget_unused(&broker);
        holders_forget_left(&broker);
        stop_on(&broker);
        mailbox_put_chain(options->worker, &broker.handed_over);
        send_acks(&broker);
        look_around(&broker);
    }
    *ret_end = broker.end;
    ret_left->numbers = broker.queue_events;
    release(&broker);
    return SPN_OK;
}
