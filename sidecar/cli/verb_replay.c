/* SPDX-License-Identifier: Apache-2.0 */
/* verb_replay: prints a session's events from the sidecar, up to the newest durable one. It is a
 * tail from the earliest event, which ends when it has caught up. */
#include "cli/cli.h"

#include "cli/follow.h"
#include "cli/since.h"

struct replay {
    struct cli_words words;
    struct cli_common common;
    struct follow follow;
};

enum { KEY_AFTER = CLI_KEY, KEY_SINCE, KEY_FORMAT };

static const struct argp_option options[] = {
    {"after", KEY_AFTER, "ID", 0,
     "only what comes after the event with this id, or after a cursor, spn:LIFE:SEQ, as `sponson "
     "last --cursor` prints it; '': from the earliest",
     0},
    {"since", KEY_SINCE, "TIME", 0, SINCE_HELP, 0},
    {"format", KEY_FORMAT, "sse|jsonl", 0, FOLLOW_FORMAT_HELP, 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct replay *replay = state->input;
    switch (key) {
    case KEY_AFTER:
        if (*arg != '\0') /* none, as in spn_replay_open: from the earliest */
            replay->follow.after = cli_event_id(arg);
        return 0;
    case KEY_SINCE:
        replay->follow.since_ms = cli_since_ms(arg);
        return 0;
    case KEY_FORMAT:
        replay->follow.format = cli_format(arg);
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &replay->words, &replay->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION",
    .doc = "Print the events of a session, closed or not, from the earliest retained event to the "
           "newest event on disk. `sponson tail --earliest --exit-when-caught-up` does the same.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

int verb_replay(int argc, char **argv)
{
    struct replay replay = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1},
        .follow = {.earliest = true, .exit_when_caught_up = true, .format = EVENT_JSONL},
    };
    cli_parse(&argp, argc, argv, &replay);
    replay.follow.common = &replay.common;
    replay.follow.session = cli_session(replay.words.at[0]);
    return follow_run(&replay.follow);
}
