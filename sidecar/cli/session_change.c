/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session_change.h"

static spn_err publish(spn_producer *producer, session_change_call *call, struct spn_bytes session,
                       const void *argument, int timeout_ms, const struct spn_ack **ret_ack)
{
    uint64_t ticket;
    spn_err err = call(producer, session, argument, &ticket);
    return err == SPN_OK ? spn_producer_wait(producer, ticket, timeout_ms, ret_ack) : err;
}

int session_change(spn_client *client, session_change_call *call, struct spn_bytes session,
                   const void *argument, int timeout_ms)
{
    spn_producer *producer;
    const struct spn_ack *ack;
    int exit_code = CLI_OK;
    spn_err err = spn_producer_open(&producer, client, NULL, timeout_ms);
    if (err != SPN_OK)
        return cli_fail_client("sidecar", client, err);
    err = publish(producer, call, session, argument, timeout_ms, &ack);
    if (err == SPN_E_TIMEOUT) {
        exit_code = cli_fail("sidecar", err, "the sidecar may still carry out the request");
        cli_tell_trouble(client);
    } else if (err != SPN_OK) {
        exit_code = cli_fail_client("sidecar", client, err);
    } else if (ack->code != SPN_OK) {
        exit_code = cli_fail_session(session, ack->code);
    }
    err = spn_producer_close(producer, 0, NULL);
    (void)err; /* a missing acknowledgement is reported already */
    return exit_code;
}
