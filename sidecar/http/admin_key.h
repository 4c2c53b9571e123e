/* SPDX-License-Identifier: Apache-2.0 */
/* admin_key: who may see the page: a token that is good for one use, and the cookie that it buys.
 *
 * The token is printed, so it may be in a log or a terminal's history: that is why it is good for
 * one use. The cookie is printed nowhere.
 *
 * Owns     nothing; works on the caller's memory.
 * Threads  one.
 */
#ifndef SPN_HTTP_ADMIN_KEY_H
#define SPN_HTTP_ADMIN_KEY_H

#include <stdbool.h>

#include "spn_err.h"

#define ADMIN_KEY_COOKIE "sponson-admin"

enum { ADMIN_KEY_BYTES = 24, ADMIN_KEY_SIZE = 2 * ADMIN_KEY_BYTES + 1 };

struct admin_key {
    char token[ADMIN_KEY_SIZE]; /* empty: there is none, or it was used */
    char cookie[ADMIN_KEY_SIZE];
};

/* A new token. The first call makes the cookie, too; it stays. fill: random_fill. */
spn_err admin_key_renew(struct admin_key *key,
                        spn_err (*fill)(void *bytes, size_t size)) SPN_MUST_USE;

/* True: it is the token, and it is used up now. */
bool admin_key_use(struct admin_key *key, struct spn_bytes token);

/* Whether the value of a Cookie header has the cookie. */
bool admin_key_is_in(const struct admin_key *key, struct spn_bytes header);

#endif
