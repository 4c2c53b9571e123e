/* SPDX-License-Identifier: Apache-2.0 */
/* redis_load: the same work for Redis, which many apps use for it today.
 *
 * Events are entries of streams, one stream per session: XADD key MAXLEN ~ 100 * data PAYLOAD, so
 * that Redis bounds its memory as the sidecar bounds its window, and makes the ids itself. What is
 * durable when it answers is the server's business: run it with appendonly yes and appendfsync
 * always.
 *
 *   redis_load SOCKET xadd clients=1 pipeline=1 keys=1000 count=100000 rate=0 size=256 file=
 *   redis_load SOCKET xrange keys=10 count=10000 size=256
 *
 * xadd: each client is a thread with a connection and at most `pipeline` commands in flight. With a
 * rate an event is due at a moment fixed beforehand, and its time counts from there. xrange: fills
 * `keys` streams in turn with `count` entries each, then reads one of them, 1,000 at a time. Prints
 * one JSON object.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <hiredis/hiredis.h>

#include "cli/payloads.h"
#include "program.h"

enum {
    KEY_SIZE = 64,
    RANGE_COUNT = 1000,
    ROUNDS = 5,
    CLIENTS_MAX = 1024,
    PIPELINE_MAX = 65536,
    IDLE_NS = 100000000,
    ARGUMENTS_MAX = 11,
};

struct load {
    const char *socket;
    char run[KEY_SIZE / 2]; /* of this run's keys */
    uint64_t clients;
    uint64_t pipeline;
    uint64_t keys;
    uint64_t count;
    uint64_t rate; /* of all clients together; 0: as many as go */
    uint64_t size;
    const char *file;
    struct payloads payloads;
    uint64_t maxlen; /* 0: none */
    uint64_t started_ns;
};

struct client {
    const struct load *load;
    redisContext *redis;
    uint64_t index;
    uint64_t count;
    uint64_t sent;
    uint64_t answered;
    uint64_t *sent_ns; /* of what is in flight, a ring */
    struct hist latency;
    uint64_t finished_ns;
};

static redisContext *connect_redis(const struct load *load)
{
    redisContext *redis = redisConnectUnix(load->socket);
    if (!redis || redis->err)
        die("%s: %s", load->socket, redis ? redis->errstr : "out of memory");
    return redis;
}

/* -- commands ---------------------------------------------------------------------------------- */

struct command {
    const char *words[ARGUMENTS_MAX];
    size_t sizes[ARGUMENTS_MAX];
    int count;
};

static void add_word(struct command *command, const char *word, size_t size)
{
    command->words[command->count] = word;
    command->sizes[command->count++] = size;
}

static void add_text(struct command *command, const char *text)
{
    add_word(command, text, strlen(text));
}

/* The entry has the type when the event has one: what a reader needs to write the event again. */
static void append_xadd(const struct load *load, redisContext *redis, uint64_t key, uint64_t event)
{
    char name[KEY_SIZE];
    char maxlen[32];
    const struct spn_event *payload = payloads_at(&load->payloads, event);
    struct command command = {.count = 0};
    snprintf(name, sizeof(name), "%s-%llu", load->run, (unsigned long long)key);
    snprintf(maxlen, sizeof(maxlen), "%llu", (unsigned long long)load->maxlen);
    add_text(&command, "XADD");
    add_text(&command, name);
    if (load->maxlen > 0) {
        add_text(&command, "MAXLEN");
        add_text(&command, "~");
        add_text(&command, maxlen);
    }
    add_text(&command, "*");
    if (payload->type.size > 0) {
        add_text(&command, "event");
        add_word(&command, payload->type.data, payload->type.size);
    }
    add_text(&command, "data");
    add_word(&command, payload->data.size > 0 ? payload->data.data : "", payload->data.size);
    if (redisAppendCommandArgv(redis, command.count, command.words, command.sizes) != REDIS_OK)
        die("%s", redis->errstr);
}

static void flush(redisContext *redis)
{
    int done = 0;
    while (!done)
        if (redisBufferWrite(redis, &done) != REDIS_OK)
            die("%s", redis->errstr);
}

static void check_reply(const redisReply *reply)
{
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        die("%s", reply ? reply->str : "no reply");
}

/* -- xadd -------------------------------------------------------------------------------------- */

static uint64_t due_ns(const struct client *client, uint64_t n)
{
    const struct load *load = client->load;
    double turn = (double)(n * load->clients + client->index);
    return load->started_ns + (uint64_t)(turn * (double)NS_PER_S / (double)load->rate);
}

/* All that is due and fits in flight. */
static void send_due(struct client *client)
{
    const struct load *load = client->load;
    uint64_t before = client->sent;
    while (client->sent < client->count && client->sent - client->answered < load->pipeline) {
        uint64_t at_ns = now_ns();
        if (load->rate > 0) {
            uint64_t due = due_ns(client, client->sent);
            if (due > at_ns)
                break;
            at_ns = due;
        }
        uint64_t turn = client->sent * load->clients + client->index;
        client->sent_ns[client->sent++ % load->pipeline] = at_ns;
        append_xadd(load, client->redis, turn % load->keys, turn);
    }
    if (client->sent > before)
        flush(client->redis);
}

static void take_replies(struct client *client)
{
    void *reply;
    if (redisBufferRead(client->redis) != REDIS_OK)
        die("%s", client->redis->errstr);
    uint64_t at_ns = now_ns();
    for (;;) {
        if (redisGetReplyFromReader(client->redis, &reply) != REDIS_OK)
            die("%s", client->redis->errstr);
        if (!reply)
            return;
        check_reply(reply);
        freeReplyObject(reply);
        uint64_t slot = client->answered++ % client->load->pipeline;
        hist_add(&client->latency, at_ns - client->sent_ns[slot]);
    }
}

/* Until there is a reply, or something is due. */
static bool wait_for_reply(const struct client *client)
{
    const struct load *load = client->load;
    struct pollfd ready = {.fd = client->redis->fd, .events = POLLIN};
    struct timespec left = {.tv_nsec = IDLE_NS};
    bool room = client->sent < client->count && client->sent - client->answered < load->pipeline;
    if (load->rate > 0 && room) {
        uint64_t at_ns = now_ns();
        uint64_t due = due_ns(client, client->sent);
        left.tv_nsec = due <= at_ns ? 0 : due - at_ns < IDLE_NS ? (long)(due - at_ns) : IDLE_NS;
    }
    return ppoll(&ready, 1, &left, NULL) > 0;
}

static void *run_client(void *argument)
{
    struct client *client = argument;
    prctl(PR_SET_TIMERSLACK, 1);
    while (client->answered < client->count) {
        send_due(client);
        if (wait_for_reply(client))
            take_replies(client);
    }
    client->finished_ns = now_ns();
    return NULL;
}

static struct client *open_clients(const struct load *load)
{
    struct client *clients = must_have(load->clients * sizeof(*clients));
    for (uint64_t i = 0; i < load->clients; i++) {
        clients[i].load = load;
        clients[i].index = i;
        clients[i].count = load->count / load->clients + (i < load->count % load->clients ? 1 : 0);
        clients[i].redis = connect_redis(load);
        clients[i].sent_ns = must_have(load->pipeline * sizeof(*clients[i].sent_ns));
    }
    return clients;
}

static void run_clients(struct client *clients, uint64_t count)
{
    pthread_t *threads = must_have(count * sizeof(*threads));
    for (uint64_t i = 0; i < count; i++) {
        int error = pthread_create(&threads[i], NULL, run_client, &clients[i]);
        if (error != 0)
            die("thread: %s", strerror(error));
    }
    for (uint64_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

static void close_clients(struct client *clients, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        redisFree(clients[i].redis);
        free(clients[i].sent_ns);
    }
    free(clients);
}

/* Fills the streams; latency may be NULL. Returns events per second. */
static double add_all(struct load *load, struct hist *latency)
{
    struct client *clients = open_clients(load);
    uint64_t finished_ns = 0;
    load->started_ns = now_ns();
    run_clients(clients, load->clients);
    for (uint64_t i = 0; i < load->clients; i++) {
        if (clients[i].finished_ns > finished_ns)
            finished_ns = clients[i].finished_ns;
        if (latency)
            hist_merge(latency, &clients[i].latency);
    }
    close_clients(clients, load->clients);
    return (double)load->count * 1e9 / (double)(finished_ns - load->started_ns);
}

static void xadd(struct load *load)
{
    static struct hist latency;
    load->maxlen = 100;
    double per_second = add_all(load, &latency);
    printf("{\"events\":%llu,\"clients\":%llu,\"pipeline\":%llu,\"keys\":%llu,\"rate\":%llu,"
           "\"events_per_second\":%.0f,\"ack_p50_us\":%.1f,\"ack_p99_us\":%.1f,"
           "\"ack_p999_us\":%.1f}\n",
           (unsigned long long)load->count, (unsigned long long)load->clients,
           (unsigned long long)load->pipeline, (unsigned long long)load->keys,
           (unsigned long long)load->rate, per_second, us(&latency, 50), us(&latency, 99),
           us(&latency, 99.9));
}

/* -- xrange ------------------------------------------------------------------------------------ */

/* What the app gets: each entry's fields. The last id says where to go on. */
static size_t take_range(const redisReply *reply, char last[KEY_SIZE])
{
    size_t entries = 0;
    for (; entries < reply->elements; entries++) {
        const redisReply *entry = reply->element[entries];
        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
            entry->element[1]->elements < 2)
            die("an entry that is none");
        snprintf(last, KEY_SIZE, "(%.*s", KEY_SIZE - 2, entry->element[0]->str);
    }
    return entries;
}

static double read_once(const struct load *load, redisContext *redis)
{
    char from[KEY_SIZE] = "-";
    uint64_t entries = 0;
    uint64_t started_ns = now_ns();
    size_t got;
    do {
        redisReply *reply =
            redisCommand(redis, "XRANGE %s-0 %s + COUNT %d", load->run, from, (int)RANGE_COUNT);
        check_reply(reply);
        got = take_range(reply, from);
        freeReplyObject(reply);
        entries += got;
    } while (got > 0);
    if (entries != load->count / load->keys)
        die("%llu entries read", (unsigned long long)entries);
    return (double)entries * 1e9 / (double)(now_ns() - started_ns);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void xrange(struct load *load)
{
    double per_second[ROUNDS];
    load->count *= load->keys;
    load->clients = 1;
    load->pipeline = 1024;
    add_all(load, NULL);
    redisContext *redis = connect_redis(load);
    for (size_t i = 0; i < ROUNDS; i++)
        per_second[i] = read_once(load, redis);
    redisFree(redis);
    qsort(per_second, ROUNDS, sizeof(per_second[0]), ascending);
    printf("{\"events\":%llu,\"keys\":%llu,\"events_per_second\":%.0f}\n",
           (unsigned long long)(load->count / load->keys), (unsigned long long)load->keys,
           per_second[ROUNDS / 2]);
}

/* -- the command line -------------------------------------------------------------------------- */

static void parse_word(struct load *load, const char *word)
{
    const struct number numbers[] = {
        {"clients=", &load->clients, 1, CLIENTS_MAX},
        {"pipeline=", &load->pipeline, 1, PIPELINE_MAX},
        {"keys=", &load->keys, 1, UINT32_MAX},
        {"count=", &load->count, 1, UINT32_MAX},
        {"rate=", &load->rate, 0, UINT32_MAX},
        {"size=", &load->size, 1, 1 << 20},
    };
    if (strncmp(word, "file=", 5) == 0)
        load->file = word + 5;
    else
        parse_number(numbers, sizeof(numbers) / sizeof(numbers[0]), word);
}

static void make_payloads(struct load *load)
{
    spn_err err = load->file && *load->file ? payloads_read(&load->payloads, load->file)
                                            : payloads_make(&load->payloads, load->size);
    if (err != SPN_OK)
        die("payloads: %s", spn_err_text(err));
}

int main(int argc, char **argv)
{
    struct load load = {.clients = 1, .pipeline = 1, .keys = 1000, .count = 100000, .size = 256};
    if (argc < 3)
        die("usage: SOCKET xadd|xrange [name=value ...]");
    load.socket = argv[1];
    for (int i = 3; i < argc; i++)
        parse_word(&load, argv[i]);
    snprintf(load.run, sizeof(load.run), "bench-%llx", (unsigned long long)now_ns());
    make_payloads(&load);
    if (strcmp(argv[2], "xadd") == 0)
        xadd(&load);
    else if (strcmp(argv[2], "xrange") == 0)
        xrange(&load);
    else
        die("neither xadd nor xrange: %s", argv[2]);
    payloads_release(&load.payloads);
    return 0;
}
