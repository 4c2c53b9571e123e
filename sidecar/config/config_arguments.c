/* SPDX-License-Identifier: Apache-2.0 */
/* config_arguments: the options that the command line and the environment have. */
#include "config/config.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/option_value.h"

enum { KEY_FIRST = 256, HELP_SIZE = 1024, DOC_SIZE = 4096 };

struct arguments {
    struct argp_option options[CONFIG_OPTIONS_MAX + 1];
    char helps[CONFIG_OPTIONS_MAX][HELP_SIZE];
    char doc[DOC_SIZE];
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct config *config = state->input;
    const char *why;
    if (key == ARGP_KEY_ARG) {
        (void)fprintf(stderr, "%s: unexpected argument: %s\n", config->program->name, value);
        exit(OPTION_EXIT_USAGE);
    }
    if (key < KEY_FIRST || (size_t)(key - KEY_FIRST) >= config->program->count)
        return ARGP_ERR_UNKNOWN;
    size_t index = (size_t)(key - KEY_FIRST);
    if (!config_give(config, CONFIG_LINE, index, value ? value : "true", &why))
        option_fail(config->program->options[index].name, value ? value : "", why);
    return 0;
}

/* What a reload can change is named at the end. */
static void make_doc(const struct config_program *program, char doc[DOC_SIZE])
{
    const char *before = "";
    size_t size =
        (size_t)snprintf(doc, DOC_SIZE,
                         "%s\n\nThe variable %sLOG_LEVEL, say, is option --log-level: the "
                         "environment prevails over the configuration file, and the "
                         "command line over both. SIGHUP reads the file again, and can "
                         "change these options:",
                         program->doc, program->prefix);
    for (size_t i = 0; i < program->count && size < DOC_SIZE; i++)
        if (program->options[i].how & CONFIG_RELOADS) {
            size += (size_t)snprintf(doc + size, DOC_SIZE - size, "%s %s", before,
                                     program->options[i].name);
            before = ",";
        }
    if (size < DOC_SIZE)
        (void)snprintf(doc + size, DOC_SIZE - size, ".");
}

static void make_options(const struct config_program *program, struct arguments *made)
{
    for (size_t i = 0; i < program->count; i++) {
        const struct config_option *option = &program->options[i];
        bool has_default = option->fallback && option->kind != CONFIG_FLAG;
        int size = snprintf(made->helps[i], HELP_SIZE, "%s", option->help);
        if (has_default && size < HELP_SIZE)
            (void)snprintf(made->helps[i] + size, (size_t)(HELP_SIZE - size), " (default %s)",
                           option->fallback);
        made->options[i] = (struct argp_option){.name = option->name,
                                                .key = KEY_FIRST + (int)i,
                                                .arg = option->argument,
                                                .doc = made->helps[i]};
    }
    make_doc(program, made->doc);
}

void config_read_arguments(struct config *config, int argc, char **argv)
{
    struct arguments *made = calloc(1, sizeof(*made));
    if (!made)
        exit(EXIT_FAILURE);
    make_options(config->program, made);
    const struct argp argp = {.options = made->options, .parser = parse, .doc = made->doc};
    argp_program_version = config->program->version;
    argp_err_exit_status = OPTION_EXIT_USAGE;
    error_t error = argp_parse(&argp, argc, argv, 0, NULL, config);
    free(made);
    if (error != 0)
        exit(OPTION_EXIT_USAGE);
}

void config_variable(const struct config_program *program, const struct config_option *option,
                     char *ret_name, size_t size)
{
    (void)snprintf(ret_name, size, "%s%s", option->variable ? "" : program->prefix,
                   option->variable ? option->variable : option->name);
    for (char *at = ret_name; !option->variable && *at; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

/* A list has its values in one variable, with commas between them. */
static void give(struct config *config, size_t index, const char *name, const char *value)
{
    bool is_list = config->program->options[index].kind == CONFIG_LIST;
    char *copy = strdup(value);
    char *rest = copy;
    const char *why;
    if (!copy)
        config_wrong(config, "%s: out of memory", name);
    for (char *part; copy && (part = is_list ? strsep(&rest, ",") : rest) != NULL;) {
        if (!config_give(config, CONFIG_ENVIRONMENT, index, part, &why))
            config_wrong(config, "%s: %s: %s", name, part, why);
        rest = is_list ? rest : NULL;
    }
    free(copy);
}

void config_read_environment(struct config *config)
{
    const struct config_program *program = config->program;
    for (size_t i = 0; i < program->count; i++) {
        char name[128];
        config_variable(program, &program->options[i], name, sizeof(name));
        const char *value = getenv(name);
        if (value && value[0] != '\0' && !(program->options[i].how & CONFIG_ONLY_ON_LINE))
            give(config, i, name, value);
    }
}
