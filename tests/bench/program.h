/* SPDX-License-Identifier: Apache-2.0 */
/* program: what all programs that print figures need: how they fail, their time, their memory,
 * their command line.
 *
 * Errors   each ends the program: words on standard error, after its name, and exit code 1.
 * Units    nanoseconds of the monotonic clock.
 * Threads  any.
 */
#ifndef SPN_BENCH_PROGRAM_H
#define SPN_BENCH_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "cli/hist.h"

#define NS_PER_S UINT64_C(1000000000)

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(void);

/* Zeros. The caller's to free. */
void *must_have(size_t size);

/* The percentile of nanoseconds, in microseconds. */
double us(const struct hist *hist, double percent);

struct number {
    const char *name; /* ends in = */
    uint64_t *value;
    uint64_t min;
    uint64_t max;
};

/* NAME=VALUE of the command line. */
void parse_number(const struct number *numbers, size_t count, const char *word);

#endif
