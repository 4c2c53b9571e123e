/* SPDX-License-Identifier: Apache-2.0 */
/* verb_info: prints everything known about one session. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/look.h"
#include "cli/session_json.h"
#include "base/clock.h"
#include "base/text.h"

struct info {
    struct cli_words words;
    struct cli_common common;
    struct spn_bytes session;
    bool json;
};

enum { KEY_JSON = CLI_KEY };

static const struct argp_option options[] = {
    {"json", KEY_JSON, 0, 0,
     "an object with " SESSION_JSON_KEYS
     ", first_seq, retained, retained_markers, note; seq counts events and markers, retained only "
     "events",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct info *info = state->input;
    switch (key) {
    case KEY_JSON:
        info->json = true;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &info->words, &info->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION",
    .doc =
        "Print what is known about a session: whether it is live or closed, its life, how many "
        "events it has stored in this life and how many of them are retained. Markers (ids and "
        "retries that came without an event) are counted separately; seqs number both."
        "\vThe state is live or closed. A session that `sponson sessions` lists as damaged is an "
        "error: exit code 1. Exits with 3 if there is no such session.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* -- printing ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void put_line(struct out *out, const char *name,
                                                           const char *format, ...)
{
    char value[CLI_TEXT_SIZE];
    char line[CLI_TEXT_SIZE + 32];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    snprintf(line, sizeof(line), "%-15s  %s\n", name, value);
    out_text(out, line);
}

static void put_number(struct out *out, const char *name, uint64_t number)
{
    char text[LOOK_TEXT_SIZE];
    if (look_of(out->fd).terminal)
        put_line(out, name, "%s", look_count(number, text));
    else
        put_line(out, name, "%llu", (unsigned long long)number);
}

static void put_bytes(struct out *out, const char *name, uint64_t bytes)
{
    char text[LOOK_TEXT_SIZE];
    if (look_of(out->fd).terminal)
        put_line(out, name, "%s", look_bytes(bytes, text));
    else
        put_number(out, name, bytes);
}

static void put_time(struct out *out, const char *name, uint64_t time_ms)
{
    char time[TEXT_TIME_SIZE];
    char ago[LOOK_TEXT_SIZE];
    text_time(time_ms, time);
    if (look_of(out->fd).terminal)
        put_line(out, name, "%s  %s", time, look_ago(time_ms, clock_wall_ms(), ago));
    else
        put_line(out, name, "%s", time);
}

static void put_state(struct out *out, spn_session_state state)
{
    struct look look = look_of(out->fd);
    put_line(out, "state", "%s%s%s", look_begin(&look, state == SPN_LIVE ? LOOK_GREEN : LOOK_DIM),
             spn_session_state_name(state), look_end(&look));
}

static void put_retained(struct out *out, const struct spn_session_info *found)
{
    uint64_t entries = found->session->seq + 1 - found->first_seq;
    uint64_t retained = entries - found->markers;
    if (entries == 0)
        put_line(out, "retained", "none");
    else
        put_line(out, "retained", "%llu, from seq %llu", (unsigned long long)retained,
                 (unsigned long long)found->first_seq);
}

static void put_span(struct out *out, const char *name, uint64_t ms)
{
    char text[LOOK_TEXT_SIZE];
    if (ms > 0 && look_of(out->fd).terminal)
        put_line(out, name, "%s", look_span(ms, text));
    else if (ms > 0)
        put_line(out, name, "%llu.%03u s", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

static void put_attributes(struct out *out, const struct spn_session_info *found)
{
    const struct spn_session *session = found->session;
    char quoted[TEXT_QUOTED_SIZE];
    if (session->state == SPN_CLOSED)
        put_line(out, "reason", "%s",
                 session->reason.size > 0 ? text_quote(session->reason, quoted) : "none");
    if (session->content_type.size > 0)
        put_line(out, "content type", "%s", text_quote(session->content_type, quoted));
    put_span(out, "time to live", session->ttl_ms);
    put_span(out, "idle close", session->idle_close_ms);
    if (found->note.size > 0)
        put_line(out, "note", "%s", text_quote(found->note, quoted));
}

static void put_table(struct out *out, const struct spn_session_info *found)
{
    const struct spn_session *session = found->session;
    char quoted[TEXT_QUOTED_SIZE];
    char life[SPN_LIFE_TEXT_SIZE];
    put_line(out, "session", "%.*s", (int)session->name.size, (const char *)session->name.data);
    put_state(out, session->state);
    put_number(out, "epoch", session->epoch);
    spn_life_format(&session->life, life);
    put_line(out, "life", "%s", life);
    put_number(out, "events", session->seq - session->markers);
    if (session->markers > 0)
        put_number(out, "markers", session->markers);
    put_retained(out, found);
    put_bytes(out, "bytes", session->bytes);
    put_number(out, "duplicates", session->duplicates);
    put_number(out, "conflicts", session->conflicts);
    put_number(out, "position", session->position);
    put_attributes(out, found);
    put_time(out, "opened", session->opened_ms);
    if (session->seq == 0)
        return;
    put_time(out, "last event", session->last_ms);
    put_line(out, "last event id", "%s",
             session->last_id.size > 0 ? text_quote(session->last_id, quoted) : "none");
}

static int run(const struct info *info, spn_client *client)
{
    const struct spn_session_info *found;
    struct out out;
    int exit_code = CLI_OK;
    spn_err err = spn_get_session(client, info->session, cli_timeout_ms(&info->common), &found);
    if (err != SPN_OK)
        return cli_fail_asking(info->session, client, err);
    out_init(&out, STDOUT_FILENO);
    if (info->json)
        exit_code = cli_put_json(&out, session_json(found->session, found));
    else
        put_table(&out, found);
    return cli_finish(&out, exit_code);
}

int verb_info(int argc, char **argv)
{
    struct info info = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1},
    };
    spn_client *client;
    cli_parse(&argp, argc, argv, &info);
    info.session = cli_session(info.words.at[0]);
    int exit_code = cli_connect(&info.common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    exit_code = run(&info, client);
    spn_client_close(client);
    return exit_code;
}
