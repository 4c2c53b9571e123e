/* SPDX-License-Identifier: Apache-2.0 */
/* feeder: a producer of the client library that a test drives: many events, at speed.
 *
 * Owns     its client and its producer.
 * Errors   what the library refuses fails the test.
 * Threads  one.
 */
#ifndef SPN_FEEDER_H
#define SPN_FEEDER_H

#include "sponson.h"

struct feeder {
    spn_client *client;
    spn_producer *producer;
    struct spn_counters settled; /* as of the last feeder_settle */
};

/* To the sidecar in $SPONSON_SOCKET_DIR, with a producer id of its own. */
void feeder_open(struct feeder *feeder);
void feeder_close(struct feeder *feeder);

/* Hands one event over; waits while the window is full. */
void feeder_put(struct feeder *feeder, const char *session, const char *id, const char *data);

/* Waits until all is durable. Returns the results since the last time: counters of stored,
 * duplicates, conflicts. Any other result fails the test. */
struct spn_counters feeder_settle(struct feeder *feeder);

#endif
