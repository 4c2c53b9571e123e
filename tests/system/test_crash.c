/* SPDX-License-Identifier: Apache-2.0 */
/* test_crash: kill -9 at random moments under four recorders: what was acknowledged is there, once
 * and in order, nothing is doubled, and the recorders notice nothing.
 *
 * Only kills that could have lost something count. Whether one could is decided from outside, so
 * that the program under test cannot flatter itself. Just before the kill the test asks the pipes
 * how much the recorders have read; when the daemon is dead it looks on its disk how many events
 * were committed. What was read and is not committed cannot have been acknowledged, ever. A
 * recorder holds at most one read buffer that it has not handed over yet: more than that was in
 * flight, on its way to the sidecar or in its memory. And in the life that ends acknowledgements
 * must have come already.
 *
 * The argument is how many such kills there are to be; 10 while there is none. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "store/journal.h"
#include "stage.h"

enum {
    LANES = 4,
    TRICKLE = 2,
    EVENT_SIZE = 512,            /* every event takes so much in the stream */
    RECORDER_BUFFER = 64 * 1024, /* read at a time; see sidecar/cli/recorder.h */
    LIFE_MAX_US = 60000,         /* after the first acknowledgement of a life */
    KILLS_DEFAULT = 10,
    KILLS_SANITIZED = 4,
    ACKS_MIN = 10000,
    MS_PER_KILL = 3000,
    FINISH_MS = 60000,
};

struct lane {
    char session[32];
    bool with_ids;
    bool trickles; /* fed a few events at a time, as a stream of words comes */
    int pipe_fd;
    struct process *recorder;
    uint64_t written; /* bytes that the pipe has taken */
    const char *ack_path;
    int ack_fd;
    uint64_t acks;    /* lines counted so far */
    uint64_t checked; /* in the dump */
};

struct crash {
    struct stage *stage;
    struct lane lanes[LANES];
    struct process *daemon;
    uint32_t random;
    size_t kills;
    size_t counted;
    uint64_t acks_before; /* the last kill that counted */
    uint64_t in_flight;   /* sum over the kills that counted */
    size_t resends;       /* lives in which events came again that were on disk already */
};

static size_t kills_wanted = KILLS_DEFAULT;

static uint32_t next_random(struct crash *crash)
{
    crash->random ^= crash->random << 13;
    crash->random ^= crash->random >> 17;
    crash->random ^= crash->random << 5;
    return crash->random;
}

/* -- the stream -------------------------------------------------------------------------------- */

/* The event with this number, EVENT_SIZE bytes with its blank line. */
static void write_event(const struct lane *lane, uint64_t number, char *text)
{
    int size = lane->with_ids
                   ? snprintf(text, EVENT_SIZE, "id: n%llu\ndata: %s %llu ",
                              (unsigned long long)number, lane->session, (unsigned long long)number)
                   : snprintf(text, EVENT_SIZE, "event: tick\ndata: %s %llu ", lane->session,
                              (unsigned long long)number);
    memset(text + size, '.', EVENT_SIZE - (size_t)size - 2);
    text[EVENT_SIZE - 2] = text[EVENT_SIZE - 1] = '\n';
}

/* What its data must be. */
static bool is_data_of(const struct lane *lane, uint64_t number, struct spn_bytes data)
{
    char text[EVENT_SIZE];
    write_event(lane, number, text);
    const char *wanted = strstr(text, "data: ") + strlen("data: ");
    size_t size = (size_t)(text + EVENT_SIZE - 2 - wanted);
    return event_bytes_same(data, (struct spn_bytes){wanted, size});
}

/* Writes until the pipe is full, or so many events. One of which only a part went in is gone on
 * with. */
static void fill_pipe(struct lane *lane, size_t events_max)
{
    char text[EVENT_SIZE];
    for (size_t i = 0; i < events_max; i++) {
        size_t begun = lane->written % EVENT_SIZE;
        write_event(lane, lane->written / EVENT_SIZE + 1, text);
        ssize_t size = write(lane->pipe_fd, text + begun, EVENT_SIZE - begun);
        if (size <= 0 && errno != EAGAIN)
            fail_msg("%s: the recorder is gone: %s", lane->session, strerror(errno));
        if (size <= 0)
            return;
        lane->written += (uint64_t)size;
    }
}

/* Ends the event that was begun, so that the stream is whole. */
static void end_stream(struct lane *lane)
{
    char text[EVENT_SIZE];
    fcntl(lane->pipe_fd, F_SETFL, 0);
    while (lane->written % EVENT_SIZE > 0) {
        size_t begun = lane->written % EVENT_SIZE;
        write_event(lane, lane->written / EVENT_SIZE + 1, text);
        ssize_t size = write(lane->pipe_fd, text + begun, EVENT_SIZE - begun);
        assert_true(size > 0);
        lane->written += (uint64_t)size;
    }
    close(lane->pipe_fd);
}

/* How much its recorder has read, at least. */
static uint64_t bytes_read(const struct lane *lane)
{
    int unread = 0;
    assert_int_equal(ioctl(lane->pipe_fd, FIONREAD, &unread), 0);
    return lane->written - (uint64_t)unread;
}

static void feed(struct crash *crash, uint64_t until_ns)
{
    while (!until_over(until_ns)) {
        struct pollfd items[LANES];
        for (size_t i = 0; i < LANES; i++)
            items[i] = (struct pollfd){.fd = crash->lanes[i].pipe_fd, .events = POLLOUT};
        items[LANES - 1].fd = -1; /* the one that trickles goes with the others */
        if (poll(items, LANES, until_left_ms(until_ns)) <= 0)
            continue;
        for (size_t i = 0; i < LANES; i++)
            if (crash->lanes[i].trickles)
                fill_pipe(&crash->lanes[i], TRICKLE);
            else if (items[i].revents != 0)
                fill_pipe(&crash->lanes[i], SIZE_MAX);
    }
}

/* -- acknowledgements -------------------------------------------------------------------------- */

static uint64_t count_acks(struct lane *lane)
{
    char bytes[65536];
    ssize_t size;
    if (lane->ack_fd < 0)
        lane->ack_fd = open(lane->ack_path, O_RDONLY | O_CLOEXEC);
    while (lane->ack_fd >= 0 && (size = read(lane->ack_fd, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < size; i++)
            lane->acks += bytes[i] == '\n';
    return lane->acks;
}

static uint64_t count_all_acks(struct crash *crash)
{
    uint64_t acks = 0;
    for (size_t i = 0; i < LANES; i++)
        acks += count_acks(&crash->lanes[i]);
    return acks;
}

/* -- the disk of a dead daemon ----------------------------------------------------------------- */

/* Numbers committed, over all producers. */
static uint64_t count_committed(struct crash *crash)
{
    struct journal *journal;
    struct journal_reader *reader;
    struct journal_options options = {.dir = crash->stage->data_dir, .read_only = true};
    struct record_run *runs = calloc(RECORD_RUNS_MAX, sizeof(*runs));
    struct record_producer producer;
    uint8_t id[RECORD_PRODUCER_ID_SIZE] = {0};
    uint64_t committed = 0;
    assert_non_null(runs);
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (bool first = true;
         journal_read_producer_after(reader, first, id, runs, &producer) == SPN_OK; first = false)
        committed += producer.number;
    journal_reader_end(reader);
    journal_reader_close(reader);
    journal_close(journal);
    free(runs);
    return committed;
}

/* -- lives and deaths -------------------------------------------------------------------------- */

static void start_daemon(struct crash *crash)
{
    /* In some lives the index is written all the time, in others never. */
    static const char *const intervals[] = {"60000", "20", "1"};
    struct stage_daemon options = {
        .more = {"--row-interval", intervals[crash->kills % 3], STAGE_KEEP_ALL}};
    int ready_fd;
    crash->daemon = stage_begin(crash->stage, &options, &ready_fd);
    if (!stage_is_ready(ready_fd, until_in(FINISH_MS)))
        fail_msg("the daemon does not start again after %zu kills", crash->kills);
}

static void start_lane(struct crash *crash, size_t at)
{
    struct lane *lane = &crash->lanes[at];
    int ends[2];
    snprintf(lane->session, sizeof(lane->session), "lane-%zu", at);
    lane->with_ids = at % 2 == 1;
    lane->trickles = at == LANES - 1;
    lane->ack_path = stage_path(crash->stage, stage_format(crash->stage, "acks-%zu", at));
    lane->ack_fd = -1;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    lane->pipe_fd = ends[1];
    fcntl(lane->pipe_fd, F_SETFL, O_NONBLOCK);
    const char *words[] = {"record", lane->session, "-", "--ack-log", lane->ack_path, NULL};
    lane->recorder = stage_begin_words(crash->stage, words, ends[0]);
    close(ends[0]);
}

/* Committed, and the acknowledgement died with the daemon: what must not be stored twice. */
static void note_resends(struct crash *crash)
{
    crash->resends += event_stat(crash->stage, "sponson_events_resent_total") > 0;
}

/* One kill; whether it counts. */
static void kill_once(struct crash *crash)
{
    uint64_t acks = count_all_acks(crash);
    uint64_t due_ns = until_in(FINISH_MS);
    while (count_all_acks(crash) == acks) {
        if (until_over(due_ns))
            fail_msg("no acknowledgement after kill number %zu", crash->kills);
        feed(crash, until_now_ns() + 2000000u);
    }
    note_resends(crash);
    feed(crash, until_now_ns() + next_random(crash) % LIFE_MAX_US * 1000u);
    uint64_t read_before = 0;
    for (size_t i = 0; i < LANES; i++)
        read_before += bytes_read(&crash->lanes[i]);
    process_kill(crash->daemon);
    crash->kills++;
    uint64_t committed = count_committed(crash);
    acks = count_all_acks(crash);
    if (acks > committed)
        fail_msg("%llu acknowledged, %llu on disk", (unsigned long long)acks,
                 (unsigned long long)committed);
    uint64_t held_back = (uint64_t)LANES * RECORDER_BUFFER; /* read, and perhaps not handed over */
    if (read_before <= committed * EVENT_SIZE + held_back)
        return;
    crash->counted++;
    crash->acks_before = acks;
    crash->in_flight += (read_before - held_back) / EVENT_SIZE - committed;
}

/* -- afterwards -------------------------------------------------------------------------------- */

static void finish_lane(struct crash *crash, struct lane *lane)
{
    struct outcome done = stage_end(crash->stage, lane->recorder, until_in(FINISH_MS));
    uint64_t events = lane->written / EVENT_SIZE;
    stage_expect_code(&done, 0);
    assert_int_equal(event_json_number(done.out, "events"), events);
    assert_int_equal(event_json_number(done.out, "stored"), events);
    assert_int_equal(event_json_number(done.out, "duplicates"), 0);
    assert_int_equal(event_json_number(done.out, "conflicts"), 0);
}

static struct lane *lane_of(struct crash *crash, struct spn_bytes session)
{
    for (size_t i = 0; i < LANES; i++)
        if (event_bytes_same(session, (struct spn_bytes){crash->lanes[i].session,
                                                         strlen(crash->lanes[i].session)}))
            return &crash->lanes[i];
    fail_msg("a session that nobody recorded: %.*s", (int)session.size, (const char *)session.data);
    return NULL;
}

/* The next event of the dump against the next line of its lane's log of acknowledgements. */
static void check_event(struct crash *crash, FILE *const *ack_logs, const struct event_item *item)
{
    struct lane *lane = lane_of(crash, item->session);
    uint64_t number = ++lane->checked;
    char line[256];
    char wanted[256];
    if (item->seq != number || !is_data_of(lane, number, item->data))
        fail_msg("%s: event %llu is in the place of %llu: %.*s", lane->session,
                 (unsigned long long)item->seq, (unsigned long long)number, 60,
                 (const char *)item->data.data);
    snprintf(wanted, sizeof(wanted), "%llu %.*s\n", (unsigned long long)number, (int)item->id.size,
             (const char *)item->id.data);
    if (!fgets(line, sizeof(line), ack_logs[lane - crash->lanes]) || strcmp(line, wanted) != 0)
        fail_msg("%s: acknowledged as %s, but on disk as %s", lane->session, line, wanted);
}

/* Line by line, since there may be many. */
static void check_dump(struct crash *crash)
{
    const char *words[] = {stage_sponson(), "dump", NULL};
    FILE *ack_logs[LANES];
    struct event_item item = {.retry_ms = -1};
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct process_options options = {.argv = words, .output_fd = ends[1]};
    struct process *dump = stage_process(crash->stage, &options);
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    assert_non_null(lines);
    for (size_t i = 0; i < LANES; i++) {
        ack_logs[i] = fopen(crash->lanes[i].ack_path, "re");
        assert_non_null(ack_logs[i]);
    }
    while ((size = getline(&line, &room, lines)) > 0) {
        if (event_item_from_json(&item, line, (size_t)size))
            check_event(crash, ack_logs, &item);
    }
    assert_int_equal(process_wait(dump, until_in(FINISH_MS)), 0);
    for (size_t i = 0; i < LANES; i++) {
        assert_int_equal(fgetc(ack_logs[i]), EOF);
        fclose(ack_logs[i]);
    }
    event_item_release(&item);
    free(line);
    fclose(lines);
}

/* A slow machine gets fewer acknowledgements in the same lives: it has more of these. */
static bool wants_kills(const struct crash *crash)
{
    return crash->counted < kills_wanted || crash->acks_before < until_scaled(ACKS_MIN);
}

static void acknowledged_events_survive(struct stage *stage)
{
    struct crash crash = {.stage = stage};
    assert_int_equal(getrandom(&crash.random, sizeof(crash.random), 0), sizeof(crash.random));
    crash.random |= 1;
    start_daemon(&crash);
    for (size_t i = 0; i < LANES; i++)
        start_lane(&crash, i);
    uint64_t due_ns = until_in((int)kills_wanted * MS_PER_KILL);
    while (wants_kills(&crash) && !until_over(due_ns)) {
        kill_once(&crash);
        start_daemon(&crash);
    }
    for (size_t i = 0; i < LANES; i++)
        end_stream(&crash.lanes[i]);
    for (size_t i = 0; i < LANES; i++)
        finish_lane(&crash, &crash.lanes[i]);
    check_dump(&crash);
    uint64_t events = 0;
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &crash.lanes[i];
        assert_int_equal(lane->checked, lane->written / EVENT_SIZE);
        events += lane->checked;
        close(lane->ack_fd);
    }
    print_message(
        "%zu kills, %zu with events in flight (%llu on average), %zu followed by resends of "
        "what was on disk; %llu acknowledgements before the last; %llu events, each once\n",
        crash.kills, crash.counted,
        (unsigned long long)(crash.counted ? crash.in_flight / crash.counted : 0), crash.resends,
        (unsigned long long)crash.acks_before, (unsigned long long)events);
    assert_true(crash.counted > 0);
    assert_true(crash.counted >= kills_wanted);
    assert_true(crash.acks_before >= until_scaled(ACKS_MIN));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {STAGE_TEST(acknowledged_events_survive)};
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1)
        kills_wanted = strtoul(argv[1], NULL, 10);
    else if (until_sanitized())
        kills_wanted = KILLS_SANITIZED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
