/* SPDX-License-Identifier: Apache-2.0 */
/* watch: is everything that the daemon depends on still where it was?
 *
 * The sockets, the locks and the database are open. They keep working when somebody removes or
 * moves them, but then nobody finds the sockets any more, another daemon can lock what is there
 * now, and events go into a file that has no name. So their paths are looked at every two seconds.
 *
 *   sockets    are bound again; existing connections go on
 *   locks      are made and taken again; if another daemon has one, this one ends
 *   database   the daemon ends; each commit looks too, before it is acknowledged
 *
 * It is part of the broker's loop, so it may log: nobody requests what it finds.
 *
 * Borrows  all that it looks at.
 * Units    nanoseconds of the monotonic clock.
 * Threads  the broker's.
 */
#ifndef SPN_WATCH_H
#define SPN_WATCH_H

#include "net/endpoint.h"
#include "base/mailbox.h"
#include "store/journal.h"
#include "base/lockfile.h"
#include "base/metrics.h"

enum { WATCH_LOCKS = 2, WATCH_SOCKETS = 2 };

struct watch {
    struct journal *journal;
    struct lockfile *locks[WATCH_LOCKS]; /* a lock that is not taken is skipped */
    struct endpoint *ingest;             /* the broker's */
    struct endpoint *read;               /* the reader's, which is woken to bind it */
    struct mailbox *reader;
    struct metrics *metrics;
    uint64_t due_ns;
    bool told_lock[WATCH_LOCKS];
    bool told_socket[WATCH_SOCKETS];
    bool told_blocked[WATCH_SOCKETS];
};

/* When to look; 0: at once. */
uint64_t watch_due_ns(const struct watch *watch);
/* Looks when it is due. SPN_E_GONE, SPN_E_IN_USE: the daemon has to end; the log says why. */
spn_err watch_look(struct watch *watch, uint64_t now_ns) SPN_MUST_USE;

#endif
