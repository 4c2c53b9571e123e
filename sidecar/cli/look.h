/* SPDX-License-Identifier: Apache-2.0 */
/* look: how output looks to a person at a terminal.
 *
 * A program that reads a pipe gets plain numbers, RFC 3339 times and no colour. A person gets sizes
 * and times in words, and tables that fit the width of the terminal.
 *
 * Owns     nothing.
 * Units    milliseconds, bytes.
 * Threads  one.
 */
#ifndef SPN_CLI_LOOK_H
#define SPN_CLI_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/out.h"

struct look {
    bool terminal;
    bool colour; /* not with NO_COLOR, nor with TERM=dumb */
    bool utf8;
    unsigned width; /* of the terminal, in columns */
};

struct look look_of(int fd);

/* X(name, escape sequence) */
#define LOOK_COLOUR_MAP(X)                                                                         \
    X(BOLD, "1")                                                                                   \
    X(DIM, "2")                                                                                    \
    X(RED, "31")                                                                                   \
    X(GREEN, "32")                                                                                 \
    X(YELLOW, "33")

enum look_colour {
#define LOOK_COLOUR_ENUM(name, escape) LOOK_##name,
    LOOK_COLOUR_MAP(LOOK_COLOUR_ENUM)
#undef LOOK_COLOUR_ENUM
};

/* The text that begins a colour, and that ends all of them. "" without colours. */
const char *look_begin(const struct look *look, enum look_colour colour);
const char *look_end(const struct look *look);

enum { LOOK_TEXT_SIZE = 32 };

/* Each returns ret_text. */
char *look_bytes(uint64_t bytes, char ret_text[LOOK_TEXT_SIZE]); /* "812 B", "1.2 MiB" */
char *look_count(uint64_t count, char ret_text[LOOK_TEXT_SIZE]); /* "1,234,567" */
char *look_short(uint64_t count, char ret_text[LOOK_TEXT_SIZE]); /* "812", "1.23 M" */
/* All digits up to ten millions, then as look_short: at most 9 columns. */
char *look_amount(uint64_t count, char ret_text[LOOK_TEXT_SIZE]);
char *look_span(uint64_t ms, char ret_text[LOOK_TEXT_SIZE]); /* "250 ms", "2 h 5 min" */
/* "12 s ago", or the date when it is months ago. A time to come is "now". */
char *look_ago(uint64_t time_ms, uint64_t now_ms, char ret_text[LOOK_TEXT_SIZE]);

/* Puts text in a column: filled up with spaces, or cut with an ellipsis, which is counted in
 * columns, not in bytes. A pipe gets all of it. right: spaces come first. */
void look_put(struct out *out, const struct look *look, struct spn_bytes text, unsigned width,
              bool right);

/* -- tables ------------------------------------------------------------------------------------ */

struct look_column {
    const char *head;
    unsigned width; /* of the last column: the least */
    bool right;
};

enum { LOOK_COLUMNS_MAX = 16 };

/* The last column is a name, and takes the width that is left. When too little is left, columns
 * before it are left out, from the right. */
struct look_table {
    struct look look;
    const struct look_column *columns;
    unsigned count;
    unsigned shown; /* of the columns before the name */
    unsigned name_width;
};

void look_table_init(struct look_table *table, const struct look *look,
                     const struct look_column *columns, unsigned count);
void look_table_heads(const struct look_table *table, struct out *out);
/* texts: as many as columns were given to init. colour: of column `coloured`; -1: of none. */
void look_table_row(const struct look_table *table, struct out *out, const struct spn_bytes *texts,
                    int coloured, enum look_colour colour);

#endif
