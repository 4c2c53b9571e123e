/* SPDX-License-Identifier: Apache-2.0 */
#include "http/stream_text.h"

#include "http/json_write.h"

/* The begin of a line. */
static void begin(struct out *out, const char *field, bool comments)
{
    if (comments)
        out_text(out, ": ");
    out_text(out, field);
}

static void end_block(struct out *out, bool comments)
{
    if (!comments)
        out_text(out, "\n");
}

static void put_line(struct out *out, const char *field, const char *value, bool comments)
{
    begin(out, field, comments);
    out_text(out, value);
    out_text(out, "\n");
}

void stream_text_retry(struct out *out, uint32_t retry_ms, bool comments)
{
    begin(out, "retry: ", comments);
    out_number(out, retry_ms);
    out_text(out, "\n");
    end_block(out, comments);
}

void stream_text_begin(struct out *out, const char *place, bool primes, bool comments)
{
    put_line(out, "id: ", place, comments);
    if (primes) {
        put_line(out, "event: ", "sponson-open", comments);
        put_line(out, "data: ", place, comments);
    }
    end_block(out, comments);
}

void stream_text_cursor(struct out *out, const struct spn_life *life, uint64_t seq, bool primes,
                        bool comments)
{
    char cursor[SPN_CURSOR_TEXT_SIZE];
    spn_cursor_format(life, seq, cursor);
    stream_text_begin(out, cursor, primes, comments);
}

/* The JSON has no line end in it: json_write escapes them. */
static void begin_event(struct out *out, const char *type, const char *reason, bool comments)
{
    put_line(out, "event: ", type, comments);
    begin(out, "data: ", comments);
    json_write_text(out, "{\"reason\":", reason);
}

static void end_event(struct out *out, bool comments)
{
    out_text(out, "}\n");
    end_block(out, comments);
}

void stream_text_gap(struct out *out, uint64_t missing, bool comments)
{
    begin_event(out, "sponson-gap", "trimmed", comments);
    json_write_number(out, ",\"missing\":", missing);
    end_event(out, comments);
}

void stream_text_reset(struct out *out, const char *reason, uint64_t missing, bool comments)
{
    begin_event(out, "sponson-reset", reason, comments);
    json_write_number(out, ",\"missing\":", missing);
    end_event(out, comments);
}

void stream_text_end(struct out *out, const char *reason, bool comments)
{
    begin_event(out, "sponson-end", reason, comments);
    end_event(out, comments);
}

bool stream_text_event(struct out *out, const struct spn_event *event)
{
    size_t size = 0;
    bool has_size = spn_sse_format(event, NULL, 0, &size) == SPN_E_INVALID && size > 0;
    char *room = has_size ? out_reserve(out, size) : NULL;
    if (room == NULL || spn_sse_format(event, room, size, &size) != SPN_OK)
        return false;
    out->size += size;
    return true;
}

void stream_text_heartbeat(struct out *out)
{
    out_text(out, ":\n");
}
