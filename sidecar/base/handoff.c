/* SPDX-License-Identifier: Apache-2.0 */
#include "base/handoff.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#ifdef SPONSON_SEED_RACE
static struct handoff_node *exchange(handoff_head *head, struct handoff_node *node)
{
    struct handoff_node *old = *head;
    *head = node;
    return old;
}

static struct handoff_node *prepend(handoff_head *head, const struct handoff_chain *chain)
{
    chain->oldest->next = *head;
    return exchange(head, chain->newest);
}
#else
static struct handoff_node *exchange(handoff_head *head, struct handoff_node *node)
{
    return atomic_exchange_explicit(head, node, memory_order_acquire);
}

/* Returns what was on top before. */
static struct handoff_node *prepend(handoff_head *head, const struct handoff_chain *chain)
{
    struct handoff_node *old = atomic_load_explicit(head, memory_order_relaxed);
    do
        chain->oldest->next = old;
    while (!atomic_compare_exchange_weak_explicit(head, &old, chain->newest, memory_order_release,
                                                  memory_order_relaxed));
    return old;
}
#endif

spn_err handoff_init(struct handoff *handoff)
{
    handoff->head = NULL;
    handoff->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return handoff->event_fd < 0 ? SPN_E_SYSTEM : SPN_OK;
}

void handoff_release(struct handoff *handoff)
{
    if (handoff->event_fd >= 0)
        close(handoff->event_fd);
    handoff->event_fd = -1;
}

void handoff_nudge(struct handoff *handoff)
{
    uint64_t one = 1;
    /* The only way to fail is a counter at its limit: readable all the same. */
    ssize_t written = write(handoff->event_fd, &one, sizeof(one));
    (void)written;
}

void handoff_chain_add(struct handoff_chain *chain, struct handoff_node *node)
{
    node->next = chain->newest;
    chain->newest = node;
    if (!chain->oldest)
        chain->oldest = node;
}

void handoff_push_chain(struct handoff *handoff, struct handoff_chain *chain)
{
    if (!chain->newest)
        return;
    if (prepend(&handoff->head, chain) == NULL)
        handoff_nudge(handoff);
    *chain = (struct handoff_chain){0};
}

void handoff_push(struct handoff *handoff, struct handoff_node *node)
{
    struct handoff_chain chain = {0};
    handoff_chain_add(&chain, node);
    handoff_push_chain(handoff, &chain);
}

struct handoff_node *handoff_take(struct handoff *handoff)
{
    uint64_t count;
    ssize_t got = read(handoff->event_fd, &count, sizeof(count));
    (void)got; /* EAGAIN: nobody woke us; there may be nodes all the same */

    struct handoff_node *newest = exchange(&handoff->head, NULL);
    struct handoff_node *oldest = NULL;
    while (newest) {
        struct handoff_node *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
