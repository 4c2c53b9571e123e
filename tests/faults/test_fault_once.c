/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_once: the daemon dies between any two steps of a one-shot, and who has no answer
 * repeats it: every event is there once, in order, and each answer says where.
 *
 * Writers of a session each publish one event after the other. The daemon dies at its Nth commit,
 * before or after it, or when it is killed at a moment that nobody chose. Between two commits there
 * is only memory, which goes with it. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "sponson.h"
#include "stage.h"

enum {
    WRITERS = 4,
    EVENTS = 40,
    HITS = 6,
    KILLS = 8,
    TRY_MS = 1500,
    OPEN_MS = 20000,
    KILLED = 128 + SIGKILL,
};

struct writer {
    pthread_t thread;
    char session[16];
    spn_level level;
    unsigned repeats; /* tries without an answer */
    unsigned duplicates;
    char failure[256]; /* empty: none */
};

static atomic_uint answered; /* of all writers */

static spn_err publish(spn_client *client, const struct writer *writer, unsigned number,
                       const struct spn_published **ret_published)
{
    char id[16];
    struct spn_event event = SPN_EVENT_INIT;
    snprintf(id, sizeof(id), "%u", number);
    event.id = event.data = spn_text(id);
    return spn_publish_once(client, spn_text(writer->session), &event, writer->level, TRY_MS,
                            ret_published);
}

static void expect_answer(struct writer *writer, unsigned number,
                          const struct spn_published *published)
{
    bool repeat = published->result == SPN_DUPLICATE;
    if (published->result != SPN_STORED && !repeat)
        snprintf(writer->failure, sizeof(writer->failure), "%u: %s, %s", number,
                 spn_result_name(published->result), spn_err_text(published->code));
    else if (published->seq != number)
        snprintf(writer->failure, sizeof(writer->failure), "%u (%s): seq %llu", number,
                 spn_result_name(published->result), (unsigned long long)published->seq);
    writer->duplicates += repeat;
}

static void *write_all(void *argument)
{
    struct writer *writer = argument;
    spn_client *client;
    const struct spn_published *published;
    if (spn_client_open(&client, NULL, OPEN_MS, writer->failure, sizeof(writer->failure)) != SPN_OK)
        return NULL;
    for (unsigned number = 1; number <= EVENTS && writer->failure[0] == '\0';) {
        spn_err err = publish(client, writer, number, &published);
        if (err == SPN_OK) {
            expect_answer(writer, number, published);
            atomic_fetch_add(&answered, 1);
            number++;
        } else if (err == SPN_E_TIMEOUT || err == SPN_E_UNAVAILABLE) {
            writer->repeats++;
        } else {
            snprintf(writer->failure, sizeof(writer->failure), "%u: %s", number,
                     spn_client_detail(client));
        }
    }
    spn_client_close(client);
    return NULL;
}

static void start_writers(struct writer *writers, spn_level level)
{
    atomic_store(&answered, 0);
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.level = level};
        snprintf(writers[i].session, sizeof(writers[i].session), "s%zu", i);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]), 0);
    }
}

static void end_writers(struct writer *writers)
{
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    for (size_t i = 0; i < WRITERS; i++)
        if (writers[i].failure[0] != '\0')
            fail_msg("%s", writers[i].failure);
}

/* Each id once, in order. */
static void expect_stored(struct stage *stage, const struct writer *writers)
{
    for (size_t i = 0; i < WRITERS; i++) {
        struct event_list got = EVENT_LIST_INIT;
        struct outcome dump = stage_run(stage, "replay", writers[i].session);
        stage_expect_code(&dump, 0);
        event_list_add_json(&got, dump.output, writers[i].session);
        event_list_expect_whole(writers[i].session, &got);
        assert_int_equal(got.count, EVENTS);
        for (size_t j = 0; j < got.count; j++)
            assert_int_equal(strtoul(got.items[j].id.data, NULL, 10), j + 1);
        event_list_release(&got);
    }
}

/* -- at named places --------------------------------------------------------------------------- */

static struct process *begin_killable(struct stage *stage, const char *point, unsigned hit)
{
    setenv("SPONSON_KILL_POINT", stage_format(stage, "%s:%u", point, hit), 1);
    setenv("SPONSON_TEST_SPONSOND", ONCE_SPONSOND, 1);
    struct process *daemon = stage_begin(stage, NULL, NULL);
    unsetenv("SPONSON_TEST_SPONSOND");
    unsetenv("SPONSON_KILL_POINT");
    return daemon;
}

static void die_at(struct stage *stage, const char *point)
{
    unsigned repeats = 0;
    for (unsigned hit = 1; hit <= HITS; hit++) {
        struct writer writers[WRITERS];
        char name[32];
        struct process *daemon = begin_killable(stage, point, hit);
        start_writers(writers, SPN_DURABLE);
        assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), KILLED);
        daemon = stage_start(stage, NULL);
        end_writers(writers);
        expect_stored(stage, writers);
        for (size_t i = 0; i < WRITERS; i++) {
            snprintf(name, sizeof(name), "s%zu", i);
            repeats += writers[i].duplicates;
            struct outcome gone = stage_run(stage, "delete", name, "--yes");
            stage_expect_code(&gone, 0);
        }
        assert_int_equal(stage_stop(daemon), 0);
    }
    /* What was committed and not answered comes again, and is known. The commit before may be such
     * a one as well, since its answers are sent by another thread. */
    print_message("%s: %u of %u came twice\n", point, repeats, HITS * WRITERS * EVENTS);
    assert_true(repeats > 0 || strcmp(point, "after_commit") != 0);
}

static void dies_before_a_commit(struct stage *stage)
{
    die_at(stage, "before_commit");
}

static void dies_after_a_commit(struct stage *stage)
{
    die_at(stage, "after_commit");
}

/* -- at any time ------------------------------------------------------------------------------- */

static bool many_are_answered(void *argument)
{
    const unsigned *wanted = argument;
    return atomic_load(&answered) >= *wanted;
}

static void is_killed_or_stopped_at_any_time(struct stage *stage)
{
    struct writer writers[WRITERS];
    struct process *daemon = stage_start(stage, NULL);
    start_writers(writers, SPN_DURABLE);
    for (unsigned kill = 1; kill <= KILLS; kill++) {
        unsigned wanted = WRITERS * EVENTS * kill / (KILLS + 1);
        assert_true(until_true(until_in(STAGE_WAIT_MS), many_are_answered, &wanted));
        if (kill % 3 == 0) /* who asks meanwhile is told to come again */
            assert_int_equal(stage_stop(daemon), 0);
        else
            process_kill(daemon);
        daemon = stage_start(stage, NULL);
    }
    end_writers(writers);
    expect_stored(stage, writers);
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(dies_before_a_commit),
        STAGE_TEST(dies_after_a_commit),
        STAGE_TEST(is_killed_or_stopped_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
