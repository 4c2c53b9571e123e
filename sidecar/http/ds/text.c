/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/text.h"

#include <string.h>

#include "base/base64.h"

enum { ESCAPE = 0x10, FLIP = 0x40, CR = '\r' };

/* -- in an event ------------------------------------------------------------------------------- */

static size_t plain_size(const char *at, size_t size)
{
    size_t plain = 0;
    while (plain < size && at[plain] != ESCAPE && at[plain] != CR)
        plain++;
    return plain;
}

void ds_text_escape(struct out *out, struct spn_bytes data)
{
    const char *at = data.data;
    for (size_t left = data.size; left > 0;) {
        size_t plain = plain_size(at, left);
        out_put(out, at, plain);
        at += plain;
        left -= plain;
        if (left == 0)
            return;
        const char escaped[] = {ESCAPE, (char)(*at ^ FLIP)};
        out_put(out, escaped, sizeof(escaped));
        at++;
        left--;
    }
}

void ds_text_unescape(struct out *out, struct spn_bytes data)
{
    const char *at = data.data;
    size_t left = data.size;
    while (left > 0) {
        const char *escape = memchr(at, ESCAPE, left);
        size_t plain = escape != NULL ? (size_t)(escape - at) : left;
        out_put(out, at, plain);
        at += plain;
        left -= plain;
        if (left == 0)
            return;
        char byte = left > 1 ? (char)(at[1] ^ FLIP) : '\0';
        bool is_escaped = byte == ESCAPE || byte == CR;
        out_put(out, is_escaped ? &byte : at, 1);
        at += is_escaped ? 2 : 1;
        left -= is_escaped ? 2 : 1;
    }
}

/* -- in an event stream ------------------------------------------------------------------------ */

/* A reader takes one space after the colon away, so a line that begins with one gets another. */
static void put_line(struct out *out, const char *line, size_t size)
{
    out_text(out, size > 0 && line[0] == ' ' ? "data: " : "data:");
    out_put(out, line, size);
    out_text(out, "\n");
}

static size_t line_size(const char *at, size_t size)
{
    size_t line = 0;
    while (line < size && at[line] != '\n' && at[line] != CR)
        line++;
    return line;
}

static void put_lines(struct out *out, struct spn_bytes text)
{
    const char *at = text.data;
    size_t left = text.size;
    for (;;) {
        size_t line = line_size(at, left);
        put_line(out, at, line);
        if (line == left)
            return;
        size_t end = at[line] == CR && left > line + 1 && at[line + 1] == '\n' ? 2 : 1;
        at += line + end;
        left -= line + end;
    }
}

void ds_text_data(struct out *out, enum ds_form form, struct spn_bytes data)
{
    out_text(out, "event: data\n");
    if (form == DS_FORM_BYTES) {
        out_text(out, "data:");
        base64_put(out, data);
        out_text(out, "\n");
    } else if (form == DS_FORM_JSON) {
        out_text(out, "data:[\n");
        put_lines(out, data);
        out_text(out, "data:]\n");
    } else {
        put_lines(out, data);
    }
    out_text(out, "\n");
}

void ds_text_control(struct out *out, const struct ds_control *control)
{
    out_text(out, "event: control\ndata:{\"streamNextOffset\":\"");
    out_text(out, control->offset);
    out_text(out, "\"");
    if (!control->is_closed) {
        out_text(out, ",\"streamCursor\":\"");
        out_number(out, control->cursor);
        out_text(out, "\"");
    }
    if (control->is_up_to_date || control->is_closed)
        out_text(out, ",\"upToDate\":true");
    if (control->is_closed)
        out_text(out, ",\"streamClosed\":true");
    out_text(out, "}\n\n");
}
