/* SPDX-License-Identifier: Apache-2.0 */
#include "onlooker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "check.h"
#include "store/journal.h"
#include "until.h"

enum { OPEN_MS = 10000, WAIT_MS = 20000 };

spn_client *onlooker_client(void)
{
    char detail[256] = "";
    spn_client *client = NULL;
    spn_err err =
        spn_client_open(&client, NULL, until_left_ms(until_in(OPEN_MS)), detail, sizeof(detail));
    if (err != SPN_OK)
        fail_msg("client: %s: %s", spn_err_name(err), detail);
    return client;
}

/* -- subscriptions ----------------------------------------------------------------------------- */

spn_subscription *onlooker_subscribe(spn_client *client, const char *session, spn_start start,
                                     size_t window_bytes)
{
    spn_subscription *subscription = NULL;
    const struct spn_subscription_options options = {
        .size = sizeof(options), .start = start, .window_bytes = window_bytes};
    assert_int_equal(spn_subscribe(&subscription, client, spn_text(session), &options), SPN_OK);
    return subscription;
}

struct spn_item onlooker_next(spn_subscription *subscription)
{
    const struct spn_item *item;
    do {
        spn_err err = spn_subscription_next(subscription, until_left_ms(until_in(WAIT_MS)), &item);
        if (err != SPN_OK)
            fail_msg("no item: %s", spn_err_name(err));
    } while (item->kind == SPN_ITEM_CAUGHT_UP);
    return *item;
}

struct spn_item onlooker_expect(spn_subscription *subscription, spn_item_kind kind)
{
    struct spn_item item = onlooker_next(subscription);
    if (item.kind != kind)
        fail_msg("item %d, not %d; seq %llu, missing %llu, %s", (int)item.kind, (int)kind,
                 (unsigned long long)item.seq, (unsigned long long)item.missing,
                 spn_err_name(item.why));
    return item;
}

/* -- counters ---------------------------------------------------------------------------------- */

uint64_t onlooker_counter(spn_client *client, const char *name)
{
    const struct spn_stat *stats;
    size_t count;
    assert_int_equal(spn_get_stats(client, ONLOOKER_ASK_MS, &stats, &count), SPN_OK);
    for (size_t i = 0; i < count; i++)
        if (strcmp(stats[i].name, name) == 0)
            return stats[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

struct wanted {
    spn_client *client;
    const char *name;
    uint64_t least;
    uint64_t most;
    uint64_t value;
};

static bool is_within(void *argument)
{
    struct wanted *wanted = argument;
    wanted->value = onlooker_counter(wanted->client, wanted->name);
    return wanted->value >= wanted->least && wanted->value <= wanted->most;
}

static uint64_t wait_within(struct wanted wanted)
{
    if (!until_true(until_in(WAIT_MS), is_within, &wanted))
        fail_msg("%s is %llu, and should be from %llu to %llu", wanted.name,
                 (unsigned long long)wanted.value, (unsigned long long)wanted.least,
                 (unsigned long long)wanted.most);
    return wanted.value;
}

uint64_t onlooker_wait_least(spn_client *client, const char *name, uint64_t least)
{
    return wait_within((struct wanted){client, name, least, UINT64_MAX, 0});
}

uint64_t onlooker_wait_most(spn_client *client, const char *name, uint64_t most)
{
    return wait_within((struct wanted){client, name, 0, most, 0});
}

/* -- the disk ---------------------------------------------------------------------------------- */

static uint64_t count_committed(struct journal_reader *reader)
{
    struct record_run *runs = calloc(RECORD_RUNS_MAX, sizeof(*runs));
    struct record_producer producer;
    uint8_t id[RECORD_PRODUCER_ID_SIZE] = {0};
    uint64_t committed = 0;
    assert_non_null(runs);
    for (bool first = true;
         journal_read_producer_after(reader, first, id, runs, &producer) == SPN_OK; first = false)
        committed += producer.number;
    free(runs);
    return committed;
}

struct view {
    struct journal *journal;
    struct journal_reader *reader;
};

static struct view open_view(const char *data_dir)
{
    struct view view;
    struct journal_options options = {.dir = data_dir, .read_only = true};
    assert_int_equal(journal_open(&view.journal, &options), SPN_OK);
    assert_int_equal(journal_reader_open(&view.reader, view.journal), SPN_OK);
    return view;
}

static void close_view(struct view *view)
{
    journal_reader_close(view->reader);
    journal_close(view->journal);
}

/* Inside a snapshot: blocks come in the order of segments. */
static bool has_unfinished(struct journal_reader *reader)
{
    struct record_block block;
    uint64_t epoch;
    uint32_t segment = journal_reader_meta(reader)->segment + 1;
    return journal_read_segment_block(reader, segment, 0, 0, &epoch, &block) == SPN_OK;
}

struct onlooker_disk onlooker_look(const char *data_dir)
{
    struct view view = open_view(data_dir);
    assert_int_equal(journal_reader_begin(view.reader), SPN_OK);
    struct onlooker_disk disk = {
        .committed = count_committed(view.reader),
        .checkpoint = journal_reader_meta(view.reader)->checkpoint,
        .newest = journal_reader_newest(view.reader),
        .unfinished = has_unfinished(view.reader),
    };
    journal_reader_end(view.reader);
    close_view(&view);
    return disk;
}

bool onlooker_see_segment(const char *data_dir, uint64_t due_ns)
{
    struct view view = open_view(data_dir);
    bool seen = false;
    while (!seen && !until_over(due_ns)) {
        assert_int_equal(journal_reader_begin(view.reader), SPN_OK);
        seen = has_unfinished(view.reader);
        journal_reader_end(view.reader);
        if (!seen)
            until_passed_us(100);
    }
    close_view(&view);
    return seen;
}

uint64_t onlooker_file_bytes(const char *data_dir)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof(path), "%s/data.mdb", data_dir);
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

uint32_t onlooker_random(uint32_t below)
{
    uint32_t random;
    assert_int_equal(getrandom(&random, sizeof(random), 0), sizeof(random));
    return random % below;
}
