/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_state: what --state-dir keeps: the id of the producers, through kill -9.
 *
 * An argument is the seed. The test fails if the kills hit nothing. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "http_client.h"
#include "http_gateway.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATH "/v1/sessions/s"
#define SSE "Content-Type: text/event-stream\r\n"

enum { ROUNDS = 6, POSTS = 16, EVENTS_EACH = 3, DELAY_US_MAX = 3000 };

static unsigned seed;

static struct process *start(struct stage *stage, const char *dir)
{
    return http_start(stage, "--state-dir", dir);
}

static uint64_t producers(struct stage *stage)
{
    return event_stat(stage, "sponson_producers");
}

/* -- kills ------------------------------------------------------------------------------------- */

static struct http *send_post(struct stage *stage, unsigned number)
{
    struct http *http = http_open(stage);
    const char *path = number % 2 == 0 ? PATH : PATH "?ack=accepted";
    const char *headers = stage_format(stage, SSE "Idempotency-Key: %u\r\n", number);
    http_send_request(http, "POST", path, headers, "data: a\n\ndata: b\n\ndata: c\n\n");
    return http;
}

static unsigned count_of(const struct http_answer *answer, const char *key)
{
    const char *at = strstr(answer->body.data, key);
    return at ? (unsigned)strtoul(at + strlen(key), NULL, 10) : 0;
}

/* Each event is stored, or was already: no result of the process before is taken for one of these.
 */
static bool finish_post(struct http *http)
{
    struct http_answer answer;
    bool is_answered = http_try_begin(http, until_in(STAGE_WAIT_MS), &answer);
    if (is_answered) {
        answer.body = http_rest(http);
        http_expect(&answer, 200);
        assert_int_equal(count_of(&answer, "\"stored\":") + count_of(&answer, "\"accepted\":") +
                             count_of(&answer, "\"duplicates\":"),
                         EVENTS_EACH);
        assert_null(strstr(answer.body.data, "refusals"));
    }
    http_close(http);
    return is_answered;
}

static void posts_are_repeated_after_kills(struct stage *stage)
{
    const char *dir = stage_make_dir(stage, "state");
    unsigned again = 0;
    print_message("seed %u\n", seed);
    stage_start(stage, NULL);
    struct process *gateway = start(stage, dir);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct http *posts[POSTS];
        for (unsigned i = 0; i < POSTS; i++)
            posts[i] = send_post(stage, round * POSTS + i);
        until_passed_us((unsigned)rand_r(&seed) % DELAY_US_MAX);
        process_kill(gateway);
        gateway = start(stage, dir);
        for (unsigned i = 0; i < POSTS; i++) {
            if (finish_post(posts[i]))
                continue;
            again++;
            assert_true(finish_post(send_post(stage, round * POSTS + i)));
        }
    }
    /* HEAD says what is on disk: so is all that was accepted before this one. */
    http_post(stage, PATH, NULL, "the last");
    assert_int_equal(http_seq(stage, "s"), ROUNDS * POSTS * EVENTS_EACH + 1);
    assert_true(producers(stage) <= 2); /* one of each level */
    print_message("%u kills, %u posts sent again\n", ROUNDS, again);
    assert_true(again > 0);
}

/* -- one gateway ------------------------------------------------------------------------------- */

static const char *run_second(struct stage *stage, const char *dir)
{
    struct outcome second =
        http_run(stage, "--socket", stage_path(stage, "second.sock"), "--state-dir", dir);
    stage_expect_code(&second, 1);
    return second.err;
}

static void a_second_gateway_does_not_start(struct stage *stage)
{
    const char *dir = stage_make_dir(stage, "state");
    struct process *first = start(stage, dir);
    assert_non_null(strstr(run_second(stage, dir), "another gateway uses it"));
    process_kill(first);
    struct process *next = start(stage, dir);
    process_signal(next, SIGTERM);
    assert_int_equal(process_wait(next, until_in(STAGE_WAIT_MS)), 0);
    start(stage, dir);
}

static struct spn_bytes text(const char *words)
{
    return (struct spn_bytes){words, strlen(words)};
}

/* What is in the way is named, and left as it is. */
static void a_file_that_is_not_ours_is_left_alone(struct stage *stage)
{
    static const char *const texts[] = {"0123", "0123456789abcdef0123456789abcdeX\n",
                                        "0123456789abcdef0123456789abcdef\n\n"};
    const char *dir = stage_make_dir(stage, "state");
    const char *file = stage_format(stage, "%s/producer", dir);
    for (size_t i = 0; i < COUNT(texts); i++) {
        stage_write_file(stage, "state/producer", text(texts[i]));
        assert_non_null(strstr(run_second(stage, dir), "not the id of a producer"));
        assert_string_equal(stage_read_file(stage, file).data, texts[i]);
    }
    assert_int_equal(unlink(file), 0);
    assert_int_equal(symlink(stage_write_file(stage, "other", text("")), file), 0);
    assert_non_null(strstr(run_second(stage, dir), "state-dir"));
    assert_int_equal(stage_read_file(stage, stage_path(stage, "other")).size, 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(chmod(dir, 0777), 0);
    assert_non_null(strstr(run_second(stage, dir), "everybody may write to it"));
    assert_non_null(strstr(run_second(stage, "/nowhere"), "No such file"));
}

/* -- an id that the daemon does not know any more ---------------------------------------------- */

/* The numbers begin again, but not the ids of events that were posted without one. */
static void a_forgotten_producer_repeats_no_id(struct stage *stage)
{
    static const struct stage_daemon forgetful = {.more = {"--producer-ttl", "300ms"}};
    const char *dir = stage_make_dir(stage, "state");
    struct process *daemon = stage_start(stage, &forgetful);
    struct process *gateway = start(stage, dir);
    http_post(stage, PATH, SSE, "data: a\n\ndata: b\n\n");
    assert_int_equal(producers(stage), 1);
    process_kill(gateway);
    event_wait_gauge(stage, "sponson_producers", 0);
    gateway = start(stage, dir);
    struct http_answer answer = http_post(stage, PATH, SSE, "data: c\n\ndata: d\n\n");
    http_expect_words(&answer, "\"stored\":2,");
    assert_int_equal(http_seq(stage, "s"), 4);
    assert_true(process_runs(daemon) && process_runs(gateway));
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : (unsigned)time(NULL);
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_second_gateway_does_not_start),
        STAGE_TEST(a_file_that_is_not_ours_is_left_alone),
        STAGE_TEST(a_forgotten_producer_repeats_no_id),
        STAGE_TEST(posts_are_repeated_after_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
