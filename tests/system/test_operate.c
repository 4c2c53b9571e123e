/* SPDX-License-Identifier: Apache-2.0 */
/* test_operate: what an operator meets: what the log says of trouble and of the end, and what the
 * command line says of a sidecar that it cannot get through to. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char client_id[] = "operator client.";

enum { OK, FAILURE, USAGE, NOT_FOUND, TIMEOUT, NO_SIDECAR };

enum { IDLE_MS = 1000 };

enum {
    LARGE = 100000, /* bytes of data */
    FULL_AT =
        4096, /* bytes a file may have then: room for the log, and for no page of the database */
};

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* -- the log ----------------------------------------------------------------------------------- */

/* A daemon whose disk is full, with an event that waits for room. */
static struct process *start_full(struct stage *stage, struct raw *raw, uint64_t *ret_token)
{
    static const struct stage_daemon options = {.prepare = robust_bear_full_disk};
    struct process *daemon = stage_start(stage, &options);
    raw_open(raw);
    *ret_token = raw_take_producer(raw, client_id).token;
    robust_limit_files(daemon, FULL_AT);
    robust_send_large(raw, *ret_token, 1, "large", LARGE);
    stage_wait_log(stage, "event=degraded");
    return daemon;
}

/* One line when it begins and one when it ends, however often the commit was tried. */
static void a_full_disk_is_logged_once(struct stage *stage)
{
    struct raw raw;
    uint64_t token;
    struct process *daemon = start_full(stage, &raw, &token);
    expect_in(stage_log(stage), "level=warning event=degraded code=SPN_E_DISK_FULL "
                                "reason=\"no room left on the disk\" "
                                "events_waiting=1\n");
    robust_wait_counter(&raw, "sponson_commit_retries_total", 5);
    assert_null(strstr(stage_log(stage), "event=healthy"));
    robust_limit_files(daemon, RLIM_INFINITY);
    raw_expect_acks(&raw, token, 1);
    stage_wait_log(stage, "level=info event=healthy was=SPN_E_DISK_FULL events_waiting=0\n");
    assert_int_equal(stage_times_in_log(stage, "event=degraded"), 1);
    assert_int_equal(stage_times_in_log(stage, "event=healthy"), 1);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* What stops it is told at once, not when the time for it is over. */
static void the_stop_is_logged_when_it_begins(struct stage *stage)
{
    static const int signals[] = {SIGTERM, SIGINT};
    struct raw raw;
    uint64_t token;
    struct process *daemon = start_full(stage, &raw, &token);
    process_signal(daemon, SIGTERM);
    stage_wait_log(stage, "level=info event=stopping timeout_ms=5000 events_waiting=1\n");
    assert_true(process_runs(daemon));
    robust_limit_files(daemon, RLIM_INFINITY);
    assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 0);
    raw_close(&raw);
    for (size_t i = 0; i < COUNT(signals); i++) {
        daemon = stage_start(stage, NULL);
        process_signal(daemon, signals[i]);
        assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 0);
        assert_int_equal(stage_times_in_log(stage, "event=stopping"), i + 2);
        assert_int_equal(stage_times_in_log(stage, "event=stopped"), i + 2);
    }
}

/* Not everything is on disk then, and its exit code does not claim so. */
static void a_second_signal_ends_it_at_once(struct stage *stage)
{
    struct raw raw;
    uint64_t token;
    struct process *daemon = start_full(stage, &raw, &token);
    process_signal(daemon, SIGTERM);
    stage_wait_log(stage, "level=info event=stopping timeout_ms=5000 events_waiting=1\n");
    process_signal(daemon, SIGINT);
    assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 1);
    raw_close(&raw);
}

/* A first one reads the configuration again. Neither ends it, nor does one while it stops, where a
 * second signal of another kind ends it at once. */
static void a_hangup_stops_nothing(struct stage *stage)
{
    struct raw raw;
    uint64_t token;
    struct process *daemon = start_full(stage, &raw, &token);
    process_signal(daemon, SIGHUP);
    stage_wait_log(stage, "level=info event=reloaded file=\"\" changed=0 need_restart=0\n");
    struct outcome done = stage_run(stage, "stats");
    stage_expect_code(&done, OK);
    process_signal(daemon, SIGTERM);
    stage_wait_log(stage, "event=stopping");
    process_signal(daemon, SIGHUP);
    stage_wait_log(stage, "level=info event=hangup");
    robust_limit_files(daemon, RLIM_INFINITY);
    assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 0);
    raw_close(&raw);
    assert_int_equal(stage_times_in_log(stage, "event=reloaded"), 1);
    assert_int_equal(stage_times_in_log(stage, "event=stopping"), 1);
    assert_int_equal(stage_times_in_log(stage, "event=stopped "), 1);
}

/* -- the command line in hard times ------------------------------------------------------------ */

/* Whoever waited in vain is told why, where the sidecar knows. */
static void a_timeout_names_the_reason(struct stage *stage)
{
    static const char reason[] = "the sidecar is degraded: no room left on the disk\n";
    struct raw raw;
    uint64_t token;
    start_full(stage, &raw, &token);
    const char *words[] = {"record", "s", "--timeout", "0.5", NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
    stage_expect_code(&done, TIMEOUT);
    expect_in(done.err, stage_format(stage, "sponson record: %s", reason));
    done = stage_run(stage, "close", "s", "--timeout", "0.5");
    stage_expect_code(&done, TIMEOUT);
    expect_in(done.err, stage_format(stage, "sponson close: %s", reason));
    raw_close(&raw);
}

struct error_look {
    const struct process *process;
    const char *words;
};

static bool look_at_errors(void *argument)
{
    const struct error_look *look = argument;
    size_t size;
    char *errors = process_errors(look->process, &size);
    bool found = errors && strstr(errors, look->words) != NULL;
    free(errors);
    return found;
}

static void wait_errors(const struct process *process, const char *words)
{
    struct error_look look = {process, words};
    if (!until_true(until_in(STAGE_WAIT_MS), look_at_errors, &look))
        fail_msg("it does not say: %s", words);
}

static void feed(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Until the daemon that runs has stored something. */
static void wait_stored(void)
{
    struct raw raw;
    raw_open(&raw);
    robust_wait_counter(&raw, "sponson_events_durable_total", 1);
    raw_close(&raw);
}

/* Without a --timeout a recording waits for ever, but not in silence: one line per halt. */
static void a_recording_says_what_it_waits_for(struct stage *stage)
{
    static const struct stage_daemon bearing = {.prepare = robust_bear_full_disk};
    static const char *const words[] = {"record", "s", NULL};
    struct process *daemon = stage_start(stage, &bearing);
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct process *recorder = stage_begin_words(stage, words, fds[0]);
    close(fds[0]);
    feed(fds[1], "data: 1\n\n");
    wait_stored();
    robust_limit_files(daemon, FULL_AT);
    feed(fds[1], "data: 2\n\ndata: 3\n\n");
    wait_errors(recorder, "sponson record: the sidecar is degraded: no room left on the disk; "
                          "waiting; ");
    process_kill(daemon);
    daemon = stage_start(stage, NULL);
    wait_stored();
    process_kill(daemon);
    feed(fds[1], "data: 4\n\n");
    wait_errors(recorder, "sponson record: the sidecar is gone: waiting; ");
    stage_start(stage, NULL);
    close(fds[1]);
    struct outcome done = stage_end(stage, recorder, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, OK);
    expect_in(done.out, "\"events\":4,\"stored\":4,");
    const char *again = strstr(done.err, "the sidecar is gone");
    assert_null(strstr(again + 1, "the sidecar is gone"));
}

/* -- no way through ---------------------------------------------------------------------------- */

/* Root may pass everywhere; a child that was started like this may not. */
static void obey_modes(void)
{
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
}

static struct outcome run_obeying(struct stage *stage, const char *verb, const char *timeout)
{
    const char *argv[] = {stage_sponson(), verb, "--timeout", timeout, NULL};
    struct process_options options = {.argv = argv, .prepare = obey_modes};
    return stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
}

/* Not "no sidecar", and not after the whole time. */
static void sockets_that_may_not_be_opened_are_told(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct outcome done = run_obeying(stage, "stats", "20");
    stage_expect_code(&done, OK);
    assert_int_equal(chmod(stage->socket_dir, 0), 0);
    static const char *const verbs[] = {"stats", "health"};
    for (size_t i = 0; i < COUNT(verbs); i++) {
        done = run_obeying(stage, verbs[i], "3600");
        stage_expect_code(&done, USAGE);
        expect_in(done.err,
                  stage_format(stage,
                               "sponson %s: %s/read.sock: Permission denied (see sponsond "
                               "--socket-group)\n",
                               verbs[i], stage->socket_dir));
    }
    assert_int_equal(chmod(stage->socket_dir, 0700), 0);
    assert_int_equal(stage_stop(daemon), 0);
}

static const struct socket_row {
    const char *socket; /* that may not be opened */
    const char *words[6];
    const char *options; /* which decide that */
} socket_rows[] = {
    {"read.sock", {"last", "s"}, "--read-group and --read-mode"},
    {"read.sock", {"info", "s"}, "--read-group and --read-mode"},
    {"read.sock", {"replay", "s"}, "--read-group and --read-mode"},
    {"read.sock", {"tail", "s"}, "--read-group and --read-mode"},
    {"read.sock", {"tail", "--all"}, "--read-group and --read-mode"},
    {"read.sock", {"sessions"}, "--read-group and --read-mode"},
    {"read.sock", {"stats"}, "--read-group and --read-mode"},
    {"read.sock", {"health"}, "--read-group and --read-mode"},
    {"ingest.sock", {"publish", "s", "data"}, "--ingest-group and --ingest-mode"},
    {"ingest.sock", {"close", "s"}, "--ingest-group and --ingest-mode"},
    {"ingest.sock", {"delete", "s", "--yes"}, "--ingest-group and --ingest-mode"},
    {"ingest.sock", {"record", "s", "/dev/null"}, "--ingest-group and --ingest-mode"},
};

/* Who has rights on the other socket only is told which one is missing. */
static void the_socket_that_may_not_be_opened_is_named(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct outcome done = stage_run(stage, "publish", "s", "data");
    stage_expect_code(&done, OK);
    for (size_t i = 0; i < COUNT(socket_rows); i++) {
        const struct socket_row *row = &socket_rows[i];
        const char *path = stage_format(stage, "%s/%s", stage->socket_dir, row->socket);
        const char *argv[8] = {stage_sponson()};
        memcpy(argv + 1, row->words, sizeof(row->words));
        struct process_options options = {.argv = argv, .prepare = obey_modes};
        assert_int_equal(chmod(path, 0), 0);
        done = stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
        assert_int_equal(chmod(path, 0600), 0);
        stage_expect_code(&done, USAGE);
        expect_in(done.err, stage_format(stage, "%s: Permission denied", path));
        expect_in(done.err, row->options);
        assert_null(strstr(done.err, "missing, too long"));
    }
    assert_int_equal(stage_stop(daemon), 0);
}

/* A sidecar that hangs is another thing than none. */
static void a_sidecar_that_hangs_is_told_from_none(struct stage *stage)
{
    static const char *const verbs[] = {"health", "stats", "sessions"};
    struct process *daemon = stage_start(stage, NULL);
    process_stop(daemon);
    for (size_t i = 0; i < COUNT(verbs); i++) {
        struct outcome done = stage_run(stage, verbs[i], "--timeout", "0.3");
        stage_expect_code(&done, TIMEOUT);
        expect_in(done.err, "a process listens there, but does not answer");
    }
    process_kill(daemon);
    for (size_t i = 0; i < COUNT(verbs); i++) {
        struct outcome done = stage_run(stage, verbs[i], "--timeout", "0.3");
        stage_expect_code(&done, NO_SIDECAR);
        expect_in(done.err,
                  stage_format(stage,
                               "sponson %s: no sidecar is answering in %s: start sponsond, or name "
                               "its directory with --socket-dir or SPONSON_SOCKET_DIR\n",
                               verbs[i], stage->socket_dir));
    }
}

/* health asks how it is now; the others wait for a start, and say so after a second. */
static void only_those_wait_who_should(struct stage *stage)
{
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    struct outcome done = stage_run(stage, "health", "--timeout", "3600");
    stage_expect_code(&done, NO_SIDECAR);
    assert_false(until_over(due_ns));
    done = stage_run(stage, "stats", "--timeout", "1.2");
    stage_expect_code(&done, NO_SIDECAR);
    expect_in(done.err, stage_format(stage, "sponson stats: waiting for a sidecar in %s: for 1 s\n",
                                     stage->socket_dir));
    struct process *waiting = stage_begin_run(stage, "health", "--wait", "20");
    struct process *asking = stage_begin_run(stage, "stats", "--timeout", "20");
    stage_start(stage, NULL);
    done = stage_end(stage, waiting, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, OK);
    done = stage_end(stage, asking, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, OK);
}

/* An empty list is told from none. */
static void an_empty_list_has_a_head(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = stage_run(stage, "sessions");
    stage_expect_code(&done, OK);
    expect_in(done.out, "NEWEST AT");
    done = stage_run(stage, "sessions", "--json");
    assert_string_equal(done.out, "");
}

/* A database that may not be read is another thing than none, and is named once. */
static void a_database_that_may_not_be_read_is_told(struct stage *stage)
{
    assert_int_equal(stage_stop(stage_start(stage, NULL)), 0);
    assert_int_equal(chmod(stage->data_dir, 0), 0);
    const char *argv[] = {stage_sponson(), "dump", NULL};
    struct process_options options = {.argv = argv, .prepare = obey_modes};
    struct outcome done = stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, FAILURE);
    assert_string_equal(
        done.err,
        stage_format(stage, "sponson dump: %s/data.mdb: Permission denied\n", stage->data_dir));
    assert_int_equal(chmod(stage->data_dir, 0700), 0);
}

/* -- the group --------------------------------------------------------------------------------- */

static size_t count_in(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

/* Each option that names a group is told once. */
static void a_directory_closed_to_the_group_is_told(struct stage *stage)
{
    const struct group *own = getgrgid(getgid());
    assert_non_null(own);
    const struct stage_daemon both = {.more = {"--socket-group", own->gr_name}};
    const struct stage_daemon each = {
        .more = {"--ingest-group", own->gr_name, "--read-group", own->gr_name}};
    static const char warning[] = "level=warning event=socket_dir dir=";
    static const char *const options[] = {"socket", "ingest", "read"};
    assert_int_equal(chmod(stage->socket_dir, 0710), 0);
    assert_int_equal(stage_stop(stage_start(stage, &both)), 0);
    assert_null(strstr(stage_log(stage), warning));
    assert_int_equal(chmod(stage->socket_dir, 0700), 0);
    assert_int_equal(stage_stop(stage_start(stage, &both)), 0);
    assert_int_equal(stage_stop(stage_start(stage, &each)), 0);
    assert_int_equal(count_in(stage_log(stage), warning), COUNT(options));
    for (size_t i = 0; i < COUNT(options); i++)
        expect_in(stage_log(stage),
                  stage_format(stage,
                               "reason=\"the group of --%s-group has no search permission on it\"",
                               options[i]));
}

/* What is wrong with an option is told before anything is touched. */
/* User and system, of the process and its threads. */
static uint64_t cpu_ms(const struct process *process)
{
    char path[64];
    char line[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)process->pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    char *at = strrchr(line, ')'); /* the third field follows */
    assert_non_null(at);
    for (int field = 2; field < 14; field++)
        at = strchr(at + 1, ' ');
    uint64_t user = strtoull(at, &at, 10);
    return (user + strtoull(at, NULL, 10)) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* A loop that waits for something that is always there, or for no socket at all, looks like this
 * from outside: everything works, and a processor is busy. */
static void a_sidecar_that_has_nothing_to_do_rests(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct outcome health = stage_run(stage, "health");
    stage_expect_code(&health, OK);
    uint64_t before_ms = cpu_ms(daemon);
    until_passed_us(IDLE_MS * 1000); /* measured, not waited for */
    uint64_t used_ms = cpu_ms(daemon) - before_ms;
    if (used_ms > IDLE_MS / 10)
        fail_msg("%llu ms of a processor in %d ms", (unsigned long long)used_ms, IDLE_MS);
    assert_int_equal(stage_stop(daemon), 0);
}

static void bad_options_are_usage(struct stage *stage)
{
    static const struct {
        const char *words[3];
        const char *says;
    } rows[] = {
        {{"--socket-group", "no-such-group"}, "--socket-group no-such-group: no such group"},
        {{"--ready-fd", "77"}, "--ready-fd 77: not open"},
        {{"--quota", "1"}, "--quota 1: must be from"},
        {{"--frobnicate"}, "--frobnicate"},
        {{"word"}, "unexpected argument: word"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *argv[] = {stage_sponsond(), rows[i].words[0], rows[i].words[1], NULL};
        struct process_options options = {.argv = argv};
        struct outcome done =
            stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
        stage_expect_code(&done, USAGE);
        expect_in(done.err, rows[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_full_disk_is_logged_once),
        STAGE_TEST(the_stop_is_logged_when_it_begins),
        STAGE_TEST(a_second_signal_ends_it_at_once),
        STAGE_TEST(a_hangup_stops_nothing),
        STAGE_TEST(a_timeout_names_the_reason),
        STAGE_TEST(a_recording_says_what_it_waits_for),
        STAGE_TEST(sockets_that_may_not_be_opened_are_told),
        STAGE_TEST(the_socket_that_may_not_be_opened_is_named),
        STAGE_TEST(a_sidecar_that_hangs_is_told_from_none),
        STAGE_TEST(only_those_wait_who_should),
        STAGE_TEST(an_empty_list_has_a_head),
        STAGE_TEST(a_database_that_may_not_be_read_is_told),
        STAGE_TEST(a_directory_closed_to_the_group_is_told),
        STAGE_TEST(a_sidecar_that_has_nothing_to_do_rests),
        STAGE_TEST(bad_options_are_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
