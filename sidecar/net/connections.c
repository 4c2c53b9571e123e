/* SPDX-License-Identifier: Apache-2.0 */
#include "net/connections.h"

#include <stdlib.h>
#include <string.h>

const char *connections_door_words(enum connections_door door)
{
    static const char *const words[CONNECTIONS_DOORS] = {
#define CONNECTIONS_DOOR_WORDS(name, text) text,
        CONNECTIONS_DOOR_MAP(CONNECTIONS_DOOR_WORDS)
#undef CONNECTIONS_DOOR_WORDS
    };
    return words[door];
}

void connections_init(struct connections *connections, unsigned fd_max, uid_t own_uid,
                      uint64_t held_max)
{
    memset(connections, 0, sizeof(*connections));
    connections->fd_max = fd_max < CONNECTIONS_FD_MAX ? fd_max : CONNECTIONS_FD_MAX;
    connections->own_uid = own_uid;
    connections->held_max = held_max;
}

void connections_release(struct connections *connections)
{
    for (size_t i = 0; i < sizeof(connections->pages) / sizeof(connections->pages[0]); i++)
        free(connections->pages[i]);
}

/* NULL: it has no record. */
static struct connection *record_of(const struct connections *connections, int fd)
{
    if (fd < 0 || fd >= CONNECTIONS_FD_MAX)
        return NULL;
    struct connection *page =
        atomic_load_explicit(&connections->pages[fd / CONNECTIONS_PER_PAGE], memory_order_acquire);
    return page ? &page[fd % CONNECTIONS_PER_PAGE] : NULL;
}

static struct connection *known_record(const struct connections *connections, int fd)
{
    struct connection *peer = record_of(connections, fd);
    return peer && atomic_load_explicit(&peer->known, memory_order_relaxed) ? peer : NULL;
}

static struct connection *make_record(struct connections *connections, int fd)
{
    if (!record_of(connections, fd)) {
        struct connection *page = calloc(CONNECTIONS_PER_PAGE, sizeof(*page));
        atomic_store_explicit(&connections->pages[fd / CONNECTIONS_PER_PAGE], page,
                              memory_order_release);
    }
    return record_of(connections, fd);
}

/* -- the door ---------------------------------------------------------------------------------- */

static struct connections_of_uid *count_of_uid(struct connections *connections, uid_t uid)
{
    for (unsigned i = 0; i < connections->uid_count; i++)
        if (connections->uids[i].uid == uid)
            return &connections->uids[i];
    return NULL;
}

static void add_to_uid(struct connections *connections, uid_t uid)
{
    struct connections_of_uid *of_uid = count_of_uid(connections, uid);
    if (of_uid)
        of_uid->count++;
    else if (connections->uid_count < CONNECTIONS_UIDS_MAX)
        connections->uids[connections->uid_count++] =
            (struct connections_of_uid){.uid = uid, .count = 1};
}

static void take_from_uid(struct connections *connections, uid_t uid)
{
    struct connections_of_uid *of_uid = count_of_uid(connections, uid);
    if (of_uid && --of_uid->count == 0)
        *of_uid = connections->uids[--connections->uid_count];
}

static bool has_more_than_half(struct connections *connections, uid_t uid)
{
    const struct connections_of_uid *of_uid = count_of_uid(connections, uid);
    return of_uid && of_uid->count > connections->count / 2;
}

static enum connections_door door_for(struct connections *connections, unsigned fd, uid_t uid)
{
    if (fd >= connections->fd_max)
        return CONNECTIONS_FULL;
    if (uid == 0 || uid == connections->own_uid)
        return CONNECTIONS_OPEN;
    if (fd + CONNECTIONS_KEPT >= connections->fd_max)
        return CONNECTIONS_FULL;
    if (fd >= connections->fd_max / 4 * 3 && has_more_than_half(connections, uid))
        return CONNECTIONS_SHARE;
    return CONNECTIONS_OPEN;
}

enum connections_door connections_enter(struct connections *connections, int fd, uid_t uid)
{
    enum connections_door door = door_for(connections, (unsigned)fd, uid);
    if (door != CONNECTIONS_OPEN)
        return door;
    struct connection *peer = make_record(connections, fd);
    if (!peer)
        return CONNECTIONS_NOMEM;
    memset(&peer->zmtp, 0, offsetof(struct zmtp, command));
    peer->uid = uid;
    peer->cut = false;
    peer->messages = 0;
    peer->began = 0;
    peer->held = 0;
    atomic_store_explicit(&peer->known, true, memory_order_relaxed);
    add_to_uid(connections, uid);
    connections->count++;
    return CONNECTIONS_OPEN;
}

bool connections_is_known(const struct connections *connections, int fd)
{
    return known_record(connections, fd) != NULL;
}

int connections_next(const struct connections *connections, int after)
{
    int fd = after + 1;
    while (fd >= 0 && fd < CONNECTIONS_FD_MAX && (unsigned)fd < connections->fd_max) {
        if (!record_of(connections, fd)) {
            fd += CONNECTIONS_PER_PAGE - fd % CONNECTIONS_PER_PAGE;
            continue;
        }
        if (connections_is_known(connections, fd))
            return fd;
        fd++;
    }
    return -1;
}

uid_t connections_uid(const struct connections *connections, int fd)
{
    return record_of(connections, fd)->uid;
}

static void let_go(struct connections *connections, struct connection *peer)
{
    connections->held -= peer->held;
    peer->held = 0;
    peer->began = 0;
}

void connections_leave(struct connections *connections, int fd)
{
    struct connection *peer = known_record(connections, fd);
    if (!peer)
        return;
    let_go(connections, peer);
    take_from_uid(connections, peer->uid);
    connections->count--;
    atomic_store_explicit(&peer->known, false, memory_order_relaxed);
}

void connections_limit(struct connections *connections, int fd, uint64_t frame_max)
{
    record_of(connections, fd)->zmtp.size_max = frame_max;
}

/* -- what is received -------------------------------------------------------------------------- */

bool connections_is_cut(const struct connections *connections, int fd)
{
    const struct connection *peer = known_record(connections, fd);
    return peer && peer->cut;
}

/* The connection whose message began first. Searched only above held_max; it is cut then. */
static int oldest_message(const struct connections *connections)
{
    int oldest = -1;
    uint64_t began = UINT64_MAX;
    for (int fd = 0; fd < (int)connections->fd_max; fd++) {
        const struct connection *peer = known_record(connections, fd);
        if (peer && peer->began > 0 && peer->began < began) {
            oldest = fd;
            began = peer->began;
        }
    }
    return oldest;
}

static void cut(struct connections *connections, int fd, int *ret_cut_fd)
{
    struct connection *peer = record_of(connections, fd);
    let_go(connections, peer);
    peer->cut = true;
    *ret_cut_fd = fd;
}

static void count_held(struct connections *connections, struct connection *peer)
{
    if (peer->messages != peer->zmtp.messages || peer->zmtp.held == 0)
        peer->began = 0;
    if (peer->zmtp.held > 0 && peer->began == 0)
        peer->began = ++connections->messages_begun;
    connections->held += peer->zmtp.held - peer->held;
    peer->held = peer->zmtp.held;
    peer->messages = peer->zmtp.messages;
}

enum zmtp_verdict connections_heard(struct connections *connections, int fd, const void *bytes,
                                    size_t size, int *ret_cut_fd)
{
    struct connection *peer = known_record(connections, fd);
    if (!peer)
        return ZMTP_GOOD;
    enum zmtp_verdict verdict = zmtp_follow(&peer->zmtp, bytes, size);
    if (verdict != ZMTP_GOOD) {
        cut(connections, fd, ret_cut_fd);
        return verdict;
    }
    count_held(connections, peer);
    if (connections->held <= connections->held_max)
        return ZMTP_GOOD;
    cut(connections, oldest_message(connections), ret_cut_fd);
    return ZMTP_HELD;
}
