/* SPDX-License-Identifier: Apache-2.0 */
/* mail: the messages between the threads. Each thread has one mailbox.
 *
 * A message that requests something comes back as its own answer: the same struct, filled in.
 */
#ifndef SPN_MAIL_H
#define SPN_MAIL_H

#include "base/mailbox.h"
#include "base/metrics.h"

enum message_kind {
    /* broker -> worker, and back when it is on disk */
    MESSAGE_BATCH,      /* struct batch */
    MESSAGE_GENERATION, /* struct generation, frozen */
    MESSAGE_STOP,       /* struct message: nothing comes after it */
    /* broker -> worker, which frees it */
    MESSAGE_SETTINGS, /* struct settings */
    /* worker -> broker, which frees it */
    MESSAGE_IDLE, /* struct idle_sessions, to expire */
    /* reader -> broker, and back with the answer */
    MESSAGE_SESSION,      /* struct session_question, of a caller */
    MESSAGE_SUBSCRIPTION, /* struct session_question, of a subscription */
    MESSAGE_GENERATIONS,  /* struct generations_question */
    MESSAGE_HOLDER,       /* struct holder_question */
    /* broker -> reader, and back with the tracker, or with what was found */
    MESSAGE_LOAD,     /* struct load */
    MESSAGE_ONE_SHOT, /* struct one_shot */
};

/* Frees the messages left in a mailbox whose threads have ended, and releases the mailbox. */
void mail_drop(struct mailbox *mailbox);

/* The reader met damage: counts it, and wakes the broker, which writes the log and may be asleep.
 */
void mail_note_damage(struct metrics *metrics, struct mailbox *broker);

#endif
