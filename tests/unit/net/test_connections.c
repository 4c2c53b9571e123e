/* SPDX-License-Identifier: Apache-2.0 */
/* test_connections: who comes in while descriptors last, and whose half of a message goes when
 * there is no more room for such.
 *
 * The test is the kernel: it gives out the lowest free descriptor, from a number up that the daemon
 * is supposed to have for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "net/connections.h"

enum {
    FD_MAX = 200,
    OWN_FDS = 25,
    OWN_UID = 999,
    HELD_MAX = 100000,
    STRANGER = 1000,
    OTHER = 1001
};

static struct connections connections;
static bool used[FD_MAX];

static int setup(void **state)
{
    (void)state;
    memset(used, 0, sizeof(used));
    for (size_t i = 0; i < OWN_FDS; i++)
        used[i] = true;
    connections_init(&connections, FD_MAX, OWN_UID, HELD_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int fd = OWN_FDS; fd < FD_MAX; fd++)
        if (used[fd])
            connections_leave(&connections, fd);
    assert_int_equal(connections.count, 0);
    assert_int_equal(connections.uid_count, 0);
    assert_int_equal(connections.held, 0);
    connections_release(&connections);
    return 0;
}

/* The descriptor; -1: turned away, for this reason. */
static int enter(uid_t uid, enum connections_door *ret_door)
{
    int fd = 0;
    while (fd < FD_MAX && used[fd])
        fd++;
    enum connections_door door = connections_enter(&connections, fd, uid);
    if (ret_door)
        *ret_door = door;
    if (door != CONNECTIONS_OPEN)
        return -1;
    used[fd] = true;
    return fd;
}

static void leave(int fd)
{
    connections_leave(&connections, fd);
    used[fd] = false;
}

static unsigned enter_all(uid_t uid, enum connections_door *ret_door)
{
    unsigned count = 0;
    while (enter(uid, ret_door) >= 0)
        count++;
    return count;
}

/* One uid alone gets three quarters of all descriptors; a second one fills up to the 16, and these
 * are for uid 0 and the daemon's own. */
static void one_uid_cannot_take_all_descriptors_from_the_others(void **state)
{
    (void)state;
    enum connections_door door;
    assert_int_equal(enter_all(STRANGER, &door), FD_MAX / 4 * 3 - OWN_FDS);
    assert_int_equal(door, CONNECTIONS_SHARE);
    assert_int_equal(enter_all(OTHER, &door), FD_MAX / 4 - CONNECTIONS_KEPT);
    assert_int_equal(door, CONNECTIONS_FULL);
    assert_int_equal(enter(STRANGER, &door), -1);
    for (size_t i = 0; i < CONNECTIONS_KEPT / 2; i++) {
        assert_true(enter(0, &door) >= 0);
        assert_true(enter(OWN_UID, &door) >= 0);
    }
    assert_int_equal(enter(0, &door), -1);
    assert_int_equal(door, CONNECTIONS_FULL);
}

/* Where one goes another comes in, whatever his number. */
static void a_uid_below_its_share_comes_in_again(void **state)
{
    (void)state;
    enum connections_door door;
    unsigned strangers = enter_all(STRANGER, &door);
    enter_all(OTHER, &door);
    for (int fd = OWN_FDS; fd < OWN_FDS + 20; fd++)
        leave(fd);
    assert_int_equal(enter_all(STRANGER, &door), 20);
    assert_true(strangers > 20);
}

static void a_descriptor_that_is_no_connections_is_passed_over(void **state)
{
    (void)state;
    int cut_fd = -1;
    int fd = enter(STRANGER, NULL);
    assert_false(connections_is_known(&connections, 3));
    assert_false(connections_is_known(&connections, -1));
    assert_false(connections_is_known(&connections, CONNECTIONS_FD_MAX));
    assert_int_equal(connections_heard(&connections, 3, "GET", 3, &cut_fd), ZMTP_GOOD);
    connections_leave(&connections, 3);
    connections_leave(&connections, -1);
    assert_true(connections_is_known(&connections, fd));
    assert_int_equal(connections_uid(&connections, fd), STRANGER);
}

/* A walk finds those that are there, whatever page of records they are in, and no other. */
static void a_walk_finds_all_that_are_known(void **state)
{
    (void)state;
    int found = 0;
    assert_int_equal(connections_next(&connections, -1), -1);
    memset(used, true, 150); /* the first pages have no records yet */
    assert_int_equal(enter(STRANGER, NULL), 150);
    assert_int_equal(connections_next(&connections, 3), 150);
    assert_int_equal(connections_next(&connections, 60), 150);
    memset(used + OWN_FDS, false, 150 - OWN_FDS);
    enter_all(STRANGER, NULL);
    enter_all(OTHER, NULL);
    for (int fd = OWN_FDS; fd < FD_MAX; fd++)
        if (used[fd] && (fd % 3 == 0 || (fd > 70 && fd < 140)))
            leave(fd);
    for (int fd = OWN_FDS; fd < FD_MAX; fd++) {
        if (!used[fd])
            continue;
        assert_int_equal(connections_next(&connections, found), fd);
        found = fd;
    }
    assert_true(found > 140);
    assert_int_equal(connections_next(&connections, found), -1);
    assert_int_equal(connections_next(&connections, FD_MAX), -1);
    assert_int_equal(connections_next(&connections, INT32_MAX - 1), -1);
}

/* -- what is heard ----------------------------------------------------------------------------- */

static int enter_ready(uid_t uid)
{
    static const uint8_t greeting[ZMTP_GREETING_SIZE] = {0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1};
    static const char ready[] = "\4\6\5READY";
    int cut_fd = -1;
    int fd = enter(uid, NULL);
    assert_int_equal(connections_heard(&connections, fd, greeting, sizeof(greeting), &cut_fd),
                     ZMTP_GOOD);
    assert_int_equal(connections_heard(&connections, fd, ready, sizeof(ready) - 1, &cut_fd),
                     ZMTP_GOOD);
    return fd;
}

static enum zmtp_verdict send_head(int fd, uint32_t size, int *ret_cut_fd)
{
    uint8_t head[9] = {2, 0, 0, 0, 0};
    for (size_t i = 0; i < 4; i++)
        head[5 + i] = (uint8_t)(size >> (24 - 8 * i));
    return connections_heard(&connections, fd, head, sizeof(head), ret_cut_fd);
}

static enum zmtp_verdict send_body(int fd, size_t size, int *ret_cut_fd)
{
    static const uint8_t body[HELD_MAX];
    return connections_heard(&connections, fd, body, size, ret_cut_fd);
}

static void a_cut_one_hears_nothing_more_and_its_descriptor_begins_anew(void **state)
{
    (void)state;
    int cut_fd = -1;
    int fd = enter(STRANGER, NULL);
    assert_int_equal(connections_heard(&connections, fd, "GET", 3, &cut_fd), ZMTP_VERSION);
    assert_int_equal(cut_fd, fd);
    assert_true(connections_is_cut(&connections, fd));
    leave(fd);
    assert_false(connections_is_cut(&connections, fd));
    assert_int_equal(enter_ready(OTHER), fd);
    assert_false(connections_is_cut(&connections, fd));
}

/* Three begin a message each; the third makes it too much, and the first goes. One that sends
 * message after message is never the oldest, though it has always one on its way. */
static void the_message_that_began_first_goes_when_there_is_no_more_room(void **state)
{
    (void)state;
    int cut_fd = -1;
    int busy = enter_ready(OTHER);
    assert_int_equal(send_head(busy, 1000, &cut_fd), ZMTP_GOOD);
    assert_int_equal(send_body(busy, 999, &cut_fd), ZMTP_GOOD);
    int slow[3];
    for (size_t i = 0; i < 3; i++) {
        slow[i] = enter_ready(STRANGER);
        assert_int_equal(send_head(slow[i], HELD_MAX, &cut_fd), ZMTP_GOOD);
        assert_int_equal(send_body(slow[i], 1, &cut_fd), ZMTP_GOOD);
        uint8_t end_and_begin[1 + 9 + 900] = {0, 2, 0, 0, 0, 0, 0, 0, 3, 232};
        assert_int_equal(
            connections_heard(&connections, busy, end_and_begin, sizeof(end_and_begin), &cut_fd),
            ZMTP_GOOD);
        assert_int_equal(send_body(busy, 99, &cut_fd), ZMTP_GOOD);
    }
    assert_int_equal(connections.held, 999 + 3);
    assert_int_equal(send_body(slow[1], HELD_MAX / 2, &cut_fd), ZMTP_GOOD);
    assert_int_equal(send_body(slow[2], HELD_MAX / 2, &cut_fd), ZMTP_HELD);
    assert_int_equal(cut_fd, slow[0]);
    assert_int_equal(send_body(slow[2], 1, &cut_fd), ZMTP_HELD);
    assert_int_equal(cut_fd, slow[1]);
    assert_int_equal(connections.held, 999 + HELD_MAX / 2 + 2);
    assert_int_equal(send_body(slow[2], HELD_MAX - HELD_MAX / 2 - 2, &cut_fd), ZMTP_GOOD);
    assert_int_equal(connections.held, 999);
}

static void what_is_held_goes_with_its_connection(void **state)
{
    (void)state;
    int cut_fd = -1;
    int fd = enter_ready(STRANGER);
    assert_int_equal(send_head(fd, 5000, &cut_fd), ZMTP_GOOD);
    assert_int_equal(send_body(fd, 3000, &cut_fd), ZMTP_GOOD);
    assert_int_equal(connections.held, 3000);
    leave(fd);
    assert_int_equal(connections.held, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_uid_cannot_take_all_descriptors_from_the_others),
        TEST(a_uid_below_its_share_comes_in_again),
        TEST(a_descriptor_that_is_no_connections_is_passed_over),
        TEST(a_walk_finds_all_that_are_known),
        TEST(a_cut_one_hears_nothing_more_and_its_descriptor_begins_anew),
        TEST(the_message_that_began_first_goes_when_there_is_no_more_room),
        TEST(what_is_held_goes_with_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
