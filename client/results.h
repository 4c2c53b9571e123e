/* SPDX-License-Identifier: Apache-2.0 */
/* results: how tickets ended, kept until the app fetches it.
 *
 * Results are kept as runs of consecutive tickets that ended alike. Nearly all tickets are stored:
 * a million of those take one run. Tickets are added in ascending order and taken out in any order.
 *
 * Owns     the runs; at most unread_max tickets are kept, then the oldest are dropped.
 * Threads  those of its owner.
 */
#ifndef SPN_CLIENT_RESULTS_H
#define SPN_CLIENT_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "sponson.h"

struct results_run {
    uint64_t first;
    uint32_t count;
    spn_result result;
    spn_err code;
};

struct results {
    struct results_run *runs; /* ascending; in use: head .. head + count - 1 */
    size_t head;
    size_t count;
    size_t capacity;
    uint64_t unread;
    uint64_t unread_max;
};

void results_init(struct results *results, uint64_t unread_max);
void results_release(struct results *results); /* takes a struct that was only zeroed */

/* Adds count tickets from first on; they are above all that were added before. Without memory for
 * one more run the oldest run is dropped to make room. */
void results_add(struct results *results, uint64_t first, uint64_t count, spn_result result,
                 spn_err code);

/* Takes out the lowest ticket; false: there is none. */
bool results_next(struct results *results, struct spn_ack *ret_ack);
/* Takes out one ticket; false: it is not here. */
bool results_take(struct results *results, uint64_t ticket, struct spn_ack *ret_ack);

/* Whether the ticket's result is here, and whether it is a refusal. */
bool results_has(const struct results *results, uint64_t ticket);
bool results_has_refused(const struct results *results, uint64_t ticket);

/* The results of first .. last that are still unread become lost. Adds to by_result[spn_result] how
 * many of them had each result before. */
void results_lose(struct results *results, uint64_t first, uint64_t last,
                  uint64_t by_result[SPN_LOST + 1]);

#endif
