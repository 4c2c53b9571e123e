/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

static bool take_rare(struct texts *texts, const napi_value args[EVENT_ARGS], struct spn_event *ret)
{
    uint64_t kind = SPN_EVENT;
    uint64_t retry_ms = SPN_RETRY_NONE;
    bool taken = take_text(texts, args[2], "type", &ret->type) &&
                 take_number(texts->env, args[3], "retryMs", SPN_RETRY_NONE - 1, &retry_ms) &&
                 take_text(texts, args[4], "note", &ret->note) &&
                 take_number(texts->env, args[5], "kind", SPN_RESET, &kind);
    ret->kind = (spn_event_kind)kind;
    ret->retry_ms = (uint32_t)retry_ms;
    return taken;
}

bool take_event(struct texts *texts, const napi_value args[EVENT_ARGS], size_t count,
                struct spn_event *ret)
{
    *ret = (struct spn_event)SPN_EVENT_INIT;
    if (count > 0 && !take_text(texts, args[0], "data", &ret->data))
        return false;
    if (count > 1 && !take_text(texts, args[1], "id", &ret->id))
        return false;
    return count <= 2 || take_rare(texts, args, ret);
}

bool take_conditions(struct texts *texts, napi_value object, struct conditions *ret)
{
    struct spn_publish_options *options = &ret->options;
    uint64_t if_seq = UINT64_MAX;
    bool has_life = false;
    *ret = (struct conditions){.options.size = sizeof(*options)};
    if (!take_flag_of(texts->env, object, "ifNew", &options->if_new) ||
        !take_number_of(texts->env, object, "ifSeq", NUMBER_MAX, &if_seq) ||
        !take_life_of(texts->env, object, "life", &ret->life, &has_life) ||
        !take_number_of(texts->env, object, "dependent", NUMBER_MAX, &options->dependent) ||
        !take_flag_of(texts->env, object, "closes", &options->closes) ||
        !take_text_of(texts, object, "reason", &options->reason))
        return false;
    options->has_if_seq = if_seq != UINT64_MAX;
    options->if_seq = options->has_if_seq ? if_seq : 0;
    options->life = has_life ? &ret->life : NULL;
    return true;
}

bool take_attributes(struct texts *texts, napi_value object, struct spn_attributes *ret)
{
    *ret = (struct spn_attributes){.size = sizeof(*ret)};
    return take_number_of(texts->env, object, "ttlMs", SPN_SPAN_MS_MAX, &ret->ttl_ms) &&
           take_number_of(texts->env, object, "idleCloseMs", SPN_SPAN_MS_MAX,
                          &ret->idle_close_ms) &&
           take_text_of(texts, object, "contentType", &ret->content_type) &&
           take_text_of(texts, object, "note", &ret->note);
}
