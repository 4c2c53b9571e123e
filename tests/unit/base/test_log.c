/* SPDX-License-Identifier: Apache-2.0 */
/* test_log: lines in both formats, with and without priorities; levels; what comes too often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct row {
    const char *keys;
    const char *json; /* after the first three */
} rows[] = {
    {"", ""},
    {" a=1", ",\"a\":1"},
    {"a=1 bc=-20 d=007 e=1.5 f=-", ",\"a\":1,\"bc\":-20,\"d\":\"007\",\"e\":\"1.5\",\"f\":\"-\""},
    {"a=18446744073709551615 b=0", ",\"a\":18446744073709551615,\"b\":0"},
    {"a=\"x y\" b=z", ",\"a\":\"x y\",\"b\":\"z\""},
    {"a=\"q\\\"q\\\\\" b=1", ",\"a\":\"q\\\"q\\\\\",\"b\":1"},
    {"a=\"\" b= c", ",\"a\":\"\",\"b\":\"\",\"c\":true"},
    {"a=\"not closed", ",\"a\":\"not closed\""},
    {"a=\"tab\tend\"", ",\"a\":\"tab\\u0009end\""},
    {"a=\xC3\xA4 b=\"\xFFx\xC3\"", ",\"a\":\"\xC3\xA4\",\"b\":\"\\ufffdx\\ufffd\""},
    {"a=x\\\"y", ",\"a\":\"x\\\\\\\"y\""},
};

static void keys_become_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[1024];
        char expected[1024];
        size_t size = log_json(line, sizeof(line), "T", "info", "e", rows[i].keys);
        (void)snprintf(expected, sizeof(expected),
                       "{\"time\":\"T\",\"level\":\"info\",\"event\":\"e\"%s}", rows[i].json);
        assert_true(size < sizeof(line));
        line[size] = '\0';
        assert_string_equal(line, expected);
        json_t *json = json_loads(line, JSON_DECODE_INT_AS_REAL, NULL);
        assert_non_null(json);
        json_decref(json);
    }
}

/* Whatever does not fit, the line stays an object. */
static void a_line_is_cut_to_whole_keys(void **state)
{
    (void)state;
    static const char keys[] = "a=1 b=\"a long value with words\" \xFF=2 c=\"\t\t\t\t\t\" d=3";
    size_t whole = 0;
    for (size_t size = 64; size < 256; size++) {
        char *line = malloc(size); /* so that a sanitizer sees its end */
        size_t used = log_json(line, size, "T", "info", "e", keys);
        assert_true(used <= size);
        json_t *json = json_loadb(line, used, 0, NULL);
        assert_non_null(json);
        whole = json_object_size(json);
        json_decref(json);
        free(line);
    }
    assert_int_equal(whole, 8);
}

/* -- lines on stderr --------------------------------------------------------------------------- */

static int kept;
static FILE *lines;

static void begin(void)
{
    (void)fflush(stderr);
    kept = dup(STDERR_FILENO);
    lines = tmpfile();
    assert_non_null(lines);
    assert_int_equal(dup2(fileno(lines), STDERR_FILENO), STDERR_FILENO);
}

static void end(char *text, size_t size)
{
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    (void)close(kept);
    rewind(lines);
    text[fread(text, 1, size - 1, lines)] = '\0';
    (void)fclose(lines);
}

static void log_all(void)
{
    log_error("one", "a=%d", 1);
    log_warning("two", "a=%d", 2);
    log_info("three", "a=%d", 3);
    log_debug("four", "a=%d", 4);
}

static size_t count(const char *text, const char *words)
{
    size_t found = 0;
    for (; (text = strstr(text, words)) != NULL; text++)
        found++;
    return found;
}

static void levels_leave_out(void **state)
{
    (void)state;
    static const size_t logged[] = {
        [LOG_ERROR] = 1, [LOG_WARNING] = 2, [LOG_INFO] = 3, [LOG_DEBUG] = 4};
    char text[2048];
    for (unsigned level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        begin();
        log_set((enum log_level)level, LOG_LOGFMT);
        log_all();
        end(text, sizeof(text));
        assert_int_equal(count(text, "\n"), logged[level]);
        assert_int_equal(count(text, "<"), 0);
        assert_true(log_is_on((enum log_level)level));
        assert_true(level == LOG_DEBUG || !log_is_on((enum log_level)(level + 1)));
    }
    assert_int_equal(count(text, "level=error event=one a=1\n"), 1);
    assert_int_equal(count(text, "level=debug event=four a=4\n"), 1);
    assert_memory_equal(text, "time=", 5);
    begin();
    log_set(LOG_INFO, LOG_JSON);
    log_all();
    end(text, sizeof(text));
    assert_int_equal(count(text, "Z\",\"level\":\"info\",\"event\":\"three\",\"a\":3}\n"), 1);
    log_set(LOG_INFO, LOG_LOGFMT);
}

/* A line is one line, however long its keys are. */
static void a_long_line_ends(void **state)
{
    (void)state;
    char text[8192];
    for (unsigned format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        begin();
        log_set(LOG_INFO, (enum log_format)format);
        log_info("long", "a=%05000d", 1);
        end(text, sizeof(text));
        assert_int_equal(count(text, "\n"), 1);
        assert_int_equal(text[strlen(text) - 1], '\n');
        assert_true(strlen(text) < 2100);
    }
    log_set(LOG_INFO, LOG_LOGFMT);
}

/* Whether stderr is the journal is found once, so in a child for each. */
static void the_journal_gets_priorities(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        char text[2048];
        char stream[64];
        struct stat status;
        begin();
        assert_int_equal(fstat(STDERR_FILENO, &status), 0);
        (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
                       (unsigned long long)status.st_ino + (same ? 0 : 1));
        pid_t child = fork();
        if (child == 0) {
            (void)setenv("JOURNAL_STREAM", stream, 1);
            execl("/proc/self/exe", "test_log", "log", (char *)NULL);
            _exit(1);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        end(text, sizeof(text));
        assert_int_equal(count(text, "\n"), 4);
        assert_int_equal(count(text, "<3>time="), same);
        assert_int_equal(count(text, "<4>time="), same);
        assert_int_equal(count(text, "<6>time="), same);
        assert_int_equal(count(text, "<7>time="), same);
    }
}

static void what_comes_too_often_is_counted(void **state)
{
    (void)state;
    struct log_rate rate = {0};
    uint64_t left_out = 7;
    uint64_t now_ns = 5;
    for (unsigned i = 0; i < LOG_RATE_MAX; i++) {
        assert_true(log_may(&rate, now_ns, &left_out));
        assert_int_equal(left_out, 0);
    }
    for (unsigned i = 0; i < 5; i++)
        assert_false(log_may(&rate, now_ns + 999999999, &left_out));
    assert_true(log_may(&rate, now_ns + 1000000000, &left_out));
    assert_int_equal(left_out, 5);
    assert_true(log_may(&rate, now_ns + 1000000001, &left_out));
    assert_int_equal(left_out, 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_become_json),
        cmocka_unit_test(a_line_is_cut_to_whole_keys),
        cmocka_unit_test(the_journal_gets_priorities),
        cmocka_unit_test(levels_leave_out),
        cmocka_unit_test(a_long_line_ends),
        cmocka_unit_test(what_comes_too_often_is_counted),
    };
    if (argc > 1) {
        log_set(LOG_DEBUG, LOG_LOGFMT);
        log_all();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
