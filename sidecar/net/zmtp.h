/* SPDX-License-Identifier: Apache-2.0 */
/* zmtp: is what a peer sends ZMTP 3 that libzmq bears?
 *
 * libzmq 4.3.4 buffers the frames of a message without a limit until the last one (72 MB of 3-byte
 * frames took 1.5 GB). It aborts the process when a peer names an identity that libzmq is about to
 * give out itself. So the bytes of a connection are followed here before libzmq gets them: the
 * greeting, the frames with flags and size, and what the first frame, READY, names. Of a message's
 * content only the size is checked: libzmq has a limit too, but nobody would learn of that end.
 *
 *   greeting 64 ─▶ flags 1 ─▶ size 1 or 8 ─▶ body ─┐
 *                     ▲                            │
 *                     └────────────────────────────┘
 *
 * The verdict is the same, however the bytes are cut into pieces.
 *
 * Borrows  the bytes, during the call.
 * Units    bytes.
 * Threads  one for each struct.
 */
#ifndef SPN_ZMTP_H
#define SPN_ZMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(verdict, words for the log). Every verdict but ZMTP_GOOD ends the connection. */
#define ZMTP_VERDICT_MAP(X)                                                                        \
    X(GOOD, "good")                                                                                \
    X(VERSION, "a greeting that is not ZMTP 3")                                                    \
    X(READY, "no READY, or a damaged one")                                                         \
    X(IDENTITY, "an identity that the sidecar may assign itself")                                  \
    X(COMMAND, "a command that is damaged or too long")                                            \
    X(FRAMES, "a message of more than two frames")                                                 \
    X(MORE_SIZE, "a frame over 64 KiB that is not the last of its message")                        \
    X(SIZE, "a frame larger than the socket takes")                                                \
    X(HELD, "an incomplete message while there was no room for more of them")

enum zmtp_verdict {
#define ZMTP_VERDICT_ENUM(name, words) ZMTP_##name,
    ZMTP_VERDICT_MAP(ZMTP_VERDICT_ENUM)
#undef ZMTP_VERDICT_ENUM
        ZMTP_VERDICTS
};

enum {
    ZMTP_GREETING_SIZE = 64,
    ZMTP_COMMAND_MAX = 1024, /* a DEALER's READY has 28 bytes and its identity, at most 255 */
    ZMTP_MORE_SIZE_MAX = 64 * 1024,
};

enum zmtp_state { ZMTP_IN_GREETING, ZMTP_IN_FLAGS, ZMTP_IN_SIZE, ZMTP_IN_BODY };

/* All zeros but size_max: at the beginning of a connection. */
struct zmtp {
    uint64_t size_max; /* of a frame; 0: any */
    enum zmtp_state state;
    enum zmtp_verdict verdict;
    bool ready; /* READY was received */
    bool named; /* and it names an identity */
    uint8_t flags;
    uint8_t more_frames; /* of the message under way */
    uint8_t have;        /* bytes of the greeting, or of the size */
    uint64_t size;       /* of the frame */
    uint64_t left;       /* of its body */
    uint64_t held;       /* bytes of the message under way that libzmq holds */
    uint64_t messages;   /* that are complete */
    uint8_t command[ZMTP_COMMAND_MAX];
};

/* Follows the next bytes of the connection. The first verdict that is not ZMTP_GOOD stays. */
enum zmtp_verdict zmtp_follow(struct zmtp *zmtp, const uint8_t *bytes, size_t size);

const char *zmtp_words(enum zmtp_verdict verdict);

#endif
