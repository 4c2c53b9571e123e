/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char *const layouts_text; /* layouts.txt, as the build put it into a source file */

enum { LAYOUTS_MAX = 96, ENUMS_MAX = 24, WORDS_MAX = 24, LINE_WORDS_MAX = 40 };

struct layout_enum {
    char name[LAYOUT_NAME_SIZE];
    struct {
        char word[LAYOUT_NAME_SIZE];
        uint64_t number;
    } words[WORDS_MAX];
    size_t count;
};

const char *const socket_names[2] = {"ingest", "read"};
uint8_t layout_major, layout_minor;

static struct layout layouts[LAYOUTS_MAX];
static size_t layout_count;
static struct layout_enum enums[ENUMS_MAX];
static size_t enum_count;
static unsigned line_number;

static _Noreturn void give_up(const char *words, const char *name)
{
    fprintf(stderr, "layouts.txt:%u: %s: %s\n", line_number, words, name);
    exit(2);
}

static void take_name(char target[LAYOUT_NAME_SIZE], const char *name)
{
    if (strlen(name) >= LAYOUT_NAME_SIZE)
        give_up("a name is too long", name);
    memcpy(target, name, strlen(name) + 1);
}

/* -- looking up -------------------------------------------------------------------------------- */

static const struct layout *find(const char *name, bool message)
{
    for (size_t i = 0; i < layout_count; i++)
        if ((layouts[i].number != 0) == message && strcmp(layouts[i].name, name) == 0)
            return &layouts[i];
    return NULL;
}

const struct layout *layout_of_struct(const char *name)
{
    return find(name, false);
}

const struct layout *layout_by_name(const char *name)
{
    return find(name, true);
}

const struct layout *layout_by_number(uint8_t number)
{
    for (size_t i = 0; i < layout_count; i++)
        if (number != 0 && layouts[i].number == number)
            return &layouts[i];
    return NULL;
}

bool layout_has(const struct layout *layout, const char *name)
{
    for (size_t i = 0; i < layout->count; i++) {
        const struct layout_field *field = &layout->fields[i];
        if (strcmp(field->name, name) == 0 ||
            (field->kind == LAYOUT_INCLUDE && layout_has(field->of, name)))
            return true;
    }
    return false;
}

const char *layout_word(const struct layout_enum *words, uint64_t number)
{
    for (size_t i = 0; words != NULL && i < words->count; i++)
        if (words->words[i].number == number)
            return words->words[i].word;
    return NULL;
}

bool layout_number(const struct layout_enum *words, const char *text, uint64_t *ret_number)
{
    char *end;
    for (size_t i = 0; words != NULL && i < words->count; i++)
        if (strcmp(words->words[i].word, text) == 0) {
            *ret_number = words->words[i].number;
            return true;
        }
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    uint64_t number = strtoull(text, &end, 0);
    if (*end != '\0' || errno != 0)
        return false;
    *ret_number = number;
    return true;
}

static const struct layout_enum *find_enum(const char *name)
{
    for (size_t i = 0; i < enum_count; i++)
        if (strcmp(enums[i].name, name) == 0)
            return &enums[i];
    return NULL;
}

/* -- reading ----------------------------------------------------------------------------------- */

static uint64_t number_of(const char *text)
{
    uint64_t number;
    if (!layout_number(NULL, text, &number))
        give_up("not a number", text);
    return number;
}

static void read_enum(char **words, size_t count)
{
    if (enum_count == ENUMS_MAX || count < 2 || count - 2 > WORDS_MAX)
        give_up("too many words, or too few", "enum");
    struct layout_enum *made = &enums[enum_count++];
    take_name(made->name, words[1]);
    for (size_t i = 2; i < count; i++) {
        char *equals = strchr(words[i], '=');
        if (equals == NULL)
            give_up("a word without a number", words[i]);
        *equals = '\0';
        take_name(made->words[made->count].word, words[i]);
        made->words[made->count++].number = number_of(equals + 1);
    }
}

/* struct NAME; message NUMBER NAME SIDE SOCKET... */
static void read_head(char **words, size_t count)
{
    bool message = strcmp(words[0], "message") == 0;
    if (layout_count == LAYOUTS_MAX || count < (message ? 5U : 2U))
        give_up("too many, or too few words", words[0]);
    struct layout *layout = &layouts[layout_count++];
    take_name(layout->name, words[message ? 2 : 1]);
    if (!message)
        return;
    layout->number = (uint8_t)number_of(words[1]);
    layout->from_client = strcmp(words[3], "client") == 0;
    for (size_t i = 4; i < count; i++)
        layout->on[strcmp(words[i], "read") == 0 ? READ : INGEST] = true;
}

/* FIELD&BITS, FIELD=NUMBER */
static void read_when(struct layout_field *field, char *condition)
{
    char *sign = strpbrk(condition, "&=");
    if (sign == NULL)
        give_up("not a condition", condition);
    field->when_bits = *sign == '&';
    field->when_value = number_of(sign + 1);
    *sign = '\0';
    take_name(field->when, condition);
}

static size_t read_kind(struct layout_field *field, char **words, size_t count)
{
    static const struct {
        const char *word;
        enum layout_kind kind;
        size_t size;
        bool sized, structured; /* a size follows, the name of a struct */
    } kinds[] = {
        {"u8", LAYOUT_NUMBER, 1, false, false},      {"u16", LAYOUT_NUMBER, 2, false, false},
        {"u32", LAYOUT_NUMBER, 4, false, false},     {"u64", LAYOUT_NUMBER, 8, false, false},
        {"bytes", LAYOUT_BYTES, 0, true, false},     {"zero", LAYOUT_ZERO, 0, true, false},
        {"short", LAYOUT_SHORT, 1, false, false},    {"long", LAYOUT_LONG, 2, false, false},
        {"size8", LAYOUT_SIZE, 1, false, false},     {"size16", LAYOUT_SIZE, 2, false, false},
        {"size32", LAYOUT_SIZE, 4, false, false},    {"sized", LAYOUT_SIZED, 0, false, false},
        {"block", LAYOUT_BLOCK, 0, false, true},     {"count32", LAYOUT_COUNT, 4, false, false},
        {"list", LAYOUT_LIST, 0, false, true},       {"all", LAYOUT_ALL, 0, false, true},
        {"include", LAYOUT_INCLUDE, 0, false, true}, {"fields", LAYOUT_FIELDS, 2, false, false},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].word, words[0]) != 0)
            continue;
        size_t used = kinds[i].sized || kinds[i].structured ? 2 : 1;
        if (count < used)
            give_up("something is missing after", words[0]);
        field->kind = kinds[i].kind;
        field->size = kinds[i].sized ? number_of(words[1]) : kinds[i].size;
        field->of = kinds[i].structured ? layout_of_struct(words[1]) : NULL;
        if (kinds[i].structured && field->of == NULL)
            give_up("no such struct so far", words[1]);
        return used;
    }
    give_up("no such kind", words[0]);
}

static void read_field(char **words, size_t count)
{
    size_t at = 0;
    struct layout *layout = &layouts[layout_count - 1];
    if (layout_count == 0 || layout->count == LAYOUT_FIELDS_MAX)
        give_up("no place for a field", words[0]);
    struct layout_field *field = &layout->fields[layout->count++];
    if (strcmp(words[at], "when") == 0 && count > 2) {
        read_when(field, words[1]);
        at = 2;
    }
    if (strcmp(words[at], "include") != 0)
        take_name(field->name, words[at++]);
    if (at == count)
        give_up("a field without a kind", field->name);
    at += read_kind(field, words + at, count - at);
    for (; at < count; at++) {
        if (strcmp(words[at], "bound") == 0)
            field->bound = true;
        else if (strcmp(words[at], "free") == 0)
            field->free = true;
        else if ((field->words = find_enum(words[at])) == NULL)
            give_up("no such enum", words[at]);
    }
}

static void read_line(char *line)
{
    char *words[LINE_WORDS_MAX];
    size_t count = 0;
    bool indented = *line == ' ';
    line[strcspn(line, "#")] = '\0';
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        if (count == LINE_WORDS_MAX)
            give_up("too many words", word);
        words[count++] = word;
    }
    if (count == 0)
        return;
    if (indented) {
        read_field(words, count);
    } else if (strcmp(words[0], "version") == 0 && count == 3) {
        layout_major = (uint8_t)number_of(words[1]);
        layout_minor = (uint8_t)number_of(words[2]);
    } else if (strcmp(words[0], "enum") == 0) {
        read_enum(words, count);
    } else if (strcmp(words[0], "struct") == 0 || strcmp(words[0], "message") == 0) {
        read_head(words, count);
    } else {
        give_up("not understood", words[0]);
    }
}

void layout_load(void)
{
    char line[512];
    if (layout_count > 0)
        return;
    for (const char *at = layouts_text; *at != '\0';) {
        size_t size = strcspn(at, "\n");
        line_number++;
        if (size >= sizeof(line))
            give_up("a line is too long", "");
        memcpy(line, at, size);
        line[size] = '\0';
        read_line(line);
        at += size + (at[size] != '\0');
    }
    if (layout_of_struct("header") == NULL)
        give_up("there is no", "header");
}
