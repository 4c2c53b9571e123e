/* SPDX-License-Identifier: Apache-2.0 */
#include "http/session_start.h"

#include <stdlib.h>
#include <string.h>

spn_err session_start_keep(struct session_start *start, struct spn_bytes session,
                           const struct start *chosen)
{
    char *bytes = malloc(session.size + chosen->id.size + 1);
    if (bytes == NULL)
        return SPN_E_NOMEM;
    memcpy(bytes, session.data, session.size);
    if (chosen->id.size > 0)
        memcpy(bytes + session.size, chosen->id.data, chosen->id.size);
    *start =
        (struct session_start){.bytes = bytes, .session = {bytes, session.size}, .start = *chosen};
    start->start.id.data = bytes + session.size;
    return SPN_OK;
}

void session_start_release(struct session_start *start)
{
    free(start->bytes);
    start->bytes = NULL;
}

bool session_start_has_cursor(const struct session_start *start)
{
    return start->start.id.size > 0 || start->start.kind == START_CURSOR;
}

bool session_start_is_ahead(const struct session_start *start, const struct spn_item *verdict)
{
    return start->start.kind == START_CURSOR && start->start.id.size == 0 &&
           verdict->why == SPN_OK && start->start.seq > verdict->newest;
}

spn_err session_start_subscribe(const struct session_start *start, struct gateway *gateway,
                                spn_subscription **ret_subscription, unsigned otherwise)
{
    struct spn_subscription_options options = {
        .size = sizeof(options),
        .start = SPN_EARLIEST,
        .otherwise = otherwise,
        .window_bytes = gateway->options->window_bytes,
    };
    bool has_id = start->start.id.size > 0;
    if ((otherwise & SPN_WAIT) != 0) {
        options.start = SPN_EARLIEST;
    } else if (session_start_has_cursor(start) && has_id) {
        options.start = SPN_AFTER_ID;
        options.after = start->start.id;
        if (start->start.kind != START_ID)
            options.otherwise = SPN_FAIL; /* then what it stands for is tried */
    } else if (start->start.kind == START_CURSOR) {
        options.start = SPN_AFTER_SEQ;
        options.after_life = start->start.life;
        options.after_seq = start->start.seq;
    } else if (start->start.kind == START_NOW) {
        options.start = SPN_NOW;
    }
    return spn_subscribe(ret_subscription, gateway->client, start->session, &options);
}

bool session_start_again(struct session_start *start, spn_err why)
{
    if (why != SPN_E_UNKNOWN_ID || start->start.kind == START_ID || start->start.id.size == 0)
        return false;
    if (start->start.kind == START_ABSENT)
        start->start.kind = START_EARLIEST;
    start->start.id = (struct spn_bytes){NULL, 0};
    return true;
}
