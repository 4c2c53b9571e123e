/* SPDX-License-Identifier: Apache-2.0 */
/* base64: bytes as text (RFC 4648, section 4: padded, no line ends).
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
 * appended. Text that base64_put would not write is not taken: each value has one text. Memory that
 * runs out is in out->error. */
bool base64_take(struct spn_bytes text, struct out *out);

#endif
