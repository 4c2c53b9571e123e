/* SPDX-License-Identifier: Apache-2.0 */
/* test_crowd: thousands of sessions are opened, closed and deleted at random while the sidecar is
 * killed again and again, with the index being written all the time.
 *
 * The test knows how each act must end, and afterwards where each session must stand. What the
 * kills met is seen on the disk of the dead daemon: some must have met a segment under way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "onlooker.h"
#include "stage.h"

enum {
    CROWD = 3000,
    ACTS = 5000, /* between two kills, at most */
    KILLS = 12,
    PAUSE_US = 60000,
    SEGMENT_MS = 500,
    REPLAYED_EVERY = 3,
    TEXT_SIZE = 64,
    OPEN_MS = 10000,
    END_MS = 60000,
};

enum state { ABSENT, LIVE, CLOSED };

struct member {
    enum state state;
    unsigned lives;
    uint64_t seq;
};

struct wanted {
    size_t member;
    spn_result result;
    spn_err code;
};

struct crowd {
    struct stage *stage;
    struct process *daemon;
    spn_client *client;
    spn_producer *producer;
    spn_client *readers;
    uint32_t random;
    struct member members[CROWD];
    struct wanted wanted[ACTS];
    size_t acts;
    unsigned kills;
    unsigned before_commit;
    unsigned lagging;
    unsigned unfinished;
};

static uint32_t draw(struct crowd *crowd, uint32_t below)
{
    crowd->random ^= crowd->random << 13;
    crowd->random ^= crowd->random >> 17;
    crowd->random ^= crowd->random << 5;
    return crowd->random % below;
}

/* Every other life ends when a segment is under way: then segments are larger. */
static bool ends_in_segment(const struct crowd *crowd)
{
    return crowd->kills % 2 == 1;
}

static void start_daemon(struct crowd *crowd)
{
    char interval[16];
    snprintf(interval, sizeof(interval), "%u", ends_in_segment(crowd) ? 100 : 1 + draw(crowd, 20));
    const char *hot = draw(crowd, 2) ? "2000" : "100000"; /* some let trackers go */
    struct stage_daemon options = {.more = {"--row-interval", interval, "--hot-sessions", hot}};
    crowd->daemon = stage_start(crowd->stage, &options);
}

/* -- acts -------------------------------------------------------------------------------------- */

static void write_name(char *name, size_t at)
{
    snprintf(name, TEXT_SIZE, "crowd-%05zu", at);
}

static void write_event(char *id, char *data, size_t at, unsigned life, uint64_t seq)
{
    snprintf(id, TEXT_SIZE, "e%llu", (unsigned long long)seq);
    snprintf(data, TEXT_SIZE, "%zu in life %u: %llu", at, life, (unsigned long long)seq);
}

static void put(struct crowd *crowd, size_t at, uint64_t seq, const char *suffix)
{
    char name[TEXT_SIZE];
    char id[TEXT_SIZE];
    char data[2 * TEXT_SIZE];
    struct spn_event event = SPN_EVENT_INIT;
    write_name(name, at);
    write_event(id, data, at, crowd->members[at].lives, seq);
    strncat(data, suffix, TEXT_SIZE);
    event.id = spn_text(id);
    event.data = spn_text(data);
    spn_err err = SPN_E_BACKPRESSURE;
    for (uint64_t due_ns = until_in(END_MS); err == SPN_E_BACKPRESSURE && !until_over(due_ns);)
        err = spn_publish(crowd->producer, spn_text(name), &event, NULL);
    assert_int_equal(err, SPN_OK);
}

static void end(struct crowd *crowd, size_t at, bool deleted)
{
    char name[TEXT_SIZE];
    write_name(name, at);
    spn_err err = SPN_E_BACKPRESSURE;
    for (uint64_t due_ns = until_in(END_MS); err == SPN_E_BACKPRESSURE && !until_over(due_ns);)
        err = deleted ? spn_session_delete(crowd->producer, spn_text(name), NULL, NULL)
                      : spn_session_close(crowd->producer, spn_text(name), NULL, NULL);
    assert_int_equal(err, SPN_OK);
}

static struct wanted act_on_absent(struct crowd *crowd, size_t at, uint32_t die)
{
    struct member *member = &crowd->members[at];
    if (die < 10) {
        end(crowd, at, die < 5);
        return (struct wanted){at, SPN_REFUSED, SPN_E_UNKNOWN_SESSION};
    }
    *member = (struct member){.state = LIVE, .lives = member->lives + 1, .seq = 1};
    put(crowd, at, 1, "");
    return (struct wanted){.member = at, .result = SPN_STORED};
}

static struct wanted act_on_live(struct crowd *crowd, size_t at, uint32_t die)
{
    struct member *member = &crowd->members[at];
    if (die < 10) {
        put(crowd, at, member->seq, "");
        return (struct wanted){.member = at, .result = SPN_DUPLICATE};
    }
    if (die < 20) {
        put(crowd, at, member->seq, " changed");
        return (struct wanted){.member = at, .result = SPN_CONFLICT};
    }
    if (die < 45) {
        end(crowd, at, die < 35);
        member->state = die < 35 ? ABSENT : CLOSED;
    } else {
        put(crowd, at, ++member->seq, "");
    }
    return (struct wanted){.member = at, .result = SPN_STORED};
}

static struct wanted act_on_closed(struct crowd *crowd, size_t at, uint32_t die)
{
    struct member *member = &crowd->members[at];
    if (die < 12) {
        put(crowd, at, member->seq + 1, "");
        return (struct wanted){at, SPN_REFUSED, SPN_E_CLOSED};
    }
    if (die < 20) {
        put(crowd, at, member->seq, "");
        return (struct wanted){.member = at, .result = SPN_DUPLICATE};
    }
    if (die < 40) {
        end(crowd, at, false);
        return (struct wanted){.member = at, .result = SPN_DUPLICATE};
    }
    end(crowd, at, true);
    member->state = ABSENT;
    return (struct wanted){.member = at, .result = SPN_STORED};
}

static void act(struct crowd *crowd)
{
    size_t at = draw(crowd, CROWD);
    uint32_t die = draw(crowd, 200);
    enum state state = crowd->members[at].state;
    crowd->wanted[crowd->acts++] = state == ABSENT ? act_on_absent(crowd, at, die)
                                   : state == LIVE ? act_on_live(crowd, at, die / 2)
                                                   : act_on_closed(crowd, at, die / 2);
}

/* -- what must be true ------------------------------------------------------------------------- */

static void expect_results(struct crowd *crowd)
{
    static const struct spn_ack none;
    const struct spn_ack *ack = &none;
    uint64_t due_ns = until_in(END_MS);
    for (size_t i = 0; i < crowd->acts; i++) {
        const struct wanted *wanted = &crowd->wanted[i];
        spn_err err = spn_producer_next_ack(crowd->producer, until_left_ms(due_ns), &ack);
        if (err != SPN_OK || ack->result != wanted->result || ack->code != wanted->code)
            fail_msg("act %zu, on %zu: %s, %s %s; should be %s %s", i, wanted->member,
                     spn_err_name(err), spn_result_name(ack->result), spn_err_name(ack->code),
                     spn_result_name(wanted->result), spn_err_name(wanted->code));
    }
    crowd->acts = 0;
}

static void expect_list(struct crowd *crowd)
{
    char name[TEXT_SIZE] = "";
    char id[TEXT_SIZE];
    char data[TEXT_SIZE];
    const struct spn_session *session;
    spn_err err;
    for (size_t i = 0; i < CROWD; i++) {
        const struct member *member = &crowd->members[i];
        if (member->state == ABSENT)
            continue;
        err = spn_next_session(crowd->readers, spn_text(name), spn_text(""), ONLOOKER_ASK_MS,
                               &session);
        write_name(name, i);
        write_event(id, data, i, member->lives, member->seq);
        if (err != SPN_OK || session->name.size != strlen(name) ||
            memcmp(session->name.data, name, session->name.size) != 0 ||
            session->seq != member->seq ||
            session->state != (member->state == CLOSED ? SPN_CLOSED : SPN_LIVE) ||
            session->last_id.size != strlen(id) ||
            memcmp(session->last_id.data, id, strlen(id)) != 0)
            fail_msg("%s, seq %llu: the list has %s, %.*s, %s, seq %llu", name,
                     (unsigned long long)member->seq, spn_err_name(err), (int)session->name.size,
                     (const char *)session->name.data, spn_session_state_name(session->state),
                     (unsigned long long)session->seq);
    }
    err = spn_next_session(crowd->readers, spn_text(name), spn_text(""), ONLOOKER_ASK_MS, &session);
    assert_int_equal(err, SPN_E_END);
}

static void expect_replay(struct crowd *crowd, size_t at)
{
    const struct member *member = &crowd->members[at];
    char name[TEXT_SIZE];
    char id[TEXT_SIZE];
    char data[TEXT_SIZE];
    spn_replay *replay = NULL;
    const struct spn_event *event;
    write_name(name, at);
    spn_err err =
        spn_replay_open(&replay, crowd->readers, spn_text(name), spn_text(""), ONLOOKER_ASK_MS);
    assert_int_equal(err, member->state == ABSENT ? SPN_E_UNKNOWN_SESSION : SPN_OK);
    if (member->state == ABSENT)
        return;
    for (uint64_t seq = 1; seq <= member->seq; seq++) {
        write_event(id, data, at, member->lives, seq);
        assert_int_equal(spn_replay_next(replay, ONLOOKER_ASK_MS, &event), SPN_OK);
        if (event->seq != seq || event->data.size != strlen(data) ||
            memcmp(event->data.data, data, event->data.size) != 0)
            fail_msg("%s: %s is %.*s", name, data, (int)event->data.size,
                     (const char *)event->data.data);
    }
    assert_int_equal(spn_replay_next(replay, ONLOOKER_ASK_MS, &event), SPN_E_END);
    assert_int_equal(spn_replay_missing(replay), 0);
    spn_replay_close(replay);
}

/* -- kills ------------------------------------------------------------------------------------- */

static void kill_and_start(struct crowd *crowd)
{
    uint64_t taken = spn_producer_counters(crowd->producer)->taken;
    process_kill(crowd->daemon);
    crowd->kills++;
    struct onlooker_disk disk = onlooker_look(crowd->stage->data_dir);
    crowd->before_commit += disk.committed < taken;
    crowd->lagging += disk.newest > disk.checkpoint;
    crowd->unfinished += disk.unfinished;
    start_daemon(crowd);
}

static void live_through_kill(struct crowd *crowd)
{
    uint64_t until_ns = until_now_ns() + 1000u * (uint64_t)(1 + draw(crowd, PAUSE_US));
    while (crowd->acts < until_scaled(ACTS) && (ends_in_segment(crowd) || !until_over(until_ns)))
        act(crowd);
    assert_int_equal(spn_client_step(crowd->client), SPN_OK);
    if (ends_in_segment(crowd)) /* most are acknowledged by then */
        (void)onlooker_see_segment(crowd->stage->data_dir, until_in(SEGMENT_MS));
    kill_and_start(crowd);
    expect_results(crowd);
    expect_list(crowd);
}

static bool has_met(const struct crowd *crowd)
{
    return crowd->before_commit > 0 && crowd->lagging > 0 && crowd->unfinished > 0;
}

static void lives_go_on_over_kills(struct stage *stage)
{
    struct crowd *crowd = stage_keep(stage, calloc(1, sizeof(*crowd)));
    crowd->stage = stage;
    crowd->random = 1 + onlooker_random(UINT32_MAX);
    start_daemon(crowd);
    crowd->client = onlooker_client();
    crowd->readers = onlooker_client();
    assert_int_equal(spn_producer_open(&crowd->producer, crowd->client, NULL, OPEN_MS), SPN_OK);
    for (size_t i = until_scaled(ACTS); i > 0; i--)
        act(crowd);
    while (crowd->kills < KILLS || (crowd->kills < 4 * KILLS && !has_met(crowd)))
        live_through_kill(crowd);
    print_message("%u kills before the commit, %u with the index behind, %u in the middle of a "
                  "segment\n",
                  crowd->before_commit, crowd->lagging, crowd->unfinished);
    assert_true(has_met(crowd));
    for (size_t at = draw(crowd, REPLAYED_EVERY); at < CROWD; at += REPLAYED_EVERY)
        expect_replay(crowd, at);
    assert_int_equal(spn_producer_close(crowd->producer, END_MS, NULL), SPN_OK);
    spn_client_close(crowd->client);
    spn_client_close(crowd->readers);
    assert_int_equal(stage_stop(crowd->daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(lives_go_on_over_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
