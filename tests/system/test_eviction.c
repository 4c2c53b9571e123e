/* SPDX-License-Identifier: Apache-2.0 */
/* test_eviction: of many sessions only so many are in memory, and nobody can tell: duplicates and
 * conflicts are found in all of them.
 *
 *     system_eviction              50,000 sessions, of which 1,000 may be hot
 *     system_eviction campaign     1,000,000, of which 10,000 may be hot
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "feeder.h"
#include "onlooker.h"
#include "robust.h"
#include "stage.h"

#define MIB (1024u * 1024)

enum {
    TEXT_SIZE = 64,
    POINTS = 10,
    GROWTH_MAX = 4 * MIB,    /* of memory, over the second half of the run */
    GENERATION_LEAST = 8192, /* sessions that a generation holds in any case ... */
    BATCH = 4096,            /* ... and those of one batch more */
};

struct crowd {
    uint64_t sessions;
    const char *hot;
    uint64_t hot_max;
};

/* The sessions that two generations have stay hot beside those that may. */
static uint64_t bound(const struct crowd *crowd)
{
    uint64_t generation = crowd->hot_max > GENERATION_LEAST ? crowd->hot_max : GENERATION_LEAST;
    return crowd->hot_max + 2 * (generation + BATCH);
}

static void put(struct feeder *feeder, uint64_t session, uint64_t event, const char *data)
{
    char name[TEXT_SIZE];
    char id[TEXT_SIZE];
    snprintf(name, sizeof(name), "crowd-%llu", (unsigned long long)session);
    snprintf(id, sizeof(id), "e%llu", (unsigned long long)event);
    feeder_put(feeder, name, id, data);
}

struct watch {
    const struct crowd *crowd;
    const struct process *daemon;
    spn_client *client;
    uint64_t hot_most;
};

static void look(struct watch *watch)
{
    uint64_t hot = onlooker_counter(watch->client, "sponson_sessions_hot");
    watch->hot_most = hot > watch->hot_most ? hot : watch->hot_most;
    if (hot > bound(watch->crowd))
        fail_msg("%llu hot, more than %llu", (unsigned long long)hot,
                 (unsigned long long)bound(watch->crowd));
}

/* The same event for each session; all must end like this. */
static struct spn_counters put_round(struct watch *watch, struct feeder *feeder, uint64_t event,
                                     const char *data)
{
    uint64_t sessions = watch->crowd->sessions;
    for (uint64_t i = 0; i < sessions; i++) {
        /* Not in the order in which they were opened: a step that is prime to their number. */
        put(feeder, i * 7919 % sessions, event, data);
        if (i % (sessions / 8) == 0)
            look(watch);
    }
    struct spn_counters done = feeder_settle(feeder);
    look(watch);
    return done;
}

/* Ten times a tenth of the sessions get another event. */
static void expect_flat(struct watch *watch, struct feeder *feeder)
{
    uint64_t sessions = watch->crowd->sessions;
    size_t most[2] = {0, 0};
    for (uint64_t point = 0; point < POINTS; point++) {
        for (uint64_t i = point * sessions / POINTS; i < (point + 1) * sessions / POINTS; i++)
            put(feeder, i * 7919 % sessions, 2, "second");
        feeder_settle(feeder);
        look(watch);
        size_t bytes = process_anonymous_bytes(watch->daemon);
        size_t *half = &most[point >= POINTS / 2];
        *half = bytes > *half ? bytes : *half;
        print_message("%3llu %%: %.1f MiB anonymous, %llu hot\n",
                      (unsigned long long)(100 * (point + 1) / POINTS), (double)bytes / MIB,
                      (unsigned long long)onlooker_counter(watch->client, "sponson_sessions_hot"));
    }
    if (!until_sanitized())
        assert_true(most[1] <= most[0] + GROWTH_MAX);
}

static void come_and_go(struct stage *stage, const struct crowd *crowd)
{
    struct stage_daemon options = {.more = {"--hot-sessions", crowd->hot, "--row-interval", "200"}};
    struct feeder feeder;
    struct watch watch = {.crowd = crowd};
    watch.daemon = stage_start(stage, &options);
    feeder_open(&feeder);
    watch.client = onlooker_client();
    assert_int_equal(put_round(&watch, &feeder, 1, "first").stored, crowd->sessions);
    assert_int_equal(put_round(&watch, &feeder, 1, "first").duplicates, crowd->sessions);
    struct spn_counters done = put_round(&watch, &feeder, 1, "changed");
    /* The same ids with other data: each is a conflict. */
    assert_int_equal(done.conflicts, crowd->sessions);
    expect_flat(&watch, &feeder);
    assert_int_equal(put_round(&watch, &feeder, 2, "second").duplicates, crowd->sessions);
    uint64_t evicted = onlooker_counter(watch.client, "sponson_sessions_evicted_total");
    uint64_t loaded = onlooker_counter(watch.client, "sponson_sessions_loaded_total");
    print_message("%llu hot at most, %llu evicted, %llu brought back\n",
                  (unsigned long long)watch.hot_most, (unsigned long long)evicted,
                  (unsigned long long)loaded);
    assert_true(evicted > crowd->sessions);
    assert_true(loaded > crowd->sessions);
    assert_int_equal(onlooker_counter(watch.client, "sponson_sessions_known"), crowd->sessions);
    spn_client_close(watch.client);
    feeder_close(&feeder);
}

static void sessions_come_and_go(struct stage *stage)
{
    const struct crowd crowd = {50000, "1000", 1000};
    come_and_go(stage, &crowd);
}

static void campaign(struct stage *stage)
{
    static const struct crowd crowd = {1000000, "10000", 10000};
    come_and_go(stage, &crowd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {STAGE_TEST(sessions_come_and_go)};
    const struct CMUnitTest long_tests[] = {STAGE_TEST(campaign)};
    if (argc > 1 && strcmp(argv[1], "campaign") == 0)
        return cmocka_run_group_tests(long_tests, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
