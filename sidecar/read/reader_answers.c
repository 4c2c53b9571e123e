/* SPDX-License-Identifier: Apache-2.0 */
/* reader_answers: answers, and the reads from disk for them. */
#include <assert.h>
#include <string.h>

#include "read/reader_base.h"
#include "err.h"

/* A peer that leaves too much unread sends the request again if it still wants the answer. */
static void drop_answer(struct reader *reader)
{
    metrics_add(&reader->options.metrics->answers_dropped, 1);
    reader->unanswered++;
}

bool reader_has_room(struct reader *reader, struct caller caller, size_t size)
{
    bool found = outbox_has_room(reader->outbox, caller.peer, size);
    if (!found)
        drop_answer(reader);
    return found;
}

static void send_outgoing(struct reader *reader, struct outbox_peer *peer,
                          struct outgoing *outgoing, size_t size)
{
    if (outbox_put(reader->outbox, peer, outgoing, size) != SPN_OK)
        drop_answer(reader);
}

void reader_send_bytes(struct reader *reader, struct caller caller, const struct wire_out *out)
{
    assert(!out->bad);
    struct outgoing *outgoing = outgoing_resize(NULL, wire_out_size(out));
    if (!outgoing) {
        drop_answer(reader);
        return;
    }
    memcpy(outgoing->bytes, out->start, wire_out_size(out));
    send_outgoing(reader, caller.peer, outgoing, wire_out_size(out));
}

void reader_send_words(struct reader *reader, struct caller caller, spn_err err, const char *detail)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 16 + 255];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    const char *text = detail ? detail : err_text(err);
    wire_put_header(&out, WIRE_ERROR, caller.request);
    wire_put_error(&out,
                   &(struct wire_error){.code = (uint32_t)err, .detail = {text, strlen(text)}});
    reader_send_bytes(reader, caller, &out);
}

void reader_send_error(struct reader *reader, struct caller caller, spn_err err)
{
    reader_send_words(reader, caller, err, NULL);
}

static void answer_state(struct reader *reader, struct caller caller,
                         const struct holder_question *question)
{
    size_t size = WIRE_HEADER_SIZE + 96 + question->state.run_count * WIRE_RUN_SIZE;
    struct outgoing *outgoing = outgoing_resize(NULL, size);
    if (!outgoing) {
        drop_answer(reader);
        return;
    }
    struct wire_out out = wire_out(outgoing->bytes, size);
    wire_put_header(&out, WIRE_STATE_IS, caller.request);
    wire_put_state(&out, &question->state);
    for (uint32_t i = 0; i < question->state.run_count; i++)
        wire_put_run(&out, &question->runs[i]);
    assert(!out.bad);
    send_outgoing(reader, caller.peer, outgoing, wire_out_size(&out));
}

/* Reads the newest entry and the id in force. If the entry was trimmed, both come from the row. The
 * row may be ahead of the view: then it has a newer entry, which is durable. */
static spn_err read_last(const struct timeline *timeline, struct wire_last_is *last)
{
    struct record_entry entry;
    const struct record_row *row = &timeline->row;
    *last = (struct wire_last_is){
        .life = timeline->life,
        .seq = timeline->seq_last,
        .position = timeline->position_last,
        .state = timeline->closed ? WIRE_SESSION_CLOSED : WIRE_LIVE,
    };
    spn_err err = journal_read_entry(timeline->reader, timeline->position_last, &entry);
    if (err == SPN_OK) {
        last->time_ms = entry.wall_ms;
        err = timeline_last_id(timeline, &entry, &last->id);
    }
    if (err != SPN_E_END)
        return err;
    if (!timeline->has_row || row->position < timeline->position_last)
        return SPN_E_CORRUPT;
    last->seq = row->seq;
    last->position = row->position;
    last->time_ms = row->last_ms;
    last->id = row->last_id;
    return SPN_OK;
}

static spn_err answer_last(struct reader *reader, struct caller caller,
                           const struct session_question *question)
{
    struct timeline timeline;
    spn_err err = timeline_open(&timeline, reader->journal, &question->sessions[0].view);
    struct wire_last_is last = {0};
    if (err == SPN_OK)
        err = read_last(&timeline, &last);
    if (err != SPN_OK)
        return err;
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_LAST_IS, caller.request);
    wire_put_last_is(&out, &last);
    reader_send_bytes(reader, caller, &out);
    return SPN_OK;
}

/* Which entries are retained, and how many of them are markers. */
static spn_err look_at_retained(struct reader *reader, const struct timeline *timeline,
                                struct wire_info_is *info)
{
    uint64_t position;
    size_t count;
    struct record_entry first;
    spn_err err = timeline_read_retained(timeline, timeline->seq_before + 1,
                                         clock_database_ns(reader->options.clock), 1, &position,
                                         &info->first_seq, &count);
    if (err != SPN_OK || count == 0)
        return err;
    err = journal_read_entry(reader->journal, position, &first);
    if (err == SPN_OK)
        info->markers = info->row.markers - first.markers + (first.kind == RECORD_MARKER);
    return err == SPN_E_END ? SPN_E_CORRUPT : err;
}

static spn_err answer_info(struct reader *reader, struct caller caller,
                           const struct session_question *question)
{
    struct timeline timeline;
    struct wire_info_is info = {0};
    spn_err err =
        listing_row(reader->journal, &question->sessions[0], &timeline, &info.row, &info.note);
    if (err == SPN_OK)
        err = look_at_retained(reader, &timeline, &info);
    if (err != SPN_OK)
        return err;
    info.life_first_seq = timeline.seq_before + 1;
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_INFO_IS, caller.request);
    wire_put_info_is(&out, &info);
    reader_send_bytes(reader, caller, &out);
    return SPN_OK;
}

/* A client sends its request again if the answer finds no room. So nothing is read for such an
 * answer. */
static spn_err answer_fetch(struct reader *reader, struct caller caller,
                            struct session_question *question)
{
    struct outgoing *outgoing;
    size_t size;
    if (!reader_has_room(reader, caller, PUMP_BYTES_MAX))
        return SPN_OK;
    spn_err err = fetch_answer(&reader->fetch, question, &outgoing, &size);
    if (err == SPN_OK)
        send_outgoing(reader, caller.peer, outgoing, size);
    if (err == SPN_E_NOMEM)
        drop_answer(reader);
    return err == SPN_E_NOMEM ? SPN_OK : err;
}

/* One page of sessions takes two questions to the broker: for the generations, then for the page's
 * views. If all sessions of a page are gone, it takes both again for the next names. */
static spn_err list_sessions(struct reader *reader, struct generations_question *generations)
{
    struct session_question *page;
    struct generations_question *again;
    size_t damaged;
    spn_err err = listing_page(&reader->listing, reader->journal, generations, &page, &damaged);
    if (damaged > 0)
        mail_note_damage(reader->options.metrics, reader->options.broker);
    if (err == SPN_OK)
        reader_ask(reader, &page->message);
    if (err != SPN_E_END)
        return err;
    err = listing_come_again(generations, &again);
    if (err == SPN_OK)
        reader_ask(reader, &again->message);
    return err;
}

static spn_err answer_sessions(struct reader *reader, struct caller caller,
                               const struct session_question *page)
{
    struct outgoing *outgoing;
    size_t size;
    size_t damaged;
    spn_err err = listing_rows(reader->journal, page, &outgoing, &size, &damaged);
    if (damaged > 0)
        mail_note_damage(reader->options.metrics, reader->options.broker);
    if (err == SPN_OK) {
        send_outgoing(reader, caller.peer, outgoing, size);
    } else if (err == SPN_E_END) {
        struct generations_question *further;
        err = listing_go_on(page, &further);
        if (err == SPN_OK)
            reader_ask(reader, &further->message);
    }
    return err;
}

static spn_err answer_from_disk(struct reader *reader, struct caller caller,
                                struct session_question *question)
{
    switch (question->asker.type) {
    case WIRE_SESSIONS:
        return answer_sessions(reader, caller, question);
    case WIRE_LAST:
        return answer_last(reader, caller, question);
    case WIRE_INFO:
        return answer_info(reader, caller, question);
    case WIRE_FETCH:
        return answer_fetch(reader, caller, question);
    default:
        return SPN_E_PROTOCOL;
    }
}

/* -- answers of the broker --------------------------------------------------------------------- */

void reader_ask(struct reader *reader, struct message *question)
{
    reader->asked++;
    mailbox_put(reader->options.broker, question);
}

/* A peer that has gone meanwhile is treated as a new one. Sending to it then shows that it is
 * gone. */
static struct caller come_back(struct reader *reader, const struct asker *asker)
{
    reader->asked--;
    return (struct caller){.peer = outbox_meet(reader->outbox, &asker->peer, NULL),
                           .request = asker->request};
}

static void fail(struct reader *reader, struct caller caller, spn_err err)
{
    if (err == SPN_E_CORRUPT)
        mail_note_damage(reader->options.metrics, reader->options.broker);
    if (err != SPN_OK && caller.peer)
        reader_send_error(reader, caller, err);
}

/* The snapshot begins after the broker answered. */
void reader_finish_session(struct reader *reader, struct session_question *question)
{
    struct caller caller = come_back(reader, &question->asker);
    spn_err err = caller.peer ? journal_reader_begin(reader->journal) : SPN_E_NOMEM;
    if (err == SPN_OK)
        err = answer_from_disk(reader, caller, question);
    journal_reader_end(reader->journal);
    fail(reader, caller, err);
    session_question_free(question);
}

void reader_finish_generations(struct reader *reader, struct generations_question *question)
{
    struct caller caller = come_back(reader, &question->asker);
    spn_err err = caller.peer ? journal_reader_begin(reader->journal) : SPN_E_NOMEM;
    if (err == SPN_OK)
        err = list_sessions(reader, question);
    journal_reader_end(reader->journal);
    fail(reader, caller, err);
    generations_question_free(question);
}

void reader_finish_holder(struct reader *reader, struct holder_question *question)
{
    struct caller caller = come_back(reader, &question->asker);
    if (question->err == SPN_OK && caller.peer)
        answer_state(reader, caller, question);
    fail(reader, caller, question->err);
    holder_question_free(question);
}

/* The answer is a delivery, or there is none. */
void reader_finish_subscription(struct reader *reader, struct session_question *question)
{
    spn_err err = journal_reader_begin(reader->journal);
    subscriptions_answer(reader->subscriptions, question, err);
    journal_reader_end(reader->journal);
    session_question_free(question);
}

/* Of a session that is given up only its life is needed: it may be deleted by that. */
static spn_err load_life(struct reader *reader, struct load *load)
{
    spn_err err = journal_read_life(reader->journal, load->epoch, &load->life);
    return err == SPN_OK || err == SPN_E_END ? SPN_E_CORRUPT : err;
}

void reader_load(struct reader *reader, struct load *load)
{
    load->err = journal_reader_begin(reader->journal);
    if (load->err == SPN_OK)
        load->err = timeline_load_tracker(reader->journal, &load->view, load->name,
                                          reader->options.window_max, reader->options.secret,
                                          &load->epoch, &load->tracker);
    if (load->err == SPN_E_CORRUPT && load->epoch != 0)
        load->err = load_life(reader, load);
    journal_reader_end(reader->journal);
    mailbox_put(reader->options.broker, &load->message);
}

static spn_err find_id(struct reader *reader, struct one_shot *one)
{
    struct timeline timeline;
    uint64_t now_ns = clock_database_ns(reader->options.clock);
    uint32_t fingerprint = (uint32_t)fingerprint_of(one->id, reader->options.secret).low;
    uint64_t seq = 0, first_seq, position;
    size_t count;
    spn_err err = timeline_open(&timeline, reader->journal, &one->view);
    if (err == SPN_OK)
        err = timeline_find(&timeline, one->id, fingerprint, now_ns, &seq);
    if (err == SPN_OK)
        err = timeline_read_retained(&timeline, seq, now_ns, 1, &position, &first_seq, &count);
    if (err == SPN_OK && count == 1 && first_seq == seq) {
        one->answer.seq = seq;
        one->answer.position = position;
    }
    return err;
}

/* An id that is not found leaves the answer without a seq: its entry is no longer retained. */
void reader_seek(struct reader *reader, struct one_shot *one)
{
    one->err = journal_reader_begin(reader->journal);
    if (one->err == SPN_OK)
        one->err = find_id(reader, one);
    journal_reader_end(reader->journal);
    if (one->err == SPN_E_CORRUPT)
        mail_note_damage(reader->options.metrics, reader->options.broker);
    mailbox_put(reader->options.broker, &one->message);
}
