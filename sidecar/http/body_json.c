/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body_json.h"

#include "base/text.h"

enum json_part {
    PART_START,  /* the body's first byte comes */
    PART_FIRST,  /* in an array, before the first object: an object or the end */
    PART_NEXT,   /* after a comma: an object */
    PART_OBJECT, /* in an object */
    PART_AFTER,  /* after an object of an array: a comma or the end */
    PART_WHOLE,  /* after everything */
};

static const char *const keys[] = {"id",   "id_base64",   "type", "type_base64",
                                   "data", "data_base64", "retry"};

void body_json_init(struct body_json *body, const struct body_rules *rules, size_t body_max)
{
    *body = (struct body_json){.rules = rules, .body_max = body_max};
    out_init(&body->bytes, -1);
    out_init(&body->id, -1);
    out_init(&body->type, -1);
    out_init(&body->data, -1);
}

void body_json_release(struct body_json *body)
{
    json_decref(body->json);
    body->json = NULL;
    out_release(&body->bytes);
    out_release(&body->id);
    out_release(&body->type);
    out_release(&body->data);
}

/* -- one event --------------------------------------------------------------------------------- */

static bool read_newlines(struct body_json *body, struct spn_event *event,
                          struct problem *ret_problem)
{
    struct out lines;
    bool after_cr = false;
    if (!body->rules->newlines_lf || event->data.size == 0)
        return true;
    out_init(&lines, -1);
    body_put_lines(&lines, event->data, &after_cr);
    if (lines.error) {
        out_release(&lines);
        return problem_no_memory(ret_problem);
    }
    out_release(&body->data);
    body->data = lines;
    event->data = (struct spn_bytes){lines.data, lines.size};
    return true;
}

static bool read_fields(struct body_json *body, const char *what, struct problem *ret_problem)
{
    struct spn_event event = SPN_EVENT_INIT;
    uint64_t retry_ms = SPN_RETRY_NONE;
    const json_t *json = body->json;
    if (!flat_json_bytes(json, "id", "id_base64", &body->id, what, &event.id, ret_problem) ||
        !flat_json_bytes(json, "type", "type_base64", &body->type, what, &event.type,
                         ret_problem) ||
        !flat_json_bytes(json, "data", "data_base64", &body->data, what, &event.data,
                         ret_problem) ||
        !flat_json_number(json, "retry", SPN_RETRY_NONE - 1, what, &retry_ms, ret_problem))
        return false;
    if (!event.data.data)
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s: data is missing", what);
    if (event.id.data && event.id.size == 0)
        return problem_set(ret_problem, 400, SPN_E_BAD_ID,
                           "%s: the id is empty; without an id the event gets one", what);
    event.retry_ms = (uint32_t)retry_ms;
    if (!read_newlines(body, &event, ret_problem))
        return false;
    body->event = event;
    return true;
}

/* Reads the object from `begin` on, which was scanned, into body->event. */
static bool read_event(struct body_json *body, size_t begin, size_t size, uint64_t index,
                       struct problem *ret_problem)
{
    char what[BODY_WHAT_SIZE];
    (void)body_what(index, what);
    json_decref(body->json);
    body->json = flat_json_load((struct spn_bytes){body->bytes.data + begin, size}, keys,
                                sizeof(keys) / sizeof(keys[0]), what, ret_problem);
    return body->json && read_fields(body, what, ret_problem) &&
           body_event_check(&body->event, body->rules, what, ret_problem);
}

/* -- the body ---------------------------------------------------------------------------------- */

/* A byte outside of all objects that is no space. */
static bool take_mark(struct body_json *body, char byte, size_t at, struct problem *ret_problem)
{
    bool wants_object =
        body->part == PART_START || body->part == PART_FIRST || body->part == PART_NEXT;
    char quoted[TEXT_QUOTED_SIZE];
    char what[BODY_WHAT_SIZE];
    if (wants_object && byte == '{') {
        body->part = PART_OBJECT;
        body->object = at;
        body->scan = (struct flat_scan){0};
    } else if (body->part == PART_START && byte == '[') {
        body->is_array = true;
        body->part = PART_FIRST;
    } else if (byte == ']' && (body->part == PART_FIRST || body->part == PART_AFTER)) {
        body->part = PART_WHOLE;
    } else if (byte == ',' && body->part == PART_AFTER) {
        body->part = PART_NEXT;
    } else if (body->part == PART_START) {
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "the JSON is neither an object nor an array: it begins with %s",
                           text_quote((struct spn_bytes){&byte, 1}, quoted));
    } else if (wants_object) {
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s is not an object: %s",
                           body_what(body->count, what),
                           text_quote((struct spn_bytes){&byte, 1}, quoted));
    } else {
        return problem_set(ret_problem, 400, SPN_E_INVALID, "not valid JSON: %s at byte %zu",
                           text_quote((struct spn_bytes){&byte, 1}, quoted), at);
    }
    return true;
}

/* Takes bytes of the object from *at on, and checks it when it ends. */
static bool take_object(struct body_json *body, size_t *at, struct problem *ret_problem)
{
    char what[BODY_WHAT_SIZE];
    size_t used;
    enum flat_found found =
        flat_scan_take(&body->scan, body->bytes.data + *at, body->bytes.size - *at, &used);
    *at += used;
    if (found == FLAT_MORE)
        return true;
    if (found != FLAT_WHOLE)
        return flat_json_refuse(found, body_what(body->count, what), ret_problem);
    if (!read_event(body, body->object, *at - body->object, body->count, ret_problem))
        return false;
    body->count++;
    body->part = body->is_array ? PART_AFTER : PART_WHOLE;
    return true;
}

static bool scan(struct body_json *body, size_t at, struct problem *ret_problem)
{
    while (at < body->bytes.size) {
        if (body->part == PART_OBJECT) {
            if (!take_object(body, &at, ret_problem))
                return false;
            continue;
        }
        char byte = body->bytes.data[at];
        if (!flat_json_is_space(byte) && !take_mark(body, byte, at, ret_problem))
            return false;
        at++;
    }
    return true;
}

bool body_json_refuse_size(size_t body_max, struct problem *ret_problem)
{
    return problem_set(ret_problem, 413, SPN_E_LIMIT,
                       "the JSON is over %zu bytes: see --body-limit", body_max);
}

enum body_found body_json_take(struct body_json *body, const char *bytes, size_t size,
                               struct problem *ret_problem)
{
    size_t before = body->bytes.size;
    size_t room = body->body_max - before;
    out_put(&body->bytes, bytes, size < room ? size : room);
    if (body->bytes.error) {
        (void)problem_no_memory(ret_problem);
        return BODY_BAD;
    }
    if (!scan(body, before, ret_problem))
        return BODY_BAD;
    if (size <= room)
        return BODY_NONE;
    (void)body_json_refuse_size(body->body_max, ret_problem);
    return BODY_BAD;
}

/* Reads the object from `given` on again; the body is known to be whole. */
static bool read_given(struct body_json *body, struct problem *ret_problem)
{
    const char *bytes = body->bytes.data;
    size_t at = body->given;
    struct flat_scan scan_of = {0};
    size_t used;
    while (bytes[at] != '{')
        at++;
    (void)flat_scan_take(&scan_of, bytes + at + 1, body->bytes.size - at - 1, &used);
    body->given = at + 1 + used;
    return read_event(body, at, used + 1, body->given_count, ret_problem);
}

enum body_found body_json_end(struct body_json *body, struct spn_event *ret_event,
                              struct problem *ret_problem)
{
    if (body->part != PART_WHOLE) {
        (void)problem_set(ret_problem, 400, SPN_E_INVALID, "the JSON ends before it is whole");
        return BODY_BAD;
    }
    if (body->given_count == body->count)
        return BODY_NONE;
    bool is_read = body->count == 1; /* since it was checked; a large one takes a while */
    if (!is_read && !read_given(body, ret_problem))
        return BODY_BAD;
    body->given_count++;
    *ret_event = body->event;
    return BODY_EVENT;
}
