/* SPDX-License-Identifier: Apache-2.0 */
/* calls: requests, and which answer belongs to which request.
 *
 * A call lives in its owner's struct. Calls that wait for an answer are found by their request's
 * number, in a table of buckets: numbers follow each other, so a bucket has one call until there
 * are more calls than buckets. A request that is not answered is sent again by its owner when
 * calls_due says so: at once if the connection was lost, else after a second, then two, up to
 * eight.
 *
 * A call either repeats, or not. One that repeats sends the same request again under the same
 * number, and any answer to it will do. One that does not gets a new number each time, so that the
 * answer to an earlier request matches nothing and is dropped. A second answer to one number is
 * always dropped.
 *
 * Owns     the answer, until the call sends again, is cleared or is removed.
 * Lends    the bytes of the answer, for the same time.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_CALLS_H
#define SPN_CLIENT_CALLS_H

#include <stdbool.h>
#include <zmq.h>

#include "wire.h"

enum { CALLS_BUCKETS = 256 };

struct transport_socket;

struct call {
    struct call *next; /* in its bucket, while it waits */
    /* Called when an answer came, in the client's turn; NULL: the owner looks at `answered`. */
    void (*notify)(struct call *call);
    uint64_t request;  /* 0: there is no request */
    uint64_t again_ns; /* when to send again; 0: at once */
    uint64_t patience_ns;
    unsigned copies; /* of a request that repeats: sent, and not known to be refused */
    bool repeats;
    bool waits; /* a request was sent and has no answer yet */
    bool answered;
    bool blocked; /* there is a request to send; its socket took nothing */
    zmq_msg_t answer;
};

struct calls {
    struct call *buckets[CALLS_BUCKETS];
    uint64_t request; /* the newest number given */
};

void calls_init(struct call *call, bool repeats, void (*notify)(struct call *call));
void calls_remove(struct calls *calls, struct call *call);

/* Sends a request of this type with this body. A socket that takes nothing is not an error: the
 * call stays due. SPN_E_NOMEM, SPN_E_SYSTEM. */
spn_err calls_ask(struct calls *calls, struct call *call, struct transport_socket *socket,
                  enum wire_type type, const struct wire_out *body, uint64_t now_ns) SPN_MUST_USE;
/* Whether the request has to be sent (again) now. */
bool calls_due(const struct call *call, uint64_t now_ns);
/* Takes the message if it answers the request of a call; else leaves it. */
bool calls_take(struct calls *calls, zmq_msg_t *message);
/* The connection broke, and a request without an answer was lost with it. */
void calls_lost(struct call *call);
/* Drops the request and the answer. */
void calls_clear(struct calls *calls, struct call *call);
/* Drops the answer and requests it again at that time. */
void calls_put_off(struct call *call, uint64_t again_ns);

/* Opens an answer. SPN_OK: it is of this type and *ret_in stands at its body. Else the code of the
 * sidecar's ERROR, or SPN_E_VERSION, SPN_E_PROTOCOL; *ret_detail: the sidecar's text, if any. */
spn_err calls_read(struct call *call, enum wire_type type, struct wire_in *ret_in,
                   struct spn_bytes *ret_detail) SPN_MUST_USE;

/* Whether the code of an ERROR is not final. A sidecar that is stopping is about to be replaced by
 * another one. A sidecar where too many producers are being opened takes the next one a moment
 * later. A lack of room is final only if one copy of the request was sent: of several, one may be
 * refused and another one taken. */
bool calls_will_pass(const struct call *call, spn_err err);

#endif
