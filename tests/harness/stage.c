/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

enum {
    BASE_MAX = 60,
    LOG_SHOWN_MAX = 4096,
    COMMAND_WAIT_MS = 60000,
    READY_WAIT_MS = 60000,
};

enum item_kind { ITEM_MEMORY, ITEM_PROCESS, ITEM_FD, ITEM_CALL };

struct stage_item {
    struct stage_item *next;
    enum item_kind kind;
    void *memory;
    struct process process;
    int fd;
    void (*release)(void *argument);
    void *argument;
};

const char *stage_sponsond(void)
{
    const char *path = getenv("SPONSON_TEST_SPONSOND");
    return path && *path ? path : HARNESS_SPONSOND;
}

const char *stage_sponson(void)
{
    const char *path = getenv("SPONSON_TEST_SPONSON");
    return path && *path ? path : HARNESS_SPONSON;
}

/* -- the stage --------------------------------------------------------------------------------- */

static struct stage_item *add_item(struct stage *stage, enum item_kind kind)
{
    struct stage_item *item = calloc(1, sizeof(*item));
    if (!item)
        fail_msg("out of memory");
    item->kind = kind;
    item->process = (struct process)PROCESS_INIT;
    item->next = stage->items;
    stage->items = item;
    return item;
}

static int join(char *path, const char *dir, const char *name)
{
    int size = snprintf(path, STAGE_PATH_SIZE, "%s/%s", dir, name);
    return size > 0 && size < STAGE_PATH_SIZE ? 0 : -1;
}

static int make_dirs(struct stage *stage)
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base || strlen(base) > BASE_MAX)
        base = "/tmp";
    if (join(stage->dir, base, "spn-XXXXXX") != 0 || !mkdtemp(stage->dir))
        return -1;
    if (join(stage->data_dir, stage->dir, "data") != 0 ||
        join(stage->socket_dir, stage->dir, "run") != 0 ||
        join(stage->log_path, stage->dir, "log") != 0)
        return -1;
    return mkdir(stage->data_dir, 0700) == 0 && mkdir(stage->socket_dir, 0750) == 0 ? 0 : -1;
}

int stage_setup(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    if (!stage)
        return -1;
    stage->test = (void (*)(struct stage *))(uintptr_t)*state;
    *state = stage;
    if (make_dirs(stage) != 0)
        return -1;
    setenv("SPONSON_DATA_DIR", stage->data_dir, 1);
    setenv("SPONSON_SOCKET_DIR", stage->socket_dir, 1);
    setenv("SPONSON_NO_CONFIG", "true", 1);
    setenv("SPONSON_HTTP_NO_CONFIG", "true", 1);
    return 0;
}

void stage_run_test(void **state)
{
    struct stage *stage = *state;
    stage->test(stage);
    stage->passed = true;
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *walk)
{
    (void)found;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void show_log(const struct stage *stage)
{
    char text[LOG_SHOWN_MAX];
    int fd = open(stage->log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > LOG_SHOWN_MAX ? end - LOG_SHOWN_MAX : 0;
    ssize_t size = pread(fd, text, sizeof(text), from);
    if (size > 0)
        fprintf(stderr, "%s ends with:\n%.*s\n", stage->log_path, (int)size, text);
    close(fd);
}

static void release_item(struct stage_item *item)
{
    if (item->kind == ITEM_CALL)
        item->release(item->argument);
    process_release(&item->process);
    free(item->memory);
    if (item->kind == ITEM_FD)
        close(item->fd);
    free(item);
}

int stage_teardown(void **state)
{
    struct stage *stage = *state;
    while (stage->items) {
        struct stage_item *item = stage->items;
        stage->items = item->next;
        release_item(item);
    }
    if (!stage->passed)
        show_log(stage);
    const char *keep = getenv("SPONSON_TEST_KEEP");
    int err = 0;
    if (keep && *keep)
        fprintf(stderr, "kept: %s\n", stage->dir);
    else
        err = nftw(stage->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(stage);
    return err;
}

/* -- files and memory -------------------------------------------------------------------------- */

void *stage_keep(struct stage *stage, void *memory)
{
    if (!memory)
        fail_msg("out of memory");
    add_item(stage, ITEM_MEMORY)->memory = memory;
    return memory;
}

void stage_at_end(struct stage *stage, void (*release)(void *argument), void *argument)
{
    struct stage_item *item = add_item(stage, ITEM_CALL);
    item->release = release;
    item->argument = argument;
}

const char *stage_format(struct stage *stage, const char *format, ...)
{
    char *text = NULL;
    va_list words;
    va_start(words, format);
    int size = vasprintf(&text, format, words);
    va_end(words);
    return stage_keep(stage, size >= 0 ? text : NULL);
}

const char *stage_path(struct stage *stage, const char *name)
{
    return stage_format(stage, "%s/%s", stage->dir, name);
}

const char *stage_make_dir(struct stage *stage, const char *name)
{
    const char *path = stage_path(stage, name);
    if (mkdir(path, 0750) != 0)
        fail_msg("mkdir %s: %s", path, strerror(errno));
    return path;
}

const char *stage_write_file(struct stage *stage, const char *name, struct spn_bytes bytes)
{
    const char *path = stage_path(stage, name);
    const char *at = bytes.data;
    size_t left = bytes.size;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    while (fd >= 0 && left > 0) {
        ssize_t written = write(fd, at, left);
        if (written < 0)
            break;
        at += written;
        left -= (size_t)written;
    }
    if (fd < 0 || left > 0)
        fail_msg("%s: %s", path, strerror(errno));
    close(fd);
    return path;
}

struct spn_bytes stage_read_file(struct stage *stage, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    char *bytes = stage_keep(stage, malloc((size_t)status.st_size + 1));
    size_t size = 0;
    while (size < (size_t)status.st_size) {
        ssize_t got = read(fd, bytes + size, (size_t)status.st_size - size);
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    close(fd);
    bytes[size] = '\0';
    return (struct spn_bytes){bytes, size};
}

/* -- daemons ----------------------------------------------------------------------------------- */

struct process *stage_process(struct stage *stage, const struct process_options *options)
{
    struct stage_item *item = add_item(stage, ITEM_PROCESS);
    if (process_start(&item->process, options) != SPN_OK)
        fail_msg("cannot start %s: %s", options->argv[0], strerror(errno));
    return &item->process;
}

struct words {
    const char *at[3 * STAGE_WORDS_MAX];
    size_t count;
};

static void add_word(struct words *words, const char *word)
{
    assert_true(words->count < sizeof(words->at) / sizeof(words->at[0]) - 1);
    words->at[words->count++] = word;
}

static void add_words(struct words *words, const char *const *more)
{
    while (*more)
        add_word(words, *more++);
}

struct process *stage_begin(struct stage *stage, const struct stage_daemon *options,
                            int *ret_ready_fd)
{
    static const struct stage_daemon defaults;
    const struct stage_daemon *how = options ? options : &defaults;
    struct words words = {.count = 0};
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    add_item(stage, ITEM_FD)->fd = ready[0];
    add_words(&words, how->under);
    add_word(&words, stage_sponsond());
    add_word(&words, "--data-dir");
    add_word(&words, how->data_dir ? how->data_dir : stage->data_dir);
    add_word(&words, "--socket-dir");
    add_word(&words, how->socket_dir ? how->socket_dir : stage->socket_dir);
    add_word(&words, "--ready-fd=3");
    add_words(&words, how->more);
    struct process_options start = {
        .argv = words.at,
        .handed_fd = ready[1],
        .error_path = how->error_path ? how->error_path : stage->log_path,
        .prepare = how->prepare,
    };
    struct process *daemon = stage_process(stage, &start);
    close(ready[1]);
    if (ret_ready_fd)
        *ret_ready_fd = ready[0];
    return daemon;
}

bool stage_is_ready(int ready_fd, uint64_t due_ns)
{
    char line[16];
    return until_readable(due_ns, ready_fd) && read(ready_fd, line, sizeof(line)) > 0;
}

struct process *stage_start(struct stage *stage, const struct stage_daemon *options)
{
    int ready_fd;
    struct process *daemon = stage_begin(stage, options, &ready_fd);
    if (!stage_is_ready(ready_fd, until_in(READY_WAIT_MS)))
        fail_msg("sponsond did not get ready; exit code %d", process_wait(daemon, until_in(100)));
    return daemon;
}

int stage_stop(struct process *daemon)
{
    process_signal(daemon, SIGTERM);
    int code = process_wait(daemon, until_in(STAGE_WAIT_MS));
    if (code == PROCESS_NOT_ENDED)
        fail_msg("sponsond did not end after SIGTERM");
    return code;
}

const char *stage_log(struct stage *stage)
{
    return stage_read_file(stage, stage->log_path).data;
}

/* -- the log ----------------------------------------------------------------------------------- */

struct log_look {
    struct stage *stage;
    const char *words;
    size_t times;
};

size_t stage_times_in_log(struct stage *stage, const char *words)
{
    size_t count = 0;
    for (const char *at = stage_log(stage); (at = strstr(at, words)); at += strlen(words))
        count++;
    return count;
}

static bool look_at_log(void *argument)
{
    const struct log_look *look = argument;
    return stage_times_in_log(look->stage, look->words) >= look->times;
}

void stage_wait_log_times(struct stage *stage, const char *words, size_t times)
{
    struct log_look look = {stage, words, times};
    if (!until_true(until_in(STAGE_WAIT_MS), look_at_log, &look))
        fail_msg("the log does not say: %s", words);
}

void stage_wait_log(struct stage *stage, const char *words)
{
    stage_wait_log_times(stage, words, 1);
}

/* -- commands ---------------------------------------------------------------------------------- */

static struct process *begin_command(struct stage *stage, const char *const *given, int input_fd,
                                     struct spn_bytes input)
{
    struct words words = {.count = 0};
    add_word(&words, stage_sponson());
    add_words(&words, given);
    struct process_options start = {.argv = words.at, .input_fd = input_fd, .input = input};
    return stage_process(stage, &start);
}

struct process *stage_begin_words(struct stage *stage, const char *const *words, int input_fd)
{
    return begin_command(stage, words, input_fd, (struct spn_bytes){NULL, 0});
}

struct outcome stage_end(struct stage *stage, struct process *process, uint64_t due_ns)
{
    struct outcome outcome = {.code = process_wait(process, due_ns)};
    outcome.out = stage_keep(stage, process_output(process, &outcome.output.size));
    outcome.err = stage_keep(stage, process_errors(process, &outcome.errors.size));
    outcome.output.data = outcome.out;
    outcome.errors.data = outcome.err;
    if (outcome.code == PROCESS_NOT_ENDED)
        fail_msg("a command did not end in time; it said: %s", outcome.err);
    return outcome;
}

struct outcome stage_run_words(struct stage *stage, const char *const *words,
                               struct spn_bytes input)
{
    return stage_end(stage, begin_command(stage, words, 0, input), until_in(COMMAND_WAIT_MS));
}

void stage_expect_code(const struct outcome *outcome, int code)
{
    if (outcome->code != code)
        fail_msg("exit code %d, not %d; it said: %s", outcome->code, code, outcome->err);
}
