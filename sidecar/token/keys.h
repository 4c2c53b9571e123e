/* SPDX-License-Identifier: Apache-2.0 */
/* keys: the keys that sign tokens, and those that prove who signed one.
 *
 * Their text has one key a line. Lines that begin with # are comments, and empty lines are allowed.
 *
 *   KID:SECRET           signs session tokens and HS256: 32 to 128 bytes in base64url
 *   KID:ed25519:PUBLIC   proves EdDSA: 32 bytes in base64url
 *
 * A kid is 1 to 64 characters of A-Z, a-z, 0-9, - and _. No two keys have the same kid, and none
 * has two kids: who takes one out then knows that its tokens are refused.
 *
 * Owns     the keys; secrets are overwritten when they are freed.
 * Lends    a key: valid until keys_free.
 * Threads  a set belongs to one thread.
 */
#ifndef SPN_TOKEN_KEYS_H
#define SPN_TOKEN_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/out.h"

enum {
    KEYS_MAX = 32,
    KEYS_PUBLIC_MAX = 8, /* a forged EdDSA token costs a check with each */
    KEYS_WHY_SIZE = 128,
    KEY_KID_MAX = 64,
    KEY_SECRET_MIN = 32,
    KEY_SECRET_MAX = 128,
    KEY_PUBLIC_SIZE = 32,
    KEY_MAC_SIZE = 32,       /* of HMAC-SHA256 */
    KEY_SIGNATURE_SIZE = 64, /* of Ed25519 */
};

struct keys;
struct key;

/* NULL: ret_why has the line and what is wrong with it, never a key. */
struct keys *keys_parse(struct spn_bytes text, char ret_why[KEYS_WHY_SIZE]);
void keys_free(struct keys *keys); /* takes NULL */

size_t keys_count(const struct keys *keys);
/* In the order of the text. NULL: there are not that many. */
const struct key *keys_at(const struct keys *keys, size_t index);
/* NULL: there is no such key. */
const struct key *keys_find(const struct keys *keys, struct spn_bytes kid);
/* The first secret: the one to sign with. NULL: there are public keys only. */
const struct key *keys_signer(const struct keys *keys);

/* Whether the key with this mark is there, unchanged. */
bool keys_have(const struct keys *keys, uint64_t mark);
const char *key_kid(const struct key *key);
bool key_is_public(const struct key *key);
/* A number that changes when the kid or the key does. It reveals neither. */
uint64_t key_mark(const struct key *key);

/* HMAC-SHA256 of the bytes. False: the key is public, or there is no memory. */
bool key_sign(const struct key *key, struct spn_bytes bytes, uint8_t ret_mac[KEY_MAC_SIZE]);

/* Whether a signature in base64url is that of the bytes: HMAC-SHA256 for a secret, Ed25519 for a
 * public key. A secret's is compared in a time that does not depend on it. */
bool key_proves(const struct key *key, struct spn_bytes bytes, struct spn_bytes signature);

/* Appends a line of the text: this kid and a new secret. SPN_E_INVALID: not a kid. SPN_E_SYSTEM:
 * there are no random bytes. */
spn_err key_put_new(struct spn_bytes kid, struct out *out) SPN_MUST_USE;

#endif
