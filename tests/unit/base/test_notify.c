/* SPDX-License-Identifier: Apache-2.0 */
/* test_notify: what the service manager gets, when, and that nobody has to be there. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

static char dir[] = "/tmp/test-notify-XXXXXX";
static char path[64];
static int manager;
static struct notify notify;

/* name: a path, or with @ an abstract name. */
static void listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(name);
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(manager >= 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static int set_up(void **state)
{
    (void)state;
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    listen_at(path);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    notify_release(&notify);
    close(manager);
    unlink(path);
    return 0;
}

/* The next message; "": there is none. */
static const char *next(void)
{
    static char text[512];
    ssize_t size = recv(manager, text, sizeof(text) - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void expect_nothing(void)
{
    assert_string_equal(next(), "");
}

static void states_are_sent(void **state)
{
    (void)state;
    static const char reloading[] = "RELOADING=1\nMONOTONIC_USEC=";
    char *end;
    notify_init(&notify);
    notify_ready(&notify);
    assert_string_equal(next(), "READY=1");
    notify_stopping(&notify);
    assert_string_equal(next(), "STOPPING=1");
    notify_extend(&notify, 3 * SECOND);
    assert_string_equal(next(), "EXTEND_TIMEOUT_USEC=3000000");
    notify_reloading(&notify);
    const char *text = next();
    assert_memory_equal(text, reloading, sizeof(reloading) - 1);
    assert_true(strtoull(text + sizeof(reloading) - 1, &end, 10) > 0);
    assert_int_equal(*end, '\0');
    expect_nothing();
}

static void an_abstract_name_is_an_address_too(void **state)
{
    char name[64];
    (void)state;
    close(manager);
    (void)snprintf(name, sizeof(name), "@test-notify-%ld", (long)getpid());
    listen_at(name);
    notify_init(&notify);
    notify_ready(&notify);
    assert_string_equal(next(), "READY=1");
}

static void nobody_has_to_be_there(void **state)
{
    static const char *const names[] = {NULL, "", "@", "relative/path", "/nowhere/at/all"};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (names[i])
            setenv("NOTIFY_SOCKET", names[i], 1);
        else
            unsetenv("NOTIFY_SOCKET");
        setenv("WATCHDOG_USEC", "3000000", 1);
        notify_init(&notify);
        notify_ready(&notify);
        notify_status(&notify, SECOND, "x");
        notify_turn(&notify, SECOND);
        notify_stopping(&notify);
        if (i < COUNT(names) - 1)
            assert_true(notify_due_ns(&notify) == UINT64_MAX);
        notify_release(&notify);
    }
    notify_ready(NULL);
    notify_reloading(NULL);
    notify_stopping(NULL);
    notify_extend(NULL, SECOND);
    notify_progress(NULL, SECOND);
    notify_status(NULL, SECOND, "x");
    notify_turn(NULL, SECOND);
    notify_starve(NULL, SECOND);
    notify_release(NULL);
    assert_true(notify_due_ns(NULL) == UINT64_MAX);
    char longer[200];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    setenv("NOTIFY_SOCKET", longer, 1);
    notify_init(&notify);
    assert_int_equal(notify.fd, -1);
}

/* What is not for this process, or no number, is no watchdog. */
static void the_watchdog_is_of_this_process(void **state)
{
    static const struct {
        const char *usec, *pid; /* pid "own": of this process */
        uint64_t ns;
    } rows[] = {
        {"3000000", "own", 3 * SECOND},
        {"3000000", NULL, 3 * SECOND},
        {"3000000", "1", 0},
        {"3000000", "x", 0},
        {"", "own", 0},
        {"-1", "own", 0},
        {"3s", "own", 0},
        {"99999999999999999999", "own", 0},
        {"18446744073709551615", "own", 0},
    };
    char own[24];
    (void)state;
    (void)snprintf(own, sizeof(own), "%ld", (long)getpid());
    for (size_t i = 0; i < COUNT(rows); i++) {
        setenv("WATCHDOG_USEC", rows[i].usec, 1);
        unsetenv("WATCHDOG_PID");
        if (rows[i].pid)
            setenv("WATCHDOG_PID", strcmp(rows[i].pid, "own") == 0 ? own : rows[i].pid, 1);
        notify_init(&notify);
        if (notify.watchdog_ns != rows[i].ns)
            fail_msg("%s, %s: %lu", rows[i].usec, rows[i].pid, notify.watchdog_ns);
        notify_release(&notify);
    }
}

/* Three times in the time that the manager bears: two may come late. */
static void turns_feed_the_watchdog(void **state)
{
    (void)state;
    unsigned fed = 0;
    setenv("WATCHDOG_USEC", "3000000", 1);
    notify_init(&notify);
    for (uint64_t now_ns = 100 * SECOND; now_ns < 106 * SECOND; now_ns += 10 * MS) {
        assert_true(fed == 0 || notify_due_ns(&notify) > now_ns - 10 * MS);
        notify_turn(&notify, now_ns);
        fed += strcmp(next(), "WATCHDOG=1") == 0;
    }
    assert_int_equal(fed, 6);
    assert_true(notify_due_ns(&notify) == 106 * SECOND);
}

static void without_turns_it_starves(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "3000000", 1);
    notify_init(&notify);
    notify_status(&notify, 100 * SECOND, "alive");
    assert_string_equal(next(), "STATUS=alive");
    notify_ready(&notify);
    assert_string_equal(next(), "READY=1");
    expect_nothing();
}

static void a_status_is_sent_when_it_is_another_and_not_often(void **state)
{
    static const struct {
        uint64_t at_ms;
        int events;
        const char *sent;
    } rows[] = {
        {1000, 1, "STATUS=1 events"}, {1001, 2, ""},  {5999, 3, ""},
        {6000, 3, "STATUS=3 events"}, {20000, 3, ""}, {20001, 4, "STATUS=4 events"},
    };
    (void)state;
    notify_init(&notify);
    for (size_t i = 0; i < COUNT(rows); i++) {
        notify_status(&notify, rows[i].at_ms * MS, "%d events", rows[i].events);
        assert_string_equal(next(), rows[i].sent);
    }
}

static void progress_asks_for_time_before_it_is_over(void **state)
{
    static const struct {
        uint64_t at_ms;
        bool asks;
    } rows[] = {{1, true},     {2, false},    {15000, false},
                {15001, true}, {60000, true}, {60001, false}};
    (void)state;
    notify_init(&notify);
    for (size_t i = 0; i < COUNT(rows); i++) {
        notify_progress(&notify, rows[i].at_ms * MS);
        assert_string_equal(next(), rows[i].asks ? "EXTEND_TIMEOUT_USEC=60000000" : "");
    }
}

/* The loop must not stand still because the manager does. */
static void a_manager_that_reads_nothing_does_not_stop_the_loop(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "3", 1);
    notify_init(&notify);
    alarm(20);
    for (uint64_t now_ns = SECOND; now_ns < 100000 * SECOND; now_ns += 10 * SECOND) {
        notify_turn(&notify, now_ns);
        notify_status(&notify, now_ns, "%lu", now_ns);
    }
    alarm(0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, take_down)
    const struct CMUnitTest tests[] = {
        TEST(states_are_sent),
        TEST(an_abstract_name_is_an_address_too),
        TEST(nobody_has_to_be_there),
        TEST(the_watchdog_is_of_this_process),
        TEST(turns_feed_the_watchdog),
        TEST(without_turns_it_starves),
        TEST(a_status_is_sent_when_it_is_another_and_not_often),
        TEST(progress_asks_for_time_before_it_is_over),
        TEST(a_manager_that_reads_nothing_does_not_stop_the_loop),
    };
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/notify", dir);
    int failed = cmocka_run_group_tests_name("notify", tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
