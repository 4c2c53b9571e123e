/* SPDX-License-Identifier: Apache-2.0 */
/* options: command line, environment and configuration file -> one checked struct.
 *
 * options.c has the table of all options: their names, help, defaults, limits, and which of them a
 * reload may change.
 *
 * Threads  the main thread.
 */
#ifndef SPN_OPTIONS_H
#define SPN_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"

#define OPTIONS_FILE "/etc/sponson/sponson.yaml"
#define OPTIONS_NO_GROUP ((gid_t)-1)

/* Who may use a socket. */
struct socket_rights {
    mode_t mode;
    gid_t group;              /* OPTIONS_NO_GROUP: not changed */
    const char *group_option; /* the option that named the group */
};

struct options {
    char data_dir[PATH_MAX];
    char socket_dir[PATH_MAX];
    bool data_dir_default; /* the default: created if it is missing */
    bool socket_dir_default;
    unsigned wait_lock_s; /* how long to wait for another daemon to end */
    int ready_fd;         /* -1: none. When ready, the daemon writes a line to it and closes it */
    mode_t socket_mode;   /* of both sockets, where they have none of their own */
    gid_t socket_group;
    struct socket_rights ingest_rights;
    struct socket_rights read_rights;
    unsigned log_level;        /* enum log_level */
    unsigned log_format;       /* enum log_format */
    uint64_t quota_bytes;      /* of the database */
    uint64_t retention_events; /* per session; 0: no limit, as for the next ones */
    uint64_t retention_bytes;
    uint64_t retention_age_ms;
    uint64_t session_ttl_ms;        /* idle sessions expire */
    uint64_t clock_catch_up_max_ms; /* limit of what a start adds to ages from the wall clock */
    uint32_t hot_sessions_max;      /* trackers in memory */
    uint64_t producer_ttl_ms;       /* silent producers are forgotten; 0: never */
    uint32_t producers_max;
    uint32_t event_data_max; /* bytes; see options_event_data */
    uint16_t window_max;     /* ids per session */
    uint32_t queue_events_max;
    uint64_t queue_bytes_max;
    uint32_t ingest_hwm; /* ZeroMQ's, in messages to and from each client */
    uint32_t read_hwm;
    uint32_t flush_interval_ms;
    uint32_t row_interval_ms;
};

const struct config_program *options_program(void);

/* Ends the program on --help, --version, --check-config and --print-config (exit code 0), and if
 * an option is wrong (2), with the reasons on stderr. Returns where the values come from: the
 * caller's, to be kept as long as the options. */
struct config *options_parse(struct options *ret_options, int argc, char **argv);

/* The largest event that is taken: event_data_max, but at most a quarter of the quota. */
uint32_t options_event_data(const struct options *options);

#endif
