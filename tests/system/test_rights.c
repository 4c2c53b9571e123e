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

enum { STRANGER = 65533, WAIT_MS = 10000, WORDS_SIZE = 300 };

enum deed { OPEN, ASK, FOLLOW, PUBLISH, DEEDS };
static const char *const deeds[] = {"open", "ask", "follow", "publish"};

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
    const char *lacks; /* named by each deed that fails with SPN_E_PATH */
};

static const struct row rows[] = {
    {"both, and reads", true, true, false, true, 1, {0}, ""},
    {"both, and writes and reads", true, true, true, true, 2, {0}, ""},
    {"a reader", false, true, true, true, 1, {[PUBLISH] = SPN_E_PATH}, "ingest.sock"},
    {"a writer",
     true,
     false,
     true,
     true,
     1,
     {[ASK] = SPN_E_PATH, [FOLLOW] = SPN_E_PATH},
     "read.sock"},
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

static spn_client *try(const struct row *row, struct told *told)
{
    spn_client *client = NULL;
    spn_subscription *subscription;
    const struct spn_health *health;
    char detail[WORDS_SIZE] = "";
    note(told, OPEN, spn_client_open(&client, NULL, WAIT_MS, detail, sizeof(detail)), detail);
    if (client == NULL)
        return NULL;
    if (row->reads) {
        spn_err err = spn_get_health(client, WAIT_MS, &health);
        note(told, ASK, err, spn_client_detail(client));
        err = spn_subscribe(&subscription, client, text("rights"), NULL);
        note(told, FOLLOW, err, spn_client_detail(client));
    }
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

static size_t descriptors_of(const struct process *daemon)
{
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)daemon->pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

struct expected {
    const struct process *daemon;
    size_t count;
};

static bool has_descriptors(void *argument)
{
    const struct expected *expected = argument;
    return descriptors_of(expected->daemon) == expected->count;
}

static void expect_told(const struct row *row, const struct told *told)
{
    for (size_t i = 0; i < DEEDS; i++) {
        if (told->err[i] != row->err[i])
            fail_msg("%s, %s: %d (%s), not %d", row->name, deeds[i], (int)told->err[i],
                     told->words[i], (int)row->err[i]);
        if (row->err[i] == SPN_E_PATH && !strstr(told->words[i], row->lacks))
            fail_msg("%s, %s: \"%s\" does not name %s", row->name, deeds[i], told->words[i],
                     row->lacks);
    }
}

/* What the daemon opens for a moment does not count. */
static size_t descriptors_at_rest(const struct process *daemon)
{
    size_t count = descriptors_of(daemon);
    for (int same = 0; same < 50; same++) {
        size_t now = descriptors_of(daemon);
        if (now != count)
            same = 0;
        count = now;
    }
    return count;
}

static void run_row(struct stage *stage, const struct process *daemon, const struct row *row)
{
    int result[2], go[2], status;
    struct told told;
    set_mode(stage, "ingest.sock", row->may_write);
    set_mode(stage, "read.sock", row->may_read);
    struct expected expected = {daemon, descriptors_at_rest(daemon)};
    assert_int_equal(pipe(result), 0);
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(go[1]);
        close(result[0]);
        run_child(row, result[1], go[0]);
    }
    close(result[1]);
    close(go[0]);
    assert_int_equal(read(result[0], &told, sizeof(told)), sizeof(told));
    expect_told(row, &told);
    expected.count += row->connections;
    if (!until_true(until_in(STAGE_WAIT_MS), has_descriptors, &expected))
        fail_msg("%s: the daemon has %zu descriptors, not %zu", row->name, descriptors_of(daemon),
                 expected.count);
    close(go[1]);
    close(result[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expected.count -= row->connections;
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_descriptors, &expected));
}

static void a_client_works_with_the_socket_that_it_may_use(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    assert_int_equal(chmod(stage->dir, 0755), 0);
    assert_int_equal(chmod(stage->socket_dir, 0755), 0);
    for (size_t i = 0; i < COUNT(rows); i++)
        run_row(stage, daemon, &rows[i]);
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_client_works_with_the_socket_that_it_may_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
