/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_order: no durable acknowledgement leaves before its commit is on disk.
 *
 * The daemon's storage calls are recorded. For each event the test looks for the first write that
 * carries it, the first sync that began after that write, and the first write of a meta page that
 * began after that sync: when that one returned, and not before, the event was durable. The
 * acknowledgement as a client sees it has to come later, by the same clock. That the check sees
 * what it is for is shown with acknowledgements that come a moment earlier, with a disk whose syncs
 * do nothing, and with MDB_NOSYNC. */
#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "history.h"
#include "rig.h"
#include "sponson.h"
#include "tape.h"

enum {
    EVENTS = 600,
    IN_FLIGHT = 5, /* so that commits have one event, some, or many */
    OPEN_MS = 10000,
    ACK_MS = 20000,
    HELD_MS = 100,
};

struct order {
    struct stage *stage;
    struct rig rig;
    spn_client *client;
    spn_producer *producer;
    uint64_t acked_ns[EVENTS + 1]; /* by number; 0: not yet */
    uint64_t acked;
};

/* -- a client ---------------------------------------------------------------------------------- */

static void open_producer(struct order *order)
{
    char detail[256] = "";
    if (spn_client_open(&order->client, NULL, OPEN_MS, detail, sizeof(detail)) != SPN_OK)
        fail_msg("client: %s", detail);
    assert_int_equal(spn_producer_open(&order->producer, order->client, NULL, OPEN_MS), SPN_OK);
}

static void close_producer(struct order *order)
{
    spn_err err = spn_producer_close(order->producer, 0, NULL);
    (void)err;
    spn_client_close(order->client);
}

static void publish(struct order *order, uint64_t number)
{
    char data[100];
    struct spn_event event = SPN_EVENT_INIT;
    event.data.data = data;
    event.data.size = history_put_data(data, sizeof(data), 0, number);
    assert_int_equal(spn_publish(order->producer, spn_text("s"), &event, NULL), SPN_OK);
}

/* The next acknowledgement. False: none came in time. */
static bool take_ack(struct order *order, int ms)
{
    const struct spn_ack *ack;
    spn_err err = spn_producer_next_ack(order->producer, ms, &ack);
    if (err == SPN_E_TIMEOUT)
        return false;
    assert_int_equal(err, SPN_OK);
    assert_int_equal(ack->result, SPN_STORED);
    assert_int_equal(ack->ticket, order->acked + 1);
    order->acked_ns[++order->acked] = until_now_ns();
    return true;
}

static void publish_all(struct order *order)
{
    for (uint64_t number = 1; number <= EVENTS; number++) {
        publish(order, number);
        size_t in_flight = number % IN_FLIGHT;
        while (number - order->acked > in_flight)
            assert_true(take_ack(order, ACK_MS));
    }
    while (order->acked < EVENTS)
        assert_true(take_ack(order, ACK_MS));
}

/* A daemon with this rule from its start, and more flags for its database; all is published and
 * acknowledged, and the daemon is gone. */
static void run(struct order *order, struct stage *stage, const struct faults_rule *rule,
                unsigned lmdb_flags)
{
    struct stage_daemon options = {.more = {STAGE_KEEP_ALL, "--row-interval", "20"}};
    *order = (struct order){.stage = stage};
    rig_open(&order->rig, stage);
    rig_record(&order->rig, "tape");
    if (rule)
        rig_arm(&order->rig, rule);
    rig_under(&order->rig, &options);
    rig_add_word(&options, stage_format(stage, "FAULTS_LMDB_FLAGS=%u", lmdb_flags));
    struct process *daemon = stage_start(stage, &options);
    open_producer(order);
    publish_all(order);
    close_producer(order);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- the check --------------------------------------------------------------------------------- */

struct verdict {
    size_t checked;   /* events whose commit was found */
    size_t unwritten; /* acknowledged, and in no write */
    size_t unsynced;  /* no sync lies between the write and the next meta page */
    size_t early;     /* acknowledged before the meta page was on disk */
    size_t commits;   /* different ones that events were found in */
};

/* The first write that carries each event. */
static void find_writes(const struct tape *tape, size_t *ret_first)
{
    for (size_t i = 0; i <= EVENTS; i++)
        ret_first[i] = SIZE_MAX;
    for (size_t i = 0; i < tape->count; i++) {
        const struct tape_take *take = &tape->takes[i];
        const uint8_t *end = take->bytes + take->call.size;
        const uint8_t *at = take->bytes;
        if (take->call.kind != FAULTS_WRITE || take->call.error != 0)
            continue;
        while ((at = memmem(at, (size_t)(end - at), "#0/", 3)) != NULL) {
            char words[24] = "";
            at += 3;
            memcpy(words, at, (size_t)(end - at) < 20 ? (size_t)(end - at) : 20);
            uint64_t number = strtoull(words, NULL, 10);
            if (number <= EVENTS && ret_first[number] == SIZE_MAX)
                ret_first[number] = i;
        }
    }
}

/* The first call of this kind that succeeded and began when the one before had returned. */
static size_t find_next(const struct tape *tape, size_t after, enum faults_kind kind)
{
    for (size_t i = after + 1; i < tape->count; i++) {
        const struct faults_take *call = &tape->takes[i].call;
        if (call->kind == kind && call->error == 0 &&
            call->begun_ns >= tape->takes[after].call.ended_ns)
            return i;
    }
    return SIZE_MAX;
}

static void check_event(const struct tape *tape, size_t write, uint64_t acked_ns,
                        struct verdict *verdict, size_t *last_meta)
{
    if (write == SIZE_MAX) {
        verdict->unwritten++;
        return;
    }
    size_t sync = find_next(tape, write, FAULTS_SYNC);
    size_t meta = find_next(tape, write, FAULTS_META);
    verdict->checked++;
    if (meta != *last_meta)
        verdict->commits++;
    *last_meta = meta;
    if (sync > meta)
        verdict->unsynced++;
    if (meta == SIZE_MAX || tape->takes[meta].call.ended_ns > acked_ns)
        verdict->early++;
}

/* earlier_ns: as if acknowledgements had come so much earlier. */
static struct verdict check(const struct order *order, uint64_t earlier_ns)
{
    struct verdict verdict = {0};
    struct tape tape;
    size_t *first = malloc((EVENTS + 1) * sizeof(*first));
    size_t last_meta = 0;
    assert_non_null(first);
    tape_open(&tape, order->rig.tape_path);
    find_writes(&tape, first);
    for (uint64_t number = 1; number <= EVENTS; number++)
        check_event(&tape, first[number], order->acked_ns[number] - earlier_ns, &verdict,
                    &last_meta);
    tape_close(&tape);
    free(first);
    return verdict;
}

/* -- the tests --------------------------------------------------------------------------------- */

static void acknowledgements_follow_their_commit(struct stage *stage)
{
    struct order order;
    run(&order, stage, NULL, 0);
    struct verdict verdict = check(&order, 0);
    print_message("%zu acknowledgements, %zu commits: %zu before the disk had them, %zu without a "
                  "sync, %zu never written\n",
                  verdict.checked, verdict.commits, verdict.early, verdict.unsynced,
                  verdict.unwritten);
    assert_int_equal(verdict.checked, EVENTS);
    assert_true(verdict.commits >= EVENTS / IN_FLIGHT);
    assert_int_equal(verdict.early, 0);
    assert_int_equal(verdict.unsynced, 0);

    /* It would have seen an acknowledgement that left when the events were handed over. */
    verdict = check(&order, 1000000000u);
    assert_true(verdict.early >= EVENTS / 2);
    rig_close(&order.rig);
}

/* A daemon that does not sync is found out, though each acknowledgement follows its meta page. */
static void missing_sync_is_seen(struct stage *stage)
{
    static const struct faults_rule lying = {
        .action = FAULTS_SKIP, .kinds = FAULTS_SYNC, .first = 1, .count = FAULTS_FOR_EVER};
    struct order order;
    run(&order, stage, &lying, 0);
    struct verdict verdict = check(&order, 0);
    print_message("%zu acknowledgements, %" PRIu64 " syncs that did nothing: %zu seen\n",
                  verdict.checked, rig_hits(&order.rig), verdict.unsynced);
    assert_true(rig_hits(&order.rig) > 0);
    assert_int_equal(verdict.checked, EVENTS);
    assert_int_equal(verdict.unsynced, EVENTS);
    rig_close(&order.rig);
}

/* LMDB writes meta pages like any other then, and syncs nothing: nothing is ever sure. */
static void no_sync_is_seen(struct stage *stage)
{
    struct order order;
    run(&order, stage, NULL, MDB_NOSYNC);
    struct verdict verdict = check(&order, 0);
    print_message("MDB_NOSYNC: %zu acknowledgements, %zu before the disk had them\n",
                  verdict.checked, verdict.early);
    assert_int_equal(verdict.checked, EVENTS);
    assert_int_equal(verdict.early, EVENTS);
    rig_close(&order.rig);
}

/* While this call of a commit is under way nothing is acknowledged, however long it takes. */
static void expect_no_ack_while_held(struct stage *stage, enum faults_kind kind)
{
    const struct faults_rule hold = {
        .action = FAULTS_DELAY, .kinds = kind, .first = 1, .count = 1, .delay_ns = UINT64_MAX / 4};
    struct stage_daemon options = {.more = {STAGE_KEEP_ALL}};
    struct order order = {.stage = stage};
    rig_open(&order.rig, stage);
    rig_under(&order.rig, &options);
    struct process *daemon = stage_start(stage, &options);
    open_producer(&order);
    for (uint64_t number = 1; number <= IN_FLIGHT; number++) {
        rig_arm(&order.rig, &hold);
        publish(&order, number);
        assert_false(take_ack(&order, 0)); /* and it is sent */
        rig_wait_held(&order.rig);
        assert_false(take_ack(&order, HELD_MS));
        rig_clear(&order.rig);
        assert_true(take_ack(&order, ACK_MS));
    }
    close_producer(&order);
    assert_int_equal(stage_stop(daemon), 0);
    rig_close(&order.rig);
}

static void no_acknowledgement_while_pages_are_written(struct stage *stage)
{
    expect_no_ack_while_held(stage, FAULTS_WRITE);
}

static void no_acknowledgement_while_the_sync_lasts(struct stage *stage)
{
    expect_no_ack_while_held(stage, FAULTS_SYNC);
}

static void no_acknowledgement_while_the_meta_page_is_written(struct stage *stage)
{
    expect_no_ack_while_held(stage, FAULTS_META);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(acknowledgements_follow_their_commit),
        STAGE_TEST(missing_sync_is_seen),
        STAGE_TEST(no_sync_is_seen),
        STAGE_TEST(no_acknowledgement_while_pages_are_written),
        STAGE_TEST(no_acknowledgement_while_the_sync_lasts),
        STAGE_TEST(no_acknowledgement_while_the_meta_page_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
