/* SPDX-License-Identifier: Apache-2.0 */
/* one_shot: a PUBLISH that has no answer yet.
 *
 * While its entry is on its way to disk, the batch has it. If its id is stored already, it goes to
 * the reader, which finds the entry with that id.
 *
 * Owns     copies of name and id; references to generations.
 * Threads  the broker's; the reader's while it looks for the id.
 */
#ifndef SPN_ONE_SHOT_H
#define SPN_ONE_SHOT_H

#include <stdbool.h>
#include <zmq.h>

#include "base/mailbox.h"
#include "base/peer.h"
#include "index/view.h"
#include "wire.h"

struct one_shot {
    struct message message;
    struct peer peer; /* where it came from ... */
    uint64_t request; /* ... with this number */
    uint32_t uid;     /* of the process that sent it */
    uint8_t level;    /* enum wire_level */
    bool ends;        /* it closes or deletes */
    bool answered;
    size_t bytes;                 /* of its frame: counts against the bound of what waits */
    struct wire_published answer; /* without the id */

    zmq_msg_t frame;  /* while its session comes from disk */
    struct view view; /* of its session, for the reader */
    spn_err err;      /* its session could not be loaded, or its id was not found */

    struct spn_bytes name; /* these point into copies */
    struct spn_bytes id;
    uint8_t copies[];
};

/* NULL: out of memory. */
struct one_shot *one_shot_new(struct spn_bytes name, struct spn_bytes id);
void one_shot_free(struct one_shot *one); /* takes NULL */

#endif
