/* SPDX-License-Identifier: Apache-2.0 */
#include "read/fetch.h"

#include <assert.h>

enum {
    AHEAD_MS = 100, /* that read-ahead is kept */
    HEADS_SIZE = WIRE_HEADER_SIZE + WIRE_SLICE_HEAD_SIZE,
};

/* -- an answer --------------------------------------------------------------------------------- */

static bool reaches_end(const struct wire_slice *head)
{
    return head->count == 0 || head->seq >= head->seq_last;
}

static bool is_complete(const struct fetch_answer *answer)
{
    return reaches_end(&answer->head) || answer->size >= answer->bytes_max;
}

static void put(struct fetch_answer *answer, const struct slice *slice)
{
    struct wire_out out =
        wire_out(answer->outgoing->bytes + HEADS_SIZE + answer->size, answer->room - answer->size);
    slice_put(&out, slice);
    assert(!out.bad && wire_out_size(&out) == slice->size);
    answer->size += slice->size;
}

/* Reserves room for the slices that follow, if any will. */
static spn_err begin_with(struct fetch_answer *answer, const struct slice *slice)
{
    bool all = reaches_end(&slice->head) || slice->size >= answer->bytes_max;
    answer->room = all ? slice->size : answer->bytes_max;
    answer->outgoing = outgoing_resize(NULL, HEADS_SIZE + answer->room);
    if (!answer->outgoing)
        return SPN_E_NOMEM;
    answer->head = slice->head;
    put(answer, slice);
    return SPN_OK;
}

/* An answer that was read ahead to the session's end has no spare room, but the session may have
 * newer events by now. */
static bool make_room(struct fetch_answer *answer, size_t size)
{
    if (size <= answer->room)
        return true;
    struct outgoing *larger = outgoing_resize(answer->outgoing, HEADS_SIZE + answer->bytes_max);
    if (!larger)
        return false;
    answer->outgoing = larger;
    answer->room = answer->bytes_max;
    return true;
}

/* False: the slice does not fit, or does not follow directly. */
static bool go_on_with(struct fetch_answer *answer, const struct slice *slice)
{
    if (slice->head.missing > 0 || slice->head.count == 0 ||
        answer->size + slice->size > answer->bytes_max ||
        !make_room(answer, answer->size + slice->size))
        return false;
    answer->head.count += slice->head.count;
    answer->head.seq = slice->head.seq;
    answer->head.seq_last = slice->head.seq_last;
    put(answer, slice);
    return true;
}

/* Reads one more slice. False: the answer ends here. */
static bool read_more(struct pump *pump, struct fetch_answer *answer)
{
    const struct slice *slice;
    if (pump_read(pump, answer->bytes_max - answer->size, &slice) != SPN_OK)
        return false;
    if (answer->outgoing)
        return go_on_with(answer, slice);
    return slice->head.missing == 0 && begin_with(answer, slice) == SPN_OK;
}

/* Takes over answer->outgoing. */
static struct outgoing *finish(struct fetch *fetch, const struct fetch_answer *answer,
                               uint64_t request, size_t *ret_size)
{
    size_t size = HEADS_SIZE + answer->size;
    struct outgoing *fitting = outgoing_resize(answer->outgoing, size);
    struct outgoing *outgoing = fitting ? fitting : answer->outgoing;
    struct wire_out out = wire_out(outgoing->bytes, HEADS_SIZE);
    wire_put_header(&out, WIRE_SLICE, request);
    wire_put_slice(&out, &answer->head);
    assert(!out.bad && wire_out_size(&out) == HEADS_SIZE);
    metrics_add(&fetch->options.metrics->replayed, answer->head.count);
    *ret_size = size;
    return outgoing;
}

/* -- ahead ------------------------------------------------------------------------------------- */

static void end_reading(struct fetch *fetch)
{
    view_release(&fetch->view);
    fetch->view = (struct view){.epoch = 0};
}

static void forget_ahead(struct fetch *fetch)
{
    end_reading(fetch);
    outgoing_free(fetch->ahead.outgoing);
    fetch->ahead = (struct fetch_answer){.outgoing = NULL};
    fetch->ahead_from = 0;
}

/* The events after this answer will be requested. They are read through the view of the answer. */
static void plan_ahead(struct fetch *fetch, struct view *view, const struct fetch_answer *answer)
{
    if (reaches_end(&answer->head) || fetch->ahead_from != 0)
        return; /* there is read-ahead for another answer: one at a time */
    fetch->view = *view;
    fetch->view.next = NULL; /* the question's; the next epoch is not read ahead */
    *view = (struct view){.epoch = view->epoch};
    fetch->ahead.bytes_max = answer->bytes_max;
    fetch->ahead_from = answer->head.seq + 1;
    fetch->ahead_ns = fetch->options.source.clock->monotonic_ns();
}

/* True: the answer begins with what was read ahead. */
static bool take_ahead(struct fetch *fetch, struct pump *pump, struct fetch_answer *answer)
{
    struct fetch_answer *ahead = &fetch->ahead;
    uint64_t from = pump->next_seq;
    uint64_t retained;
    if (!ahead->outgoing || !wire_same_life(ahead->head.life, pump->timeline.life) ||
        fetch->ahead_from != from || ahead->bytes_max != answer->bytes_max)
        return false;
    if (timeline_retained(&pump->timeline, from, pump->now_ns, &retained) != SPN_OK ||
        retained != from)
        return false;
    *answer = *ahead;
    answer->head.seq_last = pump->timeline.seq_last;
    pump->next_seq = answer->head.seq + 1;
    ahead->outgoing = NULL;
    forget_ahead(fetch);
    return true;
}

bool fetch_wants(const struct fetch *fetch)
{
    return fetch->view.epoch != 0;
}

/* In a turn of its own, because a request may come at any time. */
void fetch_ahead(struct fetch *fetch)
{
    struct fetch_answer *ahead = &fetch->ahead;
    struct journal_reader *journal = fetch->options.source.journal;
    struct pump pump;
    bool more = false;
    spn_err err = journal_reader_begin(journal);
    if (err == SPN_OK)
        err = pump_begin(&pump, &fetch->options.source, &fetch->view);
    if (err == SPN_OK) {
        pump.next_seq = ahead->outgoing ? ahead->head.seq + 1 : fetch->ahead_from;
        more = read_more(&pump, ahead);
    }
    journal_reader_end(journal);
    if (!more || is_complete(ahead))
        end_reading(fetch);
}

long fetch_tick(struct fetch *fetch)
{
    if (fetch->ahead_from == 0)
        return -1;
    uint64_t now_ns = fetch->options.source.clock->monotonic_ns();
    if (now_ns - fetch->ahead_ns < AHEAD_MS * 1000000ull)
        return AHEAD_MS;
    forget_ahead(fetch);
    return -1;
}

/* -- fetching ---------------------------------------------------------------------------------- */

/* Sets the verdict that explains why there is no first slice. */
static spn_err refuse(const struct pump *pump, spn_err why, struct wire_slice *head)
{
    if (!slice_verdict(why, &head->verdict))
        return why;
    head->life = pump->timeline.life;
    head->state = pump->timeline.closed ? WIRE_SESSION_CLOSED : WIRE_LIVE;
    head->seq_last = pump->timeline.seq_last;
    return why == SPN_E_UNKNOWN_ID ? timeline_missing(&pump->timeline, pump->now_ns, &head->missing)
                                   : SPN_OK;
}

/* An answer without events. */
static spn_err begin_refused(const struct pump *pump, spn_err why, struct fetch_answer *answer)
{
    struct slice *slice = pump->source->slice;
    slice->head = (struct wire_slice){0};
    slice->size = 0;
    spn_err err = refuse(pump, why, &slice->head);
    return err == SPN_OK ? begin_with(answer, slice) : err;
}

/* Reads the first slice, or sets a verdict that explains why there is none. */
static spn_err begin(struct fetch *fetch, struct pump *pump, const struct view *view,
                     const struct slice_start *start, struct fetch_answer *answer)
{
    const struct slice *slice;
    spn_err err = pump_begin(pump, &fetch->options.source, view);
    if (err == SPN_OK)
        err = pump_find(pump, start);
    if (err != SPN_OK)
        return begin_refused(pump, err, answer);
    if (take_ahead(fetch, pump, answer))
        return SPN_OK;
    err = pump_read(pump, answer->bytes_max, &slice);
    return err == SPN_OK ? begin_with(answer, slice) : err;
}

spn_err fetch_answer(struct fetch *fetch, struct session_question *question,
                     struct outgoing **ret_outgoing, size_t *ret_size)
{
    struct wire_in in = wire_in(zmq_msg_data(&question->frame), zmq_msg_size(&question->frame));
    struct wire_header header;
    struct wire_fetch request;
    spn_err err = wire_get_header(&in, &header);
    if (err != SPN_OK)
        return err;
    wire_get_fetch(&in, &request);
    struct slice_start start = {
        .start = request.start, .life = request.life, .seq = request.seq, .id = request.id};
    struct fetch_answer answer = {
        .bytes_max = request.bytes_max < PUMP_BYTES_MAX ? request.bytes_max : PUMP_BYTES_MAX};
    struct view *view = &question->sessions[0].view;
    struct pump pump;
    err = begin(fetch, &pump, view, &start, &answer);
    if (err != SPN_OK)
        return err;
    while (!is_complete(&answer) && !pump_is_over(&pump))
        if (!read_more(&pump, &answer))
            break;
    plan_ahead(fetch, view, &answer);
    *ret_outgoing = finish(fetch, &answer, question->asker.request, ret_size);
    return SPN_OK;
}

/* -- init and release -------------------------------------------------------------------------- */

void fetch_init(struct fetch *fetch, const struct fetch_options *options)
{
    *fetch = (struct fetch){.options = *options};
}

void fetch_release(struct fetch *fetch)
{
    forget_ahead(fetch);
}
