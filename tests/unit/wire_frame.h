/* SPDX-License-Identifier: Apache-2.0 */
/* wire_frame: a frame of any type, read to its end and written again as it is read.
 *
 * For what wants to look at all messages alike: test_wire compares the bytes and the text with the
 * examples of PROTOCOL.md, fuzz_wire the bytes with what came in.
 *
 * Owns     nothing.
 * Threads  pure functions.
 */
#ifndef SPN_TESTS_WIRE_FRAME_H
#define SPN_TESTS_WIRE_FRAME_H

#include <stdbool.h>

#include "wire.h"

enum wire_frame_end {
    WIRE_FRAME_WHOLE,  /* read to the end, and written: out has it all unless out.bad */
    WIRE_FRAME_LIES,   /* a header of ours, and then something that the protocol does not allow */
    WIRE_FRAME_UNREAD, /* wire_get_header said no */
    WIRE_FRAME_TYPE,   /* no such message */
};

/* text: NULL, or room for a line that names every field and its value; cut off where it ends.
 * Touches every byte that was decoded. */
enum wire_frame_end wire_frame_copy(struct spn_bytes frame, struct wire_out *out, char *text,
                                    size_t text_size);

/* Whether a frame of this type may have parts that are skipped, and are not written again. */
bool wire_frame_has_skipped(uint8_t type);

#endif
