/* SPDX-License-Identifier: Apache-2.0 */
/* base64url: bytes as text that a URL carries unchanged (RFC 4648, section 5), without padding.
 *
 * Each sequence of bytes has one text. Every other text is refused: with padding, with other
 * characters, or with bits in its last character that belong to no byte.
 *
 * Threads  pure functions.
 */
#ifndef SPN_TOKEN_BASE64URL_H
#define SPN_TOKEN_BASE64URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/out.h"

/* Length of the text of so many bytes. */
#define BASE64URL_SIZE(bytes) (((bytes)*4 + 2) / 3)

/* Writes BASE64URL_SIZE(bytes.size) characters, and no NUL. */
void base64url_write(struct spn_bytes bytes, char *ret_text);

void base64url_put(struct out *out, struct spn_bytes bytes);

/* False: it is not the text of any bytes, or of more than capacity. */
bool base64url_read(struct spn_bytes text, uint8_t *ret_bytes, size_t capacity, size_t *ret_size);

#endif
