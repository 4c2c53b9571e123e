/* SPDX-License-Identifier: Apache-2.0 */
#include "net/zmtp.h"

#include <string.h>

/* libzmq evaluates these three flags and ignores the others. */
enum { FLAG_MORE = 1, FLAG_LARGE = 2, FLAG_COMMAND = 4 };

enum {
    SIGNATURE_FIRST = 0xFF,
    SIGNATURE_LAST_AT = 9, /* an odd byte: otherwise libzmq takes it for ZMTP 1 */
    MAJOR_AT = 10,
    MAJOR_MIN = 3,
    PING_SIZE_MIN = 7, /* 4 "PING", time to live 2: libzmq reads past the end of a shorter one */
    VALUE_SIZE_SIZE = 4,
};

#define READY_NAME "\5READY"
#define PING_NAME "\4PING"
#define IDENTITY_NAME "Identity"

const char *zmtp_words(enum zmtp_verdict verdict)
{
    static const char *const words[ZMTP_VERDICTS] = {
#define ZMTP_VERDICT_WORDS(name, text) text,
        ZMTP_VERDICT_MAP(ZMTP_VERDICT_WORDS)
#undef ZMTP_VERDICT_WORDS
    };
    return words[verdict];
}

/* The handshake is one frame, which libzmq treats as a command whatever its flags. */
static bool is_command(const struct zmtp *zmtp)
{
    return !zmtp->ready || (zmtp->flags & FLAG_COMMAND) != 0;
}

static bool has_more(const struct zmtp *zmtp)
{
    return (zmtp->flags & FLAG_MORE) != 0;
}

static bool begins_with(const struct zmtp *zmtp, const char *name)
{
    return zmtp->size >= strlen(name) && memcmp(zmtp->command, name, strlen(name)) == 0;
}

/* -- the greeting ------------------------------------------------------------------------------ */

/* Checks each byte as it arrives: a peer that speaks ZMTP 1 sends no more than ten, and libzmq does
 * not wait. */
static enum zmtp_verdict check_greeting(unsigned at, uint8_t byte)
{
    bool good = (at != 0 || byte == SIGNATURE_FIRST) &&
                (at != SIGNATURE_LAST_AT || (byte & 1) != 0) &&
                (at != MAJOR_AT || byte >= MAJOR_MIN);
    return good ? ZMTP_GOOD : ZMTP_VERSION;
}

static size_t take_greeting(struct zmtp *zmtp, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && zmtp->have < ZMTP_GREETING_SIZE && zmtp->verdict == ZMTP_GOOD)
        zmtp->verdict = check_greeting(zmtp->have++, bytes[at++]);
    if (zmtp->have == ZMTP_GREETING_SIZE)
        zmtp->state = ZMTP_IN_FLAGS;
    return at;
}

/* -- commands ---------------------------------------------------------------------------------- */

/* ROUTER gives out identities of five bytes that begin with 0, and asserts that they are its own. A
 * peer may name any other identity; see check_first_byte for the consequence. */
static enum zmtp_verdict check_identity(struct zmtp *zmtp, const uint8_t *value, uint32_t size)
{
    zmtp->named = zmtp->named || size > 0;
    return size > 0 && value[0] == 0 ? ZMTP_IDENTITY : ZMTP_GOOD;
}

/* Properties: a name, its size in one byte before it; a value, its size in four, big-endian. */
static enum zmtp_verdict check_ready(struct zmtp *zmtp)
{
    size_t at = strlen(READY_NAME);
    if (!begins_with(zmtp, READY_NAME))
        return ZMTP_READY;
    while (at < zmtp->size) {
        const uint8_t *name = zmtp->command + at + 1;
        size_t name_size = zmtp->command[at];
        if (zmtp->size - at < 1 + name_size + VALUE_SIZE_SIZE)
            return ZMTP_READY;
        const uint8_t *sized = name + name_size;
        uint32_t value_size = (uint32_t)sized[0] << 24 | (uint32_t)sized[1] << 16 |
                              (uint32_t)sized[2] << 8 | sized[3];
        at += 1 + name_size + VALUE_SIZE_SIZE;
        if (zmtp->size - at < value_size)
            return ZMTP_READY;
        at += value_size;
        if (name_size == strlen(IDENTITY_NAME) && memcmp(name, IDENTITY_NAME, name_size) == 0 &&
            check_identity(zmtp, sized + VALUE_SIZE_SIZE, value_size) != ZMTP_GOOD)
            return ZMTP_IDENTITY;
    }
    return ZMTP_GOOD;
}

static enum zmtp_verdict check_command(struct zmtp *zmtp)
{
    if (!zmtp->ready) {
        zmtp->ready = true;
        return check_ready(zmtp);
    }
    bool cut_short = begins_with(zmtp, PING_NAME) && zmtp->size < PING_SIZE_MIN;
    return cut_short ? ZMTP_COMMAND : ZMTP_GOOD;
}

/* -- frames ------------------------------------------------------------------------------------ */

/* Checks the flags and the size before there is a body. */
static enum zmtp_verdict check_frame(const struct zmtp *zmtp)
{
    if (!zmtp->ready)
        return zmtp->size > ZMTP_COMMAND_MAX ? ZMTP_READY : ZMTP_GOOD;
    if (is_command(zmtp))
        return zmtp->size > ZMTP_COMMAND_MAX || has_more(zmtp) ? ZMTP_COMMAND : ZMTP_GOOD;
    if (has_more(zmtp) && zmtp->more_frames > 0)
        return ZMTP_FRAMES;
    if (has_more(zmtp) && zmtp->size > ZMTP_MORE_SIZE_MAX)
        return ZMTP_MORE_SIZE;
    return zmtp->size_max > 0 && zmtp->size > zmtp->size_max ? ZMTP_SIZE : ZMTP_GOOD;
}

/* If two connections name the same identity, libzmq leaves the second without one, and takes its
 * next frame for an identity. So such a frame is checked as an identity, too. */
static enum zmtp_verdict check_first_byte(const struct zmtp *zmtp, uint8_t byte)
{
    return zmtp->named && byte == 0 ? ZMTP_IDENTITY : ZMTP_GOOD;
}

static void end_frame(struct zmtp *zmtp)
{
    zmtp->state = ZMTP_IN_FLAGS;
    if (is_command(zmtp)) {
        zmtp->verdict = check_command(zmtp);
    } else if (has_more(zmtp)) {
        zmtp->more_frames++;
    } else {
        zmtp->more_frames = 0;
        zmtp->held = 0;
        zmtp->messages++;
    }
}

static void begin_body(struct zmtp *zmtp)
{
    zmtp->left = zmtp->size;
    zmtp->state = ZMTP_IN_BODY;
    zmtp->verdict = check_frame(zmtp);
    if (zmtp->left == 0 && zmtp->verdict == ZMTP_GOOD)
        end_frame(zmtp);
}

static size_t take_flags(struct zmtp *zmtp, uint8_t flags)
{
    zmtp->flags = flags;
    zmtp->size = 0;
    zmtp->have = 0;
    zmtp->state = ZMTP_IN_SIZE;
    return 1;
}

static size_t take_size(struct zmtp *zmtp, uint8_t byte)
{
    unsigned wanted = (zmtp->flags & FLAG_LARGE) != 0 ? 8 : 1;
    zmtp->size = zmtp->size << 8 | byte;
    if (++zmtp->have == wanted)
        begin_body(zmtp);
    return 1;
}

static size_t take_body(struct zmtp *zmtp, const uint8_t *bytes, size_t size)
{
    size_t part = zmtp->left < size ? (size_t)zmtp->left : size;
    if (is_command(zmtp))
        memcpy(zmtp->command + (zmtp->size - zmtp->left), bytes, part);
    else if (zmtp->left == zmtp->size)
        zmtp->verdict = check_first_byte(zmtp, bytes[0]);
    if (!is_command(zmtp))
        zmtp->held += part;
    zmtp->left -= part;
    if (zmtp->left == 0 && zmtp->verdict == ZMTP_GOOD)
        end_frame(zmtp);
    return part;
}

enum zmtp_verdict zmtp_follow(struct zmtp *zmtp, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && zmtp->verdict == ZMTP_GOOD)
        switch (zmtp->state) {
        case ZMTP_IN_GREETING:
            at += take_greeting(zmtp, bytes + at, size - at);
            break;
        case ZMTP_IN_FLAGS:
            at += take_flags(zmtp, bytes[at]);
            break;
        case ZMTP_IN_SIZE:
            at += take_size(zmtp, bytes[at]);
            break;
        case ZMTP_IN_BODY:
            at += take_body(zmtp, bytes + at, size - at);
            break;
        }
    return zmtp->verdict;
}
