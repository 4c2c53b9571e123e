/* SPDX-License-Identifier: Apache-2.0 */
/* body_json: the events of a body that is JSON: an object for each event, one or an array of them.
 *
 * An event has the keys id, type, data, retry. id, type and data may be bytes, as base64, with
 * `_base64` after the name of the key. Only data must be there. null is as absent.
 *
 * The whole body is checked before its first event is given, so that a body with an error in it
 * publishes nothing. Each event is checked as soon as it is there: no call does more work than its
 * bytes are worth, and one event is in memory as JSON at a time.
 *
 * Owns     the body's bytes, up to body_max of them.
 * Lends    an event: until the next call.
 * Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_BODY_JSON_H
#define SPN_HTTP_BODY_JSON_H

#include "http/body_event.h"
#include "http/flat_json.h"

struct body_json {
    const struct body_rules *rules;
    size_t body_max;
    struct out bytes;
    unsigned char part; /* enum json_part, in the .c file */
    bool is_array;
    size_t object; /* where the object under way begins */
    struct flat_scan scan;
    uint64_t count;
    size_t given; /* the events before this place were given */
    uint64_t given_count;
    struct spn_event event; /* read last; its bytes are in the next four */
    json_t *json;
    struct out id;
    struct out type;
    struct out data;
};

void body_json_init(struct body_json *body, const struct body_rules *rules, size_t body_max);
void body_json_release(struct body_json *body); /* takes zeros */

/* BODY_NONE or BODY_BAD. */
enum body_found body_json_take(struct body_json *body, const char *bytes, size_t size,
                               struct problem *ret_problem);

/* 413: the body is larger than body_max. Returns false. */
bool body_json_refuse_size(size_t body_max, struct problem *ret_problem);

/* The body has ended: its next event, or BODY_NONE after the last. */
enum body_found body_json_end(struct body_json *body, struct spn_event *ret_event,
                              struct problem *ret_problem);

#endif
