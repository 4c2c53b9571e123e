/* SPDX-License-Identifier: Apache-2.0 */
/* test_fetch: what an answer has, and when it may be one that was read ahead.
 *
 * Whatever was read ahead, and whatever happened since: an answer is compared with the plain list
 * of the session's events, and with what the rule says now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "read/fetch.h"
#include "log_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MAIN = 0, SESSIONS = 3, WINDOW = 16, BYTES = 40000, WIDE = 200000 };

static struct rig rig;
static const struct rig_session *of; /* MAIN */
static struct journal_reader *reader;
static struct metrics metrics;
static struct slice scratch;
static struct fetch fetch;
static uint64_t now_ns;
static uint64_t look_ns; /* that each look at the clock takes */
static size_t looks;     /* until the rule hides so many events; 0: it does not */
static size_t hides;

static uint64_t fake_monotonic_ns(void)
{
    if (looks > 0 && --looks == 0)
        rig_retain(&rig, (struct retention){.events_max = of->count - hides});
    now_ns += look_ns;
    return now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns,
                                        .boot_ns = fake_monotonic_ns};

static void start(void)
{
    static const uint8_t secret[RECORD_SECRET_SIZE];
    rig_init(&rig, SESSIONS, WINDOW);
    of = &rig.sessions[MAIN];
    look_ns = 0;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    fetch_init(&fetch, &(struct fetch_options){.source = {.journal = reader,
                                                          .clock = &fake_clock,
                                                          .secret = secret,
                                                          .slice = &scratch},
                                               .metrics = &metrics});
}

static int release(void **state)
{
    (void)state;
    fetch_release(&fetch);
    journal_reader_close(reader);
    reader = NULL;
    rig_release(&rig);
    assert_int_equal(metrics_get(&metrics.unsent), 0);
    return 0;
}

/* -- asking ------------------------------------------------------------------------------------ */

static struct session_question *make_question(const struct wire_fetch *request)
{
    uint8_t bytes[400];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct session_question *question = session_question_new(MESSAGE_SESSION, 1);
    assert_non_null(question);
    wire_put_header(&out, WIRE_FETCH, 7);
    wire_put_fetch(&out, request);
    assert_false(out.bad);
    assert_int_equal(zmq_msg_init_size(&question->frame, wire_out_size(&out)), 0);
    memcpy(zmq_msg_data(&question->frame), bytes, wire_out_size(&out));
    question->asker.request = 7;
    session_question_name(question, 0, rig_name(&rig, MAIN));
    rig_view(&rig, MAIN, &question->sessions[0].view);
    return question;
}

static void check_item(struct wire_in *in, uint64_t seq)
{
    const struct rig_event *expected = &of->events[seq - 1];
    struct wire_item item;
    wire_get_item(in, &item);
    assert_false(in->bad);
    assert_int_equal(item.seq, seq);
    assert_int_equal(item.position, expected->position);
    assert_int_equal(item.entry.id.size, strlen(expected->id));
    assert_memory_equal(item.entry.id.data, expected->id, item.entry.id.size);
    assert_int_equal(item.entry.data.size, strlen(expected->data));
    assert_memory_equal(item.entry.data.data, expected->data, item.entry.data.size);
}

static struct wire_slice ask_for(const struct wire_fetch *request)
{
    struct session_question *question = make_question(request);
    struct outgoing *outgoing;
    size_t size;
    struct wire_header header;
    struct wire_slice slice;
    rig_commit(&rig);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(fetch_answer(&fetch, question, &outgoing, &size), SPN_OK);
    journal_reader_end(reader);
    struct wire_in in = wire_in(outgoing->bytes, size);
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    assert_int_equal(header.type, WIRE_SLICE);
    assert_int_equal(header.request, 7);
    wire_get_slice(&in, &slice);
    for (uint32_t i = 0; i < slice.count; i++)
        check_item(&in, slice.seq - slice.count + 1 + i);
    assert_true(wire_in_done(&in));
    outgoing_free(outgoing);
    session_question_free(question);
    return slice;
}

static struct wire_slice ask_after(struct spn_life life, uint64_t seq, uint32_t bytes_max)
{
    struct wire_slice slice = ask_for(&(struct wire_fetch){.start = WIRE_AFTER_SEQ,
                                                           .bytes_max = bytes_max,
                                                           .life = life,
                                                           .seq = seq,
                                                           .session = rig_name(&rig, MAIN)});
    if (slice.verdict <= WIRE_TRIMMED)
        assert_int_equal(slice.seq, seq + slice.missing + slice.count);
    return slice;
}

static struct wire_slice ask_first(uint32_t bytes_max)
{
    return ask_for(&(struct wire_fetch){
        .start = WIRE_EARLIEST, .bytes_max = bytes_max, .session = rig_name(&rig, MAIN)});
}

static void read_ahead(size_t slices)
{
    for (size_t i = 0; i < slices && fetch_wants(&fetch); i++)
        fetch_ahead(&fetch);
}

/* -- answers ----------------------------------------------------------------------------------- */

/* All of it, with so many slices read ahead between two answers; each has as much as it may. */
static const struct walk_row {
    const char *name;
    const char *where; /* k: 1,000 events; F: freeze; W: write */
    size_t slices;
    uint64_t look_ns;
    uint32_t bytes_max;
    size_t answers_max;
} walk_rows[] = {
    {"nothing ahead, in memory", "kkk", 0, 0, BYTES, 6},
    {"nothing ahead, on disk", "kkkFW", 0, 0, BYTES, 6},
    {"one slice ahead", "kkk", 1, 0, BYTES, 6},
    {"all ahead", "kkk", 100, 0, BYTES, 6},
    {"all ahead, on disk and in memory", "kFWkFk", 100, 0, BYTES, 6},
    {"in one answer", "kkk", 0, 0, WIDE, 1},
    {"out of time with each slice", "k", 0, 1000000, WIDE, 4},
    {"out of time, and all ahead", "kkk", 100, 1000000, WIDE, 2},
    {"an event at a time", "k", 2, 0, 1, 1000},
};

static void run(const char *where)
{
    for (; *where != '\0'; where++) {
        if (*where == 'k')
            rig_events(&rig, MAIN, 1000);
        else if (*where == 'F')
            rig_freeze(&rig);
        else {
            rig_write_frozen(&rig);
            rig_drop_frozen(&rig);
        }
    }
    rig_commit(&rig);
}

static void walk(void **state)
{
    const struct walk_row *row = *state;
    start();
    run(row->where);
    look_ns = row->look_ns;
    struct wire_slice slice = ask_first(row->bytes_max);
    size_t answers = 1;
    while (slice.seq < of->count) {
        assert_true(slice.count > 0);
        assert_int_equal(slice.verdict, WIRE_RESUMED);
        assert_int_equal(slice.seq_last, of->count);
        look_ns = 0;
        read_ahead(row->slices);
        look_ns = row->look_ns;
        slice = ask_after(slice.life, slice.seq, row->bytes_max);
        answers++;
    }
    assert_true(answers <= row->answers_max);
    assert_int_equal(ask_after(slice.life, slice.seq, row->bytes_max).count, 0);
}

/* -- what was read ahead, and what happened since ---------------------------------------------- */

enum change { NOTHING, MORE, WRITTEN, CLOSED, DELETED, ANOTHER, HIDES_BEFORE, HIDES_IT, LATE };

static const struct since_row {
    const char *name;
    enum change change;
    size_t slices;      /* read ahead */
    uint64_t further;   /* asked for after so many more than there were */
    uint32_t bytes_max; /* 0: the same */
    bool taken;
    uint8_t verdict;
} since_rows[] = {
    {"nothing happened", NOTHING, 100, 0, 0, true, WIRE_RESUMED},
    {"nothing happened, a part was read", NOTHING, 1, 0, 0, true, WIRE_RESUMED},
    {"more came", MORE, 100, 0, 0, true, WIRE_RESUMED},
    {"more came, a part was read", MORE, 1, 0, 0, true, WIRE_RESUMED},
    {"the generation was written", WRITTEN, 100, 0, 0, true, WIRE_RESUMED},
    {"closed", CLOSED, 100, 0, 0, true, WIRE_RESUMED},
    {"the rule hides what is before", HIDES_BEFORE, 100, 0, 0, true, WIRE_RESUMED},
    {"the rule hides the first of it", HIDES_IT, 100, 0, 0, false, WIRE_TRIMMED},
    {"deleted", DELETED, 100, 0, 0, false, WIRE_UNKNOWN_SESSION},
    {"another life", ANOTHER, 100, 0, 0, false, WIRE_OTHER_LIFE},
    {"another cursor", NOTHING, 100, 1, 0, false, WIRE_RESUMED},
    {"another size", NOTHING, 100, 0, BYTES / 2, false, WIRE_RESUMED},
    {"too late", LATE, 100, 0, 0, false, WIRE_RESUMED},
    {"nothing was read", NOTHING, 0, 0, 0, false, WIRE_RESUMED},
};

static void change(enum change change, uint64_t seq)
{
    switch (change) {
    case NOTHING:
        break;
    case MORE:
        run("k");
        break;
    case WRITTEN:
        run("FW");
        break;
    case CLOSED:
        rig_end(&rig, MAIN, RECORD_CLOSE);
        break;
    case ANOTHER:
        rig_end(&rig, MAIN, RECORD_DELETE);
        run("k");
        break;
    case DELETED:
        rig_end(&rig, MAIN, RECORD_DELETE);
        break;
    case HIDES_BEFORE:
        rig_retain(&rig, (struct retention){.events_max = of->count - seq});
        break;
    case HIDES_IT:
        rig_retain(&rig, (struct retention){.events_max = of->count - seq - 10});
        break;
    case LATE:
        assert_true(fetch_tick(&fetch) > 0);
        now_ns += 1000000000u;
        assert_int_equal(fetch_tick(&fetch), -1);
        break;
    }
}

static void since(void **state)
{
    const struct since_row *row = *state;
    start();
    run("kkk");
    struct wire_slice first = ask_first(BYTES);
    assert_int_equal(fetch.ahead_from, first.seq + 1);
    read_ahead(row->slices);
    change(row->change, first.seq);
    bool was_there = fetch.ahead.outgoing != NULL;
    uint32_t bytes_max = row->bytes_max > 0 ? row->bytes_max : BYTES;
    struct wire_slice next = ask_after(first.life, first.seq + row->further, bytes_max);
    assert_int_equal(next.verdict, row->verdict);
    assert_int_equal(was_there && fetch.ahead.outgoing == NULL, row->taken);
    assert_int_equal(next.missing, row->verdict == WIRE_TRIMMED ? 10 : 0);
    if (row->verdict <= WIRE_TRIMMED) {
        assert_true(next.count > 256);
        assert_int_equal(next.seq_last, of->count);
    } else {
        assert_int_equal(next.count, 0);
    }
}

/* While an answer is put together the rule hides its first events: the answer has what was retained
 * when it began, and the next request finds what the rule hides. */
static void rule_moves_in_an_answer(void **state)
{
    (void)state;
    size_t moved = 0;
    for (size_t at = 1; at <= 12; at++) {
        start();
        run("kkk");
        looks = at;
        hides = 700;
        struct wire_slice slice = ask_first(WIDE);
        moved += looks == 0 ? 1 : 0;
        assert_int_equal(slice.verdict, WIRE_RESUMED);
        assert_int_equal(slice.count, of->count);
        if (looks == 0)
            assert_int_equal(ask_first(WIDE).missing, hides);
        looks = 0;
        release(NULL);
    }
    print_message("the rule moved in %zu answers\n", moved);
    assert_true(moved > 1);
}

/* The same while events are read ahead: they are not sent if the rule hides the first of them. */
static void rule_moves_while_reading_ahead(void **state)
{
    (void)state;
    size_t cut = 0;
    for (size_t at = 1; at <= 12; at++) {
        start();
        run("kkk");
        struct wire_slice first = ask_first(BYTES);
        looks = at;
        hides = first.seq + 300; /* a part of the second slice */
        read_ahead(100);
        bool moved = looks == 0;
        cut += moved && fetch.ahead.outgoing && fetch.ahead.head.seq < hides ? 1 : 0;
        looks = 0;
        struct wire_slice next = ask_after(first.life, first.seq, BYTES);
        assert_int_equal(next.missing, moved ? 300 : 0);
        assert_int_equal(next.verdict, moved ? WIRE_TRIMMED : WIRE_RESUMED);
        release(NULL);
    }
    print_message("cut off in the middle: %zu\n", cut);
    assert_true(cut > 0);
}

/* One at a time: who comes second is answered all the same, and the first finds what is there. */
static void for_one_at_a_time(void **state)
{
    (void)state;
    start();
    run("kkk");
    struct wire_slice first = ask_first(BYTES);
    struct wire_slice second = ask_first(BYTES / 2);
    read_ahead(100);
    assert_int_equal(fetch.ahead_from, first.seq + 1);
    assert_true(ask_after(second.life, second.seq, BYTES / 2).count > 0);
    assert_non_null(fetch.ahead.outgoing);
    assert_true(ask_after(first.life, first.seq, BYTES).count > 0);
    assert_null(fetch.ahead.outgoing);
}

/* What was read ahead up to the end is the beginning of an answer that has more by now: it was
 * written beyond its room. */
static void what_reached_the_end_ahead_has_room_for_what_came_since(void **state)
{
    (void)state;
    start();
    run("k");
    look_ns = 1000000; /* a slice at a time */
    struct wire_slice first = ask_after(of->life, of->count - 300, WIDE);
    read_ahead(100);
    assert_non_null(fetch.ahead.outgoing);
    assert_int_equal(fetch.ahead.head.seq, of->count);
    run("k");
    look_ns = 0;
    struct wire_slice next = ask_after(first.life, first.seq, WIDE);
    assert_int_equal(next.seq, of->count);
}

/* -- all of them ------------------------------------------------------------------------------- */

static const struct CMUnitTest plain[] = {
    {"for one at a time", for_one_at_a_time, NULL, release, NULL},
    {"the rule moves in an answer", rule_moves_in_an_answer, NULL, release, NULL},
    {"the rule moves while reading ahead", rule_moves_while_reading_ahead, NULL, release, NULL},
    {"what reached the end ahead has room for what came since",
     what_reached_the_end_ahead_has_room_for_what_came_since, NULL, release, NULL},
};

static struct CMUnitTest tests[COUNT(plain) + COUNT(walk_rows) + COUNT(since_rows)];

int main(void)
{
    memcpy(tests, plain, sizeof(plain));
    size_t at = COUNT(plain);
    for (size_t i = 0; i < COUNT(walk_rows); i++)
        tests[at++] = (struct CMUnitTest){walk_rows[i].name, walk, NULL, release,
                                          (void *)(uintptr_t)&walk_rows[i]};
    for (size_t i = 0; i < COUNT(since_rows); i++)
        tests[at++] = (struct CMUnitTest){since_rows[i].name, since, NULL, release,
                                          (void *)(uintptr_t)&since_rows[i]};
    return _cmocka_run_group_tests("fetch", tests, COUNT(tests), NULL, NULL);
}
