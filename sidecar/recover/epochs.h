/* SPDX-License-Identifier: Apache-2.0 */
/* epochs: a list of sessions, by their epochs.
 *
 * Recovery notes sessions that damage has affected: they are few, or there is little else to do.
 *
 * Owns     the list.
 * Threads  one at a time.
 */
#ifndef SPN_EPOCHS_H
#define SPN_EPOCHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

struct epochs {
    uint64_t *list;
    size_t count;
    size_t room;
};

void epochs_release(struct epochs *epochs); /* takes an object that was only zeroed */
/* SPN_E_NOMEM: nothing happened. */
spn_err epochs_add(struct epochs *epochs, uint64_t epoch) SPN_MUST_USE;
bool epochs_has(const struct epochs *epochs, uint64_t epoch);

#endif
