/* SPDX-License-Identifier: Apache-2.0 */
/* absence: was it retention that took an event which is not there?
 *
 * Trimming takes what the rule hides: the rule of now, or an earlier one, of which meta keeps the
 * narrowest. The quota takes from the front of the log, and then blocks whose entries it took. What
 * is gone and was neither is damage. In doubt it was retention: how old an event was is gone with
 * it, and with its block, in which segment it was.
 *
 * Borrows  the timeline, in its snapshot.
 * Threads  the reader's.
 */
#ifndef SPN_ABSENCE_H
#define SPN_ABSENCE_H

#include "index/timeline.h"

/* A walk came to `first` and was given nothing right before it; first is in the index, whether or
 * not it is there itself, or seq_last + 1: there is none. SPN_OK: the event before it is there and
 * hidden, or retention took it, and then all the others before it. SPN_E_CORRUPT: it is missing for
 * no reason. */
spn_err absence_check(const struct timeline *timeline, uint64_t first) SPN_MUST_USE;

#endif
