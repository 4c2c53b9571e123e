/* SPDX-License-Identifier: Apache-2.0 */
#include "http/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "http/origin.h"

#define KIB UINT64_C(1024)
#define YEAR_MS (365 * UINT64_C(86400000))
#define AT(field) CONFIG_AT(struct http_options, field)

static bool is_origin(const char *value, const char **why)
{
    *why = "is not scheme://host[:port] in lower case";
    return origin_is_valid(value);
}

static const struct config_option table[] = {
    CONFIG_OWN_OPTIONS(OPTIONS_FILE),
    {.name = "socket",
     .argument = "PATH",
     .help =
         "Unix socket to listen on; its directory must exist (default: "
         "/run/sponson-http/http.sock, or for ordinary users $XDG_RUNTIME_DIR/sponson-http.sock)",
     .kind = CONFIG_PATH,
     AT(socket)},
    {.name = "no-socket",
     .help = "Do not listen on a Unix socket",
     .kind = CONFIG_FLAG,
     AT(no_socket)},
    {.name = "socket-mode",
     .argument = "OCTAL",
     .help = "Mode of the Unix socket",
     .fallback = "0660",
     .kind = CONFIG_MODE,
     AT(socket_mode)},
    {.name = "socket-group",
     .argument = "GROUP",
     .help = "Group of the Unix socket (default: not changed)",
     .kind = CONFIG_GROUP,
     AT(socket_group)},
    {.name = "socket-dir",
     .argument = "DIR",
     .help = "Directory of the daemon's sockets (default: as for every client of the daemon)",
     .kind = CONFIG_TEXT,
     AT(socket_dir),
     .variable = "SPONSON_SOCKET_DIR"},
    {.name = "listen",
     .argument = "ADDRESS:PORT",
     .help = "Listen on TCP too. Every user of this host can reach it, so it needs --key-file. Up "
             "to 8 times",
     .kind = CONFIG_LIST,
     AT(listen),
     .most = LISTEN_MAX},
    {.name = "insecure-loopback",
     .help = "Take requests without a token on TCP, if all addresses are on loopback. Only for "
             "trying it",
     .kind = CONFIG_FLAG,
     AT(insecure_loopback)},
    {.name = "admin-listen",
     .argument = "ADDRESS:PORT",
     .help = "Serve health, metrics and the page there",
     .kind = CONFIG_TEXT,
     AT(admin_listen)},
    {.name = "key-file",
     .argument = "FILE",
     .help = "Keys of signed URLs and tokens. SIGHUP reads the file again",
     .kind = CONFIG_TEXT,
     AT(key_file)},
    {.name = "state-dir",
     .argument = "DIR",
     .help =
         "Keep the id of the gateway's producers there, so that a gateway that is killed and "
         "started again occupies no further place at the daemon. One gateway at a time may use it",
     .kind = CONFIG_TEXT,
     AT(state_dir)},
    {.name = "allow-origin",
     .argument = "ORIGIN",
     .help = "Pages of this origin, such as https://app.example, may send requests. Up to 64 times",
     .kind = CONFIG_LIST,
     AT(origins),
     .most = ORIGINS_MAX,
     .check = is_origin},
    {.name = "host",
     .argument = "NAME",
     .help = "Take requests for this host too. Up to 64 times",
     .kind = CONFIG_LIST,
     AT(hosts),
     .most = ORIGINS_MAX},
    {.name = "connections",
     .argument = "N",
     .help = "Most connections of each listening socket; a tenth is kept for requests that are no "
             "streams",
     .fallback = "20000",
     .kind = CONFIG_NUMBER,
     AT(connections_max),
     .least = 10,
     .most = 1000000},
    {.name = "readers-per-session",
     .argument = "N",
     .help = "Most streams of one session. One more is ended at once, and comes back later; 0: no "
             "limit",
     .fallback = "0",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_RELOADS,
     AT(readers_per_session),
     .most = 1000000},
    {.name = "readers-per-token",
     .argument = "N",
     .help = "The same for each token; 0: no limit",
     .fallback = "1000",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_RELOADS,
     AT(readers_per_token),
     .most = 1000000},
    {.name = "header-limit",
     .argument = "BYTES",
     .help = "Most bytes of a request's target and headers together, 1K to 32K. Each "
             "connection may take so much memory",
     .fallback = "4K",
     .kind = CONFIG_BYTES,
     AT(header_limit),
     .least = KIB,
     .most = 32 * KIB},
    {.name = "body-limit",
     .argument = "BYTES",
     .help = "Most bytes of a body that is not an event stream",
     .fallback = "8M",
     .kind = CONFIG_BYTES,
     .how = CONFIG_RELOADS,
     AT(body_max),
     .least = KIB,
     .most = 1024 * KIB * KIB},
    {.name = "memory",
     .argument = "BYTES",
     .help = "Most bytes that requests hold in all, each of more than 8K: half for bodies, a "
             "quarter for answers, a quarter for texts of streams. Beyond it requests are answered "
             "with 503, and a stream waits; 16M to 1024G",
     .fallback = "512M",
     .kind = CONFIG_BYTES,
     AT(memory_max),
     .least = 16 * KIB * KIB,
     .most = 1024 * KIB * KIB * KIB},
    {.name = "window",
     .argument = "BYTES",
     .help = "Bytes that may wait for each stream",
     .fallback = "16K",
     .kind = CONFIG_BYTES,
     .how = CONFIG_RELOADS,
     AT(window_bytes),
     .least = KIB,
     .most = 64 * KIB * KIB},
    {.name = "header-timeout",
     .argument = "TIME",
     .help = "Longest time for the head of a request; TIME is such as 500ms, 90s, 30m",
     .fallback = "10s",
     .kind = CONFIG_TIME_NS,
     AT(header_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "body-idle",
     .argument = "TIME",
     .help = "Longest silence in a body",
     .fallback = "60s",
     .kind = CONFIG_TIME_NS,
     AT(body_idle_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "body-rate",
     .argument = "BYTES",
     .help =
         "Fewest bytes a second of a body that is not an event stream, in each --body-idle; 0: any",
     .fallback = "100",
     .kind = CONFIG_BYTES,
     AT(body_rate),
     .most = 1024 * KIB * KIB},
    {.name = "heartbeat",
     .argument = "TIME",
     .help = "Send a comment after so much silence on a stream",
     .fallback = "15s",
     .kind = CONFIG_TIME_NS,
     .how = CONFIG_RELOADS,
     AT(heartbeat_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "stall",
     .argument = "TIME",
     .help = "Cut a stream whose peer has taken nothing for so long",
     .fallback = "60s",
     .kind = CONFIG_TIME_NS,
     AT(stall_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "wait-unknown",
     .argument = "TIME",
     .help = "How long a stream waits for a session that does not exist",
     .fallback = "60s",
     .kind = CONFIG_TIME_NS,
     .how = CONFIG_RELOADS,
     AT(wait_unknown_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "verdict-wait",
     .argument = "TIME",
     .help = "How long the answer of a stream waits for the daemon",
     .fallback = "1s",
     .kind = CONFIG_TIME_NS,
     .how = CONFIG_RELOADS,
     AT(verdict_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "max-age",
     .argument = "TIME",
     .help = "End streams after about so long, so that they come back elsewhere; 0: never",
     .fallback = "0",
     .kind = CONFIG_TIME_NS,
     .how = CONFIG_RELOADS,
     AT(max_age_ns),
     .most = YEAR_MS},
    {.name = "long-poll",
     .argument = "TIME",
     .help = "How long a long poll of a Durable Stream waits for data",
     .fallback = "20s",
     .kind = CONFIG_TIME_NS,
     .how = CONFIG_RELOADS,
     AT(long_poll_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "publish-timeout",
     .argument = "TIME",
     .help = "How long a request that publishes waits for the daemon's answer",
     .fallback = "30s",
     .kind = CONFIG_TIME_NS,
     .how = CONFIG_RELOADS,
     AT(publish_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "ask-timeout",
     .argument = "TIME",
     .help = "How long any other request waits for the daemon's answer",
     .fallback = "10s",
     .kind = CONFIG_TIME_NS,
     .how = CONFIG_RELOADS,
     AT(ask_ns),
     .least = 1,
     .most = YEAR_MS},
    {.name = "access-log",
     .help = "Write a line to stderr for each request that is over: method, path without query, "
             "status, bytes, milliseconds",
     .kind = CONFIG_FLAG,
     AT(access_log)},
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
    {.name = "ready-fd",
     .argument = "N",
     .help = "Write a line to file descriptor N when requests are taken, then close it",
     .kind = CONFIG_NUMBER,
     .how = CONFIG_ONLY_ON_LINE,
     .most = INT_MAX},
};

static void set_defaults(struct config *config)
{
    char path[PATH_MAX];
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (geteuid() == 0 || base == NULL || base[0] == '\0')
        (void)snprintf(path, sizeof(path), "/run/sponson-http/http.sock");
    else
        (void)snprintf(path, sizeof(path), "%s/sponson-http.sock", base);
    config_set_default(config, "socket", path);
}

/* Whether no socket prevails over a socket that is named. */
static bool has_no_socket(const struct config *config)
{
    return config_has_flag(config, "no-socket") &&
           config_layer_of(config, "socket") <= config_layer_of(config, "no-socket");
}

static void complete(struct config *config, void *ret_options)
{
    struct http_options *options = ret_options;
    *options = (struct http_options){.event_max = 4 * KIB * KIB, .ready_fd = -1};
    config_apply(config, options);
    if (has_no_socket(config))
        options->socket[0] = '\0';
    if (options->listen.count > 0 && options->key_file == NULL && !options->insecure_loopback)
        config_wrong(config,
                     "--listen %s: TCP needs --key-file, since every user of this host can reach "
                     "it (--insecure-loopback to try it without)",
                     options->listen.items[0]);
}

static const struct config_program program = {
    .name = "sponson-http",
    .version = "sponson-http " SPONSON_VERSION,
    .prefix = "SPONSON_HTTP_",
    .file = OPTIONS_FILE,
    .doc = "Publish to sessions, and read and resume them, over HTTP.\v"
           "SIGTERM and SIGINT stop the gateway: requests that publish get their answers, and "
           "streams are ended so that browsers come back. SIGHUP reads the key file again.\n\n"
           "Exit codes: 0 stopped by a signal, 1 failure, such as a --state-dir that another "
           "gateway uses, 2 usage: an option of the command line, the environment or the "
           "configuration file is wrong.",
    .options = table,
    .count = sizeof(table) / sizeof(table[0]),
    .defaults = set_defaults,
    .complete = complete,
};

const struct config_program *options_program(void)
{
    return &program;
}

struct config *options_parse(struct http_options *ret_options, int argc, char **argv)
{
    struct config *config = config_start(&program, ret_options, argc, argv);
    ret_options->ready_fd = config_descriptor(config, "ready-fd");
    return config;
}
