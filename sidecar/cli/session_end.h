/* SPDX-License-Identifier: Apache-2.0 */
/* session_end: closes or deletes a session, and waits until that is on disk.
 *
 * Shared by `close` and `delete`.
 *
 * Borrows  its arguments, during the call.
 * Threads  one.
 */
#ifndef SPN_CLI_SESSION_END_H
#define SPN_CLI_SESSION_END_H

#include "cli/cli.h"

/* spn_close_once or spn_delete_once. */
typedef spn_err session_end_call(spn_client *client, struct spn_bytes session,
                                 const struct spn_life *life, int timeout_ms,
                                 const struct spn_published **ret_published);

#define SESSION_END_LIFE_HELP "only if this is the session's life, as printed by `sponson info`"

/* Waits up to timeout_ms. Prints what went wrong; returns an exit code. *ret_result
 * is set on CLI_OK. */
int session_end(spn_client *client, session_end_call *call, struct spn_bytes session,
                const struct spn_life *life, int timeout_ms, spn_result *ret_result);

#endif
