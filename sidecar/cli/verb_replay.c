/* SPDX-License-Identifier: Apache-2.0 */
/* verb_replay: a session's events from the sidecar, up to the newest that is durable. */
#include "cli.h"

#include <stdio.h>
#include <unistd.h>

#include "event_text.h"
#include "text.h"

struct replay {
    struct cli_words words;
    struct cli_common common;
    struct spn_bytes session;
    struct spn_bytes after; /* an event id; size 0: from the earliest */
    enum event_format format;

    spn_client *client;
    struct out out;
    int exit_code;
};

enum { KEY_AFTER = CLI_KEY, KEY_FORMAT };

static const struct argp_option options[] = {
    {"after", KEY_AFTER, "ID", 0, "only what comes after the event with this id", 0},
    {"format", KEY_FORMAT, "sse|jsonl", 0,
     "jsonl: an object a line, as `sponson dump` prints them (default); sse: text/event-stream", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct replay *replay = state->input;
    switch (key) {
    case KEY_AFTER:
        replay->after = cli_event_id(arg);
        return 0;
    case KEY_FORMAT:
        replay->format = cli_format(arg);
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &replay->words, &replay->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION",
    .doc =
        "Print the events of a session from the earliest retained to the newest that is on disk.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* The words name what was looked for and not found, not what was done. */
static int replay_failed(const struct replay *replay, spn_err err)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (err == SPN_E_UNKNOWN_ID)
        snprintf(what, sizeof(what), "event id %s", text_quote(replay->after, quoted));
    else
        snprintf(what, sizeof(what), "session %s", text_quote(replay->session, quoted));
    return cli_fail(what, err, NULL);
}

static void put_event(struct replay *replay, const struct spn_event *event)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (replay->format == EVENT_JSONL) {
        event_put_json(&replay->out, replay->session, event);
        return;
    }
    spn_err err = event_put_sse(&replay->out, event);
    if (err == SPN_OK)
        return;
    snprintf(what, sizeof(what), "event %s", text_quote(event->id, quoted));
    replay->exit_code = cli_fail(what, err, "left out, --format jsonl can print it");
}

static void tell_missing(uint64_t missing)
{
    char why[CLI_TEXT_SIZE];
    if (missing == 0)
        return;
    snprintf(why, sizeof(why), "%llu events before these are no longer retained",
             (unsigned long long)missing);
    cli_warn("retention", why);
}

static int run(struct replay *replay)
{
    spn_replay *events;
    struct spn_event event;
    int timeout_ms = cli_timeout_ms(&replay->common);
    spn_err err =
        spn_replay_open(&events, replay->client, replay->session, replay->after, timeout_ms);
    if (err != SPN_OK)
        return replay_failed(replay, err);
    while ((err = spn_replay_next(events, timeout_ms, &event)) == SPN_OK) {
        put_event(replay, &event);
        if (!out_settle(&replay->out)) /* cli_finish says why */
            break;
    }
    if (err == SPN_E_END)
        tell_missing(spn_replay_missing(events));
    else if (err != SPN_OK)
        replay->exit_code = replay_failed(replay, err);
    spn_replay_close(events);
    return replay->exit_code;
}

int verb_replay(int argc, char **argv)
{
    struct replay replay = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1},
        .format = EVENT_JSONL,
    };
    cli_parse(&argp, argc, argv, &replay);
    replay.session = cli_session(replay.words.at[0]);
    int exit_code = cli_connect(&replay.common, &replay.client);
    if (exit_code != CLI_OK)
        return exit_code;
    out_init(&replay.out, STDOUT_FILENO);
    exit_code = run(&replay);
    exit_code = cli_finish(&replay.out, exit_code);
    spn_client_close(replay.client);
    return exit_code;
}
