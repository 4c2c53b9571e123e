/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void drop(struct config_given *given)
{
    for (size_t i = 0; i < given->count; i++)
        free(given->texts[i]);
    free(given->texts);
    given->texts = NULL;
    given->count = 0;
    given->present = false;
}

/* False: out of memory. */
static bool add(struct config_given *given, const char *text)
{
    char **texts = realloc(given->texts, (given->count + 1) * sizeof(*texts));
    if (!texts)
        return false;
    given->texts = texts;
    texts[given->count] = strdup(text);
    if (!texts[given->count])
        return false;
    given->count++;
    given->present = true;
    return true;
}

static struct config *config_empty(const struct config_program *program)
{
    struct config *config = calloc(1, sizeof(*config));
    assert(program->count <= CONFIG_OPTIONS_MAX);
    if (config)
        config->program = program;
    return config;
}

struct config *config_new(const struct config_program *program)
{
    struct config *config = config_empty(program);
    for (size_t i = 0; config && i < program->count; i++) {
        const char *fallback = program->options[i].fallback;
        if (fallback && !add(&config->given[CONFIG_DEFAULT][i], fallback)) {
            config_free(config);
            return NULL;
        }
    }
    return config;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->program->count; i++)
        for (size_t layer = 0; layer < CONFIG_LAYERS; layer++)
            drop(&config->given[layer][i]);
    for (size_t i = 0; i < CONFIG_ERRORS_MAX; i++)
        free(config->errors[i]);
    free(config);
}

static bool copy(struct config_given *to, const struct config_given *from)
{
    for (size_t i = 0; i < from->count; i++)
        if (!add(to, from->texts[i]))
            return false;
    to->present = from->present;
    return true;
}

struct config *config_new_without_file(const struct config *config)
{
    static const enum config_layer layers[] = {CONFIG_DEFAULT, CONFIG_ENVIRONMENT, CONFIG_LINE};
    struct config *fresh = config_empty(config->program);
    for (size_t i = 0; fresh && i < config->program->count; i++)
        for (size_t j = 0; j < sizeof(layers) / sizeof(layers[0]); j++)
            if (!copy(&fresh->given[layers[j]][i], &config->given[layers[j]][i])) {
                config_free(fresh);
                return NULL;
            }
    return fresh;
}

size_t config_index(const struct config_program *program, const char *name)
{
    size_t i = 0;
    while (i < program->count && strcmp(program->options[i].name, name) != 0)
        i++;
    assert(i < program->count);
    return i;
}

void config_set_default(struct config *config, const char *name, const char *text)
{
    struct config_given *given =
        &config->given[CONFIG_DEFAULT][config_index(config->program, name)];
    drop(given);
    if (text && !add(given, text))
        config_wrong(config, "%s: out of memory", name);
}

bool config_give(struct config *config, enum config_layer layer, size_t index, const char *text,
                 const char **ret_why)
{
    const struct config_option *option = &config->program->options[index];
    struct config_given *given = &config->given[layer][index];
    if (!config_value_set(option, text, NULL, ret_why))
        return false;
    if (option->kind != CONFIG_LIST)
        drop(given);
    *ret_why = "is there too often";
    if (option->kind == CONFIG_LIST && given->count >= option->most)
        return false;
    *ret_why = "out of memory";
    return add(given, text);
}

static enum config_layer top(const struct config *config, size_t index)
{
    unsigned layer = CONFIG_LINE;
    while (layer > CONFIG_DEFAULT && !config->given[layer][index].present)
        layer--;
    return (enum config_layer)layer;
}

enum config_layer config_layer_of(const struct config *config, const char *name)
{
    return top(config, config_index(config->program, name));
}

const char *config_text(const struct config *config, const char *name)
{
    size_t index = config_index(config->program, name);
    const struct config_given *given = &config->given[top(config, index)][index];
    return given->count > 0 ? given->texts[0] : NULL;
}

bool config_has_flag(const struct config *config, const char *name)
{
    const char *text = config_text(config, name);
    return text && strcmp(text, "true") == 0;
}

void config_wrong(struct config *config, const char *format, ...)
{
    va_list values;
    char *text = NULL;
    size_t at = config->error_count++;
    if (at >= CONFIG_ERRORS_MAX)
        return;
    va_start(values, format);
    if (vasprintf(&text, format, values) >= 0)
        config->errors[at] = text;
    va_end(values);
}

void config_apply(const struct config *config, void *options)
{
    const char *why;
    for (size_t i = 0; i < config->program->count; i++) {
        const struct config_option *option = &config->program->options[i];
        const struct config_given *given = &config->given[top(config, i)][i];
        if (option->size == 0)
            continue;
        config_value_clear(option, options);
        for (size_t j = 0; j < given->count; j++)
            (void)config_value_set(option, given->texts[j], options, &why); /* was checked */
    }
}

void config_take(const struct config_program *program, void *running, const void *fresh,
                 void (*report)(void *context, const struct config_change *change), void *context)
{
    for (size_t i = 0; i < program->count; i++) {
        const struct config_option *option = &program->options[i];
        if (option->size == 0 || config_value_same(option, running, fresh))
            continue;
        struct config_change change = {
            .option = option->name,
            .old_text = config_value_text(option, running, 0),
            .new_text = config_value_text(option, fresh, 0),
            .taken = (option->how & CONFIG_RELOADS) != 0,
        };
        if (change.taken)
            memcpy((char *)running + option->offset, (const char *)fresh + option->offset,
                   option->size);
        report(context, &change);
        free(change.old_text);
        free(change.new_text);
    }
}
