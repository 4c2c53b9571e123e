/* SPDX-License-Identifier: Apache-2.0 */
#include "questions.h"

#include <stdlib.h>

#include "entries.h"
#include "handle.h"

/* The order is that of `questionKinds` in core.mjs. */
enum kind { LAST, INFO, SESSIONS, HEALTH, STATS, PUBLISH, CLOSES, DELETES, TOUCHES, SETS };

struct question {
    struct part part;
    spn_question *question;
    double owner;
    enum kind kind;
};

static void close_question(struct part *part)
{
    spn_question_close(((struct question *)part)->question);
}

/* -- asking ------------------------------------------------------------------------------------ */

/* What the arguments say: of each kind some of it. */
struct request {
    struct spn_bytes session;
    struct spn_bytes after;
    struct spn_bytes prefix;
    struct conditions conditions;
    uint64_t level;
    struct spn_event event;
    struct spn_attributes attributes;
};

static bool take_event_of(struct texts *texts, napi_value array, struct spn_event *ret)
{
    napi_value args[EVENT_ARGS];
    for (uint32_t i = 0; i < EVENT_ARGS; i++)
        if (!ok(texts->env, napi_get_element(texts->env, array, i, &args[i])))
            return false;
    return take_event(texts, args, EVENT_ARGS, ret);
}

/* session, object, and an event's array or attributes */
static bool take_request(struct texts *texts, const napi_value *args, enum kind kind,
                         struct request *ret)
{
    *ret = (struct request){.level = SPN_DURABLE};
    if (!take_text(texts, args[0], "session", &ret->session))
        return false;
    if (kind == SESSIONS)
        return take_text_of(texts, args[1], "after", &ret->after) &&
               take_text_of(texts, args[1], "prefix", &ret->prefix);
    if (kind < PUBLISH)
        return true;
    if (!take_conditions(texts, args[1], &ret->conditions) ||
        !take_number_of(texts->env, args[1], "level", SPN_DURABLE, &ret->level))
        return false;
    if (kind == PUBLISH)
        return take_event_of(texts, args[2], &ret->event);
    return kind != SETS || take_attributes(texts, args[2], &ret->attributes);
}

static spn_err ask(spn_question **ret_question, spn_client *client, enum kind kind,
                   const struct request *request)
{
    const struct spn_publish_options *options = &request->conditions.options;
    switch (kind) {
    case LAST:
        return spn_ask_last(ret_question, client, request->session);
    case INFO:
        return spn_ask_session(ret_question, client, request->session);
    case SESSIONS:
        return spn_ask_sessions(ret_question, client, request->after, request->prefix);
    case HEALTH:
        return spn_ask_health(ret_question, client);
    case STATS:
        return spn_ask_stats(ret_question, client);
    case PUBLISH:
        return spn_ask_publish_with(ret_question, client, request->session, &request->event,
                                    options, (spn_level)request->level);
    case CLOSES:
        return spn_ask_close_with(ret_question, client, request->session, options);
    case DELETES:
        return spn_ask_delete_with(ret_question, client, request->session, options);
    case TOUCHES:
        return spn_ask_touch(ret_question, client, request->session, options);
    case SETS:
        return spn_ask_set(ret_question, client, request->session, &request->attributes, options);
    }
    return SPN_E_INVALID;
}

static bool open_question(const struct call *call, struct handle *handle, struct question *question)
{
    struct texts texts;
    struct request request;
    uint64_t owner = 0;
    uint64_t kind = LAST;
    spn_err err = SPN_E_INVALID;
    texts_init(&texts, call->env);
    if (take_number(call->env, call->args[1], "owner", NUMBER_MAX, &owner) &&
        take_number(call->env, call->args[2], "kind", SETS, &kind) &&
        take_request(&texts, call->args + 3, (enum kind)kind, &request)) {
        question->owner = (double)owner;
        question->kind = (enum kind)kind;
        err = ask(&question->question, handle->client, question->kind, &request);
        if (err != SPN_OK)
            throw_code(call->env, err, spn_client_detail(handle->client));
    }
    texts_release(&texts);
    return err == SPN_OK;
}

/* new Question(client, owner, kind, session, {conditions, level, after, prefix}, event or
 * attributes) */
static napi_value make_question(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    if (!call_begin_new(&call, env, info) || !part_check_client(&call, call.args[0], &handle))
        return NULL;
    struct question *question = calloc(1, sizeof(*question));
    if (question == NULL) {
        throw_code(env, SPN_E_NOMEM, spn_err_text(SPN_E_NOMEM));
        return NULL;
    }
    if (!open_question(&call, handle, question)) {
        free(question);
        return NULL;
    }
    spn_question_set_context(question->question, question);
    return part_adopt(&call, handle, &question->part, close_question) ? call.self : NULL;
}

/* -- answers ----------------------------------------------------------------------------------- */

napi_value method_take_answered(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    spn_question *answered;
    if (!call_handle(&call, env, info, &handle))
        return NULL;
    if (spn_next_answered(handle->client, 0, &answered) != SPN_OK)
        return make_number(env, -1);
    return make_number(env, ((struct question *)spn_question_context(answered))->owner);
}

static bool put_life(napi_env env, napi_value object, const char *name, struct spn_life life)
{
    return put(env, object, name, make_life(env, life.bytes));
}

static bool put_state(napi_env env, napi_value object, spn_session_state state)
{
    return put_text(env, object, "state", spn_text(spn_session_state_name(state)));
}

static bool put_last(napi_env env, napi_value object, spn_question *question, spn_err *ret_err)
{
    const struct spn_last *last;
    *ret_err = spn_answer_last(question, &last);
    return *ret_err == SPN_OK && put_text(env, object, "id", last->id) &&
           put_number(env, object, "seq", last->seq) && put_life(env, object, "life", last->life) &&
           put_number(env, object, "position", last->position) &&
           put_number(env, object, "timeMs", last->time_ms) && put_state(env, object, last->state);
}

static bool put_session(napi_env env, napi_value object, const struct spn_session *session)
{
    return put_text(env, object, "name", session->name) &&
           put_text(env, object, "lastId", session->last_id) &&
           put_life(env, object, "life", session->life) &&
           put_number(env, object, "epoch", session->epoch) &&
           put_number(env, object, "seq", session->seq) &&
           put_number(env, object, "markers", session->markers) &&
           put_number(env, object, "position", session->position) &&
           put_number(env, object, "bytes", session->bytes) &&
           put_number(env, object, "openedMs", session->opened_ms) &&
           put_number(env, object, "lastMs", session->last_ms) &&
           put_number(env, object, "duplicates", session->duplicates) &&
           put_number(env, object, "conflicts", session->conflicts) &&
           put_state(env, object, session->state) &&
           put_text(env, object, "reason", session->reason) &&
           put_text(env, object, "contentType", session->content_type) &&
           put_number(env, object, "ttlMs", session->ttl_ms) &&
           put_number(env, object, "idleCloseMs", session->idle_close_ms);
}

static bool put_info(napi_env env, napi_value object, spn_question *question, spn_err *ret_err)
{
    const struct spn_session_info *info;
    *ret_err = spn_answer_session(question, &info);
    return *ret_err == SPN_OK && put_session(env, object, info->session) &&
           put_number(env, object, "firstSeq", info->first_seq) &&
           put_number(env, object, "retainedMarkers", info->markers) &&
           put_number(env, object, "lifeFirstSeq", info->life_first_seq) &&
           put(env, object, "note", make_buffer(env, info->note));
}

static bool put_page(napi_env env, napi_value object, spn_question *question, spn_err *ret_err)
{
    const struct spn_session *session;
    napi_value list = NULL;
    napi_value more_value = NULL;
    bool more = false;
    if (!ok(env, napi_create_array(env, &list)) || !put(env, object, "sessions", list))
        return false;
    for (uint32_t i = 0; (*ret_err = spn_answer_next_session(question, &session)) == SPN_OK; i++) {
        napi_value entry = make_object(env);
        if (entry == NULL || !put_session(env, entry, session) ||
            !ok(env, napi_set_element(env, list, i, entry)))
            return false;
    }
    if (*ret_err == SPN_E_END)
        *ret_err = spn_answer_more_sessions(question, &more);
    return *ret_err == SPN_OK && ok(env, napi_get_boolean(env, more, &more_value)) &&
           put(env, object, "more", more_value);
}

static bool put_health(napi_env env, napi_value object, spn_question *question, spn_err *ret_err)
{
    static const char *const statuses[] = {"healthy", "degraded", "stopping"};
    const struct spn_health *health;
    napi_value instance = NULL;
    *ret_err = spn_answer_health(question, &health);
    return *ret_err == SPN_OK &&
           put_text(env, object, "status", spn_text(statuses[health->status])) &&
           put_text(env, object, "reason", spn_text(health->reason)) &&
           put_text(env, object, "version", spn_text(health->version)) &&
           put_number(env, object, "pid", health->pid) &&
           ok(env, napi_create_bigint_uint64(env, health->instance, &instance)) &&
           put(env, object, "instance", instance) &&
           put_number(env, object, "uptimeMs", health->uptime_ms) &&
           put_number(env, object, "durable", health->durable) &&
           put_number(env, object, "checkpoint", health->checkpoint);
}

static bool put_stats(napi_env env, napi_value object, spn_question *question, spn_err *ret_err)
{
    const struct spn_stat *stats;
    size_t count = 0;
    *ret_err = spn_answer_stats(question, &stats, &count);
    if (*ret_err != SPN_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!put_number(env, object, stats[i].name, stats[i].value))
            return false;
    return true;
}

static bool put_published(napi_env env, napi_value object, spn_question *question, spn_err *ret_err)
{
    const struct spn_published *published;
    *ret_err = spn_answer_published(question, &published);
    return *ret_err == SPN_OK &&
           put_text(env, object, "result", spn_text(spn_result_name(published->result))) &&
           put_number(env, object, "code", published->code) &&
           put_text(env, object, "id", published->id) && put_state(env, object, published->state) &&
           put_life(env, object, "life", published->life) &&
           put_number(env, object, "seq", published->seq) &&
           put_number(env, object, "position", published->position);
}

static bool put_answer(napi_env env, napi_value object, const struct question *question,
                       spn_err *ret_err)
{
    switch (question->kind) {
    case LAST:
        return put_last(env, object, question->question, ret_err);
    case INFO:
        return put_info(env, object, question->question, ret_err);
    case SESSIONS:
        return put_page(env, object, question->question, ret_err);
    case HEALTH:
        return put_health(env, object, question->question, ret_err);
    case STATS:
        return put_stats(env, object, question->question, ret_err);
    case PUBLISH:
    case CLOSES:
    case DELETES:
    case TOUCHES:
    case SETS:
        return put_published(env, object, question->question, ret_err);
    }
    return false;
}

static bool begin(struct call *call, napi_env env, napi_callback_info info,
                  struct question **ret_question)
{
    struct part *part;
    if (!call_part(call, env, info, &part))
        return false;
    *ret_question = (struct question *)part;
    return true;
}

/* answer(): an object, or an exception with the code of the refusal. The question is closed. */
static napi_value method_answer(napi_env env, napi_callback_info info)
{
    struct call call;
    struct question *question;
    spn_err err = SPN_OK;
    if (!begin(&call, env, info, &question))
        return NULL;
    napi_value object = make_object(env);
    if (object != NULL && !put_answer(env, object, question, &err)) {
        object = NULL;
        if (err != SPN_OK)
            throw_code(env, err, spn_client_detail(question->part.handle->client));
    }
    part_close(&question->part);
    return object;
}

static napi_value method_close(napi_env env, napi_callback_info info)
{
    struct call call;
    struct question *question;
    if (begin(&call, env, info, &question))
        part_close(&question->part);
    return NULL;
}

bool questions_export(napi_env env, napi_value exports)
{
    static const napi_property_descriptor methods[] = {
        {.utf8name = "answer", .method = method_answer, .attributes = napi_default_method},
        {.utf8name = "close", .method = method_close, .attributes = napi_default_method},
    };
    return handle_export(env, exports, "Question", make_question,
                         sizeof(methods) / sizeof(methods[0]), methods);
}
