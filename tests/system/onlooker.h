/* SPDX-License-Identifier: Apache-2.0 */
/* onlooker: what a test sees through the client library, and on the disk of a daemon that is dead.
 *
 * Owns     nothing: clients and subscriptions are the caller's to close.
 * Errors   what does not come in time, or is not what was wanted, fails the test.
 * Threads  any; a client belongs to one.
 */
#ifndef SPN_ONLOOKER_H
#define SPN_ONLOOKER_H

#include "sponson.h"

enum { ONLOOKER_ASK_MS = 30000 };

/* To the sidecar in $SPONSON_SOCKET_DIR. */
spn_client *onlooker_client(void);
spn_subscription *onlooker_subscribe(spn_client *client, const char *session, spn_start start,
                                     size_t window_bytes);
/* The next item, whatever it is except that it has caught up; and one of this kind. */
struct spn_item onlooker_next(spn_subscription *subscription);
struct spn_item onlooker_expect(spn_subscription *subscription, spn_item_kind kind);

/* One of the sidecar's counters. */
uint64_t onlooker_counter(spn_client *client, const char *name);
/* Waits until it is at least, or at most, this; gives it. */
uint64_t onlooker_wait_least(spn_client *client, const char *name, uint64_t least);
uint64_t onlooker_wait_most(spn_client *client, const char *name, uint64_t most);

/* What is on the disk. */
struct onlooker_disk {
    uint64_t committed;  /* numbers of producers */
    uint64_t checkpoint; /* below `newest`: the index lags behind the log */
    uint64_t newest;
    bool unfinished; /* a segment was begun that is not complete */
};
struct onlooker_disk onlooker_look(const char *data_dir);
/* Beside a daemon that runs: waits until a segment is under way. False: the time is over. */
bool onlooker_see_segment(const char *data_dir, uint64_t due_ns);
/* Bytes of the database's file. */
uint64_t onlooker_file_bytes(const char *data_dir);

uint32_t onlooker_random(uint32_t below);

#endif
