/* SPDX-License-Identifier: Apache-2.0 */
/* ds_headers: the headers of an append to a Durable Stream.
 *
 * Borrows  the values.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_DS_HEADERS_H
#define SPN_HTTP_DS_HEADERS_H

#include "http/ds/note.h"
#include "http/problem.h"

/* The largest number that JavaScript counts to. */
#define DS_NUMBER_MAX UINT64_C(9007199254740991)

/* data NULL: the header is not there. */
struct ds_append_headers {
    struct spn_bytes producer_id;
    struct spn_bytes producer_epoch;
    struct spn_bytes producer_seq;
    struct spn_bytes seq;
};

/* All three of a producer, or none. */
bool ds_append_parse(const struct ds_append_headers *headers, struct ds_note *ret_note,
                     struct problem *ret_problem);

/* Whether Stream-Closed says so: all values but `true` count as none. */
bool ds_headers_close(struct spn_bytes value);

/* Whether If-None-Match has this entity tag, which is in quotes, or is `*`. */
bool ds_headers_match(struct spn_bytes value, const char *etag);

#endif
