/* SPDX-License-Identifier: Apache-2.0 */
/* sockets: those of the daemon that were handed over.
 *
 * Which is which is known by the file's name, since systemd gives all sockets of one .socket unit
 * the same name. Where a name says `ingest` or `read`, it must be that one. A socket that is not
 * handed over is opened by the daemon. */
#include <stdio.h>
#include <string.h>

#include "daemon/main_base.h"

#define INGEST "ingest.sock"
#define READ "read.sock"

/* The handed-over socket, and what is found out about it. */
struct found {
    int fd;
    const char *name;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
};

static bool refuse(const struct found *found, const char *why)
{
    char subject[320];
    (void)snprintf(subject, sizeof(subject), "descriptor %d (%s)%s%s", found->fd, found->name,
                   found->path[0] ? " at " : "", found->path);
    return daemon_check(SPN_E_INVALID, "handed_over", subject, why);
}

static bool is_in(const char *path, const char *dir)
{
    char parent[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    const char *slash = strrchr(path, '/');
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
    return slash == path ? strcmp(dir, "/") == 0 : daemon_same_dir(parent, dir);
}

/* Where this socket belongs; NULL: nowhere. */
static int *place_of(struct daemon *daemon, const char *path)
{
    const char *file = strrchr(path, '/');
    if (file && strcmp(file + 1, INGEST) == 0)
        return &daemon->ingest_fd;
    return file && strcmp(file + 1, READ) == 0 ? &daemon->read_fd : NULL;
}

static bool is_misnamed(const struct daemon *daemon, const struct found *found, const int *place)
{
    return (strcmp(found->name, "ingest") == 0 && place != &daemon->ingest_fd) ||
           (strcmp(found->name, "read") == 0 && place != &daemon->read_fd);
}

static bool take(struct daemon *daemon, const struct found *found)
{
    const char *fault = handed_over_fault(found->fd);
    if (fault)
        return refuse(found, fault);
    if (found->path[0] == '\0')
        return refuse(found, "has no path: only Unix sockets with one can be handed over");
    int *place = place_of(daemon, found->path);
    if (!place)
        return refuse(found, "is neither " INGEST " nor " READ);
    if (is_misnamed(daemon, found, place))
        return refuse(found, "its FileDescriptorName= is that of the other socket");
    if (!is_in(found->path, daemon->options.socket_dir))
        return refuse(found, "is not in the directory of the sockets (--socket-dir)");
    if (*place != 0)
        return refuse(found, "was handed over twice");
    *place = found->fd;
    return true;
}

bool daemon_take_sockets(struct daemon *daemon)
{
    struct handed_over handed;
    char why[HANDED_OVER_WHY_MAX];
    spn_err err = handed_over_take(&handed, why);
    if (!daemon_check(err, "handed_over", "sockets", err == SPN_E_INVALID ? why : NULL))
        return false;
    bool is_good = true;
    for (size_t i = 0; i < handed.count && is_good; i++) {
        struct found found = {.fd = HANDED_OVER_FIRST + (int)i, .name = handed.names[i]};
        handed_over_path(found.fd, found.path);
        is_good = take(daemon, &found);
    }
    handed_over_release(&handed);
    return is_good;
}
