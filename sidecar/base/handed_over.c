/* SPDX-License-Identifier: Apache-2.0 */
#include "base/handed_over.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

/* The variables are inherited; the sockets are for the process with this pid alone. */
static bool are_for_us(void)
{
    const char *pid = getenv("LISTEN_PID");
    uint64_t number;
    return getenv("LISTEN_FDS") && pid && text_count(pid, 0, LONG_MAX, &number) &&
           (pid_t)number == getpid();
}

static spn_err keep_from_children(size_t count, char why[HANDED_OVER_WHY_MAX])
{
    for (size_t i = 0; i < count; i++) {
        int fd = HANDED_OVER_FIRST + (int)i;
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
            (void)snprintf(why, HANDED_OVER_WHY_MAX,
                           "LISTEN_FDS=%zu, but descriptor %d is not open", count, fd);
            return SPN_E_INVALID;
        }
    }
    return SPN_OK;
}

static spn_err read_names(struct handed_over *handed, char why[HANDED_OVER_WHY_MAX])
{
    const char *names = getenv("LISTEN_FDNAMES");
    for (size_t i = 0; i < handed->count; i++)
        handed->names[i] = "unknown";
    if (!names)
        return SPN_OK;
    handed->text = strdup(names);
    if (!handed->text)
        return SPN_E_NOMEM;
    size_t count = 0;
    char *rest = handed->text;
    for (char *name; (name = strsep(&rest, ":")) != NULL; count++)
        if (count < handed->count)
            handed->names[count] = name;
    if (count == handed->count)
        return SPN_OK;
    (void)snprintf(why, HANDED_OVER_WHY_MAX, "LISTEN_FDS=%zu, but LISTEN_FDNAMES has %zu names",
                   handed->count, count);
    return SPN_E_INVALID;
}

spn_err handed_over_take(struct handed_over *ret_handed, char ret_why[HANDED_OVER_WHY_MAX])
{
    struct handed_over handed = {.count = 0};
    *ret_handed = handed;
    ret_why[0] = '\0';
    if (!are_for_us())
        return SPN_OK;
    uint64_t count;
    if (!text_count(getenv("LISTEN_FDS"), 0, HANDED_OVER_MAX, &count)) {
        (void)snprintf(ret_why, HANDED_OVER_WHY_MAX, "LISTEN_FDS is not a number from 0 to %d",
                       HANDED_OVER_MAX);
        return SPN_E_INVALID;
    }
    handed.count = (size_t)count;
    spn_err err = keep_from_children(handed.count, ret_why);
    if (err == SPN_OK && count > 0)
        err = read_names(&handed, ret_why);
    if (err == SPN_OK)
        *ret_handed = handed;
    else
        handed_over_release(&handed);
    return err;
}

void handed_over_release(struct handed_over *handed)
{
    free(handed->text);
    *handed = (struct handed_over){.count = 0};
}

const char *handed_over_fault(int fd)
{
    int kind = 0;
    int listens = 0;
    socklen_t size = sizeof(kind);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) != 0)
        return "is not a socket";
    if (kind == SOCK_DGRAM)
        return "is a datagram socket, not a stream socket (ListenStream=)";
    if (kind != SOCK_STREAM)
        return "is not a stream socket (ListenStream=)";
    size = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens)
        return "does not listen: it is a connection (Accept=no)";
    return NULL;
}

void handed_over_path(int fd, char ret_path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1])
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    ret_path[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 || address.sun_family != AF_UNIX)
        return;
    if (size > sizeof(address)) /* a path without a NUL fills it */
        size = sizeof(address);
    size_t path_size = size - offsetof(struct sockaddr_un, sun_path);
    memcpy(ret_path, address.sun_path, path_size);
    ret_path[path_size] = '\0';
}
