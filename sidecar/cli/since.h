/* SPDX-License-Identifier: Apache-2.0 */
/* since: a moment of the past, as a person names it.
 *
 * Output that is limited by it begins with the first event that the sidecar stored then or later,
 * by its wall clock, and goes on with all that follow. So nothing is left out in the middle if that
 * clock was set back.
 *
 * Owns     nothing.
 * Units    milliseconds since 1970.
 * Threads  pure functions.
 */
#ifndef SPN_CLI_SINCE_H
#define SPN_CLI_SINCE_H

#include <stdbool.h>
#include <stdint.h>

#define SINCE_HELP                                                                                 \
    "begin with what was stored then or later: so long ago, such as 90s, 10m, 2h, 7d, or a time, " \
    "such as 2026-01-31, 2026-01-31T08:30:00Z or 2026-01-31T08:30:00+02:00"

/* False: it is no such text. now_ms: the wall time. */
bool since_parse(const char *text, uint64_t now_ms, uint64_t *ret_ms);

struct since {
    uint64_t from_ms; /* 0: from the beginning */
    bool begun;
};

/* Whether what was stored at this time, in the order of the log, is printed. */
bool since_takes(struct since *since, uint64_t time_ms);

#endif
