/* SPDX-License-Identifier: Apache-2.0 */
#include "event_list.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sse.h"
#include "wire.h"

enum { SHOWN_MAX = 200 };

bool event_bytes_same(struct spn_bytes a, struct spn_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static struct spn_bytes copy(struct spn_bytes bytes)
{
    char *data = malloc(bytes.size + 1);
    if (!data)
        fail_msg("out of memory");
    if (bytes.size > 0)
        memcpy(data, bytes.data, bytes.size);
    data[bytes.size] = '\0';
    return (struct spn_bytes){data, bytes.size};
}

static void free_bytes(struct spn_bytes *bytes)
{
    free((void *)(uintptr_t)bytes->data);
    *bytes = (struct spn_bytes){NULL, 0};
}

void event_item_release(struct event_item *item)
{
    free_bytes(&item->session);
    free_bytes(&item->id);
    free_bytes(&item->type);
    free_bytes(&item->data);
    free_bytes(&item->life);
}

void event_list_release(struct event_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        event_item_release(&list->items[i]);
    free(list->items);
    *list = (struct event_list)EVENT_LIST_INIT;
}

static struct event_item *add(struct event_list *list)
{
    if (list->count == list->room) {
        size_t room = list->room > 0 ? list->room * 2 : 64;
        struct event_item *items = realloc(list->items, room * sizeof(*items));
        if (!items)
            fail_msg("out of memory");
        list->items = items;
        list->room = room;
    }
    struct event_item *item = &list->items[list->count++];
    *item = (struct event_item){.retry_ms = -1};
    return item;
}

/* -- text/event-stream ------------------------------------------------------------------------- */

static void add_parsed(struct event_list *list, const struct sse_event *event)
{
    struct event_item *item = add(list);
    item->id = copy(event->id);
    item->type = copy(event->type);
    item->data = copy(event->data);
    item->retry_ms = event->has_retry ? (int64_t)event->retry_ms : -1;
    item->marker = event->marker;
    list->markers += event->marker;
}

void event_list_add_sse(struct event_list *list, struct spn_bytes stream)
{
    struct sse_parser parser;
    const char *at = stream.data;
    size_t left = stream.size;
    sse_parser_init(&parser, WIRE_EVENT_DATA_MAX);
    while (left > 0) {
        size_t used = 0;
        bool ready = false;
        struct sse_event event;
        spn_err err = sse_parser_feed(&parser, at, left, &used, &ready, &event);
        if (err != SPN_OK)
            fail_msg("the stream cannot be parsed: error %d", (int)err);
        if (ready)
            add_parsed(list, &event);
        at += used;
        left -= used;
    }
    sse_parser_release(&parser);
}

/* -- JSON -------------------------------------------------------------------------------------- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct spn_bytes decode_base64(const char *text)
{
    uint8_t *bytes = malloc(strlen(text) / 4 * 3 + 1);
    size_t size = 0;
    uint32_t bits = 0;
    int count = 0;
    if (!bytes)
        fail_msg("out of memory");
    for (; *text && *text != '='; text++) {
        const char *digit = strchr(base64_digits, *text);
        if (!digit)
            fail_msg("not base64: %s", text);
        bits = bits << 6 | (uint32_t)(digit - base64_digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes[size++] = (uint8_t)(bits >> count);
        }
    }
    return (struct spn_bytes){bytes, size};
}

static struct spn_bytes bytes_of(json_t *object, const char *key, const char *encoding_key)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return copy((struct spn_bytes){NULL, 0});
    const char *encoding = json_string_value(json_object_get(object, encoding_key));
    if (encoding && strcmp(encoding, "base64") == 0)
        return decode_base64(json_string_value(value));
    return copy((struct spn_bytes){json_string_value(value), json_string_length(value)});
}

static uint64_t number_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("%s is no number", key);
    return (uint64_t)json_integer_value(value);
}

static json_t *parse(const char *text, size_t size)
{
    json_error_t error;
    json_t *object = json_loadb(text, size, JSON_ALLOW_NUL, &error);
    if (!json_is_object(object))
        fail_msg("not a JSON object (%s): %.*s", error.text,
                 (int)(size < SHOWN_MAX ? size : SHOWN_MAX), text);
    return object;
}

/* Lines of one session have no kind: they are all of events and markers. */
static bool is_stored(json_t *object)
{
    static const char *const kinds[] = {"event", "marker", "reset"};
    const char *kind = json_string_value(json_object_get(object, "kind"));
    for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return !kind;
}

bool event_item_from_json(struct event_item *item, const char *line, size_t size)
{
    json_t *object = parse(line, size);
    if (!is_stored(object)) {
        json_decref(object);
        return false;
    }
    event_item_release(item);
    item->session = bytes_of(object, "session", "");
    item->id = bytes_of(object, "id", "id_encoding");
    item->type = bytes_of(object, "type", "type_encoding");
    item->data = bytes_of(object, "data", "encoding");
    item->position = number_of(object, "position");
    item->life = bytes_of(object, "life", "");
    item->seq = number_of(object, "seq");
    json_t *retry = json_object_get(object, "retry");
    item->retry_ms = json_is_integer(retry) ? json_integer_value(retry) : -1;
    item->marker = json_is_true(json_object_get(object, "marker"));
    assert_int_equal(item->marker, json_is_null(json_object_get(object, "data")));
    json_decref(object);
    return true;
}

void event_list_add_json(struct event_list *list, struct spn_bytes lines, const char *session)
{
    const char *at = lines.data;
    const char *end = at + lines.size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            fail_msg("the last line has no end");
        struct event_item *item = add(list);
        bool stored = event_item_from_json(item, at, (size_t)(stop - at));
        if (!stored ||
            (session &&
             !event_bytes_same(item->session, (struct spn_bytes){session, strlen(session)}))) {
            event_item_release(item);
            list->count--;
        } else {
            list->markers += item->marker;
        }
        at = stop + 1;
    }
}

uint64_t event_json_number(const char *object, const char *key)
{
    json_t *json = parse(object, strlen(object));
    uint64_t number = number_of(json, key);
    json_decref(json);
    return number;
}

char *event_json_string(const char *object, const char *key)
{
    json_t *json = parse(object, strlen(object));
    const char *value = json_string_value(json_object_get(json, key));
    char *string = value ? strdup(value) : NULL;
    json_decref(json);
    return string;
}

uint64_t event_stat(struct stage *stage, const char *name)
{
    struct outcome stats = stage_run(stage, "stats", "--json");
    stage_expect_code(&stats, 0);
    return event_json_number(stats.out, name);
}

struct gauge_look {
    struct stage *stage;
    const char *name;
    uint64_t wanted;
    uint64_t found;
};

static bool look_at_gauge(void *argument)
{
    struct gauge_look *look = argument;
    look->found = event_stat(look->stage, look->name);
    return look->found == look->wanted;
}

void event_wait_gauge(struct stage *stage, const char *name, uint64_t value)
{
    struct gauge_look look = {.stage = stage, .name = name, .wanted = value};
    if (!until_true(until_in(STAGE_WAIT_MS), look_at_gauge, &look))
        fail_msg("%s is %llu, not %llu", name, (unsigned long long)look.found,
                 (unsigned long long)value);
}

/* -- comparing --------------------------------------------------------------------------------- */

static void expect_bytes(const char *what, size_t at, const char *field, struct spn_bytes got,
                         struct spn_bytes wanted)
{
    if (event_bytes_same(got, wanted))
        return;
    fail_msg("%s, event %zu: %s is %.*s (%zu bytes), not %.*s (%zu bytes)", what, at + 1, field,
             (int)(got.size < SHOWN_MAX ? got.size : SHOWN_MAX), (const char *)got.data, got.size,
             (int)(wanted.size < SHOWN_MAX ? wanted.size : SHOWN_MAX), (const char *)wanted.data,
             wanted.size);
}

void event_list_expect_same(const char *what, const struct event_list *got,
                            const struct event_list *wanted)
{
    size_t count = got->count < wanted->count ? got->count : wanted->count;
    for (size_t i = 0; i < count; i++) {
        const struct event_item *a = &got->items[i];
        const struct event_item *b = &wanted->items[i];
        expect_bytes(what, i, "type", a->type, b->type);
        expect_bytes(what, i, "data", a->data, b->data);
        if (a->retry_ms != b->retry_ms)
            fail_msg("%s, event %zu: retry is %lld, not %lld", what, i + 1, (long long)a->retry_ms,
                     (long long)b->retry_ms);
        if (a->marker != b->marker)
            fail_msg("%s, event %zu: a marker, or not", what, i + 1);
        if (b->id.size > 0 || b->marker)
            expect_bytes(what, i, "id", a->id, b->id);
        else if (a->id.size == 0)
            fail_msg("%s, event %zu has no id", what, i + 1);
    }
    if (got->count != wanted->count)
        fail_msg("%s: %zu events, not %zu", what, got->count, wanted->count);
}

void event_list_expect_whole(const char *what, const struct event_list *got)
{
    for (size_t i = 0; i < got->count; i++) {
        const struct event_item *item = &got->items[i];
        if (item->seq != i + 1)
            fail_msg("%s: event %zu has seq %llu", what, i + 1, (unsigned long long)item->seq);
        if (!event_bytes_same(item->life, got->items[0].life))
            fail_msg("%s: event %zu is of another life", what, i + 1);
        if (i > 0 && item->position <= got->items[i - 1].position)
            fail_msg("%s: event %zu has no higher position than the one before", what, i + 1);
    }
}
