/* SPDX-License-Identifier: Apache-2.0 */
#include "token/claims.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#define AUDIENCE "sponson"

/* -- members ----------------------------------------------------------------------------------- */

static json_t *load_object(struct spn_bytes json)
{
    json_t *object = json_loadb(json.data, json.size, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

static struct spn_bytes string_of(const json_t *string)
{
    return (struct spn_bytes){json_string_value(string), json_string_length(string)};
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static const char *read_expiry(const json_t *object, uint64_t now_s, struct grant *grant)
{
    const json_t *expiry = json_object_get(object, "exp");
    if (!expiry)
        return "exp is missing";
    if (!json_is_integer(expiry) || json_integer_value(expiry) < 0)
        return "exp is not a whole number of seconds";
    grant->expires_s = (uint64_t)json_integer_value(expiry);
    if (grant->expires_s <= now_s)
        return "it has expired";
    if (grant->expires_s - now_s > CLAIMS_AHEAD_MAX_S)
        return "exp is more than 24 hours ahead";
    return NULL;
}

static const char *read_rights(const json_t *object, struct grant *grant)
{
    const json_t *rights = json_object_get(object, "r");
    if (!json_is_string(rights))
        return rights ? "r is not a string" : "r is missing";
    return grant_set_rights(grant, string_of(rights));
}

static const char *read_name(const json_t *object, struct grant *grant)
{
    const json_t *name = json_object_get(object, "n");
    const json_t *prefix = json_object_get(object, "p");
    if (!name == !prefix)
        return name ? "both n and p are there" : "n or p is missing";
    if (!json_is_string(name ? name : prefix))
        return name ? "n is not a string" : "p is not a string";
    return name ? grant_set_name(grant, string_of(name))
                : grant_set_prefix(grant, string_of(prefix));
}

/* Rights, a name and other_count members besides. */
static const char *read_grant(const json_t *object, size_t other_count, struct grant *grant)
{
    const char *why = read_rights(object, grant);
    if (!why)
        why = read_name(object, grant);
    if (!why && json_object_size(object) != 2 + other_count)
        why = "there is a member that is not known";
    return why;
}

/* -- a session token --------------------------------------------------------------------------- */

const char *claims_read(struct spn_bytes json, uint64_t now_s, struct grant *ret_grant)
{
    json_t *object = load_object(json);
    if (!object)
        return "its payload is not a JSON object, or has a member twice";
    const char *why = read_expiry(object, now_s, ret_grant);
    if (!why)
        why = read_grant(object, 1, ret_grant);
    json_decref(object);
    return why;
}

static size_t letters_of(unsigned rights, char ret_letters[4])
{
    static const char letters[] = "rwdl"; /* as the bits of GRANT_ are */
    size_t count = 0;
    for (size_t i = 0; i < 4; i++)
        if (rights >> i & 1)
            ret_letters[count++] = letters[i];
    return count;
}

bool claims_put(const struct grant *grant, struct out *out)
{
    char letters[4];
    size_t count = letters_of(grant->rights, letters);
    json_t *object =
        json_pack("{s:I, s:s%, s:s%}", "exp", (json_int_t)grant->expires_s,
                  grant->is_prefix ? "p" : "n", grant->name, grant->name_size, "r", letters, count);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text)
        out_text(out, text);
    free(text);
    json_decref(object);
    return text != NULL && !out->error;
}

/* -- a JWT ------------------------------------------------------------------------------------- */

static const char *check_begin(const json_t *object, uint64_t now_s)
{
    const json_t *begin = json_object_get(object, "nbf");
    if (!begin)
        return NULL;
    if (!json_is_integer(begin) || json_integer_value(begin) < 0)
        return "nbf is not a whole number of seconds";
    return (uint64_t)json_integer_value(begin) > now_s + CLAIMS_LEEWAY_S ? "it is not valid yet"
                                                                         : NULL;
}

static const char *check_audience(const json_t *object)
{
    const json_t *audience = json_object_get(object, "aud");
    if (!audience || is_text(audience, AUDIENCE))
        return NULL;
    for (size_t i = 0; i < json_array_size(audience); i++)
        if (is_text(json_array_get(audience, i), AUDIENCE))
            return NULL;
    return "aud does not name " AUDIENCE;
}

static const char *read_jwt(const json_t *object, uint64_t now_s, struct grant *grant)
{
    const json_t *claim = json_object_get(object, "sponson");
    const char *why = read_expiry(object, now_s, grant);
    if (!why)
        why = check_begin(object, now_s);
    if (!why)
        why = check_audience(object);
    if (!why && !json_is_object(claim))
        why = claim ? "the claim sponson is not an object" : "the claim sponson is missing";
    return why ? why : read_grant(claim, 0, grant);
}

const char *claims_read_jwt(struct spn_bytes json, uint64_t now_s, struct grant *ret_grant)
{
    json_t *object = load_object(json);
    if (!object)
        return "its claims are not a JSON object, or have a member twice";
    const char *why = read_jwt(object, now_s, ret_grant);
    json_decref(object);
    return why;
}

static const char *check_header(const json_t *header, const char *algorithm, const char *kid)
{
    const json_t *type = json_object_get(header, "typ");
    const json_t *named = json_object_get(header, "kid");
    if (!is_text(json_object_get(header, "alg"), algorithm))
        return "its alg is not that of its key";
    if (json_object_get(header, "crit"))
        return "crit is not supported";
    if (type && !(json_is_string(type) && strcasecmp(json_string_value(type), "JWT") == 0))
        return "its typ is not JWT";
    if (named && !is_text(named, kid))
        return "its kid is not that of its key";
    return NULL;
}

const char *claims_check_header(struct spn_bytes json, const char *algorithm, const char *kid)
{
    json_t *header = load_object(json);
    if (!header)
        return "its header is not a JSON object, or has a member twice";
    const char *why = check_header(header, algorithm, kid);
    json_decref(header);
    return why;
}
