/* SPDX-License-Identifier: Apache-2.0 */
/* reader_clients: CLIENTS: who is connected, and how far behind.
 *
 * Who is connected is read from the descriptors, how far behind from the subscriptions of those
 * that the outbox knows. Uid 0 and the daemon's own uid see everybody; they may kill the daemon
 * anyway. Others see their own processes: pids and programs of other users are not theirs to know.
 */
#include <unistd.h>

#include "read/reader_base.h"

enum { CLIENTS_PAGE_MAX = 256 };

static struct roster_view view_of(const struct outbox_peer *peer)
{
    uid_t uid = peer->user->uid;
    return (struct roster_view){.uid = uid, .all = uid == 0 || uid == geteuid()};
}

/* rows: in the order of their descriptors. NULL: none has this one. */
static struct wire_client *find(struct wire_client *clients, size_t count, int fd)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (clients[middle].number == (uint32_t)fd)
            return &clients[middle];
        if (clients[middle].number < (uint32_t)fd)
            low = middle + 1;
        else
            count = middle;
    }
    return NULL;
}

/* What the outbox and the subscriptions know of these connections. */
static void add_known(struct reader *reader, struct wire_client *clients, size_t count)
{
    struct outbox_peer *peer = NULL;
    while ((peer = outbox_next(reader->outbox, peer)) != NULL) {
        struct wire_client *client = find(clients, count, peer->fd);
        if (!client || client->socket != WIRE_READ || client->uid != peer->user->uid)
            continue;
        struct subscriptions_lag lag = subscriptions_lag_of(reader->subscriptions, peer);
        client->subscriptions += subscriptions_of_peer(peer);
        client->behind += lag.behind;
        client->lag = lag.most > client->lag ? lag.most : client->lag;
        client->waiting += outbox_held(reader->outbox, peer);
    }
}

static void answer(struct reader *reader, struct caller caller, const struct roster_page *page,
                   const struct wire_client *clients)
{
    size_t size_max = WIRE_HEADER_SIZE + 12 + page->count * WIRE_CLIENT_SIZE_MAX;
    static uint8_t bytes[WIRE_HEADER_SIZE + 12 + CLIENTS_PAGE_MAX * WIRE_CLIENT_SIZE_MAX];
    if (!reader_has_room(reader, caller, size_max))
        return;
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_CLIENTS_ARE, caller.request);
    wire_put_clients_are(&out, &(struct wire_clients_are){.count = (uint32_t)page->count,
                                                          .next = (uint32_t)page->next,
                                                          .hidden = page->hidden});
    for (size_t i = 0; i < page->count; i++)
        wire_put_client(&out, &clients[i]);
    reader_send_bytes(reader, caller, &out);
}

spn_err reader_request_clients(struct reader *reader, struct caller caller, struct wire_in in)
{
    static struct roster_row rows[CLIENTS_PAGE_MAX];
    static struct wire_client clients[CLIENTS_PAGE_MAX];
    struct wire_clients request;
    struct roster_page page = {0};
    wire_get_clients(&in, &request);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    size_t count_max = request.count_max < CLIENTS_PAGE_MAX ? request.count_max : CLIENTS_PAGE_MAX;
    struct roster_view view = view_of(caller.peer);
    if (reader->options.connections && request.after < CONNECTIONS_FD_MAX)
        page = roster_page(reader->options.connections, (int)request.after, &view, rows, count_max);
    for (size_t i = 0; i < page.count; i++)
        clients[i] = (struct wire_client){
            .number = (uint32_t)rows[i].fd,
            .pid = (uint32_t)rows[i].pid,
            .uid = rows[i].uid,
            .socket = (uint8_t)rows[i].socket,
            .program = {rows[i].program, strlen(rows[i].program)},
        };
    add_known(reader, clients, page.count);
    answer(reader, caller, &page, clients);
    return SPN_OK;
}
