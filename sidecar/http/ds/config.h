/* SPDX-License-Identifier: Apache-2.0 */
/* ds_config: what a Durable Stream was created with: its content type, and how long it lives.
 *
 * It is kept in the attributes of the session. Their note says what they have no field for:
 *
 *     ds1 [first] [ttl=SECONDS] [expires=RFC3339] [by=ID]
 *
 * `first`: the stream begins with the content that it was created with, and is there only once that
 * is stored. `by`: the request that created it, which so finds its own stream. Without such a note
 * the session was opened by somebody else, and has no expiry.
 *
 * Borrows  the bytes that texts are in.
 * Units    as the names say.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_DS_CONFIG_H
#define SPN_HTTP_DS_CONFIG_H

#include "http/ds/text.h"
#include "http/problem.h"
#include "sponson.h"

enum { DS_EXPIRES_MAX = 64, DS_CONFIG_NOTE_SIZE = 160 };

struct ds_config {
    struct spn_bytes content_type; /* not empty */
    bool begins_with_content;
    bool has_ttl;
    uint64_t ttl_s;
    struct spn_bytes expires; /* as the client wrote it; size 0: never */
    uint64_t expires_ms;      /* since 1970 */
    struct spn_bytes creator; /* without spaces; size 0: not known */
};

/* The values of the headers of a PUT; data NULL: the header is not there. */
struct ds_config_headers {
    struct spn_bytes content_type;
    struct spn_bytes ttl;
    struct spn_bytes expires;
};

bool ds_config_parse(const struct ds_config_headers *headers, struct ds_config *ret_config,
                     struct problem *ret_problem);

/* Whether both are the same for a PUT: whether there is content, and who created it, does not
 * count.
 */
bool ds_config_same(const struct ds_config *config, const struct ds_config *other);

/* The attributes of a stream that is created now. note: room for theirs, which they borrow. */
void ds_config_attributes(const struct ds_config *config, uint64_t now_ms,
                          char note[DS_CONFIG_NOTE_SIZE], struct spn_attributes *ret_attributes);
/* Whether a stream that expires at a moment would stay well beyond it if a write came now: each
 * begins the time to live again. With attributes that are made anew it stays no longer than an
 * eighth of what is left, or a second. */
bool ds_config_outlives(const struct ds_config *config, uint64_t ttl_ms, uint64_t now_ms);
/* What they say. */
void ds_config_read(struct spn_bytes content_type, struct spn_bytes note,
                    struct ds_config *ret_config);

/* -- content types ----------------------------------------------------------------------------- */

/* Whether it is a media type, with parameters or without. */
bool ds_media_is_valid(struct spn_bytes type);
/* Parameters and case do not count. */
bool ds_media_same(struct spn_bytes type, struct spn_bytes other);
enum ds_form ds_media_form(struct spn_bytes type);

/* -- values ------------------------------------------------------------------------------------ */

/* Digits alone, without a zero in front, up to max. */
bool ds_number_parse(struct spn_bytes text, uint64_t max, uint64_t *ret_number);
/* RFC 3339; milliseconds since 1970. */
bool ds_time_parse(struct spn_bytes text, uint64_t *ret_ms);

#endif
