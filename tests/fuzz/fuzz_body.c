/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_body: are the bodies of requests right on every input?
 *
 * The first byte decides the kind, the second the options and the limits, the third how the rest is
 * cut into pieces. Checked are:
 *   - the same events and the same end, whole, byte by byte and cut;
 *   - every event may be published: it can be written as an event stream, and has a type that is
 *     not ours;
 *   - every event, written as JSON and as an event stream, is a body that gives the same event;
 *   - as attributes: they are written, and read back as the same ones; as conditions: one that is
 *     taken is written back.
 * Every piece lies in memory of exactly its size, so that the sanitizer sees a read past its end.
 */
#include <stdbool.h>
#include <stdint.h>

#include "http/attributes_json.h"
#include "http/etag.h"
#include "http/page.h"

#include "http/body_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static bool same(struct spn_bytes a, struct spn_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool same_log(const struct out *a, const struct out *b)
{
    return same((struct spn_bytes){a->data, a->size}, (struct spn_bytes){b->data, b->size});
}

/* -- events ------------------------------------------------------------------------------------ */

enum { DATA_MAX = 64 * 1024 };

/* The event, as a body of this kind, gives this event. */
static void check_reads_back(enum body_kind kind, const struct out *body, const struct out *wanted)
{
    struct body_options options = {.kind = kind, .data_max = DATA_MAX, .json_max = 1 << 20};
    struct out log;
    out_init(&log, -1);
    body_run(&options, (struct spn_bytes){body->data, body->size}, 0, &log, NULL);
    CHECK(same_log(&log, wanted));
    out_release(&log);
}

static void check_as_stream(const struct spn_event *event, const struct out *wanted)
{
    struct out body;
    size_t size;
    out_init(&body, -1);
    (void)spn_sse_format(event, NULL, 0, &size);
    char *at = out_reserve(&body, size);
    CHECK(at != NULL && spn_sse_format(event, at, size, &size) == SPN_OK);
    body.size += size;
    check_reads_back(BODY_SSE, &body, wanted);
    out_release(&body);
}

/* A page's line without what only a stored event has. */
static void check_as_json(const struct spn_event *event, const struct out *wanted)
{
    struct page page;
    struct out line;
    struct out body;
    out_init(&line, -1);
    out_init(&body, -1);
    page_begin(&page, &line, PAGE_LINES, "events");
    page_event(&page, event);
    json_t *json = json_loadb(line.data, line.size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    (void)json_object_del(json, "seq");
    (void)json_object_del(json, "time");
    if (event->type.size == 0)
        (void)json_object_del(json, "type");
    if (event->id.size == 0)
        (void)json_object_del(json, "id");
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text != NULL);
    out_text(&body, text);
    check_reads_back(BODY_JSON, &body, wanted);
    free(text);
    json_decref(json);
    out_release(&line);
    out_release(&body);
}

static void look(const struct spn_event *event)
{
    struct out wanted;
    out_init(&wanted, -1);
    CHECK(event->id.size <= BODY_ID_MAX && event->type.size <= BODY_TYPE_MAX);
    CHECK(event->type.size < 8 || memcmp(event->type.data, "sponson-", 8) != 0);
    body_run_event(&wanted, false, event);
    out_text(&wanted, "end\n");
    check_as_stream(event, &wanted);
    if (event->kind == SPN_EVENT && !event->resets_id)
        check_as_json(event, &wanted);
    out_release(&wanted);
}

/* A stream that pauses gives its events as if it held none. With a key the first one is held. */
static void check_pauses(const struct body_options *options, struct spn_bytes body)
{
    struct body_options holds = *options;
    struct body_options holds_none = *options;
    struct out logs[2];
    out_init(&logs[0], -1);
    out_init(&logs[1], -1);
    holds.holds_last = true;
    holds_none.holds_last = false;
    body_run(&holds, body, BODY_RUN_PAUSING, &logs[0], NULL);
    body_run(&holds_none, body, 1, &logs[1], NULL);
    CHECK(same_log(&logs[0], &logs[1]));
    out_release(&logs[0]);
    out_release(&logs[1]);
}

static void check_body(const uint8_t *input, size_t size)
{
    struct spn_bytes body = {input + 3, size - 3};
    struct body_options options = {
        .kind = (enum body_kind)(input[0] % 3),
        .data_max = (input[1] & 1) != 0 ? DATA_MAX : input[1] >> 3,
        .json_max = (input[1] & 1) != 0 ? DATA_MAX : (size_t)input[1] * 4,
        .newlines_lf = (input[1] & 2) != 0,
        .holds_last = (input[1] & 4) != 0,
    };
    if ((input[1] & 8) != 0)
        options.key = (struct spn_bytes){"key", 3};
    if ((input[1] & 16) != 0 && body.size > 0) { /* a type from the input's end */
        body.size--;
        options.type = (struct spn_bytes){input + 3 + body.size, 1};
    }
    struct out logs[3];
    for (uint32_t i = 0; i < 3; i++) {
        out_init(&logs[i], -1);
        body_run(&options, body, i < 2 ? i : input[2] + 2u, &logs[i], i == 0 ? look : NULL);
        CHECK(logs[i].error == 0 && same_log(&logs[0], &logs[i]));
    }
    for (uint32_t i = 0; i < 3; i++)
        out_release(&logs[i]);
    if (options.kind == BODY_SSE && options.key.data == NULL)
        check_pauses(&options, body);
}

/* -- attributes and conditions ----------------------------------------------------------------- */

static void check_attributes(struct spn_bytes text)
{
    struct attributes_change change;
    struct attributes_change again;
    struct problem problem = {0};
    if (!attributes_parse(text, &change, &problem)) {
        CHECK(problem.status >= 400);
        return;
    }
    struct out out;
    out_init(&out, -1);
    attributes_write(&change.attributes, &out);
    CHECK(attributes_parse((struct spn_bytes){out.data, out.size}, &again, &problem));
    CHECK(again.attributes.ttl_ms == change.attributes.ttl_ms &&
          again.attributes.idle_close_ms == change.attributes.idle_close_ms &&
          same(again.attributes.content_type, change.attributes.content_type) &&
          same(again.attributes.note, change.attributes.note));
    attributes_release(&change);
    attributes_release(&again);
    out_release(&out);
}

static void check_conditions(struct spn_bytes text, uint8_t which)
{
    struct etag_headers headers = {0};
    struct etag_conditions conditions;
    struct problem problem = {0};
    char tag[ETAG_SIZE];
    if ((which & 1) != 0)
        headers.if_none_match = text;
    if ((which & 2) != 0)
        headers.if_match = text;
    if ((which & 4) != 0)
        headers.if_seq = text;
    if (!etag_parse(&headers, &conditions, &problem)) {
        CHECK(problem.status == 400);
        return;
    }
    if (conditions.options.life)
        CHECK(memmem(text.data, text.size, etag_format(&conditions.life, tag), ETAG_SIZE - 1));
    CHECK(!conditions.options.if_new ||
          (!conditions.options.life && !conditions.options.has_if_seq));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 3)
        return 0;
    if (input[0] < 128) {
        check_body(input, size);
        return 0;
    }
    char *copy = malloc(size - 2);
    CHECK(copy != NULL);
    memcpy(copy, input + 3, size - 3);
    if (input[0] < 192)
        check_attributes((struct spn_bytes){copy, size - 3});
    else
        check_conditions((struct spn_bytes){copy, size - 3}, input[1]);
    free(copy);
    return 0;
}
