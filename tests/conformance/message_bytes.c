/* SPDX-License-Identifier: Apache-2.0 */
/* message_bytes: a message from bytes and to bytes, along its layout. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

enum { ITEMS_MAX = 100000 };

struct reading {
    struct message *message;
    const uint8_t *bytes;
    size_t at, end;
    char *words;
};

struct writing {
    struct message *message;
    struct bytes *bytes;
    char *words;
};

static bool wrong(char *words, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, WORDS_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

static void join(char name[MESSAGE_NAME_SIZE], const char *prefix, const char *field)
{
    if (snprintf(name, MESSAGE_NAME_SIZE, "%s%s", prefix, field) >= MESSAGE_NAME_SIZE)
        abort();
}

/* -- decoding ---------------------------------------------------------------------------------- */

static bool take_struct(struct reading *in, const struct layout *layout, const char *prefix);

static char *text_of(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size * 3 + 1);
    char *at = text;
    if (text == NULL)
        abort();
    for (size_t i = 0; i < size; i++) {
        bool plain = bytes[i] > 0x20 && bytes[i] < 0x7f && bytes[i] != '%' && bytes[i] != '$';
        at += snprintf(at, 4, plain ? "%c" : "%%%02x", bytes[i]);
    }
    *at = '\0';
    return text;
}

static char *hex_of(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size * 2 + 1);
    if (text == NULL)
        abort();
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    text[size * 2] = '\0';
    return text;
}

static void note(struct reading *in, const char *name, char *text, uint64_t number, size_t at,
                 const struct layout_field *field)
{
    message_set(in->message, name, text);
    free(text);
    struct value *value = (struct value *)(uintptr_t)message_find(in->message, name);
    value->number = number;
    value->at = at;
    value->size = in->at - at;
    value->field = field;
}

static bool skip(struct reading *in, size_t size, const char *name)
{
    if (in->end - in->at < size)
        return wrong(in->words, "it ends at byte %zu, in %s", in->end, name);
    in->at += size;
    return true;
}

static uint64_t number_at(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;
    for (size_t i = size; i > 0; i--)
        number = number << 8 | bytes[i - 1];
    return number;
}

static bool take_number(struct reading *in, const struct layout_field *field, const char *name)
{
    char text[24];
    size_t at = in->at;
    if (!skip(in, field->size, name))
        return false;
    uint64_t number = number_at(in->bytes + at, field->size);
    const char *word = layout_word(field->words, number);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    note(in, name, strdup(word != NULL ? word : text), number, at, field);
    return true;
}

static bool take_bytes(struct reading *in, size_t size, bool hex, const char *name,
                       const struct layout_field *field)
{
    size_t at = in->at;
    if (!skip(in, size, name))
        return false;
    const uint8_t *bytes = in->bytes + at;
    note(in, name, hex ? hex_of(bytes, size) : text_of(bytes, size), 0, at, field);
    return true;
}

static bool take_zeros(struct reading *in, size_t size, const char *name)
{
    for (size_t i = 0; i < size; i++) {
        if (!skip(in, 1, name))
            return false;
        if (in->bytes[in->at - 1] != 0)
            return wrong(in->words, "byte %zu is not zero", in->at - 1);
    }
    return true;
}

static bool take_prefixed(struct reading *in, const struct layout_field *field, const char *name)
{
    size_t at = in->at;
    if (!skip(in, field->size, name))
        return false;
    size_t size = number_at(in->bytes + at, field->size);
    if (!take_bytes(in, size, field->kind == LAYOUT_FIELDS, name, field))
        return false;
    struct value *value = (struct value *)(uintptr_t)message_find(in->message, name);
    value->at = at;
    value->size = in->at - at;
    return true;
}

static uint64_t extent(const struct reading *in, const char *name, const char *what)
{
    char full[MESSAGE_NAME_SIZE];
    join(full, name, what);
    return message_number(in->message, full);
}

static bool take_items(struct reading *in, const struct layout_field *field, const char *name)
{
    char prefix[MESSAGE_NAME_SIZE];
    uint64_t count = field->kind == LAYOUT_ALL ? ITEMS_MAX : extent(in, name, ".count");
    for (uint64_t i = 0; i < count; i++) {
        if (field->kind == LAYOUT_ALL && in->at == in->end)
            return true;
        snprintf(prefix, sizeof(prefix), "%.40s.%llu.", name, (unsigned long long)i);
        if (!take_struct(in, field->of, prefix))
            return false;
    }
    return true;
}

/* What a size encloses. In a block a receiver skips what it does not know; items fill theirs. */
static bool take_enclosed(struct reading *in, const struct layout_field *field, const char *name,
                          const char *prefix)
{
    char rest[MESSAGE_NAME_SIZE];
    char size_name[MESSAGE_NAME_SIZE];
    size_t outer = in->end;
    join(size_name, name, ".size");
    size_t size = message_number(in->message, size_name);
    if (field->kind == LAYOUT_LIST && message_find(in->message, size_name) == NULL)
        return take_items(in, field, name);
    if (outer - in->at < size)
        return wrong(in->words, "%s is longer than what is around it", name);
    in->end = in->at + size;
    bool good = field->kind == LAYOUT_BLOCK ? take_struct(in, field->of, prefix)
                                            : take_items(in, field, name);
    if (good && in->at < in->end && field->kind != LAYOUT_BLOCK)
        return wrong(in->words, "%s has %zu bytes too many", name, in->end - in->at);
    join(rest, name, ".rest");
    if (good && in->at < in->end)
        good = take_bytes(in, in->end - in->at, true, rest, field);
    in->end = outer;
    return good;
}

static bool applies(const struct message *message, const struct layout_field *field,
                    const char *prefix, uint64_t (*number)(const struct message *, const char *))
{
    char name[MESSAGE_NAME_SIZE];
    if (field->when[0] == '\0')
        return true;
    join(name, prefix, field->when);
    uint64_t found = number(message, name);
    return field->when_bits ? (found & field->when_value) != 0 : found == field->when_value;
}

static bool take_field(struct reading *in, const struct layout_field *field, const char *prefix)
{
    char name[MESSAGE_NAME_SIZE];
    char extent_name[MESSAGE_NAME_SIZE];
    join(name, prefix, field->name);
    switch (field->kind) {
    case LAYOUT_NUMBER:
        return take_number(in, field, name);
    case LAYOUT_SIZE:
    case LAYOUT_COUNT:
        join(extent_name, name, field->kind == LAYOUT_SIZE ? ".size" : ".count");
        return take_number(in, field, extent_name);
    case LAYOUT_BYTES:
        return take_bytes(in, field->size, true, name, field);
    case LAYOUT_ZERO:
        return take_zeros(in, field->size, name);
    case LAYOUT_SHORT:
    case LAYOUT_LONG:
    case LAYOUT_FIELDS:
        return take_prefixed(in, field, name);
    case LAYOUT_SIZED:
        return take_bytes(in, extent(in, name, ".size"), false, name, field);
    case LAYOUT_BLOCK:
    case LAYOUT_LIST:
        return take_enclosed(in, field, name, prefix);
    case LAYOUT_ALL:
        return take_items(in, field, name);
    case LAYOUT_INCLUDE:
        return take_struct(in, field->of, prefix);
    }
    return false;
}

static bool take_struct(struct reading *in, const struct layout *layout, const char *prefix)
{
    for (size_t i = 0; i < layout->count; i++)
        if (applies(in->message, &layout->fields[i], prefix, message_number) &&
            !take_field(in, &layout->fields[i], prefix))
            return false;
    return true;
}

bool message_decode(struct message *ret_message, const uint8_t *bytes, size_t size,
                    char words[WORDS_SIZE])
{
    struct reading in = {ret_message, bytes, 0, size, words};
    message_release(ret_message);
    if (!take_struct(&in, layout_of_struct("header"), ""))
        return false;
    if (strcmp(message_text(ret_message, "magic"), "53504e") != 0)
        return wrong(words, "it does not begin with SPN");
    if (message_number(ret_message, "major") != layout_major)
        return wrong(words, "it is of version %s", message_text(ret_message, "major"));
    ret_message->layout = layout_by_number((uint8_t)message_number(ret_message, "message"));
    if (ret_message->layout == NULL)
        return wrong(words, "its type is %s", message_text(ret_message, "message"));
    if (!take_struct(&in, ret_message->layout, ""))
        return false;
    return in.at == size ? true : wrong(words, "it has %zu bytes too many", size - in.at);
}

/* -- encoding ---------------------------------------------------------------------------------- */

static bool put_struct(struct writing *out, const struct layout *layout, const char *prefix);

/* NULL: it was not given. */
static const char *given(struct writing *out, const char *name)
{
    struct value *value = (struct value *)(uintptr_t)message_find(out->message, name);
    if (value == NULL)
        return NULL;
    value->used = true;
    return value->text;
}

static void put_number(struct writing *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(number >> (8 * i));
        bytes_put(out->bytes, &byte, 1);
    }
}

static bool put_text(struct writing *out, const char *text, const char *name)
{
    for (; *text != '\0'; text++) {
        char pair[3] = {0};
        if (*text != '%') {
            bytes_put(out->bytes, text, 1);
            continue;
        }
        snprintf(pair, sizeof(pair), "%.2s", text + 1);
        if (strlen(pair) < 2 || !bytes_from_hex(out->bytes, pair))
            return wrong(out->words, "%s has a %% without two hexadecimal digits", name);
        text += 2;
    }
    return true;
}

static bool put_given_number(struct writing *out, const struct layout_field *field,
                             const char *name, uint64_t otherwise)
{
    const char *text = given(out, name);
    if (text != NULL && !layout_number(field->words, text, &otherwise))
        return wrong(out->words, "%s is no number: %s", name, text);
    struct value *value = (struct value *)(uintptr_t)message_find(out->message, name);
    if (value != NULL)
        value->number = otherwise;
    put_number(out, otherwise, field->size);
    return true;
}

static bool put_fixed(struct writing *out, const struct layout_field *field, const char *name)
{
    size_t before = out->bytes->size;
    const char *text = given(out, name);
    if (text != NULL && !bytes_from_hex(out->bytes, text))
        return wrong(out->words, "%s is not hexadecimal: %s", name, text);
    if (text != NULL && out->bytes->size - before != field->size)
        return wrong(out->words, "%s has %zu bytes", name, field->size);
    if (text == NULL)
        for (size_t i = 0; i < field->size; i++)
            put_number(out, 0, 1);
    return true;
}

/* Items are given as NAME.INDEX.FIELD. */
static uint64_t count_items(const struct writing *out, const char *name)
{
    size_t size = strlen(name);
    uint64_t count = 0;
    for (size_t i = 0; i < out->message->count; i++) {
        const char *other = out->message->values[i].name;
        if (strncmp(other, name, size) != 0 || other[size] != '.' || other[size + 1] < '0' ||
            other[size + 1] > '9')
            continue;
        uint64_t index = strtoull(other + size + 1, NULL, 10);
        if (index >= count)
            count = index + 1;
    }
    return count;
}

static bool put_items(struct writing *out, const struct layout_field *field, const char *name)
{
    char prefix[MESSAGE_NAME_SIZE];
    uint64_t count = count_items(out, name);
    for (uint64_t i = 0; i < count; i++) {
        snprintf(prefix, sizeof(prefix), "%.40s.%llu.", name, (unsigned long long)i);
        if (!put_struct(out, field->of, prefix))
            return false;
    }
    return true;
}

/* Without its size in front of it. */
static bool put_enclosed(struct writing *out, const struct layout_field *field, const char *name,
                         const char *prefix)
{
    char rest[MESSAGE_NAME_SIZE];
    const char *text = given(out, name);
    switch (field->kind) {
    case LAYOUT_BLOCK:
        if (!put_struct(out, field->of, prefix))
            return false;
        join(rest, name, ".rest");
        text = given(out, rest);
        return text == NULL || bytes_from_hex(out->bytes, text);
    case LAYOUT_LIST:
    case LAYOUT_ALL:
        return put_items(out, field, name);
    case LAYOUT_FIELDS:
        return text == NULL || bytes_from_hex(out->bytes, text);
    default:
        return text == NULL || put_text(out, text, name);
    }
}

/* The size of the field of this name further down, or of this field itself. */
static bool put_size(struct writing *out, const struct layout *layout,
                     const struct layout_field *field, const char *prefix)
{
    char name[MESSAGE_NAME_SIZE];
    char size_name[MESSAGE_NAME_SIZE];
    const struct layout_field *of = field;
    struct bytes bytes = {NULL, 0, 0};
    struct writing inner = {out->message, &bytes, out->words};
    join(name, prefix, field->name);
    join(size_name, name, ".size");
    for (size_t i = 0; field->kind == LAYOUT_SIZE && i < layout->count; i++)
        if (strcmp(layout->fields[i].name, field->name) == 0 &&
            (layout->fields[i].kind == LAYOUT_SIZED || layout->fields[i].kind == LAYOUT_BLOCK ||
             layout->fields[i].kind == LAYOUT_LIST))
            of = &layout->fields[i];
    bool good = put_enclosed(&inner, of, name, prefix) &&
                put_given_number(out, field, size_name, bytes.size);
    bytes_release(&bytes);
    return good;
}

static bool put_field(struct writing *out, const struct layout *layout,
                      const struct layout_field *field, const char *prefix)
{
    char name[MESSAGE_NAME_SIZE];
    char count_name[MESSAGE_NAME_SIZE];
    join(name, prefix, field->name);
    switch (field->kind) {
    case LAYOUT_NUMBER:
        return put_given_number(out, field, name, 0);
    case LAYOUT_ZERO:
        for (size_t i = 0; i < field->size; i++)
            put_number(out, 0, 1);
        return true;
    case LAYOUT_BYTES:
        return put_fixed(out, field, name);
    case LAYOUT_SIZE:
        return put_size(out, layout, field, prefix);
    case LAYOUT_SHORT:
    case LAYOUT_LONG:
    case LAYOUT_FIELDS:
        return put_size(out, layout, field, prefix) && put_enclosed(out, field, name, prefix);
    case LAYOUT_COUNT:
        join(count_name, name, ".count");
        return put_given_number(out, field, count_name, count_items(out, name));
    case LAYOUT_INCLUDE:
        return put_struct(out, field->of, prefix);
    default:
        return put_enclosed(out, field, name, prefix);
    }
}

/* While encoding, a number may be text still. */
static uint64_t number_given(const struct message *message, const char *name)
{
    const struct value *value = message_find(message, name);
    uint64_t number = value != NULL ? value->number : 0;
    if (value != NULL && number == 0)
        (void)layout_number(NULL, value->text, &number);
    return number;
}

static bool put_struct(struct writing *out, const struct layout *layout, const char *prefix)
{
    for (size_t i = 0; i < layout->count; i++)
        if (applies(out->message, &layout->fields[i], prefix, number_given) &&
            !put_field(out, layout, &layout->fields[i], prefix))
            return false;
    return true;
}

bool message_encode(struct message *message, struct bytes *ret_bytes, char words[WORDS_SIZE])
{
    struct writing out = {message, ret_bytes, words};
    if (message_find(message, "magic") == NULL)
        message_set(message, "magic", "53504e");
    if (message_find(message, "major") == NULL)
        message_set_number(message, "major", layout_major);
    if (message_find(message, "minor") == NULL)
        message_set_number(message, "minor", layout_minor);
    if (message_find(message, "message") == NULL)
        message_set_number(message, "message", message->layout->number);
    for (size_t i = 0; i < message->count; i++)
        message->values[i].used = false;
    if (!put_struct(&out, layout_of_struct("header"), "") || !put_struct(&out, message->layout, ""))
        return false;
    for (size_t i = 0; i < message->count; i++)
        if (!message->values[i].used)
            return wrong(words, "%s has no field %s", message->layout->name,
                         message->values[i].name);
    return true;
}
