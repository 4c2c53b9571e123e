/* SPDX-License-Identifier: Apache-2.0 */
/* test_tracker: the window says about every id what a plain list of the last ones says.
 *
 * Windows of every size where something changes: one id, less than the first ring, a power of two
 * and not, narrow and wide index. Fingerprints are real ones, or agree in all that an index could
 * look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/record_entry.h"
#include "store/record_meta.h"
#include "state/tracker.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

enum { POOL_MAX = 4096, STEPS_MIN = 8000 };

static const uint8_t secret[RECORD_SECRET_SIZE] =
    "a secret of the test that is long enough, and on";
static const uint8_t other_secret[RECORD_SECRET_SIZE] = "another one";
static const uint8_t fill_of_a_page[4096] = "of more bytes than XXH3 has a short way for";
static const struct spn_bytes chat = TEXT("chat-with-twenty-by.");

/* -- memory that runs out ---------------------------------------------------------------------- */

static bool no_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return no_memory ? NULL : __real_malloc(size);
}

/* -- the model --------------------------------------------------------------------------------- */

struct known {
    struct fingerprint id;
    uint32_t tag;
};

struct model {
    struct known *ring; /* in order of arrival, the newest last */
    size_t count;
    size_t count_max;
};

static bool same(struct fingerprint a, struct fingerprint b)
{
    return a.low == b.low && a.high == b.high;
}

static enum tracker_verdict model_check(const struct model *model, struct fingerprint id,
                                        uint32_t tag)
{
    for (size_t i = 0; i < model->count; i++)
        if (same(model->ring[i].id, id))
            return model->ring[i].tag == tag ? TRACKER_DUPLICATE : TRACKER_CONFLICT;
    return TRACKER_NEW;
}

static void model_add(struct model *model, struct fingerprint id, uint32_t tag)
{
    if (model->count == model->count_max)
        memmove(model->ring, model->ring + 1, --model->count * sizeof(*model->ring));
    model->ring[model->count++] = (struct known){id, tag};
}

/* -- fingerprints ------------------------------------------------------------------------------ */

static struct fingerprint real(size_t i)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "id-%zu", i);
    return fingerprint_of((struct spn_bytes){text, (size_t)size}, secret);
}

static struct fingerprint alike_but_above_32(size_t i)
{
    return (struct fingerprint){.low = (uint64_t)i << 32 | 0xffffffffu, .high = 0xff};
}

static struct fingerprint alike_but_high(size_t i)
{
    return (struct fingerprint){.low = 42 + ((uint64_t)(i / 256) << 40), .high = (uint8_t)i};
}

static struct fingerprint alike_but_low(size_t i)
{
    return (struct fingerprint){.low = i, .high = 7};
}

/* Homes at both ends of the index. */
static struct fingerprint at_the_ends(size_t i)
{
    uint64_t end = i % 2 ? 0xffffffffu - i : i;
    return (struct fingerprint){.low = (uint64_t)i << 32 | end, .high = i % 2 ? 0xff : 0};
}

static const struct shape {
    const char *name;
    struct fingerprint (*id)(size_t);
} shapes[] = {
    {"real", real},
    {"alike but above bit 32", alike_but_above_32},
    {"alike but in high", alike_but_high},
    {"alike but in low", alike_but_low},
    {"at the ends", at_the_ends},
};

/* -- against the model ------------------------------------------------------------------------- */

static const uint16_t windows[] = {1, 2, 3, 7, 8, 9, 100, 127, 128, 129, 300, 1000};

struct row {
    char name[64];
    const struct shape *shape;
    uint16_t window_max;
};

static struct row rows[COUNT(shapes) * COUNT(windows)];

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void check_pool(const struct tracker *tracker, const struct model *model,
                       const struct shape *shape, size_t pool)
{
    size_t stride = pool > 400 ? 7 : 1;
    for (size_t i = pool % stride; i < pool; i += stride)
        for (uint32_t tag = 0; tag < 2; tag++)
            assert_int_equal(tracker_check(tracker, shape->id(i), tag),
                             model_check(model, shape->id(i), tag));
}

static void check_shape(const struct tracker *tracker, const struct row *row, size_t count)
{
    assert_int_equal(tracker->count, count);
    assert_true(tracker->cap >= tracker->count && tracker->cap <= row->window_max);
    assert_int_equal(tracker_name(tracker).size, chat.size);
    assert_memory_equal(tracker_name(tracker).data, chat.data, chat.size);
    assert_int_equal(tracker->epoch, 11);
    assert_int_equal(tracker->life.bytes[15], 12);
    assert_int_equal(tracker->seq, 22);
    assert_int_equal(tracker->bytes, 33);
    assert_true(tracker->closed);
    assert_true(tracker->recent);
}

static void fill_fields(struct tracker *tracker)
{
    tracker->epoch = 11;
    tracker->life.bytes[15] = 12;
    tracker->seq = 22;
    tracker->bytes = 33;
    tracker->closed = true;
    tracker->recent = true;
}

/* One event: a duplicate, a conflict or new, by what the window holds. */
static void step(struct tracker **tracker, struct model *model, struct fingerprint id, uint32_t tag)
{
    enum tracker_verdict verdict = model_check(model, id, tag);
    assert_int_equal(tracker_check(*tracker, id, tag), verdict);
    if (verdict != TRACKER_NEW)
        return;
    assert_int_equal(tracker_add(tracker, id, tag), SPN_OK);
    model_add(model, id, tag);
    assert_int_equal(tracker_check(*tracker, id, tag), TRACKER_DUPLICATE);
}

static void against_a_list(void **state)
{
    const struct row *row = *state;
    size_t pool = row->window_max + row->window_max / 2u + 2u;
    size_t steps = 5u * pool < STEPS_MIN ? STEPS_MIN : 5u * pool;
    struct model model = {.count_max = row->window_max};
    model.ring = malloc(row->window_max * sizeof(*model.ring));
    struct tracker *tracker = tracker_new(chat, row->window_max);
    assert_true(model.ring && tracker);
    fill_fields(tracker);
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < steps; i++) {
        uint64_t roll = random_next(&random);
        /* By turns in order and at random; a few come again at once. */
        size_t at = i / 1000 % 2 ? (roll >> 32) % pool : (i - roll % 16 / 15) % pool;
        step(&tracker, &model, row->shape->id(at), (uint32_t)(roll >> 8 & 1));
        if (i == 5 || i == 40 || i == 1500)
            check_pool(tracker, &model, row->shape, pool);
    }
    check_pool(tracker, &model, row->shape, pool);
    check_shape(tracker, row, model.count);
    tracker_clear(tracker);
    model.count = 0;
    check_pool(tracker, &model, row->shape, pool);
    check_shape(tracker, row, 0);
    for (size_t i = 0; i < pool; i++)
        step(&tracker, &model, row->shape->id(i), 1);
    check_pool(tracker, &model, row->shape, pool);
    tracker_free(tracker);
    free(model.ring);
}

/* The oldest leaves first, and only when the window is full. */
static void leaves_in_order(void **state)
{
    (void)state;
    for (size_t w = 0; w < COUNT(windows); w++) {
        size_t window = windows[w];
        struct tracker *tracker = tracker_new(chat, (uint16_t)window);
        assert_non_null(tracker);
        for (size_t i = 0; i < 3 * window; i++) {
            assert_int_equal(tracker_add(&tracker, real(i), 0), SPN_OK);
            size_t oldest = i + 1 >= window ? i + 1 - window : 0;
            assert_int_equal(tracker_check(tracker, real(oldest), 0), TRACKER_DUPLICATE);
            assert_int_equal(tracker_check(tracker, real(oldest), 1), TRACKER_CONFLICT);
            if (oldest > 0)
                assert_int_equal(tracker_check(tracker, real(oldest - 1), 0), TRACKER_NEW);
        }
        tracker_free(tracker);
    }
}

/* -- markers ----------------------------------------------------------------------------------- */

/* What came, a place of the window each; an id that an event took from a marker is dead. */
struct arrival {
    size_t id;
    uint32_t tag;
    bool dead;
};

static enum tracker_verdict judge(const struct arrival *arrivals, size_t count, size_t window,
                                  size_t id, uint32_t tag, size_t *ret_at)
{
    for (size_t i = count; i-- > 0 && i + window >= count;) {
        if (arrivals[i].dead || arrivals[i].id != id)
            continue;
        *ret_at = i;
        if (tag == TRACKER_MARKER)
            return TRACKER_DUPLICATE;
        if (arrivals[i].tag == TRACKER_MARKER)
            return TRACKER_NEW;
        return arrivals[i].tag == tag ? TRACKER_DUPLICATE : TRACKER_CONFLICT;
    }
    *ret_at = SIZE_MAX;
    return TRACKER_NEW;
}

/* A marker's id is a duplicate's, and an event takes it over, and is then the newest. */
static void markers_give_way_to_events(void **state)
{
    (void)state;
    enum { STEPS = 20000 };
    static struct arrival arrivals[STEPS];
    for (size_t w = 0; w < COUNT(windows); w++) {
        struct tracker *tracker = tracker_new(chat, windows[w]);
        uint64_t random = 88172645463325252u;
        size_t count = 0;
        size_t taken_over = 0;
        assert_non_null(tracker);
        for (size_t step = 0; step < STEPS; step++) {
            uint64_t roll = random_next(&random);
            size_t id = (roll >> 32) % (windows[w] + windows[w] / 2u + 2u);
            uint32_t tag = roll % 3 == 0 ? TRACKER_MARKER : (uint32_t)(roll % 3);
            size_t at;
            enum tracker_verdict verdict = judge(arrivals, count, windows[w], id, tag, &at);
            assert_int_equal(tracker_check(tracker, real(id), tag), verdict);
            if (verdict != TRACKER_NEW)
                continue;
            if (at != SIZE_MAX)
                arrivals[at].dead = true;
            taken_over += at != SIZE_MAX;
            assert_int_equal(tracker_add(&tracker, real(id), tag), SPN_OK);
            arrivals[count++] = (struct arrival){.id = id, .tag = tag};
        }
        assert_true(taken_over > 0);
        tracker_free(tracker);
    }
}

/* -- memory ------------------------------------------------------------------------------------ */

static void size_of_a_full_window(void **state)
{
    (void)state;
    struct tracker *tracker = tracker_new(chat, TRACKER_WINDOW_DEFAULT);
    assert_non_null(tracker);
    assert_int_equal(chat.size, 20);
    assert_true(tracker_size(tracker) <= 256); /* most sessions are short */
    size_t before = tracker_size(tracker);
    for (size_t i = 0; i < 128; i++) {
        assert_int_equal(tracker_add(&tracker, real(i), 0), SPN_OK);
        assert_true(tracker_size(tracker) >= before);
        before = tracker_size(tracker);
    }
    assert_int_equal(tracker->count, 128);
    assert_true(tracker_size(tracker) <= 1766); /* 2 KB with its share of everything else */
    tracker_free(tracker);
}

static void names_of_every_size(void **state)
{
    (void)state;
    uint8_t name[255];
    memset(name, 'n', sizeof(name));
    for (size_t size = 1; size <= sizeof(name); size++) {
        struct tracker *tracker = tracker_new((struct spn_bytes){name, size}, 9);
        assert_non_null(tracker);
        for (size_t i = 0; i < 20; i++) {
            assert_int_equal(tracker_add(&tracker, real(i), 0), SPN_OK);
            assert_int_equal(tracker_name(tracker).size, size);
            assert_memory_equal(tracker_name(tracker).data, name, size);
        }
        tracker_free(tracker);
    }
}

static void without_memory(void **state)
{
    (void)state;
    no_memory = true;
    assert_null(tracker_new(chat, 100));
    no_memory = false;
    struct tracker *tracker = tracker_new(chat, 100);
    assert_non_null(tracker);
    for (size_t i = 0; i < 300; i++) {
        const struct tracker *before = tracker;
        size_t count = tracker->count;
        no_memory = true;
        spn_err err = tracker_add(&tracker, real(i), 0);
        no_memory = false;
        assert_ptr_equal(tracker, before);
        if (err == SPN_E_NOMEM) {
            assert_int_equal(tracker->count, count);
            assert_int_equal(tracker_check(tracker, real(i), 0), TRACKER_NEW);
            for (size_t old = i - count; old < i; old++)
                assert_int_equal(tracker_check(tracker, real(old), 0), TRACKER_DUPLICATE);
            assert_int_equal(tracker_add(&tracker, real(i), 0), SPN_OK);
        } else {
            assert_int_equal(err, SPN_OK);
        }
    }
    tracker_free(tracker);
    tracker_free(NULL);
}

/* -- fingerprints and tags --------------------------------------------------------------------- */

static void fingerprints(void **state)
{
    (void)state;
    struct spn_bytes id = TEXT("a");
    struct spn_bytes other = TEXT("b");
    assert_true(same(fingerprint_of(id, secret), fingerprint_of(id, secret)));
    assert_false(same(fingerprint_of(id, secret), fingerprint_of(other, secret)));
    assert_int_not_equal(fingerprint_of(id, secret).low, fingerprint_of(id, other_secret).low);
    /* All 72 bits say something: over 64 ids each is set at least once and clear at least once. */
    uint64_t low_or = 0, low_and = UINT64_MAX;
    unsigned high_or = 0, high_and = 0xff;
    for (size_t i = 0; i < 64; i++) {
        struct fingerprint print = real(i);
        low_or |= print.low;
        low_and &= print.low;
        high_or |= print.high;
        high_and &= print.high;
    }
    assert_true(low_or == UINT64_MAX && low_and == 0 && high_or == 0xff && high_and == 0);
}

static void tags(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        const char *type;
    } contents[] = {{"a", ""}, {"b", ""}, {"a", "x"}, {"a", "y"}, {"b", "x"}, {"", ""}, {"", "a"}};
    for (size_t i = 0; i < COUNT(contents); i++)
        for (size_t j = 0; j < COUNT(contents); j++) {
            uint32_t tag[2];
            const size_t pair[2] = {i, j};
            for (size_t k = 0; k < 2; k++) {
                const char *data = contents[pair[k]].data;
                const char *type = contents[pair[k]].type;
                tag[k] = fingerprint_tag((struct spn_bytes){data, strlen(data)},
                                         (struct spn_bytes){type, strlen(type)}, secret);
            }
            assert_int_equal(tag[0] == tag[1], i == j);
        }
}

/* An event that closes is another one than the same without that, or for another reason. */
static void tags_of_closing_events(void **state)
{
    (void)state;
    static const struct spn_bytes none = {NULL, 0};
    static const struct spn_bytes reasons[] = {{"", 0}, TEXT("error"), TEXT("done")};
    uint32_t tag = fingerprint_tag(chat, none, secret);
    struct record_entry entry = {.kind = RECORD_EVENT, .data = chat};
    assert_int_equal(fingerprint_tag_of(&entry, secret), tag);
    entry.closes = true;
    for (size_t i = 0; i < COUNT(reasons); i++) {
        entry.reason = reasons[i];
        uint32_t closing = fingerprint_closing(tag, reasons[i], secret);
        assert_int_not_equal(closing, tag);
        assert_int_equal(fingerprint_tag_of(&entry, secret), closing);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(closing, fingerprint_closing(tag, reasons[j], secret));
    }
}

/* Tags that agree in their upper or their lower half tell two contents apart all the same. */
static void one_conflict_in_65536_was_taken_for_a_duplicate(void **state)
{
    (void)state;
    struct tracker *tracker = tracker_new(chat, TRACKER_WINDOW_DEFAULT);
    assert_non_null(tracker);
    assert_int_equal(tracker_add(&tracker, real(1), 0x12345678), SPN_OK);
    assert_int_equal(tracker_check(tracker, real(1), 0x12345678), TRACKER_DUPLICATE);
    assert_int_equal(tracker_check(tracker, real(1), 0x12340000), TRACKER_CONFLICT);
    assert_int_equal(tracker_check(tracker, real(1), 0x00005678), TRACKER_CONFLICT);
    tracker_free(tracker);
}

/* The first pair has the same upper 16 bits without a key; which pairs do, the secret decides. */
static void tags_are_keyed(void **state)
{
    (void)state;
    static const struct spn_bytes type = {NULL, 0};
    static const struct spn_bytes pair[2] = {TEXT("{\"n\":36881}"),
                                             TEXT("{\"n\":1002228329181406191}")};
    assert_int_equal(record_hash(pair[0]) >> 48, record_hash(pair[1]) >> 48);
    assert_int_not_equal(fingerprint_tag(pair[0], type, secret),
                         fingerprint_tag(pair[1], type, secret));
    assert_int_not_equal(fingerprint_tag(pair[0], type, secret),
                         fingerprint_tag(pair[0], type, other_secret));
    static const struct spn_bytes large = {fill_of_a_page, sizeof(fill_of_a_page)};
    assert_int_not_equal(fingerprint_tag(large, type, secret),
                         fingerprint_tag(large, type, other_secret));
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        {"one conflict in 65,536 was taken for a duplicate",
         one_conflict_in_65536_was_taken_for_a_duplicate, NULL, NULL, NULL},
        {"tags of closing events", tags_of_closing_events, NULL, NULL, NULL},
        {"tags are keyed", tags_are_keyed, NULL, NULL, NULL},
        {"the oldest leaves first", leaves_in_order, NULL, NULL, NULL},
        {"size of a full window", size_of_a_full_window, NULL, NULL, NULL},
        {"names of every size", names_of_every_size, NULL, NULL, NULL},
        {"without memory", without_memory, NULL, NULL, NULL},
        {"fingerprints", fingerprints, NULL, NULL, NULL},
        {"tags", tags, NULL, NULL, NULL},
        {"markers give way to events", markers_give_way_to_events, NULL, NULL, NULL},
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t s = 0; s < COUNT(shapes); s++)
        for (size_t w = 0; w < COUNT(windows); w++) {
            size_t at = s * COUNT(windows) + w;
            struct row *row = &rows[at];
            *row = (struct row){.shape = &shapes[s], .window_max = windows[w]};
            (void)snprintf(row->name, sizeof(row->name), "window %u, %s", windows[w],
                           shapes[s].name);
            tests[COUNT(plain) + at] =
                (struct CMUnitTest){row->name, against_a_list, NULL, NULL, row};
        }
    return _cmocka_run_group_tests("tracker", tests, COUNT(tests), NULL, NULL);
}
