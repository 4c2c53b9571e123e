/* SPDX-License-Identifier: Apache-2.0 */
/* test_zmtp: what libzmq bears passes, what it does not ends the connection, however the bytes are
 * cut into pieces.
 *
 * Each row is tried whole, byte by byte and cut in two at every place; random streams in random
 * pieces, against what they were made to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/zmtp.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STREAM_MAX = 1 << 20, STREAMS = 2000, SPLITS = 5 };

/* -- streams ----------------------------------------------------------------------------------- */

struct stream {
    uint8_t bytes[STREAM_MAX];
    size_t size;
};

static struct stream stream;

static void put(const void *bytes, size_t size)
{
    assert_true(stream.size + size <= sizeof(stream.bytes));
    memcpy(stream.bytes + stream.size, bytes, size);
    stream.size += size;
}

static void put_zeros(size_t size)
{
    static const uint8_t zeros[1024];
    for (; size > 0; size -= size < sizeof(zeros) ? size : sizeof(zeros))
        put(zeros, size < sizeof(zeros) ? size : sizeof(zeros));
}

static void put_greeting(void)
{
    static const uint8_t greeting[ZMTP_GREETING_SIZE] = {0xFF, 0,    0, 0, 0,   0,   0,   0,
                                                         0,    0x7F, 3, 1, 'N', 'U', 'L', 'L'};
    put(greeting, sizeof(greeting));
}

/* Flags without LARGE: that is set where the size wants it, or `large` says so. */
static void put_head(uint8_t flags, uint64_t size, bool large)
{
    large = large || size > 255;
    uint8_t head[9] = {(uint8_t)(flags | (large ? 2 : 0))};
    for (size_t i = 0; i < (large ? 8u : 1u); i++)
        head[1 + i] = (uint8_t)(size >> 8 * ((large ? 7 : 0) - i));
    put(head, large ? 9 : 2);
}

static void put_frame(uint8_t flags, const void *body, size_t size)
{
    put_head(flags, size, false);
    put(body, size);
}

static void put_ready(const void *properties, size_t size)
{
    put_head(4, 6 + size, false);
    put("\5READY", 6);
    put(properties, size);
}

#define DEALER "\13Socket-Type\0\0\0\6DEALER"
#define NO_NAME "\10Identity\0\0\0\0"

static void put_handshake(void)
{
    put_greeting();
    put_ready(DEALER NO_NAME, sizeof(DEALER NO_NAME) - 1);
}

/* -- rows -------------------------------------------------------------------------------------- */

static void one_message(void)
{
    put_handshake();
    put_frame(0, "SPN", 3);
}

static void many_messages(void)
{
    put_handshake();
    for (size_t i = 0; i < 100; i++) {
        put_head(0, i * 20, i % 3 == 0);
        put_zeros(i * 20);
    }
}

static void messages_of_two_frames(void)
{
    put_handshake();
    for (size_t i = 0; i < 10; i++) {
        put_frame(1, "", 0);
        put_frame(0, "abc", 3);
    }
}

static void more_frame_of_64_kib(void)
{
    put_handshake();
    put_head(1, ZMTP_MORE_SIZE_MAX, true);
    put_zeros(ZMTP_MORE_SIZE_MAX);
    put_frame(0, "", 0);
}

static void more_frame_over_64_kib(void)
{
    put_handshake();
    put_head(1, ZMTP_MORE_SIZE_MAX + 1, true);
}

static void message_of_three_frames(void)
{
    put_handshake();
    put_frame(1, "a", 1);
    put_frame(1, "b", 1);
    put_frame(0, "c", 1);
}

static void empty_frames_without_end(void)
{
    put_handshake();
    put_frame(1, "", 0);
    put_frame(1, "", 0);
}

static void a_command_between_two_frames(void)
{
    put_handshake();
    put_frame(1, "a", 1);
    put_frame(4, "\4PING\0\0", 7);
    put_frame(1, "b", 1);
}

static void flags_that_mean_nothing(void)
{
    put_handshake();
    put_frame(0xF8, "a", 1);
    put_frame(0xF9, "a", 1);
    put_frame(0xF8, "b", 1);
}

static void a_size_of_2_to_the_64(void)
{
    put_handshake();
    put_head(0, UINT64_MAX, true);
    put_zeros(1000);
}

static void pings(void)
{
    put_handshake();
    put_frame(4, "\4PING\0\12context", 14);
    put_frame(4, "\4PONGcontext", 12);
    put_frame(4, "", 0);
    put_frame(0, "SPN", 3);
}

static void ping_without_ttl(void)
{
    put_handshake();
    put_frame(4, "\4PING", 5);
}

static void command_of_two_frames(void)
{
    put_handshake();
    put_frame(5, "\11SUBSCRIBE", 10);
}

static void command_of_the_largest_size(void)
{
    put_handshake();
    put_head(4, ZMTP_COMMAND_MAX, true);
    put_zeros(ZMTP_COMMAND_MAX);
}

static void command_too_long(void)
{
    put_handshake();
    put_head(4, ZMTP_COMMAND_MAX + 1, true);
}

static void named(const char *property, size_t size)
{
    put_greeting();
    put_ready(property, size);
}

static void an_identity(void)
{
    named(DEALER "\10Identity\0\0\0\3abc", sizeof(DEALER) - 1 + 16);
    put_frame(0, "SPN", 3);
    put_frame(0, "", 0);
}

static void identity_that_libzmq_gives_next(void)
{
    named(DEALER "\10Identity\0\0\0\5\0\1\2\3\4", sizeof(DEALER) - 1 + 18);
}

static void identity_named_twice(void)
{
    named(NO_NAME "\10Identity\0\0\0\1\0", sizeof(NO_NAME) - 1 + 14);
}

static void identity_in_a_frame_that_is_no_command(void)
{
    put_greeting();
    put_frame(0, "\5READY\10Identity\0\0\0\1\0", 20);
}

static void identity_as_the_first_message(void)
{
    an_identity();
    put_frame(0, "\0\1\2\3\4", 5);
}

static void first_byte_0_without_an_identity(void)
{
    put_handshake();
    put_frame(0, "\0\1\2\3\4", 5);
}

static void another_property_that_begins_with_0(void)
{
    named(DEALER "\6X-Name\0\0\0\1\0", sizeof(DEALER) - 1 + 12);
}

static void ready_cut_short(void)
{
    named(DEALER "\10Identity\0\0\0\5abc", sizeof(DEALER) - 1 + 16);
}

static void ready_with_a_byte_left(void)
{
    named(DEALER "\0", sizeof(DEALER));
}

static void ready_too_long(void)
{
    put_greeting();
    put_head(4, ZMTP_COMMAND_MAX + 1, true);
}

static void empty_handshake(void)
{
    put_greeting();
    put_frame(4, "", 0);
}

static void message_before_ready(void)
{
    put_greeting();
    put_frame(0, "SPN\2", 4);
}

static void greeting_alone(void)
{
    put_greeting();
}

static void http(void)
{
    put("GET / HTTP/1.1\r\n", 16);
}

static void zmtp_1(void)
{
    put("\1\0\1\0", 4);
}

static void zmtp_1_with_a_long_identity(void)
{
    put("\377\0\0\0\0\0\0\0\6\0", 10);
}

static void zmtp_2(void)
{
    put("\377\0\0\0\0\0\0\0\1\177\1\5", 12);
}

static void a_later_version(void)
{
    put_handshake();
    stream.bytes[10] = 4;
}

static const struct row {
    const char *name;
    void (*make)(void);
    enum zmtp_verdict verdict;
} rows[] = {
#define ROW(make, verdict)                                                                         \
    {                                                                                              \
#make, make, ZMTP_##verdict                                                                \
    }
    ROW(greeting_alone, GOOD),
    ROW(one_message, GOOD),
    ROW(many_messages, GOOD),
    ROW(a_later_version, GOOD),
    ROW(messages_of_two_frames, GOOD),
    ROW(more_frame_of_64_kib, GOOD),
    ROW(flags_that_mean_nothing, GOOD),
    ROW(a_size_of_2_to_the_64, GOOD),
    ROW(pings, GOOD),
    ROW(command_of_the_largest_size, GOOD),
    ROW(an_identity, GOOD),
    ROW(first_byte_0_without_an_identity, GOOD),
    ROW(another_property_that_begins_with_0, GOOD),
    ROW(more_frame_over_64_kib, MORE_SIZE),
    ROW(message_of_three_frames, FRAMES),
    ROW(empty_frames_without_end, FRAMES),
    ROW(a_command_between_two_frames, FRAMES),
    ROW(ping_without_ttl, COMMAND),
    ROW(command_of_two_frames, COMMAND),
    ROW(command_too_long, COMMAND),
    ROW(identity_that_libzmq_gives_next, IDENTITY),
    ROW(identity_named_twice, IDENTITY),
    ROW(identity_in_a_frame_that_is_no_command, IDENTITY),
    ROW(identity_as_the_first_message, IDENTITY),
    ROW(ready_cut_short, READY),
    ROW(ready_with_a_byte_left, READY),
    ROW(ready_too_long, READY),
    ROW(empty_handshake, READY),
    ROW(message_before_ready, READY),
    ROW(http, VERSION),
    ROW(zmtp_1, VERSION),
    ROW(zmtp_1_with_a_long_identity, VERSION),
    ROW(zmtp_2, VERSION),
};

/* From a piece of memory of its own, so that a sanitizer sees a read beyond its end. */
static enum zmtp_verdict follow(struct zmtp *zmtp, size_t from, size_t size)
{
    uint8_t *piece = malloc(size + 1);
    assert_non_null(piece);
    memcpy(piece, stream.bytes + from, size);
    enum zmtp_verdict verdict = zmtp_follow(zmtp, piece, size);
    free(piece);
    return verdict;
}

static void run_row(void **state)
{
    const struct row *row = *state;
    stream.size = 0;
    row->make();
    struct zmtp whole = {0};
    assert_int_equal(follow(&whole, 0, stream.size), row->verdict);
    /* Every place where a head is cut, and the ends of what is long. */
    for (size_t cut = 0; cut <= stream.size;
         cut += cut > 3000 && cut + 100 < stream.size ? 97 : 1) {
        struct zmtp zmtp = {0};
        (void)follow(&zmtp, 0, cut);
        assert_int_equal(follow(&zmtp, cut, stream.size - cut), row->verdict);
        assert_true(row->verdict != ZMTP_GOOD || zmtp.held == whole.held);
        assert_int_equal(zmtp.messages, whole.messages);
    }
    struct zmtp zmtp = {0};
    for (size_t at = 0; at < stream.size; at++)
        (void)zmtp_follow(&zmtp, stream.bytes + at, 1);
    assert_int_equal(zmtp.verdict, row->verdict);
    assert_true(row->verdict != ZMTP_GOOD || zmtp.held == whole.held);
    assert_string_not_equal(zmtp_words(zmtp.verdict), "");
}

/* -- random streams ---------------------------------------------------------------------------- */

static uint32_t random_state = 2463534242u;

static uint32_t next_random(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % below;
}

struct expected {
    enum zmtp_verdict verdict;
    uint64_t messages;
    uint64_t held;
};

/* Messages of one or two frames, commands between them, and one time in four something bad. */
static struct expected make_random_stream(void)
{
    struct expected expected = {ZMTP_GOOD, 0, 0};
    bool open = false;
    stream.size = 0;
    put_handshake();
    for (uint32_t left = 1 + next_random(30); left > 0; left--) {
        uint32_t size = next_random(4) == 0 ? next_random(3000) : next_random(40);
        bool more = !open && next_random(3) == 0;
        if (next_random(4) == 0)
            put_frame(4, "\4PING\0\0", 7);
        put_head((uint8_t)(more | next_random(32) << 3), size, next_random(2) == 0);
        put_zeros(size);
        expected.held = more || open ? expected.held + size : 0;
        expected.held = more ? expected.held : 0;
        expected.messages += !more;
        open = more;
    }
    if (next_random(4) > 0)
        return expected;
    put_frame(1, "x", 1);
    put_frame(1, "x", 1);
    expected.verdict = ZMTP_FRAMES;
    return expected;
}

static void follows_random_streams_in_random_pieces(void **state)
{
    (void)state;
    size_t bad = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        struct expected expected = make_random_stream();
        bad += expected.verdict != ZMTP_GOOD;
        for (size_t split = 0; split < SPLITS; split++) {
            struct zmtp zmtp = {0};
            uint32_t piece_max = (uint32_t[]){1, 3, 20, 600, STREAM_MAX}[split];
            for (size_t at = 0; at < stream.size;) {
                size_t piece = 1 + next_random(piece_max);
                piece = piece < stream.size - at ? piece : stream.size - at;
                (void)zmtp_follow(&zmtp, stream.bytes + at, piece);
                at += piece;
            }
            assert_int_equal(zmtp.verdict, expected.verdict);
            if (expected.verdict == ZMTP_GOOD) {
                assert_int_equal(zmtp.messages, expected.messages);
                assert_int_equal(zmtp.held, expected.held);
            }
        }
    }
    assert_true(bad > STREAMS / 8 && bad < STREAMS / 2);
}

/* The largest frame that a socket takes, and one byte more. */
static void frames_have_a_largest_size(void **state)
{
    (void)state;
    for (uint64_t more = 0; more < 2; more++) {
        struct zmtp zmtp = {.size_max = 1000};
        stream.size = 0;
        put_handshake();
        put_head(0, 1000 + more, true);
        assert_int_equal(follow(&zmtp, 0, stream.size), more == 0 ? ZMTP_GOOD : ZMTP_SIZE);
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 2];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)&rows[i]};
    tests[COUNT(rows)] =
        (struct CMUnitTest)cmocka_unit_test(follows_random_streams_in_random_pieces);
    tests[COUNT(rows) + 1] = (struct CMUnitTest)cmocka_unit_test(frames_have_a_largest_size);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
