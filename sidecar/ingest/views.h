/* SPDX-License-Identifier: Apache-2.0 */
/* views: what the reader asks the broker about sessions.
 *
 * Lends    nothing: generations in a view are references of its own (view_release).
 * Threads  the broker's.
 */
#ifndef SPN_VIEWS_H
#define SPN_VIEWS_H

#include "ingest/broker.h"
#include "mail/question.h"
#include "state/endings.h"

struct views {
    const struct broker_state *state;
    struct generation *frozen; /* at the worker; NULL: none */
};

/* The session of this slot, as the broker decides by it. */
void views_fill(const struct views *views, uint32_t slot, struct view *view);

/* Both answer a question. endings: settled up to what is durable. */
void views_sessions(const struct views *views, const struct endings *endings,
                    struct session_question *question);
void views_generations(const struct views *views, struct generations_question *question);

#endif
