/* SPDX-License-Identifier: Apache-2.0 */
/* verb_stats: prints the sidecar's counters: as a table, as JSON, or for Prometheus. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/metrics_text.h"
#include "cli/look.h"
#include "cli/replace_file.h"

struct stats {
    struct cli_common common;
    bool json;
    bool prometheus;
    const char *text_file; /* NULL: stdout */
};

struct counters {
    const struct spn_stat *at; /* NULL: the sidecar did not answer */
    size_t count;
};

enum { KEY_JSON = CLI_KEY, KEY_PROMETHEUS, KEY_TEXT_FILE };

enum { TEXT_FILE_MODE = 0644 }; /* whoever collects it is another user */

static const struct argp_option options[] = {
    {"json", KEY_JSON, 0, 0, "one object, a key for each counter", 0},
    {"prometheus", KEY_PROMETHEUS, 0, 0, "the text format of Prometheus", 0},
    {"textfile", KEY_TEXT_FILE, "PATH", 0,
     "write that format to a file, for the textfile collector of Prometheus' node exporter, which "
     "reads PATHs that end in .prom. The file is replaced at once, has mode 0644, and is written "
     "without a sidecar too: sponson_up is 0 then",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct stats *stats = state->input;
    switch (key) {
    case KEY_JSON:
        stats->json = true;
        return 0;
    case KEY_PROMETHEUS:
        stats->prometheus = true;
        return 0;
    case KEY_TEXT_FILE:
        stats->text_file = arg;
        return 0;
    case ARGP_KEY_END:
        if (stats->json && (stats->prometheus || stats->text_file))
            cli_usage("--json", "not with --prometheus or --textfile");
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

static json_t *stats_json(const struct counters *counters)
{
    json_t *json = json_object();
    for (size_t i = 0; i < counters->count; i++) {
        const struct spn_stat *stat = &counters->at[i];
        if (json_object_set_new(json, stat->name, json_integer((json_int_t)stat->value)) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

/* With commas at a terminal. */
static const char *number(bool terminal, uint64_t value, char text[LOOK_TEXT_SIZE])
{
    if (terminal)
        return look_count(value, text);
    snprintf(text, LOOK_TEXT_SIZE, "%llu", (unsigned long long)value);
    return text;
}

static void put_table(struct out *out, const struct counters *counters)
{
    char row[CLI_TEXT_SIZE];
    char text[LOOK_TEXT_SIZE];
    bool terminal = look_of(out->fd).terminal;
    size_t width = 0;
    for (size_t i = 0; i < counters->count; i++)
        if (strlen(counters->at[i].name) > width)
            width = strlen(counters->at[i].name);
    for (size_t i = 0; i < counters->count; i++) {
        snprintf(row, sizeof(row), "%-*s  %s\n", (int)width, counters->at[i].name,
                 number(terminal, counters->at[i].value, text));
        out_text(out, row);
    }
}

static void put_prometheus(struct out *out, const struct counters *counters)
{
    struct metrics_text_daemon daemon;
    metrics_text_daemon_begin(&daemon, out, counters->at != NULL);
    for (size_t i = 0; counters->at != NULL && i < counters->count; i++)
        metrics_text_daemon_put(&daemon, counters->at[i].name, counters->at[i].value);
}

/* -- where to ---------------------------------------------------------------------------------- */

static int fail_to_write(const char *path)
{
    if (errno != EEXIST)
        return cli_fail_errno(path);
    cli_error(path, "not a regular file, so it is not replaced");
    return CLI_FAILURE;
}

/* The time shows a collector that nobody writes the file any more. */
static int write_text_file(const char *path, const struct counters *counters)
{
    struct out out;
    out_init(&out, -1);
    put_prometheus(&out, counters);
    metrics_text_one(&out, "sponson_textfile_time_seconds",
                     "When this file was written, in seconds since 1970.", (uint64_t)time(NULL));
    int exit_code = replace_file(path, &out, TEXT_FILE_MODE) ? CLI_OK : fail_to_write(path);
    out_release(&out);
    return exit_code;
}

static int print(const struct stats *stats, const struct counters *counters)
{
    struct out out;
    int exit_code = CLI_OK;
    out_init(&out, STDOUT_FILENO);
    if (stats->json)
        exit_code = cli_put_json(&out, stats_json(counters));
    else if (stats->prometheus)
        put_prometheus(&out, counters);
    else
        put_table(&out, counters);
    return cli_finish(&out, exit_code);
}

/* The counters are borrowed from the client. */
static int ask(const struct stats *stats, spn_client *client, struct counters *ret_counters)
{
    struct counters found;
    spn_err err = spn_get_stats(client, cli_timeout_ms(&stats->common), &found.at, &found.count);
    if (err != SPN_OK)
        return cli_fail_client("sidecar", client, err);
    *ret_counters = found;
    return CLI_OK;
}

int verb_stats(int argc, char **argv)
{
    struct stats stats = {.common = {.timeout_ms = -1}};
    struct counters counters = {NULL, 0};
    spn_client *client = NULL;
    cli_parse(&argp, argc, argv, &stats);
    stats.common.at_once = stats.text_file != NULL;
    int exit_code = cli_connect(&stats.common, &client);
    if (exit_code == CLI_OK)
        exit_code = ask(&stats, client, &counters);
    int written = CLI_OK;
    if (stats.text_file != NULL)
        written = write_text_file(stats.text_file, &counters);
    else if (exit_code == CLI_OK)
        written = print(&stats, &counters);
    spn_client_close(client);
    return written == CLI_OK ? exit_code : written;
}
