/* SPDX-License-Identifier: Apache-2.0 */
/* config_print: the options in force, as a configuration file. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* Whether every reader of YAML takes it for this text or this number without quotes. What begins
 * with 0 may be octal, and a word such as yes may be a truth value: 4G, 12h and paths are left. */
static bool is_bare(const struct config_option *option, const char *text)
{
    bool is_number = strspn(text, DIGITS) > 0 && (text[0] != '0' || text[1] == '\0');
    if (option->kind == CONFIG_FLAG || option->kind == CONFIG_WORD)
        return true;
    return (text[0] == '/' || is_number) && strspn(text, LETTERS DIGITS "/._-") == strlen(text);
}

static void print_text(const struct config_option *option, const char *text, FILE *file)
{
    if (is_bare(option, text)) {
        (void)fputs(text, file);
        return;
    }
    (void)fputc('"', file);
    for (const char *at = text; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < 0x20 || byte == 0x7F)
            (void)fprintf(file, "\\x%02X", byte);
        else
            (void)fprintf(file, byte == '"' || byte == '\\' ? "\\%c" : "%c", byte);
    }
    (void)fputc('"', file);
}

/* YAML has only UTF-8. */
static bool is_utf8(const char *text)
{
    return text_is_utf8((struct spn_bytes){text, strlen(text)});
}

static void print_origin(const struct config *config, size_t index, FILE *file)
{
    char variable[128];
    const struct config_option *option = &config->program->options[index];
    const struct config_given *given = &config->given[CONFIG_FILE][index];
    switch (config_layer_of(config, option->name)) {
    case CONFIG_FILE:
        (void)fprintf(file, "  # %s:%u\n", config->file, given->line);
        break;
    case CONFIG_ENVIRONMENT:
        config_variable(config->program, option, variable, sizeof(variable));
        (void)fprintf(file, "  # %s\n", variable);
        break;
    case CONFIG_LINE:
        (void)fputs("  # command line\n", file);
        break;
    default:
        (void)fputs("  # default\n", file);
        break;
    }
}

/* False: it is not UTF-8. */
static bool print_list(const struct config *config, size_t index, const void *options, FILE *file)
{
    const struct config_option *option = &config->program->options[index];
    char *text = config_value_text(option, options, 0);
    (void)fprintf(file, "%s:%s", option->name, text ? "" : " []");
    print_origin(config, index, file);
    for (size_t at = 0; text; at++) {
        bool good = is_utf8(text);
        (void)fputs("  - ", file);
        print_text(option, text, file);
        (void)fputc('\n', file);
        free(text);
        if (!good)
            return false;
        text = config_value_text(option, options, at + 1);
    }
    return true;
}

static bool print_one(const struct config *config, size_t index, const void *options, FILE *file)
{
    const struct config_option *option = &config->program->options[index];
    char *text = config_value_text(option, options, 0);
    bool good = !text || is_utf8(text);
    (void)fprintf(file, "%s: ", option->name);
    if (text)
        print_text(option, text, file);
    else
        (void)fputs("null", file);
    print_origin(config, index, file);
    free(text);
    return good;
}

bool config_print(const struct config *config, const void *options, FILE *file)
{
    const struct config_program *program = config->program;
    bool good = true;
    for (size_t i = 0; i < program->count && good; i++) {
        const struct config_option *option = &program->options[i];
        if (option->how & (CONFIG_NOT_IN_FILE | CONFIG_ONLY_ON_LINE))
            continue;
        good = option->kind == CONFIG_LIST ? print_list(config, i, options, file)
                                           : print_one(config, i, options, file);
    }
    return fflush(file) == 0 && !ferror(file) && good;
}
