/* SPDX-License-Identifier: Apache-2.0 */
/* model_base: the tables of the model, which its files share. */
#ifndef CONFORMANCE_MODEL_BASE_H
#define CONFORMANCE_MODEL_BASE_H

#include "model.h"

enum { PRODUCERS_MAX = 16, SUBSCRIPTIONS_MAX = 64 };

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

struct stored {
    char *session;
    char *id;
    char *content;
};

struct subscription {
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
    const char *kind, *session, *id, *type, *data;
};

char *model_copy(const char *text);
void model_free_sessions(struct model *model);
/* Stores it unless it is a duplicate, a conflict or refused. Sets the code of a refusal. */
uint8_t model_decide(struct model *model, const struct entry *entry, uint32_t *ret_code);
/* Of the entry with this id; of the last one if there is none, or id is NULL. */
uint64_t model_seq(const struct model *model, const char *session, const char *id);

/* model_follow.c */

struct subscription *model_subscription(struct model *model, uint64_t number);
void model_note_subscription(struct model *model, const struct message *message);
void model_take_credit(struct model *model, struct fake *fake, struct received *received);

#endif
