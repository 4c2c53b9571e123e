/* SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

#include <stdlib.h>

#include "handle.h"
#include "questions.h"
#include "subscribe.h"
#include "values.h"

/* -- closing outside the thread of the loop ---------------------------------------------------- */

/* The last client of a process waits for ZeroMQ's thread, and up to 100 ms for events of level
 * none. So it is closed by a thread of libuv's pool. */
struct closing {
    spn_client *client;
    napi_async_work work;
    napi_deferred deferred;
};

static void close_client(napi_env env, void *data)
{
    struct closing *closing = data;
    (void)env;
    spn_client_close(closing->client);
}

static void client_closed(napi_env env, napi_status status, void *data)
{
    struct closing *closing = data;
    napi_value nothing = NULL;
    if (status == napi_cancelled)
        spn_client_close(closing->client);
    if (ok(env, napi_get_undefined(env, &nothing)))
        (void)ok(env, napi_resolve_deferred(env, closing->deferred, nothing));
    (void)napi_delete_async_work(env, closing->work);
    free(closing);
}

static bool begin_closing(napi_env env, struct closing *closing, napi_value *ret_promise)
{
    napi_value name = NULL;
    return ok(env, napi_create_string_latin1(env, "sponson", NAPI_AUTO_LENGTH, &name)) &&
           ok(env, napi_create_promise(env, &closing->deferred, ret_promise)) &&
           ok(env, napi_create_async_work(env, NULL, name, close_client, client_closed, closing,
                                          &closing->work)) &&
           ok(env, napi_queue_async_work(env, closing->work));
}

/* close(): a promise. */
static napi_value method_close(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    napi_value promise = NULL;
    if (!call_handle(&call, env, info, &handle))
        return NULL;
    struct closing *closing = calloc(1, sizeof(*closing));
    spn_client *client = handle_detach(handle);
    if (closing != NULL)
        closing->client = client;
    if (closing != NULL && begin_closing(env, closing, &promise))
        return promise;
    spn_client_close(client);
    if (closing != NULL && closing->work != NULL)
        (void)napi_delete_async_work(env, closing->work);
    free(closing);
    return NULL;
}

/* -- a client ---------------------------------------------------------------------------------- */

static bool keep(struct call *call, struct handle *handle)
{
    void *room = NULL;
    napi_typedarray_type type = napi_int8_array;
    if (!ok(call->env, napi_get_typedarray_info(call->env, call->args[2], &type,
                                                &handle->room_count, &room, NULL, NULL)))
        return false;
    if (type != napi_float64_array) {
        (void)napi_throw_type_error(call->env, NULL, "room must be a Float64Array");
        return false;
    }
    handle->room = room;
    if (!ok(call->env, napi_create_reference(call->env, call->args[1], 1, &handle->turn)))
        return false;
    return ok(call->env, napi_create_reference(call->env, call->args[2], 1, &handle->room_ref));
}

static bool begin(const struct call *call, struct handle *handle)
{
    struct texts texts;
    struct spn_client_options options = {.size = sizeof(options)};
    char detail[512] = "";
    uint64_t send_hwm = 0;
    uint64_t read_bytes_max = 0;
    uint64_t questions_max = 0;
    texts_init(&texts, call->env);
    bool taken =
        take_c_string_of(&texts, call->args[0], "socketDir", &options.socket_dir) &&
        take_flag_of(call->env, call->args[0], "atOnce", &options.at_once) &&
        take_number_of(call->env, call->args[0], "sendHwm", INT32_MAX, &send_hwm) &&
        take_number_of(call->env, call->args[0], "readBytesMax", NUMBER_MAX, &read_bytes_max) &&
        take_number_of(call->env, call->args[0], "questionsMax", NUMBER_MAX, &questions_max);
    if (taken) {
        options.send_hwm = (int)send_hwm;
        options.read_bytes_max = (size_t)read_bytes_max;
        options.questions_max = (size_t)questions_max;
        spn_err err = spn_client_begin(&handle->client, &options, detail, sizeof(detail));
        if (err != SPN_OK)
            throw_code(call->env, err, detail);
    }
    texts_release(&texts);
    return handle->client != NULL;
}

/* Of a client that is not made to the end. */
static void abandon(struct handle *handle)
{
    spn_client_close(handle_detach(handle));
    handle_release(handle);
}

/* new Client({socketDir, atOnce, sendHwm, readBytesMax, questionsMax}, turn, room) */
static napi_value make_client(napi_env env, napi_callback_info info)
{
    struct call call;
    if (!call_begin_new(&call, env, info))
        return NULL;
    struct handle *handle = calloc(1, sizeof(*handle));
    if (handle == NULL) {
        throw_code(env, SPN_E_NOMEM, spn_err_text(SPN_E_NOMEM));
        return NULL;
    }
    handle->env = env;
    handle->holders = 1;
    if (begin(&call, handle) && keep(&call, handle) && handle_watch(handle) &&
        handle_adopt(&call, handle))
        return call.self;
    abandon(handle);
    return NULL;
}

static napi_value method_step(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    return call_handle(&call, env, info, &handle)
               ? make_number(env, spn_client_step(handle->client))
               : NULL;
}

static napi_value method_ready(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    return call_handle(&call, env, info, &handle)
               ? make_number(env, spn_client_ready(handle->client))
               : NULL;
}

static napi_value method_detail(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    return call_handle(&call, env, info, &handle)
               ? make_text(env, spn_text(spn_client_detail(handle->client)))
               : NULL;
}

static napi_value method_data_max(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    return call_handle(&call, env, info, &handle)
               ? make_number(env, (double)spn_client_data_max(handle->client))
               : NULL;
}

/* hold(flag): whether somebody waits, so that the process does not end. */
static napi_value method_hold(napi_env env, napi_callback_info info)
{
    struct call call;
    struct handle *handle;
    bool held = false;
    if (!call_handle(&call, env, info, &handle) ||
        !ok(env, napi_get_value_bool(env, call.args[0], &held)))
        return NULL;
    if (held)
        uv_ref((uv_handle_t *)handle->poll);
    else
        uv_unref((uv_handle_t *)handle->poll);
    return NULL;
}

bool connection_export(napi_env env, napi_value exports)
{
    static const napi_property_descriptor methods[] = {
        {.utf8name = "close", .method = method_close, .attributes = napi_default_method},
        {.utf8name = "dataMax", .method = method_data_max, .attributes = napi_default_method},
        {.utf8name = "detail", .method = method_detail, .attributes = napi_default_method},
        {.utf8name = "hold", .method = method_hold, .attributes = napi_default_method},
        {.utf8name = "ready", .method = method_ready, .attributes = napi_default_method},
        {.utf8name = "step", .method = method_step, .attributes = napi_default_method},
        {.utf8name = "takeAnswered",
         .method = method_take_answered,
         .attributes = napi_default_method},
        {.utf8name = "takeItems", .method = method_take_items, .attributes = napi_default_method},
    };
    return handle_export(env, exports, "Client", make_client, sizeof(methods) / sizeof(methods[0]),
                         methods);
}
