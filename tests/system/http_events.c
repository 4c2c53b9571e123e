/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a stream, as http_client.h has them. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"

static const char *keep(struct stage *stage, const char *bytes, size_t size)
{
    char *text = stage_keep(stage, malloc(size + 1));
    memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

struct http *http_stream(struct stage *stage, const char *path, const char *headers,
                         struct http_answer *ret_answer)
{
    struct http *http = http_open(stage);
    http_send_request(http, "GET", path, headers, NULL);
    struct http_answer answer = http_begin(http);
    http_expect(&answer, 200);
    assert_string_equal(http_header(stage, &answer, "Content-Type"), "text/event-stream");
    if (ret_answer)
        *ret_answer = answer;
    return http;
}

static void take_field(struct stage *stage, struct http_event *event, const char *line, size_t size)
{
    size_t name = 0;
    while (name < size && line[name] != ':')
        name++;
    size_t from = name + (name < size) + (name + 1 < size && line[name + 1] == ' ');
    const char *value = keep(stage, line + from, size - from);
    if (name == 2 && memcmp(line, "id", name) == 0)
        event->id = value;
    else if (name == 5 && memcmp(line, "event", name) == 0)
        event->type = value;
    else if (name == 5 && memcmp(line, "retry", name) == 0)
        event->retry = value;
    else if (name != 4 || memcmp(line, "data", name) != 0)
        fail_msg("no field of an event: %s", keep(stage, line, size));
    else
        event->data = event->has_data ? stage_format(stage, "%s\n%s", event->data, value) : value;
    event->has_data = event->has_data || name == 4;
}

/* The block that begins the body. False: it is not all there. */
static bool take_block(struct http *http, struct http_event *ret_event)
{
    struct http_event event = {"", "", "", "", NULL, false};
    size_t at = 0;
    for (;;) {
        char *end = memchr(http->body + at, '\n', http->body_size - at);
        if (!end)
            return false;
        const char *line = http->body + at;
        size_t size = (size_t)(end - line);
        at += size + 1;
        if (size > 0 && line[0] != ':') {
            take_field(http->stage, &event, line, size);
            continue;
        }
        if (size > 0)
            event.comment = keep(http->stage, line + 1, size - 1);
        http->body_size -= at;
        memmove(http->body, http->body + at, http->body_size + 1);
        *ret_event = event;
        return true;
    }
}

bool http_next_until(struct http *http, uint64_t due_ns, struct http_event *ret_event)
{
    while (!take_block(http, ret_event)) {
        if (http_more(http, due_ns))
            continue;
        if (http->has_ended && http->body_size > 0)
            fail_msg("the stream ends inside an event: %s", http->body);
        return false;
    }
    return true;
}

static bool next_in_time(struct http *http, uint64_t due_ns, struct http_event *ret_event)
{
    bool has_one = http_next_until(http, due_ns, ret_event);
    if (!has_one && !http->has_ended && !http->is_cut)
        fail_msg("no event came in time; so far: %s", http->body);
    return has_one;
}

bool http_next(struct http *http, struct http_event *ret_event)
{
    return next_in_time(http, until_in(STAGE_WAIT_MS), ret_event);
}

/* Heartbeats give it no more time. */
struct http_event http_next_data(struct http *http)
{
    struct http_event event;
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    do {
        if (!next_in_time(http, due_ns, &event))
            fail_msg("the stream %s", http->is_cut ? "is cut" : "ends");
    } while (!event.has_data);
    return event;
}

void http_expect_data_words(struct http *http, const char *const *data)
{
    for (; *data; data++)
        assert_string_equal(http_next_data(http).data, *data);
}

void http_expect_end(struct http *http)
{
    struct http_event event;
    while (http_next(http, &event))
        if (event.has_data)
            fail_msg("one more event: %s %s", event.type, event.data);
    assert_true(http->has_ended);
}
