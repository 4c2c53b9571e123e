/* SPDX-License-Identifier: Apache-2.0 */
/* json_text: strings of JSON, written by hand.
 *
 * jansson takes ten times as long for a line of an event as code that writes it by hand. Tests read
 * what is written here back with jansson.
 *
 * Borrows  the bytes, during the call.
 * Threads  pure functions on the caller's memory.
 */
#ifndef SPN_BASE_JSON_TEXT_H
#define SPN_BASE_JSON_TEXT_H

#include "base/out.h"

/* A JSON string with its quotes. The bytes must be UTF-8. Control characters and all line ends are
 * escaped, U+0085, U+2028 and U+2029 included. */
void json_put_string(struct out *out, struct spn_bytes bytes);

/* Puts a line of JSON that was made elsewhere, and escapes Unicode's line ends in it. In JSON these
 * can only be inside strings. */
void json_put_line(struct out *out, struct spn_bytes json);

#endif
