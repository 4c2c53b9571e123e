/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_races: of several producers that want the same, exactly one wins, whenever the daemon
 * is killed.
 *
 * Each session is raced for three times: who opens it, who stores its second event, who closes it
 * with the third. Each producer tries all of them, and does not wait for one before it sends the
 * next. The daemon is killed at random moments and started again. At the end each race has one
 * winner, each winner's event is there, once, and so are its note and the close; and nothing else.
 *
 *     system_fault_races [campaign] [seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "sponson.h"
#include "stage.h"

enum { PRODUCERS = 5, LEGS = 3, AHEAD = 12 };

static int sessions = 60; /* three races each */
static uint64_t seed = 1;
static uint64_t random_state;

static uint64_t any(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

struct races {
    struct stage *stage;
    struct process *daemon;
    unsigned kills;
    spn_client *clients[PRODUCERS];
    spn_producer *producers[PRODUCERS];
    uint64_t (*tickets)[LEGS][PRODUCERS]; /* by session */
    int (*winners)[LEGS];
};

static void open_all(struct races *races)
{
    char detail[256];
    for (size_t i = 0; i < PRODUCERS; i++) {
        struct spn_producer_options options = spn_producer_defaults();
        options.level = i % 2 ? SPN_ACCEPTED : SPN_DURABLE;
        assert_int_equal(
            spn_client_open(&races->clients[i], NULL, STAGE_WAIT_MS, detail, sizeof(detail)),
            SPN_OK);
        assert_int_equal(
            spn_producer_open(&races->producers[i], races->clients[i], &options, STAGE_WAIT_MS),
            SPN_OK);
    }
}

/* -- running ----------------------------------------------------------------------------------- */

static void publish(struct races *races, int session, int leg, size_t producer)
{
    char name[32];
    char data[32];
    char note[32];
    (void)snprintf(name, sizeof(name), "race-%d", session);
    (void)snprintf(data, sizeof(data), "%zu", producer);
    (void)snprintf(note, sizeof(note), "note of %zu", producer);
    struct spn_event event = SPN_EVENT_INIT;
    event.data = spn_text(data);
    event.note = spn_text(note);
    const struct spn_publish_options options = {
        .size = sizeof(options),
        .if_new = leg == 0,
        .has_if_seq = leg > 0,
        .if_seq = (uint64_t)leg,
        .closes = leg == LEGS - 1,
        .reason = spn_text("won"),
    };
    assert_int_equal(spn_publish_with(races->producers[producer], spn_text(name), &event, &options,
                                      &races->tickets[session][leg][producer]),
                     SPN_OK);
}

/* Each producer tries the three races of this session, in an order of producers of its own. */
static void run_session(struct races *races, int session)
{
    size_t first = any(PRODUCERS);
    for (int leg = 0; leg < LEGS; leg++)
        for (size_t i = 0; i < PRODUCERS; i++)
            publish(races, session, leg, (first + i) % PRODUCERS);
    for (size_t i = 0; i < PRODUCERS; i++) {
        spn_err err = spn_producer_flush(races->producers[i], 0);
        assert_true(err == SPN_OK || err == SPN_E_TIMEOUT);
    }
}

/* Kills the daemon a moment after something was sent. */
static void kill_sometimes(struct races *races)
{
    if (any(6) > 0)
        return;
    until_passed_us((unsigned)any(4000));
    process_kill(races->daemon);
    races->daemon = stage_start(races->stage, NULL);
    races->kills++;
}

/* One has won, and the others have lost for that reason. */
static void decide(struct races *races, int session, int leg)
{
    int won = -1;
    for (size_t i = 0; i < PRODUCERS; i++) {
        const struct spn_ack *ack;
        assert_int_equal(spn_producer_wait(races->producers[i], races->tickets[session][leg][i],
                                           STAGE_WAIT_MS, &ack),
                         SPN_OK);
        if (ack->result == SPN_STORED && won >= 0)
            fail_msg("race %d of session %d: %d and %zu have won", leg, session, won, i);
        if (ack->result == SPN_STORED)
            won = (int)i;
        else if (ack->result != SPN_REFUSED || ack->code != SPN_E_CONDITION)
            fail_msg("race %d of session %d: %s %s", leg, session, spn_result_name(ack->result),
                     spn_err_name(ack->code));
    }
    if (won < 0)
        fail_msg("race %d of session %d: nobody has won", leg, session);
    races->winners[session][leg] = won;
}

static void decide_all(struct races *races, int session)
{
    for (int leg = 0; leg < LEGS; leg++)
        decide(races, session, leg);
}

/* -- what is there ----------------------------------------------------------------------------- */

static void expect_text(const char *line, const char *key, const char *text)
{
    char *found = event_json_string(line, key);
    if (strcmp(found, text) != 0)
        fail_msg("%s is %s, not %s: %s", key, found, text, line);
    free(found);
}

static void check_line(const struct races *races, const char *line, unsigned *counts)
{
    static const char key[] = "\"session\":\"race-";
    char text[32];
    const char *name = strstr(line, key);
    long session = name ? strtol(name + sizeof(key) - 1, NULL, 10) : -1;
    if (session < 0 || session >= sessions)
        fail_msg("not ours: %s", line);
    uint64_t seq = event_json_number(line, "seq");
    assert_int_equal(seq, ++counts[session]);
    assert_true(seq <= LEGS);
    int winner = races->winners[session][seq - 1];
    (void)snprintf(text, sizeof(text), "%d", winner);
    expect_text(line, "data", text);
    (void)snprintf(text, sizeof(text), "note of %d", winner);
    expect_text(line, "note", text);
    assert_int_equal(strstr(line, "\"closes\":true,\"reason\":\"won\"") != NULL, seq == LEGS);
}

static void check_log(const struct races *races)
{
    unsigned *counts = stage_keep(races->stage, calloc((size_t)sessions, sizeof(*counts)));
    struct outcome done = stage_run(races->stage, "dump", "--format", "jsonl");
    stage_expect_code(&done, 0);
    char *lines = stage_keep(races->stage, strdup(done.out));
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"))
        if (strstr(line, "\"kind\":\"event\""))
            check_line(races, line, counts);
    for (int i = 0; i < sessions; i++)
        assert_int_equal(counts[i], LEGS);
}

static void one_wins_each_race(struct stage *stage)
{
    struct races races = {.stage = stage, .daemon = stage_start(stage, NULL)};
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    races.tickets = stage_keep(stage, calloc((size_t)sessions, sizeof(*races.tickets)));
    races.winners = stage_keep(stage, calloc((size_t)sessions, sizeof(*races.winners)));
    open_all(&races);
    for (int i = 0; i < sessions; i++) {
        run_session(&races, i);
        kill_sometimes(&races);
        if (i >= AHEAD)
            decide_all(&races, i - AHEAD);
    }
    for (int i = sessions > AHEAD ? sessions - AHEAD : 0; i < sessions; i++)
        decide_all(&races, i);
    for (size_t i = 0; i < PRODUCERS; i++) {
        assert_int_equal(spn_producer_close(races.producers[i], STAGE_WAIT_MS, NULL), SPN_OK);
        spn_client_close(races.clients[i]);
    }
    assert_int_equal(stage_stop(races.daemon), 0);
    check_log(&races);
    print_message("seed %llu: %d races, %u kills\n", (unsigned long long)seed, LEGS * sessions,
                  races.kills);
    assert_true(races.kills > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {STAGE_TEST(one_wins_each_race)};
    if (argc > 1 && strcmp(argv[1], "campaign") == 0) {
        sessions = 1000;
        argc--;
        argv++;
    }
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
