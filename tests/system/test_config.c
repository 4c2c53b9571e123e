/* SPDX-License-Identifier: Apache-2.0 */
/* test_config: the daemon's configuration file: what it refuses, what prevails, what SIGHUP changes
 * while it runs, and that nothing is lost meanwhile.
 *
 *   system_config            all of it, with a few reloads under load
 *   system_config campaign   200 of them */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "onlooker.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OK, FAILURE, USAGE };
enum {
    RELOADS = 20,
    RELOADS_OF_CAMPAIGN = 200,
    SESSIONS = 8,
    BATCH = 50,
    TURNS = 5,
    BAD_EVERY = 10
};

static size_t reloads = RELOADS;

static const char *config(struct stage *stage, const char *text)
{
    return stage_write_file(stage, "sponson.yaml", (struct spn_bytes){text, strlen(text)});
}

/* Runs sponsond to its end. */
static struct outcome run_daemon(struct stage *stage, const char *const *words)
{
    const char *argv[STAGE_WORDS_MAX] = {stage_sponsond()};
    for (size_t i = 0; words[i]; i++)
        argv[i + 1] = words[i];
    struct process_options options = {.argv = argv};
    return stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
}

#define RUN_DAEMON(stage, ...) run_daemon(stage, (const char *const[]){__VA_ARGS__, NULL})

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* -- before it starts -------------------------------------------------------------------------- */

static void a_wrong_file_keeps_it_from_starting(struct stage *stage)
{
    const char *path = config(stage, "quota: 1G\nretention-age: 3 days\nqueue-event: 5\n");
    static const char *const how[] = {"--check-config", "--print-config", "--wait-lock=0"};
    for (size_t i = 0; i < COUNT(how); i++) {
        struct outcome done = RUN_DAEMON(stage, "--config", path, how[i]);
        stage_expect_code(&done, USAGE);
        assert_string_equal(done.out, "");
        assert_string_equal(
            done.err,
            stage_format(stage,
                         "sponsond: %s:2:16: retention-age: 3 days: not a time such as 500ms, 90s, "
                         "30m, 12h or 7d\n"
                         "sponsond: %s:3:1: queue-event: no such option; did you mean "
                         "\"queue-events\"?\n",
                         path, path));
    }
    struct outcome done = RUN_DAEMON(stage, "--config", stage->dir, "--check-config");
    stage_expect_code(&done, USAGE);
    expect_in(done.err, ": is a directory\n");
}

static void what_is_in_force_is_printed(struct stage *stage)
{
    const char *path = config(stage, "quota: 1G\nretention-age: 3d\nqueue-events: 5\n");
    assert_int_equal(setenv("SPONSON_RETENTION_AGE", "4h", 1), 0);
    assert_int_equal(setenv("SPONSON_QUEUE_EVENTS", "6", 1), 0);
    struct outcome check = RUN_DAEMON(stage, "--config", path, "--check-config");
    struct outcome done = RUN_DAEMON(stage, "--config", path, "--queue-events=7", "--print-config");
    assert_int_equal(unsetenv("SPONSON_RETENTION_AGE"), 0);
    assert_int_equal(unsetenv("SPONSON_QUEUE_EVENTS"), 0);
    stage_expect_code(&check, OK);
    assert_string_equal(check.out, "");
    assert_string_equal(check.err, "");
    stage_expect_code(&done, OK);
    expect_in(done.out, stage_format(stage, "\nquota: 1G  # %s:1\n", path));
    expect_in(done.out, "\nretention-age: 4h  # SPONSON_RETENTION_AGE\n");
    expect_in(done.out, "\nqueue-events: 7  # command line\n");
    expect_in(done.out, "\nwindow: 128  # default\n");
    expect_in(done.out, stage_format(stage, "data-dir: %s  # SPONSON_DATA_DIR\n", stage->data_dir));
    const char *again = stage_write_file(stage, "again.yaml", done.output);
    struct outcome other = RUN_DAEMON(stage, "--config", again, "--print-config");
    stage_expect_code(&other, OK);
    expect_in(other.out, "\nretention-age: 4h  # ");
    expect_in(other.out, "\nqueue-events: 7  # ");
}

/* -- reloads ----------------------------------------------------------------------------------- */

static struct process *start_with(struct stage *stage, const char *text)
{
    const struct stage_daemon options = {.more = {"--config", config(stage, text)}};
    return stage_start(stage, &options);
}

/* Waits until the daemon has logged as many ends of reloads as signals. */
static void reload(struct stage *stage, struct process *daemon, const char *text, const char *end)
{
    size_t before = stage_times_in_log(stage, end);
    config(stage, text);
    process_signal(daemon, SIGHUP);
    stage_wait_log_times(stage, end, before + 1);
}

static void a_reload_says_what_it_changes(struct stage *stage)
{
    struct process *daemon = start_with(stage, "quota: 64M\nwindow: 64\n");
    reload(stage, daemon, "quota: 128M\nwindow: 32\nlog-level: debug\n", "event=reloaded");
    expect_in(stage_log(stage), "level=info event=changed option=quota old=\"64M\" new=\"128M\"\n");
    expect_in(stage_log(stage),
              "level=info event=changed option=log-level old=\"info\" new=\"debug\"\n");
    expect_in(stage_log(stage),
              "level=warning event=needs_restart option=window in_force=\"64\" wanted=\"32\"\n");
    expect_in(stage_log(stage), "changed=2 need_restart=1\n");

    reload(stage, daemon, "quota: 256M\nwindow: 64\nlog-level: loud\n", "event=reload_failed");
    expect_in(stage_log(stage), "level=error event=config reason=\"");
    expect_in(stage_log(stage), ":3:12: log-level: loud: not one of error, warning, info, debug\"");
    expect_in(stage_log(stage), "errors=1 reason=\"nothing is changed\"\n");
    assert_int_equal(stage_times_in_log(stage, "event=changed"), 2);

    assert_int_equal(unlink(stage_path(stage, "sponson.yaml")), 0);
    process_signal(daemon, SIGHUP);
    stage_wait_log(stage, "cannot be opened: No such file or directory");
    stage_wait_log_times(stage, "event=reload_failed", 2);
    assert_int_equal(stage_times_in_log(stage, "event=changed"), 2);

    reload(stage, daemon, "log-format: json\nwindow: 64\nquota: 128M\n", "event=reloaded");
    assert_int_equal(stage_stop(daemon), 0);
    expect_in(stage_log(stage), "\"level\":\"info\",\"event\":\"stopped\",\"durable\":0}\n");
}

static struct outcome publish(struct stage *stage, size_t bytes)
{
    const char *words[] = {"publish", "s", "--timeout", "10", NULL};
    char *data = stage_keep(stage, malloc(bytes));
    memset(data, 'x', bytes);
    return stage_run_words(stage, words, (struct spn_bytes){data, bytes});
}

static void the_largest_event_changes(struct stage *stage)
{
    struct process *daemon = start_with(stage, "event-data-max: 1K\n");
    struct outcome done = publish(stage, 2000);
    assert_int_not_equal(done.code, OK);
    reload(stage, daemon, "event-data-max: 4K\n", "event=reloaded");
    done = publish(stage, 2000);
    stage_expect_code(&done, OK);
    reload(stage, daemon, "event-data-max: 1K\n", "event=reloaded");
    done = publish(stage, 2000);
    assert_int_not_equal(done.code, OK);
    /* More than the sockets were made for. */
    reload(stage, daemon, "event-data-max: 16M\n", "event=reloaded");
    expect_in(stage_log(stage), "event=needs_restart option=event-data-max reason=");
    expect_in(stage_log(stage), "changed=0 need_restart=1\n");
    assert_int_equal(stage_stop(daemon), 0);
}

static bool has_two(void *argument)
{
    struct outcome done = stage_run(argument, "replay", "s");
    stage_expect_code(&done, OK);
    return !strstr(done.out, "\"b\"") && strstr(done.out, "\"c\"") && strstr(done.out, "\"d\"");
}

static void the_rule_of_retention_changes(struct stage *stage)
{
    struct process *daemon = start_with(stage, "# nothing\n");
    static const char events[] = "data: a\n\ndata: b\n\ndata: c\n\ndata: d\n\n";
    const char *words[] = {"record", "s", NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){events, strlen(events)});
    stage_expect_code(&done, OK);
    reload(stage, daemon, "retention-events: 2\n", "event=reloaded");
    if (!until_true(until_in(STAGE_WAIT_MS), has_two, stage))
        fail_msg("the new rule does not come into force");
    assert_int_equal(stage_stop(daemon), 0);
    done = stage_run(stage, "dump"); /* the database has it */
    stage_expect_code(&done, OK);
    assert_null(strstr(done.out, "\"b\""));
    expect_in(done.out, "\"c\"");
}

static bool is_gone(void *argument)
{
    struct stage *stage = argument;
    return stage_run(stage, "info", "s").code != OK;
}

static void sessions_expire_after_another_time(struct stage *stage)
{
    struct process *daemon = start_with(stage, "session-ttl: 0\nrow-interval: 1\n");
    struct outcome done = publish(stage, 10);
    stage_expect_code(&done, OK);
    reload(stage, daemon, "session-ttl: 1s\nrow-interval: 1\n", "event=reloaded");
    if (!until_true(until_in(STAGE_WAIT_MS), is_gone, stage))
        fail_msg("the session does not expire");
    assert_int_equal(stage_stop(daemon), 0);
}

/* Clients that come and go, and what was refused, each with a count. */
static void the_log_tells_more_on_request(struct stage *stage)
{
    struct process *daemon = start_with(stage, "log-level: info\n");
    const char *words[] = {"record", "s", "--close", NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
    stage_expect_code(&done, OK);
    words[2] = NULL;
    done = stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
    assert_int_not_equal(done.code, OK);
    assert_int_equal(stage_times_in_log(stage, "level=debug"), 0);
    reload(stage, daemon, "log-level: debug\n", "event=reloaded");
    done = stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
    assert_int_not_equal(done.code, OK);
    stage_wait_log(stage, "level=debug event=producer_opened producer=");
    stage_wait_log(stage, stage_format(stage, " uid=%ld\n", (long)getuid()));
    stage_wait_log(stage, "level=debug event=producer_left producer=");
    stage_wait_log(stage, "level=debug event=refused reason=closed count=1\n");
    stage_wait_log(stage, "level=debug event=connections entered=");
    assert_int_equal(stage_times_in_log(stage, "event=refused"), 1); /* of this level's time */
    reload(stage, daemon, "log-level: error\n", "event=changed option=log-level old=\"debug\"");
    assert_int_equal(stage_stop(daemon), 0);
    assert_int_equal(stage_times_in_log(stage, "event=stopped"), 0);
}

/* -- a quota under load ------------------------------------------------------------------------ */

static void put_many(struct feeder *feeder, uint64_t *number, size_t count, size_t bytes)
{
    char id[32];
    char session[16];
    char *data = malloc(bytes + 1);
    assert_non_null(data);
    memset(data, 'x', bytes);
    data[bytes] = '\0';
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)++*number);
        (void)snprintf(session, sizeof(session), "s%llu", (unsigned long long)(*number % SESSIONS));
        feeder_put(feeder, session, id, data);
    }
    free(data);
}

/* The map grows under readers; what was trimmed under the smaller quota is kept under the larger
 * one, and goes when it is smaller again. */
static void the_quota_changes(struct stage *stage)
{
    enum { EVENTS = 1500, BYTES = 20000, SMALL = 8 << 20, LARGE = 64 << 20 };
    struct feeder feeder;
    uint64_t number = 0;
    struct process *daemon = start_with(stage, "quota: 8M\nevent-data-max: 100K\n");
    spn_client *client = onlooker_client();
    feeder_open(&feeder);
    put_many(&feeder, &number, EVENTS, BYTES);
    assert_int_equal(feeder_settle(&feeder).stored, EVENTS);
    assert_true(onlooker_counter(client, "sponson_database_used_bytes") <= SMALL);
    reload(stage, daemon, "quota: 64M\nevent-data-max: 100K\n", "event=reloaded");
    onlooker_wait_least(client, "sponson_database_map_bytes", LARGE);
    put_many(&feeder, &number, EVENTS, BYTES);
    assert_int_equal(feeder_settle(&feeder).stored, EVENTS);
    assert_true(onlooker_counter(client, "sponson_database_used_bytes") > (size_t)EVENTS * BYTES);
    reload(stage, daemon, "quota: 8M\nevent-data-max: 100K\n", "event=reloaded");
    onlooker_wait_most(client, "sponson_database_used_bytes", SMALL);
    put_many(&feeder, &number, 100, BYTES);
    assert_int_equal(feeder_settle(&feeder).stored, 100);
    feeder_close(&feeder);
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- many reloads under load ------------------------------------------------------------------- */

/* A producer, and a client that reads all sessions in order while they are written. */
struct load {
    struct feeder feeder;
    spn_client *client;
    spn_subscription *subscriptions[SESSIONS];
    uint64_t last[SESSIONS]; /* seq that was read */
    uint64_t sent;
    uint64_t seen;
};

static void load_begin(struct load *load)
{
    *load = (struct load){.client = onlooker_client()};
    feeder_open(&load->feeder);
    put_many(&load->feeder, &load->sent, SESSIONS, 10); /* each session is there */
    assert_int_equal(feeder_settle(&load->feeder).stored, SESSIONS);
    for (size_t i = 0; i < SESSIONS; i++) {
        char session[16];
        (void)snprintf(session, sizeof(session), "s%zu", i);
        load->subscriptions[i] = onlooker_subscribe(load->client, session, SPN_EARLIEST, 1 << 20);
    }
}

static void load_end(struct load *load)
{
    for (size_t i = 0; i < SESSIONS; i++)
        spn_unsubscribe(load->subscriptions[i]);
    spn_client_close(load->client);
    feeder_close(&load->feeder);
}

static void take_item(struct load *load, spn_subscription *from, const struct spn_item *item)
{
    size_t i = 0;
    while (load->subscriptions[i] != from)
        i++;
    assert_int_equal(item->missing, 0);
    assert_int_not_equal(item->kind, SPN_ITEM_END);
    if (item->kind != SPN_ITEM_EVENT)
        return;
    assert_int_equal(item->seq, ++load->last[i]);
    load->seen++;
}

/* False: there is no item within so long. */
static bool load_read(struct load *load, int timeout_ms)
{
    spn_subscription *from;
    const struct spn_item *item;
    spn_err err = spn_next_of_any(load->client, timeout_ms, &from, &item);
    if (err == SPN_E_TIMEOUT)
        return false;
    assert_int_equal(err, SPN_OK);
    take_item(load, from, item);
    return true;
}

struct load_look {
    struct stage *stage;
    struct load *load;
    const char *words;
    size_t times;
    size_t turns;
};

/* The load goes on until the log has it, and for some turns in any case. */
static bool load_on(void *argument)
{
    struct load_look *look = argument;
    put_many(&look->load->feeder, &look->load->sent, BATCH, 100 + look->load->sent % 1000);
    for (size_t i = 0; i < 2 * BATCH && load_read(look->load, 0);)
        i++;
    return ++look->turns >= TURNS && stage_times_in_log(look->stage, look->words) >= look->times;
}

static bool has_read_all(void *argument)
{
    struct load *load = argument;
    while (load_read(load, 10))
        ;
    return load->seen >= load->sent;
}

static void reloads_under_load_lose_nothing(struct stage *stage)
{
    static const char *const files[] = {
        "quota: 1G\nretention-events: 0\nretention-bytes: 0\nsession-ttl: 1h\nqueue-events: 200\n"
        "queue-bytes: 200K\nhot-sessions: 1\nrow-interval: 20\nflush-interval: 0\n"
        "event-data-max: 64K\nproducers: 10\nlog-level: debug\n",
        "quota: 2G\nretention-events: 100000000\nretention-bytes: 100G\nretention-age: 1h\n"
        "session-ttl: 0\nlog-format: json\n",
        "quota: 512M\nretention-events: 0\nretention-bytes: 0\nsession-ttl: 2h\nqueue-events: "
        "2000\n"
        "hot-sessions: 4\nrow-interval: 500\nproducer-ttl: 1h\nclock-catch-up-max: 1h\n",
    };
    struct load load;
    struct process *daemon = start_with(stage, files[0]);
    size_t bad = 0;
    load_begin(&load);
    for (size_t i = 1; i <= reloads; i++) {
        bool is_bad = i % BAD_EVERY == 0;
        config(stage, is_bad ? "quota: 1M\nquota: 1M\n" : files[i % COUNT(files)]);
        process_signal(daemon, SIGHUP);
        bad += is_bad ? 1 : 0;
        struct load_look look = {stage, &load,
                                 is_bad ? "reload_failed" : "reloaded", /* any format */
                                 is_bad ? bad : i - bad, 0};
        if (!until_true(until_in(STAGE_WAIT_MS), load_on, &look))
            fail_msg("the log does not say: %s", look.words);
    }
    assert_int_equal(feeder_settle(&load.feeder).stored, load.sent - SESSIONS);
    if (!until_true(until_in(STAGE_WAIT_MS), has_read_all, &load))
        fail_msg("%llu of %llu were read", (unsigned long long)load.seen,
                 (unsigned long long)load.sent);
    assert_int_equal(load.seen, load.sent);
    load_end(&load);
    struct outcome stats = stage_run(stage, "stats", "--json");
    stage_expect_code(&stats, OK);
    assert_int_equal(event_json_number(stats.out, "sponson_events_durable_total"), load.sent);
    assert_int_equal(stage_stop(daemon), 0);
    print_message("%zu reloads, %llu events\n", reloads, (unsigned long long)load.sent);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_wrong_file_keeps_it_from_starting),
        STAGE_TEST(what_is_in_force_is_printed),
        STAGE_TEST(a_reload_says_what_it_changes),
        STAGE_TEST(the_largest_event_changes),
        STAGE_TEST(the_rule_of_retention_changes),
        STAGE_TEST(sessions_expire_after_another_time),
        STAGE_TEST(the_log_tells_more_on_request),
        STAGE_TEST(the_quota_changes),
        STAGE_TEST(reloads_under_load_lose_nothing),
    };
    const struct CMUnitTest campaign[] = {STAGE_TEST(reloads_under_load_lose_nothing)};
    if (argc < 2 || strcmp(argv[1], "campaign") != 0)
        return cmocka_run_group_tests(tests, NULL, NULL);
    reloads = RELOADS_OF_CAMPAIGN;
    return cmocka_run_group_tests(campaign, NULL, NULL);
}
