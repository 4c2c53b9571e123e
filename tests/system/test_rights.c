/* SPDX-License-Identifier: Apache-2.0 */
/* test_rights: the two sockets may have different rights. A client works with the one that it may
 * use, opens only those that it uses, and is told which one it lacks. */
#include <dirent.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sponson.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STRANGER = 65533, OPERATORS = 65532, WAIT_MS = 10000, WORDS_SIZE = 300 };

enum deed { OPEN, ASK, GLANCE, FOLLOW, POLL, ANSWER, LISTEN, REPLAY, PUBLISH, DEEDS };
static const char *const deeds[] = {"open",   "ask",    "glance", "follow", "poll",
                                    "answer", "listen", "replay", "publish"};

/* What became of it in the process that has these rights only. */
struct told {
    spn_err err[DEEDS];
    char words[DEEDS][WORDS_SIZE];
};

struct row {
    const char *name;
    bool may_write; /* use ingest.sock */
    bool may_read;  /* use read.sock */
    bool writes;    /* it does so, or tries */
    bool reads;
    size_t connections; /* that it has in the end */
    spn_err err[DEEDS];
    const char *lacks; /* named by each deed that fails */
};

/* The calls that wait fail. The others are taken, and have nothing yet. */
#define CANNOT_READ                                                                                \
    {                                                                                              \
        [ASK] = SPN_E_PATH, [GLANCE] = SPN_E_TIMEOUT, [FOLLOW] = SPN_E_PATH,                       \
        [POLL] = SPN_E_TIMEOUT, [ANSWER] = SPN_E_TIMEOUT, [LISTEN] = SPN_E_PATH,                   \
        [REPLAY] = SPN_E_TIMEOUT,                                                                  \
    }

static const struct row rows[] = {
    {"both, and reads", true, true, false, true, 1, {0}, ""},
    {"both, and writes and reads", true, true, true, true, 2, {0}, ""},
    {"a reader", false, true, true, true, 1, {[PUBLISH] = SPN_E_PATH}, "ingest.sock"},
    {"a writer", true, false, true, true, 1, CANNOT_READ, "read.sock"},
    {"neither", false, false, false, false, 0, {[OPEN] = SPN_E_PATH}, "read.sock"},
};

static void note(struct told *told, enum deed deed, spn_err err, const char *words)
{
    told->err[deed] = err;
    snprintf(told->words[deed], WORDS_SIZE, "%s", words);
}

static struct spn_bytes text(const char *string)
{
    return (struct spn_bytes){string, strlen(string)};
}

static spn_err publish(spn_client *client)
{
    spn_producer *producer = NULL;
    const struct spn_ack *ack;
    struct spn_event event = SPN_EVENT_INIT;
    uint64_t ticket = 0;
    event.data = text("x");
    spn_err err = spn_producer_open(&producer, client, NULL, WAIT_MS);
    if (err == SPN_OK)
        err = spn_publish(producer, text("rights"), &event, &ticket);
    if (err == SPN_OK)
        err = spn_producer_wait(producer, ticket, WAIT_MS, &ack);
    (void)spn_producer_close(producer, 0, NULL);
    return err;
}

/* Without waiting. */
static void replay(spn_client *client, struct told *told)
{
    spn_replay *reading = NULL;
    const struct spn_event *event;
    spn_err err = spn_replay_begin(&reading, client, text("rights"), text(""));
    if (err == SPN_OK && told->err[ASK] != SPN_OK)
        err = spn_replay_next(reading, 0, &event);
    note(told, REPLAY, err, spn_client_detail(client));
    spn_replay_close(reading);
}

static void read_it(spn_client *client, struct told *told)
{
    spn_subscription *subscription = NULL;
    spn_question *question = NULL;
    const struct spn_item *item;
    const struct spn_health *health;
    spn_err err = spn_get_health(client, WAIT_MS, &health);
    note(told, ASK, err, spn_client_detail(client));
    err = spn_subscribe(&subscription, client, text("rights"), NULL);
    if (err == SPN_OK && told->err[ASK] != SPN_OK)
        err = spn_subscription_next(subscription, 0, &item);
    note(told, GLANCE, err, spn_client_detail(client));
    err = spn_subscription_next(subscription, -1, &item); /* for ever */
    note(told, FOLLOW, err, spn_client_detail(client));
    err = spn_ask_health(&question, client);
    if (err == SPN_OK && told->err[ASK] != SPN_OK)
        err = spn_next_of_any(client, 0, &subscription, &item);
    note(told, POLL, err, spn_client_detail(client));
    if (told->err[ASK] != SPN_OK) {
        err = spn_answer_health(question, &health);
        note(told, ANSWER, err, spn_client_detail(client));
    }
    err = spn_next_answered(client, -1, &question);
    note(told, LISTEN, err, spn_client_detail(client));
    replay(client, told);
}

static spn_client *try(const struct row *row, struct told *told)
{
    spn_client *client = NULL;
    char detail[WORDS_SIZE] = "";
    note(told, OPEN, spn_client_open(&client, NULL, WAIT_MS, detail, sizeof(detail)), detail);
    if (client == NULL)
        return NULL;
    if (row->reads)
        read_it(client, told);
    if (row->writes) {
        spn_err err = publish(client);
        note(told, PUBLISH, err, spn_client_detail(client));
    }
    return client;
}

/* Where root could open everything, another user is who tries. */
static void become_a_stranger(void)
{
    if (geteuid() == 0 &&
        (setgroups(0, NULL) != 0 || setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
         setresuid(STRANGER, STRANGER, STRANGER) != 0))
        _exit(1);
}

static void __attribute__((noreturn)) run_child(const struct row *row, int result_fd, int go_fd)
{
    struct told told;
    char byte;
    memset(&told, 0, sizeof(told));
    become_a_stranger();
    spn_client *client = try(row, &told);
    bool done = write(result_fd, &told, sizeof(told)) == (ssize_t)sizeof(told) &&
                read(go_fd, &byte, 1) >= 0;
    spn_client_close(client);
    _exit(done ? 0 : 1);
}

static void set_mode(struct stage *stage, const char *name, bool may)
{
    mode_t mode = may ? 0666 : geteuid() == 0 ? 0600 : 0;
    assert_int_equal(chmod(stage_format(stage, "%s/%s", stage->socket_dir, name), mode), 0);
}

/* Connections, and two sockets that listen. Other descriptors come and go: the one that says that
 * the daemon is ready is closed some time afterwards. */
static size_t sockets_of(const struct process *daemon)
{
    char path[64];
    char target[64];
    size_t count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)daemon->pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        ssize_t size = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));
        count += size > 7 && memcmp(target, "socket:", 7) == 0;
    }
    closedir(dir);
    return count;
}

struct expected {
    const struct process *daemon;
    size_t count;
};

static bool has_sockets(void *argument)
{
    const struct expected *expected = argument;
    return sockets_of(expected->daemon) == expected->count;
}

static void expect_told(const struct row *row, const struct told *told)
{
    for (size_t i = 0; i < DEEDS; i++) {
        if (told->err[i] != row->err[i])
            fail_msg("%s, %s: %d (%s), not %d", row->name, deeds[i], (int)told->err[i],
                     told->words[i], (int)row->err[i]);
        if (row->err[i] != SPN_OK && !strstr(told->words[i], row->lacks))
            fail_msg("%s, %s: \"%s\" does not name %s", row->name, deeds[i], told->words[i],
                     row->lacks);
    }
}

/* A child process, with a pipe each way. */
struct child {
    pid_t pid; /* 0: this is the child, and the descriptors are its ends */
    int result_fd;
    int go_fd;
};

static struct child begin_child(void)
{
    int result[2], go[2];
    assert_int_equal(pipe(result), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    bool here = pid == 0;
    close(result[here ? 0 : 1]);
    close(go[here ? 1 : 0]);
    return (struct child){pid, result[here ? 1 : 0], go[here ? 0 : 1]};
}

static void end_child(const struct child *child)
{
    int status;
    close(child->go_fd);
    close(child->result_fd);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_int_equal(status, 0);
}

static void run_row(const struct process *daemon, const struct row *row)
{
    struct told told;
    struct expected expected = {daemon, sockets_of(daemon)};
    struct child child = begin_child();
    if (child.pid == 0)
        run_child(row, child.result_fd, child.go_fd);
    assert_int_equal(read(child.result_fd, &told, sizeof(told)), sizeof(told));
    expect_told(row, &told);
    expected.count += row->connections;
    if (!until_true(until_in(STAGE_WAIT_MS), has_sockets, &expected))
        fail_msg("%s: the daemon has %zu sockets, not %zu", row->name, sockets_of(daemon),
                 expected.count);
    end_child(&child);
    expected.count -= row->connections;
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_sockets, &expected));
}

static void let_pass(struct stage *stage)
{
    assert_int_equal(chmod(stage->dir, 0755), 0);
    assert_int_equal(chmod(stage->socket_dir, 0755), 0);
}

static void a_client_works_with_the_socket_that_it_may_use(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    let_pass(stage);
    for (size_t i = 0; i < COUNT(rows); i++) {
        set_mode(stage, "ingest.sock", rows[i].may_write);
        set_mode(stage, "read.sock", rows[i].may_read);
        run_row(daemon, &rows[i]);
    }
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- a right that comes ------------------------------------------------------------------------ */

/* What is begun without the right goes on with it. Returns whether each did. */
static bool wait_for_the_right(int result_fd, int go_fd)
{
    spn_client *client = NULL;
    spn_question *question, *answered;
    spn_subscription *subscription;
    const struct spn_item *item;
    const struct spn_health *health;
    char byte = 1;
    bool good = spn_client_begin(&client, NULL, NULL, 0) == SPN_OK &&
                spn_ask_health(&question, client) == SPN_OK &&
                spn_follow(&subscription, client, NULL) == SPN_OK &&
                spn_answer_health(question, &health) == SPN_E_TIMEOUT &&
                strstr(spn_client_detail(client), "read.sock: Permission denied") != NULL &&
                spn_subscription_next(subscription, 0, &item) == SPN_E_TIMEOUT &&
                strstr(spn_client_detail(client), "read.sock: Permission denied") != NULL &&
                write(result_fd, &byte, 1) == 1 && read(go_fd, &byte, 1) == 1 &&
                spn_next_answered(client, WAIT_MS, &answered) == SPN_OK && answered == question &&
                spn_answer_health(question, &health) == SPN_OK &&
                spn_subscription_next(subscription, WAIT_MS, &item) == SPN_OK;
    spn_client_close(client);
    return good;
}

static void what_is_begun_goes_on_when_the_right_comes(struct stage *stage)
{
    char byte = 1;
    struct process *daemon = stage_start(stage, NULL);
    let_pass(stage);
    set_mode(stage, "read.sock", false);
    set_mode(stage, "ingest.sock", true);
    struct child child = begin_child();
    if (child.pid == 0) {
        become_a_stranger();
        _exit(wait_for_the_right(child.result_fd, child.go_fd) ? 0 : 1);
    }
    assert_int_equal(read(child.result_fd, &byte, 1), 1);
    set_mode(stage, "read.sock", true);
    assert_int_equal(write(child.go_fd, &byte, 1), 1);
    end_child(&child);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- from the start ---------------------------------------------------------------------------- */

#define MINE "65533"
#define OTHERS "65532"

static const struct row reader = {
    "a reader", false, true, true, true, 1, {[PUBLISH] = SPN_E_PATH}, "ingest.sock"};
static const struct row writer = {"a writer", true, false, true, true, 1, CANNOT_READ, "read.sock"};

/* Options of the daemon, and what they make of a peer whose only group is MINE. */
static const struct option_row {
    const char *words[9];
    const struct row *peer;
    mode_t modes[2]; /* of ingest.sock, of read.sock */
} option_rows[] = {
    {{"--ingest-mode", "0600", "--read-mode", "0666"}, &reader, {0600, 0666}},
    {{"--read-mode", "0600", "--ingest-mode", "0666"}, &writer, {0666, 0600}},
    {{"--ingest-mode", "0600", "--socket-mode", "0666"}, &reader, {0600, 0666}},
    {{"--socket-mode", "0666", "--read-mode", "0640"}, &writer, {0666, 0640}},
    {{"--ingest-group", OTHERS, "--read-group", MINE}, &reader, {0660, 0660}},
    {{"--ingest-group", MINE, "--socket-group", OTHERS}, &writer, {0660, 0660}},
    {{"--socket-group", MINE, "--ingest-mode", "0600"}, &reader, {0600, 0660}},
    {{"--socket-group", MINE, "--ingest-group", OTHERS, "--read-mode", "0666"},
     &reader,
     {0660, 0666}},
};

static mode_t mode_of(struct stage *stage, const char *name)
{
    struct stat status;
    assert_int_equal(stat(stage_format(stage, "%s/%s", stage->socket_dir, name), &status), 0);
    return status.st_mode & 0777;
}

/* Without a change afterwards, and again when a socket was removed and is back. */
static void each_socket_has_rights_of_its_own(struct stage *stage)
{
    if (geteuid() != 0) {
        print_message("skipped: only root has other users to try\n");
        skip();
    }
    let_pass(stage);
    for (size_t i = 0; i < COUNT(option_rows); i++) {
        const struct option_row *row = &option_rows[i];
        struct stage_daemon options = {0};
        memcpy(options.more, row->words, sizeof(row->words));
        struct process *daemon = stage_start(stage, &options);
        assert_int_equal(mode_of(stage, "ingest.sock"), row->modes[0]);
        assert_int_equal(mode_of(stage, "read.sock"), row->modes[1]);
        run_row(daemon, row->peer);
        assert_int_equal(stage_stop(daemon), 0);
    }
}

/* With a umask that keeps everybody out: what the daemon makes depends on its options alone. */
static void become_an_operator(void)
{
    static const gid_t groups[] = {STRANGER, OPERATORS};
    umask(0077);
    if (setgroups(COUNT(groups), groups) != 0 || setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
        setresuid(STRANGER, STRANGER, STRANGER) != 0 || unsetenv("SPONSON_SOCKET_DIR") != 0)
        _exit(1);
}

static const struct dir_row {
    const char *words[5];
    mode_t mode;
    gid_t group;
} dir_rows[] = {
    {{NULL}, 0750, STRANGER},
    {{"--socket-group", OTHERS}, 0750, OPERATORS},
    {{"--ingest-group", OTHERS}, 0751, STRANGER},
    {{"--ingest-group", OTHERS, "--read-group", OTHERS}, 0750, OPERATORS},
    {{"--read-mode", "0666"}, 0751, STRANGER},
};

static bool is_there(void *path)
{
    return access(path, F_OK) == 0;
}

static void run_rm(struct stage *stage, const char *dir)
{
    const char *words[] = {"/bin/rm", "-r", dir, NULL};
    struct process_options options = {.argv = words};
    struct outcome done = stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, 0);
}

/* A directory that the daemon makes lets pass whoever may use a socket in it. */
static void the_directory_lets_them_pass(struct stage *stage)
{
    if (geteuid() != 0) {
        print_message("skipped: only root can become somebody with two groups\n");
        skip();
    }
    const char *runtime = stage_make_dir(stage, "runtime");
    const char *data = stage_make_dir(stage, "own");
    const char *dir = stage_format(stage, "%s/sponson", runtime);
    assert_int_equal(chmod(stage->dir, 0755), 0);
    assert_int_equal(chown(runtime, STRANGER, STRANGER), 0);
    assert_int_equal(chown(data, STRANGER, STRANGER), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
    for (size_t i = 0; i < COUNT(dir_rows); i++) {
        const struct dir_row *row = &dir_rows[i];
        const char *words[8] = {stage_sponsond(), "--data-dir", data};
        struct stat status;
        memcpy(words + 3, row->words, sizeof(row->words));
        struct process_options options = {
            .argv = words, .prepare = become_an_operator, .error_path = stage->log_path};
        struct process *daemon = stage_process(stage, &options);
        const char *path = stage_format(stage, "%s/read.sock", dir); /* the last one to be bound */
        assert_true(until_true(until_in(STAGE_WAIT_MS), is_there, (void *)(uintptr_t)path));
        assert_int_equal(stat(dir, &status), 0);
        assert_int_equal(status.st_mode & 0777, row->mode);
        assert_int_equal(status.st_gid, row->group);
        assert_int_equal(stage_stop(daemon), 0);
        run_rm(stage, dir);
    }
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_client_works_with_the_socket_that_it_may_use),
        STAGE_TEST(what_is_begun_goes_on_when_the_right_comes),
        STAGE_TEST(each_socket_has_rights_of_its_own),
        STAGE_TEST(the_directory_lets_them_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
