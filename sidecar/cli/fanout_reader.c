/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fanout_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/publisher.h"

enum { READY_MAX = 64 };

/* -- in the process ---------------------------------------------------------------------------- */

/* The state of one process. */
struct readers {
    const struct fanout_reader *own;
    spn_client **clients;
    int epoll_fd;
    int tell_fd;
    uint64_t rounds; /* that all subscribers have received */
    size_t left;     /* subscribers that have not received the next one */
};

static void tell(const struct readers *readers, char what)
{
    while (write(readers->tell_fd, &what, 1) < 0 && errno == EINTR)
        continue;
}

static spn_err open_client(const struct readers *readers, size_t index)
{
    const struct spn_client_options options = {.size = sizeof(options),
                                               .socket_dir = readers->own->socket_dir};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = index};
    spn_err err =
        spn_client_open(&readers->clients[index], &options, readers->own->timeout_ms, NULL, 0);
    if (err != SPN_OK)
        return err;
    int fd = spn_client_fd(readers->clients[index]);
    return epoll_ctl(readers->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

/* The session's first event is not measured: a subscriber that has received it is in place. */
static spn_err open_subscriber(const struct readers *readers, size_t index)
{
    const struct spn_subscription_options from = {
        .size = sizeof(from), .start = SPN_EARLIEST, .otherwise = SPN_WAIT};
    spn_subscription *subscription;
    spn_err err = spn_subscribe(&subscription, readers->clients[index % readers->own->client_count],
                                readers->own->session, &from);
    if (err == SPN_OK)
        spn_subscription_set_context(subscription, &readers->own->received_ns[index]);
    return err;
}

/* Notes an event of the current round. */
static void note_event(struct readers *readers, uint64_t *received_ns)
{
    *received_ns = publisher_now_ns();
    if (--readers->left > 0)
        return;
    readers->left = readers->own->count;
    tell(readers, readers->rounds++ == 0 ? FANOUT_READY : FANOUT_ROUND);
}

static spn_err take_items(struct readers *readers, size_t index)
{
    spn_client *client = readers->clients[index];
    spn_subscription *from;
    const struct spn_item *item;
    spn_err err = spn_client_step(client);
    while (err == SPN_OK) {
        err = spn_next_of_any(client, 0, &from, &item);
        if (err == SPN_OK && item->kind == SPN_ITEM_EVENT)
            note_event(readers, spn_subscription_context(from));
        if (err == SPN_OK && item->kind == SPN_ITEM_END)
            err = item->why != SPN_OK ? item->why : SPN_E_END;
    }
    return err == SPN_E_TIMEOUT ? SPN_OK : err;
}

static spn_err serve(struct readers *readers)
{
    struct epoll_event ready[READY_MAX];
    for (;;) {
        int count = epoll_wait(readers->epoll_fd, ready, READY_MAX, -1);
        if (count < 0 && errno != EINTR)
            return SPN_E_SYSTEM;
        for (int i = 0; i < count; i++) {
            spn_err err = take_items(readers, ready[i].data.u64);
            if (err != SPN_OK)
                return err;
        }
    }
}

static spn_err open_all(struct readers *readers)
{
    size_t count = readers->own->count;
    spn_err err = SPN_OK;
    readers->left = count;
    readers->clients = calloc(readers->own->client_count, sizeof(spn_client *));
    if (!readers->clients)
        return SPN_E_NOMEM;
    readers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (readers->epoll_fd < 0)
        return SPN_E_SYSTEM;
    for (size_t i = 0; err == SPN_OK && i < readers->own->client_count; i++)
        err = open_client(readers, i);
    for (size_t i = 0; err == SPN_OK && i < count; i++)
        err = open_subscriber(readers, i);
    return err;
}

/* Runs until it fails, or is killed by its parent or with it. */
static _Noreturn void run(const struct fanout_reader *own, int tell_fd, pid_t parent)
{
    struct readers readers = {.own = own, .tell_fd = tell_fd};
    signal(SIGINT, SIG_IGN); /* the parent decides when to end */
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(CLI_FAILURE);
    spn_err err = open_all(&readers);
    if (err == SPN_OK)
        err = serve(&readers);
    cli_fail("subscriber", err, NULL);
    tell(&readers, FANOUT_FAILED);
    _exit(CLI_FAILURE);
}

/* -- in the parent ----------------------------------------------------------------------------- */

spn_err fanout_reader_start(struct fanout_reader *reader)
{
    int told[2];
    pid_t parent = getpid();
    if (pipe2(told, O_CLOEXEC) != 0)
        return SPN_E_SYSTEM;
    pid_t pid = fork();
    if (pid == 0)
        run(reader, told[1], parent);
    close(told[1]);
    if (pid < 0) {
        close(told[0]);
        return SPN_E_SYSTEM;
    }
    reader->told_fd = told[0];
    reader->pid = pid;
    return SPN_OK;
}

void fanout_reader_stop(struct fanout_reader *reader)
{
    if (reader->pid > 0) {
        close(reader->told_fd);
        kill(reader->pid, SIGKILL); /* it has no data to lose, and a thousand threads to end */
        waitpid(reader->pid, NULL, 0);
    }
    reader->pid = 0;
}

spn_err fanout_reader_wait(const struct fanout_reader *reader, int timeout_ms, char expected)
{
    struct pollfd told = {.fd = reader->told_fd, .events = POLLIN};
    char byte = FANOUT_FAILED;
    int count = poll(&told, 1, timeout_ms);
    if (count == 0 || (count < 0 && errno == EINTR))
        return SPN_E_TIMEOUT;
    if (count < 0 || read(reader->told_fd, &byte, 1) != 1)
        return SPN_E_SYSTEM;
    return byte == expected ? SPN_OK : SPN_E_SYSTEM;
}
