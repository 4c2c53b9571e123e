/* SPDX-License-Identifier: Apache-2.0 */
/* connections: who is connected to the sidecar, a row for each process.
 *
 * Owns     the list, and copies of the programs' names.
 * Threads  one.
 */
#ifndef SPN_CLI_CONNECTIONS_H
#define SPN_CLI_CONNECTIONS_H

#include <stdbool.h>

#include "sponson.h"

enum { CONNECTIONS_PROGRAM_SIZE = 64 };

/* The connections of one process. A pid that is not known stands for one connection. */
struct connected {
    uint32_t pid;
    uint32_t uid;
    uint32_t connections; /* to both sockets */
    bool writes;          /* one of them is to ingest.sock */
    uint64_t subscriptions;
    uint64_t behind;
    uint64_t lag;
    uint64_t waiting;
    char program[CONNECTIONS_PROGRAM_SIZE];
};

struct connected_list {
    struct connected *rows; /* in the order of uid and pid */
    size_t count;
    size_t capacity;
    uint64_t hidden; /* connections of other users */
};

/* Asks for all of them, page by page; each page may take timeout_ms. The list's former rows go. */
spn_err connected_ask(struct connected_list *list, spn_client *client, int timeout_ms) SPN_MUST_USE;
void connected_release(struct connected_list *list);

#endif
