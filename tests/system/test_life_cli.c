/* SPDX-License-Identifier: Apache-2.0 */
/* test_life_cli: closing, deleting and looking at sessions from the shell: exit codes, what is
 * said, what is left, also after a kill. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OK, FAILURE, USAGE, NOT_FOUND };

static const char two[] = "id: 1\ndata: a\n\nid: 2\ndata: b\n\n";

static struct spn_bytes bytes_of(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

static struct outcome record(struct stage *stage, const char *session, const char *text)
{
    const char *words[] = {"record", session, NULL};
    return stage_run_words(stage, words, bytes_of(text));
}

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* Runs a verb and expects its exit code and all that it says. */
#define expect_run(stage, code, out, err, ...)                                                     \
    expect_outcome(stage, (const char *const[]){__VA_ARGS__, NULL}, code, out, err)

static void expect_outcome(struct stage *stage, const char *const *words, int code, const char *out,
                           const char *err)
{
    struct outcome done = stage_run_words(stage, words, bytes_of(""));
    stage_expect_code(&done, code);
    assert_string_equal(done.out, out);
    assert_string_equal(done.err, err);
}

static void begin(struct stage *stage)
{
    stage_start(stage, NULL);
    struct outcome done = record(stage, "s", two);
    stage_expect_code(&done, OK);
}

static const char *info(struct stage *stage, const char *session)
{
    struct outcome done = stage_run(stage, "info", session, "--json");
    stage_expect_code(&done, OK);
    return done.out;
}

static void expect_state(struct stage *stage, const char *session, const char *state)
{
    char *found = stage_keep(stage, event_json_string(info(stage, session), "state"));
    assert_string_equal(found, state);
}

/* -- info -------------------------------------------------------------------------------------- */

static void info_tells_what_is_known(struct stage *stage)
{
    static const char *const lines[] = {
        "session          s\n",  "state            live\n",          "events           2\n",
        "bytes            2\n",  "retained         2, from seq 1\n", "conflicts        0\n",
        "last event id    '2'\n"};
    begin(stage);
    struct outcome done = stage_run(stage, "info", "s");
    stage_expect_code(&done, OK);
    for (size_t i = 0; i < COUNT(lines); i++)
        expect_in(done.out, lines[i]);
    const char *json = info(stage, "s");
    assert_int_equal(event_json_number(json, "seq"), 2);
    assert_int_equal(event_json_number(json, "first_seq"), 1);
    assert_int_equal(event_json_number(json, "retained"), 2);
    /* What the list says of it, and two keys more. */
    done = stage_run(stage, "sessions", "--json");
    size_t shared = strcspn(done.out, "}");
    assert_memory_equal(json, done.out, shared);
}

/* -- nothing to end ---------------------------------------------------------------------------- */

static const struct {
    const char *words[5];
    const char *says;
} not_found[] = {
    {{"info", "nobody"}, "no such session"},
    {{"close", "nobody"}, "no such session"},
    {{"delete", "nobody", "--yes"}, "no such session"},
    {{"close", "nobody", "--life", "99999999999999999999999999999999"}, "no such session"},
    {{"close", "s", "--life", "99999999999999999999999999999999"},
     "the session has another life now"},
    {{"delete", "s", "--yes", "--life=99999999999999999999999999999999"},
     "the session has another life now"},
};

static void what_is_not_there_cannot_end(struct stage *stage)
{
    begin(stage);
    for (size_t i = 0; i < COUNT(not_found); i++) {
        const char *const *words = not_found[i].words;
        const char *err = stage_format(stage, "sponson %s: session '%s': %s\n", words[0], words[1],
                                       not_found[i].says);
        expect_outcome(stage, words, NOT_FOUND, "", err);
    }
    expect_state(stage, "s", "live");
    struct outcome done = stage_run(stage, "sessions", "--json");
    assert_null(strstr(done.out, "nobody")); /* nor did asking open one */
}

/* -- close ------------------------------------------------------------------------------------- */

static void expect_closed(struct stage *stage)
{
    expect_state(stage, "s", "closed");
    struct outcome done = record(stage, "s", "id: 3\ndata: c\n\n");
    stage_expect_code(&done, FAILURE);
    expect_in(done.err, "not stored: the session is closed");
    assert_int_equal(event_json_number(done.out, "refused"), 1);
    done = stage_run(stage, "replay", "s", "--format", "sse");
    stage_expect_code(&done, OK);
    assert_string_equal(done.out, two);
    assert_string_equal(done.err, "");
    expect_run(stage, OK, "2\n", "", "last", "s");
    struct outcome live = stage_run(stage, "sessions", "--json");
    struct outcome offline = stage_run(stage, "sessions", "--json", "--data-dir", stage->data_dir);
    expect_in(live.out, "\"state\":\"closed\"");
    assert_string_equal(offline.out, live.out);
}

static void closed_session_stays_and_takes_no_more(struct stage *stage)
{
    begin(stage);
    struct outcome done = record(stage, "other", two);
    stage_expect_code(&done, OK);
    expect_run(stage, OK, "", "", "close", "s");
    expect_closed(stage);
    expect_run(stage, OK, "", "sponson close: session 's': was already closed\n", "close", "s");
    expect_state(stage, "other", "live");
    done = stage_run(stage, "sessions");
    expect_in(done.out, "  closed  ");
    expect_in(done.out, "  live    ");
}

static void close_of_one_life(struct stage *stage)
{
    begin(stage);
    const char *life = strstr(info(stage, "s"), "\"life\":\"");
    assert_non_null(life);
    const char *text = stage_format(stage, "%.32s", life + strlen("\"life\":\""));
    expect_run(stage, OK, "", "", "close", "s", "--life", text);
    expect_state(stage, "s", "closed");
}

/* -- delete ------------------------------------------------------------------------------------ */

static void expect_gone(struct stage *stage)
{
    static const char *const verbs[] = {"info", "last", "replay", "close"};
    for (size_t i = 0; i < COUNT(verbs); i++)
        expect_run(stage, NOT_FOUND, "",
                   stage_format(stage, "sponson %s: session 's': no such session\n", verbs[i]),
                   verbs[i], "s");
    expect_run(stage, OK, "", "", "sessions", "--json");
    expect_run(stage, OK, "", "", "sessions", "--json", "--data-dir", stage->data_dir);
}

/* The same ids again are new ones, and a life has seqs of its own. */
static void expect_new_life(struct stage *stage, uint64_t epoch_before)
{
    struct outcome done = record(stage, "s", two);
    stage_expect_code(&done, OK);
    assert_int_equal(event_json_number(done.out, "stored"), 2);
    const char *json = info(stage, "s");
    assert_true(event_json_number(json, "epoch") > epoch_before);
    assert_int_equal(event_json_number(json, "seq"), 2);
    expect_state(stage, "s", "live");
    done = stage_run(stage, "replay", "s", "--format", "sse");
    assert_string_equal(done.out, two);
}

static void deleted_session_begins_anew(struct stage *stage)
{
    begin(stage);
    for (int round = 0; round < 2; round++) {
        uint64_t epoch = event_json_number(info(stage, "s"), "epoch");
        if (round == 1)
            expect_run(stage, OK, "", "", "close", "s");
        expect_run(stage, OK, "", "", "delete", "s", "--yes");
        expect_gone(stage);
        expect_new_life(stage, epoch);
    }
}

/* A terminal that says this, and the verb that asks on it. */
static struct outcome ask(struct stage *stage, const char *answer)
{
    static const char *const words[] = {"delete", "s", NULL};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    assert_int_equal(grantpt(terminal), 0);
    assert_int_equal(unlockpt(terminal), 0);
    int input = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(input >= 0);
    assert_int_equal(write(terminal, answer, strlen(answer)), strlen(answer));
    struct process *process = stage_begin_words(stage, words, input);
    struct outcome done = stage_end(stage, process, until_in(STAGE_WAIT_MS));
    close(input);
    close(terminal);
    return done;
}

static const struct {
    const char *types; /* ^D: the end of the input */
    bool deletes;
} answers[] = {
    {"n\n", false},
    {"\n", false},
    {"\x04", false},
    {"yep\n", false},
    {"x y\n", false},
    {"y\x04\x04", false},
    {"yesterday, but\n", false},
    {"y\n", true},
    {"yes\n", true},
};

static void delete_asks_on_a_terminal(struct stage *stage)
{
    begin(stage);
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct outcome done = ask(stage, answers[i].types);
        expect_in(done.err, "delete 's' with 2 events? [y/N] ");
        stage_expect_code(&done, answers[i].deletes ? OK : FAILURE);
        if (!answers[i].deletes) {
            expect_in(done.err, "sponson delete: session 's': not deleted\n");
            expect_state(stage, "s", "live");
            continue;
        }
        expect_gone(stage);
        done = record(stage, "s", two);
        stage_expect_code(&done, OK);
    }
}

/* -- tails ------------------------------------------------------------------------------------- */

static bool one_subscribed(void *argument)
{
    return event_stat(argument, "sponson_subscriptions") == 1;
}

static struct process *begin_tail(struct stage *stage)
{
    struct process *tail = stage_begin_run(stage, "tail", "s", "--earliest", "--format", "sse");
    assert_true(until_true(until_in(STAGE_WAIT_MS), one_subscribed, stage));
    return tail;
}

static void expect_tail(struct stage *stage, struct process *tail, int code, const char *says)
{
    struct outcome done = stage_end(stage, tail, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, code);
    assert_string_equal(done.out, two);
    assert_string_equal(done.err, stage_format(stage, "sponson tail: session 's': %s\n", says));
}

static void tail_ends_when_its_session_does(struct stage *stage)
{
    begin(stage);
    struct process *tail = begin_tail(stage);
    expect_run(stage, OK, "", "", "close", "s");
    expect_tail(stage, tail, OK, "the session is closed");
    /* One that comes later gets all of it, and the same end. */
    tail = stage_begin_run(stage, "tail", "s", "--earliest", "--format", "sse");
    expect_tail(stage, tail, OK, "the session is closed");
    expect_run(stage, OK, "", "", "tail", "s", "--after", "2", "--exit-when-caught-up");
    expect_run(stage, OK, "", "", "delete", "s", "--yes");

    struct outcome done = record(stage, "s", two);
    stage_expect_code(&done, OK);
    tail = begin_tail(stage);
    struct outcome deleted = stage_run(stage, "delete", "s", "--yes");
    stage_expect_code(&deleted, OK);
    expect_tail(stage, tail, NOT_FOUND, "the session was deleted or has expired");
}

/* -- attributes -------------------------------------------------------------------------------- */

static const struct {
    const char *time;
    uint64_t ms;
} spans[] = {
    {"5m", 300000}, {"90", 90000},     {"0.5", 500},
    {"500ms", 500}, {"12h", 43200000}, {"1000d", UINT64_C(86400000000)},
};

static void open_takes_the_times_of_the_daemon(struct stage *stage)
{
    begin(stage);
    for (size_t i = 0; i < COUNT(spans); i++) {
        expect_run(stage, OK, "", "", "open", "s", "--ttl", spans[i].time, "--idle-close",
                   spans[i].time);
        assert_int_equal(event_json_number(info(stage, "s"), "ttl_ms"), spans[i].ms);
        assert_int_equal(event_json_number(info(stage, "s"), "idle_close_ms"), spans[i].ms);
    }
    struct outcome done = stage_run(stage, "open", "s", "--ttl", "5x");
    stage_expect_code(&done, USAGE);
    expect_in(done.err, "not a time above 0");
    done = stage_run(stage, "open", "s", "--ttl", "200000d");
    stage_expect_code(&done, USAGE);
    expect_in(done.err, "too large, some 290 years at most");
}

static void open_of_a_closed_session_says_so(struct stage *stage)
{
    begin(stage);
    expect_run(stage, OK, "", "", "close", "s");
    expect_run(stage, OK, "", "sponson open: session 's': is closed, and stays closed\n", "open",
               "s", "--ttl", "1h");
}

/* What the help says of --if-seq. */
static void a_condition_that_does_not_hold(struct stage *stage)
{
    begin(stage);
    struct outcome done = stage_run(stage, "publish", "nobody", "x", "--if-seq", "5");
    stage_expect_code(&done, NOT_FOUND);
    done = stage_run(stage, "publish", "s", "x", "--if-seq", "5");
    stage_expect_code(&done, FAILURE);
    done = stage_run(stage, "publish", "s", "x", "--if-new");
    stage_expect_code(&done, FAILURE);
}

/* -- kills ------------------------------------------------------------------------------------- */

/* What was acknowledged is on disk: killed, from the log; stopped, from the index. */
static void ends_survive_a_kill_and_a_stop(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    struct outcome done = record(stage, "s", two);
    stage_expect_code(&done, OK);
    expect_run(stage, OK, "", "", "close", "s");
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            assert_int_equal(stage_stop(daemon), 0);
        else
            process_kill(daemon);
        daemon = stage_start(stage, NULL);
        expect_closed(stage);
    }
    uint64_t epoch = event_json_number(info(stage, "s"), "epoch");
    expect_run(stage, OK, "", "", "delete", "s", "--yes");
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            assert_int_equal(stage_stop(daemon), 0);
        else
            process_kill(daemon);
        daemon = stage_start(stage, NULL);
        expect_gone(stage);
    }
    expect_new_life(stage, epoch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(info_tells_what_is_known),
        STAGE_TEST(what_is_not_there_cannot_end),
        STAGE_TEST(closed_session_stays_and_takes_no_more),
        STAGE_TEST(close_of_one_life),
        STAGE_TEST(deleted_session_begins_anew),
        STAGE_TEST(delete_asks_on_a_terminal),
        STAGE_TEST(tail_ends_when_its_session_does),
        STAGE_TEST(open_takes_the_times_of_the_daemon),
        STAGE_TEST(open_of_a_closed_session_says_so),
        STAGE_TEST(a_condition_that_does_not_hold),
        STAGE_TEST(ends_survive_a_kill_and_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
