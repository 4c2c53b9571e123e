/* SPDX-License-Identifier: Apache-2.0 */
/* verb_sessions: lists the sessions, from the sidecar or straight from its database. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/data_dir.h"
#include "base/last_words.h"
#include "cli/session_json.h"
#include "cli/session_list.h"
#include "base/text.h"
#include "wire.h"

struct sessions {
    struct cli_common common;
    const char *data_dir; /* NULL: ask the sidecar */
    struct spn_bytes prefix;
    struct spn_bytes after; /* only names after this one */
    uint64_t limit;         /* 0: none */
    bool json;

    struct out out;
    uint64_t count;
};

enum { KEY_PREFIX = CLI_KEY, KEY_AFTER, KEY_LIMIT, KEY_JSON, KEY_DATA_DIR };

static const struct argp_option options[] = {
    {"prefix", KEY_PREFIX, "PREFIX", 0, "only sessions whose name begins with this", 0},
    {"after", KEY_AFTER, "NAME", 0, "only sessions whose name comes after this one, in byte order",
     0},
    {"limit", KEY_LIMIT, "N", 0,
     "at most N sessions; to continue, use --after with the last session's name", 0},
    {"json", KEY_JSON, 0, 0, "one object per line with " SESSION_JSON_KEYS, 0},
    {"data-dir", KEY_DATA_DIR, "DIR", 0,
     "read the database in DIR instead of asking the sidecar; duplicates and conflicts are then "
     "the counts last written with the index",
     0},
    {0},
};

/* Part of a session id, or a place between two: any bytes, but at most as many as an id can
 * have. */
static struct spn_bytes check_name(const char *option, const char *text)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    struct spn_bytes name = spn_text(text);
    if (name.size > WIRE_SESSION_MAX) {
        snprintf(what, sizeof(what), "%s %s", option, text_quote(name, quoted));
        cli_usage(what, "longer than 255 bytes, the limit of a session id");
    }
    return name;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct sessions *sessions = state->input;
    switch (key) {
    case KEY_PREFIX:
        sessions->prefix = check_name("--prefix", arg);
        return 0;
    case KEY_AFTER:
        sessions->after = check_name("--after", arg);
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
        "List the sessions in the order of their names, with the number of events ever stored, the "
        "bytes of their data, whether they are live or closed, and when the newest event came."
        "\vThe state is live, closed, or damaged. If only the name of a damaged session is known "
        "(- "
        "in the table, null in JSON), the session accepts and returns nothing, but can be deleted. "
        "Otherwise only its newest event cannot be read, and the session continues.",
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

/* The name comes last, so that its width does not matter. */
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
    else
        put_row(sessions, session);
    sessions->count++;
    return out_settle(&sessions->out) ? exit_code : CLI_FAILURE;
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
        err = spn_next_session(client, (struct spn_bytes){after, after_size}, sessions->prefix,
                               timeout_ms, &session);
        if (err != SPN_OK)
            break;
        exit_code = put_session(sessions, session);
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
            exit_code = put_session(sessions, &session);
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
    spn_err err = session_list_open(&list, journal, sessions->prefix);
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
    struct sessions sessions = {.common = {.timeout_ms = -1}};
    cli_parse(&argp, argc, argv, &sessions);
    out_init(&sessions.out, STDOUT_FILENO);
    int exit_code = sessions.data_dir ? read_database(&sessions) : ask_sidecar(&sessions);
    if (exit_code == CLI_OK && sessions.count == 0 && !sessions.json)
        put_heads(&sessions); /* print the heads of an empty table, too */
    return cli_finish(&sessions.out, exit_code);
}
