/* SPDX-License-Identifier: Apache-2.0 */
/* ds_query: how a GET of a Durable Stream wants to read, and from where.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_DS_QUERY_H
#define SPN_HTTP_DS_QUERY_H

#include "http/ds/offset.h"
#include "http/query.h"

enum ds_mode {
    DS_MODE_CHUNK,
    DS_MODE_POLL,
    DS_MODE_LIVE, /* an event stream */
};

struct ds_query {
    enum ds_mode mode;
    enum ds_offset_kind start; /* not DS_OFFSET_BAD; without an offset as -1 */
    struct ds_offset place;    /* with DS_OFFSET_AT */
};

bool ds_query_parse(const struct query *query, struct ds_query *ret_query,
                    struct problem *ret_problem);

#endif
