/* SPDX-License-Identifier: Apache-2.0 */
/* too_large: an event that was taken when the sidecar's limit was higher.
 *
 * Only the sidecar can say what became of it: an earlier one may have stored it. If none did, it is
 * refused, for which as much of its data is sent as is too large. The frame of all of it could be
 * one that closes the connection, again and again, and with it nothing else would pass.
 *
 * A part must never be stored as if it were the event. So it ends with a CR, which no event may
 * have: a sidecar that started meanwhile with a higher limit refuses it too.
 *
 * Borrows  the entry's bytes; what is returned points into them.
 * Threads  pure functions.
 */
#ifndef SPN_CLIENT_TOO_LARGE_H
#define SPN_CLIENT_TOO_LARGE_H

#include "client.h"

/* Whether this encoded entry is one. An entry that would fit a full batch is none: it can be sent.
 * None is before the limits are known. *ret_part: what too_large_put puts instead. */
bool too_large(const struct spn_client *client, const void *entry, size_t size,
               struct wire_entry *ret_part);

/* It takes wire_entry_size bytes. */
void too_large_put(struct wire_out *out, const struct wire_entry *part);

#endif
