/* SPDX-License-Identifier: Apache-2.0 */
/* Questions that do not block, against a fake sidecar that answers when and how the test says.
 *
 * Nothing sleeps to synchronise: `until` steps both ends until a condition holds, or fails. The
 * client's clock stands still, but for the seconds that a test passes. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "fake_sidecar.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_S UINT64_C(1000000000)
#define DEADLINE_NS (10 * NS_PER_S)

enum { MANY = 1000, FEW = 5, NAME_SIZE = 16 };

static struct fake fake;
static spn_client *client;
static spn_question *asked[MANY];

/* -- helpers ----------------------------------------------------------------------------------- */

static uint64_t clock_ns = NS_PER_S;

static uint64_t now_ns(void)
{
    return clock_ns;
}

static void pass(uint64_t ns)
{
    clock_ns += ns;
}

static void pump(void)
{
    (void)fake_step(&fake, 0);
    assert_int_equal(spn_client_step(client), SPN_OK);
}

#define until(condition)                                                                           \
    do {                                                                                           \
        uint64_t give_up_ns = client_monotonic_ns() + DEADLINE_NS;                                 \
        while (!(condition)) {                                                                     \
            if (client_monotonic_ns() > give_up_ns)                                                \
                fail_msg("not in time: %s", #condition);                                           \
            pump();                                                                                \
        }                                                                                          \
    } while (0)

/* What was due has been sent, and the fake sidecar has it: it has what was sent after that. */
static void settle(void)
{
    unsigned subscribes = fake.subscribes;
    spn_subscription *last;
    assert_int_equal(spn_subscribe(&last, client, spn_text("last"), NULL), SPN_OK);
    until(fake.subscribes > subscribes);
    spn_unsubscribe(last);
}

static void open_client(size_t questions_max)
{
    const struct spn_client_options options = {
        .size = sizeof(options), .socket_dir = fake.dir, .questions_max = questions_max};
    fake_begin(&fake);
    assert_int_equal(client_open(&client, &options, 5000, now_ns, NULL, 0), SPN_OK);
    fake_end(&fake);
    until(client->transport.read
              .connected); /* a HELLO before that is sent again, as if it had been lost */
    settle();
}

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    fake.last_names = true;
    memset(asked, 0, sizeof(asked));
    client = NULL;
    open_client(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spn_client_close(client); /* with the questions that are left */
    fake_close(&fake);
    return 0;
}

static const char *name_of(size_t i)
{
    static char name[NAME_SIZE];
    snprintf(name, sizeof(name), "s%zu", i);
    return name;
}

static void ask(size_t i)
{
    assert_int_equal(spn_ask_last(&asked[i], client, spn_text(name_of(i))), SPN_OK);
    spn_question_set_context(asked[i], &asked[i]);
}

static void ask_many(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        ask(i);
}

/* The answer is the one to this question. */
static void expect_answer(size_t i)
{
    const struct spn_last *last;
    assert_int_equal(spn_answer_last(asked[i], &last), SPN_OK);
    assert_int_equal(last->id.size, strlen(name_of(i)));
    assert_memory_equal(last->id.data, name_of(i), last->id.size);
}

static size_t next_answered(void)
{
    spn_question *question = NULL;
    until(spn_next_answered(client, 0, &question) == SPN_OK);
    return (size_t)((spn_question **)spn_question_context(question) - asked);
}

static void expect_all_answered(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        expect_answer(next_answered());
    spn_question *none;
    assert_int_equal(spn_next_answered(client, 0, &none), SPN_E_END);
}

/* -- answers ----------------------------------------------------------------------------------- */

static void answers_out_of_order_go_to_their_questions(void **state)
{
    (void)state;
    static const size_t order[FEW] = {3, 1, 4, 0, 2};
    const struct spn_last *last;
    fake.holds = true;
    ask_many(0, FEW);
    until(fake.held_count == FEW);
    assert_int_equal(spn_answer_last(asked[0], &last), SPN_E_TIMEOUT);
    for (size_t i = 0; i < FEW; i++)
        fake_send_held(&fake, order[i]);
    for (size_t i = 0; i < FEW; i++) {
        assert_int_equal(next_answered(), order[i]);
        expect_answer(order[i]);
    }
    spn_question *none;
    assert_int_equal(spn_next_answered(client, 0, &none), SPN_E_END);
    for (size_t i = 0; i < FEW; i++) /* lent as long as its question is open */
        expect_answer(i);
}

static void doubled_answer_was_taken_twice(void **state)
{
    (void)state;
    fake.holds = true;
    ask_many(0, 2);
    until(fake.held_count == 2);
    fake_send_held(&fake, 0);
    fake_send_held(&fake, 0);
    assert_int_equal(next_answered(), 0);
    spn_question_close(asked[0]);
    fake_send_held(&fake, 0);
    fake_send_held(&fake, 1);
    assert_int_equal(next_answered(), 1); /* and nothing before it */
    expect_answer(1);
}

static void answer_after_the_close_was_given_to_another(void **state)
{
    (void)state;
    fake.holds = true;
    ask_many(0, 2);
    until(fake.held_count == 2);
    spn_question_close(asked[0]);
    ask(2);
    until(fake.held_count == 3);
    for (size_t i = 0; i < 3; i++)
        fake_send_held(&fake, i);
    assert_int_equal(next_answered(), 1);
    assert_int_equal(next_answered(), 2);
    expect_answer(1);
    expect_answer(2);
    assert_int_equal(client->questions.lanes[TRANSPORT_READ].sent, 0);
}

static void taken_answer_was_reported_again(void **state)
{
    (void)state;
    const struct spn_last *last;
    ask_many(0, 2);
    until(spn_answer_last(asked[0], &last) == SPN_OK);
    assert_int_equal(next_answered(), 1);
    spn_question *none;
    assert_int_equal(spn_next_answered(client, 0, &none), SPN_E_END);
}

static void errors_have_their_code_and_words(void **state)
{
    (void)state;
    const struct spn_last *last;
    const struct spn_health *health;
    const struct spn_session *session;
    fake.read_err = SPN_E_UNKNOWN_SESSION;
    ask(0);
    assert_int_equal(next_answered(), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(spn_answer_last(asked[0], &last), SPN_E_UNKNOWN_SESSION);
        assert_string_equal(spn_client_detail(client), "sidecar: as told");
    }
    assert_int_equal(spn_answer_health(asked[0], &health), SPN_E_INVALID);
    assert_int_equal(spn_answer_next_session(asked[0], &session), SPN_E_INVALID);
    assert_int_equal(spn_ask_last(&asked[1], client, spn_text("\x01")), SPN_E_BAD_SESSION);
    assert_int_equal(spn_ask_session(&asked[1], client, spn_text("")), SPN_E_BAD_SESSION);
    assert_null(asked[1]);
}

static void stopping_was_an_answer(void **state)
{
    (void)state;
    fake.read_err = SPN_E_STOPPING;
    fake.err_count = 3;
    ask(0);
    until(fake.lasts == 1);
    for (unsigned lasts = 1; lasts <= 3; lasts++) {
        until(!asked[0]->call.waits); /* the answer came, and puts it off */
        settle();
        assert_int_equal(fake.lasts, lasts); /* not in a loop at full speed */
        pass(NS_PER_S / 10);
        until(fake.lasts == lasts + 1);
    }
    assert_int_equal(next_answered(), 0);
    expect_answer(0);
}

/* Another copy of it may have been taken, and its answer is on the way. */
static void lack_of_room_was_an_answer_to_all_copies(void **state)
{
    (void)state;
    fake.deaf = true;
    ask(0);
    until(fake.lasts == 1);
    pass(NS_PER_S);
    until(fake.lasts == 2);
    fake.deaf = false;
    fake.read_err = SPN_E_LIMIT;
    fake.err_count = 2;
    pass(2 * NS_PER_S);
    until(fake.lasts == 3);
    for (unsigned lasts = 3; lasts <= 4; lasts++) {
        until(!asked[0]->call.waits);
        pass(NS_PER_S / 10);
        until(fake.lasts == lasts + 1);
    }
    assert_int_equal(next_answered(), 0);
    expect_answer(0);
}

static void lack_of_room_is_final_for_one_that_was_only_put_off(void **state)
{
    (void)state;
    const struct spn_last *last;
    fake.read_err = SPN_E_STOPPING;
    fake.err_count = 1;
    ask(0);
    until(fake.lasts == 1 && !asked[0]->call.waits);
    fake.read_err = SPN_E_LIMIT;
    fake.err_count = 1;
    pass(NS_PER_S / 10);
    assert_int_equal(next_answered(), 0);
    assert_int_equal(spn_answer_last(asked[0], &last), SPN_E_LIMIT);
}

static void invalid_answer_ends_its_question_alone(void **state)
{
    (void)state;
    const struct spn_last *last;
    fake.holds = true;
    ask_many(0, 2);
    until(fake.held_count == 2);
    fake.held[0].size -= 1;
    fake_send_held(&fake, 0);
    fake_send_held(&fake, 1);
    assert_int_equal(next_answered(), 0);
    assert_int_equal(spn_answer_last(asked[0], &last), SPN_E_PROTOCOL);
    assert_int_equal(next_answered(), 1);
    expect_answer(1);
}

/* Steps until there is nothing to do. The client's clock stands still here, and the timer behind
 * its descriptor does not: a timer that expired early stays readable until the clock reaches it. */
static void step_until_silent(void)
{
    struct pollfd fd = {.fd = spn_client_fd(client), .events = POLLIN};
    for (int steps = 0; poll(&fd, 1, 0) == 1; steps++) {
        assert_true(steps < 500); /* half a second: nothing is sent again */
        pass(NS_PER_S / 1000);
        assert_int_equal(spn_client_step(client), SPN_OK);
    }
}

static void descriptor_is_readable_when_there_is_an_answer(void **state)
{
    (void)state;
    struct pollfd fd = {.fd = spn_client_fd(client), .events = POLLIN};
    fake.holds = true;
    ask_many(0, 3);
    until(fake.held_count == 3);
    step_until_silent();
    fake_send_held(&fake, 0);
    assert_int_equal(poll(&fd, 1, 5000), 1);
    assert_int_equal(spn_client_step(client), SPN_OK);
    expect_answer(0);
    fake_send_held(&fake, 1); /* another call receives both, and returns one */
    fake_send_held(&fake, 2);
    spn_question *question;
    while (client->questions.unanswered > 0)
        assert_int_equal(client_turn(client), SPN_OK);
    assert_int_equal(spn_next_answered(client, 0, &question), SPN_OK);
    assert_int_equal(poll(&fd, 1, 0), 1);
    step_until_silent();
    assert_int_equal(spn_next_answered(client, 0, &question), SPN_OK);
}

/* -- kinds ------------------------------------------------------------------------------------- */

static void every_kind_is_answered(void **state)
{
    (void)state;
    spn_question *health_question;
    spn_question *stats_question;
    spn_question *session_question;
    const struct spn_health *health;
    const struct spn_stat *stats;
    const struct spn_session_info *info;
    size_t count;
    fake.info.life_first_seq = fake.info.first_seq = 1;
    assert_int_equal(spn_ask_health(&health_question, client), SPN_OK);
    assert_int_equal(spn_ask_stats(&stats_question, client), SPN_OK);
    assert_int_equal(spn_ask_session(&session_question, client, spn_text("abc")), SPN_OK);
    until(spn_answer_health(health_question, &health) == SPN_OK);
    until(spn_answer_stats(stats_question, &stats, &count) == SPN_OK);
    until(spn_answer_session(session_question, &info) == SPN_OK);
    assert_string_equal(health->reason, "tired");
    assert_int_equal(count, 2);
    assert_string_equal(stats[1].name, "most");
    assert_int_equal(info->session->name.size, 3);
    assert_memory_equal(info->session->name.data, "abc", 3);
}

static void list_is_read_page_by_page(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    const struct spn_session *session;
    struct spn_bytes after = {NULL, 0};
    spn_question *pages[3];
    size_t row = 0;
    bool more = true;
    fake.names = names;
    fake.name_count = COUNT(names);
    fake.page_rows = 2;
    for (size_t page = 0; more; page++) {
        assert_true(page < COUNT(pages));
        assert_int_equal(spn_ask_sessions(&pages[page], client, after, spn_text("")), SPN_OK);
        spn_err err;
        until((err = spn_answer_next_session(pages[page], &session)) != SPN_E_TIMEOUT);
        for (; err == SPN_OK; err = spn_answer_next_session(pages[page], &session)) {
            assert_memory_equal(session->name.data, names[row++], 1);
            after = session->name; /* good as long as its page */
        }
        assert_int_equal(err, SPN_E_END);
        assert_int_equal(spn_answer_more_sessions(pages[page], &more), SPN_OK);
    }
    assert_int_equal(row, COUNT(names));
}

static void clients_are_read_page_by_page(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {5, 6, 9};
    const struct spn_connection *row;
    const struct spn_health *health;
    spn_question *pages[2];
    uint32_t after = 0;
    uint32_t hidden = 0;
    size_t count = 0;
    for (size_t page = 0; page < COUNT(pages); page++) {
        spn_err err;
        assert_int_equal(spn_ask_clients(&pages[page], client, after), SPN_OK);
        until((err = spn_answer_next_client(pages[page], &row)) != SPN_E_TIMEOUT);
        for (; err == SPN_OK; err = spn_answer_next_client(pages[page], &row))
            assert_int_equal(row->number, numbers[count++]);
        assert_int_equal(err, SPN_E_END);
        assert_int_equal(spn_answer_health(pages[page], &health), SPN_E_INVALID);
        assert_int_equal(spn_answer_more_clients(pages[page], NULL, &hidden), SPN_E_INVALID);
        assert_int_equal(spn_answer_more_clients(pages[page], &after, &hidden), SPN_OK);
        assert_int_equal(after, page == 0 ? 6 : 0);
        assert_int_equal(hidden, page == 0 ? 4 : 0);
    }
    assert_int_equal(count, COUNT(numbers));
    assert_int_equal(row->socket, SPN_SOCKET_READ);
    assert_int_equal(row->subscriptions, 3);
    assert_int_equal(row->behind, 2);
    assert_int_equal(row->lag, 7);
    assert_int_equal(row->waiting, 8);
    assert_int_equal(row->program.size, 4);
    assert_memory_equal(row->program.data, "tail", 4);
}

/* -- how many ---------------------------------------------------------------------------------- */

static void more_than_a_hundred_were_on_the_wire(void **state)
{
    (void)state;
    fake.holds = true;
    ask_many(0, 250);
    until(fake.held_count == QUESTIONS_SENT_MAX);
    settle();
    assert_int_equal(fake.held_count, QUESTIONS_SENT_MAX);
    for (size_t i = 0; i < 10; i++)
        fake_send_held(&fake, i);
    until(fake.held_count == QUESTIONS_SENT_MAX + 10);
    settle();
    assert_int_equal(fake.held_count, QUESTIONS_SENT_MAX + 10);
    for (size_t sent = 10; sent < 250; sent++) {
        until(sent < fake.held_count);
        fake_send_held(&fake, sent);
    }
    expect_all_answered(0, 250);
}

/* As many again as were closed would have been on the wire, and so on. */
static void closing_freed_places_on_the_wire(void **state)
{
    (void)state;
    fake.holds = true;
    ask_many(0, 150);
    until(fake.held_count == QUESTIONS_SENT_MAX);
    for (size_t i = 0; i < QUESTIONS_SENT_MAX; i++)
        spn_question_close(asked[i]);
    settle();
    assert_int_equal(fake.held_count, QUESTIONS_SENT_MAX);
    fake_send_held(&fake, 7);
    until(fake.held_count == QUESTIONS_SENT_MAX + 1);
    pass(NS_PER_S); /* their patience ends: they are given up, and only the open one repeats */
    until(fake.held_count == 150 + 1);
    settle();
    assert_int_equal(fake.held_count, 150 + 1);
    assert_int_equal(client->questions.lanes[TRANSPORT_READ].sent, 50);
    assert_int_equal(client->questions.asked, 50);
}

static void too_many_are_refused(void **state)
{
    (void)state;
    spn_client_close(client);
    open_client(3);
    fake.holds = true;
    ask_many(0, 3);
    assert_int_equal(spn_ask_last(&asked[3], client, spn_text("s")), SPN_E_TOO_MANY);
    assert_non_null(strstr(spn_client_detail(client), "questions_max"));
    until(fake.held_count == 3);
    fake_send_held(&fake, 1);
    assert_int_equal(next_answered(), 1); /* it is open still */
    assert_int_equal(spn_ask_last(&asked[3], client, spn_text("s")), SPN_E_TOO_MANY);
    spn_question_close(asked[1]);
    ask(3);
    fake.holds = false;
    const struct spn_health *health; /* calls that wait are not counted */
    fake_begin(&fake);
    assert_int_equal(spn_get_health(client, 5000, &health), SPN_OK);
    fake_end(&fake);
}

/* In every state: queued, on the wire, answered, taken. */
static void client_closes_with_a_thousand_under_way(void **state)
{
    (void)state;
    fake.holds = true;
    ask_many(0, MANY);
    until(fake.held_count == QUESTIONS_SENT_MAX);
    for (size_t i = 0; i < 40; i++)
        fake_send_held(&fake, i);
    for (size_t i = 0; i < 20; i++)
        expect_answer(next_answered());
    for (size_t i = 0; i < MANY; i += 10)
        spn_question_close(asked[i]);
    assert_int_equal(client->questions.asked, MANY - MANY / 10);
}

/* -- again ------------------------------------------------------------------------------------- */

static void unanswered_question_is_asked_again_less_and_less_often(void **state)
{
    (void)state;
    static const unsigned seconds[] = {1, 2, 4, 8, 8};
    fake.deaf = true;
    ask(0);
    until(fake.lasts == 1);
    for (unsigned i = 0; i < COUNT(seconds); i++) {
        pass(seconds[i] * NS_PER_S - NS_PER_S / 2);
        settle();
        assert_int_equal(fake.lasts, i + 1);
        pass(NS_PER_S / 2);
        until(fake.lasts == i + 2);
    }
    fake.deaf = false;
    pass(8 * NS_PER_S);
    assert_int_equal(next_answered(), 0);
    expect_answer(0);
}

/* A slow sidecar answers the first request, not the newest one. */
static void answer_to_an_earlier_request_was_dropped(void **state)
{
    (void)state;
    fake.holds = true;
    ask(0);
    until(fake.held_count == 1);
    pass(NS_PER_S);
    until(fake.held_count == 2);
    fake_send_held(&fake, 0);
    assert_int_equal(next_answered(), 0);
    fake_send_held(&fake, 1); /* matches nothing */
    settle();
    expect_answer(0);
}

static void restart(void)
{
    fake_stop(&fake);
    uint64_t give_up_ns = client_monotonic_ns() + DEADLINE_NS;
    while (client->transport.read.connected && client_monotonic_ns() < give_up_ns)
        assert_int_equal(spn_client_step(client), SPN_OK);
    assert_false(client->transport.read.connected);
    fake_start(&fake);
}

static void lost_questions_are_asked_at_once_after_a_restart(void **state)
{
    (void)state;
    fake.deaf = true;
    ask_many(0, 150);
    until(fake.lasts == QUESTIONS_SENT_MAX);
    restart();
    fake.deaf = false;
    expect_all_answered(0, 150); /* no time passed that would be their patience */
    assert_int_equal(fake.lasts, QUESTIONS_SENT_MAX + 150);
}

static void questions_of_a_time_without_a_sidecar_wait_for_it(void **state)
{
    (void)state;
    fake_stop(&fake);
    while (client->transport.read.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    ask_many(0, MANY);
    step_until_silent(); /* the app can sleep */
    fake_start(&fake);
    expect_all_answered(0, MANY);
}

/* -- at random --------------------------------------------------------------------------------- */

/* The model: a question that is open is answered once, with its own name. */
static struct {
    uint64_t random;
    enum { NOT_ASKED, OPEN, GIVEN } state[MANY];
    size_t next;
} model;

static uint32_t draw(uint32_t below)
{
    model.random = model.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(model.random >> 33) % below;
}

static void take_answers(void)
{
    spn_question *question;
    while (spn_next_answered(client, 0, &question) == SPN_OK) {
        size_t i = (size_t)((spn_question **)spn_question_context(question) - asked);
        assert_int_equal(model.state[i], OPEN);
        model.state[i] = GIVEN;
        expect_answer(i);
    }
}

static void close_one(void)
{
    size_t i = draw((uint32_t)model.next + 1);
    if (i == model.next || model.state[i] == NOT_ASKED)
        return;
    spn_question_close(asked[i]);
    model.state[i] = NOT_ASKED;
}

static void step_at_random(void)
{
    switch (draw(8)) {
    case 0:
    case 1:
        if (model.next < MANY) {
            ask(model.next);
            model.state[model.next++] = OPEN;
        }
        break;
    case 2:
        close_one();
        break;
    case 3:
        if (fake.held_count > 0) /* any, and some twice */
            fake_send_held(&fake, draw((uint32_t)fake.held_count));
        break;
    case 4:
        if (draw(50) == 0) {
            fake_drop_held(&fake);
            restart();
        }
        break;
    case 5:
        if (draw(10) == 0)
            pass(NS_PER_S);
        break;
    default:
        pump();
        take_answers();
    }
    if (fake.held_count > FAKE_HELD_MAX / 2)
        fake_drop_held(&fake);
}

static void whatever_comes_each_question_gets_its_answer(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        memset(&model, 0, sizeof(model));
        model.random = seed;
        fake.holds = true;
        for (int i = 0; i < 3000; i++)
            step_at_random();
        fake.holds = false;
        fake_drop_held(&fake);
        uint64_t give_up_ns = client_monotonic_ns() + DEADLINE_NS;
        while (client->questions.unanswered > 0 && client_monotonic_ns() < give_up_ns) {
            pass(NS_PER_S / 10);
            pump();
            take_answers();
        }
        for (size_t i = 0; i < model.next; i++)
            if (model.state[i] != NOT_ASKED) {
                assert_int_equal(model.state[i], GIVEN);
                spn_question_close(asked[i]);
            }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(answers_out_of_order_go_to_their_questions),
        TEST(doubled_answer_was_taken_twice),
        TEST(answer_after_the_close_was_given_to_another),
        TEST(taken_answer_was_reported_again),
        TEST(errors_have_their_code_and_words),
        TEST(stopping_was_an_answer),
        TEST(lack_of_room_was_an_answer_to_all_copies),
        TEST(lack_of_room_is_final_for_one_that_was_only_put_off),
        TEST(invalid_answer_ends_its_question_alone),
        TEST(descriptor_is_readable_when_there_is_an_answer),
        TEST(every_kind_is_answered),
        TEST(list_is_read_page_by_page),
        TEST(clients_are_read_page_by_page),
        TEST(more_than_a_hundred_were_on_the_wire),
        TEST(closing_freed_places_on_the_wire),
        TEST(too_many_are_refused),
        TEST(client_closes_with_a_thousand_under_way),
        TEST(unanswered_question_is_asked_again_less_and_less_often),
        TEST(answer_to_an_earlier_request_was_dropped),
        TEST(lost_questions_are_asked_at_once_after_a_restart),
        TEST(questions_of_a_time_without_a_sidecar_wait_for_it),
        TEST(whatever_comes_each_question_gets_its_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
