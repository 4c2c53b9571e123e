/* SPDX-License-Identifier: Apache-2.0 */
/* test_spans: sessions end when their spans are over, never early and never late.
 *
 * Beside the spans runs a plain list of sessions: when each was active last, and what of that the
 * log has. It is looked through as a whole after each step. Random worlds, each with a seed:
 * events, touches, attributes, closes, deletions, time that passes, restarts with time that jumps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "state/spans.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SESSIONS = 60, STEPS = 4000, WORLDS = 40, SECOND = 1000 };

static struct model {
    uint64_t epoch; /* 0: there is no such session */
    uint64_t ttl;
    uint64_t idle;
    uint64_t active;
    uint64_t stored;
    bool closed;
} model[SESSIONS];

static struct spans spans;
static uint64_t now;
static uint64_t started;
static uint64_t default_ttl;
static uint64_t next_epoch;
static struct {
    uint64_t closed, expired, stored, passed, restarts, kept;
} seen;

static uint64_t random_state;

static uint64_t any(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

static struct spn_bytes name_of(uint32_t slot)
{
    static char name[8];
    name[0] = (char)('0' + slot % 10);
    return (struct spn_bytes){name, 1 + slot % 7};
}

/* -- the oracle -------------------------------------------------------------------------------- */

static uint64_t close_due(const struct model *of)
{
    if (of->epoch == 0 || of->idle == 0 || of->closed)
        return UINT64_MAX;
    uint64_t due = of->active + of->idle;
    return due > started + of->idle / 4 ? due : started + of->idle / 4;
}

static uint64_t expire_due(const struct model *of)
{
    return of->epoch != 0 && of->ttl > 0 ? of->active + of->ttl : UINT64_MAX;
}

/* -- steps ------------------------------------------------------------------------------------- */

static const struct record_extent extent = {.seq = 3, .bytes = 20, .markers = 1};

static struct span *span_of(uint32_t slot)
{
    return spans_find(&spans, slot, model[slot].epoch);
}

static struct span *make(uint32_t slot)
{
    struct span *span;
    const struct span_session session = {.slot = slot,
                                         .epoch = model[slot].epoch,
                                         .life = {{(uint8_t)slot, 1}},
                                         .name = name_of(slot)};
    assert_int_equal(spans_make(&spans, &session, now, &span), SPN_OK);
    span->closed = model[slot].closed;
    return span;
}

static void store(uint32_t slot)
{
    model[slot].active = model[slot].stored = now;
    if (span_of(slot))
        span_store(span_of(slot), &extent, now);
}

static void set(uint32_t slot)
{
    struct model *of = &model[slot];
    of->ttl = any(3) > 0 ? 0 : 1 + any(20 * SECOND);
    of->idle = any(3) > 0 ? 1 + any(10 * SECOND) : 0;
    struct span *span = span_of(slot);
    if (!span && of->ttl + of->idle > 0)
        span = make(slot);
    store(slot);
    if (span)
        spans_set(&spans, span, of->ttl, of->idle);
}

static void touch(uint32_t slot)
{
    struct model *of = &model[slot];
    struct span *span = span_of(slot);
    bool first = !span;
    if (first && default_ttl == 0)
        return;
    if (first)
        span = make(slot);
    bool stored = spans_touch(&spans, span, now);
    uint64_t ttl = of->ttl > 0 ? of->ttl : default_ttl;
    bool idle = of->idle > 0 && !of->closed;
    uint64_t shorter = idle && (ttl == 0 || of->idle < ttl) ? of->idle : ttl;
    if (!first)
        assert_int_equal(stored, shorter > 0 && now - of->stored >= shorter / 4);
    of->active = now;
    seen.stored += stored;
    seen.passed += !stored;
    if (stored || first) {
        span_store(span, &extent, now);
        of->stored = now;
    }
}

static void forget(uint32_t slot)
{
    spans_remove(&spans, span_of(slot));
    model[slot] = (struct model){.epoch = 0};
}

static void step(void)
{
    uint32_t slot = (uint32_t)any(SESSIONS);
    struct model *of = &model[slot];
    if (of->epoch == 0) {
        *of = (struct model){.epoch = next_epoch++, .active = now, .stored = now};
        return;
    }
    switch (any(10)) {
    case 0:
    case 1:
        set(slot);
        break;
    case 2:
    case 3:
    case 4:
        touch(slot);
        break;
    case 5:
        if (any(4) == 0)
            forget(slot);
        break;
    case 6:
        if (of->closed || any(3) > 0)
            break;
        of->closed = true;
        of->active = of->stored = now;
        if (span_of(slot))
            span_close(span_of(slot), &extent, now);
        break;
    default:
        if (!of->closed)
            store(slot);
    }
}

/* What is in memory only is gone; the log has the rest. */
static void restart(void)
{
    spans_release(&spans);
    assert_int_equal(spans_init(&spans), SPN_OK);
    now += any(2) ? any(30 * SECOND) : 0;
    started = now;
    seen.restarts++;
    for (uint32_t slot = 0; slot < SESSIONS; slot++) {
        struct model *of = &model[slot];
        of->active = of->stored;
        if (of->epoch == 0 || of->ttl + of->idle == 0)
            continue;
        struct span *span = make(slot);
        span->active_ns = span->stored_ns = of->stored;
        spans_set(&spans, span, of->ttl, of->idle);
    }
    spans.default_ttl_ns = default_ttl;
    spans.started_ns = started;
}

/* All that is due comes, each with what it needs, and nothing else. */
static void end_due(void)
{
    struct span *span;
    enum span_end how;
    while ((span = spans_next(&spans, now, &how)) != NULL) {
        struct model *of = &model[span->slot];
        assert_int_equal(span->epoch, of->epoch);
        assert_int_equal(span->name_size, name_of(span->slot).size);
        assert_int_equal(span->life.bytes[0], span->slot);
        if (how == SPAN_EXPIRE) {
            assert_true(expire_due(of) <= now);
            seen.expired++;
            forget(span->slot);
            continue;
        }
        assert_true(close_due(of) <= now);
        assert_true(expire_due(of) > now);
        seen.closed++;
        of->closed = true;
        of->active = of->stored = now;
        span_close(span, &extent, now);
        spans_rearm(&spans, span);
    }
    for (uint32_t slot = 0; slot < SESSIONS; slot++) {
        assert_true(close_due(&model[slot]) > now && expire_due(&model[slot]) > now);
        assert_true(spans_due_ns(&spans) <= close_due(&model[slot]));
        assert_true(spans_due_ns(&spans) <= expire_due(&model[slot]));
    }
}

/* A touch that only memory knows keeps its session from the walk over the rows. */
static void check_kept(void)
{
    for (uint32_t slot = 0; slot < SESSIONS; slot++) {
        const struct model *of = &model[slot];
        const struct span *span = span_of(slot);
        if (of->epoch == 0 || of->active == of->stored || default_ttl == 0)
            continue;
        if (of->ttl == 0 && now < of->active + default_ttl) {
            assert_non_null(span);
            assert_true(spans_keep(&spans, span, now));
            seen.kept++;
        } else if (of->ttl == 0 && span) {
            assert_false(spans_keep(&spans, span, now));
        }
    }
}

static void live(uint64_t world)
{
    random_state = world * UINT64_C(0x9E3779B97F4A7C15) | 1;
    now = started = 1000 * SECOND;
    next_epoch = 1;
    memset(model, 0, sizeof(model));
    default_ttl = any(3) > 0 ? 5 * SECOND + any(30 * SECOND) : 0;
    assert_int_equal(spans_init(&spans), SPN_OK);
    spans.default_ttl_ns = default_ttl;
    spans.started_ns = started;
    for (int i = 0; i < STEPS; i++) {
        now += any(4) > 0 ? any(100) : any(2 * SECOND);
        end_due();
        check_kept();
        if (any(500) == 0)
            restart();
        else
            step();
    }
    spans_release(&spans);
}

static void spans_end_sessions_in_time(void **state)
{
    (void)state;
    for (uint64_t world = 1; world <= WORLDS; world++)
        live(world);
    assert_true(seen.closed > 100 && seen.expired > 100 && seen.stored > 100 && seen.passed > 100 &&
                seen.restarts > 100 && seen.kept > 100);
}

/* An event costs no work on the heap: a deadline is set again when it comes too early. */
static void an_event_moves_no_deadline(void **state)
{
    (void)state;
    struct span *span;
    enum span_end how;
    const struct span_session session = {.slot = 3, .epoch = 7, .name = {"s", 1}};
    assert_int_equal(spans_init(&spans), SPN_OK);
    assert_int_equal(spans_make(&spans, &session, 100, &span), SPN_OK);
    spans_set(&spans, span, 0, 50);
    assert_int_equal(spans_due_ns(&spans), 150);
    span_store(span, &extent, 140);
    assert_memory_equal(&span->extent, &extent, sizeof(extent));
    assert_int_equal(spans_due_ns(&spans), 150);
    assert_null(spans_next(&spans, 150, &how));
    assert_int_equal(spans_due_ns(&spans), 190);
    assert_ptr_equal(spans_next(&spans, 190, &how), span);
    assert_int_equal(how, SPAN_CLOSE);
    spans_retry(&spans, span, 200);
    assert_null(spans_next(&spans, 199, &how));
    assert_ptr_equal(spans_next(&spans, 200, &how), span);
    spans_release(&spans);
}

/* Another session took the slot: its span takes the place, and the old one is gone. */
static void a_slot_is_used_again(void **state)
{
    (void)state;
    struct span *span;
    assert_int_equal(spans_init(&spans), SPN_OK);
    struct span_session session = {.slot = 5000, .epoch = 7, .name = {"s", 1}};
    assert_int_equal(spans_make(&spans, &session, 100, &span), SPN_OK);
    spans_set(&spans, span, 10, 0);
    session.epoch = 9;
    assert_null(spans_find(&spans, 5000, 9));
    assert_int_equal(spans_make(&spans, &session, 100, &span), SPN_OK);
    assert_int_equal(spans.count, 1);
    assert_null(spans_find(&spans, 5000, 7));
    assert_int_equal(spans_due_ns(&spans), UINT64_MAX);
    spans_release(&spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_end_sessions_in_time),
        cmocka_unit_test(an_event_moves_no_deadline),
        cmocka_unit_test(a_slot_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
