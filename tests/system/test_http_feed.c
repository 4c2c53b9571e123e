/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_feed: readers of a session share what they read, and each gets what it would get alone.
 *
 * At random readers join, stall, leave and come back, while events are published in bursts,
 * sessions are deleted, and the daemon and the gateway are killed. Each reader checks that it has
 * each event once, in order; in the end all have everything, and the daemon has one subscription
 * for each session.
 *
 * Arguments are the seed and the number of steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "feeder.h"
#include "follower.h"
#include "http_client.h"
#include "http_gateway.h"

enum { SESSIONS = 3, READERS = 24, BURST = 12, SIZE = 60000 };

static unsigned seed;
static unsigned steps = 200;

struct reader {
    struct follower follower;
    unsigned session;
    bool is_open;
    bool is_stalled;
    bool may_be_gone; /* its session was deleted while it was open */
};

struct run {
    struct stage *stage;
    struct process *daemon;
    struct process *gateway;
    unsigned port;
    struct feeder feeder;
    unsigned published[SESSIONS]; /* in the present life */
    struct reader readers[READERS];
    unsigned kills;
    unsigned deleted;
    unsigned resumed;
};

static unsigned below(unsigned limit)
{
    return (unsigned)rand_r(&seed) % limit;
}

static const char *path_of(unsigned session, bool from_now)
{
    static char path[64];
    (void)snprintf(path, sizeof(path), "/v1/sessions/feed/%u%s", session,
                   from_now ? "?from=now" : "");
    return path;
}

/* -- what happens ------------------------------------------------------------------------------ */

static void publish(struct run *run, unsigned session, unsigned count)
{
    static char data[SIZE + 1];
    char name[16];
    char id[32];
    (void)snprintf(name, sizeof(name), "feed/%u", session);
    for (unsigned i = 0; i < count; i++) {
        unsigned size = below(3) == 0 ? below(SIZE) : below(100);
        memset(data, 'x', sizeof(data));
        data[size + (size_t)snprintf(data, 16, "%u ", run->published[session]) - size] = 'x';
        data[size < 16 ? 16 : size] = '\0';
        (void)snprintf(id, sizeof(id), "%u-%u", run->deleted, run->published[session]++);
        feeder_put(&run->feeder, name, id, data);
    }
    (void)feeder_settle(&run->feeder);
}

/* The answer has come, and if the session is there, where in it the stream begins: from then on it
 * sees what becomes of the session. */
static void await_begin(struct run *run, struct reader *reader)
{
    struct follower *follower = &reader->follower;
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (follower->status == 0 ||
           (run->published[reader->session] > 0 && follower->id[0] == '\0'))
        if (!follower_read(follower) && !until_readable(due_ns, follower->fd))
            fail_msg("no stream begins: status %u", follower->status);
}

static void open_reader(struct run *run, struct reader *reader)
{
    bool from_now = below(2) == 0;
    *reader = (struct reader){.session = below(SESSIONS), .is_open = true};
    follower_open(&reader->follower, run->stage, path_of(reader->session, from_now), NULL, 0);
    reader->follower.is_anywhere = from_now;
    await_begin(run, reader);
}

static void close_reader(struct reader *reader)
{
    if (reader->is_open)
        follower_close(&reader->follower);
    reader->is_open = false;
}

/* Its stream ended: with the gateway, or with the session. */
static void come_back(struct run *run, struct reader *reader)
{
    struct follower before = reader->follower;
    if (strcmp(before.ended, "deleted") == 0) {
        assert_true(before.has_ended && reader->may_be_gone);
        close_reader(reader);
        return;
    }
    if (!before.is_cut)
        fail_msg("a stream ended: status %u, %s", before.status, before.ended);
    close_reader(reader);
    run->resumed++;
    reader->is_open = true;
    bool is_new = before.id[0] == '\0';
    follower_open(&reader->follower, run->stage,
                  path_of(reader->session, is_new && before.is_anywhere), is_new ? NULL : before.id,
                  before.next);
    reader->follower.is_anywhere = before.is_anywhere;
    await_begin(run, reader);
}

static void read_one(struct run *run, struct reader *reader)
{
    if (!reader->is_open || reader->is_stalled)
        return;
    (void)follower_read(&reader->follower);
    if (follower_is_over(&reader->follower))
        come_back(run, reader);
}

/* Readers of it that do not read now are closed: what they would find is a matter of time. */
static void delete (struct run *run, unsigned session)
{
    if (run->published[session] == 0)
        return;
    for (unsigned i = 0; i < READERS; i++) {
        if (run->readers[i].session != session)
            continue;
        if (run->readers[i].is_stalled)
            close_reader(&run->readers[i]);
        run->readers[i].may_be_gone = true;
    }
    struct http_answer answer = http_do(run->stage, "DELETE", path_of(session, false), NULL, NULL);
    http_expect(&answer, 204);
    run->published[session] = 0;
    run->deleted++;
    for (unsigned i = 0; i < READERS; i++) {
        struct reader *reader = &run->readers[i];
        while (reader->session == session && reader->is_open &&
               until_readable(until_in(STAGE_WAIT_MS), reader->follower.fd))
            read_one(run, reader);
        if (reader->session == session)
            assert_false(reader->is_open);
    }
}

static void start_gateway(struct run *run)
{
    run->gateway =
        http_start(run->stage, stage_format(run->stage, "--admin-listen=127.0.0.1:%u", run->port));
}

static void kill_one(struct run *run)
{
    run->kills++;
    if (below(2) == 0) {
        process_kill(run->daemon);
        run->daemon = stage_start(run->stage, NULL);
        return;
    }
    process_kill(run->gateway);
    start_gateway(run);
    for (unsigned i = 0; i < READERS; i++) /* all have lost it, also those that do not read */
        while (run->readers[i].is_open && !follower_is_over(&run->readers[i].follower))
            if (!follower_read(&run->readers[i].follower))
                assert_true(until_readable(until_in(STAGE_WAIT_MS), run->readers[i].follower.fd));
    for (unsigned i = 0; i < READERS; i++)
        if (run->readers[i].is_open)
            come_back(run, &run->readers[i]);
}

static void step(struct run *run)
{
    struct reader *reader = &run->readers[below(READERS)];
    switch (below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        publish(run, below(SESSIONS), 1 + below(BURST));
        break;
    case 4:
    case 5:
        if (!reader->is_open)
            open_reader(run, reader);
        break;
    case 6:
        close_reader(reader);
        break;
    case 7:
        reader->is_stalled = !reader->is_stalled;
        break;
    case 8:
        if (below(4) == 0)
            delete (run, below(SESSIONS));
        break;
    case 9:
        if (below(4) == 0)
            kill_one(run);
        break;
    default:
        for (unsigned i = 0; i < READERS; i++)
            read_one(run, &run->readers[i]);
        break;
    }
}

/* -- the end ----------------------------------------------------------------------------------- */

static void read_to_end(struct run *run, struct reader *reader)
{
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (reader->is_open && (reader->follower.is_anywhere ||
                               reader->follower.next < run->published[reader->session])) {
        read_one(run, reader);
        if (!until_readable(until_in(10), reader->follower.fd) && until_over(due_ns))
            fail_msg("a reader of %u has %llu of %u events", reader->session,
                     (unsigned long long)reader->follower.next, run->published[reader->session]);
    }
}

/* The gateway gives the daemon's numbers with its own. */
static bool has_one_for_each(void *argument)
{
    static const char name[] = "\nsponson_subscriptions ";
    const struct run *run = argument;
    struct http *http = http_open_tcp(run->stage, run->port);
    http_send(http, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    struct http_answer answer = http_read(http);
    http_expect(&answer, 200);
    http_close(http);
    const char *line = strstr(answer.body.data, name);
    return line != NULL && strtoul(line + strlen(name), NULL, 10) == SESSIONS;
}

static void each_reader_has_each_event_once(struct stage *stage)
{
    static struct run run;
    print_message("seed %u\n", seed);
    run = (struct run){.stage = stage, .port = http_free_port()};
    run.daemon = stage_start(stage, NULL);
    start_gateway(&run);
    feeder_open(&run.feeder);
    for (unsigned i = 0; i < steps; i++)
        step(&run);
    for (unsigned i = 0; i < READERS; i++) {
        run.readers[i].is_stalled = false;
        if (!run.readers[i].is_open)
            open_reader(&run, &run.readers[i]);
        run.readers[i].session = run.readers[i].is_open ? run.readers[i].session : 0;
    }
    for (unsigned i = 0; i < 3; i++) { /* from=now begins somewhere here */
        for (unsigned session = 0; session < SESSIONS; session++)
            publish(&run, session, BURST);
        for (unsigned j = 0; j < READERS; j++)
            read_to_end(&run, &run.readers[j]);
    }
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_one_for_each, &run));
    for (unsigned i = 0; i < READERS; i++)
        close_reader(&run.readers[i]);
    feeder_close(&run.feeder);
    print_message("%u kills, %u deletions, %u streams resumed\n", run.kills, run.deleted,
                  run.resumed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {STAGE_TEST(each_reader_has_each_event_once)};
    seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : (unsigned)time(NULL);
    if (argc > 2)
        steps = (unsigned)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
