/* SPDX-License-Identifier: Apache-2.0 */
/* asking: a request that is answered by what the sidecar answers to one question.
 *
 * Owns     the question.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_ASKING_H
#define SPN_HTTP_ASKING_H

#include "http/gateway.h"

struct asking {
    struct waiter waiter;
    struct gateway *gateway;
    struct exchange *exchange;
    spn_question *question;
    /* Answers the exchange. SPN_OK: done. Otherwise the error is answered. */
    spn_err (*answer)(struct asking *asking);
    /* Answers the exchange without the sidecar's answer. NULL: with the error. */
    void (*give_up)(struct asking *asking, spn_err err);
    struct memory_share share; /* of the answer, if it may be large */
    uint32_t limit;            /* for the answer's own use */
};

/* NULL: no memory; the exchange was answered. The exchange frees it when it is over. A body is
 * ignored. */
struct asking *asking_begin(struct gateway *gateway, struct exchange *exchange,
                            spn_err (*answer)(struct asking *asking));

/* err: of the spn_ask call that set the question. */
void asking_asked(struct asking *asking, spn_err err);

#endif
