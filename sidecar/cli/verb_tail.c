/* SPDX-License-Identifier: Apache-2.0 */
/* verb_tail: prints events as they become durable, through restarts of the sidecar: those of a
 * session, or everything that happens to all sessions or to those with a prefix. */
#include "cli/cli.h"

#include <stdio.h>

#include "cli/event_text.h"
#include "cli/follow.h"
#include "cli/follow_log.h"
#include "cli/since.h"
#include "wire.h"

struct tail {
    struct cli_words words;
    struct cli_common common;
    struct follow follow;
    struct spn_follow_options log;
    const char *after;  /* as given; NULL: not */
    const char *prefix; /* as given; NULL: not */
    bool all;
};

enum {
    KEY_AFTER = CLI_KEY,
    KEY_SINCE,
    KEY_ALL,
    KEY_PREFIX,
    KEY_TOUCHES,
    KEY_EARLIEST,
    KEY_FORMAT,
    KEY_COUNT,
    KEY_CAUGHT_UP
};

static const struct argp_option options[] = {
    {"after", KEY_AFTER, "ID", 0,
     "begin after the event with this id, or after a cursor, spn:LIFE:SEQ, as `sponson last "
     "--cursor` prints it (default: after the newest event); with --all or --prefix "
     "DATABASE:POSITION, the cursor of a line",
     0},
    {"all", KEY_ALL, 0, 0, "all sessions, in the order of the log", 0},
    {"prefix", KEY_PREFIX, "P", 0, "all sessions whose names begin with P", 0},
    {"touches", KEY_TOUCHES, 0, 0, "with --all or --prefix: touches too", 0},
    {"earliest", KEY_EARLIEST, 0, 0, "begin with the earliest retained event", 0},
    {"since", KEY_SINCE, "TIME", 0, SINCE_HELP, 0},
    {"format", KEY_FORMAT, "sse|jsonl", 0, FOLLOW_FORMAT_HELP, 0},
    {"count", KEY_COUNT, "N", 0, "end after N events; other lines are printed too, but not counted",
     0},
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
        tail->after = arg;
        return 0;
    case KEY_ALL:
        tail->all = true;
        return 0;
    case KEY_PREFIX:
        tail->prefix = arg;
        return 0;
    case KEY_TOUCHES:
        tail->log.touches = true;
        return 0;
    case KEY_EARLIEST:
        follow->earliest = true;
        return 0;
    case KEY_SINCE:
        follow->since_ms = cli_since_ms(arg);
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
    .args_doc = "SESSION\n--all\n--prefix P",
    .doc = "Print the events of a session as they are stored. Waits for a session that does not "
           "exist yet, and continues after a restart of the sidecar."
           "\vExits with 0 when the session is closed and all of it was printed; standard error "
           "reports that. Exits with 3 when the session is deleted or expires.\n\n"
           "With --all or --prefix, a line has a kind: event, marker, reset, open, close, delete, "
           "expire, attributes or touch. Its cursor can be given to --after. It ends only for an "
           "error.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* Begins after the newest entry if nothing else is given. */
static int tail_log(struct tail *tail)
{
    struct spn_follow_options *log = &tail->log;
    if (tail->words.count > 0)
        cli_usage("SESSION", "cannot be combined with --all or --prefix");
    if (tail->all && tail->prefix)
        cli_usage("--all", "cannot be combined with --prefix");
    if (tail->prefix && wire_check_prefix(spn_text(tail->prefix)) != SPN_OK)
        cli_usage("--prefix", spn_err_text(SPN_E_BAD_PREFIX));
    if (tail->after && !log_cursor_parse(tail->after, log->database, &log->position))
        cli_usage("--after", "not DATABASE:POSITION, as the cursor of a line");
    log->size = sizeof(*log);
    log->start = tail->after ? SPN_AFTER_POSITION : tail->follow.earliest ? SPN_EARLIEST : SPN_NOW;
    log->prefix = spn_text(tail->prefix ? tail->prefix : "");
    return follow_log_run(
        &(struct follow_log){.common = &tail->common,
                             .options = *log,
                             .exit_when_caught_up = tail->follow.exit_when_caught_up,
                             .since_ms = tail->follow.since_ms,
                             .count = tail->follow.count,
                             .format = tail->follow.format});
}

int verb_tail(int argc, char **argv)
{
    struct tail tail = {
        .words = {.name = "SESSION", .count_min = 0, .count_max = 1},
        .common = {.timeout_ms = -1,
                   .timeout_help = "how long to wait for the sidecar at the start (default: 5)"},
        .follow = {.format = EVENT_JSONL},
    };
    cli_parse(&argp, argc, argv, &tail);
    if (tail.follow.earliest && tail.after)
        cli_usage("--earliest", "cannot be combined with --after");
    if (tail.follow.since_ms > 0 && !tail.after)
        tail.follow.earliest = true;
    if (tail.all || tail.prefix)
        return tail_log(&tail);
    if (tail.log.touches)
        cli_usage("--touches", "needs --all or --prefix");
    if (tail.words.count == 0)
        cli_usage("SESSION", "missing");
    if (tail.after)
        tail.follow.after = cli_event_id(tail.after);
    tail.follow.common = &tail.common;
    tail.follow.session = cli_session(tail.words.at[0]);
    return follow_run(&tail.follow);
}
