/* SPDX-License-Identifier: Apache-2.0 */
/* verb_verify: checks a database, or a backup. */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "care/verify.h"
#include "cli/care_work.h"
#include "cli/data_dir.h"
#include "cli/look.h"
#include "cli/other_pid.h"

struct verify_verb {
    struct cli_words words;
    struct out out;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct verify_verb *verb = state->input;
    return cli_parse_rest(key, arg, state, &verb->words, NULL);
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "[PATH]",
    .doc = "Read every page and every value of a database, and print a line for each that is "
           "damaged. PATH is a data directory, whose sidecar may go on, or a file: a backup, or a "
           "copy of data.mdb. Without PATH it is the database of this host, as for `sponson dump`."
           "\vDamage that changes what a dump or a replay gives is always found. Damage in bytes "
           "that are not in use is not looked for. Nothing is changed.\n\n"
           "Exits with 0 if it is whole, and with 1 if it is damaged, or cannot be read. Exits "
           "with 3 if there is no database.",
};

static void put_finding(void *owner, const char *words)
{
    struct verify_verb *verb = owner;
    care_end();
    out_text(&verb->out, words);
    out_text(&verb->out, "\n");
    (void)out_settle(&verb->out); /* cli_finish prints the reason */
}

int verb_verify(int argc, char **argv)
{
    struct verify_verb verb = {.words = {.name = "PATH", .count_max = 1}};
    char path[DATA_DIR_PATH_SIZE], size[LOOK_TEXT_SIZE];
    struct care care;
    struct verify_found found;
    cli_parse(&argp, argc, argv, &verb);
    int exit_code = data_dir_find(verb.words.count > 0 ? verb.words.at[0] : NULL, path);
    if (exit_code != CLI_OK)
        return exit_code;
    out_init(&verb.out, STDOUT_FILENO);
    care_begin(&care);
    spn_err err;
    int tries = 0;
    do {
        errno = 0;
        err = verify_run(path, put_finding, &verb, &care, &found);
    } while (other_pid_take(err, tries++));
    care_end();
    if (err != SPN_OK)
        return cli_finish(&verb.out, care_failed(&care, err));
    exit_code = cli_finish(&verb.out, found.findings > 0 ? CLI_FAILURE : CLI_OK);
    fprintf(stderr, "sponson verify: %s: %s: %" PRIu64 " values in %s\n", path,
            found.findings > 0 ? "damaged" : "whole", found.values, look_bytes(found.bytes, size));
    return exit_code;
}
