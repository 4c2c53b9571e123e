/* SPDX-License-Identifier: Apache-2.0 */
/* target: what a request is about: a route, the name of a session, options.
 *
 * The target is parsed as it arrived, and decoded once; `+` is a plus. Rights are checked on the
 * very bytes that are the name here and go to the sidecar.
 *
 *   http://authority /v1/sessions/ name ? query
 *   └─ absolute form, left out by nearly all clients
 *
 * Borrows  the text, in which name and values are decoded.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_TARGET_H
#define SPN_HTTP_TARGET_H

#include "http/query.h"

enum {
    TARGET_NAME_MAX = 255,       /* bytes of a session's name */
    TARGET_STREAM_MAX = 255 - 3, /* a stream X is the session ds/X */
};

/* X(route, path): a path that ends in `/` has a name after it. */
#define TARGET_ROUTE_MAP(X)                                                                        \
    X(SESSION, "/v1/sessions/")                                                                    \
    X(SESSIONS, "/v1/sessions")                                                                    \
    X(EVENTS, "/v1/events")                                                                        \
    X(STREAM, "/v1/stream/")                                                                       \
    X(HEALTHZ, "/healthz")                                                                         \
    X(READYZ, "/readyz")                                                                           \
    X(METRICS, "/metrics")                                                                         \
    X(PROBLEMS, "/problems")                                                                       \
    X(PAGE, "/")

enum target_route {
    TARGET_NOWHERE, /* 404 */
#define TARGET_ROUTE_ENUM(name, path) TARGET_##name,
    TARGET_ROUTE_MAP(TARGET_ROUTE_ENUM)
#undef TARGET_ROUTE_ENUM
};

struct target {
    enum target_route route;
    struct spn_bytes authority; /* of the absolute form; size 0: of the Host header */
    struct spn_bytes name;      /* TARGET_SESSION, TARGET_STREAM: not empty */
    struct query query;
};

/* text: the target of the request line, decoded in place. */
bool target_parse(char *text, size_t size, struct target *ret_target, struct problem *ret_problem);

#endif
