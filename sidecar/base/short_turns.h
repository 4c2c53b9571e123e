/* SPDX-License-Identifier: Apache-2.0 */
/* short_turns: how long must the daemon wait for a processor that others are using?
 *
 * The kernel gives processors in turns of some milliseconds. An event passes through four threads
 * of the daemon before it is acknowledged, and each of them may have to wait for the end of
 * somebody's turn. A thread that asks for shorter turns gets them sooner, and no more time in all.
 * With publishers and a follower on two processors, a quarter more events were stored a second.
 *
 * Linux 6.12 and later take such a wish, without any right. Earlier ones ignore it.
 *
 * Units    nanoseconds.
 * Threads  the calling one, and those that it starts later.
 */
#ifndef SPN_SHORT_TURNS_H
#define SPN_SHORT_TURNS_H

#include <stdint.h>

enum { SHORT_TURN_NS = 100000 }; /* the shortest that the kernel gives */

/* Leaves nice and policy as they are. Does nothing for a thread that the kernel does not share a
 * processor among others with, such as one in real time. */
void short_turns_ask(void);

#endif
