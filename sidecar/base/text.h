/* SPDX-License-Identifier: Apache-2.0 */
/* text: small functions on text that programs read and print.
 *
 * Owns     nothing; works on the caller's memory.
 * Units    milliseconds.
 * Threads  pure functions.
 */
#ifndef SPN_BASE_TEXT_H
#define SPN_BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

/* True: UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(struct spn_bytes bytes);

enum { TEXT_TIME_SIZE = sizeof("2025-01-01T00:00:00.000Z") };

/* Milliseconds since 1970 as RFC 3339 in UTC. RFC 3339 ends with the year 9999: later times give
 * its last millisecond. */
void text_time(uint64_t time_ms, char ret_text[TEXT_TIME_SIZE]);

enum { TEXT_QUOTED_SIZE = 128 };

/* The bytes in single quotes, for a message to a person. It is always one line: unprintable bytes
 * become \xNN, and long text is cut with an ellipsis. Returns ret_text. */
char *text_quote(struct spn_bytes bytes, char ret_text[TEXT_QUOTED_SIZE]);

/* Converts "1.5" seconds, or a number with the unit ms, s, m, h or d, to milliseconds, rounded up.
 * Returns NULL, or the error as text: it is not a time above 0, or it is over SPN_SPAN_MS_MAX. */
const char *text_span(const char *text, uint64_t *ret_ms);
/* The same for how long to wait: up to a year, and for INT_MAX ms at most. */
const char *text_wait(const char *text, int *ret_ms);

/* Parses a decimal number without sign or space, min to max. */
bool text_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count);

/* Below 0, 0 or above 0, as memcmp; of two that begin alike, the shorter one comes first. */
int text_compare(struct spn_bytes a, struct spn_bytes b);

#endif
