/* SPDX-License-Identifier: Apache-2.0 */
/* program: an input as a row of choices, for the targets that make messages of it.
 *
 * Each choice takes bytes from the input, and 0 when there are none left. So any input is a
 * program, a change of a byte changes one choice, and most messages are well formed: what is wrong
 * with them is one field, or a few bytes at the end of their making.
 *
 * Borrows  the input.
 * Lends    texts: constants, or bytes of the input.
 * Threads  one.
 */
#ifndef SPN_TESTS_PROGRAM_H
#define SPN_TESTS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "fuzz_check.h"
#include "wire.h"

enum { PROGRAM_LIVES_MAX = 8 };

struct program {
    const uint8_t *at;
    const uint8_t *end;
    struct spn_life lives[PROGRAM_LIVES_MAX]; /* that the other side has named */
    size_t life_count;                        /* of all that came; the newest replace the oldest */
};

struct program program_of(const uint8_t *input, size_t size);
bool program_is_over(const struct program *program);

uint8_t program_byte(struct program *program);
/* Less than `sides`. */
uint8_t program_choose(struct program *program, uint8_t sides);
/* A number that is near to `near`, or one that is at an end of what it may be. */
uint64_t program_number(struct program *program, uint64_t near);

/* A valid one most times, from so few that they meet. */
struct spn_bytes program_session(struct program *program);
struct spn_bytes program_id(struct program *program);
/* Up to size_max bytes, of the input or of one letter; rarely more than may be. */
struct spn_bytes program_bytes(struct program *program, size_t size_max);
struct spn_life program_life(struct program *program);
void program_note_life(struct program *program, struct spn_life life);

/* An entry of any kind. number: its own, or near to it. scratch: holds what it points to. */
enum { PROGRAM_SCRATCH_SIZE = 2 * WIRE_ATTRIBUTES_MAX };
struct wire_entry program_entry(struct program *program, uint64_t number,
                                uint8_t scratch[PROGRAM_SCRATCH_SIZE]);

/* Writes an entry as it is, also one that proto/wire would not write. */
void program_put_entry(struct wire_out *out, const struct wire_entry *entry);
void program_put_item(struct wire_out *out, const struct wire_item *item);

/* Breaks a frame, or mostly does not. room: as many bytes may be there afterwards. */
size_t program_break(struct program *program, uint8_t *frame, size_t size, size_t room);

/* The frame decodes to its end, and is written again as the same bytes. */
void program_check_frame(const void *frame, size_t size);

#endif
