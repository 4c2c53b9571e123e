/* SPDX-License-Identifier: Apache-2.0 */
#include "net/roster.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* By the name of the socket that it came in on. 0: neither. */
static unsigned socket_of(int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address) - 1; /* so that the path ends with a NUL */
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 || address.sun_family != AF_UNIX)
        return 0;
    const char *slash = strrchr(address.sun_path, '/');
    if (!slash)
        return 0;
    return strcmp(slash, "/ingest.sock") == 0 ? WIRE_INGEST
           : strcmp(slash, "/read.sock") == 0 ? WIRE_READ
                                              : 0;
}

/* A name that a process gave itself may have any bytes. */
static void clean(char *program, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (program[i] < ' ' || program[i] > '~')
            program[i] = program[i] == '\n' && i + 1 == size ? '\0' : '?';
    program[size] = '\0';
}

static void read_program(pid_t pid, char program[ROSTER_PROGRAM_SIZE])
{
    char path[32];
    program[0] = '\0';
    if (pid <= 0)
        return;
    snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t size = read(fd, program, ROSTER_PROGRAM_SIZE - 1);
    clean(program, size > 0 ? (size_t)size : 0);
    close(fd);
}

/* False: it is no connection of ours any more. */
static bool look(int fd, struct roster_row *row)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    unsigned socket = socket_of(fd);
    if (socket == 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    *row = (struct roster_row){
        .fd = fd, .pid = peer.pid, .uid = peer.uid, .socket = (enum wire_socket)socket};
    return true;
}

struct roster_page roster_page(const struct connections *connections, int after,
                               const struct roster_view *view, struct roster_row *rows,
                               size_t count_max)
{
    struct roster_page page = {0};
    int fd = after;
    for (int looks = 0; (fd = connections_next(connections, fd)) >= 0; looks++) {
        if (looks == ROSTER_LOOK_MAX || page.count == count_max) {
            page.next = fd - 1;
            return page;
        }
        struct roster_row *row = &rows[page.count];
        if (!look(fd, row))
            continue;
        if (!view->all && row->uid != view->uid) {
            page.hidden++;
            continue;
        }
        read_program(row->pid, row->program);
        row->hidden = page.hidden;
        page.count++;
    }
    return page;
}

void roster_cut(struct roster_page *page, const struct roster_row *rows, size_t count)
{
    if (count >= page->count)
        return;
    page->count = count;
    page->hidden = rows[count - 1].hidden;
    page->next = rows[count - 1].fd;
}
