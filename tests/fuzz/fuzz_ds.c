/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ds: what may come out of the parsers of Durable Streams?
 *
 * The first byte says which part the rest goes to. Checked are:
 *   JSON      it is JSON here if and only if it is for jansson, but for what jansson does not take;
 * its messages, in brackets, are the same value; data      comes back as it was stored, without CR;
 * an event stream of it has the same text; notes     what is read is written as the same bytes;
 *   values    offsets and moments are in their bounds, and an offset is written as it was;
 *   headers   what is taken of them can be stored.
 */
#include <jansson.h>

#include "fuzz_request.h"
#include "http/ds/config.h"
#include "http/ds/headers.h"
#include "http/ds/json.h"
#include "http/ds/note.h"
#include "http/ds/query.h"
#include "http/ds/text.h"
#include "http/word.h"

static bool is_within(struct spn_bytes part, struct spn_bytes all)
{
    const char *from = part.data;
    const char *begin = all.data;
    return part.size == 0 || (from >= begin && from + part.size <= begin + all.size);
}

/* -- JSON -------------------------------------------------------------------------------------- */

static json_t *load(struct spn_bytes text, json_error_t *error)
{
    return json_loadb(text.data, text.size,
                      JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, error);
}

/* Numbers beyond a double, surrogates without their other half, and deep nesting: jansson refuses
 * what RFC 8259 has. */
static bool is_only_janssons(const json_error_t *error)
{
    return json_error_code(error) == json_error_numeric_overflow ||
           json_error_code(error) == json_error_stack_overflow ||
           strstr(error->text, "surrogate") != NULL || strstr(error->text, "Unicode") != NULL;
}

static void check_json(struct spn_bytes text)
{
    struct spn_bytes messages;
    size_t where = 0;
    json_error_t error;
    bool is_json = ds_json_messages(text, &messages, &where);
    if (memchr(text.data, '\0', text.size) != NULL) { /* jansson ends there */
        CHECK(!is_json);
        return;
    }
    json_t *json = load(text, &error);
    CHECK(is_json || where <= text.size);
    CHECK(is_json == (json != NULL) ||
          (is_json ? is_only_janssons(&error) : where == DS_JSON_DEPTH_MAX));
    if (is_json && json != NULL) {
        struct out out;
        out_init(&out, -1);
        CHECK(is_within(messages, text));
        out_text(&out, "[");
        out_put(&out, messages.data, messages.size);
        out_text(&out, "]");
        json_t *again = load((struct spn_bytes){out.data, out.size}, &error);
        CHECK(again != NULL);
        if (json_is_array(json))
            CHECK(json_equal(json, again));
        else
            CHECK(json_array_size(again) == 1 && json_equal(json, json_array_get(again, 0)));
        json_decref(again);
        out_release(&out);
    }
    json_decref(json);
}

/* -- data -------------------------------------------------------------------------------------- */

static void check_same(const struct out *out, struct spn_bytes bytes)
{
    CHECK(out->error == 0 && out->size == bytes.size);
    CHECK(bytes.size == 0 || memcmp(out->data, bytes.data, bytes.size) == 0);
}

/* The data of an event as a reader takes it. The text is changed. */
static void read_event(char *text, size_t size, struct out *out)
{
    static const char begin[] = "event: data\n";
    CHECK(size > sizeof(begin) && memcmp(text, begin, sizeof(begin) - 1) == 0);
    CHECK(memchr(text, '\r', size) == NULL && text[size - 2] == '\n' && text[size - 1] == '\n');
    struct spn_bytes left = {text + sizeof(begin) - 1, size - sizeof(begin)};
    for (bool is_first = true; left.size > 0; is_first = false) {
        struct spn_bytes line = word_cut(&left, '\n');
        const char *bytes = line.data;
        CHECK(line.size >= 5 && memcmp(bytes, "data:", 5) == 0);
        size_t skip = line.size > 5 && bytes[5] == ' ' ? 6 : 5;
        if (!is_first)
            out_text(out, "\n");
        out_put(out, bytes + skip, line.size - skip);
    }
}

static void check_data(struct spn_bytes data)
{
    struct out stored;
    struct out back;
    struct out event;
    out_init(&stored, -1);
    out_init(&back, -1);
    out_init(&event, -1);
    ds_text_escape(&stored, data);
    CHECK(stored.size == 0 || memchr(stored.data, '\r', stored.size) == NULL);
    ds_text_unescape(&back, (struct spn_bytes){stored.data, stored.size});
    check_same(&back, data);
    back.size = 0;
    ds_text_unescape(&back, data); /* whatever it is */
    CHECK(back.size <= data.size);
    back.size = 0;
    ds_text_data(&event, DS_FORM_TEXT, data);
    read_event(event.data, event.size, &back);
    stored.size = 0;
    for (size_t i = 0; i < data.size; i++) {
        const char *byte = (const char *)data.data + i;
        bool is_pair = *byte == '\r' && i + 1 < data.size && byte[1] == '\n';
        if (!is_pair)
            out_put(&stored, *byte == '\r' ? "\n" : byte, 1);
    }
    check_same(&back, (struct spn_bytes){stored.data, stored.size});
    out_release(&stored);
    out_release(&back);
    out_release(&event);
}

/* -- the rest ---------------------------------------------------------------------------------- */

static void check_note(struct spn_bytes bytes)
{
    struct ds_note note;
    uint8_t again[DS_NOTE_SIZE];
    if (!ds_note_read(bytes, &note))
        return;
    CHECK(is_within(note.producer.id, bytes) && is_within(note.seq, bytes));
    CHECK(ds_note_write(&note, again) == bytes.size && memcmp(again, bytes.data, bytes.size) == 0);
}

static void check_values(struct spn_bytes text)
{
    struct ds_offset offset;
    char again[DS_OFFSET_SIZE];
    uint64_t number;
    if (ds_offset_parse(text, &offset) == DS_OFFSET_AT)
        CHECK(word_is(text, ds_offset_format(&offset, again)));
    if (ds_time_parse(text, &number))
        CHECK(number <= UINT64_C(253402400000000));
    if (ds_number_parse(text, 1000, &number))
        CHECK(number <= 1000);
    CHECK(ds_cursor(UINT64_C(1728432020), text, 5) >= 1);
    (void)ds_headers_match(text, "\"a\"");
    const struct query query = {.offset = text, .live = spn_text("sse")};
    struct ds_query parsed;
    struct problem problem = {0};
    if (ds_query_parse(&query, &parsed, &problem))
        CHECK(parsed.start != DS_OFFSET_BAD);
    else
        check_problem(&problem);
}

/* Four values with a zero byte between them. */
static void check_headers(struct spn_bytes text)
{
    struct spn_bytes left = text;
    struct spn_bytes values[4];
    struct ds_note note;
    struct ds_config config;
    struct problem problem = {0};
    for (size_t i = 0; i < 4; i++)
        values[i] = word_cut(&left, '\0');
    const struct ds_append_headers append = {values[0], values[1], values[2], values[3]};
    if (ds_append_parse(&append, &note, &problem)) {
        uint8_t bytes[DS_NOTE_SIZE];
        CHECK(ds_note_write(&note, bytes) <= sizeof(bytes));
    } else {
        check_problem(&problem);
    }
    const struct ds_config_headers create = {values[0], values[1], values[2]};
    if (ds_config_parse(&create, &config, &problem)) {
        char room[DS_CONFIG_NOTE_SIZE];
        struct spn_attributes attributes;
        struct ds_config back;
        ds_config_attributes(&config, 1000, room, &attributes);
        CHECK(attributes.content_type.size <= 255 && attributes.ttl_ms <= SPN_SPAN_MS_MAX);
        CHECK(attributes.note.size > 0);
        ds_config_read(attributes.content_type, attributes.note, &back);
        CHECK(ds_config_same(&config, &back));
    } else {
        check_problem(&problem);
    }
    ds_config_read(values[0], values[1], &config);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static void (*const checks[])(struct spn_bytes) = {check_json, check_data, check_note,
                                                       check_values, check_headers};
    if (size == 0)
        return 0;
    char *text = copy_of(input + 1, size - 1);
    checks[input[0] % (sizeof(checks) / sizeof(checks[0]))]((struct spn_bytes){text, size - 1});
    free(text);
    return 0;
}
