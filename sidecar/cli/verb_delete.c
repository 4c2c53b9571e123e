/* SPDX-License-Identifier: Apache-2.0 */
/* verb_delete: deletes a session with all its events, or all sessions that are picked.
 *
 * It asks first. It deletes exactly the life that the question was about. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/journal.h"
#include "base/lockfile.h"
#include "recover/mended.h"
#include "recover/offline.h"
#include "base/own_files.h"
#include "cli/delete_many.h"
#include "cli/session_change.h"
#include "base/text.h"

struct delete
{
    struct cli_words words;
    struct cli_common common;
    struct spn_bytes session;
    bool has_life;
    struct spn_life life; /* with has_life; else the current one */
    bool yes;
    bool dry_run;
    bool offline;
    bool picks; /* pick is given in place of a session */
    struct session_pick pick;
    const char *data_dir;
};

enum {
    KEY_LIFE = CLI_KEY,
    KEY_YES,
    KEY_PREFIX,
    KEY_CLOSED,
    KEY_OLDER_THAN,
    KEY_DRY_RUN,
    KEY_OFFLINE,
    KEY_DATA_DIR
};

/* Room beyond the size of the file, for pages that a deletion writes before it frees others. */
#define ROOM_BYTES (128u * 1024 * 1024)

static const struct argp_option options[] = {
    {"life", KEY_LIFE, "LIFE", 0, SESSION_CHANGE_LIFE_HELP, 0},
    {"prefix", KEY_PREFIX, "PREFIX", 0,
     "in place of SESSION: all sessions whose name begins so; '' is all", 0},
    {"closed", KEY_CLOSED, 0, 0, "all closed sessions, or those of --prefix", 0},
    {"older-than", KEY_OLDER_THAN, "TIME", 0,
     "all sessions without an event for so long, such as 90s, 30m, 12h, 7d, or those of --prefix "
     "and --closed",
     0},
    {"dry-run", KEY_DRY_RUN, 0, 0, "print the names of what would be deleted, and delete nothing",
     0},
    {"yes", KEY_YES, 0, 0, "delete without asking", 0},
    {"offline", KEY_OFFLINE, 0, 0,
     "delete in the database itself, without a sidecar; no sidecar may be using it. Needs --yes",
     0},
    {"data-dir", KEY_DATA_DIR, "DIR", 0,
     "with --offline: directory of the database (default: $SPONSON_DATA_DIR)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct delete *delete = state->input;
    switch (key) {
    case KEY_LIFE:
        delete->life = cli_life("--life", arg);
        delete->has_life = true;
        return 0;
    case KEY_OFFLINE:
        delete->offline = true;
        return 0;
    case KEY_DATA_DIR:
        delete->data_dir = arg;
        return 0;
    case KEY_YES:
        delete->yes = true;
        return 0;
    case KEY_PREFIX:
        delete->pick.prefix = cli_name_part("--prefix", arg);
        delete->picks = true;
        return 0;
    case KEY_CLOSED:
        delete->pick.has_state = true;
        delete->pick.state = SPN_CLOSED;
        delete->picks = true;
        return 0;
    case KEY_OLDER_THAN:
        delete->pick.older_than_ms = cli_span_ms("--older-than", arg);
        delete->picks = true;
        return 0;
    case KEY_DRY_RUN:
        delete->dry_run = true;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &delete->words, &delete->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION\n--prefix PREFIX\n--closed\n--older-than TIME",
    .doc = "Delete a session with all its events, closed or not, and wait until that is on disk. "
           "The next event for this name opens a new session. Asks for confirmation first. With "
           "--prefix, --closed or --older-than, delete all sessions that have all of what is given."
           "\vExits with 1 if the answer is not yes. Exits with 2 if --yes is not given and there "
           "is no terminal to ask on. Exits with 3 if there is no such session, or if the session "
           "does not have the life of --life. That no session is picked is not an error. A session "
           "that is opened again while others are deleted, or that gets an event with "
           "--older-than, is kept.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* -- asking ------------------------------------------------------------------------------------ */

static uint64_t retained_of(const struct spn_session_info *info)
{
    return info->session->seq + 1 - info->first_seq - info->markers;
}

static int ask(struct delete *delete, spn_client *client)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    char question[CLI_TEXT_SIZE];
    const struct spn_session_info *info;
    spn_err err = spn_get_session(client, delete->session, cli_timeout_ms(&delete->common), &info);
    if (err != SPN_OK)
        return cli_fail_asking(delete->session, client, err);
    if (delete->has_life && !wire_same_life(delete->life, info->session->life))
        return cli_fail_session(delete->session, SPN_E_OTHER_LIFE);
    delete->life = info->session->life;
    delete->has_life = wire_has_life(info->session->life);
    if (delete->dry_run) {
        printf("%.*s\n", (int)delete->session.size, (const char *)delete->session.data);
        return CLI_OK;
    }
    snprintf(question, sizeof(question), "delete %s with %llu events?",
             text_quote(delete->session, quoted), (unsigned long long)retained_of(info));
    if (delete_asked(question))
        return CLI_OK;
    cli_error(cli_session_words(delete->session, what), "not deleted");
    return CLI_FAILURE;
}

/* -- without a sidecar ------------------------------------------------------------------------- */

/* Refuses to write to a database on which a daemon would not start. */
static int check_own(const char *dir)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    char file[CLI_TEXT_SIZE];
    const char *reason = own_files_check_dir(dir);
    snprintf(file, sizeof(file), "%s", dir);
    for (size_t i = 0; !reason && i < sizeof(names) / sizeof(names[0]); i++) {
        reason = own_files_check(dir, names[i], S_IFREG);
        snprintf(file, sizeof(file), "%s/%s", dir, names[i]);
    }
    if (!reason)
        return CLI_OK;
    cli_error(file, reason);
    return CLI_FAILURE;
}

static int open_locked(const char *dir, struct journal **ret_journal)
{
    char file[CLI_TEXT_SIZE];
    struct stat found;
    snprintf(file, sizeof(file), "%s/data.mdb", dir);
    if (stat(file, &found) != 0)
        return cli_fail_errno(file);
    const struct journal_options how = {.dir = dir, .size_max = (size_t)found.st_size + ROOM_BYTES};
    spn_err err = journal_open(ret_journal, &how);
    return err == SPN_OK ? CLI_OK : cli_fail(dir, err, journal_detail());
}

/* Damage is repaired as by a daemon's start. The next start will not find it, so it is logged here,
 * even if the deletion fails. */
static int delete_in(const struct delete *delete, const char *dir)
{
    struct journal *journal = NULL;
    struct recovered found;
    int exit_code = open_locked(dir, &journal);
    if (exit_code != CLI_OK)
        return exit_code;
    mended_log_pages(journal_damage(journal));
    spn_err err =
        offline_delete(journal, delete->session, delete->has_life ? &delete->life : NULL, &found);
    mended_log_recovered(&found);
    if (err == SPN_E_UNKNOWN_SESSION || err == SPN_E_OTHER_LIFE)
        exit_code = cli_fail_session(delete->session, err);
    else if (err != SPN_OK)
        exit_code = cli_fail(dir, err, journal_detail());
    journal_close(journal);
    return exit_code;
}

static int delete_offline(const struct delete *delete)
{
    char why[CLI_TEXT_SIZE];
    struct lockfile lock = LOCKFILE_INIT;
    pid_t holder = 0;
    const char *named = delete->data_dir ? delete->data_dir : getenv("SPONSON_DATA_DIR");
    const char *dir = named ? named : "";
    if (!*dir)
        cli_usage("--offline", "needs --data-dir, or SPONSON_DATA_DIR");
    int exit_code = check_own(dir);
    if (exit_code != CLI_OK)
        return exit_code;
    spn_err err = lockfile_take(&lock, dir, 0, &holder);
    if (err == SPN_E_IN_USE) {
        snprintf(why, sizeof(why),
                 "a sidecar uses it, pid %ld: omit --offline, or stop the sidecar", (long)holder);
        cli_error(dir, why);
        return CLI_FAILURE;
    }
    if (err != SPN_OK)
        return cli_fail_errno(dir);
    exit_code = delete_in(delete, dir);
    lockfile_release(&lock);
    return exit_code;
}

static spn_err publish(spn_client *client, struct spn_bytes session, const void *argument,
                       int timeout_ms, const struct spn_published **ret_published)
{
    return spn_delete_once(client, session, argument, timeout_ms, ret_published);
}

static int delete_one(struct delete *delete)
{
    char what[CLI_TEXT_SIZE];
    spn_client *client;
    if (!delete->yes && !delete->dry_run && !isatty(STDIN_FILENO))
        cli_usage("--yes", "missing, and there is no terminal to ask on");
    int exit_code = cli_connect(&delete->common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    if (!delete->yes || delete->dry_run)
        exit_code = ask(delete, client);
    if (exit_code == CLI_OK && !delete->dry_run) {
        exit_code = session_change(client, publish, delete->session,
                                   delete->has_life ? &delete->life : NULL,
                                   cli_timeout_ms(&delete->common), NULL);
        if (exit_code == CLI_OK)
            cli_say_done("deleted", cli_session_words(delete->session, what));
    }
    spn_client_close(client);
    return exit_code;
}

static void check_offline(const struct delete *delete)
{
    if (delete->offline && !delete->yes)
        cli_usage("--offline", "needs --yes");
    if (delete->offline && delete->dry_run)
        cli_usage("--offline", "cannot be combined with --dry-run");
    if (delete->data_dir && !delete->offline)
        cli_usage("--data-dir", "needs --offline");
}

static int delete_picked(const struct delete *delete)
{
    static const char only[] = "cannot be combined with --prefix, --closed or --older-than";
    if (delete->words.count > 0)
        cli_usage("SESSION", only);
    if (delete->has_life)
        cli_usage("--life", only);
    if (delete->offline)
        cli_usage("--offline", only);
    return delete_many_run(&(struct delete_many){.common = &delete->common,
                                                 .pick = delete->pick,
                                                 .dry_run = delete->dry_run,
                                                 .yes = delete->yes});
}

int verb_delete(int argc, char **argv)
{
    struct delete delete = {
        .words = {.name = "SESSION", .count_min = 0, .count_max = 1},
        .common = {.timeout_ms = -1},
    };
    cli_parse(&argp, argc, argv, &delete);
    if (delete.picks)
        return delete_picked(&delete);
    if (delete.words.count == 0)
        cli_usage("SESSION", "missing");
    delete.session = cli_session(delete.words.at[0]);
    check_offline(&delete);
    return delete.offline ? delete_offline(&delete) : delete_one(&delete);
}
