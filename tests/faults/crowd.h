/* SPDX-License-Identifier: Apache-2.0 */
/* crowd: producers in processes of their own, at full speed.
 *
 * What a member publishes under a number follows from the plan alone: session, id and data. So the
 * test can tell a history what was sent by knowing how far each member got, and a member that was
 * killed goes on where the sidecar says that it stands. A member writes down the number it is about
 * to publish before it does, and each result that it was given, in places that outlive it.
 *
 * Owns     the members, and files in the stage's directory.
 * Errors   a member that cannot go on says why in the stage's log and ends; crowd_check and
 *          crowd_stop fail the test then.
 * Threads  the test's main thread.
 */
#ifndef SPN_CROWD_H
#define SPN_CROWD_H

#include "crowd_plan.h"
#include "history.h"
#include "stage.h"

struct crowd {
    struct stage *stage;
    struct crowd_page *page;
    const char *page_path;
    struct process processes[CROWD_MAX];
};

void crowd_open(struct crowd *crowd, struct stage *stage, const struct crowd_plan *plan);
void crowd_close(struct crowd *crowd); /* kills who is left */

/* Begins, or begins again after crowd_kill. */
void crowd_start(struct crowd *crowd, uint32_t member);
void crowd_start_all(struct crowd *crowd);
void crowd_kill(struct crowd *crowd, uint32_t member);
/* Fails the test when a member that was not killed has ended. */
void crowd_check(struct crowd *crowd);
/* Everybody waits until all that was published is acknowledged, and ends. */
void crowd_stop(struct crowd *crowd);

uint64_t crowd_taken(const struct crowd *crowd); /* sums over the members */
uint64_t crowd_acked(const struct crowd *crowd);
uint64_t crowd_backpressure(const struct crowd *crowd);
/* Waits until so many are acknowledged in all. */
void crowd_wait_acked(struct crowd *crowd, uint64_t count, int ms);
/* How far all of them may go; as many as they like at first. */
void crowd_allow(struct crowd *crowd, uint64_t number);

/* A history of what was sent and acknowledged so far. */
struct history *crowd_history(struct crowd *crowd);

#endif
