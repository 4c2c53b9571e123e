/* SPDX-License-Identifier: Apache-2.0 */
/* waits: how often this program's calls waited.
 *
 * Stands in front of the system's calls that can wait (poll and its kind, sleeps, condition
 * variables), for the program and the libraries that it is linked with. Counted are calls of the
 * thread that began to count which were allowed to wait, whether or not they did.
 *
 * Owns     one count for the program.
 * Threads  one counts; the others are left alone.
 */
#ifndef SPN_TESTS_WAITS_H
#define SPN_TESTS_WAITS_H

/* Counts from here on, in this thread. */
void waits_begin(void);
/* How many there were since then; and stops. */
unsigned waits_end(void);

#endif
