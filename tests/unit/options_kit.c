/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options_kit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOT_NUMBER "not a whole number"
#define NOT_TIME "not a time such as 500ms, 90s, 30m, 12h or 7d"
#define NOT_MODE "not an octal mode from 0 to 777"

static const struct bad {
    enum config_kind kind;
    const char *value;
    const char *why;
} bads[] = {
    {CONFIG_NUMBER, "x", NOT_NUMBER},
    {CONFIG_NUMBER, "-1", NOT_NUMBER},
    {CONFIG_NUMBER, "1.5", NOT_NUMBER},
    {CONFIG_NUMBER, "1k", NOT_NUMBER},
    {CONFIG_NUMBER, "5 0", NOT_NUMBER},
    {CONFIG_NUMBER, "18446744073709551616", "too large"},
    {CONFIG_NUMBER, "18446744073709551615K", "too large"},
    {CONFIG_TIME_MS, "x", NOT_TIME},
    {CONFIG_TIME_MS, "-1s", NOT_TIME},
    {CONFIG_TIME_MS, "1 s", NOT_TIME},
    {CONFIG_TIME_MS, "1w", NOT_TIME},
    {CONFIG_TIME_MS, "36501d", "is too long"},
    {CONFIG_TIME_MS, "99999999999999999999", "is too long"},
    {CONFIG_MODE, "8", NOT_MODE},
    {CONFIG_MODE, "1000", NOT_MODE},
    {CONFIG_MODE, "-1", NOT_MODE},
    {CONFIG_MODE, "rw-rw----", NOT_MODE},
    {CONFIG_GROUP, "no-such-group-is-there", "no such group"},
    {CONFIG_GROUP, "4294967295", "must be from 0 to 4294967294"},
    {CONFIG_GROUP, "-1", "no such group"},
    {CONFIG_WORD, "loud", NULL},
    {CONFIG_WORD, "INFO", NULL},
};

static enum config_kind kind_of(const struct config_option *option)
{
    return option->kind == CONFIG_BYTES     ? CONFIG_NUMBER
           : option->kind == CONFIG_TIME_NS ? CONFIG_TIME_MS
                                            : option->kind;
}

/* Reads "name: value" as a file. */
static struct config *read_line(const struct config_program *program, const char *name,
                                const char *value)
{
    struct config *config = config_new(program);
    const char *why;
    FILE *file = fopen("f.yaml", "w");
    assert_non_null(file);
    assert_true(fprintf(file, "%s: \"%s\"\n", name, value) > 0);
    assert_int_equal(fclose(file), 0);
    assert_true(config_give(config, CONFIG_LINE, config_index(program, "config"), "f.yaml", &why));
    config_read_file(config, true);
    return config;
}

static void expect(const struct config *config, const char *place, const char *value,
                   const char *why)
{
    char error[512];
    (void)snprintf(error, sizeof(error), "%s: %s: %s", place, value, why ? why : "not one of");
    assert_int_equal(config->error_count, 1);
    if (strncmp(config->errors[0], error, strlen(error)) != 0)
        fail_msg("%s\nis not\n%s", config->errors[0], error);
}

static void expect_bad(const struct config_program *program, const struct config_option *option,
                       const char *value, const char *why)
{
    char place[256];
    char variable[128];
    struct config *config = read_line(program, option->name, value);
    (void)snprintf(place, sizeof(place), "f.yaml:1:%zu: %s", strlen(option->name) + 3,
                   option->name);
    expect(config, place, value, why);
    config_free(config);

    config_variable(program, option, variable, sizeof(variable));
    assert_int_equal(setenv(variable, value, 1), 0);
    config = config_new(program);
    config_read_environment(config);
    expect(config, variable, value, why);
    assert_int_equal(unsetenv(variable), 0);
    config_free(config);
}

/* One below the least, and one above the most. */
static void expect_limits(const struct config_program *program, const struct config_option *option)
{
    char value[32];
    char why[96];
    (void)snprintf(why, sizeof(why), "must be from %" PRIu64 " to %" PRIu64, option->least,
                   option->most);
    if (option->least > 0) {
        (void)snprintf(value, sizeof(value), "%" PRIu64, option->least - 1);
        expect_bad(program, option, value, why);
    }
    if (option->most < UINT64_MAX) {
        (void)snprintf(value, sizeof(value), "%" PRIu64, option->most + 1);
        expect_bad(program, option, value, why);
    }
}

void options_kit_refuse(const struct config_program *program)
{
    size_t met = 0;
    for (size_t i = 0; i < program->count; i++) {
        const struct config_option *option = &program->options[i];
        if (option->how & (CONFIG_NOT_IN_FILE | CONFIG_ONLY_ON_LINE))
            continue;
        for (size_t j = 0; j < COUNT(bads); j++)
            if (bads[j].kind == kind_of(option)) {
                expect_bad(program, option, bads[j].value, bads[j].why);
                met++;
            }
        if (kind_of(option) == CONFIG_NUMBER)
            expect_limits(program, option);
    }
    assert_true(met > 100);
}

void options_kit_look(const struct config_program *program, size_t struct_size)
{
    for (size_t i = 0; i < program->count; i++) {
        const struct config_option *option = &program->options[i];
        const char *why;
        if (option->fallback && !config_value_set(option, option->fallback, NULL, &why))
            fail_msg("%s: %s: %s", option->name, option->fallback, why);
        if (option->how & CONFIG_RELOADS) /* a text would be gone with the file it came from */
            assert_true(option->size > 0 && option->kind != CONFIG_TEXT &&
                        option->kind != CONFIG_PATH && option->kind != CONFIG_LIST);
        if (!(option->how & (CONFIG_NOT_IN_FILE | CONFIG_ONLY_ON_LINE)))
            assert_true(option->size > 0 && option->offset + option->size <= struct_size);
        assert_true((option->kind == CONFIG_FLAG) == (option->argument == NULL));
        assert_int_equal(strspn(option->name, "abcdefghijklmnopqrstuvwxyz-"), strlen(option->name));
        assert_int_equal(config_index(program, option->name), i);
    }
}

/* -- its directory -------------------------------------------------------------------------------
 */

static char dir[64];

bool options_kit_begin(void)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(dir, sizeof(dir), "%s/test-options-XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) && chdir(dir) == 0;
}

void options_kit_end(void)
{
    (void)unlink("f.yaml");
    (void)rmdir(dir);
}
