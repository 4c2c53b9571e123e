/* SPDX-License-Identifier: Apache-2.0 */
/* verb_upgrade: brings a database to the format of this version.
 *
 * There is one format that this version reads, so it only says whether the database has it. */
#include "cli/cli.h"

#include <stdio.h>

#include "cli/data_dir.h"

struct upgrade_verb {
    const char *data_dir;
};

enum { KEY_DATA_DIR = CLI_KEY };

static const struct argp_option options[] = {
    {"data-dir", KEY_DATA_DIR, "DIR", 0, DATA_DIR_HELP, 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct upgrade_verb *verb = state->input;
    if (key != KEY_DATA_DIR)
        return cli_parse_rest(key, arg, state, NULL, NULL);
    verb->data_dir = arg;
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Bring a database to the format of this version. Format 2 is the only one that this "
           "version reads and writes, so a database is either of it, and stays as it is, or is "
           "refused."
           "\vExits with 0 if the database has the format of this version. Exits with 1 if it has "
           "a newer one (use the version that wrote it) or an older one (dump it with that "
           "version, and record the events with this one). Exits with 3 if there is no database.",
};

int verb_upgrade(int argc, char **argv)
{
    struct upgrade_verb verb = {.data_dir = NULL};
    struct journal *journal;
    bool whole = true;
    cli_parse(&argp, argc, argv, &verb);
    int exit_code = data_dir_open(verb.data_dir, &journal, &whole);
    if (exit_code != CLI_OK)
        return exit_code;
    bool known = !journal_lacks_meta(journal);
    journal_close(journal);
    if (!known || !whole)
        return CLI_FAILURE; /* the reason is printed */
    printf("format %d, which is this version's: nothing to do\n", RECORD_FORMAT);
    return fflush(stdout) == 0 ? CLI_OK : cli_fail_errno("stdout");
}
