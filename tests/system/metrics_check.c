/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics_check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_SIZE = 1024, NAME_SIZE = 256 };

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:"

struct reading {
    const char *rest;       /* of the text, after the line */
    char family[NAME_SIZE]; /* "": none yet */
    char type[NAME_SIZE];   /* "": its TYPE has not come */
    double bucket;          /* the count of the bucket before */
    double bound;
    bool has_infinity;
    bool has_sum;
    bool has_count;
    unsigned values; /* of the family */
};

static char complaint[LINE_MAX_SIZE + NAME_SIZE];

static bool fail(const char *why, const char *line)
{
    (void)snprintf(complaint, sizeof(complaint), "%s: %s", why, line);
    return false;
}

static bool ends_in(const char *text, const char *end)
{
    size_t size = strlen(text);
    return size > strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

static bool is_name(const char *name)
{
    return name[0] != '\0' && (name[0] < '0' || name[0] > '9') &&
           strspn(name, NAME_CHARACTERS) == strlen(name);
}

/* -- comments ---------------------------------------------------------------------------------- */

static bool end_family(const struct reading *reading)
{
    if (reading->family[0] == '\0')
        return true;
    if (reading->values == 0)
        return fail("a family without values", reading->family);
    if (strcmp(reading->type, "histogram") != 0)
        return true;
    return (reading->has_infinity && reading->has_sum && reading->has_count) ||
           fail("a histogram without +Inf, _sum or _count", reading->family);
}

static bool take_help(struct reading *reading, const char *line)
{
    char name[NAME_SIZE];
    char again[NAME_SIZE + 16];
    int used = 0;
    if (!end_family(reading))
        return false;
    if (sscanf(line, "# HELP %255s %n", name, &used) != 1 || used == 0 || line[used] == '\0')
        return fail("a HELP without a name or words", line);
    if (!is_name(name) || strchr(line, '\\') != NULL)
        return fail("a HELP with a bad name or a backslash", line);
    (void)snprintf(again, sizeof(again), "# HELP %s ", name);
    if (strstr(reading->rest, again) != NULL)
        return fail("a family that is there twice", line);
    *reading = (struct reading){.rest = reading->rest};
    memcpy(reading->family, name, sizeof(name));
    return true;
}

static bool take_type(struct reading *reading, const char *line)
{
    char name[NAME_SIZE];
    char type[NAME_SIZE];
    if (sscanf(line, "# TYPE %255s %255s", name, type) != 2 || strcmp(name, reading->family) != 0)
        return fail("a TYPE that does not follow its HELP", line);
    if (reading->type[0] != '\0')
        return fail("a second TYPE", line);
    if (strcmp(type, "counter") != 0 && strcmp(type, "gauge") != 0 &&
        strcmp(type, "histogram") != 0)
        return fail("an unknown TYPE", line);
    if ((strcmp(type, "counter") == 0) != ends_in(name, "_total"))
        return fail("_total and the type disagree", line);
    memcpy(reading->type, type, sizeof(type));
    return true;
}

/* -- values ------------------------------------------------------------------------------------ */

static bool take_bucket(struct reading *reading, const char *labels, double value, const char *line)
{
    char bound_text[NAME_SIZE];
    char *end;
    if (sscanf(labels, "{le=\"%255[^\"]\"}", bound_text) != 1)
        return fail("a bucket without le", line);
    double bound = strtod(bound_text, &end);
    if (*end != '\0' || (reading->values > 0 && bound <= reading->bound) || reading->has_infinity)
        return fail("bounds do not go up", line);
    if (value < reading->bucket)
        return fail("a bucket has less than the one before", line);
    reading->bound = bound;
    reading->bucket = value;
    reading->has_infinity = strcmp(bound_text, "+Inf") == 0;
    return true;
}

static bool take_part(struct reading *reading, const char *name, const char *labels, double value,
                      const char *line)
{
    size_t size = strlen(reading->family);
    if (strncmp(name, reading->family, size) != 0)
        return fail("a value of another family", line);
    if (strcmp(name + size, "_bucket") == 0)
        return take_bucket(reading, labels, value, line);
    if (strcmp(name + size, "_sum") == 0 && !reading->has_sum)
        return (reading->has_sum = true);
    reading->has_count = strcmp(name + size, "_count") == 0;
    bool agrees = value <= reading->bucket && value >= reading->bucket;
    return (reading->has_count && agrees) || fail("no bucket, sum, or count that agrees", line);
}

/* {name="value",...}, and nothing after it. */
static bool are_labels(const char *labels)
{
    if (labels[0] == '\0')
        return true;
    const char *at = labels;
    do {
        size_t size = strspn(++at, NAME_CHARACTERS);
        if (size == 0 || strncmp(at + size, "=\"", 2) != 0)
            return false;
        at += size + 2;
        at += strcspn(at, "\"\\");
        if (*at++ != '"')
            return false;
    } while (*at == ',');
    return strcmp(at, "}") == 0;
}

static bool take_value(struct reading *reading, const char *line)
{
    char name[LINE_MAX_SIZE];
    char *end;
    const char *space = strrchr(line, ' ');
    if (space == NULL || reading->type[0] == '\0')
        return fail("a value without a family, or no value", line);
    double value = strtod(space + 1, &end);
    if (end == space + 1 || *end != '\0' || value < 0)
        return fail("not a number", line);
    memcpy(name, line, (size_t)(space - line));
    name[space - line] = '\0';
    const char *labels = line + strcspn(line, "{ ");
    char label_text[LINE_MAX_SIZE] = "";
    memcpy(label_text, labels, (size_t)(space - labels));
    char *brace = strchr(name, '{');
    if (metrics_value(reading->rest, name) >= 0)
        return fail("a value that is there twice", line);
    if (brace != NULL)
        *brace = '\0';
    if (!is_name(name) || !are_labels(label_text))
        return fail("a bad name or bad labels", line);
    bool is_taken =
        strcmp(reading->type, "histogram") == 0
            ? take_part(reading, name, label_text, value, line)
            : strcmp(name, reading->family) == 0 || fail("a value of another family", line);
    reading->values++;
    return is_taken;
}

const char *metrics_check(const char *text)
{
    struct reading reading = {.rest = text};
    size_t size = strlen(text);
    if (size == 0 || text[size - 1] != '\n')
        return "the text does not end in a line end";
    for (const char *at = text; *at != '\0';) {
        char line[LINE_MAX_SIZE];
        size_t length = strcspn(at, "\n");
        if (length == 0 || length >= sizeof(line))
            return "a line is empty or long";
        memcpy(line, at, length);
        line[length] = '\0';
        at += length + 1;
        reading.rest = at;
        bool is_right = strncmp(line, "# HELP ", 7) == 0   ? take_help(&reading, line)
                        : strncmp(line, "# TYPE ", 7) == 0 ? take_type(&reading, line)
                                                           : take_value(&reading, line);
        if (!is_right)
            return complaint;
    }
    return end_family(&reading) ? NULL : complaint;
}

double metrics_value(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && at[size] == ' ')
            return strtod(at + size + 1, NULL);
    return -1;
}
