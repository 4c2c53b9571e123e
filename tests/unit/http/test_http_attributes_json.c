/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_attributes_json: bodies of PUT and PATCH, and attributes as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "http/attributes_json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define ALL_DEFAULT "{\"ttl_ms\":null,\"idle_close_ms\":null,\"content_type\":null,\"note\":null}\n"

/* What a body sets: with a PUT, and with a PATCH of attributes that are all there. */
static const struct {
    struct spn_bytes body;
    const char *put;
    const char *patch;
} taken[] = {
    {BYTES(""), ALL_DEFAULT,
     "{\"ttl_ms\":1,\"idle_close_ms\":2,\"content_type\":\"c\",\"note\":\"n\"}\n"},
    {BYTES(" {} "), ALL_DEFAULT,
     "{\"ttl_ms\":1,\"idle_close_ms\":2,\"content_type\":\"c\",\"note\":\"n\"}\n"},
    {BYTES("{\"ttl_ms\":9223372036854,\"idle_close_ms\":0}"),
     "{\"ttl_ms\":9223372036854,\"idle_close_ms\":null,\"content_type\":null,\"note\":null}\n",
     "{\"ttl_ms\":9223372036854,\"idle_close_ms\":null,\"content_type\":\"c\",\"note\":\"n\"}\n"},
    {BYTES("{\"ttl_ms\":null,\"content_type\":null,\"note\":null}"), ALL_DEFAULT,
     "{\"ttl_ms\":null,\"idle_close_ms\":2,\"content_type\":null,\"note\":null}\n"},
    {BYTES("{\"content_type\":\"text/plain\",\"note\":\"a\\u0000\\r\\n\"}"),
     "{\"ttl_ms\":null,\"idle_close_ms\":null,\"content_type\":\"text/plain\","
     "\"note\":\"a\\u0000\\r\\n\"}\n",
     "{\"ttl_ms\":1,\"idle_close_ms\":2,\"content_type\":\"text/plain\","
     "\"note\":\"a\\u0000\\r\\n\"}\n"},
    {BYTES("{\"note_base64\":\"//4=\"}"),
     "{\"ttl_ms\":null,\"idle_close_ms\":null,\"content_type\":null,\"note_base64\":\"//4=\"}\n",
     "{\"ttl_ms\":1,\"idle_close_ms\":2,\"content_type\":\"c\",\"note_base64\":\"//4=\"}\n"},
};

static void check_written(const struct spn_attributes *attributes, const char *wanted)
{
    struct out out;
    out_init(&out, -1);
    attributes_write(attributes, &out);
    out_put(&out, "", 1);
    assert_string_equal(out.data, wanted);
    out_release(&out);
}

static void bodies_set_attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(taken); i++) {
        struct problem problem;
        struct attributes_change change;
        struct spn_attributes there = {.size = sizeof(there),
                                       .ttl_ms = 1,
                                       .idle_close_ms = 2,
                                       .content_type = BYTES("c"),
                                       .note = BYTES("n")};
        assert_true(attributes_parse(taken[i].body, &change, &problem));
        assert_int_equal(change.attributes.size, sizeof(struct spn_attributes));
        check_written(&change.attributes, taken[i].put);
        attributes_apply(&change, &there);
        check_written(&there, taken[i].patch);
        attributes_release(&change);
    }
}

static const struct {
    struct spn_bytes body;
    const char *detail;
} refused[] = {
    {BYTES(" "), "attributes: not an object of JSON"},
    {BYTES("[]"), "attributes: not an object of JSON"},
    {BYTES("{"), "attributes: not valid JSON: 'string or '}' expected near end of file'"},
    {BYTES("{} {}"), "attributes: not valid JSON: 'end of file expected near '{''"},
    {BYTES("{\"note\":{}}"), "attributes: a value is an object or an array; only texts and numbers "
                             "are taken"},
    {BYTES("{\"ttl\":1}"), "attributes: unknown key 'ttl'"},
    {BYTES("{\"\":1}"), "attributes: unknown key ''"},
    {BYTES("{\"ttl_ms\":1,\"ttl_ms\":1}"),
     "attributes: not valid JSON: 'duplicate object key near '\"ttl_ms\"''"},
    {BYTES("{\"ttl_ms\":\"1\"}"),
     "attributes: ttl_ms must be a whole number from 0 to 9223372036854"},
    {BYTES("{\"ttl_ms\":9223372036855}"),
     "attributes: ttl_ms must be a whole number from 0 to 9223372036854"},
    {BYTES("{\"idle_close_ms\":-1}"),
     "attributes: idle_close_ms must be a whole number from 0 to 9223372036854"},
    {BYTES("{\"content_type\":1}"), "attributes: content_type must be a string"},
    {BYTES("{\"content_type\":\"a\\u0085\"}"),
     "content_type is over 255 bytes or has control characters: 'a\\xc2\\x85'"},
    {BYTES("{\"content_type\":\"a\\u0000\"}"),
     "content_type is over 255 bytes or has control characters: 'a\\x00'"},
    {BYTES("{\"note\":\"a\",\"note_base64\":\"YQ==\"}"), "attributes: both note and note_base64"},
    {BYTES("{\"note_base64\":\"*\"}"), "attributes: note_base64 is not padded base64"},
};

static void other_bodies_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct problem problem = {0};
        struct attributes_change change;
        assert_false(attributes_parse(refused[i].body, &change, &problem));
        assert_int_equal(problem.status, 400);
        assert_string_equal(problem.detail, refused[i].detail);
    }
}

/* A body with a text of so many bytes. */
static bool takes(const char *key, size_t size)
{
    struct problem problem;
    struct attributes_change change;
    struct out out;
    out_init(&out, -1);
    out_text(&out, "{\"");
    out_text(&out, key);
    out_text(&out, "\":\"");
    for (size_t i = 0; i < size; i++)
        out_text(&out, "x");
    out_text(&out, "\"}");
    bool is_taken = attributes_parse((struct spn_bytes){out.data, out.size}, &change, &problem);
    if (is_taken)
        attributes_release(&change);
    else
        assert_int_equal(problem.status, size > ATTRIBUTES_JSON_MAX ? 413 : 400);
    out_release(&out);
    return is_taken;
}

static void texts_are_bounded(void **state)
{
    (void)state;
    assert_true(takes("content_type", 255));
    assert_false(takes("content_type", 256));
    assert_true(takes("note", 4096));
    assert_false(takes("note", 4097));
    assert_false(takes("note", 70000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_set_attributes),
        cmocka_unit_test(other_bodies_are_refused),
        cmocka_unit_test(texts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
