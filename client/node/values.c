/* SPDX-License-Identifier: Apache-2.0 */
#include "values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGE_SIZE = 128,
    CHARACTER_MAX = 4,  /* bytes of UTF-8 */
    UNIT_BYTES_MAX = 3, /* of a unit of UTF-16 */
    LARGE_BYTES = 64 * 1024,
};

/* -- failures ---------------------------------------------------------------------------------- */

bool ok(napi_env env, napi_status status)
{
    const napi_extended_error_info *info;
    bool pending = false;
    if (status == napi_ok)
        return true;
    bool described = napi_get_last_error_info(env, &info) == napi_ok && info->error_message != NULL;
    const char *message = described ? info->error_message : "Node-API failed";
    if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
        (void)napi_throw_error(env, NULL, message);
    return false;
}

void throw_code(napi_env env, spn_err err, const char *detail)
{
    (void)napi_throw_error(env, spn_err_name(err), detail);
}

static bool refuse(napi_env env, const char *name, const char *what)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof(message), "%s must be %s", name, what);
    (void)napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
    return false;
}

bool is_undefined(napi_env env, napi_value value)
{
    napi_valuetype type = napi_undefined;
    return napi_typeof(env, value, &type) != napi_ok || type == napi_undefined;
}

/* -- texts ------------------------------------------------------------------------------------- */

void texts_init(struct texts *texts, napi_env env)
{
    texts->env = env;
    texts->used = 0;
    texts->large_count = 0;
}

void texts_release(struct texts *texts)
{
    while (texts->large_count > 0)
        free(texts->large[--texts->large_count]);
}

/* A string that does not fit into the room. Its size is not asked for: that would be another pass
 * over all of it. What is not written to of a large block costs nothing. */
static bool take_large(struct texts *texts, napi_value value, struct spn_bytes *ret)
{
    size_t units = 0;
    if (!ok(texts->env, napi_get_value_string_utf16(texts->env, value, NULL, 0, &units)))
        return false;
    size_t room = units * UNIT_BYTES_MAX + 1;
    char *bytes = texts->large_count < TEXTS_LARGE_MAX ? malloc(room) : NULL;
    if (bytes == NULL) {
        throw_code(texts->env, SPN_E_NOMEM, spn_err_text(SPN_E_NOMEM));
        return false;
    }
    texts->large[texts->large_count++] = bytes;
    ret->data = bytes;
    return ok(texts->env, napi_get_value_string_utf8(texts->env, value, bytes, room, &ret->size));
}

/* What is written into the room is complete if one more character would have fitted. */
static bool take_string(struct texts *texts, napi_value value, struct spn_bytes *ret,
                        bool *ret_is_string)
{
    char *at = texts->room + texts->used;
    size_t room = TEXTS_ROOM - texts->used;
    size_t size = 0;
    napi_status status = napi_get_value_string_utf8(texts->env, value, at, room, &size);
    *ret_is_string = status != napi_string_expected;
    if (status != napi_ok)
        return *ret_is_string ? ok(texts->env, status) : true;
    if (size + CHARACTER_MAX >= room)
        return take_large(texts, value, ret);
    texts->used += size + 1;
    *ret = (struct spn_bytes){at, size};
    return true;
}

static bool take_array(struct texts *texts, napi_value value, const char *name,
                       struct spn_bytes *ret)
{
    napi_typedarray_type type = napi_int8_array;
    void *data = NULL;
    size_t size = 0;
    napi_value buffer = NULL;
    bool is_array = false;
    bool is_detached = false;
    if (!ok(texts->env, napi_is_typedarray(texts->env, value, &is_array)))
        return false;
    if (is_array && !ok(texts->env, napi_get_typedarray_info(texts->env, value, &type, &size, &data,
                                                             &buffer, NULL)))
        return false;
    if (!is_array || type != napi_uint8_array)
        return refuse(texts->env, name, "a string or a Uint8Array");
    if (size == 0 &&
        !ok(texts->env, napi_is_detached_arraybuffer(texts->env, buffer, &is_detached)))
        return false;
    if (is_detached)
        return refuse(texts->env, name, "a Uint8Array that is not detached");
    *ret = (struct spn_bytes){size > 0 ? data : NULL, size};
    return true;
}

bool take_text(struct texts *texts, napi_value value, const char *name, struct spn_bytes *ret)
{
    bool is_string;
    if (!take_string(texts, value, ret, &is_string))
        return false;
    return is_string || is_undefined(texts->env, value) || take_array(texts, value, name, ret);
}

/* -- numbers and flags ------------------------------------------------------------------------- */

bool take_number(napi_env env, napi_value value, const char *name, uint64_t max, uint64_t *ret)
{
    double number = 0;
    char message[MESSAGE_SIZE];
    if (is_undefined(env, value))
        return true;
    if (napi_get_value_double(env, value, &number) != napi_ok)
        return refuse(env, name, "a number");
    if (number >= 0 && number <= (double)max && floor(number) == number) {
        *ret = (uint64_t)number;
        return true;
    }
    snprintf(message, sizeof(message), "%s must be a whole number from 0 to %llu", name,
             (unsigned long long)max);
    (void)napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
    return false;
}

bool take_flag(napi_env env, napi_value value, const char *name, bool *ret)
{
    if (is_undefined(env, value) || napi_get_value_bool(env, value, ret) == napi_ok)
        return true;
    return refuse(env, name, "true or false");
}

/* -- properties -------------------------------------------------------------------------------- */

static bool get(napi_env env, napi_value object, const char *name, napi_value *ret)
{
    if (is_undefined(env, object)) {
        *ret = object;
        return true;
    }
    return ok(env, napi_get_named_property(env, object, name, ret));
}

bool take_text_of(struct texts *texts, napi_value object, const char *name, struct spn_bytes *ret)
{
    napi_value value;
    return get(texts->env, object, name, &value) && take_text(texts, value, name, ret);
}

bool take_number_of(napi_env env, napi_value object, const char *name, uint64_t max, uint64_t *ret)
{
    napi_value value;
    return get(env, object, name, &value) && take_number(env, value, name, max, ret);
}

bool take_flag_of(napi_env env, napi_value object, const char *name, bool *ret)
{
    napi_value value;
    return get(env, object, name, &value) && take_flag(env, value, name, ret);
}

bool take_life_of(napi_env env, napi_value object, const char *name, struct spn_life *ret,
                  bool *ret_given)
{
    napi_value value;
    char text[SPN_LIFE_TEXT_SIZE + CHARACTER_MAX];
    size_t size = 0;
    *ret_given = false;
    if (!get(env, object, name, &value))
        return false;
    if (is_undefined(env, value))
        return true;
    *ret_given = napi_get_value_string_utf8(env, value, text, sizeof(text), &size) == napi_ok &&
                 spn_life_parse((struct spn_bytes){text, size}, ret) == SPN_OK;
    return *ret_given || refuse(env, name, "a string of 32 hexadecimal digits");
}

bool take_c_string_of(struct texts *texts, napi_value object, const char *name, const char **ret)
{
    napi_value value;
    struct spn_bytes bytes = {NULL, 0};
    bool is_string = false;
    if (!get(texts->env, object, name, &value) || !take_string(texts, value, &bytes, &is_string))
        return false;
    if (!is_string)
        return is_undefined(texts->env, value) || refuse(texts->env, name, "a string");
    if (memchr(bytes.data, '\0', bytes.size) != NULL)
        return refuse(texts->env, name, "a string without NUL");
    *ret = bytes.data;
    return true;
}

/* -- to JavaScript ----------------------------------------------------------------------------- */

napi_value make_number(napi_env env, double number)
{
    napi_value value = NULL;
    return ok(env, napi_create_double(env, number, &value)) ? value : NULL;
}

napi_value make_text(napi_env env, struct spn_bytes text)
{
    napi_value value = NULL;
    const char *bytes = text.size > 0 ? text.data : "";
    return ok(env, napi_create_string_utf8(env, bytes, text.size, &value)) ? value : NULL;
}

napi_value make_buffer(napi_env env, struct spn_bytes bytes)
{
    napi_value value = NULL;
    const void *data = bytes.size > 0 ? bytes.data : "";
    return ok(env, napi_create_buffer_copy(env, bytes.size, data, NULL, &value)) ? value : NULL;
}

napi_value make_content(napi_env env, struct spn_bytes bytes, bool as_bytes)
{
    return as_bytes || bytes.size > LARGE_BYTES ? make_buffer(env, bytes) : make_text(env, bytes);
}

napi_value make_life(napi_env env, const unsigned char bytes[16])
{
    struct spn_life life;
    static const struct spn_life none;
    char text[SPN_LIFE_TEXT_SIZE];
    napi_value value = NULL;
    memcpy(life.bytes, bytes, sizeof(life.bytes));
    if (memcmp(&life, &none, sizeof(life)) == 0)
        return ok(env, napi_get_null(env, &value)) ? value : NULL;
    spn_life_format(&life, text);
    return ok(env, napi_create_string_latin1(env, text, SPN_LIFE_TEXT_SIZE - 1, &value)) ? value
                                                                                         : NULL;
}

napi_value make_object(napi_env env)
{
    napi_value object = NULL;
    return ok(env, napi_create_object(env, &object)) ? object : NULL;
}

bool put(napi_env env, napi_value object, const char *name, napi_value value)
{
    return value != NULL && ok(env, napi_set_named_property(env, object, name, value));
}

bool put_number(napi_env env, napi_value object, const char *name, uint64_t number)
{
    return put(env, object, name, make_number(env, (double)number));
}

bool put_text(napi_env env, napi_value object, const char *name, struct spn_bytes text)
{
    return put(env, object, name, make_text(env, text));
}
