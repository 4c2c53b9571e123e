/* SPDX-License-Identifier: Apache-2.0 */
/* care: what the works of this folder share: how far they are, whether to stop, and words.
 *
 * Threads  the caller's.
 */
#ifndef SPN_CARE_H
#define SPN_CARE_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

enum { CARE_WHY_SIZE = 640 };

struct care {
    /* Called every few hundred pages; may be NULL. done and total: bytes. False: stop. */
    bool (*go_on)(void *owner, uint64_t done, uint64_t total);
    void *owner;
    char why[CARE_WHY_SIZE]; /* after a failure: its words, for a person */
};

/* Leaves "what: words" in care->why, and returns err. */
spn_err care_fail(struct care *care, spn_err err, const char *what, const char *words);
spn_err care_fail_errno(struct care *care, const char *what);
/* With the words of journal_detail. */
spn_err care_fail_store(struct care *care, spn_err err, const char *what);
/* Words for damage that pages found. */
spn_err care_fail_page(struct care *care, const char *what, const char *table, uint64_t page);

/* Gives an open file to the owner of a directory, if root runs this: the daemon that will use it is
 * not root. */
spn_err care_give_to_owner(struct care *care, int fd, const char *dir) SPN_MUST_USE;

#endif
