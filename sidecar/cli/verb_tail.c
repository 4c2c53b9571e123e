/* SPDX-License-Identifier: Apache-2.0 */
/* verb_tail: prints a session's events as they become durable, through restarts of the sidecar. */
#include "cli/cli.h"

#include "cli/follow.h"

struct tail {
    struct cli_words words;
    struct cli_common common;
    struct follow follow;
};

enum { KEY_AFTER = CLI_KEY, KEY_EARLIEST, KEY_FORMAT, KEY_COUNT, KEY_CAUGHT_UP };

static const struct argp_option options[] = {
    {"after", KEY_AFTER, "ID", 0,
     "begin after the event with this id, or after a cursor, spn:LIFE:SEQ, as `sponson last "
     "--cursor` prints it (default: after the newest event)",
     0},
    {"earliest", KEY_EARLIEST, 0, 0, "begin with the earliest retained event", 0},
    {"format", KEY_FORMAT, "sse|jsonl", 0, FOLLOW_FORMAT_HELP, 0},
    {"count", KEY_COUNT, "N", 0, "end after N events", 0},
    {"exit-when-caught-up", KEY_CAUGHT_UP, 0, 0,
     "end after the event that was the newest at the start; do not wait for a session that does "
     "not exist",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct tail *tail = state->input;
    struct follow *follow = &tail->follow;
    switch (key) {
    case KEY_AFTER:
        follow->after = cli_event_id(arg);
        return 0;
    case KEY_EARLIEST:
        follow->earliest = true;
        return 0;
    case KEY_FORMAT:
        follow->format = cli_format(arg);
        return 0;
    case KEY_COUNT:
        follow->count = cli_count("--count", arg, 1, UINT64_MAX);
        return 0;
    case KEY_CAUGHT_UP:
        follow->exit_when_caught_up = true;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &tail->words, &tail->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION",
    .doc = "Print the events of a session as they are stored. Waits for a session that does not "
           "exist yet, and continues after a restart of the sidecar."
           "\vExits with 0 when the session is closed and all of it was printed; standard error "
           "reports that. Exits with 3 when the session is deleted or expires.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

int verb_tail(int argc, char **argv)
{
    struct tail tail = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1,
                   .timeout_help = "how long to wait for the sidecar at the start (default: 5)"},
        .follow = {.format = EVENT_JSONL},
    };
    cli_parse(&argp, argc, argv, &tail);
    if (tail.follow.earliest && tail.follow.after.size > 0)
        cli_usage("--earliest", "cannot be combined with --after");
    tail.follow.common = &tail.common;
    tail.follow.session = cli_session(tail.words.at[0]);
    return follow_run(&tail.follow);
}
