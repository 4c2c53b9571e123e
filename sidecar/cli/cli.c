/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/event_text.h"
#include "cli/help.h"
#include "cli/look.h"
#include "cli/since.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/text.h"
#include "wire.h"

enum {
    ASK_WHY_MS = 1000,
    SILENT_MS = 1000, /* wait for a sidecar this long before printing so */
};

/* -- errors ------------------------------------------------------------------------------------ */

static int exit_of(spn_err err)
{
    switch (err) {
    case SPN_OK:
        return CLI_OK;
    case SPN_E_BAD_SESSION:
    case SPN_E_BAD_ID:
    case SPN_E_PATH:
        return CLI_USAGE;
    case SPN_E_UNKNOWN_SESSION:
    case SPN_E_UNKNOWN_ID:
    case SPN_E_OTHER_LIFE:
    case SPN_E_DELETED:
        return CLI_NOT_FOUND;
    case SPN_E_TIMEOUT:
        return CLI_TIMEOUT;
    case SPN_E_UNAVAILABLE:
        return CLI_NO_SIDECAR;
    default:
        return CLI_FAILURE;
    }
}

/* The library's hint names the option that is for both sockets. */
static void tell_rights(const char *detail)
{
    if (!strstr(detail, strerrordesc_np(EACCES)))
        return;
    if (strstr(detail, "/ingest.sock: "))
        cli_warn("ingest.sock", "sponsond's --ingest-group and --ingest-mode, or --socket-group, "
                                "say who may write");
    else if (strstr(detail, "/read.sock: "))
        cli_warn("read.sock", "sponsond's --read-group and --read-mode, or --socket-group, say who "
                              "may read");
}

int cli_fail(const char *what, spn_err err, const char *detail)
{
    char why[CLI_TEXT_SIZE];
    const char *text = spn_err_text(err);
    size_t what_size = strlen(what);
    if (detail && strncmp(detail, what, what_size) == 0 &&
        strncmp(detail + what_size, ": ", 2) == 0)
        detail += what_size + 2; /* the library's text already names it */
    if (!detail || !*detail || strcmp(detail, text) == 0)
        snprintf(why, sizeof(why), "%s", text);
    else if (err == SPN_E_CORRUPT || err == SPN_E_PATH || strstr(detail, text)) /* it says more */
        snprintf(why, sizeof(why), "%s", detail);
    else
        snprintf(why, sizeof(why), "%s: %s", text, detail);
    cli_error(what, why);
    if (err == SPN_E_PATH && detail)
        tell_rights(detail);
    return exit_of(err);
}

void cli_tell_trouble(spn_client *client)
{
    const struct spn_health *health;
    if (spn_get_health(client, ASK_WHY_MS, &health) == SPN_OK && health->status == SPN_DEGRADED)
        cli_warn("the sidecar is degraded", health->reason);
}

int cli_fail_client(const char *what, spn_client *client, spn_err err)
{
    int exit_code = cli_fail(what, err, spn_client_detail(client));
    if (err == SPN_E_TIMEOUT)
        cli_tell_trouble(client);
    return exit_code;
}

int cli_fail_errno(const char *what)
{
    int number = errno;
    cli_error(what, strerrordesc_np(number));
    return number == ENOENT ? CLI_NOT_FOUND : CLI_FAILURE;
}

const char *cli_session_words(struct spn_bytes session, char ret_text[CLI_TEXT_SIZE])
{
    char quoted[TEXT_QUOTED_SIZE];
    snprintf(ret_text, CLI_TEXT_SIZE, "session %s", text_quote(session, quoted));
    return ret_text;
}

int cli_fail_session(struct spn_bytes session, spn_err err)
{
    char what[CLI_TEXT_SIZE];
    return cli_fail(cli_session_words(session, what), err, NULL);
}

int cli_fail_asking(struct spn_bytes session, spn_client *client, spn_err err)
{
    char what[CLI_TEXT_SIZE];
    bool answered = err != SPN_E_PATH && err != SPN_E_TIMEOUT && err != SPN_E_UNAVAILABLE;
    return answered ? cli_fail_session(session, err)
                    : cli_fail_client(cli_session_words(session, what), client, err);
}

/* -- options ----------------------------------------------------------------------------------- */

enum { KEY_SOCKET_DIR = CLI_COMMON_KEY, KEY_TIMEOUT };

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
    struct cli_common *common = state->input;
    switch (key) {
    case KEY_SOCKET_DIR:
        common->socket_dir = arg;
        return 0;
    case KEY_TIMEOUT:
        common->timeout_ms = cli_wait_ms("--timeout", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option common_options[] = {
    {"socket-dir", KEY_SOCKET_DIR, "DIR", 0,
     "directory of the sidecar's sockets (default: $SPONSON_SOCKET_DIR; if that is not set, the "
     "first of /run/sponson and $XDG_RUNTIME_DIR/sponson that has sockets)",
     10},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "how long to wait for the sidecar (default: 5)", 10},
    {0},
};

/* Replaces the help of --timeout for a verb that waits for more than one answer. */
static char *filter_help(int key, const char *text, void *input)
{
    const struct cli_common *common = input;
    if (key != KEY_TIMEOUT || !common || !common->timeout_help)
        return (char *)(uintptr_t)text; /* argp's convention for: unchanged */
    return strdup(common->timeout_help);
}

const struct argp cli_common_argp = {
    .options = common_options, .parser = parse_common, .help_filter = filter_help};

void cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    struct argp with_examples = *argp;
    with_examples.help_filter = help_filter;
    argp_err_exit_status = CLI_USAGE;
    help_check_options(argp, argc, argv, false);
    if (argp_parse(&with_examples, argc, argv, 0, NULL, input) != 0)
        exit(CLI_USAGE);
}

static void take_word(struct cli_words *words, char *arg)
{
    char quoted[TEXT_QUOTED_SIZE];
    if (words && words->count < words->count_max)
        words->at[words->count++] = arg;
    else
        cli_usage(text_quote(spn_text(arg), quoted), "one argument too many");
}

error_t cli_parse_rest(int key, char *arg, struct argp_state *state, struct cli_words *words,
                       struct cli_common *common)
{
    switch (key) {
    case ARGP_KEY_INIT:
        state->err_stream = NULL;
        if (common)
            state->child_inputs[0] = common;
        return 0;
    case ARGP_KEY_ARG:
        take_word(words, arg);
        return 0;
    case ARGP_KEY_END:
        if (words && words->count < words->count_min)
            cli_usage(words->name, "missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* why NULL: the argument is good. */
static void check_time(const char *option, const char *text, const char *why)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (!why)
        return;
    snprintf(what, sizeof(what), "%s %s", option, text_quote(spn_text(text), quoted));
    cli_usage(what, why);
}

int cli_wait_ms(const char *option, const char *text)
{
    int ms = 0;
    check_time(option, text, text_wait(text, &ms));
    return ms;
}

uint64_t cli_span_ms(const char *option, const char *text)
{
    uint64_t ms = 0;
    check_time(option, text, text_span(text, &ms));
    return ms;
}

uint64_t cli_since_ms(const char *text)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    uint64_t ms = 0;
    if (!since_parse(text, clock_wall_ms(), &ms)) {
        snprintf(what, sizeof(what), "--since %s", text_quote(spn_text(text), quoted));
        cli_usage(what, "neither a span, such as 10m or 7d, nor a time, such as 2026-01-31 or "
                        "2026-01-31T08:30:00Z");
    }
    return ms;
}

struct spn_life cli_life(const char *option, const char *text)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    struct spn_life life = {{0}};
    if (spn_life_parse(spn_text(text), &life) != SPN_OK) {
        snprintf(what, sizeof(what), "%s %s", option, text_quote(spn_text(text), quoted));
        cli_usage(what, "not the 32 hexadecimal digits of a life");
    }
    return life;
}

uint64_t cli_count(const char *option, const char *text, uint64_t min, uint64_t max)
{
    char what[CLI_TEXT_SIZE];
    char why[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    uint64_t count = 0;
    if (!text_count(text, min, max, &count)) {
        snprintf(what, sizeof(what), "%s %s", option, text_quote(spn_text(text), quoted));
        snprintf(why, sizeof(why), "not a number from %llu to %llu", (unsigned long long)min,
                 (unsigned long long)max);
        cli_usage(what, why);
    }
    return count;
}

enum event_format cli_format(const char *text)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (strcmp(text, "jsonl") == 0)
        return EVENT_JSONL;
    if (strcmp(text, "sse") == 0)
        return EVENT_SSE;
    snprintf(what, sizeof(what), "--format %s", text_quote(spn_text(text), quoted));
    cli_usage(what, "neither sse nor jsonl");
}

struct spn_bytes cli_text(const char *what, const char *text, cli_check *check)
{
    char named[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    struct spn_bytes bytes = spn_text(text);
    spn_err err = check(bytes);
    if (err != SPN_OK) {
        snprintf(named, sizeof(named), "%s %s", what, text_quote(bytes, quoted));
        cli_usage(named, spn_err_text(err));
    }
    return bytes;
}

struct spn_bytes cli_session(const char *text)
{
    return cli_text("session", text, wire_check_session);
}

struct spn_bytes cli_name_part(const char *option, const char *text)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    struct spn_bytes name = spn_text(text);
    if (name.size > WIRE_SESSION_MAX) {
        snprintf(what, sizeof(what), "%s %s", option, text_quote(name, quoted));
        cli_usage(what, "longer than 255 bytes, the limit of a session id");
    }
    return name;
}

static spn_err check_event_id(struct spn_bytes id)
{
    return id.size > 0 ? wire_check_id(id) : SPN_E_BAD_ID;
}

struct spn_bytes cli_event_id(const char *text)
{
    return cli_text("event id", text, check_event_id);
}

/* -- the sidecar ------------------------------------------------------------------------------- */

int cli_timeout_ms(const struct cli_common *common)
{
    return common->timeout_ms < 0 ? CLI_TIMEOUT_MS : common->timeout_ms;
}

static spn_err connect_within(const struct cli_common *common, int timeout_ms,
                              spn_client **ret_client, char ret_detail[CLI_TEXT_SIZE])
{
    struct spn_client_options options = {
        .size = sizeof(options),
        .socket_dir = common->socket_dir,
        .at_once = common->at_once,
    };
    ret_detail[0] = '\0';
    return spn_client_open(ret_client, &options, timeout_ms, ret_detail, CLI_TEXT_SIZE);
}

/* Explains the delay to a person at the terminal. */
static void say_waiting(spn_err err, const char *dir, int timeout_ms)
{
    char what[CLI_TEXT_SIZE];
    char why[CLI_TEXT_SIZE];
    snprintf(what, sizeof(what), "%s%s%s",
             err == SPN_E_TIMEOUT ? "waiting for an answer" : "waiting for a sidecar",
             dir ? " in " : "", dir ? dir : "");
    snprintf(why, sizeof(why), "for %.0f s", timeout_ms / 1000.0);
    cli_warn(what, why);
}

static int fail_to_connect(spn_err err, const char *dir, const char *detail)
{
    char what[CLI_TEXT_SIZE];
    const char *text = spn_err_text(err);
    if (err == SPN_E_PATH) { /* the detail has the path and what is wrong with it */
        cli_error(detail, NULL);
        tell_rights(detail);
        return exit_of(err);
    }
    if (err != SPN_E_UNAVAILABLE)
        return cli_fail(dir ? dir : "sidecar", err, detail);
    bool begins = strncmp(detail, text, strlen(text)) == 0;
    snprintf(what, sizeof(what), "%s%s%s", begins ? "" : text, begins ? "" : ": ", detail);
    cli_error(what, "start sponsond, or name its directory with --socket-dir or "
                    "SPONSON_SOCKET_DIR");
    return exit_of(err);
}

int cli_connect(const struct cli_common *common, spn_client **ret_client)
{
    char detail[CLI_TEXT_SIZE];
    const char *dir = common->socket_dir ? common->socket_dir : getenv("SPONSON_SOCKET_DIR");
    int left_ms = cli_timeout_ms(common);
    int first_ms = left_ms < SILENT_MS ? left_ms : SILENT_MS;
    if (dir && !*dir)
        dir = NULL;
    spn_err err = connect_within(common, first_ms, ret_client, detail);
    left_ms -= first_ms;
    if (left_ms > 0 && (err == SPN_E_TIMEOUT || (err == SPN_E_UNAVAILABLE && !common->at_once))) {
        say_waiting(err, dir, cli_timeout_ms(common));
        err = connect_within(common, left_ms, ret_client, detail);
    }
    return err == SPN_OK ? CLI_OK : fail_to_connect(err, dir, detail);
}

/* -- output ------------------------------------------------------------------------------------ */

int cli_finish(struct out *out, int exit_code)
{
    if (!out_flush(out)) {
        errno = out->error;
        cli_fail_errno("stdout");
        exit_code = exit_code == CLI_OK ? CLI_FAILURE : exit_code;
    }
    out_release(out);
    return exit_code;
}

int cli_put_json(struct out *out, json_t *json)
{
    char *line = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    if (!line)
        return cli_fail("JSON", SPN_E_NOMEM, NULL);
    json_put_line(out, (struct spn_bytes){line, strlen(line)});
    free(line);
    return CLI_OK;
}

json_t *cli_json_bytes(struct spn_bytes bytes)
{
    struct out encoded;
    if (text_is_utf8(bytes))
        return json_stringn(bytes.size > 0 ? bytes.data : "", bytes.size);
    out_init(&encoded, -1);
    base64_put(&encoded, bytes);
    json_t *json = encoded.error ? NULL : json_stringn(encoded.data, encoded.size);
    out_release(&encoded);
    return json;
}

json_t *cli_json_encoding(struct spn_bytes bytes)
{
    return text_is_utf8(bytes) ? NULL : json_string("base64");
}

json_t *cli_json_time(uint64_t time_ms)
{
    char text[TEXT_TIME_SIZE];
    text_time(time_ms, text);
    return json_string(text);
}
