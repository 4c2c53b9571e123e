/* SPDX-License-Identifier: Apache-2.0 */
/* etag: the conditions of a request, and the entity tag that names a session's life.
 *
 *     If-None-Match: *       there is no such session
 *     If-Match: "<life>"     the session has this life
 *     Sponson-If-Seq: <seq>  its newest event or marker has this seq
 *
 * Other forms that RFC 9110 has say what the sidecar cannot compare: lists, weak tags, `If-Match:
 * *` and `If-None-Match` with a tag are refused.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_ETAG_H
#define SPN_HTTP_ETAG_H

#include "sponson.h"

#include "http/problem.h"

/* The headers' values; data NULL: the request does not have it. */
struct etag_headers {
    struct spn_bytes if_none_match;
    struct spn_bytes if_match;
    struct spn_bytes if_seq;
};

struct etag_conditions {
    struct spn_publish_options options; /* its life, if it has one, is the next field */
    struct spn_life life;
};

/* Fills in *ret_conditions, whose address must not change afterwards. `closes` and `reason` are the
 * caller's. */
bool etag_parse(const struct etag_headers *headers, struct etag_conditions *ret_conditions,
                struct problem *ret_problem);

enum { ETAG_SIZE = SPN_LIFE_TEXT_SIZE + 2 };

/* "<life>" with its quotes. Returns ret_text. */
char *etag_format(const struct spn_life *life, char ret_text[ETAG_SIZE]);

#endif
