/* SPDX-License-Identifier: Apache-2.0 */
/* problem: why a request is refused, and the answer that says it (RFC 9457).
 *
 * Whatever can refuse a request takes a struct problem to describe the refusal. Details name the
 * input; never a token.
 *
 * Owns     nothing.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_PROBLEM_H
#define SPN_HTTP_PROBLEM_H

#include "base/out.h"

enum { PROBLEM_DETAIL_SIZE = 256 };

struct problem {
    unsigned status;                  /* of HTTP; 0: there is no problem */
    const char *code;                 /* "SPN_E_..."; a constant string */
    char detail[PROBLEM_DETAIL_SIZE]; /* one line of UTF-8 */
};

/* Sets all fields. Bytes of the request go through text_quote first. Returns false, so that a
 * function that finds a problem ends with it. */
bool problem_set(struct problem *ret_problem, unsigned status, spn_err err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A header has a value that it cannot have: 400, "NAME is 'VALUE': WHAT". Returns false. */
bool problem_header(struct problem *ret_problem, const char *name, struct spn_bytes value,
                    const char *what);

/* Memory has run out: 503. Returns false. */
bool problem_no_memory(struct problem *ret_problem);

/* An event with this id is there, and it is another one: 409. Returns false. */
bool problem_conflict(struct problem *ret_problem);

/* The status that answers an error of the library or the sidecar. */
unsigned problem_status(spn_err err);

/* The words that HTTP has for a status, such as "Not Found". */
const char *problem_title(unsigned status);

/* Appends the problem as JSON. */
void problem_write(const struct problem *problem, struct out *out);

#endif
