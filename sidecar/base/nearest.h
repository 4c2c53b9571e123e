/* SPDX-License-Identifier: Apache-2.0 */
/* nearest: which word did a person mean?
 *
 * Owns     nothing.
 * Threads  pure functions.
 */
#ifndef SPN_BASE_NEAREST_H
#define SPN_BASE_NEAREST_H

#include <stddef.h>

/* The distance of two words: how many letters must be changed, added, left out, or swapped with
 * their neighbour. Words of more than 64 bytes are as far apart as can be: SIZE_MAX. */
size_t nearest_distance(const char *a, const char *b);

/* The word that is nearest to `typed`; of several, the first. NULL: none is near enough, which
 * allows one change for each three letters, and one at least. count words. */
const char *nearest_word(const char *typed, const char *const *words, size_t count);

#endif
