/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 65536 };

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

uint64_t child_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void child_start(struct child *child, const char *name, char *const *arguments)
{
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        give_up("pipe");
    *child = (struct child){.name = name, .in_fd = in[1], .out_fd = out[0]};
    child->pid = fork();
    if (child->pid < 0)
        give_up("fork");
    if (child->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execvp(arguments[0], arguments);
        give_up(arguments[0]);
    }
    close(in[0]);
    close(out[1]);
}

void child_write(struct child *child, const char *line)
{
    char end = '\n';
    if (write(child->in_fd, line, strlen(line)) != (ssize_t)strlen(line) ||
        write(child->in_fd, &end, 1) != 1)
        fprintf(stderr, "%s does not read: %s\n", child->name, strerror(errno));
}

static void take_text(struct child *child)
{
    if (child->taken > 0) {
        child->size -= child->taken;
        memmove(child->text, child->text + child->taken, child->size);
        child->taken = 0;
    }
    if (child->room - child->size < READ_SIZE) {
        child->room = (child->size + READ_SIZE) * 2;
        child->text = realloc(child->text, child->room);
        if (child->text == NULL)
            give_up("memory");
    }
    ssize_t got = read(child->out_fd, child->text + child->size, READ_SIZE);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        close(child->out_fd);
        child->out_fd = -1;
        return;
    }
    child->size += (size_t)got;
}

static const char *cut_line(struct child *child)
{
    static char *line;
    char *begin = child->text + child->taken;
    size_t left = child->size - child->taken;
    char *end = left > 0 ? memchr(begin, '\n', left) : NULL;
    if (end == NULL)
        return NULL;
    free(line);
    line = strndup(begin, (size_t)(end - begin));
    if (line == NULL)
        give_up("memory");
    child->taken = (size_t)(end + 1 - child->text);
    return line;
}

const char *child_line(struct child *child, struct child *other, int timeout_ms)
{
    uint64_t due_ms = child_now_ms() + (uint64_t)timeout_ms;
    for (;;) {
        const char *line = cut_line(child);
        uint64_t at_ms = child_now_ms();
        if (line != NULL || child->out_fd < 0 || at_ms > due_ms)
            return line;
        struct pollfd fds[2] = {{.fd = child->out_fd, .events = POLLIN},
                                {.fd = other != NULL ? other->out_fd : -1, .events = POLLIN}};
        if (poll(fds, 2, (int)(due_ms - at_ms) + 1) < 0 && errno != EINTR)
            give_up("poll");
        if (fds[0].revents != 0)
            take_text(child);
        if (other != NULL && fds[1].revents != 0)
            take_text(other);
    }
}

bool child_wrote(struct child *child, const char *words)
{
    struct pollfd fd = {.fd = child->out_fd, .events = POLLIN};
    size_t size = strlen(words);
    if (child->out_fd >= 0 && poll(&fd, 1, 0) > 0)
        take_text(child);
    for (size_t at = child->taken; at < child->size; at++) {
        const char *line = child->text + at;
        const char *end = memchr(line, '\n', child->size - at);
        if (end == NULL)
            return false;
        if ((size_t)(end - line) >= size && memcmp(line, words, size) == 0)
            return true;
        at += (size_t)(end - line);
    }
    return false;
}

int child_end(struct child *child, int timeout_ms)
{
    int status = 0;
    uint64_t due_ms = child_now_ms() + (uint64_t)timeout_ms;
    bool killed = false;
    close(child->in_fd);
    while (child->out_fd >= 0 && child_now_ms() < due_ms) {
        struct pollfd fd = {.fd = child->out_fd, .events = POLLIN};
        if (poll(&fd, 1, (int)(due_ms - child_now_ms())) > 0)
            take_text(child);
    }
    if (child->out_fd >= 0) {
        killed = true;
        kill(child->pid, SIGKILL);
        close(child->out_fd);
        child->out_fd = -1;
    }
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    free(child->text);
    child->text = NULL;
    child->size = child->room = child->taken = 0;
    if (killed)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
