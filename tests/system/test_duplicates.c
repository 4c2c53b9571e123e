/* SPDX-License-Identifier: Apache-2.0 */
/* test_duplicates: what is sent twice is stored once, and what comes back changed is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "stage.h"

enum {
    EVENTS = 100, /* fewer than the window */
    CHANGED = 57,
    WINDOW = 128,
    MANY = 400,
};

/* A stream whose events have ids; the data of number `changed` is another one's. */
static struct spn_bytes make_stream(struct stage *stage, size_t count, size_t changed)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    for (size_t i = 1; i <= count; i++)
        fprintf(file, "id: order-%zu\nevent: %s\ndata: {\"item\":%zu%s}\n\n", i,
                i % 3 == 0 ? "late" : "new", i, i == changed ? ",\"changed\":true" : "");
    assert_int_equal(fclose(file), 0);
    stage_keep(stage, text);
    return (struct spn_bytes){text, size};
}

struct counts {
    uint64_t stored;
    uint64_t duplicates;
    uint64_t conflicts;
};

static struct outcome record(struct stage *stage, const char *session, struct spn_bytes stream,
                             struct counts wanted)
{
    const char *words[] = {"record", session, NULL};
    struct outcome done = stage_run_words(stage, words, stream);
    stage_expect_code(&done, wanted.conflicts > 0 ? 1 : 0);
    assert_int_equal(event_json_number(done.out, "events"),
                     wanted.stored + wanted.duplicates + wanted.conflicts);
    assert_int_equal(event_json_number(done.out, "stored"), wanted.stored);
    assert_int_equal(event_json_number(done.out, "duplicates"), wanted.duplicates);
    assert_int_equal(event_json_number(done.out, "conflicts"), wanted.conflicts);
    return done;
}

static struct outcome dump(struct stage *stage)
{
    struct outcome done = stage_run(stage, "dump", "--all");
    stage_expect_code(&done, 0);
    return done;
}

static void second_run_stores_nothing(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct spn_bytes stream = make_stream(stage, EVENTS, 0);
    record(stage, "orders", stream, (struct counts){.stored = EVENTS});
    struct outcome before = dump(stage);
    record(stage, "orders", stream, (struct counts){.duplicates = EVENTS});
    struct outcome after = dump(stage);
    assert_string_equal(after.out, before.out);

    struct outcome sessions = stage_run(stage, "sessions", "--json");
    assert_int_equal(event_json_number(sessions.out, "seq"), EVENTS);
    assert_int_equal(event_json_number(sessions.out, "duplicates"), EVENTS);
    /* The same after a kill, from the log, and after a stop, from the index. */
    process_kill(daemon);
    daemon = stage_start(stage, NULL);
    record(stage, "orders", stream, (struct counts){.duplicates = EVENTS});
    assert_int_equal(stage_stop(daemon), 0);
    stage_start(stage, NULL);
    record(stage, "orders", stream, (struct counts){.duplicates = EVENTS});
    after = dump(stage);
    assert_string_equal(after.out, before.out);
}

static void changed_data_is_a_conflict(struct stage *stage)
{
    stage_start(stage, NULL);
    struct spn_bytes stream = make_stream(stage, EVENTS, 0);
    record(stage, "orders", stream, (struct counts){.stored = EVENTS});
    struct outcome before = dump(stage);
    struct outcome done = record(stage, "orders", make_stream(stage, EVENTS, CHANGED),
                                 (struct counts){.duplicates = EVENTS - 1, .conflicts = 1});
    if (!strstr(done.err, stage_format(stage, "order-%d", CHANGED)))
        fail_msg("the conflict is not told of by its id: %s", done.err);
    struct outcome after = dump(stage);
    assert_string_equal(after.out, before.out);
    assert_int_equal(event_stat(stage, "sponson_events_conflict_total"), 1);
}

static void sessions_do_not_share_ids(struct stage *stage)
{
    stage_start(stage, NULL);
    struct spn_bytes stream = make_stream(stage, EVENTS, 0);
    record(stage, "orders", stream, (struct counts){.stored = EVENTS});
    record(stage, "orders/2", stream, (struct counts){.stored = EVENTS});
}

/* The window is bounded: what lies further back than it is stored again, and the rest is not. Each
 * event that is stored again pushes another one out before its turn comes. */
static void window_is_bounded(struct stage *stage)
{
    stage_start(stage, NULL);
    record(stage, "orders", make_stream(stage, MANY, 0), (struct counts){.stored = MANY});
    record(stage, "orders", make_stream(stage, MANY, 0), (struct counts){.stored = MANY});
    record(stage, "small", make_stream(stage, WINDOW, 0), (struct counts){.stored = WINDOW});
    record(stage, "small", make_stream(stage, WINDOW, 0), (struct counts){.duplicates = WINDOW});
}

/* Ids that the library gives are new with every producer: nothing vanishes. */
static void without_ids_nothing_is_a_duplicate(struct stage *stage)
{
    static const char stream[] = "data: ping\n\ndata: ping\n\ndata: ping\n\n";
    struct spn_bytes bytes = {stream, sizeof(stream) - 1};
    stage_start(stage, NULL);
    record(stage, "pings", bytes, (struct counts){.stored = 3});
    record(stage, "pings", bytes, (struct counts){.stored = 3});
}

/* The two have the same upper 16 bits of an XXH3 without a key. */
static void one_conflict_in_65536_was_a_duplicate(struct stage *stage)
{
    static const char stream[] = "id: c-36881\ndata: {\"n\":36881}\n\n"
                                 "id: c-36881\ndata: {\"n\":1002228329181406191}\n\n";
    struct spn_bytes bytes = {stream, sizeof(stream) - 1};
    struct process *daemon = stage_start(stage, NULL);
    record(stage, "x", bytes, (struct counts){.stored = 1, .conflicts = 1});
    /* The same when the window comes back from the log, and from the index. */
    process_kill(daemon);
    daemon = stage_start(stage, NULL);
    record(stage, "x", bytes, (struct counts){.duplicates = 1, .conflicts = 1});
    assert_int_equal(stage_stop(daemon), 0);
    stage_start(stage, NULL);
    record(stage, "x", bytes, (struct counts){.duplicates = 1, .conflicts = 1});
}

/* Every id twice, with other data. */
static struct spn_bytes make_conflicts(struct stage *stage, size_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "id: a%zu\ndata: x\n\nid: a%zu\ndata: y\n\n", i, i);
    assert_int_equal(fclose(file), 0);
    stage_keep(stage, text);
    return (struct spn_bytes){text, size};
}

static void conflicts_above_4096_runs_were_stored(struct stage *stage)
{
    size_t count = until_scaled(30000);
    stage_start(stage, NULL);
    record(stage, "s", make_conflicts(stage, count),
           (struct counts){.stored = count, .conflicts = count});
    struct outcome info = stage_run(stage, "info", "s", "--json");
    assert_int_equal(event_json_number(info.out, "seq"), count);
    assert_int_equal(event_json_number(info.out, "conflicts"), count);
}

struct stored_look {
    struct stage *stage;
    uint64_t seq;
};

static bool has_stored(void *argument)
{
    struct stored_look *look = argument;
    struct outcome info = stage_run(look->stage, "info", "s", "--json");
    return info.code == 0 && event_json_number(info.out, "seq") >= look->seq;
}

/* Killed while the runs are full or about to be: how each number ended is on disk with it. */
static void conflicts_above_4096_runs_through_a_kill(struct stage *stage)
{
    size_t count = until_scaled(30000);
    struct spn_bytes stream = make_conflicts(stage, count);
    struct process *daemon = stage_start(stage, NULL);
    const char *path = stage_write_file(stage, "conflicts.sse", stream);
    struct process *recorder = stage_begin_run(stage, "record", "s", path);
    for (uint64_t kills = 1; kills <= 3; kills++) {
        struct stored_look look = {stage, kills * count / 4};
        assert_true(until_true(until_in(STAGE_WAIT_MS), has_stored, &look));
        process_kill(daemon);
        daemon = stage_start(stage, NULL);
    }
    struct outcome done = stage_end(stage, recorder, until_in(STAGE_WAIT_MS));
    assert_int_equal(event_json_number(done.out, "stored"), count);
    assert_int_equal(event_json_number(done.out, "conflicts"), count);
    struct outcome info = stage_run(stage, "info", "s", "--json");
    assert_int_equal(event_json_number(info.out, "seq"), count);
}

/* An id is recognised for certain while fewer than a window of entries with an id followed it: by a
 * tracker that lived through them, by one that a kill took, and by one that comes from the index.
 */
static void ids_are_recognised_while_fewer_than_a_window_followed(struct stage *stage)
{
    static const struct stage_daemon indexes = {.more = {"--row-interval", "20"}};
    struct process *daemon = stage_start(stage, &indexes);
    struct spn_bytes all = make_stream(stage, MANY, 0);
    struct spn_bytes before = make_stream(stage, MANY - WINDOW, 0);
    struct spn_bytes last = {(const char *)all.data + before.size, all.size - before.size};
    record(stage, "orders", all, (struct counts){.stored = MANY});
    record(stage, "orders", last, (struct counts){.duplicates = WINDOW});
    process_kill(daemon);
    daemon = stage_start(stage, &indexes);
    record(stage, "orders", last, (struct counts){.duplicates = WINDOW});
    assert_int_equal(stage_stop(daemon), 0);
    stage_start(stage, &indexes);
    record(stage, "orders", last, (struct counts){.duplicates = WINDOW});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(second_run_stores_nothing),
        STAGE_TEST(changed_data_is_a_conflict),
        STAGE_TEST(sessions_do_not_share_ids),
        STAGE_TEST(window_is_bounded),
        STAGE_TEST(without_ids_nothing_is_a_duplicate),
        STAGE_TEST(one_conflict_in_65536_was_a_duplicate),
        STAGE_TEST(conflicts_above_4096_runs_were_stored),
        STAGE_TEST(conflicts_above_4096_runs_through_a_kill),
        STAGE_TEST(ids_are_recognised_while_fewer_than_a_window_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
