/* SPDX-License-Identifier: Apache-2.0 */
/* report: what an operator reads in the log while the daemon runs: when trouble begins and ends,
 * which limit was met, that the database is older than what its users know, that something is
 * damaged, and that the daemon stops.
 *
 * Trouble is logged at once. Its end is logged only after it has been gone for a while: a database
 * at its quota goes in and out of trouble with each segment, and that is one fact, not a hundred
 * lines.
 *
 * Borrows  the state of commits.
 * Units    nanoseconds of the monotonic clock.
 * Threads  the broker's, whose loop it is part of.
 */
#ifndef SPN_REPORT_H
#define SPN_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/metrics.h"
#include "base/notify.h"
#include "base/pulse.h"
#include "net/connections.h"
#include "mail/commit_state.h"
#include "spn_err.h"

struct report {
    spn_err told;        /* the trouble that was logged last; SPN_OK: none */
    uint64_t healthy_ns; /* when to log that it is over; 0: it is not, or there is none */
    uint64_t refused;    /* connections that were logged so far */
    uint64_t cut;
    uint64_t stalled;
    uint64_t connections_ns; /* when others may be logged */
    uint64_t limit_ns;       /* when a limit may be logged again */
    uint64_t ahead_ns;       /* when a holder that is ahead may be logged again */
    uint64_t damaged;        /* damaged reads that were logged so far */
    uint64_t damaged_ns;     /* when they were logged */
    bool stuck;              /* a thread that gets nowhere was logged, and still does */
};

/* A limit that an option sets, and the user that met it. */
struct report_limit {
    const char *option;
    uint64_t max;
    uint32_t uid;
    uint32_t held;    /* by that user's processes */
    uint64_t refused; /* so far, of all users */
    uint64_t now_ns;
};

/* At most once a minute. */
void report_limit(struct report *report, const struct report_limit *limit);

/* A holder has seen a durable position above this database's, or another database (other): the
 * files are an older copy, or others. At most once a minute. */
void report_ahead(struct report *report, uint64_t seen, uint64_t durable, bool other,
                  uint64_t now_ns);

/* Looks at commits->trouble. events_waiting: accepted, and not on disk. */
void report_trouble(struct report *report, const struct commit_state *commits,
                    uint64_t events_waiting, uint64_t now_ns);
/* Logs damage that was met: at most one line every ten seconds. reads: how often so far. */
void report_damage(struct report *report, uint64_t reads, uint64_t now_ns);
/* When to look again; UINT64_MAX: when the worker nudges. */
uint64_t report_due_ns(const struct report *report);

/* A SIGHUP came that changes nothing. notify: here and below, the service manager; NULL: none. */
void report_hangup(struct notify *notify);

/* Logs connections that were turned away or cut since the last lines: one line of each kind, every
 * few seconds at most. */
void report_connections(struct report *report, const struct connections_news *news,
                        uint64_t now_ns);

void report_stopping(struct notify *notify, uint64_t timeout_ns, uint64_t events_waiting);

/* Whom to tell, and about what. */
struct report_service {
    struct notify *notify; /* NULL: nobody */
    struct pulse *pulses;  /* of the other threads */
    size_t pulse_count;
    const struct metrics *metrics;
};

/* Feeds the watchdog, unless another thread is in an endless loop: then the log has its name. Tells
 * the service manager in its status what the daemon has and what troubles it. */
void report_service(struct report *report, const struct report_service *service, uint64_t now_ns);

#endif
