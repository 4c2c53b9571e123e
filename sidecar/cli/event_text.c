/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/event_text.h"

#include <stdio.h>
#include <string.h>

#include "cli/text.h"
#include "wire.h"

/* -- JSON strings ------------------------------------------------------------------------------ */

/* 0: not escaped; 'l': may begin a line end; 'u': \u00NN; else the letter after the backslash (RFC
 * 8259, section 7). */
static const char escapes[256] = {
    ['\0'] = 'u', [1] = 'u',    [2] = 'u',    [3] = 'u',     [4] = 'u',    [5] = 'u',
    [6] = 'u',    [7] = 'u',    ['\b'] = 'b', ['\t'] = 't',  ['\n'] = 'n', [11] = 'u',
    ['\f'] = 'f', ['\r'] = 'r', [14] = 'u',   [15] = 'u',    [16] = 'u',   [17] = 'u',
    [18] = 'u',   [19] = 'u',   [20] = 'u',   [21] = 'u',    [22] = 'u',   [23] = 'u',
    [24] = 'u',   [25] = 'u',   [26] = 'u',   [27] = 'u',    [28] = 'u',   [29] = 'u',
    [30] = 'u',   [31] = 'u',   ['"'] = '"',  ['\\'] = '\\', [0xC2] = 'l', [0xE2] = 'l',
};

enum {
    ESCAPED_SIZE_MAX = 6, /* \u00NN, of one byte */
    PIECE_SIZE = 4096, /* room is reserved for the worst case of a piece, not of 16 MiB at once */
};

/* The line ends of Unicode that are not ASCII, which JSON allows unescaped: NEL, line separator,
 * paragraph separator. Returns the size and the escape; 0: another character. */
static size_t line_end(const uint8_t *from, size_t left, const char **ret_escape)
{
    static const struct {
        const char *bytes;
        const char *escape;
    } ends[] = {{"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t size = strlen(ends[i].bytes);
        *ret_escape = ends[i].escape;
        if (left >= size && memcmp(from, ends[i].bytes, size) == 0)
            return size;
    }
    return 0;
}

/* Pieces end between characters. */
static size_t piece_size(const uint8_t *from, size_t left)
{
    if (left <= PIECE_SIZE)
        return left;
    size_t size = PIECE_SIZE;
    while (size > PIECE_SIZE - 4 && (from[size] & 0xC0) == 0x80)
        size--;
    return size;
}

static char *put_escaped(char *to, const uint8_t *from, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        char escape = escapes[from[i]];
        if (escape == 'l') {
            const char *escaped;
            size_t end = line_end(from + i, size - i, &escaped);
            if (end > 0) {
                to = mempcpy(to, escaped, ESCAPED_SIZE_MAX);
                i += end - 1;
                continue;
            }
            escape = 0;
        }
        if (escape == 0) {
            *to++ = (char)from[i];
            continue;
        }
        *to++ = '\\';
        *to++ = escape;
        if (escape == 'u') {
            *to++ = '0';
            *to++ = '0';
            *to++ = hex[from[i] >> 4];
            *to++ = hex[from[i] & 15];
        }
    }
    return to;
}

void json_put_string(struct out *out, struct spn_bytes bytes)
{
    const uint8_t *from = bytes.data;
    size_t left = bytes.size;
    out_put(out, "\"", 1);
    while (left > 0) {
        size_t size = piece_size(from, left);
        char *at = out_reserve(out, size * ESCAPED_SIZE_MAX);
        if (!at)
            return;
        out->size += (size_t)(put_escaped(at, from, size) - at);
        from += size;
        left -= size;
    }
    out_put(out, "\"", 1);
}

void json_put_line(struct out *out, struct spn_bytes json)
{
    const uint8_t *from = json.data;
    size_t begin = 0;
    for (size_t at = 0; at < json.size; at++) {
        const char *escaped;
        size_t end = escapes[from[at]] == 'l' ? line_end(from + at, json.size - at, &escaped) : 0;
        if (end == 0)
            continue;
        out_put(out, from + begin, at - begin);
        out_put(out, escaped, ESCAPED_SIZE_MAX);
        begin = at + end;
        at = begin - 1;
    }
    out_put(out, from + begin, json.size - begin);
    out_put(out, "\n", 1);
}

/* -- base64 ------------------------------------------------------------------------------------ */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_base64_group(char *to, const uint8_t *from, size_t size)
{
    uint32_t bits = (uint32_t)from[0] << 16;
    if (size > 1)
        bits |= (uint32_t)from[1] << 8;
    if (size > 2)
        bits |= from[2];
    to[0] = base64_digits[bits >> 18];
    to[1] = base64_digits[bits >> 12 & 63];
    to[2] = size > 1 ? base64_digits[bits >> 6 & 63] : '=';
    to[3] = size > 2 ? base64_digits[bits & 63] : '=';
}

void base64_put(struct out *out, struct spn_bytes bytes)
{
    const uint8_t *from = bytes.data;
    size_t groups = (bytes.size + 2) / 3;
    char *at = out_reserve(out, groups * 4);
    for (size_t i = 0; at && i < groups; i++)
        put_base64_group(at + i * 4, from + i * 3, bytes.size - i * 3);
    if (at)
        out->size += groups * 4;
}

/* -- events ------------------------------------------------------------------------------------ */

/* True: the bytes were encoded. */
static bool put_bytes(struct out *out, const char *key, struct spn_bytes bytes)
{
    out_text(out, key);
    bool plain = text_is_utf8(bytes);
    if (plain) {
        json_put_string(out, bytes);
        return false;
    }
    out_text(out, "\"");
    base64_put(out, bytes);
    out_text(out, "\"");
    return true;
}

static bool put_bytes_or_null(struct out *out, const char *key, struct spn_bytes bytes, bool none)
{
    if (!none)
        return put_bytes(out, key, bytes);
    out_text(out, key);
    out_text(out, "null");
    return false;
}

static void put_number(struct out *out, const char *key, uint64_t number)
{
    out_text(out, key);
    out_number(out, number);
}

static void put_life(struct out *out, const char *key, struct spn_life life)
{
    char text[SPN_LIFE_TEXT_SIZE];
    out_text(out, key);
    if (!wire_has_life(life)) {
        out_text(out, "null");
        return;
    }
    spn_life_format(&life, text);
    out_text(out, "\"");
    out_text(out, text);
    out_text(out, "\"");
}

static void put_whose(struct out *out, struct spn_bytes session, const struct spn_event *event,
                      uint64_t epoch)
{
    put_number(out, "{\"position\":", event->position);
    if (session.data)
        put_bytes(out, ",\"session\":", session);
    else
        out_text(out, ",\"session\":null");
    put_life(out, ",\"life\":", event->life);
    if (epoch > 0)
        put_number(out, ",\"epoch\":", epoch);
    put_number(out, ",\"seq\":", event->seq);
}

static void put_time(struct out *out, const struct spn_event *event)
{
    char time[TEXT_TIME_SIZE];
    text_time(event->time_ms, time);
    out_text(out, ",\"time\":\"");
    out_text(out, time);
    out_text(out, "\"");
}

static void put_fields(struct out *out, const struct spn_event *event)
{
    bool marker = event->kind != SPN_EVENT;
    bool no_id = event->kind == SPN_MARKER && event->id.size == 0;
    bool id_encoded = put_bytes_or_null(out, ",\"id\":", event->id, no_id);
    bool type_encoded = put_bytes(out, ",\"type\":", event->type);
    bool data_encoded = put_bytes_or_null(out, ",\"data\":", event->data, marker);
    if (event->retry_ms == SPN_RETRY_NONE)
        out_text(out, ",\"retry\":null");
    else
        put_number(out, ",\"retry\":", event->retry_ms);
    put_time(out, event);
    if (data_encoded)
        out_text(out, ",\"encoding\":\"base64\"");
    if (id_encoded)
        out_text(out, ",\"id_encoding\":\"base64\"");
    if (type_encoded)
        out_text(out, ",\"type_encoding\":\"base64\"");
    if (marker)
        out_text(out, ",\"marker\":true");
    if (event->note.size > 0 && put_bytes(out, ",\"note\":", event->note))
        out_text(out, ",\"note_encoding\":\"base64\"");
    if (event->closes)
        (void)put_bytes(out, ",\"closes\":true,\"reason\":", event->reason);
}

void event_put_json(struct out *out, struct spn_bytes session, const struct spn_event *event)
{
    put_whose(out, session, event, 0);
    put_fields(out, event);
    out_text(out, "}\n");
}

/* -- entries of the log ------------------------------------------------------------------------ */

static const char *kind_name(const struct spn_item *item)
{
    static const char *const kinds[] = {
        [SPN_ITEM_OPEN] = "open",     [SPN_ITEM_CLOSE] = "close",
        [SPN_ITEM_DELETE] = "delete", [SPN_ITEM_EXPIRE] = "expire",
        [SPN_ITEM_TOUCH] = "touch",   [SPN_ITEM_ATTRIBUTES] = "attributes",
    };
    if (item->kind == SPN_ITEM_EVENT)
        return item->event->kind == SPN_EVENT    ? "event"
               : item->event->kind == SPN_MARKER ? "marker"
                                                 : "reset";
    return kinds[item->kind];
}

static void put_attributes(struct out *out, const struct spn_attributes *attributes)
{
    put_number(out, ",\"ttl_ms\":", attributes->ttl_ms);
    put_number(out, ",\"idle_close_ms\":", attributes->idle_close_ms);
    (void)put_bytes(out, ",\"content_type\":", attributes->content_type); /* it is UTF-8 */
    if (put_bytes(out, ",\"note\":", attributes->note))
        out_text(out, ",\"note_encoding\":\"base64\"");
}

void entry_put_json(struct out *out, const struct spn_item *item, uint64_t epoch,
                    const char *cursor)
{
    put_whose(out, item->session, item->event, epoch);
    out_text(out, ",\"kind\":\"");
    out_text(out, kind_name(item));
    out_text(out, "\"");
    if (item->kind == SPN_ITEM_EVENT)
        put_fields(out, item->event);
    else
        put_time(out, item->event);
    if (item->kind == SPN_ITEM_CLOSE)
        (void)put_bytes(out, ",\"reason\":", item->reason);
    if (item->attributes)
        put_attributes(out, item->attributes);
    if (cursor) {
        out_text(out, ",\"cursor\":\"");
        out_text(out, cursor);
        out_text(out, "\"");
    }
    out_text(out, "}\n");
}

void log_cursor_format(const unsigned char *database, uint64_t position,
                       char ret_text[LOG_CURSOR_TEXT_SIZE])
{
    struct spn_life id;
    memcpy(id.bytes, database, sizeof(id.bytes));
    spn_life_format(&id, ret_text);
    snprintf(ret_text + SPN_LIFE_TEXT_SIZE - 1, LOG_CURSOR_TEXT_SIZE - SPN_LIFE_TEXT_SIZE + 1,
             ":%llu", (unsigned long long)position);
}

bool log_cursor_parse(const char *text, unsigned char *ret_database, uint64_t *ret_position)
{
    const size_t digits = SPN_LIFE_TEXT_SIZE - 1;
    struct spn_life id;
    if (strlen(text) <= digits + 1 || text[digits] != ':' ||
        spn_life_parse((struct spn_bytes){text, digits}, &id) != SPN_OK ||
        !text_count(text + digits + 1, 0, UINT64_MAX, ret_position))
        return false;
    memcpy(ret_database, id.bytes, sizeof(id.bytes));
    return true;
}

spn_err event_put_sse(struct out *out, const struct spn_event *event)
{
    size_t size;
    size_t room = event->id.size + event->type.size + event->data.size + 64;
    char *at = out_reserve(out, room);
    if (!at)
        return SPN_E_NOMEM;
    spn_err err = spn_sse_format(event, at, room, &size);
    if (err == SPN_E_INVALID) { /* data of many lines: each needs its own "data: " */
        at = out_reserve(out, size);
        if (!at)
            return SPN_E_NOMEM;
        err = spn_sse_format(event, at, size, &size);
    }
    if (err == SPN_OK)
        out->size += size;
    return err;
}

void event_put_session(struct out *out, char last[EVENT_SESSION_SIZE], struct spn_bytes session)
{
    if (text_compare(spn_text(last), session) == 0 || session.size >= EVENT_SESSION_SIZE)
        return;
    memcpy(last, session.data, session.size);
    last[session.size] = '\0';
    out_text(out, ": session ");
    out_put(out, session.data, session.size);
    out_text(out, "\n");
}
