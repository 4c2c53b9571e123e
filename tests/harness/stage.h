/* SPDX-License-Identifier: Apache-2.0 */
/* stage: what one system test stands on: a directory of its own, the daemons it starts, the
 * commands it runs.
 *
 * A test is a function that takes the stage. When it has failed, the ends of the daemons' logs are
 * shown. Everything goes away with the stage: processes are killed and reaped, files removed (not
 * with SPONSON_TEST_KEEP set in the environment).
 *
 * SPONSON_DATA_DIR and SPONSON_SOCKET_DIR are set to the stage's for every process started and for
 * the client library in the test itself. The host's configuration files are not read.
 *
 * Owns     all that it gives out, until its end. Helpers that cannot do what they are for fail the
 * test. Threads  the test's main thread.
 */
#ifndef SPN_STAGE_H
#define SPN_STAGE_H

#include "process.h"
#include "until.h"

enum {
    STAGE_PATH_SIZE = 128, /* short: a socket's path must fit sun_path */
    STAGE_WAIT_MS = 20000, /* what should happen soon */
    STAGE_WORDS_MAX = 32,
};

struct stage {
    void (*test)(struct stage *stage);
    char dir[STAGE_PATH_SIZE];
    char data_dir[STAGE_PATH_SIZE];
    char socket_dir[STAGE_PATH_SIZE];
    char log_path[STAGE_PATH_SIZE]; /* standard error of all daemons */
    bool passed;
    struct stage_item *items; /* what goes away with it, newest first */
};

/* A row of a table for cmocka_run_group_tests. */
#define STAGE_TEST(function)                                                                       \
    {                                                                                              \
#function, stage_run_test, stage_setup, stage_teardown, (void *)(uintptr_t)(function)      \
    }
int stage_setup(void **state);
int stage_teardown(void **state);
void stage_run_test(void **state);

/* -- files and memory -------------------------------------------------------------------------- */

/* The path of a name in the stage's directory. */
const char *stage_path(struct stage *stage, const char *name);
const char *stage_make_dir(struct stage *stage, const char *name);
const char *stage_write_file(struct stage *stage, const char *name, struct spn_bytes bytes);
/* NUL-terminated. */
struct spn_bytes stage_read_file(struct stage *stage, const char *path);
/* Freed with the stage. Takes what malloc returned, and fails the test on NULL. */
void *stage_keep(struct stage *stage, void *memory);
/* Calls this when the stage ends; what was given last is called first. */
void stage_at_end(struct stage *stage, void (*release)(void *argument), void *argument);
const char *stage_format(struct stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* -- processes --------------------------------------------------------------------------------- */

/* Any program; released with the stage. */
struct process *stage_process(struct stage *stage, const struct process_options *options);

struct stage_daemon {
    const char *data_dir;               /* NULL: the stage's */
    const char *socket_dir;             /* NULL: the stage's */
    const char *more[STAGE_WORDS_MAX];  /* further words of the command line */
    const char *under[STAGE_WORDS_MAX]; /* a program to run it under, and its words */
    void (*prepare)(void);              /* as in process_options */
    const char *error_path;             /* NULL: the stage's log_path */
};

/* Words for a daemon whose log is compared with what was sent: nothing in it is hidden or trimmed.
 */
#define STAGE_KEEP_ALL "--retention-events", "0", "--retention-bytes", "0", "--quota", "64G"

/* Starts sponsond and waits until it is ready. options may be NULL. */
struct process *stage_start(struct stage *stage, const struct stage_daemon *options);
/* The same without waiting. *ret_ready_fd (may be NULL) becomes readable when it is ready or dead:
 * a byte, or end of file. Closed with the stage. */
struct process *stage_begin(struct stage *stage, const struct stage_daemon *options,
                            int *ret_ready_fd);
bool stage_is_ready(int ready_fd, uint64_t due_ns);
/* SIGTERM; its exit code. Fails the test when it does not end. */
int stage_stop(struct process *daemon);
/* The daemons' log so far. */
const char *stage_log(struct stage *stage);
size_t stage_times_in_log(struct stage *stage, const char *words);
/* Waits until it is there, or there so often. */
void stage_wait_log(struct stage *stage, const char *words);
void stage_wait_log_times(struct stage *stage, const char *words, size_t times);

/* How a command ended, and what it wrote, NUL-terminated. */
struct outcome {
    int code;
    struct spn_bytes output;
    struct spn_bytes errors;
    const char *out; /* the same two as strings */
    const char *err;
};

/* Runs `sponson` with these words to its end. */
#define stage_run(stage, ...)                                                                      \
    stage_run_words(stage, (const char *const[]){__VA_ARGS__, NULL}, (struct spn_bytes){NULL, 0})
struct outcome stage_run_words(struct stage *stage, const char *const *words,
                               struct spn_bytes input);
/* Begins one, for several at a time; stage_end waits for it. */
#define stage_begin_run(stage, ...)                                                                \
    stage_begin_words(stage, (const char *const[]){__VA_ARGS__, NULL}, 0)
struct process *stage_begin_words(struct stage *stage, const char *const *words, int input_fd);
struct outcome stage_end(struct stage *stage, struct process *process, uint64_t due_ns);

/* Fails the test, with the outcome, unless the command exited with this code. */
void stage_expect_code(const struct outcome *outcome, int code);

/* The path of the program under test. */
const char *stage_sponsond(void);
const char *stage_sponson(void);

#endif
