/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session_json.h"

#include "wire.h"

/* The numbers of a session that was given up are not known. */
static json_t *known_number(const struct spn_session *session, uint64_t value)
{
    return session->epoch == 0 ? json_null() : json_integer((json_int_t)value);
}

static json_t *known_life(const struct spn_session *session)
{
    char text[SPN_LIFE_TEXT_SIZE];
    if (!wire_has_life(session->life))
        return json_null();
    spn_life_format(&session->life, text);
    return json_string(text);
}

static json_t *known_time(uint64_t time_ms)
{
    return time_ms > 0 ? cli_json_time(time_ms) : json_null();
}

static json_t *text_or_null(struct spn_bytes text, bool known)
{
    return known ? cli_json_bytes(text) : json_null();
}

static json_t *span(uint64_t ms)
{
    return ms > 0 ? json_integer((json_int_t)ms) : json_null();
}

/* NULL: no key. */
static json_t *note_of(const struct spn_session_info *info)
{
    return info ? text_or_null(info->note, info->note.size > 0) : NULL;
}

static json_t *note_encoding(const struct spn_session_info *info)
{
    return info ? cli_json_encoding(info->note) : NULL;
}

/* A number about retained events; NULL: no key. */
static json_t *number(const struct spn_session_info *info, uint64_t value)
{
    return info ? json_integer((json_int_t)value) : NULL;
}

json_t *session_json(const struct spn_session *session, const struct spn_session_info *info)
{
    uint64_t first_seq = info ? info->first_seq : 0;
    uint64_t markers = info ? info->markers : 0;
    return json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*}",
        "session", cli_json_bytes(session->name), "state", spn_session_state_name(session->state),
        "epoch", known_number(session, session->epoch), "life", known_life(session), "seq",
        known_number(session, session->seq), "markers", known_number(session, session->markers),
        "position", known_number(session, session->position), "bytes",
        known_number(session, session->bytes), "duplicates",
        known_number(session, session->duplicates), "conflicts",
        known_number(session, session->conflicts), "last_event_id",
        session->last_id.size > 0 ? cli_json_bytes(session->last_id) : json_null(), "opened",
        known_time(session->opened_ms), "last", known_time(session->last_ms), "reason",
        text_or_null(session->reason, session->state == SPN_CLOSED), "content_type",
        text_or_null(session->content_type, session->content_type.size > 0), "ttl_ms",
        span(session->ttl_ms), "idle_close_ms", span(session->idle_close_ms), "first_seq",
        number(info, first_seq), "retained", number(info, session->seq + 1 - first_seq - markers),
        "retained_markers", number(info, markers), "note", note_of(info), "last_event_id_encoding",
        cli_json_encoding(session->last_id), "note_encoding", note_encoding(info));
}
