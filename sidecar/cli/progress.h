/* SPDX-License-Identifier: Apache-2.0 */
/* progress: a line on stderr that shows a person how far long work is.
 *
 * There is one only if stderr is a terminal and standard output is not the same one in use for the
 * result, and only after the work has taken a second. Whoever prints something else clears it
 * before.
 *
 * Owns     the last line of the terminal, while it is shown.
 * Threads  one.
 */
#ifndef SPN_CLI_PROGRESS_H
#define SPN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/look.h"

struct progress {
    struct look look; /* of stderr */
    const char *unit; /* of what is counted, such as "events"; NULL: bytes */
    uint64_t total;   /* 0: not known, so there is no bar */
    int64_t began_ms;
    int64_t shown_ms;
    bool on;
    bool shown;
};

/* Without a terminal, or if the result goes to it, nothing is ever shown. to_terminal: the result
 * is printed to standard output as the work goes on. */
void progress_init(struct progress *progress, const char *unit, uint64_t total, bool to_terminal);
/* So much is done. Call it as often as is easy: it shows five lines a second at most. */
void progress_set(struct progress *progress, uint64_t done);
void progress_clear(struct progress *progress);

/* The line itself, without control characters: for tests. */
enum { PROGRESS_LINE_SIZE = 512 };
void progress_line(const struct progress *progress, uint64_t done, int64_t elapsed_ms,
                   char ret_line[PROGRESS_LINE_SIZE]);

#endif
