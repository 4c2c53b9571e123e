/* SPDX-License-Identifier: Apache-2.0 */
/* config_value: the kinds of values that options have. */
#include "config/config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/option_value.h"

#define MS_NS UINT64_C(1000000)

/* An integer of any size. */
union integer {
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    uint64_t whole;
};

static void put_integer(void *place, size_t size, uint64_t value)
{
    union integer integer;
    assert(size <= sizeof(integer));
    if (size == sizeof(integer.byte))
        integer.byte = (uint8_t)value;
    else if (size == sizeof(integer.half))
        integer.half = (uint16_t)value;
    else if (size == sizeof(integer.word))
        integer.word = (uint32_t)value;
    else
        integer.whole = value;
    memcpy(place, &integer, size);
}

static uint64_t get_integer(const void *place, size_t size)
{
    union integer integer = {0};
    assert(size <= sizeof(integer));
    memcpy(&integer, place, size);
    return size == sizeof(integer.byte)   ? integer.byte
           : size == sizeof(integer.half) ? integer.half
           : size == sizeof(integer.word) ? integer.word
                                          : integer.whole;
}

/* -- text -> value ----------------------------------------------------------------------------- */

static bool read_time(const struct config_option *option, const char *text, uint64_t *ret_value,
                      char *why)
{
    if (!option_read_duration_ms(text, option->most, ret_value, why))
        return false;
    if (*ret_value < option->least) {
        (void)snprintf(why, OPTION_WHY_SIZE, "is too short");
        return false;
    }
    if (option->kind == CONFIG_TIME_NS)
        *ret_value *= MS_NS;
    return true;
}

static bool read_flag(const char *text, uint64_t *ret_value, char *why)
{
    *ret_value = strcmp(text, "true") == 0;
    if (*ret_value || strcmp(text, "false") == 0)
        return true;
    (void)snprintf(why, OPTION_WHY_SIZE, "not true or false");
    return false;
}

static bool read_word(const struct config_option *option, const char *text, uint64_t *ret_value,
                      char *why)
{
    size_t used = (size_t)snprintf(why, OPTION_WHY_SIZE, "not one of");
    for (size_t i = 0; option->words[i]; i++) {
        if (strcmp(option->words[i], text) == 0) {
            *ret_value = i;
            return true;
        }
        if (used < OPTION_WHY_SIZE)
            used += (size_t)snprintf(why + used, OPTION_WHY_SIZE - used, "%s %s", i > 0 ? "," : "",
                                     option->words[i]);
    }
    return false;
}

static bool read_integer(const struct config_option *option, const char *text, uint64_t *ret_value,
                         char *why)
{
    mode_t mode;
    gid_t group;
    bool good;
    switch (option->kind) {
    case CONFIG_FLAG:
        return read_flag(text, ret_value, why);
    case CONFIG_TIME_MS:
    case CONFIG_TIME_NS:
        return read_time(option, text, ret_value, why);
    case CONFIG_MODE:
        good = option_read_mode(text, &mode, why);
        *ret_value = good ? mode : 0;
        return good;
    case CONFIG_GROUP:
        good = option_read_group(text, &group, why);
        *ret_value = good ? group : 0;
        return good;
    case CONFIG_WORD:
        return read_word(option, text, ret_value, why);
    default:
        return option_read_number(text, option->least, option->most, ret_value, why);
    }
}

static bool read_text(const struct config_option *option, const char *text, void *place, char *why)
{
    if (!option_read_path(text, why))
        return false;
    if (!place)
        return true;
    if (option->kind == CONFIG_PATH) {
        (void)snprintf(place, PATH_MAX, "%s", text);
    } else if (option->kind == CONFIG_TEXT) {
        memcpy(place, &text, sizeof(text));
    } else {
        struct config_list *list = place;
        list->items[list->count++] = text;
    }
    return true;
}

bool config_value_set(const struct config_option *option, const char *text, void *options,
                      const char **ret_why)
{
    static _Thread_local char why[OPTION_WHY_SIZE];
    void *place = options && option->size > 0 ? (char *)options + option->offset : NULL;
    uint64_t value = 0;
    *ret_why = why;
    if (option->kind == CONFIG_PATH || option->kind == CONFIG_TEXT || option->kind == CONFIG_LIST) {
        if (option->check && !option->check(text, ret_why))
            return false;
        return read_text(option, text, place, why);
    }
    if (!read_integer(option, text, &value, why))
        return false;
    if (place)
        put_integer(place, option->size, value);
    return true;
}

void config_value_clear(const struct config_option *option, void *options)
{
    memset((char *)options + option->offset, option->kind == CONFIG_GROUP ? 0xFF : 0, option->size);
}

/* -- value -> text ----------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool config_value_same(const struct config_option *option, const void *options, const void *others)
{
    const void *a = (const char *)options + option->offset;
    const void *b = (const char *)others + option->offset;
    if (option->kind == CONFIG_TEXT)
        return same_text(*(const char *const *)a, *(const char *const *)b);
    if (option->kind == CONFIG_PATH)
        return same_text(a, b);
    if (option->kind != CONFIG_LIST)
        return memcmp(a, b, option->size) == 0;
    const struct config_list *list = a;
    const struct config_list *other = b;
    bool same = list->count == other->count;
    for (size_t i = 0; same && i < list->count; i++)
        same = same_text(list->items[i], other->items[i]);
    return same;
}

struct unit {
    const char *name;
    uint64_t size;
};

/* In the largest unit in which it is a whole number. */
static char *in_units(uint64_t value, const struct unit *units, size_t count)
{
    char *text = NULL;
    size_t i = 0;
    while (i + 1 < count && (value == 0 || value % units[i].size != 0))
        i++;
    return asprintf(&text, "%" PRIu64 "%s", value / units[i].size,
                    value == 0 ? "" : units[i].name) < 0
               ? NULL
               : text;
}

static char *integer_text(const struct config_option *option, uint64_t value)
{
    static const struct unit bytes[] = {{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}};
    static const struct unit times[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    char *text = NULL;
    switch (option->kind) {
    case CONFIG_BYTES:
        return in_units(value, bytes, sizeof(bytes) / sizeof(bytes[0]));
    case CONFIG_TIME_MS:
        return in_units(value, times, sizeof(times) / sizeof(times[0]));
    case CONFIG_TIME_NS:
        return in_units(value / MS_NS, times, sizeof(times) / sizeof(times[0]));
    case CONFIG_FLAG:
        return strdup(value ? "true" : "false");
    case CONFIG_WORD:
        return strdup(option->words[value]);
    case CONFIG_GROUP:
        if (value == (gid_t)-1)
            return NULL;
        break;
    default:
        break;
    }
    return asprintf(&text, option->kind == CONFIG_MODE ? "%04" PRIo64 : "%" PRIu64, value) < 0
               ? NULL
               : text;
}

char *config_value_text(const struct config_option *option, const void *options, size_t at)
{
    const void *place = (const char *)options + option->offset;
    const struct config_list *list = place;
    const char *text;
    switch (option->kind) {
    case CONFIG_PATH:
        text = *(const char *)place ? place : NULL;
        break;
    case CONFIG_TEXT:
        memcpy(&text, place, sizeof(text));
        break;
    case CONFIG_LIST:
        text = at < list->count ? list->items[at] : NULL;
        break;
    default:
        return integer_text(option, get_integer(place, option->size));
    }
    return text ? strdup(text) : NULL;
}
