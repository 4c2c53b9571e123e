/* SPDX-License-Identifier: Apache-2.0 */
/* addon: libsponson for Node, in Node-API version 8. index.mjs makes of it what apps use.
 *
 * Only values are carried here. Each class is a file: connection (a client), publish (a producer),
 * subscribe (subscriptions and replays), questions, sse. What awaits, and in which order, is
 * JavaScript; what the sidecar is sent, and when, is libsponson.
 *
 * Owns     nothing: each environment has objects of its own.
 * Threads  none of its own. Each worker thread of Node loads it again.
 */
#include <node_api.h>

#include "connection.h"
#include "items.h"
#include "publish.h"
#include "questions.h"
#include "sse.h"
#include "subscribe.h"
#include "values.h"

struct code {
    const char *name;
    spn_err number;
    const char *text;
};
static const struct code codes[] = {
#define CODE(name, number, text) {"SPN_" #name, SPN_##name, text},
    SPN_ERR_MAP(CODE)
#undef CODE
};

/* codes: {name, number, text} of each. */
static bool export_codes(napi_env env, napi_value exports)
{
    napi_value list = NULL;
    if (!ok(env, napi_create_array(env, &list)))
        return false;
    for (uint32_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        napi_value entry = make_object(env);
        if (entry == NULL || !put_text(env, entry, "name", spn_text(codes[i].name)) ||
            !put_number(env, entry, "number", codes[i].number) ||
            !put_text(env, entry, "text", spn_text(codes[i].text)) ||
            !ok(env, napi_set_element(env, list, i, entry)))
            return false;
    }
    return put(env, exports, "codes", list);
}

struct constant {
    const char *name;
    unsigned number;
};

static bool export_constants(napi_env env, napi_value exports)
{
    static const struct constant constants[] = {
        {"EVENT", SPN_EVENT},
        {"MARKER", SPN_MARKER},
        {"RESET", SPN_RESET},
        {"EARLIEST", SPN_EARLIEST},
        {"AFTER_ID", SPN_AFTER_ID},
        {"AFTER_SEQ", SPN_AFTER_SEQ},
        {"NOW", SPN_NOW},
        {"AFTER_POSITION", SPN_AFTER_POSITION},
        {"RESTART", SPN_RESTART},
        {"WAIT", SPN_WAIT},
        {"ITEM_NUMBERS", ITEM_NUMBERS},
        {"ITEM_VALUES", ITEM_VALUES},
    };
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
        if (!put_number(env, exports, constants[i].name, constants[i].number))
            return false;
    return true;
}

static bool export_names(napi_env env, napi_value exports, const char *list_name,
                         const char *const *names, uint32_t count)
{
    napi_value list = NULL;
    if (!ok(env, napi_create_array(env, &list)))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        napi_value name = make_text(env, spn_text(names[i]));
        if (name == NULL || !ok(env, napi_set_element(env, list, i, name)))
            return false;
    }
    return put(env, exports, list_name, list);
}

#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof((list)[0])))

static bool export_lists(napi_env env, napi_value exports)
{
    static const char *const items[] = {
        [SPN_ITEM_VERDICT] = "verdict",
        [SPN_ITEM_EVENT] = "event",
        [SPN_ITEM_GAP] = "gap",
        [SPN_ITEM_END] = "end",
        [SPN_ITEM_CAUGHT_UP] = "caughtUp",
        [SPN_ITEM_OPEN] = "open",
        [SPN_ITEM_CLOSE] = "close",
        [SPN_ITEM_DELETE] = "delete",
        [SPN_ITEM_EXPIRE] = "expire",
        [SPN_ITEM_ATTRIBUTES] = "attributes",
        [SPN_ITEM_TOUCH] = "touch",
    };
    const char *results[SPN_LOST + 1];
    const char *states[SPN_DAMAGED + 1];
    for (unsigned i = 0; i < COUNT(results); i++)
        results[i] = spn_result_name((spn_result)i);
    for (unsigned i = 0; i < COUNT(states); i++)
        states[i] = spn_session_state_name((spn_session_state)i);
    return export_names(env, exports, "itemKinds", items, COUNT(items)) &&
           export_names(env, exports, "results", results, COUNT(results)) &&
           export_names(env, exports, "states", states, COUNT(states));
}

NAPI_MODULE_INIT()
{
    bool made = export_codes(env, exports) && export_constants(env, exports) &&
                export_lists(env, exports) &&
                put_text(env, exports, "version", spn_text(spn_version())) &&
                connection_export(env, exports) && publish_export(env, exports) &&
                subscribe_export(env, exports) && questions_export(env, exports) &&
                sse_export(env, exports);
    return made ? exports : NULL;
}
