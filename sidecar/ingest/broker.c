/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/broker.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "err.h"
#include "ingest/intake.h"
#include "net/peer_uid.h"
#include "ingest/report.h"
#include "base/slack.h"

enum {
    FRAMES_PER_TURN = 64,    /* at most, and ... */
    NUMBERS_PER_TURN = 2048, /* ... about; then acknowledgements and asks have their turn */
    OWED_RETRY_MS = 10,      /* an acknowledgement that met a full pipe is tried again */
    EVICT_SLOTS = 65536,     /* looked at per turn: 2 MB */
    PRODUCERS_PER_TURN = 1024,
    LOOK_MS_MIN = 100,
    MODEST_MS = 100,
    SHARED_PART = 1024, /* of the queue: 64 KiB, for those who flood beside one who does not */
    FLOOD_BYTES = 32768,
    PARKED_PART = 4,
    SESSIONS_LEAST = 8192, /* that a generation has room for, however few may be hot */
    SHARED_BYTES = 8192,   /* that ZeroMQ reads at a time */
    OTHERS_PART = 8,       /* of the producers: left for other users' processes */
    LEFT_PER_TURN = 64,
};

/* A frame that waits for its sessions to come back from disk, for its producer's share of the queue
 * or for room for its results, and those of its producer after it. */
struct parked {
    struct parked *next;
    zmq_msg_t frame;
    struct peer peer;
    size_t bytes; /* of it all: what it counts against the queue's mark */
};

struct broker {
    const struct broker_options *options;
    struct broker_state *state;
    struct intake intake;
    uint32_t *cold; /* scratch for intake_look_up */

    struct handoff_chain handed_over; /* in this turn: the worker gets it in one piece */

    struct generation *frozen; /* at the worker */
    uint64_t freeze_due_ns;    /* of the active one, once it has something */

    uint64_t queue_events; /* at the worker, or parked */
    uint64_t queue_bytes;
    uint64_t held_bytes; /* of them, parked by producers whose results have no room */
    bool above_mark;

    const struct producer *modest; /* the last one of those who do not flood */
    uint64_t modest_ns;
    uint32_t parked_producers; /* with frames that wait, most of them for their share */

    struct producer *due_first; /* to be told how far they are */
    struct producer **due_end;
    struct producer *owed_first; /* those that met a full pipe, until it is tried again */
    struct producer **owed_end;
    uint64_t owed_due_ns;
    struct slack slack;
    uint64_t slack_due_ns;

    int ingest_fd;   /* ZeroMQ's, which is edge-triggered */
    bool ingest_due; /* there may be a message, though the descriptor is silent */

    uint64_t look_due_ns; /* at producers that nobody uses */
    uint32_t looked_at;   /* of them, in this round */

    struct producer **waiting; /* with parked frames that may go on */
    size_t waiting_count;
    size_t waiting_room;
    size_t hydrating; /* asks at the reader */
    size_t parked;    /* frames */

    struct report report;
    struct wire_mark database; /* with the position that was durable at the start */

    bool stopping;
    bool stop_handed;
    uint64_t stop_by_ns;
    bool ended;
    enum broker_end end;
};

/* -- sending on ingest.sock -------------------------------------------------------------------- */

enum sent { SENT, SENT_FULL, SENT_GONE };

/* Whether there is room for a message is known before it is made. SENT: send_body has to follow. */
static enum sent send_address(struct broker *broker, const struct peer *peer)
{
    if (peer->size == 0)
        return SENT_GONE;
    broker->ingest_due = true; /* to send is to use up the descriptor's edge, maybe */
    if (zmq_send(broker->options->ingest, peer->bytes, peer->size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN ? SENT_FULL : SENT_GONE;
    return SENT;
}

/* The peer's pipe has room for whole messages: what began can be ended. */
static enum sent send_body(struct broker *broker, const void *bytes, size_t size)
{
    return zmq_send(broker->options->ingest, bytes, size, ZMQ_DONTWAIT) < 0 ? SENT_GONE : SENT;
}

static enum sent send_to(struct broker *broker, const struct peer *peer, const void *bytes,
                         size_t size)
{
    enum sent sent = send_address(broker, peer);
    return sent == SENT ? send_body(broker, bytes, size) : sent;
}

static void send_error(struct broker *broker, const struct peer *peer, uint64_t request,
                       uint64_t token, spn_err err, const char *detail)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 16 + 255];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_ERROR, request);
    wire_put_error(&out, &(struct wire_error){.token = token,
                                              .code = (uint32_t)err,
                                              .detail = {detail, strlen(detail)}});
    /* Lost if the peer's pipe is full: it asks again when it does not get on. */
    (void)send_to(broker, peer, bytes, wire_out_size(&out));
}

/* -- acknowledgements -------------------------------------------------------------------------- */

static void ack_due(struct broker *broker, struct producer *producer)
{
    if (producer->ack_due)
        return;
    producer->ack_due = true;
    producer->next_due = NULL;
    *broker->due_end = producer;
    broker->due_end = &producer->next_due;
}

static enum sent send_ack(struct broker *broker, struct producer *producer)
{
    static_assert(sizeof(struct wire_run) >= WIRE_RUN_SIZE,
                  "the buffer below holds the encoded runs");
    bool early = producer->level == WIRE_ACCEPTED && producer->on_disk;
    uint64_t up_to = early ? producer->accepted : producer->durable;
    if (producer->level == WIRE_NONE || up_to <= producer->acked)
        return SENT;
    enum sent sent = send_address(broker, &producer->peer);
    if (sent != SENT)
        return sent;
    static struct wire_run runs[WIRE_RUNS_MAX];
    static uint8_t bytes[WIRE_HEADER_SIZE + WIRE_ACK_HEAD_SIZE + WIRE_RUNS_MAX * WIRE_RUN_SIZE];
    size_t count = producer_runs(producer, producer->acked + 1, up_to, runs);
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_ACK, 0);
    wire_put_ack(&out,
                 &(struct wire_ack){.token = producer->token,
                                    .from = producer->acked,
                                    .up_to = up_to,
                                    .run_count = (uint32_t)count,
                                    .level = producer->level,
                                    .position = atomic_load(&broker->options->commits->durable)});
    for (size_t i = 0; i < count; i++)
        wire_put_run(&out, &runs[i]);
    assert(!out.bad);
    sent = send_body(broker, bytes, wire_out_size(&out));
    if (sent == SENT)
        producer->acked = up_to;
    return sent;
}

/* Until then nothing is tried of it: to find that a thousand pipes are full takes a while too. */
static void owe(struct broker *broker, struct producer *producer, uint64_t now_ns)
{
    metrics_add(&broker->options->metrics->acks_owed, 1);
    if (!broker->owed_first)
        broker->owed_due_ns = now_ns + OWED_RETRY_MS * 1000000ull;
    producer->ack_due = true;
    producer->next_due = NULL;
    *broker->owed_end = producer;
    broker->owed_end = &producer->next_due;
}

static void take_owed(struct broker *broker, uint64_t now_ns)
{
    if (!broker->owed_first || now_ns < broker->owed_due_ns)
        return;
    *broker->due_end = broker->owed_first;
    broker->due_end = broker->owed_end;
    broker->owed_first = NULL;
    broker->owed_end = &broker->owed_first;
}

static void send_acks(struct broker *broker)
{
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    take_owed(broker, now_ns);
    struct producer *producer = broker->due_first;
    broker->due_first = NULL;
    broker->due_end = &broker->due_first;
    while (producer) {
        struct producer *next = producer->next_due;
        producer->ack_due = false;
        if (send_ack(broker, producer) == SENT_FULL)
            owe(broker, producer, now_ns);
        producer = next;
    }
}

/* -- generations ------------------------------------------------------------------------------- */

/* Hands the active generation to the worker. False: the one before is not written yet. */
static bool freeze(struct broker *broker)
{
    struct broker_state *state = broker->state;
    if (broker->frozen)
        return false;
    struct generation *fresh = generation_new(state->active->serial + 1);
    if (!fresh)
        return false; /* tried again with the next batch */
    broker->frozen = state->active;
    broker->frozen->work.kind = WORK_GENERATION;
    handoff_chain_add(&broker->handed_over, &broker->frozen->work.node);
    state->active = fresh;
    broker->freeze_due_ns = 0;
    return true;
}

static bool is_touched(const struct generation *generation)
{
    return generation->first_position > 0 || generation->session_count > 0;
}

/* In time; and early, when the log could not be trimmed otherwise. */
static void freeze_if_due(struct broker *broker)
{
    const struct generation *active = broker->state->active;
    if (broker->frozen || active->first_position == 0)
        return;
    if (active->bytes >= broker->options->generation_bytes_max ||
        (broker->freeze_due_ns > 0 &&
         broker->options->clock->monotonic_ns() >= broker->freeze_due_ns))
        (void)freeze(broker);
}

static bool is_in(const struct generation *generation, const struct session *session, uint32_t slot)
{
    return generation && generation_find(generation, session, slot);
}

/* The index does not have all of it yet, or a parked frame needs it: a frame is taken when all its
 * sessions are in memory at once, so the first must not go while the last is on its way. What a
 * dropped frame wanted stays until no frame is parked. */
static bool is_pinned(const void *owner, uint32_t slot)
{
    const struct broker *broker = owner;
    const struct session *session = &broker->state->sessions.slots[slot];
    return (session->tracker->wanted && broker->parked > 0) ||
           is_in(broker->state->active, session, slot) || is_in(broker->frozen, session, slot);
}

/* Sessions are hot that could be let go: not more than hot_max may be, and what the generations
 * have must. */
static bool has_idle(const struct broker *broker)
{
    uint64_t pinned = broker->state->active->session_count;
    pinned += broker->frozen ? broker->frozen->session_count : 0;
    uint32_t hot = broker->state->sessions.hot;
    return hot > broker->options->hot_max && hot > pinned;
}

static void evict(struct broker *broker)
{
    struct sessions *sessions = &broker->state->sessions;
    if (!has_idle(broker))
        return;
    size_t evicted =
        sessions_evict(sessions, broker->options->hot_max, EVICT_SLOTS, is_pinned, broker);
    metrics_add(&broker->options->metrics->sessions_evicted, evicted);
}

/* The index has buried what was deleted in this generation. */
static void forget_deleted(struct broker *broker, const struct generation *written)
{
    struct sessions *sessions = &broker->state->sessions;
    for (uint32_t i = 0; i < written->session_count; i++) {
        uint32_t slot = written->sessions[i].slot;
        const struct session *session = &sessions->slots[slot];
        if (written->sessions[i].state == RECORD_DELETED &&
            session->touched[written->serial & 1] == i && session->tracker &&
            session->tracker->epoch == 0 && !is_in(broker->state->active, session, slot))
            sessions_forget(sessions, slot);
    }
}

/* -- handing over ------------------------------------------------------------------------------ */

static void hand_over(struct broker *broker, struct batch *batch)
{
    batch->alone = batch->producer && batch->producer->queued++ == 0;
    if (batch->producer) {
        batch->producer->queued_bytes += batch->bytes;
        producer_written(&broker->state->producers, batch->producer);
    }
    broker->queue_events += batch->number_count;
    broker->queue_bytes += batch->bytes;
    if (broker->freeze_due_ns == 0 && broker->state->active->first_position > 0)
        broker->freeze_due_ns =
            broker->options->clock->monotonic_ns() + broker->options->row_interval_ns;
    handoff_chain_add(&broker->handed_over, &batch->work.node);
}

/* Above the high-water mark nothing is taken until half of it is gone. */
static bool below_mark(struct broker *broker)
{
    const struct broker_options *options = broker->options;
    if (broker->queue_events >= options->queue_events_max ||
        broker->queue_bytes >= options->queue_bytes_max) {
        if (!broker->above_mark)
            metrics_add(&options->metrics->queue_high_water, 1);
        broker->above_mark = true;
    } else if (broker->queue_events <= options->queue_events_max / 2 &&
               broker->queue_bytes <= options->queue_bytes_max / 2) {
        broker->above_mark = false;
    }
    return !broker->above_mark;
}

/* Sessions in a generation stay hot until it is written: there may be no more than may be hot. */
static bool is_crowded(const struct broker *broker)
{
    uint32_t most = broker->options->hot_max;
    if (most < SESSIONS_LEAST)
        most = SESSIONS_LEAST;
    return broker->state->active->session_count >= most;
}

/* Nothing of a generation can be trimmed before it is written, and it is written when all of it is
 * in the log: one that alone is more than the quota would wait for its own room for ever. */
static bool is_large(const struct broker *broker)
{
    return broker->state->active->bytes >= broker->options->generation_bytes_max;
}

/* Room for the largest batch in the active generation, or in the next one. */
static bool has_room(struct broker *broker)
{
    bool room = generation_has_room(broker->state->active, WIRE_BATCH_EVENTS_MAX);
    return (room && !is_crowded(broker) && !is_large(broker)) || freeze(broker);
}

/* What is taken now would wait, and what is to make room would wait behind it. */
static bool is_quota_full(const struct broker *broker)
{
    return atomic_load_explicit(&broker->options->commits->trouble, memory_order_relaxed) ==
           SPN_E_QUOTA_FULL;
}

static bool can_take(struct broker *broker)
{
    return !broker->stopping && !is_quota_full(broker) && below_mark(broker) && has_room(broker);
}

static bool is_recent(uint64_t then_ns, uint64_t now_ns)
{
    return then_ns > 0 && now_ns - then_ns < MODEST_MS * 1000000ull;
}

/* Producers that flood would make one that waits for an event or two wait for commits full of
 * theirs. While such a one is heard, they divide a part of the queue among them; what they send
 * beyond waits here, and beyond a part of the queue it is left to the producer to send again. Among
 * themselves ZeroMQ hears them in turn. */
static bool has_its_share(const struct broker *broker, const struct producer *producer)
{
    if (producer->queued_bytes < FLOOD_BYTES || broker->modest == producer ||
        !is_recent(broker->modest_ns, broker->options->clock->monotonic_ns()))
        return false;
    uint64_t share = broker->options->queue_bytes_max / SHARED_PART;
    if (broker->parked_producers > 1)
        share /= broker->parked_producers;
    return producer->queued_bytes >= share;
}

static void note_heard(struct broker *broker, struct producer *producer)
{
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    if (producer->queued_bytes >= FLOOD_BYTES)
        producer->flooded_ns = now_ns;
    bool floods = is_recent(producer->flooded_ns, now_ns);
    if (floods && broker->modest != producer)
        return;
    broker->modest = producer;
    broker->modest_ns = floods ? 0 : now_ns;
}

/* -- one frame --------------------------------------------------------------------------------- */

static void answer_hole(struct broker *broker, struct producer *producer)
{
    uint32_t round = broker->intake.head.round;
    metrics_add(&broker->options->metrics->holes, 1);
    if (producer->round_answered && round <= producer->round)
        return;
    uint8_t bytes[WIRE_HEADER_SIZE + 24];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_EXPECT, 0);
    wire_put_expect(&out, &(struct wire_expect){.token = producer->token,
                                                .number = producer->accepted + 1,
                                                .round = round});
    if (send_to(broker, &producer->peer, bytes, wire_out_size(&out)) != SENT)
        return;
    producer->round_answered = true;
    producer->round = round;
}

/* A refusal answers its round, though it waits for the disk: what comes behind it in the same round
 * is no hole to be told of. */
static void note_refusal(struct producer *producer, const struct wire_refused *refused)
{
    if (!producer->round_answered || refused->round > producer->round)
        producer->round = refused->round;
    producer->round_answered = true;
}

static void count_refusal(struct metrics *metrics, spn_err why)
{
    metrics_add(why == SPN_E_CLOSED            ? &metrics->refused_closed
                : why == SPN_E_UNKNOWN_SESSION ? &metrics->refused_unknown_session
                : why == SPN_E_OTHER_EPOCH     ? &metrics->refused_other_epoch
                : why == SPN_E_CORRUPT         ? &metrics->refused_damaged
                                               : &metrics->refused_contents,
                1);
}

/* Lost if the peer's pipe is full: it asks for its state when it does not get on. */
static void answer_refusal(struct broker *broker, const struct producer *producer,
                           const struct wire_refused *refused)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 24];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    if (refused->token != producer->token)
        return;
    wire_put_header(&out, WIRE_REFUSED, 0);
    wire_put_refused(&out, refused);
    count_refusal(broker->options->metrics, (spn_err)refused->code);
    (void)send_to(broker, &producer->peer, bytes, wire_out_size(&out));
}

/* What the batch says about its sender, whether or not its events are new. */
static void note_sender(struct broker *broker, struct producer *producer, const struct peer *peer)
{
    const struct wire_batch *head = &broker->intake.head;
    producer->peer = *peer;
    producer_heard(&broker->state->producers, producer, clock_database_ns(broker->options->clock));
    producer->level = head->level;
    uint64_t lost = producer_raise_base(producer, head->base);
    metrics_add(&broker->options->metrics->lost, lost);
    if (head->first <= producer->accepted) {
        if (producer->acked > producer->base - 1)
            producer->acked = producer->base - 1;
        ack_due(broker, producer);
    }
}

/* Of a batch that is taken now: one that has to wait comes by again. */
static void count_resent(struct broker *broker, const struct producer *producer)
{
    const struct wire_batch *head = &broker->intake.head;
    if (producer->held == head->first)
        return; /* the first part of it was taken */
    uint64_t had = head->first <= producer->accepted ? producer->accepted + 1 - head->first : 0;
    metrics_add(&broker->options->metrics->resent, had < head->count ? had : head->count);
}

/* first: of the batch whose rest waits for room for its results; 0: none does. */
static void set_held(struct broker *broker, struct producer *producer, uint64_t first)
{
    if (producer->held == 0 && first != 0)
        broker->held_bytes += producer->parked_bytes;
    else if (producer->held != 0 && first == 0)
        broker->held_bytes -= producer->parked_bytes;
    producer->held = first;
}

/* What waits for its holder to take results may wait for ever: all of it together gets about as
 * much of the queue as one producer may have that waits, or a few such holders would leave nothing
 * to the others. */
static bool is_held_above(const struct broker *broker, const struct producer *producer,
                          uint64_t bytes_max)
{
    return producer->held != 0 && broker->held_bytes >= bytes_max;
}

static void park(struct broker *broker, struct producer *producer, const struct peer *peer,
                 zmq_msg_t *frame)
{
    uint64_t bytes_max = broker->options->queue_bytes_max / PARKED_PART;
    bool room = producer->parked_bytes < bytes_max && !is_held_above(broker, producer, bytes_max);
    struct parked *parked = room ? malloc(sizeof(*parked)) : NULL;
    if (!parked) { /* not taken: a hole for the client */
        if (!producer->parked_first)
            set_held(broker, producer, 0);
        return;
    }
    *parked = (struct parked){.peer = *peer, .bytes = sizeof(*parked) + zmq_msg_size(frame)};
    zmq_msg_init(&parked->frame);
    zmq_msg_move(&parked->frame, frame);
    broker->queue_bytes += parked->bytes;
    broker->held_bytes += producer->held != 0 ? parked->bytes : 0;
    producer->parked_bytes += parked->bytes;
    if (producer->parked_last) {
        producer->parked_last->next = parked;
    } else {
        producer->parked_first = parked;
        broker->parked_producers++;
    }
    producer->parked_last = parked;
    broker->parked++;
}

static void drop_first_parked(struct broker *broker, struct producer *producer)
{
    struct parked *parked = producer->parked_first;
    producer->parked_first = parked->next;
    if (!producer->parked_first) {
        producer->parked_last = NULL;
        broker->parked_producers--;
    }
    broker->queue_bytes -= parked->bytes;
    broker->held_bytes -= producer->held != 0 ? parked->bytes : 0;
    producer->parked_bytes -= parked->bytes;
    broker->parked--;
    if (!producer->parked_first)
        set_held(broker, producer, 0);
    zmq_msg_close(&parked->frame);
    free(parked);
}

static void ask_for_session(struct broker *broker, struct producer *producer, struct spn_bytes name,
                            uint64_t hash, uint32_t slot);

/* Notes of the batch's sessions that are in memory whether it waits for the others. */
static void want_sessions(struct broker *broker, bool wanted)
{
    const struct intake *intake = &broker->intake;
    for (uint32_t i = intake->begin; i < intake->end; i++) {
        uint32_t slot = intake->entries[i].kind == WIRE_SKIP ? SLOT_NONE : intake->slots[i];
        if (slot != SLOT_NONE && broker->state->sessions.slots[slot].tracker)
            broker->state->sessions.slots[slot].tracker->wanted = wanted;
    }
}

/* True: the batch has to wait for sessions to come back from disk. */
static bool hydrate(struct broker *broker, struct producer *producer)
{
    struct intake *intake = &broker->intake;
    uint32_t cold_count;
    intake_look_up(intake, producer, broker->cold, &cold_count);
    if (cold_count > 0 || producer->parked_first)
        want_sessions(broker, cold_count > 0);
    for (uint32_t i = 0; i < cold_count; i++) {
        uint32_t at = broker->cold[i];
        struct spn_bytes name = intake->entries[at].session;
        ask_for_session(broker, producer, name, sessions_hash(&broker->state->sessions, name),
                        intake->slots[at]);
    }
    return cold_count > 0;
}

/* Takes a decoded batch of this producer. True: its frame has to be parked. */
static bool take_batch(struct broker *broker, struct producer *producer, const struct peer *peer,
                       zmq_msg_t *frame)
{
    note_sender(broker, producer, peer);
    if (intake_has_hole(&broker->intake, producer)) {
        answer_hole(broker, producer);
        return false;
    }
    if (hydrate(broker, producer))
        return true;
    count_resent(broker, producer);
    struct batch *batch;
    spn_err err = intake_accept(&broker->intake, producer, frame, &batch);
    (void)err; /* what was not taken for want of memory is a hole for the client */
    if (batch && batch->refused.code != SPN_OK)
        note_refusal(producer, &batch->refused);
    if (batch)
        hand_over(broker, batch);
    if (producer->level == WIRE_ACCEPTED)
        ack_due(broker, producer);
    set_held(broker, producer, broker->intake.held ? broker->intake.head.first : 0);
    return broker->intake.held;
}

static void unpark(struct broker *broker, struct producer *producer);

/* It is forgotten by forget_left, once nothing of it is on its way. */
static spn_err take_leave(struct broker *broker, struct wire_in in)
{
    uint64_t token;
    wire_get_leave(&in, &token);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    struct producer *producer = producers_find_token(&broker->state->producers, token);
    if (producer)
        producer_leave(&broker->state->producers, producer);
    return SPN_OK;
}

static void take_frame(struct broker *broker, const struct peer *peer, zmq_msg_t *frame)
{
    struct wire_in in = wire_in(zmq_msg_data(frame), zmq_msg_size(frame));
    struct wire_header header = {0};
    spn_err err = wire_get_header(&in, &header);
    if (err == SPN_OK && header.type == WIRE_LEAVE)
        err = take_leave(broker, in);
    else if (err == SPN_OK && header.type != WIRE_BATCH)
        err = SPN_E_PROTOCOL;
    else if (err == SPN_OK)
        err = intake_decode(&broker->intake, in);
    if (err != SPN_OK) {
        metrics_add(&broker->options->metrics->bad_frames, 1);
        send_error(broker, peer, header.request, 0, err, err_text(err));
    }
    if (err != SPN_OK || header.type != WIRE_BATCH)
        return;
    metrics_add(&broker->options->metrics->batches, 1);
    uint64_t token = broker->intake.head.token;
    struct producer *producer = producers_find_token(&broker->state->producers, token);
    if (producer)
        note_heard(broker, producer);
    if (!producer || producer->stale) {
        metrics_add(&broker->options->metrics->stale_tokens, 1);
        send_error(broker, peer, header.request, token, SPN_E_STALE_TOKEN,
                   err_text(SPN_E_STALE_TOKEN));
        return;
    }
    metrics_add(&broker->options->metrics->backpressure, broker->intake.head.backpressure);
    bool waits = producer->parked_first;
    uint64_t base = broker->intake.head.base;
    if (waits || has_its_share(broker, producer) || take_batch(broker, producer, peer, frame))
        park(broker, producer, peer, frame);
    if (waits && base > producer->base) {
        producer_settle(producer, base); /* those before it may wait for just that */
        unpark(broker, producer);
    }
}

/* -- sessions that come back from disk --------------------------------------------------------- */

/* What the generations have of a life. slot: the one that they name. */
static void fill_life(struct broker *broker, const struct session *session, uint32_t slot,
                      uint64_t epoch, struct view *view)
{
    struct generation *generations[2] = {broker->frozen, broker->state->active};
    *view = (struct view){.epoch = epoch};
    for (size_t i = 0; i < 2; i++) {
        if (!generations[i])
            continue;
        const struct generation_session *touched = generation_find(generations[i], session, slot);
        if (!touched || touched->epoch != view->epoch)
            continue;
        view->duplicates += touched->duplicates;
        view->conflicts += touched->conflicts;
        if (touched->state == RECORD_CLOSED)
            view->closed_position = touched->state_position;
        if (touched->count > 0)
            view->parts[i] = (struct view_part){.generation = generation_keep(generations[i]),
                                                .first_seq = touched->first_seq,
                                                .newest = touched->newest,
                                                .mark = touched->mark,
                                                .count = touched->count};
    }
}

/* The newest life, as the broker decides by it. */
static void fill_view(struct broker *broker, uint32_t slot, struct view *view)
{
    const struct sessions *sessions = &broker->state->sessions;
    uint64_t epoch = sessions_epoch(sessions, slot);
    *view = (struct view){.epoch = 0};
    if (epoch != 0) /* else it was deleted */
        fill_life(broker, &sessions->slots[slot], slot, epoch, view);
}

/* A life whose end is not on disk, as far as the broker knows. */
static void fill_ending(struct broker *broker, const struct ending *ending, struct view *view)
{
    fill_life(broker, &ending->session, ending->slot, ending->epoch, view);
    view->ended_position = ending->position;
    if (ending->closed_position > 0)
        view->closed_position = ending->closed_position;
}

static void ask_for_session(struct broker *broker, struct producer *producer, struct spn_bytes name,
                            uint64_t hash, uint32_t slot)
{
    struct ask *ask = ask_new(ASK_HYDRATE, 1);
    if (!ask)
        abort(); /* nothing else would ever wake the parked frame */
    ask->hash = hash;
    ask->slot = slot;
    ask->waiting = producer;
    ask_name(ask, 0, name);
    fill_view(broker, slot, &ask->sessions[0].view);
    producer->hydrating++;
    broker->hydrating++;
    metrics_add(&broker->options->metrics->hydrations, 1);
    handoff_push(broker->options->answers, &ask->node);
}

static void wait_over(struct broker *broker, struct producer *producer)
{
    if (producer->waiting)
        return;
    producer->waiting = true;
    if (broker->waiting_count == broker->waiting_room) {
        size_t room = broker->waiting_room > 0 ? broker->waiting_room * 2 : 16;
        struct producer **waiting = realloc(broker->waiting, room * sizeof(struct producer *));
        if (!waiting)
            abort();
        broker->waiting = waiting;
        broker->waiting_room = room;
    }
    broker->waiting[broker->waiting_count++] = producer;
}

/* The answer: its tracker; or that the name is somebody else's (epoch 0: nobody's). */
static void warm(struct broker *broker, struct ask *ask)
{
    struct sessions *sessions = &broker->state->sessions;
    struct spn_bytes name = ask->sessions[0].name;
    uint64_t epoch = ask->sessions[0].epoch;
    uint32_t slot;
    if (sessions_find(sessions, name, ask->hash, &slot) == SESSIONS_HOT)
        return; /* another producer's frame asked for it too */
    slot = epoch != 0 ? sessions_find_epoch(sessions, ask->hash, epoch) : SLOT_NONE;
    if (slot != SLOT_NONE && ask->tracker) {
        ask->tracker->wanted = true;
        sessions_warm(sessions, slot, ask->tracker);
        ask->tracker = NULL;
    } else if (slot != SLOT_NONE) {
        ask_for_session(broker, ask->waiting, name, ask->hash, slot);
    } else if (sessions_add(sessions, name, ask->hash, &slot) != SPN_OK) {
        abort();
    }
}

static void fail(struct broker *broker, spn_err err)
{
    broker->ended = true;
    broker->end = BROKER_FAILED;
    atomic_store(&broker->options->commits->fatal, (unsigned)err);
    handoff_nudge(broker->options->queue); /* the worker looks at it when it wakes */
}

/* Where the session stands does not read: it takes nothing more until it is deleted. */
static void give_up(struct broker *broker, struct ask *ask)
{
    struct metrics *metrics = broker->options->metrics;
    if (ask->sessions[0].epoch != ask->sessions[0].view.epoch)
        return; /* its name does not read: nobody knows which session it is */
    ask->tracker = tracker_new(ask->sessions[0].name, broker->state->sessions.window_max);
    ask->err = ask->tracker ? SPN_OK : SPN_E_NOMEM;
    if (!ask->tracker)
        return;
    ask->tracker->epoch = ask->sessions[0].epoch;
    ask->tracker->damaged = true;
    metrics_add(&metrics->sessions_damaged, 1);
    metrics_count(&metrics->damaged_reads);
}

static void take_hydrated(struct broker *broker, struct ask *ask)
{
    struct producer *producer = ask->waiting;
    if (ask->err == SPN_E_CORRUPT)
        give_up(broker, ask);
    if (ask->err == SPN_OK)
        warm(broker, ask);
    else if (ask->err == SPN_E_NOMEM)
        ask_for_session(broker, producer, ask->sessions[0].name, ask->hash, ask->slot);
    broker->hydrating--;
    if (--producer->hydrating == 0)
        wait_over(broker, producer);
    if (ask->err != SPN_OK && ask->err != SPN_E_NOMEM)
        fail(broker, ask->err); /* the database does not read back: only a restart can judge */
    ask_free(ask);
}

/* Goes on with what waited, until it has to wait again: for its results only with what fits, and a
 * half more, since it was parked for another reason. */
static void unpark(struct broker *broker, struct producer *producer)
{
    uint64_t held_max = broker->options->queue_bytes_max / PARKED_PART / 2 * 3;
    while (producer->parked_first && producer->hydrating == 0 && !has_its_share(broker, producer)) {
        if (!has_room(broker)) {
            wait_over(broker, producer);
            return;
        }
        struct parked *parked = producer->parked_first;
        struct wire_in in = wire_in(zmq_msg_data(&parked->frame), zmq_msg_size(&parked->frame));
        struct wire_header header;
        spn_err err = wire_get_header(&in, &header);
        if (err == SPN_OK)
            err = intake_decode(&broker->intake, in);
        /* A frame of a holder that was fenced meanwhile is dropped. */
        bool current = err == SPN_OK && broker->intake.head.token == producer->token;
        bool waits = current && take_batch(broker, producer, &parked->peer, &parked->frame);
        if (waits && !is_held_above(broker, producer, held_max))
            return;
        drop_first_parked(broker, producer); /* taken, or a hole for the client */
    }
}

/* Not held up by the queue's mark: parked frames count against it themselves. */
static void unpark_waiting(struct broker *broker)
{
    while (broker->waiting_count > 0 && !broker->stopping && has_room(broker)) {
        struct producer *producer = broker->waiting[--broker->waiting_count];
        producer->waiting = false;
        unpark(broker, producer);
    }
}

/* -- asks of the reader ------------------------------------------------------------------------ */

static void answer(struct broker *broker, struct ask *ask, spn_err err)
{
    ask->err = err;
    handoff_push(broker->options->answers, &ask->node);
}

/* A holder that asks says in its base how many results it knows: a batch may wait for just that. */
static void settle(struct broker *broker, struct producer *producer, uint64_t base)
{
    producer_settle(producer, base);
    if (producer->held != 0 && producer->parked_first && producer->hydrating == 0)
        wait_over(broker, producer);
}

static void answer_state(struct broker *broker, struct ask *ask, const struct producer *producer)
{
    ask->runs = malloc(WIRE_RUNS_MAX * sizeof(*ask->runs));
    if (!ask->runs) {
        answer(broker, ask, SPN_E_NOMEM);
        return;
    }
    ask->state = (struct wire_state){
        .token = producer->token,
        .instance = broker->options->instance,
        .accepted = producer->accepted,
        .durable = producer->durable,
        .run_count = (uint32_t)producer_runs(producer, ask->base, producer->durable, ask->runs),
        .mark = broker->database,
    };
    ask->state.mark.position = atomic_load(&broker->options->commits->durable);
    answer(broker, ask, SPN_OK);
}

static uint64_t random_token(const struct producers *producers)
{
    uint64_t token = 0;
    while (token == 0 || producers_find_token(producers, token))
        if (getrandom(&token, sizeof(token), 0) != (ssize_t)sizeof(token))
            token = 0;
    return token;
}

/* A new holder: fenced off from the old one at once, answered when its token, and so everything
 * that was accepted before it, is on disk. An id that nothing was published under yet is not
 * written: to open it again costs nothing, and floods of them stay in memory. Whoever comes with a
 * token for an id that is not known keeps it: the answer may be lost, and then it comes with that
 * one again. */
static void give_producer(struct broker *broker, struct ask *ask, struct producer *producer)
{
    struct producers *producers = &broker->state->producers;
    bool keeps =
        producer->token == 0 && ask->token != 0 && !producers_find_token(producers, ask->token);
    if (!keeps)
        ask->token = random_token(producers);
    producer_heard(producers, producer, clock_database_ns(broker->options->clock));
    set_held(broker, producer, 0);
    spn_err err = producers_give(producers, producer, ask->token);
    if (err == SPN_OK && !producer->written) {
        answer_state(broker, ask, producer);
        return;
    }
    struct batch *batch = err == SPN_OK ? intake_record_batch(&broker->intake, producer) : NULL;
    if (!batch) {
        answer(broker, ask, SPN_E_NOMEM);
        return;
    }
    batch->opened = ask;
    producer->acked = producer->accepted; /* what came before was the earlier holder's */
    hand_over(broker, batch);
}

/* Its token is on disk. Somebody may have opened the same id since: then this one is fenced. */
static void answer_opened(struct broker *broker, struct ask *ask, const struct producer *producer)
{
    if (ask->token == producer->token)
        answer_state(broker, ask, producer);
    else
        answer(broker, ask, SPN_E_FENCED);
}

/* What follows under its id is a new producer's, and is written after this. SPN_E_NOMEM: another
 * time. */
static spn_err remove_producer(struct broker *broker, struct producer *producer)
{
    if (producer->written) {
        struct batch *batch = intake_forget_batch(&broker->intake, producer);
        if (!batch)
            return SPN_E_NOMEM;
        hand_over(broker, batch);
    }
    if (broker->modest == producer)
        broker->modest = NULL;
    while (producer->parked_first)
        drop_first_parked(broker, producer);
    producers_remove(&broker->state->producers, producer);
    return SPN_OK;
}

/* How many producers the processes of one user may have. */
static uint32_t share_max(const struct broker *broker)
{
    uint32_t most = broker->options->producers_max;
    return most - most / OTHERS_PART;
}

static spn_err refuse_producer(struct broker *broker, struct ask *ask, bool all)
{
    const struct broker_options *options = broker->options;
    metrics_add(&options->metrics->producers_refused, 1);
    report_limit(&broker->report,
                 &(struct report_limit){
                     .option = "--producers",
                     .max = options->producers_max,
                     .uid = ask->owner.uid,
                     .held = producers_of(&broker->state->producers, ask->owner.uid),
                     .refused = metrics_get(&options->metrics->producers_refused),
                     .now_ns = options->clock->monotonic_ns(),
                 });
    ask->detail = all ? "as many producers are known as --producers allows; unused ones are "
                        "forgotten after --producer-ttl"
                      : "this user's processes have as many producers as one user may: seven "
                        "eighths of --producers";
    return SPN_E_LIMIT;
}

/* At the limit one that nobody misses goes: of this user's, when it is the user's own limit. */
static spn_err make_room(struct broker *broker, struct ask *ask)
{
    struct producers *producers = &broker->state->producers;
    uint32_t uid = ask->owner.uid;
    bool all = producers->count >= broker->options->producers_max;
    if (!all && (uid == PEER_NO_UID || producers_of(producers, uid) < share_max(broker)))
        return SPN_OK;
    struct producer *gone = producers_expendable(producers, all ? UINT32_MAX : uid,
                                                 clock_database_ns(broker->options->clock));
    if (!gone)
        return refuse_producer(broker, ask, all);
    metrics_add(&broker->options->metrics->producers_evicted, 1);
    return remove_producer(broker, gone);
}

static bool is_other_database(const struct broker *broker, const struct ask *ask)
{
    return memcmp(ask->known.database, broker->database.database, sizeof(ask->known.database)) != 0;
}

/* How far the database was when the holder can have seen it last. What was added since the start
 * does not count for one that has not heard of us yet: others may have gone on where an older copy
 * ends, beyond what it has seen. */
static uint64_t seen_at_most(const struct broker *broker, const struct ask *ask)
{
    return ask->known_of == broker->options->instance
               ? atomic_load(&broker->options->commits->durable)
               : broker->database.position;
}

/* The holder has seen more of the database than there was, or another one: what it knows to be
 * durable is not. */
static bool is_ahead(const struct broker *broker, const struct ask *ask)
{
    static const struct wire_mark nothing;
    if (memcmp(&ask->known, &nothing, sizeof(nothing)) == 0)
        return false;
    return is_other_database(broker, ask) || ask->known.position > seen_at_most(broker, ask);
}

static void note_ahead(struct broker *broker, const struct ask *ask)
{
    metrics_add(&broker->options->metrics->went_back, 1);
    report_ahead(&broker->report, ask->known.position, seen_at_most(broker, ask),
                 is_other_database(broker, ask), broker->options->clock->monotonic_ns());
}

/* Whoever comes with a token was known once and was forgotten, when all it had sent was on disk:
 * nothing below its base is missing. Of one that is ahead everything is: it is told so by numbers
 * from 1 on. */
static spn_err add_producer(struct broker *broker, struct ask *ask, bool ahead,
                            struct producer **ret_producer)
{
    struct producers *producers = &broker->state->producers;
    spn_err err = make_room(broker, ask);
    if (err == SPN_OK)
        err = producers_add(producers, ask->producer_id, &ask->owner, ret_producer);
    if (err != SPN_OK || ask->token == 0 || ahead)
        return err;
    struct producer *producer = *ret_producer;
    (void)producer_raise_base(producer, ask->base);
    producer->durable = producer->acked = producer->accepted;
    return SPN_OK;
}

static void answer_open(struct broker *broker, struct ask *ask)
{
    struct producers *producers = &broker->state->producers;
    struct producer *producer = producers_find_id(producers, ask->producer_id);
    bool ahead = ask->token != 0 && is_ahead(broker, ask);
    bool again = producer && ask->token == producer->token && !producer->stale;
    if (ahead && !again) /* an OPEN that is sent twice is one holder's */
        note_ahead(broker, ask);
    if (broker->stopping) {
        answer(broker, ask, SPN_E_STOPPING);
    } else if (producer && ask->token != 0 && ask->token == producer->token) {
        producer->stale = false;
        settle(broker, producer, ask->base);
        answer_state(broker, ask, producer);
    } else if (producer && ask->token != 0 && producer->token != 0 && !ahead) {
        answer(broker, ask, SPN_E_FENCED);
    } else {
        /* The token of one that is ahead may be newer than the one that is here. */
        spn_err err = producer ? SPN_OK : add_producer(broker, ask, ahead, &producer);
        if (err == SPN_OK)
            give_producer(broker, ask, producer);
        else
            answer(broker, ask, err);
    }
}

static void answer_view(struct broker *broker, struct ask *ask)
{
    struct sessions *sessions = &broker->state->sessions;
    struct endings *endings = &broker->intake.endings;
    endings_settle(endings, atomic_load(&broker->options->commits->durable));
    for (size_t i = 0; i < ask->session_count; i++) {
        struct ask_session *session = &ask->sessions[i];
        uint64_t hash = sessions_hash(sessions, session->name);
        const struct ending *ending = endings_find(endings, session->name, hash);
        struct view *newest = &session->view;
        uint32_t slot = SLOT_NONE;
        if (ending) {
            fill_ending(broker, ending, &session->view);
            newest = &session->next;
            session->view.next = newest;
        }
        if (sessions_find(sessions, session->name, hash, &slot) != SESSIONS_HOT)
            slot = session->epoch != 0 ? sessions_find_epoch(sessions, hash, session->epoch)
                                       : SLOT_NONE;
        if (slot != SLOT_NONE)
            fill_view(broker, slot, newest);
    }
    ask->horizon = broker->state->next_position - 1;
    answer(broker, ask, SPN_OK);
}

static void answer_generations(struct broker *broker, struct ask *ask)
{
    struct generation *generations[2] = {broker->frozen, broker->state->active};
    for (size_t i = 0; i < 2; i++)
        if (generations[i])
            ask->generations.parts[i] =
                (struct view_part){.generation = generation_keep(generations[i]),
                                   .session_count = generations[i]->session_count};
    answer(broker, ask, SPN_OK);
}

static void take_ask(struct broker *broker, struct ask *ask)
{
    switch (ask->kind) {
    case ASK_VIEW:
        answer_view(broker, ask);
        break;
    case ASK_GENERATIONS:
        answer_generations(broker, ask);
        break;
    case ASK_OPEN:
        answer_open(broker, ask);
        break;
    case ASK_STATE: {
        struct producer *producer = producers_find_token(&broker->state->producers, ask->token);
        if (producer && !producer->stale) {
            producer_heard(&broker->state->producers, producer,
                           clock_database_ns(broker->options->clock));
            settle(broker, producer, ask->base);
            answer_state(broker, ask, producer);
        } else {
            answer(broker, ask, SPN_E_STALE_TOKEN);
        }
        break;
    }
    case ASK_HYDRATE:
        take_hydrated(broker, ask);
        break;
    }
}

/* -- producers that nobody uses ---------------------------------------------------------------- */

static bool is_unused(const struct producer *producer, uint64_t now_ns, uint64_t ttl_ns)
{
    return producer_is_idle(producer) && now_ns > producer->heard_ns &&
           now_ns - producer->heard_ns >= ttl_ns;
}

/* Those that have ended come first in their lists, and stay until nothing of them is on its way. */
static void forget_left_in(struct broker *broker, const struct producer_list *list)
{
    struct producer *producer = list->first;
    for (int i = 0; i < LEFT_PER_TURN && producer && producer->left; i++) {
        struct producer *next = producer->after;
        if (producer_is_idle(producer) && remove_producer(broker, producer) == SPN_OK)
            metrics_add(&broker->options->metrics->producers_left, 1);
        producer = next;
    }
}

static void forget_left(struct broker *broker)
{
    if (broker->stopping)
        return;
    forget_left_in(broker, &broker->state->producers.unwritten);
    forget_left_in(broker, &broker->state->producers.random);
}

/* A sixteenth of their time to live. */
static uint64_t look_interval_ns(const struct broker *broker)
{
    uint64_t part_ns = broker->options->producer_ttl_ns / 16;
    return part_ns > LOOK_MS_MIN * 1000000ull ? part_ns : LOOK_MS_MIN * 1000000ull;
}

/* A part of the table in each turn. */
static void forget_unused(struct broker *broker)
{
    struct producers *producers = &broker->state->producers;
    uint64_t ttl_ns = broker->options->producer_ttl_ns;
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    if (ttl_ns == 0 || broker->stopping || now_ns < broker->look_due_ns)
        return;
    uint64_t now_database_ns = clock_database_ns(broker->options->clock);
    uint32_t end = broker->looked_at + PRODUCERS_PER_TURN;
    for (; broker->looked_at < producers->count && broker->looked_at < end; broker->looked_at++) {
        struct producer *producer = producers->slots[producers->count - 1 - broker->looked_at];
        if (is_unused(producer, now_database_ns, ttl_ns) &&
            remove_producer(broker, producer) == SPN_OK)
            metrics_add(&broker->options->metrics->producers_expired, 1);
    }
    if (broker->looked_at < producers->count)
        return;
    broker->looked_at = 0;
    broker->look_due_ns = now_ns + look_interval_ns(broker);
}

/* -- the phases -------------------------------------------------------------------------------- */

static void take_asks(struct broker *broker)
{
    struct handoff_node *node = handoff_take(broker->options->asks);
    while (node) {
        struct handoff_node *next = node->next;
        take_ask(broker, (struct ask *)node);
        node = next;
    }
}

static void end_numbers(struct broker *broker, struct producer *producer, const struct batch *batch)
{
    producer->queued--;
    producer->queued_bytes -= batch->bytes;
    if (producer->parked_first && producer->hydrating == 0 && !has_its_share(broker, producer))
        wait_over(broker, producer);
    producer->durable = batch->record.number;
    metrics_add(&broker->options->metrics->events_durable, batch->number_count);
    if (producer->level == WIRE_DURABLE || !producer->on_disk)
        ack_due(broker, producer);
    producer->on_disk = true;
    if (batch->opened)
        answer_opened(broker, batch->opened, producer);
    if (batch->refused.code != SPN_OK)
        answer_refusal(broker, producer, &batch->refused);
}

static void end_batch(struct broker *broker, struct batch *batch)
{
    struct producer *producer = batch->producer;
    broker->queue_events -= batch->number_count;
    broker->queue_bytes -= batch->bytes;
    if (producer)
        end_numbers(broker, producer, batch);
    intake_free_batch(batch);
}

/* Their names and rows go with the segment that has their ends: as soon as may be. */
static void expire_early(struct broker *broker, const struct batch *batch)
{
    metrics_add(&broker->options->metrics->sessions_expired_early, batch->entry_count);
    broker->freeze_due_ns = broker->options->clock->monotonic_ns();
}

/* What finds no room now is found idle again. */
static void expire(struct broker *broker, struct idle_sessions *idle)
{
    if (!broker->stopping && has_room(broker)) {
        struct batch *batch = intake_expire(&broker->intake, broker->frozen, idle);
        if (batch && idle->early)
            expire_early(broker, batch);
        if (batch)
            hand_over(broker, batch);
    }
    free(idle);
}

static void take_back(struct broker *broker)
{
    struct handoff_node *node = handoff_take(broker->options->back);
    while (node) {
        struct handoff_node *next = node->next;
        struct work *work = (struct work *)node;
        if (work->kind == WORK_BATCH) {
            end_batch(broker, (struct batch *)work);
        } else if (work->kind == WORK_GENERATION) {
            assert((struct generation *)work == broker->frozen);
            forget_deleted(broker, broker->frozen);
            generation_drop(broker->frozen);
            broker->frozen = NULL;
        } else if (work->kind == WORK_IDLE) {
            expire(broker, (struct idle_sessions *)work);
        } else {
            broker->ended = true;
            broker->end = BROKER_DRAINED;
        }
        node = next;
    }
    endings_settle(&broker->intake.endings, atomic_load(&broker->options->commits->durable));
    if (atomic_load(&broker->options->commits->fatal) != SPN_OK) {
        broker->ended = true;
        broker->end = BROKER_FAILED;
    }
}

/* ZeroMQ hands out small frames within the buffer that it read them into, and one that waits keeps
 * the buffer, which has 18 KB: a batch of one event took 6.6 KB where 420 bytes were counted. */
static void leave_buffer(zmq_msg_t *frame)
{
    zmq_msg_t copy;
    size_t size = zmq_msg_size(frame);
    if (size > SHARED_BYTES || zmq_msg_init_size(&copy, size) != 0)
        return;
    memcpy(zmq_msg_data(&copy), zmq_msg_data(frame), size);
    zmq_msg_move(frame, &copy);
}

/* False: there is no message. */
static bool receive_one(struct broker *broker)
{
    struct peer peer;
    int size = zmq_recv(broker->options->ingest, peer.bytes, sizeof(peer.bytes), ZMQ_DONTWAIT);
    if (size < 0)
        return errno == EINTR; /* then nothing is known */
    peer.size = (uint8_t)(size <= PEER_MAX ? size : 0);
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    size_t frames = 0;
    int more = 1;
    size_t more_size = sizeof(more);
    zmq_getsockopt(broker->options->ingest, ZMQ_RCVMORE, &more, &more_size);
    while (more) {
        if (zmq_msg_recv(&frame, broker->options->ingest, 0) < 0)
            break;
        frames++;
        more = zmq_msg_more(&frame);
    }
    if (frames == 1) {
        leave_buffer(&frame);
        take_frame(broker, &peer, &frame);
    } else {
        metrics_add(&broker->options->metrics->bad_frames, 1);
        send_error(broker, &peer, 0, 0, SPN_E_PROTOCOL, "a message is one frame");
    }
    zmq_msg_close(&frame);
    return true;
}

static void receive(struct broker *broker)
{
    uint64_t numbers_max = broker->queue_events + NUMBERS_PER_TURN;
    for (int i = 0; i < FRAMES_PER_TURN && broker->queue_events < numbers_max &&
                    broker->ingest_due && can_take(broker);
         i++)
        broker->ingest_due = receive_one(broker);
}

/* Asks the socket itself, where the descriptor would not say. */
static bool has_message(struct broker *broker)
{
    int events = 0;
    size_t size = sizeof(events);
    if (broker->ingest_due &&
        zmq_getsockopt(broker->options->ingest, ZMQ_EVENTS, &events, &size) == 0)
        broker->ingest_due = (events & ZMQ_POLLIN) != 0;
    return broker->ingest_due;
}

static void take_signals(struct broker *broker)
{
    struct signalfd_siginfo info;
    while (read(broker->options->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            report_hangup();
            continue;
        }
        if (broker->stopping) {
            broker->ended = true;
            broker->end = BROKER_KILLED;
            continue;
        }
        report_stopping(broker->options->stop_timeout_ns, broker->queue_events);
        broker->stopping = true;
        atomic_store(&broker->options->commits->draining, true);
        broker->stop_by_ns =
            broker->options->clock->monotonic_ns() + broker->options->stop_timeout_ns;
    }
}

/* Stop taking, then the open generation, then the order to stop: the worker does it all in order.
 */
static void stop_on(struct broker *broker)
{
    if (!broker->stopping)
        return;
    if (!broker->stop_handed && (!is_touched(broker->state->active) || freeze(broker))) {
        broker->state->stop.kind = WORK_STOP;
        handoff_chain_add(&broker->handed_over, &broker->state->stop.node);
        broker->stop_handed = true;
    }
    if (!broker->ended && broker->options->clock->monotonic_ns() >= broker->stop_by_ns) {
        broker->ended = true;
        broker->end = BROKER_LEFT;
    }
}

static int wait_ms(const struct broker *broker)
{
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    uint64_t due_ns = report_due_ns(&broker->report);
    if (watch_due_ns(broker->options->watch) < due_ns)
        due_ns = watch_due_ns(broker->options->watch);
    if (has_idle(broker))
        return 0;
    if (broker->owed_first && broker->owed_due_ns < due_ns)
        due_ns = broker->owed_due_ns;
    if (broker->slack_due_ns < due_ns)
        due_ns = broker->slack_due_ns;
    if (broker->freeze_due_ns > 0 && !broker->frozen && broker->freeze_due_ns < due_ns)
        due_ns = broker->freeze_due_ns;
    if (broker->options->producer_ttl_ns > 0 && !broker->stopping && broker->look_due_ns < due_ns)
        due_ns = broker->look_due_ns;
    if (broker->stopping && broker->stop_by_ns < due_ns)
        due_ns = broker->stop_by_ns;
    if (due_ns == UINT64_MAX)
        return -1;
    uint64_t left_ms = due_ns > now_ns ? (due_ns - now_ns) / 1000000u + 1 : 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

/* zmq_poll would ask the socket twice each time, and each of these is several system calls. */
static void wait_for_events(struct broker *broker)
{
    enum { SIGNAL, BACK, ASKS, INGEST };
    struct pollfd fds[] = {
        [SIGNAL] = {.fd = broker->options->signal_fd, .events = POLLIN},
        [BACK] = {.fd = broker->options->back->event_fd, .events = POLLIN},
        [ASKS] = {.fd = broker->options->asks->event_fd, .events = POLLIN},
        [INGEST] = {.fd = broker->ingest_fd, .events = POLLIN},
    };
    bool takes = can_take(broker);
    int timeout_ms = takes && has_message(broker) ? 0 : wait_ms(broker);
    int ready = poll(fds, takes ? INGEST + 1 : INGEST, timeout_ms);
    broker->slack_due_ns = slack_tick(&broker->slack, broker->options->clock->monotonic_ns(),
                                      ready > 0 || timeout_ms == 0);
    if (ready <= 0)
        return; /* a failure only turns the loop once more */
    if (fds[SIGNAL].revents != 0)
        take_signals(broker);
    if (fds[BACK].revents != 0)
        take_back(broker);
    if (fds[ASKS].revents != 0)
        take_asks(broker);
    if (takes && fds[INGEST].revents != 0)
        broker->ingest_due = true;
}

static void look_around(struct broker *broker)
{
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    report_trouble(&broker->report, broker->options->commits, broker->queue_events, now_ns);
    report_damage(&broker->report, metrics_get(&broker->options->metrics->damaged_reads), now_ns);
    report_connections(&broker->report, broker->options->connections, now_ns);
    if (!broker->ended && watch_look(broker->options->watch, now_ns) != SPN_OK) {
        broker->ended = true;
        broker->end = BROKER_LOST;
    }
}

static void publish_gauges(struct broker *broker)
{
    struct metrics *metrics = broker->options->metrics;
    const struct sessions *sessions = &broker->state->sessions;
    metrics_set(&metrics->queue_events, broker->queue_events);
    metrics_set(&metrics->queue_bytes, broker->queue_bytes);
    metrics_set(&metrics->queue_events_max, broker->options->queue_events_max);
    metrics_set(&metrics->queue_bytes_max, broker->options->queue_bytes_max);
    metrics_set(&metrics->queue_above_mark, !below_mark(broker));
    metrics_set(&metrics->sessions_known, sessions_known(sessions));
    metrics_set(&metrics->sessions_hot, sessions->hot);
    metrics_set(&metrics->tracker_bytes, sessions->tracker_bytes);
    metrics_set(&metrics->producers, broker->state->producers.count);
    metrics_set(&metrics->producers_max, broker->options->producers_max);
}

static void release(struct broker *broker)
{
    struct producers *producers = &broker->state->producers;
    for (uint32_t i = 0; i < producers->count; i++)
        while (producers->slots[i]->parked_first) {
            struct parked *parked = producers->slots[i]->parked_first;
            producers->slots[i]->parked_first = parked->next;
            zmq_msg_close(&parked->frame);
            free(parked);
        }
    intake_release(&broker->intake);
    free(broker->waiting);
    free(broker->cold);
}

/* What recovery could not write for want of room, the worker tries again. */
static void take_over_frozen(struct broker *broker)
{
    broker->frozen = broker->state->frozen;
    broker->state->frozen = NULL;
    broker->frozen->work.kind = WORK_GENERATION;
    handoff_push(broker->options->queue, &broker->frozen->work.node);
}

spn_err broker_run(const struct broker_options *options, struct broker_state *state,
                   enum broker_end *ret_end, struct broker_left *ret_left)
{
    struct broker broker = {.options = options, .state = state, .ingest_due = true};
    broker.due_end = &broker.due_first;
    broker.owed_end = &broker.owed_first;
    broker.slack_due_ns = UINT64_MAX;
    record_database_id(options->secret, broker.database.database);
    broker.database.position = atomic_load(&options->commits->durable);
    broker.cold = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*broker.cold));
    size_t fd_size = sizeof(broker.ingest_fd);
    spn_err err = intake_init(&broker.intake, options, state);
    if (err == SPN_OK && !broker.cold)
        err = SPN_E_NOMEM;
    if (err == SPN_OK && zmq_getsockopt(options->ingest, ZMQ_FD, &broker.ingest_fd, &fd_size) != 0)
        err = SPN_E_SYSTEM;
    if (err != SPN_OK) {
        release(&broker);
        return err;
    }
    /* Nobody could be heard of while nothing ran: they may come back first. */
    broker.look_due_ns = options->clock->monotonic_ns() + look_interval_ns(&broker);
    if (state->frozen)
        take_over_frozen(&broker);
    if (state->active->first_position > 0)
        broker.freeze_due_ns = options->clock->monotonic_ns() + options->row_interval_ns;
    while (!broker.ended) {
        publish_gauges(&broker);
        wait_for_events(&broker);
        send_acks(&broker);
        unpark_waiting(&broker);
        receive(&broker);
        freeze_if_due(&broker);
        evict(&broker);
        forget_unused(&broker);
        forget_left(&broker);
        stop_on(&broker);
        handoff_push_chain(options->queue, &broker.handed_over);
        send_acks(&broker);
        look_around(&broker);
    }
    *ret_end = broker.end;
    ret_left->numbers = broker.queue_events;
    release(&broker);
    return SPN_OK;
}
