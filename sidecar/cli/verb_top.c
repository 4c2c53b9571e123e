/* SPDX-License-Identifier: Apache-2.0 */
/* verb_top: what the sidecar does now, on the whole screen or once for a pipe. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/top.h"
#include "cli/top_screen.h"

struct verb {
    struct cli_common common;
    struct spn_bytes prefix;
    struct top_choice choice;
    uint64_t limit;
    int interval_ms;
    bool once;
};

enum { KEY_ONCE = CLI_KEY, KEY_INTERVAL, KEY_SORT, KEY_PREFIX, KEY_CLIENTS, KEY_LIMIT };

enum { INTERVAL_MS = 1000, LIMIT = 20, ANSWER_MS = 1000 };

static const struct argp_option options[] = {
    {"once", KEY_ONCE, 0, 0, "print one page after one interval, and end; for pipes", 0},
    {"interval", KEY_INTERVAL, "SECONDS", 0, "how often to look (default: 1)", 0},
    {"sort", KEY_SORT, TOP_SORTS, 0, "the order of the sessions at first (default: rate)", 0},
    {"prefix", KEY_PREFIX, "PREFIX", 0, "only sessions whose name begins with this", 0},
    {"clients", KEY_CLIENTS, 0, 0, "begin with the processes in place of the sessions", 0},
    {"limit", KEY_LIMIT, "N", 0, "with --once: at most N rows (default: 20)", 0},
    {0},
};

static void parse_sort(struct verb *verb, const char *text)
{
    static const char *const names[] = {
#define TOP_SORT_NAME(name, key, option) option,
        TOP_SORT_MAP(TOP_SORT_NAME)
#undef TOP_SORT_NAME
    };
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    for (size_t i = 0; i < TOP_SORTS_COUNT; i++) {
        if (strcmp(names[i], text) != 0)
            continue;
        verb->choice.sort = (enum top_sort)i;
        return;
    }
    snprintf(what, sizeof(what), "--sort %s", text_quote(spn_text(text), quoted));
    cli_usage(what, "not one of " TOP_SORTS);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct verb *verb = state->input;
    switch (key) {
    case KEY_ONCE:
        verb->once = true;
        return 0;
    case KEY_INTERVAL:
        verb->interval_ms = cli_wait_ms("--interval", arg);
        return 0;
    case KEY_SORT:
        parse_sort(verb, arg);
        return 0;
    case KEY_PREFIX:
        verb->prefix = cli_name_part("--prefix", arg);
        return 0;
    case KEY_CLIENTS:
        verb->choice.view = TOP_CLIENTS;
        return 0;
    case KEY_LIMIT:
        verb->limit = cli_count("--limit", arg, 1, TOP_SESSIONS_MAX);
        return 0;
    default:
        return cli_parse_rest(key, arg, state, NULL, &verb->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc =
        "Show what the sidecar does, again every second: rates, how long commits take, the queue, "
        "the sessions by their rate or size, and the processes that are connected. The key ? lists "
        "the keys: they sort, filter, and follow the events of a session."
        "\vWith --once, a page is printed after one interval; in a pipe its numbers and times are "
        "plain, bytes without a unit. The first 20,000 sessions by "
        "name are looked at; --prefix chooses among more.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* -- once -------------------------------------------------------------------------------------- */

static int put_page(const struct top_page *page)
{
    struct out out;
    out_init(&out, STDOUT_FILENO);
    for (size_t i = 0; i < page->count; i++) {
        out_put(&out, page->text.data + page->lines[i].at, page->lines[i].size);
        out_text(&out, "\n");
    }
    return cli_finish(&out, CLI_OK);
}

static int run_once(struct verb *verb, struct top *top)
{
    struct top_page page = {.look = look_of(STDOUT_FILENO), .rows_max = verb->limit};
    const struct timespec pause = {.tv_sec = verb->interval_ms / 1000,
                                   .tv_nsec = verb->interval_ms % 1000 * 1000000L};
    page.look.colour = false;
    if (!page.look.terminal)
        page.look.width = UINT16_MAX;
    out_init(&page.text, -1);
    spn_err err = top_take(top);
    if (err == SPN_OK) {
        nanosleep(&pause, NULL);
        err = top_take(top);
    }
    if (err == SPN_OK)
        err = top_page_make(&page, top, &verb->choice);
    int exit_code = err == SPN_OK ? put_page(&page) : cli_fail_client("sidecar", top->client, err);
    top_page_release(&page);
    return exit_code;
}

int verb_top(int argc, char **argv)
{
    static struct top top;
    struct verb verb = {.common = {.timeout_ms = -1}, .limit = LIMIT, .interval_ms = INTERVAL_MS};
    spn_client *client;
    cli_parse(&argp, argc, argv, &verb);
    if (!verb.once && (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
        cli_usage("--once", "missing, and there is no terminal to show a page on");
    int exit_code = cli_connect(&verb.common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    int answer_ms = verb.common.timeout_ms < 0 ? ANSWER_MS : verb.common.timeout_ms;
    top_init(&top, client, answer_ms, verb.prefix);
    exit_code =
        verb.once ? run_once(&verb, &top) : top_screen_run(&top, &verb.choice, verb.interval_ms);
    top_release(&top);
    spn_client_close(client);
    return exit_code;
}
