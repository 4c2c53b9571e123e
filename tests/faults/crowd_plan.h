/* SPDX-License-Identifier: Apache-2.0 */
/* crowd_plan: what a crowd and its members agree on; see crowd.h.
 *
 * Threads  the page is in memory that the test and all members share, hence the atomics.
 */
#ifndef SPN_CROWD_PLAN_H
#define SPN_CROWD_PLAN_H

#include <stdatomic.h>
#include <stdint.h>

enum { CROWD_MAX = 16, CROWD_NAME_SIZE = 32 };

struct crowd_plan {
    uint32_t members;
    uint32_t without_ids;   /* the first so many publish without ids of their own */
    uint32_t sessions;      /* that all of them share */
    uint32_t lone_every;    /* one event in so many is the only one of its session; 0: none is */
    uint32_t event_size;    /* bytes of data */
    uint32_t window_events; /* 0: the library's default */
    uint32_t window_bytes;
};

struct crowd_member {
    _Atomic uint64_t allowed;      /* the highest number that it may publish */
    _Atomic uint64_t taken;        /* the highest number that was published, or is about to be */
    _Atomic uint64_t acked;        /* the highest number whose result is in its log */
    _Atomic uint64_t acked_ns;     /* when that was, by the monotonic clock */
    _Atomic uint64_t backpressure; /* publish calls that ended so */
    _Atomic uint64_t longest_ns;   /* of publish calls */
};

struct crowd_page {
    struct crowd_plan plan;
    _Atomic uint32_t stopping;
    struct crowd_member members[CROWD_MAX];
};

/* The event of this number, but for its data. id "": none of its own. */
void crowd_event(const struct crowd_plan *plan, uint32_t member, uint64_t number,
                 char session[CROWD_NAME_SIZE], char id[CROWD_NAME_SIZE]);

/* A word of a log of results: the number, and whether the event was stored. */
enum { CROWD_STORED_BIT = 63 };

/* Where a member appends its results; it is followed by the member's number. */
#define CROWD_LOG_FORMAT "%s.acks-%u"

#endif
