/* SPDX-License-Identifier: Apache-2.0 */
/* test_activation: the daemon is restarted behind sockets that somebody else holds, and nobody sees
 * an error: 50 producers and 200 readers, each a client of its own, go on through each restart, and
 * clients come that would not wait for a sidecar. Nothing is lost, doubled or out of order.
 *
 * The number of restarts may be given: 3 without one, every other by kill -9. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "manager.h"
#include "sponson.h"

enum {
    PRODUCERS = 50,
    READERS = 200,
    SESSIONS = 20,
    COMERS = 5,     /* clients that come while no daemon runs, each time */
    UP_EVENTS = 40, /* of each producer, in each round, before the restart, ... */
    GAP_EVENTS = 5, /* ... and while no daemon runs */
    SETTLE_MS = 60000,
    DATA_SIZE = 32,
};

static unsigned restarts = 3;

struct writer {
    spn_client *client;
    spn_producer *producer;
    unsigned number; /* of its events so far */
};

struct reader {
    spn_client *client;
    spn_subscription *subscription;
    struct spn_life life;
    uint64_t seq;
    unsigned numbers[PRODUCERS]; /* the last that was read of each writer */
};

struct scene {
    struct manager manager;
    struct process *daemon;
    struct writer writers[PRODUCERS];
    struct reader readers[READERS];
};

static const char *session_of(struct stage *stage, size_t number)
{
    return stage_format(stage, "s%zu", number % SESSIONS);
}

/* A client that has no patience with a sidecar that is not there. */
static spn_client *come(void)
{
    char detail[256] = "";
    spn_client *client = NULL;
    const struct spn_client_options options = {.size = sizeof(options), .at_once = true};
    spn_err err = spn_client_begin(&client, &options, detail, sizeof(detail));
    if (err != SPN_OK)
        fail_msg("a client that comes: %s: %s", spn_err_name(err), detail);
    return client;
}

static void expect_ok(spn_err err, const char *doing, spn_client *client)
{
    if (err != SPN_OK)
        fail_msg("%s: %s: %s", doing, spn_err_name(err), spn_client_detail(client));
}

/* -- writers ----------------------------------------------------------------------------------- */

static void publish(struct scene *scene, size_t index)
{
    struct writer *writer = &scene->writers[index];
    struct spn_event event = SPN_EVENT_INIT;
    char data[DATA_SIZE];
    (void)snprintf(data, sizeof(data), "%zu %u", index, ++writer->number);
    event.data = spn_text(data);
    expect_ok(spn_publish(writer->producer, spn_text(session_of(scene->manager.stage, index)),
                          &event, NULL),
              "publish", writer->client);
}

static void settle(struct writer *writer)
{
    expect_ok(spn_producer_flush(writer->producer, until_left_ms(until_in(SETTLE_MS))), "flush",
              writer->client);
    struct spn_counters now = *spn_producer_counters(writer->producer);
    assert_int_equal(now.taken, writer->number);
    assert_int_equal(now.stored, writer->number);
    assert_int_equal(now.backpressure, 0);
}

/* -- readers ----------------------------------------------------------------------------------- */

static void take_event(struct reader *reader, const struct spn_item *item)
{
    char data[DATA_SIZE];
    char *rest = NULL;
    (void)snprintf(data, sizeof(data), "%.*s", (int)item->event->data.size,
                   (const char *)item->event->data.data);
    size_t index = strtoul(data, &rest, 10);
    unsigned number = (unsigned)strtoul(rest, NULL, 10);
    assert_true(index < PRODUCERS);
    assert_int_equal(number, ++reader->numbers[index]);
    assert_int_equal(item->seq, ++reader->seq);
    if (reader->seq == 1)
        reader->life = item->life;
    assert_memory_equal(&item->life, &reader->life, sizeof(item->life));
}

/* Takes what is there. */
static void read_on(struct reader *reader)
{
    const struct spn_item *item;
    spn_err err;
    while ((err = spn_subscription_next(reader->subscription, 0, &item)) == SPN_OK) {
        if (item->kind == SPN_ITEM_EVENT)
            take_event(reader, item);
        else if (item->kind != SPN_ITEM_VERDICT && item->kind != SPN_ITEM_CAUGHT_UP)
            fail_msg("item %d: %s", (int)item->kind, spn_err_name(item->why));
        else
            assert_int_equal(item->why, SPN_OK);
    }
    if (err != SPN_E_TIMEOUT)
        fail_msg("a reader: %s", spn_err_name(err));
}

static bool has_read_all(const struct scene *scene, size_t index)
{
    uint64_t all = 0;
    for (size_t i = index % SESSIONS; i < PRODUCERS; i += SESSIONS)
        all += scene->writers[i].number;
    return scene->readers[index].seq == all;
}

/* -- the scene --------------------------------------------------------------------------------- */

static void start(struct scene *scene)
{
    const char *const more[] = {STAGE_KEEP_ALL, NULL};
    scene->daemon = manager_start_daemon(&scene->manager, stage_sponsond(), more);
}

static void open_all(struct scene *scene)
{
    const struct spn_subscription_options waits = {.size = sizeof(waits), .otherwise = SPN_WAIT};
    struct spn_producer_options options = spn_producer_defaults();
    options.send_timeout_ms = until_left_ms(until_in(SETTLE_MS));
    for (size_t i = 0; i < PRODUCERS; i++) {
        struct writer *writer = &scene->writers[i];
        writer->client = come();
        expect_ok(spn_producer_begin(&writer->producer, writer->client, &options), "producer",
                  writer->client);
    }
    for (size_t i = 0; i < READERS; i++) {
        struct reader *reader = &scene->readers[i];
        reader->client = come();
        expect_ok(spn_subscribe(&reader->subscription, reader->client,
                                spn_text(session_of(scene->manager.stage, i)), &waits),
                  "subscribe", reader->client);
    }
}

static void step_all(struct scene *scene)
{
    for (size_t i = 0; i < PRODUCERS; i++)
        expect_ok(spn_client_step(scene->writers[i].client), "step", scene->writers[i].client);
    for (size_t i = 0; i < READERS; i++)
        read_on(&scene->readers[i]);
}

static void publish_all(struct scene *scene, unsigned events)
{
    for (unsigned k = 0; k < events; k++) {
        for (size_t i = 0; i < PRODUCERS; i++)
            publish(scene, i);
        step_all(scene);
    }
}

/* In the middle of the traffic. */
static void restart(struct scene *scene, bool kills)
{
    spn_client *comers[COMERS];
    process_signal(scene->daemon, kills ? SIGKILL : SIGTERM);
    assert_int_equal(process_wait(scene->daemon, until_in(STAGE_WAIT_MS)),
                     kills ? 128 + SIGKILL : 0);
    publish_all(scene, GAP_EVENTS);
    for (size_t i = 0; i < COMERS; i++)
        comers[i] = come();
    start(scene);
    uint64_t due_ns = until_in(SETTLE_MS);
    for (size_t i = 0; i < COMERS; i++) {
        const struct spn_health *health;
        expect_ok(spn_get_health(comers[i], until_left_ms(due_ns), &health), "health", comers[i]);
        spn_client_close(comers[i]);
    }
}

static void close_all(struct scene *scene)
{
    for (size_t i = 0; i < PRODUCERS; i++) {
        expect_ok(spn_producer_close(scene->writers[i].producer, SETTLE_MS, NULL), "close",
                  scene->writers[i].client);
        spn_client_close(scene->writers[i].client);
    }
    for (size_t i = 0; i < READERS; i++) {
        spn_unsubscribe(scene->readers[i].subscription);
        spn_client_close(scene->readers[i].client);
    }
}

static void nobody_sees_a_restart(struct stage *stage)
{
    static struct scene scene;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    manager_open(&scene.manager, stage);
    manager_listen_both(&scene.manager);
    open_all(&scene); /* before there is a daemon */
    start(&scene);
    for (unsigned i = 0; i < restarts; i++) {
        publish_all(&scene, UP_EVENTS);
        restart(&scene, i % 2 == 1);
    }
    publish_all(&scene, UP_EVENTS);
    for (size_t i = 0; i < PRODUCERS; i++)
        settle(&scene.writers[i]);
    uint64_t due_ns = until_in(SETTLE_MS);
    for (size_t i = 0; i < READERS; i++)
        while (!has_read_all(&scene, i)) {
            if (!until_readable(due_ns, spn_client_fd(scene.readers[i].client)))
                fail_msg("reader %zu is at %llu", i, (unsigned long long)scene.readers[i].seq);
            expect_ok(spn_client_step(scene.readers[i].client), "step", scene.readers[i].client);
            read_on(&scene.readers[i]);
        }
    close_all(&scene);
    assert_int_equal(stage_stop(scene.daemon), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        restarts = (unsigned)strtoul(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {STAGE_TEST(nobody_sees_a_restart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
