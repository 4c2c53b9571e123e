/* SPDX-License-Identifier: Apache-2.0 */
#include "sse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How far an unfinished line has come. */
enum line_part {
    PART_NAME,  /* name holds the bytes so far; empty: no byte of the line has come */
    PART_COLON, /* one space may follow, and is not part of the value */
    PART_VALUE,
    PART_IGNORED, /* a comment or an unknown field, up to the line's end */
};

enum line_field { FIELD_UNKNOWN, FIELD_DATA, FIELD_EVENT, FIELD_ID, FIELD_RETRY };

/* -- buffers ----------------------------------------------------------------------------------- */

enum {
    TEXT_CAPACITY_MIN = 256,
    TEXT_CAPACITY_KEPT = 64 * 1024, /* a larger one is not kept for the next event */
};

static spn_err text_reserve(struct sse_text *text, size_t size, size_t size_max)
{
    if (size <= text->capacity)
        return SPN_OK;
    size_t capacity =
        text->capacity < TEXT_CAPACITY_MIN / 2 ? TEXT_CAPACITY_MIN : text->capacity * 2;
    if (capacity > size_max)
        capacity = size_max;
    if (capacity < size)
        capacity = size;
    char *data = realloc(text->data, capacity);
    if (data == NULL)
        return SPN_E_NOMEM;
    text->data = data;
    text->capacity = capacity;
    return SPN_OK;
}

/* Drops bytes that would exceed size_max and sets overflow, so that a stream cannot make us hold
 * more. */
static spn_err text_append(struct sse_text *text, const char *bytes, size_t size, size_t size_max)
{
    if (text->overflow || size > size_max - text->size) {
        text->overflow = true;
        return SPN_OK;
    }
    spn_err err = text_reserve(text, text->size + size, size_max);
    if (err != SPN_OK)
        return err;
    if (size > 0)
        memcpy(text->data + text->size, bytes, size);
    text->size += size;
    return SPN_OK;
}

static void text_clear(struct sse_text *text)
{
    text->size = 0;
    text->overflow = false;
}

static void text_shrink(struct sse_text *text)
{
    if (text->size > 0 || text->capacity <= TEXT_CAPACITY_KEPT)
        return;
    free(text->data);
    text->data = NULL;
    text->capacity = 0;
}

static void text_restart(struct sse_text *text)
{
    text_clear(text);
    text_shrink(text);
}

static void text_swap(struct sse_text *a, struct sse_text *b)
{
    struct sse_text was = *a;
    *a = *b;
    *b = was;
}

/* Never NULL, even if nothing was ever stored: NULL would mean "not set". */
static struct spn_bytes text_bytes(const struct sse_text *text)
{
    return (struct spn_bytes){text->data != NULL ? text->data : "", text->size};
}

/* -- parser: stream ---------------------------------------------------------------------------- */

static const char bom[] = "\xEF\xBB\xBF";
enum { BOM_SIZE = sizeof(bom) - 1 };

/* Takes the bytes of a leading BOM. If the BOM breaks off, the matched bytes were the start of a
 * line. That line is ignored, because no field name and no comment begins with 0xEF. */
static size_t take_bom(struct sse_parser *parser, const char *input, size_t size)
{
    size_t used = 0;
    while (parser->bom_size < BOM_SIZE && used < size) {
        if (input[used] != bom[parser->bom_size]) {
            if (parser->bom_size > 0)
                parser->part = PART_IGNORED;
            parser->bom_size = BOM_SIZE;
            break;
        }
        parser->bom_size++;
        used++;
    }
    return used;
}

/* The number of bytes before the next CR or LF, or size. Two memchr over a window are several times
 * faster than one look at each byte. Without the window, a stream that has only CRs would be
 * searched to its end for an LF at every line. Doubling the window keeps the work in proportion to
 * the line. */
static size_t line_length(const char *input, size_t size)
{
    size_t window = 256;
    for (size_t start = 0; start < size; start += window, window *= 2) {
        if (window > size - start)
            window = size - start;
        const char *lf = memchr(input + start, '\n', window);
        size_t length = lf != NULL ? (size_t)(lf - input) - start : window;
        const char *cr = memchr(input + start, '\r', length);
        if (cr != NULL)
            return (size_t)(cr - input);
        if (lf != NULL)
            return (size_t)(lf - input);
    }
    return size;
}

/* -- parser: block ----------------------------------------------------------------------------- */

static bool block_has_data(const struct sse_parser *parser)
{
    return parser->data.size > 0 || parser->data.overflow;
}

/* The last LF in data does not count; it is not part of the event. */
static bool block_too_large(const struct sse_parser *parser)
{
    if (parser->id.overflow)
        return true;
    if (!block_has_data(parser))
        return false;
    return parser->data.overflow || parser->type.overflow ||
           parser->data.size - 1 + parser->type.size + parser->id.size > parser->event_size_max;
}

/* Keeps the retry of an event that was too large: the next block returns it. */
static void block_clear(struct sse_parser *parser)
{
    text_clear(&parser->data);
    text_clear(&parser->type);
    text_clear(&parser->id);
    parser->has_id = false;
}

/* The event's slices outlive block_clear: it empties the buffers but leaves their bytes in place,
 * until the next call writes there. */
static void block_fill(const struct sse_parser *parser, struct sse_event *event)
{
    *event = (struct sse_event){
        .marker = !block_has_data(parser),
        .last_id = text_bytes(&parser->last_id),
        .has_retry = parser->has_retry,
        .retry_ms = parser->has_retry ? parser->retry_ms : 0,
    };
    if (parser->has_id)
        event->id = event->last_id;
    if (event->marker)
        return;
    event->type = text_bytes(&parser->type);
    event->data = (struct spn_bytes){parser->data.data, parser->data.size - 1};
}

/* A blank line. The id takes effect whether or not there is an event to dispatch. */
static spn_err block_end(struct sse_parser *parser, bool *ret_ready, struct sse_event *ret_event)
{
    bool too_large = block_too_large(parser);
    if (parser->has_id && !parser->id.overflow)
        text_swap(&parser->id, &parser->last_id);
    if (!too_large && (block_has_data(parser) || parser->has_id || parser->has_retry)) {
        block_fill(parser, ret_event);
        parser->has_retry = false;
        *ret_ready = true;
    }
    block_clear(parser);
    return too_large ? SPN_E_EVENT_TOO_LARGE : SPN_OK;
}

/* -- parser: line ------------------------------------------------------------------------------ */

static enum line_field field_named(const char *name, size_t size)
{
    if (size == 4 && memcmp(name, "data", 4) == 0)
        return FIELD_DATA;
    if (size == 5 && memcmp(name, "event", 5) == 0)
        return FIELD_EVENT;
    if (size == 2 && memcmp(name, "id", 2) == 0)
        return FIELD_ID;
    if (size == 5 && memcmp(name, "retry", 5) == 0)
        return FIELD_RETRY;
    return FIELD_UNKNOWN;
}

/* The name is complete (a comment's is empty): prepares for the value. A second event field
 * replaces the first one, so type can be written in place. An id cannot: an id with a NUL is
 * ignored as if it had not been there. */
static void line_begin_value(struct sse_parser *parser)
{
    parser->field = (uint8_t)field_named(parser->name, parser->name_size);
    parser->part = parser->field == FIELD_UNKNOWN ? PART_IGNORED : PART_COLON;
    if (parser->field != FIELD_UNKNOWN || parser->name_size == 0)
        parser->known = true;
    else
        parser->unknown = true;
    parser->value_bad = false;
    if (parser->field == FIELD_EVENT)
        text_restart(&parser->type);
    if (parser->field == FIELD_ID)
        text_restart(&parser->line_id);
    if (parser->field == FIELD_RETRY) {
        parser->line_retry = 0;
        parser->has_digits = false;
    }
}

/* Returns the number of bytes taken: the name, and the colon if it came. */
static size_t line_take_name(struct sse_parser *parser, const char *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && bytes[used] != ':' && parser->name_size < SSE_NAME_SIZE)
        parser->name[parser->name_size++] = bytes[used++];
    if (used == size)
        return used;
    line_begin_value(parser);
    return used + 1; /* the colon, or a byte of a name that is too long to be known */
}

static spn_err line_take_id(struct sse_parser *parser, const char *bytes, size_t size)
{
    if (memchr(bytes, '\0', size) != NULL)
        parser->value_bad = true;
    if (parser->value_bad)
        return SPN_OK;
    return text_append(&parser->line_id, bytes, size, parser->event_size_max);
}

static void line_take_retry(struct sse_parser *parser, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !parser->value_bad; i++) {
        unsigned digit = (unsigned char)bytes[i] - (unsigned)'0';
        parser->line_retry = parser->line_retry * 10 + digit;
        parser->value_bad = digit > 9;
        if (parser->line_retry > SSE_RETRY_MAX)
            parser->line_retry = SSE_RETRY_MAX;
        parser->has_digits = true;
    }
}

static spn_err line_take_value(struct sse_parser *parser, const char *bytes, size_t size)
{
    switch ((enum line_field)parser->field) {
    case FIELD_DATA:
        return text_append(&parser->data, bytes, size, parser->event_size_max + 1);
    case FIELD_EVENT:
        return text_append(&parser->type, bytes, size, parser->event_size_max);
    case FIELD_ID:
        return line_take_id(parser, bytes, size);
    case FIELD_RETRY:
        line_take_retry(parser, bytes, size);
        return SPN_OK;
    case FIELD_UNKNOWN:
        break;
    }
    return SPN_OK;
}

/* Takes bytes of a line, without its end. If memory runs out, the value can be taken again. */
static spn_err line_take(struct sse_parser *parser, const char *bytes, size_t size,
                         size_t *ret_used)
{
    size_t used = 0;
    if (parser->part == PART_NAME)
        used = line_take_name(parser, bytes, size);
    if (parser->part == PART_COLON && used < size) {
        used += bytes[used] == ' ' ? 1 : 0;
        parser->part = PART_VALUE;
    }
    spn_err err = SPN_OK;
    if (parser->part == PART_VALUE && used < size)
        err = line_take_value(parser, bytes + used, size - used);
    *ret_used = err == SPN_OK ? size : used;
    return err;
}

static spn_err line_end(struct sse_parser *parser, bool *ret_ready, struct sse_event *ret_event)
{
    if (parser->part == PART_NAME && parser->name_size == 0)
        return block_end(parser, ret_ready, ret_event);
    if (parser->part == PART_NAME)
        line_begin_value(parser); /* no colon: the whole line is the name, the value is empty */

    if (parser->field == FIELD_DATA) {
        spn_err err = text_append(&parser->data, "\n", 1, parser->event_size_max + 1);
        if (err != SPN_OK)
            return err;
    }
    if (parser->field == FIELD_ID && !parser->value_bad) {
        text_swap(&parser->line_id, &parser->id);
        parser->has_id = true;
    }
    if (parser->field == FIELD_RETRY && parser->has_digits && !parser->value_bad) {
        parser->retry_ms = (uint32_t)parser->line_retry;
        parser->has_retry = true;
    }
    parser->part = PART_NAME;
    parser->name_size = 0;
    return SPN_OK;
}

/* -- parser: calls ----------------------------------------------------------------------------- */

void sse_parser_init(struct sse_parser *parser, size_t event_size_max)
{
    assert(event_size_max <= SIZE_MAX / 4);
    *parser = (struct sse_parser){.event_size_max = event_size_max};
}

void sse_parser_release(struct sse_parser *parser)
{
    if (parser == NULL)
        return;
    free(parser->data.data);
    free(parser->type.data);
    free(parser->line_id.data);
    free(parser->id.data);
    free(parser->last_id.data);
    *parser = (struct sse_parser){0};
}

/* Takes one line, or as much of it as there is. */
static spn_err take_line(struct sse_parser *parser, const char *input, size_t size,
                         size_t *ret_used, bool *ret_ready, struct sse_event *ret_event)
{
    if (parser->after_cr) {
        parser->after_cr = false;
        if (input[0] == '\n') {
            *ret_used = 1;
            return SPN_OK;
        }
    }
    size_t length = line_length(input, size);
    spn_err err = line_take(parser, input, length, ret_used);
    if (err != SPN_OK || length == size)
        return err;

    err = line_end(parser, ret_ready, ret_event);
    if (err == SPN_E_NOMEM) /* the line's end will be taken again */
        return err;
    parser->after_cr = input[length] == '\r';
    *ret_used = length + 1;
    return err;
}

/* What was lent with the last event ends here. */
static void shrink(struct sse_parser *parser)
{
    text_shrink(&parser->data);
    text_shrink(&parser->type);
    text_shrink(&parser->id);
    if (parser->part == PART_NAME) /* no line is under way */
        text_restart(&parser->line_id);
}

spn_err sse_parser_feed(struct sse_parser *parser, const void *bytes, size_t size, size_t *ret_used,
                        bool *ret_ready, struct sse_event *ret_event)
{
    const char *input = bytes;
    spn_err err = SPN_OK;
    bool ready = false;
    shrink(parser);
    size_t used = take_bom(parser, input, size);
    while (used < size && !ready && err == SPN_OK) {
        size_t taken = 0;
        err = take_line(parser, input + used, size - used, &taken, &ready, ret_event);
        used += taken;
    }
    *ret_used = used;
    if (err == SPN_OK)
        *ret_ready = ready;
    return err;
}

bool sse_parser_pending(const struct sse_parser *parser)
{
    if (block_has_data(parser) || parser->has_id || parser->has_retry || parser->type.size > 0 ||
        parser->type.overflow)
        return true;
    if (parser->part == PART_NAME)
        return parser->name_size > 0;
    return parser->part != PART_IGNORED;
}

bool sse_parser_is_foreign(const struct sse_parser *parser)
{
    if (parser->known)
        return false;
    bool unfinished = parser->part == PART_NAME && parser->name_size > 0;
    bool field = unfinished && field_named(parser->name, parser->name_size) != FIELD_UNKNOWN;
    return !field && (parser->unknown || unfinished);
}

/* -- formatter --------------------------------------------------------------------------------- */

static bool has_byte(struct spn_bytes bytes, char byte)
{
    return bytes.size > 0 && memchr(bytes.data, byte, bytes.size) != NULL;
}

static bool fits_a_line(struct spn_bytes bytes)
{
    return !has_byte(bytes, '\0') && !has_byte(bytes, '\r') && !has_byte(bytes, '\n');
}

/* Splits off the first line; rest->data is NULL after the last one. "a\n" is two lines. */
static struct spn_bytes next_line(struct spn_bytes *rest)
{
    const char *data = rest->data;
    const char *lf = rest->size > 0 ? memchr(data, '\n', rest->size) : NULL;
    if (lf == NULL) {
        struct spn_bytes last = *rest;
        *rest = (struct spn_bytes){NULL, 0};
        return last;
    }
    size_t size = (size_t)(lf - data);
    *rest = (struct spn_bytes){lf + 1, rest->size - size - 1};
    return (struct spn_bytes){data, size};
}

static size_t field_size(const char *name, struct spn_bytes value)
{
    return strlen(name) + strlen(": ") + value.size + strlen("\n");
}

static char *put(char *at, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(at, bytes, size);
    return at + size;
}

/* Always writes a space after the colon: the parser removes one space, which must not be the
 * value's own. */
static char *put_field(char *at, const char *name, struct spn_bytes value)
{
    at = put(at, name, strlen(name));
    at = put(at, ": ", 2);
    at = put(at, value.data, value.size);
    return put(at, "\n", 1);
}

struct digits {
    char text[sizeof("4294967295") - 1];
};

/* The slice points into *digits. */
static struct spn_bytes decimal(uint32_t value, struct digits *digits)
{
    size_t start = sizeof(digits->text);
    do {
        digits->text[--start] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return (struct spn_bytes){digits->text + start, sizeof(digits->text) - start};
}

size_t sse_format_size(const struct sse_event *event)
{
    assert(!event->has_retry || event->retry_ms <= SSE_RETRY_MAX);
    struct digits digits;
    size_t size = 1; /* the blank line */
    if (event->id.data != NULL)
        size += field_size("id", event->id);
    if (event->has_retry)
        size += field_size("retry", decimal(event->retry_ms, &digits));
    if (event->marker)
        return size;
    if (event->type.size > 0)
        size += field_size("event", event->type);
    struct spn_bytes rest = event->data;
    do
        size += field_size("data", next_line(&rest));
    while (rest.data != NULL);
    return size;
}

static char *put_data(char *at, struct spn_bytes data)
{
    do
        at = put_field(at, "data", next_line(&data));
    while (data.data != NULL);
    return at;
}

spn_err sse_format(const struct sse_event *event, void *out, size_t out_size, size_t *ret_size)
{
    if (!fits_a_line(event->id))
        return SPN_E_BAD_ID;
    if (!event->marker && !fits_a_line(event->type))
        return SPN_E_BAD_TYPE;
    if (!event->marker && has_byte(event->data, '\r'))
        return SPN_E_BAD_DATA;
    size_t size = sse_format_size(event);
    if (size > out_size)
        return SPN_E_EVENT_TOO_LARGE;

    struct digits digits;
    char *at = out;
    if (event->id.data != NULL)
        at = put_field(at, "id", event->id);
    if (!event->marker && event->type.size > 0)
        at = put_field(at, "event", event->type);
    if (event->has_retry)
        at = put_field(at, "retry", decimal(event->retry_ms, &digits));
    if (!event->marker)
        at = put_data(at, event->data);
    at = put(at, "\n", 1);
    assert((size_t)(at - (char *)out) == size);
    *ret_size = (size_t)(at - (char *)out);
    return SPN_OK;
}
