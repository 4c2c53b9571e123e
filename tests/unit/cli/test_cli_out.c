/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_out: bytes on their way out, and the acknowledgement log that is made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ack_log.h"
#include "base/out.h"

static struct spn_bytes text(const char *bytes)
{
    return (struct spn_bytes){bytes, strlen(bytes)};
}

/* -- out --------------------------------------------------------------------------------------- */

static void without_a_file_bytes_stay(void **state)
{
    (void)state;
    struct out out;
    out_init(&out, -1);
    out_text(&out, "a");
    out_number(&out, 0);
    out_text(&out, " ");
    out_number(&out, UINT64_MAX);
    out_put(&out, NULL, 0);
    assert_true(out_flush(&out));
    out_put(&out, "", 1);
    assert_string_equal(out.data, "a0 18446744073709551615");
    out_release(&out);
}

static void much_arrives_as_it_was_put(void **state)
{
    (void)state;
    char path[] = "/tmp/test-out-XXXXXX";
    struct out out;
    char line[32];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    out_init(&out, fd);
    for (int i = 0; i < 100000; i++) {
        out_number(&out, (uint64_t)i);
        out_text(&out, "\n");
        assert_true(out_settle(&out));
        assert_true(out.size < 64 * 1024 + 32); /* it does not gather all of it */
    }
    assert_true(out_flush(&out));
    out_release(&out);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int i = 0; i < 100000; i++) {
        assert_non_null(fgets(line, sizeof(line), file));
        assert_int_equal(strtol(line, NULL, 10), i);
    }
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
    close(fd);
    unlink(path);
}

static void what_went_wrong_is_kept(void **state)
{
    (void)state;
    struct out out;
    int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    out_init(&out, fd);
    out_text(&out, "x");
    assert_true(out_settle(&out)); /* too little to be written yet */
    assert_false(out_flush(&out));
    assert_int_equal(out.error, ENOSPC);
    out_text(&out, "y");
    assert_false(out_settle(&out));
    assert_false(out_flush(&out));
    assert_int_equal(out.error, ENOSPC);
    out_release(&out);
    close(fd);
}

/* -- what goes into the kernel at a time (linked with --wrap=write) ---------------------------- */

ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __real_write(int fd, const void *bytes, size_t size);

static struct {
    int fd; /* looked at; 0: none */
    uint64_t offset;
    size_t count;
} writes;

/* Within a page of the file, or one line alone. */
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    if (fd == writes.fd && fd > 0) {
        bool in_page = writes.offset / 4096 == (writes.offset + size - 1) / 4096;
        const char *end = memchr(bytes, '\n', size);
        assert_non_null(end);
        assert_true(in_page || (size_t)(end + 1 - (const char *)bytes) == size);
        assert_int_equal(((const char *)bytes)[size - 1], '\n');
        writes.offset += size;
        writes.count++;
    }
    return __real_write(fd, bytes, size);
}

/* -- ack_log ----------------------------------------------------------------------------------- */

static void check_file(const char *path, const char *expected)
{
    char bytes[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes) - 1, file);
    fclose(file);
    bytes[size] = '\0';
    assert_string_equal(bytes, expected);
}

static void acks_are_in_the_file_once_written(void **state)
{
    (void)state;
    char path[] = "/tmp/test-ack-XXXXXX";
    struct ack_log log;
    close(mkstemp(path));
    assert_int_equal(ack_log_open(&log, path), SPN_OK);
    ack_log_add(&log, 1, text("a b"));
    check_file(path, "");
    assert_int_equal(ack_log_write(&log), SPN_OK);
    check_file(path, "1 a b\n");
    ack_log_add(&log, 2, text("\xFF"));
    ack_log_add(&log, 18446744073709551615u, text("c"));
    assert_int_equal(ack_log_write(&log), SPN_OK);
    check_file(path, "1 a b\n2 \xFF\n18446744073709551615 c\n");
    ack_log_close(&log);

    assert_int_equal(ack_log_open(&log, path), SPN_OK); /* a second run goes on behind it */
    ack_log_add(&log, 1, text("d"));
    assert_int_equal(ack_log_write(&log), SPN_OK);
    ack_log_close(&log);
    check_file(path, "1 a b\n2 \xFF\n18446744073709551615 c\n1 d\n");
    unlink(path);
}

/* What is left of a line is taken away: it would read like an acknowledgement of another id. What
 * is not ours is only ended. */
static const struct {
    const char *before;
    const char *after;
} torn_cases[] = {
    {"", "3 c\n"},
    {"1 a\n", "1 a\n3 c\n"},
    {"1 a\n2 b", "1 a\n3 c\n"},
    {"1 a\n2 ", "1 a\n3 c\n"},
    {"1 a\n2", "1 a\n3 c\n"},
    {"1", "3 c\n"},
    {"1 a\nfoo", "1 a\nfoo\n3 c\n"},
    {"foo", "foo\n3 c\n"},
    {"1a\n1b", "1a\n1b\n3 c\n"},
};

static void a_torn_last_line_does_not_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(torn_cases) / sizeof(torn_cases[0]); i++) {
        char path[] = "/tmp/test-ack-XXXXXX";
        struct ack_log log;
        int fd = mkstemp(path);
        size_t size = strlen(torn_cases[i].before);
        assert_int_equal(write(fd, torn_cases[i].before, size), size);
        close(fd);
        assert_int_equal(ack_log_open(&log, path), SPN_OK);
        ack_log_add(&log, 3, text("c"));
        assert_int_equal(ack_log_write(&log), SPN_OK);
        ack_log_close(&log);
        check_file(path, torn_cases[i].after);
        unlink(path);
    }
}

/* A line longer than any of ours is nobody's to cut. */
static void a_long_last_line_is_kept(void **state)
{
    (void)state;
    for (size_t size = 4110; size < 4125; size++) {
        char path[] = "/tmp/test-ack-XXXXXX";
        char line[4200];
        struct ack_log log;
        int fd = mkstemp(path);
        memset(line, '7', size);
        line[1] = ' ';
        assert_int_equal(write(fd, "\n", 1), 1);
        assert_int_equal(write(fd, line, size), size);
        close(fd);
        assert_int_equal(ack_log_open(&log, path), SPN_OK);
        bool cut = size <= 20 + 1 + 4096;
        assert_int_equal(log.size, cut ? 1 : 1 + size);
        assert_int_equal(log.lines.size, !cut);
        ack_log_close(&log);
        unlink(path);
    }
}

/* Many at a time, of all sizes: written in pieces, and whole in the end. */
static void many_lines_arrive_whole(void **state)
{
    (void)state;
    char path[] = "/tmp/test-ack-XXXXXX";
    static char id[1024];
    static char line[1100];
    struct ack_log log;
    unsigned number = 0;
    memset(id, 'i', sizeof(id));
    close(mkstemp(path));
    assert_int_equal(ack_log_open(&log, path), SPN_OK);
    writes.fd = log.fd;
    for (unsigned batch = 0; batch < 200; batch++) {
        size_t before = writes.count;
        for (unsigned i = 0; i < batch; i++, number++)
            ack_log_add(&log, number, (struct spn_bytes){id, number * 37 % 1025});
        size_t pages = log.lines.size / 4096;
        assert_int_equal(ack_log_write(&log), SPN_OK);
        assert_true(writes.count - before <= 2 * pages + 3); /* not a call for every line */
    }
    writes.fd = 0;
    ack_log_close(&log);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (unsigned i = 0; i < number; i++) {
        char *end;
        assert_non_null(fgets(line, sizeof(line), file));
        assert_int_equal(strtoul(line, &end, 10), i);
        assert_int_equal(strlen(end), 1 + i * 37 % 1025 + 1);
    }
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
    unlink(path);
}

static void without_a_path_nothing_is_kept(void **state)
{
    (void)state;
    struct ack_log log;
    assert_int_equal(ack_log_open(&log, NULL), SPN_OK);
    for (uint64_t i = 0; i < 1000; i++)
        ack_log_add(&log, i, text("a"));
    assert_int_equal(ack_log_write(&log), SPN_OK);
    assert_null(log.lines.data);
    ack_log_close(&log);
}

static void a_log_that_cannot_be_is_told(void **state)
{
    (void)state;
    struct ack_log log;
    assert_int_equal(ack_log_open(&log, "/nonexistent/log"), SPN_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(ack_log_open(&log, "/dev/full"), SPN_OK);
    ack_log_add(&log, 1, text("a"));
    assert_int_equal(ack_log_write(&log), SPN_E_SYSTEM);
    assert_int_equal(errno, ENOSPC);
    ack_log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_bytes_stay),
        cmocka_unit_test(much_arrives_as_it_was_put),
        cmocka_unit_test(what_went_wrong_is_kept),
        cmocka_unit_test(acks_are_in_the_file_once_written),
        cmocka_unit_test(a_torn_last_line_does_not_count),
        cmocka_unit_test(a_long_last_line_is_kept),
        cmocka_unit_test(many_lines_arrive_whole),
        cmocka_unit_test(without_a_path_nothing_is_kept),
        cmocka_unit_test(a_log_that_cannot_be_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
