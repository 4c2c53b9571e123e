/* SPDX-License-Identifier: Apache-2.0 */
/* subscription: spn_subscribe, spn_subscription_next and the like; all subscriptions of a client.
 *
 * A delivery is kept as the message that it came in and read in place. What comes in is checked by
 * its head: the cursor that it continues, the bytes that it adds. What does not fit, another
 * incarnation's delivery, or a hole, never reaches the app; after a hole the subscription is
 * subscribed again after the last event it has.
 *
 *   given <= received <= what the sidecar sent      unread: bytes between given and received
 *   credit <= bytes received + window - unread, but for what was granted before
 *
 * A sidecar that was restarted knows no subscriptions. That read.sock was without a connection
 * shows in a turn, and then all are subscribed again at once, after what was received. If nobody
 * looked meanwhile, the beat finds out: each second a CREDIT renews the lease, with grants for some
 * of those that were silent, and a grant for one that the sidecar does not know is answered with an
 * end. That is why there is no socket monitor: the lease needs the beat anyway.
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
/* Between two subscribings of the same one for a hole or a surprising end. */
#define SUBSCRIPTION_PAUSE_NS UINT64_C(100000000)

enum {
    SUBSCRIPTION_WINDOW_DEFAULT = 256 * 1024,
    SUBSCRIPTION_BEAT_GRANTS = 64, /* in one beat, so that a sidecar that hangs is not buried */
};

void subscriptions_free(struct subscriptions *subscriptions); /* takes NULL */

/* How often a subscription of this client went on after a restart or a hole. */
uint64_t subscriptions_resumed(const struct spn_client *client);

#endif
