/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body_raw.h"

static struct spn_event event_of(const struct body_raw *body)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.id = body->id;
    event.type = body->type;
    event.data = (struct spn_bytes){body->data.data ? body->data.data : "", body->data.size};
    return event;
}

bool body_raw_init(struct body_raw *body, const struct body_rules *rules, struct spn_bytes id,
                   struct spn_bytes type, struct problem *ret_problem)
{
    *body = (struct body_raw){.rules = rules, .id = id, .type = type};
    out_init(&body->data, -1);
    struct spn_event event = event_of(body);
    if (id.data && id.size == 0)
        return problem_set(ret_problem, 400, SPN_E_BAD_ID,
                           "Event-Id is empty; without it the event gets an id");
    return body_event_check(&event, rules, "Event-Id and Event-Type", ret_problem);
}

void body_raw_release(struct body_raw *body)
{
    out_release(&body->data);
}

bool body_raw_refuse_size(size_t data_max, struct problem *ret_problem)
{
    return problem_set(ret_problem, 413, SPN_E_EVENT_TOO_LARGE, "the body is over %zu bytes",
                       data_max);
}

/* Of what is too large, the bytes that fit are checked first: the problem is the same however the
 * body was cut into pieces. */
enum body_found body_raw_take(struct body_raw *body, const char *bytes, size_t size,
                              struct problem *ret_problem)
{
    size_t before = body->data.size;
    size_t room = body->rules->data_max - before;
    bool is_larger = size > room;
    if (body->rules->newlines_lf) {
        body_put_lines(&body->data, (struct spn_bytes){bytes, size}, &body->after_cr);
        is_larger = body->data.size > body->rules->data_max;
    } else {
        out_put(&body->data, bytes, is_larger ? room : size);
    }
    if (body->data.error) {
        (void)problem_no_memory(ret_problem);
        return BODY_BAD;
    }
    size_t added = body->data.size - before; /* 0: there may be no memory to point into */
    if (added > 0 && !body_data_check((struct spn_bytes){body->data.data + before, added},
                                      "the body", ret_problem))
        return BODY_BAD;
    if (!is_larger)
        return BODY_NONE;
    (void)body_raw_refuse_size(body->rules->data_max, ret_problem);
    return BODY_BAD;
}

enum body_found body_raw_end(struct body_raw *body, struct spn_event *ret_event)
{
    if (body->is_given)
        return BODY_NONE;
    body->is_given = true;
    *ret_event = event_of(body);
    return BODY_EVENT;
}
