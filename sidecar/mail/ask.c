/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/ask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct ask *ask_new(enum ask_kind kind, size_t session_count)
{
    struct ask *ask = calloc(1, sizeof(*ask));
    if (!ask)
        return NULL;
    ask->kind = kind;
    zmq_msg_init(&ask->frame);
    if (session_count == 0)
        return ask;
    ask->sessions = calloc(session_count, sizeof(*ask->sessions));
    if (!ask->sessions) {
        ask_free(ask);
        return NULL;
    }
    ask->session_count = session_count;
    return ask;
}

void ask_name(struct ask *ask, size_t i, struct spn_bytes name)
{
    assert(i < ask->session_count && name.size <= WIRE_SESSION_MAX);
    struct ask_session *session = &ask->sessions[i];
    if (name.size > 0)
        memcpy(session->name_bytes, name.data, name.size);
    session->name = (struct spn_bytes){session->name_bytes, name.size};
}

void ask_free(struct ask *ask)
{
    if (!ask)
        return;
    for (size_t i = 0; ask->sessions && i < ask->session_count; i++) {
        view_release(&ask->sessions[i].view);
        view_release(&ask->sessions[i].next);
    }
    view_release(&ask->generations);
    tracker_free(ask->tracker);
    zmq_msg_close(&ask->frame);
    free(ask->runs);
    free(ask->sessions);
    free(ask);
}
