/* SPDX-License-Identifier: Apache-2.0 */
/* subscription: cursors with credit.
 *
 * A subscription that is behind reads its session through a pump. Each turn of the pump takes one
 * question to the broker. A subscription that has caught up is served from the scan: the log is
 * read once for all subscriptions, from the scan's position to the durable mark. The change from
 * slices to the scan cannot lose an event or deliver it twice: the scan never stands ahead of a
 * snapshot that a slice was read in, and an event is delivered only if it is the very next one of
 * the cursor. If the scan cannot serve a subscription, because its client's outbox has no room,
 * the subscription is behind from then on.
 *
 * A subscription of the log has a position for its cursor, and gets the entries of all sessions, or
 * of those whose names begin with its prefix. It reads the log itself while it is behind, and
 * shares the scan while it is live.
 *
 * A subscription without credit is stalled. It costs its struct and its session's name, and the
 * scan offers it the deletion of its session; the rest it gets when there is a grant.
 *
 * Owns     subscriptions, subscribers and their leases.
 * Borrows  the outbox, the journal's reader, the queue to the broker.
 * Units    credit in bytes of encoded items.
 * Threads  the reader's.
 */
#ifndef SPN_SUBSCRIPTION_H
#define SPN_SUBSCRIPTION_H

#include "mail/question.h"
#include "base/metrics.h"
#include "net/outbox.h"
#include "mail/commit_state.h"
#include "read/pump.h"

enum {
    SUBSCRIPTIONS_MAX = 1 << 20,
    LEASE_MS = WIRE_LEASE_MS,
};

struct subscriptions;

struct subscriptions_options {
    struct outbox *outbox;
    struct pump_source source;
    struct commit_state *commits; /* its watched is set here */
    struct mailbox *broker;
    struct metrics *metrics;
};

spn_err subscriptions_new(struct subscriptions **ret_subscriptions,
                          const struct subscriptions_options *options) SPN_MUST_USE;
void subscriptions_free(struct subscriptions *subscriptions); /* takes NULL */

/* SPN_E_PROTOCOL: it cannot be read. Any other refusal is an end with its code: SPN_E_INVALID (the
 * same or a higher incarnation has this number), SPN_E_BAD_SESSION, SPN_E_BAD_ID, SPN_E_NOMEM,
 * SPN_E_LIMIT (its user already has as many as are left for all others). */
spn_err subscriptions_subscribe(struct subscriptions *subscriptions, struct outbox_peer *peer,
                                struct wire_in in) SPN_MUST_USE;
/* FOLLOW. SPN_E_PROTOCOL. Refusals as above, with SPN_E_BAD_PREFIX instead of SPN_E_BAD_SESSION. */
spn_err subscriptions_follow(struct subscriptions *subscriptions, struct outbox_peer *peer,
                             struct wire_in in) SPN_MUST_USE;
/* SPN_E_PROTOCOL. SPN_E_BACKPRESSURE: it was taken, but an end that answers it found no room. */
spn_err subscriptions_credit(struct subscriptions *subscriptions, struct outbox_peer *peer,
                             struct wire_in in) SPN_MUST_USE;
/* SPN_E_PROTOCOL. */
spn_err subscriptions_unsubscribe(struct subscriptions *subscriptions, struct outbox_peer *peer,
                                  struct wire_in in) SPN_MUST_USE;
/* How many subscriptions this connection has. */
uint32_t subscriptions_of_peer(const struct outbox_peer *peer);

/* How far this connection's subscriptions are behind, as far as was looked. */
struct subscriptions_lag {
    uint32_t behind; /* subscriptions that have events to get */
    uint64_t most;   /* that one of them has to get; of the log: positions */
};

/* Looks at no more subscriptions than *looks, and leaves there how many more it could. */
struct subscriptions_lag subscriptions_lag_of(const struct subscriptions *subscriptions,
                                              const struct outbox_peer *peer, size_t *looks);

/* Call it when a subscription's question has come back, inside a snapshot. If there is no snapshot,
 * err is the reason. */
void subscriptions_answer(struct subscriptions *subscriptions,
                          const struct session_question *question, spn_err err);

/* Delivers newly durable events to the subscriptions that have caught up. Begins and ends its own
 * snapshots. True: there is more than one turn may take. */
bool subscriptions_scan(struct subscriptions *subscriptions);

/* Reads on for the subscriptions of the log that are behind, for about a millisecond. Begins and
 * ends its own snapshots. True: there is more. */
bool subscriptions_read_log(struct subscriptions *subscriptions);

/* Does what is due: checks leases, retries clients that had no room, and sends questions to the
 * broker. Returns in how many ms to call again; -1: never. */
long subscriptions_tick(struct subscriptions *subscriptions);

#endif
