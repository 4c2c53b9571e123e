/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_sse: is proto/sse right on every input?
 *
 * The first byte decides where the stream is cut, the second one how large an event may be; the
 * rest is the stream. Checked are:
 *   - the same outcomes whole, cut, and from the reader below, which follows the standard's text
 *     line by line and keeps everything in memory;
 *   - every event that came out is formatted, and parsed back as the same event;
 *   - the stream is parsed, written, parsed and written again as an app of the library does it:
 * both times the same events, ids in force and bytes;
 *   - the input cut into an id, a type and data is formatted and comes back, or is refused for what
 *     it has in it.
 * Every piece lies in memory of exactly its size, so that the sanitizer sees a read past its end.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"
#include "sponson.h"
#include "sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void *allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    CHECK(memory != NULL);
    return memory;
}

/* -- outcomes, written down so that two runs can be compared ----------------------------------- */

struct log {
    char *bytes;
    size_t size;
    size_t capacity;
};

static void log_put(struct log *log, const void *bytes, size_t size)
{
    if (size > log->capacity - log->size) {
        log->capacity = (log->size + size) * 2;
        log->bytes = realloc(log->bytes, log->capacity);
        CHECK(log->bytes != NULL);
    }
    memcpy(log->bytes + log->size, bytes, size);
    log->size += size;
}

static void log_put_bytes(struct log *log, struct spn_bytes bytes)
{
    bool present = bytes.data != NULL;
    log_put(log, &present, sizeof(present));
    log_put(log, &bytes.size, sizeof(bytes.size));
    if (present)
        log_put(log, bytes.data, bytes.size);
}

static void log_event(struct log *log, const struct sse_event *event)
{
    log_put(log, event->marker ? "M" : "E", 1);
    log_put_bytes(log, event->id);
    log_put_bytes(log, event->last_id);
    log_put_bytes(log, event->type);
    log_put_bytes(log, event->data);
    log_put(log, &event->has_retry, sizeof(event->has_retry));
    log_put(log, &event->retry_ms, sizeof(event->retry_ms));
}

static void log_too_large(struct log *log)
{
    log_put(log, "L", 1);
}

static bool log_same(const struct log *a, const struct log *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

/* -- the parser, cut by a seed ----------------------------------------------------------------- */

/* 0 never cuts. Otherwise most pieces are short, and some longer than the parser's window. */
static size_t next_piece(uint32_t *seed, size_t left)
{
    if (*seed == 0)
        return left;
    *seed = *seed * 1664525 + 1013904223;
    size_t piece = 1 + ((*seed >> 24) < 240 ? (*seed >> 16) % 7 : (*seed >> 16) % 1000);
    return piece < left ? piece : left;
}

static size_t feed_piece(struct sse_parser *parser, const char *bytes, size_t size, struct log *log)
{
    struct sse_event event;
    bool ready = false;
    size_t used = 0;
    char *piece = allocate(size);
    memcpy(piece, bytes, size);
    spn_err err = sse_parser_feed(parser, piece, size, &used, &ready, &event);
    free(piece); /* before the slices are looked at: they must not point into it */
    CHECK(err == SPN_OK || err == SPN_E_EVENT_TOO_LARGE);
    CHECK(used <= size);
    CHECK(used == size || err != SPN_OK || ready);
    if (err == SPN_E_EVENT_TOO_LARGE)
        log_too_large(log);
    else if (ready)
        log_event(log, &event);
    return used;
}

static bool parse(const char *stream, size_t size, size_t event_size_max, uint32_t seed,
                  struct log *log)
{
    struct sse_parser parser;
    sse_parser_init(&parser, event_size_max);
    for (size_t at = 0; at < size;) {
        size_t end = at + next_piece(&seed, size - at);
        while (at < end)
            at += feed_piece(&parser, stream + at, end - at, log);
    }
    bool pending = sse_parser_pending(&parser);
    sse_parser_release(&parser);
    return pending;
}

/* -- round trip -------------------------------------------------------------------------------- */

static bool has(struct spn_bytes bytes, char byte)
{
    return bytes.size > 0 && memchr(bytes.data, byte, bytes.size) != NULL;
}

static spn_err wanted_err(const struct sse_event *event)
{
    if (has(event->id, '\0') || has(event->id, '\r') || has(event->id, '\n'))
        return SPN_E_BAD_ID;
    if (event->marker)
        return SPN_OK;
    if (has(event->type, '\0') || has(event->type, '\r') || has(event->type, '\n'))
        return SPN_E_BAD_TYPE;
    return has(event->data, '\r') ? SPN_E_BAD_DATA : SPN_OK;
}

/* What comes back has no NULL where "absent" and "empty" mean the same, and no history. */
static struct sse_event normal_form(const struct sse_event *event)
{
    struct sse_event normal = *event;
    normal.last_id = event->id.data != NULL ? event->id : (struct spn_bytes){"", 0};
    if (normal.marker) {
        normal.type = normal.data = (struct spn_bytes){NULL, 0};
        return normal;
    }
    if (normal.type.data == NULL)
        normal.type.data = "";
    if (normal.data.data == NULL)
        normal.data.data = "";
    return normal;
}

static void check_round_trip(const struct sse_event *event)
{
    size_t size = sse_format_size(event);
    size_t written = SIZE_MAX;
    char *out = allocate(size);
    spn_err err = sse_format(event, out, size, &written);
    CHECK(err == wanted_err(event));
    if (err == SPN_OK) {
        struct log wanted = {0};
        struct log is = {0};
        struct sse_event normal = normal_form(event);
        CHECK(written == size);
        log_event(&wanted, &normal);
        CHECK(!parse(out, size, event->id.size + event->type.size + event->data.size, 0, &is));
        CHECK(log_same(&wanted, &is));
        CHECK(sse_format(event, out, size - 1, &written) == SPN_E_EVENT_TOO_LARGE);
        free(wanted.bytes);
        free(is.bytes);
    }
    free(out);
}

static void check_made_event(const char *bytes, size_t size, uint8_t first, uint8_t second)
{
    size_t id_size = size > 0 ? first % (size + 1) / 2 : 0;
    size_t type_size = (size - id_size) > 0 ? second % (size - id_size + 1) / 2 : 0;
    struct sse_event event = {
        .type = {bytes + id_size, type_size},
        .data = {bytes + id_size + type_size, size - id_size - type_size},
        .has_retry = (first & 1) != 0,
        .retry_ms = (first & 1) != 0 ? (uint32_t)(size * 2654435761u) & SSE_RETRY_MAX : 0,
    };
    if ((second & 1) != 0)
        event.id = (struct spn_bytes){bytes, id_size};
    check_round_trip(&event);
    event.marker = true;
    if (event.id.data != NULL || event.has_retry)
        check_round_trip(&event);
}

/* -- the reader after the standard's text ------------------------------------------------------ */

struct text {
    char *bytes; /* with room for the whole stream */
    size_t size;
};

struct reader {
    size_t event_size_max;
    struct text data;
    struct text type;
    struct text id;      /* of this block */
    struct text last_id; /* in force */
    bool has_id;
    bool has_retry;
    uint32_t retry_ms;
};

static void text_set(struct text *text, const char *bytes, size_t size)
{
    memcpy(text->bytes, bytes, size);
    text->size = size;
}

static void reader_dispatch(struct reader *reader, struct log *log)
{
    bool id_too_large = reader->has_id && reader->id.size > reader->event_size_max;
    if (reader->has_id && !id_too_large)
        text_set(&reader->last_id, reader->id.bytes, reader->id.size);
    size_t id_size = reader->has_id ? reader->id.size : 0;
    size_t sum = reader->data.size + reader->type.size + id_size;
    if (id_too_large || (reader->data.size > 0 && sum - 1 > reader->event_size_max)) {
        log_too_large(log);
    } else if (reader->data.size > 0 || reader->has_id || reader->has_retry) {
        struct sse_event event = {
            .marker = reader->data.size == 0,
            .last_id = {reader->last_id.bytes, reader->last_id.size},
            .has_retry = reader->has_retry,
            .retry_ms = reader->has_retry ? reader->retry_ms : 0,
        };
        if (reader->has_id)
            event.id = event.last_id;
        if (!event.marker) {
            event.type = (struct spn_bytes){reader->type.bytes, reader->type.size};
            event.data = (struct spn_bytes){reader->data.bytes, reader->data.size - 1};
        }
        log_event(log, &event);
        check_round_trip(&event);
        reader->has_retry = false;
    }
    reader->data.size = 0;
    reader->type.size = 0;
    reader->has_id = false;
}

static void reader_retry(struct reader *reader, const char *value, size_t size)
{
    uint64_t retry_ms = 0;
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9')
            return;
        retry_ms = retry_ms * 10 + (uint64_t)(value[i] - '0');
        if (retry_ms > SSE_RETRY_MAX)
            retry_ms = SSE_RETRY_MAX;
    }
    if (size == 0)
        return;
    reader->has_retry = true;
    reader->retry_ms = (uint32_t)retry_ms;
}

static bool is_name(const char *line, size_t size, const char *name)
{
    return size == strlen(name) && memcmp(line, name, size) == 0;
}

static void reader_line(struct reader *reader, const char *line, size_t size, struct log *log)
{
    if (size == 0) {
        reader_dispatch(reader, log);
        return;
    }
    const char *colon = memchr(line, ':', size);
    size_t name_size = colon != NULL ? (size_t)(colon - line) : size;
    const char *value = colon != NULL ? colon + 1 : line + size;
    if (value < line + size && *value == ' ')
        value++;
    size_t value_size = (size_t)(line + size - value);
    if (is_name(line, name_size, "data")) {
        memcpy(reader->data.bytes + reader->data.size, value, value_size);
        reader->data.size += value_size;
        reader->data.bytes[reader->data.size++] = '\n';
    } else if (is_name(line, name_size, "event")) {
        text_set(&reader->type, value, value_size);
    } else if (is_name(line, name_size, "id") && memchr(value, '\0', value_size) == NULL) {
        text_set(&reader->id, value, value_size);
        reader->has_id = true;
    } else if (is_name(line, name_size, "retry")) {
        reader_retry(reader, value, value_size);
    }
}

static void reader_run(struct reader *reader, const char *stream, size_t size, struct log *log)
{
    size_t at = size >= 3 && memcmp(stream, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (size_t i = at; i < size; i++) {
        if (stream[i] != '\r' && stream[i] != '\n')
            continue;
        reader_line(reader, stream + at, i - at, log);
        if (stream[i] == '\r' && i + 1 < size && stream[i + 1] == '\n')
            i++;
        at = i + 1;
    }
}

static void read_whole(const char *stream, size_t size, size_t event_size_max, struct log *log)
{
    struct reader reader = {
        .event_size_max = event_size_max,
        .data = {.bytes = allocate(size)},
        .type = {.bytes = allocate(size)},
        .id = {.bytes = allocate(size)},
        .last_id = {.bytes = allocate(size)},
    };
    reader_run(&reader, stream, size, log);
    free(reader.data.bytes);
    free(reader.type.bytes);
    free(reader.id.bytes);
    free(reader.last_id.bytes);
}

/* -- a copy, as an app makes it ---------------------------------------------------------------- */

struct copy {
    struct log events;
    struct log text;
    bool refused; /* a type with a NUL can be read, but not written */
};

static void copy_event(struct copy *copy, const spn_sse *sse, const struct spn_event *event)
{
    size_t size = 0;
    struct spn_bytes last_id = spn_sse_last_id(sse);
    CHECK((event->kind == SPN_EVENT && event->id.size == 0) || !event->resets_id);
    CHECK(event->kind != SPN_RESET || last_id.size == 0);
    CHECK(!event->resets_id || last_id.size == 0);
    CHECK(event->id.size == 0 || (event->id.size == last_id.size &&
                                  memcmp(event->id.data, last_id.data, last_id.size) == 0));
    log_put(&copy->events, &event->kind, sizeof(event->kind));
    log_put(&copy->events, &event->resets_id, sizeof(event->resets_id));
    log_put(&copy->events, &event->retry_ms, sizeof(event->retry_ms));
    const struct spn_bytes values[] = {event->id, event->type, event->data, last_id};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        log_put(&copy->events, &values[i].size, sizeof(values[i].size));
        if (values[i].size > 0)
            log_put(&copy->events, values[i].data, values[i].size);
    }
    spn_err err = spn_sse_format(event, NULL, 0, &size);
    CHECK(err == SPN_E_INVALID);
    char *out = allocate(size);
    err = spn_sse_format(event, out, size, &size);
    CHECK(err == SPN_OK || (err == SPN_E_BAD_TYPE && has(event->type, '\0')));
    copy->refused = copy->refused || err != SPN_OK;
    if (err == SPN_OK)
        log_put(&copy->text, out, size);
    free(out);
}

static void copy_stream(struct copy *copy, const char *stream, size_t size)
{
    spn_sse *sse = NULL;
    CHECK(spn_sse_open(&sse, 0) == SPN_OK);
    for (size_t at = 0, used = 0; at < size; at += used) {
        const struct spn_event *event = NULL;
        spn_err err = spn_sse_next(sse, stream + at, size - at, &used, &event);
        CHECK(err == SPN_E_END ? at + used == size : err == SPN_OK);
        if (err == SPN_OK)
            copy_event(copy, sse, event);
    }
    spn_sse_close(sse);
}

static void check_copy(const char *stream, size_t size)
{
    struct copy first = {0};
    struct copy second = {0};
    copy_stream(&first, stream, size);
    if (!first.refused) {
        copy_stream(&second, first.text.bytes, first.text.size);
        CHECK(log_same(&first.events, &second.events));
        CHECK(log_same(&first.text, &second.text));
    }
    free(first.events.bytes);
    free(first.text.bytes);
    free(second.events.bytes);
    free(second.text.bytes);
}

/* -- one input --------------------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const size_t sizes_max[] = {0, 1, 5, 16, 300, (size_t)1024 * 1024};
    if (size < 2)
        return 0;
    size_t event_size_max = sizes_max[input[1] % (sizeof(sizes_max) / sizeof(sizes_max[0]))];
    const char *stream = (const char *)input + 2;
    size_t stream_size = size - 2;

    struct log whole = {0};
    struct log cut = {0};
    struct log wanted = {0};
    bool pending = parse(stream, stream_size, event_size_max, 0, &whole);
    CHECK(parse(stream, stream_size, event_size_max, 1u + input[0], &cut) == pending);
    read_whole(stream, stream_size, event_size_max, &wanted);
    CHECK(log_same(&whole, &cut));
    CHECK(log_same(&whole, &wanted));
    check_made_event(stream, stream_size, input[0], input[1]);
    check_copy(stream, stream_size);
    free(whole.bytes);
    free(cut.bytes);
    free(wanted.bytes);
    return 0;
}
