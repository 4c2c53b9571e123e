/* SPDX-License-Identifier: Apache-2.0 */
/* test_producers: ids that nobody uses are forgotten, there are only so many, and who was
 * acknowledged more than there is on disk hears of it. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "sponson.h"
#include "stage.h"

enum {
    ASK_MS = 10000,
    STRANGER = 65534, /* a user */
    ALL = 64,
    ALL_OF_ONE = ALL - ALL / 8, /* that one user's processes may have */
};

/* A producer with an id of the test's own, on a client of its own. */
struct holder {
    spn_client *client;
    spn_producer *producer;
};

static spn_err take_id(struct holder *holder, char name)
{
    uint8_t id[SPN_PRODUCER_ID_SIZE];
    memset(id, name, sizeof(id));
    struct spn_producer_options options = spn_producer_defaults();
    options.id = id;
    int ms = until_left_ms(until_in(ASK_MS));
    assert_int_equal(spn_client_open(&holder->client, NULL, ms, NULL, 0), SPN_OK);
    spn_err err = spn_producer_open(&holder->producer, holder->client, &options, ms);
    if (err != SPN_OK)
        spn_client_close(holder->client);
    return err;
}

static void leave(struct holder *holder)
{
    assert_int_equal(spn_producer_close(holder->producer, until_left_ms(until_in(ASK_MS)), NULL),
                     SPN_OK);
    spn_client_close(holder->client);
}

static void publish_one(struct holder *holder, const char *session)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.data = spn_text("x");
    assert_int_equal(spn_publish(holder->producer, spn_text(session), &event, NULL), SPN_OK);
    assert_int_equal(spn_producer_flush(holder->producer, until_left_ms(until_in(ASK_MS))), SPN_OK);
}

struct look {
    struct stage *stage;
    struct holder *heard; /* keeps publishing meanwhile; NULL: nobody does */
    uint64_t expired;
};

static bool has_expired(void *argument)
{
    struct look *look = argument;
    if (look->heard)
        publish_one(look->heard, "s");
    return event_stat(look->stage, "sponson_producers_expired_total") >= look->expired;
}

/* The one that is heard of, which goes on meanwhile. */
static bool one_is_left(void *argument)
{
    struct look *look = argument;
    publish_one(look->heard, "s");
    return event_stat(look->stage, "sponson_producers") == 1;
}

static bool all_have_left(void *argument)
{
    return event_stat(argument, "sponson_producers") == 0;
}

/* The one that is heard of goes on for many times its time to live; the other one is forgotten. */
static void unused_ids_are_forgotten(struct stage *stage)
{
    struct process *daemon =
        stage_start(stage, &(struct stage_daemon){.more = {"--producer-ttl", "700ms"}});
    struct holder heard, other;
    assert_int_equal(take_id(&heard, 'h'), SPN_OK);
    assert_int_equal(take_id(&other, 'o'), SPN_OK);
    publish_one(&other, "s");
    leave(&other);
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_expired, &(struct look){stage, &heard, 1}));
    assert_true(until_true(until_in(STAGE_WAIT_MS), one_is_left, &(struct look){stage, &heard, 0}));
    assert_int_equal(take_id(&other, 'o'), SPN_OK);
    assert_int_equal(spn_producer_committed(other.producer), 0); /* as a new one */
    publish_one(&other, "s");
    leave(&other);
    leave(&heard);
    /* What was forgotten is not on disk either, and what is on disk is forgotten by the next. */
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_expired, &(struct look){stage, NULL, 3}));
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, NULL);
    event_wait_gauge(stage, "sponson_producers", 0);
    assert_int_equal(stage_stop(daemon), 0);
}

/* An app that sleeps for longer than that goes on as if it had not: what was acknowledged is not
 * lost. */
static void sleeping_holder_loses_nothing(struct stage *stage)
{
    struct process *daemon =
        stage_start(stage, &(struct stage_daemon){.more = {"--producer-ttl", "300ms"}});
    struct holder holder;
    assert_int_equal(take_id(&holder, 'z'), SPN_OK);
    for (uint64_t lives = 1; lives <= 3; lives++) {
        publish_one(&holder, "s");
        publish_one(&holder, "s");
        assert_true(
            until_true(until_in(STAGE_WAIT_MS), has_expired, &(struct look){stage, NULL, lives}));
    }
    publish_one(&holder, "s");
    struct spn_counters counters = *spn_producer_counters(holder.producer);
    assert_int_equal(counters.lost, 0);
    assert_int_equal(counters.stored, 7);
    assert_int_equal(event_stat(stage, "sponson_events_lost_total"), 0);
    const struct spn_last *last;
    assert_int_equal(
        spn_last_event(holder.client, spn_text("s"), until_left_ms(until_in(ASK_MS)), &last),
        SPN_OK);
    assert_int_equal(last->seq, 7);
    /* From here on the id is kept, however slow the machine is. */
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, NULL);
    publish_one(&holder, "s");
    counters = *spn_producer_counters(holder.producer);
    assert_int_equal(counters.lost, 0);
    leave(&holder);
    assert_int_equal(take_id(&holder, 'z'), SPN_OK);
    assert_int_equal(spn_producer_committed(holder.producer), 8); /* its numbers went on */
    leave(&holder);
    assert_int_equal(stage_stop(daemon), 0);
}

static void ids_survive_a_kill_until_their_time(struct stage *stage)
{
    static const struct stage_daemon brief = {.more = {"--producer-ttl", "700ms"}};
    struct process *daemon = stage_start(stage, NULL);
    struct holder holder;
    assert_int_equal(take_id(&holder, 'k'), SPN_OK);
    publish_one(&holder, "s");
    leave(&holder);
    process_kill(daemon);
    daemon = stage_start(stage, &brief);
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_expired, &(struct look){stage, NULL, 1}));
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, NULL);
    event_wait_gauge(stage, "sponson_producers", 0);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Six of five: each one has gone before the next one comes. */
static void short_lived_producers_filled_the_table(struct stage *stage)
{
    static const char stream[] = "data: x\n\n";
    const struct spn_bytes bytes = {stream, sizeof(stream) - 1};
    struct process *daemon =
        stage_start(stage, &(struct stage_daemon){.more = {"--producers", "5"}});
    for (int i = 0; i < 6; i++) {
        const char *session = stage_format(stage, "s%d", i);
        const char *words[] = {"record", session, NULL};
        struct outcome done = stage_run_words(stage, words, bytes);
        stage_expect_code(&done, 0);
    }
    for (int i = 0; i < 6; i++) {
        const char *session = stage_format(stage, "s%d", i);
        struct outcome closed = stage_run(stage, "close", session);
        stage_expect_code(&closed, 0);
        struct outcome deleted = stage_run(stage, "delete", session, "--yes");
        stage_expect_code(&deleted, 0);
    }
    assert_true(until_true(until_in(STAGE_WAIT_MS), all_have_left, stage));
    assert_int_equal(event_stat(stage, "sponson_producers_refused_total"), 0);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, NULL); /* nor are they on disk */
    event_wait_gauge(stage, "sponson_producers", 0);
    assert_int_equal(stage_stop(daemon), 0);
}

static struct outcome health_of(struct stage *stage)
{
    return stage_run(stage, "health");
}

/* What is refused says which option it is; the log does too; and health says it before. */
static void limit_of_producers_was_not_named(struct stage *stage)
{
    static const char stream[] = "data: x\n\n";
    struct process *daemon =
        stage_start(stage, &(struct stage_daemon){.more = {"--producers", "4"}});
    struct holder holders[4];
    for (int i = 0; i < 4; i++) {
        struct outcome health = health_of(stage);
        stage_expect_code(&health, 0);
        assert_null(strstr(health.out, "--producers"));
        assert_int_equal(take_id(&holders[i], (char)('a' + i)), SPN_OK);
        publish_one(&holders[i], "s"); /* it is known on disk: only its time to live ends it */
    }
    struct outcome health = health_of(stage);
    stage_expect_code(&health, 0);
    assert_non_null(strstr(health.out, "4 of at most 4 producer ids (--producers) are known"));
    const char *words[] = {"record", "more", NULL};
    struct outcome refused =
        stage_run_words(stage, words, (struct spn_bytes){stream, sizeof(stream) - 1});
    stage_expect_code(&refused, 1);
    assert_non_null(strstr(refused.err, "--producers"));
    assert_null(strstr(refused.err, "sidecar: sidecar:"));
    assert_int_equal(event_stat(stage, "sponson_producers_refused_total"), 1);
    assert_non_null(strstr(stage_log(stage), "option=--producers max=4"));
    for (int i = 0; i < 4; i++)
        leave(&holders[i]);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Ids that nothing is published under go first, and are not on disk: who publishes gets in. */
static void flood_of_opens_took_all_producers(struct stage *stage)
{
    static const struct stage_daemon few = {.more = {"--producers", "64"}};
    struct process *daemon = stage_start(stage, &few);
    struct holder old, flood[200], late;
    assert_int_equal(take_id(&old, 'o'), SPN_OK);
    publish_one(&old, "s");
    spn_client *client;
    assert_int_equal(spn_client_open(&client, NULL, ASK_MS, NULL, 0), SPN_OK);
    struct spn_producer_options options = spn_producer_defaults();
    for (size_t i = 0; i < sizeof(flood) / sizeof(flood[0]); i++) {
        uint8_t id[SPN_PRODUCER_ID_SIZE] = {(uint8_t)i, 'f'};
        options.id = id;
        assert_int_equal(spn_producer_open(&flood[i].producer, client, &options, ASK_MS), SPN_OK);
    }
    assert_int_equal(take_id(&late, 'l'), SPN_OK);
    publish_one(&late, "s");
    publish_one(&old, "s");
    flood[0].client = client; /* one that went comes again */
    publish_one(&flood[0], "s");
    event_wait_gauge(stage, "sponson_producers", ALL_OF_ONE);
    for (size_t i = 0; i < sizeof(flood) / sizeof(flood[0]); i++)
        (void)spn_producer_close(flood[i].producer, 0, NULL);
    spn_client_close(client);
    leave(&old);
    leave(&late);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, &few);
    event_wait_gauge(stage, "sponson_producers", 3); /* those that published */
    assert_int_equal(stage_stop(daemon), 0);
}

/* In a process of its own: opens producers, each with an event that is stored, until no more may
 * be. Returns how many that were. */
static int take_all(void)
{
    spn_client *client;
    spn_producer *producers[ALL + 1];
    int count = 0;
    struct spn_producer_options options = spn_producer_defaults();
    struct spn_event event = SPN_EVENT_INIT;
    spn_err err = spn_client_open(&client, NULL, until_left_ms(until_in(ASK_MS)), NULL, 0);
    while (err == SPN_OK && count <= ALL) {
        uint8_t id[SPN_PRODUCER_ID_SIZE] = {(uint8_t)count, 't'};
        int ms = until_left_ms(until_in(ASK_MS));
        options.id = id;
        err = spn_producer_open(&producers[count], client, &options, ms);
        count += err == SPN_OK;
        if (err == SPN_OK)
            err = spn_publish(producers[count - 1], spn_text("theirs"), &event, NULL);
        if (err == SPN_OK)
            err = spn_producer_flush(producers[count - 1], ms);
    }
    return err == SPN_E_LIMIT ? count : 0;
}

static void become_stranger(void)
{
    if (setgroups(0, NULL) != 0 || setgid(STRANGER) != 0 || setuid(STRANGER) != 0)
        _exit(EXIT_FAILURE);
}

/* What one user's processes may not have is left to the others. */
static void one_user_took_all_producers(struct stage *stage)
{
    if (geteuid() != 0) {
        print_message("skipped: only root can be two users\n");
        skip();
    }
    assert_int_equal(chmod(stage->dir, 0711) + chmod(stage->socket_dir, 0711), 0);
    struct process *daemon = stage_start(
        stage, &(struct stage_daemon){.more = {"--producers", "64", "--socket-mode", "0666"}});
    const char *const words[] = {"/proc/self/exe", "take_all", NULL};
    struct process *stranger =
        stage_process(stage, &(struct process_options){.argv = words, .prepare = become_stranger});
    assert_int_equal(process_wait(stranger, until_in(STAGE_WAIT_MS)), ALL_OF_ONE);
    struct holder own[ALL - ALL_OF_ONE], more;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        assert_int_equal(take_id(&own[i], (char)('a' + i)), SPN_OK);
        publish_one(&own[i], "s");
    }
    assert_int_equal(take_id(&more, 'm'), SPN_E_LIMIT); /* what they published under is theirs */
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        leave(&own[i]);
    assert_int_equal(stage_stop(daemon), 0);
}

static void table_has_a_limit(struct stage *stage)
{
    struct process *daemon =
        stage_start(stage, &(struct stage_daemon){.more = {"--producers", "2"}});
    struct holder first, second, third;
    assert_int_equal(take_id(&first, '1'), SPN_OK);
    publish_one(&first, "s");
    assert_int_equal(take_id(&second, '2'), SPN_OK);
    publish_one(&second, "s");
    assert_int_equal(take_id(&third, '3'), SPN_E_LIMIT);
    publish_one(&first, "s"); /* nobody else is harmed */
    struct holder again;
    assert_int_equal(take_id(&again, '2'), SPN_OK); /* known ids are no new ones */
    publish_one(&again, "s");
    leave(&again);
    leave(&first);
    (void)spn_producer_close(second.producer, 0, NULL); /* it was fenced */
    spn_client_close(second.client);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- files that are not those of before -------------------------------------------------------- */

struct lost_look {
    struct holder *holder;
    uint64_t lost;
};

static bool has_lost(void *argument)
{
    struct lost_look *look = argument;
    assert_int_equal(spn_client_step(look->holder->client), SPN_OK);
    return spn_producer_counters(look->holder->producer)->lost >= look->lost;
}

static void run_shell(struct stage *stage, const char *command)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    struct process *shell = stage_process(stage, &(struct process_options){.argv = argv});
    assert_int_equal(process_wait(shell, until_in(STAGE_WAIT_MS)), 0);
}

static struct process *restart(struct stage *stage, struct process *daemon, const char *between)
{
    assert_int_equal(stage_stop(daemon), 0);
    run_shell(stage, stage_format(stage, between, stage->data_dir, stage->data_dir));
    return stage_start(stage, NULL);
}

/* Both had their results; of one the copy knows the id and fewer events, of the other nothing. */
static void older_copy_lost_events_in_silence(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct holder known, later;
    assert_int_equal(take_id(&known, 'k'), SPN_OK);
    publish_one(&known, "s");
    daemon = restart(stage, daemon, "cp -a %s %s.copy");
    publish_one(&known, "s");
    publish_one(&known, "s");
    assert_int_equal(take_id(&later, 'l'), SPN_OK);
    publish_one(&later, "s");
    publish_one(&later, "s");
    daemon = restart(stage, daemon, "rm -r %1$s && cp -a %1$s.copy %1$s");
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_lost, &(struct lost_look){&known, 2}));
    assert_non_null(strstr(spn_client_detail(known.client), "2 acknowledged events"));
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_lost, &(struct lost_look){&later, 2}));
    publish_one(&known, "s");
    publish_one(&later, "s");
    struct spn_counters counters = *spn_producer_counters(known.producer);
    assert_int_equal(counters.lost, 2);
    counters = *spn_producer_counters(later.producer);
    assert_int_equal(counters.lost, 2);
    assert_int_equal(event_stat(stage, "sponson_holders_ahead_total"), 2);
    assert_int_equal(event_stat(stage, "sponson_events_lost_total"), 4);
    assert_non_null(strstr(stage_log(stage), "older_database"));
    daemon = restart(stage, daemon, "true"); /* the same files: they did not go back again */
    publish_one(&known, "s");
    publish_one(&later, "s");
    assert_int_equal(event_stat(stage, "sponson_holders_ahead_total"), 0);
    leave(&known);
    leave(&later);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Others have added more since than it has seen: only what there was at the start counts. */
static void quiet_holder_was_not_told_of_an_older_copy(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct holder busy, quiet;
    assert_int_equal(take_id(&busy, 'b'), SPN_OK);
    publish_one(&busy, "s");
    daemon = restart(stage, daemon, "cp -a %s %s.copy");
    assert_int_equal(take_id(&quiet, 'q'), SPN_OK);
    publish_one(&quiet, "q");
    publish_one(&quiet, "q");
    daemon = restart(stage, daemon, "rm -r %1$s && cp -a %1$s.copy %1$s");
    for (int i = 0; i < 10; i++)
        publish_one(&busy, "s");
    publish_one(&quiet, "q");
    struct spn_counters counters = *spn_producer_counters(quiet.producer);
    assert_int_equal(counters.lost, 2);
    assert_int_equal(counters.stored, 1);
    assert_non_null(strstr(spn_client_detail(quiet.client), "2 acknowledged events"));
    assert_int_equal(event_stat(stage, "sponson_holders_ahead_total"), 1);
    leave(&busy);
    leave(&quiet);
    assert_int_equal(stage_stop(daemon), 0);
}

static void other_database_lost_events_in_silence(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct holder holder;
    assert_int_equal(take_id(&holder, 'h'), SPN_OK);
    publish_one(&holder, "s");
    publish_one(&holder, "s");
    daemon = restart(stage, daemon, "rm -r %s/*");
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_lost, &(struct lost_look){&holder, 2}));
    publish_one(&holder, "s");
    struct spn_counters counters = *spn_producer_counters(holder.producer);
    assert_int_equal(counters.lost, 2);
    assert_int_equal(counters.stored, 1);
    assert_non_null(strstr(stage_log(stage), "other_database"));
    leave(&holder);
    assert_int_equal(stage_stop(daemon), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "take_all") == 0)
        return take_all();
    const struct CMUnitTest tests[] = {
        STAGE_TEST(unused_ids_are_forgotten),
        STAGE_TEST(sleeping_holder_loses_nothing),
        STAGE_TEST(ids_survive_a_kill_until_their_time),
        STAGE_TEST(table_has_a_limit),
        STAGE_TEST(one_user_took_all_producers),
        STAGE_TEST(short_lived_producers_filled_the_table),
        STAGE_TEST(limit_of_producers_was_not_named),
        STAGE_TEST(flood_of_opens_took_all_producers),
        STAGE_TEST(older_copy_lost_events_in_silence),
        STAGE_TEST(quiet_holder_was_not_told_of_an_older_copy),
        STAGE_TEST(other_database_lost_events_in_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
