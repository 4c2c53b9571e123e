/* SPDX-License-Identifier: Apache-2.0 */
/* The parser and formatter as the library gives them. What they accept is tested with proto/sse;
 * here: what an app sees of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sponson.h"

static spn_sse *sse;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(spn_sse_open(&sse, 20), SPN_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spn_sse_close(sse);
    spn_sse_close(NULL);
    return 0;
}

static void expect_text(struct spn_bytes bytes, const char *text)
{
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
}

static void events_one_at_a_time(void **state)
{
    (void)state;
    static const char text[] = "id: 1\ndata: a\n\n"
                               "event: t\nretry: 5\ndata: b\ndata: c\n\n"
                               "id: 2\n\nid:\n\nretry: 8\n\ndata";
    struct spn_event event;
    size_t at = 0;
    size_t used = 0;
    assert_int_equal(spn_sse_last_id(sse).size, 0);
    assert_int_equal(spn_sse_next(sse, text, sizeof(text) - 1, &used, &event), SPN_OK);
    expect_text(event.id, "1");
    expect_text(event.data, "a");
    assert_int_equal(event.retry_ms, SPN_RETRY_NONE);
    at += used;
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_OK);
    assert_int_equal(event.id.size, 0);
    expect_text(event.type, "t");
    expect_text(event.data, "b\nc");
    assert_int_equal(event.retry_ms, 5);
    expect_text(spn_sse_last_id(sse), "1");
    at += used;
    assert_int_equal(event.kind, SPN_EVENT);
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_OK);
    assert_int_equal(event.kind, SPN_MARKER);
    expect_text(event.id, "2");
    assert_int_equal(event.data.size, 0);
    at += used;
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_OK);
    assert_int_equal(event.kind, SPN_RESET);
    expect_text(spn_sse_last_id(sse), "");
    at += used;
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_OK);
    assert_int_equal(event.kind, SPN_MARKER);
    assert_int_equal(event.id.size, 0);
    assert_int_equal(event.retry_ms, 8);
    at += used;
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_E_END);
    assert_int_equal(at + used, sizeof(text) - 1);
}

static void large_event_is_passed_over(void **state)
{
    (void)state;
    static const char text[] = "data: 123456789012345678901\n\ndata: x\n\n";
    struct spn_event event;
    size_t used = 0;
    assert_int_equal(spn_sse_next(sse, text, sizeof(text) - 1, &used, &event),
                     SPN_E_EVENT_TOO_LARGE);
    assert_int_equal(spn_sse_next(sse, text + used, sizeof(text) - 1 - used, &used, &event),
                     SPN_OK);
    expect_text(event.data, "x");
    spn_sse *other = NULL;
    assert_int_equal(spn_sse_open(&other, SIZE_MAX), SPN_E_INVALID);
}

static void formatting_needs_room(void **state)
{
    (void)state;
    static const char expected[] = "id: 7\nevent: t\nretry: 0\ndata: a\ndata: b\n\n";
    const struct spn_event event = {
        .id = {"7", 1}, .type = {"t", 1}, .data = {"a\nb", 3}, .retry_ms = 0};
    char out[64];
    size_t size = 0;
    assert_int_equal(spn_sse_format(&event, NULL, 0, &size), SPN_E_INVALID);
    assert_int_equal(size, sizeof(expected) - 1);
    assert_int_equal(spn_sse_format(&event, out, size - 1, &size), SPN_E_INVALID);
    assert_int_equal(spn_sse_format(&event, out, size, &size), SPN_OK);
    assert_memory_equal(out, expected, size);
    const struct spn_event bad = {.data = {"a\rb", 3}, .retry_ms = SPN_RETRY_NONE};
    assert_int_equal(spn_sse_format(&bad, out, sizeof(out), &size), SPN_E_BAD_DATA);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(spn_err_name(SPN_E_TIMEOUT), "SPN_E_TIMEOUT");
    assert_string_equal(spn_err_text(SPN_E_TIMEOUT), "timed out");
    assert_string_equal(spn_version(), SPN_VERSION);
    assert_string_equal(spn_result_name(SPN_CONFLICT), "conflict");
    assert_string_equal(spn_result_name((spn_result)9), "?");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(events_one_at_a_time),
        TEST(large_event_is_passed_over),
        TEST(formatting_needs_room),
        TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
