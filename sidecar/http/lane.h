/* SPDX-License-Identifier: Apache-2.0 */
/* lane: a producer of the gateway, which requests that publish streams share: those that want the
 * same level of acknowledgement.
 *
 * Each request has a tally. The lane knows to whose tally each ticket belongs, since results come
 * in the order of tickets. A tally may have an eighth of the window, so that a stream at full speed
 * leaves room for others. Who finds no room waits in a ring and is called in turn.
 *
 * A tally outlives its request: results of a peer that left are still counted off.
 *
 * Owns     the producer, tallies until their last result.
 * Borrows  the client; the owners of the tallies, until tally_leave.
 * Threads  one.
 */
#ifndef SPN_HTTP_LANE_H
#define SPN_HTTP_LANE_H

#include <stdbool.h>

#include "base/link.h"
#include "sponson.h"

/* What is in the window goes to disk before a request that comes now. With four times as much, 10
 * streams at full speed made the p99 of 50 connections that post single events 3.7 times what it is
 * without the streams; with this, 1.4 times. The streams had 117 and 80 MB/s. */
enum {
    LANE_WINDOW_EVENTS = 4096,
    LANE_WINDOW_BYTES = 4 * 1024 * 1024,
    LANE_SHARE = 8, /* a tally's part of the window */
};

struct tally {
    uint64_t taken;
    uint64_t outstanding;
    uint64_t outstanding_bytes;
    void *owner;         /* NULL: it left */
    struct link waiting; /* for room */
};

struct lane_entry {
    struct tally *tally;
    uint64_t index; /* of the event in its tally */
    size_t bytes;
};

/* What the lane calls, with the owner of a tally. */
struct lane_calls {
    /* The event with this number in its tally, from 0, has ended. */
    void (*on_result)(void *owner, uint64_t index, const struct spn_ack *ack);
    /* All have ended so far, or there is room. */
    void (*on_news)(void *owner);
};

struct lane {
    spn_client *client;
    spn_level level;
    bool has_id; /* that is kept; else each producer draws one */
    uint8_t id[SPN_PRODUCER_ID_SIZE];
    spn_producer *producer; /* NULL before the first event */
    struct lane_entry *entries;
    uint64_t first_ticket; /* of the oldest entry */
    uint64_t next_ticket;
    struct link waiting;
    struct lane_calls calls;
};

/* id: of the producer; NULL: one is drawn. */
void lane_init(struct lane *lane, spn_client *client, spn_level level, const uint8_t *id,
               const struct lane_calls *calls);
void lane_release(struct lane *lane);

struct tally *tally_new(void *owner);
void tally_leave(struct tally *tally); /* takes NULL */

/* SPN_E_BACKPRESSURE: there is no room for this tally; on_news follows. Others as spn_publish_with.
 */
spn_err lane_publish(struct lane *lane, struct tally *tally, struct spn_bytes session,
                     const struct spn_event *event, const struct spn_publish_options *options,
                     uint64_t *ret_ticket) SPN_MUST_USE;

/* For the gateway's turn: sends what has gathered, and counts the results that came. */
spn_err lane_turn(struct lane *lane) SPN_MUST_USE;

#endif
