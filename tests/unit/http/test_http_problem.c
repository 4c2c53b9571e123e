/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_problem: each error has a status and its words, and the answer is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "http/problem.h"
#include "base/text.h"
#include "err.h"

static void every_error_has_a_status_with_words(void **state)
{
    (void)state;
    static const spn_err all[] = {
#define ONE(name, number, text) SPN_##name,
        SPN_ERR_MAP(ONE)
#undef ONE
    };
    for (size_t i = 1; i < sizeof(all) / sizeof(all[0]); i++) {
        unsigned status = problem_status(all[i]);
        assert_true(status >= 400 && status < 600);
        assert_string_not_equal(problem_title(status), "Error");
    }
    assert_int_equal(problem_status(SPN_E_UNKNOWN_SESSION), 404);
    assert_int_equal(problem_status(SPN_E_CONDITION), 412);
    assert_int_equal(problem_status(SPN_E_CORRUPT), 500);
}

static void answer_is_json(void **state)
{
    (void)state;
    struct problem problem;
    char quoted[TEXT_QUOTED_SIZE];
    static const char name[] = "a\"b\\c\x01\xFF";
    assert_false(problem_set(&problem, 400, SPN_E_BAD_SESSION, "session %s",
                             text_quote((struct spn_bytes){name, sizeof(name) - 1}, quoted)));
    struct out out;
    out_init(&out, -1);
    problem_write(&problem, &out);
    json_error_t error;
    json_t *json = json_loadb(out.data, out.size, 0, &error);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 400);
    assert_string_equal(json_string_value(json_object_get(json, "code")), "SPN_E_BAD_SESSION");
    assert_string_equal(json_string_value(json_object_get(json, "title")), "Bad Request");
    assert_string_equal(json_string_value(json_object_get(json, "type")),
                        "/problems#SPN_E_BAD_SESSION");
    assert_string_equal(json_string_value(json_object_get(json, "detail")), problem.detail);
    json_decref(json);
    out_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_status_with_words),
        cmocka_unit_test(answer_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
