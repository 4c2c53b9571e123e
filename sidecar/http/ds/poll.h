/* SPDX-License-Identifier: Apache-2.0 */
/* ds_poll: the long polls of Durable Streams that wait for data: how many there may be, how long
 * each waits, and what ends all of them.
 *
 * Owns     the place of each among those that wait; the struct is its owner's.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_POLL_H
#define SPN_HTTP_DS_POLL_H

#include "http/stream.h"

struct ds_poll {
    struct link link;
    struct limits_seat seat;
    struct gateway *gateway; /* NULL: it does not wait */
    uint64_t key_mark;       /* of the token's key; 0: none */
    void (*end)(struct ds_poll *poll);
};

/* It waits from now on; poll->end is set, and is called when it has to be answered without data.
 * False: there are too many that wait, or streams. */
bool ds_poll_wait(struct gateway *gateway, struct ds_poll *poll,
                  const struct stream_options *options) SPN_MUST_USE;
/* How long it may wait. */
uint64_t ds_poll_ns(const struct gateway *gateway, const struct stream_options *options);
/* Takes one that does not wait, and zeros. */
void ds_poll_leave(struct ds_poll *poll);

void ds_poll_end_all(struct gateway *gateway);
/* Only those whose token was signed by a key that is there no more. */
void ds_poll_end_revoked(struct gateway *gateway);

#endif
