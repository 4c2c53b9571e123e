/* SPDX-License-Identifier: Apache-2.0 */
/* verb_open: opens a session with attributes, or sets those of one that is there. */
#include "cli/cli.h"

#include "cli/session_change.h"

struct open {
    struct cli_words words;
    struct cli_common common;
    struct spn_attributes attributes;
    struct spn_publish_options options;
};

enum { KEY_TTL = CLI_KEY, KEY_IDLE_CLOSE, KEY_CONTENT_TYPE, KEY_NOTE, KEY_IF_NEW };

static const struct argp_option options[] = {
    {"ttl", KEY_TTL, "TIME", 0,
     "delete it after so long without an event, a touch or a close, such as 90s, 30m, 12h, 7d; a "
     "number without a unit is in seconds (default: the sidecar's --session-ttl)",
     0},
    {"idle-close", KEY_IDLE_CLOSE, "TIME", 0,
     "close it after so long without an event or a touch (default: never)", 0},
    {"content-type", KEY_CONTENT_TYPE, "TYPE", 0, "of its events' data, for readers", 0},
    {"note", KEY_NOTE, "TEXT", 0, "up to 4,096 bytes of your own", 0},
    {"if-new", KEY_IF_NEW, 0, 0, "only if there is no such session; otherwise exit with 1", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct open *open = state->input;
    switch (key) {
    case KEY_TTL:
        open->attributes.ttl_ms = cli_span_ms("--ttl", arg);
        return 0;
    case KEY_IDLE_CLOSE:
        open->attributes.idle_close_ms = cli_span_ms("--idle-close", arg);
        return 0;
    case KEY_CONTENT_TYPE:
        open->attributes.content_type = spn_text(arg);
        return 0;
    case KEY_NOTE:
        open->attributes.note = spn_text(arg);
        return 0;
    case KEY_IF_NEW:
        open->options.if_new = true;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &open->words, &open->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION",
    .doc = "Open a session without an event, with attributes. For a session that is there, set its "
           "attributes: all of them, so what is not given is taken away."
           "\vA closed session stays closed; standard error reports that. Exits with 1 if --if-new "
           "does "
           "not hold.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

static spn_err publish(spn_client *client, struct spn_bytes session, const void *argument,
                       int timeout_ms, const struct spn_published **ret_published)
{
    const struct open *open = argument;
    return spn_set_once(client, session, &open->attributes, &open->options, timeout_ms,
                        ret_published);
}

int verb_open(int argc, char **argv)
{
    struct open open = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1},
        .attributes = {.size = sizeof(struct spn_attributes)},
        .options = {.size = sizeof(struct spn_publish_options)},
    };
    cli_parse(&argp, argc, argv, &open);
    char what[CLI_TEXT_SIZE];
    struct session_changed changed;
    struct spn_bytes session = cli_session(open.words.at[0]);
    int exit_code = session_change_run(&open.common, publish, session, &open, &changed);
    if (exit_code == CLI_OK && changed.closed)
        cli_warn(cli_session_words(session, what), "is closed, and stays closed");
    else if (exit_code == CLI_OK)
        cli_say_done(cli_session_words(session, what), "is open");
    return exit_code;
}
