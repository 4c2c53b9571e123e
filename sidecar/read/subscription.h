/* SPDX-License-Identifier: Apache-2.0 */
/* subscription: cursors with credit.
 *
 * A subscription that is behind reads slices of its session through a timeline, one question to the
 * broker each. One that has caught up is served from the scan: the log is read once, from where the
 * scan stood to what is durable now, for all subscriptions. Between the two there is no hand-over
 * to get wrong: the scan never stands ahead of a snapshot that a slice was read in, and an event is
 * delivered only if it is the very next one of the cursor. One that the scan cannot serve, for want
 * of credit or of room in its client's outbox, is behind from then on.
 *
 * A subscription without credit costs its struct and its session's name, nothing else.
 *
 * Owns     subscriptions, subscribers and their leases.
 * Borrows  the outbox, the journal's reader, the queue to the broker.
 * Units    credit in bytes of encoded items.
 * Threads  the reader's.
 */
#ifndef SPN_SUBSCRIPTION_H
#define SPN_SUBSCRIPTION_H

#include "mail/question.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "net/outbox.h"
#include "index/slice.h"
#include "mail/commit_state.h"

enum {
    SUBSCRIPTIONS_MAX = 1 << 20,
    LEASE_MS = 30000,
};

struct subscriptions;

struct subscriptions_options {
    struct outbox *outbox;
    struct journal_reader *journal;
    struct commit_state *commits; /* told whether anybody is watching */
    struct mailbox *broker;
    const struct clock *clock;
    struct metrics *metrics;
    const uint8_t *secret;
    struct slice *slice; /* scratch */
};

spn_err subscriptions_new(struct subscriptions **ret_subscriptions,
                          const struct subscriptions_options *options) SPN_MUST_USE;
void subscriptions_free(struct subscriptions *subscriptions); /* takes NULL */

/* SPN_E_PROTOCOL, SPN_E_INVALID (this number is taken by the same or a higher incarnation),
 * SPN_E_BAD_SESSION, SPN_E_BAD_ID, SPN_E_NOMEM, SPN_E_LIMIT (its user has as many as are left to
 * the others). */
spn_err subscriptions_subscribe(struct subscriptions *subscriptions, struct outbox_peer *peer,
                                struct wire_in in) SPN_MUST_USE;
/* SPN_E_PROTOCOL. */
spn_err subscriptions_credit(struct subscriptions *subscriptions, struct outbox_peer *peer,
                             struct wire_in in) SPN_MUST_USE;
spn_err subscriptions_unsubscribe(struct subscriptions *subscriptions, struct outbox_peer *peer,
                                  struct wire_in in) SPN_MUST_USE;

/* A subscription's question has come back; inside a snapshot, or err says why there is none. */
void subscriptions_answer(struct subscriptions *subscriptions,
                          const struct session_question *question, spn_err err);

/* Serves those that have caught up with what became durable. Begins and ends its own snapshots.
 * True: there is more than one turn may take. */
bool subscriptions_scan(struct subscriptions *subscriptions);

/* What is due: leases, clients that had no room, and what has to be asked. Returns in how many ms
 * to call again; -1: never. */
long subscriptions_tick(struct subscriptions *subscriptions);

#endif
