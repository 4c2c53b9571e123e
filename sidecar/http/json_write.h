/* SPDX-License-Identifier: Apache-2.0 */
/* json_write: members of the gateway's JSON.
 *
 * A member is given as the text before its value, such as `,"seq":`. That of bytes is given without
 * the end, such as `,"id`: bytes that are not UTF-8 are written as base64, under the name with
 * `_base64` after it.
 *
 * Threads  pure functions on the caller's memory.
 */
#ifndef SPN_HTTP_JSON_WRITE_H
#define SPN_HTTP_JSON_WRITE_H

#include "sponson.h"

#include "base/out.h"

void json_write_bytes(struct out *out, const char *member, struct spn_bytes bytes);
void json_write_bytes_or_null(struct out *out, const char *member, struct spn_bytes bytes);
void json_write_text(struct out *out, const char *member, const char *text);
void json_write_number(struct out *out, const char *member, uint64_t number);
void json_write_bool(struct out *out, const char *member, bool value);

/* Milliseconds; 0 is null. */
void json_write_span(struct out *out, const char *member, uint64_t ms);

/* RFC 3339; 0 is null. */
void json_write_time(struct out *out, const char *member, uint64_t time_ms);

/* A life, and a cursor; a life of zeros is null. */
void json_write_life(struct out *out, const char *member, const struct spn_life *life);
void json_write_cursor(struct out *out, const char *member, const struct spn_life *life,
                       uint64_t seq);

#endif
