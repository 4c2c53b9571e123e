/* SPDX-License-Identifier: Apache-2.0 */
/* session_change: a one-shot that changes a session. */
#ifndef SPN_CLI_SESSION_CHANGE_H
#define SPN_CLI_SESSION_CHANGE_H

#include "cli/cli.h"

#define SESSION_CHANGE_LIFE_HELP "only if this is the session's life, as printed by `sponson info`"

typedef spn_err session_change_call(spn_client *client, struct spn_bytes session,
                                    const void *argument, int timeout_ms,
                                    const struct spn_published **ret_published);

struct session_changed {
    spn_result result;
    bool closed; /* the session, afterwards */
};

/* Waits up to timeout_ms, until the change is on disk. Prints what went wrong; returns an exit
 * code. ret_changed may be NULL; it is set on CLI_OK. */
int session_change(spn_client *client, session_change_call *call, struct spn_bytes session,
                   const void *argument, int timeout_ms, struct session_changed *ret_changed);

/* The same on a client of its own. */
int session_change_run(const struct cli_common *common, session_change_call *call,
                       struct spn_bytes session, const void *argument,
                       struct session_changed *ret_changed);

#endif
