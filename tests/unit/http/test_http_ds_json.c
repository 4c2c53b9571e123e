/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_ds_json: what is JSON, and which messages are in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "http/ds/json.h"
#include "http/word.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The text is in memory of exactly its size. */
static bool find(struct spn_bytes text, char *ret_messages, size_t *ret_where)
{
    struct spn_bytes messages;
    char *memory = malloc(text.size > 0 ? text.size : 1);
    assert_non_null(memory);
    memcpy(memory, text.data, text.size);
    bool is_json = ds_json_messages((struct spn_bytes){memory, text.size}, &messages, ret_where);
    if (is_json) {
        assert_true(messages.size == 0 ||
                    ((const char *)messages.data >= memory &&
                     (const char *)messages.data + messages.size <= memory + text.size));
        memcpy(ret_messages, messages.data, messages.size);
        ret_messages[messages.size] = '\0';
    } else {
        assert_true(*ret_where <= text.size);
    }
    free(memory);
    return is_json;
}

static const struct good_row {
    const char *text;
    const char *messages;
} good_rows[] = {
    {"1", "1"},
    {" -0.5e+10 ", "-0.5e+10"},
    {"0", "0"},
    {"1E-2", "1E-2"},
    {"\"\"", "\"\""},
    {"\"[]\"", "\"[]\""},
    {"true", "true"},
    {"null", "null"},
    {"{}", "{}"},
    {"{\"a\":[1,{\"b\":[]}], \"c\" : null}", "{\"a\":[1,{\"b\":[]}], \"c\" : null}"},
    {"[]", ""},
    {" [ ] ", ""},
    {"[1]", "1"},
    {"[ 1 , [2,3] ,{} ]\r\n", "1 , [2,3] ,{}"},
    {"[[1,2],[3]]", "[1,2],[3]"},
    {"[[[1,2,3]]]", "[[1,2,3]]"},
    {"[\"]\",\"\\\"\"]", "\"]\",\"\\\"\""},
    {"\"\\u00e4\\ud83d\\n\"", "\"\\u00e4\\ud83d\\n\""},
    {"\"\xc3\xa4\"", "\"\xc3\xa4\""},
};

static void good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good_rows); i++) {
        char messages[128];
        size_t where = 0;
        if (!find(spn_text(good_rows[i].text), messages, &where))
            fail_msg("%s: %zu", good_rows[i].text, where);
        assert_string_equal(messages, good_rows[i].messages);
    }
}

static const struct bad_row {
    const char *text;
    size_t where;
} bad_rows[] = {
    {"", 0},
    {" ", 1},
    {"[", 1},
    {"]", 0},
    {"{", 1},
    {"[1", 2},
    {"[1,", 3},
    {"[1,]", 3},
    {"[,1]", 1},
    {"[1 2]", 3},
    {"[1}", 2},
    {"{]", 1},
    {"{\"a\"}", 4},
    {"{\"a\":}", 5},
    {"{\"a\":1,}", 7},
    {"{1:2}", 1},
    {"{a:1}", 1},
    {"1 2", 2},
    {"[] []", 3},
    {"01", 1},
    {"-", 1},
    {"+1", 0},
    {".5", 0},
    {"1.", 2},
    {"1e", 2},
    {"tru", 3},
    {"trueish", 4},
    {"NaN", 0},
    {"nul", 3},
    {"\"", 1},
    {"\"\\", 2},
    {"\"\\x\"", 2},
    {"\"\\u12\"", 5},
    {"\"\t\"", 1},
    {"'a'", 0},
    {"// a\n1", 0},
    {"{ invalid json }", 2},
};

static void bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_rows); i++) {
        char messages[128];
        size_t where = 0;
        if (find(spn_text(bad_rows[i].text), messages, &where))
            fail_msg("%s", bad_rows[i].text);
        if (where != bad_rows[i].where)
            fail_msg("%s: %zu", bad_rows[i].text, where);
    }
    static const struct spn_bytes others[] = {
        {"\"\0\"", 3},
        {"1\0", 2},
        {"\"\xff\"", 3},
        {"\"\xed\xa0\x80\"", 5},
        {"\xef\xbb\xbf"
         "1",
         4},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        char messages[128];
        size_t where;
        assert_false(find(others[i], messages, &where));
    }
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    enum { MORE = DS_JSON_DEPTH_MAX + 1 };
    static char text[2 * MORE + 1];
    static char messages[sizeof(text)];
    size_t where;
    memset(text, '[', DS_JSON_DEPTH_MAX);
    memset(text + DS_JSON_DEPTH_MAX, ']', DS_JSON_DEPTH_MAX);
    assert_true(find(spn_text(text), messages, &where));
    memset(text, '[', MORE);
    memset(text + MORE, ']', MORE);
    assert_false(find(spn_text(text), messages, &where));
    assert_int_equal(where, DS_JSON_DEPTH_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(nesting_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
