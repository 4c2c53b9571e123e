/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/json.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"

struct scan {
    const unsigned char *at;
    const unsigned char *end;
    unsigned depth;
    uint8_t objects[DS_JSON_DEPTH_MAX / 8]; /* a bit for each level: it is an object */
};

/* The next byte; 0: there is none, or it is a NUL, which may be nowhere. */
static unsigned char peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : 0;
}

static bool is_space(unsigned char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void skip_spaces(struct scan *scan)
{
    while (is_space(peek(scan)))
        scan->at++;
}

static bool take(struct scan *scan, unsigned char byte)
{
    if (peek(scan) != byte)
        return false;
    scan->at++;
    return true;
}

/* -- values without others in them ------------------------------------------------------------- */

static bool take_escape(struct scan *scan)
{
    unsigned char byte = peek(scan);
    if (byte == 0 || strchr("\"\\/bfnrtu", byte) == NULL)
        return false;
    scan->at++;
    for (int i = 0; byte == 'u' && i < 4; i++, scan->at++)
        if (peek(scan) == 0 || strchr("0123456789abcdefABCDEF", peek(scan)) == NULL)
            return false;
    return true;
}

static bool take_text(struct scan *scan)
{
    if (!take(scan, '"'))
        return false;
    while (peek(scan) >= ' ') {
        unsigned char byte = *scan->at++;
        if (byte == '"')
            return true;
        if (byte == '\\' && !take_escape(scan))
            return false;
    }
    return false;
}

static bool take_digits(struct scan *scan)
{
    const unsigned char *from = scan->at;
    while (peek(scan) >= '0' && peek(scan) <= '9')
        scan->at++;
    return scan->at > from;
}

static bool take_number(struct scan *scan)
{
    (void)take(scan, '-');
    if (!take(scan, '0') && !take_digits(scan))
        return false;
    if (take(scan, '.') && !take_digits(scan))
        return false;
    if (!take(scan, 'e') && !take(scan, 'E'))
        return true;
    if (!take(scan, '+'))
        (void)take(scan, '-');
    return take_digits(scan);
}

static bool take_word(struct scan *scan, const char *word)
{
    for (; *word != '\0'; word++)
        if (!take(scan, (unsigned char)*word))
            return false;
    return true;
}

static bool take_plain(struct scan *scan)
{
    switch (peek(scan)) {
    case '"':
        return take_text(scan);
    case 't':
        return take_word(scan, "true");
    case 'f':
        return take_word(scan, "false");
    case 'n':
        return take_word(scan, "null");
    default:
        return take_number(scan);
    }
}

/* -- objects and arrays ------------------------------------------------------------------------ */

static bool in_object(const struct scan *scan)
{
    unsigned level = scan->depth - 1;
    return (scan->objects[level / 8] >> level % 8 & 1) != 0;
}

static bool enter(struct scan *scan, bool is_object)
{
    if (scan->depth == DS_JSON_DEPTH_MAX)
        return false;
    unsigned level = scan->depth++;
    uint8_t bit = (uint8_t)(1u << level % 8);
    scan->objects[level / 8] =
        (uint8_t)(is_object ? scan->objects[level / 8] | bit : scan->objects[level / 8] & ~bit);
    scan->at++;
    skip_spaces(scan);
    return true;
}

/* The end of the object or the array, if it is here. */
static bool leave(struct scan *scan)
{
    if (!take(scan, in_object(scan) ? '}' : ']'))
        return false;
    scan->depth--;
    return true;
}

static bool take_key(struct scan *scan)
{
    if (!take_text(scan))
        return false;
    skip_spaces(scan);
    return take(scan, ':');
}

/* Takes values until one is begun that is complete at once, or an empty object or array. */
static bool descend(struct scan *scan)
{
    for (;;) {
        skip_spaces(scan);
        unsigned char byte = peek(scan);
        if (byte != '{' && byte != '[')
            return take_plain(scan);
        if (!enter(scan, byte == '{'))
            return false;
        if (leave(scan))
            return true;
        if (in_object(scan) && !take_key(scan))
            return false;
    }
}

/* After a value: to the next one. False: there is none, as *ret_whole says, or it is not JSON. */
static bool ascend(struct scan *scan, bool *ret_whole)
{
    *ret_whole = false;
    while (scan->depth > 0) {
        skip_spaces(scan);
        if (leave(scan))
            continue;
        if (!take(scan, ','))
            return false;
        skip_spaces(scan);
        return !in_object(scan) || take_key(scan);
    }
    *ret_whole = true;
    return false;
}

static struct spn_bytes trim(const unsigned char *from, const unsigned char *to)
{
    while (from < to && is_space(*from))
        from++;
    while (from < to && is_space(to[-1]))
        to--;
    return (struct spn_bytes){from, (size_t)(to - from)};
}

bool ds_json_messages(struct spn_bytes text, struct spn_bytes *ret_messages, size_t *ret_where)
{
    static const unsigned char nothing[1];
    const unsigned char *begin = text.size > 0 ? text.data : nothing;
    struct scan scan = {.at = begin, .end = begin + text.size};
    bool is_whole;
    do
        if (!descend(&scan)) {
            *ret_where = (size_t)(scan.at - begin);
            return false;
        }
    while (ascend(&scan, &is_whole));
    const unsigned char *last = scan.at; /* after the value */
    skip_spaces(&scan);
    if (!is_whole || scan.at < scan.end || !text_is_utf8(text)) {
        *ret_where = (size_t)(scan.at - begin);
        return false;
    }
    struct spn_bytes value = trim(begin, last);
    const unsigned char *bytes = value.data;
    *ret_messages = bytes[0] == '[' ? trim(bytes + 1, bytes + value.size - 1) : value;
    return true;
}
