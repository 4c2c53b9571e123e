/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <argp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/database_clock.h"
#include "state/tracker.h"
#include "base/option_value.h"
#include "base/version.h"
#include "wire.h"

enum {
    INGEST_HWM_DEFAULT = 4, /* batches of 1 MiB or more: no other limit counts them */
    READ_HWM_DEFAULT = 256, /* answers and deliveries that a peer that does not read can hold */
    HWM_MAX = 1 << 20,

    KEY_DATA_DIR = 256,
    KEY_SOCKET_DIR,
    KEY_WAIT_LOCK,
    KEY_READY_FD,
    KEY_SOCKET_MODE,
    KEY_SOCKET_GROUP,
    KEY_INGEST_MODE,
    KEY_INGEST_GROUP,
    KEY_READ_MODE,
    KEY_READ_GROUP,
    KEY_QUOTA,
    KEY_RETENTION_EVENTS,
    KEY_RETENTION_BYTES,
    KEY_RETENTION_AGE,
    KEY_SESSION_TTL,
    KEY_CLOCK_CATCH_UP_MAX,
    KEY_HOT_SESSIONS,
    KEY_PRODUCER_TTL,
    KEY_PRODUCERS,
    KEY_EVENT_DATA_MAX,
    KEY_WINDOW,
    KEY_QUEUE_EVENTS,
    KEY_QUEUE_BYTES,
    KEY_INGEST_HWM,
    KEY_READ_HWM,
    KEY_FLUSH_INTERVAL,
    KEY_ROW_INTERVAL,
};

#define MIB (1024ull * 1024)
#define NO_MODE ((mode_t)-1)              /* not given */
#define TIME_MS_MAX (36500ull * 86400000) /* a hundred years, so that sums do not overflow */

static const struct argp_option table[] = {
    {"data-dir", KEY_DATA_DIR, "DIR", 0,
     "Directory of the database; it must exist (default: $SPONSON_DATA_DIR; if that is not set, "
     "/var/lib/sponson, or for ordinary users $XDG_DATA_HOME/sponson, created if missing)",
     0},
    {"socket-dir", KEY_SOCKET_DIR, "DIR", 0,
     "Directory of ingest.sock and read.sock; it must exist (default: $SPONSON_SOCKET_DIR; if that "
     "is not set, /run/sponson, or for ordinary users $XDG_RUNTIME_DIR/sponson, created if "
     "missing)",
     0},
    {"wait-lock", KEY_WAIT_LOCK, "SECONDS", 0,
     "Wait this long for another daemon on the same directories to end (default 0)", 0},
    {"ready-fd", KEY_READY_FD, "N", 0,
     "Write a line to file descriptor N when clients can connect, then close it", 0},
    {"socket-mode", KEY_SOCKET_MODE, "OCTAL", 0, "Mode of the sockets (default 0660)", 0},
    {"socket-group", KEY_SOCKET_GROUP, "GROUP", 0,
     "Group of the sockets, and of their directory if the daemon creates it (default: not "
     "changed); a name or a number. Clients also need search permission on the directory: if not "
     "all of them are in one group, the daemon creates it so that everybody has it",
     0},
    {"ingest-mode", KEY_INGEST_MODE, "OCTAL", 0,
     "Mode of ingest.sock, through which sessions are changed (default: --socket-mode)", 0},
    {"ingest-group", KEY_INGEST_GROUP, "GROUP", 0, "Group of ingest.sock (default: --socket-group)",
     0},
    {"read-mode", KEY_READ_MODE, "OCTAL", 0,
     "Mode of read.sock, through which sessions are read (default: --socket-mode)", 0},
    {"read-group", KEY_READ_GROUP, "GROUP", 0, "Group of read.sock (default: --socket-group)", 0},
    {"quota", KEY_QUOTA, "BYTES", 0,
     "Maximum size of the database. Near it, the oldest events are deleted; then the sessions "
     "that have been idle longest expire. The file may become a quarter and 128M larger, since "
     "deleting needs room (default 4G; K, M and G are powers of 1,024, in all options)",
     0},
    {"retention-events", KEY_RETENTION_EVENTS, "N", 0,
     "Keep the newest N events of a session (default 65536; 0: no limit)", 0},
    {"retention-bytes", KEY_RETENTION_BYTES, "BYTES", 0,
     "Keep the newest BYTES of a session's data (default 16M; 0: no limit)", 0},
    {"retention-age", KEY_RETENTION_AGE, "TIME", 0,
     "Keep events for TIME, such as 500ms, 90s, 30m, 12h, 7d; a number without a unit is in "
     "seconds, in all options that take a TIME (default 0: no limit)",
     0},
    {"session-ttl", KEY_SESSION_TTL, "TIME", 0,
     "A session expires when nobody has published to it for TIME (default 24h; 0: never). It may "
     "expire up to --row-interval late, because the time of its newest event is written with that "
     "delay",
     0},
    {"clock-catch-up-max", KEY_CLOCK_CATCH_UP_MAX, "TIME", 0,
     "Ages include the time in which the daemon did not run. After a restart of the machine, the "
     "wall clock gives that time. It is counted only forward, and at most TIME (default 7d; 0: not "
     "at all)",
     0},
    {"hot-sessions", KEY_HOT_SESSIONS, "N", 0,
     "Approximate number of sessions whose state is held in memory (default 131072)", 0},
    {"producer-ttl", KEY_PRODUCER_TTL, "TIME", 0,
     "Forget a producer id when nothing was received from it for TIME (default 7d; 0: never)", 0},
    {"producers", KEY_PRODUCERS, "N", 0, "Maximum number of known producer ids (default 65536)", 0},
    {"event-data-max", KEY_EVENT_DATA_MAX, "BYTES", 0,
     "Maximum size of an event's data (default 4M, at most 16M and a quarter of --quota)", 0},
    {"window", KEY_WINDOW, "IDS", 0,
     "Number of recent ids per session among which duplicates are found (default 128, at most "
     "16384)",
     0},
    {"queue-events", KEY_QUEUE_EVENTS, "N", 0,
     "High-water mark of the queue to disk, in events (default 65536)", 0},
    {"queue-bytes", KEY_QUEUE_BYTES, "BYTES", 0,
     "High-water mark of the queue to disk, in bytes (default 64 MiB)", 0},
    {"ingest-hwm", KEY_INGEST_HWM, "N", 0,
     "ZeroMQ's high-water mark of ingest.sock, in batches from each client (default 4)", 0},
    {"read-hwm", KEY_READ_HWM, "N", 0,
     "ZeroMQ's high-water mark of read.sock, in requests from, and answers to, each client "
     "(default 256)",
     0},
    {"flush-interval", KEY_FLUSH_INTERVAL, "MS", 0,
     "How long a commit may be delayed if no producer waits for its events (default 100)", 0},
    {"row-interval", KEY_ROW_INTERVAL, "MS", 0,
     "How long the index may lag behind the log (default 60000)", 0},
    {0},
};

static void set_group(struct socket_rights *rights, const char *option, const char *value)
{
    rights->group = option_group(option, value);
    rights->group_option = option;
}

/* Options of one socket, and of both: the former prevail, in whatever order they come. */
struct given {
    struct options *options;
    struct socket_rights both;
};

static error_t parse_rights(int key, const char *value, struct given *given)
{
    struct options *options = given->options;
    switch (key) {
    case KEY_SOCKET_MODE:
        given->both.mode = option_mode("socket-mode", value);
        return 0;
    case KEY_SOCKET_GROUP:
        set_group(&given->both, "socket-group", value);
        return 0;
    case KEY_INGEST_MODE:
        options->ingest_rights.mode = option_mode("ingest-mode", value);
        return 0;
    case KEY_INGEST_GROUP:
        set_group(&options->ingest_rights, "ingest-group", value);
        return 0;
    case KEY_READ_MODE:
        options->read_rights.mode = option_mode("read-mode", value);
        return 0;
    case KEY_READ_GROUP:
        set_group(&options->read_rights, "read-group", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void complete_rights(struct socket_rights *rights, const struct socket_rights *both)
{
    if (rights->mode == NO_MODE)
        rights->mode = both->mode;
    if (rights->group == OPTIONS_NO_GROUP) {
        rights->group = both->group;
        rights->group_option = both->group_option;
    }
}

static error_t parse_limit(int key, const char *value, struct options *options)
{
    switch (key) {
    case KEY_QUOTA:
        options->quota_bytes = option_number("quota", value, MIB, 1ull << 46);
        return 0;
    case KEY_RETENTION_EVENTS:
        options->retention_events = option_number("retention-events", value, 0, UINT64_MAX);
        return 0;
    case KEY_RETENTION_BYTES:
        options->retention_bytes = option_number("retention-bytes", value, 0, UINT64_MAX);
        return 0;
    case KEY_RETENTION_AGE:
        options->retention_age_ms = option_duration_ms("retention-age", value, TIME_MS_MAX);
        return 0;
    case KEY_SESSION_TTL:
        options->session_ttl_ms = option_duration_ms("session-ttl", value, TIME_MS_MAX);
        return 0;
    case KEY_CLOCK_CATCH_UP_MAX:
        options->clock_catch_up_max_ms =
            option_duration_ms("clock-catch-up-max", value, TIME_MS_MAX);
        return 0;
    case KEY_HOT_SESSIONS:
        options->hot_sessions_max = (uint32_t)option_number("hot-sessions", value, 1, 1u << 30);
        return 0;
    case KEY_PRODUCER_TTL:
        options->producer_ttl_ms = option_duration_ms("producer-ttl", value, TIME_MS_MAX);
        return 0;
    case KEY_PRODUCERS:
        options->producers_max = (uint32_t)option_number("producers", value, 1, 1u << 24);
        return 0;
    case KEY_EVENT_DATA_MAX:
        options->event_data_max =
            (uint32_t)option_number("event-data-max", value, 1, WIRE_EVENT_DATA_MAX);
        return 0;
    case KEY_WINDOW:
        options->window_max = (uint16_t)option_number("window", value, 1, TRACKER_WINDOW_MAX);
        return 0;
    case KEY_QUEUE_EVENTS:
        options->queue_events_max = (uint32_t)option_number("queue-events", value, 1, 1u << 24);
        return 0;
    case KEY_QUEUE_BYTES:
        options->queue_bytes_max = option_number("queue-bytes", value, 1, 1ull << 36);
        return 0;
    case KEY_INGEST_HWM:
        options->ingest_hwm = (uint32_t)option_number("ingest-hwm", value, 1, HWM_MAX);
        return 0;
    case KEY_READ_HWM:
        options->read_hwm = (uint32_t)option_number("read-hwm", value, 1, HWM_MAX);
        return 0;
    case KEY_FLUSH_INTERVAL:
        options->flush_interval_ms = (uint32_t)option_number("flush-interval", value, 0, 60000);
        return 0;
    case KEY_ROW_INTERVAL:
        options->row_interval_ms = (uint32_t)option_number("row-interval", value, 1, 86400000);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct given *given = state->input;
    struct options *options = given->options;
    switch (key) {
    case KEY_DATA_DIR:
        option_path("data-dir", value, options->data_dir);
        options->data_dir_default = false;
        return 0;
    case KEY_SOCKET_DIR:
        option_path("socket-dir", value, options->socket_dir);
        options->socket_dir_default = false;
        return 0;
    case KEY_WAIT_LOCK:
        options->wait_lock_s = (unsigned)option_number("wait-lock", value, 0, 86400);
        return 0;
    case KEY_READY_FD:
        options->ready_fd = (int)option_number("ready-fd", value, 0, INT_MAX);
        if (fcntl(options->ready_fd, F_GETFD) < 0)
            option_fail("ready-fd", value, "not open");
        return 0;
    case ARGP_KEY_ARG:
        fprintf(stderr, "sponsond: unexpected argument: %s\n", value);
        exit(OPTION_EXIT_USAGE);
    case ARGP_KEY_END:
        complete_rights(&options->ingest_rights, &given->both);
        complete_rights(&options->read_rights, &given->both);
        return 0;
    default:
        return parse_limit(key, value, options) == 0 ? 0 : parse_rights(key, value, given);
    }
}

/* The directory from the environment, or root's, or the user's own. True: it is a default. */
static bool directory_default(const char *variable, const char *system, const char *xdg,
                              const char *home_part, char *ret_path)
{
    const char *value = getenv(variable);
    if (value && value[0] != '\0' && strlen(value) < PATH_MAX) {
        snprintf(ret_path, PATH_MAX, "%s", value);
        return false;
    }
    const char *base = getenv(xdg);
    const char *home = getenv("HOME");
    if (geteuid() == 0 || ((!base || !base[0]) && (!home_part || !home)))
        snprintf(ret_path, PATH_MAX, "%s", system);
    else if (base && base[0])
        snprintf(ret_path, PATH_MAX, "%s/sponson", base);
    else
        snprintf(ret_path, PATH_MAX, "%s/%s/sponson", home, home_part);
    return true;
}

void options_parse(struct options *ret_options, int argc, char **argv)
{
    static const struct argp argp = {
        .options = table,
        .parser = parse,
        .doc =
            "Store event streams: receive server-sent events over a Unix socket, acknowledge them "
            "when they are on disk, and return them to readers.\v"
            "SIGTERM and SIGINT stop the daemon: it accepts no more events, and has 5 s to write "
            "the accepted ones to disk. The log reports the result. A second signal of either kind "
            "ends it at once. SIGHUP is ignored, with a line in the log.\n\n"
            "Exit codes: 0 stopped by a signal with everything on disk, 1 failure, or ended at "
            "once by a second signal, 2 usage.",
    };
    argp_program_version = "sponsond " SPONSON_VERSION;
    argp_err_exit_status = OPTION_EXIT_USAGE;
    *ret_options = (struct options){
        .ready_fd = -1,
        .ingest_rights = {.mode = NO_MODE, .group = OPTIONS_NO_GROUP},
        .read_rights = {.mode = NO_MODE, .group = OPTIONS_NO_GROUP},
        .quota_bytes = 4096 * MIB,
        .retention_events = 65536,
        .retention_bytes = 16 * MIB,
        .session_ttl_ms = 24 * 3600 * 1000ull,
        .clock_catch_up_max_ms = CLOCK_CATCH_UP_MAX_MS,
        .hot_sessions_max = 131072,
        .producer_ttl_ms = 7 * 86400000ull,
        .producers_max = 65536,
        .event_data_max = WIRE_EVENT_DATA_DEFAULT,
        .window_max = TRACKER_WINDOW_DEFAULT,
        .queue_events_max = 65536,
        .queue_bytes_max = 64 * MIB,
        .ingest_hwm = INGEST_HWM_DEFAULT,
        .read_hwm = READ_HWM_DEFAULT,
        .flush_interval_ms = 100,
        .row_interval_ms = 60000,
    };
    ret_options->data_dir_default =
        directory_default("SPONSON_DATA_DIR", "/var/lib/sponson", "XDG_DATA_HOME", ".local/share",
                          ret_options->data_dir);
    ret_options->socket_dir_default = directory_default(
        "SPONSON_SOCKET_DIR", "/run/sponson", "XDG_RUNTIME_DIR", NULL, ret_options->socket_dir);
    struct given given = {.options = ret_options,
                          .both = {.mode = 0660, .group = OPTIONS_NO_GROUP}};
    if (argp_parse(&argp, argc, argv, 0, NULL, &given) != 0)
        exit(OPTION_EXIT_USAGE);
}
