/* SPDX-License-Identifier: Apache-2.0 */
/* question: what the reader requests from the broker.
 *
 * Only the broker has producers and knows where a session stands beyond the index on disk. There
 * are three questions; each comes back with its answer.
 *
 * Owns     what is marked as owned below.
 * Threads  the reader's, then the broker's, then the reader's again, which frees it.
 */
#ifndef SPN_QUESTION_H
#define SPN_QUESTION_H

#include <zmq.h>

#include "base/mailbox.h"
#include "base/peer.h"
#include "index/view.h"
#include "mail/mail.h"
#include "state/producers.h"
#include "wire.h"

/* The request on read.sock that the answer is for. */
struct asker {
    struct peer peer;
    uint64_t request; /* its number */
    uint8_t type;     /* its message type */
};

struct session_asked {
    struct spn_bytes name; /* into name_bytes */
    uint64_t epoch;        /* the epoch that the name has on disk; 0: none */
    struct view view;      /* answer; owned */
    struct view next;      /* answer: the view that view.next points to; owned */
    uint8_t name_bytes[WIRE_SESSION_MAX];
};

/* Where do these sessions stand? From a caller, whose request is in the frame, or from a
 * subscription. */
struct session_question {
    struct message message;
    struct asker asker;
    zmq_msg_t frame; /* owned */
    bool more;       /* it is a page of the list of sessions, and more come after it */

    uint32_t subscription; /* its slot, ... */
    uint64_t serial;       /* ... and the serial that shows it is still the same one */

    uint64_t horizon; /* answer: the newest position that the views can cover */
    size_t count;
    struct session_asked sessions[];
};

/* What is in memory? */
struct generations_question {
    struct message message;
    struct asker asker;
    zmq_msg_t frame;  /* owned: a SESSIONS request */
    struct view view; /* answer: parts only; owned */
};

/* STATE: what became of this producer's numbers? */
struct holder_question {
    struct message message;
    struct asker asker;
    uint64_t token;
    uint64_t base;

    spn_err err;             /* answer */
    struct wire_state state; /* answer */
    struct wire_run *runs;   /* answer: malloced, or NULL; owned */
};

/* kind: MESSAGE_SESSION or MESSAGE_SUBSCRIPTION. NULL: out of memory. */
struct session_question *session_question_new(enum message_kind kind, size_t count);
void session_question_name(struct session_question *question, size_t i, struct spn_bytes name);
void session_question_free(struct session_question *question); /* takes NULL, as the others do */

struct generations_question *generations_question_new(const struct asker *asker);
void generations_question_free(struct generations_question *question);

struct holder_question *holder_question_new(const struct asker *asker);
void holder_question_free(struct holder_question *question);

#endif
