/* SPDX-License-Identifier: Apache-2.0 */
/* test_config: files, layers and reloads of a program that has an option of each kind. What is
 * wrong is named with its place and its reason; what is printed is read back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "config/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(field) CONFIG_AT(struct options, field)

struct options {
    bool flag;
    uint16_t small;
    uint64_t bytes;
    uint32_t age_ms;
    uint64_t wait_ns;
    char path[PATH_MAX];
    const char *text;
    struct config_list list;
    mode_t mode;
    gid_t group;
    unsigned word;
};

static bool has_no_x(const char *value, const char **why)
{
    *why = "has an x";
    return strchr(value, 'x') == NULL;
}

static const char *const words[] = {"low", "high", NULL};

static const struct config_option table[] = {
    CONFIG_OWN_OPTIONS("none"),
    {.name = "flag", .help = "a", .kind = CONFIG_FLAG, AT(flag), .how = CONFIG_RELOADS},
    {.name = "small",
     .argument = "N",
     .help = "a",
     .fallback = "7",
     .kind = CONFIG_NUMBER,
     AT(small),
     .least = 1,
     .most = 60000,
     .how = CONFIG_RELOADS},
    {.name = "many-bytes",
     .argument = "N",
     .help = "a",
     .fallback = "4G",
     .kind = CONFIG_BYTES,
     AT(bytes),
     .most = UINT64_MAX,
     .how = CONFIG_RELOADS},
    {.name = "age",
     .argument = "T",
     .help = "a",
     .kind = CONFIG_TIME_MS,
     AT(age_ms),
     .most = 90000},
    {.name = "wait",
     .argument = "T",
     .help = "a",
     .fallback = "1s",
     .kind = CONFIG_TIME_NS,
     AT(wait_ns),
     .least = 5,
     .most = 3600000},
    {.name = "path", .argument = "P", .help = "a", .kind = CONFIG_PATH, AT(path)},
    {.name = "text",
     .argument = "P",
     .help = "a",
     .kind = CONFIG_TEXT,
     AT(text),
     .check = has_no_x},
    {.name = "list", .argument = "P", .help = "a", .kind = CONFIG_LIST, AT(list), .most = 3},
    {.name = "mode",
     .argument = "M",
     .help = "a",
     .fallback = "0640",
     .kind = CONFIG_MODE,
     AT(mode)},
    {.name = "group", .argument = "G", .help = "a", .kind = CONFIG_GROUP, AT(group)},
    {.name = "word",
     .argument = "W",
     .help = "a",
     .fallback = "low",
     .kind = CONFIG_WORD,
     AT(word),
     .words = words},
    {.name = "fd",
     .argument = "N",
     .help = "a",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_ONLY_ON_LINE,
     .most = 9},
};

static const struct config_program program = {.name = "test",
                                              .version = "test",
                                              .prefix = "CONFIG_TEST_",
                                              .file = "/nonexistent/test.yaml",
                                              .doc = "test",
                                              .options = table,
                                              .count = COUNT(table)};

static char dir[64];

static void write_file(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Reads the file "f", after the variables that are set, under these words of a command line. */
static struct config *read_all(const char *const *line, struct options *ret_options)
{
    char *argv[8] = {(char *)"test"};
    int argc = 1;
    for (; line && line[argc - 1]; argc++)
        argv[argc] = (char *)line[argc - 1];
    struct config *config = config_new(&program);
    assert_non_null(config);
    config_read_arguments(config, argc, argv);
    config_read_environment(config);
    config_read_file(config, false);
    memset(ret_options, 0, sizeof(*ret_options));
    if (config->error_count == 0)
        config_apply(config, ret_options);
    return config;
}

static struct config *read_text(const char *text, size_t size, struct options *ret_options)
{
    const char *const line[] = {"--config", "f", NULL};
    write_file("f", text, size);
    return read_all(line, ret_options);
}

/* -- files that are wrong ---------------------------------------------------------------------- */

#define FILE_OF(text) text, sizeof(text) - 1

static const struct wrong {
    const char *text;
    size_t size;
    const char *errors[4];
} wrongs[] = {
    {FILE_OF("many-bites: 1\n"),
     {"f:1:1: many-bites: no such option; did you mean \"many-bytes\"?"}},
    {FILE_OF("# a\n  Many_Bytes: 1"),
     {"f:2:3: Many_Bytes: no such option; did you mean \"many-bytes\"?"}},
    {FILE_OF("completely-other: 1\n"), {"f:1:1: completely-other: no such option"}},
    {FILE_OF("fd: 1\n"), {"f:1:1: fd: is not for the file"}},
    {FILE_OF("config: g\n"), {"f:1:1: config: is not for the file"}},
    {FILE_OF("small: 1\nflag: true\nsmall: 2\n"), {"f:3:1: small: is there twice: in line 1 too"}},
    {FILE_OF("small: null\nsmall: 2\n"), {"f:2:1: small: is there twice: in line 1 too"}},
    {FILE_OF("small: 0\n"), {"f:1:8: small: 0: must be from 1 to 60000"}},
    {FILE_OF("small:\n"), {"f:1:7: small: has no value"}},
    {FILE_OF("small:   \"\"\n"), {"f:1:10: small: : not a whole number"}},
    {FILE_OF("small: +5\n"), {"f:1:8: small: +5: not a whole number"}},
    {FILE_OF("small: 0x5\n"), {"f:1:8: small: 0x5: not a whole number"}},
    {FILE_OF("many-bytes: 99999999999999999999\n"),
     {"f:1:13: many-bytes: 99999999999999999999: too large"}},
    {FILE_OF("many-bytes: 4T\n"), {"f:1:13: many-bytes: 4T: not a whole number"}},
    {FILE_OF("age: 2m\n"), {"f:1:6: age: 2m: is too long"}},
    {FILE_OF("age: 5w\n"), {"f:1:6: age: 5w: not a time such as 500ms, 90s, 30m, 12h or 7d"}},
    {FILE_OF("wait: 4ms\n"), {"f:1:7: wait: 4ms: is too short"}},
    {FILE_OF("path: ''\n"), {"f:1:7: path: : is empty"}},
    {FILE_OF("path: \"a\\0b\"\n"), {"f:1:7: path: has a zero byte"}},
    {FILE_OF("text: axe\n"), {"f:1:7: text: axe: has an x"}},
    {FILE_OF("mode: 0680\n"), {"f:1:7: mode: 0680: not an octal mode from 0 to 777"}},
    {FILE_OF("group: no-such-group-is-there\n"),
     {"f:1:8: group: no-such-group-is-there: no such group"}},
    {FILE_OF("word: middle\n"), {"f:1:7: word: middle: not one of low, high"}},
    {FILE_OF("flag: yes\n"), {"f:1:7: flag: yes: not true or false"}},
    {FILE_OF("flag: [true]\n"), {"f:1:7: flag: one value is expected here, not a list"}},
    {FILE_OF("small: {a: [b, {c: d}]}\nword: x\n"),
     {"f:1:8: small: a value is expected here, not a mapping",
      "f:2:7: word: x: not one of low, high"}},
    {FILE_OF("list: [a, [b], {c: d}, e]\n"),
     {"f:1:11: list: a value is expected here, not a list or a mapping",
      "f:1:16: list: a value is expected here, not a list or a mapping"}},
    {FILE_OF("list: [a, b, c, d]\n"), {"f:1:17: list: d: is there too often"}},
    {FILE_OF("[small, 1]: 1\nword: x\n"),
     {"f:1:1: a name of an option is expected here", "f:2:7: word: x: not one of low, high"}},
    {FILE_OF("wrong: [1, {a: b}]\nword: x\n"),
     {"f:1:1: wrong: no such option", "f:2:7: word: x: not one of low, high"}},
    {FILE_OF("small: !!int 5\n"),
     {"f:1:8: small: tags (!) are not used here: put the value in quotes"}},
    {FILE_OF("path: &a b\ntext: *a\n"),
     {"f:1:7: path: anchors and aliases (& and *) are not used here: put the value in quotes",
      "f:2:7: text: anchors and aliases (& and *) are not used here: put the value in quotes"}},
    {FILE_OF("list: &a [b]\nsmall: 5\nlist: x\n"),
     {"f:1:7: list: anchors and aliases (& and *) are not used here: put the value in quotes",
      "f:3:1: list: is there twice: in line 1 too"}},
    {FILE_OF("list: !!seq [b]\n"),
     {"f:1:7: list: tags (!) are not used here: put the value in quotes"}},
    {FILE_OF("--- !!map\nsmall: x\n"),
     {"f:1:5: tags (!) are not used here: put the value in quotes"}},
    {FILE_OF("- small\n"), {"f:1:1: lines such as \"quota: 4G\" are expected here"}},
    {FILE_OF("small 5\n"), {"f:1:1: lines such as \"quota: 4G\" are expected here"}},
    {FILE_OF("small: 5\n---\nword: x\n"), {"f:2:1: a second document begins here"}},
    {FILE_OF("small: 5\n  word: high\n"),
     {"f:1:8: small: 5 word: not a whole number",
      "f:2:7: not YAML: mapping values are not allowed in this context"}},
    {FILE_OF("word: high\n\tsmall: 5\n"),
     {"f:2:1: not YAML: found a tab character that violates indentation while scanning a plain "
      "scalar"}},
    {FILE_OF("word: high\nlist: [a\n"),
     {"f:3:1: not YAML: did not find expected ',' or ']' while parsing a flow sequence"}},
    {FILE_OF("word: high\n# \xFF\n"), {"f:2:3: not YAML: invalid leading UTF-8 octet"}},
    {FILE_OF(""), {"f: is empty"}},
};

static void expect_errors(const struct config *config, const char *const *errors, size_t most)
{
    size_t count = 0;
    while (count < most && errors[count])
        count++;
    for (size_t i = 0; i < count && i < config->error_count; i++)
        assert_string_equal(config->errors[i], errors[i]);
    assert_int_equal(config->error_count, count);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrongs); i++) {
        struct options options;
        struct config *config = read_text(wrongs[i].text, wrongs[i].size, &options);
        expect_errors(config, wrongs[i].errors, COUNT(wrongs[i].errors));
        config_free(config);
    }
}

static void what_is_no_file_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *error;
    } rows[] = {
        {"missing", "missing: cannot be opened: No such file or directory"},
        {"d", "d: is a directory"},
        {"d/x/y", "d/x/y: cannot be opened: No such file or directory"},
        {"p", "p: is not a regular file"},
        {"/dev/null", "/dev/null: is not a regular file"},
        {"large", "large: has 10000000 bytes, more than 1048576"},
        {"loop", "loop: cannot be opened: Too many levels of symbolic links"},
        {"closed", "closed: cannot be opened: Permission denied"},
    };
    assert_int_equal(mkdir("d", 0700), 0);
    assert_int_equal(mkfifo("p", 0600), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    write_file("large", "", 0);
    assert_int_equal(truncate("large", 10000000), 0);
    write_file("closed", "small: 5\n", 9);
    assert_int_equal(chmod("closed", 0), 0);
    bool may_read_all = access("closed", R_OK) == 0; /* root */
    for (size_t i = 0; i < COUNT(rows) - (may_read_all ? 1 : 0); i++) {
        struct options options;
        const char *const line[] = {"--config", rows[i].path, NULL};
        struct config *config = read_all(line, &options);
        assert_int_equal(config->error_count, 1);
        assert_string_equal(config->errors[0], rows[i].error);
        config_free(config);
    }
}

/* The first are kept; of all it is known how many there were. */
static void many_errors_are_counted(void **state)
{
    (void)state;
    struct options options;
    char text[CONFIG_ERRORS_MAX * 8] = "";
    for (unsigned i = 0; i < CONFIG_ERRORS_MAX + 3; i++)
        (void)sprintf(text + strlen(text), "q%u: 1\n", i);
    struct config *config = read_text(text, strlen(text), &options);
    assert_int_equal(config->error_count, CONFIG_ERRORS_MAX + 3);
    config_free(config);
}

/* -- layers ------------------------------------------------------------------------------------ */

static void higher_layers_prevail(void **state)
{
    (void)state;
    struct options options;
    struct config *config = read_text(FILE_OF("# only this\n"), &options);
    assert_int_equal(config->error_count, 0);
    assert_int_equal(options.small, 7);
    assert_int_equal(options.mode, 0640);
    assert_int_equal(options.group, (gid_t)-1);
    assert_null(options.text);
    config_free(config);

    static const char text[] = "small: 8\nmany-bytes: 1K\nage: 2s\nlist: [a, b]\ntext: null\n"
                               "group: ~\nflag: true\nword: 'high'\nwait: \"10ms\"\n";
    config = read_text(text, sizeof(text) - 1, &options);
    assert_int_equal(config->error_count, 0);
    assert_int_equal(options.small, 8);
    assert_int_equal(options.bytes, 1024);
    assert_int_equal(options.age_ms, 2000);
    assert_int_equal(options.wait_ns, 10000000);
    assert_int_equal(options.list.count, 2);
    assert_string_equal(options.list.items[1], "b");
    assert_int_equal(options.word, 1);
    assert_true(options.flag);
    assert_null(options.text);
    assert_int_equal(config_layer_of(config, "text"), CONFIG_DEFAULT);
    assert_int_equal(config_layer_of(config, "small"), CONFIG_FILE);
    config_free(config);

    assert_int_equal(setenv("CONFIG_TEST_SMALL", "9", 1), 0);
    assert_int_equal(setenv("CONFIG_TEST_MANY_BYTES", "2K", 1), 0);
    assert_int_equal(setenv("CONFIG_TEST_LIST", "c,d,e", 1), 0);
    assert_int_equal(setenv("CONFIG_TEST_FLAG", "false", 1), 0);
    assert_int_equal(setenv("CONFIG_TEST_AGE", "", 1), 0);
    const char *const line[] = {"--config=f", "--small", "10", "--small=11", "--list=z", NULL};
    config = read_all(line, &options);
    assert_int_equal(config->error_count, 0);
    assert_int_equal(options.small, 11);
    assert_int_equal(options.bytes, 2048);
    assert_int_equal(options.age_ms, 2000);
    assert_false(options.flag);
    assert_int_equal(options.list.count, 1);
    assert_string_equal(options.list.items[0], "z");
    assert_int_equal(config_layer_of(config, "small"), CONFIG_LINE);
    assert_int_equal(config_layer_of(config, "many-bytes"), CONFIG_ENVIRONMENT);
    config_free(config);

    assert_int_equal(setenv("CONFIG_TEST_SMALL", "x", 1), 0);
    config = read_all(line, &options);
    expect_errors(config, (const char *const[]){"CONFIG_TEST_SMALL: x: not a whole number"}, 1);
    config_free(config);
    unsetenv("CONFIG_TEST_SMALL");
    unsetenv("CONFIG_TEST_MANY_BYTES");
    unsetenv("CONFIG_TEST_LIST");
    unsetenv("CONFIG_TEST_FLAG");
    unsetenv("CONFIG_TEST_AGE");

    const char *const without[] = {"--config=f", "--no-config", NULL};
    config = read_all(without, &options);
    assert_int_equal(options.small, 7);
    assert_string_equal(config->file, "");
    config_free(config);

    const char *const named[] = {"--config=f", NULL};
    assert_int_equal(setenv("CONFIG_TEST_NO_CONFIG", "true", 1), 0);
    config = read_all(named, &options); /* it is named in a higher layer */
    assert_int_equal(options.small, 8);
    config_free(config);
    unsetenv("CONFIG_TEST_NO_CONFIG");
}

/* -- printing ---------------------------------------------------------------------------------- */

static void what_is_printed_is_read_back(void **state)
{
    (void)state;
    static const char text[] =
        "small: 9\nmany-bytes: 1025K\nage: 90s\nwait: 1h\npath: \"/a b\\n'\\\"\\\\\\u20ac\"\n"
        "text: 'yes'\nlist: [0, 'a: b', '#c']\nmode: 0007\ngroup: 0\nword: high\nflag: true\n";
    static const char *const printed[] = {
        "small: 9  # f:1\n",       "many-bytes: 1025K  # f:2\n",
        "age: 90s  # f:3\n",       "wait: 1h  # f:4\n",
        "mode: \"0007\"  # f:8\n", "path: \"/a b\\x0A'\\\"\\\\\xE2\x82\xAC\"  # f:5\n",
        "text: \"yes\"  # f:6\n",  "list:  # f:7\n  - 0\n  - \"a: b\"\n  - \"#c\"\n",
        "group: 0  # f:9\n",       "word: high  # f:10\n",
        "flag: true  # f:11\n",
    };
    struct options options;
    struct options again;
    char out[4096] = "";
    struct config *config = read_text(text, sizeof(text) - 1, &options);
    assert_int_equal(config->error_count, 0);
    FILE *file = fmemopen(out, sizeof(out), "w");
    assert_true(config_print(config, &options, file));
    assert_int_equal(fclose(file), 0);
    for (size_t i = 0; i < COUNT(printed); i++)
        if (!strstr(out, printed[i]))
            fail_msg("not there: %s in\n%s", printed[i], out);
    struct config *other = read_text(out, strlen(out), &again);
    assert_int_equal(other->error_count, 0);
    for (size_t i = 0; i < COUNT(table); i++)
        if (table[i].size > 0)
            assert_true(config_value_same(&table[i], &options, &again));
    config_free(other);
    config_free(config);

    config = read_text(FILE_OF("path: a\nlist: []\n"), &options);
    memset(out, 0, sizeof(out));
    file = fmemopen(out, sizeof(out), "w");
    assert_true(config_print(config, &options, file));
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(out, "text: null  # default\nlist: []  # f:2\n"));
    assert_non_null(strstr(out, "group: null  # default\n"));
    config_free(config);

    const char *const line[] = {"--no-config", "--path=\xFF", NULL};
    config = read_all(line, &options);
    file = fmemopen(out, sizeof(out), "w");
    assert_false(config_print(config, &options, file));
    assert_int_equal(fclose(file), 0);
    config_free(config);
}

/* -- reloads ----------------------------------------------------------------------------------- */

static void note(void *context, const struct config_change *change)
{
    char *text = context;
    (void)sprintf(text + strlen(text), "%s %s->%s%s;", change->option,
                  change->old_text ? change->old_text : "null",
                  change->new_text ? change->new_text : "null", change->taken ? "" : " later");
}

static void a_reload_takes_what_may_change(void **state)
{
    (void)state;
    struct options running;
    struct options fresh;
    char noted[512] = "";
    const char *const line[] = {"--config=f", "--flag", NULL};
    write_file("f", FILE_OF("small: 8\npath: /a\nlist: [a]\ntext: t\nmany-bytes: 4096M\n"));
    struct config *config = read_all(line, &running);
    assert_int_equal(running.small, 8);

    write_file("f", FILE_OF("flag: false\npath: /b\nlist: [a, b]\nword: high\n"));
    struct config *next = config_new_without_file(config);
    assert_non_null(next);
    config_read_file(next, true);
    assert_int_equal(next->error_count, 0);
    config_apply(next, &fresh);
    config_take(&program, &running, &fresh, note, noted);
    assert_string_equal(noted, "small 8->7;path /a->/b later;text t->null later;"
                               "list a->a later;word low->high later;");
    assert_int_equal(running.small, 7);
    assert_string_equal(running.path, "/a");
    assert_string_equal(running.text, "t");
    assert_int_equal(running.word, 0);
    assert_true(running.flag);
    config_free(next);

    assert_int_equal(unlink("f"), 0);
    next = config_new_without_file(config);
    config_read_file(next, true);
    expect_errors(next, (const char *const[]){"f: cannot be opened: No such file or directory"}, 1);
    config_free(next);
    config_free(config);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(what_is_no_file_is_named),
        cmocka_unit_test(many_errors_are_counted),
        cmocka_unit_test(higher_layers_prevail),
        cmocka_unit_test(what_is_printed_is_read_back),
        cmocka_unit_test(a_reload_takes_what_may_change),
    };
    const char *base = getenv("TMPDIR");
    (void)snprintf(dir, sizeof(dir), "%s/test-config-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const made[] = {"f", "p", "loop", "large", "closed"};
    for (size_t i = 0; i < COUNT(made); i++)
        (void)unlink(made[i]);
    (void)rmdir("d");
    (void)rmdir(dir);
    return failed;
}
