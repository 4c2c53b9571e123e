/* SPDX-License-Identifier: Apache-2.0 */
/* model: what the fake sidecar answers by itself, and the rules that a client must keep.
 *
 * A small broker: producers with their numbers and results, ids of sessions, subscriptions by
 * number. It answers HELLO, OPEN, STATE, BATCH, CREDIT and PUBLISH as a sidecar does. Everything is
 * durable at once, unless the script stops commits.
 *
 * Owns     its tables.
 * Threads  one.
 */
#ifndef CONFORMANCE_MODEL_H
#define CONFORMANCE_MODEL_H

#include "fake.h"

struct model;

struct model *model_new(void);
void model_free(struct model *model);

/* Tokens are unknown from here on; what is not durable is gone, and so are subscriptions. */
void model_restart(struct model *model);
/* Off: numbers are accepted and not durable. On: all of them are. */
void model_commit(struct model *model, struct fake *fake, bool on);
/* Another client opens every producer id. */
void model_fence(struct model *model);
/* The next entries, so many, are refused with this code. */
void model_refuse(struct model *model, uint32_t code, unsigned count);
/* Forgets the subscriptions, as when the lease ran out. */
void model_forget_subscriptions(struct model *model);

/* Whether it answers this type unless the script does. */
bool model_answers(uint8_t type);
/* Writes a violation for each rule that the message breaks. */
void model_check(struct model *model, const struct message *message);
/* Notes what the message changes, and answers if it is to. */
void model_take(struct model *model, struct fake *fake, struct received *received, bool answer);
/* Adds what follows from what was sent before: of a delivery the incarnation, the seq, the bytes.
 */
void model_complete(const struct model *model, struct message *message);
void model_note_sent(struct model *model, const struct message *message);

/* The token of the producer that was opened last; the subscriptions that there are. */
uint64_t model_token(const struct model *model);
const char *model_database(void);
const char *model_life(void); /* of every session */

#endif
