/* SPDX-License-Identifier: Apache-2.0 */
/* load: the broker has the reader load the tracker of a session that is not in memory.
 *
 * Owns     its tracker, until the broker takes it; and references to generations.
 * Threads  the broker's, then the reader's, then the broker's again.
 */
#ifndef SPN_LOAD_H
#define SPN_LOAD_H

#include "base/mailbox.h"
#include "index/view.h"
#include "mail/one_shot.h"
#include "state/producers.h"
#include "wire.h"

struct load {
    struct message message;
    struct producer *waiting; /* the producer whose parked frame waits for it; NULL: none */
    struct one_shot *one;     /* the one-shot that waits for it; owned, or NULL */
    struct spn_bytes name;    /* into name_bytes */
    uint64_t hash;            /* of the name */
    struct view view;         /* of the session that may have this name */

    spn_err err;             /* the reader's answer */
    uint64_t epoch;          /* the epoch that the name has on disk; 0: none */
    struct tracker *tracker; /* NULL if the epoch is not the view's */
    struct spn_life life;    /* if err is SPN_E_CORRUPT; zeros: damage took it, too */

    uint8_t name_bytes[WIRE_SESSION_MAX];
};

/* NULL: out of memory. */
struct load *load_new(struct spn_bytes name);
void load_free(struct load *load); /* takes NULL */

#endif
