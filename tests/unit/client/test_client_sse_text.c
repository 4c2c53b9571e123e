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
    const struct spn_event *event = NULL;
    size_t at = 0;
    size_t used = 0;
    assert_int_equal(spn_sse_last_id(sse).size, 0);
    assert_int_equal(spn_sse_next(sse, text, sizeof(text) - 1, &used, &event), SPN_OK);
    expect_text(event->id, "1");
    expect_text(event->data, "a");
    assert_int_equal(event->retry_ms, SPN_RETRY_NONE);
    at += used;
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_OK);
    assert_int_equal(event->id.size, 0);
    expect_text(event->type, "t");
    expect_text(event->data, "b\nc");
    assert_int_equal(event->retry_ms, 5);
    expect_text(spn_sse_last_id(sse), "1");
    at += used;
    assert_int_equal(event->kind, SPN_EVENT);
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_OK);
    assert_int_equal(event->kind, SPN_MARKER);
    expect_text(event->id, "2");
    assert_int_equal(event->data.size, 0);
    at += used;
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_OK);
    assert_int_equal(event->kind, SPN_RESET);
    expect_text(spn_sse_last_id(sse), "");
    at += used;
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_OK);
    assert_int_equal(event->kind, SPN_MARKER);
    assert_int_equal(event->id.size, 0);
    assert_int_equal(event->retry_ms, 8);
    at += used;
    assert_int_equal(spn_sse_next(sse, text + at, sizeof(text) - 1 - at, &used, &event), SPN_E_END);
    assert_int_equal(at + used, sizeof(text) - 1);
}

static void large_event_is_passed_over(void **state)
{
    (void)state;
    static const char text[] = "data: 123456789012345678901\n\ndata: x\n\n";
    const struct spn_event *event = NULL;
    size_t used = 0;
    assert_int_equal(spn_sse_next(sse, text, sizeof(text) - 1, &used, &event),
                     SPN_E_EVENT_TOO_LARGE);
    assert_int_equal(spn_sse_next(sse, text + used, sizeof(text) - 1 - used, &used, &event),
                     SPN_OK);
    expect_text(event->data, "x");
    spn_sse *other = NULL;
    assert_int_equal(spn_sse_open(&other, SIZE_MAX), SPN_E_INVALID);
}

/* -- the limit --------------------------------------------------------------------------------- */

/* One event of data, id and type of these sizes, fed in pieces as a socket would give it. */
static spn_err parse_sizes(size_t event_max, size_t data_size, size_t id_size, size_t type_size)
{
    static char text[8 * 1024 * 1024];
    enum { PIECE = 64 * 1024 };
    spn_sse *parser = NULL;
    const struct spn_event *event = NULL;
    const size_t sizes[] = {id_size, type_size, data_size};
    static const char *const names[] = {"id:", "event:", "data:"};
    size_t end = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_true(end + sizes[i] + 16 < sizeof(text));
        memcpy(text + end, names[i], strlen(names[i]));
        end += strlen(names[i]);
        memset(text + end, 'x', sizes[i]);
        end += sizes[i];
        text[end++] = '\n';
    }
    text[end++] = '\n';
    assert_int_equal(spn_sse_open(&parser, event_max), SPN_OK);
    spn_err err = SPN_E_END;
    for (size_t at = 0, used; err == SPN_E_END && at < end; at += used) {
        size_t left = end - at;
        err = spn_sse_next(parser, text + at, left < PIECE ? left : PIECE, &used, &event);
    }
    if (err == SPN_OK)
        assert_int_equal(event->data.size + event->id.size + event->type.size,
                         data_size + id_size + type_size);
    else
        assert_null(event);
    spn_sse_close(parser);
    return err;
}

static void data_type_and_id_count_together(void **state)
{
    (void)state;
    enum { DATA = 4 * 1024 * 1024, ID = 4096, TYPE = 255 };
    static const struct {
        size_t event_max, data, id, type;
        spn_err err;
    } rows[] = {
        {0, DATA, ID, TYPE, SPN_OK}, /* whatever a sidecar takes by default */
        {0, DATA + 1, ID, TYPE, SPN_E_EVENT_TOO_LARGE},
        {0, DATA, ID + 1, TYPE, SPN_E_EVENT_TOO_LARGE},
        {0, DATA, ID, TYPE + 1, SPN_E_EVENT_TOO_LARGE},
        {100, 100, 0, 0, SPN_OK},
        {100, 98, 1, 1, SPN_OK},
        {100, 99, 1, 1, SPN_E_EVENT_TOO_LARGE},
        {100, 0, 101, 0, SPN_E_EVENT_TOO_LARGE},
        {100, 0, 0, 101, SPN_E_EVENT_TOO_LARGE},
        {100, 0, 5000000, 0, SPN_E_EVENT_TOO_LARGE},
        {100, 0, 0, 5000000, SPN_E_EVENT_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (parse_sizes(rows[i].event_max, rows[i].data, rows[i].id, rows[i].type) != rows[i].err)
            fail_msg("row %zu", i);
}

/* -- what is parsed is written back ------------------------------------------------------------ */

/* Each stream is parsed, written, parsed and written again: both times the same text. */
static const struct copy {
    const char *name;
    const char *stream;
    const char *written; /* NULL: as the stream */
} copies[] = {
    {"an event resets the id", "id: 1\ndata: a\n\nid: \ndata: b\n\ndata: c\n\n", NULL},
    {"an id field without a colon resets too", "id: 1\ndata: a\n\nid\ndata: b\n\n",
     "id: 1\ndata: a\n\nid: \ndata: b\n\n"},
    {"an event without an id field does not", "id: 1\ndata: a\n\ndata: b\n\n", NULL},
    {"a marker resets", "id: 1\n\nid:\n\ndata: a\n\n", "id: 1\n\nid: \n\ndata: a\n\n"},
    {"a reset with a retry", "id: \nretry: 5\n\n", NULL},
    {"an event that resets, with a retry and a type",
     "id: \nevent: t\nretry: 0\ndata: \ndata: b\n\n", NULL},
    {"the last id of a block counts", "id: 1\nid:\ndata: a\n\nid:\nid: 2\ndata: b\n\n",
     "id: \ndata: a\n\nid: 2\ndata: b\n\n"},
    {"the largest retry", "retry: 4294967294\n\nretry: 4294967294\ndata: a\n\n", NULL},
    {"one more, alone and with an event", "retry:4294967295\n\nretry:4294967295\ndata:a\n\n",
     "retry: 4294967294\n\nretry: 4294967294\ndata: a\n\n"},
    {"more than 64 bits", "retry: 99999999999999999999999\nid: 1\n\n",
     "id: 1\nretry: 4294967294\n\n"},
    {"not only digits", "retry: 4294967294.\nretry: -1\nretry: +1\ndata: a\n\n", "data: a\n\n"},
};

static size_t write_copy(const char *stream, size_t size, char *out, size_t room)
{
    spn_sse *parser = NULL;
    size_t end = 0;
    assert_int_equal(spn_sse_open(&parser, 0), SPN_OK);
    for (size_t at = 0, used; at < size; at += used) {
        const struct spn_event *event = NULL;
        size_t written = 0;
        spn_err err = spn_sse_next(parser, stream + at, size - at, &used, &event);
        if (err == SPN_E_END)
            continue;
        assert_int_equal(err, SPN_OK);
        assert_true(event->kind == SPN_EVENT || !event->resets_id);
        assert_true(event->id.size == 0 || !event->resets_id);
        assert_int_equal(spn_sse_format(event, out + end, room - end, &written), SPN_OK);
        end += written;
    }
    spn_sse_close(parser);
    return end;
}

static void copies_are_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
        const struct copy *copy = &copies[i];
        const char *wanted = copy->written != NULL ? copy->written : copy->stream;
        char once[256];
        char twice[256];
        size_t size = write_copy(copy->stream, strlen(copy->stream), once, sizeof(once));
        if (size != strlen(wanted) || memcmp(once, wanted, size) != 0)
            fail_msg("%s: written is\n%.*s", copy->name, (int)size, once);
        assert_int_equal(write_copy(once, size, twice, sizeof(twice)), size);
        assert_memory_equal(once, twice, size);
    }
}

/* An app that has no id may have an empty one: it does not reset anything by accident. */
static void an_empty_id_alone_writes_nothing(void **state)
{
    (void)state;
    static const char wanted[] = "id: 1\ndata: a\n\ndata: a\n\nid: \ndata: a\n\n";
    struct spn_event events[3] = {
        {.size = sizeof(struct spn_event),
         .id = {"1", 1},
         .data = {"a", 1},
         .retry_ms = SPN_RETRY_NONE,
         .resets_id = true},
        {.size = sizeof(struct spn_event),
         .id = {"", 0},
         .data = {"a", 1},
         .retry_ms = SPN_RETRY_NONE},
        {.size = sizeof(struct spn_event),
         .data = {"a", 1},
         .retry_ms = SPN_RETRY_NONE,
         .resets_id = true},
    };
    char out[64];
    size_t end = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t size = 0;
        assert_int_equal(spn_sse_format(&events[i], out + end, sizeof(out) - end, &size), SPN_OK);
        end += size;
    }
    assert_int_equal(end, sizeof(wanted) - 1);
    assert_memory_equal(out, wanted, end);
}

static void formatting_needs_room(void **state)
{
    (void)state;
    static const char expected[] = "id: 7\nevent: t\nretry: 0\ndata: a\ndata: b\n\n";
    const struct spn_event event = {.size = sizeof(event),
                                    .id = {"7", 1},
                                    .type = {"t", 1},
                                    .data = {"a\nb", 3},
                                    .retry_ms = 0};
    char out[64];
    size_t size = 0;
    assert_int_equal(spn_sse_format(&event, NULL, 0, &size), SPN_E_INVALID);
    assert_int_equal(size, sizeof(expected) - 1);
    assert_int_equal(spn_sse_format(&event, out, size - 1, &size), SPN_E_INVALID);
    assert_int_equal(spn_sse_format(&event, out, size, &size), SPN_OK);
    assert_memory_equal(out, expected, size);
    const struct spn_event bad = {
        .size = sizeof(bad), .data = {"a\rb", 3}, .retry_ms = SPN_RETRY_NONE};
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
        TEST(data_type_and_id_count_together),
        TEST(copies_are_the_same),
        TEST(an_empty_id_alone_writes_nothing),
        TEST(formatting_needs_room),
        TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
