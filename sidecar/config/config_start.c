/* SPDX-License-Identifier: Apache-2.0 */
/* config_start: all that a program does with its options when it starts, and when it reloads. */
#include "config/config.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/option_value.h"

static void complete(struct config *config, bool file_required, void *ret_options)
{
    config_read_file(config, file_required);
    if (config->error_count == 0)
        config->program->complete(config, ret_options);
}

/* Ends the program if there are errors, or if it was only to look for them. */
static void settle(const struct config *config)
{
    size_t kept = config->error_count < CONFIG_ERRORS_MAX ? config->error_count : CONFIG_ERRORS_MAX;
    for (size_t i = 0; i < kept; i++)
        (void)fprintf(stderr, "%s: %s\n", config->program->name,
                      config->errors[i] ? config->errors[i] : "out of memory");
    if (config->error_count > kept)
        (void)fprintf(stderr, "%s: and %zu more\n", config->program->name,
                      config->error_count - kept);
    if (config->error_count > 0)
        exit(OPTION_EXIT_USAGE);
    if (config_has_flag(config, "check-config"))
        exit(EXIT_SUCCESS);
}

struct config *config_start(const struct config_program *program, void *ret_options, int argc,
                            char **argv)
{
    struct config *config = config_new(program);
    if (!config)
        exit(EXIT_FAILURE);
    if (program->defaults)
        program->defaults(config);
    config_read_arguments(config, argc, argv);
    config_read_environment(config);
    complete(config, false, ret_options);
    settle(config);
    if (config_has_flag(config, "print-config"))
        exit(config_print(config, ret_options, stdout) ? EXIT_SUCCESS : EXIT_FAILURE);
    return config;
}

int config_descriptor(const struct config *config, const char *name)
{
    const char *text = config_text(config, name);
    if (!text)
        return -1;
    int fd = (int)strtoul(text, NULL, 10); /* was checked */
    if (fcntl(fd, F_GETFD) < 0)
        option_fail(name, text, "not open");
    return fd;
}

struct config *config_read_again(const struct config *config, void *ret_options)
{
    struct config *fresh = config_new_without_file(config);
    if (fresh)
        complete(fresh, config->file[0] != '\0', ret_options);
    return fresh;
}
