/* SPDX-License-Identifier: Apache-2.0 */
/* verb_backup: copies the database of this host into a file. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/option_value.h"
#include "care/backup.h"
#include "cli/care_work.h"
#include "cli/data_dir.h"
#include "cli/look.h"
#include "cli/other_pid.h"

struct backup_verb {
    struct cli_words words;
    const char *data_dir;
    bool compact;
    uint64_t growth_max;
};

enum { KEY_COMPACT = CLI_KEY, KEY_MAX_GROWTH, KEY_DATA_DIR };

static const struct argp_option options[] = {
    {"compact", KEY_COMPACT, 0, 0,
     "leave out pages that are free, so that FILE is as small as it can be; it takes no longer", 0},
    {"max-growth", KEY_MAX_GROWTH, "SIZE", 0,
     "give up when the database has grown by this much meanwhile, with K, M or G (default: half of "
     "the room between its size and the largest that --quota allows; never more than three "
     "quarters of it)",
     0},
    {"data-dir", KEY_DATA_DIR, "DIR", 0, DATA_DIR_HELP, 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct backup_verb *verb = state->input;
    switch (key) {
    case KEY_COMPACT:
        verb->compact = true;
        return 0;
    case KEY_MAX_GROWTH:
        verb->growth_max = option_number("--max-growth", arg, 1, UINT64_MAX / 2);
        return 0;
    case KEY_DATA_DIR:
        verb->data_dir = arg;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &verb->words, NULL);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "FILE",
    .doc =
        "Copy the database into FILE, while a sidecar goes on using it or without one. The copy is "
        "of one moment: it has everything that was acknowledged as durable before the command was "
        "started."
        "\vFILE is there whole or not at all: it gets its name once it is on disk. A file that is "
        "there is never replaced. Its mode is 0600. Free pages are holes in FILE. Each page is "
        "checked on its way, and none is copied that is damaged. The values in them are checked by "
        "`sponson verify FILE`, and before a restore.\n\n"
        "While it runs, the sidecar cannot use pages again that it frees, so its file may grow. If "
        "it grows by more than --max-growth, the backup gives up, and the sidecar goes on.\n\n"
        "Exits with 1 if there is no copy: the reason is printed. Exits with 3 if there is no "
        "database.",
};

int verb_backup(int argc, char **argv)
{
    struct backup_verb verb = {.words = {.name = "FILE", .count_min = 1, .count_max = 1}};
    char dir[DATA_DIR_PATH_SIZE];
    char size[LOOK_TEXT_SIZE], grown[LOOK_TEXT_SIZE];
    struct care care;
    struct backup_done done;
    cli_parse(&argp, argc, argv, &verb);
    int exit_code = data_dir_find(verb.data_dir, dir);
    if (exit_code != CLI_OK)
        return exit_code;
    const struct backup_options how = {.dir = dir,
                                       .file = verb.words.at[0],
                                       .compact = verb.compact,
                                       .growth_max = verb.growth_max};
    care_begin(&care);
    spn_err err;
    int tries = 0;
    do {
        errno = 0;
        err = backup_make(&how, &care, &done);
    } while (other_pid_take(err, tries++));
    if (err != SPN_OK)
        return care_failed(&care, err);
    care_end();
    fprintf(stderr, "sponson backup: %s: %s copied; the database grew by %s meanwhile\n", how.file,
            look_bytes(done.bytes, size), look_bytes(done.grown, grown));
    return CLI_OK;
}
