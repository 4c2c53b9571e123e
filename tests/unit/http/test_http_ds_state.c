/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_ds_state: turns come one after the other, also when they end as they begin; what is
 * kept is bounded; what was read is what the events say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "http/ds/state.h"
#include "http/word.h"
#include "sponson.h"

static struct ds_states states;
static char called[128]; /* the names of those that began, in their order */

struct player {
    struct ds_turn turn;
    char name;
    bool leaves; /* at once */
};

static void begin(struct ds_turn *turn)
{
    struct player *player = LINK_OWNER(turn, struct player, turn);
    size_t size = strlen(called);
    called[size] = player->name;
    called[size + 1] = '\0';
    if (player->leaves)
        ds_turn_leave(&states, turn);
}

static void join(struct player *player, char name, bool leaves, const char *session)
{
    *player = (struct player){.turn = {.begin = begin}, .name = name, .leaves = leaves};
    link_init(&player->turn.link);
    assert_true(ds_turn_join(&states, &player->turn, spn_text(session)));
}

static int set_up(void **state)
{
    (void)state;
    called[0] = '\0';
    ds_states_init(&states);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ds_states_release(&states);
    return 0;
}

/* -- turns ------------------------------------------------------------------------------------- */

static void one_after_the_other(void **state)
{
    (void)state;
    struct player a;
    struct player b;
    struct player c;
    struct player other;
    join(&a, 'a', false, "s");
    join(&b, 'b', false, "s");
    join(&c, 'c', false, "s");
    join(&other, 'o', false, "t");
    assert_string_equal(called, "ao");
    ds_turn_leave(&states, &b.turn); /* it gave up */
    assert_string_equal(called, "ao");
    ds_turn_leave(&states, &a.turn);
    assert_string_equal(called, "aoc");
    ds_turn_leave(&states, &a.turn); /* again: nothing */
    assert_int_equal(states.count, 0);
    ds_turn_leave(&states, &c.turn);
    ds_turn_leave(&states, &other.turn);
    assert_int_equal(states.count, 2);
    join(&a, 'd', false, "s");
    assert_string_equal(called, "aocd");
    assert_int_equal(states.count, 1);
    ds_turn_leave(&states, &a.turn);
}

/* Each leaves while it begins: all are called, and not from within each other. */
static void all_that_end_at_once(void **state)
{
    (void)state;
    enum { MANY = 100 };
    static struct player players[MANY];
    struct player first;
    join(&first, '1', false, "s");
    for (size_t i = 0; i < MANY; i++)
        join(&players[i], '.', true, "s");
    assert_string_equal(called, "1");
    ds_turn_leave(&states, &first.turn);
    assert_int_equal(strlen(called), 1 + MANY);
    assert_int_equal(states.count, 1);
    join(&first, '2', true, "s");
    assert_int_equal(strlen(called), 2 + MANY);
}

static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    static struct player player;
    struct ds_state *kept;
    for (unsigned i = 0; i < DS_STATES_MAX + 10; i++) {
        char session[16];
        (void)snprintf(session, sizeof(session), "s%u", i);
        join(&player, '.', false, session);
        called[0] = '\0';
        player.turn.state->seq = 7;
        ds_turn_leave(&states, &player.turn);
    }
    assert_int_equal(states.count, DS_STATES_MAX);
    join(&player, '.', false, "s9");
    kept = player.turn.state;
    assert_int_equal(kept->seq, 0);
    ds_turn_leave(&states, &player.turn);
    join(&player, '.', false, "s11"); /* s10 went for s9 */
    assert_int_equal(player.turn.state->seq, 7);
    ds_turn_leave(&states, &player.turn);
}

static void large_ones_go_too(void **state)
{
    (void)state;
    static struct player player;
    for (unsigned i = 0; i < 20; i++) {
        char session[16];
        (void)snprintf(session, sizeof(session), "s%u", i);
        join(&player, '.', false, session);
        for (unsigned id = 0; id < DS_PRODUCERS_MAX; id++) {
            char text[DS_PRODUCER_ID_MAX] = "";
            (void)snprintf(text, sizeof(text), "%u", id);
            const struct ds_append append = {{text, sizeof(text)}, 0, 0};
            assert_true(ds_producers_note(&player.turn.state->producers, &append));
        }
        ds_turn_leave(&states, &player.turn);
    }
    assert_true(states.bytes <= DS_STATES_BYTES_MAX);
    assert_true(states.count > 0 && states.count < 20);
}

/* -- what was read ----------------------------------------------------------------------------- */

struct append {
    const char *id; /* NULL: without a producer */
    uint64_t epoch;
    uint64_t seq;
    const char *stream_seq; /* NULL: none */
    bool closes;
};

static void put(struct ds_state *to, uint64_t seq, const struct append *append)
{
    uint8_t bytes[DS_NOTE_SIZE];
    struct ds_note note = {.has_producer = append->id != NULL};
    struct spn_event event = SPN_EVENT_INIT;
    if (append->id != NULL)
        note.producer = (struct ds_append){spn_text(append->id), append->epoch, append->seq};
    if (append->stream_seq != NULL)
        note.seq = spn_text(append->stream_seq);
    event.note = (struct spn_bytes){bytes, ds_note_write(&note, bytes)};
    event.seq = seq;
    event.closes = append->closes;
    assert_true(ds_state_note(to, &event));
    memset(bytes, 'x', sizeof(bytes)); /* nothing is borrowed */
}

static void events_make_the_state(void **state)
{
    (void)state;
    static const struct append appends[] = {
        {"p", 0, 0, NULL, false}, {NULL, 0, 0, "b", false}, {"q", 3, 0, "c", false},
        {"p", 0, 1, NULL, false}, {"p", 1, 0, NULL, true},
    };
    struct player player;
    struct ds_progress progress;
    join(&player, '.', false, "s");
    struct ds_state *to = player.turn.state;
    const struct spn_life life = {{1}};
    const struct spn_life other = {{2}};
    ds_state_set_life(to, &life);
    for (uint64_t i = 0; i < sizeof(appends) / sizeof(appends[0]); i++)
        put(to, i + 1, &appends[i]);
    struct spn_event foreign = SPN_EVENT_INIT;
    foreign.note = spn_text("of another app");
    foreign.seq = 6;
    assert_true(ds_state_note(to, &foreign));
    ds_state_set_life(to, &life);
    assert_int_equal(to->seq, 6);
    assert_true(word_is(to->last_seq, "c"));
    assert_true(ds_producers_find(&to->producers, spn_text("p"), &progress));
    assert_true(progress.epoch == 1 && progress.seq == 0);
    assert_true(ds_producers_find(&to->producers, spn_text("q"), &progress));
    assert_true(progress.epoch == 3 && progress.seq == 0);
    assert_true(word_is(to->closer_id, "p") && to->closer.epoch == 1 && to->closer.seq == 0);
    ds_state_set_life(to, &other);
    assert_int_equal(to->seq, 0);
    assert_int_equal(to->last_seq.size + to->closer_id.size + to->producers.count, 0);
    ds_turn_leave(&states, &player.turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_after_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_that_end_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_kept_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_ones_go_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_make_the_state, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
