/* SPDX-License-Identifier: Apache-2.0 */
/* test_session_cache: whose epoch is it, wherever the session is known: in a row, in the entry that
 * opened it, or nowhere any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "log_rig.h"
#include "read/session_cache.h"

enum { SESSIONS = 3, WINDOW = 16 };

static struct rig rig;
static struct journal_reader *reader;
static struct session_cache cache;
static uint64_t damaged; /* the epoch whose row does not read; 0: all do */

spn_err __real_journal_read_row(struct journal_reader *from, uint64_t epoch,
                                struct record_row *ret_row);
spn_err __wrap_journal_read_row(struct journal_reader *from, uint64_t epoch,
                                struct record_row *ret_row);

spn_err __wrap_journal_read_row(struct journal_reader *from, uint64_t epoch,
                                struct record_row *ret_row)
{
    return epoch == damaged ? SPN_E_CORRUPT : __real_journal_read_row(from, epoch, ret_row);
}

static int setup(void **state)
{
    (void)state;
    damaged = 0;
    rig_init(&rig, SESSIONS, WINDOW);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    session_cache_init(&cache, reader);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    session_cache_release(&cache);
    journal_reader_close(reader);
    rig_release(&rig);
    return 0;
}

static void index_all(void)
{
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
}

static struct cached_session find(uint64_t epoch, bool fresh)
{
    const struct cached_session *found;
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(session_cache_find(&cache, epoch, fresh, &found), SPN_OK);
    journal_reader_end(reader);
    assert_int_equal(found->epoch, epoch);
    return *found;
}

static void expect_session(const struct cached_session *found, uint32_t session, uint64_t seq)
{
    struct spn_bytes name = rig_name(&rig, session);
    assert_false(found->gone || found->given_up);
    assert_int_equal(found->name_size, name.size);
    assert_memory_equal(found->name, name.data, name.size);
    assert_memory_equal(&found->life, &rig.sessions[session].life, sizeof(found->life));
    assert_int_equal(found->seq, seq);
}

static void above_the_checkpoint(void **state)
{
    (void)state;
    rig_events(&rig, 1, 3);
    rig_commit(&rig);
    struct cached_session found = find(rig.sessions[1].epoch, true);
    expect_session(&found, 1, 0); /* what came since is not the cache's to know */
}

static void from_its_row(void **state)
{
    (void)state;
    rig_events(&rig, 1, 3);
    index_all();
    struct cached_session found = find(rig.sessions[1].epoch, true);
    expect_session(&found, 1, 3);
    assert_int_equal(found.bytes, rig.sessions[1].bytes);
    rig_events(&rig, 1, 2);
    rig_commit(&rig);
    found = find(rig.sessions[1].epoch, true);
    expect_session(&found, 1, 3); /* the checkpoint has not moved */
    index_all();
    found = find(rig.sessions[1].epoch, false);
    expect_session(&found, 1, 3); /* name and life are enough */
    found = find(rig.sessions[1].epoch, true);
    expect_session(&found, 1, 5);
}

static void gone(void **state)
{
    (void)state;
    rig_events(&rig, 0, 1);
    rig_events(&rig, 1, 3);
    uint64_t epoch = rig.sessions[1].epoch;
    index_all();
    rig_end(&rig, 1, RECORD_DELETE);
    rig_commit(&rig);
    assert_false(find(epoch, true).gone); /* until the index knows */
    index_all();
    assert_true(find(epoch, true).gone);
}

static void damaged_row(void **state)
{
    (void)state;
    rig_events(&rig, 1, 3);
    index_all();
    damaged = rig.sessions[1].epoch;
    struct cached_session found = find(damaged, true);
    assert_true(found.given_up && !found.gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(above_the_checkpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(from_its_row, setup, teardown),
        cmocka_unit_test_setup_teardown(gone, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_row, setup, teardown),
    };
    return cmocka_run_group_tests_name("session_cache", tests, NULL, NULL);
}
