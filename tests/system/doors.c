/* SPDX-License-Identifier: Apache-2.0 */
#include "doors.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "stage.h"
#include "until.h"

#define DEALER "\13Socket-Type\0\0\0\6DEALER"

int doors_connect(const char *socket_dir, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/%s", socket_dir, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail_msg("%s: %s", address.sun_path, strerror(errno));
    return fd;
}

bool doors_send(int fd, const void *bytes, size_t size)
{
    for (const uint8_t *at = bytes; size > 0;) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0) {
            at += sent;
            size -= (size_t)sent;
        }
    }
    return true;
}

bool doors_send_head(int fd, uint8_t flags, uint64_t size)
{
    uint8_t head[9] = {flags | 2};
    for (size_t i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(size >> (56 - 8 * i));
    return doors_send(fd, head, sizeof(head));
}

int doors_enter(const char *socket_dir, const char *name, const void *identity, size_t size)
{
    uint8_t greeting[64] = {0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1, 'N', 'U', 'L', 'L'};
    uint8_t ready[512] = "\5READY" DEALER "\10Identity\0\0\0";
    size_t at = 6 + sizeof(DEALER) - 1 + 12;
    int fd = doors_connect(socket_dir, name);
    ready[at++] = (uint8_t)size;
    if (size > 0)
        memcpy(ready + at, identity, size);
    (void)(doors_send(fd, greeting, sizeof(greeting)) && doors_send_head(fd, 4, at + size) &&
           doors_send(fd, ready, at + size));
    return fd;
}

bool doors_is_closed(int fd)
{
    uint8_t bytes[256];
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (until_readable(due_ns, fd)) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return true;
    }
    return false;
}
