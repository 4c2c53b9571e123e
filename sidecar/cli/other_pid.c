/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/other_pid.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

enum { TRIES_MAX = 16 };

static const int handed_on[] = {SIGINT, SIGTERM, SIGHUP};

static volatile sig_atomic_t child_pid;

static void hand_on(int number)
{
    (void)kill((pid_t)child_pid, number);
}

_Noreturn static void end_with(pid_t child, const sigset_t *before)
{
    const struct sigaction action = {.sa_handler = hand_on};
    int status;
    child_pid = child;
    for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++)
        (void)sigaction(handed_on[i], &action, NULL);
    (void)sigprocmask(SIG_SETMASK, before, NULL);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            _exit(CLI_FAILURE);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* No signal comes before it can be handed on. */
bool other_pid_take(spn_err err, int tries)
{
    sigset_t signals, before;
    if (err != SPN_E_IN_USE || errno != EAGAIN || tries >= TRIES_MAX)
        return false;
    (void)sigemptyset(&signals);
    for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++)
        (void)sigaddset(&signals, handed_on[i]);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    pid_t child = fork();
    if (child > 0)
        end_with(child, &before);
    bool is_child = child == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return is_child;
}
