/* SPDX-License-Identifier: Apache-2.0 */
/* views: answers the reader's questions about sessions.
 *
 * Lends    nothing: a view has references of its own to generations (view_release).
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

/* The newest epoch of the session in this slot, as the broker decides by it. */
void views_fill(const struct views *views, uint32_t slot, struct view *view);

/* Both answer a question. endings: settled up to the durable mark. */
void views_sessions(const struct views *views, const struct endings *endings,
                    struct session_question *question);
void views_generations(const struct views *views, struct generations_question *question);

#endif
