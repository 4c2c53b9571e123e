/* SPDX-License-Identifier: Apache-2.0 */
/* test_record: a recording that owns its session: it opens it or stores nothing, and closes it with
 * its last event. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OK, FAILURE, USAGE, NOT_FOUND };

static struct spn_bytes bytes_of(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

#define RECORD(stage, input, ...)                                                                  \
    stage_run_words(stage, (const char *const[]){"record", __VA_ARGS__, NULL}, bytes_of(input))

/* How a session ended, by the last line that a dump has of it. */
enum ending { OPEN, BY_EVENT, BY_CLOSE };

static const char *last_line(struct stage *stage, const char *session)
{
    struct outcome dump = stage_run(stage, "dump", "--session", session);
    stage_expect_code(&dump, OK);
    const char *line = dump.out;
    for (const char *at = dump.out; *at != '\0'; at++)
        if (*at == '\n' && at[1] != '\0')
            line = at + 1;
    return line;
}

static void expect_ending(struct stage *stage, const char *session, enum ending ending,
                          const char *reason)
{
    const char *line = last_line(stage, session);
    const char *kind = ending == BY_CLOSE ? "\"kind\":\"close\"" : "\"kind\":\"event\"";
    const char *words = ending == OPEN       ? "Z\"}\n"
                        : ending == BY_EVENT ? "\"closes\":true,\"reason\":\"%s\"}\n"
                                             : ",\"reason\":\"%s\"}\n";
    const char *end = stage_format(stage, words, reason);
    if (!strstr(line, kind) || !strstr(line, end))
        fail_msg("%s: %s and %s are not in %s", session, kind, end, line);
}

/* -- the end of an input ----------------------------------------------------------------------- */

static const struct end_row {
    const char *session;
    const char *input;
    enum ending ending;
    int code;
    const char *says;
} ends[] = {
    {"plain", "data: 1\n\ndata: 2\n\n", BY_EVENT, OK, ""},
    {"alone", "data: 1\n\n", BY_EVENT, OK, ""},
    {"with CR and LF", "data: 1\r\n\r\ndata: 2\r\n\r\n", BY_EVENT, OK, ""},
    {"with CR", "data: 1\r\rdata: 2\r\r", BY_EVENT, OK, ""},
    {"blank lines", "data: 1\n\ndata: 2\n\n\n\r\n\n", BY_EVENT, OK, ""},
    {"a comment", "data: 1\n\ndata: 2\n\n: bye\n\n", BY_CLOSE, OK, ""},
    {"a marker", "data: 1\n\ndata: 2\n\nid: 3\n\n", BY_CLOSE, OK, ""},
    {"only a marker", "id: 3\n\n", BY_CLOSE, OK, ""},
    {"cut", "data: 1\n\ndata: 2\n\ndata: 3\n", OPEN, FAILURE, "not closed"},
    {"cut in a line", "data: 1\n\ndata: 2\n\ndat", OPEN, FAILURE, "not closed"},
};

static void the_last_event_closes(struct stage *stage)
{
    stage_start(stage, NULL);
    for (size_t i = 0; i < COUNT(ends); i++) {
        const struct end_row *row = &ends[i];
        struct outcome done =
            RECORD(stage, row->input, row->session, "--close", "--reason", "at its end");
        stage_expect_code(&done, row->code);
        assert_non_null(strstr(done.err, row->says));
        assert_int_equal(strstr(done.out, ",\"closed\":true}") != NULL, row->ending != OPEN);
        expect_ending(stage, row->session, row->ending, "at its end");
    }
}

/* It is read in pieces. Each may end with an event that is not the last one. */
static void a_long_input_is_closed_by_its_last_event(struct stage *stage)
{
    enum { EVENTS = 20000 };
    char *text = stage_keep(stage, malloc(EVENTS * 16));
    char *at = text;
    for (int i = 1; i <= EVENTS; i++)
        at += sprintf(at, "data: %05d\n\n", i); /* 13 bytes */
    const char *file = stage_write_file(stage, "input", bytes_of(text));
    stage_start(stage, NULL);
    struct outcome done = stage_run(stage, "record", "file", file, "--close");
    stage_expect_code(&done, OK);
    assert_int_equal(event_json_number(done.out, "stored"), EVENTS);
    expect_ending(stage, "file", BY_EVENT, "");
}

/* A recorder that is fed by the test. */
struct feed {
    struct process *process;
    int fd;
    const char *ack_path;
};

static struct feed begin_feed(struct stage *stage, const char *session)
{
    int fds[2];
    struct feed feed = {.ack_path = stage_path(stage, stage_format(stage, "%s.acks", session))};
    const char *words[] = {"record",  session,    "--ack-log", feed.ack_path,
                           "--close", "--reason", "late",      NULL};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    feed.process = stage_begin_words(stage, words, fds[0]);
    feed.fd = fds[1];
    close(fds[0]);
    return feed;
}

static off_t size_of(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (fd >= 0)
        close(fd);
    return size;
}

static bool is_acknowledged(void *argument)
{
    const struct feed *feed = argument;
    return size_of(feed->ack_path) > 0;
}

static void feed_event(struct feed *feed)
{
    static const char event[] = "data: 1\n\n";
    assert_int_equal(write(feed->fd, event, sizeof(event) - 1), sizeof(event) - 1);
    assert_true(until_true(until_in(STAGE_WAIT_MS), is_acknowledged, feed));
}

/* An event is not held for an end that may come much later. A close comes then. */
static void a_silent_input_delays_nothing(struct stage *stage)
{
    stage_start(stage, NULL);
    struct feed feed = begin_feed(stage, "live");
    feed_event(&feed);
    close(feed.fd);
    struct outcome done = stage_end(stage, feed.process, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, OK);
    expect_ending(stage, "live", BY_CLOSE, "late");
}

static void a_signal_closes_nothing(struct stage *stage)
{
    stage_start(stage, NULL);
    struct feed feed = begin_feed(stage, "stopped");
    feed_event(&feed);
    process_signal(feed.process, SIGTERM);
    struct outcome done = stage_end(stage, feed.process, until_in(STAGE_WAIT_MS));
    close(feed.fd);
    stage_expect_code(&done, FAILURE);
    assert_non_null(strstr(done.err, "session 'stopped': not closed"));
    assert_int_equal(event_json_number(done.out, "stored"), 1);
    expect_ending(stage, "stopped", OPEN, "");
}

/* -- again ------------------------------------------------------------------------------------- */

static void a_recording_that_is_repeated_is_closed_once(struct stage *stage)
{
    static const char input[] = "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n";
    stage_start(stage, NULL);
    for (int i = 0; i < 2; i++) {
        struct outcome done = RECORD(stage, input, "s", "--close", "--reason", "done");
        stage_expect_code(&done, OK);
        assert_int_equal(event_json_number(done.out, i == 0 ? "stored" : "duplicates"), 2);
        assert_non_null(strstr(done.out, "\"closed\":true"));
        expect_ending(stage, "s", BY_EVENT, "done");
    }
}

/* What is stored did not close it, so the event that would is another one. The session is closed
 * all the same, and the conflict is told. */
/* Other ids would not help: the session is closed. */
static void expect_only_the_close_differs(const struct outcome *done)
{
    assert_int_equal(event_json_number(done->out, "conflicts"), 1);
    assert_non_null(strstr(done->err, "event 2 with id '2': not stored: the session has this id "
                                      "already, and data, type, closing or reason differ"));
    assert_non_null(strstr(done->err, "and is closed"));
    assert_null(strstr(done->err, "--ids"));
}

static void an_event_that_was_stored_open_is_a_conflict(struct stage *stage)
{
    static const char input[] = "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n";
    stage_start(stage, NULL);
    struct outcome done = RECORD(stage, input, "s");
    stage_expect_code(&done, OK);
    done = RECORD(stage, input, "s", "--close", "--reason", "done");
    stage_expect_code(&done, FAILURE);
    assert_int_equal(event_json_number(done.out, "conflicts"), 1);
    expect_ending(stage, "s", BY_CLOSE, "done");
    expect_only_the_close_differs(&done);
}

/* The other way round, and with another reason. */
static void an_event_that_was_stored_closing_is_a_conflict(struct stage *stage)
{
    static const char input[] = "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n";
    stage_start(stage, NULL);
    struct outcome done = RECORD(stage, input, "s", "--close", "--reason", "done");
    stage_expect_code(&done, OK);
    done = RECORD(stage, input, "s");
    stage_expect_code(&done, FAILURE);
    expect_only_the_close_differs(&done);
    done = RECORD(stage, input, "s", "--close", "--reason", "other");
    stage_expect_code(&done, FAILURE);
    expect_only_the_close_differs(&done);
    expect_ending(stage, "s", BY_EVENT, "done");
}

/* Nothing new came: what is there is closed. What is not there cannot be, and what is no event
 * stream says nothing of the end of one. */
static void an_input_without_events(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = RECORD(stage, "", "nobody", "--close");
    stage_expect_code(&done, NOT_FOUND);
    done = RECORD(stage, "", "nobody", "--close", "--if-new");
    stage_expect_code(&done, OK);
    assert_non_null(strstr(done.err, "contains no events"));
    done = RECORD(stage, "data: 1\n\n", "s");
    stage_expect_code(&done, OK);
    done = RECORD(stage, "", "s", "--close", "--if-new"); /* which it is not */
    stage_expect_code(&done, OK);
    assert_null(strstr(done.out, "closed"));
    expect_ending(stage, "s", OPEN, "");
    done = RECORD(stage, "<html>\n", "s", "--close");
    stage_expect_code(&done, FAILURE);
    expect_ending(stage, "s", OPEN, "");
    done = RECORD(stage, "", "s", "--close", "--reason", "done");
    stage_expect_code(&done, OK);
    expect_ending(stage, "s", BY_CLOSE, "done");
    done = RECORD(stage, "", "s", "--close");
    stage_expect_code(&done, OK);
    assert_non_null(strstr(done.err, "session 's': was already closed"));
}

/* -- only if it is new ------------------------------------------------------------------------- */

static void expect_refused(struct stage *stage, const char *session, const char *input)
{
    struct outcome before = stage_run(stage, "dump", "--all");
    struct outcome done = RECORD(stage, input, session, "--if-new", "--close");
    stage_expect_code(&done, FAILURE);
    assert_non_null(strstr(done.err, stage_format(stage, "session '%s': is not new", session)));
    assert_int_equal(event_json_number(done.out, "stored"), 0);
    assert_int_equal(event_json_number(done.out, "markers"), 0);
    assert_null(strstr(done.out, "unacknowledged"));
    struct outcome after = stage_run(stage, "dump", "--all");
    assert_string_equal(after.out, before.out);
}

static void a_session_that_is_there_is_left_alone(struct stage *stage)
{
    char *long_id = stage_keep(stage, calloc(1, 8192));
    stage_start(stage, NULL);
    struct outcome done = RECORD(stage, "id: 1\ndata: 1\n\n", "live");
    stage_expect_code(&done, OK);
    done = RECORD(stage, "id: 1\ndata: 1\n\n", "closed", "--close");
    stage_expect_code(&done, OK);
    static const char *const sessions[] = {"live", "closed"};
    for (size_t i = 0; i < COUNT(sessions); i++) {
        expect_refused(stage, sessions[i], "data: 1\n\n");
        expect_refused(stage, sessions[i], "data: 1\n\ndata: 2\n\ndata: 3\n\nid: 7\n\n");
        expect_refused(stage, sessions[i], "id: 9\n\ndata: 2\n\n");
        expect_refused(stage, sessions[i], "id: 1\ndata: 1\n\ndata: 2\n\n"); /* known already */
        expect_refused(stage, sessions[i], "id: 1\ndata: other\n\ndata: 2\n\n");
    }
    /* The first one is refused for its id before it is sent: the next one has the condition. */
    sprintf(long_id, "id: %05000d\ndata: 1\n\ndata: 2\n\ndata: 3\n\n", 0);
    expect_refused(stage, "live", long_id);
}

static void a_new_session_takes_all(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = RECORD(stage, "data: 1\n\nid: m\n\ndata: 2\n\n", "s", "--if-new",
                                 "--close", "--note", "of mine");
    stage_expect_code(&done, OK);
    assert_string_equal(done.err, "");
    assert_int_equal(event_json_number(done.out, "stored"), 2);
    expect_ending(stage, "s", BY_EVENT, "");
    done = stage_run(stage, "dump", "--session", "s");
    size_t notes = 0;
    for (const char *at = done.out; (at = strstr(at, ",\"note\":\"of mine\"")); at++)
        notes++;
    assert_int_equal(notes, 3);
    done = RECORD(stage, "data: 1\n\n", "alone", "--if-new", "--close");
    stage_expect_code(&done, OK);
    expect_ending(stage, "alone", BY_EVENT, "");
    done = stage_run(stage, "delete", "s", "--yes");
    stage_expect_code(&done, OK);
    done = RECORD(stage, "data: 1\n\n", "s", "--if-new");
    stage_expect_code(&done, OK);
    assert_null(strstr(done.out, "closed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(the_last_event_closes),
        STAGE_TEST(a_long_input_is_closed_by_its_last_event),
        STAGE_TEST(a_silent_input_delays_nothing),
        STAGE_TEST(a_signal_closes_nothing),
        STAGE_TEST(a_recording_that_is_repeated_is_closed_once),
        STAGE_TEST(an_event_that_was_stored_open_is_a_conflict),
        STAGE_TEST(an_event_that_was_stored_closing_is_a_conflict),
        STAGE_TEST(an_input_without_events),
        STAGE_TEST(a_session_that_is_there_is_left_alone),
        STAGE_TEST(a_new_session_takes_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
