/* SPDX-License-Identifier: Apache-2.0 */
#include "http/events_text.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "http/json_write.h"

enum { DATABASE_DIGITS = 2 * SPN_DATABASE_ID_SIZE };

static_assert(SPN_DATABASE_ID_SIZE == sizeof(struct spn_life), "both are written in the same form");

/* -- places ------------------------------------------------------------------------------------ */

struct events_place events_place_of(const struct spn_item *item)
{
    struct events_place place = {.position = item->seq};
    memcpy(place.database, item->database, sizeof(place.database));
    return place;
}

void events_place_format(const struct events_place *place, char ret_text[EVENTS_PLACE_SIZE])
{
    struct spn_life database;
    char digits[EVENTS_PLACE_SIZE];
    char *at = digits + sizeof(digits);
    uint64_t left = place->position;
    memcpy(&database, place->database, sizeof(database));
    spn_life_format(&database, ret_text);
    *--at = '\0';
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    ret_text[DATABASE_DIGITS] = ':';
    memcpy(ret_text + DATABASE_DIGITS + 1, at, strlen(at) + 1);
}

bool events_place_parse(struct spn_bytes text, struct events_place *ret_place)
{
    char number[sizeof("18446744073709551615")] = "";
    const char *bytes = text.data;
    struct spn_life database;
    uint64_t position;
    size_t size = text.size - DATABASE_DIGITS - 1; /* of the number, after the next line */
    if (text.size <= DATABASE_DIGITS + 1 || size >= sizeof(number) || bytes[DATABASE_DIGITS] != ':')
        return false;
    memcpy(number, bytes + DATABASE_DIGITS + 1, size);
    if (spn_life_parse((struct spn_bytes){bytes, DATABASE_DIGITS}, &database) != SPN_OK ||
        strlen(number) != size || !text_count(number, 0, UINT64_MAX, &position))
        return false;
    memcpy(ret_place->database, &database, sizeof(database));
    ret_place->position = position;
    return true;
}

/* -- items ------------------------------------------------------------------------------------- */

static const char *kind_of(const struct spn_item *item)
{
    static const char *const kinds[] = {
        [SPN_ITEM_OPEN] = "open",
        [SPN_ITEM_CLOSE] = "close",
        [SPN_ITEM_DELETE] = "delete",
        [SPN_ITEM_EXPIRE] = "expire",
        [SPN_ITEM_ATTRIBUTES] = "attributes",
        [SPN_ITEM_TOUCH] = "touch",
    };
    static const char *const events[] = {
        [SPN_EVENT] = "event", [SPN_MARKER] = "marker", [SPN_RESET] = "reset"};
    return item->kind == SPN_ITEM_EVENT ? events[item->event->kind] : kinds[item->kind];
}

static void put_event(struct out *out, const struct spn_event *event)
{
    static const struct spn_bytes message = {"message", sizeof("message") - 1};
    if (event->kind == SPN_RESET)
        json_write_text(out, ",\"id\":", "");
    else
        json_write_bytes_or_null(out, ",\"id", event->id);
    if (event->retry_ms != SPN_RETRY_NONE)
        json_write_number(out, ",\"retry\":", event->retry_ms);
    if (event->kind != SPN_EVENT)
        return;
    json_write_bytes(out, ",\"type", event->type.size > 0 ? event->type : message);
    json_write_bytes(out, ",\"data", event->data);
}

static void put_attributes(struct out *out, const struct spn_attributes *attributes)
{
    json_write_span(out, ",\"ttl_ms\":", attributes->ttl_ms);
    json_write_span(out, ",\"idle_close_ms\":", attributes->idle_close_ms);
    json_write_bytes_or_null(out, ",\"content_type", attributes->content_type);
}

void events_text_item(struct out *out, const struct spn_item *item)
{
    const struct spn_event *event = item->event;
    const struct events_place place = events_place_of(item);
    char text[EVENTS_PLACE_SIZE];
    events_place_format(&place, text);
    out_text(out, "id: ");
    out_text(out, text);
    json_write_bytes(out, "\ndata: {\"session", item->session);
    json_write_life(out, ",\"life\":", &item->life);
    json_write_number(out, ",\"seq\":", event->seq);
    json_write_text(out, ",\"kind\":", kind_of(item));
    if (item->kind == SPN_ITEM_EVENT)
        put_event(out, event);
    if (item->attributes != NULL)
        put_attributes(out, item->attributes);
    if (item->kind == SPN_ITEM_CLOSE || event->closes) {
        json_write_bool(out, ",\"closes\":", true);
        json_write_bytes(out, ",\"reason", event->closes ? event->reason : item->reason);
    }
    json_write_time(out, ",\"time\":", event->time_ms);
    out_text(out, "}\n\n");
}
