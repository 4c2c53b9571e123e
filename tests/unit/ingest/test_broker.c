/* SPDX-License-Identifier: Apache-2.0 */
/* test_broker: the broker's loop, stepped by one thread in a world that is made here.
 *
 * poll() is where the world goes on: producers send, and go back when they do not get on; ZeroMQ is
 * full; frames are lost with their connections; the worker commits, the reader brings sessions back
 * from disk, memory runs out. All of it by a seed. Beside it stand plain lists: each number of each
 * producer is stored once and in order, nothing is acknowledged that is not on disk, and in the end
 * everything is stored and acknowledged. Others publish one-shots into the same sessions, and
 * repeat them when they get no answer: each is stored once, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/sender.h"
#include "ingest/broker.h"
#include "mail/load.h"
#include "mail/one_shot.h"
#include "net/connections.h"
#include "net/router.h"

#define MS UINT64_C(1000000)

enum {
    SEEDS = 1000,
    STEPS = 400,          /* of the world, before everything is to come to rest ... */
    STEPS_TO_REST = 3000, /* ... within so many */
    PRODUCERS = 3,
    SHOOTERS = 2, /* of one-shots; their peers come after those of producers */
    SESSIONS = 6,
    WINDOW = 24, /* numbers that a producer has in flight */
    BATCH_MAX = 4,
    FRAMES_MAX = 64,
    FIRST_POSITION = 1001,
    GO_BACK_STEPS = 40, /* without an answer */
};

/* -- a seeded world ---------------------------------------------------------------------------- */

struct client {
    uint64_t published; /* numbers that it means to send */
    uint64_t sent;
    uint64_t acked;
    uint32_t round;
    int quiet; /* steps since it heard something */
};

/* One one-shot at a time. */
struct shooter {
    uint64_t number; /* that waits for its answer, or had it */
    uint64_t answered;
    uint64_t request;
    uint8_t level;
    int quiet; /* steps since it was sent */
};

static struct client clients[PRODUCERS];
static struct shooter shooters[SHOOTERS];
static uint64_t stored[PRODUCERS + SHOOTERS]; /* by the log: all numbers up to here */
static uint64_t random_state;

/* Lives that are told apart. */
static spn_err fake_random(void *bytes, size_t size)
{
    static uint64_t drawn;
    uint8_t *at = bytes;
    memset(at, 0, size);
    for (size_t i = 0; i + sizeof(drawn) <= size; i += sizeof(drawn)) {
        drawn++;
        memcpy(at + i, &drawn, sizeof(drawn));
    }
    return SPN_OK;
}
static uint64_t now_ns;
static int steps;
static bool at_rest; /* nothing bad happens any more */
static bool loses;   /* frames get lost: else nobody has to send anything twice */
static bool is_full;
static unsigned no_memory; /* calls of load_new that fail */

static struct frame {
    size_t producer;
    zmq_msg_t message;
} frames[FRAMES_MAX];
static size_t frame_count;

static struct mailbox to_broker, to_worker, to_reader;
static struct message *at_worker; /* in order */
static struct message **at_worker_end;
static struct message *at_reader;
static bool mail_due;
static struct message stop;
static bool stop_sent;

static struct commit_state commits;
static struct metrics metrics;
static uint64_t next_position;

/* How often what was to be survived happened. */
static struct {
    size_t full, lost, went_back, holes, no_memory, loaded, reader_failed;
    size_t shots, repeats, errors;
} hazards;

static uint64_t roll(uint64_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % sides;
}

static uint64_t fake_ns(void)
{
    return now_ns;
}

static uint64_t fake_wall_ms(void)
{
    return 1767225600000u + now_ns / MS;
}

static const struct clock fake_clock = {
    .monotonic_ns = fake_ns, .boot_ns = fake_ns, .wall_ms = fake_wall_ms};

static const char *name_of(uint64_t i)
{
    static char names[SESSIONS][8];
    snprintf(names[i % SESSIONS], sizeof(names[0]), "s%d", (int)(i % SESSIONS));
    return names[i % SESSIONS];
}

static struct spn_bytes text(const char *string)
{
    return (struct spn_bytes){string, strlen(string)};
}

/* -- producers --------------------------------------------------------------------------------- */

static void put_number(struct wire_out *out, size_t producer, uint64_t number)
{
    char id[32];
    snprintf(id, sizeof(id), "%zu %llu", producer, (unsigned long long)number);
    struct wire_entry entry = {.kind = WIRE_EVENT,
                               .session = text(name_of(number * 7 + producer)),
                               .id = text(id),
                               .data = text("x"),
                               .retry_ms = WIRE_RETRY_NONE};
    wire_put_entry(out, &entry);
}

static void send_batch(size_t producer)
{
    struct client *client = &clients[producer];
    uint64_t left = client->acked + WINDOW - client->sent;
    uint32_t count = (uint32_t)(1 + roll(BATCH_MAX));
    uint8_t bytes[1024];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    if (frame_count == FRAMES_MAX || left < count)
        return;
    wire_put_header(&out, WIRE_BATCH, 0);
    wire_put_batch(&out, &(struct wire_batch){.token = 1 + producer,
                                              .first = client->sent + 1,
                                              .base = client->acked + 1,
                                              .round = client->round,
                                              .count = count,
                                              .level = WIRE_DURABLE});
    for (uint32_t i = 0; i < count; i++)
        put_number(&out, producer, client->sent + 1 + i);
    assert_false(out.bad);
    struct frame *frame = &frames[frame_count++];
    frame->producer = producer;
    zmq_msg_init_size(&frame->message, wire_out_size(&out));
    memcpy(zmq_msg_data(&frame->message), bytes, wire_out_size(&out));
    client->sent += count;
    if (client->sent > client->published)
        client->published = client->sent;
}

/* -- one-shots --------------------------------------------------------------------------------- */

static void send_shot(size_t index)
{
    struct shooter *shooter = &shooters[index];
    uint8_t bytes[256];
    char id[32];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    if (frame_count == FRAMES_MAX)
        return;
    snprintf(id, sizeof(id), "%zu %llu", PRODUCERS + index, (unsigned long long)shooter->number);
    wire_put_header(&out, WIRE_PUBLISH, ++shooter->request);
    wire_put_publish(
        &out, &(struct wire_publish){.level = shooter->level,
                                     .entry = {.kind = WIRE_EVENT,
                                               .session = text(name_of(shooter->number + index)),
                                               .id = text(id),
                                               .data = text("x"),
                                               .retry_ms = WIRE_RETRY_NONE}});
    assert_false(out.bad);
    struct frame *frame = &frames[frame_count++];
    frame->producer = PRODUCERS + index;
    zmq_msg_init_size(&frame->message, wire_out_size(&out));
    memcpy(zmq_msg_data(&frame->message), bytes, wire_out_size(&out));
    shooter->quiet = 0;
}

static void shooter_turn(size_t index)
{
    struct shooter *shooter = &shooters[index];
    if (shooter->answered < shooter->number) {
        if (++shooter->quiet > GO_BACK_STEPS / 4)
            send_shot(index);
    } else if (!at_rest) {
        shooter->number++;
        shooter->level = roll(2) == 0 ? WIRE_ACCEPTED : WIRE_DURABLE;
        send_shot(index);
        hazards.shots++;
    }
}

static void take_published(size_t index, struct wire_in *in)
{
    struct shooter *shooter = &shooters[index];
    struct wire_published published;
    wire_get_published(in, &published);
    assert_true(wire_in_done(in));
    char id[32] = {0};
    assert_true(published.id.size < sizeof(id));
    memcpy(id, published.id.data, published.id.size);
    if (strtoull(strchr(id, ' '), NULL, 10) != shooter->number)
        return; /* an answer to what was sent twice before */
    bool repeat = published.result == WIRE_DUPLICATE;
    assert_true(repeat || published.result == WIRE_STORED);
    if (repeat || shooter->level == WIRE_DURABLE)
        assert_true(stored[PRODUCERS + index] >= shooter->number);
    shooter->answered = shooter->number;
    hazards.repeats += repeat;
}

static void deliver_to_shooter(size_t index, uint8_t type, struct wire_in *in)
{
    struct wire_error error;
    if (type == WIRE_PUBLISHED) {
        take_published(index, in);
        return;
    }
    assert_int_equal(type, WIRE_ERROR);
    wire_get_error(in, &error);
    assert_true(error.code == SPN_E_NOMEM || error.code == SPN_E_BACKPRESSURE);
    hazards.errors++;
}

/* -- answers to producers ---------------------------------------------------------------------- */

static void go_back(struct client *client, uint64_t sent)
{
    client->sent = sent;
    client->round++;
    client->quiet = 0;
}

static void take_ack(struct client *client, size_t producer, struct wire_in *in)
{
    struct wire_ack ack;
    wire_get_ack(in, &ack);
    for (uint32_t i = 0; i < ack.run_count; i++) {
        struct wire_run run;
        wire_get_run(in, &run);
        fail_msg("a number was not stored");
    }
    assert_true(wire_in_done(in));
    assert_true(ack.up_to <= stored[producer]);
    if (ack.up_to > client->acked)
        client->acked = ack.up_to;
    if (client->sent < client->acked)
        client->sent = client->acked;
}

static void take_expect(struct client *client, struct wire_in *in)
{
    struct wire_expect expect;
    wire_get_expect(in, &expect);
    assert_true(wire_in_done(in));
    assert_true(loses);
    hazards.holes++;
    if (expect.round == client->round && expect.number <= client->sent)
        go_back(client, expect.number - 1);
}

static void deliver(const struct peer *peer, const void *bytes, size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    struct wire_header header;
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    if (peer->bytes[0] >= PRODUCERS) {
        deliver_to_shooter((size_t)peer->bytes[0] - PRODUCERS, header.type, &in);
        return;
    }
    struct client *client = &clients[peer->bytes[0]];
    client->quiet = 0;
    if (header.type == WIRE_ACK)
        take_ack(client, peer->bytes[0], &in);
    else if (header.type == WIRE_EXPECT)
        take_expect(client, &in);
    else
        fail_msg("a message of type %d", header.type);
}

static void lose_frame(void)
{
    size_t at = roll(frame_count);
    zmq_msg_close(&frames[at].message);
    memmove(&frames[at], &frames[at + 1], (frame_count - at - 1) * sizeof(frames[0]));
    frame_count--;
    hazards.lost++;
}

/* -- the worker -------------------------------------------------------------------------------- */

/* The id says which number it is: the next one of its producer. */
static void store_event(const struct batch *batch, const struct batch_entry *entry)
{
    char id[32] = {0};
    char *end;
    const uint8_t *frame = zmq_msg_data((zmq_msg_t *)(uintptr_t)&batch->frame);
    assert_true(entry->id_size < sizeof(id));
    memcpy(id, frame + entry->offset, entry->id_size);
    size_t producer = strtoul(id, &end, 10);
    uint64_t number = strtoull(end, NULL, 10);
    assert_true(producer < PRODUCERS + SHOOTERS);
    assert_int_equal(number, stored[producer] + 1);
    stored[producer] = number;
}

static void commit_batch(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->entry_count; i++)
        if (record_is_stored(batch->entries[i].kind))
            store_event(batch, &batch->entries[i]);
    if (batch->entry_count > 0) {
        assert_int_equal(batch->first_position, next_position);
        next_position += batch->entry_count;
    }
    if (batch->producer)
        assert_int_equal(batch->record.number, stored[batch->producer->token - 1]);
}

static void take_all(struct mailbox *from, struct message ***end)
{
    struct message *node = mailbox_take(from);
    **end = node;
    for (; node; node = node->next)
        *end = &node->next;
}

static void give_back(struct message *node)
{
    mailbox_put(&to_broker, node);
    mail_due = true;
}

static void work_on(size_t count)
{
    take_all(&to_worker, &at_worker_end);
    for (; count > 0 && at_worker; count--) {
        struct message *node = at_worker;
        at_worker = node->next;
        if (!at_worker)
            at_worker_end = &at_worker;
        if (node->kind == MESSAGE_BATCH)
            commit_batch((struct batch *)node);
        atomic_store(&commits.durable, next_position - 1);
        give_back(node);
    }
}

/* -- the reader -------------------------------------------------------------------------------- */

/* All sessions are known from disk, and have no event there. */
static void bring_back(struct load *load)
{
    assert_int_equal(load->message.kind, MESSAGE_LOAD);
    if (!at_rest && roll(4) == 0) {
        load->err = SPN_E_NOMEM;
        hazards.reader_failed++;
    } else {
        load->epoch = 1 + (uint64_t)(((const char *)load->name.data)[1] - '0');
        load->tracker = tracker_new(load->name, TRACKER_WINDOW_DEFAULT);
        assert_non_null(load->tracker);
        load->tracker->epoch = load->epoch;
        hazards.loaded++;
    }
    give_back(&load->message);
}

static void read_on(void)
{
    struct message *node = mailbox_take(&to_reader);
    while (node) {
        struct message *next = node->next;
        node->next = at_reader;
        at_reader = node;
        node = next;
    }
    if (!at_reader)
        return;
    node = at_reader;
    at_reader = node->next;
    if (node->kind == MESSAGE_ONE_SHOT) /* it has found the id */
        give_back(node);
    else
        bring_back((struct load *)node);
}

/* -- time goes on ------------------------------------------------------------------------------ */

static bool is_done(void)
{
    for (size_t i = 0; i < PRODUCERS; i++)
        if (clients[i].acked < clients[i].published)
            return false;
    for (size_t i = 0; i < SHOOTERS; i++)
        if (shooters[i].answered < shooters[i].number || stored[PRODUCERS + i] < shooters[i].number)
            return false;
    return true;
}

static void harm(void)
{
    is_full = roll(3) == 0;
    if (loses && roll(6) == 0 && frame_count > 0)
        lose_frame();
    if (roll(10) == 0)
        no_memory = (unsigned)roll(3);
}

static void producer_turn(size_t producer)
{
    struct client *client = &clients[producer];
    if (loses && ++client->quiet > GO_BACK_STEPS && client->acked < client->sent) {
        go_back(client, client->acked);
        hazards.went_back++;
    }
    if (!at_rest || client->sent < client->published)
        send_batch(producer);
}

static void step(void)
{
    steps++;
    at_rest = steps > STEPS;
    if (steps > STEPS + STEPS_TO_REST)
        fail_msg("it does not come to rest");
    now_ns += roll(4) * MS;
    if (at_rest) {
        is_full = false;
        no_memory = 0;
    } else {
        harm();
    }
    for (uint64_t turns = roll(4); turns > 0; turns--)
        producer_turn(roll(PRODUCERS));
    shooter_turn(roll(SHOOTERS));
    if (roll(2) == 0)
        work_on(1 + roll(6));
    if (roll(2) == 0)
        read_on();
    if (at_rest && is_done() && !at_worker && frame_count == 0 && !stop_sent) {
        stop.kind = MESSAGE_STOP;
        give_back(&stop);
        stop_sent = true;
    }
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

/* signals, mail, ingest.sock where that is read */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int ready = 0;
    (void)timeout_ms;
    step();
    for (nfds_t i = 0; i < count; i++) {
        bool due = (i == 1 && mail_due) || (i == 2 && frame_count > 0);
        fds[i].revents = due ? POLLIN : 0;
        ready += due;
    }
    mail_due = false;
    return ready;
}

/* -- what is faked ----------------------------------------------------------------------------- */

spn_err __wrap_router_init(struct router *router, void *socket);
bool __wrap_router_has_message(struct router *router);
bool __wrap_router_receive(struct router *router, struct peer *ret_peer, zmq_msg_t *ret_frame,
                           size_t *ret_frames);
spn_err __wrap_router_send_address(struct router *router, const struct peer *peer);
spn_err __wrap_router_send_body(struct router *router, const void *bytes, size_t size);
spn_err __wrap_router_send(struct router *router, const struct peer *peer, const void *bytes,
                           size_t size);
uint64_t __wrap_watch_due_ns(const struct watch *watch);
spn_err __wrap_watch_look(struct watch *watch, uint64_t at_ns);
struct load *__real_load_new(struct spn_bytes name);
struct load *__wrap_load_new(struct spn_bytes name);

spn_err __wrap_router_init(struct router *router, void *socket)
{
    *router = (struct router){.socket = socket, .fd = -1};
    return SPN_OK;
}

bool __wrap_router_has_message(struct router *router)
{
    router->due = frame_count > 0;
    return router->due;
}

bool __wrap_router_receive(struct router *router, struct peer *ret_peer, zmq_msg_t *ret_frame,
                           size_t *ret_frames)
{
    router->due = frame_count > 0;
    if (frame_count == 0)
        return false;
    *ret_peer = (struct peer){.size = 1, .bytes = {(uint8_t)frames[0].producer}};
    zmq_msg_init(ret_frame);
    zmq_msg_move(ret_frame, &frames[0].message);
    zmq_msg_close(&frames[0].message);
    memmove(frames, frames + 1, --frame_count * sizeof(frames[0]));
    *ret_frames = 1;
    return true;
}

static struct peer addressed;

spn_err __wrap_router_send_address(struct router *router, const struct peer *peer)
{
    (void)router;
    addressed = *peer;
    hazards.full += is_full;
    return is_full ? SPN_E_BACKPRESSURE : SPN_OK;
}

spn_err __wrap_router_send_body(struct router *router, const void *bytes, size_t size)
{
    (void)router;
    deliver(&addressed, bytes, size);
    return SPN_OK;
}

spn_err __wrap_router_send(struct router *router, const struct peer *peer, const void *bytes,
                           size_t size)
{
    spn_err err = __wrap_router_send_address(router, peer);
    return err == SPN_OK ? __wrap_router_send_body(router, bytes, size) : err;
}

uint64_t __wrap_watch_due_ns(const struct watch *watch)
{
    (void)watch;
    return UINT64_MAX;
}

spn_err __wrap_watch_look(struct watch *watch, uint64_t at_ns)
{
    (void)watch;
    (void)at_ns;
    return SPN_OK;
}

struct load *__wrap_load_new(struct spn_bytes name)
{
    if (no_memory > 0) {
        no_memory--;
        hazards.no_memory++;
        return NULL;
    }
    return __real_load_new(name);
}

/* -- a run ------------------------------------------------------------------------------------- */

static void begin_world(uint64_t seed)
{
    random_state = seed * 0x9E3779B97F4A7C15u + 1;
    memset(clients, 0, sizeof(clients));
    memset(shooters, 0, sizeof(shooters));
    memset(stored, 0, sizeof(stored));
    memset(&commits, 0, sizeof(commits));
    memset(&metrics, 0, sizeof(metrics));
    now_ns = 1000 * MS;
    steps = 0;
    loses = seed % 2 == 0;
    at_rest = is_full = mail_due = stop_sent = false;
    no_memory = 0;
    next_position = FIRST_POSITION;
    atomic_store(&commits.durable, FIRST_POSITION - 1);
    at_worker = at_reader = NULL;
    at_worker_end = &at_worker;
    assert_int_equal(mailbox_init(&to_broker), SPN_OK);
    assert_int_equal(mailbox_init(&to_worker), SPN_OK);
    assert_int_equal(mailbox_init(&to_reader), SPN_OK);
}

static void begin_state(struct broker_state *state)
{
    *state = (struct broker_state){.active = generation_new(1), .next_position = FIRST_POSITION};
    assert_non_null(state->active);
    assert_int_equal(producers_init(&state->producers, sizeof(struct sender), sender_is_idle),
                     SPN_OK);
    assert_int_equal(sessions_init(&state->sessions, 3, TRACKER_WINDOW_DEFAULT), SPN_OK);
    for (size_t i = 0; i < PRODUCERS; i++) {
        uint8_t id[WIRE_PRODUCER_ID_SIZE] = {(uint8_t)i};
        struct producer *producer;
        const struct producer_owner owner = {.kept = true};
        assert_int_equal(producers_add(&state->producers, id, &owner, &producer), SPN_OK);
        assert_int_equal(producers_give(&state->producers, producer, 1 + i), SPN_OK);
        producer->written = producer->on_disk = true;
    }
    for (uint64_t i = 0; i < SESSIONS; i++) {
        uint32_t slot;
        uint64_t hash = sessions_hash(&state->sessions, text(name_of(i)));
        assert_int_equal(sessions_know(&state->sessions, hash, 1 + i, &slot), SPN_OK);
    }
}

/* A generation may be on its way to the worker when everything is stored. */
static void end_world(struct broker_state *state)
{
    take_all(&to_worker, &at_worker_end);
    while (at_worker) {
        struct message *next = at_worker->next;
        if (at_worker->kind == MESSAGE_BATCH) { /* of a one-shot that came twice */
            assert_int_equal(((struct batch *)at_worker)->entry_count, 0);
            batch_free((struct batch *)at_worker);
        } else {
            assert_int_equal(at_worker->kind, MESSAGE_GENERATION);
            generation_drop((struct generation *)at_worker);
        }
        at_worker = next;
    }
    while (at_reader) {
        struct message *next = at_reader->next;
        mailbox_put(&to_reader, at_reader);
        at_reader = next;
    }
    generation_drop(state->active);
    generation_drop(state->frozen);
    sessions_release(&state->sessions);
    producers_release(&state->producers);
    mail_drop(&to_broker);
    mail_drop(&to_worker);
    mail_drop(&to_reader);
}

static void run_seed(uint64_t seed)
{
    static const uint8_t secret[RECORD_SECRET_SIZE];
    static atomic_uint_fast64_t none[3];
    const struct connections_news news = {
        .refused_count = &none[0], .cut_count = &none[1], .stalled_count = &none[2]};
    struct broker_state state;
    enum broker_end end;
    struct broker_left left;
    begin_world(seed);
    begin_state(&state);
    const struct broker_options options = {
        .signal_fd = -1,
        .commits = &commits,
        .connections = &news,
        .mailbox = &to_broker,
        .worker = &to_worker,
        .reader = &to_reader,
        .clock = &fake_clock,
        .metrics = &metrics,
        .random = fake_random,
        .secret = secret,
        .database = (const uint8_t *)"the database id ",
        .data_max = 1024,
        .queue_events_max = 32,
        .queue_bytes_max = 1 << 16,
        .row_interval_ns = 20 * MS,
        .generation_bytes_max = 1 << 20,
        .producers_max = 100,
        .hot_max = 1000,
    };
    assert_int_equal(broker_run(&options, &state, &end, &left), SPN_OK);
    assert_int_equal(end, BROKER_DRAINED);
    for (size_t i = 0; i < PRODUCERS; i++) {
        assert_int_equal(stored[i], clients[i].published);
        assert_int_equal(clients[i].acked, clients[i].published);
    }
    for (size_t i = 0; i < SHOOTERS; i++)
        assert_int_equal(stored[PRODUCERS + i], shooters[i].number);
    end_world(&state);
}

static void every_number_is_stored_once_and_acknowledged(void **state)
{
    (void)state;
    memset(&hazards, 0, sizeof(hazards));
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
    print_message("%d seeds: %zu full pipes, %zu frames lost, %zu holes answered, %zu times back, "
                  "%zu sessions loaded, memory ran out %zu and %zu times\n",
                  SEEDS, hazards.full, hazards.lost, hazards.holes, hazards.went_back,
                  hazards.loaded, hazards.no_memory, hazards.reader_failed);
    assert_true(hazards.full > SEEDS && hazards.lost > SEEDS && hazards.holes > SEEDS);
    print_message("%zu one-shots, %zu answered as repeats, %zu errors\n", hazards.shots,
                  hazards.repeats, hazards.errors);
    assert_true(hazards.shots > SEEDS && hazards.repeats > 20 && hazards.errors > 0);
    assert_true(hazards.went_back > 0);
    assert_true(hazards.loaded >= SEEDS && hazards.no_memory > 0 && hazards.reader_failed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_stored_once_and_acknowledged),
    };
    return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
