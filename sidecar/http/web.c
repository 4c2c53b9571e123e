/* SPDX-License-Identifier: Apache-2.0 */
#include "http/web_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http/head_guard.h"

enum { EVENTS_MAX = 64 }; /* of one epoll_wait */

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS UINT64_C(1000000)

/* -- doors ------------------------------------------------------------------------------------- */

/* The library's own timeout, in whole seconds: after it a connection ends on which nothing was sent
 * or received, unless it is suspended. Our deadlines come before it, but for answers that are not
 * read. */
static unsigned timeout_s(const struct web_options *options)
{
    uint64_t most_ns = options->stall_ns;
    if (options->header_ns > most_ns)
        most_ns = options->header_ns;
    if (options->body_idle_ns > most_ns)
        most_ns = options->body_idle_ns;
    return (unsigned)(most_ns / SECOND_NS) + 1;
}

static spn_err open_door(struct web *web, struct door *door)
{
    const struct web_options *options = &web->options;
    door->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, exchange_on_request, NULL,
        MHD_OPTION_LISTEN_SOCKET, door->given.fd, MHD_OPTION_CONNECTION_LIMIT,
        options->connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->header_limit,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)1024, MHD_OPTION_CONNECTION_TIMEOUT,
        timeout_s(options), MHD_OPTION_URI_LOG_CALLBACK, exchange_on_target, NULL,
        MHD_OPTION_UNESCAPE_CALLBACK, exchange_unescape_nothing, NULL, MHD_OPTION_NOTIFY_COMPLETED,
        exchange_on_over, NULL, MHD_OPTION_NOTIFY_CONNECTION, connection_on_change, door,
        MHD_OPTION_END);
    if (door->daemon == NULL)
        return SPN_E_SYSTEM;
    int fd = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(web->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

spn_err web_open(struct web **ret_web, const struct web_options *options,
                 const struct web_door *doors, size_t doors_count)
{
    assert(doors_count <= WEB_DOORS_MAX);
    struct web *web = calloc(1, sizeof(*web));
    if (web == NULL)
        return SPN_E_NOMEM;
    web->options = *options;
    link_init(&web->connections);
    head_guard_call(connection_replace_answer, connection_on_fault);
    web->epoll = epoll_create1(EPOLL_CLOEXEC);
    spn_err err = web->epoll < 0 ? SPN_E_SYSTEM : deadline_heap_init(&web->deadlines, 16);
    for (size_t i = 0; err == SPN_OK && i < doors_count; i++) {
        struct door *door = &web->doors[web->doors_count++];
        *door = (struct door){.web = web, .given = doors[i]};
        err = open_door(web, door);
    }
    if (err != SPN_OK)
        web_close(web);
    else
        *ret_web = web;
    return err;
}

void web_close(struct web *web)
{
    if (web == NULL)
        return;
    web->is_closing = true;
    for (struct link *link = web->connections.next; link != &web->connections; link = link->next) {
        struct connection *connection = LINK_OWNER(link, struct connection, link);
        if (connection->exchange != NULL)
            exchange_cut(connection->exchange);
    }
    for (size_t i = 0; i < web->doors_count; i++) {
        struct MHD_Daemon *daemon = web->doors[i].daemon;
        if (daemon == NULL)
            continue;
        (void)MHD_run(daemon); /* a daemon may not be stopped while a connection is suspended */
        MHD_stop_daemon(daemon);
    }
    deadline_heap_release(&web->deadlines);
    if (web->epoll >= 0)
        (void)close(web->epoll);
    free(web);
}

/* -- a turn ------------------------------------------------------------------------------------ */

int web_fd(const struct web *web)
{
    return web->epoll;
}

/* At its limit the library does not watch the listening socket. A run frees connections at its end,
 * and only the next one watches the socket again: it is due, or who waits at the door would wait
 * until something else happens. */
uint64_t web_due_ns(const struct web *web)
{
    const struct deadline *first = deadline_heap_first(&web->deadlines);
    uint64_t due_ns = first ? first->due_ns : UINT64_MAX;
    for (size_t i = 0; i < web->doors_count; i++) {
        MHD_UNSIGNED_LONG_LONG wait_ms;
        if (web->doors[i].is_due)
            return 0;
        if (MHD_get_timeout(web->doors[i].daemon, &wait_ms) != MHD_YES)
            continue;
        uint64_t end_ns = wait_ms == 0 ? 0 : web->options.now_ns() + wait_ms * MS_NS;
        if (end_ns < due_ns)
            due_ns = end_ns;
    }
    return due_ns;
}

static void run_doors(struct web *web)
{
    for (size_t i = 0; i < web->doors_count; i++) {
        web->doors[i].is_due = false;
        (void)MHD_run(web->doors[i].daemon);
    }
}

/* Ends what took too long at that time. True: there was something. */
static bool end_late(struct web *web, uint64_t now_ns)
{
    bool has_ended = false;
    struct deadline *due;
    while ((due = deadline_heap_pop(&web->deadlines, now_ns)) != NULL) {
        connection_on_deadline(LINK_OWNER(due, struct connection, deadline));
        has_ended = true;
    }
    return has_ended;
}

/* The peers that left come first: connections are freed only by MHD_run. Deadlines are those of a
 * time before what had arrived was read: a peer is not late because this process was. */
void web_turn(struct web *web)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now_ns = web->options.now_ns();
    int count = epoll_wait(web->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr != NULL)
            connection_on_event(events[i].data.ptr, events[i].events);
    run_doors(web);
    if (end_late(web, now_ns))
        run_doors(web);
}

void web_quiesce(struct web *web)
{
    for (size_t i = 0; i < web->doors_count; i++)
        (void)MHD_quiesce_daemon(web->doors[i].daemon);
}

const struct web_counts *web_counts(const struct web *web)
{
    return &web->counts;
}
