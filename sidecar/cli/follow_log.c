/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/follow_log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/event_text.h"
#include "cli/since.h"
#include "base/text.h"

struct run {
    const struct follow_log *follow;
    spn_client *client;
    struct since since;
    uint64_t printed; /* events */
    struct out out;
    char session[EVENT_SESSION_SIZE]; /* in the last comment of an event stream */
    int exit_code;
};

/* -- words ------------------------------------------------------------------------------------- */

static void tell_hidden(const struct spn_item *item)
{
    char why[CLI_TEXT_SIZE];
    if (item->missing == 0 || item->kind == SPN_ITEM_END)
        return;
    snprintf(why, sizeof(why), "%llu entries before position %llu are no longer retained",
             (unsigned long long)item->missing, (unsigned long long)item->seq);
    cli_warn("retention", why);
}

static void tell_gap(const struct spn_item *gap)
{
    char why[CLI_TEXT_SIZE];
    snprintf(why, sizeof(why), "positions %llu to %llu were deleted",
             (unsigned long long)gap->first, (unsigned long long)gap->last);
    cli_warn("retention", why);
}

static int tell_end(const struct spn_item *end)
{
    char why[CLI_TEXT_SIZE];
    char cursor[LOG_CURSOR_TEXT_SIZE];
    log_cursor_format(end->database, end->seq + end->missing, cursor);
    if (end->why != SPN_E_CORRUPT)
        return cli_fail("log", end->why, NULL);
    snprintf(why, sizeof(why),
             "%llu positions from %llu on are damaged; --after %s goes on after them",
             (unsigned long long)end->missing, (unsigned long long)end->seq + 1, cursor);
    return cli_fail("log", end->why, why);
}

/* -- items ------------------------------------------------------------------------------------- */

static void put_sse(struct run *run, const struct spn_item *item)
{
    char what[CLI_TEXT_SIZE];
    if (item->kind != SPN_ITEM_EVENT)
        return; /* an event stream has events */
    event_put_session(&run->out, run->session, item->session);
    spn_err err = event_put_sse(&run->out, item->event);
    if (err == SPN_OK)
        return;
    snprintf(what, sizeof(what), "position %llu", (unsigned long long)item->seq);
    run->exit_code = cli_fail(what, err, "left out, --format jsonl can print it");
}

static void put_entry(struct run *run, const struct spn_item *item)
{
    char cursor[LOG_CURSOR_TEXT_SIZE];
    if (!since_takes(&run->since, item->event->time_ms))
        return;
    run->printed += item->kind == SPN_ITEM_EVENT && item->event->kind == SPN_EVENT;
    if (run->follow->format != EVENT_JSONL) {
        put_sse(run, item);
        return;
    }
    log_cursor_format(item->database, item->seq, cursor);
    entry_put_json(&run->out, item, 0, cursor);
}

static bool is_over(const struct run *run, const struct spn_item *item)
{
    const struct follow_log *follow = run->follow;
    if (follow->count > 0 && run->printed >= follow->count)
        return true;
    return follow->exit_when_caught_up && item->kind == SPN_ITEM_CAUGHT_UP;
}

/* False: this was the last item. */
static bool put_item(struct run *run, const struct spn_item *item)
{
    tell_hidden(item);
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
    case SPN_ITEM_CAUGHT_UP:
        break;
    case SPN_ITEM_GAP:
        tell_gap(item);
        break;
    case SPN_ITEM_END:
        run->exit_code = tell_end(item);
        return false;
    default:
        put_entry(run, item);
    }
    return !is_over(run, item);
}

/* -- the subscription -------------------------------------------------------------------------- */

/* Returns an item that is there already. If there is none, flushes the output and waits for one. */
static spn_err next(struct run *run, spn_subscription *log, const struct spn_item **ret_item)
{
    const struct follow_log *follow = run->follow;
    int timeout_ms = follow->exit_when_caught_up ? cli_timeout_ms(follow->common) : -1;
    spn_err err = spn_subscription_next(log, 0, ret_item);
    if (err != SPN_E_TIMEOUT)
        return err;
    if (!out_flush(&run->out))
        return SPN_E_END; /* cli_finish prints the reason */
    return spn_subscription_next(log, timeout_ms, ret_item);
}

static int print_entries(struct run *run)
{
    spn_subscription *log;
    const struct spn_item *item;
    spn_err err = spn_follow(&log, run->client, &run->follow->options);
    if (err != SPN_OK)
        return cli_fail_client("log", run->client, err);
    while ((err = next(run, log, &item)) == SPN_OK)
        if (!put_item(run, item) || !out_settle(&run->out))
            break;
    if (err != SPN_OK && err != SPN_E_END)
        run->exit_code = cli_fail_client("log", run->client, err);
    spn_unsubscribe(log);
    return run->exit_code;
}

int follow_log_run(const struct follow_log *follow)
{
    struct run run = {.follow = follow, .since = {.from_ms = follow->since_ms}};
    int exit_code = cli_connect(follow->common, &run.client);
    if (exit_code != CLI_OK)
        return exit_code;
    out_init(&run.out, STDOUT_FILENO);
    exit_code = print_entries(&run);
    exit_code = cli_finish(&run.out, exit_code);
    spn_client_close(run.client);
    return exit_code;
}
