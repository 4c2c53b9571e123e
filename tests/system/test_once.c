/* SPDX-License-Identifier: Apache-2.0 */
/* test_once: one-shots against the real daemon: many at a time, of sessions that are not in memory,
 * while nothing can be stored, and of clients that do not wait for their answers. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "event_list.h"
#include "raw.h"
#include "robust.h"
#include "sponson.h"
#include "stage.h"

enum {
    CLIENTS = 50,
    EACH = 10,
    WAIT_MS = 20000,
    SESSIONS = 200,
    HURRIED = 1000, /* one-shots of a client that closes before it has any answer */
    E_BACKPRESSURE = 6,
};

static spn_client *open_client(void)
{
    spn_client *client = NULL;
    assert_int_equal(spn_client_open(&client, NULL, WAIT_MS, NULL, 0), SPN_OK);
    return client;
}

static const struct spn_published *publish(spn_client *client, const char *session, const char *id)
{
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_published *published = NULL;
    event.id = event.data = spn_text(id);
    spn_err err =
        spn_publish_once(client, spn_text(session), &event, SPN_DURABLE, WAIT_MS, &published);
    if (err != SPN_OK)
        fail_msg("%s %s: %s", session, id, spn_client_detail(client));
    return published;
}

/* -- many clients ------------------------------------------------------------------------------ */

struct writer {
    pthread_t thread;
    unsigned number;
    unsigned stored;
    uint64_t seqs[EACH];
    char failure[256];
};

/* All of them write to one session. */
static void *write_some(void *argument)
{
    struct writer *writer = argument;
    spn_client *client;
    if (spn_client_open(&client, NULL, WAIT_MS, writer->failure, sizeof(writer->failure)) != SPN_OK)
        return NULL;
    for (unsigned i = 0; i < EACH; i++) {
        const struct spn_published *published;
        struct spn_event event = SPN_EVENT_INIT;
        char id[32];
        snprintf(id, sizeof(id), "%u-%u", writer->number, i);
        event.id = event.data = spn_text(id);
        spn_err err =
            spn_publish_once(client, spn_text("all"), &event, SPN_DURABLE, WAIT_MS, &published);
        if (err != SPN_OK)
            snprintf(writer->failure, sizeof(writer->failure), "%s", spn_client_detail(client));
        if (err != SPN_OK)
            break;
        writer->stored += published->result == SPN_STORED;
        writer->seqs[i] = published->seq;
    }
    spn_client_close(client);
    return NULL;
}

static void fifty_clients_at_once(struct stage *stage)
{
    struct writer writers[CLIENTS] = {0};
    bool seen[CLIENTS * EACH + 1] = {false};
    struct process *daemon = stage_start(stage, NULL);
    for (unsigned i = 0; i < CLIENTS; i++) {
        writers[i].number = i;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_some, &writers[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (writers[i].failure[0] != '\0')
            fail_msg("%s", writers[i].failure);
        assert_int_equal(writers[i].stored, EACH);
        for (size_t j = 0; j < EACH; j++) {
            uint64_t seq = writers[i].seqs[j];
            assert_true(seq >= 1 && seq <= CLIENTS * EACH && !seen[seq]);
            assert_true(j == 0 || seq > writers[i].seqs[j - 1]);
            seen[seq] = true;
        }
    }
    assert_int_equal(event_stat(stage, "sponson_producers"), 0);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- sessions from disk ------------------------------------------------------------------------ */

static void sessions_come_from_disk(struct stage *stage)
{
    struct stage_daemon options = {.more = {"--hot-sessions", "16", "--row-interval", "100"}};
    struct process *daemon = stage_start(stage, &options);
    char name[16];
    for (int life = 0; life < 2; life++) {
        spn_client *client = open_client();
        for (int round = 0; round < 2; round++)
            for (int i = 0; i < SESSIONS; i++) {
                bool known = life > 0 || round > 0;
                snprintf(name, sizeof(name), "s%d", i);
                const struct spn_published *published = publish(client, name, "first");
                assert_int_equal(published->result, known ? SPN_DUPLICATE : SPN_STORED);
                assert_int_equal(published->seq, 1);
                assert_true(published->position > 0);
                published = publish(client, name, life > 0 ? "third" : "second");
                assert_int_equal(published->result, round > 0 ? SPN_DUPLICATE : SPN_STORED);
                assert_int_equal(published->seq, life > 0 ? 3 : 2);
            }
        spn_client_close(client);
        assert_int_equal(stage_stop(daemon), 0);
        daemon = stage_start(stage, &options);
    }
    spn_client *client = open_client();
    publish(client, "s0", "first");
    assert_true(event_stat(stage, "sponson_sessions_loaded_total") > 0);
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- while nothing can be stored --------------------------------------------------------------- */

static void send(struct raw *raw, uint64_t request, const struct raw_entry *entry)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_publish(&out, request, RAW_DURABLE, entry);
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

/* A delete makes room, so it is taken although the queue is full. */
static void a_delete_is_taken_when_nothing_else_is(struct stage *stage)
{
    struct stage_daemon narrow = {.more = {"--queue-events", "1"},
                                  .prepare = robust_bear_full_disk};
    const struct raw_entry first = {.session = "s", .id = "1", .data = "x"};
    const struct raw_entry second = {.session = "s", .id = "2", .data = "x"};
    const struct raw_entry third = {.session = "s", .id = "3", .data = "x"};
    const struct raw_entry gone = {.kind = 4, .session = "s"};
    struct raw raw, control;
    struct process *daemon = stage_start(stage, &narrow);
    raw_open(&raw);
    raw_open(&control);
    send(&raw, 1, &first);
    assert_int_equal(raw_expect_published(&raw).result, RAW_STORED);
    robust_limit_files(daemon, 0);
    send(&raw, 2, &second);
    robust_wait_gauge(&control, "sponson_queue_above_mark", 1);
    send(&raw, 3, &third);
    send(&raw, 4, &gone);
    assert_int_equal(raw_expect_error(raw.ingest, E_BACKPRESSURE).request, 3);
    robust_wait_counter(&control, "sponson_sessions_deleted_total", 1);
    robust_limit_files(daemon, RLIM_INFINITY);
    struct raw_published published = raw_expect_published(&raw);
    assert_int_equal(published.request, 2);
    assert_int_equal(published.seq, 2);
    published = raw_expect_published(&raw);
    assert_int_equal(published.request, 4);
    assert_int_equal(published.result, RAW_STORED);
    send(&raw, 5, &third);
    published = raw_expect_published(&raw);
    assert_int_equal(published.result, RAW_STORED);
    assert_int_equal(published.seq, 1); /* of another life */
    raw_close(&raw);
    raw_close(&control);
    assert_int_equal(stage_stop(daemon), 0);
}

/* A commit answers all of them at once, more than ZeroMQ has room for. */
static void as_many_answers_as_questions(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    bool answered[HURRIED + 1] = {false};
    char id[16];
    raw_open(&raw);
    for (unsigned i = 1; i <= HURRIED; i++) {
        snprintf(id, sizeof(id), "%u", i);
        send(&raw, i, &(struct raw_entry){.session = "s", .id = id, .data = id});
    }
    for (unsigned i = 1; i <= HURRIED; i++) {
        struct raw_published published = raw_expect_published(&raw);
        assert_int_equal(published.result, RAW_STORED);
        assert_int_equal(published.seq, published.request);
        assert_false(answered[published.request]);
        answered[published.request] = true;
    }
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

static void who_does_not_wait_harms_nobody(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    char id[16];
    raw_open(&raw);
    send(&raw, 1, &(struct raw_entry){.session = "s", .id = "0", .data = "x"});
    assert_int_equal(raw_expect_published(&raw).result, RAW_STORED);
    for (unsigned i = 1; i <= HURRIED; i++) {
        snprintf(id, sizeof(id), "%u", i);
        send(&raw, i, &(struct raw_entry){.session = "s", .id = id, .data = id});
    }
    raw_reconnect(&raw);
    spn_client *client = open_client();
    assert_int_equal(publish(client, "other", "1")->result, SPN_STORED);
    spn_client_close(client);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* An id that no entry can have is refused, and its answer has no id: it would have no room. */
static void an_id_may_be_of_any_size(struct stage *stage)
{
    static const size_t sizes[] = {65535, 4097};
    static char id[65535];
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    memset(id, 'i', sizeof(id));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct raw_entry entry = {.session = "s", .id = id, .id_size = sizes[i], .data = "x"};
        send(&raw, i, &entry);
        struct raw_published published = raw_expect_published(&raw);
        assert_int_equal(published.request, i);
        assert_int_equal(published.result, RAW_REFUSED);
        assert_int_equal(published.code, RAW_E_BAD_ID);
        assert_string_equal(published.id, "");
    }
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- the command line -------------------------------------------------------------------------- */

static void a_shell_publishes(struct stage *stage)
{
    static const char *const from_input[] = {"publish", "s", "--id", "2", "-", NULL};
    struct process *daemon = stage_start(stage, NULL);
    struct outcome done = stage_run(stage, "publish", "s", "--id", "1", "--type", "t", "hello");
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, "1\n");
    done = stage_run(stage, "publish", "s", "--id", "1", "--type", "t", "hello");
    stage_expect_code(&done, 0);
    assert_non_null(strstr(done.err, "was stored already"));
    done = stage_run(stage, "publish", "s", "--id", "1", "other");
    stage_expect_code(&done, 1);
    assert_non_null(strstr(done.err, "closing or reason differ"));
    done = stage_run_words(stage, from_input, (struct spn_bytes){"two\nlines\n", 10});
    stage_expect_code(&done, 0);
    done = stage_run(stage, "publish", "s", "without an id");
    stage_expect_code(&done, 0);
    assert_int_equal(done.output.size, 33);
    struct event_list got = EVENT_LIST_INIT;
    done = stage_run(stage, "replay", "s");
    event_list_add_json(&got, done.output, "s");
    event_list_expect_whole("s", &got);
    assert_int_equal(got.count, 3);
    assert_true(event_bytes_same(got.items[1].data, (struct spn_bytes){"two\nlines", 9}));
    event_list_release(&got);
    done = stage_run(stage, "close", "s");
    stage_expect_code(&done, 0);
    done = stage_run(stage, "publish", "s", "late");
    stage_expect_code(&done, 1);
    assert_non_null(strstr(done.err, "closed"));
    done = stage_run(stage, "publish", "s", "a", "b");
    stage_expect_code(&done, 2);
    assert_int_equal(event_stat(stage, "sponson_producers"), 0);
    assert_int_equal(stage_stop(daemon), 0);
    done = stage_run(stage, "publish", "s", "nobody", "--timeout", "0.2");
    stage_expect_code(&done, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(fifty_clients_at_once),
        STAGE_TEST(sessions_come_from_disk),
        STAGE_TEST(a_delete_is_taken_when_nothing_else_is),
        STAGE_TEST(as_many_answers_as_questions),
        STAGE_TEST(who_does_not_wait_harms_nobody),
        STAGE_TEST(an_id_may_be_of_any_size),
        STAGE_TEST(a_shell_publishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
