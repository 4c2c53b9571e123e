/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/data_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/other_pid.h"
#include "base/own_files.h"

enum { PATH_SIZE = DATA_DIR_PATH_SIZE };

#define LOCK_FILE "lock.mdb" /* LMDB's name for its lock file */

static spn_err try_open(const char *dir, struct journal **ret_journal, bool *ret_whole)
{
    struct journal_options options = {.dir = dir, .read_only = true};
    if (own_files_check(dir, LOCK_FILE, S_IFREG)) /* LMDB writes to it, even through a link */
        return SPN_E_SYSTEM;
    *ret_whole = journal_check_whole(dir) != SPN_E_CORRUPT;
    if (!*ret_whole) /* print at once: missing bytes may end the process later */
        cli_error(journal_detail(), NULL);
    for (int tries = 0;; tries++) {
        errno = 0;
        spn_err err = journal_open(ret_journal, &options);
        if (err == SPN_OK && journal_lacks_meta(*ret_journal)) {
            cli_error("meta", "damaged: what was deleted or is no longer retained may be shown");
            *ret_whole = false;
        }
        if (!other_pid_take(err, tries))
            return err;
    }
}

/* "DIR/data.mdb: why" */
static bool names_file(const char *dir, const char *detail)
{
    size_t size = strlen(dir);
    return strncmp(detail, dir, size) == 0 && detail[size] == '/';
}

/* A missing directory and one without a database give different errors. */
static int open_failed(const char *dir, spn_err err)
{
    struct stat found;
    char file[PATH_SIZE + 16];
    const char *reason = own_files_check(dir, LOCK_FILE, S_IFREG);
    if (reason) {
        snprintf(file, sizeof(file), "%s/" LOCK_FILE, dir);
        cli_error(file, reason);
        return CLI_FAILURE;
    }
    if (err == SPN_E_CORRUPT && names_file(dir, journal_detail())) {
        cli_error(journal_detail(), NULL);
        return CLI_FAILURE;
    }
    if (err != SPN_E_PATH)
        return cli_fail(dir, err, journal_detail());
    if (stat(dir, &found) != 0)
        return cli_fail_errno(dir);
    if (!S_ISDIR(found.st_mode)) {
        errno = ENOTDIR;
        return cli_fail_errno(dir);
    }
    snprintf(file, sizeof(file), "%s/data.mdb", dir);
    if (access(file, R_OK) != 0 && errno != ENOENT)
        return cli_fail_errno(file);
    cli_error(journal_detail(), NULL); /* the detail names the file */
    return CLI_NOT_FOUND;
}

static int open_named(const char *dir, struct journal **ret_journal, bool *ret_whole)
{
    spn_err err = try_open(dir, ret_journal, ret_whole);
    return err == SPN_OK ? CLI_OK : open_failed(dir, err);
}

static const char *user_dir(char *path)
{
    const char *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    if (xdg && *xdg)
        snprintf(path, PATH_SIZE, "%s/sponson", xdg);
    else if (home && *home)
        snprintf(path, PATH_SIZE, "%s/.local/share/sponson", home);
    else
        return NULL;
    return path;
}

static const char system_dir[] = "/var/lib/sponson";

static int fail_none(const char *user)
{
    char why[PATH_SIZE + 128];
    snprintf(why, sizeof(why),
             "none that can be read in %s%s%s; name its directory with --data-dir", system_dir,
             user ? " or " : "", user ? user : "");
    cli_error("database", why);
    return CLI_NOT_FOUND;
}

int data_dir_find(const char *given, char ret_path[DATA_DIR_PATH_SIZE])
{
    char path[PATH_SIZE];
    char file[PATH_SIZE + 16];
    const char *from_environment = getenv("SPONSON_DATA_DIR");
    const char *named = given ? given : from_environment;
    if (named && *named) {
        snprintf(ret_path, PATH_SIZE, "%s", named);
        return CLI_OK;
    }
    const char *dirs[] = {system_dir, user_dir(path)};
    for (size_t i = 0; i < 2 && dirs[i]; i++) {
        snprintf(file, sizeof(file), "%s/data.mdb", dirs[i]);
        if (access(file, R_OK) != 0)
            continue;
        snprintf(ret_path, PATH_SIZE, "%s", dirs[i]);
        return CLI_OK;
    }
    return fail_none(dirs[1]);
}

int data_dir_open(const char *given, struct journal **ret_journal, bool *ret_whole)
{
    char path[PATH_SIZE];
    const char *from_environment = getenv("SPONSON_DATA_DIR");
    if (given)
        return open_named(given, ret_journal, ret_whole);
    if (from_environment && *from_environment)
        return open_named(from_environment, ret_journal, ret_whole);

    const char *dirs[] = {system_dir, user_dir(path)};
    for (size_t i = 0; i < 2 && dirs[i]; i++) {
        spn_err err = try_open(dirs[i], ret_journal, ret_whole);
        if (err != SPN_E_PATH)
            return err == SPN_OK ? CLI_OK : open_failed(dirs[i], err);
    }
    return fail_none(dirs[1]);
}
