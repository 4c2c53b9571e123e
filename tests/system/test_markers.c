/* SPDX-License-Identifier: Apache-2.0 */
/* test_markers: an id or a retry that comes without an event is kept, can be resumed after, counts
 * as the last id, and comes out as it went in; through kills, restarts, evictions and trimming. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "stage.h"

enum {
    WINDOW = 128,
    RETRIES = 3, /* between two events, so that the window lies behind many markers */
};

static struct outcome record(struct stage *stage, const char *session, const char *stream)
{
    const char *words[] = {"record", session, NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){stream, strlen(stream)});
    stage_expect_code(&done, 0);
    return done;
}

static void expect_last(struct stage *stage, const char *session, const char *id)
{
    struct outcome done = stage_run(stage, "last", session);
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, id[0] ? stage_format(stage, "%s\n", id) : "");
    struct outcome info = stage_run(stage, "info", session, "--json");
    stage_expect_code(&info, 0);
    char *found = event_json_string(info.out, "last_event_id");
    assert_string_equal(found ? found : "", id);
    free(found);
}

static void expect_replay(struct stage *stage, const char *session, const char *after,
                          const char *stream)
{
    struct outcome done =
        after ? stage_run(stage, "replay", session, "--format", "sse", "--after", after)
              : stage_run(stage, "replay", session, "--format", "sse");
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, stream);
}

/* What the daemon knows from memory, from the log, from the index, and of a session that it had to
 * bring back, is the same. */
static void on_each_way(struct stage *stage, const struct stage_daemon *options,
                        void (*check)(struct stage *stage))
{
    struct process *daemon = stage_start(stage, options);
    check(stage);
    process_kill(daemon);
    daemon = stage_start(stage, options);
    check(stage);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, options);
    check(stage);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- an id without data ------------------------------------------------------------------------ */

static void check_id_without_data(struct stage *stage)
{
    static const char stream[] = "id: e1\ndata: 1\n\nid: c1\n\nid: e2\ndata: 2\n\nid: c2\n\n";
    struct outcome done = record(stage, "s", stream);
    assert_int_equal(event_json_number(done.out, "events"), 2);
    assert_int_equal(event_json_number(done.out, "markers"), 2);
    expect_last(stage, "s", "c2");
    expect_replay(stage, "s", NULL, stream);
    expect_replay(stage, "s", "c1", "id: e2\ndata: 2\n\nid: c2\n\n");
    expect_replay(stage, "s", "c2", "");
    expect_replay(stage, "s", "", stream); /* as in the library: from the earliest */
    struct outcome info = stage_run(stage, "info", "s", "--json");
    assert_int_equal(event_json_number(info.out, "seq"), 4);
    assert_int_equal(event_json_number(info.out, "markers"), 2);
    assert_int_equal(event_json_number(info.out, "retained"), 2);
    assert_int_equal(event_json_number(info.out, "retained_markers"), 2);
}

static void an_id_without_data_was_dropped(struct stage *stage)
{
    on_each_way(stage, NULL, check_id_without_data);
    struct outcome list = stage_run(stage, "sessions", "--json", "--data-dir", stage->data_dir);
    stage_expect_code(&list, 0);
    assert_int_equal(event_json_number(list.out, "markers"), 2);
    char *last = event_json_string(list.out, "last_event_id");
    assert_string_equal(last, "c2");
    free(last);
}

/* -- the id in force --------------------------------------------------------------------------- */

/* The largest number means no retry on the wire and on disk: it is stored as the one before it. */
static void a_retry_beyond_the_largest_was_refused(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record(stage, "s", "retry: 4294967295\n\nid: a\nretry: 99999999999\ndata: 1\n\n");
    expect_replay(stage, "s", NULL, "retry: 4294967294\n\nid: a\nretry: 4294967294\ndata: 1\n\n");
    assert_int_equal(stage_stop(daemon), 0);
}

static void a_retry_alone_leaves_the_id(struct stage *stage)
{
    static const struct {
        const char *stream;
        const char *last;
    } steps[] = {
        {"retry: 1\n\n", ""},
        {"id: a\ndata: 1\n\nretry: 2\n\n", "a"},
        {"retry: 3\n\nretry: 4\n\n", "a"},
        {"id: b\nretry: 5\n\nretry: 6\n\n", "b"},
        {"id:\n\n", ""},
        {"retry: 7\n\n", ""},
        {"id: c\n\nid\nretry: 8\n\nid: d\ndata: 2\n\nretry: 9\n\n", "d"},
    };
    static const char all[] = "retry: 1\n\nid: a\ndata: 1\n\nretry: 2\n\nretry: 3\n\nretry: 4\n\n"
                              "id: b\nretry: 5\n\nretry: 6\n\nid: \n\nretry: 7\n\nid: c\n\n"
                              "id: \nretry: 8\n\nid: d\ndata: 2\n\nretry: 9\n\n";
    struct process *daemon = stage_start(stage, NULL);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        record(stage, "s", steps[i].stream);
        expect_last(stage, "s", steps[i].last);
        if (i % 2 == 0)
            process_kill(daemon);
        else
            assert_int_equal(stage_stop(daemon), 0);
        daemon = stage_start(stage, NULL);
        expect_last(stage, "s", steps[i].last);
    }
    expect_replay(stage, "s", NULL, all);
}

static bool has_trimmed(void *argument)
{
    return event_stat(argument, "sponson_entries_trimmed_total") > 0;
}

/* The entry with the id is gone when only the newest markers are retained: the row has it. */
static void the_last_id_outlives_its_event(struct stage *stage)
{
    static const struct stage_daemon few = {
        .more = {"--retention-events", "2", "--row-interval", "50"}};
    struct process *daemon = stage_start(stage, &few);
    record(stage, "s", "id: far\ndata: 1\n\n");
    for (int i = 0; i < 5; i++) {
        record(stage, "s", "retry: 1\n\nretry: 2\n\nretry: 3\n\n");
        expect_last(stage, "s", "far");
        if (i > 0)
            assert_true(until_true(until_in(STAGE_WAIT_MS), has_trimmed, stage));
        assert_int_equal(stage_stop(daemon), 0);
        daemon = stage_start(stage, &few);
        expect_last(stage, "s", "far");
    }
    struct outcome info = stage_run(stage, "info", "s", "--json");
    assert_int_equal(event_json_number(info.out, "retained"), 0);
    assert_int_equal(event_json_number(info.out, "retained_markers"), 2);
}

/* -- duplicates -------------------------------------------------------------------------------- */

static const char *make_stream(struct stage *stage, size_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    for (size_t i = 0; i < count; i++) {
        fprintf(file, "id: e%zu\ndata: %zu\n\n", i, i);
        for (int k = 0; k < RETRIES; k++)
            fprintf(file, "retry: %zu\n\n", i);
    }
    assert_int_equal(fclose(file), 0);
    return stage_keep(stage, text);
}

/* Markers without an id take no place in the window: not while it lives, and not when it is brought
 * back from the log or from the index. */
static void retries_push_nothing_out_of_the_window(struct stage *stage)
{
    const char *stream = make_stream(stage, WINDOW);
    struct process *daemon = stage_start(stage, NULL);
    struct outcome done = record(stage, "s", stream);
    assert_int_equal(event_json_number(done.out, "stored"), WINDOW);
    for (int i = 0; i < 3; i++) {
        done = record(stage, "s", stream);
        assert_int_equal(event_json_number(done.out, "duplicates"), WINDOW);
        if (i == 0)
            process_kill(daemon);
        else
            assert_int_equal(stage_stop(daemon), 0);
        daemon = stage_start(stage, NULL);
    }
}

/* A server that primes with an id and then sends the event with it. */
static void a_primed_id_swallowed_its_event(struct stage *stage)
{
    static const char *const streams[] = {
        "id: 0\n\n",                       /* 1 marker */
        "id: 0\n\nid: 0\ndata: first\n\n", /* found, stored */
        "id: 0\n\nid: 0\ndata: first\n\n", /* found, found */
    };
    static const uint64_t stored[] = {0, 1, 0};
    struct process *daemon = stage_start(stage, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct outcome done = record(stage, "s", streams[i]);
        assert_int_equal(event_json_number(done.out, "stored"), stored[i]);
        assert_int_equal(event_json_number(done.out, "markers"), 1);
        assert_int_equal(stage_stop(daemon), 0);
        daemon = stage_start(stage, NULL);
    }
    expect_replay(stage, "s", "0", "");
    expect_replay(stage, "s", NULL, "id: 0\n\nid: 0\ndata: first\n\n");
}

/* -- ids that come again ----------------------------------------------------------------------- */

static struct outcome record_ids(struct stage *stage, const char *ids, const char *stream)
{
    const char *words[] = {"record", "s", "--ids", ids, NULL};
    return stage_run_words(stage, words, (struct spn_bytes){stream, strlen(stream)});
}

static void ids_that_restart_are_told_once(struct stage *stage)
{
    static const char stream[] = "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 1\ndata: c\n\n"
                                 "id: 2\ndata: d\n\nid: 1\ndata: e\n\n";
    stage_start(stage, NULL);
    struct outcome done = record_ids(stage, "keep", stream);
    stage_expect_code(&done, 1);
    assert_int_equal(event_json_number(done.out, "conflicts"), 3);
    const char *told = strstr(done.err, "the ids of the input restart at event 3: '1'");
    assert_non_null(told);
    assert_null(strstr(told + 1, "the ids of the input restart"));
    done = record_ids(stage, "keep", "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 1\ndata: a\n\n");
    stage_expect_code(&done, 0); /* sent again, not numbered anew */
    assert_string_equal(done.err, "");
}

static void new_and_prefixed_ids_lose_nothing(struct stage *stage)
{
    static const char stream[] = "id: 1\ndata: a\n\nid: 1\n\nid:\nretry: 5\n\nid: 1\ndata: b\n\n";
    stage_start(stage, NULL);
    struct outcome done = record_ids(stage, "new", stream);
    stage_expect_code(&done, 0);
    assert_int_equal(event_json_number(done.out, "stored"), 2);
    assert_int_equal(event_json_number(done.out, "markers"), 1); /* the retry */
    done = record_ids(stage, "prefix=turn2-", "id: 1\ndata: a\n\nid: 2\n\n");
    stage_expect_code(&done, 0);
    expect_last(stage, "s", "turn2-2");
    expect_replay(stage, "s", "turn2-1", "id: turn2-2\n\n");
    static const char *const bad[] = {"", "old", "prefix=", "prefix", "prefix=a\nb"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        done = record_ids(stage, bad[i], stream);
        stage_expect_code(&done, 2);
    }
}

static void message_is_no_type_of_its_own(struct stage *stage)
{
    stage_start(stage, NULL);
    record(stage, "s", "id: 1\ndata: a\n\n");
    struct outcome done = record(stage, "s", "id: 1\nevent: message\nretry: 9\ndata: a\n\n");
    assert_int_equal(event_json_number(done.out, "duplicates"), 1);
    done = record_ids(stage, "keep", "id: 1\nevent: other\ndata: a\n\n");
    stage_expect_code(&done, 1);
    assert_non_null(strstr(done.err, "and data, type, closing or reason differ"));
}

/* -- what is no event stream ------------------------------------------------------------------- */

static void what_is_no_event_stream_is_an_error(struct stage *stage)
{
    static const struct {
        const char *input;
        int code;
    } rows[] = {
        {"<!DOCTYPE html>\n\n<title>502</title>\n", 1},
        {"{\"error\":{\"code\":429}}", 1},
        {"Not Found", 1},
        {"oops", 1},
        {"\xEF\xBB\xBF<html>", 1},
        {"", 0},
        {"\n\n", 0},
        {":\n", 0},
        {"data", 0},
        {"unheard: of\nretry: x\n", 0},
        {"<html>\ndata: all the same\n\n", 0},
    };
    stage_start(stage, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome done = record_ids(stage, "keep", rows[i].input);
        stage_expect_code(&done, rows[i].code);
        assert_int_equal(strstr(done.err, "not an event stream") != NULL, rows[i].code == 1);
    }
}

/* seq numbers both; `info` and `sessions` say how many events there are. */
static void a_list_took_markers_for_events(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record(stage, "s", "id: p\n\ndata: 1\n\nretry: 5\n\nid: c\n\n");
    struct outcome list = stage_run(stage, "sessions");
    stage_expect_code(&list, 0);
    const char *row = strchr(list.out, '\n');
    assert_non_null(row);
    assert_int_equal(strtoul(row, NULL, 10), 1);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Who splits lines of JSON as Unicode does found two where there was one. */
static void an_id_broke_a_line_of_json(struct stage *stage)
{
    static const char *const verbs[] = {"info", "last"};
    static const char escaped[] = "\"last_event_id\":\"a\\u2028b\\u2029c\\u0085d\"";
    struct process *daemon = stage_start(stage, NULL);
    struct outcome done = record(stage, "s\xE2\x80\xA8",
                                 "id: a\xE2\x80\xA8"
                                 "b\xE2\x80\xA9"
                                 "c\xC2\x85"
                                 "d\ndata: 1\n\n");
    assert_non_null(strstr(done.out, escaped));
    assert_non_null(strstr(done.out, "{\"session\":\"s\\u2028\","));
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        done = stage_run(stage, verbs[i], "s\xE2\x80\xA8", "--json");
        stage_expect_code(&done, 0);
        assert_non_null(strstr(done.out, escaped));
    }
    done = stage_run(stage, "sessions", "--json");
    assert_non_null(strstr(done.out, escaped));
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(an_id_without_data_was_dropped),
        STAGE_TEST(a_retry_beyond_the_largest_was_refused),
        STAGE_TEST(a_retry_alone_leaves_the_id),
        STAGE_TEST(the_last_id_outlives_its_event),
        STAGE_TEST(retries_push_nothing_out_of_the_window),
        STAGE_TEST(a_primed_id_swallowed_its_event),
        STAGE_TEST(ids_that_restart_are_told_once),
        STAGE_TEST(new_and_prefixed_ids_lose_nothing),
        STAGE_TEST(message_is_no_type_of_its_own),
        STAGE_TEST(what_is_no_event_stream_is_an_error),
        STAGE_TEST(a_list_took_markers_for_events),
        STAGE_TEST(an_id_broke_a_line_of_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
