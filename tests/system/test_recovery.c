/* SPDX-License-Identifier: Apache-2.0 */
/* test_recovery: after kill -9 every session stands where its log ends: last id, seq and window,
 * however far the index lagged behind.
 *
 * Sessions come in groups. The ones of a group get the same events: some before the index was
 * written last, some since. The event number i of a session has the id "e<i>", so that the group
 * says everything that must be true of the session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "store/journal.h"
#include "stage.h"

enum {
    WINDOW = 128,
    NAME_SIZE = 64,
    ASK_MS = 30000,
    BEHIND = 500000,
    BEHIND_SANITIZED = 100000,
};

#define NEVER "86400000" /* --row-interval: the index is not written while the test runs */

struct group {
    const char *name;
    size_t sessions;
    size_t before; /* events of each, in the index */
    size_t since;  /* events of each, only in the log */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -- what the sessions get --------------------------------------------------------------------- */

static const char *session_name(const struct group *group, size_t at)
{
    static char name[NAME_SIZE];
    snprintf(name, sizeof(name), "%s-%05zu", group->name, at);
    return name;
}

static void put(struct feeder *feeder, const struct group *group, size_t at, size_t number,
                const char *suffix)
{
    char id[NAME_SIZE];
    char data[2 * NAME_SIZE];
    const char *session = session_name(group, at);
    snprintf(id, sizeof(id), "e%zu", number);
    snprintf(data, sizeof(data), "%s %zu%s", session, number, suffix);
    feeder_put(feeder, session, id, data);
}

/* The events from .. up to of every session, all sessions taking turns. Which ones is the group's
 * to say: bounds() gives them. Returns how many that were. */
typedef void bounds(const struct group *group, size_t *from, size_t *up_to);

static size_t put_all(struct feeder *feeder, const struct group *groups, size_t count, bounds *of,
                      const char *suffix)
{
    size_t total = 0;
    size_t before;
    size_t step = 0;
    do {
        before = total;
        for (size_t i = 0; i < count; i++) {
            size_t from, up_to;
            of(&groups[i], &from, &up_to);
            if (from + step > up_to)
                continue;
            for (size_t at = 0; at < groups[i].sessions; at++)
                put(feeder, &groups[i], at, from + step, suffix);
            total += groups[i].sessions;
        }
        step++;
    } while (total > before);
    return total;
}

static void bounds_before(const struct group *group, size_t *from, size_t *up_to)
{
    *from = 1;
    *up_to = group->before;
}

static void bounds_since(const struct group *group, size_t *from, size_t *up_to)
{
    *from = group->before + 1;
    *up_to = group->before + group->since;
}

/* The ids in the window. */
static void bounds_window(const struct group *group, size_t *from, size_t *up_to)
{
    *up_to = group->before + group->since;
    *from = *up_to > WINDOW ? *up_to - WINDOW + 1 : 1;
}

/* The one that left it last. */
static void bounds_left(const struct group *group, size_t *from, size_t *up_to)
{
    bounds_window(group, from, up_to);
    *up_to = --*from;
    if (*from == 0)
        *from = 1;
}

static void bounds_newest(const struct group *group, size_t *from, size_t *up_to)
{
    *up_to = *from = group->before + group->since;
}

static size_t sum(const struct group *groups, size_t count, bounds *of)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t from, up_to;
        of(&groups[i], &from, &up_to);
        total += groups[i].sessions * (up_to + 1 - from);
    }
    return total;
}

static void store_all(const struct group *groups, size_t count, bounds *of)
{
    struct feeder feeder;
    feeder_open(&feeder);
    size_t total = put_all(&feeder, groups, count, of, "");
    assert_int_equal(total, sum(groups, count, of));
    struct spn_counters done = feeder_settle(&feeder);
    assert_int_equal(done.stored, total);
    feeder_close(&feeder);
}

/* -- what must be true of them ----------------------------------------------------------------- */

static void expect_session(const struct group *group, size_t at, const struct spn_session *session)
{
    char id[NAME_SIZE];
    const char *name = session_name(group, at);
    size_t events = group->before + group->since;
    size_t size = (size_t)snprintf(id, sizeof(id), "e%zu", events);
    if (!event_bytes_same(session->name, spn_text(name)))
        fail_msg("the list has %.*s, not %s", (int)session->name.size,
                 (const char *)session->name.data, name);
    if (session->seq != events)
        fail_msg("%s: seq %llu, not %zu", name, (unsigned long long)session->seq, events);
    if (!event_bytes_same(session->last_id, (struct spn_bytes){id, size}))
        fail_msg("%s: last id %.*s, not %s", name, (int)session->last_id.size,
                 (const char *)session->last_id.data, id);
}

/* Groups are in the order of their names: then so are the sessions in the list. */
static void expect_list(spn_client *client, const struct group *groups, size_t count)
{
    char after[NAME_SIZE];
    size_t after_size = 0;
    const struct spn_session *session;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < groups[i].sessions; at++) {
            spn_err err = spn_next_session(client, (struct spn_bytes){after, after_size},
                                           (struct spn_bytes){NULL, 0}, ASK_MS, &session);
            assert_int_equal(err, SPN_OK);
            expect_session(&groups[i], at, session);
            after_size = session->name.size;
            memcpy(after, session->name.data, after_size);
        }
    assert_int_equal(spn_next_session(client, (struct spn_bytes){after, after_size},
                                      (struct spn_bytes){NULL, 0}, ASK_MS, &session),
                     SPN_E_END);
}

static void expect_last_ids(spn_client *client, const struct group *groups, size_t count)
{
    char id[NAME_SIZE];
    const struct spn_last *last;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < groups[i].sessions; at++) {
            size_t events = groups[i].before + groups[i].since;
            const char *name = session_name(&groups[i], at);
            assert_int_equal(spn_last_event(client, spn_text(name), ASK_MS, &last), SPN_OK);
            size_t size = (size_t)snprintf(id, sizeof(id), "e%zu", events);
            if (last->seq != events || !event_bytes_same(last->id, (struct spn_bytes){id, size}))
                fail_msg("%s: %llu %.*s, not %zu %s", name, (unsigned long long)last->seq,
                         (int)last->id.size, (const char *)last->id.data, events, id);
        }
}

static void expect_standing(const struct group *groups, size_t count)
{
    struct feeder feeder;
    feeder_open(&feeder);
    expect_list(feeder.client, groups, count);
    expect_last_ids(feeder.client, groups, count);
    feeder_close(&feeder);
}

/* What is in the window is a duplicate, or a conflict with other data; what has left it is stored
 * again. The first round takes every session from cold, many of them in a batch. */
static void expect_windows(const struct group *groups, size_t count)
{
    struct feeder feeder;
    feeder_open(&feeder);
    size_t total = put_all(&feeder, groups, count, bounds_window, "");
    struct spn_counters done = feeder_settle(&feeder);
    assert_int_equal(done.stored, 0);
    assert_int_equal(done.conflicts, 0);
    assert_int_equal(done.duplicates, total);
    total = put_all(&feeder, groups, count, bounds_newest, " changed");
    done = feeder_settle(&feeder);
    assert_int_equal(done.stored, 0);
    /* 16 bits tell data apart: one conflict in 65,536 passes for a duplicate. */
    assert_int_equal(done.conflicts + done.duplicates, total);
    assert_true(done.duplicates <= 1 + total / 4096);
    total = put_all(&feeder, groups, count, bounds_left, "");
    done = feeder_settle(&feeder);
    assert_int_equal(done.stored, total);
    feeder_close(&feeder);
}

static uint64_t entries_behind(struct stage *stage)
{
    struct outcome health = stage_run(stage, "health", "--json");
    stage_expect_code(&health, 0);
    return event_json_number(health.out, "durable") - event_json_number(health.out, "checkpoint");
}

static bool is_index_complete(void *stage)
{
    return entries_behind(stage) == 0;
}

static struct process *start(struct stage *stage, const char *row_interval)
{
    struct stage_daemon options = {.more = {"--row-interval", row_interval}};
    return stage_start(stage, &options);
}

/* -- far behind -------------------------------------------------------------------------------- */

/* Ordered by name. */
static struct group far_groups[] = {
    {"bulk", 100, 20, 4350},           {"fresh-many", 20, 0, 1000}, {"fresh-one", 500, 0, 1},
    {"fresh-over", 50, 0, WINDOW + 1}, {"fresh-some", 200, 0, 100}, {"fresh-window", 50, 0, WINDOW},
    {"idle-many", 30, 200, 0},         {"idle-one", 30, 1, 0},      {"known-few", 50, 200, 1},
    {"known-many", 50, 200, 300},      {"known-one", 50, 1, 1},     {"known-some", 50, 200, 50},
};

static void kill_far_behind(struct stage *stage)
{
    far_groups[0].since = until_scaled(far_groups[0].since);
    struct process *daemon = start(stage, NEVER);
    store_all(far_groups, COUNT(far_groups), bounds_before);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = start(stage, NEVER);
    assert_int_equal(entries_behind(stage), 0);
    store_all(far_groups, COUNT(far_groups), bounds_since);
    uint64_t behind = entries_behind(stage);
    print_message("killed with the index %llu entries behind\n", (unsigned long long)behind);
    assert_true(behind >= (until_sanitized() ? BEHIND_SANITIZED : BEHIND));
    process_kill(daemon);

    uint64_t begun_ns = until_now_ns();
    daemon = start(stage, NEVER);
    print_message("ready again after %llu ms\n",
                  (unsigned long long)((until_now_ns() - begun_ns) / 1000000));
    assert_int_equal(entries_behind(stage), behind);
    expect_standing(far_groups, COUNT(far_groups));
    expect_windows(far_groups, COUNT(far_groups));
    assert_true(event_stat(stage, "sponson_sessions_loaded_total") > 0);
    assert_int_equal(stage_stop(daemon), 0);
}

/* The same, and then the index is written from what recovery brought back. */
static void index_after_recovery(struct stage *stage)
{
    static const struct group groups[] = {
        {"fresh-many", 5, 0, 700},
        {"fresh-one", 20, 0, 1},
        {"known-many", 5, 300, 300},
        {"known-some", 20, 200, 50},
    };
    struct process *daemon = start(stage, NEVER);
    store_all(groups, COUNT(groups), bounds_before);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = start(stage, NEVER);
    store_all(groups, COUNT(groups), bounds_since);
    process_kill(daemon);
    daemon = start(stage, NEVER);
    expect_standing(groups, COUNT(groups));
    assert_int_equal(stage_stop(daemon), 0);
    daemon = start(stage, NEVER);
    assert_int_equal(entries_behind(stage), 0);
    expect_standing(groups, COUNT(groups));
    expect_windows(groups, COUNT(groups));
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- the index is complete --------------------------------------------------------------------- */

/* Every session is cold, and its window lies in three segments and, where the rows say so, the log.
 */
static const struct group index_groups[] = {
    {"a-one", 300, 1, 0},
    {"b-some", 40, 90, 40},
    {"c-many", 10, 600, 0},
};

static void bounds_first_third(const struct group *group, size_t *from, size_t *up_to)
{
    *from = 1;
    *up_to = group->before / 3;
}

static void bounds_second_third(const struct group *group, size_t *from, size_t *up_to)
{
    *from = group->before / 3 + 1;
    *up_to = group->before * 2 / 3;
}

static void bounds_last_third(const struct group *group, size_t *from, size_t *up_to)
{
    *from = group->before * 2 / 3 + 1;
    *up_to = group->before;
}

static void loads_from_segments(struct stage *stage)
{
    static bounds *const thirds[] = {bounds_first_third, bounds_second_third, bounds_last_third};
    struct process *daemon = start(stage, "50");
    for (size_t i = 0; i < COUNT(thirds); i++) {
        store_all(index_groups, COUNT(index_groups), thirds[i]);
        assert_true(until_true(until_in(STAGE_WAIT_MS), is_index_complete, stage));
    }
    assert_true(event_stat(stage, "sponson_segments_total") >= COUNT(thirds));
    process_kill(daemon);
    daemon = start(stage, NEVER);
    assert_int_equal(entries_behind(stage), 0);
    store_all(index_groups, COUNT(index_groups), bounds_since);
    process_kill(daemon);
    start(stage, NEVER);
    expect_standing(index_groups, COUNT(index_groups));
    expect_windows(index_groups, COUNT(index_groups));
    assert_true(event_stat(stage, "sponson_sessions_loaded_total") >= 350);
}

static void loads_after_a_stop(struct stage *stage)
{
    struct process *daemon = start(stage, NEVER);
    store_all(index_groups, COUNT(index_groups), bounds_before);
    store_all(index_groups, COUNT(index_groups), bounds_since);
    assert_int_equal(stage_stop(daemon), 0);
    start(stage, NEVER);
    assert_int_equal(event_stat(stage, "sponson_sessions_hot"), 0);
    expect_standing(index_groups, COUNT(index_groups));
    expect_windows(index_groups, COUNT(index_groups));
}

/* -- a segment under way ----------------------------------------------------------------------- */

enum { ROUNDS = 4, KNOWN = 3000, NEW = 2000, ADDED = 30 };

/* A segment is written in steps, beside the commits of events: the test watches the disk, and kills
 * when some of the blocks are there and the segment is not complete. */
struct watch {
    struct journal *journal;
    struct journal_reader *reader;
};

static void watch_open(struct watch *watch, struct stage *stage)
{
    struct journal_options options = {.dir = stage->data_dir, .read_only = true};
    assert_int_equal(journal_open(&watch->journal, &options), SPN_OK);
    assert_int_equal(journal_reader_open(&watch->reader, watch->journal), SPN_OK);
}

static void watch_close(struct watch *watch)
{
    journal_reader_close(watch->reader);
    journal_close(watch->journal);
}

enum index_state { INDEX_BEHIND, INDEX_UNDER_WAY, INDEX_COMPLETE };

/* Blocks come in the order of epochs: the oldest session's is the first. */
static enum index_state look(struct watch *watch)
{
    struct record_block block;
    uint64_t epoch = 0;
    assert_int_equal(journal_reader_begin(watch->reader), SPN_OK);
    const struct record_meta *meta = journal_reader_meta(watch->reader);
    bool complete = meta->checkpoint == journal_reader_newest(watch->reader);
    spn_err err = journal_read_name(watch->reader, spn_text("known-00000"), &epoch);
    if (err == SPN_OK)
        err = journal_read_block_from(watch->reader, meta->segment + 1, epoch, 0, &block);
    journal_reader_end(watch->reader);
    if (err == SPN_OK)
        return INDEX_UNDER_WAY;
    return complete ? INDEX_COMPLETE : INDEX_BEHIND;
}

/* Kills the daemon in the middle of a segment; false: it was complete before the blow came. */
static bool kill_under_way(struct stage *stage, struct process *daemon)
{
    struct watch watch;
    watch_open(&watch, stage);
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (look(&watch) == INDEX_BEHIND && !until_over(due_ns))
        until_passed_us(100);
    process_kill(daemon);
    enum index_state left = look(&watch);
    watch_close(&watch);
    assert_int_not_equal(left, INDEX_BEHIND);
    return left == INDEX_UNDER_WAY;
}

/* What a segment that was not completed left behind must not count: neither the names and rows of
 * sessions that were opened in it, nor the new rows of older ones. */
static void killed_while_indexing(struct stage *stage)
{
    struct group groups[ROUNDS + 1] = {{"known", KNOWN, ADDED, 0}};
    char names[ROUNDS][16];
    size_t hits = 0;
    struct process *daemon = start(stage, NEVER);
    store_all(groups, 1, bounds_before);
    assert_int_equal(stage_stop(daemon), 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        snprintf(names[round], sizeof(names[round]), "new-%zu", round);
        groups[0].since += ADDED;
        groups[round + 1] = (struct group){names[round], NEW, 0, 1};
        daemon = start(stage, "300");
        struct group added[2] = {groups[0], groups[round + 1]};
        added[0].before += added[0].since - ADDED;
        added[0].since = ADDED;
        store_all(added, 2, bounds_since);
        hits += kill_under_way(stage, daemon);
        daemon = start(stage, NEVER);
        expect_standing(groups, round + 2);
        process_kill(daemon);
    }
    print_message("%zu of %d kills in the middle of a segment\n", hits, ROUNDS);
    assert_true(hits > 0);
    /* The next segment is written over what was left. */
    daemon = start(stage, NEVER);
    expect_windows(groups, ROUNDS + 1);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = start(stage, NEVER);
    assert_int_equal(entries_behind(stage), 0);
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(kill_far_behind),       STAGE_TEST(index_after_recovery),
        STAGE_TEST(loads_from_segments),   STAGE_TEST(loads_after_a_stop),
        STAGE_TEST(killed_while_indexing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
