/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_ds_text: data comes back byte by byte, and an event stream keeps its form whatever is
 * in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../any.h"
#include "http/ds/text.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct spn_bytes bytes_of(const struct out *out)
{
    assert_int_equal(out->error, 0);
    return (struct spn_bytes){out->data, out->size};
}

static void assert_bytes(const struct out *out, struct spn_bytes expected)
{
    assert_int_equal(out->error, 0);
    assert_int_equal(out->size, expected.size);
    if (expected.size > 0)
        assert_memory_equal(out->data, expected.data, expected.size);
}

static void round_trip(struct spn_bytes data)
{
    struct out stored;
    struct out back;
    out_init(&stored, -1);
    out_init(&back, -1);
    ds_text_escape(&stored, data);
    assert_true(stored.size == 0 || memchr(stored.data, '\r', stored.size) == NULL);
    ds_text_unescape(&back, bytes_of(&stored));
    assert_bytes(&back, data);
    out_release(&stored);
    out_release(&back);
}

static void data_comes_back(void **state)
{
    (void)state;
    char data[512];
    for (size_t i = 0; i < 256; i++)
        data[i] = (char)i;
    round_trip((struct spn_bytes){data, 256});
    round_trip((struct spn_bytes){NULL, 0});
    any_state = 7;
    static const char few[] = {'\r', '\n', 0x10, 0x4D, 0x50, 'a'};
    for (int round = 0; round < 1000; round++) {
        size_t size = any(sizeof(data));
        for (size_t i = 0; i < size; i++)
            data[i] = few[any(sizeof(few))];
        round_trip((struct spn_bytes){data, size});
    }
}

static void plain_text_is_stored_as_it_is(void **state)
{
    (void)state;
    struct out out;
    out_init(&out, -1);
    ds_text_escape(&out, spn_text("a\r\nb\x10"));
    assert_bytes(&out, spn_text("a\x10M\nb\x10P"));
    out.size = 0;
    ds_text_unescape(&out, spn_text("\x10x\x10")); /* nothing that was escaped */
    assert_bytes(&out, spn_text("\x10x\x10"));
    out_release(&out);
}

static const struct data_row {
    enum ds_form form;
    const char *data;
    const char *text;
} data_rows[] = {
    {DS_FORM_TEXT, "a", "event: data\ndata:a\n\n"},
    {DS_FORM_TEXT, "", "event: data\ndata:\n\n"},
    {DS_FORM_TEXT, "a\nb", "event: data\ndata:a\ndata:b\n\n"},
    {DS_FORM_TEXT, "a\r\nb\rc\n", "event: data\ndata:a\ndata:b\ndata:c\ndata:\n\n"},
    {DS_FORM_TEXT, "\n\n", "event: data\ndata:\ndata:\ndata:\n\n"},
    {DS_FORM_TEXT, "\r", "event: data\ndata:\ndata:\n\n"},
    {DS_FORM_TEXT, " a\n b", "event: data\ndata:  a\ndata:  b\n\n"},
    {DS_FORM_TEXT, "x\n\nevent: control\ndata:{}\n\n",
     "event: data\ndata:x\ndata:\ndata:event: control\ndata:data:{}\ndata:\ndata:\n\n"},
    {DS_FORM_JSON, "1,{\"a\":2}", "event: data\ndata:[\ndata:1,{\"a\":2}\ndata:]\n\n"},
    {DS_FORM_JSON, "{\r}", "event: data\ndata:[\ndata:{\ndata:}\ndata:]\n\n"},
    {DS_FORM_BYTES, "\1\2\3\4", "event: data\ndata:AQIDBA==\n\n"},
    {DS_FORM_BYTES, "", "event: data\ndata:\n\n"},
};

static void data_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(data_rows); i++) {
        struct out out;
        out_init(&out, -1);
        ds_text_data(&out, data_rows[i].form, spn_text(data_rows[i].data));
        assert_bytes(&out, spn_text(data_rows[i].text));
        out_release(&out);
    }
}

static const struct control_row {
    struct ds_control control;
    const char *text;
} control_rows[] = {
    {{"7", 12, false, false},
     "event: control\ndata:{\"streamNextOffset\":\"7\",\"streamCursor\":\"12\"}\n\n"},
    {{"7", 12, true, false},
     "event: "
     "control\ndata:{\"streamNextOffset\":\"7\",\"streamCursor\":\"12\",\"upToDate\":true}\n\n"},
    {{"7", 12, false, true},
     "event: "
     "control\ndata:{\"streamNextOffset\":\"7\",\"upToDate\":true,\"streamClosed\":true}\n\n"},
};

static void control_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(control_rows); i++) {
        struct out out;
        out_init(&out, -1);
        ds_text_control(&out, &control_rows[i].control);
        assert_bytes(&out, spn_text(control_rows[i].text));
        out_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_comes_back),
        cmocka_unit_test(plain_text_is_stored_as_it_is),
        cmocka_unit_test(data_events),
        cmocka_unit_test(control_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
