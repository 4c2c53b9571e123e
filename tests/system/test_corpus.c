/* SPDX-License-Identifier: Apache-2.0 */
/* test_corpus: whole streams, as they were sent by real programs, come back event by event.
 *
 * The directories with the .sse files are the arguments, or SPONSON_CORPUS in the environment. Each
 * file goes into a session of its own, several recorders at a time. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "stage.h"

enum {
    FILES_MAX = 512,
    AT_A_TIME = 6,
    RECORD_WAIT_MS = 30000,
};

struct stream_file {
    const char *path;
    const char *session;
    struct event_list events;
};

static const char *const *directories;
static size_t directory_count;

struct corpus {
    struct stage *stage;
    struct stream_file files[FILES_MAX];
    size_t count;
    size_t event_count;
};

/* -- the files --------------------------------------------------------------------------------- */

static int is_stream(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 4 && strcmp(entry->d_name + size - 4, ".sse") == 0;
}

static void add_file(struct corpus *corpus, const char *directory, size_t number, const char *name)
{
    struct stage *stage = corpus->stage;
    assert_true(corpus->count < FILES_MAX);
    struct stream_file *file = &corpus->files[corpus->count++];
    file->path = stage_format(stage, "%s/%s", directory, name);
    /* Two directories may have files of the same name. */
    file->session = stage_format(stage, "%zu/%.*s", number, (int)(strlen(name) - 4), name);
    file->events = (struct event_list)EVENT_LIST_INIT;
    event_list_add_sse(&file->events, stage_read_file(stage, file->path));
    corpus->event_count += file->events.count;
}

static void find_files(struct corpus *corpus)
{
    for (size_t i = 0; i < directory_count; i++) {
        struct dirent **entries;
        int count = scandir(directories[i], &entries, is_stream, alphasort);
        if (count <= 0)
            fail_msg("no .sse files in %s", directories[i]);
        for (int at = 0; at < count; at++) {
            add_file(corpus, directories[i], i, entries[at]->d_name);
            free(entries[at]);
        }
        free(entries);
    }
}

/* -- in ---------------------------------------------------------------------------------------- */

static void finish_recorder(struct corpus *corpus, struct process *recorder, size_t at)
{
    struct outcome done = stage_end(corpus->stage, recorder, until_in(RECORD_WAIT_MS));
    stage_expect_code(&done, 0);
    const struct event_list *list = &corpus->files[at].events;
    assert_int_equal(event_json_number(done.out, "events"), list->count - list->markers);
    assert_int_equal(event_json_number(done.out, "stored"), list->count - list->markers);
    assert_int_equal(event_json_number(done.out, "markers"), list->markers);
}

static void record_all(struct corpus *corpus)
{
    struct process *recorders[AT_A_TIME];
    for (size_t i = 0; i < corpus->count + AT_A_TIME; i++) {
        if (i >= AT_A_TIME && i - AT_A_TIME < corpus->count)
            finish_recorder(corpus, recorders[i % AT_A_TIME], i - AT_A_TIME);
        if (i < corpus->count)
            recorders[i % AT_A_TIME] = stage_begin_run(
                corpus->stage, "record", corpus->files[i].session, corpus->files[i].path);
    }
}

/* -- out --------------------------------------------------------------------------------------- */

static void expect_file(struct corpus *corpus, const struct stream_file *file)
{
    struct stage *stage = corpus->stage;
    struct event_list dumped = EVENT_LIST_INIT;
    struct event_list replayed = EVENT_LIST_INIT;
    struct outcome done = stage_run(stage, "dump", "--session", file->session);
    stage_expect_code(&done, 0);
    event_list_add_json(&dumped, done.output, NULL);
    event_list_expect_same(file->session, &dumped, &file->events);
    event_list_expect_whole(file->session, &dumped);
    done = stage_run(stage, "replay", file->session, "--format", "sse");
    stage_expect_code(&done, 0);
    event_list_add_sse(&replayed, done.output);
    event_list_expect_same(file->session, &replayed, &file->events);
    /* With the same ids as on disk, those that were given included. */
    event_list_expect_same(file->session, &replayed, &dumped);
    event_list_release(&dumped);
    event_list_release(&replayed);
}

static void expect_all(struct corpus *corpus)
{
    struct event_list dumped = EVENT_LIST_INIT;
    struct outcome done = stage_run(corpus->stage, "dump");
    stage_expect_code(&done, 0);
    event_list_add_json(&dumped, done.output, NULL);
    assert_int_equal(dumped.count, corpus->event_count);
    for (size_t i = 1; i < dumped.count; i++)
        assert_true(dumped.items[i].position > dumped.items[i - 1].position);
    event_list_release(&dumped);
    for (size_t i = 0; i < corpus->count; i++)
        expect_file(corpus, &corpus->files[i]);
}

static void comes_back(struct stage *stage)
{
    struct corpus *corpus = stage_keep(stage, calloc(1, sizeof(*corpus)));
    corpus->stage = stage;
    find_files(corpus);
    struct process *daemon = stage_start(stage, NULL);
    record_all(corpus);
    expect_all(corpus);
    /* Once more through the index, which is written when it stops. */
    assert_int_equal(stage_stop(daemon), 0);
    stage_start(stage, NULL);
    expect_all(corpus);
    print_message("%zu streams, %zu events\n", corpus->count, corpus->event_count);
    for (size_t i = 0; i < corpus->count; i++)
        event_list_release(&corpus->files[i].events);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {STAGE_TEST(comes_back)};
    static const char *from_environment;
    from_environment = getenv("SPONSON_CORPUS");
    bool given = from_environment && *from_environment;
    directories = given ? &from_environment : (const char *const *)argv + 1;
    directory_count = given ? 1 : (size_t)argc - 1;
    if (directory_count == 0) {
        fprintf(stderr, "usage: %s DIRECTORY...\n", argv[0]);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
