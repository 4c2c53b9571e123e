/* SPDX-License-Identifier: Apache-2.0 */
/* absence: was a missing event deleted by retention?
 *
 * Trimming deletes what the rule hides: the present rule, or an earlier one; meta keeps the
 * narrowest. The quota deletes from the front of the log, and then the blocks whose entries it
 * deleted; meta keeps how far it came. An event that is gone for neither reason is damage. In doubt
 * it was retention: the age of an event is lost with the event, and its segment is lost with its
 * block.
 *
 * Borrows  the timeline, in its snapshot.
 * Threads  the reader's.
 */
#ifndef SPN_ABSENCE_H
#define SPN_ABSENCE_H

#include "index/timeline.h"

/* A walk reached `first` and found no event directly before it. `first` is in the index, whether or
 * not the event itself is there; or it is seq_last + 1, when no event follows. SPN_OK: the event
 * before it is there and hidden, or retention deleted it and all events before it. SPN_E_CORRUPT:
 * it is missing without a reason. */
spn_err absence_check(const struct timeline *timeline, uint64_t first) SPN_MUST_USE;

#endif
