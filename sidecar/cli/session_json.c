/* SPDX-License-Identifier: Apache-2.0 */
#include "session_json.h"

/* What is retained, or nothing. */
static json_t *number(const struct spn_session_info *info, uint64_t value)
{
    return info ? json_integer((json_int_t)value) : NULL;
}

json_t *session_json(const struct spn_session *session, const struct spn_session_info *info)
{
    uint64_t first_seq = info ? info->first_seq : 0;
    uint64_t markers = info ? info->markers : 0;
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o*, s:o*, s:o*, s:o*}",
        "session", cli_json_bytes(session->name), "state", spn_session_state_name(session->state),
        "epoch", (json_int_t)session->epoch, "seq", (json_int_t)session->seq, "markers",
        (json_int_t)session->markers, "position", (json_int_t)session->position, "bytes",
        (json_int_t)session->bytes, "duplicates", (json_int_t)session->duplicates, "conflicts",
        (json_int_t)session->conflicts, "last_event_id",
        session->last_id.size > 0 ? cli_json_bytes(session->last_id) : json_null(), "opened",
        cli_json_time(session->opened_ms), "last", cli_json_time(session->last_ms), "first_seq",
        number(info, first_seq), "retained", number(info, session->seq + 1 - first_seq - markers),
        "retained_markers", number(info, markers), "last_event_id_encoding",
        cli_json_encoding(session->last_id));
}
