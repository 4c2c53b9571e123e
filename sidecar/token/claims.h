/* SPDX-License-Identifier: Apache-2.0 */
/* claims: the JSON in a token whose signature is good.
 *
 * Owns     nothing.
 * Units    seconds since 1970.
 * Errors   words that name the member, and never what it says. NULL: none.
 * Threads  pure functions.
 */
#ifndef SPN_TOKEN_CLAIMS_H
#define SPN_TOKEN_CLAIMS_H

#include "base/out.h"
#include "token/grant.h"

enum {
    CLAIMS_AHEAD_MAX_S = 24 * 60 * 60, /* how far ahead a token may end */
    CLAIMS_LEEWAY_S = 60,              /* how late our clock may be when a JWT begins to be valid */
};

/* Fills rights, name and expires_s from {"exp": …, "n" or "p": "…", "r": "…"}. Another member is an
 * error: it may be a condition that this version does not know. */
const char *claims_read(struct spn_bytes json, uint64_t now_s, struct grant *ret_grant);

/* Appends that JSON. False: there is no memory. */
bool claims_put(const struct grant *grant, struct out *out);

/* The same from the claims of a JWT (RFC 7519): "exp", and n or p, and r in an object "sponson".
 * "nbf" and "aud" hold if they are there; others are ignored. */
const char *claims_read_jwt(struct spn_bytes json, uint64_t now_s, struct grant *ret_grant);

/* Checks the header of a JWT against the key that has proved its signature. */
const char *claims_check_header(struct spn_bytes json, const char *algorithm, const char *kid);

#endif
