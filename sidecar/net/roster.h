/* SPDX-License-Identifier: Apache-2.0 */
/* roster: the processes at the other ends of the connections.
 *
 * It reads what connections.h knows, and asks the kernel about each descriptor. A connection may
 * end meanwhile, and its descriptor may be given to another one: then it is left out, or it is the
 * other one's row.
 *
 * Owns     nothing.
 * Threads  any.
 */
#ifndef SPN_ROSTER_H
#define SPN_ROSTER_H

#include "net/connections.h"
#include "wire.h"

enum {
    ROSTER_PROGRAM_SIZE = 16, /* with the NUL, as the kernel has it */
    ROSTER_LOOK_MAX = 1024,   /* connections that one page looks at */
};

struct roster_row {
    int fd;
    pid_t pid; /* 0: not known */
    uid_t uid;
    enum wire_socket socket;
    char program[ROSTER_PROGRAM_SIZE]; /* "": not known */
    uint32_t hidden;                   /* connections of others in the page before this one */
};

/* Whom the one who asks may see. */
struct roster_view {
    uid_t uid; /* that uid's connections */
    bool all;  /* or everybody's */
};

struct roster_page {
    size_t count;
    uint32_t hidden; /* connections of others */
    int next;        /* what to look after for the rest; 0: there is none */
};

/* Connections whose descriptor is higher than after, in their order. rows: room for count_max. */
struct roster_page roster_page(const struct connections *connections, int after,
                               const struct roster_view *view, struct roster_row *rows,
                               size_t count_max);

/* Leaves the rows after the first count (not 0) to the next page. */
void roster_cut(struct roster_page *page, const struct roster_row *rows, size_t count);

#endif
