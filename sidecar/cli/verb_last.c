/* SPDX-License-Identifier: Apache-2.0 */
/* verb_last: prints a session's last event id, which an app needs before it continues. */
#include "cli/cli.h"

#include <unistd.h>

struct last {
    struct cli_words words;
    struct cli_common common;
    struct spn_bytes session;
    bool json;
    bool cursor;
};

enum { KEY_JSON = CLI_KEY, KEY_CURSOR };

static const struct argp_option options[] = {
    {"cursor", KEY_CURSOR, 0, 0,
     "print the cursor of the newest event in place of its id: spn:<life>:<seq>, which names it "
     "also "
     "where ids repeat, or are missing",
     0},
    {"json", KEY_JSON, 0, 0,
     "an object with session, life, seq, cursor, position, last_event_id, time", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct last *last = state->input;
    switch (key) {
    case KEY_JSON:
        last->json = true;
        return 0;
    case KEY_CURSOR:
        last->cursor = true;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &last->words, &last->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION",
    .doc =
        "Print the event id that is in force at a session's end, as far as the session is on disk. "
        "An app that writes the session to a browser continues after this id. If the session has "
        "no events, or its last id was reset, there is no such id: standard output stays "
        "empty, or has null as last_event_id with --json.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

static json_t *last_json(struct spn_bytes session, const struct spn_last *last)
{
    char life[SPN_LIFE_TEXT_SIZE];
    char cursor[SPN_CURSOR_TEXT_SIZE];
    spn_life_format(&last->life, life);
    spn_cursor_format(&last->life, last->seq, cursor);
    if (last->seq == 0)
        return json_pack("{s:o, s:s, s:I, s:s, s:n, s:n, s:n}", "session", cli_json_bytes(session),
                         "life", life, "seq", (json_int_t)0, "cursor", cursor, "position",
                         "last_event_id", "time");
    return json_pack("{s:o, s:s, s:I, s:s, s:I, s:o, s:o, s:o*}", "session",
                     cli_json_bytes(session), "life", life, "seq", (json_int_t)last->seq, "cursor",
                     cursor, "position", (json_int_t)last->position, "last_event_id",
                     last->id.size > 0 ? cli_json_bytes(last->id) : json_null(), "time",
                     cli_json_time(last->time_ms), "last_event_id_encoding",
                     cli_json_encoding(last->id));
}

static void put_last(struct out *out, struct spn_bytes session, const struct spn_last *last)
{
    char what[CLI_TEXT_SIZE];
    if (last->seq == 0) {
        cli_warn(cli_session_words(session, what), "no events yet");
        return;
    }
    if (last->id.size == 0) {
        cli_warn(cli_session_words(session, what), "no event id is in force");
        return;
    }
    out_put(out, last->id.data, last->id.size);
    out_text(out, "\n");
}

static void put_cursor(struct out *out, const struct spn_last *last)
{
    char text[SPN_CURSOR_TEXT_SIZE];
    spn_cursor_format(&last->life, last->seq, text);
    out_text(out, text);
    out_text(out, "\n");
}

static int run(const struct last *last, spn_client *client)
{
    const struct spn_last *found;
    struct out out;
    int exit_code = CLI_OK;
    spn_err err = spn_last_event(client, last->session, cli_timeout_ms(&last->common), &found);
    if (err != SPN_OK)
        return cli_fail_asking(last->session, client, err);
    out_init(&out, STDOUT_FILENO);
    if (last->cursor)
        put_cursor(&out, found);
    else if (last->json)
        exit_code = cli_put_json(&out, last_json(last->session, found));
    else
        put_last(&out, last->session, found);
    return cli_finish(&out, exit_code);
}

int verb_last(int argc, char **argv)
{
    struct last last = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1},
    };
    spn_client *client;
    cli_parse(&argp, argc, argv, &last);
    last.session = cli_session(last.words.at[0]);
    if (last.cursor && last.json)
        cli_usage("--cursor", "cannot be combined with --json, which has it too");
    int exit_code = cli_connect(&last.common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    exit_code = run(&last, client);
    spn_client_close(client);
    return exit_code;
}
