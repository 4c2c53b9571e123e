/* SPDX-License-Identifier: Apache-2.0 */
/* model_base: the tables of the model, which its files share. */
#ifndef CONFORMANCE_MODEL_BASE_H
#define CONFORMANCE_MODEL_BASE_H

#include "model.h"

enum { PRODUCERS_MAX = 16, SUBSCRIPTIONS_MAX = 64, SESSIONS_MAX = 64, LIFE_SIZE = 33 };

/* Flags of an entry. */
enum {
    ENTRY_LIFE = 1,
    ENTRY_SEQ = 2,
    ENTRY_NEW = 4,
    ENTRY_CLOSES = 8,
    ENTRY_DEPENDS = 16,
    ENTRY_NOTE = 32
};

/* What is known of one number of a producer. */
struct number {
    char *key; /* what the client sent under it; NULL: nothing yet */
    uint8_t result;
    uint32_t code;
};

struct producer {
    char *id;
    uint64_t token;
    bool live; /* false: its token is stale */
    bool fenced;
    uint64_t accepted, durable, acked, base;
    int64_t round, answered; /* of the newest batch; the last that an EXPECT answered; -1: none */
    uint8_t level;
    struct number *numbers; /* of number 1, 2, 3 ... */
    size_t count, room;
};

/* An event or a marker. */
struct stored {
    char *session;
    char *id;
    char *content;
    uint64_t seq;
};

struct session {
    char *name;
    unsigned life; /* how many sessions were deleted before it was opened */
    uint64_t seq;  /* the newest */
    bool closed;
};

struct subscription {
    bool log; /* of FOLLOW: its seq is a position */
    uint64_t number, incarnation, credit;
    uint64_t seq, bytes; /* where it stands; of all items of this incarnation */
};

struct model {
    struct producer producers[PRODUCERS_MAX];
    size_t producer_count;
    struct producer *opened; /* the last */
    uint64_t next_token;
    bool commits;
    uint64_t batch_events_max, data_max; /* as the last WELCOME had them; 0: there was none */
    uint32_t refuse_code;
    unsigned refuse_count;

    struct stored *stored;
    size_t stored_count, stored_room;
    struct session sessions[SESSIONS_MAX];
    size_t session_count;
    unsigned deletes;
    uint64_t position;

    struct subscription subscriptions[SUBSCRIPTIONS_MAX];
    size_t subscription_count;
};

struct producer *model_producer(struct model *model, uint64_t token);
/* Makes room up to this number. */
struct number *model_number(struct producer *producer, uint64_t number);

/* model_session.c */

enum { STORED, DUPLICATE, CONFLICT, REFUSED };

struct entry {
    const char *kind, *session, *id, *type, *data, *life, *reason;
    uint64_t flags, seq;
    bool depends_on_refused;
};

/* What became of an entry, and how its session stands then. */
struct decided {
    uint32_t code;        /* of a refusal; else 0 */
    char life[LIFE_SIZE]; /* zeros: there is no session */
    uint64_t seq;         /* of the entry that has the id, or the session's newest */
    bool closed;
};

char *model_copy(const char *text);
void model_free_sessions(struct model *model);
/* NULL: there is none. */
struct session *model_session(struct model *model, const char *name);
void model_life_of(const struct session *session, char ret_life[LIFE_SIZE]);
/* Carries it out unless it is a duplicate, a conflict or refused. */
uint8_t model_decide(struct model *model, const struct entry *entry, struct decided *ret_decided);

/* model_follow.c */

struct subscription *model_subscription(struct model *model, uint64_t number);
void model_note_subscription(struct model *model, const struct message *message);
void model_take_credit(struct model *model, struct fake *fake, struct received *received);

#endif
