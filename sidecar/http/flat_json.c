/* SPDX-License-Identifier: Apache-2.0 */
#include "http/flat_json.h"

#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/text.h"

static enum flat_found take_byte(struct flat_scan *scan, char byte)
{
    if (scan->in_text) {
        if (scan->escaped)
            scan->escaped = false;
        else if (byte == '\\')
            scan->escaped = true;
        else
            scan->in_text = byte != '"';
        return FLAT_MORE;
    }
    if (byte == '"')
        scan->in_text = true;
    else if (byte == '}')
        return FLAT_WHOLE;
    else if (byte == '{' || byte == '[')
        return FLAT_NESTED;
    else if (byte == ',' && ++scan->commas == FLAT_JSON_KEYS_MAX)
        return FLAT_MANY_KEYS;
    return FLAT_MORE;
}

enum flat_found flat_scan_take(struct flat_scan *scan, const char *bytes, size_t size,
                               size_t *ret_used)
{
    enum flat_found found = FLAT_MORE;
    size_t used = 0;
    while (used < size && found == FLAT_MORE)
        found = take_byte(scan, bytes[used++]);
    *ret_used = used;
    return found;
}

bool flat_json_is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

bool flat_json_refuse(enum flat_found found, const char *what, struct problem *ret_problem)
{
    if (found == FLAT_MANY_KEYS)
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s: more than %d keys", what,
                           FLAT_JSON_KEYS_MAX);
    return problem_set(ret_problem, 400, SPN_E_INVALID,
                       "%s: a value is an object or an array; only texts and numbers are taken",
                       what);
}

static bool is_known(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* A key that is not known; NULL: there is none. */
static const char *unknown_key(json_t *object, const char *const *keys, size_t count)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) if (!is_known(key, keys, count)) return key;
    return NULL;
}

json_t *flat_json_load(struct spn_bytes text, const char *const *keys, size_t keys_count,
                       const char *what, struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    json_error_t error;
    errno = 0; /* jansson says that the text is wrong when malloc fails, but leaves errno */
    json_t *object =
        json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!object && errno == ENOMEM) {
        (void)problem_no_memory(ret_problem);
        return NULL;
    }
    if (!object) {
        (void)problem_set(ret_problem, 400, SPN_E_INVALID, "%s: not valid JSON: %s", what,
                          text_quote((struct spn_bytes){error.text, strlen(error.text)}, quoted));
        return NULL;
    }
    const char *unknown = unknown_key(object, keys, keys_count);
    if (unknown) {
        (void)problem_set(ret_problem, 400, SPN_E_INVALID, "%s: unknown key %s", what,
                          text_quote((struct spn_bytes){unknown, strlen(unknown)}, quoted));
        json_decref(object);
        return NULL;
    }
    return object;
}

static const json_t *value_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static bool decode(const json_t *value, const char *key, struct out *decoded, const char *what,
                   struct spn_bytes *ret_bytes, struct problem *ret_problem)
{
    decoded->size = 0;
    struct spn_bytes text = {json_string_value(value), json_string_length(value)};
    if (!base64_take(text, decoded))
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s: %s is not padded base64", what,
                           key);
    if (decoded->error)
        return problem_no_memory(ret_problem);
    *ret_bytes = (struct spn_bytes){decoded->data, decoded->size};
    return true;
}

bool flat_json_bytes(const json_t *object, const char *key, const char *base64_key,
                     struct out *decoded, const char *what, struct spn_bytes *ret_bytes,
                     struct problem *ret_problem)
{
    const json_t *plain = value_of(object, key);
    const json_t *encoded = value_of(object, base64_key);
    const char *given = plain ? key : base64_key;
    const json_t *value = plain ? plain : encoded;
    *ret_bytes = (struct spn_bytes){NULL, 0};
    if (plain && encoded)
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s: both %s and %s", what, key,
                           base64_key);
    if (!value)
        return true;
    if (!json_is_string(value))
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s: %s must be a string", what, given);
    if (encoded)
        return decode(encoded, base64_key, decoded, what, ret_bytes, ret_problem);
    *ret_bytes = (struct spn_bytes){json_string_value(plain), json_string_length(plain)};
    return true;
}

bool flat_json_number(const json_t *object, const char *key, uint64_t max, const char *what,
                      uint64_t *ret_number, struct problem *ret_problem)
{
    const json_t *value = value_of(object, key);
    if (!value)
        return true;
    uint64_t number = (uint64_t)json_integer_value(value); /* negative ones become large */
    if (!json_is_integer(value) || number > max)
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "%s: %s must be a whole number from 0 to %llu", what, key,
                           (unsigned long long)max);
    *ret_number = number;
    return true;
}
