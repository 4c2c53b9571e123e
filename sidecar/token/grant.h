/* SPDX-License-Identifier: Apache-2.0 */
/* grant: what a token allows, to which sessions, and until when.
 *
 * Names are compared byte by byte, so they are given here exactly as they go to the sidecar.
 *
 * Owns     its name.
 * Units    seconds since 1970.
 * Threads  pure functions.
 */
#ifndef SPN_TOKEN_GRANT_H
#define SPN_TOKEN_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

enum {
    GRANT_READ = 1,
    GRANT_WRITE = 2,
    GRANT_DELETE = 4,
    GRANT_LIST = 8,
};

struct grant {
    unsigned rights; /* GRANT_... */
    bool is_prefix;  /* the name is the beginning of those that are meant */
    size_t name_size;
    char name[WIRE_SESSION_MAX];
    uint64_t expires_s; /* valid before this second */
    uint64_t key_mark;  /* of the key that signed it: see keys_have */
};

/* Sets the rights to those of the letters r, w, d and l, each at most once. NULL, or why not. */
const char *grant_set_rights(struct grant *grant, struct spn_bytes letters);

/* Grants one session, or all that begin with a prefix: one that ends in '/', or is empty. NULL, or
 * why not. */
const char *grant_set_name(struct grant *grant, struct spn_bytes name);
const char *grant_set_prefix(struct grant *grant, struct spn_bytes prefix);

/* Whether all these rights are granted to this session now. */
bool grant_allows(const struct grant *grant, unsigned rights, struct spn_bytes name,
                  uint64_t now_s);

/* The same for every session that begins with the prefix, those to come included. */
bool grant_allows_prefix(const struct grant *grant, unsigned rights, struct spn_bytes prefix,
                         uint64_t now_s);

#endif
