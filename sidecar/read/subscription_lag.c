/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_lag: how far the subscriptions of one connection are behind. */
#include "read/subscription_base.h"

static uint64_t lag_of(const struct subscription *subscription, uint64_t durable)
{
    uint64_t newest = subscription->log ? durable : subscription->newest;
    bool serves = subscription->state == BEHIND || subscription->state == STALLED ||
                  (subscription->log && subscription->state == LIVE);
    return serves && newest >= subscription->next_seq ? newest + 1 - subscription->next_seq : 0;
}

struct subscriptions_lag subscriptions_lag_of(const struct subscriptions *all,
                                              const struct outbox_peer *peer, size_t *looks)
{
    struct subscriptions_lag found = {0};
    const struct subscriber *subscriber = peer->subscriber;
    uint64_t durable = atomic_load(&all->options.commits->durable);
    if (!subscriber)
        return found;
    for (const struct link *link = subscriber->subscriptions.next;
         link != &subscriber->subscriptions && *looks > 0; link = link->next, --*looks) {
        uint64_t lag = lag_of(LINK_OWNER(link, struct subscription, own), durable);
        found.behind += lag > 0;
        found.most = lag > found.most ? lag : found.most;
    }
    return found;
}
