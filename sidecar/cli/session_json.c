/* SPDX-License-Identifier: Apache-2.0 */
#include "session_json.h"

json_t *session_json(const struct spn_session *session, uint64_t first_seq)
{
    json_int_t retained = (json_int_t)(session->seq + 1 - first_seq);
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o*, s:o*, s:o*}", "session",
        cli_json_bytes(session->name), "state", spn_session_state_name(session->state), "epoch",
        (json_int_t)session->epoch, "seq", (json_int_t)session->seq, "position",
        (json_int_t)session->position, "bytes", (json_int_t)session->bytes, "duplicates",
        (json_int_t)session->duplicates, "conflicts", (json_int_t)session->conflicts,
        "last_event_id", session->seq > 0 ? cli_json_bytes(session->last_id) : json_null(),
        "opened", cli_json_time(session->opened_ms), "last", cli_json_time(session->last_ms),
        "first_seq", first_seq > 0 ? json_integer((json_int_t)first_seq) : NULL, "retained",
        first_seq > 0 ? json_integer(retained) : NULL, "last_event_id_encoding",
        cli_json_encoding(session->last_id));
}
