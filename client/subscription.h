/* SPDX-License-Identifier: Apache-2.0 */
/* subscription: spn_subscribe, spn_subscription_next and the related calls; all subscriptions of a
 * client.
 *
 * A delivery is kept in the message that it came in and read in place, or its items are copied (see
 * is_shared). Its head is checked on arrival: the cursor that it continues, the bytes that it adds.
 * A delivery that does not fit, because it belongs to another incarnation or leaves a hole, never
 * reaches the app. After a hole the subscription is subscribed again after the last event that it
 * has. A sidecar that sends more than was granted, or items that cannot be read, ends it with
 * SPN_E_PROTOCOL: it would do the same again.
 *
 *   given <= received <= what the sidecar sent      unread: bytes between given and received
 *   credit <= bytes received + window - unread, except credit that was granted before
 *   held = sum of (credit - bytes received + unread) <= read_bytes_max whenever credit is granted,
 *          but for a byte each of those that had nothing
 *   frames without bytes: a verdict, an end, and a gap of a session between two others
 *
 * So all subscriptions together hold at most read_bytes_max, and one event more for each that has
 * credit, since the last event may exceed its credit. Each gets a share that shrinks with their
 * number: 1/2 of the bound divided by their number, 1/16 before it has received anything. The sum
 * of 1/16 of the bound over 1, 2, 3 ... subscriptions stays below the bound for as many as there
 * can be, so quiet ones do not starve others. Beyond that, and beyond the bound, a byte for each
 * lets one event at a time through. Credit cannot be taken back, and nobody knows when a paused one
 * goes on. So a subscription that has nothing waits only while the app can make room: while the
 * unread bytes of those that are not paused fill the bound. They wait in a ring, first come, first
 * served.
 *
 * What paused ones have together is at most the bound and what one of them has: one for which the
 * others leave no room drops what it has, subscribes again from its cursor, and has no credit until
 * it goes on.
 *
 * A sidecar that was restarted knows no subscriptions. A turn notices that read.sock has a new
 * connection, and then all are subscribed again at once, after the last event received. The beat
 * notices what a turn does not: as often as the WELCOME has it, a CREDIT renews the lease, and the
 * sidecar answers with the number of subscriptions that it has. If that is smaller, the next beat
 * has grants for all, and the sidecar answers each that it does not know with an end. If another
 * sidecar answers than the one before it (at first: than the one of the WELCOME), or none twice,
 * all are subscribed again.
 *
 *   known     subscriptions that the sidecar has: subscribed, no end received
 *   expected  those of them that were known at the last beat and still are
 *
 * Owns     its subscriptions with their messages. They are part of their client's turn.
 * Borrows  the client.
 * Lends    an item and its bytes: until the next call that gives from the same subscription.
 * Units    credit in bytes of encoded items.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_SUBSCRIPTION_H
#define SPN_CLIENT_SUBSCRIPTION_H

#include "client.h"

/* Between two beats with grants for all; before a SUBSCRIBE that was refused for now. */
#define SUBSCRIPTION_AGAIN_NS UINT64_C(1000000000)
/* Between two SUBSCRIBEs of the same subscription after a hole or an unexpected end: at first, and
 * at most. */
#define SUBSCRIPTION_PAUSE_NS UINT64_C(100000000)
#define SUBSCRIPTION_PAUSE_MAX_NS UINT64_C(6400000000)

enum {
    SUBSCRIPTION_WINDOW_DEFAULT = 256 * 1024,
    SUBSCRIPTION_MISSED_MAX = 2, /* beats without an answer, before all are subscribed again */
    SUBSCRIPTIONS_BYTES_DEFAULT = 64 * 1024 * 1024,
    SUBSCRIPTIONS_BYTES_LEAST = 1024,
};

void subscriptions_free(struct subscriptions *subscriptions); /* takes NULL */

/* How often subscriptions of this client went on after a restart or a hole. */
uint64_t subscriptions_resumed(const struct spn_client *client);

#endif
