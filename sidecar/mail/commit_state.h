/* SPDX-License-Identifier: Apache-2.0 */
/* commit_state: what the other threads see of the worker, and the worker of them.
 *
 * Threads  any: each field is written by the thread that is named there.
 */
#ifndef SPN_COMMIT_STATE_H
#define SPN_COMMIT_STATE_H

#include <stdatomic.h>

struct commit_state {
    atomic_uint_fast64_t durable;    /* the worker's: position up to which commits have returned */
    atomic_uint_fast64_t checkpoint; /* the worker's: position */
    atomic_uint trouble;             /* the worker's: spn_err of its last try to write; SPN_OK: it
                                        is healthy. A failure sets it. The next commit clears it,
                                        and so does what ends its cause without one: a rule that
                                        was written, or a quota that has room again */
    atomic_uint fatal;               /* the worker's, or the broker's: spn_err that ended the
                                        worker; SPN_OK: it runs */
    atomic_bool watched;             /* the reader's: somebody waits for events to become durable */
    atomic_bool draining;            /* the broker's: a signal came */
};

#endif
