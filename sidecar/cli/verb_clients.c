/* SPDX-License-Identifier: Apache-2.0 */
/* verb_clients: which processes are connected to the sidecar, and how far behind are they? */
#include "cli/cli.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/connections.h"
#include "cli/look.h"

struct clients {
    struct cli_common common;
    bool json;
};

enum { KEY_JSON = CLI_KEY };

static const struct argp_option options[] = {
    {"json", KEY_JSON, 0, 0,
     "one object per line with pid, uid, program, connections, publishes, subscriptions, behind, "
     "lag, waiting",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct clients *clients = state->input;
    switch (key) {
    case KEY_JSON:
        clients->json = true;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, NULL, &clients->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc =
        "List the processes that are connected to the sidecar, this one among them."
        "\vWRITES: it is connected to ingest.sock, as who publishes is. SUBS: its subscriptions. "
        "Those that are behind have not got all that is there. The lag is the most "
        "that one of them has to get: events of its session, or positions of the log. Waiting "
        "are bytes on their way to the process. A pid of another pid namespace is not known (- in "
        "the table, null in "
        "JSON); then each connection has a row.\n\n"
        "root and the sidecar's own user see all processes, others see those of their own; "
        "standard error has the number of connections that are not shown.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

static json_t *row_json(const struct connected *row)
{
    struct spn_bytes program = spn_text(row->program);
    return json_pack("{s:o, s:I, s:o, s:I, s:b, s:I, s:I, s:I, s:I}", "pid",
                     row->pid > 0 ? json_integer(row->pid) : json_null(), "uid",
                     (json_int_t)row->uid, "program",
                     program.size > 0 ? cli_json_bytes(program) : json_null(), "connections",
                     (json_int_t)row->connections, "publishes", row->writes, "subscriptions",
                     (json_int_t)row->subscriptions, "behind", (json_int_t)row->behind, "lag",
                     (json_int_t)row->lag, "waiting", (json_int_t)row->waiting);
}

static const struct look_column columns[] = {
    {"PID", 7, true},    {"USER", 8, false}, {"WRITES", 6, false}, {"SUBS", 6, true},
    {"BEHIND", 6, true}, {"LAG", 9, true},   {"WAITING", 8, true}, {"PROGRAM", 12, false},
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* The user's name at a terminal, if there is one; else the number. */
static void put_user(const struct look *look, uint32_t uid, char text[LOOK_TEXT_SIZE])
{
    const struct passwd *user = look->terminal ? getpwuid(uid) : NULL;
    if (user)
        snprintf(text, LOOK_TEXT_SIZE, "%s", user->pw_name);
    else
        snprintf(text, LOOK_TEXT_SIZE, "%lu", (unsigned long)uid);
}

static void put_number(const struct look *look, uint64_t number, char text[LOOK_TEXT_SIZE])
{
    if (look->terminal)
        look_amount(number, text);
    else
        snprintf(text, LOOK_TEXT_SIZE, "%llu", (unsigned long long)number);
}

static void put_row(const struct look_table *table, struct out *out, const struct connected *row)
{
    char texts[COLUMNS][LOOK_TEXT_SIZE] = {"-"};
    struct spn_bytes cells[COLUMNS];
    const struct look *look = &table->look;
    if (row->pid > 0)
        snprintf(texts[0], LOOK_TEXT_SIZE, "%lu", (unsigned long)row->pid);
    put_user(look, row->uid, texts[1]);
    snprintf(texts[2], LOOK_TEXT_SIZE, "%s", row->writes ? "yes" : "no");
    put_number(look, row->subscriptions, texts[3]);
    put_number(look, row->behind, texts[4]);
    put_number(look, row->lag, texts[5]);
    if (look->terminal)
        look_bytes(row->waiting, texts[6]);
    else
        put_number(look, row->waiting, texts[6]);
    for (size_t i = 0; i + 1 < COLUMNS; i++)
        cells[i] = spn_text(texts[i]);
    cells[COLUMNS - 1] = spn_text(row->program[0] ? row->program : "-");
    look_table_row(table, out, cells, row->behind > 0 ? 4 : -1, LOOK_YELLOW);
}

static int put_all(const struct clients *clients, const struct connected_list *list)
{
    struct out out;
    struct look_table table;
    struct look look = look_of(STDOUT_FILENO);
    char words[LOOK_TEXT_SIZE];
    int exit_code = CLI_OK;
    if (!look.terminal)
        look.width = UINT16_MAX; /* nothing is left out in a pipe */
    look_table_init(&table, &look, columns, COLUMNS);
    out_init(&out, STDOUT_FILENO);
    if (!clients->json)
        look_table_heads(&table, &out);
    for (size_t i = 0; i < list->count && exit_code == CLI_OK && out_settle(&out); i++) {
        if (clients->json)
            exit_code = cli_put_json(&out, row_json(&list->rows[i]));
        else
            put_row(&table, &out, &list->rows[i]);
    }
    exit_code = cli_finish(&out, exit_code);
    if (list->hidden > 0) {
        snprintf(words, sizeof(words), "%llu", (unsigned long long)list->hidden);
        cli_warn("connections of other users, which are not shown", words);
    }
    return exit_code;
}

int verb_clients(int argc, char **argv)
{
    struct clients clients = {.common = {.timeout_ms = -1}};
    struct connected_list list = {0};
    spn_client *client;
    cli_parse(&argp, argc, argv, &clients);
    int exit_code = cli_connect(&clients.common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    spn_err err = connected_ask(&list, client, cli_timeout_ms(&clients.common));
    exit_code = err == SPN_OK ? put_all(&clients, &list) : cli_fail_client("sidecar", client, err);
    connected_release(&list);
    spn_client_close(client);
    return exit_code;
}
