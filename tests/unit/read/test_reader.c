/* SPDX-License-Identifier: Apache-2.0 */
/* test_reader: the reader's loop, with every request that there is, and a socket that is full.
 *
 * The loop runs in this thread: its wait is the place where a request arrives, the broker answers,
 * and time passes. Each request is answered once without a hazard; that is what it is compared with
 * when the n-th message to be sent, and some after it, find ZeroMQ full, or when the n-th answer
 * finds no room. What found none is dropped and counted, and answered when the request comes again;
 * a subscription's deliveries come by themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log_rig.h"
#include "mail/load.h"
#include "mail/question.h"
#include "net/endpoint.h"
#include "net/router.h"
#include "read/reader_base.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MS UINT64_C(1000000)

enum {
    MAIN = 0, /* has events, in a segment and in the active generation */
    NEW = 1,  /* only in the active generation */
    SESSIONS = 3,
    EVENTS = 40,
    WINDOW = 16,
    TURNS_MAX = 400,
    QUIET_TURNS = 12, /* after which nothing more will happen */
    TURN_MS = 10,
    HEARD_MAX = 64 * 1024,
    NTH_MAX = 4,
    TIMES_MAX = 3,
    REQUEST = 7,
    SUBSCRIPTION = 5,
};

/* -- the requests ------------------------------------------------------------------------------ */

static struct rig rig;

static void put_hello(struct wire_out *out)
{
    wire_put_hello(out, 0);
}

static void put_nothing(struct wire_out *out)
{
    (void)out;
}

static void put_open(struct wire_out *out)
{
    wire_put_open(out, &(struct wire_open){.producer = {1}, .base = 1});
}

static void put_state(struct wire_out *out)
{
    wire_put_ask(out, &(struct wire_ask){.token = 9, .base = 1});
}

static void put_last(struct wire_out *out)
{
    wire_put_last(out, rig_name(&rig, MAIN));
}

static void put_last_of_none(struct wire_out *out)
{
    wire_put_last(out, rig_text("nobody's"));
}

static void put_info(struct wire_out *out)
{
    wire_put_info(out, rig_name(&rig, NEW));
}

static void put_fetch(struct wire_out *out)
{
    wire_put_fetch(out, &(struct wire_fetch){.start = WIRE_EARLIEST,
                                             .bytes_max = 1 << 16,
                                             .session = rig_name(&rig, MAIN)});
}

static void put_sessions(struct wire_out *out)
{
    wire_put_sessions(out, &(struct wire_sessions){.count_max = 50});
}

static void put_start(struct wire_out *out, struct spn_bytes session, uint8_t otherwise)
{
    wire_put_subscribe(out, &(struct wire_subscribe){.subscription = SUBSCRIPTION,
                                                     .incarnation = 1,
                                                     .start = WIRE_EARLIEST,
                                                     .otherwise = otherwise,
                                                     .credit = 1 << 20,
                                                     .session = session});
}

static void put_subscribe(struct wire_out *out)
{
    put_start(out, rig_name(&rig, MAIN), 0);
}

static void put_subscribe_to_none(struct wire_out *out)
{
    put_start(out, rig_text("nobody's"), 0);
}

static void put_subscribe_and_wait(struct wire_out *out)
{
    put_start(out, rig_text("nobody's"), WIRE_WAIT);
}

static void put_unknown_credit(struct wire_out *out)
{
    wire_put_grants(out, 1);
    wire_put_grant(
        out, &(struct wire_grant){.subscription = SUBSCRIPTION, .incarnation = 1, .credit = 100});
}

static void put_unknown_unsubscribe(struct wire_out *out)
{
    wire_put_grant(out, &(struct wire_grant){.subscription = SUBSCRIPTION, .incarnation = 1});
}

static const struct row {
    const char *name;
    uint8_t type;
    void (*put)(struct wire_out *out);
    uint8_t answer;
    bool varies;     /* the answer has the time, or counters */
    bool by_itself;  /* what finds no room comes later, unasked */
    bool alive;      /* ALIVE follows the answer */
    spn_err refusal; /* of the broker, to a producer */
    size_t frames;   /* 0: one, as it should be */
} rows[] = {
    {.name = "hello", .type = WIRE_HELLO, .put = put_hello, .answer = WIRE_WELCOME},
    {.name = "health",
     .type = WIRE_HEALTH,
     .put = put_nothing,
     .answer = WIRE_HEALTH_IS,
     .varies = true},
    {.name = "stats",
     .type = WIRE_STATS,
     .put = put_nothing,
     .answer = WIRE_STATS_ARE,
     .varies = true},
    {.name = "open, which belongs to ingest.sock",
     .type = WIRE_OPEN,
     .put = put_open,
     .answer = WIRE_ERROR},
    {.name = "state", .type = WIRE_STATE, .put = put_state, .answer = WIRE_STATE_IS},
    {.name = "state, refused",
     .type = WIRE_STATE,
     .put = put_state,
     .answer = WIRE_ERROR,
     .refusal = SPN_E_STALE_TOKEN},
    {.name = "last", .type = WIRE_LAST, .put = put_last, .answer = WIRE_LAST_IS},
    {.name = "last of no session",
     .type = WIRE_LAST,
     .put = put_last_of_none,
     .answer = WIRE_ERROR},
    {.name = "info", .type = WIRE_INFO, .put = put_info, .answer = WIRE_INFO_IS},
    {.name = "fetch", .type = WIRE_FETCH, .put = put_fetch, .answer = WIRE_SLICE},
    {.name = "sessions", .type = WIRE_SESSIONS, .put = put_sessions, .answer = WIRE_SESSIONS_ARE},
    {.name = "subscribe",
     .type = WIRE_SUBSCRIBE,
     .put = put_subscribe,
     .answer = WIRE_DELIVER,
     .by_itself = true},
    {.name = "subscribe to no session",
     .type = WIRE_SUBSCRIBE,
     .put = put_subscribe_to_none,
     .answer = WIRE_DELIVER,
     .by_itself = true},
    {.name = "subscribe to no session, and wait",
     .type = WIRE_SUBSCRIBE,
     .put = put_subscribe_and_wait,
     .answer = WIRE_DELIVER,
     .by_itself = true},
    {.name = "credit for no subscription",
     .type = WIRE_CREDIT,
     .put = put_unknown_credit,
     .answer = WIRE_DELIVER,
     .alive = true},
    {.name = "unsubscribe no subscription",
     .type = WIRE_UNSUBSCRIBE,
     .put = put_unknown_unsubscribe,
     .answer = WIRE_DELIVER},
    {.name = "a type that is none", .type = 200, .put = put_nothing, .answer = WIRE_ERROR},
    {.name = "two frames",
     .type = WIRE_HELLO,
     .put = put_nothing,
     .answer = WIRE_ERROR,
     .frames = 2},
};

/* -- what happens ------------------------------------------------------------------------------ */

static struct mailbox to_reader, to_broker;
static struct commit_state commits;
static struct metrics metrics;
static struct reader *reader;
static void *(*loop)(void *);
static uint64_t now_ns;
static const struct row *row;
static unsigned waiting; /* requests that have not arrived yet */
static unsigned turns, quiet;

static unsigned sends, full_from, full_until; /* messages to ZeroMQ, counted from 1 */
static unsigned places, no_room_at, no_room;  /* the outbox's, the same */
static char heard[HEARD_MAX];
static size_t heard_size;

static uint64_t fake_ns(void)
{
    return now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_ns, .boot_ns = fake_ns};

static void __attribute__((format(printf, 1, 2))) hear(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(heard + heard_size, sizeof(heard) - heard_size, format, arguments);
    va_end(arguments);
    assert_true(size > 0 && heard_size + (size_t)size < sizeof(heard));
    heard_size += (size_t)size;
}

/* Whatever message they came in, and in how many pieces. */
static void hear_deliveries(struct wire_in *in)
{
    uint32_t count;
    wire_get_deliveries(in, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct wire_deliver head;
        struct wire_in items;
        wire_get_deliver(in, &head, &items);
        assert_false(in->bad);
        if (head.kind != WIRE_EVENTS)
            hear("kind %u verdict %u seq %llu missing %llu\n", head.kind, head.verdict,
                 (unsigned long long)head.seq, (unsigned long long)head.missing);
        for (uint32_t j = 0; head.kind == WIRE_EVENTS && j < head.count; j++) {
            struct wire_item item;
            wire_get_item(&items, &item);
            hear("event %llu %.*s\n", (unsigned long long)item.seq, (int)item.entry.id.size,
                 (const char *)item.entry.id.data);
        }
    }
    assert_true(wire_in_done(in));
}

static void hear_message(const void *bytes, size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    struct wire_header header;
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    if (header.type == WIRE_DELIVER) {
        hear_deliveries(&in);
        return;
    }
    assert_int_equal(header.request, row->frames > 1 ? 0 : REQUEST);
    hear("type %u request %llu", header.type, (unsigned long long)header.request);
    for (const uint8_t *at = in.at; !row->varies && at < in.end; at++)
        hear(" %02x", *at);
    hear("\n");
}

/* -- the broker -------------------------------------------------------------------------------- */

static void answer_sessions(struct session_question *question)
{
    for (size_t i = 0; i < question->count; i++)
        for (uint32_t session = 0; session < SESSIONS; session++)
            if (rig.sessions[session].epoch != 0 &&
                question->sessions[i].name.size == rig_name(&rig, session).size &&
                memcmp(question->sessions[i].name.data, rig_name(&rig, session).data,
                       question->sessions[i].name.size) == 0)
                rig_view(&rig, session, &question->sessions[i].view);
    question->horizon = rig.next_position - 1;
}

static void answer_generations(struct generations_question *question)
{
    question->view.parts[1] = (struct view_part){.generation = generation_keep(rig.active),
                                                 .session_count = rig.active->session_count};
}

static void answer_holder(struct holder_question *question)
{
    question->err = row->refusal;
    question->state = (struct wire_state){.token = 9, .instance = 3, .accepted = 4, .durable = 4};
}

static bool answer_one(struct message *message)
{
    if (message->kind == MESSAGE_SESSION || message->kind == MESSAGE_SUBSCRIPTION)
        answer_sessions((struct session_question *)message);
    else if (message->kind == MESSAGE_GENERATIONS)
        answer_generations((struct generations_question *)message);
    else
        answer_holder((struct holder_question *)message);
    mailbox_put(&to_reader, message);
    return true;
}

static bool answer(void)
{
    bool any = false;
    struct message *message = mailbox_take(&to_broker);
    while (message) {
        struct message *next = message->next;
        any = answer_one(message);
        message = next;
    }
    return any;
}

/* -- what is faked ----------------------------------------------------------------------------- */

int __wrap_zmq_poll(zmq_pollitem_t *items, int count, long timeout_ms);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_join(pthread_t thread, void **ret);
spn_err __wrap_router_init(struct router *router, void *socket);
bool __wrap_router_receive(struct router *router, struct peer *ret_peer, zmq_msg_t *ret_frame,
                           size_t *ret_frames);
spn_err __wrap_router_send_message(struct router *router, const struct peer *peer,
                                   zmq_msg_t *message);
spn_err __real_outbox_put(struct outbox *outbox, struct outbox_peer *peer,
                          struct outgoing *outgoing, size_t size);
spn_err __wrap_outbox_put(struct outbox *outbox, struct outbox_peer *peer,
                          struct outgoing *outgoing, size_t size);
spn_err __real_outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes);
spn_err __wrap_outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes);
void __wrap_endpoint_bind_wanted(struct endpoint *endpoint);

int __wrap_zmq_poll(zmq_pollitem_t *items, int count, long timeout_ms)
{
    (void)timeout_ms;
    assert_true(turns++ < TURNS_MAX);
    now_ns += TURN_MS * MS;
    bool moved = answer();
    struct pollfd mail = {.fd = items[0].fd, .events = POLLIN};
    items[0].revents = poll(&mail, 1, 0) > 0 ? ZMQ_POLLIN : 0;
    if (count > 1)
        items[1].revents = waiting > 0 ? ZMQ_POLLIN : 0;
    bool ready = items[0].revents != 0 || waiting > 0;
    quiet = moved || ready ? 0 : quiet + 1;
    if (quiet > QUIET_TURNS)
        atomic_store(&reader->stop, true);
    return ready;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    (void)attributes;
    (void)argument;
    *thread = (pthread_t)1;
    loop = function;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **ret)
{
    (void)thread;
    (void)ret;
    return 0;
}

spn_err __wrap_router_init(struct router *router, void *socket)
{
    *router = (struct router){.socket = socket, .fd = -1};
    return SPN_OK;
}

bool __wrap_router_receive(struct router *router, struct peer *ret_peer, zmq_msg_t *ret_frame,
                           size_t *ret_frames)
{
    (void)router;
    if (waiting == 0)
        return false;
    waiting--;
    uint8_t bytes[512];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, row->type, REQUEST);
    row->put(&out);
    assert_false(out.bad);
    assert_int_equal(zmq_msg_init_size(ret_frame, wire_out_size(&out)), 0);
    memcpy(zmq_msg_data(ret_frame), bytes, wire_out_size(&out));
    *ret_peer = (struct peer){.size = 1, .bytes = {'p'}};
    *ret_frames = row->frames > 0 ? row->frames : 1;
    return true;
}

spn_err __wrap_router_send_message(struct router *router, const struct peer *peer,
                                   zmq_msg_t *message)
{
    (void)router;
    assert_int_equal(peer->bytes[0], 'p');
    sends++;
    if (sends >= full_from && sends < full_until)
        return SPN_E_BACKPRESSURE;
    hear_message(zmq_msg_data(message), zmq_msg_size(message));
    zmq_msg_close(message);
    return SPN_OK;
}

static bool finds_no_room(void)
{
    places++;
    no_room += places == no_room_at;
    return places == no_room_at;
}

spn_err __wrap_outbox_put(struct outbox *outbox, struct outbox_peer *peer,
                          struct outgoing *outgoing, size_t size)
{
    if (!finds_no_room())
        return __real_outbox_put(outbox, peer, outgoing, size);
    outgoing_free(outgoing);
    return SPN_E_BACKPRESSURE;
}

spn_err __wrap_outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes)
{
    return finds_no_room() ? SPN_E_BACKPRESSURE
                           : __real_outbox_deliver(outbox, peer, tag, size, ret_bytes);
}

void __wrap_endpoint_bind_wanted(struct endpoint *endpoint)
{
    (void)endpoint;
}

/* -- a run ------------------------------------------------------------------------------------- */

static void start_reader(void)
{
    static const uint8_t secret[RECORD_SECRET_SIZE];
    static const atomic_uint data_max = 1 << 16;
    static int socket;
    memset(&metrics, 0, sizeof(metrics));
    now_ns = 1000 * MS;
    sends = places = no_room = turns = quiet = 0;
    heard_size = 0;
    heard[0] = '\0';
    assert_int_equal(mailbox_init(&to_reader), SPN_OK);
    assert_int_equal(mailbox_init(&to_broker), SPN_OK);
    atomic_store(&commits.durable, rig.next_position - 1);
    struct reader_options options = {.socket = &socket,
                                     .journal = rig.journal,
                                     .commits = &commits,
                                     .mailbox = &to_reader,
                                     .broker = &to_broker,
                                     .clock = &fake_clock,
                                     .metrics = &metrics,
                                     .secret = secret,
                                     .database = (const uint8_t *)"the database id ",
                                     .instance = 3,
                                     .data_max = &data_max,
                                     .window_max = WINDOW};
    assert_int_equal(reader_start(&reader, &options), SPN_OK);
}

/* So many requests, until nothing happens any more. */
static void run_loop(unsigned requests)
{
    waiting = requests;
    quiet = turns = 0;
    atomic_store(&reader->stop, false);
    (void)loop(reader);
}

static void stop_reader(void)
{
    reader_stop(reader);
    reader = NULL;
    mailbox_release(&to_reader);
    mailbox_release(&to_broker);
    assert_int_equal(metrics_get(&metrics.unsent), 0);
}

static void each_request_whatever_is_full(void **state)
{
    static char expected[HEARD_MAX];
    row = *state;
    full_from = full_until = no_room_at = 0;
    start_reader();
    run_loop(1);
    memcpy(expected, heard, heard_size + 1);
    assert_true(heard_size > 0);
    if (row->answer != WIRE_DELIVER) {
        char begins[32];
        snprintf(begins, sizeof(begins), "type %u request ", row->answer);
        assert_memory_equal(heard, begins, strlen(begins));
    }
    unsigned sent = sends;
    unsigned placed = places;
    stop_reader();

    for (full_from = 1; full_from <= NTH_MAX && full_from <= sent; full_from++)
        for (full_until = full_from + 1; full_until <= full_from + TIMES_MAX; full_until++) {
            start_reader();
            run_loop(1);
            assert_string_equal(heard, expected);
            assert_true(sends >= sent);
            stop_reader();
        }
    full_from = full_until = 0;
    for (unsigned at = 1; at <= NTH_MAX && at <= placed; at++) {
        no_room_at = at;
        start_reader();
        run_loop(1);
        assert_int_equal(no_room, 1);
        if (!row->by_itself) {
            assert_true(heard_size < strlen(expected));
            assert_true((heard_size > 0) == (row->alive && at > 1));
            assert_int_equal(metrics_get(&metrics.answers_dropped), 1);
            heard_size = 0;
            run_loop(1);
        }
        assert_string_equal(heard, expected);
        stop_reader();
    }
}

static int setup(void **state)
{
    (void)state;
    rig_init(&rig, SESSIONS, WINDOW);
    rig_events(&rig, MAIN, EVENTS / 2);
    rig_commit(&rig);
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    rig_events(&rig, MAIN, EVENTS / 2);
    rig_events(&rig, NEW, 3);
    rig_commit(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_release(&rig);
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows)];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = each_request_whatever_is_full,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("reader", tests, COUNT(tests), setup, teardown);
}
