/* SPDX-License-Identifier: Apache-2.0 */
/* random: bytes that nobody can guess.
 *
 * Handed on as a function pointer, so that tests give their own.
 *
 * Threads  any.
 */
#ifndef SPN_RANDOM_H
#define SPN_RANDOM_H

#include <stddef.h>

#include "spn_err.h"

/* Fills all of it. SPN_E_SYSTEM: see errno. */
spn_err random_fill(void *bytes, size_t size) SPN_MUST_USE;

#endif
