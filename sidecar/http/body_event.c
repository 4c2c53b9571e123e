/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body_event.h"

#include <string.h>

/* By hand, since it is made for every event. */
char *body_what(uint64_t index, char ret_what[BODY_WHAT_SIZE])
{
    static const char word[] = "event ";
    char digits[BODY_WHAT_SIZE - sizeof(word)];
    size_t start = sizeof(digits);
    do {
        digits[--start] = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    size_t count = sizeof(digits) - start;
    memcpy(ret_what, word, sizeof(word) - 1);
    memcpy(ret_what + sizeof(word) - 1, digits + start, count);
    ret_what[sizeof(word) - 1 + count] = '\0';
    return ret_what;
}

static bool has(struct spn_bytes bytes, char byte)
{
    return bytes.size > 0 && memchr(bytes.data, byte, bytes.size) != NULL;
}

static bool fits_a_line(struct spn_bytes bytes)
{
    return !has(bytes, '\0') && !has(bytes, '\r') && !has(bytes, '\n');
}

static bool check_id(const struct spn_event *event, const struct body_rules *rules,
                     const char *what, struct problem *ret_problem)
{
    if (rules->has_key && event->kind != SPN_EVENT)
        return problem_set(ret_problem, 400, SPN_E_BAD_ID,
                           "%s has no data, and cannot have its id from the Idempotency-Key", what);
    if (rules->has_key && (event->id.size > 0 || event->resets_id))
        return problem_set(ret_problem, 400, SPN_E_BAD_ID,
                           "%s has an id of its own beside the Idempotency-Key", what);
    if (event->id.size > BODY_ID_MAX)
        return problem_set(ret_problem, 400, SPN_E_BAD_ID, "%s: the id is over %d bytes", what,
                           BODY_ID_MAX);
    if (!fits_a_line(event->id))
        return problem_set(ret_problem, 400, SPN_E_BAD_ID, "%s: NUL, CR or LF in the id", what);
    return true;
}

static bool check_type(const struct spn_event *event, const char *what, struct problem *ret_problem)
{
    static const char ours[] = "sponson-";
    if (event->type.size > BODY_TYPE_MAX)
        return problem_set(ret_problem, 400, SPN_E_BAD_TYPE, "%s: the type is over %d bytes", what,
                           BODY_TYPE_MAX);
    if (!fits_a_line(event->type))
        return problem_set(ret_problem, 400, SPN_E_BAD_TYPE, "%s: NUL, CR or LF in the type", what);
    if (event->type.size >= sizeof(ours) - 1 &&
        memcmp(event->type.data, ours, sizeof(ours) - 1) == 0)
        return problem_set(ret_problem, 400, SPN_E_BAD_TYPE,
                           "%s: types that begin with %s are the gateway's own", what, ours);
    return true;
}

bool body_data_check(struct spn_bytes data, const char *what, struct problem *ret_problem)
{
    if (has(data, '\r'))
        return problem_set(ret_problem, 400, SPN_E_BAD_DATA,
                           "%s: a CR in the data, which an event stream cannot carry; "
                           "newlines=lf turns CRLF and CR into LF",
                           what);
    return true;
}

bool body_event_check(const struct spn_event *event, const struct body_rules *rules,
                      const char *what, struct problem *ret_problem)
{
    if (!check_id(event, rules, what, ret_problem) || !check_type(event, what, ret_problem))
        return false;
    if (event->data.size > rules->data_max)
        return problem_set(ret_problem, 413, SPN_E_EVENT_TOO_LARGE,
                           "%s: the data is over %zu bytes", what, rules->data_max);
    return body_data_check(event->data, what, ret_problem);
}

void body_put_lines(struct out *out, struct spn_bytes data, bool *after_cr)
{
    const char *from = data.data;
    char *to = data.size > 0 ? out_reserve(out, data.size) : NULL;
    if (!to)
        return;
    size_t size = 0;
    for (size_t i = 0; i < data.size; i++) {
        bool ends_cr = from[i] == '\n' && *after_cr;
        *after_cr = from[i] == '\r';
        if (!ends_cr)
            to[size++] = *after_cr ? '\n' : from[i];
    }
    out->size += size;
}
