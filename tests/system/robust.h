/* SPDX-License-Identifier: Apache-2.0 */
/* robust: what the tests of hard times share: load by the frame, and what the daemon says of
 * itself while it lasts.
 *
 * Owns     nothing. A connection that is asked here has no other answers on their way.
 * Errors   no answer, or a counter that is not there, fails the test.
 * Threads  one.
 */
#ifndef SPN_ROBUST_H
#define SPN_ROBUST_H

#include "process.h"
#include "raw.h"

enum { ROBUST_HEALTHY = 0, ROBUST_DEGRADED = 1 };

/* A batch of one event, of level durable, with the id "e<number>" and that many bytes of data. */
void robust_send_large(struct raw *raw, uint64_t token, uint64_t number, const char *session,
                       size_t size);
/* Puts an OPEN of a new holder, or a FETCH of what a session has after this id; NULL: of all. */
void robust_put_open(struct raw_out *out, uint64_t request, const char *id16);
void robust_put_fetch(struct raw_out *out, uint64_t request, const char *session,
                      const char *after);

uint64_t robust_counter(struct raw *raw, const char *name);
/* Waits until the counter is at least this, and gives it. */
uint64_t robust_wait_counter(struct raw *raw, const char *name, uint64_t least);

/* ROBUST_HEALTHY, ROBUST_DEGRADED ... */
int robust_status(struct raw *raw);
void robust_wait_status(struct raw *raw, int status);

/* What is committed of a producer's numbers. */
uint64_t robust_durable(struct raw *raw, uint64_t token);
/* The newest durable event's seq. */
uint64_t robust_last_seq(struct raw *raw, const char *session);

/* Memory that is the process's own, not the database's map. */
size_t robust_anonymous_bytes(const struct process *daemon);

#endif
