/* SPDX-License-Identifier: Apache-2.0 */
/* spn_err: all error codes.
 *
 * One list gives the codes, their numbers on the wire and their texts. Public: it is installed
 * beside sponson.h, which includes it; programs include sponson.h.
 *
 * Owns     nothing.
 * Threads  everything here is constant.
 */
#ifndef SPN_ERR_H
#define SPN_ERR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, text). Numbers travel in ERROR messages and in runs of results (PROTOCOL.md): a
 * released number never changes its meaning and is never reused. */
#define SPN_ERR_MAP(X)                                                                             \
    X(OK, 0, "success")                                                                            \
    X(E_NOMEM, 1, "out of memory")                                                                 \
    X(E_INVALID, 2, "invalid argument")                                                            \
    X(E_SYSTEM, 3, "system call failed")                                                           \
    X(E_TIMEOUT, 4, "timed out")                                                                   \
    X(E_UNAVAILABLE, 5, "no sidecar is answering")                                                 \
    X(E_BACKPRESSURE, 6, "the in-flight window is full")                                           \
    X(E_END, 7, "no more items")                                                                   \
    X(E_FORKED, 8, "used in a forked child of the process that opened it")                         \
    X(E_TOO_MANY, 9, "too many events or questions are waiting")                                   \
    X(E_PROTOCOL, 16, "not a valid message of this protocol")                                      \
    X(E_VERSION, 17, "protocol version not supported")                                             \
    X(E_UNSUPPORTED, 18, "not offered by this sidecar")                                            \
    X(E_STALE_TOKEN, 19, "producer token is not known")                                            \
    X(E_FENCED, 20, "another client has opened this producer id")                                  \
    X(E_DENIED, 21, "not taken on this socket")                                                    \
    X(E_BAD_SESSION, 32, "session id is not 1-255 bytes of UTF-8 without control characters")      \
    X(E_BAD_ID, 33, "event id is empty, too long, or has a NUL, CR or LF")                         \
    X(E_BAD_TYPE, 34, "event type has a NUL, CR or LF, or is too long")                            \
    X(E_BAD_DATA, 35, "event data has a CR, which an event stream cannot carry")                   \
    X(E_EVENT_TOO_LARGE, 36, "event is larger than the limit")                                     \
    X(E_BAD_NOTE, 37, "note is too large")                                                         \
    X(E_BAD_REASON, 38, "reason is too long, not plain text, or the sidecar's own")                \
    X(E_BAD_ATTRIBUTES, 39, "session attributes are too large or invalid")                         \
    X(E_BAD_PREFIX, 40, "prefix is too long or not UTF-8")                                         \
    X(E_BAD_POSITION, 41, "position is not of this log")                                           \
    X(E_UNKNOWN_SESSION, 48, "no such session")                                                    \
    X(E_UNKNOWN_ID, 49, "no such event id in the session")                                         \
    X(E_OTHER_LIFE, 50, "the session has another life now")                                        \
    X(E_TRIMMED, 51, "requested events are no longer retained")                                    \
    X(E_CLOSED, 52, "the session is closed")                                                       \
    X(E_DELETED, 54, "the session was deleted or has expired")                                     \
    X(E_LOST, 53, "accepted, but lost before it was durable")                                      \
    X(E_CONDITION, 55, "a condition of the entry does not hold")                                   \
    X(E_DEPENDENT, 56, "the entry it depends on was refused")                                      \
    X(E_IO, 64, "storage failed")                                                                  \
    X(E_DISK_FULL, 65, "no room left on the disk")                                                 \
    X(E_CORRUPT, 66, "damaged data")                                                               \
    X(E_NEWER_FORMAT, 67, "database has a newer format than this program knows")                   \
    X(E_IN_USE, 68, "already in use by another process")                                           \
    X(E_PATH, 69, "path is missing, too long or not accessible")                                   \
    X(E_STOPPING, 70, "the sidecar is stopping")                                                   \
    X(E_LIMIT, 71, "a limit of the sidecar is reached")                                            \
    X(E_QUOTA_FULL, 72, "the quota is reached and nothing can be deleted")                         \
    X(E_GONE, 73, "the database was removed or replaced while it was in use")                      \
    X(E_OLDER_FORMAT, 74, "database has an older format than this program reads")

typedef enum spn_err {
#define SPN_ERR_ENUM(name, number, text) SPN_##name = (number),
    SPN_ERR_MAP(SPN_ERR_ENUM)
#undef SPN_ERR_ENUM
} spn_err;

#define SPN_MUST_USE __attribute__((warn_unused_result))

/* Bytes that somebody else owns. data may be NULL only if size is 0. */
struct spn_bytes {
    const void *data;
    size_t size;
};

/* Identifies one life of a session: random, drawn when the session is opened, and the same in every
 * copy of it. Zeros: none, or not known. */
struct spn_life {
    unsigned char bytes[16];
};

#ifdef __cplusplus
}
#endif

#endif
