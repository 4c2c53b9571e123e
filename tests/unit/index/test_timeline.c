/* SPDX-License-Identifier: Apache-2.0 */
/* test_timeline: a session's events in order, wherever they are known.
 *
 * A script says how a session came to be: events, generations frozen and written, wholly or in
 * part, and from where on nothing is on disk yet. What the timeline gives is compared with the
 * plain list of its durable events, and the tracker it builds with one that lived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log_rig.h"
#include "wire.h"
#include "index/slice.h"
#include "index/attributes.h"
#include "index/timeline.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MAIN = 0, SESSIONS = 41, WINDOW = 16, EVENTS_MAX = 8000 };

/* - nothing · C close · o open · 1 5 c k that many events (c: 100, k: 1,000) · r one with an id
 * that comes again x events of forty other sessions · F freeze · W write it, and forget it · w
 * write it, while the broker still has it · h write it up to this session's row, and no further v
 * the broker is asked now, and not at the end · | what follows is in memory only */
static char scripts[][256] = {
    /* not there */
    "- x xF xFW |o |5 xFW|5",
    /* opened, without an event */
    "o xo oF oFW oxFW oFw oFWxFW o|5 oF|5 oFW|5",
    /* one part */
    "1 5 k 5x xcx 5F kF 5FW kFW kxFW 5Fw kFw cxFh",
    /* two */
    "5F5 cF1 1Fc 5FW5 kFWk 5Fw5 kFwk cxFhc 5FW5F kFWkF 5FW5FW kFWkFW kFW5Fw cxFWcxFh",
    /* disk, frozen and active */
    "5FW5F5 kFWkFk 1FW1F1 cFWcFwc cxFWcxFhc 5FWF5 5FWFW5 kFW5FWcFW1F5 5FWxFW5FWxFW5 kFWkFWkFwk",
    "1FW1FW1FW1FW1FW1FW1FW1FW1",
    /* touched, but without events where somebody else has some */
    "5FWxF 5FWxFx 5xFWxF5x 5FWxFwx",
    /* not durable to the end */
    "5|5 c|k 5F|5 5|5F5 5F5|5 5FW|5 5FW5|5 5FW5F|5 5FW5|5F5 5FW5F5|5 5Fw5|c kFW|kF5 cxFhc|c",
    /* ids that come again once they have left the window */
    "r rr r5r rcr rcrcr rcFcr rcFwcr rcFWcrFcr rcFWr rFWcFWrFWc rFWcFrc rcFWcrF5c rFWcr|cr rFWc|r",
    "crFWc5FWcrcFW5",
    /* the view is older than the snapshot */
    "5v5 5vF 5vFW 5v5FW 5FW5v5FW 5Fv5W 5FWcvxFWc cxvFh 5FWv5FW 5FW5Fv5W5 cxFWv5xFh",
    "cxFWvcxFhc 5xFWvcxFh cxFW5xFWvcxFhc",
};

enum { SCRIPTS_MAX = 128 };

static struct rig rig;
static const struct rig_session *of; /* MAIN */
static size_t durable;               /* of its events, as far as the timeline can know */
static struct view view;
static bool viewed;    /* before the end */
static size_t indexed; /* events as of the last segment */

/* -- damage ------------------------------------------------------------------------------------ */

static uint64_t damaged_position; /* its entry does not read; 0: all do */
static uint32_t damaged_record;   /* number of the segment whose record does not; 0: none */

spn_err __real_journal_read_entry(struct journal_reader *from, uint64_t position,
                                  struct record_entry *ret_entry);
spn_err __wrap_journal_read_entry(struct journal_reader *from, uint64_t position,
                                  struct record_entry *ret_entry);

spn_err __wrap_journal_read_entry(struct journal_reader *from, uint64_t position,
                                  struct record_entry *ret_entry)
{
    spn_err err = __real_journal_read_entry(from, position, ret_entry);
    return damaged_position > 0 && position == damaged_position ? SPN_E_CORRUPT : err;
}

spn_err __real_journal_read_segment_after(struct journal_reader *from, uint32_t after,
                                          uint32_t *ret_number, struct record_segment *ret_segment);
spn_err __wrap_journal_read_segment_after(struct journal_reader *from, uint32_t after,
                                          uint32_t *ret_number, struct record_segment *ret_segment);

spn_err __wrap_journal_read_segment_after(struct journal_reader *from, uint32_t after,
                                          uint32_t *ret_number, struct record_segment *ret_segment)
{
    spn_err err = __real_journal_read_segment_after(from, after, ret_number, ret_segment);
    return err == SPN_OK && *ret_number == damaged_record ? SPN_E_CORRUPT : err;
}

static int release(void **state)
{
    (void)state;
    damaged_position = 0;
    damaged_record = 0;
    view_release(&view);
    rig_release(&rig);
    return 0;
}

/* -- scripts ----------------------------------------------------------------------------------- */

static void freeze(void)
{
    rig_drop_frozen(&rig); /* of a w: the broker has two at most */
    rig_freeze(&rig);
}

static void write_frozen(char how)
{
    if (how == 'h') {
        rig_write_up_to_row(&rig, MAIN);
        return;
    }
    const struct generation_session *touched =
        generation_find(rig.frozen, &rig.sessions[MAIN].session, MAIN);
    if (touched && touched->count > 0)
        indexed = touched->first_seq + touched->count - 1;
    rig_write_frozen(&rig);
    if (how == 'W')
        rig_drop_frozen(&rig);
}

static void events_of_others(void)
{
    for (uint32_t i = 1; i < SESSIONS; i++)
        rig_events(&rig, i, i % 4);
}

static void run_step(char step)
{
    switch (step) {
    case 'o':
        rig_open_session(&rig, MAIN);
        break;
    case '1':
        rig_events(&rig, MAIN, 1);
        break;
    case '5':
        rig_events(&rig, MAIN, 5);
        break;
    case 'c':
        rig_events(&rig, MAIN, 100);
        break;
    case 'k':
        rig_events(&rig, MAIN, 1000);
        break;
    case 'r':
        rig_event(&rig, MAIN, "again", NULL);
        break;
    case 'x':
        events_of_others();
        break;
    case 'F':
        freeze();
        break;
    case 'v':
        rig_view(&rig, MAIN, &view);
        durable = rig.sessions[MAIN].count;
        viewed = true;
        break;
    case 'C':
        rig_end(&rig, MAIN, RECORD_CLOSE);
        break;
    case 'E':
        rig_closing_event(&rig, MAIN);
        break;
    case '-':
        break;
    case '|':
        rig_commit(&rig);
        rig.lagging = true;
        break;
    default:
        write_frozen(step);
    }
}

static void run_script(const char *script)
{
    rig_init(&rig, SESSIONS, WINDOW);
    of = &rig.sessions[MAIN];
    viewed = false;
    indexed = 0;
    for (const char *step = script; *step != '\0'; step++)
        run_step(*step);
    rig_commit(&rig);
    if (!viewed)
        rig_view(&rig, MAIN, &view);
    /* What came after the view is known as far as it is in a segment. */
    if (viewed) {
        durable = durable > indexed ? durable : indexed;
        return;
    }
    durable = 0;
    while (durable < of->count && of->events[durable].durable)
        durable++;
}

/* -- checks ------------------------------------------------------------------------------------ */

/* All from `from` on, in slices of count_max, as a reader goes on. */
static void check_walk(const struct timeline *timeline, uint64_t from, size_t count_max)
{
    static uint64_t positions[EVENTS_MAX];
    uint64_t seq = from;
    for (;;) {
        uint64_t first = 0;
        size_t count = 99;
        assert_int_equal(timeline_positions(timeline, seq, count_max, positions, &first, &count),
                         SPN_OK);
        assert_int_equal(first, seq);
        assert_true(count <= count_max);
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            assert_true(seq + i <= durable);
            assert_int_equal(positions[i], of->events[seq + i - 1].position);
        }
        seq += count;
    }
    assert_int_equal(seq, from > durable ? from : durable + 1);
}

static void check_positions(const struct timeline *timeline)
{
    static const size_t counts_max[] = {1, 7, 128, EVENTS_MAX};
    for (size_t i = 0; i < COUNT(counts_max); i++) {
        size_t step = durable > 600 ? 97 : durable > 60 ? 13 : 1;
        size_t wide = counts_max[i] == 1 ? 7 * step : step; /* enough of the slow ones */
        for (uint64_t from = 1; from <= durable; from += wide)
            check_walk(timeline, from, counts_max[i]);
        check_walk(timeline, durable + 1, counts_max[i]);
        check_walk(timeline, durable + 100, counts_max[i]);
        if (durable > 0)
            check_walk(timeline, durable, counts_max[i]);
    }
}

static spn_err find(const struct timeline *timeline, const char *id, uint64_t *ret_seq)
{
    return timeline_find(timeline, rig_text(id), (uint32_t)rig_fingerprint(&rig, id).low, 0,
                         ret_seq);
}

static size_t newest_with(const char *id)
{
    size_t seq = durable;
    while (seq > 0 && strcmp(of->events[seq - 1].id, id) != 0)
        seq--;
    return seq;
}

static void check_find(const struct timeline *timeline)
{
    uint64_t seq = 0;
    size_t step = durable > 600 ? 31 : 1;
    for (size_t i = 0; i < durable; i += step) {
        assert_int_equal(find(timeline, of->events[i].id, &seq), SPN_OK);
        assert_int_equal(seq, newest_with(of->events[i].id));
    }
    for (size_t i = durable; i < of->count; i++)
        if (newest_with(of->events[i].id) == 0)
            assert_int_equal(find(timeline, of->events[i].id, &seq), SPN_E_UNKNOWN_ID);
    assert_int_equal(find(timeline, "no such id", &seq), SPN_E_UNKNOWN_ID);
    /* The fingerprint is only a hint: the same one with another id is another id. */
    if (durable > 0) {
        uint32_t print = (uint32_t)rig_fingerprint(&rig, of->events[durable - 1].id).low;
        assert_int_equal(timeline_find(timeline, rig_text("other"), print, 0, &seq),
                         SPN_E_UNKNOWN_ID);
    }
}

static uint32_t tag_of(const struct rig_event *event)
{
    return rig_tag(&rig, event->data);
}

/* What a tracker knows that saw the last window_max durable events. */
static struct tracker *live(uint16_t window_max)
{
    struct tracker *tracker = tracker_new(rig_name(&rig, MAIN), window_max);
    assert_non_null(tracker);
    for (size_t i = durable > window_max ? durable - window_max : 0; i < durable; i++) {
        struct fingerprint id = rig_fingerprint(&rig, of->events[i].id);
        if (tracker_check(tracker, id, tag_of(&of->events[i])) == TRACKER_NEW)
            assert_int_equal(tracker_add(&tracker, id, tag_of(&of->events[i])), SPN_OK);
    }
    return tracker;
}

static void assert_same_window(const struct tracker *a, const struct tracker *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < of->count; i++) {
        struct fingerprint id = rig_fingerprint(&rig, of->events[i].id);
        uint32_t tag = tag_of(&of->events[i]);
        assert_int_equal(tracker_check(a, id, tag), tracker_check(b, id, tag));
        tag = (uint16_t)(tag ^ 1);
        assert_int_equal(tracker_check(a, id, tag), tracker_check(b, id, tag));
    }
}

static void check_tracker(const struct timeline *timeline, uint16_t window_max)
{
    struct tracker *tracker = NULL;
    assert_int_equal(timeline_tracker(timeline, rig_name(&rig, MAIN), window_max,
                                      journal_meta(rig.journal)->secret, &tracker),
                     SPN_OK);
    uint64_t bytes = 0;
    for (size_t i = 0; i < durable; i++)
        bytes += strlen(of->events[i].data);
    assert_int_equal(tracker->epoch, of->epoch);
    assert_true(wire_same_life(tracker->life, of->life));
    assert_int_equal(tracker->seq, durable);
    assert_int_equal(tracker->bytes, bytes);
    assert_int_equal(tracker->window_max, window_max);
    assert_int_equal(tracker_name(tracker).size, strlen(of->name));
    assert_memory_equal(tracker_name(tracker).data, of->name, strlen(of->name));
    struct tracker *lived = live(window_max);
    assert_same_window(tracker, lived);
    if (window_max == WINDOW && durable == of->count)
        assert_same_window(tracker, of->tracker);
    tracker_free(lived);
    tracker_free(tracker);
}

static void check_row(const struct timeline *timeline, bool written)
{
    assert_int_equal(timeline->has_row, written);
    if (!written) {
        assert_int_equal(timeline->segment, 0);
        assert_int_equal(timeline->row.seq, 0);
    }
}

static void run(void **state)
{
    const char *script = *state;
    struct journal_reader *reader;
    struct timeline timeline;
    run_script(script);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    bool there = of->epoch > 0 && of->durable;
    assert_int_equal(timeline_open(&timeline, reader, &view),
                     there ? SPN_OK : SPN_E_UNKNOWN_SESSION);
    if (there) {
        assert_int_equal(timeline.epoch, of->epoch);
        assert_int_equal(timeline.seq_last, durable);
        assert_int_equal(timeline.position_last,
                         durable > 0 ? of->events[durable - 1].position : of->epoch);
        const char *wrote = strpbrk(script, "Wwh");
        const char *opened = strpbrk(script, "o15ckr");
        check_row(&timeline, wrote && opened < wrote);
        check_positions(&timeline);
        check_find(&timeline);
        check_tracker(&timeline, WINDOW);
        check_tracker(&timeline, 1);
        check_tracker(&timeline, 129);
    }
    journal_reader_end(reader);
    journal_reader_close(reader);
}

/* Events that are in no index any more are skipped, and the first that is there is named. */
static void gone(void **state)
{
    (void)state;
    struct journal_reader *reader;
    struct timeline timeline;
    uint64_t positions[16], first;
    size_t count;
    rig_init(&rig, SESSIONS, WINDOW);
    rig_events(&rig, MAIN, 5);
    rig_freeze(&rig);
    rig_drop_frozen(&rig); /* as if it had been written and trimmed */
    rig_events(&rig, MAIN, 4);
    rig_commit(&rig);
    rig_view(&rig, MAIN, &view);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    for (uint64_t from = 1; from <= 10; from++) {
        assert_int_equal(timeline_positions(&timeline, from, 16, positions, &first, &count),
                         SPN_OK);
        assert_int_equal(first, from < 6 ? 6 : from);
        assert_int_equal(count, 10 - first);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(positions[i], rig.sessions[MAIN].events[first + i - 1].position);
    }
    journal_reader_close(reader);
}

/* -- for the broker ---------------------------------------------------------------------------- */

static void index_all(void)
{
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
}

/* Asked for while it expired with others: its row says so, and the burial has not come to its name.
 * The daemon took that for a database that does not read back, and ended. */
static void who_asked_for_a_session_that_was_being_buried_ended(void **state)
{
    (void)state;
    struct journal_reader *reader;
    struct view broker_view = {.epoch = 0};
    uint64_t epoch;
    struct tracker *tracker = NULL;
    rig_init(&rig, SESSIONS, WINDOW);
    for (uint32_t i = 0; i < SESSIONS; i++)
        rig_events(&rig, i, 5);
    index_all();
    uint64_t checkpoint = journal_meta(rig.journal)->checkpoint;
    struct spn_bytes name = rig_name(&rig, SESSIONS - 1);
    rig_view(&rig, SESSIONS - 1, &broker_view);
    for (uint32_t i = 0; i < SESSIONS; i++)
        rig_end(&rig, i, RECORD_EXPIRE);
    rig_freeze(&rig);
    for (size_t steps = 1; journal_meta(rig.journal)->checkpoint == checkpoint; steps++)
        assert_true(rig_write_some(&rig, steps));
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(journal_read_name(reader, name, &epoch), SPN_OK);
    assert_int_equal(epoch, broker_view.epoch); /* else this is not that moment */
    const uint8_t *secret = journal_meta(rig.journal)->secret;
    assert_int_equal(
        timeline_load_tracker(reader, &broker_view, name, WINDOW, secret, &epoch, &tracker),
        SPN_OK);
    assert_int_equal(epoch, 0);
    assert_null(tracker);
    view_release(&broker_view);
    journal_reader_end(reader);
    journal_reader_close(reader);
}

/* -- retention --------------------------------------------------------------------------------- */

/* What is deleted from the log itself, as trimming and the quota do it: events by their seqs, from
 * one to another; from 1 on, all entries that are in front of the log. The index is left as it was.
 */
struct cut {
    uint64_t from, to;
};

enum { DAMAGED = 0 };

/* The script's session, the rule, and from where the first retained event is asked for. The clock
 * stands at the newest event of all. */
static const struct retained_row {
    const char *script;
    struct retention rule;
    struct cut cut;
    uint64_t from;
    uint64_t retained; /* seq. DAMAGED: what is missing was not taken by retention */
} retained_rows[] = {
    /* no rule */
    {"c", {0}, {0, 0}, 1, 1},
    {"cFW", {0}, {0, 0}, 40, 40},
    {"cFWcFc", {0}, {0, 0}, 300, 300},
    {"cFW", {0}, {0, 0}, 101, 101},
    {"o", {0}, {0, 0}, 1, 1},
    {"oFW", {.events_max = 3}, {0, 0}, 1, 1},
    /* by events: in a generation, on disk, over both and over segments */
    {"c", {.events_max = 30}, {0, 0}, 1, 71},
    {"c", {.events_max = 30}, {0, 0}, 70, 71},
    {"c", {.events_max = 30}, {0, 0}, 71, 71},
    {"c", {.events_max = 30}, {0, 0}, 90, 90},
    {"c", {.events_max = 30}, {0, 0}, 101, 101},
    {"c", {.events_max = 100}, {0, 0}, 1, 1},
    {"c", {.events_max = 1}, {0, 0}, 1, 100},
    {"cF", {.events_max = 30}, {0, 0}, 1, 71},
    {"cFW", {.events_max = 30}, {0, 0}, 1, 71},
    {"cFW5", {.events_max = 30}, {0, 0}, 1, 76},
    {"cFW5F5", {.events_max = 8}, {0, 0}, 1, 103},
    {"cFWcFWcFW", {.events_max = 150}, {0, 0}, 1, 151},
    {"kFWkFWk", {.events_max = 1234}, {0, 0}, 1, 1767},
    {"cxFWcxFhc", {.events_max = 150}, {0, 0}, 1, 151},
    {"c|c", {.events_max = 30}, {0, 0}, 1, 71}, /* what is not durable hides nothing */
    {"cF5W", {.events_max = 30}, {0, 0}, 1, 76},
    /* by age: entries are 7 ns apart */
    {"c", {.age_max_ns = 7 * 30}, {0, 0}, 1, 71},
    {"cFW", {.age_max_ns = 7 * 30}, {0, 0}, 1, 71},
    {"cFW5", {.age_max_ns = 7 * 30}, {0, 0}, 1, 76},
    {"cFWc", {.age_max_ns = 7 * 5000}, {0, 0}, 1, 1},
    {"5FWxxxF", {.age_max_ns = 7 * 60}, {0, 0}, 1, 6}, /* all of it is too old */
    {"5FWxxxFW", {.age_max_ns = 7 * 60}, {0, 0}, 3, 6},
    /* a front that was trimmed */
    {"cFW", {0}, {1, 40}, 1, 41},
    {"cFW", {0}, {1, 40}, 40, 41},
    {"cFW", {0}, {1, 40}, 41, 41},
    {"cFWcF", {0}, {1, 100}, 1, 101},
    {"cFWcFWc", {0}, {1, 199}, 7, 200},
    {"cFW", {0}, {1, 99}, 1, 100},
    {"cFW", {0}, {1, 100}, 1, 101},
    {"cFW", {0}, {1, 100}, 101, 101},
    {"cFWxFW", {0}, {1, 100}, 50, 101},
    {"kFWkFW", {0}, {1, 1500}, 1, 1501},
    /* the rule hides more than was trimmed, and less */
    {"cFW", {.events_max = 30}, {1, 40}, 1, 71},
    {"cFW", {.events_max = 80}, {1, 40}, 1, 41},
    /* a hole in the middle */
    {"cFW", {0}, {20, 40}, 1, 1},
    {"cFW", {0}, {20, 40}, 19, 19},
    {"cFW", {0}, {20, 40}, 20, DAMAGED},
    {"cFW", {0}, {20, 40}, 30, DAMAGED},
    {"cFW", {0}, {20, 40}, 40, DAMAGED},
    {"cFW", {0}, {20, 40}, 41, 41},
    {"cFWcFWc", {0}, {101, 200}, 101, DAMAGED},
    {"cFWcFWc", {0}, {90, 210}, 95, DAMAGED},
    {"cFW", {0}, {100, 100}, 1, DAMAGED}, /* the newest of all */
    {"cFW", {0}, {100, 100}, 100, DAMAGED},
};

/* Holes that an earlier rule may have made, or must not have. */
static const struct changed_row {
    const char *script;
    struct retention rule;
    struct cut cut;
    uint64_t from;
    uint64_t retained;
    struct retention before;
} changed_rows[] = {
    {"cFW", {0}, {20, 40}, 20, 41, {.events_max = 60}},
    {"cFW", {0}, {20, 40}, 20, DAMAGED, {.events_max = 61}},
    /* what is spared before such a hole may be passed over */
    {"cFW", {.events_max = 90}, {20, 40}, 1, 41, {.events_max = 60}},
    {"cFW", {.events_max = 90}, {20, 40}, 15, 15, {.events_max = 60}},
    {"cFW", {.events_max = 90}, {20, 40}, 20, DAMAGED, {0}},
    {"cFW", {.events_max = 70}, {20, 40}, 20, DAMAGED, {.events_max = 80}},
    {"cFW", {0}, {20, 40}, 20, 41, {.bytes_max = 400}},
    {"cFW", {0}, {20, 40}, 20, DAMAGED, {.bytes_max = 4000}},
    {"cFW", {0}, {100, 100}, 1, 101, {.age_max_ns = 7}},
    /* The view is old, and the row of a segment that is being written is ahead of it: trimming goes
     * by the row, and may have taken the newest event that the view knows. */
    {"5FWvcxFh", {0}, {2, 5}, 2, 6, {.events_max = 100}},
    {"5FWvcxFh", {0}, {2, 5}, 2, DAMAGED, {.events_max = 101}},
    {"5FWvcxFh", {0}, {2, 5}, 2, 6, {.bytes_max = 400}},
    {"5FWvcxFh", {0}, {2, 5}, 2, DAMAGED, {.bytes_max = 4000}},
};

/* The first block is gone, all of it; of the second the first events are, while it stays for the
 * others. The window goes back to the first event. */
static const struct window_row {
    const char *script;
    struct cut cut;
    struct retention before;
    spn_err err;
    uint64_t damaged; /* seq of an event that does not read, too */
} window_rows[] = {
    {"5FW5FW5FW", {2, 5}, {0}, SPN_E_CORRUPT, 0},
    {"5FW5FW5FW", {2, 7}, {0}, SPN_E_CORRUPT, 0},
    {"5FW5FW5FW", {2, 5}, {.events_max = 10}, SPN_OK, 0},
    {"5FW5FW5FW", {2, 5}, {.events_max = 11}, SPN_E_CORRUPT, 0},
    {"5FW5FW5FW", {2, 7}, {.events_max = 8}, SPN_OK, 0},
    {"5FW5FW5FW", {2, 5}, {.bytes_max = 60}, SPN_OK, 0},
    {"5FW5FW5FW", {2, 5}, {.bytes_max = 80}, SPN_E_CORRUPT, 0},
    {"5FW5FW5FW", {2, 7}, {.bytes_max = 50}, SPN_OK, 0},
    {"5FW5FW5FW", {2, 10}, {.bytes_max = 30}, SPN_OK, 0},
    {"5FW5FW5FW", {2, 7}, {.bytes_max = 80}, SPN_E_CORRUPT, 0},
    {"5FW5FW5", {2, 10}, {.bytes_max = 30}, SPN_OK, 0},
    {"5FW5FW5FW", {2, 15}, {.bytes_max = 1}, SPN_E_CORRUPT, 0}, /* the newest of all */
    /* one that is damaged is a hole in the window, and says nothing of those before it */
    {"5FW5FW5FW", {2, 7}, {.bytes_max = 50}, SPN_OK, 8},
    {"5FW5FW5FW", {2, 7}, {.bytes_max = 50}, SPN_OK, 15},
    {"5FW5FW5FW", {2, 7}, {0}, SPN_E_CORRUPT, 8},
    {"5FW5FW5FW", {2, 7}, {.bytes_max = 800}, SPN_E_CORRUPT, 9},
};

static void delete_entries(uint64_t from, uint64_t to, size_t *ret_count)
{
    struct journal_deletion all = {.count_max = SIZE_MAX, .bytes_max = UINT64_MAX};
    uint64_t next;
    assert_int_equal(journal_delete_entries(rig.journal, from, to, NULL, NULL, &all, &next),
                     SPN_OK);
    *ret_count = all.count;
}

static bool by_damage; /* what is in front of the log is lost: the quota did not take it */

static void cut_out(const struct cut *cut)
{
    size_t count;
    if (cut->from == 0)
        return;
    rig_commit(&rig);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    if (cut->from == 1)
        delete_entries(0, of->events[0].position - 1, &count);
    for (uint64_t seq = cut->from; seq <= cut->to; seq++) {
        delete_entries(of->events[seq - 1].position, of->events[seq - 1].position, &count);
        assert_int_equal(count, 1);
    }
    if (cut->from == 1 && !by_damage)
        assert_int_equal(journal_note_taken(rig.journal, of->events[cut->to - 1].position), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

static void assert_retained(uint64_t from, uint64_t now_ns, uint64_t expected)
{
    struct journal_reader *reader;
    struct timeline timeline;
    uint64_t seq = 0;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    assert_int_equal(timeline.seq_last, durable); /* whatever was trimmed */
    assert_int_equal(timeline_retained(&timeline, from, now_ns, &seq),
                     expected == DAMAGED ? SPN_E_CORRUPT : SPN_OK);
    if (expected != DAMAGED)
        assert_int_equal(seq, expected);
    journal_reader_close(reader);
}

static void retained(void **state)
{
    const struct retained_row *row = *state;
    run_script(row->script);
    rig_retain(&rig, row->rule);
    cut_out(&row->cut);
    assert_retained(row->from, rig_time_ns(rig.next_position - 1), row->retained);
}

static void retained_after_a_change(void **state)
{
    const struct changed_row *row = *state;
    run_script(row->script);
    rig_retain(&rig, row->before);
    rig_retain(&rig, row->rule);
    cut_out(&row->cut);
    assert_retained(row->from, rig_time_ns(rig.next_position - 1), row->retained);
}

static spn_err load_tracker(struct tracker **ret_tracker)
{
    struct journal_reader *reader;
    struct timeline timeline;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    spn_err err = timeline_tracker(&timeline, rig_name(&rig, MAIN), WINDOW,
                                   journal_meta(rig.journal)->secret, ret_tracker);
    journal_reader_close(reader);
    return err;
}

/* A session with a rule by bytes was given up as damaged, where trimming had taken a block of its
 * window and then, out of the next block, some events. */
static void window_without_a_block(void **state)
{
    const struct window_row *row = *state;
    struct tracker *tracker = NULL;
    run_script(row->script);
    rig_retain(&rig, row->before);
    cut_out(&row->cut);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_delete_block(rig.journal, 1, of->epoch, 1), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    damaged_position = row->damaged > 0 ? of->events[row->damaged - 1].position : 0;
    assert_int_equal(load_tracker(&tracker), row->err);
    if (row->err == SPN_OK)
        assert_int_equal(tracker->seq, of->count);
    tracker_free(tracker);
}

/* By bytes, which differ from event to event: compared with the list. */
static void retained_by_bytes(void **state)
{
    const char *script = *state;
    run_script(script);
    uint64_t all = of->events[durable - 1].bytes;
    for (uint64_t bytes_max = 1; bytes_max <= all + 1; bytes_max += 1 + all / 50) {
        uint64_t expected = 1;
        while (all - of->events[expected - 1].bytes >= bytes_max)
            expected++;
        rig_retain(&rig, (struct retention){.bytes_max = bytes_max});
        assert_retained(1, 0, expected);
        assert_retained(durable, 0, durable);
        if (expected > 1)
            assert_retained(expected - 1, 0, expected);
    }
}

static void delete_segment(uint32_t number)
{
    size_t count;
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_delete_segment(rig.journal, number, 1000, &count), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

/* Blocks may be gone as well: the index begins later than it is asked for. */
static void retained_without_blocks(void **state)
{
    (void)state;
    run_script("cFWcFWc");
    cut_out(&(struct cut){1, 100});
    delete_segment(1);
    for (uint64_t from = 1; from <= 100; from += 11)
        assert_retained(from, 0, 101);
    cut_out(&(struct cut){101, 150});
    assert_retained(1, 0, DAMAGED);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_note_taken(rig.journal, of->events[149].position), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    assert_retained(1, 0, 151);
    assert_retained(120, 0, 151);
    assert_retained(160, 0, 160);
}

/* The quota took the front of the log, and what is the front now is damaged: this session was taken
 * for damaged as well, and every other that the quota took something of. */
static void what_the_quota_took_in_front_of_damage(void **state)
{
    (void)state;
    run_script("cFWxFW");
    cut_out(&(struct cut){1, 100});
    damaged_position = rig.sessions[1].epoch;
    assert_retained(1, 0, 101);
    assert_retained(50, 0, 101);
}

/* The front of the log is lost, and then a block with it: that was not the quota. */
static void what_damage_took_of_the_front(void **state)
{
    (void)state;
    run_script("cFWcFW");
    by_damage = true;
    cut_out(&(struct cut){1, 50});
    by_damage = false;
    assert_retained(1, 0, DAMAGED);
    assert_retained(50, 0, DAMAGED);
    assert_retained(51, 0, 51);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_delete_block(rig.journal, 1, of->epoch, 1), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    assert_retained(1, 0, DAMAGED);
    assert_retained(101, 0, 101);
}

/* The quota took a part of the first segment, with the block of that part. */
static void what_the_quota_took_of_a_segment(void **state)
{
    (void)state;
    run_script("cFWcFW");
    cut_out(&(struct cut){1, 50});
    assert_retained(1, 0, 51);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_delete_block(rig.journal, 1, of->epoch, 1), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    assert_retained(1, 0, 101);
}

/* The record of the segment after the one that the quota took does not read. */
static void what_the_quota_took_before_a_damaged_record(void **state)
{
    (void)state;
    run_script("cFWcFWc");
    cut_out(&(struct cut){1, 100});
    delete_segment(1);
    damaged_record = 2;
    assert_retained(1, 0, 101);
}

/* -- attributes -------------------------------------------------------------------------------- */

enum { SETS = 5 };

/* Numbers whose sets have all there is, and differ. */
static uint32_t set_number(uint32_t set)
{
    return 16 * set + 15;
}

static void put_set(uint32_t set)
{
    rig_put_attributes(&rig, MAIN, set_number(set));
    rig_commit(&rig);
}

static void assert_set(uint32_t set)
{
    struct journal_reader *reader;
    struct timeline timeline;
    struct wire_attributes found;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    assert_int_equal(attributes_read(&timeline, &found), SPN_OK);
    assert_int_equal(found.ttl_ms, rig_attributes_of(set_number(set)).ttl_ms);
    assert_int_equal(found.note.size, rig_attributes_of(set_number(set)).note.size);
    journal_reader_close(reader);
}

/* However many sets are on their way to disk, in whichever generation: the newest that is there
 * holds. */
static void attributes_on_their_way(void **state)
{
    (void)state;
    for (uint32_t on_disk = 1; on_disk <= SETS; on_disk++)
        for (uint32_t frozen = 0; frozen <= SETS; frozen++) {
            rig_init(&rig, 2, WINDOW);
            for (uint32_t set = 1; set <= SETS; set++) {
                if (set == frozen)
                    rig_freeze(&rig);
                rig.lagging = set > on_disk;
                put_set(set);
            }
            rig_view(&rig, MAIN, &view);
            assert_set(on_disk);
            (void)release(NULL);
        }
}

/* The row has a newer set than an old view: an answer before this one may have shown it. */
static void attributes_of_a_row_that_is_ahead(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        rig_init(&rig, 100, WINDOW); /* a segment of several steps */
        rig_events(&rig, MAIN, 3);
        for (uint32_t i = MAIN + 1; i < rig.session_count; i++)
            rig_events(&rig, i, 1);
        put_set(1);
        rig_view(&rig, MAIN, &view);
        assert_set(1);
        put_set(2);
        rig_freeze(&rig);
        if (whole)
            rig_write_frozen(&rig);
        else
            rig_write_up_to_row(&rig, MAIN);
        assert_set(2);
        put_set(3);
        assert_set(2);
        view_release(&view);
        rig_view(&rig, MAIN, &view);
        assert_set(3);
        (void)release(NULL);
    }
}

/* -- the id in force --------------------------------------------------------------------------- */

/* A marker that leaves the id as it is: the rig has none. */
static void leave_the_id(uint64_t id_position)
{
    struct rig_session *session = &rig.sessions[MAIN];
    uint64_t position = rig.next_position++;
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_append(rig.journal, position,
                                    &(struct record_entry){.kind = RECORD_MARKER,
                                                           .epoch = session->epoch,
                                                           .seq = session->count + 1,
                                                           .bytes = session->bytes,
                                                           .markers = 1,
                                                           .id_position = id_position,
                                                           .retry_ms = 1000,
                                                           .data_hash = record_hash(rig_text(""))}),
                     SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    struct generation_session *touched =
        generation_touch(rig.active, &session->session, MAIN, session->epoch);
    generation_append(rig.active, touched, position, session->count + 1, 0);
    session->events[session->count++] =
        (struct rig_event){.position = position, .bytes = session->bytes, .durable = true};
}

/* The newest entry that an old view knows is such a marker, and the row is ahead: trimming may have
 * taken the event with the id. */
static void an_id_that_was_trimmed_is_no_damage_where_the_row_is_ahead(void **state)
{
    (void)state;
    struct journal_reader *reader;
    struct timeline timeline;
    struct record_entry newest;
    struct spn_bytes id;
    run_script("1");
    view_release(&view); /* a later one is taken */
    leave_the_id(of->events[0].position);
    for (const char *step = "FWvcxFh"; *step != '\0'; step++)
        run_step(*step);
    rig_commit(&rig);
    cut_out(&(struct cut){1, 1});
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    assert_int_equal(timeline.seq_last, 2);
    assert_int_equal(journal_read_entry(reader, timeline.position_last, &newest), SPN_OK);
    assert_int_equal(timeline_last_id(&timeline, &newest, &id), SPN_E_END);
    journal_reader_close(reader);
}

/* -- closed ------------------------------------------------------------------------------------ */

/* Closed as soon as that is durable, and as far as the view or the index know all of its events.
 * C closes, E closes with an event; the other letters as in the scripts. */
static const struct closed_row {
    const char *script;
    bool closed;
} closed_rows[] = {
    {"5", false},       {"5FW", false},        {"5C", true},     {"5CF", true},
    {"5CFW", true},     {"5FCFW", true},       {"5FWC", true},   {"5FWCF", true},
    {"5FWCFW", true},   {"5FWCFWxFW", true},   {"5FWCFw", true}, {"5FW|C", false},
    {"5|C", false},     {"oC", true},          {"oCFW", true},   {"cxFWcCxFh", true},
    {"5FWv5CFW", true}, {"cxFWvcCxFh", false}, {"5E", true},     {"E", true},
    {"5FWEF", true},    {"5FWEFW", true},      {"5FWEFw", true}, {"5FW|E", false},
    {"5FWv5EFW", true}, {"cxFWcExFh", true},
};

static void closed(void **state)
{
    const struct closed_row *row = *state;
    struct journal_reader *reader;
    struct timeline timeline;
    run_script(row->script);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    assert_int_equal(timeline.closed, row->closed);
    assert_int_equal(timeline.reason.size, row->closed ? strlen(RIG_REASON) : 0);
    struct tracker *tracker = NULL;
    assert_int_equal(timeline_tracker(&timeline, rig_name(&rig, MAIN), WINDOW,
                                      journal_meta(rig.journal)->secret, &tracker),
                     SPN_OK);
    assert_int_equal(tracker->closed, row->closed);
    tracker_free(tracker);
    journal_reader_close(reader);
}

/* A session that came from another host with 500 events: nothing before them is missing here. */
static void check_from_elsewhere(struct journal_reader *reader, uint64_t missing)
{
    struct timeline timeline;
    struct tracker *tracker = NULL;
    struct slice_start earliest = {.start = WIRE_EARLIEST};
    uint64_t from, first, gone;
    rig_commit(&rig);
    rig_view(&rig, 0, &view);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    assert_int_equal(timeline.seq_before, 500);
    assert_int_equal(timeline.seq_last, 505);
    assert_int_equal(slice_find(&timeline, &earliest, NULL, 0, &from), SPN_OK);
    assert_int_equal(from, 501);
    for (struct slice_start cursor = {.start = WIRE_AFTER_SEQ, .life = timeline.life};
         cursor.seq < 600; cursor.seq++) {
        uint64_t next = cursor.seq < 500 ? 501 : cursor.seq < 505 ? cursor.seq + 1 : 506;
        assert_int_equal(slice_find(&timeline, &cursor, NULL, 0, &from), SPN_OK);
        assert_int_equal(from, next);
    }
    assert_int_equal(slice_find(&timeline, &earliest, NULL, 0, &from), SPN_OK);
    assert_int_equal(timeline_retained(&timeline, from, 0, &first), SPN_OK);
    assert_int_equal(first, 501 + missing);
    assert_int_equal(timeline_missing(&timeline, 0, &gone), SPN_OK);
    assert_int_equal(gone, missing);
    assert_int_equal(timeline_tracker(&timeline, rig_name(&rig, 0), WINDOW,
                                      journal_meta(rig.journal)->secret, &tracker),
                     SPN_OK);
    assert_int_equal(tracker->seq, 505);
    assert_int_equal(tracker->count, 5);
    tracker_free(tracker);
    journal_reader_end(reader);
    view_release(&view);
}

static void from_elsewhere(void **state)
{
    struct journal_reader *reader;
    (void)state;
    rig_init(&rig, 1, WINDOW);
    rig.sessions[0].seq_before = 500;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    rig_events(&rig, 0, 5);
    check_from_elsewhere(reader, 0);
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    check_from_elsewhere(reader, 0);
    rig_retain(&rig, (struct retention){.events_max = 2});
    check_from_elsewhere(reader, 3);
    journal_reader_close(reader);
}

int main(void)
{
    static char *const by_bytes[] = {"c", "cFW", "cFWcFc", "kFWkF5", "cxFWcxFh"};
    static const struct CMUnitTest plain[] = {
        {"gone", gone, NULL, release, NULL},
        {"a session from elsewhere", from_elsewhere, NULL, release, NULL},
        {"who asked for a session that was being buried ended",
         who_asked_for_a_session_that_was_being_buried_ended, NULL, release, NULL},
        {"retained without blocks", retained_without_blocks, NULL, release, NULL},
        {"what the quota took in front of damage", what_the_quota_took_in_front_of_damage, NULL,
         release, NULL},
        {"attributes on their way", attributes_on_their_way, NULL, release, NULL},
        {"attributes of a row that is ahead", attributes_of_a_row_that_is_ahead, NULL, release,
         NULL},
        {"what damage took of the front", what_damage_took_of_the_front, NULL, release, NULL},
        {"what the quota took of a segment", what_the_quota_took_of_a_segment, NULL, release, NULL},
        {"what the quota took before a damaged record", what_the_quota_took_before_a_damaged_record,
         NULL, release, NULL},
        {"an id that was trimmed is no damage where the row is ahead",
         an_id_that_was_trimmed_is_no_damage_where_the_row_is_ahead, NULL, release, NULL},
    };
    static struct CMUnitTest tests[COUNT(plain) + COUNT(retained_rows) + COUNT(changed_rows) +
                                   COUNT(window_rows) + COUNT(by_bytes) + COUNT(closed_rows) +
                                   SCRIPTS_MAX];
    memcpy(tests, plain, sizeof(plain));
    size_t count = COUNT(plain);
    for (size_t i = 0; i < COUNT(retained_rows); i++)
        tests[count++] = (struct CMUnitTest){retained_rows[i].script, retained, NULL, release,
                                             (void *)(uintptr_t)&retained_rows[i]};
    for (size_t i = 0; i < COUNT(changed_rows); i++)
        tests[count++] = (struct CMUnitTest){changed_rows[i].script, retained_after_a_change, NULL,
                                             release, (void *)(uintptr_t)&changed_rows[i]};
    for (size_t i = 0; i < COUNT(window_rows); i++)
        tests[count++] = (struct CMUnitTest){window_rows[i].script, window_without_a_block, NULL,
                                             release, (void *)(uintptr_t)&window_rows[i]};
    for (size_t i = 0; i < COUNT(by_bytes); i++)
        tests[count++] =
            (struct CMUnitTest){by_bytes[i], retained_by_bytes, NULL, release, by_bytes[i]};
    for (size_t i = 0; i < COUNT(closed_rows); i++)
        tests[count++] = (struct CMUnitTest){closed_rows[i].script, closed, NULL, release,
                                             (void *)(uintptr_t)&closed_rows[i]};
    for (size_t i = 0; i < COUNT(scripts); i++) {
        char *rest = NULL;
        for (char *script = strtok_r(scripts[i], " ", &rest); script && count < COUNT(tests);
             script = strtok_r(NULL, " ", &rest))
            tests[count++] = (struct CMUnitTest){script, run, NULL, release, script};
    }
    return _cmocka_run_group_tests("timeline", tests, count, NULL, NULL);
}
