/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_payloads: of a size, or what a recorded stream has, without its ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "cli/payloads.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { EVENTS_MAX = 4 };

static const struct {
    const char *name;
    const char *stream;
    spn_err err;
    size_t count;
    struct {
        const char *type;
        const char *data;
        uint32_t retry_ms;
    } events[EVENTS_MAX];
} rows[] = {
    {"nothing", "", SPN_E_END, 0, {{0}}},
    {"no event", ": comment\n\nid: 7\n\n", SPN_E_END, 0, {{0}}},
    {"an unfinished event", "data: a\n", SPN_E_END, 0, {{0}}},
    {"one", "data: a\n\n", SPN_OK, 1, {{"", "a", SPN_RETRY_NONE}}},
    {"empty data", "data\n\n", SPN_OK, 1, {{"", "", SPN_RETRY_NONE}}},
    {"everything but the id",
     "event: e\nid: 7\nretry: 9\ndata: a\ndata: b\n\n",
     SPN_OK,
     1,
     {{"e", "a\nb", 9}}},
    {"several, the last one unfinished",
     "data: a\n\nevent: x\ndata: b\n\ndata: c\n\ndata: d\n",
     SPN_OK,
     3,
     {{"", "a", SPN_RETRY_NONE}, {"x", "b", SPN_RETRY_NONE}, {"", "c", SPN_RETRY_NONE}}},
    {"markers are no payload",
     "id: 1\n\nretry: 7\n\ndata: a\n\nid\n\n",
     SPN_OK,
     1,
     {{"", "a", SPN_RETRY_NONE}}},
    {"carriage returns",
     "data: a\r\n\r\ndata: b\r\r",
     SPN_OK,
     2,
     {{"", "a", SPN_RETRY_NONE}, {"", "b", SPN_RETRY_NONE}}},
};

static void expect_bytes(struct spn_bytes got, const char *wanted)
{
    assert_int_equal(got.size, strlen(wanted));
    if (got.size > 0)
        assert_memory_equal(got.data, wanted, got.size);
}

static void check_row(size_t row, const struct payloads *payloads)
{
    uint64_t bytes = 0;
    assert_int_equal(payloads->count, rows[row].count);
    for (size_t i = 0; i < payloads->count; i++) {
        const struct spn_event *event = payloads_at(payloads, payloads->count * 5 + i);
        expect_bytes(event->type, rows[row].events[i].type);
        expect_bytes(event->data, rows[row].events[i].data);
        assert_int_equal(event->retry_ms, rows[row].events[i].retry_ms);
        assert_int_equal(event->id.size, 0);
        bytes += event->data.size;
    }
    assert_int_equal(payloads->bytes, bytes);
}

static void streams_are_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct payloads payloads;
        spn_err err = payloads_parse(&payloads, spn_text(rows[i].stream));
        if (err != rows[i].err)
            fail_msg("%s: error %d", rows[i].name, (int)err);
        check_row(i, &payloads);
        payloads_release(&payloads);
    }
}

/* More events than there is room for at first. */
static void long_streams_fit(void **state)
{
    (void)state;
    enum { EVENTS = 1000 };
    char text[EVENTS * 16];
    char number[16];
    size_t size = 0;
    struct payloads payloads;
    for (int i = 0; i < EVENTS; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "data: %d\n\n", i);
    assert_int_equal(payloads_parse(&payloads, (struct spn_bytes){text, size}), SPN_OK);
    assert_int_equal(payloads.count, EVENTS);
    for (int i = 0; i < EVENTS; i++) {
        snprintf(number, sizeof(number), "%d", i);
        expect_bytes(payloads_at(&payloads, (uint64_t)i)->data, number);
    }
    payloads_release(&payloads);
}

static void files_are_read(void **state)
{
    (void)state;
    char path[] = "/tmp/spn-payloads-XXXXXX";
    struct payloads payloads = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(payloads_read(&payloads, path), SPN_E_END);
    assert_int_equal(write(fd, "data: a\n\n", 9), 9);
    close(fd);
    assert_int_equal(payloads_read(&payloads, path), SPN_OK);
    expect_bytes(payloads_at(&payloads, 0)->data, "a");
    payloads_release(&payloads);
    unlink(path);
    assert_int_equal(payloads_read(&payloads, path), SPN_E_SYSTEM);
    assert_int_equal(payloads_read(&payloads, "/"), SPN_E_SYSTEM);
}

static void sizes_are_made(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 256, 1 << 20};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct payloads payloads;
        assert_int_equal(payloads_make(&payloads, sizes[i]), SPN_OK);
        const struct spn_event *event = payloads_at(&payloads, 12345);
        assert_int_equal(event->data.size, sizes[i]);
        assert_int_equal(payloads.bytes, sizes[i]);
        assert_int_equal(event->id.size + event->type.size, 0);
        assert_int_equal(event->retry_ms, SPN_RETRY_NONE);
        payloads_release(&payloads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_parsed),
        cmocka_unit_test(long_streams_fit),
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(sizes_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
