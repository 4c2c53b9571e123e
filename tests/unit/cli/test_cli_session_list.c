/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_session_list: rows with the log above the checkpoint laid over them.
 *
 * The model is the whole history: whatever part of it is in rows and whatever only in the log, the
 * list has to be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/session_list.h"
#include "wire.h"

enum { MIB = 1024 * 1024, SESSIONS = 700, ENTRIES = 6000, NAME_SIZE = 32, CLOSING = 11 };

static struct spn_bytes text(const char *bytes)
{
    return (struct spn_bytes){bytes, strlen(bytes)};
}

static const struct spn_bytes no_prefix = {NULL, 0};

/* -- a database per test ----------------------------------------------------------------------- */

static char dir[64];
static struct journal *journal;

static int make_database(void **state)
{
    (void)state;
    struct journal_options options = {.dir = dir, .size_max = 256 * MIB};
    strcpy(dir, "/tmp/test-session-list-XXXXXX");
    if (!mkdtemp(dir) || journal_open(&journal, &options) != SPN_OK)
        return -1;
    return journal_begin(journal) == SPN_OK ? 0 : -1;
}

static int remove_database(void **state)
{
    (void)state;
    char path[128];
    journal_close(journal);
    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    remove(path);
    snprintf(path, sizeof(path), "%s/lock.mdb", dir);
    remove(path);
    return rmdir(dir);
}

/* -- writing and listing ----------------------------------------------------------------------- */

/* A session as the whole history has it. */
struct model {
    char name[NAME_SIZE];
    char last_id[NAME_SIZE];
    char reason[NAME_SIZE];
    char content_type[NAME_SIZE];
    uint64_t ttl_ms;
    uint64_t idle_close_ms;
    uint64_t epoch; /* 0: never opened */
    uint64_t seq;
    uint64_t position; /* of the newest event, or of the opening */
    uint64_t bytes;
    uint64_t opened_ms;
    bool closed;
    bool gone;
};

/* Every third set has no content type. */
static struct spn_bytes set_attributes(struct model *model, uint64_t position)
{
    static uint8_t data[WIRE_ATTRIBUTES_MAX];
    struct wire_out out = wire_out(data, sizeof(data));
    model->ttl_ms = position;
    model->idle_close_ms = position % 2 * 7;
    model->content_type[0] = '\0';
    if (position % 3 > 0)
        snprintf(model->content_type, NAME_SIZE, "type %llu", (unsigned long long)position);
    wire_put_attributes(&out, &(struct wire_attributes){.ttl_ms = model->ttl_ms,
                                                        .idle_close_ms = model->idle_close_ms,
                                                        .content_type = text(model->content_type),
                                                        .note = text("a note")});
    return (struct spn_bytes){data, wire_out_size(&out)};
}

static void append(struct model *model, uint64_t position, uint8_t kind)
{
    struct record_entry entry = {.kind = kind, .wall_ms = position * 10, .retry_ms = UINT32_MAX};
    if (kind == RECORD_OPEN) {
        model->epoch = position;
        model->opened_ms = entry.wall_ms;
        model->seq = model->bytes = 0;
        model->last_id[0] = model->reason[0] = model->content_type[0] = '\0';
        model->ttl_ms = model->idle_close_ms = 0;
        model->closed = model->gone = false;
        model->position = position;
        entry.data = text(model->name);
    }
    if (kind == RECORD_EVENT) {
        model->seq++;
        model->bytes += 3;
        model->position = position;
        snprintf(model->last_id, NAME_SIZE, "id %llu", (unsigned long long)position);
        entry.id = text(model->last_id);
        entry.data = text("abc");
        entry.closes = position % CLOSING == 0;
    }
    if (kind == RECORD_CLOSE)
        entry.closes = true;
    if (kind == RECORD_ATTRIBUTES)
        entry.data = set_attributes(model, position);
    if (entry.closes && !model->closed) {
        snprintf(model->reason, NAME_SIZE, "reason %llu", (unsigned long long)position % 5);
        entry.reason = text(model->reason);
        model->closed = true;
    }
    model->gone = kind == RECORD_DELETE || kind == RECORD_EXPIRE;
    entry.epoch = model->epoch;
    entry.seq = model->seq;
    entry.bytes = model->bytes;
    entry.data_hash = record_hash(entry.data);
    assert_int_equal(journal_append(journal, position, &entry), SPN_OK);
}

static void put_row(const struct model *model)
{
    struct record_row row = {
        .seq = model->seq,
        .position = model->position,
        .bytes = model->bytes,
        .opened_ms = model->opened_ms,
        .last_ms = model->position * 10,
        .duplicates = 5,
        .conflicts = 6,
        .state = model->gone     ? RECORD_DELETED
                 : model->closed ? RECORD_CLOSED
                                 : RECORD_LIVE,
        .name = text(model->name),
        .last_id = text(model->last_id),
        .reason = text(model->reason),
        .ttl_ms = model->ttl_ms,
        .idle_close_ms = model->idle_close_ms,
        .has_attributes = model->ttl_ms > 0,
    };
    const struct record_attributes attributes = {text(model->content_type), text("a note")};
    if (row.has_attributes)
        assert_int_equal(journal_put_attributes(journal, model->epoch, &attributes), SPN_OK);
    assert_int_equal(journal_put_row(journal, model->epoch, &row), SPN_OK);
    assert_int_equal(journal_put_name(journal, row.name, model->epoch), SPN_OK);
}

static void commit(uint64_t checkpoint)
{
    struct record_meta meta = *journal_meta(journal);
    meta.checkpoint = checkpoint;
    meta.next_position = checkpoint + 1;
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
}

static struct session_list *open_list(struct spn_bytes prefix)
{
    struct session_list *list;
    assert_int_equal(session_list_open(&list, journal, prefix), SPN_OK);
    return list;
}

static void check_text(struct spn_bytes found, const char *wanted)
{
    assert_int_equal(found.size, strlen(wanted));
    assert_memory_equal(found.size > 0 ? found.data : "", wanted, found.size);
}

static void check_session(const struct spn_session *session, const struct model *model)
{
    check_text(session->name, model->name);
    check_text(session->last_id, model->last_id);
    check_text(session->reason, model->reason);
    check_text(session->content_type, model->content_type);
    assert_int_equal(session->ttl_ms, model->ttl_ms);
    assert_int_equal(session->idle_close_ms, model->idle_close_ms);
    assert_int_equal(session->epoch, model->epoch);
    assert_int_equal(session->seq, model->seq);
    assert_int_equal(session->position, model->position);
    assert_int_equal(session->bytes, model->bytes);
    assert_int_equal(session->opened_ms, model->opened_ms);
    assert_int_equal(session->last_ms, model->position * 10);
    assert_int_equal(session->state, model->closed ? SPN_CLOSED : SPN_LIVE);
}

/* models are in the order of their names. */
static void check_list(const struct model *models, size_t count, const char *prefix)
{
    struct spn_session session;
    struct session_list *list = open_list(text(prefix));
    for (size_t i = 0; i < count; i++) {
        if (models[i].epoch == 0 || models[i].gone)
            continue;
        if (strncmp(models[i].name, prefix, strlen(prefix)) != 0)
            continue;
        assert_int_equal(session_list_next(list, &session), SPN_OK);
        check_session(&session, &models[i]);
    }
    assert_int_equal(session_list_next(list, &session), SPN_E_END);
    assert_int_equal(session_list_damaged(list), 0);
    session_list_close(list);
}

/* -- the model --------------------------------------------------------------------------------- */

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 8;
}

static uint8_t random_kind(const struct model *model, unsigned random)
{
    if (model->epoch == 0 || model->gone)
        return RECORD_OPEN;
    random %= 100;
    if (model->closed)
        return random < 30   ? RECORD_DELETE
               : random < 60 ? RECORD_EXPIRE
               : random < 80 ? RECORD_TOUCH
                             : RECORD_ATTRIBUTES;
    return random < 5    ? RECORD_DELETE
           : random < 8  ? RECORD_EXPIRE
           : random < 20 ? RECORD_CLOSE
           : random < 35 ? RECORD_ATTRIBUTES
           : random < 40 ? RECORD_TOUCH
                         : RECORD_EVENT;
}

/* rows_from: rows of sessions whose newest entry is above this were not written. */
static void write_history(struct model *models, unsigned seed, uint64_t checkpoint,
                          uint64_t rows_until)
{
    for (size_t i = 0; i < SESSIONS; i++)
        snprintf(models[i].name, NAME_SIZE, "s%04zu", i * 3);
    for (uint64_t position = 1; position <= ENTRIES; position++) {
        struct model *model = &models[next_random(&seed) % SESSIONS];
        append(model, position, random_kind(model, next_random(&seed)));
        if (position == rows_until)
            for (size_t i = 0; i < SESSIONS; i++)
                if (models[i].epoch != 0)
                    put_row(&models[i]);
    }
    commit(checkpoint);
}

static size_t count_with_type(const struct model *models)
{
    size_t count = 0;
    for (size_t i = 0; i < SESSIONS; i++)
        count += models[i].content_type[0] != '\0' && !models[i].gone;
    return count;
}

static size_t count_closed(const struct model *models)
{
    size_t count = 0;
    for (size_t i = 0; i < SESSIONS; i++)
        count += models[i].closed && !models[i].gone;
    return count;
}

static void check_history(unsigned seed, uint64_t checkpoint, uint64_t rows_until)
{
    struct model *models = calloc(SESSIONS, sizeof(*models));
    assert_non_null(models);
    write_history(models, seed, checkpoint, rows_until);
    assert_true(count_closed(models) > SESSIONS / 20);
    assert_true(count_with_type(models) > SESSIONS / 10);
    check_list(models, SESSIONS, "");
    check_list(models, SESSIONS, "s1");
    check_list(models, SESSIONS, "s0003"); /* a name itself */
    check_list(models, SESSIONS, "s00");
    check_list(models, SESSIONS, "t");
    free(models);
}

static void nothing_is_in_rows(void **state)
{
    (void)state;
    check_history(1, 0, 0);
}

static void everything_is_in_rows(void **state)
{
    (void)state;
    check_history(2, ENTRIES, ENTRIES);
}

static void some_is_in_rows(void **state)
{
    (void)state;
    check_history(3, ENTRIES / 2, ENTRIES / 2);
}

static void a_little_is_in_rows(void **state)
{
    (void)state;
    check_history(4, 700, 700);
}

/* A segment under way: rows are further than the checkpoint says. */
static void rows_are_ahead_of_the_checkpoint(void **state)
{
    (void)state;
    check_history(5, ENTRIES / 3, ENTRIES / 2);
}

/* -- by hand ----------------------------------------------------------------------------------- */

static void an_empty_database_has_none(void **state)
{
    (void)state;
    commit(0);
    check_list(NULL, 0, "");
}

/* Names of a segment under way are written before its rows. */
static void a_name_without_a_row_is_in_the_log(void **state)
{
    (void)state;
    struct model model = {.name = "a"};
    append(&model, 1, RECORD_OPEN);
    append(&model, 2, RECORD_EVENT);
    assert_int_equal(journal_put_name(journal, text("a"), 1), SPN_OK);
    commit(0);
    check_list(&model, 1, "");
}

static void counters_are_the_rows(void **state)
{
    (void)state;
    struct model model = {.name = "a"};
    struct spn_session session;
    append(&model, 1, RECORD_OPEN);
    append(&model, 2, RECORD_EVENT);
    put_row(&model);
    append(&model, 3, RECORD_EVENT);
    commit(2);
    struct session_list *list = open_list(no_prefix);
    assert_int_equal(session_list_next(list, &session), SPN_OK);
    check_session(&session, &model);
    assert_int_equal(session.duplicates, 5);
    assert_int_equal(session.conflicts, 6);
    session_list_close(list);
    session_list_close(NULL);
}

int main(void)
{
#define LIST_TEST(test) cmocka_unit_test_setup_teardown(test, make_database, remove_database)
    const struct CMUnitTest tests[] = {
        LIST_TEST(nothing_is_in_rows),
        LIST_TEST(everything_is_in_rows),
        LIST_TEST(some_is_in_rows),
        LIST_TEST(a_little_is_in_rows),
        LIST_TEST(rows_are_ahead_of_the_checkpoint),
        LIST_TEST(an_empty_database_has_none),
        LIST_TEST(a_name_without_a_row_is_in_the_log),
        LIST_TEST(counters_are_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
