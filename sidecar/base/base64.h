/* SPDX-License-Identifier: Apache-2.0 */
/* base64: bytes as text (RFC 4648): padded, as section 4 has it, for JSON; and without padding in
 * an alphabet that a URL carries unchanged, as section 5 has it, for tokens. No line ends.
 *
 * Each sequence of bytes has one text. Every other text is refused: with other padding, with other
 * characters, or with bits in its last character that belong to no byte.
 *
 * Borrows  the bytes, during the call.
 * Threads  pure functions on the caller's memory.
 */
#ifndef SPN_BASE_BASE64_H
#define SPN_BASE_BASE64_H

#include <stdbool.h>

#include "base/out.h"

void base64_put(struct out *out, struct spn_bytes bytes);

/* Appends the bytes that the text stands for. False: it is not such a text, and nothing is
 * appended. Memory that runs out is in out->error. */
bool base64_take(struct spn_bytes text, struct out *out);

/* Length of the text of so many bytes without padding. */
#define BASE64URL_SIZE(bytes) (((bytes)*4 + 2) / 3)

/* Writes BASE64URL_SIZE(bytes.size) characters, and no NUL. */
void base64url_write(struct spn_bytes bytes, char *ret_text);

void base64url_put(struct out *out, struct spn_bytes bytes);

/* False: it is not the text of any bytes, or of more than capacity. */
bool base64url_read(struct spn_bytes text, uint8_t *ret_bytes, size_t capacity, size_t *ret_size);

#endif
