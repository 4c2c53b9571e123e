/* SPDX-License-Identifier: Apache-2.0 */
/* test_peer: addresses as ZeroMQ has them, and others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/peer_uid.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct address_row {
    const char *address;
    uid_t uid;
} rows[] = {
    {"localhost:1000:1001:4242", 1000},
    {"localhost:0:0:1", 0},
    {"a:b:7:8:9", 7},
    {":5:6:7", 5},
    {"localhost:4294967294:0:1", 4294967294u},
    {"localhost:4294967295:0:1", PEER_NO_UID},
    {"localhost:99999999999999999999:0:1", PEER_NO_UID},
    {"localhost:-1:0:1", PEER_NO_UID},
    {"localhost:x:0:1", PEER_NO_UID},
    {"localhost::0:1", PEER_NO_UID},
    {"1000:1001:4242", PEER_NO_UID},
    {"127.0.0.1", PEER_NO_UID},
    {"", PEER_NO_UID},
};

static void uid_of_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (peer_uid_of_address(rows[i].address) != rows[i].uid)
            fail_msg("\"%s\" gives %u", rows[i].address,
                     (unsigned)peer_uid_of_address(rows[i].address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(uid_of_address)};
    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
