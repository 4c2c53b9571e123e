/* SPDX-License-Identifier: Apache-2.0 */
/* key_file: the file that the keys are in.
 *
 * It holds secrets, so it is refused unless it is a regular file of this user or of root that
 * nobody else can read or write. Its group may read it if it belongs to root: that is how root
 * gives it to a service. A link is followed, and what it leads to is judged.
 *
 * Threads  any.
 */
#ifndef SPN_TOKEN_KEY_FILE_H
#define SPN_TOKEN_KEY_FILE_H

#include "token/keys.h"

enum { KEY_FILE_SIZE_MAX = 64 * 1024 };

/* Reads the file again from its beginning to its end. SPN_E_SYSTEM: it cannot be opened or read,
 * see errno. SPN_E_INVALID: it is refused; ret_why says why, and never a key. Otherwise *ret_keys
 * is yours until keys_free. On failure it is untouched, so a set that is in use stays in use. */
spn_err key_file_read(const char *path, struct keys **ret_keys,
                      char ret_why[KEYS_WHY_SIZE]) SPN_MUST_USE;

#endif
