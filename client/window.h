/* SPDX-License-Identifier: Apache-2.0 */
/* window: the events a producer still holds, encoded as they go over the wire.
 *
 *      base              sent                 next
 *       |                 |                    |
 *   ----[ 7 ][ 8 ][  9  ][ 10 ][ 11 ]..........
 *       ^ kept until the ack level is reached  ^ the next event's number
 *
 * Entries lie one after the other in a ring of bytes, each in one piece. An entry that does not fit
 * before the ring's end goes to its start. So a batch is one piece of bytes, cut where the ring
 * wraps.
 *
 * Owns     the ring and an index of where each entry starts.
 * Borrows  the bytes of an event: copied before the call returns.
 * Lends    a cut: valid until something is put or released.
 * Units    bytes; offsets are virtual: 32 bits that wrap, masked by the ring's size, a power of
 *          two.
 * Threads  those of its owner.
 */
#ifndef SPN_CLIENT_WINDOW_H
#define SPN_CLIENT_WINDOW_H

#include <stdbool.h>

#include "wire.h"

enum {
    WINDOW_BYTES_MAX = 1 << 30,
    WINDOW_EVENTS_MAX = 1 << 24,
};

struct window {
    uint8_t *bytes;
    uint32_t *starts; /* by number: virtual offset of the entry */
    uint32_t bytes_mask;
    uint32_t starts_mask;
    uint32_t bytes_max;
    uint32_t events_max;
    uint64_t base; /* lowest number held; == next if none is held */
    uint64_t next; /* the number that the next event gets */
    uint32_t head; /* where the entry of base starts */
    uint32_t tail; /* where the newest entry ends */
};

/* Some entries in one piece. */
struct window_cut {
    const uint8_t *bytes;
    size_t size;
    uint32_t count;
};

/* entry_max: bytes of the largest possible entry; an empty window has room for it even if bytes_max
 * is less. SPN_E_NOMEM; SPN_E_INVALID: over WINDOW_BYTES_MAX or WINDOW_EVENTS_MAX. */
spn_err window_init(struct window *window, size_t bytes_max, size_t events_max, size_t entry_max,
                    uint64_t first) SPN_MUST_USE;
void window_release(struct window *window); /* takes a struct that was only zeroed */

bool window_has_room(const struct window *window, size_t entry_size);
/* Takes the entry under number window->next. Only after window_has_room. */
void window_put(struct window *window, const struct wire_entry *entry, size_t entry_size);

/* Entries from number first on, base <= first < next: at least one, then as many as both limits
 * allow. */
struct window_cut window_cut(const struct window *window, uint64_t first, size_t bytes_max,
                             uint32_t count_max);
/* Bytes from the entry of number first to the end of the newest, including any left free at the
 * ring's end. */
size_t window_bytes_from(const struct window *window, uint64_t first);

/* Forgets every number below base; window->base <= base <= window->next. */
void window_forget(struct window *window, uint64_t base);

#endif
