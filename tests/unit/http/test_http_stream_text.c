/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_stream_text: the gateway's own lines, and what a parser makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/stream_text.h"

#define CURSOR "spn:0fa00000000000000000000000000000:7"

static const struct spn_life life = {{0x0f, 0xa0}};

/* All of them, in this order. */
static void put_all(struct out *out, bool comments)
{
    out_init(out, -1);
    stream_text_retry(out, 2137, comments);
    stream_text_cursor(out, &life, 7, false, comments);
    stream_text_cursor(out, &life, 7, true, comments);
    stream_text_gap(out, 12, comments);
    stream_text_reset(out, "SPN_E_UNKNOWN_ID", 0, comments);
    stream_text_end(out, "a\"\n\nid: b", comments);
    stream_text_heartbeat(out);
    out_put(out, "", 1);
    assert_int_equal(out->error, 0);
    out->size--;
}

static void lines_are_events(void **state)
{
    (void)state;
    struct out out;
    put_all(&out, false);
    assert_string_equal(out.data,
                        "retry: 2137\n\n"
                        "id: " CURSOR "\n\n"
                        "id: " CURSOR "\nevent: sponson-open\ndata: " CURSOR "\n\n"
                        "event: sponson-gap\ndata: {\"reason\":\"trimmed\",\"missing\":12}\n\n"
                        "event: sponson-reset\n"
                        "data: {\"reason\":\"SPN_E_UNKNOWN_ID\",\"missing\":0}\n\n"
                        "event: sponson-end\ndata: {\"reason\":\"a\\\"\\n\\nid: b\"}\n\n"
                        ":\n");
    out_release(&out);
}

/* Only a retry, ids without data and four events; the cursor stays in force. */
static void a_parser_reads_the_events(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        NULL, NULL, "sponson-open", "sponson-gap", "sponson-reset", "sponson-end"};
    const struct spn_event *event;
    struct out out;
    spn_sse *sse;
    size_t at = 0;
    size_t used;
    put_all(&out, false);
    assert_int_equal(spn_sse_open(&sse, 0), SPN_OK);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_int_equal(spn_sse_next(sse, out.data + at, out.size - at, &used, &event), SPN_OK);
        at += used;
        assert_int_equal(event->kind, wanted[i] ? SPN_EVENT : SPN_MARKER);
        if (!wanted[i])
            continue;
        assert_int_equal(event->type.size, strlen(wanted[i]));
        assert_memory_equal(event->type.data, wanted[i], event->type.size);
        assert_int_equal(event->id.size, i == 2 ? strlen(CURSOR) : 0);
    }
    assert_int_equal(spn_sse_next(sse, out.data + at, out.size - at, &used, &event), SPN_E_END);
    assert_int_equal(spn_sse_last_id(sse).size, strlen(CURSOR));
    spn_sse_close(sse);
    out_release(&out);
}

/* A client that takes each field, and each blank line, for something finds neither. */
static void comments_have_no_field_and_no_blank_line(void **state)
{
    (void)state;
    struct out events;
    struct out out;
    put_all(&events, false);
    put_all(&out, true);
    size_t lines = 0;
    for (const char *line = out.data; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_int_equal(*line, ':');
        lines++;
    }
    assert_int_equal(lines, 12);
    const char *event = events.data;
    for (const char *line = out.data; *line != '\0'; line = strchr(line, '\n') + 1) {
        while (*event == '\n')
            event++;
        const char *text = strncmp(line, ": ", 2) == 0 ? line + 2 : line;
        size_t size = (size_t)(strchr(text, '\n') - text);
        assert_memory_equal(text, event, size + 1);
        event += size + 1;
    }
    out_release(&events);
    out_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_events),
        cmocka_unit_test(a_parser_reads_the_events),
        cmocka_unit_test(comments_have_no_field_and_no_blank_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
