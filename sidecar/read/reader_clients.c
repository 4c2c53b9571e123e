/* SPDX-License-Identifier: Apache-2.0 */
/* reader_clients: CLIENTS: who is connected, and how far behind.
 *
 * Who is connected is read from the descriptors, how far behind from the subscriptions of those
 * that the outbox knows. Uid 0 and the daemon's own uid see everybody; they may kill the daemon
 * anyway. Others see their own processes: pids and programs of other users are not theirs to know.
 */
#include <unistd.h>

#include "read/reader_base.h"

enum {
    CLIENTS_PAGE_MAX = 32,
    LOOKS_MAX = 16384, /* subscriptions that a page looks at: a client may have a million */
};

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

static struct wire_client *client_of(const struct outbox_peer *peer, struct wire_client *clients,
                                     size_t count)
{
    struct wire_client *client = find(clients, count, peer->fd);
    bool same = client && client->socket == WIRE_READ && client->uid == peer->user->uid;
    return same ? client : NULL;
}

/* What the outbox knows of these connections. */
static void add_known(struct reader *reader, struct wire_client *clients, size_t count)
{
    struct outbox_peer *peer = NULL;
    while ((peer = outbox_next(reader->outbox, peer)) != NULL) {
        struct wire_client *client = client_of(peer, clients, count);
        if (!client)
            continue;
        client->subscriptions += subscriptions_of_peer(peer);
        client->waiting += outbox_held(reader->outbox, peer);
    }
}

/* How many of the rows one page has looks for; the first one always comes. */
static size_t within_looks(const struct wire_client *clients, size_t count)
{
    uint64_t looks = 0;
    size_t within = 0;
    while (within < count && (within == 0 || looks + clients[within].subscriptions <= LOOKS_MAX))
        looks += clients[within++].subscriptions;
    return within;
}

/* How far their subscriptions are behind. */
static void add_lag(struct reader *reader, struct wire_client *clients, size_t count)
{
    size_t looks = LOOKS_MAX;
    struct outbox_peer *peer = NULL;
    while ((peer = outbox_next(reader->outbox, peer)) != NULL) {
        struct wire_client *client = client_of(peer, clients, count);
        if (!client)
            continue;
        struct subscriptions_lag lag = subscriptions_lag_of(reader->subscriptions, peer, &looks);
        client->behind += lag.behind;
        client->lag = lag.most > client->lag ? lag.most : client->lag;
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
    if (page.count > 0)
        roster_cut(&page, rows, within_looks(clients, page.count));
    add_lag(reader, clients, page.count);
    reader->listed = true;
    answer(reader, caller, &page, clients);
    return SPN_OK;
}
