/* SPDX-License-Identifier: Apache-2.0 */
/* origin: may a request with this host, from a page of this origin, be served?
 *
 * A browser sends requests for any page, with the user's cookies and from inside the user's
 * network. Host keeps out names that were made to point at us; Origin and Sec-Fetch-Site keep out
 * pages. Origins are compared with a list and never reflected.
 *
 * Borrows  the rules and the bytes of the request. Lends texts of the rules and constants.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_ORIGIN_H
#define SPN_HTTP_ORIGIN_H

#include "http/problem.h"

struct origin_rules {
    const char *const *origins; /* such as "https://app.example"; as browsers write them */
    size_t origin_count;
    const char *const *hosts; /* names or addresses, with a port only if no other is meant */
    size_t host_count;
    const char *listen; /* the address that is listened on, without its port; NULL: a Unix socket,
                             where a web server decides about hosts and the list is not asked */
};

/* The headers; size 0: not there. */
struct origin_request {
    struct spn_bytes method;
    struct spn_bytes host;
    struct spn_bytes authority; /* of the target in absolute form */
    struct spn_bytes origin;
    struct spn_bytes fetch_site;
    bool has_cookie; /* it shows who it is by a cookie: browsers send it for any page */
};

/* 400: target and Host name two hosts. 421: not one of our hosts. 403: a page that is not listed.
 */
bool origin_check(const struct origin_rules *rules, const struct origin_request *request,
                  struct problem *ret_problem);

/* Checks what an option gives: scheme://host[:port] in lower case, without a path. */
bool origin_is_valid(const char *origin);

struct origin_header {
    const char *name;
    const char *value;
};

enum { ORIGIN_HEADERS_MAX = 6 };

/* The headers that let a page of a listed origin read the answer. preflight: it answers OPTIONS.
 * Returns their count; always with Vary, or a cache would give the answer to another origin. */
size_t origin_headers(const struct origin_rules *rules, struct spn_bytes origin, bool preflight,
                      struct origin_header ret_headers[ORIGIN_HEADERS_MAX]);

#endif
