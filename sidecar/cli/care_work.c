/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/care_work.h"

#include <signal.h>

#include "cli/cli.h"
#include "cli/progress.h"

static volatile sig_atomic_t stopped;

static struct progress progress;
static bool began; /* the line: the total is known from then on */

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static void show(uint64_t done, uint64_t total)
{
    if (!began)
        progress_init(&progress, NULL, total, false);
    began = true;
    progress_set(&progress, done < total ? done : total);
}

static bool go_on(void *owner, uint64_t done, uint64_t total)
{
    (void)owner;
    show(done, total);
    return stopped == 0;
}

/* SIGTSTP is not taken: a backup that stands still would keep the file growing. */
void care_begin(struct care *care)
{
    const struct sigaction action = {.sa_handler = stop};
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)sigaction(numbers[i], &action, NULL);
    (void)signal(SIGTSTP, SIG_IGN);
    *care = (struct care){.go_on = go_on};
}

void care_end(void)
{
    if (began)
        progress_clear(&progress);
}

int care_failed(const struct care *care, spn_err err)
{
    care_end();
    cli_error(care->why, NULL);
    return err == SPN_E_END ? CLI_NOT_FOUND : CLI_FAILURE;
}
