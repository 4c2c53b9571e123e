/* SPDX-License-Identifier: Apache-2.0 */
/* body_raw: a body that is the data of one event. Its id and its type are in headers.
 *
 * Owns     the data, up to data_max bytes.
 * Lends    the event: until the next call.
 * Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_BODY_RAW_H
#define SPN_HTTP_BODY_RAW_H

#include "http/body_event.h"

struct body_raw {
    const struct body_rules *rules;
    struct spn_bytes id;
    struct spn_bytes type;
    struct out data;
    bool after_cr;
    bool is_given;
};

/* id and type are borrowed until the release. */
bool body_raw_init(struct body_raw *body, const struct body_rules *rules, struct spn_bytes id,
                   struct spn_bytes type, struct problem *ret_problem);
void body_raw_release(struct body_raw *body); /* takes zeros */

/* BODY_NONE or BODY_BAD. */
enum body_found body_raw_take(struct body_raw *body, const char *bytes, size_t size,
                              struct problem *ret_problem);

/* 413: the data are larger than data_max. Returns false. */
bool body_raw_refuse_size(size_t data_max, struct problem *ret_problem);

/* The body has ended: its event, once. */
enum body_found body_raw_end(struct body_raw *body, struct spn_event *ret_event);

#endif
