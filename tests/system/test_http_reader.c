/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_reader: streams and time: heartbeats, readers of streams and pages that stall or leave,
 * tokens that end. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define S "/v1/sessions/"

enum { BIG = 100000, BIGS = 60, MIB = 1 << 20 };

static struct spn_bytes text(const char *words)
{
    return (struct spn_bytes){words, strlen(words)};
}

static void put(struct stage *stage, const char *session, const char *headers, const char *data)
{
    struct http_answer answer =
        http_do(stage, "POST", stage_format(stage, S "%s", session), headers, data);
    http_expect(&answer, 200);
}

/* 6 MB in 60 events, far more than the socket, the window and the gateway's buffers hold. */
static void put_bigs(struct stage *stage, const char *session, const char *headers)
{
    char *data = stage_keep(stage, malloc(BIG + 1));
    for (int i = 0; i < BIGS; i++) {
        memset(data, '0' + i, BIG);
        data[BIG] = '\0';
        put(stage, session, headers, data);
    }
}

static void expect_bigs(struct http *http)
{
    for (int i = 0; i < BIGS; i++) {
        struct http_event event = http_next_data(http);
        assert_int_equal(strlen(event.data), BIG);
        assert_int_equal(event.data[0], '0' + i);
        assert_int_equal(event.data[BIG - 1], '0' + i);
    }
}

/* A file of /proc about the process, as text. */
static const char *proc_text(struct stage *stage, const struct process *process, const char *name)
{
    enum { SIZE = 1024 };
    const char *path = stage_format(stage, "/proc/%d/%s", (int)process->pid, name);
    char *text = stage_keep(stage, calloc(1, SIZE));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, SIZE - 1, file) > 0);
    (void)fclose(file);
    return text;
}

/* The number-th word of a text, from 1, as a number. */
static unsigned long word_number(const char *text, unsigned number)
{
    while (--number > 0)
        text += strcspn(text, " ") + 1;
    return strtoul(text, NULL, 10);
}

/* User and system time in ticks. What stands after the program's name in brackets is numbers. */
static unsigned long cpu_ticks(struct stage *stage, const struct process *process)
{
    const char *after = strrchr(proc_text(stage, process, "stat"), ')') + 2;
    return word_number(after, 12) + word_number(after, 13);
}

static void silence_is_broken_by_comments(struct stage *stage)
{
    struct http_event event;
    stage_start(stage, NULL);
    http_start(stage, "--heartbeat=100ms");
    put(stage, "s", NULL, "1");
    struct http *http = http_stream(stage, S "s", NULL, NULL);
    struct http *absent = http_stream(stage, S "absent", NULL, NULL);
    http_expect_data(http, "1");
    for (int i = 0; i < 3; i++) {
        assert_true(http_next(http, &event));
        assert_string_equal(event.comment, "");
    }
    put(stage, "s", NULL, "2");
    http_expect_data(http, "2");
    assert_true(http_next(absent, &event) && !event.comment);
    assert_true(http_next(absent, &event) && event.comment);
}

static void a_stalled_reader_gets_everything_later(struct stage *stage)
{
    stage_start(stage, NULL);
    struct process *gateway = http_start(stage, "--heartbeat=50ms");
    put(stage, "s", NULL, "first");
    struct http *stalled = http_stream(stage, S "s", NULL, NULL);
    struct http *reads = http_stream(stage, S "s", NULL, NULL);
    http_expect_data(stalled, "first");
    http_expect_data(reads, "first");
    size_t before = process_anonymous_bytes(gateway);
    put_bigs(stage, "s", NULL);
    expect_bigs(reads);
    if (!until_sanitized())
        assert_in_range(process_anonymous_bytes(gateway), 0, before + 2 * MIB);
    expect_bigs(stalled);
    put(stage, "s", NULL, "last");
    http_expect_data(stalled, "last");
}

static void a_page_that_nobody_reads_is_kept_once(struct stage *stage)
{
    enum { PAGES = 8 };
    stage_start(stage, NULL);
    struct process *gateway = http_start_plain(stage);
    put_bigs(stage, "s", NULL);
    size_t before = process_anonymous_bytes(gateway);
    for (int i = 0; i < PAGES; i++) {
        struct http *http = http_open(stage);
        http_send_request(http, "GET", S "s", "Accept: application/json\r\n", NULL);
        assert_true(until_readable(until_in(STAGE_WAIT_MS), http->fd));
    }
    size_t each = (process_anonymous_bytes(gateway) - before) / PAGES;
    print_message("a page of %d bytes takes %zu\n", BIG * BIGS, each);
    if (!until_sanitized())
        assert_in_range(each, 0, BIG * BIGS * 3 / 2);
}

/* It comes back with the id that it saw last, and gets the rest. */
static void a_reader_that_stalls_too_long_is_cut(struct stage *stage)
{
    struct http_event event;
    stage_start(stage, NULL);
    http_start(stage, "--stall=400ms");
    put(stage, "s", "Event-Id: first\r\n", "first");
    struct http *stalled = http_stream(stage, S "s", NULL, NULL);
    http_expect_data(stalled, "first");
    put_bigs(stage, "s", NULL);
    assert_true(http_has_left(stalled, until_in(5000)));
    const char *last = "first";
    int seen = 0;
    while (http_next(stalled, &event))
        if (event.has_data) {
            last = event.id;
            seen++;
        }
    assert_true(stalled->is_cut && seen < BIGS);
    struct http *again =
        http_stream(stage, S "s", stage_format(stage, "Last-Event-ID: %s\r\n", last), NULL);
    for (; seen < BIGS; seen++)
        assert_int_equal(http_next_data(again).data[0], '0' + seen);
}

static void a_peer_that_leaves_is_noticed(struct stage *stage)
{
    enum { PEERS = 20 };
    struct http *peers[PEERS];
    struct http_event event;
    stage_start(stage, NULL);
    struct process *gateway = http_start_plain(stage);
    put(stage, "s", NULL, "1");
    for (int i = 0; i < PEERS; i++) {
        peers[i] = http_stream(stage, i % 2 ? S "s" : S "absent", NULL, NULL);
        assert_true(http_next(peers[i], &event));
    }
    unsigned with_them = http_fds(gateway);
    for (int i = 0; i < PEERS; i++)
        http_close(peers[i]);
    uint64_t due_ns = until_in(1000);
    while (http_fds(gateway) > with_them - PEERS && !until_over(due_ns))
        until_passed_us(5000);
    assert_in_range(http_fds(gateway), 1, with_them - PEERS);
}

/* -- tokens ------------------------------------------------------------------------------------ */

static const char *make_key(struct stage *stage, const char *name)
{
    struct outcome key = stage_run(stage, "token", "--new-key", name);
    stage_expect_code(&key, 0);
    return key.out;
}

static const char *make_path(struct stage *stage, const char *keys, const char *kid,
                             const char *time)
{
    struct outcome token = stage_run(stage, "token", "s", "--rights", "r,w", "--for", time,
                                     "--key-file", keys, "--kid", kid);
    stage_expect_code(&token, 0);
    return stage_format(stage, S "s?token=%.*s", (int)strcspn(token.out, "\n"), token.out);
}

static void expect_end_for(struct http *http, const char *reason)
{
    struct http_event event = http_next_data(http);
    assert_string_equal(event.type, "sponson-end");
    assert_string_equal(event.data, stage_format(http->stage, "{\"reason\":\"%s\"}", reason));
    http_expect_end(http);
}

/* Also on a reader that is stalled then: once, and after all that it has to read. Only opening the
 * two streams has to be done before the token ends. */
static void a_token_that_ends_ends_its_stream(struct stage *stage)
{
    stage_start(stage, NULL);
    const char *keys = stage_write_file(stage, "keys", text(make_key(stage, "k1")));
    struct process *gateway = http_start(stage, "--key-file", keys, "--stall=1h");
    const char *forever = make_path(stage, keys, "k1", "1h");
    struct http_answer answer = http_do(stage, "POST", forever, NULL, "first");
    http_expect(&answer, 200);
    char *data = stage_keep(stage, malloc(BIG + 1));
    memset(data, 'x', BIG);
    data[BIG] = '\0';
    for (int i = 0; i < BIGS; i++)
        http_expect((answer = http_do(stage, "POST", forever, NULL, data), &answer), 200);
    const char *path =
        make_path(stage, keys, "k1", stage_format(stage, "%dms", until_patient_ms(3000)));
    struct http *stalled = http_stream(stage, path, NULL, NULL);
    struct http *reads = http_stream(stage, stage_format(stage, "%s&from=now", path), NULL, NULL);
    http_expect_data(stalled, "first");
    expect_end_for(reads, "expired");
    unsigned long ticks = cpu_ticks(stage, gateway);
    until_passed_us(300000);
    assert_true(until_sanitized() || cpu_ticks(stage, gateway) - ticks < 10);
    struct http_event event;
    unsigned ends = 0;
    unsigned events = 0;
    while (http_next(stalled, &event)) {
        ends += strcmp(event.type, "sponson-end") == 0;
        events += event.data[0] == 'x';
    }
    assert_true(stalled->has_ended);
    assert_int_equal(ends, 1);
    assert_in_range(events, 1, BIGS);
    answer = http_do(stage, "GET", path, NULL, NULL);
    http_expect(&answer, 401);
}

static bool has_read_keys(void *stage)
{
    return strstr(stage_log(stage), "event=keys") != NULL;
}

static void a_key_that_is_removed_ends_its_streams(struct stage *stage)
{
    stage_start(stage, NULL);
    const char *k1 = make_key(stage, "k1");
    const char *k2 = make_key(stage, "k2");
    const char *keys = stage_write_file(stage, "keys", text(stage_format(stage, "%s%s", k1, k2)));
    struct process *gateway = http_start(stage, "--key-file", keys);
    const char *paths[] = {make_path(stage, keys, "k1", "1h"), make_path(stage, keys, "k2", "1h")};
    struct http_answer answer = http_do(stage, "POST", paths[0], NULL, "1");
    http_expect(&answer, 200);
    struct http *removed = http_stream(stage, paths[0], NULL, NULL);
    struct http *stays = http_stream(stage, paths[1], NULL, NULL);
    http_expect_data(removed, "1");
    http_expect_data(stays, "1");
    stage_write_file(stage, "keys", text("no keys\n"));
    process_signal(gateway, SIGHUP); /* a file that is wrong changes nothing */
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_read_keys, stage));
    answer = http_do(stage, "POST", paths[0], NULL, "2");
    http_expect(&answer, 200);
    http_expect_data(removed, "2");
    stage_write_file(stage, "keys", text(k2));
    process_signal(gateway, SIGHUP);
    expect_end_for(removed, "revoked");
    answer = http_do(stage, "POST", paths[0], NULL, "3");
    http_expect(&answer, 401);
    answer = http_do(stage, "POST", paths[1], NULL, "3");
    http_expect(&answer, 200);
    http_expect_data(stays, "2", "3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(silence_is_broken_by_comments),
        STAGE_TEST(a_stalled_reader_gets_everything_later),
        STAGE_TEST(a_page_that_nobody_reads_is_kept_once),
        STAGE_TEST(a_reader_that_stalls_too_long_is_cut),
        STAGE_TEST(a_peer_that_leaves_is_noticed),
        STAGE_TEST(a_token_that_ends_ends_its_stream),
        STAGE_TEST(a_key_that_is_removed_ends_its_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
