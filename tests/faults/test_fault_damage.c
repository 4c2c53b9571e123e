/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_damage: whatever is damaged in the database's file, nobody is told anything wrong.
 *
 * A daemon's database is damaged while no daemon runs: a bit in a page's data or in its header, a
 * page of zeros, two pages in each other's place, the end cut off. Then `sponson dump` reads it, a
 * daemon starts on it, one event is published to each session, and each is replayed. Every event
 * that comes out must be one that went in, in its place; where one is missing, the command must
 * have failed, or the daemon must have refused to start, with words. Nothing hangs. A process that
 * dies of a signal has said so, and at most one in a hundred does.
 *
 * The seed is printed; with a second argument it is taken from there. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "history.h"
#include "sponson.h"
#include "stage.h"

enum {
    EVENTS = 2400,
    SESSIONS = 8,
    SMALL = 150,
    LARGE = 6000, /* goes to overflow pages */
    PAGE = 4096,
    HEAD = 16, /* of a page */
    ROUNDS = 50,
    ROUNDS_CAMPAIGN = 1000,
    ROUNDS_MORE = 200, /* until what is damaged is something that is read */
    OPEN_MS = 10000,
    END_MS = 20000,
    SIGNALS = 128, /* exit codes above it are signals */
    SIGNALS_PART = 100,
};

enum kind { BIT, HEADER, ZEROED, SWAPPED, CUT, KINDS };
static const char *const kind_names[KINDS] = {"a bit in a page", "a bit in a page's header",
                                              "a page of zeros", "two pages swapped", "cut off"};

static bool campaign;
static uint64_t seed;

/* What became of one kind of damage. */
struct tally {
    size_t rounds;
    size_t dump_failed;
    size_t dump_short; /* events were missing, and it said so */
    size_t refused;    /* the daemon did not start, and said why */
    size_t replays_failed;
    size_t signals;
};

struct damage {
    struct stage *stage;
    uint8_t *whole; /* the file as it was left */
    size_t size;
    uint8_t *bytes; /* and damaged */
    size_t bytes_size;
    const char *dir; /* of the damaged one */
    bool blocks;     /* only leaves of blocks are damaged */
    char what[200];
    uint64_t random;
    struct tally tallies[KINDS];
};

static uint64_t next_random(struct damage *damage)
{
    damage->random ^= damage->random << 13;
    damage->random ^= damage->random >> 7;
    damage->random ^= damage->random << 17;
    return damage->random;
}

/* -- what goes in ------------------------------------------------------------------------------ */

static void name_session(uint64_t number, char session[16])
{
    snprintf(session, 16, "s%d", (int)(number % SESSIONS));
}

/* The event with this number: the numbers of a session's events are SESSIONS apart. */
static size_t fill(uint64_t number, char data[LARGE + 1])
{
    return history_put_data(data, number % 40 == 0 ? LARGE : SMALL, 0, number);
}

static void publish(spn_producer *producer, uint64_t number)
{
    char data[LARGE + 1];
    char session[16], id[24];
    struct spn_event event = SPN_EVENT_INIT;
    name_session(number, session);
    snprintf(id, sizeof(id), "e%d", (int)number);
    event.id = spn_text(id);
    event.data.data = data;
    event.data.size = fill(number, data);
    assert_int_equal(spn_publish(producer, spn_text(session), &event, NULL), SPN_OK);
}

static const struct stage_daemon daemon_options = {
    .more = {STAGE_KEEP_ALL, "--row-interval", "100"}};

static void record_life(struct damage *damage, struct stage *stage)
{
    spn_client *client;
    spn_producer *producer;
    struct process *daemon = stage_start(stage, &daemon_options);
    assert_int_equal(spn_client_open(&client, NULL, OPEN_MS, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_open(&producer, client, NULL, OPEN_MS), SPN_OK);
    for (uint64_t number = 1; number <= EVENTS; number++) {
        publish(producer, number);
        if (number % 200 == 0)
            assert_int_equal(spn_producer_flush(producer, END_MS), SPN_OK);
    }
    assert_int_equal(spn_producer_close(producer, END_MS, NULL), SPN_OK);
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
    struct spn_bytes file =
        stage_read_file(stage, stage_format(stage, "%s/data.mdb", stage->data_dir));
    damage->stage = stage;
    damage->whole = (uint8_t *)(uintptr_t)file.data;
    damage->size = file.size / PAGE * PAGE;
    damage->bytes = stage_keep(stage, malloc(damage->size));
    damage->dir = stage_make_dir(stage, "damaged");
}

/* -- damage ------------------------------------------------------------------------------------ */

/* The pages in use: what is behind them is room made ahead. */
static size_t pages_used(const struct damage *damage)
{
    uint64_t last = 0;
    for (size_t i = 0; i < 2; i++) {
        uint64_t of;
        memcpy(&of, damage->whole + i * PAGE + 136, sizeof(of)); /* mm_last_pg */
        last = of > last ? of : last;
    }
    return (size_t)last + 1;
}

/* A leaf of blocks: its keys are 20 bytes, and no other table's. */
static bool has_blocks(const struct damage *damage, size_t page)
{
    const uint8_t *bytes = damage->whole + page * PAGE;
    uint16_t lower, node, key_size;
    memcpy(&lower, bytes + 12, sizeof(lower));
    memcpy(&node, bytes + HEAD, sizeof(node));
    if (page < 2 || bytes[10] != 2 || lower <= HEAD || node > PAGE - 8)
        return false;
    memcpy(&key_size, bytes + node + 6, sizeof(key_size));
    return key_size == 20;
}

static size_t choose_page(struct damage *damage, size_t used)
{
    size_t page = next_random(damage) % used;
    for (int tries = 0; damage->blocks && !has_blocks(damage, page) && tries < 100000; tries++)
        page = next_random(damage) % used;
    return page;
}

static void damage_pages(struct damage *damage, enum kind kind)
{
    size_t used = pages_used(damage);
    size_t page = choose_page(damage, used);
    size_t other = next_random(damage) % used;
    size_t at = next_random(damage) % (kind == HEADER ? HEAD : PAGE);
    unsigned bit = next_random(damage) % 8;
    uint8_t *bytes = damage->bytes + page * PAGE;
    uint8_t held[PAGE];
    damage->bytes_size = damage->size;
    snprintf(damage->what, sizeof(damage->what), "%s: page %zu, byte %zu, bit %u, other page %zu",
             kind_names[kind], page, at, bit, other);
    switch (kind) {
    case BIT:
    case HEADER:
        bytes[at] ^= (uint8_t)(1u << bit);
        break;
    case ZEROED:
        memset(bytes, 0, PAGE);
        break;
    case SWAPPED:
        memcpy(held, bytes, PAGE);
        memcpy(bytes, damage->bytes + other * PAGE, PAGE);
        memcpy(damage->bytes + other * PAGE, held, PAGE);
        break;
    case CUT:
    case KINDS:
        damage->bytes_size = next_random(damage) % (used * PAGE);
        snprintf(damage->what, sizeof(damage->what), "cut to %zu bytes", damage->bytes_size);
        break;
    }
}

static void write_damaged(struct damage *damage, enum kind kind)
{
    const char *lock = stage_format(damage->stage, "%s/lock.mdb", damage->dir);
    const char *path = stage_format(damage->stage, "%s/data.mdb", damage->dir);
    memcpy(damage->bytes, damage->whole, damage->size);
    damage_pages(damage, kind);
    (void)unlink(lock);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, damage->bytes, damage->bytes_size), damage->bytes_size);
    close(fd);
}

/* -- what comes out ---------------------------------------------------------------------------- */

/* A command that ended. */
struct ended {
    int code;
    char *output;
    size_t output_size;
    char *errors;
};

static struct ended run(struct damage *damage, const char *const *words)
{
    struct process process = PROCESS_INIT;
    struct ended ended = {.code = 0};
    size_t size;
    assert_int_equal(process_start(&process, &(struct process_options){.argv = words}), SPN_OK);
    ended.code = process_wait(&process, until_in(END_MS));
    if (ended.code == PROCESS_NOT_ENDED)
        fail_msg("%s: `sponson %s` hangs", damage->what, words[1]);
    ended.output = process_output(&process, &ended.output_size);
    ended.errors = process_errors(&process, &size);
    process_release(&process);
    return ended;
}

static void end_ended(struct ended *ended)
{
    free(ended->output);
    free(ended->errors);
}

/* A line that was begun when it died is not whole. */
static void read_events(struct event_list *list, const struct ended *ended, const char *session)
{
    size_t size = ended->output_size;
    while (size > 0 && ended->output[size - 1] != '\n')
        size--;
    event_list_add_json(list, (struct spn_bytes){ended->output, size}, session);
}

/* Which of the events of its session it is; fails the test when it is none. */
static void expect_true(struct damage *damage, const char *command, const struct event_item *item)
{
    char data[LARGE + 1];
    unsigned long long number = 0;
    char text[32] = {0};
    char session[16];
    if (item->id.size > 1 && item->id.size < sizeof(text)) {
        memcpy(text, (const char *)item->id.data + 1, item->id.size - 1);
        number = strtoull(text, NULL, 10);
    }
    name_session(number, session);
    size_t size = number > 0 ? fill(number, data) : 0;
    uint64_t seq = (number - 1) / SESSIONS + 1;
    if (number == 0 || item->seq != seq || item->data.size != size ||
        memcmp(item->data.data, data, size) != 0 || item->session.size != strlen(session) ||
        memcmp(item->session.data, session, strlen(session)) != 0)
        fail_msg("%s: %s gives a wrong event: seq %" PRIu64 ", id %.*s", damage->what, command,
                 item->seq, (int)item->id.size, (const char *)item->id.data);
}

static void expect_told(struct damage *damage, struct tally *tally, const char *command,
                        const struct ended *ended)
{
    tally->signals += ended->code > SIGNALS;
    if (ended->code != 0 && (!ended->errors || ended->errors[0] == '\0'))
        fail_msg("%s: %s ends with %d and no words", damage->what, command, ended->code);
}

static void try_dump(struct damage *damage, struct tally *tally)
{
    struct event_list list = EVENT_LIST_INIT;
    struct ended ended = run(
        damage, (const char *const[]){stage_sponson(), "dump", "--data-dir", damage->dir, NULL});
    read_events(&list, &ended, NULL);
    for (size_t i = 0; i < list.count; i++) {
        expect_true(damage, "dump", &list.items[i]);
        if (i > 0 && list.items[i].position <= list.items[i - 1].position)
            fail_msg("%s: dump goes back", damage->what);
    }
    expect_told(damage, tally, "dump", &ended);
    if (list.count < EVENTS && ended.code == 0)
        fail_msg("%s: dump gives %zu of %d events and exits with 0", damage->what, list.count,
                 EVENTS);
    tally->dump_failed += ended.code != 0;
    tally->dump_short += list.count > 0 && list.count < EVENTS;
    event_list_release(&list);
    end_ended(&ended);
}

/* One event more for each session; what becomes of it is the daemon's to say. */
static void publish_more(struct damage *damage, bool stored[SESSIONS])
{
    spn_client *client;
    spn_producer *producer;
    const struct spn_ack *ack;
    if (spn_client_open(&client, NULL, OPEN_MS, NULL, 0) != SPN_OK)
        return;
    if (spn_producer_open(&producer, client, NULL, OPEN_MS) == SPN_OK) {
        for (uint64_t number = EVENTS + 1; number <= EVENTS + SESSIONS; number++) {
            publish(producer, number);
            spn_err err = spn_producer_next_ack(producer, END_MS, &ack);
            stored[number % SESSIONS] = err == SPN_OK && ack->result == SPN_STORED;
            if (err == SPN_E_TIMEOUT)
                fail_msg("%s: event %d is not answered", damage->what, (int)number);
        }
        (void)spn_producer_close(producer, 0, NULL);
    }
    spn_client_close(client);
}

static void try_replay(struct damage *damage, struct tally *tally, uint64_t number, bool stored)
{
    char session[16];
    struct event_list list = EVENT_LIST_INIT;
    name_session(number, session);
    struct ended ended =
        run(damage, (const char *const[]){stage_sponson(), "replay", session, NULL});
    read_events(&list, &ended, NULL);
    for (size_t i = 0; i < list.count; i++) {
        struct event_item item = list.items[i];
        item.session = spn_text(session); /* which a replay does not say */
        expect_true(damage, "replay", &item);
        if (item.seq != i + 1)
            fail_msg("%s: replay of %s has a hole at seq %zu", damage->what, session, i + 1);
    }
    expect_told(damage, tally, "replay", &ended);
    size_t wanted = EVENTS / SESSIONS + (stored ? 1 : 0);
    if (list.count < wanted && ended.code == 0)
        fail_msg("%s: replay of %s gives %zu of %zu events and exits with 0", damage->what, session,
                 list.count, wanted);
    tally->replays_failed += ended.code != 0;
    event_list_release(&list);
    end_ended(&ended);
}

static void expect_last_words(struct damage *damage, struct tally *tally, int code)
{
    const char *log = stage_log(damage->stage);
    if (code == PROCESS_NOT_ENDED)
        fail_msg("%s: the daemon hangs", damage->what);
    if (code == 0)
        return;
    tally->signals += code > SIGNALS;
    if (!strstr(log, "level=error"))
        fail_msg("%s: the daemon ends with %d and no words", damage->what, code);
}

static void try_daemon(struct damage *damage, struct tally *tally)
{
    struct stage_daemon options = daemon_options;
    bool stored[SESSIONS] = {false};
    int ready_fd;
    options.data_dir = damage->dir;
    (void)unlink(damage->stage->log_path);
    struct process *daemon = stage_begin(damage->stage, &options, &ready_fd);
    if (!stage_is_ready(ready_fd, until_in(END_MS))) {
        int code = process_wait(daemon, until_in(END_MS));
        expect_last_words(damage, tally, code);
        assert_int_not_equal(code, 0);
        tally->refused++;
    } else {
        publish_more(damage, stored);
        for (uint64_t i = 0; i < SESSIONS; i++)
            try_replay(damage, tally, i, stored[i]);
        process_signal(daemon, SIGTERM);
        expect_last_words(damage, tally, process_wait(daemon, until_in(END_MS)));
    }
    close(ready_fd);
    process_release(daemon);
}

static void print_tally(enum kind kind, const struct tally *tally)
{
    print_message("%s: %zu; dump failed %zu times, in %zu of them with a part of the events; the "
                  "daemon refused %zu; replays failed %zu of %zu; signals %zu\n",
                  kind_names[kind], tally->rounds, tally->dump_failed, tally->dump_short,
                  tally->refused, tally->replays_failed,
                  (tally->rounds - tally->refused) * SESSIONS, tally->signals);
}

/* Kinds that hit something that is read. */
static size_t count_met(const struct damage *damage)
{
    size_t met = 0;
    for (int kind = 0; kind < KINDS; kind++)
        met += damage->tallies[kind].dump_failed > 0;
    return met;
}

static void nobody_is_told_anything_wrong(struct stage *stage)
{
    struct damage damage = {.random = seed};
    size_t rounds = until_scaled(campaign ? ROUNDS_CAMPAIGN : ROUNDS);
    size_t signals = 0;
    size_t i = 0;
    uint64_t begun_ns = until_now_ns();
    print_message("seed %" PRIu64 "; damaged while no daemon runs\n", seed);
    record_life(&damage, stage);
    for (; i < rounds || (count_met(&damage) < KINDS && i < rounds + ROUNDS_MORE); i++) {
        enum kind kind = (enum kind)(i % KINDS);
        struct tally *tally = &damage.tallies[kind];
        tally->rounds++;
        write_damaged(&damage, kind);
        try_dump(&damage, tally);
        try_daemon(&damage, tally);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        print_tally((enum kind)kind, &damage.tallies[kind]);
        signals += damage.tallies[kind].signals;
    }
    print_message("%zu damages in %.1f s\n", i, (double)(until_now_ns() - begun_ns) / 1000000000.0);
    assert_int_equal(count_met(&damage), KINDS);
    assert_true(signals <= i / SIGNALS_PART);
}

/* Events that no block has any more looked hidden: trimming took them, and then they were said to
 * be no longer retained. */
static void lost_blocks_are_not_taken_for_retention(struct stage *stage)
{
    struct damage damage = {.random = seed, .blocks = true};
    size_t rounds = until_scaled(campaign ? ROUNDS_CAMPAIGN / 10 : ROUNDS / 5);
    size_t failed = 0;
    size_t i = 0;
    record_life(&damage, stage);
    for (; i < rounds || (failed == 0 && i < rounds + ROUNDS_MORE); i++) {
        enum kind kind = i % 2 == 0 ? HEADER : ZEROED;
        write_damaged(&damage, kind);
        try_daemon(&damage, &damage.tallies[kind]);
        failed += damage.tallies[kind].replays_failed > 0;
    }
    print_message("%zu leaves of blocks\n", i);
    assert_true(failed > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {STAGE_TEST(nobody_is_told_anything_wrong),
                                       STAGE_TEST(lost_blocks_are_not_taken_for_retention)};
    campaign = argc > 1 && strcmp(argv[1], "campaign") == 0;
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        return 1;
    seed |= 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
