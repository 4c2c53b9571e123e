/* SPDX-License-Identifier: Apache-2.0 */
/* crew: publishers that work together, each in a thread of its own.
 *
 * Call crew_name, crew_open, perhaps crew_warm_up, crew_run; and always crew_close. Errors are
 * printed where they happen, and returned as an exit code.
 *
 * Owns     its publishers and their threads.
 * Borrows  the payloads, and the flag that ends the run early.
 * Threads  the main one.
 */
#ifndef SPN_CLI_CREW_H
#define SPN_CLI_CREW_H

#include "cli/publisher.h"

struct crew {
    struct publisher_load load; /* set by the caller, except name and gate */
    struct gate gate;
    struct publisher *publishers;
    pthread_t *threads;
    uint64_t started_ns;
};

/* The sum over all publishers. */
struct crew_result {
    double seconds;
    uint64_t events; /* that ended */
    uint64_t stored;
    uint64_t resent;
    struct hist latency;
};

/* Gives the sessions names that no earlier run used, so that each run begins with new sessions. */
void crew_name(struct crew *crew);

/* events: for all publishers together. */
int crew_open(struct crew *crew, uint64_t events);
void crew_close(struct crew *crew); /* takes a zeroed one */

int crew_warm_up(struct crew *crew);

/* Returns after all publishers have ended. */
int crew_run(struct crew *crew);

void crew_add_up(const struct crew *crew, struct crew_result *result);

/* Starts a thread that blocks all signals: those for the process go to the main thread. */
int crew_start_thread(pthread_t *ret_thread, void *(*run)(void *), void *argument);

#endif
