/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_zmtp: do two pieces get another verdict than the whole, and does anything pass that must
 * not?
 *
 * The first two bytes of the input say where the rest is cut. Half of the inputs begin after a good
 * greeting, which is never guessed. A second reader of the frames, which has all bytes at once and
 * no state, says what is bad; it shares nothing with net/zmtp.c but the limits. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"
#include "net/zmtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static enum zmtp_verdict follow(struct zmtp *zmtp, const uint8_t *bytes, size_t size)
{
    uint8_t *piece = malloc(size + 1); /* so that the sanitizer sees a read beyond */
    CHECK(piece != NULL);
    memcpy(piece, bytes, size);
    enum zmtp_verdict verdict = zmtp_follow(zmtp, piece, size);
    free(piece);
    return verdict;
}

struct frame {
    uint8_t flags;
    uint64_t size;
    const uint8_t *body;
    size_t have; /* of the body */
    size_t head; /* bytes of flags and size */
};

/* False: its head is not whole. */
static bool read_frame(const uint8_t *bytes, size_t size, struct frame *ret_frame)
{
    size_t head = size > 0 && bytes[0] & 2 ? 9 : 2;
    if (size < head)
        return false;
    struct frame frame = {.flags = bytes[0], .body = bytes + head, .head = head};
    for (size_t i = 1; i < head; i++)
        frame.size = frame.size << 8 | bytes[i];
    frame.have = frame.size < size - head ? (size_t)frame.size : size - head;
    *ret_frame = frame;
    return true;
}

/* What READY names begins with a 0. */
static bool names_zero(const uint8_t *bytes, size_t size)
{
    for (size_t at = 6; at + 13 < size;) {
        size_t name_size = bytes[at];
        if (at + 1 + name_size + 4 > size)
            return false;
        const uint8_t *sized = bytes + at + 1 + name_size;
        uint64_t value = (uint64_t)sized[0] << 24 | (uint64_t)sized[1] << 16 |
                         (uint64_t)sized[2] << 8 | sized[3];
        if (at + 5 + name_size + value > size)
            return false;
        if (name_size == 8 && memcmp(bytes + at + 1, "Identity", 8) == 0 && value > 0 &&
            sized[4] == 0)
            return true;
        at += 5 + name_size + value;
    }
    return false;
}

/* Is there anything in it that libzmq must not get? */
static bool is_bad(const uint8_t *bytes, size_t size)
{
    static const uint8_t signature[] = {0xFF, 0x7F, 3};
    if (size > 0 && bytes[0] != signature[0])
        return true;
    if ((size > 9 && !(bytes[9] & 1)) || (size > 10 && bytes[10] < signature[2]))
        return true;
    size_t more = 0;
    bool ready = false;
    struct frame frame;
    for (size_t at = 64; at < size && read_frame(bytes + at, size - at, &frame);
         at += frame.head + frame.have) {
        bool whole = frame.have == frame.size;
        if (!ready) {
            if (whole && (frame.size < 6 || memcmp(frame.body, "\5READY", 6) != 0 ||
                          names_zero(frame.body, frame.have)))
                return true;
            ready = whole;
        } else if (!(frame.flags & 4)) {
            if ((frame.flags & 1) && (++more > 1 || frame.size > ZMTP_MORE_SIZE_MAX))
                return true;
            if (!(frame.flags & 1))
                more = 0;
        } else if (whole && frame.size < 7 && frame.size > 4 &&
                   memcmp(frame.body, "\4PING", 5) == 0) {
            return true;
        }
    }
    return false;
}

static void check(const uint8_t *bytes, size_t size, size_t cut)
{
    struct zmtp whole = {0};
    struct zmtp pieces = {0};
    enum zmtp_verdict verdict = follow(&whole, bytes, size);
    (void)follow(&pieces, bytes, cut);
    CHECK(follow(&pieces, bytes + cut, size - cut) == verdict);
    CHECK(pieces.messages == whole.messages);
    CHECK(verdict != ZMTP_GOOD || (pieces.held == whole.held && pieces.left == whole.left));
    CHECK(verdict != ZMTP_GOOD || !is_bad(bytes, size));
    CHECK(whole.held <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const uint8_t greeting[ZMTP_GREETING_SIZE] = {0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1};
    if (size < 3)
        return 0;
    size_t begin = input[0] & 1 ? sizeof(greeting) : 0;
    size_t all = begin + size - 2;
    uint8_t *bytes = malloc(all);
    CHECK(bytes != NULL);
    memcpy(bytes, greeting, begin);
    memcpy(bytes + begin, input + 2, size - 2);
    check(bytes, all, (size_t)(input[0] >> 1 | input[1] << 7) % (all + 1));
    free(bytes);
    return 0;
}
