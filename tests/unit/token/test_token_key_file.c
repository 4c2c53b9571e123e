/* SPDX-License-Identifier: Apache-2.0 */
/* test_token_key_file: which files are taken, and that a bad one changes nothing. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "token/key_file.h"

#define LINE "k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"

static char dir[] = "/tmp/key_file.XXXXXX";
static char path[64];
static char other[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/keys", dir);
    (void)snprintf(other, sizeof(other), "%s/other", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(dir);
}

static int clear(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(other);
    return 0;
}

static void write_file(const char *name, const char *bytes, size_t size, mode_t mode)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(name, mode), 0);
}

/* The set that is in use stays, as the pointer does. */
static void assert_refused(spn_err wanted, const char *words)
{
    char why[KEYS_WHY_SIZE] = "never set";
    struct keys *in_use = (struct keys *)&why;
    struct keys *keys = in_use;
    assert_int_equal(key_file_read(path, &keys, why), wanted);
    assert_ptr_equal(keys, in_use);
    assert_string_equal(why, words);
}

static void assert_taken(void)
{
    char why[KEYS_WHY_SIZE];
    struct keys *keys = NULL;
    spn_err err = key_file_read(path, &keys, why);
    if (err != SPN_OK)
        fail_msg("%s", why);
    assert_int_equal(keys_count(keys), 1);
    keys_free(keys);
}

struct row {
    const char *name;
    mode_t mode;
    bool taken;
};

static const struct row rows[] = {
    {"only its user", 0600, true},
    {"only its user, read", 0400, true},
    {"root's, its group reads", 0640, true},
    {"root's, its group reads, nobody writes", 0440, true},
    {"its group writes", 0620, false},
    {"its group executes", 0610, false},
    {"others read", 0604, false},
    {"others write", 0602, false},
    {"others execute", 0601, false},
    {"all read", 0644, false},
};

static void modes(void **state)
{
    (void)state;
    bool is_root = geteuid() == 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool taken = rows[i].taken && (is_root || (rows[i].mode & S_IRGRP) == 0);
        write_file(path, LINE, strlen(LINE), rows[i].mode);
        char why[KEYS_WHY_SIZE] = "";
        struct keys *keys = NULL;
        if ((key_file_read(path, &keys, why) == SPN_OK) != taken)
            fail_msg("%s: %s", rows[i].name, keys ? "taken" : why);
        if (!taken)
            assert_refused(SPN_E_INVALID, "others can read or write it (chmod 600)");
        keys_free(keys);
        assert_int_equal(unlink(path), 0);
    }
}

static void another_user_s(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    write_file(path, LINE, strlen(LINE), 0600);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_refused(SPN_E_INVALID, "it belongs to another user");
}

/* As the gateway's user: its own file only without its group, root's with it. */
static void seen_by_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(dir, 0711), 0);
    write_file(path, LINE, strlen(LINE), 0640);
    assert_int_equal(chown(path, 0, 12345), 0);
    assert_int_equal(setegid(12345), 0);
    assert_int_equal(seteuid(12345), 0);
    assert_taken();
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_int_equal(seteuid(12345), 0);
    assert_refused(SPN_E_INVALID, "others can read or write it (chmod 600)");
    assert_int_equal(chmod(path, 0600), 0);
    assert_taken();
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
}

static void other_kinds(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(SPN_E_INVALID, "it is not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(SPN_E_INVALID, "it is not a regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_refused(SPN_E_INVALID, "it is not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_refused(SPN_E_SYSTEM, "");
    assert_int_equal(errno, ENOENT);
}

/* What a link leads to is judged, not the link. */
static void links(void **state)
{
    (void)state;
    write_file(other, LINE, strlen(LINE), 0600);
    assert_int_equal(symlink(other, path), 0);
    assert_taken();
    assert_int_equal(chmod(other, 0644), 0);
    assert_refused(SPN_E_INVALID, "others can read or write it (chmod 600)");
}

static void sizes(void **state)
{
    (void)state;
    char *bytes = malloc(KEY_FILE_SIZE_MAX + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < KEY_FILE_SIZE_MAX + 1; i++)
        bytes[i] = i < strlen(LINE) ? LINE[i] : '\n';
    write_file(path, bytes, KEY_FILE_SIZE_MAX, 0600);
    assert_taken();
    write_file(path, bytes, KEY_FILE_SIZE_MAX + 1, 0600);
    assert_refused(SPN_E_INVALID, "it is larger than 64 KiB");
    free(bytes);
    write_file(path, "", 0, 0600);
    assert_refused(SPN_E_INVALID, "there are no keys");
    write_file(path, "k:c2VjcmV0\n", 11, 0600);
    assert_refused(SPN_E_INVALID, "line 1: the key is shorter than 32 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(modes, clear),
        cmocka_unit_test_teardown(another_user_s, clear),
        cmocka_unit_test_teardown(seen_by_another_user, clear),
        cmocka_unit_test_teardown(other_kinds, clear),
        cmocka_unit_test_teardown(links, clear),
        cmocka_unit_test_teardown(sizes, clear),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
