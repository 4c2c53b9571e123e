/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_client: does anything that a sidecar may send harm an app?
 *
 * The client is the library, without its transport; the app and the sidecar are made of the input
 * (see made_sidecar.h). Checked are:
 *   - the sanitizers find nothing, in what is returned to the app either, and nothing is left in
 *     memory after the end;
 *   - every message of the client decodes to its end, and there are not endlessly many;
 *   - a subscription gives one verdict first, then events without a hole that no gap tells of, and
 *     nothing after its end; one of the log gives ascending positions;
 *   - each ticket has at most one result, in order; a question that was answered stays so;
 *   - an app that has taken everything can sleep: the descriptor is not readable.
 */
#include <string.h>

#include "client.h"
#include "made_sidecar.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_MS UINT64_C(1000000)

enum {
    STEPS_MAX = 400,
    QUESTIONS = 6,
    READERS = 4,
    PRODUCERS = 2,
    WAIT_MS = 30,
    REST_STEPS = 30, /* in which it comes to rest */
};

struct question {
    spn_question *question;
    uint8_t kind;
    bool answered;
};

struct reader {
    spn_subscription *subscription;
    bool log;
    bool begun;
    bool ended;
    uint64_t seq;
};

struct publisher {
    spn_producer *producer;
    uint64_t given; /* the newest ticket */
    uint64_t told;  /* the newest result */
};

static struct program program;
static spn_client *client;
static struct question questions[QUESTIONS];
static struct reader readers[READERS];
static struct publisher publishers[PRODUCERS];
static spn_replay *replay;
static volatile uint8_t seen;

/* -- what the app looks at --------------------------------------------------------------------- */

static void look(struct spn_bytes bytes)
{
    const uint8_t *at = bytes.data;
    for (size_t i = 0; i < bytes.size; i++)
        seen = (uint8_t)(seen + at[i]);
}

static void look_at_text(const char *text)
{
    look((struct spn_bytes){text, strlen(text)});
}

static void look_at_event(const struct spn_event *event)
{
    CHECK(event->kind <= SPN_RESET);
    look(event->id);
    look(event->type);
    look(event->data);
    look(event->note);
    look(event->reason);
}

static void look_at_session(const struct spn_session *session)
{
    CHECK(session->state <= SPN_DAMAGED);
    look(session->name);
    look(session->last_id);
    look(session->reason);
    look(session->content_type);
}

static void look_at_published(const struct spn_published *published)
{
    CHECK(published->result <= SPN_REFUSED);
    CHECK((published->result == SPN_REFUSED) == (published->code != SPN_OK));
    look(published->id);
}

/* -- questions --------------------------------------------------------------------------------- */

static struct spn_event make_event(void)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.id = program_id(&program);
    event.data = program_bytes(&program, 40);
    if (program_choose(&program, 4) == 0)
        event.note = program_bytes(&program, 40);
    return event;
}

static struct spn_publish_options make_options(const struct spn_life *life)
{
    struct spn_publish_options options = {.size = sizeof(options)};
    uint8_t what = program_byte(&program);
    options.if_new = what % 8 == 1;
    options.has_if_seq = what % 8 == 2;
    options.life = what % 8 == 3 ? life : NULL;
    options.closes = what % 8 == 4;
    options.reason = what % 16 == 4 ? (struct spn_bytes){"why", 3} : options.reason;
    return options;
}

static const struct spn_attributes attributes = {
    .size = sizeof(attributes), .ttl_ms = 5, .note = {"note", 4}};

static spn_err ask_write(spn_question **ret_question, uint8_t kind)
{
    struct spn_life life = program_life(&program);
    struct spn_bytes session = program_session(&program);
    struct spn_event event = make_event();
    struct spn_publish_options options = make_options(&life);
    switch (kind) {
    case 5:
        return spn_ask_publish_with(ret_question, client, session, &event, &options, SPN_DURABLE);
    case 6:
        options.closes = false;
        return spn_ask_close_with(ret_question, client, session, &options);
    case 7:
        return spn_ask_delete(ret_question, client, session, NULL);
    case 8:
        return spn_ask_touch(ret_question, client, session, NULL);
    default:
        return spn_ask_set(ret_question, client, session, &attributes, NULL);
    }
}

static void ask(struct question *question)
{
    spn_err err;
    *question = (struct question){.kind = program_choose(&program, 11)};
    switch (question->kind) {
    case 0:
        err = spn_ask_last(&question->question, client, program_session(&program));
        break;
    case 1:
        err = spn_ask_session(&question->question, client, program_session(&program));
        break;
    case 2:
        err = spn_ask_sessions(&question->question, client, program_session(&program),
                               (struct spn_bytes){"s", program_choose(&program, 2)});
        break;
    case 3:
        err = spn_ask_health(&question->question, client);
        break;
    case 4:
        err = spn_ask_stats(&question->question, client);
        break;
    case 10:
        err = spn_ask_clients(&question->question, client, (uint32_t)program_number(&program, 0));
        break;
    default:
        err = ask_write(&question->question, question->kind);
        break;
    }
    CHECK((err == SPN_OK) == (question->question != NULL));
}

static spn_err answer_page(spn_question *question)
{
    const struct spn_session *session;
    spn_err err;
    bool more;
    while ((err = spn_answer_next_session(question, &session)) == SPN_OK)
        look_at_session(session);
    if (err == SPN_E_END)
        CHECK(spn_answer_more_sessions(question, &more) == SPN_OK);
    return err == SPN_E_END ? SPN_OK : err;
}

static spn_err answer_clients(spn_question *question)
{
    const struct spn_connection *row;
    uint32_t next;
    uint32_t hidden;
    spn_err err;
    while ((err = spn_answer_next_client(question, &row)) == SPN_OK)
        look(row->program);
    if (err == SPN_E_END)
        CHECK(spn_answer_more_clients(question, &next, &hidden) == SPN_OK);
    return err == SPN_E_END ? SPN_OK : err;
}

static spn_err answer_stats(spn_question *question)
{
    const struct spn_stat *stats;
    size_t count;
    spn_err err = spn_answer_stats(question, &stats, &count);
    for (size_t i = 0; err == SPN_OK && i < count; i++)
        look_at_text(stats[i].name);
    return err;
}

static spn_err answer_health(spn_question *question)
{
    const struct spn_health *health;
    spn_err err = spn_answer_health(question, &health);
    if (err == SPN_OK) {
        look_at_text(health->reason);
        look_at_text(health->version);
    }
    return err;
}

static void answer(struct question *question)
{
    const struct spn_last *last;
    const struct spn_session_info *info;
    const struct spn_published *published;
    spn_err err;
    switch (question->kind) {
    case 0:
        err = spn_answer_last(question->question, &last);
        if (err == SPN_OK)
            look(last->id);
        break;
    case 1:
        err = spn_answer_session(question->question, &info);
        if (err == SPN_OK) {
            look_at_session(info->session);
            look(info->note);
        }
        break;
    case 2:
        err = answer_page(question->question);
        break;
    case 3:
        err = answer_health(question->question);
        break;
    case 4:
        err = answer_stats(question->question);
        break;
    case 10:
        err = answer_clients(question->question);
        break;
    default:
        err = spn_answer_published(question->question, &published);
        if (err == SPN_OK)
            look_at_published(published);
        break;
    }
    CHECK(err != SPN_E_TIMEOUT || !question->answered);
    question->answered = err != SPN_E_TIMEOUT;
}

static void close_question(struct question *question)
{
    spn_question_close(question->question);
    *question = (struct question){0};
}

static void question_turn(void)
{
    struct question *question = &questions[program_choose(&program, QUESTIONS)];
    if (question->question == NULL)
        ask(question);
    else if (program_choose(&program, 4) == 0)
        close_question(question);
    else
        answer(question);
}

static void take_answered(void)
{
    spn_question *answered;
    while (spn_next_answered(client, 0, &answered) == SPN_OK) {
        size_t at = 0;
        while (at < QUESTIONS && questions[at].question != answered)
            at++;
        CHECK(at < QUESTIONS);
        answer(&questions[at]);
        CHECK(questions[at].answered);
    }
}

/* -- subscriptions ----------------------------------------------------------------------------- */

static void subscribe(struct reader *reader)
{
    struct spn_subscription_options options = {.size = sizeof(options),
                                               .start = program_choose(&program, 4),
                                               .otherwise = program_choose(&program, 4),
                                               .window_bytes = program_choose(&program, 2) * 300u};
    options.after = program_id(&program);
    options.after_life = program_life(&program);
    options.after_seq = program_number(&program, 2);
    *reader = (struct reader){0};
    spn_err err = spn_subscribe(&reader->subscription, client, program_session(&program), &options);
    CHECK((err == SPN_OK) == (reader->subscription != NULL));
}

static void follow(struct reader *reader)
{
    struct spn_follow_options options = {
        .size = sizeof(options),
        .start = program_choose(&program, 2) == 0 ? SPN_EARLIEST : SPN_AFTER_POSITION,
        .position = program_number(&program, 5),
        .touches = program_choose(&program, 2) == 0};
    memset(options.database, 'd', sizeof(options.database));
    *reader = (struct reader){.log = true};
    spn_err err = spn_follow(&reader->subscription, client, &options);
    CHECK((err == SPN_OK) == (reader->subscription != NULL));
}

/* Where it stands may only move on, and by no more than is told. */
static void check_step(struct reader *reader, const struct spn_item *item)
{
    if (item->kind == SPN_ITEM_VERDICT) {
        CHECK(!reader->begun);
        reader->begun = true;
    } else if (item->kind == SPN_ITEM_END) {
        reader->ended = true;
        return;
    } else if (item->kind == SPN_ITEM_CAUGHT_UP) {
        CHECK(reader->begun && item->seq >= reader->seq);
    } else if (reader->log) {
        CHECK(reader->begun && item->seq > reader->seq);
    } else if (item->kind == SPN_ITEM_EVENT) {
        CHECK(reader->begun && item->event != NULL);
        CHECK(item->seq == reader->seq + 1 && item->event->seq == item->seq);
    } else {
        CHECK(reader->begun && item->kind == SPN_ITEM_GAP);
        CHECK(item->seq == reader->seq + item->missing);
    }
    reader->seq = item->seq;
}

static void take_item(struct reader *reader, const struct spn_item *item)
{
    CHECK(!reader->ended);
    look(item->reason);
    look(item->after);
    look(item->id);
    look(item->session);
    if (item->event != NULL)
        look_at_event(item->event);
    if (item->attributes != NULL) {
        look(item->attributes->content_type);
        look(item->attributes->note);
    }
    check_step(reader, item);
}

static void reader_turn(void)
{
    struct reader *reader = &readers[program_choose(&program, READERS)];
    const struct spn_item *item;
    uint8_t what = program_byte(&program);
    if (reader->subscription == NULL) {
        if (what % 2 == 0)
            subscribe(reader);
        else
            follow(reader);
    } else if (what < 160) {
        if (spn_subscription_next(reader->subscription, 0, &item) == SPN_OK)
            take_item(reader, item);
    } else if (what < 220) {
        (void)!spn_subscription_pause(reader->subscription, what % 2 == 0);
    } else {
        spn_unsubscribe(reader->subscription);
        *reader = (struct reader){0};
    }
}

/* False: there is none. */
static bool take_any(void)
{
    spn_subscription *from;
    const struct spn_item *item;
    size_t at = 0;
    if (spn_next_of_any(client, 0, &from, &item) != SPN_OK)
        return false;
    while (at < READERS && readers[at].subscription != from)
        at++;
    CHECK(at < READERS);
    take_item(&readers[at], item);
    return true;
}

/* -- publishing -------------------------------------------------------------------------------- */

static void open_producer(struct publisher *publisher)
{
    struct spn_producer_options options = spn_producer_defaults();
    options.level = program_choose(&program, 3);
    options.send_timeout_ms = 0;
    options.window_events = program_choose(&program, 2) * 8u;
    options.latest_only = program_choose(&program, 4) == 0;
    *publisher = (struct publisher){0};
    spn_err err = spn_producer_begin(&publisher->producer, client, &options);
    CHECK((err == SPN_OK) == (publisher->producer != NULL));
}

static void note_ticket(struct publisher *publisher, spn_err err, uint64_t ticket)
{
    if (err != SPN_OK || ticket == 0) /* held back */
        return;
    CHECK(ticket > publisher->given);
    publisher->given = ticket;
}

static void publish(struct publisher *publisher)
{
    struct spn_life life = program_life(&program);
    struct spn_bytes session = program_session(&program);
    struct spn_event event = make_event();
    struct spn_publish_options options = make_options(&life);
    uint64_t ticket = 0;
    spn_err err;
    if (program_choose(&program, 4) == 0 && publisher->given > 0)
        options.dependent = publisher->given;
    switch (program_choose(&program, 8)) {
    case 0:
        err = spn_session_close(publisher->producer, session, &life, &ticket);
        break;
    case 1:
        err = spn_session_delete(publisher->producer, session, NULL, &ticket);
        break;
    case 2:
        err = spn_session_touch(publisher->producer, session, NULL, &ticket);
        break;
    case 3:
        err = spn_session_set(publisher->producer, session, &attributes, NULL, &ticket);
        break;
    case 4:
        err = spn_publish(publisher->producer, session, &event, &ticket);
        break;
    default:
        err = spn_publish_with(publisher->producer, session, &event, &options, &ticket);
        break;
    }
    note_ticket(publisher, err, ticket);
}

/* False: there is none. */
static bool take_result(struct publisher *publisher)
{
    const struct spn_ack *ack;
    if (spn_producer_next_ack(publisher->producer, 0, &ack) != SPN_OK)
        return false;
    CHECK(ack->ticket > publisher->told && ack->result <= SPN_LOST);
    publisher->told = ack->ticket;
    return true;
}

static void close_producer(struct publisher *publisher)
{
    uint64_t left;
    (void)!spn_producer_close(publisher->producer, 0, &left);
    *publisher = (struct publisher){0};
}

static void publisher_turn(void)
{
    struct publisher *publisher = &publishers[program_choose(&program, PRODUCERS)];
    uint8_t what = program_byte(&program);
    const struct spn_ack *ack;
    if (publisher->producer == NULL)
        open_producer(publisher);
    else if (what < 150)
        publish(publisher);
    else if (what < 190)
        (void)take_result(publisher);
    else if (what < 220)
        (void)!spn_producer_flush(publisher->producer, 0);
    else if (what < 230)
        (void)!spn_producer_wait(publisher->producer, publisher->given, 0, &ack);
    else if (what < 245)
        (void)!spn_producer_ready(publisher->producer);
    else
        close_producer(publisher);
}

/* -- calls that wait, and replays -------------------------------------------------------------- */

static void wait_turn(void)
{
    const struct spn_last *last;
    const struct spn_session *session;
    const struct spn_session_info *info;
    const struct spn_published *published;
    struct spn_event event = make_event();
    struct spn_bytes name = program_session(&program);
    int timeout_ms = program_choose(&program, 2) * WAIT_MS;
    switch (program_choose(&program, 4)) {
    case 0:
        if (spn_last_event(client, name, timeout_ms, &last) == SPN_OK)
            look(last->id);
        break;
    case 1:
        if (spn_get_session(client, name, timeout_ms, &info) == SPN_OK)
            look_at_session(info->session);
        break;
    case 2:
        if (spn_next_session(client, name, (struct spn_bytes){NULL, 0}, timeout_ms, &session) ==
            SPN_OK)
            look_at_session(session);
        break;
    default:
        if (spn_publish_once(client, name, &event, SPN_DURABLE, timeout_ms, &published) == SPN_OK)
            look_at_published(published);
        break;
    }
}

static void replay_turn(void)
{
    const struct spn_event *event;
    uint8_t what = program_byte(&program);
    if (replay == NULL) {
        spn_err err =
            spn_replay_begin(&replay, client, program_session(&program),
                             what % 2 == 0 ? program_id(&program) : (struct spn_bytes){NULL, 0});
        CHECK((err == SPN_OK) == (replay != NULL));
    } else if (what < 230) {
        if (spn_replay_next(replay, 0, &event) == SPN_OK)
            look_at_event(event);
    } else {
        spn_replay_close(replay);
        replay = NULL;
    }
}

/* -- a run ------------------------------------------------------------------------------------- */

static void step(void)
{
    uint8_t what = program_byte(&program);
    if (what < 90)
        made_sidecar_step();
    else if (what < 150)
        (void)!spn_client_step(client);
    else if (what < 170)
        question_turn();
    else if (what < 200)
        reader_turn();
    else if (what < 230)
        publisher_turn();
    else if (what < 238)
        replay_turn();
    else if (what < 244)
        wait_turn();
    else if (what < 248)
        take_answered();
    else
        (void)take_any();
}

/* An app that takes everything, as the loop of an app does. */
static void take_all(void)
{
    (void)!spn_client_step(client);
    take_answered();
    while (take_any())
        continue;
    for (size_t i = 0; i < PRODUCERS; i++)
        while (publishers[i].producer != NULL && take_result(&publishers[i]))
            continue;
}

static void check_rest(void)
{
    made_sidecar_rest();
    for (unsigned i = 0; i < REST_STEPS; i++)
        take_all();
    CHECK(!made_sidecar_wakes());
}

static void close_all(void)
{
    for (size_t i = 0; i < PRODUCERS; i++)
        if (publishers[i].producer != NULL)
            close_producer(&publishers[i]);
    for (size_t i = 0; i < READERS; i++)
        spn_unsubscribe(readers[i].subscription);
    for (size_t i = 0; i < QUESTIONS; i++)
        close_question(&questions[i]);
    spn_replay_close(replay);
    replay = NULL;
    memset(readers, 0, sizeof(readers));
    spn_client_close(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    program = program_of(input, size);
    program_note_life(&program, (struct spn_life){{'l'}});
    made_sidecar_begin(&program);
    const struct spn_client_options options = {
        .size = sizeof(options), .read_bytes_max = program_choose(&program, 2) * 2048u};
    CHECK(client_begin(&client, &options, made_sidecar_now_ns, NULL, 0) == SPN_OK);
    for (unsigned i = 0; i < STEPS_MAX && !program_is_over(&program); i++)
        step();
    check_rest();
    close_all();
    return 0;
}
