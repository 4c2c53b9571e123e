/* SPDX-License-Identifier: Apache-2.0 */
/* subscription: spn_subscribe, spn_subscription_next and the related calls; all subscriptions of a
 * client.
 *
 * A delivery is kept in the message that it came in and read in place, or its items are copied (see
 * is_shared). Its head is checked on arrival: the cursor that it continues, the bytes that it adds.
 * A delivery that does not fit, because it belongs to another incarnation or leaves a hole, never
 * reaches the app. After a hole the subscription is subscribed again after the last event that it
 * has.
 *
 *   given <= received <= what the sidecar sent      unread: bytes between given and received
 *   credit <= bytes received + window - unread, except credit that was granted before
 *
 * A sidecar that was restarted knows no subscriptions. A turn notices that read.sock has a new
 * connection, and then all are subscribed again at once, after the last event received. The beat
 * notices what a turn does not: each second a CREDIT renews the lease, with grants for some of the
 * silent subscriptions. The sidecar answers a grant for a subscription that it does not know with
 * an end.
 *
 * Owns     its subscriptions with their messages. They are part of their client's turn.
 * Borrows  the client.
 * Lends    bytes of an event: until the next call on the same subscription.
 * Units    credit in bytes of encoded items.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_SUBSCRIPTION_H
#define SPN_CLIENT_SUBSCRIPTION_H

#include "client.h"

#define SUBSCRIPTION_BEAT_NS UINT64_C(1000000000)
/* Between two SUBSCRIBEs of the same subscription after a hole or an unexpected end. */
#define SUBSCRIPTION_PAUSE_NS UINT64_C(100000000)

enum {
    SUBSCRIPTION_WINDOW_DEFAULT = 256 * 1024,
    SUBSCRIPTION_BEAT_GRANTS = 64, /* in one beat, so that a sidecar that hangs is not flooded */
};

void subscriptions_free(struct subscriptions *subscriptions); /* takes NULL */

/* How often subscriptions of this client went on after a restart or a hole. */
uint64_t subscriptions_resumed(const struct spn_client *client);

#endif
