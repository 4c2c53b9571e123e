/* SPDX-License-Identifier: Apache-2.0 */
/* token: from the text of a token to what it grants.
 *
 *   v1.KID.PAYLOAD.MAC        a session token: HMAC-SHA256 of everything before the last dot
 *   HEADER.CLAIMS.SIGNATURE   a JWT (RFC 7519) with HS256 or EdDSA
 *
 * All parts are base64url without padding. Nothing is decoded or parsed before a key has proved the
 * signature. A signature of 32 bytes is tried with secrets alone, one of 64 bytes with public keys
 * alone, and the header must name the algorithm of the key that fitted: no text chooses how it is
 * checked.
 *
 * Owns     nothing.
 * Units    seconds since 1970.
 * Threads  pure functions.
 */
#ifndef SPN_TOKEN_TOKEN_H
#define SPN_TOKEN_TOKEN_H

#include "token/claims.h"
#include "token/grant.h"
#include "token/keys.h"

enum { TOKEN_SIZE_MAX = 4096 };

/* NULL: it is valid now. Otherwise why not, in words that have nothing of it, and *ret_grant is
 * untouched. */
const char *token_check(const struct keys *keys, uint64_t now_s, struct spn_bytes text,
                        struct grant *ret_grant);

/* Whether two texts are the same, in a time that depends on their sizes alone. */
bool token_is_same(struct spn_bytes one, struct spn_bytes other);

/* Appends a session token for the grant. False: the key is public, or there is no memory; then out
 * may have a part of it. */
bool token_make(const struct key *key, const struct grant *grant, struct out *out);

#endif
