/* SPDX-License-Identifier: Apache-2.0 */
/* session_pick: which sessions of a list, and in which order?
 *
 * Owns     the sessions that session_order keeps.
 * Borrows  the prefix.
 * Units    milliseconds.
 * Threads  one.
 */
#ifndef SPN_CLI_SESSION_PICK_H
#define SPN_CLI_SESSION_PICK_H

#include <stdbool.h>

#include "sponson.h"

/* -- which ------------------------------------------------------------------------------------- */

struct session_pick {
    struct spn_bytes prefix; /* of the name; empty: any */
    bool has_state;
    spn_session_state state;
    uint64_t older_than_ms; /* the newest event is at least so old; 0: any age */
};

#define SESSION_PICK_STATES "live|closed|damaged"

/* NULL: the text is not a state. */
const char *session_pick_set_state(struct session_pick *pick, const char *text);

/* Whether the session is one of them; now_ms: the wall time. The age of a session of which only the
 * name is known is not known, so it is not old. */
bool session_pick_takes(const struct session_pick *pick, const struct spn_session *session,
                        uint64_t now_ms);

/* -- in which order ---------------------------------------------------------------------------- */

/* X(name, option) */
#define SESSION_ORDER_MAP(X)                                                                       \
    X(NAME, "name")                                                                                \
    X(EVENTS, "events")                                                                            \
    X(BYTES, "bytes")                                                                              \
    X(NEWEST, "newest")                                                                            \
    X(OPENED, "opened")                                                                            \
    X(DUPLICATES, "duplicates")                                                                    \
    X(CONFLICTS, "conflicts")

#define SESSION_ORDERS "name|events|bytes|newest|opened|duplicates|conflicts"

enum session_order_by {
#define SESSION_ORDER_ENUM(name, option) SESSION_BY_##name,
    SESSION_ORDER_MAP(SESSION_ORDER_ENUM)
#undef SESSION_ORDER_ENUM
};

/* False: the text is not an order. */
bool session_order_parse(const char *text, enum session_order_by *ret_by);

/* Sessions that are kept until all are there. */
struct session_order {
    enum session_order_by by;
    bool reverse;
    uint64_t limit; /* the first ones that are wanted; 0: all. Not many more are kept */
    struct session_kept *kept;
    size_t count;
    size_t capacity;
};

/* One of them, with a copy of its texts. */
struct session_kept {
    struct spn_session session;
    char *text;
};

/* Names in byte order; of the others the largest or newest comes first. SPN_E_NOMEM. */
spn_err session_order_add(struct session_order *order,
                          const struct spn_session *session) SPN_MUST_USE;
/* All are there: sorts them, and drops those beyond the limit. */
void session_order_end(struct session_order *order);
void session_order_release(struct session_order *order);

/* -- texts ------------------------------------------------------------------------------------- */

/* Copies the session's texts into one piece, which its texts then point into, and frees *text, the
 * former piece: they may point into that. After a failure they are not to be used. SPN_E_NOMEM. */
spn_err session_keep_texts(struct spn_session *session, char **text) SPN_MUST_USE;

#endif
