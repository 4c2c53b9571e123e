/* SPDX-License-Identifier: Apache-2.0 */
#include "http/change.h"

#include <stdlib.h>

#include "http/answer.h"
#include "http/answer_json.h"
#include "http/problem.h"

struct change {
    struct waiter waiter;
    struct link link;
    struct gateway *gateway;
    struct exchange *exchange;
    spn_question *question;
    spn_level level;
    bool publishes;
    struct problem problem; /* status 0: the question decides */
    struct out json;        /* see change_answer_json */
};

static void answer_json(struct change *change, const struct out *json)
{
    exchange_add(change->exchange, "Content-Type", "application/json");
    exchange_answer(change->exchange, 200, json->data, json->size);
}

/* What is there now: it is what a loser wants to know. */
static void add_published(struct exchange *exchange, const struct spn_published *published)
{
    answer_add_session(exchange, &published->life, published->seq, published->state);
}

static void answer_published(struct change *change, const struct spn_published *published)
{
    struct answer_json results;
    struct out out;
    out_init(&out, -1);
    answer_json_init(&results, change->level);
    answer_json_count(&results, 0, published->result, published->code, published->id);
    results.last_seq = published->seq;
    results.life = published->life;
    answer_json_write(&results, &out);
    answer_json(change, &out);
    answer_json_release(&results);
    out_release(&out);
}

static void refuse(struct change *change, spn_err err, const struct spn_published *published)
{
    if (published != NULL)
        add_published(change->exchange, published);
    answer_err(change->exchange, err);
}

/* The problem was there before the question. */
static void refuse_with_session(struct change *change)
{
    const struct spn_session_info *info;
    if (spn_answer_session(change->question, &info) == SPN_OK) {
        const struct spn_session *session = info->session;
        answer_add_session(change->exchange, &session->life, session->seq, session->state);
    }
    answer_problem(change->exchange, &change->problem);
}

static void on_answer(struct waiter *waiter, spn_question *question)
{
    struct change *change = LINK_OWNER(waiter, struct change, waiter);
    if (change->problem.status != 0) {
        gateway_wait(change->gateway, waiter, 0);
        if (!exchange_is_answered(change->exchange))
            refuse_with_session(change);
        return;
    }
    const struct spn_published *published;
    spn_err err = spn_answer_published(question, &published);
    gateway_wait(change->gateway, waiter, 0);
    if (exchange_is_answered(change->exchange))
        return;
    if (err != SPN_OK) {
        refuse(change, err, NULL);
    } else if (published->result == SPN_REFUSED) {
        refuse(change, published->code, published);
    } else if (published->result == SPN_CONFLICT) {
        struct problem problem;
        (void)problem_conflict(&problem);
        add_published(change->exchange, published);
        answer_problem(change->exchange, &problem);
    } else {
        change->gateway->counts.published += change->publishes;
        add_published(change->exchange, published);
        if (change->publishes)
            answer_published(change, published);
        else if (change->json.size > 0)
            answer_json(change, &change->json);
        else
            exchange_answer(change->exchange, 204, NULL, 0);
    }
}

/* Whether it was carried out is not known: the request may be repeated. */
static void on_due(struct waiter *waiter)
{
    struct change *change = LINK_OWNER(waiter, struct change, waiter);
    if (exchange_is_answered(change->exchange))
        return;
    if (change->problem.status != 0)
        answer_problem(change->exchange, &change->problem);
    else
        refuse(change, SPN_E_TIMEOUT, NULL);
}

static struct change *change_new(struct gateway *gateway, struct exchange *exchange)
{
    struct change *change = calloc(1, sizeof(*change));
    if (change == NULL)
        return NULL;
    *change = (struct change){
        .waiter = {.deadline = DEADLINE_INIT, .on_due = on_due, .on_answer = on_answer},
        .gateway = gateway,
        .exchange = exchange,
    };
    out_init(&change->json, -1);
    link_init(&change->link);
    link_join(&gateway->publishers, &change->link);
    return change;
}

/* The question was asked, or not. */
static struct change *settle(struct gateway *gateway, struct exchange *exchange,
                             struct change *change, spn_err err)
{
    if (change == NULL)
        err = SPN_E_NOMEM;
    if (err == SPN_OK) {
        spn_question_set_context(change->question, &change->waiter);
        gateway_wait(gateway, &change->waiter, gateway->options->publish_ns);
        return change;
    }
    answer_err(exchange, err);
    change_free(change);
    return NULL;
}

struct change *change_publish(struct gateway *gateway, struct exchange *exchange,
                              struct spn_bytes session, const struct spn_event *event,
                              const struct spn_publish_options *options, spn_level level)
{
    struct change *change = change_new(gateway, exchange);
    spn_err err = SPN_OK;
    if (change != NULL) {
        change->publishes = true;
        change->level = level;
        err = spn_ask_publish_with(&change->question, gateway->client, session, event, options,
                                   level);
    }
    return settle(gateway, exchange, change, err);
}

/* The questions that have nothing but a session and conditions. */
typedef spn_err asks(spn_question **ret_question, spn_client *client, struct spn_bytes session,
                     const struct spn_publish_options *options);

static struct change *change_ask(struct gateway *gateway, struct exchange *exchange,
                                 struct spn_bytes session,
                                 const struct spn_publish_options *options, asks *ask)
{
    struct change *change = change_new(gateway, exchange);
    spn_err err = SPN_OK;
    if (change != NULL)
        err = ask(&change->question, gateway->client, session, options);
    return settle(gateway, exchange, change, err);
}

struct change *change_close(struct gateway *gateway, struct exchange *exchange,
                            struct spn_bytes session, const struct spn_publish_options *options)
{
    return change_ask(gateway, exchange, session, options, spn_ask_close_with);
}

struct change *change_delete(struct gateway *gateway, struct exchange *exchange,
                             struct spn_bytes session, const struct spn_publish_options *options)
{
    return change_ask(gateway, exchange, session, options, spn_ask_delete_with);
}

struct change *change_touch(struct gateway *gateway, struct exchange *exchange,
                            struct spn_bytes session, const struct spn_publish_options *options)
{
    return change_ask(gateway, exchange, session, options, spn_ask_touch);
}

struct change *change_refuse(struct gateway *gateway, struct exchange *exchange,
                             struct spn_bytes session, const struct problem *problem)
{
    struct change *change = change_new(gateway, exchange);
    spn_err err =
        change != NULL ? spn_ask_session(&change->question, gateway->client, session) : SPN_E_NOMEM;
    if (err != SPN_OK) {
        answer_problem(exchange, problem);
        change_free(change);
        return NULL;
    }
    change->problem = *problem;
    return settle(gateway, exchange, change, SPN_OK);
}

void change_answer_json(struct change *change, struct out *json)
{
    out_release(&change->json);
    change->json = *json;
    out_init(json, -1);
}

void change_free(struct change *change)
{
    if (change == NULL)
        return;
    gateway_wait(change->gateway, &change->waiter, 0);
    link_leave(&change->link);
    spn_question_close(change->question);
    out_release(&change->json);
    free(change);
}

/* -- the exchange ------------------------------------------------------------------------------ */

static void over(struct exchange *exchange)
{
    change_free(exchange_state(exchange));
}

static const struct exchange_calls calls = {.take = exchange_ignore, .over = over};

void change_own(struct exchange *exchange, struct change *change)
{
    if (change != NULL)
        exchange_set(exchange, &calls, change);
}
