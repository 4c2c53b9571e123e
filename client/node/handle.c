/* SPDX-License-Identifier: Apache-2.0 */
#include "handle.h"

#include <stdlib.h>
#include <string.h>

#include "values.h"

static const napi_type_tag client_tag = {0x53706f6e736f6e43, 0x6c69656e74000001};

/* -- calls ------------------------------------------------------------------------------------- */

bool call_begin(struct call *call, napi_env env, napi_callback_info info)
{
    call->env = env;
    call->count = CALL_ARGS_MAX;
    return ok(env, napi_get_cb_info(env, info, &call->count, call->args, &call->self, NULL));
}

bool call_begin_new(struct call *call, napi_env env, napi_callback_info info)
{
    napi_value target = NULL;
    if (!call_begin(call, env, info) || !ok(env, napi_get_new_target(env, info, &target)))
        return false;
    if (target == NULL)
        (void)napi_throw_type_error(env, NULL, "a constructor needs new");
    return target != NULL;
}

bool call_unwrap(const struct call *call, void **ret_pointer)
{
    return ok(call->env, napi_unwrap(call->env, call->self, ret_pointer));
}

bool call_handle(struct call *call, napi_env env, napi_callback_info info,
                 struct handle **ret_handle)
{
    void *handle = NULL;
    if (!call_begin(call, env, info) || !call_unwrap(call, &handle))
        return false;
    *ret_handle = handle;
    if ((*ret_handle)->client == NULL)
        throw_code(env, SPN_E_INVALID, "the client is closed");
    return (*ret_handle)->client != NULL;
}

bool call_part(struct call *call, napi_env env, napi_callback_info info, struct part **ret_part)
{
    void *part = NULL;
    if (!call_begin(call, env, info) || !call_unwrap(call, &part))
        return false;
    *ret_part = part;
    if ((*ret_part)->handle == NULL)
        throw_code(env, SPN_E_INVALID, "it is closed");
    return (*ret_part)->handle != NULL;
}

bool handle_export(napi_env env, napi_value exports, const char *name, napi_callback make,
                   size_t count, const napi_property_descriptor *methods)
{
    napi_value class = NULL;
    return ok(env,
              napi_define_class(env, name, NAPI_AUTO_LENGTH, make, NULL, count, methods, &class)) &&
           ok(env, napi_set_named_property(env, exports, name, class));
}

/* -- parts ------------------------------------------------------------------------------------- */

void part_close(struct part *part)
{
    if (part->handle == NULL)
        return;
    if (part->before != NULL)
        part->before->next = part->next;
    else
        part->handle->parts = part->next;
    if (part->next != NULL)
        part->next->before = part->before;
    part->close(part);
    part->handle = NULL;
}

static void part_collected(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    part_close(data);
    free(data);
}

bool part_check_client(const struct call *call, napi_value client, struct handle **ret_handle)
{
    bool is_client = false;
    void *handle = NULL;
    if (napi_check_object_type_tag(call->env, client, &client_tag, &is_client) != napi_ok ||
        !is_client) {
        (void)napi_throw_type_error(call->env, NULL, "client must be a Client");
        return false;
    }
    if (!ok(call->env, napi_unwrap(call->env, client, &handle)))
        return false;
    *ret_handle = handle;
    if ((*ret_handle)->client == NULL)
        throw_code(call->env, SPN_E_INVALID, "the client is closed");
    return (*ret_handle)->client != NULL;
}

bool part_adopt(const struct call *call, struct handle *handle, struct part *part,
                void (*close)(struct part *part))
{
    *part = (struct part){.handle = handle, .next = handle->parts, .close = close};
    if (part->next != NULL)
        part->next->before = part;
    handle->parts = part;
    if (ok(call->env, napi_wrap(call->env, call->self, part, part_collected, NULL, NULL)))
        return true;
    part_close(part);
    free(part);
    return false;
}

/* -- the end of a client ----------------------------------------------------------------------- */

void handle_release(struct handle *handle)
{
    if (--handle->holders == 0)
        free(handle);
}

static void poll_closed(uv_handle_t *poll)
{
    struct handle *handle = poll->data;
    free(poll);
    (void)napi_remove_async_cleanup_hook(handle->hook);
    handle_release(handle);
}

static void forget_references(struct handle *handle)
{
    if (handle->turn != NULL)
        (void)napi_delete_reference(handle->env, handle->turn);
    if (handle->room_ref != NULL)
        (void)napi_delete_reference(handle->env, handle->room_ref);
    handle->turn = NULL;
    handle->room_ref = NULL;
}

spn_client *handle_detach(struct handle *handle)
{
    spn_client *client = handle->client;
    if (client == NULL)
        return NULL;
    while (handle->parts != NULL)
        part_close(handle->parts);
    if (handle->poll != NULL)
        uv_close((uv_handle_t *)handle->poll, poll_closed);
    forget_references(handle);
    handle->poll = NULL;
    handle->client = NULL;
    return client;
}

/* The environment ends: JavaScript does not run any more. */
static void environment_ends(napi_async_cleanup_hook_handle hook, void *data)
{
    (void)hook;
    spn_client_close(handle_detach(data));
}

static void client_collected(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    spn_client_close(handle_detach(data));
    handle_release(data);
}

/* -- watching ---------------------------------------------------------------------------------- */

static void readable(uv_poll_t *poll, int status, int events)
{
    struct handle *handle = poll->data;
    napi_env env = handle->env;
    napi_handle_scope scope;
    napi_value turn = NULL;
    napi_value self = NULL;
    napi_value error = NULL;
    (void)events;
    if (status < 0)
        (void)uv_poll_stop(poll);
    if (napi_open_handle_scope(env, &scope) != napi_ok)
        return;
    if (napi_get_reference_value(env, handle->turn, &turn) == napi_ok &&
        napi_get_global(env, &self) == napi_ok &&
        napi_make_callback(env, NULL, self, turn, 0, NULL, NULL) == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
        (void)napi_fatal_exception(env, error);
    (void)napi_close_handle_scope(env, scope);
}

bool handle_watch(struct handle *handle)
{
    uv_loop_t *loop = NULL;
    if (!ok(handle->env, napi_get_uv_event_loop(handle->env, &loop)))
        return false;
    uv_poll_t *poll = malloc(uv_handle_size(UV_POLL));
    if (poll == NULL || uv_poll_init(loop, poll, spn_client_fd(handle->client)) != 0) {
        free(poll);
        throw_code(handle->env, SPN_E_SYSTEM, "the client's descriptor cannot be watched");
        return false;
    }
    poll->data = handle;
    handle->poll = poll;
    handle->holders++;
    uv_unref((uv_handle_t *)poll);
    (void)uv_poll_start(poll, UV_READABLE, readable);
    return true;
}

bool handle_adopt(const struct call *call, struct handle *handle)
{
    return ok(call->env,
              napi_add_async_cleanup_hook(call->env, environment_ends, handle, &handle->hook)) &&
           ok(call->env, napi_type_tag_object(call->env, call->self, &client_tag)) &&
           ok(call->env, napi_wrap(call->env, call->self, handle, client_collected, NULL, NULL));
}
