/* SPDX-License-Identifier: Apache-2.0 */
/* attributes_json: the attributes of a session as JSON, which PUT and PATCH take.
 *
 *     {"ttl_ms": 3600000, "idle_close_ms": 60000, "content_type": "text/plain", "note": "..."}
 *
 * Times are in milliseconds, as in what the sidecar answers. A key that is absent, in a PUT, and
 * one that is null have the default: the sidecar's time to live, no idle close, no content type, no
 * note. A note that is not UTF-8 has the key note_base64.
 *
 * Owns     a change has the bytes of its texts.
 * Threads  pure functions on the caller's memory.
 */
#ifndef SPN_HTTP_ATTRIBUTES_JSON_H
#define SPN_HTTP_ATTRIBUTES_JSON_H

#include <jansson.h>

#include "sponson.h"

#include "http/problem.h"

/* No larger body is taken. */
enum { ATTRIBUTES_JSON_MAX = 64 * 1024 };

struct attributes_change {
    struct spn_attributes attributes; /* defaults for what is not given: what a PUT sets */
    bool has_ttl;
    bool has_idle_close;
    bool has_content_type;
    bool has_note;
    json_t *json;
    struct out note;
};

/* An empty body changes nothing. After false there is nothing to release. */
bool attributes_parse(struct spn_bytes body, struct attributes_change *ret_change,
                      struct problem *ret_problem);
void attributes_release(struct attributes_change *change);

/* What a PATCH sets: these attributes with those of the change. They borrow its bytes. */
void attributes_apply(const struct attributes_change *change, struct spn_attributes *attributes);

/* Appends the attributes as a line of JSON, with null for a default, so that a PUT of it sets the
 * same. */
void attributes_write(const struct spn_attributes *attributes, struct out *out);

#endif
