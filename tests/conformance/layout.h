/* SPDX-License-Identifier: Apache-2.0 */
/* layout: which fields does each message have? Read from layouts.txt, which says how it is written.
 *
 * Nothing here, nor in any file of this folder but client*.c, shares code with the project: what is
 * wrong in the one is not wrong in the same way in the other.
 *
 * Owns     the tables, to the end of the process.
 * Errors   a text that cannot be read ends the process with words.
 * Threads  one.
 */
#ifndef CONFORMANCE_LAYOUT_H
#define CONFORMANCE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAYOUT_NAME_SIZE = 24, LAYOUT_FIELDS_MAX = 40, HEADER_SIZE = 16 };

enum layout_kind {
    LAYOUT_NUMBER,
    LAYOUT_BYTES,
    LAYOUT_ZERO,
    LAYOUT_SHORT,
    LAYOUT_LONG,
    LAYOUT_SIZE,
    LAYOUT_SIZED,
    LAYOUT_BLOCK,
    LAYOUT_COUNT,
    LAYOUT_LIST,
    LAYOUT_ALL,
    LAYOUT_INCLUDE,
    LAYOUT_FIELDS,
};

struct layout_enum;
struct layout;

struct layout_field {
    char name[LAYOUT_NAME_SIZE];
    enum layout_kind kind;
    size_t size; /* of a number, bytes, zeros, a size, a count */
    const struct layout *of;
    const struct layout_enum *words;
    char when[LAYOUT_NAME_SIZE]; /* empty: always */
    bool when_bits;
    uint64_t when_value;
    bool bound, free;
};

/* A message, or a struct: number 0. */
struct layout {
    char name[LAYOUT_NAME_SIZE];
    uint8_t number;
    bool from_client;
    bool on[2]; /* by enum socket */
    struct layout_field fields[LAYOUT_FIELDS_MAX];
    size_t count;
};

enum socket { INGEST, READ };
extern const char *const socket_names[2];

void layout_load(void);
extern uint8_t layout_major, layout_minor;
/* NULL: there is none. */
const struct layout *layout_of_struct(const char *name);
const struct layout *layout_by_name(const char *name);
const struct layout *layout_by_number(uint8_t number);

/* Whether it has a field of this name, or one of its structs does. */
bool layout_has(const struct layout *layout, const char *name);

/* The word for a number; NULL: there is none, or no words. */
const char *layout_word(const struct layout_enum *words, uint64_t number);
/* A number in decimal, in hexadecimal after 0x, or a word. */
bool layout_number(const struct layout_enum *words, const char *text, uint64_t *ret_number);

#endif
