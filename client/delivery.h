/* SPDX-License-Identifier: Apache-2.0 */
/* delivery: what was sent, what came back, what to send next.
 *
 * One producer's side of the protocol as PROTOCOL.md has it under "What a client does". Pure: it
 * reads messages and cuts batches. Its owner sends and receives them and watches the clock.
 *
 *   every number <= acked has its one result       acked + 1 == window.base
 *   acked < sent <= window.next                     sent: the number to send next
 *   numbers < sent_end were sent at least once      sent <= sent_end
 *
 * Batching: with nothing in flight an event goes out at once. While an acknowledgement is
 * outstanding, events gather until there are DELIVERY_GATHER_EVENTS or _BYTES of them. So a lone
 * event never waits, and a stream fills its batches without a timer. A message costs both sides a
 * few microseconds. With 256 events or 64 KiB in it that cost is negligible, and the message is
 * still small compared with a commit, so that several are on their way while the disk syncs.
 *
 * Owns     window, results, counters.
 * Lends    a batch: valid until something is put or taken.
 * Threads  those of its owner.
 */
#ifndef SPN_CLIENT_DELIVERY_H
#define SPN_CLIENT_DELIVERY_H

#include "depends.h"
#include "results.h"
#include "window.h"

enum {
    DELIVERY_GATHER_EVENTS = 256,
    DELIVERY_GATHER_BYTES = 64 * 1024,
    DELIVERY_RUNS_UNTOLD_MAX = 1024, /* a quarter of what the sidecar keeps for a producer */
};

/* What the owner has to request from the sidecar on read.sock. */
enum delivery_need {
    DELIVERY_NOTHING,
    DELIVERY_BASE, /* the state, but only to report how many results are known */
    DELIVERY_STATE,
    DELIVERY_OPEN, /* nothing is sent until it is answered */
};

struct delivery_options {
    spn_level level;
    size_t window_bytes;
    size_t window_events;
    size_t entry_max;
    size_t batch_bytes_max;
    uint32_t batch_events_max;
};

struct delivery {
    struct window window;
    struct results results;
    struct depends depends;
    struct spn_counters counters;
    struct delivery_options options;
    uint64_t token;
    uint64_t acked;
    uint64_t sent;
    uint64_t sent_end;
    uint64_t accepted; /* highest number that the sidecar is known to have */
    uint64_t urgent;   /* numbers up to this one are sent without gathering */
    uint64_t probe;    /* not 0: only one batch, from this number on, until its outcome is known */
    uint64_t lost_end; /* losses below this number were counted already */
    uint64_t refusals_end; /* level none: refusals below this number were taken */
    uint64_t asked_acked;  /* acked when the last request went out */
    struct wire_mark seen; /* how far the sidecar's database is known to have been */
    uint64_t instance;     /* of the sidecar that sent the last state */
    uint64_t gone;         /* acknowledged events that a replaced database does not have */
    uint32_t round;
    uint32_t probe_events; /* events in that batch, at most */
    uint32_t backpressure; /* calls that found no room, not reported to the sidecar yet */
    uint32_t runs_untold;  /* runs of results since the base was last sent to the sidecar */
    bool telling;          /* the last request went out for DELIVERY_BASE */
    enum delivery_need need;
    bool moved;     /* there was progress; the owner clears it */
    spn_err failed; /* lasting: nothing is sent any more */
};

/* state: the answer to the first OPEN. SPN_E_NOMEM, SPN_E_INVALID. */
spn_err delivery_init(struct delivery *delivery, const struct delivery_options *options,
                      const struct wire_state *state) SPN_MUST_USE;
void delivery_release(struct delivery *delivery); /* takes a struct that was only zeroed */

/* Takes an event; only after window_has_room and, if it depends on another number, depends_reserve.
 * Returns its number. */
uint64_t delivery_put(struct delivery *delivery, const struct wire_entry *entry, size_t entry_size);

/* The lowest number whose result the sidecar has to keep, and with it all later ones. */
uint64_t delivery_base(struct delivery *delivery);

/* -- sending ----------------------------------------------------------------------------------- */

uint64_t delivery_in_flight(const struct delivery *delivery); /* sent, without a result */
/* Whether enough has gathered for a batch. */
bool delivery_gathered(const struct delivery *delivery);
/* Whether a batch should go out now. */
bool delivery_ready(const struct delivery *delivery);
/* The next batch; only when ready. */
struct window_cut delivery_cut(struct delivery *delivery, struct wire_batch *ret_batch);
/* Notes that this batch was sent. */
void delivery_sent(struct delivery *delivery, const struct wire_batch *batch);
/* Counts a call that found no room. */
void delivery_note_backpressure(struct delivery *delivery);
/* Everything taken so far goes out without gathering. */
void delivery_hurry(struct delivery *delivery);

/* -- what came back ---------------------------------------------------------------------------- */

/* Whether a message of ingest.sock, after its header, is for this producer: the token says so. */
bool delivery_owns(const struct delivery *delivery, uint8_t type, struct wire_in in);
/* Takes such a message. SPN_E_PROTOCOL: it is invalid; nothing of it was taken. *ret_detail: the
 * text of an ERROR. */
spn_err delivery_take(struct delivery *delivery, uint8_t type, struct wire_in in,
                      struct spn_bytes *ret_detail) SPN_MUST_USE;
/* Whether the base should be sent to the sidecar although there is no batch to send. The sidecar
 * takes no more events of a producer while it has to keep too many of its results. */
bool delivery_owes_base(const struct delivery *delivery);
/* Notes that an OPEN or STATE goes out. */
void delivery_asked(struct delivery *delivery);
/* Takes the answer to it, at its body. SPN_E_PROTOCOL as above. */
spn_err delivery_take_state(struct delivery *delivery, bool opened, struct wire_in in) SPN_MUST_USE;
/* Takes an error that answers a batch, an OPEN or a STATE. */
void delivery_take_error(struct delivery *delivery, spn_err code);

#endif
