/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body_sse.h"

enum {
    FIELD_ROOM = 8192,      /* for a line's name, and for the lines of id, type and retry */
    DATA_LINE_EMPTY = 8,    /* "data: \r\n": what a LF in data takes at most */
    BLOCK_ROOM = 64 * 1024, /* for unknown fields */
};

bool body_sse_init(struct body_sse *body, const struct body_rules *rules,
                   struct problem *ret_problem)
{
    *body = (struct body_sse){
        .rules = rules,
        .line_max = rules->data_max + FIELD_ROOM,
        .block_max = (rules->data_max + 1) * DATA_LINE_EMPTY + BLOCK_ROOM,
    };
    if (spn_sse_open(&body->sse, rules->data_max + BODY_ID_MAX + BODY_TYPE_MAX) != SPN_OK)
        return problem_no_memory(ret_problem);
    return true;
}

void body_sse_release(struct body_sse *body)
{
    spn_sse_close(body->sse);
    body->sse = NULL;
}

static void end_line(struct body_sse *body)
{
    if (body->line_size == 0)
        body->block_size = 0;
    body->line_size = 0;
    body->in_comment = false;
}

/* False: a line or a block is too long. */
static bool measure_byte(struct body_sse *body, char byte)
{
    bool ends_cr = byte == '\n' && body->after_cr;
    body->after_cr = byte == '\r';
    if (ends_cr)
        return true;
    if (byte == '\n' || byte == '\r') {
        end_line(body);
        return true;
    }
    if (body->line_size == 0)
        body->in_comment = byte == ':';
    body->line_size++;
    if (!body->in_comment) {
        body->has_lines = true;
        body->block_size++;
    }
    return body->line_size <= body->line_max && body->block_size <= body->block_max;
}

static bool measure(struct body_sse *body, const char *bytes, size_t size,
                    struct problem *ret_problem)
{
    char what[BODY_WHAT_SIZE];
    for (size_t i = 0; i < size; i++) {
        if (measure_byte(body, bytes[i]))
            continue;
        bool is_line = body->line_size > body->line_max;
        return problem_set(ret_problem, 413, SPN_E_EVENT_TOO_LARGE,
                           "%s: %s without an end, over %zu bytes", body_what(body->count, what),
                           is_line ? "a line" : "an event",
                           is_line ? body->line_max : body->block_max);
    }
    return true;
}

/* What is too long comes before all else that is wrong in the same bytes, since it would have been
 * found first if they had come one by one. */
enum body_found body_sse_take(struct body_sse *body, const char *bytes, size_t size,
                              size_t *ret_used, struct spn_event *ret_event,
                              struct problem *ret_problem)
{
    const struct spn_event *event;
    char what[BODY_WHAT_SIZE];
    body->given_size = 0;
    spn_err err = spn_sse_next(body->sse, bytes, size, ret_used, &event);
    if (!measure(body, bytes, *ret_used, ret_problem))
        return BODY_BAD;
    if (err == SPN_E_END)
        return BODY_NONE;
    (void)body_what(body->count, what);
    if (err == SPN_E_EVENT_TOO_LARGE)
        (void)problem_set(ret_problem, 413, err, "%s: data, type and id are over %zu bytes", what,
                          body->rules->data_max + BODY_ID_MAX + BODY_TYPE_MAX);
    else if (err != SPN_OK)
        (void)problem_no_memory(ret_problem);
    if (err != SPN_OK || !body_event_check(event, body->rules, what, ret_problem))
        return BODY_BAD;
    body->count++;
    body->given_size = event->id.size + event->type.size + event->data.size;
    *ret_event = *event;
    return BODY_EVENT;
}

size_t body_sse_held(const struct body_sse *body)
{
    return body->block_size + body->given_size;
}

/* The parser frees what was large when it is called again. */
void body_sse_forget(struct body_sse *body)
{
    const struct spn_event *event;
    size_t used;
    body->given_size = 0;
    (void)!spn_sse_next(body->sse, "", 0, &used, &event);
}

enum body_found body_sse_end(struct body_sse *body, struct problem *ret_problem)
{
    body->is_cut = body->block_size > 0;
    if (body->count > 0 || !body->has_lines)
        return BODY_NONE;
    (void)problem_set(ret_problem, 400, SPN_E_INVALID,
                      "no event in the body: in text/event-stream an event has a line that begins "
                      "with data: and ends with a blank line");
    return BODY_BAD;
}
