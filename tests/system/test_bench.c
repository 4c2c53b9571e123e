/* SPDX-License-Identifier: Apache-2.0 */
/* test_bench: every measurement of `sponson bench` works, says what it promises, and leaves
 * nothing. What the figures are is nobody's business here: other tests run beside it. */
#include <dirent.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "check.h"
#include "event_list.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OK, NO_SIDECAR = 5, KEYS_MAX = 12 };

static const char stream[] = "retry: 1500\n"
                             "event: start\nid: a1\ndata: {\"n\":1}\n\n"
                             "data: two\ndata: lines\n\n"
                             "event: end\nid: a3\ndata: \xe2\x9c\x93\n\n";

/* -- what is promised -------------------------------------------------------------------------- */

/* What every one of them says about where it was measured. */
static const char *const surroundings[] = {"measured",        "size", "cpu", "cores", "kernel",
                                           "sidecar_version", NULL};

static const struct {
    const char *name;
    const char *words[STAGE_WORDS_MAX];
    uint64_t events;             /* the figure of that name */
    const char *keys[KEYS_MAX];  /* of numbers above zero */
    const char *other[KEYS_MAX]; /* of numbers that may be zero, or below */
    const char *ones[KEYS_MAX];  /* of numbers that are 1 */
} rows[] = {
    {"publish",
     {"publish", "--size", "100", "--sessions", "7", "--count", "500", "--producers", "3", "--ack",
      "durable"},
     .events = 500,
     .keys = {"stored", "seconds", "events_per_second", "ack_p50_us", "ack_p99_us", "ack_p999_us",
              "ack_max_us", "sessions", "producers", "in_flight"}},
    {"publish, one in flight",
     {"publish", "--count", "50", "--in-flight", "1"},
     .events = 50,
     .keys = {"stored", "events_per_second", "ack_p50_us"}},
    {"publish at a rate",
     {"publish", "--count", "200", "--rate", "4000", "--producers", "2"},
     .events = 200,
     .keys = {"stored", "events_per_second", "ack_p50_us", "ack_p99_us", "rate"}},
    {"latency",
     {"latency", "--count", "60", "--producers", "3"},
     .events = 60,
     .keys = {"ack_p50_us", "ack_p99_us", "reader_p50_us", "reader_p99_us", "stored", "received"},
     .other = {"reader_after_ack_p50_us"}},
    {"latency at a rate",
     {"latency", "--count", "100", "--rate", "2000"},
     .events = 100,
     .keys = {"ack_p50_us", "ack_p99_us", "reader_p50_us", "reader_p99_us", "stored", "received"}},
    {"one-shots",
     {"oneshot", "--count", "60", "--producers", "3"},
     .events = 60,
     .keys = {"stored", "events_per_second", "ack_p50_us", "ack_p99_us", "ack_p999_us",
              "ack_max_us", "clients", "in_flight"}},
    {"one-shots that are accepted",
     {"oneshot", "--count", "20", "--ack", "accepted"},
     .events = 20,
     .keys = {"stored", "ack_p50_us"}},
    {"replay",
     {"replay", "--count", "300", "--others", "2", "--rounds", "2"},
     .events = 300,
     .keys = {"events_per_second", "slowest_per_second", "fastest_per_second", "rounds", "others",
              "events_in_log"}},
    {"replay of a session alone",
     {"replay", "--count", "300", "--others", "0"},
     .events = 300,
     .keys = {"events_per_second", "rounds"}},
    {"fanout",
     {"fanout", "--subscribers", "5", "--processes", "2", "--rounds", "3"},
     .keys = {"ack_p50_us", "rounds", "subscribers", "clients", "processes"},
     .other = {"last_p50_us", "last_max_us", "each_p50_us", "each_p99_us"}},
    {"fanout on one client",
     {"fanout", "--subscribers", "300", "--clients", "1", "--rounds", "2"},
     .keys = {"ack_p50_us", "rounds", "subscribers"},
     .other = {"last_p50_us"},
     .ones = {"clients", "processes"}},
    {"fanout with subscribers that share clients",
     {"fanout", "--subscribers", "7", "--clients", "3", "--processes", "2", "--rounds", "2"},
     .keys = {"rounds", "clients", "processes"},
     .other = {"last_max_us"}},
    {"fanout with more processes than subscribers",
     {"fanout", "--subscribers", "2", "--processes", "3", "--rounds", "1"},
     .keys = {"rounds", "processes"},
     .other = {"last_max_us"}},
    {"sessions",
     {"sessions", "--count", "2000"},
     .events = 2000,
     .keys = {"sessions_per_second", "stored", "rss_anon_after_bytes",
              "rss_anon_per_session_bytes"}},
};

static size_t files_in(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    struct dirent *found;
    while ((found = readdir(dir)) != NULL)
        count += found->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* The words of a row behind `bench`, and more behind those. */
static struct outcome run_row(struct stage *stage, size_t row, const char *const *more)
{
    const char *words[STAGE_WORDS_MAX] = {"bench"};
    size_t used = 1;
    for (size_t i = 0; rows[row].words[i]; i++)
        words[used++] = rows[row].words[i];
    for (size_t i = 0; more[i]; i++)
        words[used++] = more[i];
    return stage_run_words(stage, words, (struct spn_bytes){NULL, 0});
}

static void check_keys(size_t row, const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s: %s", rows[row].name, error.text, text);
    for (size_t i = 0; surroundings[i]; i++)
        if (!json_object_get(json, surroundings[i]))
            fail_msg("%s: no %s in %s", rows[row].name, surroundings[i], text);
    for (size_t i = 0; i < KEYS_MAX && rows[row].keys[i]; i++)
        if (!(json_number_value(json_object_get(json, rows[row].keys[i])) > 0))
            fail_msg("%s: no figure %s in %s", rows[row].name, rows[row].keys[i], text);
    for (size_t i = 0; i < KEYS_MAX && rows[row].other[i]; i++)
        if (!json_is_number(json_object_get(json, rows[row].other[i])))
            fail_msg("%s: no %s in %s", rows[row].name, rows[row].other[i], text);
    for (size_t i = 0; i < KEYS_MAX && rows[row].ones[i]; i++)
        assert_int_equal(json_integer_value(json_object_get(json, rows[row].ones[i])), 1);
    if (rows[row].events > 0)
        assert_int_equal(json_integer_value(json_object_get(json, "events")), rows[row].events);
    static const char *const as_many[] = {"stored", "received"};
    for (size_t i = 0; i < COUNT(as_many); i++) {
        const json_t *count = json_object_get(json, as_many[i]);
        if (count)
            assert_int_equal(json_integer_value(count), rows[row].events);
    }
    json_decref(json);
}

/* Each with a sidecar of its own, of which nothing is left. */
static void each_says_what_it_promises(struct stage *stage)
{
    static const char *const more[] = {"--json", NULL};
    const char *dir = stage_make_dir(stage, "tmp");
    setenv("TMPDIR", dir, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome done = run_row(stage, i, more);
        if (done.code != OK)
            fail_msg("%s: exit code %d: %s", rows[i].name, done.code, done.err);
        check_keys(i, done.out);
        if (!strstr(done.out, "\"own_sidecar\":true"))
            fail_msg("%s: not with its own sidecar: %s", rows[i].name, done.out);
        assert_int_equal(files_in(dir), 0);
    }
    unsetenv("TMPDIR");
}

/* It is not passed over for one of their own. */
static void a_sidecar_that_hangs_is_told_of(struct stage *stage)
{
    static const char *const more[] = {"--running", NULL};
    struct process *daemon = stage_start(stage, NULL);
    process_stop(daemon);
    struct outcome done = run_row(stage, 0, more);
    process_signal(daemon, SIGCONT);
    stage_expect_code(&done, 4);
    assert_non_null(strstr(done.err, "does not answer"));
}

static void the_sidecar_that_runs_is_taken_if_asked(struct stage *stage)
{
    static const char *const more[] = {"--running", NULL};
    stage_start(stage, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome done = run_row(stage, i, more);
        if (done.code != OK)
            fail_msg("%s: exit code %d: %s", rows[i].name, done.code, done.err);
        if (!strstr(done.out, "already running") || !strstr(done.out, "processor"))
            fail_msg("%s: %s", rows[i].name, done.out);
    }
    struct outcome done =
        stage_run(stage, "bench", "publish", "--socket-dir", stage->dir, "--timeout", "0.1");
    stage_expect_code(&done, NO_SIDECAR);
    done = stage_run(stage, "bench", "publish", "--count", "100");
    stage_expect_code(&done, OK);
    assert_non_null(strstr(done.out, "started for the benchmark"));
    done = stage_run(stage, "bench", "publish", "--count", "100", "--keep");
    stage_expect_code(&done, 2);
    assert_non_null(strstr(done.err, "--keep: needs --running"));
}

/* What the sidecar retains of a session is read, the rest is told. */
static void a_replay_reads_what_is_retained(struct stage *stage)
{
    stage_start(stage, &(struct stage_daemon){.more = {"--retention-events", "100"}});
    struct outcome done = stage_run(stage, "bench", "replay", "--count", "300", "--others", "1",
                                    "--rounds", "1", "--running", "--json");
    stage_expect_code(&done, OK);
    assert_int_equal(event_json_number(done.out, "events"), 100);
    assert_int_equal(event_json_number(done.out, "missing"), 200);
}

/* What is in the sidecar afterwards is what the file has, over and over, without its ids. */
static void payloads_come_from_a_file(struct stage *stage)
{
    const struct spn_bytes bytes = {stream, sizeof(stream) - 1};
    const char *file = stage_write_file(stage, "stream.sse", bytes);
    struct event_list wanted = EVENT_LIST_INIT;
    struct event_list got = EVENT_LIST_INIT;
    stage_start(stage, NULL);
    struct outcome done = stage_run(stage, "bench", "publish", "--running", "--keep", "--file",
                                    file, "--count", "6", "--sessions", "1", "--json");
    stage_expect_code(&done, OK);
    assert_int_equal(event_json_number(done.out, "stored"), 6);
    done = stage_run(stage, "dump");
    stage_expect_code(&done, OK);
    event_list_add_json(&got, done.output, NULL);
    event_list_add_sse(&wanted, bytes);
    event_list_add_sse(&wanted, bytes);
    assert_int_equal(got.count, wanted.count);
    for (size_t i = 0; i < wanted.count; i++) {
        assert_true(event_bytes_same(got.items[i].type, wanted.items[i].type));
        assert_true(event_bytes_same(got.items[i].data, wanted.items[i].data));
        assert_int_equal(got.items[i].retry_ms, wanted.items[i].retry_ms);
        assert_false(event_bytes_same(got.items[i].id, wanted.items[i].id));
    }
    event_list_release(&got);
    event_list_release(&wanted);
}

/* -- interrupted ------------------------------------------------------------------------------- */

/* The database of the sidecar that bench started has grown, and not only by the room that is made
 * in it beforehand: it publishes. */
static bool has_begun(void *argument)
{
    glob_t found = {0};
    struct stat status = {0};
    if (glob(argument, 0, NULL, &found) == 0)
        (void)stat(found.gl_pathv[0], &status);
    globfree(&found);
    return status.st_size > 3 * 1024 * 1024;
}

static const struct {
    const char *words[STAGE_WORDS_MAX];
    const char *figure; /* that it has by then */
} endless[] = {
    {{"bench", "publish", "--count", "4000000000", "--json"}, "events"},
    {{"bench", "latency", "--count", "4000000000", "--producers", "4", "--json"}, "received"},
    {{"bench", "oneshot", "--count", "4000000000", "--producers", "2", "--size", "4096", "--json"},
     "events"},
    {{"bench", "fanout", "--subscribers", "4", "--rounds", "1000000", "--size", "4096", "--json"},
     "rounds"},
    {{"bench", "sessions", "--count", "4000000000", "--json"}, "sessions_per_second"},
};

static void an_interrupt_ends_it_with_figures(struct stage *stage)
{
    const char *dir = stage_make_dir(stage, "tmp");
    char *database = stage_keep(stage, strdup(stage_path(stage, "tmp/*/data/data.mdb")));
    setenv("TMPDIR", dir, 1);
    for (size_t i = 0; i < COUNT(endless); i++) {
        struct process *bench = stage_begin_words(stage, endless[i].words, 0);
        assert_true(until_true(until_in(STAGE_WAIT_MS), has_begun, database));
        process_signal(bench, SIGINT);
        struct outcome done = stage_end(stage, bench, until_in(STAGE_WAIT_MS));
        stage_expect_code(&done, OK);
        assert_true(event_json_number(done.out, endless[i].figure) > 0);
        assert_int_equal(files_in(dir), 0);
    }
    unsetenv("TMPDIR");
}

/* Nothing is left in a sidecar that is somebody's, unless that is asked for. */
static void a_sidecar_that_ran_was_left_full(struct stage *stage)
{
    static const char *const whats[] = {"publish", "latency", "oneshot", "replay", "sessions"};
    stage_start(stage, NULL);
    for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
        struct outcome done = stage_run(stage, "bench", whats[i], "--count", "300", "--running");
        stage_expect_code(&done, 0);
        done = stage_run(stage, "sessions", "--json");
        assert_string_equal(done.out, "");
    }
    struct outcome done =
        stage_run(stage, "bench", "publish", "--count", "300", "--running", "--keep");
    stage_expect_code(&done, 0);
    done = stage_run(stage, "sessions", "--json");
    assert_non_null(strstr(done.out, "\"bench-"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_sidecar_that_ran_was_left_full),
        STAGE_TEST(each_says_what_it_promises),
        STAGE_TEST(a_sidecar_that_hangs_is_told_of),
        STAGE_TEST(the_sidecar_that_runs_is_taken_if_asked),
        STAGE_TEST(a_replay_reads_what_is_retained),
        STAGE_TEST(payloads_come_from_a_file),
        STAGE_TEST(an_interrupt_ends_it_with_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
