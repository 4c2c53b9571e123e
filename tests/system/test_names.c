/* SPDX-License-Identifier: Apache-2.0 */
/* test_names: a quota that is filled by names and rows of sessions, not by events.
 *
 * Sessions with the longest names and last ids there are, more of them than the quota has room for:
 * those that got nothing for the longest time go, and everybody goes on. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "sponson.h"
#include "stage.h"

enum { NAME_SIZE = 255, ID_SIZE = 1000, MANY = 8000, FEW = 3, WAIT_MS = 20000 };

static const struct stage_daemon small = {.more = {"--quota", "16M"}};

static struct spn_bytes name_of(size_t i)
{
    static char name[NAME_SIZE + 1];
    memset(name, 'n', NAME_SIZE);
    snprintf(name, sizeof(name), "s%07zu", i);
    name[8] = '-';
    return (struct spn_bytes){name, NAME_SIZE};
}

static void publish(spn_producer *producer, struct spn_bytes session, size_t number)
{
    static char id[ID_SIZE + 1];
    struct spn_event event = SPN_EVENT_INIT;
    memset(id, 'i', ID_SIZE);
    int size = snprintf(id, sizeof(id), "e%zu", number);
    id[size] = '-';
    event.id = (struct spn_bytes){id, ID_SIZE};
    event.data = spn_text("x");
    assert_int_equal(spn_publish(producer, session, &event, NULL), SPN_OK);
}

static spn_producer *open_producer(spn_client **ret_client)
{
    struct spn_producer_options options = spn_producer_defaults();
    spn_producer *producer;
    options.send_timeout_ms = until_left_ms(until_in(WAIT_MS));
    int ms = options.send_timeout_ms;
    assert_int_equal(spn_client_open(ret_client, NULL, ms, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_open(&producer, *ret_client, &options, ms), SPN_OK);
    return producer;
}

static bool is_there(spn_client *client, struct spn_bytes session)
{
    const struct spn_last *last;
    spn_err err = spn_last_event(client, session, until_left_ms(until_in(WAIT_MS)), &last);
    assert_true(err == SPN_OK || err == SPN_E_UNKNOWN_SESSION);
    return err == SPN_OK;
}

static bool is_well(void *argument)
{
    struct outcome health = stage_run(argument, "health");
    return health.code == 0;
}

struct gone_look {
    spn_client *client;
    size_t number;
};

static bool is_gone(void *argument)
{
    const struct gone_look *look = argument;
    return !is_there(look->client, name_of(look->number));
}

static void expect_gone(spn_client *client, size_t number)
{
    assert_true(until_true(until_in(WAIT_MS), is_gone, &(struct gone_look){client, number}));
}

/* All of them are acknowledged: those of before go for them, the oldest first. */
static void fill(spn_producer *producer, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        publish(producer, name_of(i), i);
    assert_int_equal(spn_producer_flush(producer, until_left_ms(until_in(WAIT_MS))), SPN_OK);
}

static void quota_filled_by_names_alone_stopped_everybody(struct stage *stage)
{
    struct process *daemon = stage_start(stage, &small);
    spn_client *client;
    spn_producer *producer = open_producer(&client);
    fill(producer, 0, MANY);
    expect_gone(client, 0);
    fill(producer, MANY, MANY);
    assert_int_equal(spn_producer_counters(producer)->stored, 2 * MANY);
    assert_true(is_there(client, name_of(2 * MANY - 1)));
    expect_gone(client, MANY / 2);
    assert_true(event_stat(stage, "sponson_sessions_expired_early_total") > 0);
    assert_true(until_true(until_in(WAIT_MS), is_well, stage));
    /* Whoever else comes gets what it wants, and deleting works. */
    publish(producer, spn_text("another"), 0);
    assert_int_equal(spn_producer_flush(producer, until_left_ms(until_in(WAIT_MS))), SPN_OK);
    struct outcome deleted = stage_run(stage, "delete", "another", "--yes");
    stage_expect_code(&deleted, 0);
    print_message("%llu of %d sessions expired early\n",
                  (unsigned long long)event_stat(stage, "sponson_sessions_expired_early_total"),
                  2 * MANY);
    assert_int_equal(spn_producer_close(producer, until_left_ms(until_in(WAIT_MS)), NULL), SPN_OK);
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Filled with a larger quota: a start with the small one finds itself above it. */
static void restart_above_the_quota_did_not_help(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    spn_client *client;
    spn_producer *producer = open_producer(&client);
    fill(producer, 0, MANY);
    process_kill(daemon);
    daemon = stage_start(stage, &small);
    fill(producer, MANY, FEW);
    assert_true(is_there(client, name_of(MANY + FEW - 1)));
    expect_gone(client, 0);
    assert_true(until_true(until_in(WAIT_MS), is_well, stage));
    (void)spn_producer_close(producer, 0, NULL);
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
}

static void record(struct stage *stage, const char *session)
{
    static const char stream[] = "id: 1\ndata: x\n\n";
    const char *words[] = {"record", session, NULL};
    struct outcome done =
        stage_run_words(stage, words, (struct spn_bytes){stream, sizeof(stream) - 1});
    stage_expect_code(&done, 0);
}

static struct outcome delete_offline(struct stage *stage, const char *session)
{
    return stage_run(stage, "delete", "--offline", session, "--yes", "--data-dir", stage->data_dir);
}

static void expect_sessions(struct stage *stage, bool first, bool second)
{
    struct outcome info = stage_run(stage, "info", "first");
    stage_expect_code(&info, first ? 0 : 3);
    info = stage_run(stage, "info", "second");
    stage_expect_code(&info, second ? 0 : 3);
}

/* In the log or in the index; not while a daemon runs; and a start finds it done. */
static void nothing_could_be_deleted_without_a_daemon(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record(stage, "first");
    record(stage, "second");
    struct outcome refused = delete_offline(stage, "first");
    stage_expect_code(&refused, 1);
    assert_non_null(strstr(refused.err, "a sidecar uses it"));
    process_kill(daemon);
    struct outcome done = delete_offline(stage, "first");
    stage_expect_code(&done, 0);
    done = delete_offline(stage, "first");
    stage_expect_code(&done, 3);
    daemon = stage_start(stage, NULL);
    expect_sessions(stage, false, true);
    record(stage, "first"); /* another life */
    assert_int_equal(stage_stop(daemon), 0);
    done = delete_offline(stage, "second");
    stage_expect_code(&done, 0);
    daemon = stage_start(stage, NULL);
    expect_sessions(stage, true, false);
    assert_int_equal(stage_stop(daemon), 0);
}

/* A life that was deleted stays so; the one that the name has by now is another one's. */
static void offline_deletion_took_any_life_for_the_one_that_was_named(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record(stage, "first");
    struct outcome info = stage_run(stage, "info", "first", "--json");
    stage_expect_code(&info, 0);
    char *life = event_json_string(info.out, "life");
    assert_int_equal(stage_stop(daemon), 0);
    struct outcome other =
        stage_run(stage, "delete", "--offline", "first", "--yes", "--life",
                  "99999999999999999999999999999999", "--data-dir", stage->data_dir);
    stage_expect_code(&other, 3);
    struct outcome same = stage_run(stage, "delete", "--offline", "first", "--yes", "--life", life,
                                    "--data-dir", stage->data_dir);
    stage_expect_code(&same, 0);
    free(life);
}

/* LMDB opens its lock to write, wherever a link leads. */
static void offline_wrote_where_a_link_led(struct stage *stage)
{
    static const char precious[] = "precious";
    char found[sizeof(precious)] = "";
    struct process *daemon = stage_start(stage, NULL);
    record(stage, "first");
    assert_int_equal(stage_stop(daemon), 0);
    const char *lock = stage_format(stage, "%s/lock.mdb", stage->data_dir);
    const char *target = stage_format(stage, "%s/target", stage->socket_dir);
    int fd = open(target, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, precious, sizeof(precious)), sizeof(precious));
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(symlink(target, lock), 0);
    struct outcome done = delete_offline(stage, "first");
    stage_expect_code(&done, 1);
    assert_non_null(strstr(done.err, "lock.mdb: a symbolic link"));
    assert_int_equal(pread(fd, found, sizeof(found), 0), sizeof(found));
    assert_string_equal(found, precious);
    close(fd);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(chmod(stage->data_dir, 0777), 0);
    done = delete_offline(stage, "first");
    stage_expect_code(&done, 1);
    assert_non_null(strstr(done.err, "everybody may write to it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(quota_filled_by_names_alone_stopped_everybody),
        STAGE_TEST(restart_above_the_quota_did_not_help),
        STAGE_TEST(nothing_could_be_deleted_without_a_daemon),
        STAGE_TEST(offline_deletion_took_any_life_for_the_one_that_was_named),
        STAGE_TEST(offline_wrote_where_a_link_led),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
