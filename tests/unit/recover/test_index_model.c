/* SPDX-License-Identifier: Apache-2.0 */
/* test_index_model: whatever was published, indexed, trimmed and recovered in whatever order,
 * readers get what a plain list of all events says.
 *
 * The list and two numbers are the oracle: up to which event of a session the rule may have had
 * trimming take something, and up to which position the quota did. Random worlds, each with a few
 * sessions, a rule and a window, are driven a step at a time: publish, write some of a segment,
 * trim some by the rule, take some for the quota, go wrong (a transaction that is aborted, a
 * crash), start again with the same rule or another one, and read from every kind of start.
 *
 *     test_index_model [seed [steps]]      fails when a hazard never came about
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log_rig.h"
#include "recover/recovery.h"
#include "index/attributes.h"
#include "index/segment.h"
#include "index/slice.h"
#include "index/trim.h"
#include "until.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    STEPS = 100000,
    STEPS_OF_A_WORLD = 2000,
    SESSIONS_MAX = 5,
    AGAIN_IDS = 4, /* ids that come again and again */
    LIVES_MAX = RIG_LIVES_MAX - 1,
    ENTRY_NS = 7, /* between two positions, in the rig */
    SLICES_OF_A_READ = 3,
    POSITIONS_MAX = 40000,
};

/* -- what must come about ---------------------------------------------------------------------- */

#define HAZARDS(X)                                                                                 \
    X(holes_met, "runs of events that end in a hole of the index, below the retained ones")        \
    X(starts_below, "starts at an event that is not retained any more")                            \
    X(empty_sessions, "reads of a session none of whose events is retained")                       \
    X(ids_gone, "starts after an id whose event is not retained any more")                         \
    X(ids_hidden, "of these, before trimming came by")                                             \
    X(old_views, "reads by a view that is older than the snapshot")                                \
    X(rule_trims, "steps of trimming by the rule")                                                 \
    X(quota_trims, "steps of trimming by the quota")                                               \
    X(aborted, "transactions that were aborted")                                                   \
    X(cut_segments, "crashes inside a segment")                                                    \
    X(cut_trims, "crashes inside a trim")                                                          \
    X(restarts, "restarts")                                                                        \
    X(narrower, "restarts with a rule that keeps less")                                            \
    X(wider, "restarts with a rule that keeps more")                                               \
    X(loaded, "trackers that were built from disk and generations")                                \
    X(recognised, "ids that one had to recognise")                                                 \
    X(closed, "sessions that were closed, half of them by an event")                               \
    X(attributes, "changes of attributes")                                                         \
    X(attributes_on_disk, "sets of attributes that were read from disk")                           \
    X(buried, "reads of the attributes of a session that is gone")                                 \
    X(spans, "spans that a restart found again")                                                   \
    X(clocks, "restarts that found both clocks")                                                   \
    X(touches, "touches")                                                                          \
    X(lives, "sessions that were deleted, and opened anew")

static struct {
#define HAZARD_FIELD(name, text) uint64_t name;
    HAZARDS(HAZARD_FIELD)
#undef HAZARD_FIELD
} seen;

static uint64_t print_hazards(void)
{
    uint64_t missing = 0;
#define HAZARD_LINE(name, text)                                                                    \
    print_message("%10llu %s\n", (unsigned long long)seen.name, text);                             \
    missing += seen.name == 0;
    HAZARDS(HAZARD_LINE)
#undef HAZARD_LINE
    return missing;
}

/* -- chance ------------------------------------------------------------------------------------ */

static uint64_t random_state;

/* 0 .. below - 1; 0 below 0 */
static uint64_t any(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return below > 0 ? (random_state >> 11) % below : 0;
}

static bool one_in(uint64_t n)
{
    return any(n) == 0;
}

/* -- a world ----------------------------------------------------------------------------------- */

static struct rig rig;
static struct trim *trim;
static struct segment *segment; /* of rig.frozen; NULL: none is being written */
static struct journal_reader *reader;
static uint16_t window;
static struct retention rule;
static uint64_t taken;    /* positions below it went for the quota */
static bool by_quota;     /* in this world the quota takes something */
static uint64_t burst;    /* events published at a time, about */
static uint64_t patience; /* with beginning a segment, and with a round of trimming */

/* The oracle's notes on a session. */
static struct {
    uint64_t hidden;  /* seq: trimming may have taken what the rule hid, up to here */
    uint64_t indexed; /* seq: in a complete segment */
} notes[SESSIONS_MAX];

static uint64_t now_ns(void)
{
    return rig_time_ns(rig.next_position);
}

static const struct clock model_clock = {.monotonic_ns = now_ns, .boot_ns = now_ns};

static const struct rig_event *event_of(const struct rig_session *of, uint64_t seq)
{
    return &of->events[seq - 1];
}

static bool retains(const struct rig_session *of, uint64_t seq, uint64_t last)
{
    const struct rig_event *event = event_of(of, seq);
    const struct record_entry entry = {
        .seq = seq, .bytes = event->bytes, .time_ns = rig_time_ns(event->position)};
    return retention_keeps(&rule, &entry, last, event_of(of, last)->bytes, now_ns());
}

/* The first event from seq on that the rule retains when the session has come to `last`. */
static uint64_t first_by_rule(const struct rig_session *of, uint64_t last)
{
    uint64_t low = 1;
    uint64_t high = last + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (retains(of, middle, last))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The first event that the quota did not take. */
static uint64_t first_not_taken(const struct rig_session *of)
{
    uint64_t low = 1;
    uint64_t high = of->count + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (event_of(of, middle)->position >= taken)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static uint64_t more(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Events before `may` must not be given out, events from `must` on must. The two differ where
 * trimming took what the rule does not hide any more: it is a wider one, or the view is old. */
struct expected {
    uint64_t may;
    uint64_t must;
};

static struct expected expect(uint32_t session, uint64_t last)
{
    const struct rig_session *of = &rig.sessions[session];
    struct expected expected;
    expected.may = less(more(first_by_rule(of, last), first_not_taken(of)), last + 1);
    expected.must = less(more(expected.may, notes[session].hidden + 1), last + 1);
    return expected;
}

/* Trimming is about to look or to delete: what the rule hides now may go. */
static void note_hidden(void)
{
    for (uint32_t i = 0; i < rig.session_count; i++) {
        const struct rig_session *of = &rig.sessions[i];
        if (of->count > 0)
            notes[i].hidden = more(notes[i].hidden, first_by_rule(of, of->count) - 1);
    }
}

/* -- writing ----------------------------------------------------------------------------------- */

static uint32_t any_session(void)
{
    return (uint32_t)any(rig.session_count);
}

static void begin(void)
{
    rig_commit(&rig);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
}

/* Commits, or goes wrong; true: committed. */
static bool commit(void)
{
    bool well = !one_in(8);
    if (well)
        assert_int_equal(journal_commit(rig.journal), SPN_OK);
    else
        journal_abort(rig.journal);
    seen.aborted += !well;
    return well;
}

static void publish(void)
{
    uint32_t session = one_in(3) ? 0 : any_session(); /* one is busier */
    uint64_t count = 1 + any(one_in(30) ? 20 * burst : burst);
    char id[RIG_TEXT_MAX];
    if (rig.sessions[session].closed_position > 0)
        return;
    for (uint64_t i = 0; i < count; i++) {
        bool again = one_in(10);
        (void)snprintf(id, sizeof(id), "again%llu", (unsigned long long)any(AGAIN_IDS));
        rig_event(&rig, session, again ? id : NULL, again ? "the same" : NULL);
    }
    rig_commit(&rig);
}

static void end_session(void)
{
    uint32_t session = any_session();
    const struct rig_session *of = &rig.sessions[session];
    bool closes = !one_in(3);
    if (of->epoch == 0 || (closes ? of->closed_position > 0 : of->dead_count == LIVES_MAX))
        return;
    if (closes && one_in(2))
        rig_closing_event(&rig, session);
    else
        rig_end(&rig, session, closes ? RECORD_CLOSE : one_in(2) ? RECORD_DELETE : RECORD_EXPIRE);
    seen.closed += closes;
    rig_commit(&rig);
    if (closes)
        return;
    memset(&notes[session], 0, sizeof(notes[session]));
    seen.lives++;
}

static void put_attributes(void)
{
    uint32_t session = any_session();
    rig_put_attributes(&rig, session, 1 + (uint32_t)any(200));
    if (one_in(4))
        rig_put_attributes(&rig, session, 1 + (uint32_t)any(200));
    rig_commit(&rig);
    seen.attributes++;
}

static void touch(void)
{
    uint32_t session = any_session();
    if (rig.sessions[session].epoch == 0)
        return;
    rig_touch(&rig, session);
    rig_commit(&rig);
    seen.touches++;
}

/* Time goes by: the rig's entries have the time of their position. */
static void wait_a_while(void)
{
    rig.next_position += any(one_in(20) ? 2000 : 50);
}

static struct record_meta meta_now(void)
{
    struct record_meta meta = *journal_meta(rig.journal);
    meta.next_position = rig.next_position;
    meta.clock_ns = now_ns();
    return meta;
}

static void begin_segment(void)
{
    if (rig.active->entry_count == 0 && rig.active->session_count == 0)
        return;
    rig_freeze(&rig);
    assert_int_equal(segment_new(&segment, rig.frozen, journal_meta(rig.journal)->segment + 1),
                     SPN_OK);
}

/* The checkpoint has moved: from here on the segment counts. */
static void note_indexed(void)
{
    for (uint32_t i = 0; i < rig.session_count; i++) {
        struct rig_session *of = &rig.sessions[i];
        const struct generation_session *touched = generation_find(rig.frozen, &of->session, i);
        if (touched && touched->epoch == of->epoch && touched->count > 0)
            notes[i].indexed = touched->first_seq + touched->count - 1;
    }
}

static void end_segment(void)
{
    segment_free(segment);
    segment = NULL;
    rig_drop_frozen(&rig);
    trim_look(trim, 2);
}

static void write_some(void)
{
    bool done = false;
    if (!segment) {
        if (one_in(patience))
            begin_segment();
        return;
    }
    struct record_meta meta = meta_now();
    begin();
    assert_int_equal(segment_step(segment, rig.journal, rig_step(one_in(2)), &meta, &done), SPN_OK);
    bool well = commit();
    segment_settle(segment, well);
    if (journal_meta(rig.journal)->checkpoint == rig.frozen->last_position)
        note_indexed();
    if (done && well)
        end_segment();
}

/* -- trimming ---------------------------------------------------------------------------------- */

static void trim_some(void)
{
    size_t count;
    rig_commit(&rig);
    note_hidden();
    switch (trim_need(trim)) {
    case TRIM_NOTHING:
        if (one_in(patience))
            trim_look_at_all(trim);
        return;
    case TRIM_TO_READ:
        assert_int_equal(trim_read(trim, rig_step(one_in(2))), SPN_OK);
        return;
    case TRIM_TO_WRITE:
        break;
    }
    begin();
    assert_int_equal(trim_write(trim, 1 + any(one_in(2) ? 20 : 2000), &count), SPN_OK);
    bool well = commit();
    trim_settle(trim, well);
    seen.rule_trims += well && count > 0;
}

static uint64_t oldest_entry(void)
{
    struct record_entry entry;
    uint64_t position = rig.next_position;
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    spn_err err = journal_read_entry_from(reader, 0, &position, &entry);
    assert_true(err == SPN_OK || err == SPN_E_END);
    journal_reader_end(reader);
    return position;
}

static void take_for_quota(void)
{
    struct journal_deletion deletion = {.count_max = 1 + any(400), .bytes_max = UINT64_MAX};
    if (!by_quota)
        return;
    if (one_in(2))
        deletion.bytes_max = 1 + any(20000);
    begin();
    assert_int_equal(trim_oldest(rig.journal, &deletion), SPN_OK);
    bool well = commit();
    trim_cancel(trim);
    if (!well || deletion.count == 0)
        return;
    /* What is in front of it now went for the quota, or by the rule before. */
    taken = more(taken, oldest_entry());
    seen.quota_trims++;
}

/* -- restarts ---------------------------------------------------------------------------------- */

static void open_world(void)
{
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(trim_new(&trim, rig.journal, &model_clock), SPN_OK);
}

static void close_world(void)
{
    trim_free(trim);
    segment_free(segment);
    journal_reader_close(reader);
    trim = NULL;
    segment = NULL;
    reader = NULL;
}

static struct retention any_rule(void)
{
    struct retention any_of = {0};
    if (one_in(2))
        any_of.events_max = 1 + any(one_in(2) ? 30 : 2000);
    if (one_in(4))
        any_of.bytes_max = 1 + any(one_in(2) ? 300 : 10000);
    if (one_in(4))
        any_of.age_max_ns = ENTRY_NS * (1 + any(one_in(2) ? 300 : 6000));
    return any_of;
}

static bool keeps_less(uint64_t limit, uint64_t than)
{
    return limit > 0 && (than == 0 || limit < than);
}

static void change_rule(void)
{
    struct retention other = any_rule();
    bool narrower = keeps_less(other.events_max, rule.events_max) ||
                    keeps_less(other.bytes_max, rule.bytes_max) ||
                    keeps_less(other.age_max_ns, rule.age_max_ns);
    bool wider = keeps_less(rule.events_max, other.events_max) ||
                 keeps_less(rule.bytes_max, other.bytes_max) ||
                 keeps_less(rule.age_max_ns, other.age_max_ns);
    rule = other;
    rig_retain(&rig, rule);
    seen.narrower += narrower;
    seen.wider += wider;
}

static struct tracker *load_tracker(uint32_t session);

/* The session's slot in what recovery found; its tracker becomes the rig's. */
static void adopt_session(struct broker_state *state, uint32_t session)
{
    struct rig_session *of = &rig.sessions[session];
    of->session.touched[0] = of->session.touched[1] = SLOT_NONE;
    if (of->epoch == 0)
        return;
    uint32_t slot = 0;
    while (slot < state->sessions.count && sessions_epoch(&state->sessions, slot) != of->epoch)
        slot++;
    assert_true(slot < state->sessions.count);
    const struct tracker *tracker = state->sessions.slots[slot].tracker;
    if (!tracker)
        return;
    assert_true(wire_same_life(tracker->life, of->life));
    assert_int_equal(tracker->seq, of->count);
    assert_int_equal(tracker->bytes, of->bytes);
    assert_int_equal(tracker->closed, of->closed_position > 0);
}

/* The spans as the log has them, of sessions that have some of their own. */
static void check_spans(const struct broker_state *state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig.session_count; i++) {
        const struct rig_session *of = &rig.sessions[i];
        static const struct wire_attributes none;
        struct wire_attributes put = of->attributes > 0 ? rig_attributes_of(of->attributes) : none;
        if (of->epoch == 0 || (put.ttl_ms | put.idle_close_ms) == 0)
            continue;
        uint32_t slot = 0;
        while (sessions_epoch(&state->sessions, slot) != of->epoch)
            slot++;
        const struct span *span = spans_find(&state->spans, slot, of->epoch);
        assert_non_null(span);
        assert_int_equal(span->ttl_ns, put.ttl_ms * 1000000);
        assert_int_equal(span->idle_ns, put.idle_close_ms * 1000000);
        assert_int_equal(span->active_ns, rig_time_ns(of->activity_position));
        assert_int_equal(span->stored_ns, span->active_ns);
        assert_int_equal(span->closed, of->closed_position > 0);
        assert_true(wire_same_life(span->life, of->life));
        assert_int_equal(span->extent.seq, of->count);
        assert_int_equal(span->extent.bytes, of->bytes);
        assert_int_equal(span->name_size, strlen(of->name));
        assert_memory_equal(span->name, of->name, span->name_size);
        assert_true(deadline_is_set(&span->deadline) || span->closed);
        count++;
    }
    assert_true(state->spans.count >= count);
    seen.spans += count;
}

static void adopt_generation(struct generation *generation)
{
    for (uint32_t place = 0; place < generation->session_count; place++) {
        struct generation_session *touched = &generation->sessions[place];
        touched->slot = SLOT_NONE; /* of a life that is over */
        for (uint32_t i = 0; i < rig.session_count; i++)
            if (rig.sessions[i].epoch == touched->epoch) {
                touched->slot = i;
                rig.sessions[i].session.touched[generation->serial & 1] = place;
            }
    }
}

/* The two clocks that recovery found together were those of one moment, whatever was newest. */
static void check_clocks(const struct database_clock_found *clock)
{
    uint64_t position = 0;
    if (clock->wall_ms == 0)
        return;
    while (rig_time_ns(position) < clock->paired_ns)
        position++;
    assert_int_equal(clock->paired_ns, rig_time_ns(position));
    assert_int_equal(clock->wall_ms, rig_wall_ms(position));
    seen.clocks++;
}

/* What the broker knew is gone; recovery finds it again. */
static void recover(void)
{
    struct broker_state state;
    struct recovered recovered;
    generation_drop(rig.active);
    generation_drop(rig.frozen);
    rig.frozen = NULL;
    assert_int_equal(recovery_run(&state, rig.journal, window, random_state, &recovered), SPN_OK);
    assert_true(state.next_position <= rig.next_position);
    assert_int_equal(recovered.given_up + recovered.names + recovered.orphans + recovered.lost, 0);
    for (uint32_t i = 0; i < rig.session_count; i++)
        adopt_session(&state, i);
    check_spans(&state);
    check_clocks(&recovered.clock);
    rig.active = state.active;
    assert_null(state.frozen);
    adopt_generation(rig.active);
    state.active = NULL;
    recovery_release(&state);
}

static void restart(void)
{
    rig_commit(&rig);
    seen.cut_segments += segment != NULL;
    seen.cut_trims += trim_need(trim) == TRIM_TO_WRITE;
    seen.restarts++;
    close_world();
    rig_close(&rig);
    rig_open(&rig);
    if (one_in(3))
        change_rule();
    recover();
    open_world();
    trim_look_at_all(trim);
    for (uint32_t i = 0; i < rig.session_count; i++)
        if (rig.sessions[i].epoch > 0) {
            tracker_free(rig.sessions[i].tracker);
            rig.sessions[i].tracker = load_tracker(i);
        }
}

/* -- reading ----------------------------------------------------------------------------------- */

static uint8_t secret[RECORD_SECRET_SIZE];

static void check_event(const struct rig_session *of, uint64_t seq, uint64_t position,
                        const struct record_entry *entry)
{
    const struct rig_event *event = event_of(of, seq);
    assert_int_equal(entry->seq, seq);
    assert_int_equal(entry->epoch, of->epoch);
    assert_int_equal(position, event->position);
    assert_int_equal(entry->id.size, strlen(event->id));
    assert_memory_equal(entry->id.data, event->id, entry->id.size);
    assert_int_equal(entry->data.size, strlen(event->data));
    assert_memory_equal(entry->data.data, event->data, entry->data.size);
}

/* One slice from seq on; returns where to go on. */
static uint64_t check_slice(const struct timeline *timeline, const struct rig_session *of,
                            struct expected expected, uint64_t from)
{
    static struct slice slice;
    uint64_t last = timeline->seq_last;
    assert_int_equal(slice_read(&slice, timeline, from, 1 + any(20000), now_ns()), SPN_OK);
    uint64_t first = from + slice.head.missing;
    assert_int_equal(slice.head.verdict, slice.head.missing > 0 ? WIRE_TRIMMED : WIRE_RESUMED);
    assert_int_equal(slice.head.seq_last, last);
    assert_true(first >= more(from, from <= last ? expected.may : 0));
    assert_true(first <= more(from, expected.must));
    assert_true(slice.head.count > 0 || first > last);
    assert_int_equal(slice.head.seq, first - 1 + slice.head.count);
    for (uint32_t i = 0; i < slice.head.count; i++)
        check_event(of, first + i, slice.positions[i], &slice.entries[i]);
    seen.starts_below += slice.head.missing > 0;
    return slice.head.seq + 1;
}

/* A walk over all that the index has, holes and all. */
static void check_runs(const struct timeline *timeline, const struct rig_session *of)
{
    static uint64_t positions[POSITIONS_MAX];
    uint64_t seq = 1;
    while (seq <= timeline->seq_last) {
        uint64_t first;
        size_t count;
        assert_int_equal(
            timeline_positions(timeline, seq, POSITIONS_MAX, positions, &first, &count), SPN_OK);
        seen.holes_met += seq > 1 && count > 0 && first > seq;
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++)
            assert_int_equal(positions[i], event_of(of, first + i)->position);
        seq = first + count;
    }
}

static void check_start_after_id(const struct timeline *timeline, const struct rig_session *of,
                                 struct expected expected)
{
    uint64_t seq = 1 + any(timeline->seq_last);
    const char *id = event_of(of, seq)->id;
    for (uint64_t later = seq + 1; later <= timeline->seq_last; later++)
        if (strcmp(event_of(of, later)->id, id) == 0)
            seq = later; /* the newest one counts */
    struct slice_start start = {.start = WIRE_AFTER_ID, .id = rig_text(id)};
    uint64_t from = 0;
    spn_err err = slice_find(timeline, &start, secret, now_ns(), &from);
    if (seq >= expected.must) {
        assert_int_equal(err, SPN_OK);
    } else {
        struct record_entry entry;
        seen.ids_gone++;
        seen.ids_hidden +=
            journal_read_entry(reader, event_of(of, seq)->position, &entry) == SPN_OK;
    }
    if (seq < expected.may || err != SPN_OK) {
        uint64_t missing;
        assert_int_equal(err, SPN_E_UNKNOWN_ID);
        assert_int_equal(timeline_missing(timeline, now_ns(), &missing), SPN_OK);
        assert_true(missing + 1 >= expected.may && missing + 1 <= expected.must);
        return;
    }
    if (from != seq + 1) { /* that one was taken under an earlier rule, and an older one spared */
        assert_true(seq < expected.must && from > expected.may && from <= seq);
        assert_string_equal(event_of(of, from - 1)->id, id);
    }
    (void)check_slice(timeline, of, expected, from);
}

static void check_from(const struct timeline *timeline, const struct rig_session *of,
                       struct expected expected, uint64_t from)
{
    unsigned slices = one_in(20) ? UINT32_MAX : SLICES_OF_A_READ;
    for (; slices > 0 && from <= timeline->seq_last; slices--)
        from = check_slice(timeline, of, expected, from);
}

static void check_starts(const struct timeline *timeline, uint32_t session)
{
    const struct rig_session *of = &rig.sessions[session];
    uint64_t last = timeline->seq_last;
    if (last == 0)
        return;
    struct expected expected = expect(session, last);
    uint64_t first;
    assert_int_equal(timeline_retained(timeline, 1, now_ns(), &first), SPN_OK);
    assert_true(first >= expected.may && first <= expected.must);
    seen.empty_sessions += first > last;
    struct slice_start now = {.start = WIRE_NOW};
    uint64_t from;
    assert_int_equal(slice_find(timeline, &now, secret, now_ns(), &from), SPN_OK);
    assert_int_equal(from, last + 1);
    check_from(timeline, of, expected, 1);
    check_from(timeline, of, expected, 1 + any(last + 2));
    check_from(timeline, of, expected, more(1, expected.must - any(less(expected.must, 3))));
    check_start_after_id(timeline, of, expected);
    if (one_in(2))
        check_runs(timeline, of);
}

/* Which life it is, and why it is closed, whether a row says so or an entry of the log. */
static void check_life(const struct timeline *timeline, const struct rig_session *of)
{
    struct slice_start cursor = {.start = WIRE_AFTER_SEQ, .life = of->life};
    uint64_t from;
    assert_true(wire_same_life(timeline->life, of->life));
    assert_int_equal(timeline->seq_before, 0);
    assert_int_equal(slice_find(timeline, &cursor, secret, now_ns(), &from), SPN_OK);
    cursor.life = rig_life(of->dead_count > 0 ? of->dead[of->dead_count - 1] : 0);
    assert_int_equal(slice_find(timeline, &cursor, secret, now_ns(), &from), SPN_E_OTHER_LIFE);
    if (!timeline->closed)
        return;
    assert_int_equal(timeline->reason.size, strlen(RIG_REASON));
    assert_memory_equal(timeline->reason.data, RIG_REASON, strlen(RIG_REASON));
}

static void check_session(const struct view *view, uint32_t session, uint64_t count)
{
    struct timeline timeline;
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    memcpy(secret, journal_reader_meta(reader)->secret, sizeof(secret));
    assert_int_equal(timeline_open(&timeline, reader, view), SPN_OK);
    assert_int_equal(timeline.seq_last, count);
    check_life(&timeline, &rig.sessions[session]);
    check_starts(&timeline, session);
    journal_reader_end(reader);
}

static void check_attributes(const struct timeline *timeline, const struct rig_session *of)
{
    static const struct wire_attributes none;
    struct wire_attributes found;
    struct wire_attributes put = of->attributes > 0 ? rig_attributes_of(of->attributes) : none;
    assert_int_equal(attributes_read(timeline, &found), SPN_OK);
    assert_int_equal(found.ttl_ms, put.ttl_ms);
    assert_int_equal(found.idle_close_ms, put.idle_close_ms);
    assert_int_equal(found.content_type.size, put.content_type.size);
    assert_int_equal(found.note.size, put.note.size);
    if (found.content_type.size > 0)
        assert_memory_equal(found.content_type.data, put.content_type.data, put.content_type.size);
    if (found.note.size > 0)
        assert_memory_equal(found.note.data, put.note.data, put.note.size);
    if (!timeline->has_row || of->activity_position > journal_reader_meta(reader)->checkpoint)
        return;
    assert_int_equal(timeline->row.activity_ns, rig_time_ns(of->activity_position));
    assert_int_equal(timeline->row.activity_ms, rig_wall_ms(of->activity_position));
    seen.attributes_on_disk += of->attributes > 0;
}

/* What a deleted session had goes with its row. */
static void check_dead(const struct rig_session *of)
{
    struct record_row row;
    struct record_attributes attributes;
    for (size_t i = 0; i < of->dead_count; i++)
        if (journal_read_row(reader, of->dead[i], &row) == SPN_E_END) {
            assert_int_equal(journal_read_attributes(reader, of->dead[i], &attributes), SPN_E_END);
            seen.buried++;
        }
}

/* By the newest state there is: readers see the end, and why. */
static void check_close(const struct view *view, uint32_t session)
{
    struct timeline timeline;
    bool closed = rig.sessions[session].closed_position > 0;
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, view), SPN_OK);
    assert_int_equal(timeline.closed, closed);
    assert_int_equal(timeline.reason.size, closed ? strlen(RIG_REASON) : 0);
    assert_memory_equal(timeline.reason.data, RIG_REASON, timeline.reason.size);
    check_attributes(&timeline, &rig.sessions[session]);
    check_dead(&rig.sessions[session]);
    journal_reader_end(reader);
}

static void read_some(void)
{
    uint32_t session = any_session();
    struct view view;
    if (rig.sessions[session].epoch == 0)
        return;
    rig_view(&rig, session, &view);
    check_close(&view, session);
    check_session(&view, session, rig.sessions[session].count);
    view_release(&view);
}

static void act(void);

/* The broker answered, and then much happened before the snapshot. */
static void read_by_old_view(void)
{
    uint32_t session = any_session();
    const struct rig_session *of = &rig.sessions[session];
    uint64_t epoch = of->epoch;
    uint64_t count = of->count;
    uint64_t restarts = seen.restarts;
    struct view view;
    if (epoch == 0)
        return;
    rig_view(&rig, session, &view);
    for (uint64_t i = any(30); i > 0; i--)
        act();
    if (of->epoch == epoch && seen.restarts == restarts) {
        check_session(&view, session, more(count, notes[session].indexed));
        seen.old_views++;
    }
    view_release(&view);
}

/* -- the window -------------------------------------------------------------------------------- */

/* An id is recognised while fewer than a window of entries with an id followed it, and its entry is
 * retained. */
static void check_window(const struct tracker *tracker, uint32_t session)
{
    const struct rig_session *of = &rig.sessions[session];
    struct expected expected = expect(session, of->count);
    for (uint64_t seq = of->count; seq >= expected.must && of->count - seq < window; seq--) {
        const struct rig_event *event = event_of(of, seq);
        assert_int_not_equal(tracker_check(tracker, rig_fingerprint(&rig, event->id), 0),
                             TRACKER_NEW);
        seen.recognised++;
    }
}

static struct tracker *load_tracker(uint32_t session)
{
    const struct rig_session *of = &rig.sessions[session];
    struct timeline timeline;
    struct tracker *tracker = NULL;
    struct view view;
    rig_view(&rig, session, &view);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    assert_int_equal(timeline_tracker(&timeline, rig_name(&rig, session), window,
                                      journal_meta(rig.journal)->secret, &tracker),
                     SPN_OK);
    journal_reader_end(reader);
    view_release(&view);
    assert_true(wire_same_life(tracker->life, of->life));
    assert_int_equal(tracker->seq, of->count);
    assert_int_equal(tracker->bytes, of->bytes);
    assert_int_equal(tracker->closed, of->closed_position > 0);
    if (of->count > 0)
        check_window(tracker, session);
    seen.loaded++;
    return tracker;
}

static void evict(void)
{
    uint32_t session = any_session();
    if (rig.sessions[session].epoch == 0)
        return;
    struct tracker *tracker = load_tracker(session);
    if (rig.sessions[session].count > 0)
        check_window(rig.sessions[session].tracker, session);
    tracker_free(rig.sessions[session].tracker);
    rig.sessions[session].tracker = tracker;
}

/* -- all of it --------------------------------------------------------------------------------- */

static void act(void)
{
    static const struct {
        void (*act)(void);
        unsigned share;
    } acts[] = {
        {publish, 30},   {wait_a_while, 6},   {write_some, 20},
        {trim_some, 22}, {take_for_quota, 2}, {end_session, 1},
        {evict, 3},      {put_attributes, 2}, {touch, 2},
    };
    unsigned shares = 0;
    for (size_t i = 0; i < COUNT(acts); i++)
        shares += acts[i].share;
    uint64_t at = any(shares);
    size_t i = 0;
    while (at >= acts[i].share)
        at -= acts[i++].share;
    acts[i].act();
}

static uint64_t world; /* its number makes the world again: test_index_model NUMBER 1 */

static void live(uint64_t steps)
{
    random_state = world * UINT64_C(0x9E3779B97F4A7C15) | 1;
    static const uint16_t windows[] = {1, 16, 128, 200};
    window = windows[any(COUNT(windows))];
    rig_init(&rig, 1 + (uint32_t)any(SESSIONS_MAX), window);
    memset(notes, 0, sizeof(notes));
    taken = 0;
    by_quota = one_in(3);
    burst = one_in(2) ? 12 : 100;
    patience = one_in(2) ? 4 : 40;
    rule = any_rule();
    rig_retain(&rig, rule);
    open_world();
    for (uint64_t i = 0; i < steps; i++) {
        if (one_in(6))
            read_some();
        else if (one_in(40))
            read_by_old_view();
        else if (one_in(200))
            restart();
        else
            act();
    }
    close_world();
    rig_release(&rig);
}

static uint64_t seed = 1;
static uint64_t steps_max = STEPS;

static void readers_get_what_the_list_says(void **state)
{
    (void)state;
    uint64_t begun_ns = until_now_ns();
    uint64_t worlds = 0;
    for (uint64_t done = 0; done < steps_max; done += STEPS_OF_A_WORLD) {
        world = seed + worlds++;
        live(less(STEPS_OF_A_WORLD, steps_max - done));
    }
    print_message("seed %llu, %llu steps in %llu worlds, %.1f s\n", (unsigned long long)seed,
                  (unsigned long long)steps_max, (unsigned long long)worlds,
                  (double)(until_now_ns() - begun_ns) / 1e9);
    assert_int_equal(print_hazards(), 0);
}

static int release(void **state)
{
    (void)state;
    if (rig.journal)
        print_error("it went wrong in world %llu\n", (unsigned long long)world);
    close_world();
    rig_release(&rig);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(readers_get_what_the_list_says, release),
    };
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        steps_max = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
