/* SPDX-License-Identifier: Apache-2.0 */
#include "http/options.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/option_value.h"
#include "base/version.h"
#include "http/origin.h"

#define MS UINT64_C(1000000)
#define KIB ((size_t)1024)
#define SECOND_MS UINT64_C(1000)
#define DAY_MS UINT64_C(86400000)

enum {
    KEY_SOCKET = 256,
    KEY_NO_SOCKET,
    KEY_SOCKET_MODE,
    KEY_SOCKET_GROUP,
    KEY_SOCKET_DIR,
    KEY_LISTEN,
    KEY_ADMIN_LISTEN,
    KEY_KEY_FILE,
    KEY_STATE_DIR,
    KEY_INSECURE_LOOPBACK,
    KEY_ALLOW_ORIGIN,
    KEY_HOST,
    KEY_CONNECTIONS,
    KEY_READERS_PER_SESSION,
    KEY_READERS_PER_TOKEN,
    KEY_HEADER_LIMIT,
    KEY_BODY_LIMIT,
    KEY_MEMORY,
    KEY_WINDOW,
    KEY_HEADER_TIMEOUT,
    KEY_BODY_IDLE,
    KEY_BODY_RATE,
    KEY_HEARTBEAT,
    KEY_STALL,
    KEY_WAIT_UNKNOWN,
    KEY_VERDICT_WAIT,
    KEY_MAX_AGE,
    KEY_LONG_POLL,
    KEY_PUBLISH_TIMEOUT,
    KEY_ASK_TIMEOUT,
    KEY_ACCESS_LOG,
    KEY_READY_FD,
};

static const struct argp_option table[] = {
    {"socket", KEY_SOCKET, "PATH", 0,
     "Unix socket to listen on; its directory must exist (default: $SPONSON_HTTP_SOCKET; if that "
     "is "
     "not set, /run/sponson-http/http.sock, or for ordinary users "
     "$XDG_RUNTIME_DIR/sponson-http.sock)",
     0},
    {"no-socket", KEY_NO_SOCKET, NULL, 0, "Do not listen on a Unix socket", 0},
    {"socket-mode", KEY_SOCKET_MODE, "OCTAL", 0, "Mode of the Unix socket (default 0660)", 0},
    {"socket-group", KEY_SOCKET_GROUP, "GROUP", 0,
     "Group of the Unix socket (default: not changed)", 0},
    {"socket-dir", KEY_SOCKET_DIR, "DIR", 0,
     "Directory of the daemon's sockets (default: as for every client of the daemon)", 0},
    {"listen", KEY_LISTEN, "ADDRESS:PORT", 0,
     "Listen on TCP too. Every user of this host can reach it, so it needs --key-file. Up to 8 "
     "times",
     0},
    {"insecure-loopback", KEY_INSECURE_LOOPBACK, NULL, 0,
     "Take requests without a token on TCP, if all addresses are on loopback. Only for trying it",
     0},
    {"admin-listen", KEY_ADMIN_LISTEN, "ADDRESS:PORT", 0,
     "Serve health, metrics and the page there", 0},
    {"key-file", KEY_KEY_FILE, "FILE", 0,
     "Keys of signed URLs and tokens. SIGHUP reads the file again", 0},
    {"state-dir", KEY_STATE_DIR, "DIR", 0,
     "Keep the id of the gateway's producers there, so that a gateway that is killed and started "
     "again occupies no further place at the daemon. One gateway at a time may use it",
     0},
    {"allow-origin", KEY_ALLOW_ORIGIN, "ORIGIN", 0,
     "Pages of this origin, such as https://app.example, may send requests. Up to 64 times", 0},
    {"host", KEY_HOST, "NAME", 0, "Take requests for this host too. Up to 64 times", 0},
    {"connections", KEY_CONNECTIONS, "N", 0,
     "Most connections of each listening socket; a tenth is kept for requests that are no streams "
     "(default 20000)",
     0},
    {"readers-per-session", KEY_READERS_PER_SESSION, "N", 0,
     "Most streams of one session. One more is ended at once, and comes back later (default 0: no "
     "limit)",
     0},
    {"readers-per-token", KEY_READERS_PER_TOKEN, "N", 0,
     "The same for each token (default 1000; 0: no limit)", 0},
    {"header-limit", KEY_HEADER_LIMIT, "BYTES", 0,
     "Most bytes of a request's target and headers together, 1K to 32K (default 4K). Each "
     "connection "
     "may take so much memory",
     0},
    {"body-limit", KEY_BODY_LIMIT, "BYTES", 0,
     "Most bytes of a body that is not an event stream (default 8M)", 0},
    {"memory", KEY_MEMORY, "BYTES", 0,
     "Most bytes that requests hold in all, each of more than 8K: half for bodies, a quarter for "
     "answers, a quarter for texts of streams. Beyond it requests are answered with 503, and a "
     "stream waits; 16M to 1024G (default 512M)",
     0},
    {"window", KEY_WINDOW, "BYTES", 0, "Bytes that may wait for each stream (default 16K)", 0},
    {"header-timeout", KEY_HEADER_TIMEOUT, "TIME", 0,
     "Longest time for the head of a request; TIME is such as 500ms, 90s, 30m (default 10s)", 0},
    {"body-idle", KEY_BODY_IDLE, "TIME", 0, "Longest silence in a body (default 60s)", 0},
    {"body-rate", KEY_BODY_RATE, "BYTES", 0,
     "Fewest bytes a second of a body that is not an event stream, in each --body-idle (default "
     "100; 0: any)",
     0},
    {"heartbeat", KEY_HEARTBEAT, "TIME", 0,
     "Send a comment after so much silence on a stream (default 15s)", 0},
    {"stall", KEY_STALL, "TIME", 0,
     "Cut a stream whose peer has taken nothing for so long (default 60s)", 0},
    {"wait-unknown", KEY_WAIT_UNKNOWN, "TIME", 0,
     "How long a stream waits for a session that does not exist (default 60s)", 0},
    {"verdict-wait", KEY_VERDICT_WAIT, "TIME", 0,
     "How long the answer of a stream waits for the daemon (default 1s)", 0},
    {"max-age", KEY_MAX_AGE, "TIME", 0,
     "End streams after about so long, so that they come back elsewhere (default 0: never)", 0},
    {"long-poll", KEY_LONG_POLL, "TIME", 0,
     "How long a long poll of a Durable Stream waits for data (default 20s)", 0},
    {"publish-timeout", KEY_PUBLISH_TIMEOUT, "TIME", 0,
     "How long a request that publishes waits for the daemon's answer (default 30s)", 0},
    {"ask-timeout", KEY_ASK_TIMEOUT, "TIME", 0,
     "How long any other request waits for the daemon's answer (default 10s)", 0},
    {"access-log", KEY_ACCESS_LOG, NULL, 0,
     "Write a line to stderr for each request that is over: method, path without query, status, "
     "bytes, milliseconds",
     0},
    {"ready-fd", KEY_READY_FD, "N", 0,
     "Write a line to file descriptor N when requests are taken, then close it", 0},
    {0},
};

static uint64_t duration_ns(const char *option, const char *value, uint64_t least_ms)
{
    uint64_t ms = option_duration_ms(option, value, 365 * DAY_MS);
    if (ms < least_ms)
        option_fail(option, value, "is too short");
    return ms * MS;
}

static void add(const char *option, const char *value, const char **list, size_t *count,
                size_t most)
{
    if (*count == most)
        option_fail(option, value, "is there too often");
    list[(*count)++] = value;
}

static bool parse_limit(int key, const char *value, struct http_options *options)
{
    switch (key) {
    case KEY_CONNECTIONS:
        options->connections_max = (unsigned)option_number("connections", value, 10, 1000000);
        return true;
    case KEY_READERS_PER_SESSION:
        options->readers_per_session =
            (unsigned)option_number("readers-per-session", value, 0, 1000000);
        return true;
    case KEY_READERS_PER_TOKEN:
        options->readers_per_token =
            (unsigned)option_number("readers-per-token", value, 0, 1000000);
        return true;
    case KEY_HEADER_LIMIT:
        options->header_limit = (size_t)option_number("header-limit", value, KIB, 32 * KIB);
        return true;
    case KEY_BODY_LIMIT:
        options->body_max = (size_t)option_number("body-limit", value, KIB, 1024 * KIB * KIB);
        return true;
    case KEY_MEMORY:
        options->memory_max =
            (size_t)option_number("memory", value, 16 * KIB * KIB, 1024 * KIB * KIB * KIB);
        return true;
    case KEY_WINDOW:
        options->window_bytes = (size_t)option_number("window", value, KIB, 64 * KIB * KIB);
        return true;
    case KEY_HEADER_TIMEOUT:
        options->header_ns = duration_ns("header-timeout", value, 1);
        return true;
    case KEY_BODY_IDLE:
        options->body_idle_ns = duration_ns("body-idle", value, 1);
        return true;
    case KEY_BODY_RATE:
        options->body_rate = option_number("body-rate", value, 0, 1024 * KIB * KIB);
        return true;
    case KEY_HEARTBEAT:
        options->heartbeat_ns = duration_ns("heartbeat", value, 1);
        return true;
    case KEY_STALL:
        options->stall_ns = duration_ns("stall", value, 1);
        return true;
    case KEY_WAIT_UNKNOWN:
        options->wait_unknown_ns = duration_ns("wait-unknown", value, 1);
        return true;
    case KEY_VERDICT_WAIT:
        options->verdict_ns = duration_ns("verdict-wait", value, 1);
        return true;
    case KEY_MAX_AGE:
        options->max_age_ns = duration_ns("max-age", value, 0);
        return true;
    case KEY_LONG_POLL:
        options->long_poll_ns = duration_ns("long-poll", value, 1);
        return true;
    case KEY_PUBLISH_TIMEOUT:
        options->publish_ns = duration_ns("publish-timeout", value, 1);
        return true;
    case KEY_ASK_TIMEOUT:
        options->ask_ns = duration_ns("ask-timeout", value, 1);
        return true;
    default:
        return false;
    }
}

static bool parse_socket(int key, const char *value, struct http_options *options)
{
    switch (key) {
    case KEY_SOCKET:
        option_path("socket", value, options->socket);
        return true;
    case KEY_NO_SOCKET:
        options->socket[0] = '\0';
        return true;
    case KEY_SOCKET_MODE:
        options->socket_mode = option_mode("socket-mode", value);
        return true;
    case KEY_SOCKET_GROUP:
        options->socket_group = option_group("socket-group", value);
        return true;
    case KEY_SOCKET_DIR:
        options->socket_dir = value;
        return true;
    case KEY_LISTEN:
        add("listen", value, options->listen, &options->listen_count, LISTEN_MAX);
        return true;
    case KEY_ADMIN_LISTEN:
        options->admin_listen = value;
        return true;
    default:
        return false;
    }
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct http_options *options = state->input;
    if (parse_limit(key, value, options) || parse_socket(key, value, options))
        return 0;
    switch (key) {
    case KEY_KEY_FILE:
        options->key_file = value;
        return 0;
    case KEY_STATE_DIR:
        options->state_dir = value;
        return 0;
    case KEY_INSECURE_LOOPBACK:
        options->insecure_loopback = true;
        return 0;
    case KEY_ALLOW_ORIGIN:
        if (!origin_is_valid(value))
            option_fail("allow-origin", value, "is not scheme://host[:port] in lower case");
        add("allow-origin", value, options->origins, &options->origins_count, ORIGINS_MAX);
        return 0;
    case KEY_HOST:
        add("host", value, options->hosts, &options->hosts_count, ORIGINS_MAX);
        return 0;
    case KEY_ACCESS_LOG:
        options->access_log = true;
        return 0;
    case KEY_READY_FD:
        options->ready_fd = (int)option_number("ready-fd", value, 0, INT_MAX);
        if (fcntl(options->ready_fd, F_GETFD) < 0)
            option_fail("ready-fd", value, "not open");
        return 0;
    case ARGP_KEY_ARG:
        (void)fprintf(stderr, "sponson-http: unexpected argument: %s\n", value);
        exit(OPTION_EXIT_USAGE);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void socket_default(char *ret_path)
{
    const char *value = getenv("SPONSON_HTTP_SOCKET");
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (value != NULL && value[0] != '\0')
        option_path("socket", value, ret_path);
    else if (geteuid() == 0 || base == NULL || base[0] == '\0')
        (void)snprintf(ret_path, PATH_MAX, "/run/sponson-http/http.sock");
    else
        (void)snprintf(ret_path, PATH_MAX, "%s/sponson-http.sock", base);
}

void options_parse(struct http_options *ret_options, int argc, char **argv)
{
    static const struct argp argp = {
        .options = table,
        .parser = parse,
        .doc = "Publish to sessions, and read and resume them, over HTTP.\v"
               "SIGTERM and SIGINT stop the gateway: requests that publish get their answers, and "
               "streams are ended so that browsers come back. SIGHUP reads the key file again.\n\n"
               "Exit codes: 0 stopped by a signal, 1 failure, such as a --state-dir that another "
               "gateway uses, 2 usage.",
    };
    argp_program_version = "sponson-http " SPONSON_VERSION;
    argp_err_exit_status = OPTION_EXIT_USAGE;
    *ret_options = (struct http_options){
        .socket_mode = 0660,
        .socket_group = (gid_t)-1,
        .connections_max = 20000,
        .readers_per_token = 1000,
        .header_limit = 4 * KIB,
        .event_max = 4 * KIB * KIB,
        .body_max = 8 * KIB * KIB,
        .memory_max = 512 * KIB * KIB,
        .window_bytes = 16 * KIB,
        .header_ns = 10 * SECOND_MS * MS,
        .body_idle_ns = 60 * SECOND_MS * MS,
        .body_rate = 100,
        .heartbeat_ns = 15 * SECOND_MS * MS,
        .stall_ns = 60 * SECOND_MS * MS,
        .wait_unknown_ns = 60 * SECOND_MS * MS,
        .verdict_ns = SECOND_MS * MS,
        .long_poll_ns = 20 * SECOND_MS * MS,
        .publish_ns = 30 * SECOND_MS * MS,
        .ask_ns = 10 * SECOND_MS * MS,
        .ready_fd = -1,
    };
    socket_default(ret_options->socket);
    if (argp_parse(&argp, argc, argv, 0, NULL, ret_options) != 0)
        exit(OPTION_EXIT_USAGE);
    if (ret_options->listen_count > 0 && ret_options->key_file == NULL &&
        !ret_options->insecure_loopback)
        option_fail("listen", ret_options->listen[0],
                    "TCP needs --key-file, since every user of this host can reach it "
                    "(--insecure-loopback to try it without)");
}
