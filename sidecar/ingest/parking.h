/* SPDX-License-Identifier: Apache-2.0 */
/* parking: frames that wait, and the producers whose frames may go on.
 *
 * A frame waits for its sessions to be loaded from disk, for its producer's share of the queue or
 * for room for its results. The producer's later frames wait after it.
 *
 * Frames that wait for their holder to take results may wait for ever. So all of them together get
 * about as much of the queue as one waiting producer may have; otherwise a few such holders would
 * leave nothing to the others.
 *
 * Owns     the parked frames.
 * Borrows  the share, where it counts producers that wait.
 * Threads  the broker's.
 */
#ifndef SPN_PARKING_H
#define SPN_PARKING_H

#include "ingest/share.h"
#include "net/router.h"

struct sender;

struct parking {
    struct share *share;
    size_t part_bytes_max; /* that the frames of one producer may take */
    size_t bytes;          /* of all parked frames */
    size_t held_bytes;     /* of those whose results have no room */
    struct sender *ready;  /* with parked frames that may go on */
    uint64_t again_ns;     /* they wait until then, since memory ran out; 0: they do not */
};

void parking_init(struct parking *parking, struct share *share, size_t queue_bytes_max);
/* The queue's mark is another one. */
void parking_limit(struct parking *parking, size_t queue_bytes_max);

/* Takes the frame over. If there is no room for it, it is not taken: a hole for the client. */
void parking_park(struct parking *parking, struct producer *producer, const struct peer *peer,
                  zmq_msg_t *frame);
/* The oldest of the producer's frames, and whom it came from; NULL: there is none. Lent until it is
 * dropped. */
zmq_msg_t *parking_first(const struct producer *producer, const struct peer **ret_peer);
void parking_drop_first(struct parking *parking, struct producer *producer);
void parking_drop_all(struct parking *parking, struct producer *producer);

/* All parked frames together take as much as those of one producer may. */
static inline bool parking_is_full(const struct parking *parking)
{
    return parking->bytes >= parking->part_bytes_max;
}

/* first: of the batch whose rest waits for room for its results; 0: none waits. */
void parking_set_held(struct parking *parking, struct producer *producer, uint64_t first);
/* Whether a frame that waits for room for its results, but was parked for another reason, may
 * stay: such frames may take one and a half times as much. */
bool parking_may_stay(const struct parking *parking, const struct producer *producer);

/* The producer's frames may go on. */
void parking_set_ready(struct parking *parking, struct producer *producer);
/* Memory ran out for what its first frame needs: all that may go on wait for a while. */
void parking_set_ready_later(struct parking *parking, struct producer *producer, uint64_t now_ns);
/* True: there are producers whose frames may go on now. parking_take_ready takes one of them. */
bool parking_has_ready(struct parking *parking, uint64_t now_ns);
struct producer *parking_take_ready(struct parking *parking);
/* When to look again, though nothing happened; UINT64_MAX: never. */
uint64_t parking_due_ns(const struct parking *parking);

#endif
