/* SPDX-License-Identifier: Apache-2.0 */
/* session_start: where in a session a request begins to read, kept for as long as it may ask again.
 *
 * A cursor's text may be the id of an event: it is tried as one first. Only if no event has it, the
 * cursor itself counts.
 *
 * Owns     copies of the name and the id.
 * Threads  one.
 */
#ifndef SPN_HTTP_SESSION_START_H
#define SPN_HTTP_SESSION_START_H

#include "http/gateway.h"
#include "http/start.h"

struct session_start {
    char *bytes; /* the name, then the id */
    struct spn_bytes session;
    struct start start;
};

spn_err session_start_keep(struct session_start *start, struct spn_bytes session,
                           const struct start *chosen) SPN_MUST_USE;
void session_start_release(struct session_start *start); /* takes zeros */

/* Whether the request named an event, or a place. */
bool session_start_has_cursor(const struct session_start *start);
/* The verdict takes the cursor, whose seq the session has not reached yet: it is of a future that
 * is lost. */
bool session_start_is_ahead(const struct session_start *start, const struct spn_item *verdict);

/* Subscribes. otherwise: as in sponson.h; with SPN_WAIT it begins with the first event. */
spn_err session_start_subscribe(const struct session_start *start, struct gateway *gateway,
                                spn_subscription **ret_subscription,
                                unsigned otherwise) SPN_MUST_USE;

/* The subscription ended with this error. True: subscribe again, by what the id stands for. */
bool session_start_again(struct session_start *start, spn_err why);

#endif
