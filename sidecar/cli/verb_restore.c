/* SPDX-License-Identifier: Apache-2.0 */
/* verb_restore: makes a database of a backup. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "care/restore.h"
#include "cli/care_work.h"
#include "cli/data_dir.h"
#include "cli/look.h"

struct restore_verb {
    struct cli_words words;
    const char *data_dir;
};

enum { KEY_DATA_DIR = CLI_KEY };

static const struct argp_option options[] = {
    {"data-dir", KEY_DATA_DIR, "DIR", 0,
     "directory for the database, made if it is not there (default: $SPONSON_DATA_DIR)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct restore_verb *verb = state->input;
    if (key != KEY_DATA_DIR)
        return cli_parse_rest(key, arg, state, &verb->words, NULL);
    verb->data_dir = arg;
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "FILE",
    .doc =
        "Make a database of FILE, which `sponson backup` made, in a directory that has none. No "
        "sidecar may be running there."
        "\vThe database is there whole or not at all. It gets an id of its own, and its "
        "positions go on far above those of the backup: none that the old database gave is given "
        "again. "
        "Clients that were told of events after the backup learn that these are lost: the "
        "sidecar counts them in sponson_events_lost_total and logs a line for each client.\n\n"
        "Exits with 1 if nothing was restored: the reason is printed. Exits with 3 if there is "
        "no FILE.",
};

int verb_restore(int argc, char **argv)
{
    struct restore_verb verb = {.words = {.name = "FILE", .count_min = 1, .count_max = 1}};
    char size[LOOK_TEXT_SIZE];
    struct care care;
    struct restore_done done;
    cli_parse(&argp, argc, argv, &verb);
    const char *dir = verb.data_dir ? verb.data_dir : getenv("SPONSON_DATA_DIR");
    if (!dir || !*dir)
        cli_usage("--data-dir", "missing, and SPONSON_DATA_DIR is not set");
    care_begin(&care);
    spn_err err = restore_run(verb.words.at[0], dir, &care, &done);
    if (err != SPN_OK)
        return care_failed(&care, err);
    care_end();
    fprintf(stderr,
            "sponson restore: %s: %s restored, up to position %" PRIu64 "; new ones begin at "
            "%" PRIu64 "\n",
            dir, look_bytes(done.bytes, size), done.newest, done.next_position);
    return CLI_OK;
}
