/* SPDX-License-Identifier: Apache-2.0 */
/* test_follow: the log, followed: what `sponson dump` has is what a follower gets, in the same
 * order, once, whatever happens to the sidecar meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event_list.h"
#include "feeder.h"
#include "raw.h"
#include "stage.h"

enum {
    OPEN_MS = 10000,
    ITEM_MS = 30000,
    CLOSE_MS = 60000,
    SESSIONS = 8,
    KILLS = 5,
    LIFE_EVENTS = 20000, /* that the follower gets between two kills */
    AHEAD_MAX = 100000,  /* of it, the producer is: so that the dump does not take minutes */
};

static spn_client *open_client(void)
{
    char detail[256] = "";
    spn_client *client = NULL;
    spn_err err = spn_client_open(&client, NULL, OPEN_MS, detail, sizeof(detail));
    if (err != SPN_OK)
        fail_msg("client: %s: %s", spn_err_name(err), detail);
    return client;
}

static spn_subscription *follow(spn_client *client, const struct spn_follow_options *options)
{
    spn_subscription *log = NULL;
    assert_int_equal(spn_follow(&log, client, options), SPN_OK);
    return log;
}

/* -- through kills, at full rate --------------------------------------------------------------- */

/* What the follower got at a position. */
struct got {
    uint64_t position;
    uint64_t seq;
    uint64_t number; /* that its data says */
    char session;
};

struct flood {
    pthread_t thread;
    atomic_bool stop;
    spn_client *client;
    uint64_t published;
    atomic_uint_fast64_t followed;
};

/* The follower is near enough, or nobody wants more. If not, what a killed daemon did not keep is
 * to be sent again, which takes a step. */
static bool may_publish(void *argument)
{
    struct flood *flood = argument;
    if (atomic_load(&flood->stop) ||
        flood->published < atomic_load(&flood->followed) + until_scaled(AHEAD_MAX))
        return true;
    assert_int_equal(spn_client_step(flood->client), SPN_OK);
    return false;
}

static void *publish(void *argument)
{
    struct flood *flood = argument;
    spn_producer *producer;
    spn_client *client = flood->client = open_client();
    struct spn_producer_options options = spn_producer_defaults();
    options.send_timeout_ms = -1;
    assert_int_equal(spn_producer_open(&producer, client, &options, OPEN_MS), SPN_OK);
    while (!atomic_load(&flood->stop)) {
        if (!until_true(until_in(ITEM_MS), may_publish, flood))
            fail_msg("nothing is followed any more");
        char session[] = "flood-0";
        char data[32];
        struct spn_event event = SPN_EVENT_INIT;
        session[6] = (char)('0' + flood->published % SESSIONS);
        snprintf(data, sizeof(data), "%llu", (unsigned long long)flood->published++);
        event.data = spn_text(data);
        assert_int_equal(spn_publish(producer, spn_text(session), &event, NULL), SPN_OK);
    }
    assert_int_equal(spn_producer_close(producer, CLOSE_MS, NULL), SPN_OK);
    spn_client_close(client);
    return NULL;
}

struct journey {
    struct stage *stage;
    struct flood *flood;
    struct process *daemon;
    spn_subscription *log;
    struct got *all;
    size_t count;
    size_t room;
    uint64_t cursor;
    uint64_t opens;
};

static void note(struct journey *journey, const struct spn_item *item)
{
    char digits[32] = "";
    if (journey->count == journey->room) {
        journey->room = journey->room > 0 ? 2 * journey->room : 1024;
        journey->all = realloc(journey->all, journey->room * sizeof(*journey->all));
        assert_non_null(journey->all);
    }
    assert_in_range(item->event->data.size, 1, sizeof(digits) - 1);
    memcpy(digits, item->event->data.data, item->event->data.size);
    journey->all[journey->count++] = (struct got){.position = item->event->position,
                                                  .seq = item->event->seq,
                                                  .number = strtoull(digits, NULL, 10),
                                                  .session = ((const char *)item->session.data)[6]};
    atomic_store(&journey->flood->followed, journey->count);
}

static void take(struct journey *journey, const struct spn_item *item)
{
    assert_true(item->seq >= journey->cursor);
    assert_int_equal(item->missing, 0);
    journey->cursor = item->seq;
    if (item->kind == SPN_ITEM_EVENT)
        note(journey, item);
    else if (item->kind == SPN_ITEM_OPEN)
        journey->opens++;
    else if (item->kind != SPN_ITEM_VERDICT && item->kind != SPN_ITEM_CAUGHT_UP)
        fail_msg("an item of kind %d: %s", (int)item->kind, spn_err_name(item->why));
}

/* Follows until it has so many events, and is at this position. */
static void go(struct journey *journey, size_t count, uint64_t position)
{
    const struct spn_item *item;
    uint64_t due_ns = until_in(ITEM_MS);
    while (journey->count < count || journey->cursor < position) {
        spn_err err = spn_subscription_next(journey->log, 20, &item);
        if (err == SPN_OK)
            take(journey, item);
        else
            assert_int_equal(err, SPN_E_TIMEOUT);
        if (until_over(due_ns))
            fail_msg("%zu events, at %llu; wanted are %zu, and %llu is durable", journey->count,
                     (unsigned long long)journey->cursor, count, (unsigned long long)position);
    }
}

static uint64_t durable_position(spn_client *client)
{
    const struct spn_health *health;
    assert_int_equal(spn_get_health(client, OPEN_MS, &health), SPN_OK);
    return health->durable;
}

/* Line by line, since there are many. */
static void compare_with_dump(const struct journey *journey)
{
    const char *words[] = {stage_sponson(), "dump", NULL};
    struct event_item item = {.retry_ms = -1};
    char *line = NULL;
    size_t room = 0;
    size_t at = 0;
    ssize_t size;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct process_options options = {.argv = words, .output_fd = ends[1]};
    struct process *dump = stage_process(journey->stage, &options);
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    assert_non_null(lines);
    while ((size = getline(&line, &room, lines)) > 0) {
        if (!event_item_from_json(&item, line, (size_t)size))
            continue;
        assert_true(at < journey->count);
        const struct got *got = &journey->all[at++];
        if (got->position != item.position || got->seq != item.seq ||
            got->session != ((const char *)item.session.data)[6])
            fail_msg("position %llu was delivered in the place of %llu",
                     (unsigned long long)got->position, (unsigned long long)item.position);
    }
    assert_int_equal(at, journey->count);
    assert_int_equal(process_wait(dump, until_in(CLOSE_MS)), 0);
    event_item_release(&item);
    free(line);
    fclose(lines);
}

static struct process *start(struct stage *stage)
{
    struct stage_daemon options = {.more = {"--row-interval", "20", STAGE_KEEP_ALL}};
    return stage_start(stage, &options);
}

static void everything_through_kills(struct stage *stage)
{
    struct flood flood = {.published = 0};
    struct journey journey = {.stage = stage, .flood = &flood, .daemon = start(stage)};
    spn_client *client = open_client();
    size_t life = until_scaled(LIFE_EVENTS);
    journey.log = follow(client, NULL);
    assert_int_equal(pthread_create(&flood.thread, NULL, publish, &flood), 0);
    for (int kill = 0; kill < KILLS; kill++) {
        go(&journey, journey.count + life, 0);
        process_kill(journey.daemon);
        journey.daemon = start(stage);
    }
    go(&journey, journey.count + life, 0);
    atomic_store(&flood.stop, true);
    pthread_join(flood.thread, NULL);
    go(&journey, 0, durable_position(client));
    assert_int_equal(journey.count, flood.published);
    assert_int_equal(journey.opens, SESSIONS);
    compare_with_dump(&journey);
    print_message("%zu events through %d kills, each once\n", journey.count, KILLS);
    spn_client_close(client);
    free(journey.all);
}

/* -- retention, deletion ----------------------------------------------------------------------- */

static void put_some(struct feeder *feeder, const char *session, int from, int to)
{
    char id[32];
    for (int i = from; i <= to; i++) {
        snprintf(id, sizeof(id), "%d", i);
        feeder_put(feeder, session, id, id);
    }
}

/* Takes every `,"key":value` out, in place. The value has no comma. */
static void drop_key(const char *lines, const char *key)
{
    char *to = (char *)(uintptr_t)lines;
    for (const char *at = lines; *at != '\0';) {
        if (strncmp(at, key, strlen(key)) == 0)
            at += strlen(key) + strcspn(at + strlen(key), ",}");
        else
            *to++ = *at++;
    }
    *to = '\0';
}

/* The same lines, but that each has a key of its own. */
struct same_lines {
    struct stage *stage;
    struct outcome tail;
    struct outcome dump;
};

static bool are_same(void *argument)
{
    struct same_lines *same = argument;
    same->tail =
        stage_run(same->stage, "tail", "--all", "--touches", "--earliest", "--exit-when-caught-up");
    same->dump = stage_run(same->stage, "dump");
    stage_expect_code(&same->tail, 0);
    stage_expect_code(&same->dump, 0);
    drop_key(same->tail.out, ",\"cursor\":");
    drop_key(same->dump.out, ",\"epoch\":");
    return strcmp(same->tail.out, same->dump.out) == 0;
}

/* What `tail` gives and what `dump` prints are the same lines, once no trimming comes between the
 * two. Returns them. */
static const char *compare_with_dump_now(struct stage *stage)
{
    struct same_lines same = {.stage = stage};
    if (!until_true(until_in(ITEM_MS), are_same, &same))
        assert_string_equal(same.dump.out, same.tail.out);
    return same.dump.out;
}

static void as_the_dump(struct stage *stage, const char *row_interval)
{
    struct feeder feeder;
    struct stage_daemon options = {
        .more = {"--row-interval", row_interval, "--retention-events", "10"}};
    struct process *daemon = stage_start(stage, &options);
    feeder_open(&feeder);
    put_some(&feeder, "long", 1, 300);
    put_some(&feeder, "short", 1, 5);
    put_some(&feeder, "gone", 1, 7);
    put_some(&feeder, "again", 1, 7);
    feeder_settle(&feeder);
    compare_with_dump_now(stage);
    struct outcome outcome = stage_run(stage, "delete", "gone", "--yes");
    stage_expect_code(&outcome, 0);
    outcome = stage_run(stage, "delete", "again", "--yes");
    stage_expect_code(&outcome, 0);
    put_some(&feeder, "again", 8, 9);
    put_some(&feeder, "long", 301, 320);
    feeder_settle(&feeder);
    compare_with_dump_now(stage);
    process_kill(daemon);
    stage_start(stage, &options);
    compare_with_dump_now(stage);
    feeder_close(&feeder);
}

static void as_the_dump_from_rows(struct stage *stage)
{
    as_the_dump(stage, "1");
}

static void as_the_dump_from_the_log(struct stage *stage)
{
    as_the_dump(stage, "60000");
    struct outcome tail = stage_run(stage, "tail", "--all", "--earliest", "--exit-when-caught-up");
    assert_non_null(strstr(tail.out, "\"session\":\"gone\",\"life\":\""));
    assert_non_null(strstr(tail.out, "\"kind\":\"delete\"")); /* not trimmed yet */
}

/* -- every kind -------------------------------------------------------------------------------- */

static void run(struct stage *stage, const char *const *words, const char *input)
{
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){input, strlen(input)});
    stage_expect_code(&done, 0);
}

#define RUN(stage, ...) run(stage, (const char *const[]){__VA_ARGS__, NULL}, "")

/* A touch is stored only when the newest activity is some time ago. */
static bool a_touch_is_stored(void *stage)
{
    RUN(stage, "touch", "s");
    return strstr(stage_run((struct stage *)stage, "dump").out, "\"kind\":\"touch\"") != NULL;
}

static bool one_is_expired(void *stage)
{
    return strstr(stage_run((struct stage *)stage, "dump").out, "\"kind\":\"expire\"") != NULL;
}

/* What a dump says of a change, whatever time it was. */
static const struct kind_row {
    const char *session;
    const char *kind;
    const char *rest;
} kinds[] = {
    {"s", "open", ""},
    {"s", "attributes",
     ",\"ttl_ms\":3600000,\"idle_close_ms\":1000,\"content_type\":\"text/x\",\"note\":\"mine\""},
    {"s", "touch", ""},
    {"s", "close", ",\"reason\":\"done\""},
    {"m", "marker", ",\"marker\":true"},
    {"m", "reset", ",\"marker\":true"},
    {"c", "event", ",\"note\":\"own\",\"closes\":true,\"reason\":\"error\""},
    {"gone", "delete", ""},
    {"brief", "expire", ""},
};

/* Its session and its life are known, also of what is gone. */
static void expect_kind(const char *lines, const struct kind_row *row)
{
    char head[64];
    char kind[64];
    char end[256];
    snprintf(head, sizeof(head), ",\"session\":\"%s\",\"life\":\"", row->session);
    snprintf(kind, sizeof(kind), "\"kind\":\"%s\",", row->kind);
    snprintf(end, sizeof(end), "Z\"%s}", row->rest);
    for (const char *line = lines; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *found = strstr(line, kind);
        const char *stop = strchr(line, '\n');
        if (!found || found > stop)
            continue;
        const char *whose = strstr(line, head);
        const char *last = strstr(found, end);
        if (whose && whose < stop && last && last + strlen(end) == stop)
            return;
    }
    fail_msg("no %s of %s with %s in\n%s", row->kind, row->session, row->rest, lines);
}

static void every_kind_is_dumped(struct stage *stage)
{
    struct stage_daemon options = {.more = {"--row-interval", "3600000"}}; /* nothing is trimmed */
    struct process *daemon = stage_start(stage, &options);
    RUN(stage, "open", "s", "--idle-close", "1", "--ttl", "3600", "--content-type", "text/x",
        "--note", "mine");
    assert_true(until_true(until_in(STAGE_WAIT_MS), a_touch_is_stored, stage));
    RUN(stage, "close", "s", "--reason", "done");
    run(stage, (const char *const[]){"record", "m", NULL}, "id: 1\n\nid\n\n");
    RUN(stage, "publish", "c", "x", "--note", "own", "--close", "--reason", "error");
    RUN(stage, "publish", "gone", "x");
    RUN(stage, "delete", "gone", "--yes");
    RUN(stage, "open", "brief", "--ttl", "1");
    assert_true(until_true(until_in(STAGE_WAIT_MS), one_is_expired, stage));
    const char *lines = compare_with_dump_now(stage);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        expect_kind(lines, &kinds[i]);
    process_kill(daemon);
    struct outcome offline = stage_run(stage, "dump");
    drop_key(offline.out, ",\"epoch\":");
    assert_string_equal(offline.out, lines);
}

/* -- the command line -------------------------------------------------------------------------- */

static size_t lines_of(struct outcome outcome)
{
    size_t lines = 0;
    for (const char *at = outcome.out; *at; at++)
        lines += *at == '\n';
    return lines;
}

/* The cursor of the last line. */
static char *last_cursor(struct outcome outcome)
{
    const char *last = outcome.out;
    for (const char *at = outcome.out; *at; at++)
        if (*at == '\n' && at[1] != '\0')
            last = at + 1;
    char *line = strndup(last, strcspn(last, "\n"));
    assert_non_null(line);
    char *cursor = event_json_string(line, "cursor");
    free(line);
    return cursor;
}

static void a_cursor_goes_on(struct stage *stage)
{
    struct feeder feeder;
    struct process *daemon = stage_start(stage, NULL);
    feeder_open(&feeder);
    put_some(&feeder, "chat-1", 1, 3);
    put_some(&feeder, "other", 1, 3);
    put_some(&feeder, "chat-2", 1, 3);
    feeder_settle(&feeder);
    struct outcome first = stage_run(stage, "tail", "--all", "--earliest", "--count", "5");
    stage_expect_code(&first, 0);
    assert_int_equal(lines_of(first), 7); /* with two that open */
    char *cursor = last_cursor(first);
    process_kill(daemon);
    stage_start(stage, NULL);
    struct outcome rest =
        stage_run(stage, "tail", "--all", "--after", cursor, "--exit-when-caught-up");
    stage_expect_code(&rest, 0);
    assert_int_equal(lines_of(rest), 5);
    rest =
        stage_run(stage, "tail", "--prefix", "chat-", "--after", cursor, "--exit-when-caught-up");
    assert_int_equal(lines_of(rest), 4);
    rest = stage_run(stage, "tail", "--prefix", "chat-", "--earliest", "--exit-when-caught-up",
                     "--format", "sse");
    assert_string_equal(rest.out, ": session chat-1\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\n"
                                  "data: 3\n\n: session chat-2\nid: 1\ndata: 1\n\nid: 2\n"
                                  "data: 2\n\nid: 3\ndata: 3\n\n");
    cursor[0] = cursor[0] == '0' ? '1' : '0';
    rest = stage_run(stage, "tail", "--all", "--after", cursor);
    stage_expect_code(&rest, 1);
    assert_non_null(strstr(rest.err, spn_err_text(SPN_E_BAD_POSITION)));
    free(cursor);
    feeder_close(&feeder);
}

static void bad_words(struct stage *stage)
{
    static const char *const rows[][6] = {
        {"tail", "--all", "chat"},
        {"tail", "--all", "--prefix", "a"},
        {"tail", "--all", "--after", "12"},
        {"tail", "--all", "--after", "00000000000000000000000000000001:x"},
        {"tail", "--prefix", "a\xC3"},
        {"tail", "--touches", "chat"},
        {"tail"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome outcome = stage_run_words(stage, rows[i], (struct spn_bytes){NULL, 0});
        stage_expect_code(&outcome, 2);
    }
}

/* -- hostile ----------------------------------------------------------------------------------- */

struct ask {
    uint8_t start;
    uint8_t flags;
    const void *database;
    uint64_t position;
    const char *prefix;
};

static void put_follow(struct raw_out *out, struct raw *raw, uint64_t subscription,
                       const struct ask *ask)
{
    raw_put_header(out, RAW_FOLLOW, ++raw->request);
    raw_put_number(out, subscription, 8);
    raw_put_number(out, 1, 4);
    raw_put_number(out, ask->start, 1);
    raw_put_number(out, ask->flags, 1);
    raw_put_zeros(out, 2);
    raw_put(out, ask->database, 16);
    raw_put_number(out, ask->position, 8);
    raw_put_number(out, 100000, 8);
    raw_put_number(out, UINT64_MAX, 8); /* features that nobody knows */
    raw_put_short(out, ask->prefix);
}

struct delivery {
    uint8_t kind;
    uint8_t verdict;
    uint16_t code;
    uint32_t count;
    uint64_t seq;
    struct raw_in in; /* what follows the head */
};

static struct delivery expect_delivery(struct raw *raw, uint64_t subscription)
{
    struct raw_in in = raw_expect(raw->read, RAW_DELIVER);
    struct delivery delivery;
    assert_true(raw_get_number(&in, 4) >= 1);
    raw_get_zeros(&in, 4);
    assert_int_equal(raw_get_number(&in, 8), subscription);
    assert_int_equal(raw_get_number(&in, 4), 1);
    delivery.kind = (uint8_t)raw_get_number(&in, 1);
    delivery.verdict = (uint8_t)raw_get_number(&in, 1);
    delivery.code = (uint16_t)raw_get_number(&in, 2);
    delivery.count = (uint32_t)raw_get_number(&in, 4);
    (void)raw_get_number(&in, 4);
    delivery.seq = raw_get_number(&in, 8);
    (void)raw_get_number(&in, 8);
    (void)raw_get_number(&in, 8);
    delivery.in = in;
    return delivery;
}

enum { VERDICT = 0, END = 3, REFUSED = 10 };

static void is_refused(struct raw *raw, const struct ask *ask, uint16_t code)
{
    struct raw_out out = {NULL, 0, 0};
    put_follow(&out, raw, 5, ask);
    raw_send_out(raw->read, &out);
    struct delivery end = expect_delivery(raw, 5);
    assert_int_equal(end.kind, END);
    assert_int_equal(end.verdict, REFUSED);
    assert_int_equal(end.code, code);
    raw_drop(&end.in);
    raw_release(&out);
}

/* Cut anywhere, and with values that there are not. */
static void frames_that_lie(struct raw *raw, const struct ask *ask)
{
    struct raw_out out = {NULL, 0, 0};
    put_follow(&out, raw, 7, ask);
    size_t whole = out.size;
    for (size_t size = 16; size < whole; size++) {
        raw_send(raw->read, out.bytes, size);
        raw_expect_error(raw->read, RAW_E_PROTOCOL);
    }
    for (size_t at = 28; at < 32; at++) { /* start, flags, zeros */
        uint8_t before = out.bytes[at];
        out.bytes[at] = 0x83;
        raw_send(raw->read, out.bytes, whole);
        raw_expect_error(raw->read, RAW_E_PROTOCOL);
        out.bytes[at] = before;
    }
    raw_put_number(&out, 0, 1);
    raw_send(raw->read, out.bytes, whole + 1);
    raw_expect_error(raw->read, RAW_E_PROTOCOL);
    raw_release(&out);
}

static void hostile_followers(struct stage *stage)
{
    struct feeder feeder;
    struct raw raw;
    uint8_t database[16];
    stage_start(stage, NULL);
    feeder_open(&feeder);
    put_some(&feeder, "chat-1", 1, 9);
    feeder_settle(&feeder);
    spn_client *client = open_client();
    spn_subscription *log = follow(client, NULL);
    const struct spn_item *item;
    assert_int_equal(spn_subscription_next(log, ITEM_MS, &item), SPN_OK);
    memcpy(database, item->database, sizeof(database));
    uint64_t newest = item->newest;
    assert_int_equal(newest, 10);
    raw_open(&raw);
    struct ask ask = {.start = 1, .database = database, .position = newest, .prefix = ""};
    frames_that_lie(&raw, &ask);
    ask.position = newest + 1;
    is_refused(&raw, &ask, RAW_E_BAD_POSITION);
    ask.position = UINT64_MAX;
    is_refused(&raw, &ask, RAW_E_BAD_POSITION);
    ask.position = newest;
    ask.prefix = "\xED\xA0\x80"; /* half of a pair */
    is_refused(&raw, &ask, RAW_E_BAD_PREFIX);
    ask.prefix = "";
    database[3] ^= 1;
    is_refused(&raw, &ask, RAW_E_BAD_POSITION);
    for (uint64_t i = 0; i < 9 + 1; i++) /* nobody else is affected */
        assert_int_equal(spn_subscription_next(log, ITEM_MS, &item), SPN_OK);
    assert_int_equal(item->seq, newest);
    raw_close(&raw);
    spn_client_close(client);
    feeder_close(&feeder);
}

/* -- a follower beside retention --------------------------------------------------------------- */

/* What the quota takes before it is read is a gap, with its first and last position. */
static void a_gap_where_the_log_was_trimmed(struct stage *stage)
{
    enum { SIZE = 4096, EVENTS = 12000 };
    struct feeder feeder;
    static char data[SIZE + 1];
    char id[32];
    struct stage_daemon options = {.more = {"--quota", "16M", "--row-interval", "20"}};
    memset(data, 'x', SIZE);
    stage_start(stage, &options);
    feeder_open(&feeder);
    for (int i = 0; i < EVENTS; i++) {
        snprintf(id, sizeof(id), "%d", i);
        feeder_put(&feeder, i % 2 == 0 ? "even" : "odd", id, data);
    }
    feeder_settle(&feeder);
    spn_client *client = open_client();
    spn_subscription *log = follow(client, NULL);
    const struct spn_item *item;
    uint64_t cursor = 0;
    uint64_t gone = 0;
    do {
        assert_int_equal(spn_subscription_next(log, ITEM_MS, &item), SPN_OK);
        if (item->kind == SPN_ITEM_GAP) {
            assert_int_equal(item->first, cursor + 1);
            assert_int_equal(item->last, item->seq);
            gone += item->last - item->first + 1;
        } else if (item->kind == SPN_ITEM_EVENT) {
            assert_int_equal(item->seq, cursor + 1 + item->missing);
        }
        cursor = item->seq;
    } while (item->kind != SPN_ITEM_CAUGHT_UP);
    assert_in_range(gone, EVENTS / 2, EVENTS);
    assert_int_equal(cursor, EVENTS + 2);
    spn_client_close(client);
    feeder_close(&feeder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(everything_through_kills), STAGE_TEST(as_the_dump_from_rows),
        STAGE_TEST(as_the_dump_from_the_log), STAGE_TEST(every_kind_is_dumped),
        STAGE_TEST(a_cursor_goes_on),         STAGE_TEST(bad_words),
        STAGE_TEST(hostile_followers),        STAGE_TEST(a_gap_where_the_log_was_trimmed),
    };
    return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
