/* SPDX-License-Identifier: Apache-2.0 */
/* text: small questions about text, for what the command line reads and prints.
 *
 * Owns     nothing; works on the caller's memory.
 * Units    milliseconds.
 * Threads  pure functions.
 */
#ifndef SPN_CLI_TEXT_H
#define SPN_CLI_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

/* UTF-8 after RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(struct spn_bytes bytes);

enum { TEXT_TIME_SIZE = sizeof("2025-01-01T00:00:00.000Z") };

/* Milliseconds since 1970 as RFC 3339 in UTC. RFC 3339 ends with the year 9999, and so does this:
 * later times give its last millisecond. */
void text_time(uint64_t time_ms, char ret_text[TEXT_TIME_SIZE]);

enum { TEXT_QUOTED_SIZE = 128 };

/* The bytes in single quotes for a message to a person, on one line whatever they are: what is not
 * printable becomes \xNN, and what is long is cut with an ellipsis. Returns ret_text. */
char *text_quote(struct spn_bytes bytes, char ret_text[TEXT_QUOTED_SIZE]);

/* "1.5" seconds to milliseconds, rounded up. NULL, or why not, in words: it is not a number above
 * 0, or it is over a year. */
const char *text_seconds(const char *text, int *ret_ms);

/* A decimal number without sign or space, min to max. */
bool text_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count);

#endif
