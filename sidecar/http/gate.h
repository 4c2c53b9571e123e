/* SPDX-License-Identifier: Apache-2.0 */
/* gate: what each request is checked for before anything is done for it: its head, its target,
 * where it comes from, and who may.
 *
 * Owns     nothing: a route is its caller's.
 * Borrows  the gateway, the exchange.
 * Threads  one.
 */
#ifndef SPN_HTTP_GATE_H
#define SPN_HTTP_GATE_H

#include <string.h>

#include "http/credential.h"
#include "http/gateway.h"
#include "http/target.h"

/* What is known of a request while it finds its way. */
struct route {
    struct gateway *gateway;
    struct exchange *exchange;
    char *text; /* a copy of the target, which `target` points into; the caller frees it */
    struct target target;
    struct credential credential;
    struct grant grant; /* without rights if no token is needed */
    bool needs_token;
    uint32_t seen; /* headers: see once.h */
    struct problem problem;
};

static inline struct spn_bytes route_header(const struct route *route, const char *name)
{
    return exchange_header(route->exchange, name);
}

static inline bool route_has_method(const struct route *route, const char *method)
{
    return strcmp(exchange_method(route->exchange), method) == 0;
}

/* Fills the route, of which only gateway and exchange are set, and adds the headers of CORS. False,
 * here and below: route->problem says why not. */
bool gate_check(struct route *route);

/* Whether the token has these rights for a session; for all sessions with a prefix. */
bool gate_may(struct route *route, unsigned rights, struct spn_bytes name);
bool gate_may_prefix(struct route *route, unsigned rights, struct spn_bytes prefix);

/* Counts a denial whose problem is set. Returns false. */
bool gate_deny(struct route *route, enum counts_denial why);

#endif
