/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_kill: exactly once, whoever is killed.
 *
 * Eight producers, two of them without ids of their own, with far more events in flight than the
 * window has in which the sidecar looks for duplicate ids. First the sidecar is killed again and
 * again, then the producers are, then programs in the middle of a large batch. What was
 * acknowledged is there, each event once and in order, and a batch is there whole or not at all.
 *
 * Only kills that could have done harm count, and whether one could is seen from outside: when the
 * sidecar is dead, its disk says what is committed of each producer. More than a window of events
 * that were published and are not committed are gone with its memory; those that are committed and
 * were not acknowledged come again. test_crash does the same to the recorder of the command line,
 * with streams as apps have them. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "check.h"
#include "crowd.h"
#include "dump.h"
#include "store/journal.h"
#include "robust.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    MEMBERS = 8,
    WINDOW_IDS = 128, /* the sidecar's default */
    KILLS = 10,
    KILLS_CAMPAIGN = 100, /* of each of so many rounds, which have a directory each: */
    ROUNDS = 10,
    TRIES_PER_KILL = 4, /* kills until one counts, at most; */
    TRIES_MIN = 40,     /* and so many in all, where sanitizers make the numbers small */
    LIFE_MAX_US = 15000,
    ACKED_MIN = 100, /* in the life that ends */
    MEMBER_KILLS = 20,
    MEMBER_KILLS_CAMPAIGN = 500,
    BATCH_KILLS = 10,
    BATCH_KILLS_CAMPAIGN = 200,
    WAIT_MS = 60000,
};

static const struct crowd_plan plan = {
    .members = MEMBERS,
    .without_ids = MEMBERS / 4,
    .sessions = 32,
    .event_size = 100,
    .window_events = 1024,
};

static bool campaign;

struct kill {
    struct stage *stage;
    struct process *daemon;
    struct crowd crowd;
    size_t kills;
    size_t counted;
    uint64_t in_flight; /* not committed, sum over the kills that counted */
    size_t resends;     /* kills after which committed events came again */
    uint64_t resent;    /* events of those */
};

static uint32_t choose(uint32_t below)
{
    uint32_t random = 0;
    assert_int_equal(getrandom(&random, sizeof(random), 0), sizeof(random));
    return random % below;
}

static void start(struct kill *kill)
{
    /* In some lives the index is written all the time, in others never. */
    static const char *const intervals[] = {"60000", "20", "1"};
    struct stage_daemon options = {
        .more = {STAGE_KEEP_ALL, "--row-interval", intervals[kill->kills % 3]}};
    kill->daemon = stage_start(kill->stage, &options);
}

static void expect_everything(struct kill *kill, const char *what)
{
    struct history *history = crowd_history(&kill->crowd);
    int code = dump_into(history, kill->stage->data_dir, kill->stage->log_path);
    struct history_verdict verdict = history_judge(history);
    assert_int_equal(code, 0);
    history_expect_whole(what, &verdict);
    print_message("%" PRIu64 " events, %" PRIu64 " acknowledged: none lost, doubled or out of "
                  "order\n",
                  verdict.stored, verdict.acked);
    assert_int_equal(verdict.stored, verdict.sent);
    history_free(history);
}

/* -- the sidecar is killed --------------------------------------------------------------------- */

/* What is committed of each member's numbers, from the disk of a dead daemon. */
static void read_committed(struct kill *kill, uint64_t *ret_committed)
{
    struct journal *journal;
    struct journal_reader *reader;
    struct journal_options options = {.dir = kill->stage->data_dir, .read_only = true};
    struct record_run *runs = calloc(RECORD_RUNS_MAX, sizeof(*runs));
    struct record_producer producer;
    uint8_t id[RECORD_PRODUCER_ID_SIZE] = {0};
    assert_non_null(runs);
    memset(ret_committed, 0, MEMBERS * sizeof(*ret_committed));
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (bool first = true;
         journal_read_producer_after(reader, first, id, runs, &producer) == SPN_OK; first = false) {
        uint8_t member = id[RECORD_PRODUCER_ID_SIZE - 1]; /* see crowd_member.c */
        assert_true(member < MEMBERS);
        ret_committed[member] = producer.number;
    }
    journal_reader_end(reader);
    journal_reader_close(reader);
    journal_close(journal);
    free(runs);
}

/* taken: what each member had published before the kill. */
static void judge_kill(struct kill *kill, const uint64_t *taken)
{
    uint64_t committed[MEMBERS];
    uint64_t lost = 0;
    uint64_t again = 0;
    bool beyond_window = false;
    read_committed(kill, committed);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        uint64_t acked = atomic_load(&kill->crowd.page->members[i].acked);
        if (acked > committed[i])
            fail_msg("kill %zu: member %u was acknowledged %" PRIu64 ", on disk is %" PRIu64,
                     kill->kills, i, acked, committed[i]);
        lost += taken[i] > committed[i] ? taken[i] - committed[i] : 0;
        again += committed[i] - acked;
        beyond_window = beyond_window || taken[i] > committed[i] + WINDOW_IDS;
    }
    kill->counted += beyond_window;
    kill->in_flight += beyond_window ? lost : 0;
    kill->resends += again > 0;
    kill->resent += again;
}

static void kill_sidecar(struct kill *kill)
{
    uint64_t taken[MEMBERS];
    uint64_t acked = crowd_acked(&kill->crowd);
    crowd_wait_acked(&kill->crowd, acked + ACKED_MIN, WAIT_MS);
    until_passed_us(choose(LIFE_MAX_US));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        uint64_t about_to_be = atomic_load(&kill->crowd.page->members[i].taken);
        taken[i] = about_to_be > 0 ? about_to_be - 1 : 0;
    }
    process_kill(kill->daemon);
    process_release(kill->daemon);
    kill->kills++;
    judge_kill(kill, taken);
}

static void killed_sidecar_loses_and_doubles_nothing(struct stage *stage)
{
    size_t wanted = until_scaled(campaign ? KILLS_CAMPAIGN : KILLS);
    struct kill kill = {.stage = stage};
    crowd_open(&kill.crowd, stage, &plan);
    start(&kill);
    crowd_start_all(&kill.crowd);
    while ((kill.counted < wanted || kill.resends == 0) &&
           kill.kills < TRIES_MIN + TRIES_PER_KILL * wanted) {
        kill_sidecar(&kill);
        start(&kill);
    }
    crowd_stop(&kill.crowd);
    assert_int_equal(stage_stop(kill.daemon), 0);
    print_message("%zu kills, %zu with more in flight than the window of ids (%" PRIu64
                  " events on average), %zu followed by resends of what was on disk (%" PRIu64
                  " events)\n",
                  kill.kills, kill.counted, kill.counted ? kill.in_flight / kill.counted : 0,
                  kill.resends, kill.resent);
    expect_everything(&kill, "after the sidecar was killed");
    assert_true(kill.counted >= wanted);
    assert_true(kill.resends > 0);
    crowd_close(&kill.crowd);
}

/* -- producers are killed ---------------------------------------------------------------------- */

static void killed_producers_lose_and_double_nothing(struct stage *stage)
{
    size_t wanted = until_scaled(campaign ? MEMBER_KILLS_CAMPAIGN : MEMBER_KILLS);
    struct kill kill = {.stage = stage};
    crowd_open(&kill.crowd, stage, &plan);
    start(&kill);
    crowd_start_all(&kill.crowd);
    while (kill.counted < wanted && kill.kills < TRIES_MIN + TRIES_PER_KILL * wanted) {
        uint32_t victim = choose(MEMBERS);
        struct crowd_member *member = &kill.crowd.page->members[victim];
        uint64_t acked = crowd_acked(&kill.crowd);
        crowd_wait_acked(&kill.crowd, acked + ACKED_MIN, WAIT_MS);
        until_passed_us(choose(LIFE_MAX_US));
        crowd_kill(&kill.crowd, victim);
        uint64_t in_flight = atomic_load(&member->taken) - atomic_load(&member->acked);
        kill.kills++;
        kill.counted += in_flight > WINDOW_IDS;
        kill.in_flight += in_flight > WINDOW_IDS ? in_flight : 0;
        crowd_start(&kill.crowd, victim);
    }
    crowd_stop(&kill.crowd);
    assert_int_equal(stage_stop(kill.daemon), 0);
    print_message("%zu producers killed, %zu with more in flight than the window of ids (%" PRIu64
                  " events on average)\n",
                  kill.kills, kill.counted, kill.counted ? kill.in_flight / kill.counted : 0);
    expect_everything(&kill, "after producers were killed");
    assert_int_equal(kill.counted, wanted);
    crowd_close(&kill.crowd);
}

/* -- in the middle of a batch ------------------------------------------------------------------ */

enum {
    BATCH = 10,
    BATCH_DATA = 60000, /* bytes of an event: a batch is more than a socket takes at once */
    BATCHES_IN_FLIGHT = 16,
};

static const char batch_producer[] = "batches, killed.";

/* In memory that it shares with the test. */
struct sender {
    _Atomic uint64_t begun; /* numbers of batches that are sent, or are being sent */
    _Atomic uint64_t acked;
};

static void name_event(uint64_t number, char *id, size_t size)
{
    snprintf(id, size, "b%" PRIu64, number);
}

static void send_batch(struct raw *raw, uint64_t token, uint64_t first, uint64_t base)
{
    static char data[BATCH_DATA];
    struct raw_out out = {NULL, 0, 0};
    raw_put_batch(&out, &(struct raw_batch){token, first, base, 0, BATCH, RAW_DURABLE});
    for (uint64_t number = first; number < first + BATCH; number++) {
        char id[24];
        name_event(number, id, sizeof(id));
        size_t size = history_put_data(data, sizeof(data), 0, number);
        raw_put_entry(&out, &(struct raw_entry){
                                .session = "batches", .id = id, .data = data, .data_size = size});
    }
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

static struct sender *map_sender(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, sizeof(struct sender)) == 0);
    void *memory = mmap(NULL, sizeof(struct sender), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(memory != MAP_FAILED);
    return memory;
}

/* This program, run as the sender: some batches at a time, without end. */
_Noreturn static void run_sender(const char *path)
{
    struct raw raw;
    struct sender *sender = map_sender(path);
    raw_open(&raw);
    struct raw_state state = raw_take_producer(&raw, batch_producer);
    uint64_t number = state.durable;
    for (;;) {
        uint64_t base = number + 1;
        for (int i = 0; i < BATCHES_IN_FLIGHT; i++) {
            atomic_store(&sender->begun, number + BATCH);
            send_batch(&raw, state.token, number + 1, base);
            number += BATCH;
        }
        raw_expect_acks(&raw, state.token, number);
        atomic_store(&sender->acked, number);
    }
}

struct sender_look {
    struct sender *sender;
    uint64_t acked;
};

static bool look_sender(void *argument)
{
    const struct sender_look *look = argument;
    return atomic_load(&look->sender->acked) > look->acked;
}

/* Kills a sender somewhere in its second round. Returns how many of its numbers it had begun to
 * send. */
static uint64_t kill_sender(struct stage *stage, struct sender *sender, const char *path)
{
    const char *words[] = {"/proc/self/exe", "sender", path, NULL};
    struct process_options options = {.argv = words, .error_path = stage->log_path};
    struct process process = PROCESS_INIT;
    struct sender_look look = {sender, atomic_load(&sender->acked)};
    assert_int_equal(process_start(&process, &options), SPN_OK);
    if (!until_true(until_in(WAIT_MS), look_sender, &look))
        fail_msg("the sender is not acknowledged anything");
    until_passed_us(choose(LIFE_MAX_US));
    process_kill(&process);
    process_release(&process);
    return atomic_load(&sender->begun);
}

static void expect_batches(struct stage *stage, uint64_t durable, uint64_t begun)
{
    struct history *history = history_new(1);
    for (uint64_t number = 1; number <= begun; number++) {
        char id[24];
        name_event(number, id, sizeof(id));
        history_sent(history, 0, number, "batches", id);
        if (number <= durable)
            history_acked(history, 0, number, HISTORY_STORED);
    }
    int code = dump_into(history, stage->data_dir, stage->log_path);
    struct history_verdict verdict = history_judge(history);
    assert_int_equal(code, 0);
    history_expect_whole("after senders were killed", &verdict);
    assert_int_equal(verdict.stored, durable);
    history_free(history);
}

static void killed_batches_are_there_whole_or_not_at_all(struct stage *stage)
{
    size_t wanted = until_scaled(campaign ? BATCH_KILLS_CAMPAIGN : BATCH_KILLS);
    const char *path = stage_path(stage, "sender");
    struct sender *sender = map_sender(path);
    struct process *daemon = stage_start(stage, &(struct stage_daemon){.more = {STAGE_KEEP_ALL}});
    struct raw raw;
    size_t kills = 0;
    size_t cut_off = 0;
    uint64_t durable = 0;
    uint64_t begun = 0;
    raw_open(&raw);
    for (; cut_off < wanted && kills < TRIES_MIN + TRIES_PER_KILL * wanted; kills++) {
        begun = kill_sender(stage, sender, path);
        /* Taking the producer over waits for what was accepted of it. */
        durable = raw_take_producer(&raw, batch_producer).durable;
        assert_int_equal(durable % BATCH, 0);
        assert_true(durable <= begun && durable >= atomic_load(&sender->acked));
        assert_int_equal(robust_last_seq(&raw, "batches"), durable);
        cut_off += durable < begun;
    }
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
    expect_batches(stage, durable, begun);
    print_message("%zu senders of batches of %d killed, %zu with batches that did not arrive: "
                  "%" PRIu64 " events, in whole batches\n",
                  kills, BATCH, cut_off, durable);
    assert_int_equal(cut_off, wanted);
    munmap(sender, sizeof(*sender));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest plain[] = {
        STAGE_TEST(killed_producers_lose_and_double_nothing),
        STAGE_TEST(killed_batches_are_there_whole_or_not_at_all),
    };
    struct CMUnitTest tests[ROUNDS + COUNT(plain)];
    size_t count = 0;
    if (argc > 2 && strcmp(argv[1], "sender") == 0)
        run_sender(argv[2]);
    campaign = argc > 1 && strcmp(argv[1], "campaign") == 0;
    for (int i = 0; i < (campaign ? ROUNDS : 1); i++)
        tests[count++] = (struct CMUnitTest)STAGE_TEST(killed_sidecar_loses_and_doubles_nothing);
    memcpy(tests + count, plain, sizeof(plain));
    count += COUNT(plain);
    return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}
