/* SPDX-License-Identifier: Apache-2.0 */
/* settings: the worker's options after a reload.
 *
 * The sender allocates it, the worker frees it.
 *
 * Threads  the broker's, then the worker's.
 */
#ifndef SPN_SETTINGS_H
#define SPN_SETTINGS_H

#include "base/mailbox.h"
#include "store/retention.h"

struct settings {
    struct message message; /* MESSAGE_SETTINGS */
    uint64_t quota_bytes;
    uint64_t map_bytes; /* quota and reserve */
    uint64_t session_ttl_ns;
    uint64_t flush_interval_ns;
    struct retention retention;
};

#endif
