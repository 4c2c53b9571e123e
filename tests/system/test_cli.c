/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli: the command line as its users meet it: exit codes, messages, what is printed, and
 * recordings that are interrupted in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "event_list.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OK, FAILURE, USAGE, NOT_FOUND, TIMEOUT, NO_SIDECAR };
enum { VERBS_MIN = 12 };

static struct spn_bytes bytes_of(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

static struct outcome record_text(struct stage *stage, const char *session, const char *text)
{
    const char *words[] = {"record", session, NULL};
    return stage_run_words(stage, words, bytes_of(text));
}

static size_t lines_in(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static bool begins_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* -- the command line -------------------------------------------------------------------------- */

#define LONG_NAME                                                                                  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"                                                                                         \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"                                                                                         \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 256 bytes */

/* No sidecar runs and no database is there. */
static const struct {
    const char *words[8];
    int code;
    const char *says; /* in the one line on stderr */
} refusals[] = {
    {{NULL}, USAGE, "no verb"},
    {{"frobnicate"}, USAGE, "verb 'frobnicate'"},
    {{"--frobnicate"}, USAGE, "'--frobnicate'"},
    {{"record"}, USAGE, "SESSION: missing"},
    {{"record", "a", "b", "c"}, USAGE, "'c'"},
    {{"record", "--frobnicate", "a"}, USAGE, "'--frobnicate'"},
    {{"record", "a", "--timeout"}, USAGE, "'--timeout'"},
    {{"record", "a", "--timeout", "soon"}, USAGE, "--timeout 'soon'"},
    {{"record", "a", "--timeout", "0"}, USAGE, "--timeout '0'"},
    {{"record", "a", "--timeout=-1"}, USAGE, "--timeout '-1'"},
    {{"record", ""}, USAGE, "session ''"},
    {{"record", "a\nb"}, USAGE, "session 'a\\x0ab'"},
    {{"record", "\xFF"}, USAGE, "session '\\xff'"},
    {{"record", LONG_NAME}, USAGE, "session 'aaaaaa"},
    {{"record", "a", "--reason", "b"}, USAGE, "--reason: needs --close"},
    {{"record", "a", "--close", "--reason", "idle"}, USAGE, "--reason 'idle'"},
    {{"record", "a", "--note", LONG_NAME LONG_NAME LONG_NAME}, USAGE, "--note 'aaaaaa"},
    {{"publish", "a", "x", "--reason", "b"}, USAGE, "--reason: needs --close"},
    {{"publish", "a", "x", "--close", "--reason", "b\nc"}, USAGE, "--reason 'b\\x0ac'"},
    {{"publish", "a", "x", "--note", LONG_NAME LONG_NAME LONG_NAME}, USAGE, "--note 'aaaaaa"},
    {{"publish", "a", "x", "--type", "b\nc"}, USAGE, "--type 'b\\x0ac'"},
    {{"publish", "a", "x", "--if-seq", "one"}, USAGE, "--if-seq 'one'"},
    {{"replay", LONG_NAME}, USAGE, "session 'aaaaaa"},
    {{"replay", "a", "--after", "b\nc"}, USAGE, "event id 'b\\x0ac'"},
    {{"replay", "a", "--format", "xml"}, USAGE, "--format 'xml'"},
    {{"tail"}, USAGE, "SESSION: missing"},
    {{"tail", LONG_NAME}, USAGE, "session 'aaaaaa"},
    {{"tail", "a", "--after", "b\nc"}, USAGE, "event id 'b\\x0ac'"},
    {{"tail", "a", "--after", ""}, USAGE, "event id ''"},
    {{"tail", "a", "--after", "b", "--earliest"}, USAGE, "--earliest: "},
    {{"tail", "a", "--format", "xml"}, USAGE, "--format 'xml'"},
    {{"tail", "a", "--count", "0"}, USAGE, "--count '0'"},
    {{"info"}, USAGE, "SESSION: missing"},
    {{"info", "a\nb"}, USAGE, "session 'a\\x0ab'"},
    {{"info", "a", "b"}, USAGE, "'b'"},
    {{"close"}, USAGE, "SESSION: missing"},
    {{"close", LONG_NAME}, USAGE, "session 'aaaaaa"},
    {{"close", "a", "--life", "0"}, USAGE, "--life '0'"},
    {{"close", "a", "--yes"}, USAGE, "'--yes'"},
    {{"close", "a", "--reason", "idle"}, USAGE, "--reason 'idle'"},
    {{"delete", "--yes"}, USAGE, "SESSION: missing"},
    {{"delete", "a"}, USAGE, "--yes: missing"},
    {{"delete", "a", "--life", "33333333333333333333333333333333"}, USAGE, "--yes: missing"},
    {{"delete", "a", "--yes", "--life", "x"}, USAGE, "--life 'x'"},
    {{"delete", "a\nb", "--yes"}, USAGE, "session 'a\\x0ab'"},
    {{"last"}, USAGE, "SESSION: missing"},
    {{"last", "\x7F"}, USAGE, "session '\\x7f'"},
    {{"dump", "a"}, USAGE, "'a'"},
    {{"dump", "--session", ""}, USAGE, "session ''"},
    {{"dump", "--format", "csv"}, USAGE, "--format 'csv'"},
    {{"sessions", "--prefix", LONG_NAME}, USAGE, "--prefix 'aaaa"},
    {{"sessions", "--after", LONG_NAME}, USAGE, "--after 'aaaa"},
    {{"sessions", "--limit", "0"}, USAGE, "--limit '0'"},
    {{"health", "--wait", "x"}, USAGE, "--wait 'x'"},
    {{"health", "--wait", "99999999999999999999"}, USAGE, "too large, a year at most"},
    {{"stats", "x"}, USAGE, "'x'"},
    {{"bench"}, USAGE, "choose what to measure: publish"},
    {{"bench", "subscribe"}, USAGE, "'subscribe'"},
    {{"bench", "publish", "--count", "0"}, USAGE, "--count '0'"},
    {{"bench", "publish", "--size", "999999999"}, USAGE, "--size '999999999'"},
    {{"bench", "publish", "--producers", "1e3"}, USAGE, "--producers '1e3'"},
    {{"bench", "publish", "--ack", "none"}, USAGE, "--ack 'none'"},
    {{"bench", "publish", "--rate", "0"}, USAGE, "--rate '0'"},
    {{"bench", "publish", "--others", "3"}, USAGE, "--others: publish does not take it"},
    {{"bench", "oneshot", "--rate", "3"}, USAGE, "--rate: oneshot does not take it"},
    {{"bench", "publish", "--clients", "1"}, USAGE, "--clients: publish does not take it"},
    {{"bench", "fanout", "--ack", "durable"}, USAGE, "--ack: fanout does not take it"},
    {{"bench", "latency", "--file", "/nonexistent"}, NOT_FOUND, "/nonexistent: "},
    {{"bench", "publish", "--file", "/dev/null"}, FAILURE, "/dev/null: "},

    {{"record", "a", "/nonexistent"}, NOT_FOUND, "/nonexistent: "},
    {{"dump"}, NOT_FOUND, "data.mdb"},
    {{"dump", "--data-dir", "/nonexistent"}, NOT_FOUND, "/nonexistent: "},
    {{"dump", "--data-dir", "/dev/null"}, FAILURE, "/dev/null: "},
    {{"sessions", "--data-dir", "/nonexistent"}, NOT_FOUND, "/nonexistent: "},

    {{"record", "a", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"replay", "a", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"tail", "a", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"last", "a", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"info", "a", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"close", "a", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"delete", "a", "--yes", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"sessions", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"stats", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"health", "--timeout", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"health", "--wait", "0.1"}, NO_SIDECAR, "no sidecar"},
    {{"health", "--timeout", "0.1", "--socket-dir", "/nonexistent"}, NO_SIDECAR, "/nonexistent"},
    {{"health", "--socket-dir", "/" LONG_NAME}, USAGE, "aaaaaa"},
};

static void bad_input_is_named(struct stage *stage)
{
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct outcome done = stage_run_words(stage, refusals[i].words, bytes_of(""));
        const char *verb = refusals[i].words[0];
        if (done.code != refusals[i].code)
            fail_msg("row %zu: exit code %d: %s", i, done.code, done.err);
        if (lines_in(done.err) != 1 || !begins_with(done.err, "sponson"))
            fail_msg("row %zu: not one line of ours: %s", i, done.err);
        if (verb && verb[0] != '-' && done.code != USAGE)
            expect_in(done.err, stage_format(stage, "sponson %s: ", verb));
        expect_in(done.err, refusals[i].says);
        assert_string_equal(done.out, "");
    }
}

/* From the list that dispatches them, so that a new one is not forgotten. */
static const struct verb {
    const char *name;
    const char *words;
    const char *text;
} all_verbs[] = {
#define VERB_ROW(function, name, words, text) {name, words, text},
    CLI_VERB_MAP(VERB_ROW)
#undef VERB_ROW
};

_Static_assert(COUNT(all_verbs) >= VERBS_MIN, "scripts use a verb that is gone");

/* The words of a text with one space between them: help has its line breaks anywhere. */
static const char *in_one_line(struct stage *stage, const char *text)
{
    char *line = stage_keep(stage, strdup(text));
    char *end = line;
    for (; *text; text++)
        if (!isspace((unsigned char)*text))
            *end++ = *text;
        else if (end > line && end[-1] != ' ')
            *end++ = ' ';
    *end = '\0';
    return line;
}

/* The verb is in the list of all, and has help of its own. */
static void expect_help(struct stage *stage, const struct verb *verb, const char *list)
{
    const char *space = verb->words[0] ? " " : "";
    expect_in(list, stage_format(stage, " %s%s%s %s ", verb->name, space, verb->words, verb->text));
    struct outcome done = stage_run(stage, verb->name, "--help");
    stage_expect_code(&done, OK);
    assert_string_equal(done.err, "");
    const char *usage = stage_format(stage, "Usage: sponson %s [OPTION...]", verb->name);
    if (!begins_with(done.out, usage))
        fail_msg("\"%s\" does not begin: %s", usage, done.out);
}

static void help_says_it(struct stage *stage)
{
    static const char *const words[] = {"Exit codes:", "no sidecar listens there"};
    struct outcome done = stage_run(stage, "--help");
    stage_expect_code(&done, OK);
    for (size_t i = 0; i < COUNT(words); i++)
        expect_in(done.out, words[i]);
    const char *list = in_one_line(stage, done.out);
    for (size_t i = 0; i < COUNT(all_verbs); i++)
        expect_help(stage, &all_verbs[i], list);
    static const char *const others[] = {"-h", "help"};
    for (size_t i = 0; i < COUNT(others); i++) {
        struct outcome same = stage_run(stage, others[i]);
        stage_expect_code(&same, OK);
        assert_string_equal(same.out, done.out);
    }
    done = stage_run(stage, "record", "--help");
    stage_expect_code(&done, OK);
    expect_in(done.out, "Usage: sponson record [OPTION...] SESSION [FILE]");
    expect_in(done.out, "--ack-log=FILE");
    expect_in(done.out, "--socket-dir=DIR");
    done = stage_run(stage, "--version");
    stage_expect_code(&done, OK);
    assert_true(begins_with(done.out, "sponson "));
}

static void what_is_not_there_is_not_found(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = record_text(stage, "s", "id: 1\ndata: a\n\n");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "last", "other");
    stage_expect_code(&done, NOT_FOUND);
    assert_string_equal(done.err, "sponson last: session 'other': no such session\n");
    done = stage_run(stage, "replay", "other");
    stage_expect_code(&done, NOT_FOUND);
    done = stage_run(stage, "replay", "s", "--after", "2");
    stage_expect_code(&done, NOT_FOUND);
    expect_in(done.err, "event id '2'");
    done = record_text(stage, "gone", "id: 1\ndata: a\n\n");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "delete", "gone", "--yes");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "dump", "--session", "gone", "--all");
    stage_expect_code(&done, OK);
    assert_int_equal(lines_in(done.out), 3); /* opened, an event, deleted */
    done = stage_run(stage, "dump", "--session", "gone");
    stage_expect_code(&done, NOT_FOUND);
    assert_int_equal(lines_in(done.out), 1);
    expect_in(done.out, "\"kind\":\"delete\"");
    done = record_text(stage, "reset", "id\ndata: a\n\nid\n\n");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "last", "reset");
    stage_expect_code(&done, OK);
    assert_string_equal(done.err, "sponson last: session 'reset': no event id is in force\n");
    done = stage_run(stage, "dump", "--session", "other");
    stage_expect_code(&done, NOT_FOUND);
    expect_in(done.err, "session 'other'");
    assert_string_equal(done.out, "");
}

/* Through a shell, for its redirections. */
static struct outcome run_shell(struct stage *stage, const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script, "sh", stage_sponson(), NULL};
    struct process_options options = {.argv = argv};
    return stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
}

static void output_that_cannot_be_written_is_told(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = record_text(stage, "s", "data: a\n\n");
    stage_expect_code(&done, OK);
    static const char *const verbs[] = {
        "dump",   "replay s", "tail s --earliest --exit-when-caught-up",
        "last s", "sessions", "sessions --json",
        "stats",  "health"};
    for (size_t i = 0; i < COUNT(verbs); i++) {
        done = run_shell(stage, stage_format(stage, "\"$1\" %s >/dev/full", verbs[i]));
        stage_expect_code(&done, FAILURE);
        expect_in(done.err, "stdout: No space left on device\n");
    }
}

/* More than a pipe holds, and a reader that has had enough after one line. */
static void a_closed_pipe_ends_it_quietly(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done =
        stage_run(stage, "bench", "publish", "--count", "2000", "--running", "--keep");
    stage_expect_code(&done, OK);
    done = run_shell(stage, "trap '' PIPE; { \"$1\" dump; echo $? >&2; } | head -n 1");
    assert_string_equal(done.err, "141\n"); /* although the one who started it ignores SIGPIPE */
    assert_int_equal(lines_in(done.out), 1);
}

/* -- record ------------------------------------------------------------------------------------ */

static void recording_twice_finds_duplicates(struct stage *stage)
{
    stage_start(stage, NULL);
    static const char stream[] = "id: 1\ndata: a\n\nid: 2\ndata: b\n\n";
    struct outcome done = record_text(stage, "s", stream);
    stage_expect_code(&done, OK);
    assert_string_equal(done.out,
                        "{\"session\":\"s\",\"events\":2,\"stored\":2,\"duplicates\":0,"
                        "\"conflicts\":0,\"refused\":0,\"markers\":0,\"last_event_id\":\"2\"}\n");
    struct outcome before = stage_run(stage, "dump");
    done = record_text(stage, "s", stream);
    stage_expect_code(&done, OK);
    assert_string_equal(done.out,
                        "{\"session\":\"s\",\"events\":2,\"stored\":0,\"duplicates\":2,"
                        "\"conflicts\":0,\"refused\":0,\"markers\":0,\"last_event_id\":\"2\"}\n");
    assert_string_equal(done.err, "");
    done = record_text(stage, "s", "id: 1\ndata: a\n\nid: 2\ndata: B\n\nid: 3\ndata: c\n\n");
    stage_expect_code(&done, FAILURE);
    assert_string_equal(done.out,
                        "{\"session\":\"s\",\"events\":3,\"stored\":1,\"duplicates\":1,"
                        "\"conflicts\":1,\"refused\":0,\"markers\":0,\"last_event_id\":\"3\"}\n");
    assert_int_equal(lines_in(done.err), 2);
    expect_in(done.err, "event 2 with id '2': not stored: ");
    struct outcome after = stage_run(stage, "dump");
    assert_int_equal(lines_in(after.out), lines_in(before.out) + 1);
    assert_true(begins_with(after.out, before.out));
}

#define USE_IDS "use --ids new or --ids prefix=TEXT\n"

/* Each response is a run, and each numbers from 1: nothing restarts within one. */
static void an_upstream_that_numbers_anew_is_advised(struct stage *stage)
{
    static const char *const again[] = {"record", "s", "--ids", "prefix=x-", NULL};
    static const char other[] = "id: 1\ndata: c\n\nid: 2\ndata: d\n\n";
    stage_start(stage, NULL);
    struct outcome done = record_text(stage, "s", "id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    stage_expect_code(&done, OK);
    done = record_text(stage, "s", other);
    stage_expect_code(&done, FAILURE);
    assert_int_equal(event_json_number(done.out, "conflicts"), 2);
    assert_int_equal(lines_in(done.err), 3);
    expect_in(done.err,
              "2 events not stored: the session has other events with their ids; " USE_IDS);
    done = stage_run_words(stage, again, bytes_of(other));
    stage_expect_code(&done, OK);
    done = stage_run_words(stage, again, bytes_of("id: 1\ndata: e\n\nid: 1\ndata: f\n\n"));
    stage_expect_code(&done, FAILURE);
    assert_null(strstr(done.err, "--ids")); /* it has just been given */
}

static void expect_last_id(const struct outcome *done, const char *id)
{
    char *found = event_json_string(done->out, "last_event_id");
    assert_string_equal(found, id);
    free(found);
}

/* What an app goes on after is where the session stands, not where the input does. */
static void last_event_id_is_the_sessions(struct stage *stage)
{
    static const char first[] = "id: 1\ndata: a\n\n";
    stage_start(stage, NULL);
    struct outcome done = record_text(stage, "s", "id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    expect_last_id(&done, "2");
    done = record_text(stage, "s", first);
    stage_expect_code(&done, OK);
    expect_last_id(&done, "2");
    done = record_text(stage, "s", "id: 1\ndata: other\n\n");
    stage_expect_code(&done, FAILURE);
    expect_last_id(&done, "2");
    done = record_text(stage, "s", "id\n\n");
    assert_non_null(strstr(done.out, "\"last_event_id\":null"));
}

/* An id stays in force for a browser that resumes, but it is the id of one event only. */
static void an_id_is_one_events(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done =
        record_text(stage, "s", "id: x\ndata: 1\n\ndata: 1\n\nid: y\n\ndata: 1\n\nid\ndata: 1\n\n");
    stage_expect_code(&done, OK);
    assert_int_equal(event_json_number(done.out, "stored"), 4);
    struct event_list list = EVENT_LIST_INIT;
    done = stage_run(stage, "replay", "s");
    event_list_add_json(&list, done.output, NULL);
    assert_int_equal(list.count, 5);
    assert_true(event_bytes_same(list.items[0].id, bytes_of("x")));
    assert_true(list.items[2].marker && event_bytes_same(list.items[2].id, bytes_of("y")));
    for (size_t i = 1; i < 5; i++)
        assert_true(list.items[i].marker || list.items[i].id.size > 20);
    event_list_release(&list);
}

static void input_without_events_is_no_error(struct stage *stage)
{
    stage_start(stage, NULL);
    static const char *const inputs[] = {"", "\n\n", ": comment\n\n", "event: x\n\n",
                                         "retry: x\n\n"};
    for (size_t i = 0; i < COUNT(inputs); i++) {
        struct outcome done = record_text(stage, "s", inputs[i]);
        stage_expect_code(&done, OK);
        assert_string_equal(
            done.out, "{\"session\":\"s\",\"events\":0,\"stored\":0,\"duplicates\":0,"
                      "\"conflicts\":0,\"refused\":0,\"markers\":0,\"last_event_id\":null}\n");
        assert_string_equal(done.err, "sponson record: standard input: contains no events\n");
    }
}

static void an_unfinished_event_is_told(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = record_text(stage, "s", "data: a\n\ndata: b\n");
    stage_expect_code(&done, OK);
    assert_int_equal(event_json_number(done.out, "events"), 1);
    assert_int_equal(lines_in(done.err), 1);
    expect_in(done.err, "standard input: the last block is unfinished");
}

static char *put_many(char *at, char byte, size_t count)
{
    memset(at, byte, count);
    return at + count;
}

/* One too large, one with a long id, one with a long type; the others are stored. */
static void what_is_refused_is_told(struct stage *stage)
{
    enum { LIMIT = 4 * 1024 * 1024 };
    stage_start(stage, NULL);
    char *text = stage_keep(stage, calloc(1, 5 * LIMIT));
    char *at = stpcpy(text, "data: first\n\ndata: ");
    at = put_many(at, 'x', LIMIT + 1);
    at = stpcpy(at, "\n\nid: ");
    at = put_many(at, 'i', 4097);
    at = stpcpy(at, "\ndata: b\n\nevent: ");
    at = put_many(at, 't', 256);
    at = stpcpy(at, "\ndata: c\n\ndata: ");
    at = put_many(at, 'y', LIMIT); /* just not */
    at = stpcpy(at, "\n\ndata: ");
    at = put_many(at, 'z', 2 * LIMIT); /* so large that it is not even kept */
    stpcpy(at, "\n\ndata: last\n\n");
    struct outcome done = record_text(stage, "s", text);
    stage_expect_code(&done, FAILURE);
    assert_int_equal(event_json_number(done.out, "events"), 7);
    assert_int_equal(event_json_number(done.out, "stored"), 3);
    assert_int_equal(event_json_number(done.out, "refused"), 4);
    assert_int_equal(lines_in(done.err), 4);
    expect_in(done.err, "event 2: not stored: larger than the limit of 4194304 bytes of data "
                        "(sponsond's --event-data-max)");
    expect_in(done.err, "event 3 with id 'iii");
    expect_in(done.err, "its id has 4097 bytes, the limit is 4096\n");
    expect_in(done.err, "event 4: not stored: its type has 256 bytes, the limit is 255\n");
    expect_in(done.err, "event 6: not stored: larger than the limit of 4194304 bytes of data "
                        "(sponsond's --event-data-max)");
}

/* -- record, live ------------------------------------------------------------------------------ */

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
    const char *words[] = {"record", session, "--ack-log", feed.ack_path, NULL};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    feed.process = stage_begin_words(stage, words, fds[0]);
    feed.fd = fds[1];
    close(fds[0]);
    return feed;
}

static void feed_text(const struct feed *feed, const char *text)
{
    assert_int_equal(write(feed->fd, text, strlen(text)), strlen(text));
}

static struct outcome end_feed(struct stage *stage, const struct feed *feed)
{
    close(feed->fd);
    return stage_end(stage, feed->process, until_in(STAGE_WAIT_MS));
}

struct wanted_lines {
    const char *path;
    size_t count;
};

static bool has_lines(void *argument)
{
    const struct wanted_lines *wanted = argument;
    char byte;
    size_t lines = 0;
    int fd = open(wanted->path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && read(fd, &byte, 1) == 1)
        lines += byte == '\n';
    if (fd >= 0)
        close(fd);
    return lines >= wanted->count;
}

static void expect_acks(const struct feed *feed, size_t count)
{
    struct wanted_lines wanted = {feed->ack_path, count};
    if (!until_true(until_in(STAGE_WAIT_MS), has_lines, &wanted))
        fail_msg("no %zu acknowledgements", count);
}

/* The next line "number id" of a log of acknowledgements; one without its end does not count. */
static bool next_ack(const char **at, uint64_t *ret_number, struct spn_bytes *ret_id)
{
    char *end;
    const char *line_end = strchr(*at, '\n');
    if (!line_end)
        return false;
    *ret_number = strtoull(*at, &end, 10);
    assert_int_equal(*end, ' ');
    *ret_id = (struct spn_bytes){end + 1, (size_t)(line_end - end - 1)};
    *at = line_end + 1;
    return true;
}

/* Every acknowledgement in the file is true: that event, in that place; there are so many at least.
 */
static void expect_acks_true(struct stage *stage, const char *ack_path, const char *session,
                             size_t count_min)
{
    struct outcome dump = stage_run(stage, "dump", "--session", session);
    struct event_list list = EVENT_LIST_INIT;
    const char *at = stage_read_file(stage, ack_path).data;
    struct spn_bytes id;
    uint64_t number;
    uint64_t expected = 0;
    stage_expect_code(&dump, OK);
    event_list_add_json(&list, dump.output, NULL);
    event_list_expect_whole(session, &list);
    while (next_ack(&at, &number, &id)) {
        assert_int_equal(number, ++expected);
        assert_true(number <= list.count);
        assert_true(event_bytes_same(list.items[number - 1].id, id));
    }
    assert_true(expected >= count_min);
    event_list_release(&list);
}

/* Each is on disk while the pipe is open and says nothing more. */
static void an_event_is_sent_when_it_is_complete(struct stage *stage)
{
    stage_start(stage, NULL);
    struct feed feed = begin_feed(stage, "s");
    feed_text(&feed, "id: a b\ndata: 1\n\nid: 2\nda");
    expect_acks(&feed, 1);
    feed_text(&feed, "ta: 2\n");
    feed_text(&feed, "\n");
    expect_acks(&feed, 2);
    struct outcome last = stage_run(stage, "last", "s");
    assert_string_equal(last.out, "2\n");
    struct outcome done = end_feed(stage, &feed);
    stage_expect_code(&done, OK);
    struct spn_bytes acks = stage_read_file(stage, feed.ack_path);
    assert_string_equal(acks.data, "1 a b\n2 2\n");
}

static void a_restart_is_ridden_out(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct feed feed = begin_feed(stage, "s");
    feed_text(&feed, "id: 1\ndata: 1\n\n");
    expect_acks(&feed, 1);
    process_kill(daemon);
    feed_text(&feed, "id: 2\ndata: 2\n\nid: 3\ndata: 3\n\n");
    daemon = stage_start(stage, NULL);
    expect_acks(&feed, 3);
    assert_int_equal(stage_stop(daemon), 0);
    feed_text(&feed, "id: 4\ndata: 4\n\n");
    stage_start(stage, NULL);
    struct outcome done = end_feed(stage, &feed);
    stage_expect_code(&done, OK);
    assert_int_equal(event_json_number(done.out, "stored"), 4);
    struct spn_bytes acks = stage_read_file(stage, feed.ack_path);
    assert_string_equal(acks.data, "1 1\n2 2\n3 3\n4 4\n");
}

/* Feeds events of this size until the recorder has not read for a while; then lets the sidecar go
 * on and feeds the rest. Returns how many there were. */
static size_t feed_until_full(const struct feed *feed, const struct process *daemon, size_t size)
{
    enum { MORE = 100, EVENTS_MAX = 100000, QUIET_MS = 500 };
    char event[4096] = "data: ";
    size_t length = strlen(event);
    memset(event + length, 'x', size);
    length += size;
    event[length++] = '\n';
    event[length++] = '\n';
    size_t fed = 0;
    size_t until = EVENTS_MAX;
    struct pollfd room = {.fd = feed->fd, .events = POLLOUT};
    while (fed < until) {
        if (until == EVENTS_MAX && poll(&room, 1, QUIET_MS) == 0) {
            until = fed + MORE;
            process_signal(daemon, SIGCONT);
        }
        /* A pipe that can be written has room for a page: an event is written whole. */
        assert_int_equal(write(feed->fd, event, length), length);
        fed++;
    }
    assert_true(fed < EVENTS_MAX); /* it has stopped reading, it does not gather without end */
    return fed;
}

/* The window is full by number of events, or by their bytes, and nothing is lost for that. */
static void a_full_window_holds_the_input(struct stage *stage)
{
    static const size_t sizes[] = {1, 3000};
    struct process *daemon = stage_start(stage, NULL);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct feed feed = begin_feed(stage, i == 0 ? "many" : "large");
        feed_text(&feed, "data: first\n\n");
        expect_acks(&feed, 1);
        process_stop(daemon);
        size_t fed = feed_until_full(&feed, daemon, sizes[i]);
        struct outcome done = end_feed(stage, &feed);
        stage_expect_code(&done, OK);
        assert_int_equal(event_json_number(done.out, "events"), fed + 1);
        assert_int_equal(event_json_number(done.out, "stored"), fed + 1);
        expect_acks_true(stage, feed.ack_path, i == 0 ? "many" : "large", fed + 1);
    }
}

static void an_interrupt_ends_the_input(struct stage *stage)
{
    static const int signals[] = {SIGINT, SIGTERM};
    stage_start(stage, NULL);
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct feed feed = begin_feed(stage, i == 0 ? "int" : "term");
        feed_text(&feed, "data: 1\n\ndata: unfin");
        expect_acks(&feed, 1);
        process_signal(feed.process, signals[i]);
        struct outcome done = stage_end(stage, feed.process, until_in(STAGE_WAIT_MS));
        close(feed.fd);
        stage_expect_code(&done, OK);
        assert_int_equal(event_json_number(done.out, "stored"), 1);
        assert_string_equal(done.err, "");
    }
}

/* Its events are not lost with it: the pipe's other end may still be there, but nobody waits. */
static void a_second_interrupt_ends_the_wait(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct feed feed = begin_feed(stage, "s");
    feed_text(&feed, "data: 1\n\n");
    expect_acks(&feed, 1);
    process_stop(daemon);
    feed_text(&feed, "data: 2\n\n");
    process_signal(feed.process, SIGINT);
    assert_int_equal(process_wait(feed.process, until_in(300)), PROCESS_NOT_ENDED);
    process_signal(feed.process, SIGINT);
    assert_int_equal(process_wait(feed.process, until_in(STAGE_WAIT_MS)), 128 + SIGINT);
    close(feed.fd);
    process_signal(daemon, SIGCONT);
}

static void a_silent_sidecar_times_out(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    int fds[2];
    const char *words[] = {"record", "s", "--timeout", "1", NULL};
    const char *after[] = {
        "record", "s", "--timeout", "1", "--ack-log", stage_path(stage, "s.acks"), NULL};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct feed feed = {stage_begin_words(stage, after, fds[0]), fds[1], after[5]};
    close(fds[0]);
    feed_text(&feed, "data: 1\n\n");
    expect_acks(&feed, 1);
    process_stop(daemon);
    feed_text(&feed, "data: 2\n\ndata: 3\n\n");
    struct outcome done = end_feed(stage, &feed);
    stage_expect_code(&done, TIMEOUT);
    assert_int_equal(event_json_number(done.out, "stored"), 1);
    assert_int_equal(event_json_number(done.out, "unacknowledged"), 2);
    expect_in(
        done.err,
        "sponson record: sidecar: no acknowledgement for 1.0 s, 2 events are not acknowledged");
    done = stage_run_words(stage, words, bytes_of("data: x\n\n")); /* not even a handshake */
    stage_expect_code(&done, TIMEOUT);
    expect_in(done.err, "does not answer");
    process_signal(daemon, SIGCONT);
}

/* What was acknowledged is in the summary as stored, and gone: the summary says that, too. */
static void events_that_an_older_copy_lacks_are_counted(struct stage *stage)
{
    const char *copy = stage_format(stage, "cp -a %1$s %1$s.copy", stage->data_dir);
    const char *back = stage_format(stage, "rm -r %1$s && cp -a %1$s.copy %1$s", stage->data_dir);
    struct process *daemon = stage_start(stage, NULL);
    struct feed feed = begin_feed(stage, "s");
    feed_text(&feed, "id: 1\ndata: 1\n\n");
    expect_acks(&feed, 1);
    assert_int_equal(stage_stop(daemon), 0);
    run_shell(stage, copy);
    daemon = stage_start(stage, NULL);
    feed_text(&feed, "id: 2\ndata: 2\n\nid: 3\ndata: 3\n\n");
    expect_acks(&feed, 3);
    assert_int_equal(stage_stop(daemon), 0);
    run_shell(stage, back);
    daemon = stage_start(stage, NULL);
    feed_text(&feed, "id: 4\ndata: 4\n\n");
    expect_acks(&feed, 4);
    struct outcome done = end_feed(stage, &feed);
    stage_expect_code(&done, FAILURE);
    assert_int_equal(event_json_number(done.out, "stored"), 4);
    assert_int_equal(event_json_number(done.out, "lost"), 2);
    expect_in(done.err, "2 acknowledged events are no longer in its database");
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- kill -9 of the recorder ------------------------------------------------------------------- */

static void a_killed_recorder_leaves_a_true_log(struct stage *stage)
{
    enum { ROUNDS = 10, EVENTS = 20000 };
    stage_start(stage, NULL);
    char *text = stage_keep(stage, malloc(EVENTS * 32));
    char *at = text;
    for (int i = 1; i <= EVENTS; i++)
        at += sprintf(at, "data: event %d\n\n", i);
    const char *input = stage_write_file(stage, "input", bytes_of(text));
    for (int round = 0; round < ROUNDS; round++) {
        const char *session = stage_format(stage, "s%d", round);
        const char *acks = stage_path(stage, session);
        struct process *recorder =
            stage_begin_run(stage, "record", session, input, "--ack-log", acks);
        struct wanted_lines wanted = {acks, 1};
        assert_true(until_true(until_in(STAGE_WAIT_MS), has_lines, &wanted));
        until_passed_us((unsigned)round * 700);
        process_kill(recorder);
        expect_acks_true(stage, acks, session, 1);
    }
}

/* -- what is printed --------------------------------------------------------------------------- */

/* Takes out what a replay does not have: other entries than events and markers, the epoch, which
 * means nothing in another database, and the kind. */
static char *as_replayed(char *lines)
{
    char *to = lines;
    for (char *line = lines, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        *end = '\0';
        char *seq = strstr(line, ",\"seq\":");
        char *epoch = strstr(line, ",\"epoch\":");
        char *kind = strstr(line, ",\"kind\":\"");
        char *id = strstr(line, ",\"id\":");
        assert_true(epoch && seq && kind);
        if (id) {
            to = mempcpy(to, line, (size_t)(epoch - line));
            to = mempcpy(to, seq, (size_t)(kind - seq));
            to = mempcpy(to, id, (size_t)(end - id));
            *to++ = '\n';
        }
    }
    *to = '\0';
    return lines;
}

static void dump_and_replay_agree(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = record_text(stage, "s",
                                      "id: \xFF\nevent: e\nretry: 0\ndata: \xFE\ndata\n\n"
                                      "data: \xC3\xA4 \"q\" \\ \x01 \x7F\n\n");
    stage_expect_code(&done, OK);
    done = record_text(stage, "t", "data: other\n\n");
    stage_expect_code(&done, OK);
    struct outcome replay = stage_run(stage, "replay", "s");
    stage_expect_code(&replay, OK);
    assert_int_equal(lines_in(replay.out), 2);
    expect_in(replay.out,
              "\"id\":\"/w==\",\"type\":\"e\",\"data\":\"/go=\",\"retry\":0,\"time\":\"");
    expect_in(replay.out, "Z\",\"encoding\":\"base64\",\"id_encoding\":\"base64\"}\n");
    expect_in(replay.out, "\"data\":\"\xC3\xA4 \\\"q\\\" \\\\ \\u0001 \x7F\",\"retry\":null,");
    struct outcome dump = stage_run(stage, "dump", "--session", "s");
    expect_in(dump.out, ",\"epoch\":1,\"seq\":2,\"kind\":\"event\",");
    assert_string_equal(as_replayed((char *)(uintptr_t)dump.out), replay.out);
    dump = stage_run(stage, "dump", "--all");
    assert_true(begins_with(as_replayed((char *)(uintptr_t)dump.out), replay.out));
    assert_int_equal(lines_in(dump.out), 3);

    replay = stage_run(stage, "replay", "s", "--format", "sse");
    dump = stage_run(stage, "dump", "--session", "s", "--format", "sse");
    assert_string_equal(dump.out, replay.out);
    dump = stage_run(stage, "dump", "--format", "sse");
    assert_true(begins_with(dump.out, ": session s\nid: "));
    expect_in(dump.out, "\n\n: session t\nid: ");
}

static void last_is_for_scripts(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = record_text(stage, "s", "id: a b\ndata: 1\n\n");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "last", "s");
    stage_expect_code(&done, OK);
    assert_string_equal(done.out, "a b\n");
    done = stage_run(stage, "last", "s", "--json");
    stage_expect_code(&done, OK);
    assert_true(begins_with(done.out, "{\"session\":\"s\",\"life\":\""));
    const char *rest = strstr(done.out, "\",\"seq\"");
    assert_non_null(rest);
    assert_true(begins_with(rest, "\",\"seq\":1,\"cursor\":\"spn:"));
    rest = strstr(rest, ":1\",\"position\"");
    assert_non_null(rest);
    assert_true(begins_with(rest, ":1\",\"position\":2,\"last_event_id\":\"a b\","
                                  "\"time\":\"20"));
    struct outcome cursor = stage_run(stage, "last", "s", "--cursor");
    stage_expect_code(&cursor, OK);
    assert_int_equal(strlen(cursor.out), strlen("spn:") + 32 + strlen(":1\n"));
    expect_in(done.out,
              stage_format(stage, "\"%.*s\"", (int)strcspn(cursor.out, "\n"), cursor.out));
}

/* The cursor of the newest event, once as it is and once with the seq before it. */
static void cursor_is_a_place_to_begin(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = record_text(stage, "s", "id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "last", "s", "--cursor");
    stage_expect_code(&done, OK);
    const char *life = stage_format(stage, "%.*s", (int)strlen("spn:") + 32, done.out);
    const char *newest = stage_format(stage, "%s:2", life);
    const char *before = stage_format(stage, "%s:1", life);
    done = stage_run(stage, "replay", "s", "--after", newest, "--format", "sse");
    stage_expect_code(&done, OK);
    assert_string_equal(done.out, "");
    static const char *const verbs[] = {"replay", "tail"};
    for (size_t i = 0; i < COUNT(verbs); i++) {
        done = stage_run(stage, verbs[i], "s", "--after", before, "--format", "sse",
                         i == 0 ? NULL : "--exit-when-caught-up");
        stage_expect_code(&done, OK);
        assert_true(begins_with(done.out, "id: 2\n"));
    }
    done = stage_run(stage, "delete", "s", "--yes");
    stage_expect_code(&done, OK);
    done = record_text(stage, "s", "id: 1\ndata: a\n\n");
    stage_expect_code(&done, OK);
    done = stage_run(stage, "replay", "s", "--after", before);
    stage_expect_code(&done, NOT_FOUND);
    expect_in(done.err, spn_err_text(SPN_E_OTHER_LIFE));
}

/* Some hundred sessions, so that lists take more than one page; their index written, and not. */
static void sessions_are_the_same_offline(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct outcome done = stage_run(stage, "bench", "publish", "--running", "--keep", "--count",
                                    "2000", "--sessions", "600", "--size", "10", "--json");
    stage_expect_code(&done, OK);
    assert_int_equal(event_json_number(done.out, "stored"), 2000);
    for (int round = 0; round < 2; round++) {
        static const char *const prefixes[] = {"", "bench-", "t", "m"};
        for (size_t i = 0; i < COUNT(prefixes); i++) {
            struct outcome live = stage_run(stage, "sessions", "--json", "--prefix", prefixes[i]);
            struct outcome offline = stage_run(stage, "sessions", "--json", "--prefix", prefixes[i],
                                               "--data-dir", stage->data_dir);
            stage_expect_code(&live, OK);
            stage_expect_code(&offline, OK);
            assert_string_equal(offline.out, live.out);
            size_t expected = i < 2 ? 600u : i == 2 ? (size_t)round : 0u;
            assert_int_equal(lines_in(live.out), expected + (i == 0 ? (size_t)round : 0u));
        }
        assert_int_equal(stage_stop(daemon), 0); /* writes the index */
        daemon = stage_start(stage, NULL);
        done = record_text(stage, "t", "data: 1\n\n");
        stage_expect_code(&done, OK);
    }
    struct outcome table = stage_run(stage, "sessions", "--prefix", "t");
    assert_int_equal(lines_in(table.out), 2);
    expect_in(table.out, "EVENTS");
    expect_in(table.out, "  live  ");
}

static void expect_listed_offline(struct stage *stage, const char *wanted)
{
    struct outcome offline = stage_run(stage, "sessions", "--json", "--data-dir", stage->data_dir);
    stage_expect_code(&offline, OK);
    assert_string_equal(offline.out, wanted);
}

/* Each takes and gives something else of a session. */
static const char *const lives[] = {
    "\"$1\" open attributes --ttl 3600 --idle-close 7.5 --content-type text/x --note n",
    "\"$1\" open fewer --ttl 60 --content-type text/y; \"$1\" open fewer --ttl 90",
    "\"$1\" publish closed 1; \"$1\" close closed --reason done",
    "\"$1\" publish silent 1; \"$1\" close silent",
    "\"$1\" publish last 1 --close --reason 'an error'",
    "\"$1\" publish kept 1; \"$1\" close kept --reason b; \"$1\" open kept --content-type text/z",
    "\"$1\" open again --ttl 9; \"$1\" delete again --yes; \"$1\" publish again 2",
    "printf 'data: 1\\n\\nretry: 5\\n\\n' | \"$1\" record markers",
    "\"$1\" open idle --idle-close 1",
};

static bool is_closed_as_idle(void *stage)
{
    struct outcome list = stage_run((struct stage *)stage, "sessions", "--json");
    return strstr(list.out, "\"reason\":\"idle\"") != NULL;
}

/* Attributes, reasons and the rest: with a sidecar and without, from the log after a kill, from the
 * rows after a stop, and from both. */
static void what_a_session_has_is_the_same_offline(struct stage *stage)
{
    struct stage_daemon options = {.more = {"--row-interval", "3600000"}};
    struct process *daemon = stage_start(stage, &options);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT(lives); i++) {
            struct outcome done = run_shell(stage, lives[i]);
            assert_true(done.code == OK || round > 0);
        }
        assert_true(until_true(until_in(STAGE_WAIT_MS), is_closed_as_idle, stage));
        struct outcome live = stage_run(stage, "sessions", "--json");
        stage_expect_code(&live, OK);
        assert_int_equal(lines_in(live.out), COUNT(lives));
        expect_in(live.out, "\"ttl_ms\":3600000,\"idle_close_ms\":7500");
        expect_in(live.out, "\"reason\":\"an error\"");
        expect_in(live.out, "\"content_type\":\"text/z\"");
        expect_listed_offline(stage, live.out);
        process_kill(daemon);
        expect_listed_offline(stage, live.out);
        daemon = stage_start(stage, &options);
        assert_int_equal(stage_stop(daemon), 0);
        expect_listed_offline(stage, live.out);
        daemon = stage_start(stage, &options);
    }
}

/* Names of sessions to record, and what pages of their list hold: the same from the sidecar and
 * from its database. */
static const struct {
    const char *words[8];
    const char *names; /* a space behind each */
} pages[] = {
    {{NULL}, "a b b/1 b/2 b/3 c "},
    {{"--limit", "2"}, "a b "},
    {{"--limit", "2", "--after", "b"}, "b/1 b/2 "},
    {{"--limit", "2", "--after", "b/3"}, "c "},
    {{"--limit", "6"}, "a b b/1 b/2 b/3 c "},
    {{"--limit", "18446744073709551615"}, "a b b/1 b/2 b/3 c "},
    {{"--after", "b/1"}, "b/2 b/3 c "},
    {{"--after", "b/1x"}, "b/2 b/3 c "}, /* no session */
    {{"--after", "c"}, ""},
    {{"--after", ""}, "a b b/1 b/2 b/3 c "},
    {{"--prefix", "b/", "--limit", "1"}, "b/1 "},
    {{"--prefix", "b/", "--limit", "5", "--after", "b/1"}, "b/2 b/3 "},
    {{"--prefix", "b/", "--after", "a"}, "b/1 b/2 b/3 "},
    {{"--prefix", "b", "--after", "b/3"}, ""},
};

static const char *names_of(struct stage *stage, const struct outcome *list)
{
    char *names = NULL;
    size_t size;
    FILE *file = open_memstream(&names, &size);
    assert_non_null(file);
    for (const char *line = list->out; *line; line = strchr(line, '\n') + 1) {
        char *object = stage_keep(stage, strndup(line, strcspn(line, "\n")));
        char *name = stage_keep(stage, event_json_string(object, "session"));
        fprintf(file, "%s ", name);
    }
    assert_int_equal(fclose(file), 0);
    return stage_keep(stage, names);
}

static void sessions_come_in_pages(struct stage *stage)
{
    static const char *const sessions[] = {"b/2", "a", "c", "b", "b/3", "b/1"};
    stage_start(stage, NULL);
    for (size_t i = 0; i < COUNT(sessions); i++) {
        struct outcome done = record_text(stage, sessions[i], "data: 1\n\n");
        stage_expect_code(&done, OK);
    }
    for (size_t i = 0; i < COUNT(pages); i++) {
        const char *words[16] = {"sessions", "--json"};
        size_t count = 2;
        for (size_t j = 0; pages[i].words[j]; j++)
            words[count++] = pages[i].words[j];
        for (int offline = 0; offline < 2; offline++) {
            struct outcome list = stage_run_words(stage, words, bytes_of(""));
            stage_expect_code(&list, OK);
            if (strcmp(names_of(stage, &list), pages[i].names) != 0)
                fail_msg("row %zu, offline %d: %s", i, offline, list.out);
            words[count] = "--data-dir";
            words[count + 1] = stage->data_dir;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(bad_input_is_named),
        STAGE_TEST(help_says_it),
        STAGE_TEST(what_is_not_there_is_not_found),
        STAGE_TEST(output_that_cannot_be_written_is_told),
        STAGE_TEST(a_closed_pipe_ends_it_quietly),
        STAGE_TEST(recording_twice_finds_duplicates),
        STAGE_TEST(an_upstream_that_numbers_anew_is_advised),
        STAGE_TEST(last_event_id_is_the_sessions),
        STAGE_TEST(an_id_is_one_events),
        STAGE_TEST(input_without_events_is_no_error),
        STAGE_TEST(an_unfinished_event_is_told),
        STAGE_TEST(what_is_refused_is_told),
        STAGE_TEST(an_event_is_sent_when_it_is_complete),
        STAGE_TEST(a_restart_is_ridden_out),
        STAGE_TEST(a_full_window_holds_the_input),
        STAGE_TEST(an_interrupt_ends_the_input),
        STAGE_TEST(a_second_interrupt_ends_the_wait),
        STAGE_TEST(a_silent_sidecar_times_out),
        STAGE_TEST(events_that_an_older_copy_lacks_are_counted),
        STAGE_TEST(a_killed_recorder_leaves_a_true_log),
        STAGE_TEST(dump_and_replay_agree),
        STAGE_TEST(last_is_for_scripts),
        STAGE_TEST(cursor_is_a_place_to_begin),
        STAGE_TEST(sessions_are_the_same_offline),
        STAGE_TEST(what_a_session_has_is_the_same_offline),
        STAGE_TEST(sessions_come_in_pages),
    };
    signal(SIGPIPE, SIG_IGN); /* a recorder that ended too early fails a test, not the program */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
