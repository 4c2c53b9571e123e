/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_reference: every queue holds one, and the worker is held.
 *
 * The in-flight window, the high-water marks of ZeroMQ on both sides and the sidecar's queue are
 * one; the marks of ZeroMQ have no option, so they are set from outside, around zmq_setsockopt. The
 * worker's sync does not return. A row says at which level is published, and how many calls fill
 * what lies between the app and the disk; the next one must wait for the send timeout and say
 * SPN_E_BACKPRESSURE, and go through once the worker is let go. */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "check.h"
#include "rig.h"
#include "sponson.h"

enum {
    SEND_TIMEOUT_MS = 100,
    EARLY_MS = 90,
    LATE_MS = 2000,
    OPEN_MS = 20000,
    LARGE = 512 * 1024, /* more than a Unix socket's buffers hold */
};

struct row {
    const char *name;
    spn_level level;
    size_t event_size;
    uint64_t fills_least; /* calls that are taken before one is not */
    uint64_t fills_most;
};

static const struct row rows[] = {
    /* The one that the worker has. */
    {"durable", SPN_DURABLE, 10, 1, 1},
    /* That one, acknowledged as accepted and filling the queue, and one that is not read. */
    {"accepted", SPN_ACCEPTED, 10, 2, 2},
    /* Those two, and what ZeroMQ, its encoders and the socket have: the window is empty as soon as
     * ZeroMQ has taken an event. */
    {"none", SPN_NONE, LARGE, 4, 8},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct reference {
    struct rig rig;
    struct process *daemon;
    spn_client *client;
    spn_producer *producer;
    uint64_t published;
};

/* -- ZeroMQ's marks on the client's side ------------------------------------------------------- */

int __real_zmq_setsockopt(void *socket, int option, const void *value, size_t size);
int __wrap_zmq_setsockopt(void *socket, int option, const void *value, size_t size);

static int marks_set;

int __wrap_zmq_setsockopt(void *socket, int option, const void *value, size_t size)
{
    static const int one = 1;
    if (option != ZMQ_SNDHWM && option != ZMQ_RCVHWM)
        return __real_zmq_setsockopt(socket, option, value, size);
    marks_set++;
    return __real_zmq_setsockopt(socket, option, &one, sizeof(one));
}

/* -- steps ------------------------------------------------------------------------------------- */

static void open_reference(struct reference *reference, struct stage *stage, const struct row *row)
{
    struct stage_daemon options = {.more = {"--queue-events", "1"}};
    struct spn_producer_options producer = spn_producer_defaults();
    char detail[256] = "";
    *reference = (struct reference){.published = 0};
    producer.level = row->level;
    producer.window_events = 1;
    assert_int_equal(producer.send_timeout_ms, SEND_TIMEOUT_MS);
    rig_open(&reference->rig, stage);
    rig_under(&reference->rig, &options);
    rig_add_word(&options, "FAULTS_HWM=1");
    reference->daemon = stage_start(stage, &options);
    marks_set = 0;
    if (spn_client_open(&reference->client, NULL, OPEN_MS, detail, sizeof(detail)) != SPN_OK)
        fail_msg("client: %s", detail);
    assert_int_equal(spn_producer_open(&reference->producer, reference->client, &producer, OPEN_MS),
                     SPN_OK);
    assert_true(marks_set >=
                4); /* two for each of its sockets, which it opens when it needs them */
}

static void close_reference(struct reference *reference)
{
    assert_int_equal(spn_producer_close(reference->producer, OPEN_MS, NULL), SPN_OK);
    spn_client_close(reference->client);
    assert_int_equal(stage_stop(reference->daemon), 0);
    rig_close(&reference->rig);
}

static spn_err publish(struct reference *reference, const struct row *row)
{
    static char data[LARGE];
    struct spn_event event = SPN_EVENT_INIT;
    memset(data, 'x', row->event_size);
    event.data = (struct spn_bytes){data, row->event_size};
    spn_err err = spn_publish(reference->producer, spn_text("s"), &event, NULL);
    reference->published += err == SPN_OK;
    return err;
}

/* A producer's first acknowledgement waits for the disk at every level: those after it are looked
 * at. */
static void publish_first(struct reference *reference, const struct row *row)
{
    assert_int_equal(publish(reference, row), SPN_OK);
    assert_int_equal(spn_producer_flush(reference->producer, OPEN_MS), SPN_OK);
    reference->published = 0;
}

static void hold_worker(struct reference *reference)
{
    static const struct faults_rule hold = {.action = FAULTS_DELAY,
                                            .kinds = FAULTS_SYNC,
                                            .first = 1,
                                            .count = FAULTS_FOR_EVER,
                                            .delay_ns = UINT64_MAX / 4};
    rig_arm(&reference->rig, &hold);
}

/* Publishes until a call is not taken. Returns how long that call took, in milliseconds. */
static uint64_t fill(struct reference *reference, const struct row *row)
{
    for (;;) {
        uint64_t begun_ns = until_now_ns();
        spn_err err = publish(reference, row);
        uint64_t took_ns = until_now_ns() - begun_ns;
        if (err == SPN_E_BACKPRESSURE)
            return took_ns / 1000000;
        assert_int_equal(err, SPN_OK);
        assert_true(reference->published <= row->fills_most);
        if (reference->published == 1)
            rig_wait_held(&reference->rig);
    }
}

static bool look_published(void *argument)
{
    void **both = argument;
    spn_err err = publish(both[0], both[1]);
    assert_true(err == SPN_OK || err == SPN_E_BACKPRESSURE);
    return err == SPN_OK;
}

static void run_row(struct stage *stage, const struct row *row)
{
    struct reference reference;
    open_reference(&reference, stage, row);
    publish_first(&reference, row);
    hold_worker(&reference);
    uint64_t took_ms = fill(&reference, row);
    uint64_t filled = reference.published;
    print_message("%s: %" PRIu64 " calls fill it; the next says SPN_E_BACKPRESSURE after %" PRIu64
                  " ms\n",
                  row->name, filled, took_ms);
    assert_true(filled >= row->fills_least);
    assert_true(took_ms >= EARLY_MS && took_ms < (uint64_t)until_patient_ms(LATE_MS));
    assert_int_equal(publish(&reference, row), SPN_E_BACKPRESSURE); /* and so it stays */
    rig_clear(&reference.rig);
    void *both[] = {&reference, (void *)(uintptr_t)row};
    assert_true(until_true(until_in(STAGE_WAIT_MS), look_published, both));
    close_reference(&reference);
}

#define ROW_TEST(number)                                                                           \
    static void row_##number(struct stage *stage)                                                  \
    {                                                                                              \
        run_row(stage, &rows[number]);                                                             \
    }
ROW_TEST(0)
ROW_TEST(1)
ROW_TEST(2)

int main(void)
{
    struct CMUnitTest tests[] = {STAGE_TEST(row_0), STAGE_TEST(row_1), STAGE_TEST(row_2)};
    static_assert(sizeof(tests) / sizeof(tests[0]) == ROWS, "a test for every row");
    for (size_t i = 0; i < ROWS; i++)
        tests[i].name = rows[i].name;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
