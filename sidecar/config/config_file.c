/* SPDX-License-Identifier: Apache-2.0 */
/* config_file: the configuration file, a YAML mapping of options to values.
 *
 * Every value is text, read as on the command line: 0660 and 12h need no quotes. null is as if the
 * key were not there. Reading goes on after an error, so that one run names them all. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "base/nearest.h"
#include "base/read_whole.h"

struct reading {
    struct config *config;
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    const char *text;
    size_t size;
};

/* -- the file ---------------------------------------------------------------------------------- */

static const char *check_kind(const struct stat *status, char *ret_words, size_t size)
{
    if (S_ISDIR(status->st_mode))
        return "is a directory";
    if (!S_ISREG(status->st_mode))
        return "is not a regular file";
    if (status->st_size == 0)
        return "is empty";
    if (status->st_size <= CONFIG_FILE_MAX)
        return NULL;
    (void)snprintf(ret_words, size, "has %lld bytes, more than %d", (long long)status->st_size,
                   CONFIG_FILE_MAX);
    return ret_words;
}

/* O_NONBLOCK: a FIFO is not waited for. Returns the bytes; NULL: they cannot be read, which is an
 * error unless the file may be missing. */
static char *load(struct config *config, const char *path, bool is_default, size_t *ret_size)
{
    char words[64];
    struct stat status;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        if (errno != ENOENT || !is_default)
            config_wrong(config, "%s: cannot be opened: %s%s", path, strerror(errno),
                         is_default ? " (--no-config does without it)" : "");
        return NULL;
    }
    const char *wrong =
        fstat(fd, &status) == 0 ? check_kind(&status, words, sizeof(words)) : strerror(errno);
    if (!wrong && !(text = malloc((size_t)status.st_size)))
        wrong = "out of memory";
    if (!wrong && !read_whole(fd, text, (size_t)status.st_size, ret_size))
        wrong = strerror(errno);
    (void)close(fd);
    if (!wrong)
        return text;
    config_wrong(config, "%s: %s", path, wrong);
    free(text);
    return NULL;
}

/* -- what is wrong, and where ------------------------------------------------------------------ */

static void wrong_at(struct reading *reading, const yaml_mark_t *mark, const char *name,
                     const char *words)
{
    config_wrong(reading->config, "%s:%zu:%zu: %s%s%s", reading->config->file, mark->line + 1,
                 mark->column + 1, name, *name ? ": " : "", words);
}

/* libyaml gives the offset of what is not UTF-8, and no line. */
static yaml_mark_t mark_of(const struct reading *reading, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < reading->size; i++) {
        mark.column++;
        if (reading->text[i] == '\n') {
            mark.column = 0;
            mark.line++;
        }
    }
    return mark;
}

static void wrong_yaml(struct reading *reading)
{
    const yaml_parser_t *parser = &reading->parser;
    char words[256];
    yaml_mark_t mark = parser->error == YAML_READER_ERROR ? mark_of(reading, parser->problem_offset)
                                                          : parser->problem_mark;
    (void)snprintf(words, sizeof(words), "not YAML: %s%s%s",
                   parser->problem ? parser->problem : "out of memory", parser->context ? " " : "",
                   parser->context ? parser->context : "");
    wrong_at(reading, &mark, "", words);
}

/* -- events ------------------------------------------------------------------------------------ */

/* False: there is none, since what follows is not YAML. */
static bool next(struct reading *reading)
{
    if (reading->has_event)
        yaml_event_delete(&reading->event);
    reading->has_event = yaml_parser_parse(&reading->parser, &reading->event) == 1;
    if (!reading->has_event)
        wrong_yaml(reading);
    return reading->has_event;
}

static int depth_of(yaml_event_type_t type)
{
    if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
        return 1;
    return type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT ? -1 : 0;
}

/* Leaves the last event of the node whose first event is there. */
static bool skip_node(struct reading *reading)
{
    int depth = depth_of(reading->event.type);
    while (depth > 0) {
        if (!next(reading))
            return false;
        depth += depth_of(reading->event.type);
    }
    return true;
}

static const char *scalar(const yaml_event_t *event)
{
    return (const char *)event->data.scalar.value;
}

static bool is_plain(const yaml_event_t *event, const char *text)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(scalar(event), text) == 0;
}

/* What YAML has, and the file may not. NULL: nothing. */
static const char *forbidden(const yaml_event_t *event)
{
    bool is_scalar = event->type == YAML_SCALAR_EVENT;
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (is_scalar) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor || event->type == YAML_ALIAS_EVENT)
        return "anchors and aliases (& and *) are not used here: put the value in quotes";
    if (tag)
        return "tags (!) are not used here: put the value in quotes";
    return is_scalar && strlen(scalar(event)) != event->data.scalar.length ? "has a zero byte"
                                                                           : NULL;
}

/* -- keys and values --------------------------------------------------------------------------- */

/* The option that this key names. NULL: none; the error was noted. */
static const struct config_option *find(struct reading *reading)
{
    const struct config_program *program = reading->config->program;
    const yaml_event_t *event = &reading->event;
    const char *names[CONFIG_OPTIONS_MAX];
    size_t count = 0;
    char words[128];
    const char *not_this = event->type == YAML_SCALAR_EVENT
                               ? forbidden(event)
                               : "a name of an option is expected here";
    if (not_this) {
        wrong_at(reading, &event->start_mark, "", not_this);
        return NULL;
    }
    for (size_t i = 0; i < program->count; i++) {
        const struct config_option *option = &program->options[i];
        bool in_file = !(option->how & (CONFIG_NOT_IN_FILE | CONFIG_ONLY_ON_LINE));
        if (strcmp(option->name, scalar(event)) == 0 && in_file)
            return option;
        if (strcmp(option->name, scalar(event)) == 0) {
            wrong_at(reading, &event->start_mark, option->name, "is not for the file");
            return NULL;
        }
        if (in_file)
            names[count++] = option->name;
    }
    const char *near = nearest_word(scalar(event), names, count);
    (void)snprintf(words, sizeof(words), "no such option%s%s%s", near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
    wrong_at(reading, &event->start_mark, scalar(event), words);
    return NULL;
}

static void take_scalar(struct reading *reading, const struct config_option *option, bool in_list)
{
    const yaml_event_t *event = &reading->event;
    const char *why = forbidden(event);
    size_t index = (size_t)(option - reading->config->program->options);
    bool is_null = is_plain(event, "null") || is_plain(event, "~");
    if (!why && is_null && !in_list)
        return;
    if (!why && is_plain(event, ""))
        why = "has no value";
    if (why) {
        wrong_at(reading, &event->start_mark, option->name, why);
        return;
    }
    char words[512];
    if (config_give(reading->config, CONFIG_FILE, index, scalar(event), &why))
        return;
    (void)snprintf(words, sizeof(words), "%.128s: %.255s", scalar(event), why);
    wrong_at(reading, &event->start_mark, option->name, words);
}

/* `[]` is an empty list. */
static bool take_list(struct reading *reading, const struct config_option *option)
{
    const char *why = forbidden(&reading->event);
    size_t index = (size_t)(option - reading->config->program->options);
    if (why) {
        wrong_at(reading, &reading->event.start_mark, option->name, why);
        return skip_node(reading);
    }
    reading->config->given[CONFIG_FILE][index].present = true;
    for (;;) {
        if (!next(reading))
            return false;
        if (reading->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (depth_of(reading->event.type) == 0) {
            take_scalar(reading, option, true);
            continue;
        }
        wrong_at(reading, &reading->event.start_mark, option->name,
                 "a value is expected here, not a list or a mapping");
        if (!skip_node(reading))
            return false;
    }
}

/* option NULL: its key was wrong. */
static bool take_value(struct reading *reading, const struct config_option *option)
{
    bool starts_list = reading->event.type == YAML_SEQUENCE_START_EVENT;
    if (!option)
        return skip_node(reading);
    if (starts_list && option->kind == CONFIG_LIST)
        return take_list(reading, option);
    if (depth_of(reading->event.type) == 0) {
        take_scalar(reading, option, false);
        return true;
    }
    wrong_at(reading, &reading->event.start_mark, option->name,
             starts_list ? "one value is expected here, not a list"
                         : "a value is expected here, not a mapping");
    return skip_node(reading);
}

static const struct config_option *take_key(struct reading *reading)
{
    const yaml_mark_t mark = reading->event.start_mark;
    const struct config_option *option = find(reading);
    char words[64];
    if (!option)
        return NULL;
    size_t index = (size_t)(option - reading->config->program->options);
    struct config_given *given = &reading->config->given[CONFIG_FILE][index];
    if (given->line > 0) {
        (void)snprintf(words, sizeof(words), "is there twice: in line %u too", given->line);
        wrong_at(reading, &mark, option->name, words);
        return NULL;
    }
    given->line = (unsigned)mark.line + 1;
    return option;
}

/* From the beginning of the mapping to its end. */
static bool take_mapping(struct reading *reading)
{
    for (;;) {
        if (!next(reading))
            return false;
        if (reading->event.type == YAML_MAPPING_END_EVENT)
            return true;
        const struct config_option *option = take_key(reading);
        if (!option && !skip_node(reading)) /* of a key that is a list or a mapping */
            return false;
        if (!next(reading) || !take_value(reading, option))
            return false;
    }
}

static bool take_document(struct reading *reading)
{
    if (!next(reading))
        return false;
    const char *why = forbidden(&reading->event);
    if (reading->event.type == YAML_MAPPING_START_EVENT && !why)
        return take_mapping(reading);
    if (why)
        wrong_at(reading, &reading->event.start_mark, "", why);
    else if (reading->event.type != YAML_SCALAR_EVENT || !is_plain(&reading->event, ""))
        wrong_at(reading, &reading->event.start_mark, "",
                 "lines such as \"quota: 4G\" are expected here");
    return skip_node(reading);
}

static void take_stream(struct reading *reading)
{
    bool has_document = false;
    while (next(reading) && reading->event.type != YAML_STREAM_END_EVENT) {
        if (reading->event.type != YAML_DOCUMENT_START_EVENT)
            continue;
        if (has_document) {
            wrong_at(reading, &reading->event.start_mark, "", "a second document begins here");
            return;
        }
        has_document = true;
        if (!take_document(reading))
            return;
    }
}

void config_read_file(struct config *config, bool required)
{
    const char *named = config_text(config, "config");
    size_t size = 0;
    if (config_has_flag(config, "no-config") &&
        (!named || config_layer_of(config, "config") <= config_layer_of(config, "no-config")))
        return;
    const char *path = named ? named : config->program->file;
    char *text = load(config, path, !named && !required, &size);
    if (!text)
        return;
    (void)snprintf(config->file, sizeof(config->file), "%s", path);
    struct reading reading = {.config = config, .text = text, .size = size};
    if (yaml_parser_initialize(&reading.parser) == 1) {
        yaml_parser_set_input_string(&reading.parser, (const unsigned char *)text, size);
        take_stream(&reading);
        if (reading.has_event)
            yaml_event_delete(&reading.event);
        yaml_parser_delete(&reading.parser);
    } else {
        config_wrong(config, "%s: out of memory", path);
    }
    free(text);
}
