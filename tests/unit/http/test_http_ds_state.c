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

#include "http/ds_state.h"
#include "http/ds_stream.h"
#include "http/word.h"

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

/* -- streams ----------------------------------------------------------------------------------- */

static enum ds_presence read_info(struct spn_session *session, const char *note, uint64_t now_ms,
                                  struct ds_stream *ret_stream)
{
    const struct spn_session_info info = {
        .session = session, .first_seq = 3, .life_first_seq = 1, .note = spn_text(note)};
    return ds_stream_read(&info, now_ms, ret_stream);
}

static void what_a_session_says(void **state)
{
    (void)state;
    struct ds_stream stream;
    struct spn_session session = {.epoch = 8, .seq = 0, .life = {{9}}};
    assert_int_equal(ds_stream_read(NULL, 0, &stream), DS_ABSENT);
    assert_int_equal(read_info(&session, "ds1 first", 0, &stream), DS_UNFINISHED);
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_int_equal(read_info(&session, "", 0, &stream), DS_THERE);
    session.seq = 5;
    assert_int_equal(read_info(&session, "ds1 first", 0, &stream), DS_THERE);
    assert_true(stream.tail == 5 && !stream.is_closed);
    session.state = SPN_CLOSED;
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_true(stream.tail == 5 && stream.is_closed);
    session.reason = spn_text(DS_STREAM_CLOSED);
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_true(stream.tail == 4 && stream.seq == 5 && stream.is_closed);
    static const char moment[] = "ds1 expires=1970-01-01T00:00:03Z";
    assert_int_equal(read_info(&session, moment, 2999, &stream), DS_THERE);
    assert_int_equal(read_info(&session, moment, 3000, &stream), DS_EXPIRED);
}

/* first 3, tail 5 */
static const struct begin_row {
    const char *offset; /* NULL: none */
    unsigned status;    /* 0: taken */
    uint64_t seq;
} begin_rows[] = {
    {NULL, 0, 0},
    {"-1", 0, 0},
    {"now", 0, 5},
    {"0000000000000008_09000000_0000000000000005", 0, 5},
    {"0000000000000008_09000000_0000000000000002", 0, 2},
    {"0000000000000008_09000000_0000000000000001", 410, 0},
    {"0000000000000008_09000000_0000000000000006", 410, 0},
    {"0000000000000008_09000000_ffffffffffffffff", 410, 0},
    {"0000000000000007_09000000_0000000000000005", 410, 0},
    {"0000000000000008_09000001_0000000000000005", 410, 0},
    {"", 400, 0},
    {"5", 400, 0},
};

static void where_a_read_begins(void **state)
{
    (void)state;
    struct ds_stream stream;
    struct spn_session session = {.epoch = 8, .seq = 5, .life = {{9}}};
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    for (size_t i = 0; i < sizeof(begin_rows) / sizeof(begin_rows[0]); i++) {
        const struct begin_row *row = &begin_rows[i];
        struct spn_bytes offset = {0};
        struct problem problem = {0};
        uint64_t seq = 0;
        if (row->offset != NULL)
            offset = spn_text(row->offset);
        if (ds_stream_begin(&stream, offset, &seq, &problem) != (row->status == 0))
            fail_msg("%s", row->offset);
        assert_int_equal(problem.status, row->status);
        if (row->status == 0)
            assert_int_equal(seq, row->seq);
    }
}

static const struct data_row {
    enum ds_form form;
    bool is_ours;
    const char *data;
    const char *shown; /* NULL: nothing */
} data_rows[] = {
    {DS_FORM_TEXT, true, "a\x10M", "a\r"},     {DS_FORM_JSON, true, "1,2", "1,2"},
    {DS_FORM_TEXT, false, "a\x10M", "a\x10M"}, {DS_FORM_BYTES, false, "", ""},
    {DS_FORM_JSON, false, "[1,2]", "1,2"},     {DS_FORM_JSON, false, " {} ", "{}"},
    {DS_FORM_JSON, false, "[]", NULL},         {DS_FORM_JSON, false, "no JSON", NULL},
};

static void what_an_event_shows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(data_rows) / sizeof(data_rows[0]); i++) {
        const struct data_row *row = &data_rows[i];
        struct spn_event event = SPN_EVENT_INIT;
        struct out out;
        out_init(&out, -1);
        event.note = row->is_ours ? (struct spn_bytes){"\1\0", 2} : (struct spn_bytes){0};
        event.data = spn_text(row->data);
        assert_int_equal(ds_stream_data(row->form, &event, &out), row->shown != NULL);
        assert_true(
            word_is((struct spn_bytes){out.data, out.size}, row->shown != NULL ? row->shown : ""));
        event.closes = true;
        assert_false(ds_stream_only_closes(&event));
        event.reason = spn_text(DS_STREAM_CLOSED);
        out.size = 0;
        assert_true(ds_stream_only_closes(&event));
        assert_false(ds_stream_data(row->form, &event, &out));
        event.closes = false;
        event.kind = SPN_MARKER;
        assert_false(ds_stream_data(row->form, &event, &out));
        assert_int_equal(out.size, 0);
        out_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_after_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_that_end_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_kept_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_ones_go_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_make_the_state, set_up, tear_down),
        cmocka_unit_test(what_a_session_says),
        cmocka_unit_test(where_a_read_begins),
        cmocka_unit_test(what_an_event_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
