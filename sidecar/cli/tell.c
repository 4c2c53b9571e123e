/* SPDX-License-Identifier: Apache-2.0 */
/* tell: the lines that a verb prints about itself, as cli.h declares them. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/look.h"

static const char *cli_verb; /* NULL: there is none, or it is not known yet */

void cli_begin(const char *verb)
{
    cli_verb = verb;
}

const char *cli_verb_name(void)
{
    return cli_verb ? cli_verb : "";
}

/* One call, so that lines of several processes on one terminal do not mix. */
static void tell(enum look_colour colour, const char *what, const char *why)
{
    struct look look = look_of(STDERR_FILENO);
    const char *space = cli_verb ? " " : "";
    const char *verb = cli_verb ? cli_verb : "";
    fprintf(stderr, "%ssponson%s%s:%s %s%s%s\n", look_begin(&look, colour), space, verb,
            look_end(&look), what, why ? ": " : "", why ? why : "");
}

void cli_error(const char *what, const char *why)
{
    tell(LOOK_RED, what, why);
}

void cli_warn(const char *what, const char *why)
{
    tell(LOOK_YELLOW, what, why);
}

void cli_say(const char *sentence)
{
    struct look look = look_of(STDOUT_FILENO);
    if (look.terminal)
        printf("%s%s%s\n", look_begin(&look, LOOK_GREEN), sentence, look_end(&look));
}

void cli_say_done(const char *done, const char *what)
{
    char sentence[2 * CLI_TEXT_SIZE];
    snprintf(sentence, sizeof(sentence), "%s %s", done, what);
    cli_say(sentence);
}

void cli_usage(const char *what, const char *why)
{
    cli_error(what, why);
    exit(CLI_USAGE);
}
