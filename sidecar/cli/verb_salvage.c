/* SPDX-License-Identifier: Apache-2.0 */
/* verb_salvage: makes a database of what is left of a damaged one. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

#include "care/rescue.h"
#include "cli/care_work.h"

struct salvage_verb {
    struct cli_words words;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct salvage_verb *verb = state->input;
    return cli_parse_rest(key, arg, state, &verb->words, NULL);
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "OLD NEW",
    .doc = "Make a database in the directory NEW of what is left of a damaged one. OLD is its data "
           "directory, whose sidecar is stopped, or a copy of data.mdb; it is not changed. NEW "
           "must have no database."
           "\vEvery event whose checksum holds is salvaged, if its session lives and the event is "
           "retained: also where the index that leads to it is damaged. Sessions keep their names, "
           "lives and seqs, and events their ids. A session that has lost events goes on after "
           "the hole. What was salvaged and what is missing is printed.\n\n"
           "Exits with 0 if NEW has a database, whatever is missing in it, and with 1 if it has "
           "not. Exits with 3 if there is no OLD.",
};

static void tell_count(uint64_t count, const char *what)
{
    char words[CLI_TEXT_SIZE];
    if (count == 0)
        return;
    snprintf(words, sizeof(words), "%" PRIu64 " %s", count, what);
    cli_warn(words, NULL);
}

int verb_salvage(int argc, char **argv)
{
    struct salvage_verb verb = {.words = {.name = "OLD or NEW", .count_min = 2, .count_max = 2}};
    struct care care;
    struct rescue_done done;
    cli_parse(&argp, argc, argv, &verb);
    care_begin(&care);
    spn_err err = rescue_run(verb.words.at[0], verb.words.at[1], &care, &done);
    if (err != SPN_OK)
        return care_failed(&care, err);
    care_end();
    tell_count(done.damages, "damaged places");
    tell_count(done.missing, "events are missing, or more");
    tell_count(done.rowless, "sessions are made of what the log has of them: older events that "
                             "retention had deleted count as missing");
    tell_count(done.nameless, "events are of sessions whose names are lost, and are left out");
    fprintf(stderr, "sponson salvage: %s: %" PRIu64 " events of %" PRIu64 " sessions\n",
            verb.words.at[1], done.events, done.sessions);
    return CLI_OK;
}
