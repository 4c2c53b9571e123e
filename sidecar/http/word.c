/* SPDX-License-Identifier: Apache-2.0 */
#include "http/word.h"

#include <string.h>

#include "base/text.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool word_equals(struct spn_bytes word, struct spn_bytes other)
{
    return word.size == other.size &&
           (word.size == 0 || memcmp(word.data, other.data, word.size) == 0);
}

bool word_is(struct spn_bytes word, const char *text)
{
    return word_equals(word, (struct spn_bytes){text, strlen(text)});
}

bool word_equals_caseless(struct spn_bytes word, struct spn_bytes other)
{
    const char *bytes = word.data;
    const char *others = other.data;
    if (word.size != other.size)
        return false;
    for (size_t i = 0; i < word.size; i++)
        if (lower(bytes[i]) != lower(others[i]))
            return false;
    return true;
}

bool word_is_caseless(struct spn_bytes word, const char *text)
{
    return word_equals_caseless(word, (struct spn_bytes){text, strlen(text)});
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct spn_bytes word_trim(struct spn_bytes word)
{
    const char *bytes = word.data;
    size_t from = 0;
    size_t to = word.size;
    while (from < to && is_blank(bytes[from]))
        from++;
    while (to > from && is_blank(bytes[to - 1]))
        to--;
    return (struct spn_bytes){from < to ? bytes + from : NULL, to - from};
}

/* The first `size` bytes; the rest begins after the byte that follows them. */
static struct spn_bytes split(struct spn_bytes *rest, size_t size)
{
    struct spn_bytes first = {rest->data, size};
    bool found = size < rest->size;
    const char *bytes = rest->data;
    *rest = found ? (struct spn_bytes){bytes + size + 1, rest->size - size - 1}
                  : (struct spn_bytes){NULL, 0};
    return first;
}

struct spn_bytes word_cut(struct spn_bytes *rest, char at)
{
    const char *bytes = rest->data;
    const char *found = rest->size > 0 ? memchr(bytes, at, rest->size) : NULL;
    return split(rest, found ? (size_t)(found - bytes) : rest->size);
}

struct spn_bytes word_cut_unquoted(struct spn_bytes *rest, char at)
{
    const char *bytes = rest->data;
    bool quoted = false;
    size_t size = 0;
    for (; size < rest->size && (quoted || bytes[size] != at); size++) {
        if (quoted && bytes[size] == '\\' && size + 1 < rest->size)
            size++;
        else if (bytes[size] == '"')
            quoted = !quoted;
    }
    return split(rest, size);
}

bool word_is_token(struct spn_bytes word)
{
    const char *bytes = word.data;
    for (size_t i = 0; i < word.size; i++) {
        char c = lower(bytes[i]);
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return word.size > 0;
}

bool word_is_text(struct spn_bytes word)
{
    const unsigned char *bytes = word.data;
    for (size_t i = 0; i < word.size; i++) {
        bool c1 = bytes[i] == 0xC2 && i + 1 < word.size && bytes[i + 1] < 0xA0;
        if (bytes[i] < ' ' || bytes[i] == 0x7F || c1)
            return false;
    }
    return text_is_utf8(word);
}

static int hex_of(char c)
{
    char small = lower(c);
    if (small >= '0' && small <= '9')
        return small - '0';
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

bool word_decode(char *text, size_t *size)
{
    char *to = text;
    for (size_t i = 0; i < *size; i++) {
        if (text[i] != '%') {
            *to++ = text[i];
            continue;
        }
        if (*size - i < 3)
            return false;
        int high = hex_of(text[i + 1]);
        int low = hex_of(text[i + 2]);
        if (high < 0 || low < 0)
            return false;
        *to++ = (char)(unsigned char)(high << 4 | low);
        i += 2;
    }
    *size = (size_t)(to - text);
    return true;
}
