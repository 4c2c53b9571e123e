/* SPDX-License-Identifier: Apache-2.0 */
/* payloads: types and data of a measurement's events.
 *
 * Either one payload of a given size, or the events of a recorded text/event-stream, repeatedly.
 * Ids of a recording are left out: in the second round they would be duplicates.
 *
 * Owns     all bytes.
 * Lends    events: until payloads_release.
 * Units    sizes in bytes.
 * Threads  constant after it was made: any number of readers.
 */
#ifndef SPN_CLI_PAYLOADS_H
#define SPN_CLI_PAYLOADS_H

#include "sponson.h"

struct payloads {
    struct spn_event *events;
    size_t count;
    uint64_t bytes; /* of data, of all events together */
    char *memory;
};

/* Makes one payload of this size. SPN_E_NOMEM. */
spn_err payloads_make(struct payloads *payloads, size_t size) SPN_MUST_USE;

/* Makes those of a stream. SPN_E_END: there is no event in it. SPN_E_EVENT_TOO_LARGE: an event is
 * larger than any sidecar accepts. SPN_E_NOMEM. */
spn_err payloads_parse(struct payloads *payloads, struct spn_bytes stream) SPN_MUST_USE;

/* The same for a file. SPN_E_SYSTEM: see errno. */
spn_err payloads_read(struct payloads *payloads, const char *path) SPN_MUST_USE;

void payloads_release(struct payloads *payloads); /* takes a zeroed one */

/* The n-th event: they repeat. */
static inline const struct spn_event *payloads_at(const struct payloads *payloads, uint64_t n)
{
    return &payloads->events[n % payloads->count];
}

#endif
