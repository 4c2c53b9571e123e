/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#ifdef SPONSON_SEED_RACE
static struct message *exchange(mailbox_head *head, struct message *message)
{
    struct message *old = *head;
    *head = message;
    return old;
}

static struct message *prepend(mailbox_head *head, const struct message_chain *chain)
{
    chain->oldest->next = *head;
    return exchange(head, chain->newest);
}
#else
static struct message *exchange(mailbox_head *head, struct message *message)
{
    return atomic_exchange_explicit(head, message, memory_order_acquire);
}

/* Returns the previous head. */
static struct message *prepend(mailbox_head *head, const struct message_chain *chain)
{
    struct message *old = atomic_load_explicit(head, memory_order_relaxed);
    do
        chain->oldest->next = old;
    while (!atomic_compare_exchange_weak_explicit(head, &old, chain->newest, memory_order_release,
                                                  memory_order_relaxed));
    return old;
}
#endif

spn_err mailbox_init(struct mailbox *mailbox)
{
    mailbox->head = NULL;
    mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return mailbox->event_fd < 0 ? SPN_E_SYSTEM : SPN_OK;
}

void mailbox_release(struct mailbox *mailbox)
{
    if (mailbox->event_fd >= 0)
        close(mailbox->event_fd);
    mailbox->event_fd = -1;
}

void mailbox_nudge(struct mailbox *mailbox)
{
    uint64_t one = 1;
    /* The write fails only if the counter is at its limit; the eventfd is readable then, too. */
    ssize_t written = write(mailbox->event_fd, &one, sizeof(one));
    (void)written;
}

void message_chain_add(struct message_chain *chain, struct message *message)
{
    message->next = chain->newest;
    chain->newest = message;
    if (!chain->oldest)
        chain->oldest = message;
}

void mailbox_put_chain(struct mailbox *mailbox, struct message_chain *chain)
{
    if (!chain->newest)
        return;
    if (prepend(&mailbox->head, chain) == NULL)
        mailbox_nudge(mailbox);
    *chain = (struct message_chain){0};
}

void mailbox_put(struct mailbox *mailbox, struct message *message)
{
    struct message_chain chain = {0};
    message_chain_add(&chain, message);
    mailbox_put_chain(mailbox, &chain);
}

struct message *mailbox_take(struct mailbox *mailbox)
{
    uint64_t count;
    ssize_t got = read(mailbox->event_fd, &count, sizeof(count));
    (void)got; /* EAGAIN: nobody woke us, but there may be messages */

    struct message *newest = exchange(&mailbox->head, NULL);
    struct message *oldest = NULL;
    while (newest) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
