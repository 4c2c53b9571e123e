/* SPDX-License-Identifier: Apache-2.0 */
/* test_retention: what is not retained is gone for every reader at once, with its count, whether or
 * not it was deleted yet; what is retained is there, also for a reader that stalled, and after a
 * kill in the middle of deleting; and the quota holds.
 *
 *     system_retention              the normal suite
 *     system_retention campaign     10,000,000 events over 10,000 sessions under 256 MiB; how long
 *                                   events take beside a reader that stalls
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "feeder.h"
#include "store/journal.h"
#include "onlooker.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIB (1024u * 1024)
#define NEVER "86400000" /* --row-interval: nothing is indexed, and so nothing deleted */

enum { TEXT_SIZE = 512, DATA_SIZE = 100, FROM_SEQ = 2, TRIMMED = 1, UNKNOWN_SESSION = 3 };

/* Events have the id "e<seq>", and data of one size that begins with the seq. */
static void put(struct feeder *feeder, const char *session, uint64_t seq)
{
    char id[32];
    char data[DATA_SIZE + 1];
    snprintf(id, sizeof(id), "e%llu", (unsigned long long)seq);
    memset(data, '.', DATA_SIZE);
    data[DATA_SIZE] = '\0';
    data[snprintf(data, sizeof(data), "%llu", (unsigned long long)seq)] = '.';
    feeder_put(feeder, session, id, data);
}

static void put_many(struct feeder *feeder, const char *session, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++)
        put(feeder, session, seq);
    assert_int_equal(feeder_settle(feeder).stored, to - from + 1);
}

static void expect_seq(const struct spn_event *event, uint64_t seq)
{
    char id[32];
    size_t size = (size_t)snprintf(id, sizeof(id), "e%llu", (unsigned long long)seq);
    if (event->seq != seq || event->id.size != size || memcmp(event->id.data, id, size) != 0 ||
        event->data.size != DATA_SIZE || memcmp(event->data.data, id + 1, size - 1) != 0)
        fail_msg("event %llu is %llu, id %.*s", (unsigned long long)seq,
                 (unsigned long long)event->seq, (int)event->id.size, (const char *)event->id.data);
}

/* Replays a session: the end of it, without a hole. Gives the first seq, last + 1 where there is
 * none. */
static uint64_t replay_tail(spn_client *client, const char *session, uint64_t last)
{
    spn_replay *replay = NULL;
    const struct spn_event *event;
    uint64_t next = 0;
    spn_err err =
        spn_replay_open(&replay, client, spn_text(session), spn_text(""), ONLOOKER_ASK_MS);
    if (err != SPN_OK)
        fail_msg("%s: %s", session, spn_err_name(err));
    uint64_t first = last + 1;
    while ((err = spn_replay_next(replay, ONLOOKER_ASK_MS, &event)) == SPN_OK) {
        if (next == 0)
            next = first = event->seq;
        expect_seq(event, next++);
    }
    assert_int_equal(err, SPN_E_END);
    if (next > 0)
        assert_int_equal(next, last + 1);
    assert_int_equal(spn_replay_missing(replay), first - 1);
    spn_replay_close(replay);
    return first;
}

/* -- the rule ---------------------------------------------------------------------------------- */

enum { EVENTS = 1000, KEPT = 100, CURSOR = 50 };

static const struct rule {
    const char *option;
    const char *value;
} rules[] = {
    {"--retention-events", "100"},
    {"--retention-bytes", "10000"}, /* an event stays while less than that came behind it */
};

/* What a start after the id of an event is told that is not retained. */
static void expect_unknown_id(struct stage *stage, const char *session, uint64_t seq,
                              uint64_t missing)
{
    const char *id = stage_format(stage, "e%llu", (unsigned long long)seq);
    const char *gone = stage_format(stage,
                                    "sponson replay: event id '%s': no such event id in the "
                                    "session: %llu events are no longer retained\n",
                                    id, (unsigned long long)missing);
    struct outcome done = stage_run(stage, "replay", session, "--after", id);
    stage_expect_code(&done, 3);
    assert_string_equal(done.err, gone);
    spn_client *client = onlooker_client();
    spn_replay *replay = NULL;
    assert_int_equal(
        spn_replay_open(&replay, client, spn_text(session), spn_text(id), ONLOOKER_ASK_MS),
        SPN_E_UNKNOWN_ID);
    struct spn_subscription_options after = {
        .size = sizeof(after), .start = SPN_AFTER_ID, .after = spn_text(id)};
    spn_subscription *reader = NULL;
    assert_int_equal(spn_subscribe(&reader, client, spn_text(session), &after), SPN_OK);
    struct spn_item end = onlooker_expect(reader, SPN_ITEM_END);
    assert_int_equal(end.why, SPN_E_UNKNOWN_ID);
    assert_int_equal(end.missing, missing);
    spn_unsubscribe(reader);
    spn_client_close(client);
}

/* What a cursor at CURSOR is told. */
static void expect_cursor(const char *session, struct spn_life life, uint64_t first, uint64_t last)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    raw_open(&raw);
    raw_put_fetch(&out, FROM_SEQ, 65536, life.bytes, CURSOR);
    raw_put_short(&out, session);
    raw_put_number(&out, 0, 2);
    struct raw_in in = raw_ask(&raw, &out, RAW_FETCH, RAW_SLICE);
    assert_int_equal(raw_get_number(&in, 1), TRIMMED);
    raw_get_number(&in, 1);
    raw_get_zeros(&in, 2);
    raw_get_number(&in, 4);
    assert_memory_equal(raw_get(&in, RAW_LIFE_SIZE), life.bytes, RAW_LIFE_SIZE);
    raw_get_number(&in, 8);
    assert_int_equal(raw_get_number(&in, 8), last);
    assert_int_equal(raw_get_number(&in, 8), first - 1 - CURSOR);
    raw_drop(&in);
    raw_release(&out);
    raw_close(&raw);
}

static void expect_retained(const char *session, uint64_t first, uint64_t last)
{
    spn_client *client = onlooker_client();
    const struct spn_session_info *info;
    assert_int_equal(replay_tail(client, session, last), first);
    assert_int_equal(spn_get_session(client, spn_text(session), ONLOOKER_ASK_MS, &info), SPN_OK);
    assert_int_equal(info->session->seq, last);
    assert_int_equal(info->first_seq, first);
    expect_cursor(session, info->session->life, first, last);
    spn_subscription *reader = onlooker_subscribe(client, session, SPN_EARLIEST, 0);
    struct spn_item item = onlooker_expect(reader, SPN_ITEM_VERDICT);
    assert_int_equal(item.missing, first - 1);
    assert_int_equal(item.seq, first - 1);
    for (uint64_t seq = first; seq <= last; seq++) {
        item = onlooker_expect(reader, SPN_ITEM_EVENT);
        expect_seq(item.event, seq);
    }
    spn_unsubscribe(reader);
    spn_client_close(client);
}

static void obey(struct stage *stage, const struct rule *rule)
{
    struct stage_daemon hides = {.more = {"--row-interval", NEVER, rule->option, rule->value}};
    struct stage_daemon trims = {.more = {"--row-interval", "20", rule->option, rule->value}};
    struct feeder feeder;
    struct process *daemon = stage_start(stage, &hides);
    feeder_open(&feeder);
    put_many(&feeder, "s", 1, EVENTS);
    feeder_close(&feeder);
    expect_retained("s", EVENTS - KEPT + 1, EVENTS);
    spn_client *client = onlooker_client();
    assert_int_equal(onlooker_counter(client, "sponson_entries_trimmed_total"), 0);
    process_kill(daemon);
    daemon = stage_start(stage, &trims);
    onlooker_wait_least(client, "sponson_entries_trimmed_total", EVENTS - KEPT);
    expect_retained("s", EVENTS - KEPT + 1, EVENTS);
    process_kill(daemon);
    stage_start(stage, &hides);
    expect_retained("s", EVENTS - KEPT + 1, EVENTS);
    spn_client_close(client);
}

static void events_are_counted(struct stage *stage)
{
    obey(stage, &rules[0]);
}

static void bytes_are_counted(struct stage *stage)
{
    obey(stage, &rules[1]);
}

enum { SPARED = 6, TURNS = 3 };

/* Waits until the index has all there is. */
static void settle_index(spn_client *client)
{
    uint64_t durable = onlooker_counter(client, "sponson_durable_position");
    onlooker_wait_least(client, "sponson_checkpoint_position", durable);
}

/* A segment that others have too much in to be trimmed keeps old events of a session; a newer one
 * has lost the session's first blocks. Between the two there is a hole, below the retained events:
 * no reader may take it for damage. */
static void holes_below_the_retained_events(struct stage *stage)
{
    struct stage_daemon trims = {.more = {"--row-interval", "100", "--retention-events", "100"}};
    struct process *daemon = stage_start(stage, &trims);
    struct feeder feeder;
    feeder_open(&feeder);
    spn_client *client = onlooker_client();
    put_many(&feeder, "s", 1, EVENTS);
    for (int i = 0; i < SPARED; i++)
        put_many(&feeder, (const char[]){'t', (char)('0' + i), '\0'}, 1, KEPT);
    settle_index(client);
    for (uint64_t turn = 1; turn <= TURNS; turn++) {
        onlooker_wait_least(client, "sponson_entries_trimmed_total", turn * (EVENTS - KEPT));
        put_many(&feeder, "s", turn * EVENTS + 1, (turn + 1) * EVENTS);
        settle_index(client);
        expect_retained("s", (turn + 1) * EVENTS - KEPT + 1, (turn + 1) * EVENTS);
    }
    onlooker_wait_least(client, "sponson_entries_trimmed_total", (TURNS + 1) * (EVENTS - KEPT));
    process_kill(daemon);
    stage_start(stage, &trims);
    expect_retained("s", (TURNS + 1) * EVENTS - KEPT + 1, (TURNS + 1) * EVENTS);
    for (int i = 0; i < SPARED; i++)
        assert_int_equal(replay_tail(client, (const char[]){'t', (char)('0' + i), '\0'}, KEPT), 1);
    feeder_close(&feeder);
    spn_client_close(client);
}

enum { AGE_MS = 2000 };

/* And then a replay has nothing. While events go, one may find a hole between two slices. */
static bool all_hidden(void *client)
{
    const struct spn_session_info *info;
    assert_int_equal(spn_get_session(client, spn_text("s"), ONLOOKER_ASK_MS, &info), SPN_OK);
    return info->first_seq == EVENTS + 1 && replay_tail(client, "s", EVENTS) == EVENTS + 1;
}

/* By age everything goes in the end, without anything being published. */
static void events_grow_old(struct stage *stage)
{
    static const struct stage_daemon hides = {
        .more = {"--row-interval", NEVER, "--retention-age", "2s"}};
    static const struct stage_daemon trims = {
        .more = {"--row-interval", "20", "--retention-age", "2s"}};
    struct feeder feeder;
    const struct spn_session_info *info;
    struct process *daemon = stage_start(stage, &hides);
    feeder_open(&feeder);
    spn_client *client = onlooker_client();
    put_many(&feeder, "s", 1, EVENTS - 1);
    uint64_t begun_ns = until_now_ns();
    put_many(&feeder, "s", EVENTS, EVENTS);
    assert_int_equal(spn_get_session(client, spn_text("s"), ONLOOKER_ASK_MS, &info), SPN_OK);
    if (until_now_ns() - begun_ns < AGE_MS * UINT64_C(1000000))
        assert_true(info->first_seq <= EVENTS); /* the newest is not old yet */
    assert_true(until_true(until_in(STAGE_WAIT_MS), all_hidden, client));
    assert_true(until_now_ns() - begun_ns >= AGE_MS * UINT64_C(1000000));
    assert_int_equal(onlooker_counter(client, "sponson_entries_trimmed_total"), 0);
    process_kill(daemon);
    daemon = stage_start(stage, &trims);
    onlooker_wait_least(client, "sponson_entries_trimmed_total", EVENTS + 1); /* and its opening */
    for (int i = 0; i < 2; i++) { /* and after a further start */
        assert_true(all_hidden(client));
        assert_int_equal(spn_get_session(client, spn_text("s"), ONLOOKER_ASK_MS, &info), SPN_OK);
        assert_int_equal(info->session->seq, EVENTS);
        assert_int_equal(info->first_seq, EVENTS + 1);
        process_kill(daemon);
        daemon = stage_start(stage, &trims);
    }
    put_many(&feeder, "s", EVENTS + 1, EVENTS + 1); /* the session goes on where it was */
    feeder_close(&feeder);
    spn_client_close(client);
}

/* Whether or not trimming came by. */
static void an_id_that_is_not_retained_is_unknown_at_once(struct stage *stage)
{
    static const struct stage_daemon hides = {
        .more = {"--row-interval", NEVER, "--retention-events", "100"}};
    static const struct stage_daemon trims = {
        .more = {"--row-interval", "20", "--retention-events", "100"}};
    struct feeder feeder;
    struct process *daemon = stage_start(stage, &hides);
    feeder_open(&feeder);
    put_many(&feeder, "s", 1, EVENTS);
    feeder_close(&feeder);
    expect_unknown_id(stage, "s", 1, EVENTS - KEPT);
    expect_unknown_id(stage, "s", EVENTS - KEPT, EVENTS - KEPT);
    expect_unknown_id(stage, "s", 2 * EVENTS, EVENTS - KEPT);
    process_kill(daemon);
    stage_start(stage, &trims);
    spn_client *client = onlooker_client();
    onlooker_wait_least(client, "sponson_entries_trimmed_total", EVENTS - KEPT);
    spn_client_close(client);
    expect_unknown_id(stage, "s", 1, EVENTS - KEPT);
    expect_unknown_id(stage, "s", EVENTS - KEPT, EVENTS - KEPT);
}

/* -- a reader that stalls ---------------------------------------------------------------------- */

enum {
    STALL_KEPT = 5000,
    STALL_EVENTS = 60000,
    STALL_WINDOW = 4096,
    WARM_UPS = 8,
    QUIET_EVENTS = 300,
    BESIDE = 1000,             /* events of others for each of them */
    STALL_BYTES_MAX = 6 << 20, /* a plain load varies by 5 MiB; the events held back are 10 MB */
};

struct stalled {
    spn_subscription *subscription;
    uint64_t seq; /* the last it knows of */
    uint64_t events;
    uint64_t missing;
};

/* Items until it has come to this seq: each event follows what came before. */
static void read_to(struct stalled *stalled, uint64_t last)
{
    while (stalled->seq < last) {
        struct spn_item item = onlooker_next(stalled->subscription);
        if (item.kind == SPN_ITEM_EVENT) {
            expect_seq(item.event, stalled->seq + 1);
            stalled->events++;
            stalled->seq++;
        } else {
            assert_int_equal(item.kind, SPN_ITEM_GAP);
            assert_true(item.missing > 0);
            assert_int_equal(item.seq, stalled->seq + item.missing);
            stalled->missing += item.missing;
            stalled->seq = item.seq;
        }
    }
}

/* Once the index is written: until then a generation holds what it does not know. */
static size_t anonymous_at_rest(const struct process *daemon, spn_client *client)
{
    uint64_t durable = onlooker_counter(client, "sponson_durable_position");
    onlooker_wait_least(client, "sponson_checkpoint_position", durable);
    return process_anonymous_bytes(daemon);
}

/* What the load itself needs varies: the most of several times. */
static size_t warm_up(const struct process *daemon, spn_client *client, struct feeder *feeder,
                      uint64_t events)
{
    size_t most = 0;
    for (uint64_t i = 0; i < WARM_UPS; i++) {
        put_many(feeder, "warm-up", 1 + i * events, (i + 1) * events);
        size_t bytes = anonymous_at_rest(daemon, client);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void stalled_reader_gets_what_is_retained(struct stage *stage)
{
    static const struct stage_daemon options = {
        .more = {"--row-interval", "50", "--retention-events", "5000"}};
    struct feeder feeder;
    const struct spn_session_info *info;
    struct process *daemon = stage_start(stage, &options);
    uint64_t events = until_scaled(STALL_EVENTS);
    feeder_open(&feeder);
    spn_client *client = onlooker_client();
    put_many(&feeder, "s", 1, events);
    size_t before = warm_up(daemon, client, &feeder, events);
    struct stalled stalled = {.seq = events};
    stalled.subscription = onlooker_subscribe(client, "s", SPN_NOW, STALL_WINDOW);
    onlooker_expect(stalled.subscription, SPN_ITEM_VERDICT);
    put_many(&feeder, "s", events + 1, 2 * events);
    size_t after = anonymous_at_rest(daemon, client);
    print_message("%llu KiB anonymous before the stall, %llu KiB after it\n",
                  (unsigned long long)before / 1024, (unsigned long long)after / 1024);
    if (!until_sanitized())
        assert_true(after <= before + STALL_BYTES_MAX);
    assert_int_equal(spn_get_session(client, spn_text("s"), ONLOOKER_ASK_MS, &info), SPN_OK);
    assert_int_equal(info->first_seq, 2 * events - STALL_KEPT + 1);
    read_to(&stalled, 2 * events);
    assert_int_equal(stalled.events + stalled.missing, events);
    assert_true(stalled.missing > 0);
    assert_true(stalled.events >= STALL_KEPT); /* and what was on its way before */
    assert_true(stalled.events <= STALL_KEPT + STALL_WINDOW / DATA_SIZE + 1);
    assert_int_equal(onlooker_counter(client, "sponson_gaps_total"), 1);
    /* Slow while the load goes on. */
    for (uint64_t from = 2 * events + 1; from <= 3 * events; from += events / 20) {
        put_many(&feeder, "s", from, from + events / 20 - 1);
        read_to(&stalled, stalled.seq + 100);
    }
    read_to(&stalled, 3 * events);
    assert_int_equal(stalled.events + stalled.missing, 2 * events);
    spn_client_close(client);
    feeder_close(&feeder);
}

/* Under a small quota events may be trimmed before a reader that is live was offered them. It is
 * told of a gap, and goes on. */
static void live_reader_is_told_of_gaps(struct stage *stage)
{
    static const struct stage_daemon options = {.more = {"--quota", "1M", "--row-interval", "1"}};
    struct feeder feeder;
    struct stalled live = {.seq = 1};
    uint64_t flood = 0;
    uint64_t quiet = 1;
    stage_start(stage, &options);
    feeder_open(&feeder);
    put_many(&feeder, "quiet", 1, 1);
    spn_client *client = onlooker_client();
    live.subscription = onlooker_subscribe(client, "quiet", SPN_NOW, 0);
    onlooker_expect(live.subscription, SPN_ITEM_VERDICT);
    while (quiet < until_scaled(QUIET_EVENTS)) {
        for (int i = 0; i < BESIDE; i++)
            put(&feeder, "flood", ++flood);
        put(&feeder, "quiet", ++quiet);
    }
    feeder_settle(&feeder);
    read_to(&live, quiet);
    for (int i = 0; i < 3; i++) { /* it is live */
        put(&feeder, "quiet", ++quiet);
        feeder_settle(&feeder);
        read_to(&live, quiet);
    }
    assert_int_equal(live.events + live.missing, quiet - 1);
    print_message("%llu events, %llu missing, %llu gaps\n", (unsigned long long)live.events,
                  (unsigned long long)live.missing,
                  (unsigned long long)onlooker_counter(client, "sponson_gaps_total"));
    spn_client_close(client);
    feeder_close(&feeder);
}

/* -- the quota --------------------------------------------------------------------------------- */

enum { TENTHS = 10, SAMPLES = 50 };

struct flood {
    const char *quota;
    uint64_t quota_bytes;
    uint64_t events;
    uint64_t sessions;
    unsigned kills;
};

static void write_name(char *name, uint64_t session)
{
    snprintf(name, TEXT_SIZE, "flood-%llu", (unsigned long long)session);
}

/* The event with this number of the flood: sessions take turns. */
static void put_next(struct feeder *feeder, const struct flood *flood, uint64_t number)
{
    char name[TEXT_SIZE];
    write_name(name, number % flood->sessions);
    put(feeder, name, number / flood->sessions + 1);
}

/* How many events the session has when so many were put. */
static uint64_t seq_of(const struct flood *flood, uint64_t session, uint64_t events)
{
    return events / flood->sessions + (session < events % flood->sessions ? 1 : 0);
}

static void expect_file(struct stage *stage, const struct flood *flood)
{
    uint64_t bytes = onlooker_file_bytes(stage->data_dir);
    if (bytes > flood->quota_bytes + flood->quota_bytes / 4 + MIB)
        fail_msg("%llu bytes under a quota of %llu", (unsigned long long)bytes,
                 (unsigned long long)flood->quota_bytes);
}

static void expect_tails(const struct flood *flood, uint64_t events)
{
    spn_client *client = onlooker_client();
    char name[TEXT_SIZE];
    uint64_t left = 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        uint64_t session = i * flood->sessions / SAMPLES;
        uint64_t last = seq_of(flood, session, events);
        write_name(name, session);
        left += last + 1 - replay_tail(client, name, last);
    }
    assert_true(left > 0);
    assert_true(left < events / flood->sessions * SAMPLES);
    spn_client_close(client);
}

/* One tenth of the flood; events a second. */
static double put_tenth(struct feeder *feeder, const struct flood *flood, unsigned tenth)
{
    uint64_t from = flood->events / TENTHS * tenth;
    uint64_t to = from + flood->events / TENTHS;
    uint64_t begun_ns = until_now_ns();
    for (uint64_t number = from; number < to; number++)
        put_next(feeder, flood, number);
    assert_int_equal(feeder_settle(feeder).stored, to - from);
    return (double)(to - from) * 1e9 / (double)(until_now_ns() - begun_ns);
}

/* What the daemon has computed so far: what other programs do beside it does not show here. */
static double cpu_seconds(const struct process *daemon)
{
    char path[64];
    char line[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)daemon->pid);
    FILE *stat = fopen(path, "re");
    assert_non_null(stat);
    assert_non_null(fgets(line, sizeof(line), stat));
    fclose(stat);
    char *at = strrchr(line, ')'); /* the second field ends here; wanted are 14 and 15 */
    for (int field = 2; at && field < 14; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        fail_msg("%s: %s", path, line);
    unsigned long ticks = strtoul(at, &at, 10);
    ticks += strtoul(at, NULL, 10);
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

struct measured {
    double rates[TENTHS];
    uint64_t bytes[TENTHS];
    unsigned first_trimmed; /* the first tenth at whose end something had been trimmed */
};

static struct measured flood_quota(struct stage *stage, const struct flood *flood)
{
    struct stage_daemon options = {.more = {"--quota", flood->quota, "--row-interval", "1000"}};
    struct measured measured = {.first_trimmed = TENTHS};
    struct feeder feeder;
    struct process *daemon = stage_start(stage, &options);
    feeder_open(&feeder);
    spn_client *client = onlooker_client();
    for (unsigned i = 0; i < TENTHS; i++) {
        double cpu_s = cpu_seconds(daemon);
        measured.rates[i] = put_tenth(&feeder, flood, i);
        cpu_s = cpu_seconds(daemon) - cpu_s;
        measured.bytes[i] = onlooker_file_bytes(stage->data_dir);
        expect_file(stage, flood);
        uint64_t trimmed = onlooker_counter(client, "sponson_entries_trimmed_total");
        if (trimmed > 0 && measured.first_trimmed == TENTHS)
            measured.first_trimmed = i;
        print_message("%2u0 %%: %.0f events/s, %.2f us of the daemon's each, file %.1f MiB, %llu "
                      "trimmed\n",
                      i + 1, measured.rates[i], cpu_s * 1e6 * TENTHS / (double)flood->events,
                      (double)measured.bytes[i] / MIB, (unsigned long long)trimmed);
    }
    assert_true(measured.first_trimmed < TENTHS / 2);
    expect_tails(flood, flood->events);
    feeder_close(&feeder);
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
    expect_file(stage, flood);
    return measured;
}

static void quota_holds(struct stage *stage)
{
    struct flood flood = {"16M", 16 * MIB, 300000, 1000, 0}; /* fewer do not fill it */
    struct measured measured = flood_quota(stage, &flood);
    /* Two times the quota came since then; where commits meet decides about some pages. */
    assert_true(measured.bytes[TENTHS - 1] <=
                measured.bytes[TENTHS / 2 - 1] + flood.quota_bytes / 16);
}

/* What is on the disk of a dead daemon. */
static uint64_t count_events(const char *data_dir)
{
    struct journal *journal;
    struct journal_reader *reader;
    struct journal_options options = {.dir = data_dir, .read_only = true};
    struct record_entry entry;
    uint64_t position = 0;
    uint64_t events = 0;
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    while (journal_read_entry_from(reader, position + 1, &position, &entry) == SPN_OK)
        events += entry.kind == RECORD_EVENT;
    journal_reader_end(reader);
    journal_reader_close(reader);
    journal_close(journal);
    return events;
}

/* A daemon with room to spare deletes nothing: it serves all that the dead one has left. */
static void expect_all_served(struct stage *stage, const struct flood *flood, uint64_t put,
                              uint64_t acknowledged)
{
    static const struct stage_daemon roomy = {.more = {"--row-interval", NEVER}};
    uint64_t events = count_events(stage->data_dir);
    struct process *daemon = stage_start(stage, &roomy);
    spn_client *client = onlooker_client();
    char name[TEXT_SIZE];
    uint64_t served = 0;
    for (uint64_t session = 0; session < flood->sessions; session++) {
        const struct spn_last *last;
        write_name(name, session);
        spn_err err = spn_last_event(client, spn_text(name), ONLOOKER_ASK_MS, &last);
        if (err != SPN_OK)
            fail_msg("%s: %s", name, spn_err_name(err));
        assert_true(last->seq >= seq_of(flood, session, acknowledged));
        assert_true(last->seq <= seq_of(flood, session, put));
        served += last->seq + 1 - replay_tail(client, name, last->seq);
    }
    assert_int_equal(served, events);
    assert_int_equal(onlooker_counter(client, "sponson_entries_trimmed_total"), 0);
    spn_client_close(client);
    process_kill(daemon);
}

/* A step deleted a thousand events however large they were: of twelve that were retained, none was
 * left, the newest among them. */
static void no_more_large_events_go_than_must(struct stage *stage)
{
    enum { LARGE = 40, LARGE_BYTES = 1000000, RETAINED_LEAST = 9 };
    static const struct stage_daemon options = {.more = {"--quota", "16M"}};
    const struct spn_session_info *info;
    struct feeder feeder;
    uint64_t fewest = LARGE;
    char *data = stage_keep(stage, malloc(LARGE_BYTES + 1));
    memset(data, '.', LARGE_BYTES);
    data[LARGE_BYTES] = '\0';
    stage_start(stage, &options);
    feeder_open(&feeder);
    spn_client *client = onlooker_client();
    for (uint64_t seq = 1; seq <= LARGE; seq++) {
        feeder_put(&feeder, "s", NULL, data);
        assert_int_equal(feeder_settle(&feeder).stored, 1);
        assert_int_equal(spn_get_session(client, spn_text("s"), ONLOOKER_ASK_MS, &info), SPN_OK);
        uint64_t retained = seq + 1 - info->first_seq;
        fewest = seq >= RETAINED_LEAST && retained < fewest ? retained : fewest;
        assert_true(retained >= (seq < RETAINED_LEAST ? seq : RETAINED_LEAST));
    }
    print_message("%llu events of 1 MB are retained at least\n", (unsigned long long)fewest);
    assert_true(info->first_seq > 1); /* some had to go */
    spn_client_close(client);
    feeder_close(&feeder);
}

/* Killed again and again while it deletes for every event it takes. */
static void killed_while_trimming(struct stage *stage)
{
    struct flood flood = {"16M", 16 * MIB, 400000, 500, 6};
    struct stage_daemon options = {.more = {"--quota", "16M", "--row-interval", "20"}};
    struct feeder feeder;
    unsigned trimming = 0;
    uint64_t number = 0;
    struct process *daemon = stage_start(stage, &options);
    feeder_open(&feeder);
    spn_client *client = onlooker_client();
    for (; number < flood.events / 2; number++)
        put_next(&feeder, &flood, number);
    for (unsigned kill = 0; kill < flood.kills; kill++) {
        uint64_t until = number + flood.events / 2 / flood.kills;
        while (number < until)
            put_next(&feeder, &flood, number++);
        uint64_t trimmed = onlooker_counter(client, "sponson_entries_trimmed_total");
        uint64_t pause_ns = until_now_ns() + onlooker_random(100) * UINT64_C(1000000);
        while (!until_over(pause_ns))
            put_next(&feeder, &flood, number++);
        struct spn_counters told = *spn_producer_counters(feeder.producer);
        process_kill(daemon);
        trimming += trimmed > 0;
        expect_file(stage, &flood);
        expect_all_served(stage, &flood, number, told.stored);
        daemon = stage_start(stage, &options);
    }
    assert_int_equal(feeder_settle(&feeder).stored, number);
    print_message("%u of %u kills in a life that was trimming\n", trimming, flood.kills);
    assert_true(trimming > 1);
    expect_tails(&flood, number);
    feeder_close(&feeder);
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Other programs disturb a single tenth. */
static double middle_of_three(const double *rates)
{
    double low = rates[0] < rates[1] ? rates[0] : rates[1];
    double high = rates[0] < rates[1] ? rates[1] : rates[0];
    return rates[2] < low ? low : rates[2] > high ? high : rates[2];
}

/* Acceptance: the rate does not sink once trimming has begun. */
static void quota_campaign(struct stage *stage)
{
    struct flood flood = {"256M", 256 * MIB, 10000000, 10000, 0};
    struct measured measured = flood_quota(stage, &flood);
    double begun = middle_of_three(&measured.rates[measured.first_trimmed + 1]);
    double last = middle_of_three(&measured.rates[TENTHS - 3]);
    print_message("%.0f events/s after trimming began, %.0f at the end: %.0f %%\n", begun, last,
                  100 * last / begun);
    assert_true(last >= 0.8 * begun);
    assert_true(onlooker_file_bytes(stage->data_dir) <= flood.quota_bytes + flood.quota_bytes / 4);
}

/* -- the others -------------------------------------------------------------------------------- */

enum { OTHERS = 10, ROUNDS = 10000, HOG_EVENTS = 5 };

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* One event at a time from publishing to its reader, beside a session that gets more. */
static uint64_t measure_p99(struct stage *stage, bool stalls)
{
    static uint64_t took_ns[ROUNDS];
    static const struct stage_daemon options = {.more = {"--retention-events", "5000"}};
    struct feeder feeder;
    char names[OTHERS][32];
    spn_subscription *readers[OTHERS];
    uint64_t hog = 0;
    struct process *daemon = stage_start(stage, &options);
    feeder_open(&feeder);
    spn_client *client = onlooker_client();
    spn_client *other = onlooker_client();
    put(&feeder, "hog", ++hog);
    for (size_t i = 0; i < OTHERS; i++) {
        snprintf(names[i], sizeof(names[i]), "other-%d-%zu", stalls, i);
        put(&feeder, names[i], 1);
        feeder_settle(&feeder);
        readers[i] = onlooker_subscribe(client, names[i], SPN_NOW, 0);
        onlooker_expect(readers[i], SPN_ITEM_VERDICT);
    }
    if (stalls)
        onlooker_expect(onlooker_subscribe(other, "hog", SPN_EARLIEST, STALL_WINDOW),
                        SPN_ITEM_VERDICT);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < HOG_EVENTS; k++)
            put(&feeder, "hog", ++hog);
        uint64_t begun_ns = until_now_ns();
        put(&feeder, names[i % OTHERS], 2 + i / OTHERS);
        spn_err err = spn_producer_flush(feeder.producer, 0); /* it is sent, not waited for */
        (void)err;
        struct spn_item item = onlooker_expect(readers[i % OTHERS], SPN_ITEM_EVENT);
        took_ns[i] = until_now_ns() - begun_ns;
        expect_seq(item.event, 2 + i / OTHERS);
        feeder_settle(&feeder);
    }
    spn_client_close(client);
    spn_client_close(other);
    feeder_close(&feeder);
    assert_int_equal(stage_stop(daemon), 0);
    qsort(took_ns, ROUNDS, sizeof(took_ns[0]), by_value);
    return took_ns[ROUNDS / 100 * 99];
}

static void others_do_not_notice(struct stage *stage)
{
    uint64_t without_ns = measure_p99(stage, false);
    uint64_t with_ns = measure_p99(stage, true);
    print_message("publish to reader, p99: %llu us, beside a stalled reader %llu us\n",
                  (unsigned long long)without_ns / 1000, (unsigned long long)with_ns / 1000);
    assert_true(with_ns <= 2 * without_ns);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(events_are_counted),
        STAGE_TEST(bytes_are_counted),
        STAGE_TEST(events_grow_old),
        STAGE_TEST(an_id_that_is_not_retained_is_unknown_at_once),
        STAGE_TEST(holes_below_the_retained_events),
        STAGE_TEST(stalled_reader_gets_what_is_retained),
        STAGE_TEST(live_reader_is_told_of_gaps),
        STAGE_TEST(quota_holds),
        STAGE_TEST(no_more_large_events_go_than_must),
        STAGE_TEST(killed_while_trimming),
    };
    const struct CMUnitTest long_tests[] = {
        STAGE_TEST(others_do_not_notice),
        STAGE_TEST(quota_campaign),
    };
    if (argc > 1 && strcmp(argv[1], "campaign") == 0)
        return cmocka_run_group_tests(long_tests, NULL, NULL);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
