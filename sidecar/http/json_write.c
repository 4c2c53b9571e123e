/* SPDX-License-Identifier: Apache-2.0 */
#include "http/json_write.h"

#include <string.h>

#include "base/base64.h"
#include "base/json_text.h"
#include "base/text.h"

void json_write_bytes(struct out *out, const char *member, struct spn_bytes bytes)
{
    out_text(out, member);
    if (text_is_utf8(bytes)) {
        out_text(out, "\":");
        json_put_string(out, bytes);
        return;
    }
    out_text(out, "_base64\":\"");
    base64_put(out, bytes);
    out_text(out, "\"");
}

void json_write_bytes_or_null(struct out *out, const char *member, struct spn_bytes bytes)
{
    if (bytes.size > 0) {
        json_write_bytes(out, member, bytes);
        return;
    }
    out_text(out, member);
    out_text(out, "\":null");
}

void json_write_text(struct out *out, const char *member, const char *text)
{
    out_text(out, member);
    json_put_string(out, (struct spn_bytes){text, strlen(text)});
}

void json_write_number(struct out *out, const char *member, uint64_t number)
{
    out_text(out, member);
    out_number(out, number);
}

void json_write_bool(struct out *out, const char *member, bool value)
{
    out_text(out, member);
    out_text(out, value ? "true" : "false");
}

static void write_null(struct out *out, const char *member)
{
    out_text(out, member);
    out_text(out, "null");
}

void json_write_span(struct out *out, const char *member, uint64_t ms)
{
    if (ms > 0)
        json_write_number(out, member, ms);
    else
        write_null(out, member);
}

void json_write_time(struct out *out, const char *member, uint64_t time_ms)
{
    char time[TEXT_TIME_SIZE];
    if (time_ms == 0) {
        write_null(out, member);
        return;
    }
    text_time(time_ms, time);
    json_write_text(out, member, time);
}

/* The text, unless the life is zeros. */
static void write_of_life(struct out *out, const char *member, const struct spn_life *life,
                          const char *text)
{
    static const struct spn_life zeros;
    if (memcmp(life, &zeros, sizeof(zeros)) == 0)
        write_null(out, member);
    else
        json_write_text(out, member, text);
}

void json_write_life(struct out *out, const char *member, const struct spn_life *life)
{
    char text[SPN_LIFE_TEXT_SIZE];
    spn_life_format(life, text);
    write_of_life(out, member, life, text);
}

void json_write_cursor(struct out *out, const char *member, const struct spn_life *life,
                       uint64_t seq)
{
    char text[SPN_CURSOR_TEXT_SIZE];
    spn_cursor_format(life, seq, text);
    write_of_life(out, member, life, text);
}
