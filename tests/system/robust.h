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

#include <sys/resource.h>

#include "process.h"
#include "raw.h"

enum { ROBUST_HEALTHY = 0, ROBUST_DEGRADED = 1 };

/* A batch of one event, of level durable, with the id "e<number>" and that many bytes of data. */
void robust_send_large(struct raw *raw, uint64_t token, uint64_t number, const char *session,
                       size_t size);
/* Puts an OPEN of a new holder, or a FETCH of what a session has after this id; NULL: of all. */
void robust_put_open(struct raw_out *out, uint64_t request, const char *id16);
/* Number 1 of this producer is refused: from then on it is known on disk, and to open it
 * again takes a commit. */
void robust_know_producer(struct raw *raw, const char *id16);
void robust_put_fetch(struct raw_out *out, uint64_t request, const char *session,
                      const char *after);

uint64_t robust_counter(struct raw *raw, const char *name);
/* Waits until the counter is at least this, and gives it. */
uint64_t robust_wait_counter(struct raw *raw, const char *name, uint64_t least);
/* Of a gauge, which may be a turn of the sidecar's behind its counters: waits until it is this. */
void robust_wait_gauge(struct raw *raw, const char *name, uint64_t value);

/* ROBUST_HEALTHY, ROBUST_DEGRADED ... */
int robust_status(struct raw *raw);
void robust_wait_status(struct raw *raw, int status);

/* What is committed of a producer's numbers. */
uint64_t robust_durable(struct raw *raw, uint64_t token);
/* The newest durable event's seq. */
uint64_t robust_last_seq(struct raw *raw, const char *session);

/* A full disk, for one process: no file of it can be written beyond so many bytes. RLIM_INFINITY:
 * there is room again. The process has to be prepared for it by the other two, which may be given
 * to stage_daemon: the second one starts it with nothing but room for small files. */
void robust_limit_files(const struct process *daemon, rlim_t bytes);
void robust_bear_full_disk(void);
void robust_begin_full_disk(void);

#endif
