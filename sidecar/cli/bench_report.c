/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_report.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"

enum { LINE_SIZE = 256, KEY_SIZE = 64 };

void bench_report_init(struct bench_report *report)
{
    out_init(&report->lines, STDOUT_FILENO);
    report->json = json_object();
}

void bench_report_release(struct bench_report *report)
{
    out_release(&report->lines);
    json_decref(report->json);
}

/* After a failure there is no object: json is NULL. */
static void set(struct bench_report *report, const char *key, json_t *value)
{
    if (report->json && json_object_set_new(report->json, key, value) != 0) {
        json_decref(report->json);
        report->json = NULL;
    }
}

static void put_line(struct bench_report *report, const char *label, const char *value,
                     const char *unit)
{
    char line[LINE_SIZE];
    if (!label)
        return;
    snprintf(line, sizeof(line), "  %-24s %16s%s%s\n", label, value, *unit ? " " : "", unit);
    out_text(&report->lines, line);
}

void bench_report_heading(struct bench_report *report, const char *text)
{
    out_text(&report->lines, text);
    out_text(&report->lines, "\n");
}

void bench_report_text(struct bench_report *report, const char *key, const char *label,
                       const char *value)
{
    char line[LINE_SIZE];
    set(report, key, json_string(value));
    if (!label)
        return;
    snprintf(line, sizeof(line), "  %-24s %s\n", label, value);
    out_text(&report->lines, line);
}

void bench_report_flag(struct bench_report *report, const char *key, bool value)
{
    set(report, key, json_boolean(value));
}

void bench_report_count(struct bench_report *report, const char *key, const char *label,
                        uint64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    set(report, key, json_integer((json_int_t)value));
    put_line(report, label, text, "");
}

void bench_report_figure(struct bench_report *report, const char *key, const char *label,
                         double value, const char *unit)
{
    char text[32];
    snprintf(text, sizeof(text), "%.*f", value < 10000 ? 1 : 0, value);
    set(report, key, json_real(value));
    put_line(report, label, text, unit);
}

void bench_report_percentile(struct bench_report *report, const char *key, const char *label,
                             const struct hist *hist, double percent)
{
    bench_report_figure(report, key, label, (double)hist_percentile(hist, percent) / 1000, "us");
}

void bench_report_latency(struct bench_report *report, const char *name, const struct hist *hist)
{
    static const struct {
        const char *key;
        const char *label;
        double percent;
    } parts[] = {{"p50_us", "p50", 50},
                 {"p99_us", "p99", 99},
                 {"p999_us", "p99.9", 99.9},
                 {"max_us", "longest", 100}};
    char key[KEY_SIZE];
    char label[KEY_SIZE];
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        snprintf(key, sizeof(key), "%s_%s", name, parts[i].key);
        snprintf(label, sizeof(label), "%s %s", name, parts[i].label);
        bench_report_percentile(report, key, label, hist, parts[i].percent);
    }
}

int bench_report_print(struct bench_report *report, bool json)
{
    int exit_code = CLI_OK;
    struct out out;
    if (!json)
        return cli_finish(&report->lines, exit_code);
    out_init(&out, STDOUT_FILENO);
    exit_code = cli_put_json(&out, report->json);
    report->json = NULL; /* cli_put_json took it */
    return cli_finish(&out, exit_code);
}
