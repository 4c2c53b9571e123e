/* SPDX-License-Identifier: Apache-2.0 */
/* body_event: what an event of a request's body may be.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_BODY_EVENT_H
#define SPN_HTTP_BODY_EVENT_H

#include "sponson.h"

#include "http/problem.h"

enum {
    BODY_ID_MAX = 4096, /* as sponson.h has it */
    BODY_TYPE_MAX = 255,
    BODY_WHAT_SIZE = sizeof("event 18446744073709551615"),
};

struct body_rules {
    size_t data_max;  /* of one event */
    bool has_key;     /* an Idempotency-Key gives the ids: events have none of their own */
    bool newlines_lf; /* CRLF and CR in data become LF, instead of being refused */
};

/* What a kind of body finds in its bytes. */
enum body_found { BODY_NONE, BODY_EVENT, BODY_BAD };

/* "event 3"; the first is 0. Returns ret_what. */
char *body_what(uint64_t index, char ret_what[BODY_WHAT_SIZE]);

/* False: it is not to be published. CR in data is refused: a kind that turns it into LF has done so
 * before. */
bool body_event_check(const struct spn_event *event, const struct body_rules *rules,
                      const char *what, struct problem *ret_problem);

/* False: there is a CR in the data. */
bool body_data_check(struct spn_bytes data, const char *what, struct problem *ret_problem);

/* Appends data with CRLF and CR as LF. *after_cr says whether the last byte was a CR, whose LF may
 * come with the next call; false at first. */
void body_put_lines(struct out *out, struct spn_bytes data, bool *after_cr);

#endif
