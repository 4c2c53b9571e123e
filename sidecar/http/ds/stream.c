/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/stream.h"

#include <assert.h>
#include <string.h>

#include "http/ds/json.h"
#include "http/ds/note.h"

static bool only_closes(bool closes, struct spn_bytes id)
{
    enum { BEGIN = sizeof(DS_STREAM_CLOSED) - 1 };
    return closes && id.size > BEGIN && memcmp(id.data, DS_STREAM_CLOSED, BEGIN) == 0;
}

enum ds_presence ds_stream_read(const struct spn_session_info *info, uint64_t now_ms,
                                struct ds_stream *ret_stream)
{
    if (info == NULL)
        return DS_ABSENT;
    const struct spn_session *session = info->session;
    struct ds_stream stream = {
        .life = session->life,
        .epoch = session->epoch,
        .first = info->first_seq,
        .seq = session->seq,
        .tail = session->seq,
        .is_closed = session->state == SPN_CLOSED,
        .ttl_ms = session->ttl_ms,
        .idle_close_ms = session->idle_close_ms,
    };
    if (stream.tail > 0 && only_closes(stream.is_closed, session->last_id))
        stream.tail--;
    ds_config_read(session->content_type, info->note, &stream.config);
    *ret_stream = stream;
    if (stream.config.expires.size > 0 && now_ms >= stream.config.expires_ms)
        return DS_EXPIRED;
    return stream.config.begins_with_content && stream.seq == 0 ? DS_UNFINISHED : DS_THERE;
}

char *ds_stream_offset(const struct ds_stream *stream, uint64_t seq, char ret_text[DS_OFFSET_SIZE])
{
    const struct ds_offset offset = {stream->epoch, ds_offset_life(&stream->life), seq};
    return ds_offset_format(&offset, ret_text);
}

/* An offset of another life, of one that is not retained, or of a future that is lost. */
static bool check_place(const struct ds_stream *stream, const struct ds_offset *offset,
                        struct problem *ret_problem)
{
    if (offset->epoch != stream->epoch || offset->life != ds_offset_life(&stream->life))
        return problem_set(ret_problem, 410, SPN_E_OTHER_LIFE,
                           "the offset is of a stream that had this name before");
    if (offset->seq + 1 < stream->first)
        return problem_set(ret_problem, 410, SPN_E_TRIMMED,
                           "what comes after the offset is no longer retained");
    if (offset->seq > stream->tail)
        return problem_set(ret_problem, 410, SPN_E_UNKNOWN_ID,
                           "the stream has not come as far as the offset");
    return true;
}

bool ds_stream_begin(const struct ds_stream *stream, enum ds_offset_kind start,
                     const struct ds_offset *place, uint64_t *ret_seq, struct problem *ret_problem)
{
    assert(start != DS_OFFSET_BAD);
    *ret_seq = start == DS_OFFSET_AT ? place->seq : start == DS_OFFSET_NOW ? stream->tail : 0;
    return start != DS_OFFSET_AT || check_place(stream, place, ret_problem);
}

bool ds_stream_only_closes(const struct spn_event *event)
{
    return only_closes(event->closes, event->id);
}

bool ds_stream_data(enum ds_form form, const struct spn_event *event, struct out *out)
{
    struct ds_note note;
    struct spn_bytes messages;
    size_t where;
    if (event->kind != SPN_EVENT || ds_stream_only_closes(event))
        return false;
    if (ds_note_read(event->note, &note)) {
        ds_text_unescape(out, event->data);
        return true;
    }
    if (form != DS_FORM_JSON) {
        out_put(out, event->data.data, event->data.size);
        return true;
    }
    if (!ds_json_messages(event->data, &messages, &where) || messages.size == 0)
        return false;
    out_put(out, messages.data, messages.size);
    return true;
}
