/* SPDX-License-Identifier: Apache-2.0 */
/* What an app gets wrong is an error and no crash: NULL in every place of every call, bytes that
 * are nowhere, options of another version, too few descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_sidecar.h"
#include "sized.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { WAIT_MS = 5000 };

static struct fake fake;
static spn_client *client;
static spn_producer *producer;

static int set_up(void **state)
{
    (void)state;
    fake_open(&fake);
    fake_begin(&fake);
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    if (spn_client_open(&client, &options, WAIT_MS, NULL, 0) != SPN_OK)
        return -1;
    return spn_producer_open(&producer, client, NULL, WAIT_MS) == SPN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    spn_err ignored = spn_producer_close(producer, 0, NULL);
    (void)ignored;
    spn_client_close(client);
    fake_end(&fake);
    fake_close(&fake);
    return 0;
}

/* -- NULL -------------------------------------------------------------------------------------- */

static const struct spn_bytes text = {"s", 1};
static const struct spn_bytes nowhere = {NULL, 5};

static void null_crashed(void **state)
{
    (void)state;
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_item *item;
    const struct spn_ack *ack;
    const struct spn_last *last;
    const struct spn_session *session;
    const struct spn_session_info *info;
    const struct spn_connection *connection;
    uint32_t number;
    const struct spn_health *health;
    const struct spn_stat *stats;
    spn_subscription *subscription;
    spn_replay *replay;
    spn_question *question = NULL;
    bool more;
    size_t bytes = 0;
    size_t count;
    const struct spn_event *read;
    spn_sse *sse = NULL;
    assert_int_equal(spn_sse_open(&sse, 0), SPN_OK);
    const spn_err got[] = {
        spn_client_open(NULL, NULL, 0, NULL, 0),
        spn_client_step(NULL),
        spn_producer_open(NULL, client, NULL, 0),
        spn_producer_open(&producer, NULL, NULL, 0),
        spn_publish(NULL, text, &event, NULL),
        spn_publish(producer, text, NULL, NULL),
        spn_publish(producer, nowhere, &event, NULL),
        spn_publish_many(NULL, text, &event, 1, &count, NULL),
        spn_publish_many(producer, text, NULL, 1, &count, NULL),
        spn_publish_many(producer, text, &event, 1, NULL, NULL),
        spn_session_close(NULL, text, 0, NULL),
        spn_session_close(producer, nowhere, 0, NULL),
        spn_session_delete(NULL, text, 0, NULL),
        spn_producer_next_ack(NULL, 0, &ack),
        spn_producer_next_ack(producer, 0, NULL),
        spn_producer_flush(NULL, 0),
        spn_producer_wait(NULL, 1, 0, &ack),
        spn_producer_wait(producer, 1, 0, NULL),
        spn_last_event(NULL, text, 0, &last),
        spn_last_event(client, text, 0, NULL),
        spn_last_event(client, nowhere, 0, &last),
        spn_replay_open(NULL, client, text, (struct spn_bytes){NULL, 0}, 0),
        spn_replay_open(&replay, NULL, text, (struct spn_bytes){NULL, 0}, 0),
        spn_replay_open(&replay, client, text, nowhere, 0),
        spn_replay_next(NULL, 0, &read),
        spn_subscribe(NULL, client, text, NULL),
        spn_subscribe(&subscription, NULL, text, NULL),
        spn_subscribe(&subscription, client, nowhere, NULL),
        spn_subscription_next(NULL, 0, &item),
        spn_next_ready(NULL, &subscription, &bytes),
        spn_next_ready(client, NULL, &bytes),
        spn_next_ready(client, &subscription, NULL),
        spn_next_of_any(NULL, 0, &subscription, &item),
        spn_next_of_any(client, 0, NULL, &item),
        spn_next_of_any(client, 0, &subscription, NULL),
        spn_subscription_pause(NULL, true),
        spn_get_session(NULL, text, 0, &info),
        spn_get_session(client, text, 0, NULL),
        spn_next_session(NULL, text, text, 0, &session),
        spn_next_session(client, text, text, 0, NULL),
        spn_next_session(client, nowhere, text, 0, &session),
        spn_next_session(client, text, nowhere, 0, &session),
        spn_get_health(NULL, 0, &health),
        spn_get_health(client, 0, NULL),
        spn_get_stats(NULL, 0, &stats, &count),
        spn_get_stats(client, 0, NULL, &count),
        spn_get_stats(client, 0, &stats, NULL),
        spn_client_begin(NULL, NULL, NULL, 0),
        spn_client_ready(NULL),
        spn_producer_begin(NULL, client, NULL),
        spn_producer_begin(&producer, NULL, NULL),
        spn_producer_ready(NULL),
        spn_replay_begin(NULL, client, text, (struct spn_bytes){NULL, 0}),
        spn_replay_begin(&replay, NULL, text, (struct spn_bytes){NULL, 0}),
        spn_replay_begin(&replay, client, text, nowhere),
        spn_ask_last(NULL, client, text),
        spn_ask_last(&question, NULL, text),
        spn_ask_last(&question, client, nowhere),
        spn_ask_session(NULL, client, text),
        spn_ask_session(&question, NULL, text),
        spn_ask_session(&question, client, nowhere),
        spn_ask_sessions(NULL, client, text, text),
        spn_ask_sessions(&question, NULL, text, text),
        spn_ask_sessions(&question, client, nowhere, text),
        spn_ask_sessions(&question, client, text, nowhere),
        spn_ask_health(NULL, client),
        spn_ask_health(&question, NULL),
        spn_ask_stats(NULL, client),
        spn_ask_stats(&question, NULL),
        spn_ask_clients(NULL, client, 0),
        spn_ask_clients(&question, NULL, 0),
        spn_answer_last(NULL, &last),
        spn_answer_session(NULL, &info),
        spn_answer_next_session(NULL, &session),
        spn_answer_more_sessions(NULL, &more),
        spn_answer_health(NULL, &health),
        spn_answer_stats(NULL, &stats, &count),
        spn_answer_next_client(NULL, &connection),
        spn_answer_more_clients(NULL, &number, &number),
        spn_next_answered(NULL, 0, &question),
        spn_next_answered(client, 0, NULL),
        spn_sse_open(NULL, 0),
        spn_sse_next(NULL, "", 0, &count, &read),
        spn_sse_next(sse, "", 0, &count, NULL),
        spn_sse_next(sse, "", 0, NULL, &read),
        spn_sse_next(sse, NULL, 1, &count, &read),
        spn_sse_format(NULL, NULL, 0, &count),
        spn_sse_format(&event, NULL, 0, NULL),
        spn_sse_format(&event, NULL, 5, &count),
    };
    for (size_t i = 0; i < COUNT(got); i++)
        if (got[i] != SPN_E_INVALID)
            fail_msg("call %zu: %s", i, spn_err_name(got[i]));
    spn_sse_close(sse);
}

static void null_says_nothing(void **state)
{
    (void)state;
    char id[SPN_GIVEN_ID_MAX] = "x";
    uint64_t left = 1;
    assert_non_null(spn_client_detail(NULL));
    assert_int_equal(spn_client_data_max(NULL), 0);
    assert_int_equal(spn_client_fd(NULL), -1);
    assert_int_equal(spn_producer_committed(NULL), 0);
    assert_int_equal(spn_given_id(NULL, 1, id), 0);
    assert_string_equal(id, "");
    assert_int_equal(spn_given_id(producer, 1, NULL), 0);
    assert_int_equal(spn_producer_counters(NULL)->taken, 0);
    assert_int_equal(spn_producer_close(NULL, 0, &left), SPN_OK);
    assert_int_equal(left, 0);
    assert_int_equal(spn_replay_missing(NULL), 0);
    assert_int_equal(spn_sse_last_id(NULL).size, 0);
    assert_int_equal(spn_text(NULL).size, 0);
    spn_subscription_set_context(NULL, NULL);
    assert_null(spn_subscription_context(NULL));
    spn_question_set_context(NULL, NULL);
    assert_null(spn_question_context(NULL));
    spn_client_close(NULL);
    spn_replay_close(NULL);
    spn_question_close(NULL);
    spn_unsubscribe(NULL);
    spn_sse_close(NULL);
}

/* -- events and options ------------------------------------------------------------------------ */

static void markers_that_say_too_much_or_nothing(void **state)
{
    (void)state;
    struct spn_event events[] = {
        {.size = sizeof(struct spn_event), .kind = SPN_MARKER, .retry_ms = SPN_RETRY_NONE},
        {.size = sizeof(struct spn_event),
         .kind = SPN_MARKER,
         .id = text,
         .data = text,
         .retry_ms = SPN_RETRY_NONE},
        {.size = sizeof(struct spn_event),
         .kind = SPN_MARKER,
         .id = text,
         .type = text,
         .retry_ms = SPN_RETRY_NONE},
        {.size = sizeof(struct spn_event),
         .kind = SPN_RESET,
         .id = text,
         .retry_ms = SPN_RETRY_NONE},
        {.size = sizeof(struct spn_event),
         .kind = (spn_event_kind)3,
         .data = text,
         .retry_ms = SPN_RETRY_NONE},
        {.size = sizeof(struct spn_event),
         .kind = SPN_EVENT,
         .data = nowhere,
         .retry_ms = SPN_RETRY_NONE},
        {.size = sizeof(struct spn_event),
         .kind = SPN_EVENT,
         .id = nowhere,
         .retry_ms = SPN_RETRY_NONE},
        {.size = sizeof(struct spn_event),
         .kind = SPN_EVENT,
         .type = nowhere,
         .retry_ms = SPN_RETRY_NONE},
        {.size = 0, .id = text, .retry_ms = SPN_RETRY_NONE},
        {.size = offsetof(struct spn_event, retry_ms), .id = text},
        {.size = 1 << 20, .id = text, .retry_ms = SPN_RETRY_NONE},
    };
    for (size_t i = 0; i < COUNT(events); i++)
        assert_int_equal(spn_publish(producer, text, &events[i], NULL), SPN_E_INVALID);
    assert_int_equal(spn_producer_counters(producer)->taken, 0);
}

static void a_timeout_below_for_ever_is_refused(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    spn_producer *other;
    options.send_timeout_ms = -2;
    assert_int_equal(spn_producer_open(&other, client, &options, 0), SPN_E_INVALID);
    assert_non_null(strstr(spn_client_detail(client), "send_timeout_ms"));
}

/* An app that was built against a header with fewer fields, and one against a header with more. */
static void options_of_another_version_were_refused(void **state)
{
    (void)state;
    struct {
        struct spn_producer_options known;
        uint64_t later[2];
    } larger = {.known = spn_producer_defaults()};
    struct {
        size_t size;
        spn_level level;
    } smaller = {.size = SIZED_THROUGH(struct spn_producer_options, level), .level = SPN_ACCEPTED};
    struct {
        size_t size;
        spn_start start;
        struct spn_bytes after;
        spn_otherwise otherwise;
    } subscription = {.size = SIZED_THROUGH(struct spn_subscription_options, otherwise),
                      .otherwise = SPN_WAIT};
    spn_subscription *reader;
    spn_producer *other;
    larger.known.size = sizeof(larger);
    assert_int_equal(spn_producer_open(&other, client, &larger.known, WAIT_MS), SPN_OK);
    assert_int_equal(spn_producer_close(other, 0, NULL), SPN_OK);
    larger.later[1] = 1; /* what it wants, this version cannot do */
    assert_int_equal(spn_producer_open(&other, client, &larger.known, WAIT_MS), SPN_E_INVALID);
    assert_int_equal(spn_producer_open(&other, client, (void *)&smaller, WAIT_MS), SPN_OK);
    assert_int_equal(spn_producer_close(other, 0, NULL), SPN_OK);
    smaller.size--;
    assert_int_equal(spn_producer_open(&other, client, (void *)&smaller, WAIT_MS), SPN_E_INVALID);
    assert_int_equal(spn_subscribe(&reader, client, text, (void *)&subscription), SPN_OK);
    spn_unsubscribe(reader);
    subscription.size = 0;
    assert_int_equal(spn_subscribe(&reader, client, text, (void *)&subscription), SPN_E_INVALID);
}

/* A size that was not set is whatever lay there; as much as that was looked through. */
static void a_size_that_is_none_was_read_beyond_the_struct(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    spn_producer *other;
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    struct spn_producer_options *options = (void *)pages; /* and zeros to the end of the page */
    options->size = (size_t)(uintptr_t)pages;
    assert_int_equal(spn_producer_open(&other, client, options, 0), SPN_E_INVALID);
    munmap(pages, 2 * page);
}

/* -- descriptors ------------------------------------------------------------------------------- */

/* In a process of its own, where no client was: libzmq aborted it with 2 to 4 free descriptors. */
static int open_with(const char *dir, rlim_t free_count)
{
    struct spn_client_options options = {.size = sizeof(options), .socket_dir = dir};
    struct rlimit limit;
    char detail[256] = "";
    spn_client *first = NULL;
    int next = dup(STDERR_FILENO);
    close(next);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)next + free_count;
    setrlimit(RLIMIT_NOFILE, &limit);
    spn_err err = spn_client_open(&first, &options, 200, detail, sizeof(detail));
    if (err == SPN_E_SYSTEM && strstr(detail, "Too many open files") == NULL)
        return 99;
    spn_client_close(first);
    return (int)err;
}

static void few_descriptors_aborted_the_app(void **state)
{
    (void)state;
    size_t refused = 0;
#ifdef __SANITIZE_THREAD__
    skip(); /* it ends a child of a process with threads that begins one */
#endif
    for (rlim_t free_count = 0; free_count < 24; free_count++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(open_with(fake.dir, free_count));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        int err = WEXITSTATUS(status);
        assert_true(err == SPN_E_SYSTEM || err == SPN_OK || err == SPN_E_TIMEOUT);
        refused += err == SPN_E_SYSTEM;
    }
    assert_int_equal(refused, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_crashed),
        cmocka_unit_test(null_says_nothing),
        cmocka_unit_test(markers_that_say_too_much_or_nothing),
        cmocka_unit_test(a_timeout_below_for_ever_is_refused),
        cmocka_unit_test(options_of_another_version_were_refused),
        cmocka_unit_test(a_size_that_is_none_was_read_beyond_the_struct),
        cmocka_unit_test(few_descriptors_aborted_the_app),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
