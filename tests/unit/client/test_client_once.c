/* SPDX-License-Identifier: Apache-2.0 */
/* One-shots of a client, against a fake sidecar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "fake_sidecar.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { WAIT_MS = 5000, SILENCE_MS = 1500 };

static struct fake fake;
static spn_client *client;
static const struct spn_published *published;

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    fake_begin(&fake);
    assert_int_equal(spn_client_open(&client, &options, WAIT_MS, NULL, 0), SPN_OK);
    published = NULL;
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

static struct spn_event event_of(const char *id, const char *data)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.id = spn_text(id);
    event.data = spn_text(data);
    return event;
}

static spn_err publish(const char *id, int timeout_ms)
{
    const struct spn_event event = event_of(id, "data");
    return spn_publish_once(client, spn_text("s"), &event, SPN_DURABLE, timeout_ms, &published);
}

/* -- answers ----------------------------------------------------------------------------------- */

static const struct row {
    const char *name;
    struct wire_published is;
} rows[] = {
    {"stored", {.seq = 4, .position = 104, .life = {{1, 2, 3}}}},
    {"duplicate", {.result = WIRE_DUPLICATE, .seq = 2, .position = 99, .life = {{1}}}},
    {"conflict", {.result = WIRE_CONFLICT, .seq = 2, .life = {{1}}}},
    {"refused",
     {.result = WIRE_REFUSED,
      .code = SPN_E_CLOSED,
      .state = WIRE_SESSION_CLOSED,
      .seq = 9,
      .life = {{1}}}},
    {"refused, with a code of a later version", {.result = WIRE_REFUSED, .code = 900}},
};

static void answer(void **argument)
{
    const struct row *row = *argument;
    assert_int_equal(setup(NULL), 0);
    fake_end(&fake);
    fake.published = row->is;
    fake_begin(&fake);
    assert_int_equal(publish("a1", WAIT_MS), SPN_OK);
    assert_int_equal(published->result, row->is.result);
    if (row->is.code == 900)
        assert_int_not_equal(published->code, SPN_OK);
    else
        assert_int_equal(published->code, row->is.code);
    assert_int_equal(published->state, row->is.state);
    assert_int_equal(published->seq, row->is.seq);
    assert_int_equal(published->position, row->is.position);
    assert_memory_equal(&published->life, &row->is.life, sizeof(published->life));
    assert_int_equal(published->id.size, 2);
    assert_memory_equal(published->id.data, "a1", 2);
    assert_int_equal(fake.publishes, 1);
    teardown(NULL);
}

/* -- entries ----------------------------------------------------------------------------------- */

static struct wire_publish sent(void)
{
    struct wire_publish publish;
    struct wire_in in = wire_in(fake.publish, fake.publish_size);
    wire_get_publish(&in, &publish);
    assert_true(wire_in_done(&in));
    return publish;
}

static void an_event_is_sent_as_it_is(void **state)
{
    (void)state;
    struct spn_event event = event_of("id", "data");
    event.type = spn_text("type");
    event.retry_ms = 7;
    assert_int_equal(
        spn_publish_once(client, spn_text("chat"), &event, SPN_ACCEPTED, WAIT_MS, &published),
        SPN_OK);
    struct wire_publish publish = sent();
    assert_int_equal(publish.level, WIRE_ACCEPTED);
    assert_int_equal(publish.entry.kind, WIRE_EVENT);
    assert_memory_equal(publish.entry.session.data, "chat", 4);
    assert_memory_equal(publish.entry.type.data, "type", 4);
    assert_memory_equal(publish.entry.data.data, "data", 4);
    assert_int_equal(publish.entry.retry_ms, 7);
}

static void ends_are_durable_and_may_name_a_life(void **state)
{
    (void)state;
    const struct spn_life life = {{5}};
    assert_int_equal(spn_close_once(client, spn_text("s"), NULL, WAIT_MS, &published), SPN_OK);
    assert_int_equal(sent().entry.kind, WIRE_CLOSE);
    assert_int_equal(sent().entry.flags, WIRE_FLAG_CLOSES);
    assert_int_equal(sent().level, WIRE_DURABLE);
    assert_int_equal(spn_delete_once(client, spn_text("s"), &life, WAIT_MS, &published), SPN_OK);
    assert_int_equal(sent().entry.kind, WIRE_DELETE);
    assert_int_equal(sent().entry.flags, WIRE_FLAG_LIFE);
    assert_true(wire_same_life(sent().entry.life, life));
}

/* The id that was lent is good to publish with again. */
static void an_answers_id_again(void **state)
{
    (void)state;
    assert_int_equal(publish("a1", WAIT_MS), SPN_OK);
    struct spn_event event = event_of("", "x");
    event.id = published->id;
    assert_int_equal(
        spn_publish_once(client, spn_text("s"), &event, SPN_DURABLE, WAIT_MS, &published), SPN_OK);
    assert_memory_equal(published->id.data, "a1", 2);
}

static void what_cannot_be_sent_is_refused_here(void **state)
{
    (void)state;
    const struct spn_life none = {{0}};
    const struct spn_event event = event_of("a", "x");
    struct spn_event marker = event_of("a", "x");
    marker.kind = SPN_MARKER;
    assert_int_equal(publish("", 0), SPN_E_BAD_ID);
    assert_int_equal(publish("a\n", 0), SPN_E_BAD_ID);
    assert_int_equal(spn_publish_once(client, spn_text(""), &event, SPN_DURABLE, 0, &published),
                     SPN_E_BAD_SESSION);
    assert_int_equal(spn_publish_once(client, spn_text("s"), &event, SPN_NONE, 0, &published),
                     SPN_E_INVALID);
    assert_int_equal(spn_publish_once(client, spn_text("s"), &marker, SPN_DURABLE, 0, &published),
                     SPN_E_INVALID);
    assert_int_equal(spn_publish_once(client, spn_text("s"), NULL, SPN_DURABLE, 0, &published),
                     SPN_E_INVALID);
    assert_int_equal(spn_publish_once(client, spn_text("s"), &event, SPN_DURABLE, 0, NULL),
                     SPN_E_INVALID);
    assert_int_equal(spn_publish_once(NULL, spn_text("s"), &event, SPN_DURABLE, 0, &published),
                     SPN_E_INVALID);
    assert_int_equal(spn_close_once(client, spn_text(""), NULL, 0, &published), SPN_E_BAD_SESSION);
    assert_int_equal(spn_delete_once(client, spn_text("s"), &none, 0, &published), SPN_E_INVALID);
    assert_null(published);
    assert_int_equal(fake.publishes, 0);
}

/* -- without waiting --------------------------------------------------------------------------- */

enum { MANY = 1000, TAKEN = 300 };

static spn_question *questions[MANY];

static void ask(size_t i)
{
    char id[16];
    snprintf(id, sizeof(id), "%zu", i);
    const struct spn_event event = event_of(id, "data");
    assert_int_equal(spn_ask_publish(&questions[i], client, spn_text("s"), &event, SPN_DURABLE),
                     SPN_OK);
}

static void ask_many(void)
{
    for (size_t i = 0; i < MANY; i++)
        ask(i);
}

static void many_are_answered(void **state)
{
    (void)state;
    ask_many();
    for (size_t i = 0; i < MANY; i++) {
        spn_question *question;
        char id[16];
        assert_int_equal(spn_next_answered(client, WAIT_MS, &question), SPN_OK);
        assert_int_equal(spn_answer_published(question, &published), SPN_OK);
        size_t size = (size_t)snprintf(id, sizeof(id), "%zu", i);
        assert_ptr_equal(question, questions[i]);
        assert_int_equal(published->id.size, size);
        assert_memory_equal(published->id.data, id, size);
        spn_question_close(question);
    }
    assert_int_equal(fake.publishes, MANY);
}

/* Some are answered, some are on the wire, most wait in the library; nothing of them leaks. */
static void many_are_under_way_at_the_close(void **state)
{
    (void)state;
    ask_many();
    for (size_t i = 0; i < TAKEN; i++) {
        spn_question *question;
        assert_int_equal(spn_next_answered(client, WAIT_MS, &question), SPN_OK);
        if (i % 2 == 0)
            spn_question_close(question);
    }
    fake_end(&fake);
    fake.deaf = true;
    fake_begin(&fake);
    assert_int_equal(spn_client_step(client), SPN_OK);
}

static void ends_are_asked_for(void **state)
{
    (void)state;
    spn_question *question;
    assert_int_equal(spn_ask_close(&question, client, spn_text("s"), NULL), SPN_OK);
    assert_int_equal(spn_next_answered(client, WAIT_MS, &question), SPN_OK);
    assert_int_equal(spn_answer_published(question, &published), SPN_OK);
    assert_int_equal(sent().entry.kind, WIRE_CLOSE);
    spn_question_close(question);
    assert_int_equal(spn_ask_delete(&question, client, spn_text("s"), NULL), SPN_OK);
    assert_int_equal(spn_next_answered(client, WAIT_MS, &question), SPN_OK);
    assert_int_equal(sent().entry.kind, WIRE_DELETE);
    const struct spn_last *last;
    assert_int_equal(spn_answer_last(question, &last), SPN_E_INVALID);
    spn_question_close(question);
}

/* What the one socket does not take keeps nothing from the other. */
static void a_sidecar_that_takes_no_one_shots_answers_the_rest(void **state)
{
    (void)state;
    const struct spn_health *health;
    fake_end(&fake);
    fake.deaf_ingest = true;
    fake_begin(&fake);
    ask_many();
    assert_int_equal(spn_get_health(client, WAIT_MS, &health), SPN_OK);
}

/* -- errors and silence ------------------------------------------------------------------------ */

/* The first answers are lost, and nothing tells how far the entry got: it is sent again as it was.
 */
static void silence_is_answered_by_the_same_entry(void **state)
{
    (void)state;
    fake_end(&fake);
    fake.deaf = true;
    fake_begin(&fake);
    assert_int_equal(publish("a1", SILENCE_MS), SPN_E_TIMEOUT);
    fake_end(&fake);
    assert_true(fake.publishes >= 2);
    fake.deaf = false;
    fake.published = (struct wire_published){.result = WIRE_DUPLICATE, .seq = 1};
    fake_begin(&fake);
    assert_int_equal(publish("a1", WAIT_MS), SPN_OK);
    assert_int_equal(published->result, SPN_DUPLICATE);
    assert_int_equal(fake.publish_changes, 1);
}

static void a_new_connection_gets_it_again(void **state)
{
    (void)state;
    fake_end(&fake);
    fake.deaf = true;
    fake_begin(&fake);
    assert_int_equal(publish("a1", 100), SPN_E_TIMEOUT);
    fake_end(&fake);
    fake_stop(&fake);
    fake.deaf = false;
    fake_start(&fake);
    fake_begin(&fake);
    assert_int_equal(publish("a1", WAIT_MS), SPN_OK);
    assert_int_equal(fake.publish_changes, 1);
}

/* Steps both until the body of the last PUBLISH has so many bytes. */
static void until_publish_of(size_t at_least, size_t at_most)
{
    uint64_t give_up_ns = client_monotonic_ns() + WAIT_MS * UINT64_C(1000000);
    while (fake.publish_size < at_least || fake.publish_size > at_most) {
        assert_true(client_monotonic_ns() < give_up_ns);
        (void)fake_step(&fake, 1);
        assert_int_equal(spn_client_step(client), SPN_OK);
    }
}

/* See too_large.h. The sidecar with the lower limit puts it off until it has seen it cut short. */
static void event_over_a_lowered_limit_is_sent_in_part(void **state)
{
    (void)state;
    spn_question *question;
    struct spn_event event = event_of("large", "");
    size_t size = 2 * WIRE_BATCH_BYTES_MAX;
    char *data = malloc(size);
    assert_non_null(data);
    memset(data, 'x', size);
    event.data = (struct spn_bytes){data, size};
    fake_end(&fake);
    fake.read_err = SPN_E_STOPPING;
    assert_int_equal(spn_ask_publish(&question, client, spn_text("s"), &event, SPN_DURABLE),
                     SPN_OK);
    free(data);
    until_publish_of(size, SIZE_MAX);
    fake.data_max = 1000;
    fake_stop(&fake);
    fake_start(&fake);
    until_publish_of(1, 1100);
    assert_int_equal(sent().entry.data.size, 1001);
    assert_int_equal(sent().entry.id.size, 5);
    fake.read_err = SPN_OK;
    fake.published = (struct wire_published){.result = WIRE_REFUSED, .code = SPN_E_EVENT_TOO_LARGE};
    fake_begin(&fake);
    assert_int_equal(question_wait(question, client_monotonic_ns() + WAIT_MS * UINT64_C(1000000)),
                     SPN_OK);
    assert_int_equal(spn_answer_published(question, &published), SPN_OK);
    assert_int_equal(published->code, SPN_E_EVENT_TOO_LARGE);
    spn_question_close(question);
}

static const struct err_row {
    const char *name;
    spn_err code;
    unsigned count;
    spn_err is;
} err_rows[] = {
    {"a sidecar that stops: later", SPN_E_STOPPING, 2, SPN_OK},
    {"a full sidecar: later", SPN_E_BACKPRESSURE, 2, SPN_OK},
    {"too many of this user", SPN_E_LIMIT, 0, SPN_E_LIMIT},
    {"not offered", SPN_E_UNSUPPORTED, 0, SPN_E_UNSUPPORTED},
    {"the other socket", SPN_E_DENIED, 0, SPN_E_DENIED},
};

static void error(void **argument)
{
    const struct err_row *row = *argument;
    assert_int_equal(setup(NULL), 0);
    fake_end(&fake);
    fake.read_err = row->code;
    fake.err_count = row->count;
    fake_begin(&fake);
    assert_int_equal(publish("a1", WAIT_MS), row->is);
    assert_int_equal(fake.publishes, row->is == SPN_OK ? row->count + 1 : 1);
    if (row->is != SPN_OK)
        assert_non_null(strstr(spn_client_detail(client), "as told"));
    teardown(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest plain[] = {
        TEST(an_event_is_sent_as_it_is),
        TEST(ends_are_durable_and_may_name_a_life),
        TEST(an_answers_id_again),
        TEST(what_cannot_be_sent_is_refused_here),
        TEST(many_are_answered),
        TEST(many_are_under_way_at_the_close),
        TEST(ends_are_asked_for),
        TEST(a_sidecar_that_takes_no_one_shots_answers_the_rest),
        TEST(silence_is_answered_by_the_same_entry),
        TEST(a_new_connection_gets_it_again),
        TEST(event_over_a_lowered_limit_is_sent_in_part),
    };
    static struct CMUnitTest tests[COUNT(plain) + COUNT(rows) + COUNT(err_rows)];
    size_t count = COUNT(plain);
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[count++] =
            (struct CMUnitTest){rows[i].name, answer, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < COUNT(err_rows); i++)
        tests[count++] = (struct CMUnitTest){err_rows[i].name, error, NULL, NULL,
                                             (void *)(uintptr_t)&err_rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
