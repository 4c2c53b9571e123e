/* SPDX-License-Identifier: Apache-2.0 */
/* restore_spans: brings back which sessions end by themselves, from rows and from the log.
 *
 * A row has what was known at the checkpoint. The entries above it follow in their order.
 *
 * Borrows  the state that recovery fills.
 * Errors   SPN_E_NOMEM; SPN_E_CORRUPT: an entry has attributes that no sidecar stores.
 * Threads  recovery's.
 */
#ifndef SPN_RESTORE_SPANS_H
#define SPN_RESTORE_SPANS_H

#include "ingest/broker.h"
#include "store/journal.h"

spn_err restore_spans_of_row(struct broker_state *state, uint32_t slot, uint64_t epoch,
                             const struct record_row *row) SPN_MUST_USE;
/* Takes an event, a marker, or the end of a session. */
void restore_spans_activity(struct broker_state *state, uint32_t slot,
                            const struct record_entry *entry);
/* Takes attributes or a touch. closed: an entry above the checkpoint closed the session. */
spn_err restore_spans_of_entry(struct broker_state *state, struct journal_reader *reader,
                               uint32_t slot, const struct record_entry *entry,
                               bool closed) SPN_MUST_USE;

#endif
