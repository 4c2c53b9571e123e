/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "context.h"

#define INGEST_NAME "ingest.sock"
#define READ_NAME "read.sock"
#define RUN_DIR "/run/sponson"

enum {
    DESCRIPTORS_NEEDED = 12,
    /* In messages. The window bounds what is in flight. This bounds what can pile up at level none,
     * which has no window. */
    INGEST_SEND_HWM = 128,
    /* The senders bound what goes out on read.sock: a hundred questions, one SUBSCRIBE for each
     * subscription, a CREDIT a second. */
    READ_SEND_HWM = 1 << 20,
    RECEIVE_HWM = 1024,
    /* While the sidecar is away, ZeroMQ tries to reconnect less and less often. A sidecar that has
     * no descriptors left accepts each connection and closes it. ZeroMQ counts that as a success
     * and tries again after the first of these times: with 20 ms the clients of one program were
     * refused thousands of times a second. */
    RECONNECT_MS = 100,
    RECONNECT_MAX_MS = 1000,
};

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* -- where ------------------------------------------------------------------------------------- */

static spn_err check_path(const char *dir, char *words, size_t words_size)
{
    size_t limit = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    size_t length = strlen(dir) + strlen("/" INGEST_NAME);
    if (length <= limit)
        return SPN_OK;
    snprintf(words, words_size, "socket path is %zu bytes long, the limit is %zu: %s/" INGEST_NAME,
             length, limit, dir);
    return SPN_E_PATH;
}

static const char *name_of(enum transport_name name)
{
    return name == TRANSPORT_READ ? READ_NAME : INGEST_NAME;
}

/* False: see errno. mode: as for access(), of the effective user. */
static bool has_socket(const char *dir, enum transport_name name, int mode)
{
    char path[TRANSPORT_DIR_SIZE + sizeof("/" INGEST_NAME)];
    snprintf(path, sizeof(path), "%s/%s", dir, name_of(name));
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

static bool has_sockets(const char *dir)
{
    return has_socket(dir, TRANSPORT_INGEST, F_OK) || has_socket(dir, TRANSPORT_READ, F_OK);
}

enum transport_name transport_first(const char *dir)
{
    bool writes_only =
        !has_socket(dir, TRANSPORT_READ, W_OK) && has_socket(dir, TRANSPORT_INGEST, W_OK);
    return writes_only ? TRANSPORT_INGEST : TRANSPORT_READ;
}

static void say_denied(const char *dir, enum transport_name name, int error, char *words,
                       size_t words_size)
{
    char text[128];
    const char *hint = error == EACCES ? " (see sponsond --socket-group)" : "";
    snprintf(words, words_size, "%s/%s: %s%s", dir, name_of(name),
             strerror_r(error, text, sizeof(text)), hint);
}

spn_err transport_check(const char *dir, enum transport_name name, char *words, size_t words_size)
{
    if (has_socket(dir, name, W_OK) || errno != EACCES)
        return SPN_OK;
    say_denied(dir, name, EACCES, words, words_size);
    return SPN_E_PATH;
}

static spn_err use(const char *dir, char ret_dir[TRANSPORT_DIR_SIZE], char *words,
                   size_t words_size)
{
    spn_err err = check_path(dir, words, words_size);
    if (err == SPN_OK)
        snprintf(ret_dir, TRANSPORT_DIR_SIZE, "%s", dir);
    return err;
}

/* The environment is read here and nowhere else; secure_getenv, so that a set-uid program does not
 * follow it. */
spn_err transport_find(const char *socket_dir, char ret_dir[TRANSPORT_DIR_SIZE], char *words,
                       size_t words_size)
{
    if (socket_dir != NULL)
        return use(socket_dir, ret_dir, words, words_size);

    const char *own = secure_getenv("SPONSON_SOCKET_DIR");
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    char user_dir[PATH_MAX] = "";
    if (runtime != NULL && runtime[0] == '/')
        snprintf(user_dir, sizeof(user_dir), "%s/sponson", runtime);
    /* A directory that is named is used as it is: another sidecar's directory would be the wrong
     * one. */
    if (own != NULL && own[0] != '\0')
        return use(own, ret_dir, words, words_size);

    const char *candidates[] = {RUN_DIR, user_dir};
    size_t used = 0;
    const char *denied = NULL;
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        if (candidates[i][0] == '\0')
            continue;
        if (has_sockets(candidates[i]))
            return use(candidates[i], ret_dir, words, words_size);
        if (errno == EACCES && denied == NULL)
            denied = candidates[i];
        int wrote = snprintf(words + used, words_size - used, "%s%s",
                             used == 0 ? "no sockets in " : ", ", candidates[i]);
        if (wrote > 0 && (size_t)wrote < words_size - used)
            used += (size_t)wrote;
    }
    if (denied == NULL)
        return SPN_E_UNAVAILABLE;
    say_denied(denied, TRANSPORT_READ, EACCES, words, words_size);
    return SPN_E_SYSTEM;
}

spn_err transport_probe(const char *dir, enum transport_name name, char *words, size_t words_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (check_path(dir, words, words_size) != SPN_OK)
        return SPN_E_PATH;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name_of(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return SPN_E_TIMEOUT; /* all that is known is that there was no answer */
    int error = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    close(fd);
    if (error == ENOENT || error == ECONNREFUSED)
        return SPN_E_UNAVAILABLE;
    if (error == 0 || error == EAGAIN || error == EINTR) /* EAGAIN: its backlog is full */
        return SPN_E_TIMEOUT;
    say_denied(dir, name, error, words, words_size);
    return SPN_E_PATH;
}

/* -- sockets ----------------------------------------------------------------------------------- */

static spn_err set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

static spn_err open_port(void *context, int send_hwm, struct transport_port *ret_port)
{
    const struct {
        int option;
        int value;
    } settings[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_SNDHWM, send_hwm},
        {ZMQ_RCVHWM, RECEIVE_HWM},
        {ZMQ_IMMEDIATE, 1},
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
    };
    int fd = -1;
    size_t fd_size = sizeof(fd);
    spn_err err = SPN_OK;

    void *socket = zmq_socket(context, ZMQ_DEALER);
    if (socket == NULL)
        return errno == ENOMEM ? SPN_E_NOMEM : SPN_E_SYSTEM;
    for (size_t i = 0; err == SPN_OK && i < sizeof(settings) / sizeof(settings[0]); i++)
        err = set_int(socket, settings[i].option, settings[i].value);
    if (err == SPN_OK && zmq_getsockopt(socket, ZMQ_FD, &fd, &fd_size) != 0)
        err = SPN_E_SYSTEM;
    if (err == SPN_OK) {
        *ret_port = (struct transport_port){.socket = socket, .fd = fd, .touched = true};
        return SPN_OK;
    }
    int saved = errno;
    zmq_close(socket);
    errno = saved;
    return err;
}

/* EINTR: a signal arrived before the call did anything; the call is repeated. */
static spn_err connect_to(void *socket, const char *endpoint)
{
    while (zmq_connect(socket, endpoint) != 0)
        if (errno != EINTR)
            return SPN_E_SYSTEM;
    return SPN_OK;
}

static spn_err connect_socket(void *socket, const char *dir, const char *name)
{
    char endpoint[TRANSPORT_DIR_SIZE + 32];
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", dir, name);
    return connect_to(socket, endpoint);
}

/* The same: what was begun is undone by then. */
static spn_err start_monitor(void *socket, const char *endpoint)
{
    const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;
    while (zmq_socket_monitor(socket, endpoint, events) != 0)
        if (errno != EINTR)
            return SPN_E_SYSTEM;
    return SPN_OK;
}

static spn_err watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

static spn_err open_descriptors(struct transport *transport)
{
    transport->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    transport->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    transport->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (transport->epoll_fd < 0 || transport->timer_fd < 0 || transport->event_fd < 0)
        return SPN_E_SYSTEM;
    spn_err err = watch(transport->epoll_fd, transport->timer_fd);
    return err == SPN_OK ? watch(transport->epoll_fd, transport->event_fd) : err;
}

/* Called before the socket connects, so that no connection is missed. The monitor's queue has no
 * bound, since ZeroMQ's own thread would wait for room in it. It holds a few bytes for each
 * connection that no look has seen yet. */
static spn_err open_monitor(void *context, struct transport_socket *socket)
{
    static atomic_uint_fast64_t opened; /* names each monitor: all clients share one context */
    struct transport_port *monitor = &socket->monitor;
    char endpoint[64];
    size_t fd_size = sizeof(monitor->fd);
    snprintf(endpoint, sizeof(endpoint), "inproc://monitor-%" PRIuFAST64,
             atomic_fetch_add_explicit(&opened, 1, memory_order_relaxed));
    if (start_monitor(socket->port.socket, endpoint) != SPN_OK)
        return SPN_E_SYSTEM;
    monitor->touched = true;
    monitor->socket = zmq_socket(context, ZMQ_PAIR);
    if (monitor->socket == NULL)
        return errno == ENOMEM ? SPN_E_NOMEM : SPN_E_SYSTEM;
    if (set_int(monitor->socket, ZMQ_RCVHWM, 0) != SPN_OK ||
        set_int(monitor->socket, ZMQ_LINGER, 0) != SPN_OK ||
        connect_to(monitor->socket, endpoint) != SPN_OK ||
        zmq_getsockopt(monitor->socket, ZMQ_FD, &monitor->fd, &fd_size) != 0)
        return SPN_E_SYSTEM;
    return SPN_OK;
}

/* libzmq 4.3.4 aborts the process when it finds no descriptor for its threads and their mailboxes.
 * The first socket of a process takes 7 with its monitor and the threads, another one takes 3. Its
 * connection follows later. */
static bool has_descriptors(void)
{
    int taken[DESCRIPTORS_NEEDED];
    size_t count = 0;
    while (count < DESCRIPTORS_NEEDED && (taken[count] = eventfd(0, EFD_CLOEXEC)) >= 0)
        count++;
    bool enough = count == DESCRIPTORS_NEEDED;
    int saved = errno;
    while (count > 0)
        close(taken[--count]);
    errno = saved;
    return enough;
}

spn_err transport_open(struct transport *transport, int send_hwm)
{
    *transport = (struct transport){
        .send_hwm = send_hwm > 0 ? send_hwm : INGEST_SEND_HWM,
        .epoll_fd = -1,
        .timer_fd = -1,
        .event_fd = -1,
        .armed_ns = TRANSPORT_NEVER,
    };
    spn_err err = context_get(&transport->context);
    if (err == SPN_OK)
        err = open_descriptors(transport);
    if (err != SPN_OK) {
        int saved = errno;
        transport_close(transport, 0);
        errno = saved;
    }
    return err;
}

/* Stop the monitor's events before its socket closes: ZeroMQ's thread would wait for a reader. */
static void close_socket(struct transport_socket *socket, int linger_ms)
{
    if (socket->port.socket != NULL) {
        (void)zmq_socket_monitor(socket->port.socket, NULL, 0);
        (void)zmq_setsockopt(socket->port.socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
        zmq_close(socket->port.socket);
    }
    if (socket->monitor.socket != NULL)
        zmq_close(socket->monitor.socket);
    *socket = (struct transport_socket){0};
}

static spn_err open_socket(struct transport *transport, enum transport_name name)
{
    struct transport_socket *socket = transport_socket(transport, name);
    int send_hwm = name == TRANSPORT_READ ? READ_SEND_HWM : transport->send_hwm;
    if (socket->port.socket != NULL)
        return SPN_OK;
    if (!has_descriptors())
        return SPN_E_SYSTEM;
    spn_err err = open_port(transport->context, send_hwm, &socket->port);
    if (err == SPN_OK)
        err = open_monitor(transport->context, socket);
    if (err == SPN_OK)
        err = connect_socket(socket->port.socket, transport->dir, name_of(name));
    if (err == SPN_OK)
        err = watch(transport->epoll_fd, socket->port.fd);
    if (err == SPN_OK)
        err = watch(transport->epoll_fd, socket->monitor.fd);
    if (err != SPN_OK) {
        int saved = errno;
        close_socket(socket, 0);
        errno = saved;
    }
    return err;
}

spn_err transport_use(struct transport *transport, enum transport_name name)
{
    struct transport_socket *socket = transport_socket(transport, name);
    socket->wanted = true;
    return transport->dir != NULL ? open_socket(transport, name) : SPN_OK;
}

spn_err transport_connect(struct transport *transport, const char *dir)
{
    spn_err err = SPN_OK;
    transport->dir = dir;
    if (transport->read.wanted)
        err = open_socket(transport, TRANSPORT_READ);
    if (err == SPN_OK && transport->ingest.wanted)
        err = open_socket(transport, TRANSPORT_INGEST);
    return err;
}

static void close_descriptors(struct transport *transport)
{
    const int fds[] = {transport->epoll_fd, transport->timer_fd, transport->event_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

void transport_close(struct transport *transport, int linger_ms)
{
    if (transport->context == NULL)
        return;
    close_descriptors(transport);
    close_socket(&transport->ingest, linger_ms);
    close_socket(&transport->read, 0);
    context_put();
    *transport = (struct transport){0};
}

void transport_abandon(struct transport *transport)
{
    close_descriptors(transport);
    *transport = (struct transport){0};
}

/* -- looking, sending, receiving --------------------------------------------------------------- */

enum { PORTS = 4 };

/* A monitor comes before its socket here and below. A connection exists before its event on the
 * monitor, so the socket, which comes later, knows every connection that an event reported. */
static void list_ports(struct transport *transport, struct transport_port *ports[PORTS])
{
    ports[0] = &transport->ingest.monitor;
    ports[1] = &transport->read.monitor;
    ports[2] = &transport->ingest.port;
    ports[3] = &transport->read.port;
}

/* EINTR: a signal arrived during a call that never blocks; the call is repeated. */
static void ask_events(struct transport_port *port)
{
    size_t size = sizeof(port->events);
    while (zmq_getsockopt(port->socket, ZMQ_EVENTS, &port->events, &size) != 0 && errno == EINTR)
        continue;
    port->touched = false;
}

/* time NULL: waits without a limit. A negative result: see errno. */
static int wait_for_news(struct transport *transport, const struct timespec *time)
{
    struct transport_port *ports[PORTS];
    struct pollfd fds[PORTS];
    list_ports(transport, ports);
    for (size_t i = 0; i < PORTS; i++)
        fds[i] =
            (struct pollfd){.fd = ports[i]->socket != NULL ? ports[i]->fd : -1, .events = POLLIN};
    int ready = ppoll(fds, PORTS, time, NULL);
    for (size_t i = 0; ready > 0 && i < PORTS; i++)
        if (fds[i].revents != 0)
            ports[i]->touched = true;
    return ready;
}

void transport_look_again(struct transport *transport)
{
    struct transport_port *ports[PORTS];
    list_ports(transport, ports);
    for (size_t i = 0; i < PORTS; i++)
        if (ports[i]->touched && ports[i]->socket != NULL)
            ask_events(ports[i]);
}

void transport_look(struct transport *transport)
{
    static const struct timespec at_once = {0};
    struct transport_port *ports[PORTS];
    list_ports(transport, ports);
    if (wait_for_news(transport, &at_once) < 0) /* then the events of all of them are unknown */
        for (size_t i = 0; i < PORTS; i++)
            ports[i]->touched = true;
    transport_look_again(transport);
}

spn_err transport_send(struct transport_socket *socket, zmq_msg_t *message)
{
    if (!socket->connected)
        return SPN_E_BACKPRESSURE;
    socket->port.touched = true;
    while (zmq_msg_send(message, socket->port.socket, ZMQ_DONTWAIT) < 0) {
        if (errno == EAGAIN)
            return SPN_E_BACKPRESSURE;
        if (errno != EINTR)
            return SPN_E_SYSTEM;
    }
    return SPN_OK;
}

spn_err transport_receive(struct transport_port *port, zmq_msg_t *message)
{
    if (port->socket == NULL || (!port->touched && (port->events & ZMQ_POLLIN) == 0))
        return SPN_E_END;
    port->touched = true;
    while (zmq_msg_recv(message, port->socket, ZMQ_DONTWAIT) < 0) {
        if (errno == EAGAIN)
            return SPN_E_END;
        if (errno != EINTR)
            return SPN_E_SYSTEM;
    }
    return SPN_OK;
}

/* An event of the monitor has two frames: its number with a value, and an address. */
bool transport_is_fresh(struct transport_socket *socket)
{
    bool fresh = false;
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    while (transport_receive(&socket->monitor, &frame) == SPN_OK) {
        uint16_t event;
        if (zmq_msg_more(&frame) == 0 || zmq_msg_size(&frame) < sizeof(event))
            continue;
        memcpy(&event, zmq_msg_data(&frame), sizeof(event));
        socket->connected = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        fresh = fresh || socket->connected;
        socket->port.touched = true;
    }
    zmq_msg_close(&frame);
    return fresh;
}

/* -- waiting ----------------------------------------------------------------------------------- */

static void arm(struct transport *transport, uint64_t due_ns, uint64_t now_ns)
{
    struct itimerspec when = {0};
    if (due_ns != TRANSPORT_NEVER) {
        uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 1; /* all zeros would disarm it */
        when.it_value.tv_sec = (time_t)(left_ns / NS_PER_S);
        when.it_value.tv_nsec = (long)(left_ns % NS_PER_S);
    }
    timerfd_settime(transport->timer_fd, 0, &when, NULL);
    transport->armed_ns = due_ns;
}

/* A timer that expires too early costs one look. So the timer is set only if it would expire too
 * late or has expired, not each time an acknowledgement postpones a deadline. */
void transport_settle(struct transport *transport, bool ready, uint64_t due_ns, uint64_t now_ns)
{
    if (due_ns < transport->armed_ns || transport->armed_ns <= now_ns)
        arm(transport, due_ns, now_ns);
    if (ready == transport->signalled)
        return;
    uint64_t count = 1;
    ssize_t done = ready ? write(transport->event_fd, &count, sizeof(count))
                         : read(transport->event_fd, &count, sizeof(count));
    assert(done == (ssize_t)sizeof(count));
    (void)done;
    transport->signalled = ready;
}

void transport_sleep(struct transport *transport, uint64_t until_ns, uint64_t now_ns)
{
    struct timespec left = {0};
    if (until_ns != TRANSPORT_NEVER && until_ns > now_ns) {
        left.tv_sec = (time_t)((until_ns - now_ns) / NS_PER_S);
        left.tv_nsec = (long)((until_ns - now_ns) % NS_PER_S);
    }
    (void)wait_for_news(transport, until_ns == TRANSPORT_NEVER ? NULL : &left);
}
