/* SPDX-License-Identifier: Apache-2.0 */
/* body_sse: the events of a body that is text/event-stream.
 *
 * The body may be endless. The parser of the library bounds what it holds, but takes a line or an
 * event without an end for ever, and drops it at the end. Here both are bounded by what an event of
 * the largest data can take. Comments count for their line only.
 *
 * Owns     the parser.
 * Lends    an event: until the next call.
 * Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_BODY_SSE_H
#define SPN_HTTP_BODY_SSE_H

#include "http/body_event.h"

struct body_sse {
    const struct body_rules *rules;
    spn_sse *sse;
    size_t line_max;
    size_t block_max;
    size_t line_size;  /* of the line under way */
    size_t block_size; /* of the block under way, without comments */
    size_t given_size; /* of the event that is lent */
    bool in_comment;
    bool after_cr;
    bool is_cut;    /* the body ended inside a block: its last event was dropped */
    bool has_lines; /* that are no comments */
    uint64_t count;
};

bool body_sse_init(struct body_sse *body, const struct body_rules *rules,
                   struct problem *ret_problem);
void body_sse_release(struct body_sse *body); /* takes zeros */

enum body_found body_sse_take(struct body_sse *body, const char *bytes, size_t size,
                              size_t *ret_used, struct spn_event *ret_event,
                              struct problem *ret_problem);

/* How many bytes of memory its blocks take. */
size_t body_sse_held(const struct body_sse *body);
/* The event that was lent is over. */
void body_sse_forget(struct body_sse *body);

/* The body has ended. BODY_NONE or BODY_BAD: it had lines, and no event. */
enum body_found body_sse_end(struct body_sse *body, struct problem *ret_problem);

#endif
