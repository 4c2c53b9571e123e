/* SPDX-License-Identifier: Apache-2.0 */
/* names: the headers that the gateway reads and writes.
 *
 * Each list is one place: what is allowed and exposed by CORS follows from it (origin.c).
 */
#ifndef SPN_HTTP_NAMES_H
#define SPN_HTTP_NAMES_H

/* X(name, "text"): of requests, and allowed to a page of another origin. */
#define NAMES_ALLOWED_MAP(X)                                                                       \
    X(ACCEPT, "Accept")                                                                            \
    X(AUTHORIZATION, "Authorization")                                                              \
    X(CACHE_CONTROL, "Cache-Control")                                                              \
    X(CONTENT_TYPE, "Content-Type")                                                                \
    X(EVENT_ID, "Event-Id")                                                                        \
    X(EVENT_TYPE, "Event-Type")                                                                    \
    X(IDEMPOTENCY_KEY, "Idempotency-Key")                                                          \
    X(IF_MATCH, "If-Match")                                                                        \
    X(IF_NONE_MATCH, "If-None-Match")                                                              \
    X(LAST_EVENT_ID, "Last-Event-ID")                                                              \
    X(PRODUCER_ID, "Producer-Id")                                                                  \
    X(PRODUCER_EPOCH, "Producer-Epoch")                                                            \
    X(PRODUCER_SEQ, "Producer-Seq")                                                                \
    X(IF_SEQ, "Sponson-If-Seq")                                                                    \
    X(STREAM_CLOSED, "Stream-Closed")                                                              \
    X(STREAM_EXPIRES_AT, "Stream-Expires-At")                                                      \
    X(STREAM_SEQ, "Stream-Seq")                                                                    \
    X(STREAM_TTL, "Stream-TTL")

/* Of requests: a page cannot set these, or needs no leave to. */
#define NAMES_READ_MAP(X)                                                                          \
    X(CONNECTION, "Connection")                                                                    \
    X(COOKIE, "Cookie")                                                                            \
    X(FORWARDED_PROTO, "X-Forwarded-Proto")                                                        \
    X(HOST, "Host")                                                                                \
    X(ORIGIN, "Origin")                                                                            \
    X(FETCH_SITE, "Sec-Fetch-Site")                                                                \
    X(STREAM_FORKED_FROM, "Stream-Forked-From")

/* Of answers, and readable by a page of another origin. */
#define NAMES_EXPOSED_MAP(X)                                                                       \
    X(ETAG, "ETag")                                                                                \
    X(LOCATION, "Location")                                                                        \
    X(RETRY_AFTER, "Retry-After")                                                                  \
    X(SEQ, "Sponson-Seq")                                                                          \
    X(EPOCH, "Sponson-Epoch")                                                                      \
    X(LIFE, "Sponson-Life")                                                                        \
    X(STATE, "Sponson-State")                                                                      \
    X(TTL, "Sponson-Ttl")                                                                          \
    X(IDLE_CLOSE, "Sponson-Idle-Close")                                                            \
    X(MISSING, "Sponson-Missing")                                                                  \
    X(LAST_ID, "Sponson-Last-Id")                                                                  \
    X(LAST_ID_OMITTED, "Sponson-Last-Id-Omitted")                                                  \
    X(EXPECTED_SEQ, "Producer-Expected-Seq")                                                       \
    X(RECEIVED_SEQ, "Producer-Received-Seq")                                                       \
    X(STREAM_CURSOR, "Stream-Cursor")                                                              \
    X(STREAM_NEXT_OFFSET, "Stream-Next-Offset")                                                    \
    X(STREAM_UP_TO_DATE, "Stream-Up-To-Date")                                                      \
    X(STREAM_DATA_ENCODING, "Stream-SSE-Data-Encoding")

/* Of both, for the lists of CORS: read and written, with a name above. */
#define NAMES_ALSO_EXPOSED                                                                         \
    ", Producer-Epoch, Producer-Seq, Stream-Closed, Stream-Expires-At, Stream-TTL"

#define NAMES_CONSTANT(name, text) static const char name_##name[] __attribute__((unused)) = text;
NAMES_ALLOWED_MAP(NAMES_CONSTANT)
NAMES_READ_MAP(NAMES_CONSTANT)
NAMES_EXPOSED_MAP(NAMES_CONSTANT)
#undef NAMES_CONSTANT

#endif
