/* SPDX-License-Identifier: Apache-2.0 */
/* subscription: cursors with credit.
 *
 * A subscription that is behind reads slices of its session through a timeline, one ask of the
 * broker each. One that has caught up is served from the scan: the log is read once, from where the
 * scan stood to what is durable now, for all subscriptions. Between the two there is no hand-over
 * to get wrong: the scan never stands ahead of a snapshot that a slice was read in, and an event is
 * delivered only if it is the very next one of the cursor. One that the scan cannot serve, for want
 * of credit or of room in the socket, is behind from then on.
 *
 * A subscription without credit costs its struct and its session's name, nothing else.
 *
 * Owns     subscriptions, subscribers and their leases.
 * Borrows  read.sock, the journal's reader, the queue to the broker.
 * Units    credit in bytes of encoded items.
 * Threads  the reader's.
 */
#ifndef SPN_SUBSCRIPTION_H
#define SPN_SUBSCRIPTION_H

#include "ask.h"
#include "clock.h"
#include "metrics.h"
#include "slice.h"
#include "worker.h"

enum {
    SUBSCRIPTIONS_MAX = 1 << 20,
    LEASE_MS = 30000,
};

struct subscriptions;

struct subscriptions_options {
    /* Sends a message, and takes it over only then. SPN_E_BACKPRESSURE: no room for it now;
     * SPN_E_UNAVAILABLE: the peer is gone. */
    spn_err (*send)(void *socket, const struct peer *peer, zmq_msg_t *message);
    void *socket;
    struct journal_reader *journal;
    struct worker *worker; /* told whether anybody is watching */
    struct handoff *asks;
    const struct clock *clock;
    struct metrics *metrics;
    const uint8_t *secret;
    struct slice *slice; /* scratch */
};

spn_err subscriptions_new(struct subscriptions **ret_subscriptions,
                          const struct subscriptions_options *options) SPN_MUST_USE;
void subscriptions_free(struct subscriptions *subscriptions); /* takes NULL */

/* SPN_E_PROTOCOL, SPN_E_INVALID (this number is taken by the same or a higher incarnation),
 * SPN_E_BAD_SESSION, SPN_E_BAD_ID, SPN_E_NOMEM. */
spn_err subscriptions_subscribe(struct subscriptions *subscriptions, const struct peer *peer,
                                struct wire_in in) SPN_MUST_USE;
/* SPN_E_PROTOCOL. */
spn_err subscriptions_credit(struct subscriptions *subscriptions, const struct peer *peer,
                             struct wire_in in) SPN_MUST_USE;
spn_err subscriptions_unsubscribe(struct subscriptions *subscriptions, const struct peer *peer,
                                  struct wire_in in) SPN_MUST_USE;

/* The broker's answer to an ask of a subscription's, inside a snapshot. */
void subscriptions_answer(struct subscriptions *subscriptions, const struct ask *ask);

/* Serves those that have caught up with what became durable. Begins and ends its own snapshots. */
void subscriptions_scan(struct subscriptions *subscriptions);

/* What is due: leases, sockets that were full. Returns in how many ms to call again; -1: never. */
long subscriptions_tick(struct subscriptions *subscriptions);

#endif
