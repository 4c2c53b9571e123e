/* SPDX-License-Identifier: Apache-2.0 */
/* verb_tail: a session's events as they become durable, through restarts of the sidecar.
 *
 * What has been printed is written out before waiting for more, so that a pipe sees each event at
 * once. */
#include "cli.h"

#include <stdio.h>
#include <unistd.h>

#include "event_text.h"
#include "text.h"

struct tail {
    struct cli_words words;
    struct cli_common common;
    struct spn_bytes session;
    struct spn_bytes after; /* an event id; size 0: none */
    bool earliest;
    bool exit_when_caught_up;
    uint64_t count; /* events to print; 0: no end */
    enum event_format format;

    spn_client *client;
    struct spn_last last; /* when it began; only with exit_when_caught_up */
    uint64_t printed;
    struct out out;
    int exit_code;
};

enum { KEY_AFTER = CLI_KEY, KEY_EARLIEST, KEY_FORMAT, KEY_COUNT, KEY_CAUGHT_UP };

static const struct argp_option options[] = {
    {"after", KEY_AFTER, "ID", 0, "begin behind the event with this id (default: now)", 0},
    {"earliest", KEY_EARLIEST, 0, 0, "begin with the earliest event that is retained", 0},
    {"format", KEY_FORMAT, "sse|jsonl", 0,
     "jsonl: an object a line, as `sponson dump` prints them (default); sse: text/event-stream", 0},
    {"count", KEY_COUNT, "N", 0, "end after N events", 0},
    {"exit-when-caught-up", KEY_CAUGHT_UP, 0, 0,
     "end behind the newest event of when it began; a session that does not exist is not waited "
     "for",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct tail *tail = state->input;
    switch (key) {
    case KEY_AFTER:
        tail->after = cli_event_id(arg);
        return 0;
    case KEY_EARLIEST:
        tail->earliest = true;
        return 0;
    case KEY_FORMAT:
        tail->format = cli_format(arg);
        return 0;
    case KEY_COUNT:
        tail->count = cli_count("--count", arg, 1, UINT64_MAX);
        return 0;
    case KEY_CAUGHT_UP:
        tail->exit_when_caught_up = true;
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
           "exist yet and rides through restarts of the sidecar; ends when the session is closed.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* The words name what was looked for and not found, not what was done. */
static int tail_failed(const struct tail *tail, spn_err err)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (err == SPN_E_UNKNOWN_ID)
        snprintf(what, sizeof(what), "event id %s", text_quote(tail->after, quoted));
    else
        snprintf(what, sizeof(what), "session %s", text_quote(tail->session, quoted));
    return cli_fail(what, err, NULL);
}

static void put_event(struct tail *tail, const struct spn_event *event)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    tail->printed++;
    if (tail->format == EVENT_JSONL) {
        event_put_json(&tail->out, tail->session, event);
        return;
    }
    spn_err err = event_put_sse(&tail->out, event);
    if (err == SPN_OK)
        return;
    snprintf(what, sizeof(what), "event %s", text_quote(event->id, quoted));
    tail->exit_code = cli_fail(what, err, "left out, --format jsonl can print it");
}

static void tell_missing(uint64_t missing, const char *where)
{
    char why[CLI_TEXT_SIZE];
    if (missing == 0)
        return;
    snprintf(why, sizeof(why), "%llu events %s are no longer retained", (unsigned long long)missing,
             where);
    cli_warn("retention", why);
}

static bool is_over(const struct tail *tail, const struct spn_item *item)
{
    if (tail->count > 0 && tail->printed >= tail->count)
        return true;
    return tail->exit_when_caught_up &&
           (item->epoch != tail->last.epoch || item->seq >= tail->last.seq);
}

/* False: that was the last. */
static bool put_item(struct tail *tail, const struct spn_item *item)
{
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        tell_missing(item->missing, "before these");
        break;
    case SPN_ITEM_EVENT:
        put_event(tail, &item->event);
        break;
    case SPN_ITEM_GAP:
        tell_missing(item->missing, "in between");
        break;
    case SPN_ITEM_END:
        if (item->why != SPN_E_CLOSED)
            tail->exit_code = tail_failed(tail, item->why);
        return false;
    }
    return !is_over(tail, item);
}

/* What is there at once, else what comes, before which everything is written out. */
static spn_err next(struct tail *tail, spn_subscription *events, struct spn_item *item)
{
    int timeout_ms = tail->exit_when_caught_up ? cli_timeout_ms(&tail->common) : -1;
    spn_err err = spn_subscription_next(events, 0, item);
    if (err != SPN_E_TIMEOUT)
        return err;
    if (!out_flush(&tail->out))
        return SPN_E_END; /* cli_finish says why */
    return spn_subscription_next(events, timeout_ms, item);
}

static spn_err subscribe(struct tail *tail, spn_subscription **ret_events)
{
    struct spn_subscription_options chosen = {
        .size = sizeof(chosen),
        .start = tail->earliest ? SPN_EARLIEST : SPN_NOW,
        .otherwise = tail->exit_when_caught_up ? SPN_FAIL : SPN_WAIT,
    };
    if (tail->after.size > 0) {
        chosen.start = SPN_AFTER_ID;
        chosen.after = tail->after;
    }
    return spn_subscribe(ret_events, tail->client, tail->session, &chosen);
}

static int run(struct tail *tail)
{
    spn_subscription *events;
    struct spn_item item;
    spn_err err = SPN_OK;
    if (tail->exit_when_caught_up)
        err =
            spn_last_event(tail->client, tail->session, cli_timeout_ms(&tail->common), &tail->last);
    if (err == SPN_OK)
        err = subscribe(tail, &events);
    if (err != SPN_OK)
        return tail_failed(tail, err);
    while ((err = next(tail, events, &item)) == SPN_OK)
        if (!put_item(tail, &item) || !out_settle(&tail->out))
            break;
    if (err != SPN_OK && err != SPN_E_END)
        tail->exit_code = tail_failed(tail, err);
    spn_unsubscribe(events);
    return tail->exit_code;
}

int verb_tail(int argc, char **argv)
{
    struct tail tail = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1},
        .format = EVENT_JSONL,
    };
    cli_parse(&argp, argc, argv, &tail);
    if (tail.earliest && tail.after.size > 0)
        cli_usage("--earliest", "not together with --after");
    tail.session = cli_session(tail.words.at[0]);
    int exit_code = cli_connect(&tail.common, &tail.client);
    if (exit_code != CLI_OK)
        return exit_code;
    out_init(&tail.out, STDOUT_FILENO);
    exit_code = run(&tail);
    exit_code = cli_finish(&tail.out, exit_code);
    spn_client_close(tail.client);
    return exit_code;
}
