/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session_change.h"

int session_change(spn_client *client, session_change_call *call, struct spn_bytes session,
                   const void *argument, int timeout_ms, struct session_changed *ret_changed)
{
    const struct spn_published *published;
    spn_err err = call(client, session, argument, timeout_ms, &published);
    if (err == SPN_E_TIMEOUT) {
        int exit_code = cli_fail("sidecar", err, "the sidecar may still carry out the request");
        cli_tell_trouble(client);
        return exit_code;
    }
    if (err != SPN_OK)
        return cli_fail_client("sidecar", client, err);
    if (published->code != SPN_OK)
        return cli_fail_session(session, published->code);
    if (ret_changed)
        *ret_changed = (struct session_changed){.result = published->result,
                                                .closed = published->state == SPN_CLOSED};
    return CLI_OK;
}

int session_change_run(const struct cli_common *common, session_change_call *call,
                       struct spn_bytes session, const void *argument,
                       struct session_changed *ret_changed)
{
    spn_client *client;
    int exit_code = cli_connect(common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    exit_code =
        session_change(client, call, session, argument, cli_timeout_ms(common), ret_changed);
    spn_client_close(client);
    return exit_code;
}
