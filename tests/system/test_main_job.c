/* SPDX-License-Identifier: Apache-2.0 */
/* test_main_job: a stream goes in, is acknowledged, survives kill -9 and comes back out; and how a
 * daemon starts, stands beside another one, and stops. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "stage.h"

static const char stream[] = "retry: 1500\n"
                             "event: start\nid: a1\ndata: {\"n\":1}\n\n"
                             "data: two\ndata: lines\n\n"
                             "event: end\nid: a3\ndata: \xe2\x9c\x93\n\n";
enum { STREAM_EVENTS = 3 };

static struct spn_bytes bytes_of(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

static void record_stream(struct stage *stage, const char *session)
{
    const char *words[] = {"record", session, NULL};
    struct outcome done = stage_run_words(stage, words, bytes_of(stream));
    stage_expect_code(&done, 0);
    assert_int_equal(event_json_number(done.out, "events"), STREAM_EVENTS);
    assert_int_equal(event_json_number(done.out, "stored"), STREAM_EVENTS);
    assert_int_equal(event_json_number(done.out, "duplicates"), 0);
    assert_int_equal(event_json_number(done.out, "conflicts"), 0);
}

/* What a command printed is the stream. */
static void expect_stream(const struct outcome *printed, bool json)
{
    struct event_list wanted = EVENT_LIST_INIT;
    struct event_list got = EVENT_LIST_INIT;
    stage_expect_code(printed, 0);
    event_list_add_sse(&wanted, bytes_of(stream));
    if (json) {
        event_list_add_json(&got, printed->output, NULL);
        event_list_expect_whole("the session", &got);
    } else {
        event_list_add_sse(&got, printed->output);
    }
    event_list_expect_same("what came back", &got, &wanted);
    event_list_release(&got);
    event_list_release(&wanted);
}

static void expect_everything_there(struct stage *stage)
{
    struct outcome done = stage_run(stage, "dump");
    expect_stream(&done, true);
    done = stage_run(stage, "dump", "--format", "sse");
    expect_stream(&done, false);
    done = stage_run(stage, "replay", "chat");
    expect_stream(&done, true);
    done = stage_run(stage, "replay", "chat", "--format", "sse");
    expect_stream(&done, false);

    done = stage_run(stage, "replay", "chat", "--after", "a1", "--format", "sse");
    stage_expect_code(&done, 0);
    struct event_list rest = EVENT_LIST_INIT;
    event_list_add_sse(&rest, done.output);
    assert_int_equal(rest.count, STREAM_EVENTS - 1);
    assert_true(event_bytes_same(rest.items[0].data, bytes_of("two\nlines")));
    event_list_release(&rest);

    done = stage_run(stage, "last", "chat");
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, "a3\n");

    done = stage_run(stage, "sessions", "--json");
    stage_expect_code(&done, 0);
    assert_int_equal(event_json_number(done.out, "seq"), STREAM_EVENTS);
    struct outcome offline = stage_run(stage, "sessions", "--json", "--data-dir", stage->data_dir);
    stage_expect_code(&offline, 0);
    assert_string_equal(offline.out, done.out);
}

static void survives_kill(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_stream(stage, "chat");
    expect_everything_there(stage);
    process_kill(daemon);
    assert_int_equal(daemon->code, 128 + SIGKILL);
    struct outcome offline = stage_run(stage, "dump");
    expect_stream(&offline, true);
    daemon = stage_start(stage, NULL);
    expect_everything_there(stage);
    assert_int_equal(stage_stop(daemon), 0);
    stage_start(stage, NULL);
    expect_everything_there(stage);
}

/* -- health, stats ----------------------------------------------------------------------------- */

static void says_how_it_is(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_stream(stage, "chat");
    struct outcome health = stage_run(stage, "health", "--json");
    stage_expect_code(&health, 0);
    assert_int_equal(event_json_number(health.out, "pid"), daemon->pid);
    assert_int_equal(event_json_number(health.out, "durable"),
                     STREAM_EVENTS + 1); /* and the opening */
    char *status = stage_keep(stage, event_json_string(health.out, "status"));
    assert_string_equal(status, "ok");
    struct outcome stats = stage_run(stage, "stats", "--json");
    stage_expect_code(&stats, 0);
    assert_int_equal(event_json_number(stats.out, "sponson_events_durable_total"), STREAM_EVENTS);
    assert_int_equal(event_json_number(stats.out, "sponson_sessions_opened_total"), 1);
    assert_true(event_json_number(stats.out, "sponson_commits_total") > 0);
}

static void health_waits_for_the_start(struct stage *stage)
{
    struct process *waiting = stage_begin_run(stage, "health", "--wait", "30");
    stage_start(stage, NULL);
    struct outcome done = stage_end(stage, waiting, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, 0);
}

/* -- two of them ------------------------------------------------------------------------------- */

static void second_daemon_gives_way(struct stage *stage)
{
    struct process *first = stage_start(stage, NULL);
    record_stream(stage, "chat");
    struct stage_daemon options = {.error_path = stage_path(stage, "second.log")};
    struct process *second = stage_begin(stage, &options, NULL);
    assert_int_equal(process_wait(second, until_in(STAGE_WAIT_MS)), 1);
    const char *said = stage_read_file(stage, options.error_path).data;
    const char *pid = stage_format(stage, "pid=%ld", (long)first->pid);
    if (!strstr(said, pid))
        fail_msg("it does not name the first one, %s: %s", pid, said);
    expect_everything_there(stage);
    record_stream(stage, "more");
    assert_int_equal(stage_stop(first), 0);
}

/* Sharing only the socket directory is refused too: it would steal the sockets. */
static void socket_dir_is_not_shared(struct stage *stage)
{
    stage_start(stage, NULL);
    record_stream(stage, "chat");
    struct stage_daemon options = {.data_dir = stage_make_dir(stage, "data2"),
                                   .error_path = stage_path(stage, "second.log")};
    struct process *second = stage_begin(stage, &options, NULL);
    assert_int_equal(process_wait(second, until_in(STAGE_WAIT_MS)), 1);
    expect_everything_there(stage);
}

static void waits_for_the_lock(struct stage *stage)
{
    int ready_fd;
    struct stage_daemon options = {.more = {"--wait-lock", "60"}};
    struct process *first = stage_start(stage, NULL);
    record_stream(stage, "chat");
    struct process *second = stage_begin(stage, &options, &ready_fd);
    /* A moment in which it could do harm, if it would. */
    assert_false(stage_is_ready(ready_fd, until_now_ns() + 300000000u));
    assert_true(process_runs(second));
    expect_everything_there(stage);
    assert_int_equal(stage_stop(first), 0);
    assert_true(stage_is_ready(ready_fd, until_in(STAGE_WAIT_MS)));
    expect_everything_there(stage);
    assert_int_equal(stage_stop(second), 0);
}

static void wait_for_the_lock_ends(struct stage *stage)
{
    struct process *first = stage_start(stage, NULL);
    struct stage_daemon options = {.more = {"--wait-lock", "1"},
                                   .error_path = stage_path(stage, "second.log")};
    struct process *second = stage_begin(stage, &options, NULL);
    assert_int_equal(process_wait(second, until_in(STAGE_WAIT_MS)), 1);
    const char *said = stage_read_file(stage, options.error_path).data;
    assert_non_null(strstr(said, stage_format(stage, "pid=%ld", (long)first->pid)));
}

/* -- starting and stopping --------------------------------------------------------------------- */

static void tells_when_it_is_ready(struct stage *stage)
{
    int ready_fd;
    char byte;
    stage_begin(stage, NULL, &ready_fd);
    assert_true(stage_is_ready(ready_fd, until_in(STAGE_WAIT_MS)));
    /* The descriptor is closed behind the line, and the log has a line of its own. */
    assert_true(until_readable(until_in(STAGE_WAIT_MS), ready_fd));
    assert_int_equal(read(ready_fd, &byte, 1), 0);
    assert_non_null(strstr(stage_log(stage), "event=ready "));
    /* Ready means that a client is served at once. */
    struct outcome health = stage_run(stage, "health", "--timeout", "5");
    stage_expect_code(&health, 0);
}

static void sockets_have_their_mode(struct stage *stage)
{
    struct stat status;
    struct process *daemon = stage_start(stage, NULL);
    assert_int_equal(stat(stage_path(stage, "run/ingest.sock"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    assert_int_equal(stat(stage_path(stage, "run/read.sock"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    assert_int_equal(stage_stop(daemon), 0);
    struct stage_daemon options = {.more = {"--socket-mode", "600"}};
    stage_start(stage, &options);
    assert_int_equal(stat(stage_path(stage, "run/ingest.sock"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void stops_on_either_signal(struct stage *stage)
{
    static const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        struct process *daemon = stage_start(stage, NULL);
        record_stream(stage, i == 0 ? "chat" : "again");
        process_signal(daemon, signals[i]);
        assert_int_equal(process_wait(daemon, until_in(5000)), 0);
    }
    struct outcome dump = stage_run(stage, "dump", "--session", "chat");
    expect_stream(&dump, true);
}

/* What was accepted and nobody waited for is on disk when it has stopped. A second signal ends it
 * at once, drained or not: the exit code says which. */
static void second_signal_ends_it(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_stream(stage, "chat");
    process_stop(daemon);
    process_signal(daemon, SIGTERM);
    process_signal(daemon, SIGINT);
    process_signal(daemon, SIGCONT);
    int code = process_wait(daemon, until_in(5000));
    if (code != 0 && code != 1)
        fail_msg("exit code %d", code);
    if (code == 1)
        assert_non_null(strstr(stage_log(stage), "event=stopped_at_once"));
    stage_start(stage, NULL);
    expect_everything_there(stage);
}

/* The index is written on the way out: the next start has nothing to read from the log. */
static void writes_the_open_generation(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_stream(stage, "chat");
    assert_int_equal(stage_stop(daemon), 0);
    stage_start(stage, NULL);
    const char *again = strstr(strstr(stage_log(stage), "event=stopped"), "event=recovered");
    assert_non_null(again);
    assert_non_null(strstr(again, "entries=0 sessions=1"));
    struct outcome health = stage_run(stage, "health", "--json");
    assert_int_equal(event_json_number(health.out, "durable"),
                     event_json_number(health.out, "checkpoint"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(survives_kill),
        STAGE_TEST(says_how_it_is),
        STAGE_TEST(health_waits_for_the_start),
        STAGE_TEST(second_daemon_gives_way),
        STAGE_TEST(socket_dir_is_not_shared),
        STAGE_TEST(waits_for_the_lock),
        STAGE_TEST(wait_for_the_lock_ends),
        STAGE_TEST(tells_when_it_is_ready),
        STAGE_TEST(sockets_have_their_mode),
        STAGE_TEST(stops_on_either_signal),
        STAGE_TEST(second_signal_ends_it),
        STAGE_TEST(writes_the_open_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
