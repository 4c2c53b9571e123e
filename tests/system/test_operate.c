/* SPDX-License-Identifier: Apache-2.0 */
/* test_operate: what an operator meets: what the log says of trouble and of the end, and what the
 * command line says of a sidecar that it cannot get through to. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char client_id[] = "operator client.";

enum { OK, FAILURE, USAGE, NOT_FOUND, TIMEOUT, NO_SIDECAR };

enum {
    LARGE = 100000, /* bytes of data */
    FULL_AT =
        4096, /* bytes a file may have then: room for the log, and for no page of the database */
};

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* -- the log ----------------------------------------------------------------------------------- */

struct log_look {
    struct stage *stage;
    const char *words;
};

static bool look_at_log(void *argument)
{
    const struct log_look *look = argument;
    return strstr(stage_log(look->stage), look->words) != NULL;
}

static void wait_log(struct stage *stage, const char *words)
{
    struct log_look look = {stage, words};
    if (!until_true(until_in(STAGE_WAIT_MS), look_at_log, &look))
        fail_msg("the log does not say: %s", words);
}

static size_t times_in_log(struct stage *stage, const char *words)
{
    size_t count = 0;
    for (const char *at = stage_log(stage); (at = strstr(at, words)); at += strlen(words))
        count++;
    return count;
}

/* A daemon whose disk is full, with an event that waits for room. */
static struct process *start_full(struct stage *stage, struct raw *raw, uint64_t *ret_token)
{
    static const struct stage_daemon options = {.prepare = robust_bear_full_disk};
    struct process *daemon = stage_start(stage, &options);
    raw_open(raw);
    *ret_token = raw_take_producer(raw, client_id).token;
    robust_limit_files(daemon, FULL_AT);
    robust_send_large(raw, *ret_token, 1, "large", LARGE);
    wait_log(stage, "event=degraded");
    return daemon;
}

/* One line when it begins and one when it ends, however often the commit was tried. */
static void a_full_disk_is_logged_once(struct stage *stage)
{
    struct raw raw;
    uint64_t token;
    struct process *daemon = start_full(stage, &raw, &token);
    expect_in(stage_log(stage), "level=warning event=degraded code=SPN_E_DISK_FULL "
                                "reason=\"no room left on the disk or in the quota\" "
                                "events_waiting=1\n");
    robust_wait_counter(&raw, "sponson_commit_retries_total", 5);
    assert_null(strstr(stage_log(stage), "event=healthy"));
    robust_limit_files(daemon, RLIM_INFINITY);
    raw_expect_acks(&raw, token, 1);
    wait_log(stage, "level=info event=healthy was=SPN_E_DISK_FULL events_waiting=0\n");
    assert_int_equal(times_in_log(stage, "event=degraded"), 1);
    assert_int_equal(times_in_log(stage, "event=healthy"), 1);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* What stops it is told at once, not when the time for it is over. */
static void the_stop_is_logged_when_it_begins(struct stage *stage)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct raw raw;
    uint64_t token;
    struct process *daemon = start_full(stage, &raw, &token);
    process_signal(daemon, SIGTERM);
    wait_log(stage, "level=info event=stopping timeout_ms=5000 events_waiting=1\n");
    assert_true(process_runs(daemon));
    robust_limit_files(daemon, RLIM_INFINITY);
    assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 0);
    raw_close(&raw);
    for (size_t i = 0; i < COUNT(signals); i++) {
        daemon = stage_start(stage, NULL);
        process_signal(daemon, signals[i]);
        assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 0);
        assert_int_equal(times_in_log(stage, "event=stopping"), i + 2);
        assert_int_equal(times_in_log(stage, "event=stopped"), i + 2);
    }
}

/* -- the command line in hard times ------------------------------------------------------------ */

/* Whoever waited in vain is told why, where the sidecar knows. */
static void a_timeout_names_the_reason(struct stage *stage)
{
    static const char reason[] =
        "the sidecar is degraded: no room left on the disk or in the quota\n";
    struct raw raw;
    uint64_t token;
    start_full(stage, &raw, &token);
    const char *words[] = {"record", "s", "--timeout", "0.5", NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
    stage_expect_code(&done, TIMEOUT);
    expect_in(done.err, stage_format(stage, "sponson record: %s", reason));
    done = stage_run(stage, "close", "s", "--timeout", "0.5");
    stage_expect_code(&done, TIMEOUT);
    expect_in(done.err, stage_format(stage, "sponson close: %s", reason));
    raw_close(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_full_disk_is_logged_once),
        STAGE_TEST(the_stop_is_logged_when_it_begins),
        STAGE_TEST(a_timeout_names_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
