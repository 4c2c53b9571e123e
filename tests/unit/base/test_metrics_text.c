/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics_text: families, histograms and the daemon's counters, byte by byte; every
 * counter of the daemon has a family of its own with a help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/metrics.h"
#include "base/metrics_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check(struct out *out, const char *wanted)
{
    out_put(out, "", 1);
    assert_int_equal(out->error, 0);
    assert_string_equal(out->data, wanted);
    out_release(out);
}

static void a_name_gives_the_type(void **state)
{
    (void)state;
    struct out out;
    out_init(&out, -1);
    metrics_text_one(&out, "a_total", "As.", 18446744073709551615u);
    metrics_text_one(&out, "b", "Bs.", 0);
    metrics_text_family(&out, "c_total", "Cs.");
    metrics_text_value(&out, "c_total", "why", "x", 1);
    metrics_text_value(&out, "c_total", "why", "y", 2);
    metrics_text_one(&out, "_total", "Only an end.", 3);
    check(&out, "# HELP a_total As.\n# TYPE a_total counter\na_total 18446744073709551615\n"
                "# HELP b Bs.\n# TYPE b gauge\nb 0\n"
                "# HELP c_total Cs.\n# TYPE c_total counter\n"
                "c_total{why=\"x\"} 1\nc_total{why=\"y\"} 2\n"
                "# HELP _total Only an end.\n# TYPE _total gauge\n_total 3\n");
}

static void a_histogram_adds_up(void **state)
{
    (void)state;
    static const char *const bounds[] = {"0.002", "5", "+Inf"};
    static const uint64_t counts[] = {3, 0, 1};
    struct out out;
    out_init(&out, -1);
    metrics_text_histogram(&out, "t_seconds", "Times.",
                           &(struct metrics_text_histogram){bounds, counts, 3, 60007});
    check(&out, "# HELP t_seconds Times.\n# TYPE t_seconds histogram\n"
                "t_seconds_bucket{le=\"0.002\"} 3\nt_seconds_bucket{le=\"5\"} 3\n"
                "t_seconds_bucket{le=\"+Inf\"} 4\nt_seconds_sum 60.007\nt_seconds_count 4\n");
}

struct stat_row {
    const char *name;
    uint64_t value;
};

static void put_daemon(struct out *out, const struct stat_row *rows, size_t count)
{
    struct metrics_text_daemon daemon;
    out_init(out, -1);
    metrics_text_daemon_begin(&daemon, out, count > 0);
    for (size_t i = 0; i < count; i++)
        metrics_text_daemon_put(&daemon, rows[i].name, rows[i].value);
}

#define UP "# HELP sponson_up 1 if the daemon answered.\n# TYPE sponson_up gauge\nsponson_up "

static void without_the_daemon_it_is_not_up(void **state)
{
    (void)state;
    struct out out;
    put_daemon(&out, NULL, 0);
    check(&out, UP "0\n");
}

static void the_daemons_are_grouped(void **state)
{
    (void)state;
    static const struct stat_row stats[] = {
        {"sponson_commits_total", 3},
        {"sponson_commit_nanoseconds_total", 1000000007},
        {"sponson_commit_seconds_bucket{le=\"0.5\"}", 2},
        {"sponson_commit_seconds_bucket{le=\"+Inf\"}", 3},
        {"sponson_events_refused_total{reason=\"contents\"}", 4},
        {"sponson_events_refused_total{reason=\"closed\"}", 5},
        {"sponson_build_info{version=\"of tomorrow\"}", 1},
        {"sponson_of_tomorrow", 6},
        {"bad name 1\n# HELP x", 7},
        {"sponson_evil{a=\"\n\"}", 7},
        {"", 7},
        {"9lives", 7},
    };
    struct out out;
    put_daemon(&out, stats, COUNT(stats));
    check(&out, UP "1\n"
                   "# HELP sponson_commits_total Commits.\n"
                   "# TYPE sponson_commits_total counter\nsponson_commits_total 3\n"
                   "# HELP sponson_commit_seconds How long commits took.\n"
                   "# TYPE sponson_commit_seconds histogram\n"
                   "sponson_commit_seconds_bucket{le=\"0.5\"} 2\n"
                   "sponson_commit_seconds_bucket{le=\"+Inf\"} 3\n"
                   "sponson_commit_seconds_sum 1.000000007\nsponson_commit_seconds_count 3\n"
                   "# HELP sponson_events_refused_total Numbers that were refused, by reason.\n"
                   "# TYPE sponson_events_refused_total counter\n"
                   "sponson_events_refused_total{reason=\"contents\"} 4\n"
                   "sponson_events_refused_total{reason=\"closed\"} 5\n"
                   "# HELP sponson_build_info Always 1; the label is the daemon's version.\n"
                   "# TYPE sponson_build_info gauge\n"
                   "sponson_build_info{version=\"of tomorrow\"} 1\n"
                   "# HELP sponson_of_tomorrow A counter of the daemon.\n"
                   "# TYPE sponson_of_tomorrow gauge\nsponson_of_tomorrow 6\n");
}

/* A help is one line that ends in a full stop, and a family stands together. */
static void each_counter_has_a_help(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *help;
    } rows[] = {
#define ROW(field, name, help) {name, help},
#define RATIO(dividend, divisor, name, help) {name, help},
        METRICS_MAP(ROW) METRICS_RATIO_MAP(RATIO)
#undef ROW
#undef RATIO
    };
    struct stat_row stats[COUNT(rows)];
    struct out out;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t size = strlen(rows[i].help);
        assert_true(size > 4 && rows[i].help[size - 1] == '.');
        assert_null(strpbrk(rows[i].help, "\n\\"));
        stats[i] = (struct stat_row){rows[i].name, i};
    }
    put_daemon(&out, stats, COUNT(stats));
    out_put(&out, "", 1);
    assert_null(strstr(out.data, "A counter of the daemon."));
    for (const char *type = out.data; (type = strstr(type, "# TYPE ")) != NULL; type += 7) {
        char name[128];
        size_t size = strcspn(type + 7, " ");
        assert_true(size + 9 < sizeof(name));
        memcpy(name, type, size + 8);
        name[size + 8] = '\0';
        if (strstr(type + 7, name) != NULL)
            fail_msg("there twice: %s", name);
    }
    out_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_gives_the_type),
        cmocka_unit_test(a_histogram_adds_up),
        cmocka_unit_test(without_the_daemon_it_is_not_up),
        cmocka_unit_test(the_daemons_are_grouped),
        cmocka_unit_test(each_counter_has_a_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
