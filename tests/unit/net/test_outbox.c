/* SPDX-License-Identifier: Apache-2.0 */
/* test_outbox: order, packing and bounds of what peers have to get, and what becomes of one that
 * takes nothing.
 *
 * ZeroMQ is a fake that is full or not, but for the tests of a connection that is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/outbox.h"
#include "until.h"
#include "wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MS UINT64_C(1000000)

enum {
    PEERS_MAX = 300,
    PIECE = 64 * 1024,
    LARGE = OUTBOX_BYTES_MAX / OUTBOX_PEER_PART, /* more than one may hold */
    SENT_MAX = 64,
    WAIT_MS = 20000,
    DEALERS = 2,
};

static struct outbox *outbox;
static struct metrics metrics;
static uint64_t now_ns;
static spn_err answer; /* of the fake */
static struct sent {
    uint8_t first; /* byte of the routing id */
    uint8_t type;
    uint32_t count; /* of deliveries */
    size_t size;
} sent[SENT_MAX];
static size_t sent_count;

static uint64_t fake_monotonic_ns(void)
{
    return now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns};

static void note_sent(const struct peer *peer, zmq_msg_t *message)
{
    struct wire_in in = wire_in(zmq_msg_data(message), zmq_msg_size(message));
    struct wire_header header = {0};
    struct sent *one = &sent[sent_count % SENT_MAX];
    *one = (struct sent){.first = peer->bytes[0], .size = zmq_msg_size(message)};
    if (wire_get_header(&in, &header) == SPN_OK)
        one->type = header.type;
    if (header.type == WIRE_DELIVER)
        wire_get_deliveries(&in, &one->count);
    sent_count++;
}

static spn_err fake_send(void *socket, const struct peer *peer, zmq_msg_t *message)
{
    (void)socket;
    if (answer != SPN_OK)
        return answer;
    note_sent(peer, message);
    zmq_msg_close(message);
    assert_true(metrics_get(&metrics.unsent) <= OUTBOX_BYTES_MAX); /* it was charged before */
    return SPN_OK;
}

static int setup(void **state)
{
    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    answer = SPN_OK;
    sent_count = 0;
    return outbox_new(&outbox, &(struct outbox_options){.send = fake_send,
                                                        .clock = &fake_clock,
                                                        .metrics = &metrics}) == SPN_OK
               ? 0
               : -1;
}

/* Whatever happened: nothing is counted that is not there any more. */
static int teardown(void **state)
{
    (void)state;
    outbox_free(outbox);
    return metrics_get(&metrics.unsent) == 0 ? 0 : -1;
}

static struct outbox_peer *meet(uint16_t number)
{
    struct peer peer = {.size = 2, .bytes = {(uint8_t)number, (uint8_t)(number >> 8)}};
    struct outbox_peer *met = outbox_meet(outbox, &peer, NULL);
    assert_non_null(met);
    return met;
}

static spn_err put(struct outbox_peer *peer, size_t size)
{
    struct outgoing *outgoing = outgoing_resize(NULL, size);
    assert_non_null(outgoing);
    memset(outgoing->bytes, 'x', size);
    struct wire_out out = wire_out(outgoing->bytes, size);
    wire_put_header(&out, WIRE_SLICE, 1);
    return outbox_put(outbox, peer, outgoing, size);
}

static spn_err deliver(struct outbox_peer *peer, uint64_t tag, size_t size)
{
    uint8_t *bytes;
    spn_err err = outbox_deliver(outbox, peer, tag, size, &bytes);
    if (err == SPN_OK)
        memset(bytes, 'd', size);
    return err;
}

static size_t held(const struct outbox_peer *peer)
{
    return atomic_load(&peer->account->held);
}

static void later(uint64_t ms)
{
    now_ns += ms * MS;
    (void)outbox_tick(outbox);
}

/* -- order and packing ------------------------------------------------------------------------- */

static void deliveries_of_a_turn_travel_in_one_message(void **state)
{
    (void)state;
    struct outbox_peer *peer = meet(1);
    for (uint64_t tag = 1; tag <= 1000; tag++)
        assert_int_equal(deliver(peer, tag, 60), SPN_OK);
    assert_int_equal(sent_count, 0);
    outbox_flush(outbox);
    assert_int_equal(sent_count, 1);
    assert_int_equal(sent[0].count, 1000);
    assert_int_equal(sent[0].size, WIRE_HEADER_SIZE + WIRE_DELIVERIES_HEAD_SIZE + 60000);
    outbox_flush(outbox);
    assert_int_equal(sent_count, 1);
}

static void packs_are_bounded(void **state)
{
    (void)state;
    struct outbox_peer *peer = meet(1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(deliver(peer, 1, 50000), SPN_OK);
    assert_int_equal(deliver(peer, 1, 3 * OUTBOX_PACK_MAX), SPN_OK);
    outbox_flush(outbox);
    assert_int_equal(sent_count, 6);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(sent[i].count, 2);
    assert_int_equal(sent[5].count, 1);
}

static void an_answer_does_not_overtake_deliveries(void **state)
{
    (void)state;
    struct outbox_peer *peer = meet(1);
    static const bool full[] = {false, true};
    for (size_t i = 0; i < COUNT(full); i++) {
        sent_count = 0;
        answer = full[i] ? SPN_E_BACKPRESSURE : SPN_OK;
        assert_int_equal(deliver(peer, 1, 60), SPN_OK);
        assert_int_equal(put(peer, 100), SPN_OK);
        assert_int_equal(deliver(peer, 1, 60), SPN_OK);
        outbox_flush(outbox);
        answer = SPN_OK;
        later(OUTBOX_RETRY_MS);
        assert_int_equal(sent_count, 3);
        assert_int_equal(sent[0].type, WIRE_DELIVER);
        assert_int_equal(sent[1].type, WIRE_SLICE);
        assert_int_equal(sent[2].type, WIRE_DELIVER);
    }
}

/* While ZeroMQ has no room the deliveries of many turns are packed together. */
static void a_full_pipe_is_bounded_in_bytes_not_in_messages(void **state)
{
    (void)state;
    struct outbox_peer *peer = meet(1);
    answer = SPN_E_BACKPRESSURE;
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(deliver(peer, 1, 60), SPN_OK);
        outbox_flush(outbox);
    }
    answer = SPN_OK;
    later(OUTBOX_RETRY_MS);
    size_t deliveries = 0;
    for (size_t i = 0; i < sent_count; i++)
        deliveries += sent[i].count;
    assert_int_equal(deliveries, 10000);
    assert_in_range(sent_count, 2, 8);
    assert_int_equal(held(peer), 0);
}

static void only_the_newest_delivery_grows(void **state)
{
    (void)state;
    struct outbox_peer *peer = meet(1);
    uint8_t *head;
    uint8_t *bytes;
    assert_false(outbox_extend(outbox, peer, 5, 10, &head, &bytes));
    assert_int_equal(deliver(peer, 5, 60), SPN_OK);
    assert_true(outbox_extend(outbox, peer, 5, 10, &head, &bytes));
    assert_ptr_equal(bytes, head + 60);
    assert_false(outbox_extend(outbox, peer, 6, 10, &head, &bytes));
    assert_false(outbox_extend(outbox, peer, 5, OUTBOX_PACK_MAX, &head, &bytes));
    assert_int_equal(deliver(peer, 6, 60), SPN_OK);
    assert_false(outbox_extend(outbox, peer, 5, 10, &head, &bytes));
    outbox_flush(outbox);
    assert_false(outbox_extend(outbox, peer, 6, 10, &head, &bytes));
    assert_int_equal(sent[0].count, 2);
}

/* -- bounds ------------------------------------------------------------------------------------ */

static size_t fill(struct outbox_peer *peer)
{
    size_t pieces = 0;
    while (put(peer, PIECE) == SPN_OK)
        pieces++;
    return pieces;
}

/* However many read nothing, all together hold no more than may be, and the next one finds room. */
static void hoarders_leave_room_for_the_next(void **state)
{
    (void)state;
    answer = SPN_E_BACKPRESSURE;
    for (int i = 0; i < PEERS_MAX; i++) {
        struct outbox_peer *peer = meet((uint16_t)i);
        assert_true(outbox_has_room(outbox, peer, OUTBOX_FIRST_MAX));
        size_t pieces = fill(peer);
        assert_true(pieces >= 1);
        if (i == 0)
            assert_in_range(pieces * PIECE, LARGE / 2, LARGE);
        if (i == 10)
            assert_true(pieces * PIECE >= 512 * 1024);
    }
    /* One user's: beyond half only what always fits. */
    assert_true(metrics_get(&metrics.unsent) <=
                OUTBOX_BYTES_MAX / 2 + (uint64_t)PEERS_MAX * (PIECE + OUTGOING_COST));
}

static void a_large_message_fits_into_nothing_while_there_is_room(void **state)
{
    (void)state;
    answer = SPN_E_BACKPRESSURE;
    struct outbox_peer *peer = meet(1);
    assert_int_equal(put(peer, 2 * LARGE), SPN_OK);
    assert_int_equal(put(peer, PIECE), SPN_E_BACKPRESSURE);
    assert_int_equal(put(meet(2), 100), SPN_OK);
    assert_int_equal(put(meet(2), 2 * LARGE), SPN_OK);
    assert_int_equal(put(meet(3), 5 * LARGE), SPN_E_BACKPRESSURE);
    assert_int_equal(put(meet(3), OUTBOX_FIRST_MAX), SPN_OK);
}

static void what_is_refused_changes_nothing(void **state)
{
    (void)state;
    answer = SPN_E_BACKPRESSURE;
    struct outbox_peer *peer = meet(1);
    fill(peer);
    size_t before = held(peer);
    assert_int_equal(put(peer, PIECE), SPN_E_BACKPRESSURE);
    assert_int_equal(deliver(peer, 1, PIECE), SPN_E_BACKPRESSURE);
    assert_int_equal(held(peer), before);
    answer = SPN_OK;
    later(OUTBOX_RETRY_MS);
    assert_int_equal(held(peer), 0);
    assert_int_equal(put(peer, PIECE), SPN_OK);
}

/* The most that still fits. Of a peer that holds much already; see outbox_has_room. */
static size_t room_of(const struct outbox_peer *peer)
{
    size_t fits = 0;
    for (size_t step = OUTBOX_BYTES_MAX; step > 0; step /= 2)
        if (outbox_has_room(outbox, peer, fits + step))
            fits += step;
    return fits;
}

/* For everybody, and as if it were a message that waits already. */
static void what_is_packed_counts_at_once(void **state)
{
    (void)state;
    answer = SPN_E_BACKPRESSURE;
    struct outbox_peer *peer = meet(1);
    struct outbox_peer *other = meet(2);
    assert_int_equal(put(peer, 2 * OUTBOX_FIRST_MAX), SPN_OK);
    assert_int_equal(put(other, 2 * OUTBOX_FIRST_MAX), SPN_OK);
    size_t before = room_of(other);
    uint64_t unsent = metrics_get(&metrics.unsent);
    for (int i = 0; i < 3; i++)
        assert_int_equal(deliver(peer, 1, PIECE), SPN_OK);
    size_t its_room = room_of(peer);
    size_t others_room = room_of(other);
    assert_true(others_room < before);
    outbox_flush(outbox);
    assert_int_equal(room_of(peer), its_room);
    assert_int_equal(room_of(other), others_room);
    assert_true(metrics_get(&metrics.unsent) >= unsent + 3 * PIECE);
    assert_int_equal(deliver(peer, 1, PIECE), SPN_OK); /* the teardown finds it packed */
}

/* Also if they take turns. */
static void each_peer_is_charged_for_its_own(void **state)
{
    (void)state;
    answer = SPN_E_BACKPRESSURE;
    struct outbox_peer *peer = meet(1);
    struct outbox_peer *other = meet(2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(deliver(peer, 1, 1000), SPN_OK);
        assert_int_equal(deliver(other, 1, 3000), SPN_OK);
    }
    outbox_flush(outbox);
    assert_int_equal(held(other), held(peer) + 3 * 2000);
    assert_int_equal(metrics_get(&metrics.unsent), held(peer) + held(other));
}

/* -- peers that are gone, and that take nothing ------------------------------------------------ */

static void a_peer_that_is_gone_gives_back_what_it_held(void **state)
{
    (void)state;
    struct outbox_peer *peer = meet(1);
    peer->subscriber = (struct subscriber *)(void *)peer; /* not looked into here */
    answer = SPN_E_BACKPRESSURE;
    fill(peer);
    assert_int_equal(deliver(peer, 1, 60), SPN_OK);
    assert_null(outbox_next_gone(outbox, NULL));
    answer = SPN_E_UNAVAILABLE;
    later(OUTBOX_RETRY_MS);
    assert_ptr_equal(outbox_next_gone(outbox, NULL), peer);
    assert_int_equal(metrics_get(&metrics.unsent), 0);
    assert_int_equal(deliver(peer, 1, 60), SPN_E_UNAVAILABLE);
    assert_int_equal(put(peer, 60), SPN_E_UNAVAILABLE);
    assert_ptr_not_equal(meet(1), peer); /* the same routing id, another connection */
    peer->subscriber = NULL;
    assert_null(outbox_next_gone(outbox, NULL));
}

static void takes_nothing_and_is_cut(void **state)
{
    (void)state;
    struct outbox_peer *peer = meet(1);
    peer->subscriber = (struct subscriber *)(void *)peer;
    later(2 * OUTBOX_STALL_MS); /* it has nothing to take */
    answer = SPN_E_BACKPRESSURE;
    fill(peer);
    for (int i = 0; i < 5; i++) {
        answer = i < 3 ? SPN_OK : SPN_E_BACKPRESSURE;
        later(OUTBOX_RETRY_MS);
        answer = SPN_E_BACKPRESSURE;
        fill(peer);
        later(i < 3 ? OUTBOX_STALL_MS - 1000 : OUTBOX_STALL_MS / 2 + 1000);
        assert_true(outbox_next_gone(outbox, NULL) == (i < 4 ? NULL : peer));
    }
    assert_int_equal(metrics_get(&metrics.stalled_cut), 0); /* it had no connection */
    assert_ptr_equal(outbox_next_gone(outbox, NULL), peer);
    assert_int_equal(metrics_get(&metrics.unsent), 0);
    peer->subscriber = NULL;
}

static void a_quiet_peer_is_forgotten_when_it_has_nothing(void **state)
{
    (void)state;
    meet(1);
    struct outbox_peer *holds = meet(2);
    answer = SPN_E_BACKPRESSURE;
    assert_int_equal(put(holds, 100), SPN_OK);
    later(5000);
    assert_ptr_equal(meet(2), holds);
    answer = SPN_OK;
    later(OUTBOX_RETRY_MS);
    later(5000);
    assert_int_equal(outbox_tick(outbox), -1); /* nobody is left */
}

/* -- a real connection ------------------------------------------------------------------------- */

static void *context;
static void *router;
static void *dealers[DEALERS];
static char address[128];

static spn_err real_send(void *socket, const struct peer *peer, zmq_msg_t *message)
{
    if (zmq_send(socket, peer->bytes, peer->size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN ? SPN_E_BACKPRESSURE : SPN_E_UNAVAILABLE;
    return zmq_msg_send(message, socket, ZMQ_DONTWAIT) < 0 ? SPN_E_UNAVAILABLE : SPN_OK;
}

static int setup_real(void **state)
{
    int one = 1;
    int none = 0;
    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    snprintf(address, sizeof(address), "ipc:///tmp/test_outbox.%d.sock", (int)getpid());
    context = zmq_ctx_new();
    router = zmq_socket(context, ZMQ_ROUTER);
    zmq_setsockopt(router, ZMQ_ROUTER_MANDATORY, &one, sizeof(one));
    zmq_setsockopt(router, ZMQ_LINGER, &none, sizeof(none));
    if (zmq_bind(router, address) != 0)
        return -1;
    return outbox_new(&outbox, &(struct outbox_options){.send = real_send,
                                                        .socket = router,
                                                        .clock = &fake_clock,
                                                        .metrics = &metrics}) == SPN_OK
               ? 0
               : -1;
}

static int teardown_real(void **state)
{
    (void)state;
    outbox_free(outbox);
    for (size_t i = 0; i < COUNT(dealers); i++) {
        if (dealers[i])
            zmq_close(dealers[i]);
        dealers[i] = NULL;
    }
    zmq_close(router);
    zmq_ctx_term(context);
    unlink(address + strlen("ipc://"));
    return metrics_get(&metrics.unsent) == 0 ? 0 : -1;
}

/* A client that takes one message from its connection and no more. */
static void *make_dealer(size_t i)
{
    int one = 1;
    int none = 0;
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    assert_non_null(dealer);
    zmq_setsockopt(dealer, ZMQ_RCVHWM, &one, sizeof(one));
    zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof(none));
    dealers[i] = dealer;
    return dealer;
}

static void *open_dealer(size_t i)
{
    void *dealer = make_dealer(i);
    assert_int_equal(zmq_connect(dealer, address), 0);
    return dealer;
}

/* What it asks arrives. */
static struct peer receive(void *dealer, zmq_msg_t *message)
{
    struct peer peer;
    assert_int_equal(zmq_send(dealer, "?", 1, 0), 1);
    zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, WAIT_MS), 1);
    peer.size = (uint8_t)zmq_recv(router, peer.bytes, sizeof(peer.bytes), 0);
    zmq_msg_init(message);
    assert_int_equal(zmq_msg_recv(message, router, 0), 1);
    return peer;
}

static struct outbox_peer *hear(void *dealer)
{
    zmq_msg_t message;
    struct peer peer = receive(dealer, &message);
    struct outbox_peer *met = outbox_meet(outbox, &peer, &message);
    zmq_msg_close(&message);
    assert_non_null(met);
    assert_int_equal(met->user->uid, getuid());
    assert_true(met->fd >= 0);
    return met;
}

static void leave(size_t i)
{
    zmq_close(dealers[i]);
    dealers[i] = NULL;
}

static void until_closed(int fd)
{
    for (uint64_t due_ns = until_in(WAIT_MS); fcntl(fd, F_GETFD) != -1;)
        assert_false(until_over(due_ns));
}

/* Commands of ZeroMQ's thread are taken with calls like this. */
static bool wait_unsent(uint64_t most)
{
    for (uint64_t due_ns = until_in(WAIT_MS); metrics_get(&metrics.unsent) > most;) {
        zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
        (void)zmq_poll(&item, 1, 10);
        if (until_over(due_ns))
            return false;
    }
    return true;
}

/* What is on its way to the connection may still move; then it stands, and the peer is cut. */
static void until_cut(struct outbox_peer *peer)
{
    peer->subscriber = (struct subscriber *)(void *)peer;
    for (uint64_t due_ns = until_in(WAIT_MS); !outbox_next_gone(outbox, NULL);) {
        later(OUTBOX_STALL_MS + 1000);
        assert_false(until_over(due_ns));
    }
    peer->subscriber = NULL;
}

/* It is cut: what ZeroMQ held for it is given back, and the others' connections stay. */
static void a_stalled_connection_is_shut_down(void **state)
{
    (void)state;
    void *stalled = open_dealer(0);
    void *other = open_dealer(1);
    struct outbox_peer *peer = hear(stalled);
    struct peer bystander = hear(other)->peer;
    assert_true(fill(peer) > 10);
    until_cut(peer);
    assert_int_equal(metrics_get(&metrics.stalled_cut), 1);
    assert_true(wait_unsent(0));
    struct peer still = hear(other)->peer;
    assert_int_equal(still.size, bystander.size);
    assert_memory_equal(still.bytes, bystander.bytes, still.size);
}

/* By the time that it is cut its descriptor is another's: what it holds stays with ZeroMQ until it
 * reads or goes. */
static void a_descriptor_that_is_anothers_is_left_alone(void **state)
{
    (void)state;
    void *stalled = open_dealer(0);
    struct outbox_peer *peer = hear(stalled);
    struct peer before = peer->peer;
    fill(peer);
    peer->inode++;
    until_cut(peer);
    assert_int_equal(metrics_get(&metrics.stalled_cut), 0);
    struct peer still = hear(stalled)->peer; /* by the same connection */
    assert_int_equal(still.size, before.size);
    assert_memory_equal(still.bytes, before.bytes, still.size);
    leave(0);
    assert_true(wait_unsent(0));
}

/* Nothing is sent to it: what it had stayed until its lease was over. */
static void a_connection_that_is_gone_kept_what_it_had(void **state)
{
    (void)state;
    void *leaves = open_dealer(0);
    struct outbox_peer *peer = hear(leaves);
    struct outbox_peer *stays = hear(open_dealer(1));
    peer->subscriber = (struct subscriber *)(void *)peer;
    stays->subscriber = (struct subscriber *)(void *)stays;
    later(2000);
    assert_null(outbox_next_gone(outbox, NULL));
    leave(0);
    for (uint64_t due_ns = until_in(WAIT_MS); !outbox_next_gone(outbox, NULL);) {
        later(2000);
        assert_false(until_over(due_ns));
    }
    assert_ptr_equal(outbox_next_gone(outbox, NULL), peer);
    peer->subscriber = stays->subscriber = NULL;
}

/* What it sent waited here for longer than it was there itself. */
static void a_connection_that_was_gone_before_it_was_heard(void **state)
{
    (void)state;
    zmq_msg_t message;
    struct peer name = receive(open_dealer(0), &message);
    int fd = zmq_msg_get(&message, ZMQ_SRCFD);
    assert_true(fd >= 0);
    leave(0);
    until_closed(fd);
    struct outbox_peer *peer = outbox_meet(outbox, &name, &message);
    zmq_msg_close(&message);
    assert_non_null(peer);
    peer->subscriber = (struct subscriber *)(void *)peer;
    later(2000);
    assert_ptr_equal(outbox_next_gone(outbox, NULL), peer);
    peer->subscriber = NULL;
}

/* By the time that its last message is heard, another connection has its descriptor. */
static void a_connection_that_is_gone_took_anothers_for_its_own(void **state)
{
    (void)state;
    zmq_msg_t message;
    struct outbox_peer *peer = hear(open_dealer(0));
    struct peer name = receive(dealers[0], &message);
    int fd = peer->fd;
    peer->subscriber = (struct subscriber *)(void *)peer;
    leave(0);
    until_closed(fd);
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(dup2(other, fd), fd);
    assert_ptr_equal(outbox_meet(outbox, &name, &message), peer);
    zmq_msg_close(&message);
    later(2000);
    assert_ptr_equal(outbox_next_gone(outbox, NULL), peer);
    peer->subscriber = NULL;
    close(other);
    close(fd);
}

/* One that names itself comes again before it was found to be gone: what the connection before it
 * had ends, and what it says now counts. */
static void a_name_that_comes_again_is_another_peer(void **state)
{
    (void)state;
    static const struct peer name = {.size = 5, .bytes = "named"};
    zmq_msg_t messages[2];
    struct outbox_peer *met[2];
    for (size_t i = 0; i < COUNT(met); i++) {
        (void)receive(open_dealer(i), &messages[i]);
        met[i] = outbox_meet(outbox, &name, &messages[i]);
        met[i]->subscriber = (struct subscriber *)(void *)met[i];
        zmq_msg_close(&messages[i]);
    }
    assert_ptr_not_equal(met[0], met[1]);
    later(2000);
    assert_ptr_equal(outbox_next_gone(outbox, NULL), met[0]);
    assert_null(outbox_next_gone(outbox, met[0]));
    met[0]->subscriber = met[1]->subscriber = NULL;
}

/* The search for the next one began anew each time: 80,000 that went at once took 24 s. */
static void all_that_are_gone_are_found_once_each(void **state)
{
    (void)state;
    struct outbox_peer *peer = NULL;
    size_t count = 0;
    for (int i = 0; i < PEERS_MAX; i++) {
        struct outbox_peer *met = meet((uint16_t)i);
        answer = SPN_E_UNAVAILABLE;
        assert_int_equal(put(met, 60), SPN_E_UNAVAILABLE);
        met->subscriber = i % 3 == 0 ? NULL : (struct subscriber *)(void *)met;
    }
    while ((peer = outbox_next_gone(outbox, peer))) {
        assert_non_null(peer->subscriber);
        peer->subscriber = NULL;
        count++;
    }
    assert_int_equal(count, PEERS_MAX * 2 / 3);
}

/* -- all of them ------------------------------------------------------------------------------- */

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
#define REAL_TEST(function) cmocka_unit_test_setup_teardown(function, setup_real, teardown_real)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deliveries_of_a_turn_travel_in_one_message),
        TEST(packs_are_bounded),
        TEST(an_answer_does_not_overtake_deliveries),
        TEST(a_full_pipe_is_bounded_in_bytes_not_in_messages),
        TEST(only_the_newest_delivery_grows),
        TEST(hoarders_leave_room_for_the_next),
        TEST(a_large_message_fits_into_nothing_while_there_is_room),
        TEST(what_is_refused_changes_nothing),
        TEST(what_is_packed_counts_at_once),
        TEST(each_peer_is_charged_for_its_own),
        TEST(a_peer_that_is_gone_gives_back_what_it_held),
        TEST(takes_nothing_and_is_cut),
        TEST(a_quiet_peer_is_forgotten_when_it_has_nothing),
        REAL_TEST(a_stalled_connection_is_shut_down),
        REAL_TEST(a_descriptor_that_is_anothers_is_left_alone),
        REAL_TEST(a_connection_that_is_gone_kept_what_it_had),
        REAL_TEST(a_connection_that_was_gone_before_it_was_heard),
        REAL_TEST(a_connection_that_is_gone_took_anothers_for_its_own),
        REAL_TEST(a_name_that_comes_again_is_another_peer),
        TEST(all_that_are_gone_are_found_once_each),
    };
    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
