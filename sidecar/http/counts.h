/* SPDX-License-Identifier: Apache-2.0 */
/* counts: what the gateway has done since its start, for /metrics.
 *
 * Owns     nothing: part of the gateway's struct.
 * Threads  one.
 */
#ifndef SPN_HTTP_COUNTS_H
#define SPN_HTTP_COUNTS_H

#include "http/histogram.h"

/* X(name, "label"): why a stream ended. */
#define COUNTS_END_MAP(X)                                                                          \
    X(PEER, "peer") /* it left, and the stream had not ended */                                    \
    X(CAUGHT_UP, "caught_up")                                                                      \
    X(CLOSED, "closed")                                                                            \
    X(DELETED, "deleted")                                                                          \
    X(UNKNOWN, "unknown")                                                                          \
    X(EXPIRED, "expired")                                                                          \
    X(REVOKED, "revoked")                                                                          \
    X(AGE, "max_age")                                                                              \
    X(TOO_MANY, "too_many")         /* streams: see --connections */                               \
    X(SESSION_FULL, "session_full") /* see --readers-per-session */                                \
    X(TOKEN_FULL, "token_full")     /* see --readers-per-token */                                  \
    X(STOPPING, "stopping")                                                                        \
    X(SLOW, "slow") /* it took nothing for too long */                                             \
    X(FAILED, "failed")

/* X(name, "label"): what became of a request that named an event or a place. */
#define COUNTS_RESUME_MAP(X)                                                                       \
    X(WHOLE, "whole")     /* with all that came after it */                                        \
    X(TRIMMED, "trimmed") /* with a gap */                                                         \
    X(AT_END, "at_end")   /* 204: the session is closed, and nothing is missing */                 \
    X(UNKNOWN_ID, "unknown_id")                                                                    \
    X(OTHER_LIFE, "other_life")                                                                    \
    X(UNKNOWN_SESSION, "unknown_session")                                                          \
    X(OTHER_DATABASE, "other_database")

/* X(name, "label"): why a request was not let in. */
#define COUNTS_DENIAL_MAP(X)                                                                       \
    X(TOKEN, "token")   /* none, or one that is not valid */                                       \
    X(RIGHTS, "rights") /* a valid one that does not allow it */                                   \
    X(ORIGIN, "origin") /* its host, or the page that it comes from */                             \
    X(ADMIN, "admin")   /* no cookie of the page, or a wrong token for one */

#define COUNTS_ENUM_END(name, label) END_##name,
#define COUNTS_ENUM_RESUME(name, label) RESUME_##name,
#define COUNTS_ENUM_DENIAL(name, label) DENIAL_##name,
enum counts_end { COUNTS_END_MAP(COUNTS_ENUM_END) END_COUNT };
enum counts_resume { COUNTS_RESUME_MAP(COUNTS_ENUM_RESUME) RESUME_COUNT };
enum counts_denial { COUNTS_DENIAL_MAP(COUNTS_ENUM_DENIAL) DENIAL_COUNT };
#undef COUNTS_ENUM_END
#undef COUNTS_ENUM_RESUME
#undef COUNTS_ENUM_DENIAL

struct gateway_counts {
    unsigned streams; /* now, with an answer or without */
    unsigned polls;   /* now: long polls that wait */
    uint64_t streams_opened;
    uint64_t streams_ended[END_COUNT];
    uint64_t events_written;
    uint64_t bytes_written; /* of streams */
    struct histogram delay; /* see stream.h */
    uint64_t resumes[RESUME_COUNT];
    uint64_t gaps;
    uint64_t resets;
    uint64_t published;
    uint64_t denials[DENIAL_COUNT];
};

#endif
