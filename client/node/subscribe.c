/* SPDX-License-Identifier: Apache-2.0 */
#include "subscribe.h"

#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "items.h"

/* A subscription or a replay: one of the two is NULL. */
struct reader {
    struct part part;
    struct reading reading;
    spn_subscription *subscription;
    spn_replay *replay;
};

static void close_reader(struct part *part)
{
    struct reader *reader = (struct reader *)part;
    spn_unsubscribe(reader->subscription);
    spn_replay_close(reader->replay);
}

static bool begin(struct call *call, napi_env env, napi_callback_info info,
                  struct reader **ret_reader)
{
    struct part *part;
    if (!call_part(call, env, info, &part))
        return false;
    *ret_reader = (struct reader *)part;
    return true;
}

static struct portion portion_of(napi_env env, const struct handle *handle, napi_value values)
{
    return (struct portion){.env = env,
                            .numbers = handle->room,
                            .room = handle->room_count / ITEM_NUMBERS,
                            .values = values};
}

/* -- where it begins --------------------------------------------------------------------------- */

/* {start, after, life, seq, otherwise, windowBytes, database, position, prefix, touches} */
struct start {
    uint64_t start;
    struct spn_bytes after;
    struct spn_life life; /* or the id of a database */
    bool has_life;
    uint64_t number; /* a seq or a position */
    uint64_t otherwise;
    uint64_t window_bytes;
    struct spn_bytes prefix;
    bool touches;
};

static bool take_start(struct texts *texts, napi_value object, struct start *ret)
{
    napi_env env = texts->env;
    *ret = (struct start){0};
    return take_number_of(env, object, "start", SPN_AFTER_POSITION, &ret->start) &&
           take_text_of(texts, object, "after", &ret->after) &&
           take_life_of(env, object, "life", &ret->life, &ret->has_life) &&
           take_number_of(env, object, "number", NUMBER_MAX, &ret->number) &&
           take_number_of(env, object, "otherwise", SPN_RESTART | SPN_WAIT, &ret->otherwise) &&
           take_number_of(env, object, "windowBytes", NUMBER_MAX, &ret->window_bytes) &&
           take_text_of(texts, object, "prefix", &ret->prefix) &&
           take_flag_of(env, object, "touches", &ret->touches);
}

static spn_err subscribe(struct reader *reader, spn_client *client, struct spn_bytes session,
                         const struct start *start)
{
    const struct spn_subscription_options options = {
        .size = sizeof(options),
        .start = (spn_start)start->start,
        .after = start->after,
        .otherwise = (unsigned)start->otherwise,
        .window_bytes = (size_t)start->window_bytes,
        .after_life = start->life,
        .after_seq = start->number,
    };
    return spn_subscribe(&reader->subscription, client, session, &options);
}

static spn_err follow(struct reader *reader, spn_client *client, const struct start *start)
{
    struct spn_follow_options options = {
        .size = sizeof(options),
        .start = (spn_start)start->start,
        .position = start->number,
        .prefix = start->prefix,
        .touches = start->touches,
        .window_bytes = (size_t)start->window_bytes,
    };
    memcpy(options.database, start->life.bytes, sizeof(options.database));
    return spn_follow(&reader->subscription, client, &options);
}

static spn_err replay(struct reader *reader, spn_client *client, struct spn_bytes session,
                      const struct start *start)
{
    return start->has_life ? spn_replay_begin_after(&reader->replay, client, session, &start->life,
                                                    start->number)
                           : spn_replay_begin(&reader->replay, client, session, start->after);
}

enum source { SESSION, LOG, REPLAY };

static spn_err open_source(struct reader *reader, enum source source, spn_client *client,
                           struct spn_bytes session, const struct start *start)
{
    switch (source) {
    case SESSION:
        return subscribe(reader, client, session, start);
    case LOG:
        return follow(reader, client, start);
    case REPLAY:
        return replay(reader, client, session, start);
    }
    return SPN_E_INVALID;
}

static bool open_reader(const struct call *call, struct handle *handle, struct reader *reader)
{
    struct texts texts;
    struct start start;
    struct spn_bytes session = {NULL, 0};
    uint64_t owner = 0;
    uint64_t source = SESSION;
    spn_err err = SPN_E_INVALID;
    texts_init(&texts, call->env);
    if (take_number(call->env, call->args[1], "owner", NUMBER_MAX, &owner) &&
        take_number(call->env, call->args[2], "source", REPLAY, &source) &&
        take_text(&texts, call->args[3], "session", &session) &&
        take_start(&texts, call->args[4], &start) &&
        take_flag(call->env, call->args[5], "asBytes", &reader->reading.as_bytes)) {
        reader->reading.owner = (double)owner;
        err = open_source(reader, (enum source)source, handle->client, session, &start);
        if (err != SPN_OK)
            throw_code(call->env, err, spn_client_detail(handle->client));
    }
    texts_release(&texts);
    return err == SPN_OK;
}

/* new Reader(client, owner, source, session, start, asBytes) */
static napi_value make_reader(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    if (!call_begin_new(&call, env, info) || !part_check_client(&call, call.args[0], &handle))
        return NULL;
    struct reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        throw_code(env, SPN_E_NOMEM, spn_err_text(SPN_E_NOMEM));
        return NULL;
    }
    if (!open_reader(&call, handle, reader)) {
        free(reader);
        return NULL;
    }
    if (reader->subscription != NULL)
        spn_subscription_set_context(reader->subscription, reader);
    return part_adopt(&call, handle, &reader->part, close_reader) ? call.self : NULL;
}

/* -- reading ----------------------------------------------------------------------------------- */

napi_value method_take_items(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    if (!call_handle(&call, env, info, &handle))
        return NULL;
    struct portion portion = portion_of(env, handle, call.args[0]);
    while (portion_has_room(&portion)) {
        spn_subscription *subscription;
        const struct spn_item *item;
        if (spn_next_of_any(handle->client, 0, &subscription, &item) != SPN_OK)
            break;
        struct reader *reader = spn_subscription_context(subscription);
        if (!portion_put_item(&portion, &reader->reading, item))
            return NULL;
    }
    return make_number(env, (double)portion.count);
}

/* pause(flag): of a subscription. */
static napi_value method_pause(napi_env env, napi_callback_info info)
{
    struct call call;
    struct reader *reader;
    bool paused = false;
    if (!begin(&call, env, info, &reader) || !take_flag(env, call.args[0], "paused", &paused))
        return NULL;
    spn_err err = spn_subscription_pause(reader->subscription, paused);
    if (err != SPN_OK)
        throw_code(env, err, spn_client_detail(reader->part.handle->client));
    return NULL;
}

/* take(values): the next events of a replay, as takeItems. The number after those of the last
 * item is the error that ended it, SPN_OK if there may be more. */
static napi_value method_take(napi_env env, napi_callback_info info)
{
    struct call call;
    struct reader *reader;
    if (!begin(&call, env, info, &reader))
        return NULL;
    struct portion portion = portion_of(env, reader->part.handle, call.args[0]);
    spn_err err = SPN_OK;
    portion.room--;
    while (err == SPN_OK && portion_has_room(&portion)) {
        const struct spn_event *event;
        err = spn_replay_next(reader->replay, 0, &event);
        if (err == SPN_OK && !portion_put_event(&portion, &reader->reading, event))
            return NULL;
    }
    portion.numbers[portion.count * ITEM_NUMBERS] = err;
    return make_number(env, (double)portion.count);
}

/* missing(): of a replay. */
static napi_value method_missing(napi_env env, napi_callback_info info)
{
    struct call call;
    struct reader *reader;
    return begin(&call, env, info, &reader)
               ? make_number(env, (double)spn_replay_missing(reader->replay))
               : NULL;
}

static napi_value method_close(napi_env env, napi_callback_info info)
{
    struct call call;
    struct reader *reader;
    if (begin(&call, env, info, &reader))
        part_close(&reader->part);
    return NULL;
}

bool subscribe_export(napi_env env, napi_value exports)
{
    static const napi_property_descriptor methods[] = {
        {.utf8name = "close", .method = method_close, .attributes = napi_default_method},
        {.utf8name = "missing", .method = method_missing, .attributes = napi_default_method},
        {.utf8name = "pause", .method = method_pause, .attributes = napi_default_method},
        {.utf8name = "take", .method = method_take, .attributes = napi_default_method},
    };
    return handle_export(env, exports, "Reader", make_reader, sizeof(methods) / sizeof(methods[0]),
                         methods);
}
