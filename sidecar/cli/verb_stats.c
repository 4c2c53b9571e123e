/* SPDX-License-Identifier: Apache-2.0 */
/* verb_stats: prints the sidecar's counters. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct stats {
    struct cli_common common;
    bool json;
};

enum { KEY_JSON = CLI_KEY };

static const struct argp_option options[] = {
    {"json", KEY_JSON, 0, 0, "one object, a key for each counter", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct stats *stats = state->input;
    switch (key) {
    case KEY_JSON:
        stats->json = true;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, NULL, &stats->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Print the sidecar's counters.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

static json_t *stats_json(const struct spn_stat *stats, size_t count)
{
    json_t *json = json_object();
    for (size_t i = 0; i < count; i++) {
        if (json_object_set_new(json, stats[i].name, json_integer((json_int_t)stats[i].value)) !=
            0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static void put_table(struct out *out, const struct spn_stat *stats, size_t count)
{
    char row[CLI_TEXT_SIZE];
    size_t width = 0;
    for (size_t i = 0; i < count; i++)
        if (strlen(stats[i].name) > width)
            width = strlen(stats[i].name);
    for (size_t i = 0; i < count; i++) {
        snprintf(row, sizeof(row), "%-*s  %llu\n", (int)width, stats[i].name,
                 (unsigned long long)stats[i].value);
        out_text(out, row);
    }
}

int verb_stats(int argc, char **argv)
{
    struct stats stats = {.common = {.timeout_ms = -1}};
    const struct spn_stat *found;
    size_t count;
    spn_client *client;
    struct out out;
    cli_parse(&argp, argc, argv, &stats);
    int exit_code = cli_connect(&stats.common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    spn_err err = spn_get_stats(client, cli_timeout_ms(&stats.common), &found, &count);
    out_init(&out, STDOUT_FILENO);
    if (err != SPN_OK)
        exit_code = cli_fail_client("sidecar", client, err);
    else if (stats.json)
        exit_code = cli_put_json(&out, stats_json(found, count));
    else
        put_table(&out, found, count);
    exit_code = cli_finish(&out, exit_code);
    spn_client_close(client);
    return exit_code;
}
