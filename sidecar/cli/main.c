/* SPDX-License-Identifier: Apache-2.0 */
/* main: finds the verb and runs it.
 *
 * `sponson VERB …`: main parses the options before the verb. The verb parses the rest, and sees
 * "sponson VERB" as its own name.
 */
#include "cli/cli.h"

#include <locale.h>
#include <signal.h>
#include <string.h>

#include "cli/help.h"

#define STRING(x) #x

struct verb {
    const char *name;
    char *full_name;
    int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
#define VERB_ROW(function, name, words, text) {name, (char[]){"sponson " name}, verb_##function},
    CLI_VERB_MAP(VERB_ROW)
#undef VERB_ROW
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *find_verb(const char *name)
{
    const char *names[VERBS];
    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
        names[i] = verbs[i].name;
    }
    help_unknown_verb(name, names, VERBS);
}

/* -- options before the verb ------------------------------------------------------------------- */

#define VERB_DOC(function, name, words, text) {name " " words, 0, 0, OPTION_DOC, text, 1},
#define EXIT_DOC(name, number, text) {STRING(number), 0, 0, OPTION_DOC, text, 2},

/* Rows of --help that are not options. argp aligns them, too. */
/* clang-format off */
static const struct argp_option options[] = {
    {0, 0, 0, 0, "Verbs:", 1},
    CLI_VERB_MAP(VERB_DOC)
    {0, 0, 0, 0, "Exit codes:", 2},
    CLI_EXIT_MAP(EXIT_DOC)
    {0, 0, 0, 0, "Options:", -1},
    {0},
};
/* clang-format on */

/* The verb's place in argv. */
struct found {
    char *name;
    int index;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct found *found = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->err_stream = NULL;
        return 0;
    case ARGP_KEY_ARG:
        found->name = arg;
        found->index = state->next - 1;
        state->next = state->argc; /* the rest is the verb's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        cli_usage("no verb", "sponson --help lists the verbs");
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "VERB [ARGUMENT...]",
    .doc = "Store event streams in the sidecar on this host, and read them back."
           "\v`sponson help VERB` lists the arguments and options of a verb, with examples.",
};

/* `sponson help VERB` is `sponson VERB --help`; without a verb it is `sponson --help`. */
static void turn_help_around(int *argc, char **argv)
{
    static char help[] = "--help";
    bool asked = *argc > 1 && strcmp(argv[1], "help") == 0;
    if (*argc > 1 && strcmp(argv[1], "--usage") == 0) /* argp's would list verbs as options */
        argv[1] = help;
    if (!asked)
        return;
    argv[1] = *argc > 2 ? argv[2] : help;
    if (*argc > 2)
        argv[2] = help;
    *argc = *argc > 2 ? 3 : 2;
}

int main(int argc, char **argv)
{
    struct found found = {0};
    /* The reader of our output may stop at any time. That ends us silently, even if our parent
     * ignored SIGPIPE. */
    signal(SIGPIPE, SIG_DFL);
    (void)setlocale(LC_CTYPE, ""); /* how wide a character is at the terminal */
    argp_err_exit_status = CLI_USAGE;
    argp_program_version = "sponson " SPN_VERSION;
    argv[0] = (char[]){"sponson"};
    turn_help_around(&argc, argv);
    help_check_options(&argp, argc, argv, true);
    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &found) != 0)
        return CLI_USAGE;
    const struct verb *verb = find_verb(found.name);
    cli_begin(verb->name);
    argv[found.index] = verb->full_name;
    return verb->run(argc - found.index, argv + found.index);
}
