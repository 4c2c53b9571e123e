/* SPDX-License-Identifier: Apache-2.0 */
/* publish: POST: the events of a body go to a session.
 *
 * A body that is one event becomes one question, whose answer has the event's seq. Any other goes
 * through a producer of the gateway, event by event as they arrive; its body is read only as fast
 * as the sidecar acknowledges.
 *
 * Owns     each post, its body and its tally.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_PUBLISH_H
#define SPN_HTTP_PUBLISH_H

#include "http/body.h"
#include "http/gateway.h"

/* The bytes are copied. */
struct publish_request {
    struct spn_bytes session;
    struct body_options body;
    struct spn_publish_options options; /* life is borrowed during the call only */
    spn_level level;                    /* none: answered as soon as the events are taken */
    bool is_empty; /* there is no body: with `closes` in the options this closes the session */
};

/* Answers the exchange when its events are what the level says. */
void publish_begin(struct gateway *gateway, struct exchange *exchange,
                   const struct publish_request *request);

/* Ends the bodies that are event streams: each is answered when what was taken of it has results.
 */
void publish_end_all(struct gateway *gateway);

/* For lane_init. */
extern const struct lane_calls publish_lane_calls;

#endif
