/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_config: the gateway's configuration file, and what SIGHUP changes while it serves. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "http_gateway.h"

enum { OK, FAILURE, USAGE };

static const char *config(struct stage *stage, const char *text)
{
    return stage_write_file(stage, "http.yaml", (struct spn_bytes){text, strlen(text)});
}

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void a_wrong_file_keeps_it_from_starting(struct stage *stage)
{
    const char *path = config(stage, "hart-beat: 5s\nlisten: [\"127.0.0.1:0\"]\nmemory: 1M\n");
    struct outcome done = http_run(stage, "--config", path);
    stage_expect_code(&done, USAGE);
    expect_in(done.err, ":1:1: hart-beat: no such option; did you mean \"heartbeat\"?\n");
    expect_in(done.err, ":3:9: memory: 1M: must be from 16777216 to 1099511627776\n");
    /* What only all options together show. */
    path = config(stage, "listen: [\"127.0.0.1:0\"]\n");
    done = http_run(stage, "--config", path, "--check-config");
    stage_expect_code(&done, USAGE);
    expect_in(done.err, "--listen 127.0.0.1:0: TCP needs --key-file");
    done = http_run(stage, "--config", path, "--insecure-loopback", "--check-config");
    stage_expect_code(&done, OK);
    assert_string_equal(done.err, "");
    done = http_run(stage, "--config", path, "--insecure-loopback", "--print-config");
    stage_expect_code(&done, OK);
    expect_in(done.out, "\ninsecure-loopback: true  # command line\n");
    expect_in(done.out, stage_format(stage, "\nlisten:  # %s:1\n  - \"127.0.0.1:0\"\n", path));
}

static void a_reload_changes_what_may_change(struct stage *stage)
{
    stage_start(stage, NULL);
    const char *path = config(stage, "heartbeat: 5s\nmemory: 64M\n");
    struct process *gateway = http_start(stage, "--config", path);
    config(stage, "heartbeat: 6s\nmemory: 32M\n");
    process_signal(gateway, SIGHUP);
    stage_wait_log(stage, "level=info event=changed option=heartbeat old=\"5s\" new=\"6s\"\n");
    stage_wait_log(stage, "event=needs_restart option=memory in_force=\"64M\" wanted=\"32M\"\n");
    stage_wait_log(stage, "changed=1 need_restart=1\n");
    config(stage, "heartbeat: 0\n");
    process_signal(gateway, SIGHUP);
    stage_wait_log(stage, ":1:12: heartbeat: 0: is too short\"");
    stage_wait_log(stage, "event=reload_failed errors=1");
    config(stage, "heartbeat: 6s\nmemory: 64M\nlog-format: json\n");
    process_signal(gateway, SIGHUP);
    stage_wait_log(stage, "event=changed option=log-format old=\"logfmt\" new=\"json\"\n");
    process_signal(gateway, SIGTERM);
    assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), 0);
    expect_in(stage_log(stage), "\"event\":\"stopped\",\"signal\":15}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_wrong_file_keeps_it_from_starting),
        STAGE_TEST(a_reload_changes_what_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
