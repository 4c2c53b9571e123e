/* SPDX-License-Identifier: Apache-2.0 */
/* verb_close: closes a session, which then takes no more events. */
#include "cli/cli.h"

#include "cli/session_change.h"
#include "wire.h"

struct close {
    struct cli_words words;
    struct cli_common common;
    struct spn_life life;
    struct spn_publish_options options;
};

enum { KEY_LIFE = CLI_KEY, KEY_REASON };

static const struct argp_option options[] = {
    {"life", KEY_LIFE, "LIFE", 0, SESSION_CHANGE_LIFE_HELP, 0},
    {"reason", KEY_REASON, "TEXT", 0, "why, for its readers: up to 64 bytes", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct close *close = state->input;
    switch (key) {
    case KEY_LIFE:
        close->life = cli_life("--life", arg);
        close->options.life = &close->life;
        return 0;
    case KEY_REASON:
        close->options.reason = cli_text("--reason", arg, wire_check_reason);
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &close->words, &close->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION",
    .doc = "Close a session, and wait until that is on disk. A closed session accepts no more "
           "events. Its subscribers are informed that it has ended. Its stored events can still be "
           "read."
           "\vExits with 0 also if the session was already closed; standard error reports that. "
           "Exits with 3 if there is no such session, or if the session does not have the life of "
           "--life.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

static spn_err publish(spn_client *client, struct spn_bytes session, const void *argument,
                       int timeout_ms, const struct spn_published **ret_published)
{
    const struct close *close = argument;
    return spn_close_once_with(client, session, &close->options, timeout_ms, ret_published);
}

int verb_close(int argc, char **argv)
{
    struct close close = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1},
        .options = {.size = sizeof(struct spn_publish_options)},
    };
    char what[CLI_TEXT_SIZE];
    struct session_changed changed;
    cli_parse(&argp, argc, argv, &close);
    struct spn_bytes session = cli_session(close.words.at[0]);
    int exit_code = session_change_run(&close.common, publish, session, &close, &changed);
    if (exit_code == CLI_OK && changed.result == SPN_DUPLICATE)
        cli_warn(cli_session_words(session, what), "was already closed");
    else if (exit_code == CLI_OK)
        cli_say_done("closed", cli_session_words(session, what));
    return exit_code;
}
