/* SPDX-License-Identifier: Apache-2.0 */
/* one_shots: takes PUBLISHes, and answers them.
 *
 * Each is decided by the same code as a producer's numbers, in the order of arrival. What is stored
 * at level accepted is answered at once. Everything else is answered when what it rests on is on
 * disk: its entry, the entry with the same id, or the entries that made its session what it is. If
 * that is not on disk yet, a batch without entries goes to the worker, and comes back when it is.
 */

#include "ingest/broker_base.h"

static void drop(struct broker *broker, struct one_shot *one)
{
    publishing_remove(&broker->publishing, one->uid, one->bytes);
    one_shot_free(one);
}

static void refuse(struct broker *broker, struct one_shot *one, spn_err err, const char *words)
{
    answers_error(&broker->answers, &one->peer, one->request, 0, err, words);
    drop(broker, one);
}

static void send_answer(struct broker *broker, struct one_shot *one)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 48 + WIRE_ID_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    one->answer.id = one->id;
    wire_put_header(&out, WIRE_PUBLISHED, one->request);
    wire_put_published(&out, &one->answer);
    answers_send(&broker->answers, &one->peer, &out);
}

/* -- the entry that has the id ----------------------------------------------------------------- */

static bool is_repeat(const struct one_shot *one)
{
    return one->id.size > 0 &&
           (one->answer.result == WIRE_DUPLICATE || one->answer.result == WIRE_CONFLICT);
}

/* True: the reader looks for it. It is on disk, and its session was in memory a moment ago. If that
 * life is over since, so is its entry. */
static bool seek(struct broker *broker, struct one_shot *one)
{
    struct sessions *sessions = &broker->state->sessions;
    struct views views = broker_views(broker);
    uint32_t slot;
    if (sessions_find(sessions, one->name, sessions_hash(sessions, one->name), &slot) !=
            SESSIONS_HOT ||
        !wire_same_life(sessions->slots[slot].tracker->life, one->answer.life))
        return false;
    views_fill(&views, slot, &one->view);
    mailbox_put(broker->options->reader, &one->message);
    return true;
}

void one_shots_found(struct broker *broker, struct one_shot *one)
{
    send_answer(broker, one);
    drop(broker, one);
}

/* What the answer rests on is on disk. */
static void finish(struct broker *broker, struct one_shot *one)
{
    if (!one->answered && is_repeat(one) && seek(broker, one))
        return;
    if (!one->answered)
        send_answer(broker, one);
    drop(broker, one);
}

void one_shots_durable(struct broker *broker, struct batch *batch)
{
    struct one_shot *one = batch->one;
    batch->one = NULL;
    if (one->answer.result == WIRE_STORED)
        metrics_add(&broker->options->metrics->events_durable, batch->number_count);
    finish(broker, one);
}

/* -- taking ------------------------------------------------------------------------------------ */

static bool all_is_durable(const struct broker *broker)
{
    return atomic_load(&broker->options->commits->durable) + 1 >= broker->state->next_position;
}

/* It was decided. batch: with its entry, or without any. */
static void take_decided(struct broker *broker, struct one_shot *one, struct batch *batch)
{
    bool stored = one->answer.result == WIRE_STORED;
    if (!stored && all_is_durable(broker)) {
        batch_free(batch);
        finish(broker, one);
        return;
    }
    if (stored && one->level == WIRE_ACCEPTED) {
        send_answer(broker, one);
        one->answered = true;
    }
    batch->one = one;
    batch->waits = !one->answered;
    if (stored && batch->ends && broker->takes != TAKES_ALL)
        freezing_hurry(&broker->freezing); /* only the next segment frees what was deleted */
    batches_hand_over(broker, batch);
}

/* Takes over the one-shot. frame: of the entry that was decoded last; taken over. */
static void take(struct broker *broker, struct one_shot *one, zmq_msg_t *frame, bool parked)
{
    struct batch *batch;
    if (!freezing_has_room(&broker->freezing)) {
        refuse(broker, one, SPN_E_BACKPRESSURE, "the index is behind: try again later");
        return;
    }
    switch (intake_take_one(&broker->intake, frame, parked, &one->answer, &batch)) {
    case INTAKE_COLD:
        zmq_msg_move(&one->frame, frame);
        if (!loading_begin_one(broker, one))
            refuse(broker, one, SPN_E_NOMEM, NULL);
        return;
    case INTAKE_TAKEN:
        take_decided(broker, one, batch);
        return;
    case INTAKE_HOLE: /* it could not be decided */
        refuse(broker, one, SPN_E_NOMEM, NULL);
    }
}

static spn_err decode(struct broker *broker, struct wire_in in, struct wire_publish *ret_publish)
{
    wire_get_publish(&in, ret_publish);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    intake_set_one(&broker->intake, ret_publish);
    return SPN_OK;
}

void one_shots_loaded(struct broker *broker, struct one_shot *one)
{
    spn_err err = one->err;
    zmq_msg_t frame;
    struct wire_header header;
    struct wire_publish publish;
    if (err == SPN_OK && broker->stopping)
        err = SPN_E_STOPPING;
    if (err != SPN_OK) {
        refuse(broker, one, err, NULL);
        return;
    }
    zmq_msg_init(&frame);
    zmq_msg_move(&frame, &one->frame);
    struct wire_in in = wire_in(zmq_msg_data(&frame), zmq_msg_size(&frame));
    err = wire_get_header(&in, &header);
    if (err == SPN_OK)
        err = decode(broker, in, &publish);
    if (err == SPN_OK)
        take(broker, one, &frame, true);
    else
        refuse(broker, one, err, NULL);
    zmq_msg_close(&frame);
}

/* Why it is not taken now, for a while; SPN_OK: it may be. */
static spn_err check_time(const struct broker *broker, const struct one_shot *one,
                          const char **ret_words)
{
    *ret_words = NULL;
    if (broker->stopping)
        return SPN_E_STOPPING;
    if (broker->takes == TAKES_ALL)
        return SPN_OK;
    *ret_words = "the database has no room: only closes and deletes are taken";
    if (!one->ends)
        return SPN_E_BACKPRESSURE;
    *ret_words = "the database has no room, and closes and deletes wait already";
    return broker->publishing.all.bytes + one->bytes <= PUBLISHING_ENDS_BYTES_MAX
               ? SPN_OK
               : SPN_E_BACKPRESSURE;
}

static spn_err check(const struct wire_publish *publish)
{
    if (publish->level == WIRE_NONE || (publish->entry.flags & WIRE_FLAG_DEPENDS) != 0)
        return SPN_E_INVALID;
    return publish->level > WIRE_DURABLE ? SPN_E_UNSUPPORTED : SPN_OK;
}

/* The id that the answer has: an entry whose id is too long is refused, and an answer has no room
 * for such an id. */
static struct spn_bytes answered_id(struct spn_bytes id)
{
    return id.size <= WIRE_ID_MAX ? id : (struct spn_bytes){NULL, 0};
}

spn_err one_shots_take(struct broker *broker, const struct one_shot_request *request)
{
    struct wire_publish publish;
    const char *words;
    spn_err err = decode(broker, request->in, &publish);
    if (err == SPN_OK)
        err = check(&publish);
    if (err != SPN_OK)
        return err;
    metrics_add(&broker->options->metrics->one_shots, 1);
    struct one_shot *one = one_shot_new(publish.entry.session, answered_id(publish.entry.id));
    if (!one)
        return SPN_E_NOMEM;
    one->peer = *request->peer;
    one->request = request->number;
    one->uid = request->uid;
    /* What rests on a state is answered from disk, whatever the level. */
    bool decisive = (publish.entry.flags & (WIRE_FLAGS_CONDITIONS | WIRE_FLAG_CLOSES)) != 0;
    one->level = decisive ? (uint8_t)WIRE_DURABLE : publish.level;
    one->ends = publish.entry.kind == WIRE_CLOSE || publish.entry.kind == WIRE_DELETE;
    one->bytes = sizeof(*one) + zmq_msg_size(request->frame);
    err = check_time(broker, one, &words);
    if (err == SPN_OK)
        err = publishing_add(&broker->publishing, one->uid, one->bytes, &words);
    if (err == SPN_OK) {
        take(broker, one, request->frame, false);
        return SPN_OK;
    }
    answers_error(&broker->answers, &one->peer, one->request, 0, err, words);
    one_shot_free(one);
    return SPN_OK;
}
