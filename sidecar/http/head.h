/* SPDX-License-Identifier: Apache-2.0 */
/* head: are the bytes of a connection requests whose end everybody finds at the same place?
 *
 * libmicrohttpd 0.9.75 takes a bare LF as the end of a line, keeps a bare CR in a value, cuts at a
 * NUL, and takes the first of two lengths. A proxy in front that reads the same bytes differently
 * would let one client put a request into the connection of another. So the raw bytes are followed
 * here before libmicrohttpd gets them: request line, fields, and the framing of the body. What has
 * two readings is refused, even where the standard would allow it.
 *
 *   first ─▶ request line ─▶ fields ─▶ body by length ─┐
 *     ▲                        ├─────▶ chunks ─▶ trailers
 *     └────────────────────────┴───────────────┴───────┘
 *
 * After a fault in a head the rest of that head is passed on, so that the request can be answered
 * with 400. The byte that is wrong in a body is not passed on, so that the body has no end. Then
 * nothing more: the connection is at its end. The verdict is the same, however the bytes are cut
 * into pieces.
 *
 * Borrows  the bytes, during the call.
 * Units    bytes.
 * Threads  one for each struct.
 */
#ifndef SPN_HTTP_HEAD_H
#define SPN_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(fault, words for the answer) */
#define HEAD_FAULT_MAP(X)                                                                          \
    X(NONE, "none")                                                                                \
    X(BARE_CR, "a CR without its LF")                                                              \
    X(BARE_LF, "a LF without its CR")                                                              \
    X(NUL, "a NUL in the head of the request")                                                     \
    X(CONTROL, "a control character in the head of the request")                                   \
    X(REQUEST_LINE, "the request line is not a method, a target and a version")                    \
    X(VERSION, "the version is neither HTTP/1.1 nor HTTP/1.0")                                     \
    X(FOLD, "a header that goes on in the next line")                                              \
    X(NAME, "the name of a header is empty or has a space or another character that names lack")   \
    X(TWO_HOSTS, "two Host headers")                                                               \
    X(NO_HOST, "HTTP/1.1 without a Host header")                                                   \
    X(LENGTH, "Content-Length is not a number below 2^63")                                         \
    X(TWO_LENGTHS, "two Content-Length headers")                                                   \
    X(TWO_FRAMINGS, "both Content-Length and Transfer-Encoding")                                   \
    X(CODING, "Transfer-Encoding is not exactly: chunked")                                         \
    X(TWO_CODINGS, "two Transfer-Encoding headers")                                                \
    X(OLD_CODING, "Transfer-Encoding in HTTP/1.0")                                                 \
    X(CHUNK_SIZE, "the size of a chunk is not a hexadecimal number below 2^63")                    \
    X(CHUNK_LINE, "the extension of a chunk is too long, or has a control character")              \
    X(CHUNK_END, "the data of a chunk do not end with CR LF")                                      \
    X(TRAILER, "a trailer that belongs into the head")

enum head_fault {
#define HEAD_FAULT_ENUM(name, words) HEAD_##name,
    HEAD_FAULT_MAP(HEAD_FAULT_ENUM)
#undef HEAD_FAULT_ENUM
        HEAD_FAULTS
};

enum { HEAD_EXTENSION_MAX = 255 }; /* bytes of a chunk's line after its size */

enum head_state {
    HEAD_AT_FIRST,
    HEAD_AT_FIRST_LF, /* of an empty line before the request */
    HEAD_AT_SECOND,
    HEAD_IN_METHOD,
    HEAD_IN_TARGET,
    HEAD_IN_VERSION,
    HEAD_AT_LINE_LF,
    HEAD_AT_LINE,
    HEAD_IN_NAME,
    HEAD_BEFORE_VALUE,
    HEAD_IN_VALUE,
    HEAD_IN_LENGTH,
    HEAD_IN_CODING,
    HEAD_AT_LAST_LF,
    HEAD_IN_BODY,
    HEAD_IN_CHUNK_SIZE,
    HEAD_IN_EXTENSION,
    HEAD_AT_CHUNK_LF,
    HEAD_IN_CHUNK,
    HEAD_AT_CHUNK_CR,
    HEAD_AT_CHUNK_END,
    HEAD_LOST,   /* after a fault: passes on the rest of the head */
    HEAD_BROKEN, /* after a fault in a body, inside of head_take */
    HEAD_CUT,
    HEAD_STATES
};

/* All zeros: at the beginning of a connection. */
struct head {
    uint64_t number;  /* the length, the size of the chunk, or what is left of it */
    uint32_t request; /* number of the request under way; the first is 1 */
    uint8_t state;    /* enum head_state */
    uint8_t fault;    /* enum head_fault */
    uint8_t at;       /* bytes of the word or number that is read */
    uint8_t names;    /* those that the name may be so far; then the one that it is. Bits */
    uint8_t seen;     /* names that this head has. Bits */
    bool old;         /* HTTP/1.0 */
    bool in_trailers;
    bool lost_begun;   /* there was a line that is not empty */
    uint8_t lost_line; /* bytes of the line: 0; 1: one CR; 2: any others */
};

/* Follows the next bytes. Returns how many of them may be passed on; fewer than size only after a
 * fault. */
size_t head_take(struct head *head, const void *bytes, size_t size);

/* What is wrong with this request, counted from 1 in its connection, or with one before it; NULL:
 * nothing that has arrived. Look again when the body is complete. */
const char *head_fault(const struct head *head, uint32_t request);

const char *head_words(enum head_fault fault);

#endif
