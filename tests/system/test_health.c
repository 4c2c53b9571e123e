/* SPDX-License-Identifier: Apache-2.0 */
/* test_health: what sponson health answers, and whether whoever restarts a sidecar by --live, or
 * sends it work by --ready, does so when it helps. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char client_id[] = "health's client.";

enum { OK, FAILURE, USAGE, NOT_FOUND, TIMEOUT, NO_SIDECAR };

enum {
    LARGE = 100000, /* bytes of data */
    FULL_AT = 4096, /* bytes a file may have then: no page of the database */
    ATTEMPTS = 5,
    OUT_OF_TIME = 124, /* of timeout(1) */
};

struct expected {
    int plain;
    int live;
    int ready;
    const char *words; /* that each of them prints */
};

static void expect_health(struct stage *stage, const struct expected *expected)
{
    const struct {
        const char *option;
        int code;
    } rows[] = {
        {"--timeout=0.5", expected->plain},
        {"--live", expected->live},
        {"--ready", expected->ready},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome done = stage_run(stage, "health", rows[i].option);
        stage_expect_code(&done, rows[i].code);
        const char *text = done.output.size > 0 ? done.out : done.err;
        if (!strstr(text, expected->words))
            fail_msg("health %s does not say \"%s\": %s", rows[i].option, expected->words, text);
    }
}

static void one_that_is_well_is_live_and_ready(struct stage *stage)
{
    stage_start(stage, NULL);
    expect_health(stage, &(struct expected){OK, OK, OK, "ok\n  version "});
    struct outcome done = stage_run(stage, "health", "--ready", "--json");
    stage_expect_code(&done, OK);
    assert_non_null(strstr(done.out, "\"status\":\"ok\""));
}

/* A restart would make no room; nobody should publish to it. */
static void one_with_a_full_disk_is_live_but_not_ready(struct stage *stage)
{
    static const struct stage_daemon options = {.prepare = robust_bear_full_disk};
    struct raw raw;
    struct process *daemon = stage_start(stage, &options);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, client_id).token;
    robust_limit_files(daemon, FULL_AT);
    robust_send_large(&raw, token, 1, "large", LARGE);
    robust_wait_counter(&raw, "sponson_degraded", 1);
    expect_health(stage,
                  &(struct expected){FAILURE, OK, FAILURE, "degraded: no room left on the disk\n"});
    robust_limit_files(daemon, RLIM_INFINITY);
    raw_expect_acks(&raw, token, 1);
    robust_wait_gauge(&raw, "sponson_degraded", 0);
    expect_health(stage, &(struct expected){OK, OK, OK, "ok\n"});
    raw_close(&raw);
}

static void one_that_hangs_is_neither(struct stage *stage)
{
    process_stop(stage_start(stage, NULL));
    expect_health(stage, &(struct expected){TIMEOUT, TIMEOUT, TIMEOUT,
                                            "a process listens there, but does not answer"});
}

/* Kubernetes kills a probe after a second and takes that for an error of its own. On a busy machine
 * the program alone may take that long, so one attempt of some is enough. */
static void the_answer_comes_within_a_second(struct stage *stage)
{
    static const char *const probes[] = {"--live", "--ready"};
    process_stop(stage_start(stage, NULL));
    for (size_t i = 0; i < COUNT(probes); i++) {
        const char *const argv[] = {"timeout", "1", stage_sponson(), "health", probes[i], NULL};
        int code = OUT_OF_TIME;
        for (unsigned attempt = 0; code == OUT_OF_TIME && attempt < ATTEMPTS; attempt++) {
            struct process *probe = stage_process(stage, &(struct process_options){.argv = argv});
            code = stage_end(stage, probe, until_in(STAGE_WAIT_MS)).code;
        }
        assert_int_equal(code, TIMEOUT);
    }
}

static void none_is_neither(struct stage *stage)
{
    expect_health(
        stage, &(struct expected){NO_SIDECAR, NO_SIDECAR, NO_SIDECAR, "no sidecar is answering"});
}

/* A sidecar that is degraded ends the waiting for one that lives, and not for one that is ready. */
static void waiting_ends_with_what_was_asked(struct stage *stage)
{
    struct process *live = stage_begin_run(stage, "health", "--live", "--wait", "30");
    struct process *ready = stage_begin_run(stage, "health", "--ready", "--wait", "30");
    struct process *daemon = stage_start(stage, NULL);
    struct outcome done = stage_end(stage, live, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, OK);
    done = stage_end(stage, ready, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, OK);
    process_stop(daemon);
    done = stage_run(stage, "health", "--live", "--wait", "0.3");
    stage_expect_code(&done, TIMEOUT);
}

static void they_exclude_each_other(struct stage *stage)
{
    struct outcome done = stage_run(stage, "health", "--live", "--ready");
    stage_expect_code(&done, USAGE);
    assert_non_null(strstr(done.err, "--live: not with --ready"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(one_that_is_well_is_live_and_ready),
        STAGE_TEST(one_with_a_full_disk_is_live_but_not_ready),
        STAGE_TEST(one_that_hangs_is_neither),
        STAGE_TEST(the_answer_comes_within_a_second),
        STAGE_TEST(none_is_neither),
        STAGE_TEST(waiting_ends_with_what_was_asked),
        STAGE_TEST(they_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
