/* SPDX-License-Identifier: Apache-2.0 */
/* test_subscription: readers that come and go and stop, while the sidecar is killed, get what the
 * log has: all of it, in order, once.
 *
 *     system_subscription              the normal suite
 *     system_subscription lease        what waits for the lease to run out, which loads nothing
 *     system_subscription campaign     200 readers at 2,000 events a second for two minutes
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event_list.h"
#include "feeder.h"
#include "raw.h"
#include "stage.h"
#include "subscription.h"

enum {
    OPEN_MS = 10000,
    ITEM_MS = 20000,
    ITEM_HEAD = 40,   /* of an item, as PROTOCOL.md has it */
    LEASE_MS = 30000, /* the same */
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

static spn_subscription *subscribe(spn_client *client, const char *session, spn_start start,
                                   unsigned otherwise, size_t window_bytes)
{
    spn_subscription *subscription = NULL;
    const struct spn_subscription_options options = {.size = sizeof(options),
                                                     .start = start,
                                                     .otherwise = otherwise,
                                                     .window_bytes = window_bytes};
    assert_int_equal(spn_subscribe(&subscription, client, spn_text(session), &options), SPN_OK);
    return subscription;
}

static struct spn_item next_item(spn_subscription *subscription, spn_item_kind kind)
{
    const struct spn_item *item;
    do {
        int ms = until_left_ms(until_in(ITEM_MS));
        spn_err err = spn_subscription_next(subscription, ms, &item);
        if (err != SPN_OK)
            fail_msg("no item: %s", spn_err_name(err));
    } while (item->kind == SPN_ITEM_CAUGHT_UP && kind != SPN_ITEM_CAUGHT_UP);
    assert_int_equal(item->kind, kind);
    return *item;
}

/* Events have the id "e<seq>" and the seq as data. */
static bool is_event(const struct spn_event *event, uint64_t seq)
{
    char id[32];
    size_t size = (size_t)snprintf(id, sizeof(id), "e%llu", (unsigned long long)seq);
    return event->seq == seq && event->id.size == size && memcmp(event->id.data, id, size) == 0 &&
           event->data.size == size - 1 && memcmp(event->data.data, id + 1, size - 1) == 0;
}

static void put_event(struct feeder *feeder, const char *session, uint64_t seq)
{
    char id[32];
    snprintf(id, sizeof(id), "e%llu", (unsigned long long)seq);
    feeder_put(feeder, session, id, id + 1);
}

static void expect_events(spn_subscription *subscription, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        struct spn_item item = next_item(subscription, SPN_ITEM_EVENT);
        if (!is_event(item.event, seq))
            fail_msg("event %llu is %llu, id %.*s", (unsigned long long)seq,
                     (unsigned long long)item.event->seq, (int)item.event->id.size,
                     (const char *)item.event->id.data);
    }
}

/* -- live -------------------------------------------------------------------------------------- */

enum { LIVE_EVENTS = 300 };

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Each event reaches the reader although nothing follows it; what that takes is printed. */
static void what_is_published_arrives(struct stage *stage)
{
    static uint64_t read_ns[LIVE_EVENTS], ack_ns[LIVE_EVENTS];
    struct feeder feeder;
    stage_start(stage, NULL);
    feeder_open(&feeder);
    put_event(&feeder, "live", 1);
    feeder_settle(&feeder);
    spn_client *client = open_client();
    spn_subscription *subscription = subscribe(client, "live", SPN_NOW, SPN_FAIL, 0);
    struct spn_item verdict = next_item(subscription, SPN_ITEM_VERDICT);
    assert_int_equal(verdict.seq, 1);
    for (uint64_t i = 0; i < LIVE_EVENTS; i++) {
        uint64_t start_ns = until_now_ns();
        put_event(&feeder, "live", 2 + 2 * i);
        expect_events(subscription, 2 + 2 * i, 2 + 2 * i);
        read_ns[i] = until_now_ns() - start_ns;
        feeder_settle(&feeder);
        start_ns = until_now_ns();
        put_event(&feeder, "live", 3 + 2 * i);
        feeder_settle(&feeder);
        ack_ns[i] = until_now_ns() - start_ns;
        expect_events(subscription, 3 + 2 * i, 3 + 2 * i);
    }
    qsort(read_ns, LIVE_EVENTS, sizeof(read_ns[0]), by_value);
    qsort(ack_ns, LIVE_EVENTS, sizeof(ack_ns[0]), by_value);
    print_message("median of %d: publish to reader %llu us, to durable ack %llu us\n", LIVE_EVENTS,
                  (unsigned long long)read_ns[LIVE_EVENTS / 2] / 1000,
                  (unsigned long long)ack_ns[LIVE_EVENTS / 2] / 1000);
    spn_unsubscribe(subscription);
    spn_client_close(client);
    feeder_close(&feeder);
}

static bool one_subscribed(void *stage)
{
    return event_stat(stage, "sponson_subscriptions") == 1;
}

static bool none_subscribed(void *stage)
{
    return event_stat(stage, "sponson_subscriptions") == 0;
}

static void wait_for_session(struct stage *stage, bool killed)
{
    struct feeder feeder;
    struct process *daemon = stage_start(stage, NULL);
    spn_client *client = open_client();
    spn_subscription *waits = subscribe(client, "later", SPN_EARLIEST, SPN_WAIT, 0);
    spn_subscription *now = subscribe(client, "later", SPN_NOW, SPN_WAIT, 0);
    spn_subscription *fails = subscribe(client, "later", SPN_EARLIEST, SPN_FAIL, 0);
    struct spn_item end = next_item(fails, SPN_ITEM_END);
    assert_int_equal(end.why, SPN_E_UNKNOWN_SESSION);
    spn_unsubscribe(fails);
    const struct spn_last *last; /* answered after what was asked before */
    assert_int_equal(spn_last_event(client, spn_text("later"), OPEN_MS, &last),
                     SPN_E_UNKNOWN_SESSION);
    feeder_open(&feeder);
    put_event(&feeder, "another", 1);
    feeder_settle(&feeder);
    const struct spn_item *none;
    assert_int_equal(spn_subscription_next(waits, 0, &none), SPN_E_TIMEOUT);
    if (killed) { /* and the session is opened before the library was called again */
        process_kill(daemon);
        stage_start(stage, NULL);
    }
    put_event(&feeder, "later", 1);
    feeder_settle(&feeder);
    next_item(waits, SPN_ITEM_VERDICT);
    expect_events(waits, 1, 1);
    next_item(now, SPN_ITEM_VERDICT);
    expect_events(now, 1, 1);
    feeder_close(&feeder);
    spn_client_close(client);
}

static void session_is_waited_for(struct stage *stage)
{
    wait_for_session(stage, false);
}

static void session_is_waited_for_over_a_kill(struct stage *stage)
{
    wait_for_session(stage, true);
}

/* -- a reader that stops ----------------------------------------------------------------------- */

enum { STALLED_EVENTS = 20000, STALLED_WINDOW = 4096 };

static void stalled_reader_gets_everything(struct stage *stage)
{
    struct feeder feeder;
    stage_start(stage, NULL);
    feeder_open(&feeder);
    put_event(&feeder, "s", 1);
    feeder_settle(&feeder);
    spn_client *stalled_client = open_client();
    spn_client *client = open_client();
    spn_subscription *stalled =
        subscribe(stalled_client, "s", SPN_EARLIEST, SPN_FAIL, STALLED_WINDOW);
    spn_subscription *reader = subscribe(client, "s", SPN_EARLIEST, SPN_FAIL, 0);
    next_item(stalled, SPN_ITEM_VERDICT);
    expect_events(stalled, 1, 1);
    next_item(reader, SPN_ITEM_VERDICT);
    expect_events(reader, 1, 1);
    uint64_t last = until_scaled(STALLED_EVENTS);
    for (uint64_t seq = 2; seq <= last; seq++)
        put_event(&feeder, "s", seq);
    feeder_settle(&feeder);
    expect_events(reader, 2, last); /* the other one is not held up */
    assert_true(event_stat(stage, "sponson_credit_stalls_total") > 0);
    expect_events(stalled, 2, last);
    put_event(&feeder, "s", last + 1);
    expect_events(stalled, last + 1, last + 1);
    expect_events(reader, last + 1, last + 1);
    spn_client_close(stalled_client);
    spn_client_close(client);
    feeder_close(&feeder);
}

/* A sidecar that is killed does not make the stalled reader forget, or be given, anything. */
static void stalled_reader_over_a_restart(struct stage *stage)
{
    struct feeder feeder;
    struct process *daemon = stage_start(stage, NULL);
    feeder_open(&feeder);
    uint64_t last = until_scaled(STALLED_EVENTS) / 4;
    for (uint64_t seq = 1; seq <= last; seq++)
        put_event(&feeder, "s", seq);
    feeder_settle(&feeder);
    spn_client *client = open_client();
    spn_subscription *stalled = subscribe(client, "s", SPN_EARLIEST, SPN_FAIL, STALLED_WINDOW);
    next_item(stalled, SPN_ITEM_VERDICT);
    expect_events(stalled, 1, 10);
    process_kill(daemon);
    stage_start(stage, NULL);
    expect_events(stalled, 11, last);
    assert_true(subscriptions_resumed(client) >= 1);
    spn_client_close(client);
    feeder_close(&feeder);
}

/* -- pauses ------------------------------------------------------------------------------------ */

enum { PAUSED = 8, UNPAUSED = 2, BIG_EVENTS = 12, BIG_SIZE = 64 * 1024 };

static spn_client *open_small_client(void)
{
    spn_client *client = NULL;
    const struct spn_client_options options = {.size = sizeof(options), .read_bytes_max = BIG_SIZE};
    assert_int_equal(spn_client_open(&client, &options, OPEN_MS, NULL, 0), SPN_OK);
    return client;
}

static void put_big(struct feeder *feeder)
{
    static char data[BIG_SIZE + 1];
    memset(data, 'x', BIG_SIZE);
    for (unsigned i = 0; i < BIG_EVENTS; i++)
        feeder_put(feeder, "big", "", data);
    feeder_settle(feeder);
}

/* Takes so many events of any of them, and counts them in *ret_counts. */
static void take_events(spn_client *client, unsigned wanted, unsigned counts[PAUSED + UNPAUSED])
{
    uint64_t end = until_in(ITEM_MS);
    while (wanted > 0) {
        spn_subscription *subscription;
        const struct spn_item *item;
        spn_err err = spn_next_of_any(client, until_left_ms(end), &subscription, &item);
        if (err != SPN_OK)
            fail_msg("%s: %u events are missing", spn_err_name(err), wanted);
        assert_int_not_equal(item->kind, SPN_ITEM_END);
        if (item->kind != SPN_ITEM_EVENT)
            continue;
        unsigned *count = spn_subscription_context(subscription);
        assert_in_range(count - counts, 0, PAUSED + UNPAUSED - 1);
        assert_int_equal(item->seq, ++*count);
        wanted--;
    }
}

/* Each of the paused ones has an event: together eight times what the client may hold. */
static void paused_ones_hold_up_no_other(struct stage *stage)
{
    struct feeder feeder;
    spn_subscription *subscriptions[PAUSED + UNPAUSED];
    unsigned counts[PAUSED + UNPAUSED] = {0};
    stage_start(stage, NULL);
    feeder_open(&feeder);
    spn_client *client = open_small_client();
    for (size_t i = 0; i < PAUSED + UNPAUSED; i++) {
        subscriptions[i] = subscribe(client, "big", SPN_EARLIEST, SPN_WAIT, 0);
        spn_subscription_set_context(subscriptions[i], &counts[i]);
    }
    for (size_t i = 0; i < PAUSED; i++)
        assert_int_equal(spn_subscription_pause(subscriptions[i], true), SPN_OK);
    put_big(&feeder);
    take_events(client, UNPAUSED * BIG_EVENTS, counts);
    for (size_t i = 0; i < PAUSED + UNPAUSED; i++)
        assert_int_equal(counts[i], i < PAUSED ? 0 : BIG_EVENTS);
    for (size_t i = 0; i < PAUSED; i++)
        assert_int_equal(spn_subscription_pause(subscriptions[i], false), SPN_OK);
    take_events(client, PAUSED * BIG_EVENTS, counts);
    spn_client_close(client);
    feeder_close(&feeder);
}

/* -- what the heartbeat finds ------------------------------------------------------------------ */

enum { QUIET = 100 };

struct quiet {
    struct stage *stage;
    spn_client *client;
    spn_subscription *subscriptions[QUIET];
    uint64_t wanted; /* subscriptions at the sidecar */
};

/* All that the app does: it waits for the descriptor, and steps. */
static bool has_wanted_after_a_step(void *argument)
{
    struct quiet *quiet = argument;
    struct pollfd fd = {.fd = spn_client_fd(quiet->client), .events = POLLIN};
    if (poll(&fd, 1, 20) > 0)
        assert_int_equal(spn_client_step(quiet->client), SPN_OK);
    return event_stat(quiet->stage, "sponson_subscriptions") == quiet->wanted;
}

static void open_quiet(struct quiet *quiet, struct stage *stage)
{
    quiet->stage = stage;
    quiet->client = open_client();
    quiet->wanted = QUIET;
    for (size_t i = 0; i < QUIET; i++) {
        quiet->subscriptions[i] =
            subscribe(quiet->client, stage_format(stage, "q%zu", i % 10), SPN_EARLIEST, 0, 0);
        next_item(quiet->subscriptions[i], SPN_ITEM_VERDICT);
        expect_events(quiet->subscriptions[i], 1, 1);
        next_item(quiet->subscriptions[i], SPN_ITEM_CAUGHT_UP);
    }
}

static void put_to_all(struct feeder *feeder, uint64_t seq)
{
    char name[16];
    for (size_t i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "q%zu", i);
        put_event(feeder, name, seq);
    }
    feeder_settle(feeder);
}

/* No verdict, no second time caught up, nothing missing. */
static void expect_one_more(struct quiet *quiet, uint64_t seq)
{
    for (size_t i = 0; i < QUIET; i++) {
        const struct spn_item *item;
        assert_int_equal(spn_subscription_next(quiet->subscriptions[i], ITEM_MS, &item), SPN_OK);
        assert_int_equal(item->kind, SPN_ITEM_EVENT);
        assert_true(is_event(item->event, seq));
    }
}

static void quiet_ones_are_back_after_a_kill(struct stage *stage)
{
    struct feeder feeder;
    struct quiet quiet;
    struct process *daemon = stage_start(stage, NULL);
    feeder_open(&feeder);
    put_to_all(&feeder, 1);
    open_quiet(&quiet, stage);
    process_kill(daemon);
    stage_start(stage, NULL);
    int ms = (int)(2 * CLIENT_HEARTBEAT_NS / 1000000);
    assert_true(until_true(until_in(ms), has_wanted_after_a_step, &quiet));
    put_to_all(&feeder, 2);
    expect_one_more(&quiet, 2);
    spn_client_close(quiet.client);
    feeder_close(&feeder);
}

/* A client that stood still for longer than the lease lasts. */
static void lease_that_ran_out(struct stage *stage)
{
    struct feeder feeder;
    stage_start(stage, NULL);
    feeder_open(&feeder);
    put_event(&feeder, "s", 1);
    feeder_settle(&feeder);
    struct process *tail = stage_begin_run(stage, "tail", "s", "--earliest", "--count", "2");
    assert_true(until_true(until_in(ITEM_MS), one_subscribed, stage));
    process_stop(tail);
    assert_true(until_true(until_in(2 * LEASE_MS), none_subscribed, stage));
    put_event(&feeder, "s", 2);
    feeder_settle(&feeder);
    process_signal(tail, SIGCONT);
    struct outcome done = stage_end(stage, tail, until_in(ITEM_MS));
    stage_expect_code(&done, 0);
    assert_non_null(strstr(done.out, "\"e1\""));
    assert_non_null(strstr(done.out, "\"e2\""));
    feeder_close(&feeder);
}

/* -- kill -9 under load ------------------------------------------------------------------------ */

enum { READERS_MAX = 200, CLIENTS_MAX = 20, SESSION_EVENTS_FIRST = 100, END_MS = 10000 };

struct load {
    size_t readers;
    size_t clients;
    unsigned events_per_s;
    unsigned seconds;
    unsigned kill_ms_min; /* between two kills */
    unsigned kill_ms_max;
};

struct reader {
    spn_subscription *subscription;
    uint64_t next; /* the seq it wants */
    bool begun;
};

static const struct stage_daemon keeps = {.more = {STAGE_KEEP_ALL}};

/* The readers' thread fails nothing by itself: it says what is wrong, and the test fails. */
struct readers {
    const struct load *load;
    spn_client *clients[CLIENTS_MAX];
    struct reader readers[READERS_MAX];
    size_t joined;
    uint64_t started_ns;
    uint64_t random;
    atomic_uint_fast64_t durable; /* by the writer: ids up to this one are there */
    atomic_uint_fast64_t total;   /* by the writer, when it has stopped; 0: it has not */
    atomic_bool give_up;
    atomic_size_t done;
    uint64_t events;
    uint64_t resumed;
    char wrong[256]; /* "": nothing */
};

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* One in eight from the beginning, one in eight from now, the others after a random id. */
static void join(struct readers *all)
{
    size_t place = all->joined++;
    struct reader *reader = &all->readers[place];
    spn_client *client = all->clients[place % all->load->clients];
    char id[32];
    uint64_t after = 1 + random_next(&all->random) % atomic_load(&all->durable);
    struct spn_subscription_options options = {.size = sizeof(options), .start = SPN_AFTER_ID};
    snprintf(id, sizeof(id), "e%llu", (unsigned long long)after);
    options.after = spn_text(id);
    reader->next = after + 1;
    if (place % 8 == 0) {
        options.start = SPN_EARLIEST;
        reader->next = 1;
    } else if (place % 8 == 1) {
        options.start = SPN_NOW;
        reader->next = 0; /* the verdict says */
    }
    options.window_bytes = place % 3 == 0 ? 2000 : 0;
    spn_err err = spn_subscribe(&reader->subscription, client, spn_text("load"), &options);
    if (err != SPN_OK)
        snprintf(all->wrong, sizeof(all->wrong), "subscribe: %s", spn_err_name(err));
    else
        spn_subscription_set_context(reader->subscription, reader);
}

static void check_item(struct readers *all, struct reader *reader, const struct spn_item *item)
{
    if (item->kind == SPN_ITEM_CAUGHT_UP)
        return;
    if (item->kind == SPN_ITEM_VERDICT && !reader->begun && item->missing == 0 &&
        (reader->next == 0 || item->seq + 1 == reader->next)) {
        reader->begun = true;
        reader->next = item->seq + 1;
    } else if (item->kind == SPN_ITEM_EVENT && reader->begun &&
               is_event(item->event, reader->next)) {
        reader->next++;
        all->events++;
    } else if (all->wrong[0] == '\0') {
        snprintf(all->wrong, sizeof(all->wrong),
                 "reader %zu wants %llu and gets item %d, seq %llu, missing %llu, %s",
                 (size_t)(reader - all->readers), (unsigned long long)reader->next, (int)item->kind,
                 (unsigned long long)item->seq, (unsigned long long)item->missing,
                 spn_err_name(item->why));
    }
}

static void drain(struct readers *all, spn_client *client)
{
    const struct spn_item *item;
    spn_subscription *subscription;
    spn_err err = spn_client_step(client);
    while (err == SPN_OK && (err = spn_next_of_any(client, 0, &subscription, &item)) == SPN_OK)
        check_item(all, spn_subscription_context(subscription), item);
    if (err != SPN_E_TIMEOUT && err != SPN_E_END)
        snprintf(all->wrong, sizeof(all->wrong), "next: %s", spn_err_name(err));
}

static void count_done(struct readers *all)
{
    uint64_t total = atomic_load(&all->total);
    size_t done = 0;
    for (size_t i = 0; total > 0 && i < all->joined; i++)
        done += all->readers[i].next == total + 1 ? 1 : 0;
    if (total > 0)
        atomic_store(&all->done, done);
}

static void *read_all(void *argument)
{
    struct readers *all = argument;
    const struct load *load = all->load;
    struct pollfd fds[CLIENTS_MAX];
    for (size_t i = 0; i < load->clients; i++)
        fds[i] = (struct pollfd){.fd = spn_client_fd(all->clients[i]), .events = POLLIN};
    uint64_t span_ns = (uint64_t)load->seconds * 900000000u; /* the last joins before the end */
    while (!atomic_load(&all->give_up) && all->wrong[0] == '\0' &&
           atomic_load(&all->done) < load->readers) {
        uint64_t due = (until_now_ns() - all->started_ns) * load->readers / span_ns;
        while (all->joined < load->readers && (all->joined <= due || atomic_load(&all->total) > 0))
            join(all);
        poll(fds, load->clients, 10);
        for (size_t i = 0; i < load->clients; i++)
            if (fds[i].revents != 0)
                drain(all, all->clients[i]);
        count_done(all);
    }
    return NULL;
}

/* Publishes at its pace and kills the sidecar now and then; the number of kills. */
static unsigned write_and_kill(struct stage *stage, struct readers *all, struct feeder *feeder,
                               struct process *daemon)
{
    const struct load *load = all->load;
    uint64_t random = until_now_ns() | 1;
    uint64_t written = SESSION_EVENTS_FIRST;
    uint64_t start_ns = until_now_ns(), end_ns = start_ns + load->seconds * UINT64_C(1000000000);
    unsigned kills = 0;
    uint64_t kill_ns = start_ns;
    for (uint64_t now_ns = start_ns; now_ns < end_ns; now_ns = until_now_ns()) {
        uint64_t due = (now_ns - start_ns) / 1000 * load->events_per_s / 1000000;
        while (written - SESSION_EVENTS_FIRST < due)
            put_event(feeder, "load", ++written);
        assert_int_equal(spn_client_step(feeder->client), SPN_OK);
        atomic_store(&all->durable, spn_producer_counters(feeder->producer)->stored);
        if (now_ns >= kill_ns) {
            if (kill_ns != start_ns) {
                process_kill(daemon);
                daemon = stage_start(stage, &keeps);
                kills++;
            }
            unsigned span = load->kill_ms_max - load->kill_ms_min;
            kill_ns = until_now_ns() +
                      UINT64_C(1000000) * (load->kill_ms_min + random_next(&random) % span);
        }
        until_passed_us(5000);
    }
    feeder_settle(feeder);
    atomic_store(&all->total, written);
    return kills;
}

static bool all_done(void *argument)
{
    struct readers *all = argument;
    return atomic_load(&all->done) >= all->load->readers || all->wrong[0] != '\0';
}

static void finish_readers(struct readers *all, unsigned kills)
{
    for (size_t i = 0; i < all->load->clients; i++) {
        all->resumed += subscriptions_resumed(all->clients[i]);
        spn_client_close(all->clients[i]);
    }
    print_message("%zu readers, %u kills, %llu resumes, %llu events in the log, %llu delivered\n",
                  all->load->readers, kills, (unsigned long long)all->resumed,
                  (unsigned long long)atomic_load(&all->total), (unsigned long long)all->events);
    if (all->wrong[0] != '\0')
        fail_msg("%s", all->wrong);
    for (size_t i = 0; i < all->load->readers; i++)
        if (all->readers[i].next != atomic_load(&all->total) + 1)
            fail_msg("reader %zu is at %llu of %llu", i,
                     (unsigned long long)all->readers[i].next - 1,
                     (unsigned long long)atomic_load(&all->total));
    assert_true(kills > 0);
    assert_true(all->resumed > 0);
}

static void run_load(struct stage *stage, const struct load *load)
{
    struct feeder feeder;
    pthread_t thread;
    struct process *daemon = stage_start(stage, &keeps);
    struct readers *all = stage_keep(stage, calloc(1, sizeof(*all)));
    all->load = load;
    all->random = until_now_ns() | 1;
    feeder_open(&feeder);
    for (uint64_t seq = 1; seq <= SESSION_EVENTS_FIRST; seq++)
        put_event(&feeder, "load", seq);
    feeder_settle(&feeder);
    atomic_store(&all->durable, SESSION_EVENTS_FIRST);
    for (size_t i = 0; i < load->clients; i++)
        all->clients[i] = open_client();
    all->started_ns = until_now_ns();
    assert_int_equal(pthread_create(&thread, NULL, read_all, all), 0);
    unsigned kills = write_and_kill(stage, all, &feeder, daemon);
    uint64_t stopped_ns = until_now_ns();
    bool done = until_true(until_in(END_MS), all_done, all);
    print_message("at the end %llu ms after the writer stopped\n",
                  (unsigned long long)(until_now_ns() - stopped_ns) / 1000000);
    atomic_store(&all->give_up, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    finish_readers(all, kills);
    assert_true(done);
    struct outcome last = stage_run(stage, "last", "load", "--json");
    assert_int_equal(event_json_number(last.out, "seq"), atomic_load(&all->total));
    feeder_close(&feeder);
}

static void kills_leave_no_gap(struct stage *stage)
{
    static const struct load load = {.readers = 20,
                                     .clients = 4,
                                     .events_per_s = 2000,
                                     .seconds = 5,
                                     .kill_ms_min = 500,
                                     .kill_ms_max = 1200};
    run_load(stage, &load);
}

static void campaign(struct stage *stage)
{
    static const struct load load = {.readers = READERS_MAX,
                                     .clients = CLIENTS_MAX,
                                     .events_per_s = 2000,
                                     .seconds = 120,
                                     .kill_ms_min = 1000,
                                     .kill_ms_max = 5000};
    run_load(stage, &load);
}

/* Joining while events are written: the reader that has just caught up must not miss what was
 * committed since the broker told where its session stands. Many join at once, so that the answers
 * have to wait while the log is read on. */
enum { JOIN_ROUNDS = 150, JOINS_MAX = 60 };

static void join_round(struct feeder *feeder, spn_client *client, uint64_t *written)
{
    spn_subscription *joined[JOINS_MAX];
    for (size_t i = 0; i < JOINS_MAX; i++) {
        put_event(feeder, "join", ++*written);
        joined[i] = subscribe(client, "join", i % 8 == 7 ? SPN_EARLIEST : SPN_NOW, SPN_FAIL, 0);
    }
    feeder_settle(feeder);
    for (size_t i = 0; i < JOINS_MAX; i++) {
        struct spn_item verdict = next_item(joined[i], SPN_ITEM_VERDICT);
        if (i % 8 != 7 || *written < 1000)
            expect_events(joined[i], verdict.seq + 1, *written);
        spn_unsubscribe(joined[i]);
    }
}

static void joins_under_load_miss_nothing(struct stage *stage)
{
    struct feeder feeder;
    uint64_t written = 0;
    stage_start(stage, NULL);
    feeder_open(&feeder);
    spn_client *client = open_client();
    spn_client *other = open_client();
    spn_subscription *present = subscribe(other, "join", SPN_EARLIEST, SPN_WAIT, 0);
    put_event(&feeder, "join", ++written);
    feeder_settle(&feeder);
    for (size_t i = until_scaled(JOIN_ROUNDS); i > 0; i--)
        join_round(&feeder, client, &written);
    next_item(present, SPN_ITEM_VERDICT);
    expect_events(present, 1, written);
    /* The library would have hidden a sidecar that leaves out or repeats. */
    assert_int_equal(subscriptions_resumed(client), 0);
    assert_int_equal(subscriptions_resumed(other), 0);
    spn_client_close(client);
    spn_client_close(other);
    feeder_close(&feeder);
}

/* -- bad input --------------------------------------------------------------------------------- */

struct ask {
    uint64_t subscription;
    uint32_t incarnation;
    uint8_t start;
    uint8_t otherwise;
    const uint8_t *life; /* 16 bytes; NULL: zeros */
    uint64_t seq;
    uint64_t credit;
    const char *session;
    const char *id;
};

static void send_frame(struct raw *raw, struct raw_out *out)
{
    raw_send_out(raw->read, out);
    raw_release(out);
}

static void send_subscribe(struct raw *raw, const struct ask *ask)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_header(&out, RAW_SUBSCRIBE, ++raw->request);
    raw_put_number(&out, ask->subscription, 8);
    raw_put_number(&out, ask->incarnation, 4);
    raw_put_number(&out, ask->start, 1);
    raw_put_number(&out, ask->otherwise, 1);
    raw_put_zeros(&out, 2);
    if (ask->life) {
        raw_put(&out, ask->life, 16);
    } else {
        raw_put_zeros(&out, 16);
    }
    raw_put_number(&out, ask->seq, 8);
    raw_put_number(&out, ask->credit, 8);
    raw_put_zeros(&out, 8); /* features */
    raw_put_short(&out, ask->session);
    raw_put_number(&out, ask->id ? strlen(ask->id) : 0, 2);
    if (ask->id)
        raw_put(&out, ask->id, strlen(ask->id));
    send_frame(raw, &out);
}

/* CREDIT with one grant, or UNSUBSCRIBE. */
static void send_grant(struct raw *raw, enum raw_type type, uint64_t subscription,
                       uint32_t incarnation, uint64_t credit)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_header(&out, (uint8_t)type, ++raw->request);
    if (type == RAW_CREDIT)
        raw_put_number(&out, 1, 4);
    raw_put_number(&out, subscription, 8);
    raw_put_number(&out, incarnation, 4);
    raw_put_zeros(&out, 4);
    raw_put_number(&out, credit, 8);
    send_frame(raw, &out);
}

enum { VERDICT = 0, EVENTS = 1, GAP = 2, END = 3 }; /* kinds */
enum {
    RESUMED = 0,
    UNKNOWN_ID = 2,
    UNKNOWN_SESSION = 3,
    OTHER_LIFE = 4,
    DELETED = 6,
    NOT_HERE = 7,
    REFUSED = 10,
};

struct delivery {
    uint64_t subscription;
    uint32_t incarnation;
    uint8_t kind;
    uint8_t verdict;
    uint16_t code;
    uint32_t count;
    uint64_t seq;
    uint64_t bytes;
    uint64_t missing;
    uint8_t life[16]; /* of a standing */
    uint64_t newest;
    uint8_t state;
    char id[32];
};

/* Deliveries come several in a message: the rest of the newest one. */
static struct raw_in deliveries;
static uint32_t deliveries_left;

static struct raw_in *next_delivery(struct raw *raw)
{
    if (deliveries_left > 0)
        return &deliveries;
    deliveries = raw_expect(raw->read, RAW_DELIVER);
    assert_int_equal(deliveries.request, 0);
    deliveries_left = (uint32_t)raw_get_number(&deliveries, 4);
    raw_get_zeros(&deliveries, 4);
    assert_true(deliveries_left > 0);
    return &deliveries;
}

static void get_standing(struct raw_in *in, struct delivery *delivery)
{
    memcpy(delivery->life, raw_get(in, 16), 16);
    delivery->newest = raw_get_number(in, 8);
    delivery->state = (uint8_t)raw_get_number(in, 1);
    raw_get_zeros(in, 7);
    assert_int_equal(raw_get_number(in, 1), 0); /* no reason */
    size_t size = raw_get_number(in, 2);
    assert_true(size < sizeof(delivery->id));
    memcpy(delivery->id, raw_get(in, size), size);
    delivery->id[size] = '\0';
}

static struct delivery expect_delivery(struct raw *raw, uint8_t kind, uint8_t verdict)
{
    struct raw_in *in = next_delivery(raw);
    struct delivery delivery = {.subscription = raw_get_number(in, 8),
                                .incarnation = (uint32_t)raw_get_number(in, 4),
                                .kind = (uint8_t)raw_get_number(in, 1),
                                .verdict = (uint8_t)raw_get_number(in, 1)};
    delivery.code = (uint16_t)raw_get_number(in, 2);
    delivery.count = (uint32_t)raw_get_number(in, 4);
    size_t size = raw_get_number(in, 4);
    delivery.seq = raw_get_number(in, 8);
    delivery.bytes = raw_get_number(in, 8);
    delivery.missing = raw_get_number(in, 8);
    assert_true((delivery.kind != GAP) == (size > 0));
    if (delivery.kind == VERDICT || delivery.kind == END)
        get_standing(in, &delivery);
    else
        (void)raw_get(in, size);
    if (--deliveries_left == 0) {
        raw_end(in);
        raw_drop(in);
    }
    assert_int_equal(delivery.kind, kind);
    assert_int_equal(delivery.verdict, verdict);
    return delivery;
}

/* The answer to the CREDIT that was sent last, after what it led to. */
static void expect_alive(struct raw *raw, uint32_t subscriptions)
{
    struct raw_in in = raw_expect(raw->read, RAW_ALIVE);
    assert_int_equal(in.request, raw->request);
    assert_int_equal(deliveries_left, 0);
    assert_true(raw_get_number(&in, 8) != 0);
    assert_int_equal(raw_get_number(&in, 4), subscriptions);
    raw_get_zeros(&in, 4);
    raw_end(&in);
    raw_drop(&in);
}

static void expect_silence(struct raw *raw)
{
    struct raw_out out = {NULL, 0, 0};
    struct raw_in in = raw_ask(raw, &out, RAW_HEALTH, RAW_HEALTH_IS); /* after all before it */
    raw_drop(&in);
    raw_release(&out);
    assert_int_equal(deliveries_left, 0);
    if (raw_receive(raw->read, 50, &in))
        fail_msg("a frame of type %u that nobody asked for", in.type);
}

static void bad_input_hurts_nobody(struct stage *stage, void (*hurt)(struct raw *raw))
{
    struct feeder feeder;
    struct raw raw;
    stage_start(stage, NULL);
    feeder_open(&feeder);
    for (uint64_t seq = 1; seq <= 3; seq++)
        put_event(&feeder, "s", seq);
    feeder_settle(&feeder);
    spn_client *client = open_client();
    spn_subscription *bystander = subscribe(client, "s", SPN_EARLIEST, SPN_FAIL, 0);
    next_item(bystander, SPN_ITEM_VERDICT);
    expect_events(bystander, 1, 3);
    raw_open(&raw);
    hurt(&raw);
    put_event(&feeder, "s", 4);
    feeder_settle(&feeder);
    expect_events(bystander, 4, 4);
    assert_int_equal(subscriptions_resumed(client), 0);
    raw_close(&raw);
    spn_client_close(client);
    feeder_close(&feeder);
}

static void send_bad_starts(struct raw *raw)
{
    static const uint8_t other_life[16] = {77};
    static const struct {
        struct ask ask;
        uint8_t verdict;
    } ends[] = {
        {{.session = "nobody"}, UNKNOWN_SESSION},
        {{.session = "nobody", .otherwise = 1}, UNKNOWN_SESSION},
        {{.session = "nobody", .start = 2, .life = other_life}, UNKNOWN_SESSION},
        {{.session = "s", .start = 1, .id = "nobody"}, UNKNOWN_ID},
        {{.session = "s", .start = 1, .id = "nobody", .otherwise = 2}, UNKNOWN_ID},
        {{.session = "s", .start = 2, .life = other_life, .seq = 1}, OTHER_LIFE},
        {{.session = "s", .start = 2, .life = other_life, .otherwise = 2}, OTHER_LIFE},
    };
    static const struct {
        struct ask ask;
        uint32_t code;
    } refusals[] = {
        {{.session = ""}, RAW_E_BAD_SESSION},
        {{.session = "a\nb"}, RAW_E_BAD_SESSION},
        {{.session = "s", .start = 1}, RAW_E_BAD_ID},
        {{.session = "s", .start = 1, .id = "a\nb"}, RAW_E_BAD_ID},
    };
    static const struct ask bad[] = {{.session = "s", .start = 4},
                                     {.session = "s", .otherwise = 4}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        send_subscribe(raw, &ends[i].ask);
        struct delivery end = expect_delivery(raw, END, ends[i].verdict);
        assert_int_equal(end.newest, ends[i].verdict == UNKNOWN_SESSION ? 0 : 3);
        static const uint8_t no_life[16];
        assert_true(ends[i].verdict == UNKNOWN_SESSION ? memcmp(end.life, no_life, 16) == 0
                                                       : memcmp(end.life, no_life, 16) != 0 &&
                                                             memcmp(end.life, other_life, 16) != 0);
    }
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        send_subscribe(raw, &refusals[i].ask);
        assert_int_equal(expect_delivery(raw, END, REFUSED).code, refusals[i].code);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        send_subscribe(raw, &bad[i]);
        assert_int_equal(raw_expect_error(raw->read, RAW_E_PROTOCOL).request, raw->request);
    }
    send_subscribe(raw, &(struct ask){.subscription = 2, .session = "nobody", .otherwise = 2});
    expect_delivery(raw, VERDICT, UNKNOWN_SESSION); /* it waits */
    /* An unknown id, and then from the earliest. */
    send_subscribe(raw, &(struct ask){.session = "s", .start = 1, .id = "nobody", .otherwise = 3});
    struct delivery again = expect_delivery(raw, VERDICT, UNKNOWN_ID);
    assert_int_equal(again.seq, 0);
    assert_int_equal(again.newest, 3);
    assert_string_equal(again.id, "");
    /* A seq beyond the newest counts as the newest. */
    send_subscribe(
        raw, &(struct ask){
                 .subscription = 1, .session = "s", .start = 2, .life = again.life, .seq = 99});
    struct delivery newest = expect_delivery(raw, VERDICT, RESUMED);
    assert_int_equal(newest.seq, 3);
    assert_string_equal(newest.id, "e3");
    expect_silence(raw);
}

static void bad_starts(struct stage *stage)
{
    bad_input_hurts_nobody(stage, send_bad_starts);
}

static void send_bad_numbers(struct raw *raw)
{
    struct ask ask = {.subscription = 5, .incarnation = 2, .session = "s"};
    send_subscribe(raw, &ask);
    assert_int_equal(expect_delivery(raw, VERDICT, RESUMED).incarnation, 2);
    for (ask.incarnation = 2; ask.incarnation > 0; ask.incarnation--) {
        send_subscribe(raw, &ask);
        assert_int_equal(expect_delivery(raw, END, REFUSED).code, RAW_E_INVALID);
    }
    send_grant(raw, RAW_CREDIT, 6, 1, 1000); /* no such number */
    struct delivery gone = expect_delivery(raw, END, NOT_HERE);
    assert_int_equal(gone.subscription, 6);
    assert_int_equal(gone.incarnation, 1);
    expect_alive(raw, 1);
    send_grant(raw, RAW_CREDIT, 5, 3, 1000); /* no such incarnation */
    assert_int_equal(expect_delivery(raw, END, NOT_HERE).incarnation, 3);
    expect_alive(raw, 1);
    send_grant(raw, RAW_UNSUBSCRIBE, 6, 1, 0);
    assert_int_equal(expect_delivery(raw, END, NOT_HERE).subscription, 6);
    send_grant(raw, RAW_UNSUBSCRIBE, 5, 1, 0);
    assert_int_equal(expect_delivery(raw, END, NOT_HERE).incarnation, 1);
    send_grant(raw, RAW_UNSUBSCRIBE, 5, 2, 1); /* not zero */
    raw_expect_error(raw->read, RAW_E_PROTOCOL);
    ask.incarnation = UINT32_MAX; /* takes its place */
    send_subscribe(raw, &ask);
    assert_int_equal(expect_delivery(raw, VERDICT, RESUMED).incarnation, UINT32_MAX);
    send_grant(raw, RAW_CREDIT, 5, UINT32_MAX, UINT64_MAX);
    expect_alive(raw, 1);
    assert_int_equal(expect_delivery(raw, EVENTS, 0).count, 3);
    send_grant(raw, RAW_UNSUBSCRIBE, 5, UINT32_MAX, 0);
    send_grant(raw, RAW_CREDIT, 5, UINT32_MAX, UINT64_MAX);
    expect_delivery(raw, END, NOT_HERE);
    expect_alive(raw, 0);
    expect_silence(raw);
}

static void bad_numbers(struct stage *stage)
{
    bad_input_hurts_nobody(stage, send_bad_numbers);
}

static void send_garbage(struct raw *raw)
{
    static const uint8_t types[] = {RAW_SUBSCRIBE, RAW_CREDIT, RAW_UNSUBSCRIBE};
    struct raw_out out = {NULL, 0, 0};
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < 300; i++) {
        raw_clear(&out);
        raw_put_header(&out, types[i % 3], i + 1);
        for (uint64_t left = random_next(&random) % 15; left > 0; left--)
            raw_put_number(&out, random_next(&random) | 0x0101010101010101u, 1);
        raw_send_out(raw->read, &out);
        raw_expect_error(raw->read, RAW_E_PROTOCOL);
    }
    raw_clear(&out);
    raw_put_header(&out, RAW_CREDIT, 1); /* more grants than there may be, and all there */
    raw_put_number(&out, 4097, 4);
    raw_put_zeros(&out, 4097 * 24);
    raw_send_out(raw->read, &out);
    raw_expect_error(raw->read, RAW_E_PROTOCOL);
    raw_clear(&out);
    raw_put_header(&out, RAW_DELIVER, 1); /* the sidecar's own */
    raw_put_zeros(&out, 56);
    raw_send_out(raw->read, &out);
    raw_expect_error(raw->read, RAW_E_PROTOCOL);
    raw_release(&out);
    expect_silence(raw);
}

static void garbage(struct stage *stage)
{
    bad_input_hurts_nobody(stage, send_garbage);
}

/* Events are e1 "1", e2 "2" and so on: items of one size. */
static void spend_credit(struct raw *raw)
{
    const uint64_t item = ITEM_HEAD + 2 + 1;
    send_subscribe(raw, &(struct ask){.subscription = 9, .incarnation = 1, .session = "s"});
    expect_delivery(raw, VERDICT, RESUMED);
    expect_silence(raw); /* no credit, no events */
    send_grant(raw, RAW_CREDIT, 9, 1, 1);
    expect_alive(raw, 1);
    struct delivery got = expect_delivery(raw, EVENTS, 0);
    assert_int_equal(got.count, 1); /* one event always fits */
    assert_int_equal(got.bytes, item);
    assert_int_equal(got.seq, 1);
    send_grant(raw, RAW_CREDIT, 9, 1, item); /* reached already */
    expect_alive(raw, 1);
    expect_silence(raw);
    send_grant(raw, RAW_CREDIT, 9, 1, 4 * item);
    expect_alive(raw, 1);
    got = expect_delivery(raw, EVENTS, 0);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.bytes, 3 * item);
    assert_int_equal(got.seq, 3);
    send_grant(raw, RAW_CREDIT, 9, 1, 0); /* less changes nothing */
    expect_alive(raw, 1);
    expect_silence(raw);
}

static void credit_is_kept_to(struct stage *stage)
{
    struct feeder feeder;
    struct raw raw;
    stage_start(stage, NULL);
    feeder_open(&feeder);
    for (uint64_t seq = 1; seq <= 3; seq++)
        put_event(&feeder, "s", seq);
    feeder_settle(&feeder);
    raw_open(&raw);
    spend_credit(&raw);
    put_event(&feeder, "s", 4); /* live, and the last there is credit for */
    feeder_settle(&feeder);
    assert_int_equal(expect_delivery(&raw, EVENTS, 0).seq, 4);
    put_event(&feeder, "s", 5);
    put_event(&feeder, "s", 6);
    feeder_settle(&feeder);
    expect_silence(&raw);
    send_grant(&raw, RAW_CREDIT, 9, 1, UINT64_MAX);
    expect_alive(&raw, 1);
    struct delivery got = expect_delivery(&raw, EVENTS, 0);
    assert_int_equal(got.seq, 6);
    assert_int_equal(got.count, 2);
    raw_close(&raw);
    feeder_close(&feeder);
}

/* Whoever is gone is found out by the next delivery to it. */
static void gone_reader_is_forgotten(struct stage *stage)
{
    struct feeder feeder;
    struct raw raw;
    stage_start(stage, NULL);
    feeder_open(&feeder);
    put_event(&feeder, "s", 1);
    feeder_settle(&feeder);
    raw_open(&raw);
    for (uint64_t number = 1; number <= 3; number++) {
        send_subscribe(&raw, &(struct ask){.subscription = number,
                                           .incarnation = 1,
                                           .session = "s",
                                           .credit = UINT64_MAX});
        expect_delivery(&raw, VERDICT, RESUMED);
        expect_delivery(&raw, EVENTS, 0);
    }
    assert_int_equal(event_stat(stage, "sponson_subscriptions"), 3);
    raw_close(&raw);
    put_event(&feeder, "s", 2);
    feeder_settle(&feeder);
    assert_true(until_true(until_in(ITEM_MS), none_subscribed, stage));
    feeder_close(&feeder);
}

/* -- the command line -------------------------------------------------------------------------- */

static const char stream[] = "retry: 1500\n"
                             "event: start\nid: a1\ndata: {\"n\":1}\n\n"
                             "data: two\ndata: lines\n\n"
                             "event: end\nid: a3\ndata: \xe2\x9c\x93\n\n";

static void record(struct stage *stage, const char *session, const char *text)
{
    const char *words[] = {"record", session, NULL};
    struct outcome done = stage_run_words(stage, words, spn_text(text));
    stage_expect_code(&done, 0);
}

static void tail_tells_how_it_ended(struct stage *stage)
{
    stage_start(stage, NULL);
    record(stage, "s", stream);
    struct outcome done = stage_run(stage, "tail", "s", "--earliest", "--exit-when-caught-up");
    struct outcome replay = stage_run(stage, "replay", "s");
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, replay.out);
    done =
        stage_run(stage, "tail", "s", "--after", "a1", "--exit-when-caught-up", "--format", "sse");
    replay = stage_run(stage, "replay", "s", "--after", "a1", "--format", "sse");
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, replay.out);
    done = stage_run(stage, "tail", "s", "--after", "a3", "--exit-when-caught-up");
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, "");
    done = stage_run(stage, "tail", "s", "--exit-when-caught-up"); /* from now */
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, "");
    done = stage_run(stage, "tail", "s", "--earliest", "--count", "1", "--format", "sse");
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, "id: a1\nevent: start\nretry: 1500\ndata: {\"n\":1}\n\n");
    done = stage_run(stage, "tail", "s", "--after", "nobody");
    stage_expect_code(&done, 3);
    assert_non_null(strstr(done.err, "event id 'nobody': "));
    done = stage_run(stage, "tail", "nobody", "--exit-when-caught-up");
    stage_expect_code(&done, 3);
    assert_non_null(strstr(done.err, "session 'nobody': "));
}

/* A tail of a session that does not exist yet, through a kill, piped into another sidecar. */
static void tail_into_record_reproduces(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    const char *other_data = stage_make_dir(stage, "data2");
    const char *other_run = stage_make_dir(stage, "run2");
    stage_start(stage, &(struct stage_daemon){.data_dir = other_data, .socket_dir = other_run});
    const char *pipeline = stage_format(
        stage, "'%s' tail chat --format sse --count 6 | '%s' record chat --socket-dir '%s'",
        stage_sponson(), stage_sponson(), other_run);
    const char *const words[] = {"sh", "-c", pipeline, NULL};
    struct process *both = stage_process(stage, &(struct process_options){.argv = words});
    assert_true(until_true(until_in(STAGE_WAIT_MS), one_subscribed, stage));
    record(stage, "chat", stream);
    process_kill(daemon);
    stage_start(stage, NULL);
    record(stage, "chat", "id: b1\ndata: more\n\nevent: e\ndata: of\n\nid: b3\ndata: it\n\n");
    struct outcome copied = stage_end(stage, both, until_in(STAGE_WAIT_MS));
    stage_expect_code(&copied, 0);
    struct outcome first = stage_run(stage, "replay", "chat");
    struct outcome second = stage_run(stage, "replay", "chat", "--socket-dir", other_run);
    struct event_list wanted = EVENT_LIST_INIT, got = EVENT_LIST_INIT;
    event_list_add_json(&wanted, first.output, NULL);
    event_list_add_json(&got, second.output, NULL);
    assert_int_equal(wanted.count, 6);
    event_list_expect_same("the copy", &got, &wanted);
    event_list_release(&wanted);
    event_list_release(&got);
    /* And resuming there by one of the ids works. */
    first = stage_run(stage, "tail", "chat", "--after", "a3", "--format", "sse",
                      "--exit-when-caught-up");
    second = stage_run(stage, "tail", "chat", "--after", "a3", "--format", "sse",
                       "--exit-when-caught-up", "--socket-dir", other_run);
    assert_string_equal(first.out, second.out);
}

static void example_resumes(struct stage *stage)
{
    stage_start(stage, NULL);
    record(stage, "chat", stream);
    const char *const words[] = {EXAMPLE_RESUME, "chat", "a1", "3", NULL};
    struct process *example = stage_process(stage, &(struct process_options){.argv = words});
    record(stage, "chat", "id: b1\ndata: more\n\n");
    struct outcome done = stage_end(stage, example, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, 0);
    struct outcome replay = stage_run(stage, "replay", "chat", "--after", "a1", "--format", "sse");
    assert_string_equal(done.out, replay.out);
    const char *const unknown[] = {EXAMPLE_RESUME, "nobody", NULL};
    example = stage_process(stage, &(struct process_options){.argv = unknown});
    done = stage_end(stage, example, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(what_is_published_arrives),
        STAGE_TEST(session_is_waited_for),
        STAGE_TEST(session_is_waited_for_over_a_kill),
        STAGE_TEST(stalled_reader_gets_everything),
        STAGE_TEST(stalled_reader_over_a_restart),
        STAGE_TEST(paused_ones_hold_up_no_other),
        STAGE_TEST(quiet_ones_are_back_after_a_kill),
        STAGE_TEST(kills_leave_no_gap),
        STAGE_TEST(joins_under_load_miss_nothing),
        STAGE_TEST(bad_starts),
        STAGE_TEST(bad_numbers),
        STAGE_TEST(garbage),
        STAGE_TEST(credit_is_kept_to),
        STAGE_TEST(gone_reader_is_forgotten),
        STAGE_TEST(tail_tells_how_it_ended),
        STAGE_TEST(tail_into_record_reproduces),
        STAGE_TEST(example_resumes),
    };
    const struct CMUnitTest idle_tests[] = {STAGE_TEST(lease_that_ran_out)};
    const struct CMUnitTest long_tests[] = {STAGE_TEST(campaign)};
    if (argc > 1 && strcmp(argv[1], "lease") == 0)
        return cmocka_run_group_tests(idle_tests, NULL, NULL);
    if (argc > 1 && strcmp(argv[1], "campaign") == 0)
        return cmocka_run_group_tests(long_tests, NULL, NULL);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
