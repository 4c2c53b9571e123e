/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_load: many readers that are idle, and some that do not read.
 *
 * What an idle stream costs in the gateway and in the daemon, when its end is noticed, and that it
 * survives a daemon that stands still. What readers that stall cost, that they slow nobody down,
 * and that each of them gets everything in the end, or is told exactly how much is missing.
 *
 * With `long` as the argument as many as the gateway is made for; otherwise fewer. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "feeder.h"
#include "follower.h"
#include "http_gateway.h"

enum {
    EVENT_BYTES = 16 * 1024,
    OTHERS = 10, /* readers that read all the time */
    SUBSCRIPTION_BYTES_MAX = 1024,
    LATE_MS = 20, /* what a machine that others use may add to a time */
};

#define SESSION "stalled"
#define PATH "/v1/sessions/" SESSION

struct sizes {
    unsigned streams;      /* that are idle */
    unsigned stream_bytes; /* that each may cost the gateway; of few what is there once counts */
    unsigned stop_ms;      /* the daemon stands still */
    unsigned stalled;      /* readers that do not read ... */
    unsigned events;       /* ... while these are published ... */
    unsigned publish_ms;   /* ... in this time */
    const char *stall;     /* the gateway's option */
    const char *retention; /* the daemon's, where some are to be trimmed; NULL: the default */
    unsigned tries;        /* a p99 is measured so often, since others use the machine too */
    unsigned memory_bytes; /* that those who stall may cost, in both processes */
};

static const struct sizes short_form = {
    .streams = 2000,
    .stream_bytes = 9 * 1024,
    .stop_ms = 1500,
    .stalled = 20,
    .events = 600,
    .publish_ms = 1000,
    .stall = "--stall=1s",
    .retention = "--retention-bytes=2M",
    .tries = 4,
    .memory_bytes = 8 << 20,
};

static const struct sizes long_form = {
    .streams = 10000,
    .stream_bytes = 8 * 1024,
    .stop_ms = 10000,
    .stalled = 50,
    .events = 6400,
    .publish_ms = 30000,
    .stall = "--stall=60s",
    .tries = 2,
    .memory_bytes = 16 << 20,
};

static struct sizes sizes;

/* -- idle -------------------------------------------------------------------------------------- */

struct idle {
    struct stage *stage;
    struct process *daemon;
    struct process *gateway;
    struct feeder feeder;
    struct follower *followers;
    struct follower **all;
    unsigned fds;
};

static const char *idle_session(struct idle *idle, unsigned number)
{
    return stage_format(idle->stage, "idle/%u", number);
}

static void publish_to_each(struct idle *idle, unsigned number)
{
    char data[16];
    (void)snprintf(data, sizeof(data), "%u", number);
    for (unsigned i = 0; i < sizes.streams; i++)
        feeder_put(&idle->feeder, idle_session(idle, i), data, data);
    (void)feeder_settle(&idle->feeder);
}

/* Some at a time: what a crowd that comes at once needs for a moment is not asked here. */
static void open_each(struct idle *idle)
{
    enum { AT_A_TIME = 100 };
    char path[64];
    for (unsigned i = 0; i < sizes.streams; i++) {
        (void)snprintf(path, sizeof(path), "/v1/sessions/idle/%u", i);
        follower_open(&idle->followers[i], idle->stage, path, NULL, 0);
        idle->all[i] = &idle->followers[i];
        if ((i + 1) % AT_A_TIME == 0)
            follower_read_to(&idle->all[i + 1 - AT_A_TIME], AT_A_TIME, 1, until_in(STAGE_WAIT_MS));
    }
    follower_read_to(idle->all, sizes.streams, 1, until_in(STAGE_WAIT_MS));
}

static void begin_idle(struct idle *idle, struct stage *stage, const char *header_limit)
{
    *idle = (struct idle){.stage = stage};
    idle->daemon = stage_start(stage, NULL);
    idle->gateway = http_start(stage, header_limit);
    feeder_open(&idle->feeder);
    idle->followers = stage_keep(stage, calloc(sizes.streams, sizeof(*idle->followers)));
    idle->all = stage_keep(stage, calloc(sizes.streams, sizeof(struct follower *)));
    publish_to_each(idle, 0);
}

static void end_idle(struct idle *idle)
{
    for (unsigned i = 0; i < sizes.streams; i++)
        follower_close(&idle->followers[i]);
    feeder_close(&idle->feeder);
}

/* Opens them all. Each has a session of its own, which is the most that it can cost. */
static void measure_idle(struct idle *idle, uint64_t *ret_gateway, uint64_t *ret_daemon)
{
    uint64_t gateway = process_anonymous_bytes(idle->gateway);
    uint64_t daemon = process_anonymous_bytes(idle->daemon);
    open_each(idle);
    gateway = process_anonymous_bytes(idle->gateway) - gateway;
    uint64_t daemon_now = process_anonymous_bytes(idle->daemon);
    daemon = daemon_now > daemon ? daemon_now - daemon : 0;
    *ret_gateway = gateway / sizes.streams;
    *ret_daemon = daemon / sizes.streams;
    print_message("%u idle streams: %llu bytes each in the gateway, %llu in the daemon\n",
                  sizes.streams, (unsigned long long)*ret_gateway, (unsigned long long)*ret_daemon);
}

static bool has_fewer_fds(void *argument)
{
    const struct idle *idle = argument;
    return http_fds(idle->gateway) < idle->fds;
}

static void a_peer_that_leaves_is_noticed(struct idle *idle)
{
    for (unsigned i = 0; i < 3; i++) {
        unsigned number = i * (sizes.streams - 1) / 2;
        idle->fds = http_fds(idle->gateway);
        follower_close(&idle->followers[number]);
        if (!until_true(until_in(1000), has_fewer_fds, idle))
            fail_msg("stream %u left, and the gateway keeps it", number);
        follower_open(&idle->followers[number], idle->stage,
                      stage_format(idle->stage, "/v1/sessions/idle/%u", number), NULL, 0);
        follower_read_to(&idle->all[number], 1, 1, until_in(STAGE_WAIT_MS));
    }
}

/* What is asked for meanwhile is answered, too, and waits. */
static void they_survive_a_daemon_that_stands_still(struct idle *idle)
{
    enum { LATE = 10 };
    struct follower late[LATE];
    struct follower *all[LATE];
    process_stop(idle->daemon);
    for (unsigned i = 0; i < LATE; i++) {
        follower_open(&late[i], idle->stage, "/v1/sessions/idle/0", NULL, 0);
        all[i] = &late[i];
    }
    until_passed_us(sizes.stop_ms * 1000);
    for (unsigned i = 0; i < LATE; i++) {
        while (late[i].status == 0 && until_readable(until_in(STAGE_WAIT_MS), late[i].fd))
            (void)follower_read(&late[i]);
        assert_int_equal(late[i].status, 200);
    }
    process_signal(idle->daemon, SIGCONT);
    publish_to_each(idle, 1);
    follower_read_to(idle->all, sizes.streams, 2, until_in(STAGE_WAIT_MS));
    follower_read_to(all, LATE, 2, until_in(STAGE_WAIT_MS));
    for (unsigned i = 0; i < sizes.streams; i++)
        assert_int_equal(idle->followers[i].status, 200);
    for (unsigned i = 0; i < LATE; i++)
        follower_close(&late[i]);
}

static void idle_streams(struct stage *stage)
{
    struct idle idle;
    uint64_t gateway;
    uint64_t daemon;
    begin_idle(&idle, stage, NULL);
    measure_idle(&idle, &gateway, &daemon);
    if (!until_sanitized()) {
        assert_in_range(gateway, 0, sizes.stream_bytes);
        assert_in_range(daemon, 0, SUBSCRIPTION_BYTES_MAX);
    }
    a_peer_that_leaves_is_noticed(&idle);
    they_survive_a_daemon_that_stands_still(&idle);
    end_idle(&idle);
}

/* Printed only: whoever raises the limit pays for it. */
static void idle_streams_with_long_headers(struct stage *stage)
{
    struct idle idle;
    uint64_t gateway;
    uint64_t daemon;
    begin_idle(&idle, stage, "--header-limit=16384");
    measure_idle(&idle, &gateway, &daemon);
    end_idle(&idle);
}

/* -- readers that stall ------------------------------------------------------------------------ */

struct load {
    struct stage *stage;
    struct process *daemon;
    struct process *gateway;
    struct feeder feeder;
    struct follower *others[OTHERS];
    struct follower **stalled;
    unsigned published;
    uint64_t *late_ns; /* of each event at each of the others */
    size_t late_count;
    uint64_t memory_most;
    unsigned fds;
};

static void note_delay(struct follower *follower)
{
    struct load *load = follower->context;
    const char *sent = strchr(follower->data, ' ');
    assert_non_null(sent);
    if (load->late_count < (size_t)sizes.events * OTHERS)
        load->late_ns[load->late_count++] = until_now_ns() - strtoull(sent, NULL, 10);
}

static struct follower *new_follower(struct load *load)
{
    struct follower *follower = stage_keep(load->stage, calloc(1, sizeof(*follower)));
    follower_open(follower, load->stage, PATH "?from=now", NULL, load->published);
    follower->context = load;
    while (follower->id[0] == '\0' && until_readable(until_in(STAGE_WAIT_MS), follower->fd))
        (void)follower_read(follower);
    assert_int_equal(follower->status, 200);
    return follower;
}

static void publish(struct load *load, uint64_t due_ns)
{
    static char data[EVENT_BYTES + 1];
    char id[16];
    memset(data, 'x', EVENT_BYTES);
    (void)snprintf(id, sizeof(id), "%u", load->published);
    int head =
        snprintf(data, sizeof(data), "%u %llu ", load->published, (unsigned long long)due_ns);
    data[head] = 'x';
    feeder_put(&load->feeder, SESSION, id, data);
    assert_int_equal(spn_client_step(load->feeder.client), SPN_OK);
    load->published++;
}

static void begin_load(struct load *load, struct stage *stage, const struct stage_daemon *daemon,
                       const char *stall)
{
    *load = (struct load){.stage = stage};
    load->daemon = stage_start(stage, daemon);
    load->gateway = http_start(stage, stall);
    load->late_ns =
        stage_keep(stage, calloc((size_t)sizes.events * OTHERS, sizeof(*load->late_ns)));
    load->stalled = stage_keep(stage, calloc(sizes.stalled, sizeof(struct follower *)));
    feeder_open(&load->feeder);
    publish(load, until_now_ns());
    (void)feeder_settle(&load->feeder);
    for (unsigned i = 0; i < OTHERS; i++) {
        load->others[i] = new_follower(load);
        load->others[i]->on_event = note_delay;
    }
}

static void end_load(struct load *load)
{
    for (unsigned i = 0; i < OTHERS; i++)
        follower_close(load->others[i]);
    for (unsigned i = 0; i < sizes.stalled && load->stalled[i] != NULL; i++)
        follower_close(load->stalled[i]);
    feeder_close(&load->feeder);
}

static void open_stalled(struct load *load)
{
    for (unsigned i = 0; i < sizes.stalled; i++)
        load->stalled[i] = new_follower(load);
}

static int ascending(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void read_others(struct load *load)
{
    for (unsigned i = 0; i < OTHERS; i++) {
        (void)follower_read(load->others[i]);
        assert_false(follower_is_over(load->others[i]));
    }
}

static void look_at_memory(struct load *load)
{
    uint64_t memory =
        process_anonymous_bytes(load->gateway) + process_anonymous_bytes(load->daemon);
    if (memory > load->memory_most)
        load->memory_most = memory;
}

/* Publishes them, each at its time, while the others read. Returns the time in which they had 99 of
 * 100 events, in milliseconds. */
static double publish_all(struct load *load)
{
    uint64_t begin_ns = until_now_ns();
    load->late_count = 0;
    for (unsigned i = 0; i < sizes.events; i++) {
        uint64_t due_ns = begin_ns + (uint64_t)sizes.publish_ms * 1000000 * i / sizes.events;
        while (until_now_ns() < due_ns) {
            (void)until_readable(due_ns, load->others[0]->fd);
            read_others(load);
        }
        publish(load, due_ns);
        read_others(load);
        if (i % 64 == 0)
            look_at_memory(load);
    }
    (void)feeder_settle(&load->feeder);
    look_at_memory(load);
    follower_read_to(load->others, OTHERS, load->published, until_in(STAGE_WAIT_MS));
    qsort(load->late_ns, load->late_count, sizeof(*load->late_ns), ascending);
    size_t at = load->late_count * 99 / 100;
    return (double)load->late_ns[at] / 1e6;
}

static void read_to_end(struct load *load)
{
    follower_read_to(load->stalled, sizes.stalled, load->published, until_in(3 * STAGE_WAIT_MS));
}

/* Each of them was open when the first of these was published. */
static void check_counts(const struct load *load, unsigned first, bool may_miss)
{
    uint64_t missing = 0;
    for (unsigned i = 0; i < sizes.stalled; i++) {
        const struct follower *follower = load->stalled[i];
        assert_int_equal(first + follower->received + follower->missing, load->published);
        missing += follower->missing;
    }
    print_message("%u readers that stalled: %llu events of %u are missing for each, in the mean\n",
                  sizes.stalled, (unsigned long long)(missing / sizes.stalled),
                  load->published - first);
    assert_int_equal(missing > 0, may_miss);
}

static void those_who_stall_get_everything(struct stage *stage)
{
    const struct stage_daemon keep = {.more = {"--retention-bytes=256M", "--retention-events=0"}};
    struct load load;
    begin_load(&load, stage, &keep, "--stall=600s");
    (void)publish_all(&load); /* what grows with the events is there */
    double alone_ms = publish_all(&load);
    double most_ms = 2 * alone_ms + until_patient_ms(LATE_MS);
    double beside_ms = most_ms + 1;
    uint64_t memory = load.memory_most;
    unsigned first = load.published;
    open_stalled(&load);
    for (unsigned i = 0; i < sizes.tries && beside_ms > most_ms; i++)
        beside_ms = publish_all(&load);
    memory = load.memory_most - memory;
    print_message(
        "%u readers stall while %u events of 16 KiB are published: p99 of the others %.1f ms, "
        "%.1f ms without them; %.1f MB in gateway and daemon, %.1f MB more than before\n",
        sizes.stalled, load.published - first, beside_ms, alone_ms, (double)load.memory_most / 1e6,
        (double)memory / 1e6);
    assert_true(beside_ms <= most_ms);
    if (!until_sanitized())
        assert_in_range(memory, 0, sizes.memory_bytes);
    read_to_end(&load);
    check_counts(&load, first, false);
    end_load(&load);
}

static void those_who_stall_hear_what_is_missing(struct stage *stage)
{
    struct load load;
    begin_load(&load, stage, &(struct stage_daemon){.more = {sizes.retention}}, "--stall=600s");
    unsigned first = load.published;
    open_stalled(&load);
    (void)publish_all(&load);
    read_to_end(&load);
    check_counts(&load, first, true);
    end_load(&load);
}

static bool has_cut_them(void *argument)
{
    const struct load *load = argument;
    return http_fds(load->gateway) + sizes.stalled <= load->fds;
}

/* What is left of each in its socket is read, and then it comes back. */
static void come_back(struct load *load, struct follower *follower)
{
    struct follower before = *follower;
    while (!follower_is_over(follower) && until_readable(until_in(STAGE_WAIT_MS), follower->fd))
        (void)follower_read(follower);
    assert_true(follower->is_cut);
    before = *follower;
    follower_close(follower);
    follower_open(follower, load->stage, PATH, before.id, before.next);
    follower->received = before.received;
    follower->missing = before.missing;
}

static void those_who_stall_for_long_are_cut_and_resume(struct stage *stage)
{
    struct load load;
    begin_load(&load, stage, &(struct stage_daemon){.more = {sizes.retention}}, sizes.stall);
    unsigned first = load.published;
    open_stalled(&load);
    load.fds = http_fds(load.gateway);
    (void)publish_all(&load);
    assert_true(until_true(until_in(90000), has_cut_them, &load));
    for (unsigned i = 0; i < sizes.stalled; i++) { /* one after the other, or they stall again */
        come_back(&load, load.stalled[i]);
        follower_read_to(&load.stalled[i], 1, load.published, until_in(STAGE_WAIT_MS));
    }
    check_counts(&load, first, true);
    end_load(&load);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(idle_streams),
        STAGE_TEST(idle_streams_with_long_headers),
        STAGE_TEST(those_who_stall_get_everything),
        STAGE_TEST(those_who_stall_hear_what_is_missing),
        STAGE_TEST(those_who_stall_for_long_are_cut_and_resume),
    };
    sizes = argc > 1 && strcmp(argv[1], "long") == 0 ? long_form : short_form;
    sizes.streams = (unsigned)until_scaled(sizes.streams);
    follower_allow_many();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
