/* SPDX-License-Identifier: Apache-2.0 */
/* crew: publishers that work together, each in a thread of its own.
 *
 * crew_name, crew_open, perhaps crew_warm_up, crew_run; crew_close whatever happened. What goes
 * wrong is told where it does, and comes back as an exit code.
 *
 * Owns     its publishers and their threads.
 * Borrows  the payloads, and the flag that ends it early.
 * Threads  the main one.
 */
#ifndef SPN_CLI_CREW_H
#define SPN_CLI_CREW_H

#include "cli/publisher.h"

struct crew {
    struct publisher_load load; /* set before, but for name and gate */
    struct gate gate;
    struct publisher *publishers;
    pthread_t *threads;
    uint64_t started_ns;
};

/* What all of them did. */
struct crew_result {
    double seconds;
    uint64_t events; /* that ended */
    uint64_t stored;
    uint64_t resent;
    struct hist latency;
};

/* Gives the sessions names that no run had before, so that each begins with fresh ones. */
void crew_name(struct crew *crew);

/* For so many events in all. */
int crew_open(struct crew *crew, uint64_t events);
void crew_close(struct crew *crew); /* takes a zeroed one */

int crew_warm_up(struct crew *crew);

/* Returns when all have ended. */
int crew_run(struct crew *crew);

void crew_add_up(const struct crew *crew, struct crew_result *result);

/* Starts a thread that no signal for the process wakes: those are for the main thread. */
int crew_start_thread(pthread_t *ret_thread, void *(*run)(void *), void *argument);

#endif
