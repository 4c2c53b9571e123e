/* SPDX-License-Identifier: Apache-2.0 */
/* test_readers: who reads late gets all of it, and who does not read takes nothing from the others.
 *
 * The first speak the protocol by themselves and do not read until all was said: nothing of what a
 * client cannot learn otherwise may be missing then. The others hoard answers while somebody else
 * reads as always. With the word `long` it is waited for until those that do not read are cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "onlooker.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"
#include "subscription.h"

enum {
    MIB = 1 << 20,
    UNREAD_MAX = 64 * MIB,     /* README: bytes that may wait for clients in all ... */
    UNREAD_FIRST = 260 * 1024, /* ... and one message for each */
    SLACK = 48 * MIB,          /* what all else may take meanwhile */
    MANY = 1000,
    GRANTS = 4096,
    CROWD = 2000, /* subscriptions of one client */
    ROUNDS = 10,
    LIFE_EVENTS = 5,
    WAITERS = 8000,
    LISTED = 300, /* sessions */
    LISTERS = 40,
    LISTS = 100, /* questions of each */
    STALLED = 3,
    STALLED_EACH = 300,
    CUT_MS = 45000, /* they take nothing for 30 s */
    READ_MS = 30000,
    GIVEN_BACK_MS = 10000,
    FILLERS = 3000, /* questions whose answers fill the outbox of who reads none */
    ASKED = 12800,
    ASKED_MORE = 1024, /* what had some room still */
    ASKED_PER_MS = 64, /* README: then the sidecar pauses for 1 ms */
    ASKED_GRANTS = 100,
    TEXT_SIZE = 64,
    GATEWAY = 10000,
    QUIET_STEPS = 10000,
};

enum { VERDICT = 0, EVENTS = 1, GAP = 2, END = 3, KINDS }; /* of deliveries */
enum { FAIL = 0, WAIT = 2 };                               /* otherwise */
enum { UNKNOWN_SESSION = 3, CLOSED = 5, NOT_HERE = 7, VERDICTS };

static bool is_long;

/* -- a client that does not read, until it does ------------------------------------------------ */

static void *open_reader(struct stage *stage, void *context)
{
    int one = 1;
    int none = 0;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &one, sizeof(one));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof(none));
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    assert_int_equal(
        zmq_connect(socket, stage_format(stage, "ipc://%s/read.sock", stage->socket_dir)), 0);
    return socket;
}

static void send_subscribe(void *socket, uint64_t number, const char *session, uint8_t otherwise,
                           uint64_t credit)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_header(&out, RAW_SUBSCRIBE, 1);
    raw_put_number(&out, number, 8);
    raw_put_number(&out, 1, 4); /* incarnation */
    raw_put_number(&out, 0, 1); /* from the earliest */
    raw_put_number(&out, otherwise, 1);
    raw_put_zeros(&out, 2 + 16 + 8); /* zero, life, seq */
    raw_put_number(&out, credit, 8);
    raw_put_zeros(&out, 8); /* features */
    raw_put_short(&out, session);
    raw_put_number(&out, 0, 2); /* no id */
    raw_send_out(socket, &out);
    raw_release(&out);
}

static void send_grants(void *socket, uint32_t count)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_header(&out, RAW_CREDIT, 0);
    raw_put_number(&out, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        raw_put_number(&out, i, 8);
        raw_put_number(&out, 1, 4);
        raw_put_zeros(&out, 4);
        raw_put_number(&out, 1000, 8);
    }
    raw_send_out(socket, &out);
    raw_release(&out);
}

struct tally {
    size_t messages;
    size_t kinds[KINDS];
    size_t verdicts[KINDS][VERDICTS + 2];
};

static void count_deliveries(struct tally *tally, struct raw_in *in)
{
    uint32_t count = (uint32_t)raw_get_number(in, 4);
    raw_get_zeros(in, 4);
    for (uint32_t i = 0; i < count; i++) {
        (void)raw_get(in, 8 + 4);
        uint8_t kind = (uint8_t)raw_get_number(in, 1);
        uint8_t verdict = (uint8_t)raw_get_number(in, 1);
        (void)raw_get(in, 2 + 4);
        size_t size = raw_get_number(in, 4);
        (void)raw_get(in, 3 * 8 + size);
        assert_in_range(kind, 0, KINDS - 1);
        assert_in_range(verdict, 0, VERDICTS + 1);
        tally->kinds[kind]++;
        tally->verdicts[kind][verdict]++;
    }
    raw_end(in);
    tally->messages++;
}

/* The answer to a CREDIT: no subscription is left. */
static void take_alive(struct raw_in *in)
{
    (void)raw_get_number(in, 8);
    assert_int_equal(raw_get_number(in, 4), 0);
    raw_get_zeros(in, 4);
    raw_end(in);
}

/* Reads until there are so many deliveries of a kind, and nothing more comes. */
static struct tally read_all(void *socket, uint8_t kind, size_t wanted)
{
    struct tally tally = {0};
    struct raw_in in;
    while (tally.kinds[kind] < wanted && raw_receive(socket, READ_MS, &in)) {
        assert_int_equal(in.type, RAW_DELIVER);
        count_deliveries(&tally, &in);
        raw_drop(&in);
    }
    while (raw_receive(socket, 100, &in)) {
        assert_int_equal(in.type, RAW_ALIVE);
        take_alive(&in);
        raw_drop(&in);
    }
    print_message("%zu messages: %zu verdicts, %zu with events, %zu ends\n", tally.messages,
                  tally.kinds[VERDICT], tally.kinds[EVENTS], tally.kinds[END]);
    return tally;
}

/* -- everything that must be told waits for room ----------------------------------------------- */

struct scene {
    struct stage *stage;
    struct process *daemon;
    struct raw raw; /* looks on, and has the context */
    struct feeder feeder;
};

static void begin(struct scene *scene, struct stage *stage)
{
    scene->stage = stage;
    scene->daemon = stage_start(stage, NULL);
    raw_open(&scene->raw);
    feeder_open(&scene->feeder);
}

static void end(struct scene *scene)
{
    feeder_close(&scene->feeder);
    raw_close(&scene->raw);
    assert_int_equal(stage_stop(scene->daemon), 0);
}

static void wait_most(struct scene *scene, const char *name, uint64_t most, int ms)
{
    for (uint64_t due_ns = until_in(ms); robust_counter(&scene->raw, name) > most;)
        if (until_over(due_ns))
            fail_msg("%s is %llu", name, (unsigned long long)robust_counter(&scene->raw, name));
}

static void ends_of_a_thousand_subscriptions(struct stage *stage)
{
    struct scene scene;
    begin(&scene, stage);
    feeder_put(&scene.feeder, "s", "1", "one");
    feeder_settle(&scene.feeder);
    void *reader = open_reader(stage, scene.raw.context);
    for (uint64_t i = 0; i < MANY; i++)
        send_subscribe(reader, i, "s", FAIL, 1 << 16);
    robust_wait_counter(&scene.raw, "sponson_events_replayed_total", MANY);
    assert_int_equal(spn_session_close(scene.feeder.producer, spn_text("s"), NULL, NULL), SPN_OK);
    feeder_settle(&scene.feeder);
    wait_most(&scene, "sponson_subscriptions", 0, READ_MS); /* they ended, and it read nothing */
    struct tally tally = read_all(reader, END, MANY);
    assert_int_equal(tally.kinds[VERDICT], MANY);
    assert_int_equal(tally.kinds[EVENTS], MANY);
    assert_int_equal(tally.verdicts[END][CLOSED], MANY);
    zmq_close(reader);
    end(&scene);
}

static void verdicts_of_a_thousand_that_wait(struct stage *stage)
{
    struct scene scene;
    begin(&scene, stage);
    void *reader = open_reader(stage, scene.raw.context);
    for (uint64_t i = 0; i < MANY; i++)
        send_subscribe(reader, i, "not yet", WAIT, 1 << 16);
    robust_wait_counter(&scene.raw, "sponson_subscriptions", MANY);
    struct tally tally = read_all(reader, VERDICT, MANY);
    assert_int_equal(tally.verdicts[VERDICT][UNKNOWN_SESSION], MANY);
    zmq_close(reader);
    end(&scene);
}

static void grants_after_a_restart_are_all_answered(struct stage *stage)
{
    struct scene scene;
    begin(&scene, stage);
    void *reader = open_reader(stage, scene.raw.context);
    send_grants(reader, GRANTS);
    struct tally tally = read_all(reader, END, GRANTS);
    assert_int_equal(tally.verdicts[END][NOT_HERE], GRANTS);
    zmq_close(reader);
    end(&scene);
}

/* -- many subscriptions of one client ---------------------------------------------------------- */

static void read_events(spn_client *client, size_t wanted)
{
    size_t got = 0;
    while (got < wanted) {
        spn_subscription *subscription;
        const struct spn_item *item;
        assert_int_equal(spn_next_of_any(client, READ_MS, &subscription, &item), SPN_OK);
        assert_true(item->kind != SPN_ITEM_GAP && item->kind != SPN_ITEM_END);
        got += item->kind == SPN_ITEM_EVENT ? 1 : 0;
    }
}

static void put_one(struct feeder *feeder, unsigned number)
{
    char id[TEXT_SIZE];
    snprintf(id, sizeof(id), "%u", number);
    feeder_put(feeder, "s", id, "to all of them");
    feeder_settle(feeder);
}

/* Each event goes to all of them by the scan: none reads it from disk. */
static void two_thousand_subscriptions_of_one_client_stay_live(struct stage *stage)
{
    struct scene scene;
    begin(&scene, stage);
    spn_client *client = onlooker_client();
    put_one(&scene.feeder, 0);
    for (size_t i = 0; i < CROWD; i++)
        (void)onlooker_subscribe(client, "s", SPN_EARLIEST, 0);
    read_events(client, CROWD);
    put_one(&scene.feeder, 1); /* whoever got it by the scan or not has caught up behind it */
    read_events(client, CROWD);
    uint64_t live = robust_counter(&scene.raw, "sponson_events_live_total");
    uint64_t replayed = robust_counter(&scene.raw, "sponson_events_replayed_total");
    for (unsigned i = 2; i < 2 + ROUNDS; i++) {
        put_one(&scene.feeder, i);
        read_events(client, CROWD);
    }
    assert_int_equal(robust_counter(&scene.raw, "sponson_events_live_total") - live,
                     CROWD * ROUNDS);
    assert_int_equal(robust_counter(&scene.raw, "sponson_events_replayed_total"), replayed);
    spn_client_close(client);
    end(&scene);
}

static void put_large(struct feeder *feeder)
{
    char id[TEXT_SIZE];
    static char data[16 * 1024];
    memset(data, 'd', sizeof(data) - 1);
    for (unsigned i = 0; i < 64; i++) {
        snprintf(id, sizeof(id), "%u", i);
        feeder_put(feeder, "large", id, data);
    }
    feeder_settle(feeder);
}

static void put_life(struct feeder *feeder, const char *life)
{
    char id[TEXT_SIZE];
    for (unsigned i = 1; i <= LIFE_EVENTS; i++) {
        snprintf(id, sizeof(id), "%s-%u", life, i);
        feeder_put(feeder, "lived twice", id, life);
    }
    feeder_settle(feeder);
}

static struct spn_life life_of(struct stage *stage, const char *session)
{
    struct outcome info = stage_run(stage, "info", session, "--json");
    stage_expect_code(&info, 0);
    static const char name[] = "\"life\":\"";
    struct spn_life life;
    const char *text = strstr(info.out, name);
    assert_non_null(text);
    assert_int_equal(
        spn_life_parse((struct spn_bytes){text + sizeof(name) - 1, SPN_LIFE_TEXT_SIZE - 1}, &life),
        SPN_OK);
    return life;
}

/* Whether it is of this subscription, which has all of its session's second life then. */
static bool has_second_life(struct raw_in *in, uint64_t wanted, struct spn_life life)
{
    uint64_t number = raw_get_number(in, 8);
    (void)raw_get(in, 4);
    uint8_t kind = (uint8_t)raw_get_number(in, 1);
    (void)raw_get(in, 1 + 2 + 4);
    size_t size = raw_get_number(in, 4);
    uint64_t seq = raw_get_number(in, 8);
    (void)raw_get(in, 2 * 8);
    const char *rest = raw_get(in, size);
    if (number != wanted)
        return false;
    assert_in_range(kind, VERDICT, EVENTS);
    if (kind == VERDICT)
        assert_memory_equal(rest, life.bytes, sizeof(life.bytes)); /* that it begins in */
    return kind == EVENTS && seq == LIFE_EVENTS;
}

static void read_second_life(void *socket, uint64_t number, struct spn_life life)
{
    bool all = false;
    struct raw_in in;
    while (!all) {
        assert_true(raw_receive(socket, READ_MS, &in));
        assert_int_equal(in.type, RAW_DELIVER);
        uint32_t count = (uint32_t)raw_get_number(&in, 4);
        raw_get_zeros(&in, 4);
        for (uint32_t i = 0; i < count; i++)
            all = has_second_life(&in, number, life) || all;
        raw_end(&in);
        raw_drop(&in);
    }
}

/* A sidecar and a client for a gateway: ten thousand subscriptions to as many sessions, and then
 * one event to all. A step while nothing happens looks at none of them. */
static void ten_thousand_subscriptions_of_one_client(struct stage *stage)
{
    struct scene scene;
    size_t count = until_scaled(GATEWAY);
    begin(&scene, stage);
    spn_client *client = onlooker_client();
    put_one(&scene.feeder, 0);
    uint64_t begun_ns = until_now_ns();
    for (size_t i = 0; i < count; i++)
        (void)onlooker_subscribe(client, "s", SPN_NOW, 0);
    robust_wait_counter(&scene.raw, "sponson_subscriptions", count);
    print_message("%zu subscribed in %llu ms\n", count,
                  (unsigned long long)(until_now_ns() - begun_ns) / 1000000);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        begun_ns = until_now_ns();
        put_one(&scene.feeder, i);
        read_events(client, count);
        print_message("one event to all in %llu ms\n",
                      (unsigned long long)(until_now_ns() - begun_ns) / 1000000);
    }
    begun_ns = until_now_ns();
    for (int i = 0; i < QUIET_STEPS; i++)
        assert_int_equal(spn_client_step(client), SPN_OK);
    uint64_t step_ns = (until_now_ns() - begun_ns) / QUIET_STEPS;
    print_message("a step takes %llu ns\n", (unsigned long long)step_ns);
    assert_int_equal(subscriptions_resumed(client), 0);
    spn_client_close(client);
    end(&scene);
}

/* Nobody reads while the session is deleted and written again: a verdict finds no room. The life
 * had been noted already, so the next life's events came under it, and then nothing. Large events
 * fill what the client may hold, and many small verdicts the rest. */
static void another_life_came_under_the_one_before_it(struct stage *stage)
{
    struct scene scene;
    begin(&scene, stage);
    void *reader = open_reader(stage, scene.raw.context);
    uint64_t number = 0;
    put_life(&scene.feeder, "first");
    put_large(&scene.feeder);
    while (number < STALLED_EACH)
        send_subscribe(reader, number++, "large", FAIL, 256 * 1024);
    robust_wait_counter(&scene.raw, "sponson_answers_unsent_bytes", 4 * MIB);
    while (number < STALLED_EACH + WAITERS)
        send_subscribe(reader, number++, "nobody's", WAIT, MIB);
    send_subscribe(reader, number, "lived twice", WAIT, MIB);
    robust_wait_counter(&scene.raw, "sponson_subscriptions", number + 1);
    struct outcome deleted = stage_run(stage, "delete", "lived twice", "--yes");
    stage_expect_code(&deleted, 0);
    put_life(&scene.feeder, "second");
    read_second_life(reader, number, life_of(stage, "lived twice"));
    zmq_close(reader);
    end(&scene);
}

/* -- who does not read takes nothing from the others ------------------------------------------- */

static void expect_replay(struct scene *scene, const char *session, size_t least)
{
    struct outcome replay = stage_run(scene->stage, "replay", session);
    stage_expect_code(&replay, 0);
    assert_true(replay.output.size >= least);
}

static void put_sessions(struct feeder *feeder)
{
    char id[1000];
    char name[240];
    memset(id, 'i', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    for (unsigned i = 0; i < LISTED; i++) {
        snprintf(name, sizeof(name), "%0200u", i);
        feeder_put(feeder, name, id, "x");
    }
    feeder_settle(feeder);
}

static void ask_for_lists(void *socket)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_header(&out, RAW_SESSIONS, 1);
    raw_put_number(&out, UINT32_MAX, 4);
    raw_put_short(&out, "");
    raw_put_short(&out, "");
    for (int i = 0; i < LISTS; i++)
        raw_send_out(socket, &out);
    raw_release(&out);
}

static void expect_bounded(struct scene *scene, size_t before, size_t peers)
{
    size_t most = UNREAD_MAX + peers * UNREAD_FIRST;
    assert_true(robust_counter(&scene->raw, "sponson_answers_unsent_bytes") <= most);
    if (!until_sanitized()) /* their shadow memory is anonymous too */
        assert_in_range(process_anonymous_bytes(scene->daemon), 1, before + most + SLACK);
}

/* All of it goes back to the system, soon after whoever left it is gone. */
static void expect_given_back(struct scene *scene, size_t before)
{
    wait_most(scene, "sponson_answers_unsent_bytes", 4096, GIVEN_BACK_MS);
    for (uint64_t due_ns = until_in(GIVEN_BACK_MS);
         !until_sanitized() && process_anonymous_bytes(scene->daemon) > before + SLACK / 3;) {
        (void)robust_status(&scene->raw);
        if (until_over(due_ns))
            fail_msg("%zu MiB, %zu before", process_anonymous_bytes(scene->daemon) / MIB,
                     before / MIB);
    }
    print_message("%zu MiB before, %zu MiB after\n", before / MIB,
                  process_anonymous_bytes(scene->daemon) / MIB);
}

static void lists_that_nobody_reads(struct stage *stage)
{
    struct scene scene;
    void *listers[LISTERS];
    begin(&scene, stage);
    put_sessions(&scene.feeder);
    put_one(&scene.feeder, 1);
    size_t before = process_anonymous_bytes(scene.daemon);
    for (size_t i = 0; i < LISTERS; i++) {
        listers[i] = open_reader(stage, scene.raw.context);
        ask_for_lists(listers[i]);
    }
    robust_wait_counter(&scene.raw, "sponson_answers_dropped_total", LISTERS);
    expect_replay(&scene, "s", 10);
    expect_bounded(&scene, before, LISTERS);
    for (size_t i = 0; i < LISTERS; i++)
        zmq_close(listers[i]);
    expect_given_back(&scene, before);
    end(&scene);
}

static void ask_for_counters(void *socket, uint64_t number)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_header(&out, RAW_STATS, number);
    raw_send_out(socket, &out);
    raw_release(&out);
}

static void subscribe_anew(void *socket, uint64_t number)
{
    send_subscribe(socket, number, "not there", WAIT, 1 << 16);
}

static void grant_what_is_not_there(void *socket, uint64_t number)
{
    (void)number;
    send_grants(socket, ASKED_GRANTS);
}

/* 200 connections that asked for counters at full speed and read none took 350,000 answers a second
 * from the sidecar, and one of two processors: all others waited seven times as long. So it goes
 * for whatever a connection says that has no room. */
static void who_asks_on_and_on_is_slowed_down(struct stage *stage)
{
    static void (*const asks[])(void *, uint64_t) = {ask_for_counters, subscribe_anew,
                                                     grant_what_is_not_there};
    struct scene scene;
    begin(&scene, stage);
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        void *asker = open_reader(stage, scene.raw.context);
        uint64_t dropped = robust_counter(&scene.raw, "sponson_answers_dropped_total");
        for (uint64_t number = 0; number < FILLERS; number++)
            ask_for_counters(asker, number);
        robust_wait_counter(&scene.raw, "sponson_answers_dropped_total", dropped + 1);
        uint64_t begun_ns = until_now_ns();
        uint64_t begun = robust_counter(&scene.raw, "sponson_requests_total");
        for (uint64_t number = 0; number < ASKED; number++)
            asks[i](asker, number);
        uint64_t ended = robust_wait_counter(&scene.raw, "sponson_requests_total", begun + ASKED);
        uint64_t ms = (until_now_ns() - begun_ns) / 1000000;
        dropped = robust_counter(&scene.raw, "sponson_answers_dropped_total") - dropped;
        print_message("%llu taken in %llu ms, %llu answers dropped\n",
                      (unsigned long long)(ended - begun), (unsigned long long)ms,
                      (unsigned long long)dropped);
        assert_true(ended - begun <= ASKED_PER_MS * (ms + 2) + ASKED_MORE);
        assert_true(dropped <= FILLERS + ASKED); /* one for each message, however much it asks */
        zmq_close(asker);
    }
    end(&scene);
}

static bool stall_is_logged(void *argument)
{
    return strstr(stage_log(argument), "event=connections_stalled") != NULL;
}

/* Three of them have credit for 225 MiB, and do not read. */
static void stalled_subscribers(struct stage *stage)
{
    struct scene scene;
    void *stalled[STALLED];
    begin(&scene, stage);
    put_large(&scene.feeder);
    size_t before = process_anonymous_bytes(scene.daemon);
    for (size_t i = 0; i < STALLED; i++) {
        stalled[i] = open_reader(stage, scene.raw.context);
        for (uint64_t number = 0; number < STALLED_EACH; number++)
            send_subscribe(stalled[i], number, "large", FAIL, 256 * 1024);
    }
    robust_wait_counter(&scene.raw, "sponson_subscriptions", (uint64_t)STALLED * STALLED_EACH);
    robust_wait_counter(&scene.raw, "sponson_answers_unsent_bytes", 8 * MIB);
    for (int i = 0; i < 5; i++)
        expect_replay(&scene, "large", MIB);
    expect_bounded(&scene, before, STALLED);
    if (is_long) {
        robust_wait_counter(&scene.raw, "sponson_answers_unsent_bytes", 1);
        wait_most(&scene, "sponson_subscriptions", 0, CUT_MS);
        /* Their leases end at about the same time, before or after. */
        robust_wait_counter(&scene.raw, "sponson_stalled_connections_cut_total", STALLED);
        assert_true(until_true(until_in(STAGE_WAIT_MS), stall_is_logged, stage));
    }
    for (size_t i = 0; i < STALLED && !is_long; i++)
        zmq_close(stalled[i]);
    expect_given_back(&scene, before);
    for (size_t i = 0; i < STALLED && is_long; i++)
        zmq_close(stalled[i]);
    end(&scene);
}

int main(int argc, char **argv)
{
    is_long = argc > 1 && strcmp(argv[1], "long") == 0;
    const struct CMUnitTest tests[] = {
        STAGE_TEST(ends_of_a_thousand_subscriptions),
        STAGE_TEST(verdicts_of_a_thousand_that_wait),
        STAGE_TEST(grants_after_a_restart_are_all_answered),
        STAGE_TEST(two_thousand_subscriptions_of_one_client_stay_live),
        STAGE_TEST(ten_thousand_subscriptions_of_one_client),
        STAGE_TEST(another_life_came_under_the_one_before_it),
        STAGE_TEST(lists_that_nobody_reads),
        STAGE_TEST(who_asks_on_and_on_is_slowed_down),
        STAGE_TEST(stalled_subscribers),
    };
    return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
