/* SPDX-License-Identifier: Apache-2.0 */
/* verb_sessions: lists the sessions, from the sidecar or straight from its database. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/data_dir.h"
#include "base/clock.h"
#include "base/last_words.h"
#include "cli/look.h"
#include "cli/session_json.h"
#include "cli/session_list.h"
#include "cli/session_pick.h"
#include "base/text.h"
#include "wire.h"

struct sessions {
    struct cli_common common;
    const char *data_dir; /* NULL: ask the sidecar */
    struct session_pick pick;
    struct session_order order;
    struct spn_bytes after; /* only names after this one */
    uint64_t limit;         /* 0: none */
    bool sorts;
    bool json;

    struct out out;
    struct look_table table; /* at a terminal */
    uint64_t now_ms;
    uint64_t count; /* of sessions that were put */
    uint64_t events;
    uint64_t bytes;
};

enum {
    KEY_PREFIX = CLI_KEY,
    KEY_STATE,
    KEY_OLDER_THAN,
    KEY_SORT,
    KEY_REVERSE,
    KEY_AFTER,
    KEY_LIMIT,
    KEY_JSON,
    KEY_DATA_DIR
};

static const struct argp_option options[] = {
    {"prefix", KEY_PREFIX, "PREFIX", 0, "only sessions whose name begins with this", 0},
    {"state", KEY_STATE, SESSION_PICK_STATES, 0, "only sessions in this state", 0},
    {"older-than", KEY_OLDER_THAN, "TIME", 0,
     "only sessions without an event for so long, such as 90s, 30m, 12h, 7d", 0},
    {"sort", KEY_SORT, SESSION_ORDERS, 0,
     "in this order, the largest or newest first, names in byte order (default: name)", 0},
    {"reverse", KEY_REVERSE, 0, 0, "in the opposite order", 0},
    {"after", KEY_AFTER, "NAME", 0, "only sessions whose name comes after this one, in byte order",
     0},
    {"limit", KEY_LIMIT, "N", 0,
     "at most N sessions; to continue, use --after with the last session's name. With --sort, the "
     "first N of all",
     0},
    {"json", KEY_JSON, 0, 0, "one object per line with " SESSION_JSON_KEYS, 0},
    {"data-dir", KEY_DATA_DIR, "DIR", 0,
     "read the database in DIR instead of asking the sidecar; duplicates and conflicts are then "
     "the counts last written with the index",
     0},
    {0},
};

/* Ends the program: the option has no such value. */
static _Noreturn void fail_choice(const char *option, const char *text, const char *choices)
{
    char what[CLI_TEXT_SIZE];
    char why[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    snprintf(what, sizeof(what), "%s %s", option, text_quote(spn_text(text), quoted));
    snprintf(why, sizeof(why), "not one of %s", choices);
    cli_usage(what, why);
}

static void parse_sort(struct sessions *sessions, const char *text)
{
    sessions->sorts = true;
    if (!session_order_parse(text, &sessions->order.by))
        fail_choice("--sort", text, SESSION_ORDERS);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct sessions *sessions = state->input;
    switch (key) {
    case KEY_PREFIX:
        sessions->pick.prefix = cli_name_part("--prefix", arg);
        return 0;
    case KEY_STATE:
        if (!session_pick_set_state(&sessions->pick, arg))
            fail_choice("--state", arg, SESSION_PICK_STATES);
        return 0;
    case KEY_OLDER_THAN:
        sessions->pick.older_than_ms = cli_span_ms("--older-than", arg);
        return 0;
    case KEY_SORT:
        parse_sort(sessions, arg);
        return 0;
    case KEY_REVERSE:
        sessions->sorts = true;
        sessions->order.reverse = true;
        return 0;
    case KEY_AFTER:
        sessions->after = cli_name_part("--after", arg);
        return 0;
    case KEY_LIMIT:
        sessions->limit = cli_count("--limit", arg, 1, UINT64_MAX);
        return 0;
    case KEY_JSON:
        sessions->json = true;
        return 0;
    case KEY_DATA_DIR:
        sessions->data_dir = arg;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, NULL, &sessions->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc =
        "List the sessions, with the number of events ever stored, the "
        "bytes of their data, whether they are live or closed, and when the newest event came."
        "\vThe state is live, closed, or damaged. If only the name of a damaged session is known "
        "(- "
        "in the table, null in JSON), the session accepts and returns nothing, but can be deleted. "
        "Otherwise only its newest event cannot be read, and the session continues. At a terminal, "
        "names are cut to its width, sizes have units, and times are ages; a pipe gets all of "
        "them in full.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* -- printing ---------------------------------------------------------------------------------- */

static void put_heads(struct sessions *sessions)
{
    out_text(&sessions->out, "    EVENTS         BYTES  DUPLICATES  CONFLICTS  STATE    "
                             "NEWEST AT                 SESSION\n");
}

static void put_numbers(struct out *out, const struct spn_session *session)
{
    char row[CLI_TEXT_SIZE];
    char time[TEXT_TIME_SIZE] = "-";
    if (session->last_ms > 0)
        text_time(session->last_ms, time);
    snprintf(row, sizeof(row), "%10llu  %12llu  %10lu  %9lu  %-7s  %-24s  ",
             (unsigned long long)(session->seq - session->markers),
             (unsigned long long)session->bytes, (unsigned long)session->duplicates,
             (unsigned long)session->conflicts, spn_session_state_name(session->state), time);
    out_text(out, row);
}

static void put_nothing_known(struct out *out, const struct spn_session *session)
{
    char row[CLI_TEXT_SIZE];
    snprintf(row, sizeof(row), "%10s  %12s  %10s  %9s  %-7s  %-24s  ", "-", "-", "-", "-",
             spn_session_state_name(session->state), "-");
    out_text(out, row);
}

static const struct look_column columns[] = {
    {"STATE", 7, false},      {"EVENTS", 9, true},    {"SIZE", 8, true},      {"NEWEST", 10, true},
    {"DUPLICATES", 10, true}, {"CONFLICTS", 9, true}, {"SESSION", 16, false},
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* For a person. */
static void put_look(struct sessions *sessions, const struct spn_session *session)
{
    char texts[COLUMNS][LOOK_TEXT_SIZE] = {"", "-", "-", "-", "-", "-"};
    struct spn_bytes cells[COLUMNS];
    uint64_t events = session->seq - session->markers;
    const char *state = spn_session_state_name(session->state);
    if (sessions->count == 0)
        look_table_heads(&sessions->table, &sessions->out);
    if (session->epoch != 0) {
        look_amount(events, texts[1]);
        look_bytes(session->bytes, texts[2]);
        if (session->last_ms > 0)
            look_ago(session->last_ms, sessions->now_ms, texts[3]);
        look_amount(session->duplicates, texts[4]);
        look_amount(session->conflicts, texts[5]);
    }
    for (size_t i = 1; i + 1 < COLUMNS; i++)
        cells[i] = spn_text(texts[i]);
    cells[0] = spn_text(state);
    cells[COLUMNS - 1] = session->name;
    look_table_row(&sessions->table, &sessions->out, cells, 0,
                   session->state == SPN_LIVE     ? LOOK_GREEN
                   : session->state == SPN_CLOSED ? LOOK_DIM
                                                  : LOOK_RED);
}

/* The last line for a person. */
static void put_sum(struct sessions *sessions)
{
    char line[CLI_TEXT_SIZE];
    char count[LOOK_TEXT_SIZE];
    char events[LOOK_TEXT_SIZE];
    char bytes[LOOK_TEXT_SIZE];
    const struct look *look = &sessions->table.look;
    if (sessions->count == 0) {
        out_text(&sessions->out, "no sessions\n");
        return;
    }
    snprintf(line, sizeof(line), "%s%s session%s, %s event%s, %s%s\n", look_begin(look, LOOK_DIM),
             look_count(sessions->count, count), sessions->count == 1 ? "" : "s",
             look_count(sessions->events, events), sessions->events == 1 ? "" : "s",
             look_bytes(sessions->bytes, bytes), look_end(look));
    out_text(&sessions->out, line);
}

/* For a pipe. The name comes last, so that its width does not matter. */
static void put_row(struct sessions *sessions, const struct spn_session *session)
{
    if (sessions->count == 0)
        put_heads(sessions);
    if (session->epoch == 0)
        put_nothing_known(&sessions->out, session);
    else
        put_numbers(&sessions->out, session);
    out_put(&sessions->out, session->name.data, session->name.size);
    out_text(&sessions->out, "\n");
}

static int put_session(struct sessions *sessions, const struct spn_session *session)
{
    int exit_code = CLI_OK;
    if (sessions->json)
        exit_code = cli_put_json(&sessions->out, session_json(session, NULL));
    else if (sessions->table.look.terminal)
        put_look(sessions, session);
    else
        put_row(sessions, session);
    sessions->count++;
    sessions->events += session->seq - session->markers;
    sessions->bytes += session->bytes;
    return out_settle(&sessions->out) ? exit_code : CLI_FAILURE;
}

/* A session of the list: prints it, or keeps it for the end. */
static int take_session(struct sessions *sessions, const struct spn_session *session)
{
    if (!session_pick_takes(&sessions->pick, session, sessions->now_ms))
        return CLI_OK;
    if (!sessions->sorts)
        return put_session(sessions, session);
    spn_err err = session_order_add(&sessions->order, session);
    return err == SPN_OK ? CLI_OK : cli_fail("sessions", err, NULL);
}

static int put_sorted(struct sessions *sessions)
{
    int exit_code = CLI_OK;
    session_order_end(&sessions->order);
    for (size_t i = 0; i < sessions->order.count && exit_code == CLI_OK; i++)
        exit_code = put_session(sessions, &sessions->order.kept[i].session);
    session_order_release(&sessions->order);
    return exit_code;
}

/* -- sidecar or database ----------------------------------------------------------------------- */

static bool is_full(const struct sessions *sessions)
{
    return sessions->limit > 0 && sessions->count >= sessions->limit;
}

static int ask_sidecar(struct sessions *sessions)
{
    spn_client *client;
    const struct spn_session *session;
    char after[WIRE_SESSION_MAX];
    size_t after_size = sessions->after.size;
    spn_err err = SPN_OK;
    int timeout_ms = cli_timeout_ms(&sessions->common);
    int exit_code = cli_connect(&sessions->common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    memcpy(after, after_size > 0 ? sessions->after.data : "", after_size);
    while (exit_code == CLI_OK && !is_full(sessions)) {
        err = spn_next_session(client, (struct spn_bytes){after, after_size}, sessions->pick.prefix,
                               timeout_ms, &session);
        if (err != SPN_OK)
            break;
        exit_code = take_session(sessions, session);
        after_size = session->name.size;
        memcpy(after, session->name.data, after_size);
    }
    if (err != SPN_OK && err != SPN_E_END)
        exit_code = cli_fail_client("sessions", client, err);
    spn_client_close(client);
    return exit_code;
}

static int list_database(struct sessions *sessions, struct session_list *list)
{
    struct spn_session session;
    char why[CLI_TEXT_SIZE];
    spn_err err = SPN_OK;
    int exit_code = CLI_OK;
    while (exit_code == CLI_OK && !is_full(sessions) &&
           (err = session_list_next(list, &session)) == SPN_OK)
        if (text_compare(session.name, sessions->after) > 0)
            exit_code = take_session(sessions, &session);
    if (err != SPN_OK && err != SPN_E_END)
        return cli_fail("database", err, journal_detail());
    if (session_list_damaged(list) > 0) {
        snprintf(why, sizeof(why), "%llu damaged entries skipped",
                 (unsigned long long)session_list_damaged(list));
        cli_error("log", why);
        return CLI_FAILURE;
    }
    return exit_code;
}

static int read_database(struct sessions *sessions)
{
    struct journal *journal;
    struct session_list *list;
    last_words_init("sponson sessions: database: damaged; the rest cannot be read: signal ",
                    CLI_FAILURE);
    bool whole = true;
    int exit_code = data_dir_open(sessions->data_dir, &journal, &whole);
    if (exit_code != CLI_OK)
        return exit_code;
    spn_err err = session_list_open(&list, journal, sessions->pick.prefix);
    if (err != SPN_OK) {
        exit_code = cli_fail("database", err, journal_detail());
    } else {
        exit_code = list_database(sessions, list);
        session_list_close(list);
    }
    journal_close(journal);
    return exit_code == CLI_OK && !whole ? CLI_FAILURE : exit_code;
}

int verb_sessions(int argc, char **argv)
{
    struct sessions sessions = {.common = {.timeout_ms = -1}, .now_ms = clock_wall_ms()};
    struct look look = look_of(STDOUT_FILENO);
    cli_parse(&argp, argc, argv, &sessions);
    if (sessions.sorts && sessions.after.size > 0)
        cli_usage("--after", "cannot be combined with --sort or --reverse");
    sessions.order.limit = sessions.limit;
    look_table_init(&sessions.table, &look, columns, COLUMNS);
    out_init(&sessions.out, STDOUT_FILENO);
    int exit_code = sessions.data_dir ? read_database(&sessions) : ask_sidecar(&sessions);
    int sorted = put_sorted(&sessions);
    exit_code = exit_code == CLI_OK ? sorted : exit_code;
    if (exit_code == CLI_OK && !sessions.json && look.terminal)
        put_sum(&sessions);
    else if (exit_code == CLI_OK && sessions.count == 0 && !sessions.json)
        put_heads(&sessions); /* print the heads of an empty table, too */
    return cli_finish(&sessions.out, exit_code);
}
