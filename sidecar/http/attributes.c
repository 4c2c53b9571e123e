/* SPDX-License-Identifier: Apache-2.0 */
#include "http/attributes.h"

#include <stdlib.h>
#include <string.h>

#include "http/answer.h"
#include "http/attributes_json.h"
#include "http/word.h"

/* What the question under way is for. */
enum setting_step {
    SETTING_OPEN,    /* PUT: opens the session, if it is new */
    SETTING_COMPARE, /* PUT: it is not new: are the attributes the same? */
    SETTING_READ,    /* PATCH: which attributes are there? */
    SETTING_CHANGE,  /* PATCH: sets them with the changes */
};

struct setting {
    struct waiter waiter;
    struct link link;
    struct gateway *gateway;
    struct exchange *exchange;
    spn_question *question;
    enum setting_step step;
    bool patches;
    bool is_parsed;
    struct spn_publish_options options;
    struct spn_life life; /* where options.life points to */
    struct attributes_change change;
    struct out body;
    struct memory_share share;
    size_t session_size;
    char session[];
};

static void ask(struct setting *setting, enum setting_step step);

/* A PUT without a condition opens a session that is new, and is compared with one that is there. */
static bool is_plain_put(const struct setting *setting)
{
    const struct spn_publish_options *options = &setting->options;
    return !setting->patches && !options->if_new && !options->has_if_seq && options->life == NULL;
}

/* -- answers ----------------------------------------------------------------------------------- */

static void answer_set(struct setting *setting, unsigned status,
                       const struct spn_published *published)
{
    answer_add_session(setting->exchange, &published->life, published->seq, published->state);
    exchange_answer(setting->exchange, status, NULL, 0);
}

static void take_set(struct setting *setting)
{
    const struct spn_published *published;
    spn_err err = spn_answer_published(setting->question, &published);
    if (err != SPN_OK) {
        answer_err(setting->exchange, err);
    } else if (published->result != SPN_REFUSED) {
        bool is_new = is_plain_put(setting) || setting->options.if_new;
        answer_set(setting, is_new ? 201 : 200, published);
    } else if (published->code == SPN_E_CONDITION && is_plain_put(setting)) {
        ask(setting, SETTING_COMPARE);
    } else {
        answer_add_session(setting->exchange, &published->life, published->seq, published->state);
        answer_err(setting->exchange, published->code);
    }
}

static bool is_same(const struct spn_session_info *info, const struct spn_attributes *attributes)
{
    const struct spn_session *session = info->session;
    return session->ttl_ms == attributes->ttl_ms &&
           session->idle_close_ms == attributes->idle_close_ms &&
           word_equals(session->content_type, attributes->content_type) &&
           word_equals(info->note, attributes->note);
}

static void take_info(struct setting *setting)
{
    const struct spn_session_info *info;
    spn_err err = spn_answer_session(setting->question, &info);
    if (err != SPN_OK) {
        answer_err(setting->exchange, err);
        return;
    }
    const struct spn_session *session = info->session;
    if (setting->step == SETTING_READ) {
        struct spn_attributes attributes = {
            .size = sizeof(attributes),
            .ttl_ms = session->ttl_ms,
            .idle_close_ms = session->idle_close_ms,
            .content_type = session->content_type,
            .note = info->note,
        };
        attributes_apply(&setting->change, &attributes);
        if (setting->options.life == NULL && !setting->options.if_new) {
            setting->life = session->life;
            setting->options.life = &setting->life;
        }
        setting->change.attributes = attributes;
        ask(setting, SETTING_CHANGE);
        return;
    }
    answer_add_session(setting->exchange, &session->life, session->seq, session->state);
    if (is_same(info, &setting->change.attributes)) {
        exchange_answer(setting->exchange, 200, NULL, 0);
        return;
    }
    struct problem problem;
    problem_set(&problem, 409, SPN_E_CONDITION, "the session is there, with other attributes");
    answer_problem(setting->exchange, &problem);
}

static void on_answer(struct waiter *waiter, spn_question *question)
{
    (void)question;
    struct setting *setting = LINK_OWNER(waiter, struct setting, waiter);
    if (exchange_is_answered(setting->exchange))
        return;
    if (setting->step == SETTING_OPEN || setting->step == SETTING_CHANGE)
        take_set(setting);
    else
        take_info(setting);
}

static void on_due(struct waiter *waiter)
{
    struct setting *setting = LINK_OWNER(waiter, struct setting, waiter);
    if (!exchange_is_answered(setting->exchange))
        answer_err(setting->exchange, SPN_E_TIMEOUT);
}

/* -- questions --------------------------------------------------------------------------------- */

/* The answer of the question before may be where the attributes' bytes are, so that one goes last.
 */
static void ask(struct setting *setting, enum setting_step step)
{
    const struct spn_bytes session = {setting->session, setting->session_size};
    spn_client *client = setting->gateway->client;
    spn_question *before = setting->question;
    struct spn_publish_options options = setting->options;
    spn_err err;
    setting->question = NULL;
    setting->step = step;
    options.if_new = options.if_new || is_plain_put(setting);
    if (step == SETTING_OPEN || step == SETTING_CHANGE)
        err =
            spn_ask_set(&setting->question, client, session, &setting->change.attributes, &options);
    else
        err = spn_ask_session(&setting->question, client, session);
    spn_question_close(before);
    if (err != SPN_OK)
        answer_err(setting->exchange, err);
    else
        spn_question_set_context(setting->question, &setting->waiter);
}

/* -- the exchange ------------------------------------------------------------------------------ */

static void refuse_size(struct exchange *exchange)
{
    struct problem problem;
    problem_set(&problem, 413, SPN_E_BAD_ATTRIBUTES, "the body is over %d bytes",
                ATTRIBUTES_JSON_MAX);
    answer_problem(exchange, &problem);
}

static size_t take(struct exchange *exchange, const void *bytes, size_t size)
{
    struct setting *setting = exchange_state(exchange);
    size_t all = setting->body.size + size;
    if (all > ATTRIBUTES_JSON_MAX)
        refuse_size(exchange);
    else if (!memory_reserve(&setting->share, all))
        answer_no_room(exchange, &setting->share);
    else
        out_put(&setting->body, bytes, size);
    return size;
}

static void finish(struct exchange *exchange)
{
    struct setting *setting = exchange_state(exchange);
    struct problem problem;
    struct spn_bytes body = {setting->body.data, setting->body.size};
    setting->is_parsed = attributes_parse(body, &setting->change, &problem);
    if (!setting->is_parsed) {
        answer_problem(exchange, &problem);
        return;
    }
    gateway_wait(setting->gateway, &setting->waiter, setting->gateway->options->publish_ns);
    ask(setting, setting->patches ? SETTING_READ : SETTING_OPEN);
}

static void over(struct exchange *exchange)
{
    struct setting *setting = exchange_state(exchange);
    gateway_wait(setting->gateway, &setting->waiter, 0);
    link_leave(&setting->link);
    spn_question_close(setting->question);
    if (setting->is_parsed)
        attributes_release(&setting->change);
    out_release(&setting->body);
    memory_release(&setting->share);
    free(setting);
}

static const struct exchange_calls calls = {.take = take, .finish = finish, .over = over};

void attributes_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session,
                      const struct spn_publish_options *conditions, bool patches)
{
    if (exchange_length(exchange) > ATTRIBUTES_JSON_MAX) {
        refuse_size(exchange);
        return;
    }
    struct setting *setting = calloc(1, sizeof(*setting) + session.size);
    if (setting == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    setting->waiter =
        (struct waiter){.deadline = DEADLINE_INIT, .on_due = on_due, .on_answer = on_answer};
    setting->gateway = gateway;
    setting->exchange = exchange;
    setting->patches = patches;
    setting->options = *conditions;
    if (conditions->life != NULL) {
        setting->life = *conditions->life;
        setting->options.life = &setting->life;
    }
    setting->session_size = session.size;
    memcpy(setting->session, session.data, session.size);
    out_init(&setting->body, -1);
    memory_share_init(&setting->share, &gateway->memory[MEMORY_BODIES], NULL);
    link_init(&setting->link);
    link_join(&gateway->publishers, &setting->link);
    exchange_set(exchange, &calls, setting);
}
