/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/care_work.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

enum { SHOW_EVERY_MS = 200 };

static volatile sig_atomic_t stopped;

static struct {
    const char *doing;
    bool shown; /* stderr is a terminal */
    bool drawn;
    uint64_t next_ns;
} progress;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

const char *care_size(uint64_t bytes, char ret_text[CARE_SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        size /= 1024;
    snprintf(ret_text, CARE_SIZE_TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
    return ret_text;
}

static void show(uint64_t done, uint64_t total)
{
    char texts[2][CARE_SIZE_TEXT];
    uint64_t now_ns = clock_monotonic_ns();
    if (!progress.shown || now_ns < progress.next_ns)
        return;
    progress.next_ns = now_ns + SHOW_EVERY_MS * UINT64_C(1000000);
    progress.drawn = true;
    uint64_t percent = total > 0 ? (done < total ? done : total) * 100 / total : 100;
    fprintf(stderr, "\r\033[K%s: %3" PRIu64 " %%, %s of %s", progress.doing, percent,
            care_size(done, texts[0]), care_size(total, texts[1]));
}

static bool go_on(void *owner, uint64_t done, uint64_t total)
{
    (void)owner;
    show(done, total);
    return stopped == 0;
}

/* SIGTSTP is not taken: a backup that stands still would keep the file growing. */
void care_begin(struct care *care, const char *doing)
{
    const struct sigaction action = {.sa_handler = stop};
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)sigaction(numbers[i], &action, NULL);
    (void)signal(SIGTSTP, SIG_IGN);
    progress.doing = doing;
    progress.shown = isatty(STDERR_FILENO);
    *care = (struct care){.go_on = go_on};
}

void care_end(void)
{
    if (progress.drawn)
        fputs("\r\033[K", stderr);
    progress.drawn = false;
}

int care_failed(const struct care *care, spn_err err)
{
    care_end();
    cli_error(care->why, NULL);
    return err == SPN_E_END ? CLI_NOT_FOUND : CLI_FAILURE;
}
