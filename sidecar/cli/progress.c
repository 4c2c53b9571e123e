/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    AFTER_MS = 1000,
    EVERY_MS = 200,
    BAR_MAX = 30,
    BAR_MIN = 5,
    WORDS_SIZE = 160,
};

static int64_t now_ms(void)
{
    return (int64_t)(clock_monotonic_ns() / 1000000u);
}

void progress_init(struct progress *progress, const char *unit, uint64_t total, bool to_terminal)
{
    *progress = (struct progress){
        .look = look_of(STDERR_FILENO),
        .unit = unit,
        .total = total,
        .began_ms = now_ms(),
    };
    progress->on = progress->look.terminal && !(to_terminal && isatty(STDOUT_FILENO));
}

static char *amount(const struct progress *progress, uint64_t number, char *ret_text)
{
    return progress->unit ? look_count(number, ret_text) : look_bytes(number, ret_text);
}

/* "1,200 of 4,000 events, 300/s, 9 s left" */
static void put_words(const struct progress *progress, uint64_t done, int64_t elapsed_ms,
                      char words[WORDS_SIZE])
{
    char of[LOOK_TEXT_SIZE] = "";
    char number[LOOK_TEXT_SIZE];
    char rate[LOOK_TEXT_SIZE];
    char left[LOOK_TEXT_SIZE];
    double per_ms = elapsed_ms > 0 ? (double)done / (double)elapsed_ms : 0;
    if (progress->total > 0)
        amount(progress, progress->total, of);
    int size = snprintf(words, WORDS_SIZE, "%s%s%s%s%s, %s/s", amount(progress, done, number),
                        *of ? " of " : "", of, progress->unit ? " " : "",
                        progress->unit ? progress->unit : "",
                        amount(progress, (uint64_t)(per_ms * 1000), rate));
    if (progress->total > done && per_ms > 0) {
        double ms = (double)(progress->total - done) / per_ms;
        uint64_t whole_s = (uint64_t)(ms / 1000) + 1;
        if (ms < 1e12)
            snprintf(words + size, WORDS_SIZE - (size_t)size, ", %s left",
                     look_span(whole_s * 1000, left));
    }
}

void progress_line(const struct progress *progress, uint64_t done, int64_t elapsed_ms,
                   char ret_line[PROGRESS_LINE_SIZE])
{
    static const char full[] = "##############################";
    static const char empty[] = "..............................";
    char words[WORDS_SIZE];
    unsigned width = progress->look.width - 1; /* in the last column some terminals wrap */
    if (progress->total > 0 && done > progress->total)
        done = progress->total;
    put_words(progress, done, elapsed_ms, words);
    size_t used = strlen(words) + sizeof("[] 100 % ") - 1;
    unsigned bar = used < width ? width - (unsigned)used : 0;
    bar = bar < BAR_MAX ? bar : BAR_MAX;
    if (progress->total == 0 || bar < BAR_MIN) {
        snprintf(ret_line, PROGRESS_LINE_SIZE, "%.*s", (int)width, words);
        return;
    }
    double part = (double)done / (double)progress->total;
    int filled = (int)(part * bar);
    snprintf(ret_line, PROGRESS_LINE_SIZE, "[%.*s%.*s] %3d %% %s", filled, full, (int)bar - filled,
             empty, (int)(part * 100), words);
}

void progress_set(struct progress *progress, uint64_t done)
{
    char line[PROGRESS_LINE_SIZE];
    if (!progress->on)
        return;
    int64_t now = now_ms();
    if (now - progress->began_ms < AFTER_MS || now - progress->shown_ms < EVERY_MS)
        return;
    progress->shown_ms = now;
    progress->shown = true;
    progress_line(progress, done, now - progress->began_ms, line);
    fprintf(stderr, "\r\033[K%s", line);
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
