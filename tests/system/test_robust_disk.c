/* SPDX-License-Identifier: Apache-2.0 */
/* test_robust_disk: a full quota and a damaged database harm what they must and nothing else.
 *
 * At its quota the daemon trims the oldest entries. When names and rows of sessions fill it, those
 * go that got nothing for the longest time. While nothing can be written the daemon says that it is
 * degraded, and goes on answering. What does not read back is given up, and no more than that. */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

static const char first_id[] = "first client id.";
static const char second_id[] = "second clientid.";

#define MIB (1024u * 1024)

enum {
    LARGE = 250000,    /* bytes of data: five such events are above the small quota */
    QUOTA = MIB,       /* the small one */
    LARGE_EVENTS = 24, /* many times the quota */
    LARGE_LEFT = 4,
    RAW_E_BACKPRESSURE = 6,
};

static const struct stage_daemon small = {.more = {"--quota", "1M", "--row-interval", "200"}};

/* -- what everybody looks at ------------------------------------------------------------------- */

/* `sponson replay` gives the session from its first event to this one. */
static void expect_replay(struct stage *stage, const char *session, uint64_t count)
{
    struct event_list got = EVENT_LIST_INIT;
    struct outcome replay = stage_run(stage, "replay", session);
    stage_expect_code(&replay, 0);
    event_list_add_json(&got, replay.output, NULL);
    event_list_expect_whole(session, &got);
    assert_int_equal(got.count, count);
    event_list_release(&got);
}

/* -- many sessions ----------------------------------------------------------------------------- */

enum {
    BATCH = 4096,
    QUOTA_BATCHES = 5,
    TAIL_BATCHES = 40, /* 160,000 sessions of one event: more than a generation holds */
    SESSIONS = TAIL_BATCHES * BATCH,
    SAMPLE_EVERY = 211,
};

static void send_sessions(struct raw *raw, uint64_t token, uint64_t first)
{
    struct raw_out out = {NULL, 0, 0};
    char name[32];
    raw_put_batch(&out, &(struct raw_batch){token, first, first, 0, BATCH, RAW_DURABLE});
    for (uint64_t number = first; number < first + BATCH; number++) {
        snprintf(name, sizeof(name), "s%llu", (unsigned long long)number);
        raw_put_entry(&out, &(struct raw_entry){.session = name, .id = "a", .data = "x"});
    }
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

static void expect_sessions(struct raw *raw, uint64_t durable)
{
    char name[32];
    robust_wait_counter(raw, "sponson_sessions_known", durable);
    for (uint64_t number = 1; number <= durable; number += SAMPLE_EVERY) {
        snprintf(name, sizeof(name), "s%llu", (unsigned long long)number);
        assert_int_equal(robust_last_seq(raw, name), 1);
    }
    snprintf(name, sizeof(name), "s%llu", (unsigned long long)durable);
    assert_int_equal(robust_last_seq(raw, name), 1);
}

/* -- a full quota ------------------------------------------------------------------------------ */

/* The index catches up with the log, and then the oldest events make room: what is left is the
 * end of the session, and a reader is told how much is not. */
static void oldest_events_go_at_the_quota(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, &small);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, first_id).token;
    for (uint64_t number = 1; number <= LARGE_EVENTS; number++) {
        robust_send_large(&raw, token, number, "large", LARGE);
        raw_expect_acks(&raw, token, number);
    }
    uint64_t durable = robust_counter(&raw, "sponson_durable_position");
    robust_wait_counter(&raw, "sponson_checkpoint_position", durable);
    robust_wait_counter(&raw, "sponson_entries_trimmed_total", 1 + LARGE_EVENTS - LARGE_LEFT);
    assert_true(robust_counter(&raw, "sponson_database_used_bytes") < QUOTA);
    assert_int_equal(robust_status(&raw), ROBUST_HEALTHY);
    assert_int_equal(robust_last_seq(&raw, "large"), LARGE_EVENTS);
    robust_send_large(&raw, token, LARGE_EVENTS + 1, "large", 1);
    raw_expect_acks(&raw, token, LARGE_EVENTS + 1);
    struct event_list got = EVENT_LIST_INIT;
    struct outcome replay = stage_run(stage, "replay", "large");
    stage_expect_code(&replay, 0);
    event_list_add_json(&got, replay.output, NULL);
    assert_true(got.count > 2 && got.count <= LARGE_LEFT + 1);
    for (size_t i = 0; i < got.count; i++)
        assert_int_equal(got.items[i].seq, LARGE_EVENTS + 2 - got.count + i);
    event_list_release(&got);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Sessions of one event each, with many times more names and rows than the quota: those that got
 * nothing for the longest time go, and everything is taken. */
static void full_quota_stopped_everybody(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, &small);
    char name[32];
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, first_id).token;
    for (uint64_t batch = 0; batch < QUOTA_BATCHES; batch++)
        send_sessions(&raw, token, 1 + batch * BATCH);
    raw_expect_acks(&raw, token, QUOTA_BATCHES * BATCH);
    robust_wait_status(&raw, ROBUST_HEALTHY);
    robust_wait_counter(&raw, "sponson_sessions_expired_early_total", 1);
    snprintf(name, sizeof(name), "s%d", QUOTA_BATCHES * BATCH);
    assert_int_equal(robust_last_seq(&raw, name), 1);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

enum { OPENING_MAX = 256, OPENINGS_MORE = 1000 };

/* From here on the disk takes nothing. */
static void fill_disk(struct process *daemon, struct raw *raw)
{
    uint64_t token = raw_take_producer(raw, first_id).token;
    robust_limit_files(daemon, 1);
    raw_send_events(raw, &(struct raw_batch){token, 1, 1, 0, 1, 0}, "small");
    robust_wait_status(raw, ROBUST_DEGRADED);
}

/* An opening of an id that something was published under is answered by a commit. While there are
 * none only so many wait, and the others are told; whatever needs no commit is answered. */
static void openings_that_wait_leave_room_for_readers(struct stage *stage)
{
    struct raw raw, control;
    struct raw_out out = {NULL, 0, 0};
    struct process *daemon =
        stage_start(stage, &(struct stage_daemon){.prepare = robust_bear_full_disk});
    raw_open(&raw);
    raw_open(&control);
    robust_know_producer(&control, second_id);
    fill_disk(daemon, &control);
    for (uint64_t i = 1; i <= OPENING_MAX; i++) {
        raw_clear(&out);
        robust_put_open(&out, 1000 + i, second_id);
        raw_send_out(raw.ingest, &out);
    }
    assert_int_equal(robust_status(&raw), ROBUST_DEGRADED);
    for (uint64_t i = 1; i <= OPENINGS_MORE; i++) {
        raw_clear(&out);
        robust_put_open(&out, 2000 + i, second_id);
        raw_send_out(raw.ingest, &out);
        /* On the same connection, so in order: none of those before was refused. */
        assert_int_equal(raw_expect_error(raw.ingest, RAW_E_BACKPRESSURE).request, 2000 + i);
    }
    raw_release(&out);
    assert_int_equal(robust_status(&control), ROBUST_DEGRADED);
    raw_close(&raw);
    raw_close(&control);
    process_kill(daemon);
}

/* -- a long tail under a full quota ------------------------------------------------------------ */

/* Kills a daemon under which sessions keep coming. Returns the token of their producer and how many
 * are on disk at least. */
struct tail {
    uint64_t token;
    uint64_t durable;
};

static struct tail leave_tail(struct stage *stage, const struct stage_daemon *options,
                              void (*wait)(struct raw *raw))
{
    struct raw raw;
    struct process *daemon = stage_start(stage, options);
    raw_open(&raw);
    struct tail tail = {.token = raw_take_producer(&raw, first_id).token};
    for (uint64_t batch = 0; batch < TAIL_BATCHES; batch++)
        send_sessions(&raw, tail.token, 1 + batch * BATCH);
    wait(&raw);
    tail.durable = robust_durable(&raw, tail.token);
    raw_close(&raw);
    process_kill(daemon);
    return tail;
}

/* It is there, all of it, and the index gets written, although there is no room for a single event.
 */
static void expect_tail(struct process *daemon, struct tail tail)
{
    struct raw raw;
    struct raw_state state;
    uint32_t code = 0;
    raw_open(&raw);
    assert_true(raw_try_producer(&raw, first_id, tail.token, &state, &code));
    assert_true(state.durable >= tail.durable);
    expect_sessions(&raw, state.durable);
    uint64_t position = robust_counter(&raw, "sponson_durable_position");
    assert_int_equal(position, 2 * state.durable); /* an opening and an event each */
    robust_limit_files(daemon, RLIM_INFINITY);
    robust_wait_counter(&raw, "sponson_checkpoint_position", position);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

static const struct stage_daemon sixteen = {.more = {"--quota", "16M"}};
static const struct stage_daemon sixteen_soon = {
    .more = {"--quota", "16M", "--row-interval", "100"}};

/* Of a quota that they do not fit the oldest go; the newest one is there, and the index is written.
 */
static void expect_newest_of_tail(struct process *daemon, struct tail tail)
{
    struct raw raw;
    struct raw_state state;
    uint32_t code = 0;
    char name[32];
    raw_open(&raw);
    assert_true(raw_try_producer(&raw, first_id, tail.token, &state, &code));
    assert_true(state.durable >= tail.durable);
    snprintf(name, sizeof(name), "s%llu", (unsigned long long)state.durable);
    assert_int_equal(robust_last_seq(&raw, name), 1);
    robust_wait_counter(&raw, "sponson_checkpoint_position", 2 * state.durable);
    robust_wait_status(&raw, ROBUST_HEALTHY);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

static void until_half_is_durable(struct raw *raw)
{
    robust_wait_counter(raw, "sponson_durable_position", SESSIONS);
}

static void long_tail_is_recovered_under_a_full_quota(struct stage *stage)
{
    struct tail tail = leave_tail(stage, &sixteen, until_half_is_durable);
    assert_true(tail.durable > 0);
    expect_newest_of_tail(stage_start(stage, &sixteen_soon), tail);
}

static void until_all_is_durable(struct raw *raw)
{
    robust_wait_counter(raw, "sponson_durable_position", 2 * SESSIONS);
}

/* More sessions than a generation holds, which recovery itself has to write the index of; and the
 * quota is less now than what is there. */
static void long_tail_is_recovered_under_a_smaller_quota(struct stage *stage)
{
    struct tail tail = leave_tail(stage, NULL, until_all_is_durable);
    assert_int_equal(tail.durable, SESSIONS);
    expect_newest_of_tail(stage_start(stage, &sixteen_soon), tail);
}

/* There is not even room for the index: recovery goes on without. */
static void long_tail_is_recovered_on_a_full_disk(struct stage *stage)
{
    struct stage_daemon options = {.prepare = robust_begin_full_disk,
                                   .more = {"--row-interval", "100"}};
    struct tail tail = leave_tail(stage, NULL, until_all_is_durable);
    assert_int_equal(tail.durable, SESSIONS);
    expect_tail(stage_start(stage, &options), tail);
}

/* -- damage ------------------------------------------------------------------------------------ */

/* Turns over a byte of the table's value at this place. */
static void damage(const char *dir, const char *table, size_t place)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_cursor *cursor;
    MDB_val key, value;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    for (size_t i = 0; i <= place; i++)
        assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), 0);
    uint8_t *bytes = malloc(value.mv_size);
    assert_non_null(bytes);
    memcpy(bytes, value.mv_data, value.mv_size);
    bytes[value.mv_size - 1] ^= 0x40;
    value.mv_data = bytes;
    assert_int_equal(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    mdb_cursor_close(cursor);
    assert_int_equal(mdb_txn_commit(txn), 0);
    free(bytes);
    mdb_env_close(env);
}

/* A session of three events, of which the daemon has nothing in memory; then one value of it is
 * damaged, and somebody sends one event more. */
static struct process *meet_damage(struct stage *stage, const char *table, size_t place,
                                   struct raw *raw, uint64_t *ret_token)
{
    struct process *daemon = stage_start(stage, NULL);
    raw_open(raw);
    uint64_t token = raw_take_producer(raw, first_id).token;
    raw_send_events(raw, &(struct raw_batch){token, 1, 1, 0, 3, 0}, "victim");
    raw_expect_acks(raw, token, 3);
    raw_close(raw);
    assert_int_equal(stage_stop(daemon), 0);
    damage(stage->data_dir, table, place);
    daemon = stage_start(stage, NULL);
    raw_open(raw);
    *ret_token = raw_take_producer(raw, second_id).token;
    raw_send_events(raw, &(struct raw_batch){*ret_token, 1, 1, 0, 1, 0}, "bystander");
    raw_expect_acks(raw, *ret_token, 1);
    return daemon;
}

static void send_further(struct raw *raw, uint64_t token)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_batch(&out, &(struct raw_batch){token, 2, 1, 0, 1, RAW_DURABLE});
    raw_put_entry(&out, &(struct raw_entry){.session = "victim", .id = "further", .data = "x"});
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

/* place: in the log, where the session's opening is first. */
static void expect_further_events(struct stage *stage, size_t place)
{
    struct raw raw;
    uint64_t token;
    struct process *daemon = meet_damage(stage, "log", place, &raw, &token);
    send_further(&raw, token);
    assert_int_equal(raw_expect_acks(&raw, token, 2).run_count, 0);
    assert_int_equal(robust_last_seq(&raw, "victim"), 4);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

static void damaged_event_is_a_hole_in_the_window(struct stage *stage)
{
    expect_further_events(stage, 2);
}

static void damaged_newest_event_is_a_hole_in_the_window(struct stage *stage)
{
    expect_further_events(stage, 3);
}

/* Where the session stands is not known any more: it takes nothing, others do, and it can be
 * deleted; then its name is free. */
static void expect_given_up(struct stage *stage, const char *table, const char *listed)
{
    struct raw raw;
    uint64_t token;
    struct process *daemon = meet_damage(stage, table, 0, &raw, &token);
    send_further(&raw, token);
    struct outcome replay = stage_run(stage, "replay", "victim");
    stage_expect_code(&replay, 1);
    assert_non_null(strstr(replay.err, "damaged"));
    expect_replay(stage, "bystander", 1);
    struct outcome list = stage_run(stage, "sessions", "--json");
    stage_expect_code(&list, 0);
    assert_non_null(strstr(list.out, "\"bystander\",\"state\":\"live\""));
    assert_non_null(strstr(list.out, listed));
    assert_true(robust_counter(&raw, "sponson_sessions_damaged_total") > 0);
    assert_non_null(strstr(stage_log(stage), "event=damaged code=SPN_E_CORRUPT"));
    assert_true(process_runs(daemon));
    raw_close(&raw);
    struct outcome deleted = stage_run(stage, "delete", "victim", "--yes");
    stage_expect_code(&deleted, 0);
    raw_open(&raw);
    token = raw_take_producer(&raw, first_id).token;
    uint64_t first = robust_durable(&raw, token) + 1;
    raw_send_events(&raw, &(struct raw_batch){token, first, first, 0, 1, 0}, "victim");
    raw_expect_acks(&raw, token, first);
    expect_replay(stage, "victim", 1);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

static void damaged_block_gives_up_its_session_only(struct stage *stage)
{
    expect_given_up(stage, "blocks", "\"victim\",\"state\":\"live\""); /* its row is whole */
}

static void damaged_row_does_not_stop_the_start(struct stage *stage)
{
    expect_given_up(stage, "rows", "\"victim\",\"state\":\"damaged\"");
}

static void expect_among(struct stage *stage, const char *words)
{
    struct outcome list = stage_run(stage, "sessions", "--json");
    stage_expect_code(&list, 0);
    assert_non_null(strstr(list.out, "\"bystander\",\"state\":\"live\""));
    if (!strstr(list.out, words))
        fail_msg("%s is not in: %s", words, list.out);
}

static bool damage_is_logged(void *argument)
{
    return strstr(stage_log(argument), "event=damaged") != NULL;
}

static void expect_counted(struct stage *stage, struct raw *raw)
{
    assert_true(robust_counter(raw, "sponson_damaged_reads_total") > 0);
    assert_true(until_true(until_in(STAGE_WAIT_MS), damage_is_logged, stage));
}

/* It goes on, and so its epoch is in the list: who deletes what was given up leaves it alone. */
static void a_list_gave_up_a_session_that_goes_on(struct stage *stage)
{
    struct raw raw;
    uint64_t token;
    struct process *daemon = meet_damage(stage, "log", 3, &raw, &token);
    expect_among(stage, "\"victim\",\"state\":\"damaged\",\"epoch\":1,");
    expect_counted(stage, &raw);
    send_further(&raw, token);
    assert_int_equal(raw_expect_acks(&raw, token, 2).run_count, 0);
    expect_among(stage, "\"victim\",\"state\":\"live\",\"epoch\":1,");
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* While the daemon runs: at a start it is written again. */
static void a_damaged_name_failed_the_whole_list(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, first_id).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 3, 0}, "bystander");
    raw_send_events(&raw, &(struct raw_batch){token, 4, 4, 0, 3, 0}, "victim");
    raw_expect_acks(&raw, token, 6);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, NULL);
    damage(stage->data_dir, "names", 1);
    raw_open(&raw);
    expect_among(stage, "\"victim\",\"state\":\"damaged\",\"epoch\":null,");
    expect_counted(stage, &raw);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Names and rows say the same twice. */
static void damaged_name_is_written_again(struct stage *stage)
{
    struct raw raw;
    uint64_t token;
    struct process *daemon = meet_damage(stage, "names", 0, &raw, &token);
    send_further(&raw, token);
    assert_int_equal(raw_expect_acks(&raw, token, 2).run_count, 0);
    expect_replay(stage, "victim", 4);
    assert_non_null(strstr(stage_log(stage), "names_restored=1"));
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Zeros in the place of the first page with values of this table, or of the last one. */
static void zero_leaf(struct stage *stage, const char *table, MDB_cursor_op which)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_stat stat;
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t number;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, stage->data_dir, MDB_RDONLY, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_stat(txn, dbi, &stat), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &value, which), 0);
    /* A page begins with its number. */
    size_t within = (uintptr_t)value.mv_data % stat.ms_psize;
    memcpy(&number, (const uint8_t *)value.mv_data - within, sizeof(number));
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    FILE *file = fopen(stage_format(stage, "%s/data.mdb", stage->data_dir), "r+");
    uint8_t *zeros = stage_keep(stage, calloc(1, stat.ms_psize));
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)(number * stat.ms_psize), SEEK_SET), 0);
    assert_int_equal(fwrite(zeros, stat.ms_psize, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static void record_one(struct stage *stage, const char *session)
{
    static const char one[] = "id: 1\ndata: x\n\n";
    struct outcome recorded = stage_run_words(stage, (const char *const[]){"record", session, NULL},
                                              (struct spn_bytes){one, sizeof(one) - 1});
    stage_expect_code(&recorded, 0);
}

/* Two sessions, of which one was deleted since; then the pages of this table are zeros. */
static void leave_zeros(struct stage *stage, const char *table)
{
    struct process *daemon = stage_start(stage, NULL);
    record_one(stage, "keep");
    record_one(stage, "gone");
    struct outcome deleted = stage_run(stage, "delete", "gone", "--yes");
    stage_expect_code(&deleted, 0);
    assert_int_equal(stage_stop(daemon), 0);
    zero_leaf(stage, table, MDB_FIRST);
}

enum { MANY = 200, DAMAGED_FIRST = 100 };

static void record_many(struct stage *stage)
{
    char *text = stage_keep(stage, malloc(MANY * 64));
    size_t size = 0;
    assert_non_null(text);
    for (int i = 1; i <= MANY; i++)
        size += (size_t)sprintf(text + size, "id: %d\ndata: %020d\n\n", i, i);
    struct outcome recorded = stage_run_words(stage, (const char *const[]){"record", "s", NULL},
                                              (struct spn_bytes){text, size});
    stage_expect_code(&recorded, 0);
}

static int dumped(const struct outcome *dump)
{
    int count = 0;
    for (const char *at = dump->out; (at = strstr(at, "\"kind\":\"event\"")) != NULL; at++)
        count++;
    return count;
}

/* What is before the damaged end may be all that is left. */
static void a_dump_has_what_is_before_a_damaged_end(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_many(stage);
    assert_int_equal(stage_stop(daemon), 0);
    zero_leaf(stage, "log", MDB_LAST);
    for (int with_name = 0; with_name < 2; with_name++) {
        struct outcome dump =
            with_name ? stage_run(stage, "dump", "--session", "s") : stage_run(stage, "dump");
        stage_expect_code(&dump, 1);
        int count = dumped(&dump);
        if (count < MANY / 2 || count >= MANY)
            fail_msg("%d events of %d are dumped", count, MANY);
        assert_non_null(strstr(dump.err, "damaged"));
    }
    struct outcome list = stage_run(stage, "sessions", "--data-dir", stage->data_dir);
    assert_non_null(strstr(list.out, "s\n"));
}

/* One bit of it, and nothing of a whole log was to be had. A start still refuses. */
static void a_dump_does_without_meta(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_many(stage);
    assert_int_equal(stage_stop(daemon), 0);
    damage(stage->data_dir, "meta", 0);
    for (int with_name = 0; with_name < 2; with_name++) {
        struct outcome dump =
            with_name ? stage_run(stage, "dump", "--session", "s") : stage_run(stage, "dump");
        stage_expect_code(&dump, 1);
        assert_int_equal(dumped(&dump), MANY);
        assert_non_null(strstr(dump.err, "meta: damaged"));
    }
    struct outcome list = stage_run(stage, "sessions", "--data-dir", stage->data_dir);
    stage_expect_code(&list, 1);
    assert_non_null(strstr(list.out, "s\n"));
    int ready_fd;
    (void)stage_begin(stage, NULL, &ready_fd);
    assert_false(stage_is_ready(ready_fd, until_in(STAGE_WAIT_MS)));
    assert_non_null(strstr(stage_log(stage), "meta: damaged"));
}

/* And a replay gives what it can before it says that the rest does not read. */
static void a_replay_has_what_is_before_the_damage(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_many(stage);
    assert_int_equal(stage_stop(daemon), 0);
    damage(stage->data_dir, "log", DAMAGED_FIRST); /* after the opening and so many less one */
    daemon = stage_start(stage, NULL);
    struct outcome replay = stage_run(stage, "replay", "s", "--format", "sse");
    stage_expect_code(&replay, 1);
    assert_non_null(strstr(replay.out, "id: 99\n"));
    assert_null(strstr(replay.out, "id: 100\n"));
    assert_non_null(strstr(replay.err, "session 's': damaged data"));
    struct outcome health = stage_run(stage, "health");
    stage_expect_code(&health, 0);
    assert_non_null(strstr(health.out, "damaged data in the database"));
    assert_int_equal(stage_stop(daemon), 0);
}

/* It saves what can be saved, and leaves no doubt that it may be too much. */
static void dump_without_rows_says_that_some_may_be_deleted(struct stage *stage)
{
    leave_zeros(stage, "rows");
    struct outcome dump = stage_run(stage, "dump");
    stage_expect_code(&dump, 1);
    assert_non_null(strstr(dump.out, "\"session\":\"keep\""));
    assert_non_null(strstr(dump.err, "2 events of sessions whose row is damaged: some of them may "
                                     "be deleted or no longer retained"));
}

/* What is mended looks whole to the next start: whoever mends it says so, and how much it was. */
static void offline_deletion_says_what_it_mends(struct stage *stage)
{
    leave_zeros(stage, "rows");
    struct outcome deleted = stage_run(stage, "delete", "gone", "--offline", "--yes");
    stage_expect_code(&deleted, 3);
    assert_non_null(strstr(deleted.err, "code=SPN_E_CORRUPT table=rows pages=1 missing=1\n"));
    assert_non_null(strstr(deleted.err, "code=SPN_E_CORRUPT sessions_given_up=1 names_restored=0"));
    deleted = stage_run(stage, "delete", "keep", "--offline", "--yes");
    stage_expect_code(&deleted, 0);
    assert_null(strstr(deleted.err, "table=rows"));
}

static void expect_listed(struct stage *stage, const char *where, const char *dir)
{
    static const char json[] =
        "{\"session\":\"keep\",\"state\":\"damaged\",\"epoch\":null,\"life\":null,"
        "\"seq\":null,"
        "\"markers\":null,\"position\":null,\"bytes\":null,\"duplicates\":null,"
        "\"conflicts\":null,\"last_event_id\":null,\"opened\":null,\"last\":null,"
        "\"reason\":null,\"content_type\":null,\"ttl_ms\":null,\"idle_close_ms\":null}\n";
    static const char table[] =
        "    EVENTS         BYTES  DUPLICATES  CONFLICTS  STATE    NEWEST AT                 "
        "SESSION\n"
        "         -             -           -          -  damaged  -                         "
        "keep\n";
    struct outcome list = stage_run(stage, "sessions", "--json", where, dir);
    stage_expect_code(&list, 0);
    assert_string_equal(list.out, json);
    list = stage_run(stage, "sessions", where, dir);
    stage_expect_code(&list, 0);
    assert_string_equal(list.out, table);
}

/* From the sidecar or from its database, before the damage is mended and after. */
static void nothing_is_made_up_of_a_damaged_session(struct stage *stage)
{
    leave_zeros(stage, "rows");
    expect_listed(stage, "--data-dir", stage->data_dir);
    struct process *daemon = stage_start(stage, NULL);
    expect_listed(stage, "--data-dir", stage->data_dir);
    expect_listed(stage, "--socket-dir", stage->socket_dir);
    assert_int_equal(stage_stop(daemon), 0);
}

enum { META_PAGES_BYTES = 8192 };

/* Of any part that is left, a dump says that it is a part. */
static void a_cut_file_is_called_one(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_one(stage, "s");
    assert_int_equal(stage_stop(daemon), 0);
    const char *file = stage_format(stage, "%s/data.mdb", stage->data_dir);
    for (off_t size = 12 * 4096; size >= META_PAGES_BYTES; size -= 4096) {
        const char *cut = stage_format(stage, "%s: cut to %lld of ", file, (long long)size);
        assert_int_equal(truncate(file, size), 0);
        struct outcome dump = stage_run(stage, "dump");
        stage_expect_code(&dump, 1);
        if (!strstr(dump.err, cut))
            fail_msg("%s is not in: %s", cut, dump.err);
        struct outcome list = stage_run(stage, "sessions", "--data-dir", stage->data_dir);
        stage_expect_code(&list, 1);
        if (!strstr(list.err, cut))
            fail_msg("%s is not in: %s", cut, list.err);
    }
}

/* One session is no file: its words do not doubt whose the database is. */
static void a_damaged_session_is_not_another_programs(struct stage *stage)
{
    leave_zeros(stage, "rows");
    struct process *daemon = stage_start(stage, NULL);
    struct outcome replay = stage_run(stage, "replay", "keep");
    stage_expect_code(&replay, 1);
    assert_non_null(strstr(replay.err, "session 'keep': damaged data\n"));
    assert_int_equal(stage_stop(daemon), 0);
}

/* Also one that was given up is deleted by its life, and by no other. Whatever else means a life of
 * it is told that it is damaged. */
static void a_damaged_session_is_deleted_by_its_life(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record_one(stage, "keep");
    struct outcome info = stage_run(stage, "info", "keep", "--json");
    const char *at = strstr(info.out, "\"life\":\"");
    assert_non_null(at);
    const char *life = stage_format(stage, "%.32s", at + strlen("\"life\":\""));
    static const char other[] = "99999999999999999999999999999999";
    assert_int_equal(stage_stop(daemon), 0);
    zero_leaf(stage, "rows", MDB_FIRST);
    struct outcome deleted =
        stage_run(stage, "delete", "keep", "--offline", "--yes", "--life", other);
    assert_non_null(strstr(deleted.err, "the session has another life now"));
    for (int again = 0; again < 2; again++) { /* from disk, and by its tracker */
        daemon = stage_start(stage, NULL);
        for (int hot = 0; hot < 2; hot++) {
            struct outcome closed = stage_run(stage, "close", "keep", "--life", life);
            stage_expect_code(&closed, 1);
            assert_non_null(strstr(closed.err, "damaged"));
        }
        deleted = stage_run(stage, "delete", "keep", "--yes", "--life", other);
        assert_non_null(strstr(deleted.err, "the session has another life now"));
        assert_int_equal(stage_stop(daemon), 0);
    }
    daemon = stage_start(stage, NULL);
    deleted = stage_run(stage, "delete", "keep", "--yes", "--life", life);
    stage_expect_code(&deleted, 0);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- containers -------------------------------------------------------------------------------- */

static struct outcome run_as_process_1(struct stage *stage, const char *verb, const char *first,
                                       const char *second)
{
    const char *const argv[] = {"unshare", "--pid", "--fork", stage_sponson(),
                                verb,      first,   second,   NULL};
    struct process_options options = {.argv = argv};
    struct outcome outcome =
        stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
    stage_expect_code(&outcome, 0);
    return outcome;
}

/* Both are process 1 of a namespace of their own. */
static void reading_beside_a_daemon_of_the_same_pid(struct stage *stage)
{
    struct stage_daemon options = {.under = {"unshare", "--pid", "--fork", "--kill-child"}};
    struct raw raw;
    if (geteuid() != 0 || system("unshare --pid --fork true 2>/dev/null") != 0) /* NOLINT */
        skip();
    struct process *daemon = stage_start(stage, &options);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, first_id).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 3, 0}, "s");
    raw_expect_acks(&raw, token, 3);
    raw_close(&raw);
    struct outcome outcome = run_as_process_1(stage, "dump", "--data-dir", stage->data_dir);
    assert_non_null(strstr(outcome.out, "\"seq\":3"));
    (void)run_as_process_1(stage, "verify", stage->data_dir, NULL);
    setenv("SPONSON_DATA_DIR", stage->data_dir, 1);
    (void)run_as_process_1(stage, "backup", stage_path(stage, "b"), NULL);
    unsetenv("SPONSON_DATA_DIR");
    process_kill(daemon);
}

/* -- the checkpoint ---------------------------------------------------------------------------- */

enum { WINDOW_EVENTS = 100 };

/* A daemon that took in nothing but a duplicate writes rows at its end, but no position: the
 * checkpoint stays, and the next start reads nothing twice. */
static void duplicates_leave_the_checkpoint(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, first_id).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, WINDOW_EVENTS, 0}, "s");
    raw_expect_acks(&raw, token, WINDOW_EVENTS);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);

    daemon = stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t checkpoint = robust_counter(&raw, "sponson_checkpoint_position");
    assert_int_equal(checkpoint, WINDOW_EVENTS + 1);
    token = raw_take_producer(&raw, second_id).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 1, 0}, "s");
    struct raw_ack ack = raw_expect_acks(&raw, token, 1);
    assert_int_equal(ack.run_count, 1);
    assert_int_equal(ack.runs[0].result, RAW_DUPLICATE);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);

    daemon = stage_start(stage, NULL);
    raw_open(&raw);
    assert_int_equal(robust_counter(&raw, "sponson_checkpoint_position"), checkpoint);
    raw_close(&raw);
    expect_replay(stage, "s", WINDOW_EVENTS);
    struct outcome sessions = stage_run(stage, "sessions", "--json");
    stage_expect_code(&sessions, 0);
    assert_int_equal(event_json_number(sessions.out, "duplicates"), 1);
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(oldest_events_go_at_the_quota),
        STAGE_TEST(full_quota_stopped_everybody),
        STAGE_TEST(openings_that_wait_leave_room_for_readers),
        STAGE_TEST(long_tail_is_recovered_under_a_full_quota),
        STAGE_TEST(long_tail_is_recovered_under_a_smaller_quota),
        STAGE_TEST(long_tail_is_recovered_on_a_full_disk),
        STAGE_TEST(damaged_event_is_a_hole_in_the_window),
        STAGE_TEST(damaged_newest_event_is_a_hole_in_the_window),
        STAGE_TEST(damaged_block_gives_up_its_session_only),
        STAGE_TEST(damaged_row_does_not_stop_the_start),
        STAGE_TEST(a_list_gave_up_a_session_that_goes_on),
        STAGE_TEST(a_damaged_name_failed_the_whole_list),
        STAGE_TEST(damaged_name_is_written_again),
        STAGE_TEST(offline_deletion_says_what_it_mends),
        STAGE_TEST(nothing_is_made_up_of_a_damaged_session),
        STAGE_TEST(a_cut_file_is_called_one),
        STAGE_TEST(a_damaged_session_is_not_another_programs),
        STAGE_TEST(a_damaged_session_is_deleted_by_its_life),
        STAGE_TEST(dump_without_rows_says_that_some_may_be_deleted),
        STAGE_TEST(a_dump_has_what_is_before_a_damaged_end),
        STAGE_TEST(a_dump_does_without_meta),
        STAGE_TEST(a_replay_has_what_is_before_the_damage),
        STAGE_TEST(reading_beside_a_daemon_of_the_same_pid),
        STAGE_TEST(duplicates_leave_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
