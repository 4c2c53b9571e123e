/* SPDX-License-Identifier: Apache-2.0 */
/* Replay and the last event, against a fake sidecar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "fake_sidecar.h"
#include "replay.h"
#include "transport.h"

#define NS_PER_MS UINT64_C(1000000)

static struct fake fake;
static spn_client *client;
static spn_replay *replay;

static const struct fake_item items[] = {
    {4, "d", "four"},  {5, "e", "five"},  {6, "f", "six"},
    {7, "g", "seven"}, {8, "h", "eight"}, {9, "i", "nine"},
};
enum { ITEMS = sizeof(items) / sizeof(items[0]) };

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    fake.items = items;
    fake.item_count = ITEMS;
    fake.slice_items = 2;
    replay = NULL;
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    fake_begin(&fake);
    assert_int_equal(spn_client_open(&client, &options, 5000, NULL, 0), SPN_OK);
    fake_end(&fake);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spn_replay_close(replay);
    spn_client_close(client);
    fake_close(&fake);
    return 0;
}

static spn_err open_replay(const char *after)
{
    fake_begin(&fake);
    spn_err err = spn_replay_open(&replay, client, spn_text("s"), spn_text(after), 5000);
    fake_end(&fake);
    return err;
}

static spn_err next(const struct spn_event **event)
{
    fake_begin(&fake);
    spn_err err = spn_replay_next(replay, 5000, event);
    fake_end(&fake);
    return err;
}

static void expect_items(size_t from, size_t to)
{
    const struct spn_event *event;
    for (size_t i = from; i < to; i++) {
        assert_int_equal(next(&event), SPN_OK);
        assert_int_equal(event->seq, items[i].seq);
        assert_int_equal(event->position, 1000 + items[i].seq);
        assert_true(wire_same_life(event->life, fake.life));
        assert_int_equal(event->time_ms, 5);
        assert_int_equal(event->retry_ms, SPN_RETRY_NONE);
        assert_int_equal(event->id.size, 1);
        assert_memory_equal(event->id.data, items[i].id, 1);
        assert_int_equal(event->type.size, 1);
        assert_int_equal(event->data.size, strlen(items[i].data));
        assert_memory_equal(event->data.data, items[i].data, event->data.size);
    }
}

static void from_the_earliest_to_the_end(void **state)
{
    (void)state;
    const struct spn_event *event;
    fake.verdict = WIRE_TRIMMED;
    fake.missing = 3;
    assert_int_equal(open_replay(""), SPN_OK);
    expect_items(0, ITEMS);
    assert_int_equal(spn_replay_missing(replay), 3);
    assert_int_equal(next(&event), SPN_E_END);
}

static void after_an_id(void **state)
{
    (void)state;
    const struct spn_event *event;
    assert_int_equal(open_replay("e"), SPN_OK);
    expect_items(2, ITEMS);
    assert_int_equal(next(&event), SPN_E_END);
    assert_int_equal(spn_replay_missing(replay), 0);
}

static void after_the_end_it_asks_again(void **state)
{
    (void)state;
    const struct spn_event *event;
    fake.item_count = 3;
    assert_int_equal(open_replay(""), SPN_OK);
    expect_items(0, 3);
    assert_int_equal(next(&event), SPN_E_END);
    assert_int_equal(next(&event), SPN_E_END);
    fake.item_count = ITEMS;
    assert_int_equal(spn_replay_next(replay, 0, &event), SPN_E_TIMEOUT); /* asked: not there yet */
    expect_items(3, ITEMS);
    assert_int_equal(next(&event), SPN_E_END);
}

/* After a cursor the first request is as those after a slice are; a hole before it is found. */
static void begins_after_a_cursor(void **state)
{
    (void)state;
    const struct spn_life none = {{0}};
    fake_begin(&fake);
    assert_int_equal(spn_replay_open_after(&replay, client, spn_text("s"), &fake.life, 5, 5000),
                     SPN_OK);
    fake_end(&fake);
    expect_items(2, ITEMS);
    spn_replay_close(replay);
    replay = NULL;
    assert_int_equal(spn_replay_open_after(&replay, client, spn_text("s"), NULL, 5, 5000),
                     SPN_E_INVALID);
    assert_int_equal(spn_replay_open_after(&replay, client, spn_text("s"), &none, 5, 5000),
                     SPN_E_INVALID);
    fake.verdict = WIRE_OTHER_LIFE;
    fake_begin(&fake);
    assert_int_equal(spn_replay_open_after(&replay, client, spn_text("s"), &fake.life, 5, 5000),
                     SPN_E_OTHER_LIFE);
    fake_end(&fake);
    fake.verdict = WIRE_RESUMED;
}

/* The sidecar's copy may be older than the cursor: what comes next is what comes after its newest.
 */
static void cursor_beyond_the_newest(void **state)
{
    (void)state;
    const struct spn_event *event;
    fake_begin(&fake);
    assert_int_equal(spn_replay_open_after(&replay, client, spn_text("s"), &fake.life, 100, 5000),
                     SPN_OK);
    fake_end(&fake);
    assert_int_equal(next(&event), SPN_E_END);
}

static void hole_after_a_cursor(void **state)
{
    (void)state;
    const struct spn_event *event;
    fake_begin(&fake);
    assert_int_equal(spn_replay_open_after(&replay, client, spn_text("s"), &fake.life, 2, 5000),
                     SPN_OK);
    fake_end(&fake);
    assert_int_equal(next(&event), SPN_E_PROTOCOL); /* 3 is left out */
}

static void next_slice_is_asked_for_ahead(void **state)
{
    (void)state;
    const struct spn_event *event;
    assert_int_equal(open_replay(""), SPN_OK);
    while (fake.fetches < 2) /* nobody has read an event yet */
        assert_true(fake_step(&fake, 5000));
    assert_int_equal(fake.fetch.start, WIRE_AFTER_SEQ);
    assert_true(wire_same_life(fake.fetch.life, fake.life));
    assert_int_equal(fake.fetch.seq, 5);
    for (int i = 0; i < 2; i++)
        assert_int_equal(spn_replay_next(replay, 0, &event), SPN_OK);
    uint64_t give_up_ns = client_monotonic_ns() + 5000 * NS_PER_MS;
    spn_err err = SPN_E_TIMEOUT;
    while (err == SPN_E_TIMEOUT &&
           client_monotonic_ns() < give_up_ns) /* its answer is on its way */
        err = spn_replay_next(replay, 0, &event);
    assert_int_equal(err, SPN_OK);
    assert_int_equal(event->seq, 6);
}

static void restart_is_ridden_through(void **state)
{
    (void)state;
    const struct spn_event *event;
    assert_int_equal(open_replay(""), SPN_OK);
    expect_items(0, 2);
    fake_stop(&fake);
    spn_err err = SPN_OK;
    size_t given = 0; /* the slice that was there already, if it was */
    while (err == SPN_OK) {
        err = spn_replay_next(replay, 50, &event);
        given += err == SPN_OK ? 1 : 0;
    }
    assert_int_equal(err, SPN_E_TIMEOUT);
    fake_start(&fake);
    expect_items(2 + given, ITEMS);
    assert_int_equal(next(&event), SPN_E_END);
}

static void unanswered_fetch_is_asked_again(void **state)
{
    (void)state;
    const struct spn_event *event;
    fake.slice_items = 1;
    fake.item_count = 2;
    assert_int_equal(open_replay(""), SPN_OK);
    expect_items(0, 2);
    assert_int_equal(next(&event), SPN_E_END);
    fake.deaf = true;
    unsigned fetches = fake.fetches;
    assert_int_equal(spn_replay_next(replay, 0, &event), SPN_E_TIMEOUT);
    while (fake.fetches == fetches)
        assert_true(fake_step(&fake, 5000)); /* taken, and never answered */
    fake.deaf = false;
    fake.item_count = 3;
    uint64_t start_ns = client_monotonic_ns();
    expect_items(2, 3);
    assert_true(client_monotonic_ns() - start_ns > 500 * NS_PER_MS);
}

static void question_lost_with_its_connection_is_asked_at_once(void **state)
{
    (void)state;
    const struct spn_event *event;
    fake.item_count = 2;
    assert_int_equal(open_replay(""), SPN_OK);
    expect_items(0, 2);
    assert_int_equal(next(&event), SPN_E_END);
    fake.deaf = true;
    unsigned fetches = fake.fetches;
    uint64_t asked_ns = client_monotonic_ns();
    assert_int_equal(spn_replay_next(replay, 0, &event), SPN_E_TIMEOUT);
    while (fake.fetches == fetches)
        assert_true(fake_step(&fake, 5000));
    fake_stop(&fake);
    while (client->transport.read.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    fake.deaf = false;
    fake.item_count = 3;
    fake_start(&fake);
    expect_items(2, 3);
    assert_true(client_monotonic_ns() - asked_ns <
                1000 * NS_PER_MS); /* before its patience ended */
}

static void stopping_is_no_answer(void **state)
{
    (void)state;
    fake.read_err = SPN_E_STOPPING;
    fake.err_count = 2;
    assert_int_equal(open_replay(""), SPN_OK);
    assert_true(fake.fetches >= 3);
    expect_items(0, ITEMS);
}

static void verdicts(void **state)
{
    (void)state;
    const struct spn_event *event;
    assert_int_equal(open_replay("nobody"), SPN_E_UNKNOWN_ID);
    fake.verdict = WIRE_UNKNOWN_SESSION;
    assert_int_equal(open_replay(""), SPN_E_UNKNOWN_SESSION);
    fake.verdict = WIRE_RESUMED;
    assert_int_equal(open_replay(""), SPN_OK);
    fake.verdict = WIRE_OTHER_LIFE;
    expect_items(0, 2);
    spn_err err = next(&event); /* a slice may have been asked for before */
    while (err == SPN_OK)
        err = next(&event);
    assert_int_equal(err, SPN_E_OTHER_LIFE);
    assert_int_equal(spn_replay_open(&replay, client, spn_text(""), spn_text(""), 0),
                     SPN_E_BAD_SESSION);
    assert_int_equal(spn_replay_open(&replay, client, spn_text("s"), spn_text("\n"), 0),
                     SPN_E_BAD_ID);
}

static void sidecars_error_is_told_in_its_words(void **state)
{
    (void)state;
    fake.read_err = SPN_E_IO;
    assert_int_equal(open_replay(""), SPN_E_IO);
    assert_string_equal(spn_client_detail(client), "sidecar: as told");
}

/* Nothing comes after it, though what follows would fit. */
static void expect_no_more(const struct fake_item *given, size_t slice_items)
{
    const struct spn_event *event;
    fake.items = given;
    fake.item_count = 4;
    fake.slice_items = slice_items;
    assert_int_equal(open_replay(""), SPN_OK);
    assert_int_equal(next(&event), SPN_OK);
    assert_int_equal(next(&event), SPN_OK);
    assert_int_equal(next(&event), SPN_E_PROTOCOL);
    assert_int_equal(next(&event), SPN_E_PROTOCOL);
    spn_replay_close(replay);
    replay = NULL;
}

static void hole_is_not_passed_over(void **state)
{
    (void)state;
    static const struct fake_item holed[] = {
        {1, "a", "1"}, {2, "b", "2"}, {4, "d", "4"}, {5, "e", "5"}};
    static const struct fake_item repeated[] = {
        {1, "a", "1"}, {2, "b", "2"}, {2, "b", "2"}, {3, "c", "3"}};
    for (size_t slice_items = 1; slice_items <= 4; slice_items++) /* within and between slices */
        expect_no_more(holed, slice_items);
    expect_no_more(repeated, 4);
}

static void last_event(void **state)
{
    (void)state;
    const struct spn_last *last;
    fake_begin(&fake);
    assert_int_equal(spn_last_event(client, spn_text("s"), 5000, &last), SPN_OK);
    assert_int_equal(last->seq, 9);
    assert_true(wire_same_life(last->life, fake.life));
    assert_int_equal(last->id.size, 1);
    assert_memory_equal(last->id.data, "i", 1);
    fake_end(&fake);
    fake.item_count = 0;
    fake_begin(&fake);
    assert_int_equal(spn_last_event(client, spn_text("s"), 5000, &last), SPN_OK);
    assert_int_equal(last->seq, 0);
    assert_int_equal(last->id.size, 0);
    fake_end(&fake);
    fake.read_err = SPN_E_UNKNOWN_SESSION;
    fake_begin(&fake);
    assert_int_equal(spn_last_event(client, spn_text("s"), 5000, &last), SPN_E_UNKNOWN_SESSION);
    fake_end(&fake);
    assert_int_equal(spn_last_event(client, spn_text("\x01"), 0, &last), SPN_E_BAD_SESSION);
}

static void late_answer_is_not_taken_for_another(void **state)
{
    (void)state;
    const struct spn_last *last;
    assert_int_equal(spn_last_event(client, spn_text("s"), 0, &last), SPN_E_TIMEOUT);
    assert_true(fake_step(&fake, 5000)); /* answers it now, with seq 9 */
    fake.item_count = 2;
    fake_begin(&fake);
    assert_int_equal(spn_last_event(client, spn_text("s"), 5000, &last), SPN_OK);
    fake_end(&fake);
    assert_int_equal(last->seq, 5);
}

static void gone_sidecar_is_unavailable(void **state)
{
    (void)state;
    const struct spn_last *last;
    fake_stop(&fake);
    while (client->transport.read.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    assert_int_equal(spn_last_event(client, spn_text("s"), 20, &last), SPN_E_UNAVAILABLE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(from_the_earliest_to_the_end),
        TEST(after_an_id),
        TEST(after_the_end_it_asks_again),
        TEST(begins_after_a_cursor),
        TEST(cursor_beyond_the_newest),
        TEST(hole_after_a_cursor),
        TEST(next_slice_is_asked_for_ahead),
        TEST(restart_is_ridden_through),
        TEST(unanswered_fetch_is_asked_again),
        TEST(question_lost_with_its_connection_is_asked_at_once),
        TEST(stopping_is_no_answer),
        TEST(verdicts),
        TEST(sidecars_error_is_told_in_its_words),
        TEST(hole_is_not_passed_over),
        TEST(last_event),
        TEST(late_answer_is_not_taken_for_another),
        TEST(gone_sidecar_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
