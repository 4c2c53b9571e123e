/* SPDX-License-Identifier: Apache-2.0 */
/* ask: a question between the reader and the broker, and its answer.
 *
 * The reader asks for what only the broker has: producers, and where a session stands that the
 * index on disk does not know yet. The broker asks for what only the disk has: the tracker of a
 * session that is not in memory. The same node goes there and back.
 *
 * Owns     what is noted below; who made it frees it.
 * Threads  one at a time: whose queue it came out of.
 */
#ifndef SPN_ASK_H
#define SPN_ASK_H

#include <zmq.h>

#include "state/producers.h"
#include "index/view.h"

enum ask_kind {
    ASK_VIEW,        /* reader -> broker: sessions by name */
    ASK_GENERATIONS, /* reader -> broker: all that is touched */
    ASK_OPEN,        /* reader -> broker: a producer id */
    ASK_STATE,       /* reader -> broker: a producer token */
    ASK_HYDRATE,     /* broker -> reader */
};

/* A session asked about. */
struct ask_session {
    struct spn_bytes name; /* into name_bytes */
    uint64_t epoch;        /* in: from the names on disk; 0: not there */
    struct view view;      /* out */
    struct view next;      /* out: what view.next names */
    uint8_t name_bytes[WIRE_SESSION_MAX];
};

struct ask {
    struct handoff_node node;
    enum ask_kind kind;
    spn_err err; /* of the answer */

    struct peer peer; /* reader: who asked on read.sock ... */
    uint64_t request; /* ... under this number ... */
    uint8_t type;     /* ... by this message ... */
    zmq_msg_t frame;  /* ... which the ask owns */

    struct ask_session *sessions; /* VIEW: owned. HYDRATE: one; the view in, the epoch out */
    size_t session_count;
    struct view generations; /* GENERATIONS out: parts only */
    bool more;               /* VIEW for a page of the list of sessions: there are more behind it */

    uint8_t producer_id[WIRE_PRODUCER_ID_SIZE]; /* OPEN */
    uint64_t token;                             /* OPEN, STATE */
    uint64_t base;                              /* OPEN, STATE */
    struct producer_owner owner;                /* OPEN */
    struct wire_mark known;                     /* OPEN: what its holder has seen */
    uint64_t known_of;                          /* OPEN: the instance that it has seen it of */
    const char *detail;                         /* OPEN out: more words for an error, or NULL */
    struct wire_state state;                    /* OPEN, STATE out */
    struct wire_run *runs;                      /* OPEN, STATE out: malloced, or NULL */

    uint32_t slot;    /* HYDRATE: the session that it may be. VIEW for a subscription: which, ... */
    uint64_t serial;  /* ... and that it is still the same one */
    uint64_t horizon; /* VIEW out: the newest position that the views can know of */

    struct producer *waiting; /* HYDRATE: whose parked frame waits for it */
    uint64_t hash;            /* HYDRATE: of the name */
    struct tracker *tracker;  /* HYDRATE out: NULL when the epoch is not the view's */
};

/* NULL: out of memory. */
struct ask *ask_new(enum ask_kind kind, size_t session_count);
void ask_name(struct ask *ask, size_t i, struct spn_bytes name);
/* With everything it owns; takes NULL. */
void ask_free(struct ask *ask);

#endif
