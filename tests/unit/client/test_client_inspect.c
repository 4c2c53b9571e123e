/* SPDX-License-Identifier: Apache-2.0 */
/* Session list, one session, health and counters, against a fake sidecar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sidecar.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct fake fake;
static spn_client *client;

static const char *const names[] = {"a", "ab", "abc", "b", "ba"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    fake.names = names;
    fake.name_count = NAMES;
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    fake_begin(&fake);
    assert_int_equal(spn_client_open(&client, &options, 5000, NULL, 0), SPN_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_end(&fake);
    spn_client_close(client);
    fake_close(&fake);
    return 0;
}

/* Walks the list as an app does: the last name, as it was lent, is where it goes on. */
static void walk(const char *prefix, const char *const *expected, size_t count)
{
    const struct spn_session *session;
    struct spn_bytes after = {NULL, 0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(spn_next_session(client, after, spn_text(prefix), 5000, &session), SPN_OK);
        after = session->name;
        assert_int_equal(session->name.size, strlen(expected[i]));
        assert_memory_equal(session->name.data, expected[i], session->name.size);
        assert_int_equal(session->last_id.size, 4);
        assert_int_equal(session->state, session->seq % 2 == 0 ? SPN_CLOSED : SPN_LIVE);
    }
    assert_int_equal(spn_next_session(client, after, spn_text(prefix), 5000, &session), SPN_E_END);
}

static void pages_of_any_size_give_the_same_walk(void **state)
{
    (void)state;
    for (size_t rows = 1; rows <= NAMES + 1; rows++) {
        fake_end(&fake);
        fake.page_rows = rows;
        fake_begin(&fake);
        walk("", names, NAMES);
        walk("ab", names + 1, 2);
        walk("c", NULL, 0);
    }
}

static void page_is_asked_for_once(void **state)
{
    (void)state;
    walk("", names, NAMES);
    fake_end(&fake);
    assert_int_equal(fake.lists, 1);
    fake.name_count = 2; /* a new walk sees what is there now */
    fake_begin(&fake);
    walk("", names, 2);
    fake_end(&fake);
    assert_int_equal(fake.lists, 2);
    fake_begin(&fake);
}

static void a_walk_may_begin_anywhere(void **state)
{
    (void)state;
    const struct spn_session *session;
    assert_int_equal(spn_next_session(client, spn_text("abc"), spn_text(""), 5000, &session),
                     SPN_OK);
    assert_memory_equal(session->name.data, "b", 1);
    assert_int_equal(spn_next_session(client, spn_text("aa"), spn_text("a"), 5000, &session),
                     SPN_OK);
    assert_int_equal(session->name.size, 2);
    assert_memory_equal(session->name.data, "ab", 2);
    assert_int_equal(spn_next_session(client, spn_text("zz"), spn_text(""), 5000, &session),
                     SPN_E_END);
}

static void a_walk_with_another_prefix_is_another_walk(void **state)
{
    (void)state;
    const struct spn_session *session;
    assert_int_equal(spn_next_session(client, spn_text(""), spn_text(""), 5000, &session), SPN_OK);
    assert_memory_equal(session->name.data, "a", 1);
    assert_int_equal(spn_next_session(client, session->name, spn_text("b"), 5000, &session),
                     SPN_OK);
    assert_memory_equal(session->name.data, "b", 1);
}

static void after_the_end_it_asks_anew(void **state)
{
    (void)state;
    const struct spn_session *session;
    fake_end(&fake);
    fake.name_count = 2;
    fake_begin(&fake);
    walk("", names, 2);
    fake_end(&fake);
    fake.name_count = 3;
    fake_begin(&fake);
    assert_int_equal(spn_next_session(client, spn_text("ab"), spn_text(""), 5000, &session),
                     SPN_OK);
    assert_int_equal(session->name.size, 3);
}

/* -- one session ------------------------------------------------------------------------------- */

static const struct info_row {
    const char *name;
    const char *session;
    struct wire_info_is is;
    spn_err told; /* by the sidecar */
    spn_err err;
} info_rows[] = {
    {.name = "info: live, all retained",
     .session = "a",
     .is = {.row = {.epoch = 7,
                    .life = {{1, 2, 3}},
                    .ttl_ms = 9,
                    .idle_close_ms = 8,
                    .reason = {"done", 4},
                    .content_type = {"text/plain", 10},
                    .seq = 3,
                    .position = 11,
                    .bytes = 30,
                    .opened_ms = 100,
                    .last_ms = 200,
                    .duplicates = 4,
                    .conflicts = 5,
                    .last_id = {"x", 1}},
            .life_first_seq = 1,
            .first_seq = 1}},
    {.name = "info: closed, some retained",
     .session = "b",
     .is = {.row = {.seq = 9, .state = WIRE_SESSION_CLOSED}, .life_first_seq = 1, .first_seq = 8}},
    {.name = "info: nothing retained",
     .session = "c",
     .is = {.row = {.seq = 9}, .life_first_seq = 1, .first_seq = 10}},
    {.name = "info: no event yet", .session = "d", .is = {.life_first_seq = 1, .first_seq = 1}},
    {.name = "info: what is retained begins beyond",
     .session = "e",
     .is = {.row = {.seq = 9}, .life_first_seq = 1, .first_seq = 11},
     .err = SPN_E_PROTOCOL},
    {.name = "info: no such session",
     .session = "f",
     .is = {.life_first_seq = 1, .first_seq = 1},
     .told = SPN_E_UNKNOWN_SESSION,
     .err = SPN_E_UNKNOWN_SESSION},
    {.name = "info: no session can be called so",
     .session = "a\nb",
     .is = {.life_first_seq = 1, .first_seq = 1},
     .err = SPN_E_BAD_SESSION},
};

static void info(void **state)
{
    const struct info_row *row = *state;
    static const struct spn_session_info none;
    const struct spn_session_info *found = &none;
    setup(NULL);
    fake_end(&fake);
    fake.info = row->is;
    fake.read_err = row->told;
    fake_begin(&fake);
    assert_int_equal(spn_get_session(client, spn_text(row->session), 5000, &found), row->err);
    if (row->err != SPN_OK) {
        assert_ptr_equal(found, &none);
    } else {
        assert_int_equal(found->session->name.size, 1);
        assert_memory_equal(found->session->name.data, row->session, 1);
        assert_int_equal(found->session->last_id.size, row->is.row.last_id.size);
        assert_int_equal(found->session->epoch, row->is.row.epoch);
        assert_true(wire_same_life(found->session->life, row->is.row.life));
        assert_int_equal(found->session->ttl_ms, row->is.row.ttl_ms);
        assert_int_equal(found->session->idle_close_ms, row->is.row.idle_close_ms);
        assert_int_equal(found->session->reason.size, row->is.row.reason.size);
        assert_int_equal(found->session->content_type.size, row->is.row.content_type.size);
        assert_int_equal(found->life_first_seq, row->is.life_first_seq);
        assert_int_equal(found->session->seq, row->is.row.seq);
        assert_int_equal(found->session->position, row->is.row.position);
        assert_int_equal(found->session->bytes, row->is.row.bytes);
        assert_int_equal(found->session->opened_ms, row->is.row.opened_ms);
        assert_int_equal(found->session->last_ms, row->is.row.last_ms);
        assert_int_equal(found->session->duplicates, row->is.row.duplicates);
        assert_int_equal(found->session->conflicts, row->is.row.conflicts);
        assert_int_equal(found->session->state, row->is.row.state);
        assert_int_equal(found->first_seq, row->is.first_seq);
    }
    teardown(NULL);
}

/* The name that was lent is good to ask with again; a walk of the list is not disturbed. */
static void info_of_the_same_session_again(void **state)
{
    (void)state;
    const struct spn_session *session;
    const struct spn_session_info *found;
    struct spn_bytes name = spn_text("ab");
    fake_end(&fake);
    fake.info.life_first_seq = fake.info.first_seq = 1;
    fake_begin(&fake);
    assert_int_equal(spn_next_session(client, spn_text(""), spn_text(""), 5000, &session), SPN_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(spn_get_session(client, name, 5000, &found), SPN_OK);
        name = found->session->name;
        assert_int_equal(found->session->name.size, 2);
        assert_memory_equal(found->session->name.data, "ab", 2);
    }
    assert_int_equal(spn_next_session(client, session->name, spn_text(""), 5000, &session), SPN_OK);
    assert_memory_equal(session->name.data, "ab", 2);
    fake_end(&fake);
    assert_int_equal(fake.lists, 1);
    assert_int_equal(fake.infos, 3);
    fake_begin(&fake);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(spn_session_state_name(SPN_LIVE), "live");
    assert_string_equal(spn_session_state_name(SPN_CLOSED), "closed");
    assert_string_equal(spn_session_state_name(SPN_DAMAGED), "damaged");
    assert_string_equal(spn_session_state_name((spn_session_state)3), "?");
}

/* -- the sidecar ------------------------------------------------------------------------------- */

static void health(void **state)
{
    (void)state;
    const struct spn_health *found;
    assert_int_equal(spn_get_health(client, 5000, &found), SPN_OK);
    assert_int_equal(found->status, SPN_DEGRADED);
    assert_int_equal(found->pid, 42);
    assert_string_equal(found->version, "9.9");
    assert_string_equal(found->reason, "tired");
}

static void counters(void **state)
{
    (void)state;
    const struct spn_stat *stats;
    size_t count;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(spn_get_stats(client, 5000, &stats, &count), SPN_OK);
        assert_int_equal(count, 2);
        assert_string_equal(stats[0].name, "one");
        assert_int_equal(stats[0].value, 1);
        assert_string_equal(stats[1].name, "most");
        assert_true(stats[1].value == UINT64_MAX);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest plain[] = {
        TEST(pages_of_any_size_give_the_same_walk),
        TEST(page_is_asked_for_once),
        TEST(a_walk_may_begin_anywhere),
        TEST(a_walk_with_another_prefix_is_another_walk),
        TEST(after_the_end_it_asks_anew),
        TEST(info_of_the_same_session_again),
        cmocka_unit_test(states_have_names),
        TEST(health),
        TEST(counters),
    };
    static struct CMUnitTest tests[COUNT(plain) + COUNT(info_rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(info_rows); i++)
        tests[COUNT(plain) + i] = (struct CMUnitTest){info_rows[i].name, info, NULL, NULL,
                                                      (void *)(uintptr_t)&info_rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
