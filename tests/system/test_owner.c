/* SPDX-License-Identifier: Apache-2.0 */
/* test_owner: streams with an owner, against the daemon: who is first wins, an event ends its
 * session, attributes are kept, sessions end by themselves. Also across kill -9. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "sponson.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OPTIONS .size = sizeof(struct spn_publish_options)

enum { OK, FAILURE, USAGE, NOT_FOUND, PRODUCERS = 4, RACES = 50 };

static spn_client *open_client(void)
{
    spn_client *client;
    char detail[256];
    spn_err err = spn_client_open(&client, NULL, STAGE_WAIT_MS, detail, sizeof(detail));
    if (err != SPN_OK)
        fail_msg("%s: %s", spn_err_name(err), detail);
    return client;
}

static spn_producer *open_producer(spn_client *client, spn_level level)
{
    spn_producer *producer;
    struct spn_producer_options options = spn_producer_defaults();
    options.level = level;
    assert_int_equal(spn_producer_open(&producer, client, &options, STAGE_WAIT_MS), SPN_OK);
    return producer;
}

static void close_all(spn_client *client, spn_producer *producer)
{
    assert_int_equal(spn_producer_close(producer, STAGE_WAIT_MS, NULL), SPN_OK);
    spn_client_close(client);
}

static uint64_t publish(spn_producer *producer, const char *session, const char *data,
                        const struct spn_publish_options *options)
{
    uint64_t ticket;
    struct spn_event event = SPN_EVENT_INIT;
    event.data = spn_text(data);
    assert_int_equal(spn_publish_with(producer, spn_text(session), &event, options, &ticket),
                     SPN_OK);
    return ticket;
}

static void expect_result(spn_producer *producer, uint64_t ticket, spn_result result, spn_err code)
{
    const struct spn_ack *ack;
    assert_int_equal(spn_producer_wait(producer, ticket, STAGE_WAIT_MS, &ack), SPN_OK);
    assert_int_equal(ack->result, result);
    assert_int_equal(ack->code, code);
}

static const char *info(struct stage *stage, const char *session)
{
    struct outcome done = stage_run(stage, "info", session, "--json");
    stage_expect_code(&done, OK);
    return done.out;
}

static void expect_text(struct stage *stage, const char *session, const char *key,
                        const char *value)
{
    char *found = stage_keep(stage, event_json_string(info(stage, session), key));
    assert_string_equal(found, value);
}

/* -- who is first ------------------------------------------------------------------------------ */

/* Each of several producers wants to open each session, and to continue it. One does. */
static void one_wins(struct stage *stage)
{
    spn_client *clients[PRODUCERS];
    spn_producer *producers[PRODUCERS];
    char session[32];
    char data[32];
    stage_start(stage, NULL);
    for (size_t i = 0; i < PRODUCERS; i++) {
        clients[i] = open_client();
        producers[i] = open_producer(clients[i], i % 2 ? SPN_DURABLE : SPN_ACCEPTED);
    }
    for (uint64_t seq = 0; seq < 3; seq++)
        for (int race = 0; race < RACES; race++) {
            uint64_t tickets[PRODUCERS];
            int won = 0;
            (void)snprintf(session, sizeof(session), "race-%d", race);
            const struct spn_publish_options options = {OPTIONS, .if_new = seq == 0,
                                                        .has_if_seq = seq > 0, .if_seq = seq};
            for (size_t i = 0; i < PRODUCERS; i++) {
                (void)snprintf(data, sizeof(data), "%zu", i);
                tickets[i] = publish(producers[i], session, data, &options);
            }
            for (size_t i = 0; i < PRODUCERS; i++) {
                const struct spn_ack *ack;
                assert_int_equal(spn_producer_wait(producers[i], tickets[i], STAGE_WAIT_MS, &ack),
                                 SPN_OK);
                won += ack->result == SPN_STORED;
                if (ack->result != SPN_STORED)
                    assert_int_equal(ack->code, SPN_E_CONDITION);
            }
            assert_int_equal(won, 1);
        }
    assert_int_equal(event_json_number(info(stage, "race-7"), "seq"), 3);
    for (size_t i = 0; i < PRODUCERS; i++)
        close_all(clients[i], producers[i]);
}

/* A loser that did not wait for its result stores nothing. */
static void a_loser_stores_nothing(struct stage *stage)
{
    stage_start(stage, NULL);
    spn_client *client = open_client();
    spn_producer *producer = open_producer(client, SPN_ACCEPTED);
    const struct spn_publish_options first = {OPTIONS, .if_new = true};
    uint64_t ticket = publish(producer, "s", "one", &first);
    expect_result(producer, ticket, SPN_STORED, SPN_OK);
    ticket = publish(producer, "s", "two", &first);
    const struct spn_publish_options then = {OPTIONS, .dependent = ticket};
    uint64_t second = publish(producer, "s", "three", &then);
    uint64_t other = publish(producer, "t", "four", NULL);
    const struct spn_publish_options last = {OPTIONS, .dependent = second};
    uint64_t third = publish(producer, "s", "five", &last);
    expect_result(producer, ticket, SPN_REFUSED, SPN_E_CONDITION);
    expect_result(producer, second, SPN_REFUSED, SPN_E_DEPENDENT);
    expect_result(producer, other, SPN_STORED, SPN_OK);
    expect_result(producer, third, SPN_REFUSED, SPN_E_DEPENDENT);
    assert_int_equal(event_json_number(info(stage, "s"), "seq"), 1);
    close_all(client, producer);
}

/* -- an event that closes ---------------------------------------------------------------------- */

static void expect_end(struct stage *stage, const char *session)
{
    struct outcome done = stage_run(stage, "replay", session, "--format", "jsonl");
    stage_expect_code(&done, OK);
    const char *end = strstr(done.out, "\"closes\":true,\"reason\":\"cancelled\"}");
    assert_non_null(end);
    assert_int_equal(strchr(end, '\n')[1], '\0'); /* the last line */
    assert_non_null(strstr(done.out, "\"note\":\"mine\""));
    expect_text(stage, session, "state", "closed");
    expect_text(stage, session, "reason", "cancelled");
}

static void an_event_closes(struct stage *stage)
{
    struct process *first = stage_start(stage, NULL);
    spn_client *client = open_client();
    spn_producer *producer = open_producer(client, SPN_DURABLE);
    struct spn_event event = SPN_EVENT_INIT;
    event.note = spn_text("mine");
    event.data = spn_text("one");
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_OK);
    const struct spn_publish_options closes = {OPTIONS, .closes = true,
                                               .reason = spn_text("cancelled")};
    expect_result(producer, publish(producer, "s", "two", &closes), SPN_STORED, SPN_OK);
    expect_result(producer, publish(producer, "s", "three", NULL), SPN_REFUSED, SPN_E_CLOSED);
    expect_end(stage, "s");
    process_kill(first);
    struct process *second = stage_start(stage, NULL); /* from the log */
    expect_end(stage, "s");
    assert_int_equal(stage_stop(second), 0);
    stage_start(stage, NULL); /* from the index */
    expect_end(stage, "s");
    expect_result(producer, publish(producer, "s", "three", NULL), SPN_REFUSED, SPN_E_CLOSED);
    close_all(client, producer);
}

/* -- one-shots ----------------------------------------------------------------------------------
 */

static const struct spn_published *once(spn_client *client, const char *id,
                                        const struct spn_publish_options *options)
{
    const struct spn_published *published;
    struct spn_event event = SPN_EVENT_INIT;
    event.id = spn_text(id);
    event.data = spn_text(id);
    assert_int_equal(spn_publish_once_with(client, spn_text("s"), &event, options, SPN_ACCEPTED,
                                           STAGE_WAIT_MS, &published),
                     SPN_OK);
    return published;
}

/* The answer tells a loser what is there. */
static void one_shots_have_conditions(struct stage *stage)
{
    static const struct spn_publish_options new = {OPTIONS, .if_new = true};
    static const struct spn_publish_options second = {OPTIONS, .has_if_seq = true, .if_seq = 1};
    static const struct spn_publish_options depends = {OPTIONS, .dependent = 1};
    const struct spn_published *answer;
    stage_start(stage, NULL);
    spn_client *client = open_client();
    assert_int_equal(once(client, "1", &new)->result, SPN_STORED);
    answer = once(client, "2", &new);
    assert_int_equal(answer->code, SPN_E_CONDITION);
    assert_int_equal(answer->seq, 1);
    const struct spn_life life = answer->life;
    assert_int_equal(once(client, "1", &new)->result, SPN_DUPLICATE);
    assert_int_equal(once(client, "2", &second)->result, SPN_STORED);
    assert_int_equal(once(client, "3", &second)->seq, 2);
    assert_int_equal(spn_touch_once(client, spn_text("s"), NULL, STAGE_WAIT_MS, &answer), SPN_OK);
    assert_int_equal(answer->result, SPN_STORED);
    const struct spn_attributes attributes = {.size = sizeof(attributes), .ttl_ms = 3600000};
    const struct spn_publish_options of_life = {OPTIONS, .life = &life,
                                                .reason = spn_text("error")};
    assert_int_equal(
        spn_set_once(client, spn_text("s"), &attributes, &of_life, STAGE_WAIT_MS, &answer), SPN_OK);
    assert_int_equal(answer->result, SPN_STORED);
    assert_int_equal(spn_close_once_with(client, spn_text("s"), &of_life, STAGE_WAIT_MS, &answer),
                     SPN_OK);
    assert_int_equal(answer->state, SPN_CLOSED);
    expect_text(stage, "s", "reason", "error");
    assert_int_equal(spn_publish_once_with(client, spn_text("s"), &(struct spn_event)SPN_EVENT_INIT,
                                           &depends, SPN_DURABLE, 0, &answer),
                     SPN_E_INVALID);
    assert_int_equal(spn_delete_once_with(client, spn_text("s"), &of_life, STAGE_WAIT_MS, &answer),
                     SPN_OK);
    assert_int_equal(answer->result, SPN_STORED);
    assert_int_equal(spn_delete_once_with(client, spn_text("s"), &of_life, STAGE_WAIT_MS, &answer),
                     SPN_OK);
    assert_int_equal(answer->code, SPN_E_UNKNOWN_SESSION);
    spn_client_close(client);
}

static void from_a_shell(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done =
        stage_run(stage, "publish", "s", "one", "--id", "1", "--if-new", "--note", "mine");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "publish", "s", "two", "--id", "2", "--if-new");
    stage_expect_code(&done, FAILURE);
    assert_non_null(strstr(done.err, "a condition of the entry does not hold"));
    done = stage_run(stage, "publish", "s", "two", "--id", "2", "--if-seq", "1", "--close",
                     "--reason", "cancelled");
    stage_expect_code(&done, OK);
    expect_end(stage, "s");
    done = stage_run(stage, "publish", "t", "one", "--id", "1");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "close", "t", "--reason", "idle");
    stage_expect_code(&done, USAGE);
    done = stage_run(stage, "close", "t", "--reason", "it is done");
    stage_expect_code(&done, OK);
    expect_text(stage, "t", "reason", "it is done");
}

/* -- attributes -------------------------------------------------------------------------------- */

static void expect_attributes(struct stage *stage, const char *session)
{
    const char *json = info(stage, session);
    assert_int_equal(event_json_number(json, "ttl_ms"), 3600000);
    assert_int_equal(event_json_number(json, "idle_close_ms"), 1800000);
    expect_text(stage, session, "content_type", "application/json");
    expect_text(stage, session, "note", "kept by me");
    struct outcome done = stage_run(stage, "sessions", "--json");
    assert_non_null(strstr(done.out, "\"content_type\":\"application/json\""));
}

static void attributes_are_kept(struct stage *stage)
{
    struct process *first = stage_start(stage, NULL);
    struct outcome done =
        stage_run(stage, "open", "s", "--ttl", "3600", "--idle-close", "1800", "--content-type",
                  "application/json", "--note", "kept by me", "--if-new");
    stage_expect_code(&done, OK);
    expect_attributes(stage, "s");
    assert_int_equal(event_json_number(info(stage, "s"), "seq"), 0);
    done = stage_run(stage, "open", "s", "--if-new");
    stage_expect_code(&done, FAILURE);
    done = stage_run(stage, "last", "s");
    stage_expect_code(&done, OK); /* there are no events yet */
    process_kill(first);
    struct process *second = stage_start(stage, NULL);
    expect_attributes(stage, "s");
    assert_int_equal(stage_stop(second), 0);
    stage_start(stage, NULL);
    expect_attributes(stage, "s");
    done = stage_run(stage, "replay", "s");
    stage_expect_code(&done, OK);
    assert_string_equal(done.out, "");
    done = stage_run(stage, "open", "s", "--content-type", "a/b");
    stage_expect_code(&done, OK);
    assert_non_null(strstr(info(stage, "s"), "\"ttl_ms\":null"));
    done = stage_run(stage, "touch", "nobody");
    stage_expect_code(&done, NOT_FOUND);
    done = stage_run(stage, "touch", "s");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "delete", "s", "--yes");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "open", "s");
    stage_expect_code(&done, OK);
    assert_non_null(strstr(info(stage, "s"), "\"content_type\":null"));
}

/* -- sessions that end by themselves ----------------------------------------------------------- */

struct look {
    struct stage *stage;
    const char *session;
};

static bool is_closed(void *argument)
{
    const struct look *look = argument;
    char *state = event_json_string(info(look->stage, look->session), "state");
    bool closed = strcmp(state, "closed") == 0;
    free(state);
    return closed;
}

static bool is_gone(void *argument)
{
    const struct look *look = argument;
    return stage_run(look->stage, "info", look->session).code == NOT_FOUND;
}

static void a_quiet_session_ends(struct stage *stage)
{
    struct look look = {stage, "s"};
    struct process *first = stage_start(stage, NULL);
    struct outcome done = stage_run(stage, "open", "s", "--idle-close", "1.5", "--ttl", "4");
    stage_expect_code(&done, OK);
    spn_client *client = open_client();
    spn_producer *producer = open_producer(client, SPN_DURABLE);
    uint64_t due_ns = until_now_ns() + 2500000000u; /* longer than the span, with touches */
    while (until_now_ns() < due_ns) {
        uint64_t ticket;
        assert_int_equal(spn_session_touch(producer, spn_text("s"), NULL, &ticket), SPN_OK);
        expect_result(producer, ticket, SPN_STORED, SPN_OK);
    }
    expect_result(producer, publish(producer, "s", "in time", NULL), SPN_STORED, SPN_OK);
    assert_true(until_true(until_in(STAGE_WAIT_MS), is_closed, &look));
    expect_text(stage, "s", "reason", "idle");
    expect_result(producer, publish(producer, "s", "late", NULL), SPN_REFUSED, SPN_E_CLOSED);
    process_kill(first);
    stage_start(stage, NULL);
    assert_true(until_true(until_in(STAGE_WAIT_MS), is_gone, &look));
    expect_result(producer, publish(producer, "s", "again", NULL), SPN_STORED, SPN_OK);
    close_all(client, producer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(one_wins),
        STAGE_TEST(a_loser_stores_nothing),
        STAGE_TEST(one_shots_have_conditions),
        STAGE_TEST(from_a_shell),
        STAGE_TEST(an_event_closes),
        STAGE_TEST(attributes_are_kept),
        STAGE_TEST(a_quiet_session_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
