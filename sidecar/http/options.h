/* SPDX-License-Identifier: Apache-2.0 */
/* options: command line, environment and configuration file -> one checked struct.
 *
 * options.c has the table of all options: their names, help, defaults, limits, and which of them a
 * reload may change.
 *
 * Threads  the gateway's only one.
 */
#ifndef SPN_HTTP_OPTIONS_H
#define SPN_HTTP_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"

#define OPTIONS_FILE "/etc/sponson/sponson-http.yaml"

enum { LISTEN_MAX = 8, ORIGINS_MAX = 64 };

struct http_options {
    char socket[PATH_MAX]; /* the Unix socket to listen on; "": none */
    bool no_socket;
    mode_t socket_mode;
    gid_t socket_group;        /* (gid_t)-1: not changed */
    const char *socket_dir;    /* of the daemon; NULL: as the library finds it */
    struct config_list listen; /* ADDRESS:PORT */
    const char *admin_listen;  /* NULL: none */
    const char *key_file;      /* NULL: no keys */
    const char *state_dir;     /* NULL: nothing is kept */
    bool insecure_loopback;    /* TCP on loopback without a key */
    bool access_log;
    unsigned log_level;  /* enum log_level */
    unsigned log_format; /* enum log_format */
    struct config_list origins;
    struct config_list hosts;
    unsigned connections_max;     /* of each door */
    unsigned readers_per_session; /* 0: no limit, for both */
    unsigned readers_per_token;
    size_t header_limit; /* bytes of the target and all headers */
    size_t event_max;    /* bytes of an event's data, until the sidecar has told its own limit */
    size_t body_max;     /* bytes of a body that is not a stream */
    size_t memory_max;   /* that requests hold, see memory.h */
    size_t window_bytes; /* of a reader's subscription */
    uint64_t header_ns;
    uint64_t body_idle_ns;
    uint64_t body_rate; /* bytes a second, in each body_idle_ns */
    uint64_t heartbeat_ns;
    uint64_t stall_ns;        /* a reader that takes no byte for so long is cut */
    uint64_t wait_unknown_ns; /* for a session to be opened */
    uint64_t verdict_ns;      /* how long a stream's answer waits for the sidecar */
    uint64_t max_age_ns;      /* of a stream; 0: no limit */
    uint64_t long_poll_ns;    /* how long a long poll waits for data */
    uint64_t publish_ns;      /* how long a request that publishes waits for the sidecar ... */
    uint64_t ask_ns;          /* ... and one that asks it */
    int ready_fd;             /* -1: none */
};

const struct config_program *options_program(void);

/* Ends the program on --help, --version, --check-config and --print-config (exit code 0), and if
 * an option is wrong (2), with the reasons on stderr. Returns where the values come from: the
 * caller's, to be kept as long as the options. */
struct config *options_parse(struct http_options *ret_options, int argc, char **argv);

#endif
