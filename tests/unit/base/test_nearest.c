/* SPDX-License-Identifier: Apache-2.0 */
/* test_nearest: distances, and which word is meant by which typing error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/nearest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *a;
    const char *b;
    size_t distance;
} distances[] = {
    {"", "", 0},         {"", "abc", 3},     {"abc", "abc", 0},        {"abc", "abd", 1},
    {"abc", "ab", 1},    {"abc", "xabc", 1}, {"abc", "acb", 1},        {"abcd", "badc", 2},
    {"tail", "tial", 1}, {"ca", "abc", 3},   {"kitten", "sitting", 3}, {"ab", "ba", 1},
};

#define SIXTY_FOUR "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void distances_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(distances); i++) {
        assert_int_equal(nearest_distance(distances[i].a, distances[i].b), distances[i].distance);
        assert_int_equal(nearest_distance(distances[i].b, distances[i].a), distances[i].distance);
    }
    assert_int_equal(nearest_distance(SIXTY_FOUR, ""), 64);
    assert_true(nearest_distance(SIXTY_FOUR "a", "") == SIZE_MAX);
    assert_true(nearest_distance("", SIXTY_FOUR "a") == SIZE_MAX);
}

static const struct {
    const char *typed;
    const char *word; /* NULL: none */
} meant[] = {
    {"replya", "replay"},     {"replays", "replay"}, {"tial", "tail"},     {"tale", NULL},
    {"dunp", "dump"},         {"tai", "tail"},       {"x", NULL},          {"", NULL},
    {"frobnicate", NULL},     {"record", "record"},  {"recrod", "record"}, {"sesions", "sessions"},
    {SIXTY_FOUR "aaa", NULL},
};

static void the_nearest_is_meant(void **state)
{
    static const char *const words[] = {"replay", "record", "dump", "tail", "sessions"};
    (void)state;
    for (size_t i = 0; i < COUNT(meant); i++) {
        const char *word = nearest_word(meant[i].typed, words, COUNT(words));
        if (!meant[i].word)
            assert_null(word);
        else
            assert_string_equal(word, meant[i].word);
    }
    static const char *const equal[] = {"ab", "ac"};
    assert_string_equal(nearest_word("ax", equal, 2), "ab");
    assert_null(nearest_word("ab", equal, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_counted),
        cmocka_unit_test(the_nearest_is_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
