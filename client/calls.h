/* SPDX-License-Identifier: Apache-2.0 */
/* calls: questions on read.sock, and which answer belongs to which.
 *
 * A call lives in its owner's struct. Asking gives it a new request number, so that the answer to
 * what it asked before is nobody's and is dropped. A question that is not answered is asked again
 * by its owner when calls_due says so: at once when the connection was lost with it, else after a
 * second, then two, up to eight.
 *
 * Owns     the answer, until the call asks again, is cleared or is removed.
 * Lends    the bytes of the answer for as long.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_CALLS_H
#define SPN_CLIENT_CALLS_H

#include <stdbool.h>
#include <zmq.h>

#include "wire.h"

struct transport_socket;

struct call {
    struct call *next;
    uint64_t request;  /* 0: nothing is under way */
    uint64_t again_ns; /* when to ask again; 0: at once */
    uint64_t patience_ns;
    bool answered;
    bool blocked; /* wants to ask; read.sock took nothing */
    zmq_msg_t answer;
};

struct calls {
    struct call *first;
    uint64_t request; /* the newest number given */
};

void calls_add(struct calls *calls, struct call *call);
void calls_remove(struct calls *calls, struct call *call); /* takes one that was never added */

/* Sends a question of this type with this body. A socket that takes nothing is not an error:
 * the call stays due. SPN_E_NOMEM, SPN_E_SYSTEM. */
spn_err calls_ask(struct calls *calls, struct call *call, struct transport_socket *socket,
                  enum wire_type type, const struct wire_out *body, uint64_t now_ns) SPN_MUST_USE;
/* Whether the question has to be asked (again) now. */
bool calls_due(const struct call *call, uint64_t now_ns);
/* Takes the message if it answers a call that is under way; else leaves it. */
bool calls_take(struct calls *calls, zmq_msg_t *message);
/* The connection broke, and what was under way went with it. */
void calls_lost(struct calls *calls);
bool calls_blocked(const struct calls *calls);
/* Forgets question and answer. */
void calls_clear(struct call *call);

/* Opens an answer. SPN_OK: it is of this type and *ret_in stands at its body. Else the code of the
 * sidecar's ERROR, or SPN_E_VERSION, SPN_E_PROTOCOL; *ret_detail: the sidecar's words, if any. */
spn_err calls_read(struct call *call, enum wire_type type, struct wire_in *ret_in,
                   struct spn_bytes *ret_detail) SPN_MUST_USE;

#endif
