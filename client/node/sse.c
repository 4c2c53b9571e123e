/* SPDX-License-Identifier: Apache-2.0 */
#include "sse.h"

#include <stdlib.h>

#include "entries.h"
#include "handle.h"

static void collected(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    spn_sse_close(data);
}

/* new Sse(eventMax) */
static napi_value make_sse(napi_env env, napi_callback_info info)
{
    struct call call;
    uint64_t event_max = 0;
    spn_sse *sse = NULL;
    if (!call_begin_new(&call, env, info) ||
        !take_number(env, call.args[0], "eventMax", NUMBER_MAX, &event_max))
        return NULL;
    spn_err err = spn_sse_open(&sse, (size_t)event_max);
    if (err != SPN_OK) {
        throw_code(env, err, spn_err_text(err));
        return NULL;
    }
    if (ok(env, napi_wrap(env, call.self, sse, collected, NULL, NULL)))
        return call.self;
    spn_sse_close(sse);
    return NULL;
}

static napi_value make_event(napi_env env, const struct spn_event *event)
{
    napi_value object = make_object(env);
    napi_value resets = NULL;
    bool made = object != NULL && put_number(env, object, "kind", event->kind) &&
                put_text(env, object, "id", event->id) &&
                put_text(env, object, "type", event->type) &&
                put(env, object, "data", make_content(env, event->data, false)) &&
                (event->retry_ms == SPN_RETRY_NONE ||
                 put_number(env, object, "retryMs", event->retry_ms)) &&
                ok(env, napi_get_boolean(env, event->resets_id, &resets)) &&
                put(env, object, "resetsId", resets);
    return made ? object : NULL;
}

/* next(bytes, offset): {used, code, event} */
static napi_value method_next(napi_env env, napi_callback_info info)
{
    struct call call;
    void *sse = NULL;
    struct texts texts;
    struct spn_bytes bytes = {NULL, 0};
    uint64_t offset = 0;
    size_t used = 0;
    const struct spn_event *event;
    napi_value object = NULL;
    if (!call_begin(&call, env, info) || !call_unwrap(&call, &sse))
        return NULL;
    texts_init(&texts, env);
    if (take_text(&texts, call.args[0], "bytes", &bytes) &&
        take_number(env, call.args[1], "offset", bytes.size, &offset)) {
        const char *at = bytes.size > 0 ? (const char *)bytes.data + offset : "";
        spn_err err = spn_sse_next(sse, at, bytes.size - (size_t)offset, &used, &event);
        object = make_object(env);
        bool made = object != NULL && put_number(env, object, "used", used) &&
                    put_number(env, object, "code", err) &&
                    (err != SPN_OK || put(env, object, "event", make_event(env, event)));
        object = made ? object : NULL;
    }
    texts_release(&texts);
    return object;
}

/* lastId() */
static napi_value method_last_id(napi_env env, napi_callback_info info)
{
    struct call call;
    void *sse = NULL;
    if (!call_begin(&call, env, info) || !call_unwrap(&call, &sse))
        return NULL;
    return make_text(env, spn_sse_last_id(sse));
}

static napi_value format(napi_env env, const struct spn_event *event)
{
    size_t size = 0;
    void *out = NULL;
    napi_value buffer = NULL;
    spn_err err = spn_sse_format(event, NULL, 0, &size);
    if (size > 0 && ok(env, napi_create_buffer(env, size, &out, &buffer)))
        err = spn_sse_format(event, out, size, &size);
    if (err == SPN_OK)
        return buffer;
    if (size == 0 || buffer != NULL)
        throw_code(env, err, spn_err_text(err));
    return NULL;
}

/* formatEvent(data, id, type, retryMs, note, kind, resetsId): a Buffer */
static napi_value format_event(napi_env env, napi_callback_info info)
{
    struct call call;
    struct texts texts;
    struct spn_event event;
    napi_value buffer = NULL;
    if (!call_begin(&call, env, info))
        return NULL;
    texts_init(&texts, env);
    if (take_event(&texts, call.args, EVENT_ARGS, &event) &&
        take_flag(env, call.args[EVENT_ARGS], "resetsId", &event.resets_id))
        buffer = format(env, &event);
    texts_release(&texts);
    return buffer;
}

bool sse_export(napi_env env, napi_value exports)
{
    static const napi_property_descriptor methods[] = {
        {.utf8name = "lastId", .method = method_last_id, .attributes = napi_default_method},
        {.utf8name = "next", .method = method_next, .attributes = napi_default_method},
    };
    static const napi_property_descriptor functions[] = {
        {.utf8name = "formatEvent", .method = format_event, .attributes = napi_enumerable},
    };
    return ok(env, napi_define_properties(env, exports, 1, functions)) &&
           handle_export(env, exports, "Sse", make_sse, sizeof(methods) / sizeof(methods[0]),
                         methods);
}
