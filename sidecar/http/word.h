/* SPDX-License-Identifier: Apache-2.0 */
/* word: small functions on the bytes of a request: targets and the values of headers.
 *
 * Borrows  the bytes; what is returned points into them.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_WORD_H
#define SPN_HTTP_WORD_H

#include <stdbool.h>
#include <stddef.h>

#include "spn_err.h"

bool word_equals(struct spn_bytes word, struct spn_bytes other);
bool word_is(struct spn_bytes word, const char *text);

/* ASCII letters count the same in both cases. */
bool word_equals_caseless(struct spn_bytes word, struct spn_bytes other);
bool word_is_caseless(struct spn_bytes word, const char *text);

/* Without spaces and tabs at both ends. */
struct spn_bytes word_trim(struct spn_bytes word);

/* Returns what comes before the first such byte, and moves `rest` behind it. Without such a byte it
 * returns everything, and the rest has no data then. */
struct spn_bytes word_cut(struct spn_bytes *rest, char at);

/* Like word_cut, but bytes in double quotes are not looked at (RFC 9110, 5.6.4). */
struct spn_bytes word_cut_unquoted(struct spn_bytes *rest, char at);

/* Whether it is not empty and has only the characters of tokens (RFC 9110, 5.6.2). */
bool word_is_token(struct spn_bytes word);

/* UTF-8 without control characters: what the sidecar bears in names. */
bool word_is_text(struct spn_bytes word);

/* Replaces each %XX by its byte, once, in place. False: a % without two hexadecimal digits; the
 * bytes are then neither the old ones nor the new ones. */
bool word_decode(char *text, size_t *size);

#endif
