/* SPDX-License-Identifier: Apache-2.0 */
/* bare_limit: what do ZeroMQ and LMDB allow on this machine when nothing else is done?
 *
 * A client sends batches over ipc:// from a DEALER to a ROUTER; a queue; a writer appends every
 * event to a log as it comes and commits whatever has gathered; the acknowledgement goes back. No
 * names, no ids, no duplicates, no index, no checksums: the sidecar cannot be faster than this, and
 * how near it comes is what its own work costs.
 *
 *   bare_limit publish [size] [batch] [count] [in-flight]   256 1024 1000000 16384
 *   bare_limit latency [size] [count]                       256 2000: one at a time
 *   bare_limit each [size] [clients] [count]                256 50 50000: one at a time of each
 *
 * The database is in a directory made in $TMPDIR or /var/tmp, and removed. Prints one JSON object.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <lmdb.h>
#include <zmq.h>

#include "program.h"

enum {
    SIZE_BYTES_MAX = 1 << 20,
    BATCH_MAX = 65536,
    CLIENTS_MAX = 256,
    IN_FLIGHT_MAX = 65536,
    PATH_SIZE = 256,
    ROUTING_ID_SIZE = 8,
};

#define MAP_BYTES (UINT64_C(64) << 30)
/* What one message became: its bytes, and whose it was. */
struct node {
    struct node *next;
    zmq_msg_t body; /* a uint64_t, the number of its last event, and the events */
    uint8_t peer[ROUTING_ID_SIZE];
    size_t peer_size;
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct node *first;
    struct node **end;
};

struct bare {
    size_t size;
    size_t batch;
    uint64_t count;
    uint64_t in_flight;
    const char *dir;
    char endpoint[PATH_SIZE + 32];

    MDB_env *env;
    MDB_dbi log;
    uint64_t position;
    struct queue arrived; /* router to writer */
    struct queue durable; /* writer to router */
    int durable_fd;       /* there is something in `durable` */
    struct hist latency;  /* of a batch, from sending to acknowledgement */
    atomic_uint_fast64_t commits;
};

static void must_zmq(bool good, const char *doing)
{
    if (!good)
        die("%s: %s", doing, zmq_strerror(errno));
}

static void must_lmdb(int error, const char *doing)
{
    if (error != 0)
        die("%s: %s", doing, mdb_strerror(error));
}

/* -- the log ----------------------------------------------------------------------------------- */

static void open_log(struct bare *bare)
{
    MDB_txn *txn;
    must_lmdb(mdb_env_create(&bare->env), "environment");
    must_lmdb(mdb_env_set_mapsize(bare->env, MAP_BYTES), "map");
    must_lmdb(mdb_env_open(bare->env, bare->dir, MDB_NORDAHEAD, 0600), bare->dir);
    must_lmdb(mdb_txn_begin(bare->env, NULL, 0, &txn), "begin");
    must_lmdb(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &bare->log), "log");
    must_lmdb(mdb_txn_commit(txn), "commit");
}

static void append(struct bare *bare, MDB_txn *txn, const void *bytes)
{
    uint64_t position = ++bare->position;
    MDB_val key = {sizeof(position), &position};
    MDB_val value = {bare->size, (void *)(uintptr_t)bytes};
    must_lmdb(mdb_put(txn, bare->log, &key, &value, MDB_APPEND), "append");
}

/* Every event of everything that has gathered, in one commit. */
static void commit(struct bare *bare, struct node *nodes)
{
    MDB_txn *txn;
    must_lmdb(mdb_txn_begin(bare->env, NULL, 0, &txn), "begin");
    for (struct node *node = nodes; node; node = node->next) {
        const char *bytes = zmq_msg_data(&node->body);
        size_t end = zmq_msg_size(&node->body);
        for (size_t at = sizeof(uint64_t); at < end; at += bare->size)
            append(bare, txn, bytes + at);
    }
    must_lmdb(mdb_txn_commit(txn), "commit");
    atomic_fetch_add(&bare->commits, 1);
}

/* -- the queue --------------------------------------------------------------------------------- */

static void queue_init(struct queue *queue)
{
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->filled, NULL);
    queue->first = NULL;
    queue->end = &queue->first;
}

static void queue_put(struct queue *queue, struct node *first, struct node **end)
{
    pthread_mutex_lock(&queue->mutex);
    *queue->end = first;
    queue->end = end;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->mutex);
}

/* All that is in it. */
static struct node *queue_take(struct queue *queue, bool wait)
{
    pthread_mutex_lock(&queue->mutex);
    while (wait && !queue->first)
        pthread_cond_wait(&queue->filled, &queue->mutex);
    struct node *first = queue->first;
    queue->first = NULL;
    queue->end = &queue->first;
    pthread_mutex_unlock(&queue->mutex);
    return first;
}

/* -- the server: two threads, which end with the program --------------------------------------- */

static void *write_all(void *argument)
{
    struct bare *bare = argument;
    for (;;) {
        struct node *nodes = queue_take(&bare->arrived, true);
        struct node *last = nodes;
        uint64_t one = 1;
        commit(bare, nodes);
        while (last->next)
            last = last->next;
        queue_put(&bare->durable, nodes, &last->next);
        if (write(bare->durable_fd, &one, sizeof(one)) < 0)
            die("eventfd: %s", strerror(errno));
    }
    return NULL;
}

static bool receive(struct bare *bare, void *router)
{
    struct node *node = must_have(sizeof(*node));
    int size = zmq_recv(router, node->peer, sizeof(node->peer), ZMQ_DONTWAIT);
    if (size < 0) {
        free(node);
        return false;
    }
    node->peer_size = (size_t)size;
    zmq_msg_init(&node->body);
    must_zmq(zmq_msg_recv(&node->body, router, 0) >= 0, "receive");
    queue_put(&bare->arrived, node, &node->next);
    return true;
}

static void acknowledge(void *router, struct node *node)
{
    must_zmq(zmq_send(router, node->peer, node->peer_size, ZMQ_SNDMORE) >= 0, "acknowledge");
    must_zmq(zmq_send(router, zmq_msg_data(&node->body), sizeof(uint64_t), 0) >= 0, "acknowledge");
    zmq_msg_close(&node->body);
    free(node);
}

static void acknowledge_all(struct bare *bare, void *router)
{
    uint64_t count;
    if (read(bare->durable_fd, &count, sizeof(count)) < 0)
        return;
    struct node *next;
    for (struct node *node = queue_take(&bare->durable, false); node; node = next) {
        next = node->next;
        acknowledge(router, node);
    }
}

static void *route(void *argument)
{
    struct bare *bare = argument;
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    must_zmq(router && zmq_bind(router, bare->endpoint) == 0, "bind");
    for (;;) {
        zmq_pollitem_t items[] = {{.socket = router, .events = ZMQ_POLLIN},
                                  {.fd = bare->durable_fd, .events = ZMQ_POLLIN}};
        must_zmq(zmq_poll(items, 2, -1) >= 0, "poll");
        if (items[1].revents)
            acknowledge_all(bare, router);
        while (items[0].revents && receive(bare, router))
            continue;
    }
    return NULL;
}

/* -- the client -------------------------------------------------------------------------------- */

static void send_batch(const struct bare *bare, void *dealer, uint64_t last, size_t count)
{
    zmq_msg_t message;
    size_t size = sizeof(last) + count * bare->size;
    must_zmq(zmq_msg_init_size(&message, size) == 0, "message");
    char *bytes = zmq_msg_data(&message);
    memcpy(bytes, &last, sizeof(last));
    memset(bytes + sizeof(last), 'x', size - sizeof(last));
    must_zmq(zmq_msg_send(&message, dealer, 0) >= 0, "send");
}

/* They come in the order of the batches. */
static uint64_t take_ack(struct bare *bare, void *dealer, uint64_t sent_ns)
{
    uint64_t last;
    must_zmq(zmq_recv(dealer, &last, sizeof(last), 0) == sizeof(last), "acknowledgement");
    hist_add(&bare->latency, now_ns() - sent_ns);
    return last;
}

/* As many batches in flight as fit, at least one. Returns how long it took. */
static double publish_all(struct bare *bare, void *dealer)
{
    static uint64_t sent_ns[IN_FLIGHT_MAX];
    uint64_t batches_sent = 0;
    uint64_t batches_acked = 0;
    uint64_t sent = 0;
    uint64_t acked = 0;
    uint64_t started_ns = now_ns();
    while (acked < bare->count) {
        uint64_t left = bare->count - sent;
        size_t count = left < bare->batch ? (size_t)left : bare->batch;
        if (count > 0 && (sent == acked || sent - acked + count <= bare->in_flight)) {
            sent_ns[batches_sent++ % IN_FLIGHT_MAX] = now_ns();
            sent += count;
            send_batch(bare, dealer, sent, count);
        } else {
            acked = take_ack(bare, dealer, sent_ns[batches_acked++ % IN_FLIGHT_MAX]);
        }
    }
    return (double)(now_ns() - started_ns) / 1e9;
}

/* -- pieces, one at a time --------------------------------------------------------------------- */

static void time_commits(struct bare *bare, char *bytes, struct hist *hist)
{
    struct node node = {0};
    must_zmq(zmq_msg_init_data(&node.body, bytes, sizeof(uint64_t) + bare->size, NULL, NULL) == 0,
             "message");
    for (uint64_t i = 0; i < bare->count; i++) {
        uint64_t started_ns = now_ns();
        commit(bare, &node);
        hist_add(hist, now_ns() - started_ns);
    }
    zmq_msg_close(&node.body);
}

static void *echo(void *argument)
{
    const struct bare *bare = argument;
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    must_zmq(router && zmq_bind(router, bare->endpoint) == 0, "bind");
    for (;;) {
        uint8_t peer[ROUTING_ID_SIZE];
        zmq_msg_t body;
        int size = zmq_recv(router, peer, sizeof(peer), 0);
        zmq_msg_init(&body);
        must_zmq(size >= 0 && zmq_msg_recv(&body, router, 0) >= 0, "receive");
        must_zmq(zmq_send(router, peer, (size_t)size, ZMQ_SNDMORE) >= 0, "send");
        must_zmq(zmq_msg_send(&body, router, 0) >= 0, "send");
    }
    return NULL;
}

static void time_round_trips(struct bare *bare, void *dealer, struct hist *hist)
{
    for (uint64_t i = 0; i < bare->count; i++) {
        zmq_msg_t answer;
        uint64_t started_ns = now_ns();
        send_batch(bare, dealer, i, 1);
        zmq_msg_init(&answer);
        must_zmq(zmq_msg_recv(&answer, dealer, 0) >= 0, "receive");
        hist_add(hist, now_ns() - started_ns);
        zmq_msg_close(&answer);
    }
}

/* -- set up and told --------------------------------------------------------------------------- */

static char made_dir[PATH_SIZE]; /* removed at the end, however that comes */

static void remove_dir(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "echo", "socket"};
    char path[PATH_SIZE + 32];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", made_dir, names[i]);
        unlink(path);
    }
    rmdir(made_dir);
}

static void make_dir(struct bare *bare)
{
    const char *base = getenv("TMPDIR");
    snprintf(made_dir, sizeof(made_dir), "%s/bare-limit-XXXXXX",
             base && *base && strlen(base) < 64 ? base : "/var/tmp");
    if (!mkdtemp(made_dir))
        die("%s: %s", made_dir, strerror(errno));
    if (atexit(remove_dir) != 0)
        die("out of memory");
    bare->dir = made_dir;
}

static void use_socket(struct bare *bare, const char *name)
{
    snprintf(bare->endpoint, sizeof(bare->endpoint), "ipc://%s/%s", bare->dir, name);
}

static void start(void *(*run)(void *), struct bare *bare)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, bare);
    if (error != 0)
        die("thread: %s", strerror(error));
    pthread_detach(thread);
}

static void *connect_dealer(const struct bare *bare)
{
    static void *context; /* of all dealers */
    if (!context)
        context = zmq_ctx_new();
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    must_zmq(dealer && zmq_connect(dealer, bare->endpoint) == 0, "connect");
    return dealer;
}

static void *connect_server(struct bare *bare)
{
    use_socket(bare, "socket");
    queue_init(&bare->arrived);
    queue_init(&bare->durable);
    bare->durable_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    start(write_all, bare);
    start(route, bare);
    return connect_dealer(bare);
}

static void publish(struct bare *bare)
{
    make_dir(bare);
    open_log(bare);
    double seconds = publish_all(bare, connect_server(bare));
    printf("{\"events\":%llu,\"size\":%zu,\"batch\":%zu,\"in_flight\":%llu,\"commits\":%llu,"
           "\"events_per_second\":%.0f,\"ack_p50_us\":%.1f,\"ack_p99_us\":%.1f}\n",
           (unsigned long long)bare->count, bare->size, bare->batch,
           (unsigned long long)bare->in_flight, (unsigned long long)atomic_load(&bare->commits),
           (double)bare->count / seconds, us(&bare->latency, 50), us(&bare->latency, 99));
}

/* The chain is both together, with the hand-overs between threads that belong to it. */
static void latency(struct bare *bare)
{
    static struct hist commits;
    static struct hist trips;
    char *bytes = must_have(sizeof(uint64_t) + bare->size);
    bare->batch = 1;
    bare->in_flight = 1;
    make_dir(bare);
    open_log(bare);
    time_commits(bare, bytes, &commits);
    use_socket(bare, "echo");
    start(echo, bare);
    time_round_trips(bare, connect_dealer(bare), &trips);
    publish_all(bare, connect_server(bare));
    printf("{\"count\":%llu,\"size\":%zu,\"commit_p50_us\":%.1f,\"commit_p99_us\":%.1f,"
           "\"round_trip_p50_us\":%.1f,\"round_trip_p99_us\":%.1f,\"chain_p50_us\":%.1f,"
           "\"chain_p99_us\":%.1f}\n",
           (unsigned long long)bare->count, bare->size, us(&commits, 50), us(&commits, 99),
           us(&trips, 50), us(&trips, 99), us(&bare->latency, 50), us(&bare->latency, 99));
    free(bytes);
}

/* One of many, each in a thread and with one event in flight. */
struct client {
    struct bare *bare;
    void *dealer;
    pthread_t thread;
    struct hist latency;
};

static void *publish_one_by_one(void *argument)
{
    struct client *client = argument;
    uint64_t last;
    for (uint64_t i = 0; i < client->bare->count; i++) {
        uint64_t sent_ns = now_ns();
        send_batch(client->bare, client->dealer, i + 1, 1);
        must_zmq(zmq_recv(client->dealer, &last, sizeof(last), 0) == sizeof(last),
                 "acknowledgement");
        hist_add(&client->latency, now_ns() - sent_ns);
    }
    return NULL;
}

static void each(struct bare *bare, size_t count)
{
    static struct client clients[CLIENTS_MAX];
    make_dir(bare);
    open_log(bare);
    bare->count /= count; /* of each */
    for (size_t i = 0; i < count; i++)
        clients[i] = (struct client){
            .bare = bare, .dealer = i == 0 ? connect_server(bare) : connect_dealer(bare)};
    uint64_t started_ns = now_ns();
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&clients[i].thread, NULL, publish_one_by_one, &clients[i]) != 0)
            die("no thread");
    for (size_t i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
        hist_merge(&bare->latency, &clients[i].latency);
    }
    double seconds = (double)(now_ns() - started_ns) / 1e9;
    uint64_t events = bare->count * count;
    printf("{\"events\":%llu,\"size\":%zu,\"clients\":%zu,\"commits\":%llu,"
           "\"events_per_second\":%.0f,\"ack_p50_us\":%.1f,\"ack_p99_us\":%.1f}\n",
           (unsigned long long)events, bare->size, count,
           (unsigned long long)atomic_load(&bare->commits), (double)events / seconds,
           us(&bare->latency, 50), us(&bare->latency, 99));
}

static uint64_t number(int argc, char **argv, int index, uint64_t otherwise, uint64_t max)
{
    uint64_t value = index < argc ? strtoull(argv[index], NULL, 10) : otherwise;
    if (value == 0 || value > max)
        die("not a number from 1 to %llu: %s", (unsigned long long)max, argv[index]);
    return value;
}

int main(int argc, char **argv)
{
    static struct bare bare;
    const char *what = argc > 1 ? argv[1] : "";
    bare.size = (size_t)number(argc, argv, 2, 256, SIZE_BYTES_MAX);
    if (strcmp(what, "publish") == 0) {
        bare.batch = (size_t)number(argc, argv, 3, 1024, BATCH_MAX);
        bare.count = number(argc, argv, 4, 1000000, UINT32_MAX);
        bare.in_flight = number(argc, argv, 5, 16384, IN_FLIGHT_MAX);
        publish(&bare);
    } else if (strcmp(what, "latency") == 0) {
        bare.count = number(argc, argv, 3, 2000, UINT32_MAX);
        latency(&bare);
    } else if (strcmp(what, "each") == 0) {
        size_t clients = (size_t)number(argc, argv, 3, 50, CLIENTS_MAX);
        bare.count = number(argc, argv, 4, 50000, UINT32_MAX);
        each(&bare, clients);
    } else {
        die("usage: publish [size] [batch] [count] [in-flight] | latency [size] [count] | "
            "each [size] [clients] [count]");
    }
    return 0;
}
