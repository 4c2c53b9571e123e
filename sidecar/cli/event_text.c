/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/event_text.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/json_text.h"
#include "base/text.h"
#include "wire.h"

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
