/* SPDX-License-Identifier: Apache-2.0 */
/* session_change: one entry that changes a session, through a producer of its own. */
#ifndef SPN_CLI_SESSION_CHANGE_H
#define SPN_CLI_SESSION_CHANGE_H

#include "cli/cli.h"

/* Publishes the entry. */
typedef spn_err session_change_call(spn_producer *producer, struct spn_bytes session,
                                    const void *argument, uint64_t *ret_ticket);

/* Waits up to timeout_ms for each answer, until the entry is on disk. Prints what went wrong;
 * returns an exit code. */
int session_change(spn_client *client, session_change_call *call, struct spn_bytes session,
                   const void *argument, int timeout_ms);

#endif
