/* SPDX-License-Identifier: Apache-2.0 */
/* test_client_publish_with: what a producer sends of conditions, closes, attributes and touches,
 * and what it does not send. The other end is a fake sidecar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fake_sidecar.h"
#include "producer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DEADLINE_NS UINT64_C(10000000000)

static struct fake fake;
static spn_client *client;
static spn_producer *producer;

static void pump(void)
{
    (void)fake_step(&fake, 1);
    assert_int_equal(spn_client_step(client), SPN_OK);
}

#define until(condition)                                                                           \
    do {                                                                                           \
        uint64_t give_up_ns = fake_now() + DEADLINE_NS;                                            \
        while (!(condition)) {                                                                     \
            if (fake_now() > give_up_ns)                                                           \
                fail_msg("not in time: %s", #condition);                                           \
            pump();                                                                                \
        }                                                                                          \
    } while (0)

static void open_with(spn_level level, bool latest_only)
{
    char detail[256];
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    struct spn_producer_options of = spn_producer_defaults();
    of.level = level;
    of.latest_only = latest_only;
    fake_begin(&fake);
    assert_int_equal(client_open(&client, &options, 5000, fake_now, detail, sizeof(detail)),
                     SPN_OK);
    assert_int_equal(spn_producer_open(&producer, client, &of, 5000), SPN_OK);
    fake_end(&fake);
}

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    open_with(SPN_DURABLE, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (producer != NULL)
        (void)spn_producer_close(producer, 0, NULL);
    spn_client_close(client);
    fake_close(&fake);
    producer = NULL;
    client = NULL;
    return 0;
}

static uint64_t received_up_to(void)
{
    uint64_t last = 0;
    for (size_t i = 0; i < fake.batch_count; i++)
        last = fake.batches[i].head.first + fake.batches[i].head.count - 1;
    return last;
}

static const struct wire_batch *head_of(uint64_t number, uint32_t *ret_index)
{
    for (size_t i = fake.batch_count; i > 0; i--) {
        const struct wire_batch *head = &fake.batches[i - 1].head;
        if (number < head->first || number - head->first >= head->count)
            continue;
        *ret_index = (uint32_t)(i - 1);
        return head;
    }
    fail_msg("number %llu was not sent", (unsigned long long)number);
    return NULL;
}

static struct wire_entry entry_of(uint64_t number)
{
    uint32_t batch;
    const struct wire_batch *head = head_of(number, &batch);
    return fake_entry(&fake, batch, (uint32_t)(number - head->first));
}

static uint64_t base_of(uint64_t number)
{
    uint32_t batch;
    return head_of(number, &batch)->base;
}

static const struct spn_life life = {{1, 2, 3}};
static const struct spn_life no_life;

static spn_err with(const struct spn_publish_options *options, uint64_t *ret_ticket)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.data = spn_text("x");
    return spn_publish_with(producer, spn_text("s"), &event, options, ret_ticket);
}

static uint64_t plain(void)
{
    uint64_t ticket = 0;
    assert_int_equal(with(NULL, &ticket), SPN_OK);
    return ticket;
}

static void send_all(uint64_t last)
{
    spn_err err = spn_producer_flush(producer, 0);
    (void)err;
    until(received_up_to() >= last);
}

/* -- what is sent ------------------------------------------------------------------------------ */

#define SIZE .size = sizeof(struct spn_publish_options)

static const struct sent_row {
    const char *name;
    struct spn_publish_options options;
    uint8_t flags;
} sent_rows[] = {
    {"nothing", {SIZE}, 0},
    {"new", {SIZE, .if_new = true}, WIRE_FLAG_NEW},
    {"a seq", {SIZE, .has_if_seq = true, .if_seq = 7}, WIRE_FLAG_SEQ},
    {"seq 0", {SIZE, .has_if_seq = true}, WIRE_FLAG_SEQ},
    {"a seq that is not asked for", {SIZE, .if_seq = 7}, 0},
    {"a life", {SIZE, .life = &life}, WIRE_FLAG_LIFE},
    {"a life and a seq",
     {SIZE, .life = &life, .has_if_seq = true, .if_seq = 7},
     WIRE_FLAG_LIFE | WIRE_FLAG_SEQ},
    {"a ticket", {SIZE, .dependent = 1}, WIRE_FLAG_DEPENDS},
    {"it closes", {SIZE, .closes = true, .reason = {"error", 5}}, WIRE_FLAG_CLOSES},
    {"it closes without a reason", {SIZE, .closes = true}, WIRE_FLAG_CLOSES},
    {"a reason and no close", {SIZE, .reason = {"error", 5}}, 0},
    {"everything",
     {SIZE, .life = &life, .has_if_seq = true, .if_seq = 7, .dependent = 1, .closes = true,
      .reason = {"error", 5}},
     WIRE_FLAG_LIFE | WIRE_FLAG_SEQ | WIRE_FLAG_DEPENDS | WIRE_FLAG_CLOSES},
};

static void expect_entry(uint64_t number, const struct sent_row *row, uint8_t kind, uint8_t flags)
{
    struct wire_entry entry = entry_of(number);
    assert_int_equal(entry.kind, kind);
    assert_int_equal(entry.flags, flags);
    if (flags & WIRE_FLAG_SEQ)
        assert_int_equal(entry.seq, row->options.if_seq);
    if (flags & WIRE_FLAG_LIFE)
        assert_true(wire_same_life(entry.life, life));
    if (flags & WIRE_FLAG_DEPENDS)
        assert_int_equal(entry.depends, row->options.dependent);
    if (flags & WIRE_FLAG_CLOSES)
        assert_int_equal(entry.reason.size, row->options.reason.size);
}

static void sent(void **state)
{
    const struct sent_row *row = *state;
    const struct spn_attributes attributes = {.size = sizeof(attributes),
                                              .ttl_ms = 5,
                                              .idle_close_ms = 6,
                                              .content_type = {"a/b", 3},
                                              .note = {"note", 4}};
    uint8_t conditions = row->flags & (uint8_t)~WIRE_FLAG_CLOSES;
    uint64_t ticket;
    setup(NULL);
    assert_int_equal(plain(), 1);
    assert_int_equal(with(&row->options, &ticket), SPN_OK);
    assert_int_equal(ticket, 2);
    assert_int_equal(spn_session_close_with(producer, spn_text("s"), &row->options, NULL), SPN_OK);
    assert_int_equal(spn_session_delete_with(producer, spn_text("s"), &row->options, NULL), SPN_OK);
    assert_int_equal(spn_session_touch(producer, spn_text("s"), &row->options, NULL), SPN_OK);
    assert_int_equal(spn_session_set(producer, spn_text("s"), &attributes, &row->options, NULL),
                     SPN_OK);
    send_all(6);
    expect_entry(2, row, WIRE_EVENT, row->flags);
    expect_entry(3, row, WIRE_CLOSE, conditions | WIRE_FLAG_CLOSES);
    expect_entry(4, row, WIRE_DELETE, conditions);
    expect_entry(5, row, WIRE_TOUCH, conditions);
    expect_entry(6, row, WIRE_ATTRIBUTES, conditions);
    struct wire_attributes put;
    struct wire_entry entry = entry_of(6);
    struct wire_in in = wire_in(entry.data.data, entry.data.size);
    wire_get_attributes(&in, &put);
    assert_true(wire_in_done(&in));
    assert_int_equal(put.ttl_ms, 5);
    assert_int_equal(put.idle_close_ms, 6);
    assert_memory_equal(put.content_type.data, "a/b", 3);
    assert_memory_equal(put.note.data, "note", 4);
    teardown(NULL);
}

static void a_note_goes_with_its_event(void **state)
{
    (void)state;
    struct spn_event event = SPN_EVENT_INIT;
    event.note = spn_text("mine");
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_OK);
    send_all(1);
    assert_int_equal(entry_of(1).flags, WIRE_FLAG_NOTE);
    assert_memory_equal(entry_of(1).note.data, "mine", 4);
    static const char large[WIRE_NOTE_MAX + 1];
    event.note = (struct spn_bytes){large, sizeof(large)};
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_E_BAD_NOTE);
}

/* -- what is not sent -------------------------------------------------------------------------- */

static const struct bad_row {
    const char *name;
    struct spn_publish_options options;
    spn_err err;
    spn_level level;
    bool latest_only;
} bad_rows[] = {
    {"no size", {.if_new = true}, SPN_E_INVALID, SPN_DURABLE, false},
    {"new and a life", {SIZE, .if_new = true, .life = &life}, SPN_E_INVALID, SPN_DURABLE, false},
    {"new and a seq",
     {SIZE, .if_new = true, .has_if_seq = true},
     SPN_E_INVALID,
     SPN_DURABLE,
     false},
    {"a life of zeros", {SIZE, .life = &no_life}, SPN_E_INVALID, SPN_DURABLE, false},
    {"its own ticket", {SIZE, .dependent = 2}, SPN_E_INVALID, SPN_DURABLE, false},
    {"a later ticket", {SIZE, .dependent = 3}, SPN_E_INVALID, SPN_DURABLE, false},
    {"a ticket with level none", {SIZE, .dependent = 1}, SPN_E_INVALID, SPN_NONE, false},
    {"a ticket with latest only", {SIZE, .dependent = 1}, SPN_E_INVALID, SPN_DURABLE, true},
    {"the reason of the sidecar",
     {SIZE, .closes = true, .reason = {"idle", 4}},
     SPN_E_BAD_REASON,
     SPN_DURABLE,
     false},
    {"a reason with a line",
     {SIZE, .closes = true, .reason = {"a\nb", 3}},
     SPN_E_BAD_REASON,
     SPN_DURABLE,
     false},
};

static void not_sent(void **state)
{
    const struct bad_row *row = *state;
    fake_open(&fake);
    open_with(row->level, row->latest_only);
    (void)plain();
    assert_int_equal(with(&row->options, NULL), row->err);
    assert_int_equal(spn_producer_counters(producer)->taken, 1);
    teardown(NULL);
}

static void bad_attributes(void **state)
{
    (void)state;
    static const char large[WIRE_SESSION_NOTE_MAX + 1];
    static const struct spn_attributes rows[] = {
        {.size = sizeof(rows[0]), .ttl_ms = SPN_SPAN_MS_MAX + 1},
        {.size = sizeof(rows[0]), .idle_close_ms = SPN_SPAN_MS_MAX + 1},
        {.size = sizeof(rows[0]), .content_type = {"a\nb", 3}},
        {.size = sizeof(rows[0]), .content_type = {large, 256}},
        {.size = sizeof(rows[0]), .content_type = {NULL, 1}},
        {.size = sizeof(rows[0]), .note = {large, sizeof(large)}},
        {.size = sizeof(rows[0]), .note = {NULL, 1}},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(spn_session_set(producer, spn_text("s"), &rows[i], NULL, NULL),
                         SPN_E_BAD_ATTRIBUTES);
    assert_int_equal(spn_session_set(producer, spn_text("s"), NULL, NULL, NULL), SPN_E_INVALID);
    assert_int_equal(spn_session_set(producer, spn_text(""),
                                     &(struct spn_attributes){.size = sizeof(rows[0])}, NULL, NULL),
                     SPN_E_BAD_SESSION);
    assert_int_equal(spn_producer_counters(producer)->taken, 0);
}

/* -- what something depends on ----------------------------------------------------------------- */

static struct spn_publish_options on(uint64_t ticket)
{
    return (struct spn_publish_options){SIZE, .dependent = ticket};
}

static uint64_t depend_on(uint64_t ticket)
{
    uint64_t own = 0;
    const struct spn_publish_options options = on(ticket);
    assert_int_equal(with(&options, &own), SPN_OK);
    return own;
}

/* As long as something depends on a number, the sidecar keeps its result. */
static void the_base_stays_below(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        (void)plain();
    assert_int_equal(depend_on(3), 6);
    send_all(6);
    fake_ack(&fake, 0, 5, WIRE_DURABLE, NULL, 0);
    until(spn_producer_counters(producer)->stored == 5);
    (void)plain();
    send_all(7);
    assert_int_equal(base_of(7), 3);
    fake_ack(&fake, 5, 7, WIRE_DURABLE, NULL, 0);
    until(spn_producer_counters(producer)->stored == 7);
    (void)plain();
    send_all(8);
    assert_int_equal(base_of(8), 8);
}

/* Once the library knows the result, it decides; the app may not know it yet. */
static void a_result_that_is_known(void **state)
{
    (void)state;
    const struct spn_ack *ack;
    const struct wire_run run = {
        .first = 2, .count = 1, .result = WIRE_REFUSED, .code = SPN_E_CONDITION};
    (void)plain();
    (void)plain();
    (void)plain();
    send_all(3);
    fake_ack(&fake, 0, 3, WIRE_DURABLE, &run, 1);
    until(spn_producer_counters(producer)->refused == 1);
    assert_int_equal(depend_on(1), 4);
    assert_int_equal(depend_on(2), 5);
    send_all(5);
    assert_int_equal(entry_of(4).flags, 0);
    assert_int_equal(entry_of(5).flags, WIRE_FLAG_DEPENDS);
    assert_int_equal(entry_of(5).depends, 2);
    assert_int_equal(spn_producer_wait(producer, 3, 0, &ack), SPN_OK);
    const struct spn_publish_options options = on(3);
    assert_int_equal(with(&options, NULL), SPN_E_INVALID); /* the app has it */
}

static void too_far_back(void **state)
{
    (void)state;
    struct spn_publish_options options = on(1);
    for (int i = 0; i < DEPENDS_DISTANCE_MAX; i++)
        (void)plain();
    assert_int_equal(with(&options, NULL), SPN_OK);
    options = on(1);
    assert_int_equal(with(&options, NULL), SPN_E_INVALID);
    options = on(2);
    assert_int_equal(with(&options, NULL), SPN_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest plain_tests[] = {
        TEST(a_note_goes_with_its_event), TEST(bad_attributes), TEST(the_base_stays_below),
        TEST(a_result_that_is_known),     TEST(too_far_back),
    };
    static struct CMUnitTest tests[COUNT(plain_tests) + COUNT(sent_rows) + COUNT(bad_rows)];
    size_t count = 0;
    for (; count < COUNT(plain_tests); count++)
        tests[count] = plain_tests[count];
    for (size_t i = 0; i < COUNT(sent_rows); i++)
        tests[count++] = (struct CMUnitTest){sent_rows[i].name, sent, NULL, NULL,
                                             (void *)(uintptr_t)&sent_rows[i]};
    for (size_t i = 0; i < COUNT(bad_rows); i++)
        tests[count++] = (struct CMUnitTest){bad_rows[i].name, not_sent, NULL, NULL,
                                             (void *)(uintptr_t)&bad_rows[i]};
    return _cmocka_run_group_tests("publish_with", tests, count, NULL, NULL);
}
