/* SPDX-License-Identifier: Apache-2.0 */
/* prepare: the directories that the daemon works in, and their locks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own_files.h"
#include "daemon/main_base.h"
#include "err.h"
#include "wire.h"

enum { MAP_RESERVE = 128 << 20 };

/* Logs an error with its subject and reason. True: there is no error. */
static bool check_thing(spn_err err, const char *event, const char *key, const char *thing,
                        const char *detail)
{
    char quoted[2][LOG_QUOTED_MAX];
    if (err == SPN_OK)
        return true;
    const char *why = detail ? detail : err == SPN_E_SYSTEM ? strerror(errno) : err_text(err);
    log_error(event, "code=%s %s=%s reason=%s", err_name(err), key, log_quote(thing, quoted[0]),
              log_quote(why, quoted[1]));
    return false;
}

bool daemon_check(spn_err err, const char *event, const char *subject, const char *detail)
{
    return check_thing(err, event, "subject", subject, detail);
}

bool daemon_check_dir(spn_err err, const char *event, const char *dir, const char *detail)
{
    return check_thing(err, event, "dir", dir, detail);
}

bool daemon_check_database(spn_err err, const char *event, const char *dir)
{
    char why[512];
    if (err == SPN_OK)
        return true;
    if (err == SPN_E_CORRUPT && *journal_detail())
        return daemon_check_dir(err, event, dir, journal_detail());
    snprintf(why, sizeof(why), "%s (%s)", err_text(err), journal_detail());
    return daemon_check_dir(err, event, dir, why);
}

static bool make_parents(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof(part), "%s", path);
    for (char *at = strchr(part + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return false;
        *at = '/';
    }
    return true;
}

/* Who may pass a directory that the daemon creates, beside its own user. */
struct passers {
    gid_t group; /* OPTIONS_NO_GROUP: the daemon's own */
    bool all;
};

/* One group, if that is who may use the sockets; otherwise all, since a directory has one group.
 * The sockets keep out who may not use them. */
static struct passers passers_of(const struct options *options)
{
    const struct socket_rights *ingest = &options->ingest_rights;
    const struct socket_rights *read = &options->read_rights;
    bool one = ingest->group == read->group;
    return (struct passers){.group = one ? ingest->group : OPTIONS_NO_GROUP,
                            .all = !one || ((ingest->mode | read->mode) & S_IRWXO) != 0};
}

/* passers: they may pass it, whatever the umask says: sockets do not follow it either. NULL: nobody
 * needs to, and the umask may keep out more. */
static bool make_dir(const char *path, const struct passers *passers)
{
    if (!make_parents(path))
        return false;
    if (mkdir(path, 0750) != 0)
        return errno == EEXIST;
    if (!passers)
        return true;
    if (passers->group != OPTIONS_NO_GROUP && chown(path, (uid_t)-1, passers->group) != 0)
        return false;
    return chmod(path, passers->all ? 0751 : 0750) == 0;
}

/* For an ordinary user without a runtime directory, the default is root's directory. */
static bool say_unusable(const char *what, const char *path, bool make, const char *reason)
{
    char why[256];
    bool lost =
        make && strcmp(what, "socket_dir") == 0 && geteuid() != 0 && !getenv("XDG_RUNTIME_DIR");
    snprintf(why, sizeof(why), "%s%s", reason,
             lost ? "; XDG_RUNTIME_DIR is not set: name a directory with --socket-dir" : "");
    return daemon_check_dir(SPN_E_PATH, what, path, why);
}

static bool keeps_out(const struct stat *status, gid_t group)
{
    mode_t pass = status->st_gid == group ? S_IXGRP : S_IXOTH;
    return group != OPTIONS_NO_GROUP && (status->st_mode & pass) == 0;
}

/* A directory that others made is not changed. */
static void check_groups(const struct options *options)
{
    const struct socket_rights *const rights[] = {&options->ingest_rights, &options->read_rights};
    const char *path = options->socket_dir;
    char quoted[LOG_QUOTED_MAX];
    struct stat status;
    if (stat(path, &status) != 0)
        return;
    for (size_t i = 0; i < 2; i++)
        if (keeps_out(&status, rights[i]->group) &&
            (i == 0 || rights[0]->group_option != rights[1]->group_option))
            log_warning("socket_dir",
                        "dir=%s reason=\"the group of --%s has no search permission on it\"",
                        log_quote(path, quoted), rights[i]->group_option);
}

static bool prepare_dir(const char *what, const char *path, bool make,
                        const struct passers *passers)
{
    struct stat status;
    if (make && stat(path, &status) != 0 && errno == ENOENT && !make_dir(path, passers))
        return say_unusable(what, path, make, strerror(errno));
    if (stat(path, &status) != 0)
        return daemon_check_dir(SPN_E_PATH, what, path, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return daemon_check_dir(SPN_E_PATH, what, path, "not a directory");
    if (access(path, W_OK | X_OK) != 0)
        return say_unusable(what, path, make, "not writable");
    return true;
}

bool daemon_check_file(const char *dir, const char *name, mode_t kind)
{
    char path[PATH_MAX + 32];
    const char *reason = own_files_check(dir, name, kind);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return check_thing(reason ? SPN_E_PATH : SPN_OK, "not_ours", "file", path, reason);
}

/* A user who may write to the data directory can make us write elsewhere. A user who may write to
 * the sockets' directory, but not remove our files in it, can only keep us from starting. */
static bool check_writers(const struct options *options)
{
    char quoted[2][LOG_QUOTED_MAX];
    struct stat status;
    const char *reason = own_files_check_dir(options->data_dir);
    if (reason)
        return daemon_check_dir(SPN_E_PATH, "data_dir", options->data_dir, reason);
    reason = own_files_check_dir(options->socket_dir);
    if (reason && stat(options->socket_dir, &status) == 0 && (status.st_mode & S_ISVTX) == 0)
        log_warning("socket_dir", "dir=%s reason=%s", log_quote(options->socket_dir, quoted[0]),
                    log_quote(reason, quoted[1]));
    return true;
}

static bool take_lock(struct daemon *daemon, struct lockfile *lockfile, const char *dir)
{
    pid_t holder = 0;
    unsigned wait_s = daemon->options.wait_lock_s;
    if (!daemon_check_file(dir, LOCKFILE_NAME, S_IFREG))
        return false;
    if (wait_s > 0)
        notify_extend(&daemon->notify, (wait_s * 1000ull + NOTIFY_PART_MS) * 1000000);
    spn_err err = lockfile_take(lockfile, dir, wait_s * 1000, &holder);
    if (err != SPN_E_IN_USE)
        return daemon_check_dir(err, "lock_failed", dir, NULL);
    char quoted[LOG_QUOTED_MAX];
    log_error("already_running", "pid=%ld dir=%s", (long)holder, log_quote(dir, quoted));
    return false;
}

static bool check_socket_path(const struct options *options)
{
    size_t size = strlen(options->socket_dir) + strlen("/ingest.sock");
    if (size <= endpoint_path_max())
        return true;
    char quoted[LOG_QUOTED_MAX];
    log_error("socket_path_too_long", "length=%zu limit=%zu dir=%s", size, endpoint_path_max(),
              log_quote(options->socket_dir, quoted));
    return false;
}

bool daemon_same_dir(const char *a, const char *b)
{
    struct stat status[2];
    return stat(a, &status[0]) == 0 && stat(b, &status[1]) == 0 &&
           status[0].st_dev == status[1].st_dev && status[0].st_ino == status[1].st_ino;
}

uint64_t daemon_map_bytes(const struct options *options)
{
    return options->quota_bytes + options->quota_bytes / 4 + MAP_RESERVE;
}

/* What a full batch has, or one event of the largest size. */
static int64_t entries_max(const struct options *options)
{
    int64_t event = (int64_t)options_event_data(options) + WIRE_ID_MAX + WIRE_TYPE_MAX +
                    WIRE_SESSION_MAX + WIRE_ENTRY_HEAD_SIZE;
    return event > WIRE_BATCH_BYTES_MAX ? event : WIRE_BATCH_BYTES_MAX;
}

/* The limit is larger than what is needed, so that the sender of a frame that is too large gets an
 * error instead of a disconnect. */
int64_t daemon_frame_max(const struct options *options)
{
    return 2 * entries_max(options) + WIRE_HEADER_SIZE + WIRE_BATCH_HEAD_SIZE;
}

bool daemon_fits_frame(const struct options *options, int64_t frame_max)
{
    return entries_max(options) + WIRE_HEADER_SIZE + WIRE_BATCH_HEAD_SIZE <= frame_max;
}

struct retention daemon_rule(const struct options *options)
{
    return (struct retention){
        .events_max = options->retention_events,
        .bytes_max = options->retention_bytes,
        .age_max_ns = options->retention_age_ms * 1000000u,
    };
}

bool daemon_prepare(struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    const struct passers clients = passers_of(options);
    if (!check_socket_path(options) ||
        !prepare_dir("data_dir", options->data_dir, options->data_dir_default, NULL) ||
        !prepare_dir("socket_dir", options->socket_dir, options->socket_dir_default, &clients))
        return false;
    check_groups(options);
    return check_writers(options) && take_lock(daemon, &daemon->data_lock, options->data_dir) &&
           (daemon_same_dir(options->data_dir, options->socket_dir) ||
            take_lock(daemon, &daemon->socket_lock, options->socket_dir));
}
