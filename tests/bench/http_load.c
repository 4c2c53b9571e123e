/* SPDX-License-Identifier: Apache-2.0 */
/* http_load: the same load over HTTP for the gateway and for the servers that it is compared with.
 *
 *   http_load fanout READ_AT READ_PATH POST_AT POST_PATH readers=5000 rounds=20 size=100
 *   http_load post AT PATH connections=50 count=20000 size=256 put=0
 *
 * AT is the path of a Unix socket, or a port of 127.0.0.1.
 *
 * fanout: opens event streams and publishes one event after the other; each is published when
 * all readers have the one before. Its time is from before the POST is sent to the moment at which
 * the last reader has its last byte. The data ends with a byte that occurs nowhere else in a
 * stream.
 *
 * post: each connection has one POST in flight, to a path of its own: PATH and its number. put=1:
 * the path is made with PUT before.
 *
 * Prints one JSON object. One thread.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "program.h"

enum {
    BUFFER_SIZE = 256 * 1024,
    ANSWER_SIZE = 4096,
    REQUEST_SIZE = 512,
    EVENTS_MAX = 256,
    PATIENCE_MS = 60000,
    ROUNDS_TO_WARM = 3,
    COUNT_MAX = 10000000,
    LAST_BYTE = '~', /* of an event's data */
};

struct load {
    uint64_t readers;
    uint64_t rounds;
    uint64_t connections;
    uint64_t count;
    uint64_t size;
    uint64_t put;
};

/* A connection whose answers are read one after the other. */
struct connection {
    int fd;
    char *request;
    size_t request_size;
    char answer[ANSWER_SIZE]; /* as far as it has come */
    size_t answer_size;
    uint64_t sent_ns;
};

struct reader {
    int fd;
    char head[ANSWER_SIZE];
    uint32_t head_size;
    uint32_t events; /* that it has */
};

static char buffer[BUFFER_SIZE];

/* -- sockets ----------------------------------------------------------------------------------- */

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof(address.sun_path))
        die("%s: too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("%s: %s", path, strerror(errno));
    return fd;
}

static int connect_port(unsigned long port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("port %lu: %s", port, strerror(errno));
    return fd;
}

static int connect_to(const char *at)
{
    return isdigit((unsigned char)at[0]) ? connect_port(strtoul(at, NULL, 10)) : connect_unix(at);
}

static void send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            die("send: %s", strerror(errno));
        bytes += sent;
        size -= (size_t)sent;
    }
}

static size_t receive(int fd, char *bytes, size_t size)
{
    ssize_t got = recv(fd, bytes, size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0)
        die("the server closed a connection: %s", got == 0 ? "end" : strerror(errno));
    return (size_t)got;
}

static void watch(int epoll, int fd, void *whose)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = whose};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

static int wait_for_some(int epoll, struct epoll_event *ret_events)
{
    int count = epoll_wait(epoll, ret_events, EVENTS_MAX, PATIENCE_MS);
    if (count <= 0)
        die("nothing came for %d s", PATIENCE_MS / 1000);
    return count;
}

/* -- requests, one at a time ------------------------------------------------------------------- */

static void make_request(struct connection *connection, const char *method, const char *path,
                         uint64_t size)
{
    free(connection->request);
    connection->request = must_have(REQUEST_SIZE + size);
    int head = snprintf(connection->request, REQUEST_SIZE,
                        "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
                        "Content-Length: %llu\r\n\r\n",
                        method, path, (unsigned long long)size);
    if (head < 0 || head >= REQUEST_SIZE)
        die("%s: too long", path);
    if (size > 0) {
        memset(connection->request + head, 'x', size - 1);
        connection->request[(size_t)head + size - 1] = LAST_BYTE;
    }
    connection->request_size = (size_t)head + size;
}

static void send_request(struct connection *connection)
{
    connection->answer_size = 0;
    connection->sent_ns = now_ns();
    send_all(connection->fd, connection->request, connection->request_size);
}

/* Whether all of the answer is there: it has a length, or chunks, or no body. */
static bool is_complete(const struct connection *connection)
{
    static const char last_chunk[] = "\r\n0\r\n\r\n";
    const size_t last_size = sizeof(last_chunk) - 1;
    const char *end = connection->answer + connection->answer_size;
    const char *body = strstr(connection->answer, "\r\n\r\n");
    if (body == NULL)
        return false;
    body += 4;
    if (strncmp(connection->answer, "HTTP/1.1 2", 10) != 0)
        die("the answer is no success: %s", connection->answer);
    if (strcasestr(connection->answer, "\r\ntransfer-encoding: chunked\r\n") != NULL)
        return memcmp(end - last_size, last_chunk, last_size) == 0;
    const char *length = strcasestr(connection->answer, "\r\ncontent-length:");
    size_t size = length != NULL && length < body ? strtoul(length + 17, NULL, 10) : 0;
    if ((size_t)(end - body) > size)
        die("more than was asked for: %s", connection->answer);
    return (size_t)(end - body) == size;
}

/* True: the answer is complete. */
static bool take_answer(struct connection *connection)
{
    size_t room = ANSWER_SIZE - 1 - connection->answer_size;
    if (room == 0)
        die("an answer is too long");
    connection->answer_size +=
        receive(connection->fd, connection->answer + connection->answer_size, room);
    connection->answer[connection->answer_size] = '\0';
    return is_complete(connection);
}

static void ask(struct connection *connection, int epoll)
{
    struct epoll_event events[EVENTS_MAX];
    send_request(connection);
    do
        (void)wait_for_some(epoll, events);
    while (!take_answer(connection));
}

/* -- fanout ------------------------------------------------------------------------------------ */

static void open_reader(struct reader *reader, int epoll, const char *at, const char *path)
{
    char request[REQUEST_SIZE];
    int size =
        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", path);
    reader->fd = connect_to(at);
    send_all(reader->fd, request, (size_t)size);
    while (strstr(reader->head, "\r\n\r\n") == NULL) {
        ssize_t got = recv(reader->fd, reader->head + reader->head_size,
                           ANSWER_SIZE - 1 - reader->head_size, 0);
        if (got <= 0)
            die("no answer to a reader: %s", reader->head);
        reader->head_size += (uint32_t)got;
    }
    if (strncmp(reader->head, "HTTP/1.1 200", 12) != 0)
        die("a reader is not let in: %s", reader->head);
    watch(epoll, reader->fd, reader);
}

/* Returns how many events ended. */
static uint32_t take_bytes(struct reader *reader)
{
    uint32_t ended = 0;
    size_t size = receive(reader->fd, buffer, BUFFER_SIZE);
    const char *end = buffer + size;
    for (const char *at = buffer; (at = memchr(at, LAST_BYTE, (size_t)(end - at))) != NULL; at++)
        ended++;
    reader->events += ended;
    return ended;
}

struct fanout {
    int epoll;
    struct connection post;
    struct reader *readers;
    struct hist last;     /* from before the POST to the last reader, ns */
    struct hist answered; /* to the POST's answer */
};

/* Every reader gets the event once. */
static void run_round(struct fanout *fanout, const struct load *load, bool counts)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t left = load->readers;
    bool has_answer = false;
    send_request(&fanout->post);
    uint64_t answered_ns = 0;
    while (left > 0 || !has_answer) {
        int count = wait_for_some(fanout->epoll, events);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr != &fanout->post) {
                left -= take_bytes(events[i].data.ptr);
                continue;
            }
            has_answer = take_answer(&fanout->post);
            answered_ns = now_ns();
        }
        if (left == 0 && counts) {
            hist_add(&fanout->last, now_ns() - fanout->post.sent_ns);
            counts = false;
        }
    }
    hist_add(&fanout->answered, answered_ns - fanout->post.sent_ns);
}

static void check_readers(const struct fanout *fanout, const struct load *load)
{
    for (uint64_t i = 0; i < load->readers; i++)
        if (fanout->readers[i].events != load->rounds + ROUNDS_TO_WARM)
            die("a reader has %u events", fanout->readers[i].events);
}

static void run_fanout(char **words, const struct load *load)
{
    static struct fanout fanout;
    fanout.epoll = epoll_create1(EPOLL_CLOEXEC);
    fanout.readers = must_have(load->readers * sizeof(*fanout.readers));
    fanout.post.fd = connect_to(words[2]);
    make_request(&fanout.post, "POST", words[3], load->size);
    watch(fanout.epoll, fanout.post.fd, &fanout.post);
    for (uint64_t i = 0; i < load->readers; i++)
        open_reader(&fanout.readers[i], fanout.epoll, words[0], words[1]);
    for (uint64_t i = 0; i < ROUNDS_TO_WARM; i++)
        run_round(&fanout, load, false);
    for (uint64_t i = 0; i < load->rounds; i++)
        run_round(&fanout, load, true);
    check_readers(&fanout, load);
    printf("{\"readers\":%llu,\"rounds\":%llu,\"size\":%llu,\"last_p50_us\":%.1f,"
           "\"last_max_us\":%.1f,\"answer_p50_us\":%.1f}\n",
           (unsigned long long)load->readers, (unsigned long long)load->rounds,
           (unsigned long long)load->size, us(&fanout.last, 50), us(&fanout.last, 100),
           us(&fanout.answered, 50));
}

/* -- post -------------------------------------------------------------------------------------- */

static struct connection *open_connections(char **words, const struct load *load, int epoll)
{
    char path[REQUEST_SIZE];
    struct connection *connections = must_have(load->connections * sizeof(*connections));
    for (uint64_t i = 0; i < load->connections; i++) {
        struct connection *connection = &connections[i];
        (void)snprintf(path, sizeof(path), "%s%llu", words[1], (unsigned long long)i);
        connection->fd = connect_to(words[0]);
        watch(epoll, connection->fd, connection);
        if (load->put > 0) {
            make_request(connection, "PUT", path, 0);
            ask(connection, epoll);
        }
        make_request(connection, "POST", path, load->size);
    }
    return connections;
}

static void run_post(char **words, const struct load *load)
{
    static struct hist latency;
    struct epoll_event events[EVENTS_MAX];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection *connections = open_connections(words, load, epoll);
    uint64_t started_ns = now_ns();
    uint64_t sent = 0;
    uint64_t answered = 0;
    for (; sent < load->connections && sent < load->count; sent++)
        send_request(&connections[sent]);
    while (answered < load->count) {
        int count = wait_for_some(epoll, events);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!take_answer(connection))
                continue;
            hist_add(&latency, now_ns() - connection->sent_ns);
            answered++;
            if (sent++ < load->count)
                send_request(connection);
        }
    }
    double s = (double)(now_ns() - started_ns) / 1e9;
    printf("{\"events\":%llu,\"connections\":%llu,\"size\":%llu,\"events_per_second\":%.0f,"
           "\"answer_p50_us\":%.1f,\"answer_p99_us\":%.1f}\n",
           (unsigned long long)load->count, (unsigned long long)load->connections,
           (unsigned long long)load->size, (double)load->count / s, us(&latency, 50),
           us(&latency, 99));
}

/* -- the command line -------------------------------------------------------------------------- */

static void parse_word(struct load *load, const char *word)
{
    const struct number numbers[] = {
        {"readers=", &load->readers, 1, COUNT_MAX},
        {"rounds=", &load->rounds, 1, COUNT_MAX},
        {"connections=", &load->connections, 1, COUNT_MAX},
        {"count=", &load->count, 1, COUNT_MAX},
        {"size=", &load->size, 1, COUNT_MAX},
        {"put=", &load->put, 0, 1},
    };
    parse_number(numbers, sizeof(numbers) / sizeof(numbers[0]), word);
}

static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    struct load load = {
        .readers = 5000, .rounds = 20, .connections = 50, .count = 20000, .size = 100};
    bool is_fanout = argc > 1 && strcmp(argv[1], "fanout") == 0;
    int fixed = is_fanout ? 6 : 4;
    if (argc < fixed || (!is_fanout && strcmp(argv[1], "post") != 0))
        die("usage: fanout READ_AT READ_PATH POST_AT POST_PATH | post AT PATH, name=value ...");
    for (int i = fixed; i < argc; i++)
        parse_word(&load, argv[i]);
    allow_descriptors();
    if (is_fanout)
        run_fanout(argv + 2, &load);
    else
        run_post(argv + 2, &load);
    return 0;
}
