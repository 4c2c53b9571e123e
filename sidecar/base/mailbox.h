/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox: the messages that other threads send to one thread, in order, with one wake-up for all.
 *
 * A lock-free stack. The receiver takes the whole stack and reverses it; from then on the messages
 * belong to the receiver. The sender keeps the limits: it knows what it sent and what came back.
 *
 * Owns     an eventfd. Messages live in their owners' structs, so sending never allocates.
 * Threads  any number put, one takes.
 */
#ifndef SPN_MAILBOX_H
#define SPN_MAILBOX_H

#include <stdatomic.h>

#include "spn_err.h"

/* The first member of every struct that is sent. */
struct message {
    struct message *next;
    unsigned kind; /* see mail/mail.h */
};

#ifdef SPONSON_SEED_RACE
/* A plain pointer where an atomic belongs. Only one test builds this, to check that ThreadSanitizer
 * reports a race in this very queue. */
typedef struct message *mailbox_head;
#else
typedef _Atomic(struct message *) mailbox_head;
#endif

struct mailbox {
    mailbox_head head; /* newest first */
    int event_fd;
};

/* SPN_E_SYSTEM: see errno. */
spn_err mailbox_init(struct mailbox *mailbox) SPN_MUST_USE;
void mailbox_release(struct mailbox *mailbox);

/* Messages collected in order, to be sent at once: the receiver sees all or none of them. */
struct message_chain {
    struct message *newest; /* NULL: empty */
    struct message *oldest;
};

void message_chain_add(struct message_chain *chain, struct message *message);

/* Both wake the receiver if it may be asleep. */
void mailbox_put(struct mailbox *mailbox, struct message *message);
void mailbox_put_chain(struct mailbox *mailbox, struct message_chain *chain); /* empties it */

/* Returns everything put so far, oldest first; NULL: nothing. Clears the eventfd first, so that a
 * message put after this call wakes the receiver again. */
struct message *mailbox_take(struct mailbox *mailbox);

/* Wakes the receiver without a message. */
void mailbox_nudge(struct mailbox *mailbox);

#endif
