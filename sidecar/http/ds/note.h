/* SPDX-License-Identifier: Apache-2.0 */
/* ds_note: what the gateway keeps with an event of a Durable Stream beside its data, in the event's
 * note: who appended it, and under which numbers. It is stored in the same entry as the data, so
 * that neither is there without the other.
 *
 *     8 bytes   a mark, so that a note of another program is not taken for one of ours
 *     1 byte    flags
 *     with DS_NOTE_PRODUCER: 8 bytes epoch, 8 bytes seq, 1 byte size of the id, the id
 *     with DS_NOTE_SEQ:      1 byte size of the Stream-Seq, the Stream-Seq
 *
 * Numbers are big-endian. The data of an event with a note is escaped: see ds/text.h.
 *
 * Lends    texts: they are in the note's bytes.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_DS_NOTE_H
#define SPN_HTTP_DS_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

enum {
    DS_PRODUCER_ID_MAX = 255, /* bytes */
    DS_SEQ_MAX = 200,
    DS_NOTE_MARK_SIZE = 8,
    DS_NOTE_SIZE = DS_NOTE_MARK_SIZE + 1 + 8 + 8 + 1 + DS_PRODUCER_ID_MAX + 1 + DS_SEQ_MAX,
};

/* One append of a producer. */
struct ds_append {
    struct spn_bytes id;
    uint64_t epoch;
    uint64_t seq;
};

struct ds_note {
    bool has_producer;
    struct ds_append producer;
    struct spn_bytes seq; /* Stream-Seq; size 0: none */
};

/* Returns the size. The texts are not longer than they may be. */
size_t ds_note_write(const struct ds_note *note, uint8_t ret_bytes[DS_NOTE_SIZE]);

/* False: it is not such a note: somebody else published the event. */
bool ds_note_read(struct spn_bytes bytes, struct ds_note *ret_note);

#endif
