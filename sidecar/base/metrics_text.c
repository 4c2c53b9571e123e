/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"

#define COMMIT_BUCKET "sponson_commit_seconds_bucket"
#define COMMIT_SUM "sponson_commit_nanoseconds_total"
#define BUCKET "_bucket"

enum { NANOSECONDS = 1000000000, MILLISECONDS = 1000 };

static bool ends_in(const char *name, size_t size, const char *end)
{
    size_t length = strlen(end);
    return size > length && memcmp(name + size - length, end, length) == 0;
}

static void put_head(struct out *out, const char *word, const char *name, const char *text)
{
    out_text(out, word);
    out_text(out, name);
    out_text(out, " ");
    out_text(out, text);
    out_text(out, "\n");
}

static void put_family(struct out *out, const char *name, const char *help, const char *type)
{
    put_head(out, "# HELP ", name, help);
    put_head(out, "# TYPE ", name, type);
}

void metrics_text_family(struct out *out, const char *name, const char *help)
{
    put_family(out, name, help, ends_in(name, strlen(name), "_total") ? "counter" : "gauge");
}

static void put_value(struct out *out, uint64_t value)
{
    out_text(out, " ");
    out_number(out, value);
    out_text(out, "\n");
}

void metrics_text_value(struct out *out, const char *name, const char *label, const char *is,
                        uint64_t value)
{
    out_text(out, name);
    if (label != NULL) {
        out_text(out, "{");
        out_text(out, label);
        out_text(out, "=\"");
        out_text(out, is);
        out_text(out, "\"}");
    }
    put_value(out, value);
}

void metrics_text_one(struct out *out, const char *name, const char *help, uint64_t value)
{
    metrics_text_family(out, name, help);
    metrics_text_value(out, name, NULL, NULL, value);
}

/* -- histograms -------------------------------------------------------------------------------- */

/* value / unit seconds; a unit is a power of ten with so many zeros. */
static void put_seconds(struct out *out, const char *name, uint64_t value, uint64_t unit,
                        int digits)
{
    char text[48];
    (void)snprintf(text, sizeof(text), "_sum %" PRIu64 ".%0*" PRIu64 "\n", value / unit, digits,
                   value % unit);
    out_text(out, name);
    out_text(out, text);
}

static void put_count(struct out *out, const char *name, uint64_t count)
{
    out_text(out, name);
    out_text(out, "_count");
    put_value(out, count);
}

void metrics_text_histogram(struct out *out, const char *name, const char *help,
                            const struct metrics_text_histogram *histogram)
{
    uint64_t count = 0;
    put_family(out, name, help, "histogram");
    for (size_t i = 0; i < histogram->count; i++) {
        count += histogram->counts[i];
        out_text(out, name);
        metrics_text_value(out, BUCKET, "le", histogram->bounds[i], count);
    }
    put_seconds(out, name, histogram->sum_ms, MILLISECONDS, 3);
    put_count(out, name, count);
}

/* -- the daemon's ------------------------------------------------------------------------------ */

/* The help of the rows whose names begin so, before their labels: a daemon of another version may
 * have other ones. */
static const char *help_of(const char *row)
{
    static const struct {
        const char *name;
        const char *help;
    } rows[] = {
#define HELP_ROW(field, name, help) {name, help},
#define HELP_RATIO(dividend, divisor, name, help) {name, help},
        METRICS_MAP(HELP_ROW) METRICS_RATIO_MAP(HELP_RATIO)
#undef HELP_ROW
#undef HELP_RATIO
    };
    size_t size = strcspn(row, "{");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcspn(rows[i].name, "{") == size && memcmp(rows[i].name, row, size) == 0)
            return rows[i].help;
    return "A counter of the daemon.";
}

/* What Prometheus would not read is left out with its value: a name comes from another process. */
static bool is_plain(const char *name, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return size > 0 && size < METRICS_TEXT_NAME_SIZE && strspn(name, plain) == size &&
           (name[0] < '0' || name[0] > '9') && strpbrk(name + size, "\n\r\\") == NULL;
}

void metrics_text_daemon_begin(struct metrics_text_daemon *daemon, struct out *out, bool is_up)
{
    *daemon = (struct metrics_text_daemon){.out = out};
    metrics_text_one(out, "sponson_up", "1 if the daemon answered.", is_up);
}

static void begin_family(struct metrics_text_daemon *daemon, const char *row, size_t size,
                         bool is_histogram)
{
    if (strlen(daemon->family) == size && memcmp(daemon->family, row, size) == 0)
        return;
    memcpy(daemon->family, row, size);
    daemon->family[size] = '\0';
    if (is_histogram)
        put_family(daemon->out, daemon->family, help_of(row), "histogram");
    else
        metrics_text_family(daemon->out, daemon->family, help_of(row));
}

void metrics_text_daemon_put(struct metrics_text_daemon *daemon, const char *name, uint64_t value)
{
    size_t size = strcspn(name, "{");
    bool is_bucket = ends_in(name, size, BUCKET);
    if (!is_plain(name, size))
        return;
    if (strcmp(name, COMMIT_SUM) == 0) { /* stands before its buckets */
        daemon->commits_ns = value;
        return;
    }
    begin_family(daemon, name, is_bucket ? size - strlen(BUCKET) : size, is_bucket);
    metrics_text_value(daemon->out, name, NULL, NULL, value);
    if (strcmp(name, COMMIT_BUCKET "{le=\"+Inf\"}") == 0) {
        put_seconds(daemon->out, daemon->family, daemon->commits_ns, NANOSECONDS, 9);
        put_count(daemon->out, daemon->family, value);
    }
}
