/* SPDX-License-Identifier: Apache-2.0 */
/* test_handed_over: what is taken, and what is refused with words. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/handed_over.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OPEN = 2 }; /* descriptors from HANDED_OVER_FIRST on that are open in each test */

static void set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static const char *own_pid(void)
{
    static char text[24];
    (void)snprintf(text, sizeof(text), "%ld", (long)getpid());
    return text;
}

static void what_is_handed_over_is_taken_or_refused(void **state)
{
    static const struct {
        const char *fds, *pid, *names; /* pid "own": of this process */
        spn_err err;
        size_t count;
        const char *says; /* the first two names, or the refusal's words */
    } rows[] = {
        {NULL, "own", "a", SPN_OK, 0, ""},
        {"2", NULL, "a:b", SPN_OK, 0, ""},
        {"2", "1", "a:b", SPN_OK, 0, ""},
        {"2", "x", "a:b", SPN_OK, 0, ""},
        {"0", "own", NULL, SPN_OK, 0, ""},
        {"2", "own", NULL, SPN_OK, 2, "unknown unknown"},
        {"2", "own", "a:b", SPN_OK, 2, "a b"},
        {"2", "own", ":b", SPN_OK, 2, " b"},
        {"2", "own", "a", SPN_E_INVALID, 0, "has 1 names"},
        {"2", "own", "a:b:c", SPN_E_INVALID, 0, "has 3 names"},
        {"2", "own", "", SPN_E_INVALID, 0, "has 1 names"},
        {"60", "own", NULL, SPN_E_INVALID, 0, "is not open"},
        {"65", "own", NULL, SPN_E_INVALID, 0, "not a number"},
        {"-1", "own", NULL, SPN_E_INVALID, 0, "not a number"},
        {"2x", "own", NULL, SPN_E_INVALID, 0, "not a number"},
        {"", "own", NULL, SPN_E_INVALID, 0, "not a number"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct handed_over handed;
        char why[HANDED_OVER_WHY_MAX];
        char names[64] = "";
        set("LISTEN_FDS", rows[i].fds);
        set("LISTEN_PID", rows[i].pid && strcmp(rows[i].pid, "own") == 0 ? own_pid() : rows[i].pid);
        set("LISTEN_FDNAMES", rows[i].names);
        for (int fd = HANDED_OVER_FIRST; fd < HANDED_OVER_FIRST + OPEN; fd++)
            assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
        if (handed_over_take(&handed, why) != rows[i].err || handed.count != rows[i].count)
            fail_msg("row %zu: %zu, %s", i, handed.count, why);
        if (handed.count > 0)
            (void)snprintf(names, sizeof(names), "%s %s", handed.names[0], handed.names[1]);
        if (rows[i].err == SPN_OK)
            assert_string_equal(names, rows[i].says);
        else if (!strstr(why, rows[i].says))
            fail_msg("row %zu: %s", i, why);
        if (handed.count > 0) /* children do not inherit it */
            assert_int_equal(fcntl(HANDED_OVER_FIRST + 1, F_GETFD), FD_CLOEXEC);
        handed_over_release(&handed);
    }
}

static void only_a_listening_stream_has_no_fault(void **state)
{
    (void)state;
    int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int packets = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(strstr(handed_over_fault(datagram), "datagram"));
    assert_non_null(strstr(handed_over_fault(packets), "not a stream"));
    assert_non_null(strstr(handed_over_fault(file), "not a socket"));
    assert_non_null(strstr(handed_over_fault(stream), "does not listen"));
    assert_int_equal(bind(stream, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(stream, 1), 0);
    assert_null(handed_over_fault(stream));
    close(stream);
    close(datagram);
    close(packets);
    close(file);
}

/* A path of the longest kind has no NUL. An abstract name is no path. */
static void a_path_is_read_whole(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[sizeof(address.sun_path) + 1];
    char dir[] = "/tmp/test-handed-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(dir));
    for (size_t size = strlen(dir) + 2; size <= sizeof(address.sun_path); size++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char wanted[sizeof(path)];
        memset(wanted, 'p', size);
        memcpy(wanted, dir, strlen(dir));
        wanted[strlen(dir)] = '/';
        wanted[size] = '\0';
        memcpy(address.sun_path, wanted, size);
        assert_int_equal(bind(fd, (struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                         0);
        handed_over_path(fd, path);
        assert_string_equal(path, wanted);
        close(fd);
        assert_int_equal(unlink(wanted), 0);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, "\0abstract", 9);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t) + 9), 0);
    handed_over_path(fd, path);
    assert_string_equal(path, "");
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    handed_over_path(fd, path);
    assert_string_equal(path, "");
    close(fd);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_handed_over_is_taken_or_refused),
        cmocka_unit_test(only_a_listening_stream_has_no_fault),
        cmocka_unit_test(a_path_is_read_whole),
    };
    for (int fd = HANDED_OVER_FIRST; fd < HANDED_OVER_FIRST + OPEN; fd++)
        if (dup2(STDIN_FILENO, fd) != fd)
            return 1;
    return cmocka_run_group_tests_name("handed_over", tests, NULL, NULL);
}
