/* SPDX-License-Identifier: Apache-2.0 */
/* test_questions: no call waits that does not have to, while the daemon is stopped, gone, or not
 * there yet; and what was asked meanwhile is answered when it is back. Nor does a signal end one.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "check.h"
#include "feeder.h"
#include "onlooker.h"
#include "stage.h"
#include "waits.h"

enum { MANY = 1000, KINDS = 5, ANSWERS_MS = 60000, OPENED_UNDER_SIGNALS = 200 };

struct app {
    spn_client *client;
    spn_question *questions[MANY];
    bool answered[MANY];
};

/* The kinds take turns. */
static spn_err ask(struct app *app, size_t i)
{
    spn_question **question = &app->questions[i];
    switch (i % KINDS) {
    case 0:
        return spn_ask_last(question, app->client, spn_text("s"));
    case 1:
        return spn_ask_session(question, app->client, spn_text("s"));
    case 2:
        return spn_ask_sessions(question, app->client, spn_text(""), spn_text(""));
    case 3:
        return spn_ask_health(question, app->client);
    default:
        return spn_ask_stats(question, app->client);
    }
}

static spn_err take(struct app *app, size_t i)
{
    spn_question *question = app->questions[i];
    const struct spn_last *last;
    const struct spn_session_info *info;
    const struct spn_session *session;
    const struct spn_health *health;
    const struct spn_stat *stats;
    size_t count;
    switch (i % KINDS) {
    case 0:
        return spn_answer_last(question, &last);
    case 1:
        return spn_answer_session(question, &info);
    case 2:
        return spn_answer_next_session(question, &session);
    case 3:
        return spn_answer_health(question, &health);
    default:
        return spn_answer_stats(question, &stats, &count);
    }
}

static void ask_all(struct app *app)
{
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(ask(app, i), SPN_OK);
        spn_question_set_context(app->questions[i], &app->questions[i]);
    }
}

/* As an event loop does: waits for the descriptor alone, steps, takes what is there. */
static void take_all(struct app *app)
{
    uint64_t due_ns = until_in(ANSWERS_MS);
    struct pollfd fd = {.fd = spn_client_fd(app->client), .events = POLLIN};
    spn_err err = SPN_OK;
    while (err != SPN_E_END) {
        spn_question *question;
        assert_int_equal(poll(&fd, 1, until_left_ms(due_ns)), 1);
        waits_begin();
        assert_int_equal(spn_client_step(app->client), SPN_OK);
        while ((err = spn_next_answered(app->client, 0, &question)) == SPN_OK) {
            size_t i = (size_t)((spn_question **)spn_question_context(question) - app->questions);
            assert_false(app->answered[i]);
            app->answered[i] = true;
            assert_int_equal(take(app, i), SPN_OK);
            spn_question_close(question);
        }
        assert_int_equal(waits_end(), 0);
        assert_true(err == SPN_E_TIMEOUT || err == SPN_E_END);
    }
    for (size_t i = 0; i < MANY; i++)
        assert_true(app->answered[i]);
}

static void store_one_event(void)
{
    struct feeder feeder;
    feeder_open(&feeder);
    feeder_put(&feeder, "s", "1", "hello");
    feeder_settle(&feeder);
    feeder_close(&feeder);
}

/* -- stopped ----------------------------------------------------------------------------------- */

/* Each call of the library that has something to ask or to open, none of which gets anything. */
static void try_everything(struct app *app)
{
    spn_client *client = app->client;
    spn_client *other;
    spn_producer *producer;
    spn_replay *replay;
    spn_subscription *subscription;
    spn_question *question;
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_event *read;
    const struct spn_last *last;
    const struct spn_session_info *info;
    const struct spn_session *session;
    const struct spn_health *health;
    const struct spn_stat *stats;
    struct spn_producer_options latest = spn_producer_defaults();
    const struct spn_item *item;
    size_t count;
    latest.latest_only = true;
    assert_int_equal(spn_client_begin(&other, NULL, NULL, 0), SPN_OK);
    assert_int_equal(spn_client_ready(other), SPN_E_TIMEOUT);
    assert_int_equal(spn_producer_begin(&producer, client, &latest), SPN_OK);
    assert_int_equal(spn_producer_ready(producer), SPN_E_TIMEOUT);
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_E_BACKPRESSURE);
    assert_int_equal(spn_replay_begin(&replay, client, spn_text("s"), spn_text("")), SPN_OK);
    assert_int_equal(spn_replay_next(replay, 0, &read), SPN_E_TIMEOUT);
    assert_int_equal(spn_subscribe(&subscription, client, spn_text("s"), NULL), SPN_OK);
    assert_int_equal(spn_subscription_next(subscription, 0, &item), SPN_E_TIMEOUT);
    assert_int_equal(spn_last_event(client, spn_text("s"), 0, &last), SPN_E_TIMEOUT);
    assert_int_equal(spn_get_session(client, spn_text("s"), 0, &info), SPN_E_TIMEOUT);
    assert_int_equal(spn_next_session(client, spn_text(""), spn_text(""), 0, &session),
                     SPN_E_TIMEOUT);
    assert_int_equal(spn_get_health(client, 0, &health), SPN_E_TIMEOUT);
    assert_int_equal(spn_get_stats(client, 0, &stats, &count), SPN_E_TIMEOUT);
    assert_int_equal(spn_next_answered(client, 0, &question), SPN_E_TIMEOUT);
    assert_int_equal(spn_producer_close(producer, 0, NULL), SPN_OK);
    spn_unsubscribe(subscription);
    spn_replay_close(replay);
    spn_client_close(other);
}

static void a_thousand_questions_to_a_stopped_daemon_wait_for_nothing(struct stage *stage)
{
    struct app app = {0};
    struct process *daemon = stage_start(stage, NULL);
    store_one_event();
    app.client = onlooker_client();
    process_stop(daemon);
    waits_begin();
    ask_all(&app);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(take(&app, i), SPN_E_TIMEOUT);
    try_everything(&app);
    assert_int_equal(spn_client_step(app.client), SPN_OK);
    assert_int_equal(waits_end(), 0);
    process_signal(daemon, SIGCONT);
    take_all(&app);
    spn_client_close(app.client);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- gone and not there yet -------------------------------------------------------------------- */

static void questions_of_a_killed_daemon_are_answered_by_the_next(struct stage *stage)
{
    struct app app = {0};
    struct process *daemon = stage_start(stage, NULL);
    store_one_event();
    app.client = onlooker_client();
    process_stop(daemon); /* so that none is answered before */
    ask_all(&app);
    process_kill(daemon);
    daemon = stage_start(stage, NULL);
    take_all(&app);
    spn_client_close(app.client);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Repeats a call that does not wait until it has something. */
#define in_the_end(call)                                                                           \
    do {                                                                                           \
        uint64_t due_ns = until_in(ANSWERS_MS);                                                    \
        spn_err got;                                                                               \
        while ((got = (call)) == SPN_E_TIMEOUT || got == SPN_E_UNAVAILABLE ||                      \
               got == SPN_E_BACKPRESSURE)                                                          \
            if (until_left_ms(due_ns) == 0)                                                        \
                fail_msg("not in time: %s", #call);                                                \
        assert_int_equal(got, SPN_OK);                                                             \
    } while (0)

static void everything_begins_before_the_daemon_and_succeeds_without_waiting(struct stage *stage)
{
    struct app app = {0};
    spn_producer *producer;
    spn_replay *replay;
    spn_subscription *subscription;
    struct spn_event event = SPN_EVENT_INIT;
    struct spn_producer_options options = spn_producer_defaults();
    const struct spn_event *read;
    const struct spn_last *last;
    const struct spn_session_info *info;
    const struct spn_session *session;
    const struct spn_health *health;
    const struct spn_stat *stats;
    const struct spn_ack *ack;
    const struct spn_item *item;
    size_t count;
    options.send_timeout_ms = 0;
    event.data = spn_text("hello");
    waits_begin();
    assert_int_equal(spn_client_begin(&app.client, NULL, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_begin(&producer, app.client, &options), SPN_OK);
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_E_BACKPRESSURE);
    assert_int_equal(spn_client_ready(app.client), SPN_E_TIMEOUT);
    assert_int_equal(waits_end(), 0);
    struct process *daemon = stage_start(stage, NULL);

    waits_begin();
    in_the_end(spn_client_ready(app.client));
    in_the_end(spn_producer_ready(producer));
    in_the_end(spn_publish(producer, spn_text("s"), &event, NULL));
    in_the_end(spn_producer_flush(producer, 0));
    in_the_end(spn_producer_next_ack(producer, 0, &ack));
    in_the_end(spn_last_event(app.client, spn_text("s"), 0, &last));
    in_the_end(spn_get_session(app.client, spn_text("s"), 0, &info));
    in_the_end(spn_next_session(app.client, spn_text(""), spn_text(""), 0, &session));
    in_the_end(spn_get_health(app.client, 0, &health));
    in_the_end(spn_get_stats(app.client, 0, &stats, &count));
    assert_int_equal(spn_replay_begin(&replay, app.client, spn_text("s"), spn_text("")), SPN_OK);
    in_the_end(spn_replay_next(replay, 0, &read));
    assert_int_equal(read->seq, 1);
    assert_int_equal(spn_subscribe(&subscription, app.client, spn_text("s"), NULL), SPN_OK);
    in_the_end(spn_subscription_next(subscription, 0, &item));
    in_the_end(spn_next_of_any(app.client, 0, &subscription, &item));
    assert_int_equal(waits_end(), 0);
    spn_unsubscribe(subscription);
    spn_replay_close(replay);
    assert_int_equal(spn_producer_close(producer, 0, NULL), SPN_OK);
    spn_client_close(app.client);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- signals ----------------------------------------------------------------------------------- */

static void note_signal(int number)
{
    (void)number;
}

/* A timer of this process that interrupts it all the time; 0: no more. */
static void interrupt_each(int microseconds)
{
    const struct sigaction action = {.sa_handler = note_signal};
    const struct itimerval timer = {.it_interval.tv_usec = microseconds,
                                    .it_value.tv_usec = microseconds};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

/* ZeroMQ gave up to open or connect a socket when a signal came: "Interrupted system call". */
static void signals_failed_what_opens_a_socket(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    interrupt_each(20);
    for (size_t i = 0; i < OPENED_UNDER_SIGNALS; i++) {
        spn_client *client;
        spn_producer *producer;
        char detail[256] = "";
        spn_err err = spn_client_begin(&client, NULL, detail, sizeof(detail));
        if (err == SPN_OK)
            err = spn_producer_begin(&producer, client, NULL);
        if (err != SPN_OK) {
            interrupt_each(0);
            fail_msg("%s: %s", spn_err_name(err), detail);
        }
        assert_int_equal(spn_producer_close(producer, 0, NULL), SPN_OK);
        spn_client_close(client);
    }
    interrupt_each(0);
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(signals_failed_what_opens_a_socket),
        STAGE_TEST(a_thousand_questions_to_a_stopped_daemon_wait_for_nothing),
        STAGE_TEST(questions_of_a_killed_daemon_are_answered_by_the_next),
        STAGE_TEST(everything_begins_before_the_daemon_and_succeeds_without_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
