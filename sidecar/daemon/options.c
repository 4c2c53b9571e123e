/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state/tracker.h"
#include "base/log.h"
#include "base/version.h"
#include "wire.h"

#define MIB (UINT64_C(1) << 20)
#define TIME_MS_MAX (36500 * UINT64_C(86400000)) /* a century, so that sums do not overflow */
#define AT(field) CONFIG_AT(struct options, field)

enum {
    HWM_MAX = 1 << 20,
    QUOTA_EVENTS = 4, /* of the largest size */
};

static const struct config_option table[] = {
    CONFIG_OWN_OPTIONS(OPTIONS_FILE),
    {.name = "data-dir",
     .argument = "DIR",
     .help = "Directory of the database; it must exist (default: /var/lib/sponson, or for ordinary "
             "users $XDG_DATA_HOME/sponson, created if missing)",
     .kind = CONFIG_PATH,
     AT(data_dir)},
    {.name = "socket-dir",
     .argument = "DIR",
     .help = "Directory of ingest.sock and read.sock; it must exist (default: /run/sponson, or for "
             "ordinary users $XDG_RUNTIME_DIR/sponson, created if missing)",
     .kind = CONFIG_PATH,
     AT(socket_dir)},
    {.name = "wait-lock",
     .argument = "SECONDS",
     .help = "Wait this long for another daemon on the same directories to end",
     .fallback = "0",
     .kind = CONFIG_NUMBER,
     AT(wait_lock_s),
     .most = 86400},
    {.name = "ready-fd",
     .argument = "N",
     .help = "Write a line to file descriptor N when clients can connect, then close it",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_ONLY_ON_LINE,
     .most = INT_MAX},
    {.name = "socket-mode",
     .argument = "OCTAL",
     .help = "Mode of the sockets",
     .fallback = "0660",
     .kind = CONFIG_MODE,
     AT(socket_mode)},
    {.name = "socket-group",
     .argument = "GROUP",
     .help = "Group of the sockets, and of their directory if the daemon creates it (default: not "
             "changed); a name or a number. Clients also need search permission on the directory: "
             "if not all of them are in one group, the daemon creates it so that everybody has it",
     .kind = CONFIG_GROUP,
     AT(socket_group)},
    {.name = "ingest-mode",
     .argument = "OCTAL",
     .help = "Mode of ingest.sock, through which sessions are changed (default: --socket-mode)",
     .kind = CONFIG_MODE,
     AT(ingest_rights.mode)},
    {.name = "ingest-group",
     .argument = "GROUP",
     .help = "Group of ingest.sock (default: --socket-group)",
     .kind = CONFIG_GROUP,
     AT(ingest_rights.group)},
    {.name = "read-mode",
     .argument = "OCTAL",
     .help = "Mode of read.sock, through which sessions are read (default: --socket-mode)",
     .kind = CONFIG_MODE,
     AT(read_rights.mode)},
    {.name = "read-group",
     .argument = "GROUP",
     .help = "Group of read.sock (default: --socket-group)",
     .kind = CONFIG_GROUP,
     AT(read_rights.group)},
    {.name = "log-level",
     .argument = "LEVEL",
     .help = "Least level of the lines that are logged: error, warning, info or debug",
     .fallback = "info",
     .kind = CONFIG_WORD,
     .how = CONFIG_RELOADS,
     AT(log_level),
     .words = log_levels},
    {.name = "log-format",
     .argument = "FORMAT",
     .help = "Form of the lines that are logged: logfmt (key=value) or json",
     .fallback = "logfmt",
     .kind = CONFIG_WORD,
     .how = CONFIG_RELOADS,
     AT(log_format),
     .words = log_formats},
    {.name = "quota",
     .argument = "BYTES",
     .help = "Maximum size of the database. Near it, the oldest events are deleted; then the "
             "sessions that have been idle longest expire. The file may become a quarter and 128M "
             "larger, since deleting needs room. K, M and G are powers of 1,024, in all options",
     .fallback = "4G",
     .kind = CONFIG_BYTES,
     .how = CONFIG_RELOADS,
     AT(quota_bytes),
     .least = MIB,
     .most = UINT64_C(1) << 46},
    {.name = "retention-events",
     .argument = "N",
     .help = "Keep the newest N events of a session; 0: no limit",
     .fallback = "65536",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_RELOADS,
     AT(retention_events),
     .most = UINT64_MAX},
    {.name = "retention-bytes",
     .argument = "BYTES",
     .help = "Keep the newest BYTES of a session's data; 0: no limit",
     .fallback = "16M",
     .kind = CONFIG_BYTES,
     .how = CONFIG_RELOADS,
     AT(retention_bytes),
     .most = UINT64_MAX},
    {.name = "retention-age",
     .argument = "TIME",
     .help = "Keep events for TIME, such as 500ms, 90s, 30m, 12h, 7d; 0: no limit. A number "
             "without a unit is in seconds, in all options that take a TIME",
     .fallback = "0",
     .kind = CONFIG_TIME_MS,
     .how = CONFIG_RELOADS,
     AT(retention_age_ms),
     .most = TIME_MS_MAX},
    {.name = "session-ttl",
     .argument = "TIME",
     .help = "A session expires when nobody has published to it for TIME; 0: never. It may expire "
             "up to --row-interval late, because the time of its newest event is written with "
             "that delay",
     .fallback = "24h",
     .kind = CONFIG_TIME_MS,
     .how = CONFIG_RELOADS,
     AT(session_ttl_ms),
     .most = TIME_MS_MAX},

    {.name = "clock-catch-up-max",
     .argument = "TIME",
     .help = "Ages include the time in which the daemon did not run. After a restart of the "
             "machine, the wall clock gives that time. It is counted only forward, and at most "
             "TIME; 0: not at all",
     .fallback = "7d",
     .kind = CONFIG_TIME_MS,
     .how = CONFIG_RELOADS,
     AT(clock_catch_up_max_ms),
     .most = TIME_MS_MAX},
    {.name = "hot-sessions",
     .argument = "N",
     .help = "Approximate number of sessions whose state is held in memory",
     .fallback = "131072",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_RELOADS,
     AT(hot_sessions_max),
     .least = 1,
     .most = 1 << 30},
    {.name = "producer-ttl",
     .argument = "TIME",
     .help = "Forget a producer id when nothing was received from it for TIME; 0: never",
     .fallback = "7d",
     .kind = CONFIG_TIME_MS,
     .how = CONFIG_RELOADS,
     AT(producer_ttl_ms),
     .most = TIME_MS_MAX},
    {.name = "producers",
     .argument = "N",
     .help = "Maximum number of known producer ids",
     .fallback = "65536",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_RELOADS,
     AT(producers_max),
     .least = 1,
     .most = 1 << 24},
    {.name = "event-data-max",
     .argument = "BYTES",
     .help = "Maximum size of an event's data, at most 16M and a quarter of --quota. A reload can "
             "raise it up to about double",
     .fallback = "4M",
     .kind = CONFIG_BYTES,
     .how = CONFIG_RELOADS,
     AT(event_data_max),
     .least = 1,
     .most = WIRE_EVENT_DATA_MAX},
    {.name = "window",
     .argument = "IDS",
     .help = "Number of recent ids per session among which duplicates are found, at most 16384",
     .fallback = "128",
     .kind = CONFIG_NUMBER,
     AT(window_max),
     .least = 1,
     .most = TRACKER_WINDOW_MAX},
    {.name = "queue-events",
     .argument = "N",
     .help = "High-water mark of the queue to disk, in events",
     .fallback = "65536",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_RELOADS,
     AT(queue_events_max),
     .least = 1,
     .most = 1 << 24},
    {.name = "queue-bytes",
     .argument = "BYTES",
     .help = "High-water mark of the queue to disk, in bytes",
     .fallback = "64M",
     .kind = CONFIG_BYTES,
     .how = CONFIG_RELOADS,
     AT(queue_bytes_max),
     .least = 1,
     .most = UINT64_C(1) << 36},
    {.name = "ingest-hwm",
     .argument = "N",
     .help = "ZeroMQ's high-water mark of ingest.sock, in batches from each client",
     .fallback = "4", /* of 1 MiB or more: no other limit counts them */
     .kind = CONFIG_NUMBER,
     AT(ingest_hwm),
     .least = 1,
     .most = HWM_MAX},
    {.name = "read-hwm",
     .argument = "N",
     .help = "ZeroMQ's high-water mark of read.sock, in requests from, and answers to, each client",
     .fallback = "256", /* what a peer that does not read can hold */
     .kind = CONFIG_NUMBER,
     AT(read_hwm),
     .least = 1,
     .most = HWM_MAX},
    {.name = "flush-interval",
     .argument = "MS",
     .help = "How long a commit may be delayed if no producer waits for its events, in "
             "milliseconds",
     .fallback = "100",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_RELOADS,
     AT(flush_interval_ms),
     .most = 60000},
    {.name = "row-interval",
     .argument = "MS",
     .help = "How long the index may lag behind the log, in milliseconds",
     .fallback = "60000",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_RELOADS,
     AT(row_interval_ms),
     .least = 1,
     .most = 86400000},
};

/* Two events of the largest size are below the mark from which the oldest are deleted, so that the
 * newest two stay. */
uint32_t options_event_data(const struct options *options)
{
    uint64_t data_max = options->quota_bytes / QUOTA_EVENTS;
    return data_max < options->event_data_max ? (uint32_t)data_max : options->event_data_max;
}

/* -- defaults that are not in the table ---------------------------------------------------------
 */

/* Root's directory, or the user's own. */
static void directory_default(struct config *config, const char *name, const char *system,
                              const char *xdg, const char *home_part)
{
    char path[PATH_MAX];
    const char *base = getenv(xdg);
    const char *home = getenv("HOME");
    if (geteuid() == 0 || ((!base || !base[0]) && (!home_part || !home)))
        (void)snprintf(path, sizeof(path), "%s", system);
    else if (base && base[0])
        (void)snprintf(path, sizeof(path), "%s/sponson", base);
    else
        (void)snprintf(path, sizeof(path), "%s/%s/sponson", home, home_part);
    config_set_default(config, name, path);
}

static void set_defaults(struct config *config)
{
    directory_default(config, "data-dir", "/var/lib/sponson", "XDG_DATA_HOME", ".local/share");
    directory_default(config, "socket-dir", "/run/sponson", "XDG_RUNTIME_DIR", NULL);
}

/* Options of one socket prevail over those of both, wherever they come from. */
static void follow_both(struct config *config)
{
    config_set_default(config, "ingest-mode", config_text(config, "socket-mode"));
    config_set_default(config, "read-mode", config_text(config, "socket-mode"));
    config_set_default(config, "ingest-group", config_text(config, "socket-group"));
    config_set_default(config, "read-group", config_text(config, "socket-group"));
}

/* -- one struct ---------------------------------------------------------------------------------
 */

static const char *group_option(const struct config *config, const char *own)
{
    return config_layer_of(config, own) == CONFIG_DEFAULT ? "socket-group" : own;
}

static bool is_default(const struct config *config, const char *name, const char *path)
{
    const struct config_given *given =
        &config->given[CONFIG_DEFAULT][config_index(config->program, name)];
    return given->count > 0 && strcmp(given->texts[0], path) == 0;
}

static void complete(struct config *config, void *ret_options)
{
    struct options *options = ret_options;
    follow_both(config);
    *options = (struct options){.ready_fd = -1};
    config_apply(config, options);
    options->data_dir_default = is_default(config, "data-dir", options->data_dir);
    options->socket_dir_default = is_default(config, "socket-dir", options->socket_dir);
    options->ingest_rights.group_option = group_option(config, "ingest-group");
    options->read_rights.group_option = group_option(config, "read-group");
}

static const struct config_program program = {
    .name = "sponsond",
    .version = "sponsond " SPONSON_VERSION,
    .prefix = "SPONSON_",
    .file = OPTIONS_FILE,
    .doc = "Store event streams: receive server-sent events over a Unix socket, acknowledge them "
           "when they are on disk, and return them to readers.\v"
           "SIGTERM and SIGINT stop the daemon: it accepts no more events, and has 5 s to write "
           "the accepted ones to disk. The log reports the result. A second signal of either kind "
           "ends it at once.\n\n"
           "Exit codes: 0 stopped by a signal with everything on disk, 1 failure, or ended at "
           "once by a second signal, 2 usage: an option of the command line, the environment or "
           "the configuration file is wrong.",
    .options = table,
    .count = sizeof(table) / sizeof(table[0]),
    .defaults = set_defaults,
    .complete = complete,
};

const struct config_program *options_program(void)
{
    return &program;
}

struct config *options_parse(struct options *ret_options, int argc, char **argv)
{
    struct config *config = config_start(&program, ret_options, argc, argv);
    ret_options->ready_fd = config_descriptor(config, "ready-fd");
    return config;
}
