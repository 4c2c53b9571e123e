/* SPDX-License-Identifier: Apache-2.0 */
/* records: prints a program's table of options instead of parsing a command line.
 *
 * It is preloaded into sponsond, sponson and sponson-http while Sponson is built: their manual
 * pages and completion are made of what --help is made of. It stands before the C library's
 * argp_parse, and takes the call whose command line is `--help` alone. All others go through, so
 * that `sponson` finds its verb.
 *
 * One record a line, with tabs between its fields; a form feed stands for a newline in a text:
 *     program NAME            "sponson publish"
 *     version TEXT            what --version prints
 *     args    TEXT            one for each way to write the arguments
 *     doc     TEXT            what stands before the options
 *     group   TEXT            the heading of the records that follow; may be empty
 *     option  NAMES VALUE TEXT    names with a comma between them; an empty VALUE: none is taken
 *     word    NAME TEXT       a row of the table that is not an option
 *     after   TEXT            what stands after the options
 *
 * Owns     nothing.
 * Threads  the first one, while it is alone.
 */
#include <argp.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHILDREN_MAX = 8, GROUP_MAX = 100 };

static void put_text(const char *text)
{
    for (const char *at = text ? text : ""; *at; at++)
        putchar(*at == '\n' ? '\f' : *at == '\t' ? ' ' : *at);
}

static void put(const char *kind, const char *text)
{
    printf("%s\t", kind);
    put_text(text);
    putchar('\n');
}

/* Some texts are the program's answer to the caller; argp's rule is then to free them. They are
 * few, and the process ends soon. */
static const char *filtered(const struct argp *argp, void *input, int key, const char *text)
{
    return argp->help_filter ? argp->help_filter(key, text, input) : text;
}

static bool is_end(const struct argp_option *option)
{
    return !option->name && !option->key && !option->doc && !option->group;
}

static bool is_heading(const struct argp_option *option)
{
    return !option->name && !option->key;
}

/* Prints an option with the aliases that follow it. */
static void put_option(const struct argp *argp, void *input, const struct argp_option *option)
{
    const char *text = filtered(argp, input, option->key, option->doc);
    if (option->flags & OPTION_DOC) {
        printf("word\t%s\t", option->name);
        put_text(text);
        putchar('\n');
        return;
    }
    fputs("option\t", stdout);
    const char *between = "";
    const struct argp_option *alias = option;
    do {
        if (alias->key > ' ' && alias->key < 127) {
            printf("%s-%c", between, alias->key);
            between = ",";
        }
        if (alias->name) {
            printf("%s--%s", between, alias->name);
            between = ",";
        }
        alias++;
    } while (!is_end(alias) && (alias->flags & OPTION_ALIAS));
    printf("\t%s\t", option->arg ? option->arg : "");
    put_text(text);
    putchar('\n');
}

/* argp's rule: a row without a group is in that of the row before it, a heading in one of its own.
 */
static int group_of(const struct argp_option *option, int before)
{
    if (option->group != 0)
        return option->group;
    return is_heading(option) ? before + 1 : before;
}

/* named: the heading of a child's options was printed already. */
static void put_group(const struct argp *argp, void *input, int wanted, bool named)
{
    int group = 0;
    bool begun = named;
    for (const struct argp_option *option = argp->options; option && !is_end(option); option++) {
        group = group_of(option, group);
        if (group != wanted || (option->flags & (OPTION_ALIAS | OPTION_HIDDEN)))
            continue;
        if (is_heading(option))
            put("group", filtered(argp, input, option->key, option->doc));
        else if (!begun)
            put("group", "");
        begun = true;
        if (!is_heading(option))
            put_option(argp, input, option);
    }
}

/* In argp's order: 0, 1, 2 ..., and then the negative ones up to -1. */
static void put_options(const struct argp *argp, void *input, bool named)
{
    for (int group = 0; group < GROUP_MAX; group++)
        put_group(argp, input, group, named);
    for (int group = -GROUP_MAX; group < 0; group++)
        put_group(argp, input, group, named);
}

static void put_program(const struct argp *argp, const char *name, void *input)
{
    void *child_inputs[CHILDREN_MAX] = {0};
    struct argp_state state = {.root_argp = argp, .input = input, .child_inputs = child_inputs};
    if (argp->parser)
        (void)argp->parser(ARGP_KEY_INIT, NULL, &state);
    put("program", name);
    put("version", argp_program_version);
    const char *args = filtered(argp, input, ARGP_KEY_HELP_ARGS_DOC, argp->args_doc);
    char *ways = strdup(args ? args : "");
    char *rest = ways;
    for (char *way; ways && (way = strsep(&rest, "\n")) != NULL;)
        put("args", way);
    free(ways);
    char *doc = strdup(argp->doc ? argp->doc : "");
    char *after = doc ? strchr(doc, '\v') : NULL;
    if (after)
        *after++ = '\0';
    put("doc", filtered(argp, input, ARGP_KEY_HELP_PRE_DOC, doc));
    put_options(argp, input, false);
    const struct argp_child *child = argp->children;
    for (size_t i = 0; child && child->argp && i < CHILDREN_MAX; child++, i++) {
        put("group", child->header);
        put_options(child->argp, child_inputs[i], child->header != NULL);
    }
    put("after", filtered(argp, input, ARGP_KEY_HELP_POST_DOC, after));
    put("after", filtered(argp, input, ARGP_KEY_HELP_EXTRA, NULL));
    free(doc);
}

/* The C library's declaration has other names for the parameters. */
__attribute__((visibility("default"))) error_t
argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags, int *arg_index,
           void *input) /* NOLINT(readability-inconsistent-declaration-parameter-name) */
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        const char *slash = strrchr(argv[0], '/');
        put_program(argp, slash ? slash + 1 : argv[0], input);
        exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    union {
        void *found;
        error_t (*call)(const struct argp *, int, char **, unsigned, int *, void *);
    } next = {.found = dlsym(RTLD_NEXT, "argp_parse")};
    if (!next.found)
        exit(EXIT_FAILURE);
    return next.call(argp, argc, argv, flags, arg_index, input);
}
