/* SPDX-License-Identifier: Apache-2.0 */
/* test_endpoint: a socket never has more rights than it is to have, not even for a moment. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "net/endpoint.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OTHER_GROUP = 65533 };
#define NO_GROUP ((gid_t)-1)

static struct endpoint_options options;
static int looks; /* at the socket before it is as it is to be */

/* What the socket's rights are at this moment is within what was asked for. */
static void look_at(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777 & ~options.mode, 0);
    if (options.group != NO_GROUP && status.st_gid != options.group)
        assert_int_equal(status.st_mode & 0077, 0);
    looks++;
}

int __real_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode)
{
    look_at(path);
    int result = __real_chmod(path, mode);
    look_at(path);
    return result;
}

int __real_chown(const char *path, uid_t user, gid_t group);
int __wrap_chown(const char *path, uid_t user, gid_t group);
int __wrap_chown(const char *path, uid_t user, gid_t group)
{
    look_at(path);
    int result = __real_chown(path, user, group);
    look_at(path);
    return result;
}

static void expect_rights(const char *path)
{
    struct stat status;
    gid_t group = options.group == NO_GROUP ? getegid() : options.group;
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, options.mode);
    assert_int_equal(status.st_gid, group);
}

static void rights_are_never_wider(void **state)
{
    static const mode_t modes[] = {0660, 0600, 0666, 0606, 0};
    const gid_t groups[] = {NO_GROUP, geteuid() == 0 ? OTHER_GROUP : getegid()};
    char dir[] = "/tmp/test-endpoint-XXXXXX";
    char path[64];
    void *context = zmq_ctx_new();
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a.sock", dir);
    for (size_t i = 0; i < COUNT(modes) * COUNT(groups); i++) {
        struct endpoint endpoint = {.socket = NULL};
        options = (struct endpoint_options){.dir = dir,
                                            .name = "a.sock",
                                            .mode = modes[i / COUNT(groups)],
                                            .group = groups[i % COUNT(groups)],
                                            .receive_hwm = 1,
                                            .send_hwm = 1,
                                            .frame_max = 1000};
        looks = 0;
        assert_int_equal(endpoint_open(&endpoint, context, &options), SPN_OK);
        assert_int_equal(looks, options.group == NO_GROUP ? 2 : 4);
        expect_rights(path);
        assert_int_equal(unlink(path), 0); /* bound again, it has the same rights */
        assert_int_equal(endpoint_bind_again(&endpoint), SPN_OK);
        assert_int_equal(looks, options.group == NO_GROUP ? 4 : 8);
        expect_rights(path);
        endpoint_close(&endpoint);
        unlink(path);
    }
    zmq_ctx_term(context);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rights_are_never_wider)};
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
