/* SPDX-License-Identifier: Apache-2.0 */
#include "zmtp_peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 2000, SHORT_SIZE_MAX = 255, DRAIN_AT_ONCE = 65536, READY_MAX = 512 };

int zmtp_connect(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *dir = getenv("SPONSON_SOCKET_DIR");
    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/%s", dir ? dir : ".", name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool zmtp_has_room(int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLOUT};
    return poll(&item, 1, 0) == 1 && (item.revents & POLLOUT) != 0;
}

bool zmtp_send(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent >= 0) {
            at += sent;
            size -= (size_t)sent;
            continue;
        }
        struct pollfd item = {.fd = fd, .events = POLLOUT};
        if (errno != EAGAIN || poll(&item, 1, PATIENCE_MS) != 1)
            return false;
    }
    return true;
}

/* -- frames ------------------------------------------------------------------------------------ */

size_t zmtp_put_head(uint8_t head[ZMTP_HEAD_MAX], uint8_t flags, uint64_t size)
{
    head[0] = flags;
    if (size <= SHORT_SIZE_MAX) {
        head[1] = (uint8_t)size;
        return 2;
    }
    head[0] |= ZMTP_LONG;
    for (unsigned i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(size >> (56 - 8 * i));
    return ZMTP_HEAD_MAX;
}

bool zmtp_send_frame(int fd, uint8_t flags, const void *bytes, size_t size)
{
    uint8_t head[ZMTP_HEAD_MAX];
    return zmtp_send(fd, head, zmtp_put_head(head, flags, size)) && zmtp_send(fd, bytes, size);
}

/* -- the handshake ----------------------------------------------------------------------------- */

/* Signature, version 3.1, mechanism NULL. */
const uint8_t zmtp_greeting[ZMTP_GREETING_SIZE] = {
    0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1, 'N', 'U', 'L', 'L',
};

static size_t put_property(uint8_t *at, const char *name, struct spn_bytes value)
{
    size_t size = strlen(name);
    at[0] = (uint8_t)size;
    memcpy(at + 1, name, size);
    at[size + 1] = at[size + 2] = at[size + 3] = 0;
    at[size + 4] = (uint8_t)value.size;
    if (value.size > 0)
        memcpy(at + size + 5, value.data, value.size);
    return size + 5 + value.size;
}

bool zmtp_greet(int fd, struct spn_bytes identity)
{
    uint8_t ready[READY_MAX] = "\5READY";
    size_t size = 6;
    if (identity.size > SHORT_SIZE_MAX)
        return false;
    size += put_property(ready + size, "Socket-Type", (struct spn_bytes){"DEALER", 6});
    size += put_property(ready + size, "Identity", identity);
    return zmtp_send(fd, zmtp_greeting, sizeof(zmtp_greeting)) &&
           zmtp_send_frame(fd, ZMTP_COMMAND, ready, size);
}

static bool take_all(int fd, uint8_t *bytes, size_t size)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    while (size > 0) {
        ssize_t got = recv(fd, bytes, size, 0);
        if (got > 0) {
            bytes += got;
            size -= (size_t)got;
        } else if (got == 0 || errno != EAGAIN || poll(&item, 1, PATIENCE_MS) != 1) {
            return false;
        }
    }
    return true;
}

bool zmtp_shake_hands(int fd)
{
    uint8_t greeting[ZMTP_GREETING_SIZE], head[2], ready[READY_MAX];
    return zmtp_greet(fd, (struct spn_bytes){NULL, 0}) &&
           take_all(fd, greeting, sizeof(greeting)) && take_all(fd, head, sizeof(head)) &&
           head[0] == ZMTP_COMMAND && take_all(fd, ready, head[1]);
}

ssize_t zmtp_drain(int fd, size_t most)
{
    char bytes[DRAIN_AT_ONCE];
    ssize_t got = recv(fd, bytes, most < sizeof(bytes) ? most : sizeof(bytes), 0);
    if (got > 0)
        return got;
    return got < 0 && errno == EAGAIN ? 0 : -1;
}
