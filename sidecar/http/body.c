/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/body_json.h"
#include "http/body_raw.h"
#include "http/body_sse.h"

enum { COUNT_DIGITS = sizeof("-18446744073709551615") };

struct body {
    struct body_options options;
    struct body_rules rules;
    struct problem problem; /* status 0: none */
    struct out headers;     /* the bytes of the options */
    union {
        struct body_sse sse;
        struct body_json json;
        struct body_raw raw;
    } of;
    bool is_finished;
    bool is_empty; /* finished, and the kind has no more events */
    bool has_fresh;
    bool has_held;
    bool pauses; /* see body_let_go */
    uint64_t count;
    struct spn_event fresh; /* the kind's newest; its bytes are the kind's */
    struct spn_event held;
    struct out held_bytes;
    struct spn_event given;
    char *given_id; /* room for the key with a number */
};

/* -- opening ----------------------------------------------------------------------------------- */

static bool check_key(const struct body_options *options, struct problem *ret_problem)
{
    static const size_t key_max = BODY_ID_MAX - COUNT_DIGITS;
    if (!options->key.data)
        return true;
    if (options->key.size == 0 || options->key.size > key_max)
        return problem_set(ret_problem, 400, SPN_E_BAD_ID,
                           "Idempotency-Key must have 1 to %zu bytes", key_max);
    if (options->id.data)
        return problem_set(ret_problem, 400, SPN_E_BAD_ID, "both Event-Id and Idempotency-Key");
    return true;
}

static bool check_options(const struct body_options *options, struct problem *ret_problem)
{
    bool names_one = options->id.data || options->type.data;
    if (options->kind != BODY_RAW && names_one)
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "Event-Id and Event-Type are for a body that is the data of one event; "
                           "the events of this content type have their own");
    return check_key(options, ret_problem);
}

/* What would be refused when it has come is refused before. CR LF in data may become one byte. */
static bool check_length(const struct body_options *options, struct problem *ret_problem)
{
    size_t bytes_each = options->newlines_lf ? 2 : 1;
    switch (options->kind) {
    case BODY_SSE:
        return true;
    case BODY_JSON:
        return options->length <= options->json_max ||
               body_json_refuse_size(options->json_max, ret_problem);
    case BODY_RAW:
        break;
    }
    return options->length / bytes_each <= options->data_max ||
           body_raw_refuse_size(options->data_max, ret_problem);
}

/* The copy lies at `at` of body->headers, whose room is reserved. */
static void keep(struct body *body, struct spn_bytes *bytes)
{
    if (!bytes->data)
        return;
    char *at = body->headers.data + body->headers.size;
    out_put(&body->headers, bytes->data, bytes->size);
    bytes->data = at;
}

static bool keep_headers(struct body *body, struct problem *ret_problem)
{
    struct body_options *options = &body->options;
    size_t size = options->key.size + options->id.size + options->type.size;
    out_init(&body->headers, -1);
    out_init(&body->held_bytes, -1);
    body->given_id = malloc(options->key.size + COUNT_DIGITS);
    if (!body->given_id || !out_reserve(&body->headers, size))
        return problem_no_memory(ret_problem);
    keep(body, &options->key);
    keep(body, &options->id);
    keep(body, &options->type);
    return true;
}

static bool open_kind(struct body *body, struct problem *ret_problem)
{
    switch (body->options.kind) {
    case BODY_SSE:
        return body_sse_init(&body->of.sse, &body->rules, ret_problem);
    case BODY_JSON:
        body_json_init(&body->of.json, &body->rules, body->options.json_max);
        return true;
    case BODY_RAW:
        break;
    }
    struct spn_bytes id = body->options.id;
    struct spn_bytes type = body->options.type;
    return body_raw_init(&body->of.raw, &body->rules, id, type, ret_problem);
}

struct body *body_open(const struct body_options *options, struct problem *ret_problem)
{
    if (!check_options(options, ret_problem) || !check_length(options, ret_problem))
        return NULL;
    struct body *body = calloc(1, sizeof(*body));
    if (!body) {
        (void)problem_no_memory(ret_problem);
        return NULL;
    }
    body->options = *options;
    body->rules = (struct body_rules){.data_max = options->data_max,
                                      .has_key = options->key.data != NULL,
                                      .newlines_lf = options->newlines_lf};
    if (keep_headers(body, ret_problem) && open_kind(body, ret_problem))
        return body;
    body_close(body);
    return NULL;
}

void body_close(struct body *body)
{
    if (!body)
        return;
    switch (body->options.kind) {
    case BODY_SSE:
        body_sse_release(&body->of.sse);
        break;
    case BODY_JSON:
        body_json_release(&body->of.json);
        break;
    case BODY_RAW:
        body_raw_release(&body->of.raw);
        break;
    }
    out_release(&body->headers);
    out_release(&body->held_bytes);
    free(body->given_id);
    free(body);
}

/* -- taking bytes ------------------------------------------------------------------------------ */

/* What was found is fresh, or the body's lasting problem. */
static void settle(struct body *body, enum body_found found)
{
    body->has_fresh = found == BODY_EVENT;
    if (found == BODY_BAD)
        body->has_held = false;
}

static bool is_refused(const struct body *body, struct problem *ret_problem)
{
    if (body->problem.status == 0)
        return false;
    *ret_problem = body->problem;
    return true;
}

static enum body_found take(struct body *body, const char *bytes, size_t size, size_t *ret_used)
{
    *ret_used = size;
    switch (body->options.kind) {
    case BODY_SSE:
        return body_sse_take(&body->of.sse, bytes, size, ret_used, &body->fresh, &body->problem);
    case BODY_JSON:
        return body_json_take(&body->of.json, bytes, size, &body->problem);
    case BODY_RAW:
        break;
    }
    return body_raw_take(&body->of.raw, bytes, size, &body->problem);
}

bool body_feed(struct body *body, const void *bytes, size_t size, size_t *ret_used,
               struct problem *ret_problem)
{
    assert(!body->is_finished);
    *ret_used = 0;
    if (is_refused(body, ret_problem))
        return false;
    body->pauses = false;
    if (!body->has_fresh && size > 0)
        settle(body, take(body, bytes, size, ret_used));
    return !is_refused(body, ret_problem);
}

/* After the body's end: the next event of the kind. */
static enum body_found take_rest(struct body *body)
{
    switch (body->options.kind) {
    case BODY_SSE:
        return body_sse_end(&body->of.sse, &body->problem);
    case BODY_JSON:
        return body_json_end(&body->of.json, &body->fresh, &body->problem);
    case BODY_RAW:
        break;
    }
    return body_raw_end(&body->of.raw, &body->fresh);
}

static void advance(struct body *body)
{
    if (body->has_fresh || body->is_empty || body->problem.status != 0)
        return;
    enum body_found found = take_rest(body);
    settle(body, found);
    body->is_empty = found == BODY_NONE;
}

bool body_finish(struct body *body, struct problem *ret_problem)
{
    assert(!body->is_finished);
    body->is_finished = true;
    advance(body);
    return !is_refused(body, ret_problem);
}

/* -- giving events ----------------------------------------------------------------------------- */

static bool hold(struct body *body)
{
    struct spn_event *event = &body->fresh;
    struct spn_bytes *const fields[] = {&event->id, &event->type, &event->data};
    size_t size = event->id.size + event->type.size + event->data.size;
    body->held_bytes.size = 0;
    char *at = out_reserve(&body->held_bytes, size);
    if (!at)
        return problem_no_memory(&body->problem);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        out_put(&body->held_bytes, fields[i]->data, fields[i]->size);
        if (fields[i]->data)
            fields[i]->data = at;
        at += fields[i]->size;
    }
    body->held = *event;
    body->has_held = true;
    body->has_fresh = false;
    return true;
}

static bool must_hold(const struct body *body)
{
    return body->options.holds_last || (body->rules.has_key && body->count == 0);
}

/* The first event's id is not known before the second one, or the end, has come. */
static bool may_go(const struct body *body)
{
    return body->pauses && !(body->rules.has_key && body->count == 0);
}

/* The only event's id is the key itself. */
static void name(struct body *body)
{
    struct spn_bytes key = body->options.key;
    bool is_only = body->count == 0 && !body->has_fresh;
    int digits = 0;
    memcpy(body->given_id, key.data, key.size);
    if (!is_only)
        digits = snprintf(body->given_id + key.size, COUNT_DIGITS, "-%llu",
                          (unsigned long long)body->count);
    body->given.id = (struct spn_bytes){body->given_id, key.size + (size_t)digits};
}

static enum body_found give(struct body *body, const struct spn_event *event, bool *has_it,
                            const struct spn_event **ret_event)
{
    body->given = *event;
    *has_it = false;
    if (body->rules.has_key)
        name(body);
    body->count++;
    *ret_event = &body->given;
    return BODY_EVENT;
}

/* What was given is over, and nothing more has come. */
static void forget(struct body *body)
{
    if (!body->has_held)
        out_release(&body->held_bytes);
    if (body->options.kind == BODY_SSE)
        body_sse_forget(&body->of.sse);
}

enum body_found body_next(struct body *body, const struct spn_event **ret_event,
                          struct problem *ret_problem)
{
    for (;;) {
        if (body->is_finished)
            advance(body);
        if (is_refused(body, ret_problem))
            return BODY_BAD;
        if (body->has_held && (body->has_fresh || body->is_empty || may_go(body)))
            return give(body, &body->held, &body->has_held, ret_event);
        if (!body->has_fresh) {
            forget(body);
            return BODY_NONE;
        }
        if (!must_hold(body))
            return give(body, &body->fresh, &body->has_fresh, ret_event);
        if (hold(body) && !body->is_finished && !may_go(body))
            return BODY_NONE;
    }
}

void body_let_go(struct body *body)
{
    body->pauses = true;
}

bool body_is_last(const struct body *body)
{
    return body->is_empty && !body->has_held && body->count > 0;
}

size_t body_held(const struct body *body)
{
    size_t size = body->held_bytes.size;
    switch (body->options.kind) {
    case BODY_SSE:
        return size + body_sse_held(&body->of.sse);
    case BODY_JSON:
        return size + body->of.json.bytes.size;
    case BODY_RAW:
        break;
    }
    return size + body->of.raw.data.size;
}

bool body_is_cut(const struct body *body)
{
    return body->options.kind == BODY_SSE && body->of.sse.is_cut;
}
