/* SPDX-License-Identifier: Apache-2.0 */
/* ds_text: the data of Durable Streams: how an event holds it, and how answers write it.
 *
 * An event's data has no CR. A CR is therefore stored as 10 4D, and 10, the escape, as 10 50: the
 * byte after an escape is XORed with 40. All other bytes stand for themselves.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_DS_TEXT_H
#define SPN_HTTP_DS_TEXT_H

#include <stdbool.h>

#include "base/out.h"

void ds_text_escape(struct out *out, struct spn_bytes data);
/* What ds_text_escape did not write is taken as it is. */
void ds_text_unescape(struct out *out, struct spn_bytes data);

/* The form of a stream's data in an answer. */
enum ds_form {
    DS_FORM_BYTES, /* base64 in an event stream */
    DS_FORM_TEXT,  /* CRLF and CR are LF in an event stream, which has no other line ends */
    DS_FORM_JSON,  /* messages, without brackets around them */
};

/* An event `data`. */
void ds_text_data(struct out *out, enum ds_form form, struct spn_bytes data);

struct ds_control {
    const char *offset; /* where to go on */
    uint64_t cursor;
    bool is_up_to_date;
    bool is_closed;
};

/* An event `control`, which comes after each event `data`. */
void ds_text_control(struct out *out, const struct ds_control *control);

#endif
