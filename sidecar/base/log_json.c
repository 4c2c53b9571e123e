/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

struct line {
    char *bytes;
    size_t size;
    size_t used;
    bool full; /* something did not fit */
};

static void put(struct line *line, const char *bytes, size_t size)
{
    if (line->full || size > line->size - line->used) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->used, bytes, size);
    line->used += size;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* One character; what is not UTF-8 becomes U+FFFD. Returns how many bytes it took. */
static size_t put_character(struct line *line, const char *at, size_t left)
{
    char escape[8];
    unsigned char byte = (unsigned char)*at;
    size_t length = utf8_length((const uint8_t *)at, left);
    if (length == 0) {
        put_text(line, "\\ufffd");
        return 1;
    }
    if (byte == '"' || byte == '\\')
        put(line, "\\", 1);
    if (byte < 0x20) {
        (void)snprintf(escape, sizeof(escape), "\\u%04x", byte);
        put_text(line, escape);
        return 1;
    }
    put(line, at, length);
    return length;
}

static void put_string(struct line *line, const char *text, size_t size)
{
    put(line, "\"", 1);
    for (size_t i = 0; i < size;)
        i += put_character(line, text + i, size - i);
    put(line, "\"", 1);
}

/* From the opening quote to the closing one, whose escapes log_quote made. Returns what follows. */
static const char *put_quoted(struct line *line, const char *at)
{
    put(line, "\"", 1);
    for (at++; *at && *at != '"';) {
        if (*at == '\\' && at[1])
            at++;
        at += put_character(line, at, strlen(at));
    }
    put(line, "\"", 1);
    return *at ? at + 1 : at;
}

static bool is_number(const char *text, size_t size)
{
    size_t sign = size > 0 && text[0] == '-' ? 1 : 0;
    size_t digits = strspn(text + sign, "0123456789");
    return digits > 0 && sign + digits == size && (digits == 1 || text[sign] != '0');
}

static const char *put_value(struct line *line, const char *at)
{
    size_t size = strcspn(at, " ");
    if (*at == '"')
        return put_quoted(line, at);
    if (is_number(at, size))
        put(line, at, size);
    else
        put_string(line, at, size);
    return at + size;
}

/* One key and its value; nothing if both do not fit. Returns what follows. */
static const char *put_pair(struct line *line, const char *at)
{
    struct line before = *line;
    size_t size = strcspn(at, "= ");
    put(line, ",", 1);
    put_string(line, at, size);
    put(line, ":", 1);
    at += size;
    if (*at == '=')
        at = put_value(line, at + 1);
    else
        put_text(line, "true");
    if (line->full)
        *line = before;
    return at + strspn(at, " ");
}

size_t log_json(char *line, size_t size, const char *time, const char *level, const char *event,
                const char *keys)
{
    struct line json = {.bytes = line, .size = size - 1}; /* the last is for the brace */
    put_text(&json, "{\"time\":");
    put_string(&json, time, strlen(time));
    put_text(&json, ",\"level\":");
    put_string(&json, level, strlen(level));
    put_text(&json, ",\"event\":");
    put_string(&json, event, strlen(event));
    for (const char *at = keys + strspn(keys, " "); *at;)
        at = put_pair(&json, at);
    line[json.used] = '}';
    return json.used + 1;
}
