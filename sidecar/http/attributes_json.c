/* SPDX-License-Identifier: Apache-2.0 */
#include "http/attributes_json.h"

#include <string.h>

#include "http/flat_json.h"
#include "http/json_write.h"
#include "base/text.h"

enum {
    CONTENT_TYPE_MAX = 255, /* as sponson.h has them */
    NOTE_MAX = 4096,
};

static const char what[] = "attributes";

static const char *const keys[] = {"ttl_ms", "idle_close_ms", "content_type", "note",
                                   "note_base64"};

/* The object, which is all that the body has but spaces. */
static bool scan(struct spn_bytes body, struct problem *ret_problem)
{
    const char *bytes = body.data;
    struct flat_scan scan_of = {0};
    size_t at = 0;
    size_t used;
    while (at < body.size && flat_json_is_space(bytes[at]))
        at++;
    if (at == body.size || bytes[at] != '{')
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s: not an object of JSON", what);
    at++;
    enum flat_found found = flat_scan_take(&scan_of, bytes + at, body.size - at, &used);
    if (found == FLAT_NESTED || found == FLAT_MANY_KEYS)
        return flat_json_refuse(found, what, ret_problem);
    return true; /* jansson finds a missing end, and what comes after it */
}

static bool is_control(const unsigned char *at, size_t left)
{
    return *at < 0x20 || *at == 0x7F || (left > 1 && at[0] == 0xC2 && at[1] < 0xA0);
}

static bool check_content_type(struct spn_bytes type, struct problem *ret_problem)
{
    const unsigned char *bytes = type.data;
    char quoted[TEXT_QUOTED_SIZE];
    bool is_good = type.size <= CONTENT_TYPE_MAX;
    for (size_t i = 0; i < type.size && is_good; i++)
        is_good = !is_control(bytes + i, type.size - i);
    if (is_good)
        return true;
    return problem_set(ret_problem, 400, SPN_E_BAD_ATTRIBUTES,
                       "content_type is over %d bytes or has control characters: %s",
                       CONTENT_TYPE_MAX, text_quote(type, quoted));
}

static bool read_texts(struct attributes_change *change, struct problem *ret_problem)
{
    struct spn_attributes *attributes = &change->attributes;
    struct out unused; /* no base64 of a content type */
    out_init(&unused, -1);
    if (!flat_json_bytes(change->json, "content_type", "", &unused, what, &attributes->content_type,
                         ret_problem) ||
        !flat_json_bytes(change->json, "note", "note_base64", &change->note, what,
                         &attributes->note, ret_problem) ||
        !check_content_type(attributes->content_type, ret_problem))
        return false;
    if (attributes->note.size > NOTE_MAX)
        return problem_set(ret_problem, 400, SPN_E_BAD_ATTRIBUTES, "the note is over %d bytes",
                           NOTE_MAX);
    return true;
}

static bool read_json(struct attributes_change *change, struct problem *ret_problem)
{
    const json_t *json = change->json;
    change->has_ttl = json_object_get(json, "ttl_ms") != NULL;
    change->has_idle_close = json_object_get(json, "idle_close_ms") != NULL;
    change->has_content_type = json_object_get(json, "content_type") != NULL;
    change->has_note = json_object_get(json, "note") || json_object_get(json, "note_base64");
    return flat_json_number(json, "ttl_ms", SPN_SPAN_MS_MAX, what, &change->attributes.ttl_ms,
                            ret_problem) &&
           flat_json_number(json, "idle_close_ms", SPN_SPAN_MS_MAX, what,
                            &change->attributes.idle_close_ms, ret_problem) &&
           read_texts(change, ret_problem);
}

bool attributes_parse(struct spn_bytes body, struct attributes_change *ret_change,
                      struct problem *ret_problem)
{
    *ret_change = (struct attributes_change){.attributes = {.size = sizeof(struct spn_attributes)}};
    out_init(&ret_change->note, -1);
    if (body.size == 0)
        return true;
    if (body.size > ATTRIBUTES_JSON_MAX)
        return problem_set(ret_problem, 413, SPN_E_LIMIT, "%s: over %d bytes", what,
                           ATTRIBUTES_JSON_MAX);
    if (!scan(body, ret_problem))
        return false;
    ret_change->json =
        flat_json_load(body, keys, sizeof(keys) / sizeof(keys[0]), what, ret_problem);
    if (ret_change->json && read_json(ret_change, ret_problem))
        return true;
    attributes_release(ret_change);
    return false;
}

void attributes_release(struct attributes_change *change)
{
    json_decref(change->json);
    change->json = NULL;
    out_release(&change->note);
}

void attributes_apply(const struct attributes_change *change, struct spn_attributes *attributes)
{
    if (change->has_ttl)
        attributes->ttl_ms = change->attributes.ttl_ms;
    if (change->has_idle_close)
        attributes->idle_close_ms = change->attributes.idle_close_ms;
    if (change->has_content_type)
        attributes->content_type = change->attributes.content_type;
    if (change->has_note)
        attributes->note = change->attributes.note;
}

void attributes_write(const struct spn_attributes *attributes, struct out *out)
{
    json_write_span(out, "{\"ttl_ms\":", attributes->ttl_ms);
    json_write_span(out, ",\"idle_close_ms\":", attributes->idle_close_ms);
    json_write_bytes_or_null(out, ",\"content_type", attributes->content_type);
    json_write_bytes_or_null(out, ",\"note", attributes->note);
    out_text(out, "}\n");
}
