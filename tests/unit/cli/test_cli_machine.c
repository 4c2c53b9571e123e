/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_machine: what /proc says, and texts like it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "cli/machine.h"
#include "until.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LONG                                                                                       \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"  \
    "123456789012345678901234567890123456789"

static const struct {
    const char *name;
    const char *text;
    const char *value; /* of "key"; NULL: none */
} rows[] = {
    {"nothing", "", NULL},
    {"the only line", "key: value", "value"},
    {"with blanks", "key\t : \t a value \t\nother: x\n", "a value"},
    {"not the first line", "other: x\nkey: value\n", "value"},
    {"the first of two", "key: a\nkey: b\n", "a"},
    {"no value", "key:\nother: x\n", ""},
    {"another key that begins like it", "keys: x\n", NULL},
    {"another key that ends like it", "monkey: x\n", NULL},
    {"no colon", "key value\n", NULL},
    {"too long", "key: " LONG "\n", NULL}, /* cut: see below */
};

static void fields_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char value[MACHINE_TEXT_SIZE] = "untouched";
        bool found = machine_field(rows[i].text, "key", value);
        if (strcmp(rows[i].name, "too long") == 0) {
            assert_true(found);
            assert_int_equal(strlen(value), MACHINE_TEXT_SIZE - 1);
        } else if (found != (rows[i].value != NULL)) {
            fail_msg("%s: found: %d", rows[i].name, found);
        } else {
            assert_string_equal(value, found ? rows[i].value : "untouched");
        }
    }
}

static void this_machine_is_one(void **state)
{
    (void)state;
    struct machine machine;
    machine_look(&machine);
    assert_true(machine.cores >= 1);
    assert_true(machine.cpu[0] != '\0');
    assert_memory_equal(machine.kernel, "Linux ", 6);
}

/* What is touched counts, and nothing is known of a process that does not exist. */
static void memory_is_counted(void **state)
{
    (void)state;
    enum { SIZE = 64 << 20 };
    uint64_t before = 0;
    uint64_t after = 0;
    assert_true(machine_rss_anon(getpid(), &before));
    char *memory = malloc(SIZE);
    assert_non_null(memory);
    for (size_t i = 0; i < SIZE; i += 4096)
        ((volatile char *)memory)[i] = 1;
    assert_true(machine_rss_anon(getpid(), &after));
    free(memory);
    assert_true(after - before > SIZE / 10 * 9);
    assert_true(until_sanitized() || after - before < SIZE / 10 * 12); /* they shadow it */
    assert_false(machine_rss_anon(-1, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(this_machine_is_one),
        cmocka_unit_test(memory_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
