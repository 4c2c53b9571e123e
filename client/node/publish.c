/* SPDX-License-Identifier: Apache-2.0 */
#include "publish.h"

#include <stdlib.h>

#include "entries.h"
#include "handle.h"

enum {
    ACK_NUMBERS = 3, /* ticket, result, code */
};

struct producer {
    struct part part;
    spn_producer *producer;
    bool counts;      /* each ticket has a result */
    uint64_t fetched; /* results */
};

static void close_producer(struct part *part)
{
    spn_err err = spn_producer_close(((struct producer *)part)->producer, 0, NULL);
    (void)err; /* JavaScript knows what had no result */
}

static bool take_options(struct texts *texts, napi_value object,
                         struct spn_producer_options *options, struct spn_life *id)
{
    uint64_t level = SPN_DURABLE;
    uint64_t window_bytes = 0;
    uint64_t window_events = 0;
    bool has_id = false;
    *options = spn_producer_defaults();
    options->send_timeout_ms = 0;
    if (!take_number_of(texts->env, object, "level", SPN_DURABLE, &level) ||
        !take_life_of(texts->env, object, "id", id, &has_id) ||
        !take_number_of(texts->env, object, "windowBytes", NUMBER_MAX, &window_bytes) ||
        !take_number_of(texts->env, object, "windowEvents", NUMBER_MAX, &window_events) ||
        !take_flag_of(texts->env, object, "latestOnly", &options->latest_only))
        return false;
    options->level = (spn_level)level;
    options->id = has_id ? id->bytes : NULL;
    options->window_bytes = (size_t)window_bytes;
    options->window_events = (size_t)window_events;
    return true;
}

static spn_producer *open_producer(const struct call *call, struct handle *handle, bool *ret_counts)
{
    struct texts texts;
    struct spn_producer_options options;
    struct spn_life id;
    spn_producer *producer = NULL;
    texts_init(&texts, call->env);
    if (take_options(&texts, call->args[1], &options, &id)) {
        spn_err err = spn_producer_begin(&producer, handle->client, &options);
        if (err != SPN_OK)
            throw_code(call->env, err, spn_client_detail(handle->client));
        *ret_counts = options.level != SPN_NONE && !options.latest_only;
    }
    texts_release(&texts);
    return producer;
}

/* new Producer(client, {level, id, windowBytes, windowEvents, latestOnly}) */
static napi_value make_producer(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    if (!call_begin_new(&call, env, info) || !part_check_client(&call, call.args[0], &handle))
        return NULL;
    struct producer *producer = calloc(1, sizeof(*producer));
    if (producer == NULL) {
        throw_code(env, SPN_E_NOMEM, spn_err_text(SPN_E_NOMEM));
        return NULL;
    }
    producer->producer = open_producer(&call, handle, &producer->counts);
    if (producer->producer == NULL) {
        free(producer);
        return NULL;
    }
    return part_adopt(&call, handle, &producer->part, close_producer) ? call.self : NULL;
}

static bool begin(struct call *call, napi_env env, napi_callback_info info,
                  struct producer **ret_producer)
{
    struct part *part;
    if (!call_part(call, env, info, &part))
        return false;
    *ret_producer = (struct producer *)part;
    return true;
}

/* -- entries ----------------------------------------------------------------------------------- */

static napi_value outcome(napi_env env, spn_err err, uint64_t ticket)
{
    return make_number(env, err == SPN_OK ? (double)ticket : -(double)err);
}

/* publish(session, data, id, type, retryMs, note, kind, conditions): those that are not needed may
 * be left out at the end. */
static napi_value method_publish(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    struct texts texts;
    struct spn_bytes session = {NULL, 0};
    struct spn_event event;
    struct conditions conditions;
    napi_value result = NULL;
    uint64_t ticket = 0;
    if (!begin(&call, env, info, &producer))
        return NULL;
    texts_init(&texts, env);
    bool plain = call.count <= 1 + EVENT_ARGS || is_undefined(env, call.args[1 + EVENT_ARGS]);
    size_t given = call.count > 0 ? call.count - 1 : 0;
    if (take_text(&texts, call.args[0], "session", &session) &&
        take_event(&texts, call.args + 1, given, &event) &&
        (plain || take_conditions(&texts, call.args[1 + EVENT_ARGS], &conditions))) {
        spn_err err = plain ? spn_publish(producer->producer, session, &event, &ticket)
                            : spn_publish_with(producer->producer, session, &event,
                                               &conditions.options, &ticket);
        result = outcome(env, err, ticket);
    }
    texts_release(&texts);
    return result;
}

enum operation { CLOSES, DELETES, TOUCHES, SETS };

static spn_err operate(struct producer *producer, enum operation operation,
                       struct spn_bytes session, const struct spn_attributes *attributes,
                       const struct spn_publish_options *options, uint64_t *ret_ticket)
{
    switch (operation) {
    case CLOSES:
        return spn_session_close_with(producer->producer, session, options, ret_ticket);
    case DELETES:
        return spn_session_delete_with(producer->producer, session, options, ret_ticket);
    case TOUCHES:
        return spn_session_touch(producer->producer, session, options, ret_ticket);
    case SETS:
        return spn_session_set(producer->producer, session, attributes, options, ret_ticket);
    }
    return SPN_E_INVALID;
}

/* operate(session, operation, conditions, attributes) */
static napi_value method_operate(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    struct texts texts;
    struct spn_bytes session = {NULL, 0};
    struct conditions conditions;
    struct spn_attributes attributes;
    napi_value result = NULL;
    uint64_t operation = CLOSES;
    uint64_t ticket = 0;
    if (!begin(&call, env, info, &producer))
        return NULL;
    texts_init(&texts, env);
    if (take_text(&texts, call.args[0], "session", &session) &&
        take_number(env, call.args[1], "operation", SETS, &operation) &&
        take_conditions(&texts, call.args[2], &conditions) &&
        take_attributes(&texts, call.args[3], &attributes)) {
        spn_err err = operate(producer, (enum operation)operation, session, &attributes,
                              &conditions.options, &ticket);
        result = outcome(env, err, ticket);
    }
    texts_release(&texts);
    return result;
}

/* -- results ----------------------------------------------------------------------------------- */

/* Without a look at the sockets, which spn_producer_next_ack takes when there is no result. */
static bool has_results(const struct producer *producer)
{
    const struct spn_counters *counters = spn_producer_counters(producer->producer);
    return !producer->counts || counters->taken - counters->unacknowledged > producer->fetched;
}

/* results(look): writes results into the client's room, and returns how many. The number after
 * them says why there are no more: SPN_OK: perhaps there are. look: whether the producer failed is
 * asked, too. */
static napi_value method_results(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    bool look = false;
    spn_err err = SPN_OK;
    size_t count = 0;
    if (!begin(&call, env, info, &producer) || !take_flag(env, call.args[0], "look", &look))
        return NULL;
    const struct handle *handle = producer->part.handle;
    double *at = handle->room;
    for (; (count + 1) * ACK_NUMBERS < handle->room_count; count++, at += ACK_NUMBERS) {
        const struct spn_ack *ack;
        err = look || has_results(producer) ? spn_producer_next_ack(producer->producer, 0, &ack)
                                            : SPN_E_TIMEOUT;
        if (err != SPN_OK)
            break;
        producer->fetched++;
        at[0] = (double)ack->ticket;
        at[1] = ack->result;
        at[2] = ack->code;
    }
    *at = err;
    return make_number(env, (double)count);
}

/* givenId(ticket) */
static napi_value method_given_id(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    uint64_t ticket = 0;
    char id[SPN_GIVEN_ID_MAX];
    if (!begin(&call, env, info, &producer) ||
        !take_number(env, call.args[0], "ticket", NUMBER_MAX, &ticket))
        return NULL;
    size_t size = spn_given_id(producer->producer, ticket, id);
    napi_value value = NULL;
    return ok(env, napi_create_string_latin1(env, id, size, &value)) ? value : NULL;
}

/* ready(): an error; SPN_E_TIMEOUT: not yet. */
static napi_value method_ready(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    return begin(&call, env, info, &producer)
               ? make_number(env, spn_producer_ready(producer->producer))
               : NULL;
}

/* flush(): sends what is gathered. SPN_E_TIMEOUT: something has not ended yet. */
static napi_value method_flush(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    return begin(&call, env, info, &producer)
               ? make_number(env, spn_producer_flush(producer->producer, 0))
               : NULL;
}

static napi_value method_committed(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    return begin(&call, env, info, &producer)
               ? make_number(env, (double)spn_producer_committed(producer->producer))
               : NULL;
}

static napi_value method_counters(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    if (!begin(&call, env, info, &producer))
        return NULL;
    const struct spn_counters *counters = spn_producer_counters(producer->producer);
    napi_value object = make_object(env);
    bool made = object != NULL && put_number(env, object, "taken", counters->taken) &&
                put_number(env, object, "stored", counters->stored) &&
                put_number(env, object, "duplicates", counters->duplicates) &&
                put_number(env, object, "conflicts", counters->conflicts) &&
                put_number(env, object, "refused", counters->refused) &&
                put_number(env, object, "lost", counters->lost) &&
                put_number(env, object, "resent", counters->resent) &&
                put_number(env, object, "backpressure", counters->backpressure) &&
                put_number(env, object, "unacknowledged", counters->unacknowledged) &&
                put_number(env, object, "pending", counters->pending) &&
                put_number(env, object, "replaced", counters->replaced);
    return made ? object : NULL;
}

static napi_value method_close(napi_env env, napi_callback_info info)
{
    struct call call;
    struct producer *producer;
    if (begin(&call, env, info, &producer))
        part_close(&producer->part);
    return NULL;
}

bool publish_export(napi_env env, napi_value exports)
{
    static const napi_property_descriptor methods[] = {
        {.utf8name = "close", .method = method_close, .attributes = napi_default_method},
        {.utf8name = "committed", .method = method_committed, .attributes = napi_default_method},
        {.utf8name = "counters", .method = method_counters, .attributes = napi_default_method},
        {.utf8name = "flush", .method = method_flush, .attributes = napi_default_method},
        {.utf8name = "givenId", .method = method_given_id, .attributes = napi_default_method},
        {.utf8name = "operate", .method = method_operate, .attributes = napi_default_method},
        {.utf8name = "publish", .method = method_publish, .attributes = napi_default_method},
        {.utf8name = "ready", .method = method_ready, .attributes = napi_default_method},
        {.utf8name = "results", .method = method_results, .attributes = napi_default_method},
    };
    return handle_export(env, exports, "Producer", make_producer,
                         sizeof(methods) / sizeof(methods[0]), methods);
}
