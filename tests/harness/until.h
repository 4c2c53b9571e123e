/* SPDX-License-Identifier: Apache-2.0 */
/* until: waiting for something, but not for ever.
 *
 * A test never sleeps for a time that it hopes is long enough: it names what it waits for and the
 * latest moment. What comes in through a descriptor is polled for; the rest is looked at again and
 * again: a few milliseconds apart, and up to a tenth of a second in a wait that is long.
 *
 * Units    milliseconds in, nanoseconds of the monotonic clock inside. Programs built with
 * sanitizers, and programs on a machine that others keep busy, are given a multiple of the time:
 * what a test states is for a plain build on a quiet machine.
 * Threads  any.
 */
#ifndef SPN_UNTIL_H
#define SPN_UNTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The moment this many milliseconds from now. */
uint64_t until_in(int ms);
/* So many milliseconds of a quiet machine and a plain build, here and now. */
int until_patient_ms(int ms);
uint64_t until_now_ns(void);
bool until_over(uint64_t due_ns);
/* For poll: rounded up, 0 once it is over. */
int until_left_ms(uint64_t due_ns);

/* True: the descriptor is readable or hung up. False: the time is over. */
bool until_readable(uint64_t due_ns, int fd);

/* Looks until it sees what it wants. False: the time is over. */
bool until_true(uint64_t due_ns, bool (*look)(void *argument), void *argument);

/* Lets so much time pass. Not for waiting for something: for a moment chosen at random, or for what
 * a test wants to last. Not multiplied. */
void until_passed_us(unsigned us);

/* An amount of work for a plain build, made smaller where sanitizers make everything slower. */
size_t until_scaled(size_t amount);
bool until_sanitized(void);

#endif
