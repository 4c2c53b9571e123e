/* SPDX-License-Identifier: Apache-2.0 */
/* accept: in which form does the client want the answer, and which form has its body?
 *
 * Borrows  the bytes.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_ACCEPT_H
#define SPN_HTTP_ACCEPT_H

#include "http/problem.h"

/* X(media, "type"): in the order in which they are preferred where the client does not care. */
#define ACCEPT_MEDIA_MAP(X)                                                                        \
    X(EVENT_STREAM, "text/event-stream")                                                           \
    X(JSON, "application/json")                                                                    \
    X(NDJSON, "application/x-ndjson")

enum accept_media {
#define ACCEPT_MEDIA_ENUM(name, type) ACCEPT_##name,
    ACCEPT_MEDIA_MAP(ACCEPT_MEDIA_ENUM)
#undef ACCEPT_MEDIA_ENUM
        ACCEPT_MEDIAS
};

/* For the `offered` of accept_choose. */
#define ACCEPT_BIT(media) (1u << (media))

/* Chooses among the offered media. accept: the header's value, several joined by commas; size 0:
 * there is none. The highest q wins, then the one that is named more exactly, then the order above.
 * Elements that are malformed are passed over. 406: nothing that is offered is accepted. */
bool accept_choose(struct spn_bytes accept, unsigned offered, enum accept_media *ret_media,
                   struct problem *ret_problem);

enum accept_body { ACCEPT_BODY_EVENTS, ACCEPT_BODY_JSON, ACCEPT_BODY_RAW };

/* What the body is by its Content-Type; size 0: raw, as any type that is not ours. Parameters are
 * passed over. 415: it is malformed, or names a charset other than UTF-8. */
bool accept_body(struct spn_bytes content_type, enum accept_body *ret_body,
                 struct problem *ret_problem);

#endif
