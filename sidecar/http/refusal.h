/* SPDX-License-Identifier: Apache-2.0 */
/* refusal: answers that are written without libmicrohttpd, as whole texts.
 *
 * They end their connection.
 *
 * Owns     nothing.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_REFUSAL_H
#define SPN_HTTP_REFUSAL_H

#include "base/out.h"

/* The status line and the headers of the framing. More headers may follow, then an empty line. */
void refusal_write_head(struct out *out, unsigned status, size_t body_size);

/* The answer in place of one that the library would give by itself, with its status; also 408 for a
 * head. fault: words
 * of head_fault, or NULL. */
void refusal_write(struct out *out, unsigned status, const char *fault, size_t header_limit);

#endif
