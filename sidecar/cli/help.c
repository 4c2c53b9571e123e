/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/examples.h"
#include "base/nearest.h"
#include "base/text.h"

enum { OPTIONS_MAX = 64 };

/* An option's name, and whether it has a value. */
struct known {
    const char *name;
    bool has_value;
};

struct known_options {
    struct known at[OPTIONS_MAX];
    size_t count;
};

/* -- options ----------------------------------------------------------------------------------- */

static void collect(struct known_options *all, const struct argp *argp)
{
    const struct argp_option *option = argp->options;
    for (; option && (option->name || option->key || option->doc); option++)
        if (option->name && !(option->flags & OPTION_DOC) && all->count < OPTIONS_MAX)
            all->at[all->count++] = (struct known){option->name, option->arg != NULL};
    for (const struct argp_child *child = argp->children; child && child->argp; child++)
        collect(all, child->argp);
}

static struct known_options options_of(const struct argp *argp)
{
    struct known_options all = {
        .at = {{"help", false}, {"usage", false}, {"version", false}},
        .count = 3,
    };
    collect(&all, argp);
    return all;
}

static _Noreturn void fail_option(const char *option, const char *why)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    snprintf(what, sizeof(what), "option %s", text_quote(spn_text(option), quoted));
    cli_usage(what, why);
}

static _Noreturn void fail_unknown(const struct known_options *all, const char *option,
                                   const char *name)
{
    char why[CLI_TEXT_SIZE];
    const char *names[OPTIONS_MAX];
    for (size_t i = 0; i < all->count; i++)
        names[i] = all->at[i].name;
    const char *meant = nearest_word(name, names, all->count);
    if (meant)
        snprintf(why, sizeof(why), "unknown; did you mean --%s?", meant);
    else
        snprintf(why, sizeof(why), "unknown; --help lists the options");
    fail_option(option, why);
}

/* An option by its name or the beginning of it, as getopt takes it. */
static const struct known *find(const struct known_options *all, const char *option,
                                const char *name)
{
    char why[CLI_TEXT_SIZE];
    const struct known *found = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct known *one = &all->at[i];
        if (strcmp(one->name, name) == 0)
            return one;
        if (strncmp(one->name, name, strlen(name)) != 0)
            continue;
        if (found) {
            snprintf(why, sizeof(why), "could be --%s or --%s", found->name, one->name);
            fail_option(option, why);
        }
        found = one;
    }
    if (!found)
        fail_unknown(all, option, name);
    return found;
}

/* Returns how many words of argv it takes. */
static int check_long(const struct known_options *all, const char *word, const char *next)
{
    char option[TEXT_QUOTED_SIZE];
    const char *value = strchr(word, '=');
    size_t size = value ? (size_t)(value - word) : strlen(word);
    snprintf(option, sizeof(option), "%.*s", (int)(size < sizeof(option) ? size : 0), word);
    const struct known *known = find(all, option, option + 2);
    if (value && !known->has_value)
        fail_option(option, "takes no value");
    if (!known->has_value || value)
        return 1;
    if (!next)
        fail_option(option, "needs a value");
    return 2;
}

void help_check_options(const struct argp *argp, int argc, char **argv, bool in_order)
{
    static char help[] = "--help";
    struct known_options all = options_of(argp);
    int i = 1;
    in_order = in_order || getenv("POSIXLY_CORRECT");
    while (i < argc) {
        const char *word = argv[i];
        bool is_option = word[0] == '-' && word[1] != '\0';
        if (strcmp(word, "--") == 0 || (!is_option && in_order))
            return;
        if (strcmp(word, "-h") == 0)
            argv[i] = help;
        else if (is_option && word[1] != '-' && strcmp(word, "-?") != 0 && strcmp(word, "-V") != 0)
            fail_unknown(&all, word, word + 1);
        else if (is_option && word[1] == '-') {
            i += check_long(&all, word, i + 1 < argc ? argv[i + 1] : NULL);
            continue;
        }
        i++;
    }
}

/* -- verbs ------------------------------------------------------------------------------------- */

/* What other programs call it. */
static const struct {
    const char *typed;
    const char *verb;
} others[] = {
    {"ls", "sessions"},      {"list", "sessions"},
    {"session", "sessions"}, {"rm", "delete"},
    {"del", "delete"},       {"remove", "delete"},
    {"drop", "delete"},      {"purge", "delete"},
    {"cat", "replay"},       {"read", "replay"},
    {"get", "replay"},       {"follow", "tail"},
    {"watch", "tail"},       {"sub", "tail"},
    {"subscribe", "tail"},   {"pub", "publish"},
    {"put", "publish"},      {"send", "publish"},
    {"append", "publish"},   {"show", "info"},
    {"describe", "info"},    {"create", "open"},
    {"new", "open"},         {"status", "health"},
    {"ping", "health"},      {"metrics", "stats"},
    {"import", "record"},    {"export", "dump"},
    {"benchmark", "bench"},  {"monitor", "top"},
    {"ps", "clients"},       {"connections", "clients"},
};

static const char *name_of_others(const char *typed)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(others[i].typed, typed) == 0)
            return others[i].verb;
    return NULL;
}

void help_unknown_verb(const char *typed, const char *const *names, size_t count)
{
    char what[CLI_TEXT_SIZE];
    char why[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    const char *meant = name_of_others(typed);
    if (!meant)
        meant = nearest_word(typed, names, count);
    snprintf(what, sizeof(what), "verb %s", text_quote(spn_text(typed), quoted));
    if (meant)
        snprintf(why, sizeof(why), "unknown; did you mean %s?", meant);
    else
        snprintf(why, sizeof(why), "unknown; sponson --help lists the verbs");
    cli_usage(what, why);
}

/* -- examples ---------------------------------------------------------------------------------- */

static const struct {
    const char *verb;
    const char *line;
    const char *words;
} examples[] = {
#define EXAMPLE_ROW(verb, line, words) {verb, line, words},
    CLI_EXAMPLE_MAP(EXAMPLE_ROW)
#undef EXAMPLE_ROW
};

enum { EXAMPLE_MAX = 76 }; /* longer lines would be broken */
#define EXAMPLE_CHECK(verb, line, words) _Static_assert(sizeof(line) <= EXAMPLE_MAX + 1, line);
CLI_EXAMPLE_MAP(EXAMPLE_CHECK)
#undef EXAMPLE_CHECK

char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    char *all = NULL;
    size_t size = 0;
    if (key != ARGP_KEY_HELP_EXTRA || text)
        return (char *)(uintptr_t)text; /* argp's convention for: unchanged */
    FILE *stream = open_memstream(&all, &size);
    if (!stream)
        return NULL;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
        if (strcmp(examples[i].verb, cli_verb_name()) == 0)
            fprintf(stream, "%s\n  %s\n      %s\n", ftell(stream) == 0 ? "Examples:" : "",
                    examples[i].line, examples[i].words);
    bool some = ftell(stream) > 0;
    if (fclose(stream) == 0 && some) {
        all[strlen(all) - 1] = '\0'; /* argp ends the line */
        return all;
    }
    free(all);
    return NULL;
}
