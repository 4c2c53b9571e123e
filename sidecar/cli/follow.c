/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/follow.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/event_text.h"
#include "cli/progress.h"
#include "cli/since.h"
#include "base/text.h"

struct run {
    const struct follow *follow;
    spn_client *client;
    struct since since;
    struct progress progress; /* of what ends by itself */
    uint64_t printed;
    struct out out;
    int exit_code;
};

/* -- words ------------------------------------------------------------------------------------- */

/* The error names the id that was not found, not the session. */
static int id_not_found(const struct run *run, uint64_t missing)
{
    char what[CLI_TEXT_SIZE];
    char why[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    snprintf(what, sizeof(what), "event id %s", text_quote(run->follow->after, quoted));
    snprintf(why, sizeof(why), "%llu events are no longer retained", (unsigned long long)missing);
    return cli_fail(what, SPN_E_UNKNOWN_ID, missing > 0 ? why : NULL);
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

/* -- items ------------------------------------------------------------------------------------- */

static void put_event(struct run *run, const struct spn_event *event)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (!since_takes(&run->since, event->time_ms))
        return;
    run->printed += event->kind == SPN_EVENT;
    progress_set(&run->progress, run->printed);
    if (run->follow->format == EVENT_JSONL) {
        event_put_json(&run->out, run->follow->session, event);
        return;
    }
    spn_err err = event_put_sse(&run->out, event);
    if (err == SPN_OK)
        return;
    progress_clear(&run->progress);
    snprintf(what, sizeof(what), "event %s", text_quote(event->id, quoted));
    run->exit_code = cli_fail(what, err, "left out, --format jsonl can print it");
}

/* The end of a closed session is only a warning: everything was printed. Any other end is an error,
 * because the session was not printed whole. */
static void put_end(struct run *run, const struct spn_item *end)
{
    char what[CLI_TEXT_SIZE];
    if (end->why == SPN_E_CLOSED)
        cli_warn(cli_session_words(run->follow->session, what), spn_err_text(end->why));
    else if (end->why == SPN_E_UNKNOWN_ID)
        run->exit_code = id_not_found(run, end->missing);
    else
        run->exit_code = cli_fail_session(run->follow->session, end->why);
}

static bool is_over(const struct run *run, const struct spn_item *item)
{
    const struct follow *follow = run->follow;
    if (follow->count > 0 && run->printed >= follow->count)
        return true;
    return follow->exit_when_caught_up && item->kind == SPN_ITEM_CAUGHT_UP;
}

/* False: this was the last item. */
static bool put_item(struct run *run, const struct spn_item *item)
{
    if (item->kind != SPN_ITEM_EVENT)
        progress_clear(&run->progress);
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        tell_missing(item->missing, "before these");
        break;
    case SPN_ITEM_EVENT:
        put_event(run, item->event);
        break;
    case SPN_ITEM_GAP:
        tell_missing(item->missing, "in between");
        break;
    case SPN_ITEM_END:
        put_end(run, item);
        return false;
    default: /* it has caught up */
        break;
    }
    return !is_over(run, item);
}

/* -- the subscription -------------------------------------------------------------------------- */

/* Returns an item that is there already. If there is none, flushes the output and waits for one. */
static spn_err next(struct run *run, spn_subscription *events, const struct spn_item **ret_item)
{
    const struct follow *follow = run->follow;
    int timeout_ms = follow->exit_when_caught_up ? cli_timeout_ms(follow->common) : -1;
    spn_err err = spn_subscription_next(events, 0, ret_item);
    if (err != SPN_E_TIMEOUT)
        return err;
    if (!out_flush(&run->out))
        return SPN_E_END; /* cli_finish prints the reason */
    return spn_subscription_next(events, timeout_ms, ret_item);
}

static spn_err subscribe(const struct run *run, spn_subscription **ret_events)
{
    const struct follow *follow = run->follow;
    struct spn_subscription_options chosen = {
        .size = sizeof(chosen),
        .start = follow->earliest ? SPN_EARLIEST : SPN_NOW,
        .otherwise = follow->exit_when_caught_up ? SPN_FAIL : SPN_WAIT,
    };
    if (spn_cursor_parse(follow->after, &chosen.after_life, &chosen.after_seq) == SPN_OK) {
        chosen.start = SPN_AFTER_SEQ;
    } else if (follow->after.size > 0) {
        chosen.start = SPN_AFTER_ID;
        chosen.after = follow->after;
    }
    return spn_subscribe(ret_events, run->client, follow->session, &chosen);
}

static int print_events(struct run *run)
{
    spn_subscription *events;
    const struct spn_item *item;
    spn_err err = subscribe(run, &events);
    if (err != SPN_OK)
        return cli_fail_asking(run->follow->session, run->client, err);
    while ((err = next(run, events, &item)) == SPN_OK)
        if (!put_item(run, item) || !out_settle(&run->out))
            break;
    progress_clear(&run->progress);
    if (err != SPN_OK && err != SPN_E_END)
        run->exit_code = cli_fail_asking(run->follow->session, run->client, err);
    spn_unsubscribe(events);
    return run->exit_code;
}

int follow_run(const struct follow *follow)
{
    struct run run = {.follow = follow, .since = {.from_ms = follow->since_ms}};
    int exit_code = cli_connect(follow->common, &run.client);
    if (exit_code != CLI_OK)
        return exit_code;
    out_init(&run.out, STDOUT_FILENO);
    progress_init(&run.progress, "events", 0, true);
    run.progress.on = run.progress.on && follow->exit_when_caught_up;
    exit_code = print_events(&run);
    exit_code = cli_finish(&run.out, exit_code);
    spn_client_close(run.client);
    return exit_code;
}
