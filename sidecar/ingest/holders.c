/* SPDX-License-Identifier: Apache-2.0 */
/* holders: who opens a producer, who is fenced by that, and which producers are forgotten. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "ingest/broker_base.h"
#include "net/peer_uid.h"
#include "store/record_meta.h"

enum {
    PRODUCERS_PER_TURN = 1024,
    LOOK_MS_MIN = 100,
    OTHERS_PART = 8, /* of the producers: reserved for other users' processes */
    LEFT_PER_TURN = 64,
};

/* -- answers ----------------------------------------------------------------------------------- */

/* The base in a holder's request shows which results it knows: a batch may wait for just that. */
static void settle(struct broker *broker, struct producer *producer, uint64_t base)
{
    producer_settle(producer, base);
    if (sender_of(producer)->parking.held != 0 && sender_of(producer)->parking.first &&
        sender_of(producer)->parking.loading == 0)
        parking_set_ready(&broker->parking, producer);
}

static void answer(struct broker *broker, struct holder_question *question, spn_err err)
{
    question->err = err;
    mailbox_put(broker->options->reader, &question->message);
}

static void answer_state(struct broker *broker, struct holder_question *question,
                         const struct producer *producer)
{
    question->runs = malloc(WIRE_RUNS_MAX * sizeof(*question->runs));
    if (!question->runs) {
        answer(broker, question, SPN_E_NOMEM);
        return;
    }
    question->state = (struct wire_state){
        .token = producer->token,
        .instance = broker->options->instance,
        .accepted = producer->accepted,
        .durable = producer->durable,
        .run_count =
            (uint32_t)producer_runs(producer, question->base, producer->durable, question->runs),
        .mark = broker->holders.database,
    };
    question->state.mark.position = atomic_load(&broker->options->commits->durable);
    answer(broker, question, SPN_OK);
}

/* -- a new holder ------------------------------------------------------------------------------ */

static uint64_t random_token(const struct producers *producers)
{
    uint64_t token = 0;
    while (token == 0 || producers_find_token(producers, token))
        if (getrandom(&token, sizeof(token), 0) != (ssize_t)sizeof(token))
            token = 0;
    return token;
}

/* Gives the producer to a new holder. The old holder is fenced off at once. The new one gets its
 * answer when its token, and so everything accepted before it, is on disk. An id under which
 * nothing was published yet is not written: reopening it costs nothing, and floods of such ids stay
 * in memory. A holder that brings a token for an unknown id keeps that token: the answer may be
 * lost, and then the holder comes again with the same token. */
static void give_producer(struct broker *broker, struct holder_question *question,
                          struct producer *producer)
{
    struct producers *producers = &broker->state->producers;
    bool keeps = producer->token == 0 && question->token != 0 &&
                 !producers_find_token(producers, question->token);
    if (!keeps)
        question->token = random_token(producers);
    producer_heard(producers, producer, clock_database_ns(broker->options->clock));
    struct batch *batch =
        producer->written ? intake_producer_batch(&broker->intake, producer) : NULL;
    if ((producer->written && !batch) ||
        producers_give(producers, producer, question->token) != SPN_OK) {
        batch_free(batch);
        answer(broker, question, SPN_E_NOMEM);
        return;
    }
    parking_set_held(&broker->parking, producer, 0);
    sender_begin(sender_of(producer));
    if (!batch) {
        answer_state(broker, question, producer);
        return;
    }
    batch->record.token = producer->token;
    batch->opened = question;
    producer->acked = producer->accepted; /* earlier numbers were the previous holder's */
    batches_hand_over(broker, batch);
}

/* The token of this OPEN is on disk. If somebody has opened the same id since, this holder is
 * fenced. */
void holders_opened(struct broker *broker, struct holder_question *question,
                    const struct producer *producer)
{
    if (question->token == producer->token)
        answer_state(broker, question, producer);
    else
        answer(broker, question, SPN_E_FENCED);
}

/* Removes a producer. Later batches under its id are a new producer's, and are written after this.
 * SPN_E_NOMEM: try another time. */
static spn_err remove_producer(struct broker *broker, struct producer *producer)
{
    if (producer->written) {
        struct batch *batch = intake_forget_batch(&broker->intake, producer);
        if (!batch)
            return SPN_E_NOMEM;
        batches_hand_over(broker, batch);
    }
    share_forget(&broker->share, producer);
    parking_drop_all(&broker->parking, producer);
    producers_remove(&broker->state->producers, producer);
    return SPN_OK;
}

/* -- how many there may be --------------------------------------------------------------------- */

/* How many producers the processes of one user may have. */
static uint32_t share_max(const struct broker *broker)
{
    uint32_t most = broker->options->producers_max;
    return most - most / OTHERS_PART;
}

static spn_err refuse_producer(struct broker *broker, struct holder_question *question, bool all)
{
    const struct broker_options *options = broker->options;
    metrics_add(&options->metrics->producers_refused, 1);
    report_limit(&broker->report,
                 &(struct report_limit){
                     .option = "--producers",
                     .max = options->producers_max,
                     .uid = question->owner.uid,
                     .held = producers_of(&broker->state->producers, question->owner.uid),
                     .refused = metrics_get(&options->metrics->producers_refused),
                     .now_ns = options->clock->monotonic_ns(),
                 });
    question->detail =
        all ? "the maximum of --producers is reached; an unused producer is forgotten "
              "an hour after its last message or, if its id is kept, after "
              "--producer-ttl"
            : "the processes of this user have reached the limit for one user: "
              "seven eighths of --producers";
    return SPN_E_LIMIT;
}

/* At the limit, removes a producer that nobody misses: one of this user's, if the user's own limit
 * is met. */
static spn_err make_room(struct broker *broker, struct holder_question *question)
{
    struct producers *producers = &broker->state->producers;
    uint32_t uid = question->owner.uid;
    bool all = producers->count >= broker->options->producers_max;
    if (!all && (uid == PEER_NO_UID || producers_of(producers, uid) < share_max(broker)))
        return SPN_OK;
    struct producer *gone = producers_expendable(producers, all ? UINT32_MAX : uid,
                                                 clock_database_ns(broker->options->clock));
    if (!gone)
        return refuse_producer(broker, question, all);
    metrics_add(&broker->options->metrics->producers_evicted, 1);
    return remove_producer(broker, gone);
}

/* -- a database that went back ----------------------------------------------------------------- */

static bool is_other_database(const struct broker *broker, const struct holder_question *question)
{
    return memcmp(question->known.database, broker->holders.database.database,
                  sizeof(question->known.database)) != 0;
}

/* How far the database was when the holder can have seen it last. For a holder that has no answer
 * from this instance yet, positions added since the start do not count: others may have continued
 * where an older copy ends, beyond what this holder has seen. */
static uint64_t seen_at_most(const struct broker *broker, const struct holder_question *question)
{
    return question->known_of == broker->options->instance
               ? atomic_load(&broker->options->commits->durable)
               : broker->holders.database.position;
}

/* The holder has seen more of this database than there was, or has seen another one: events that it
 * knows as durable are not here. */
static bool is_ahead(const struct broker *broker, const struct holder_question *question)
{
    static const struct wire_mark nothing;
    if (memcmp(&question->known, &nothing, sizeof(nothing)) == 0)
        return false;
    return is_other_database(broker, question) ||
           question->known.position > seen_at_most(broker, question);
}

static void note_ahead(struct broker *broker, const struct holder_question *question)
{
    metrics_add(&broker->options->metrics->went_back, 1);
    report_ahead(&broker->report, question->known.position, seen_at_most(broker, question),
                 is_other_database(broker, question), broker->options->clock->monotonic_ns());
}

/* -- OPEN and STATE ---------------------------------------------------------------------------- */

/* A token for an unknown id: the producer was forgotten after everything it sent was on disk, so
 * nothing below its base is missing. If the holder is ahead, all of it is missing: its numbers
 * start from 1, which reports that. */
static spn_err add_producer(struct broker *broker, struct holder_question *question, bool ahead,
                            struct producer **ret_producer)
{
    struct producers *producers = &broker->state->producers;
    spn_err err = make_room(broker, question);
    if (err == SPN_OK)
        err = producers_add(producers, question->producer_id, &question->owner, ret_producer);
    if (err != SPN_OK || question->token == 0 || ahead)
        return err;
    struct producer *producer = *ret_producer;
    (void)producer_skip(producer, question->base);
    producer_settle(producer, question->base);
    producer->durable = producer->acked = producer->accepted;
    return SPN_OK;
}

static void open_producer(struct broker *broker, struct holder_question *question)
{
    struct producers *producers = &broker->state->producers;
    struct producer *producer = producers_find_id(producers, question->producer_id);
    bool ahead = question->token != 0 && is_ahead(broker, question);
    bool again = producer && question->token == producer->token && !producer->stale;
    if (ahead && !again) /* an OPEN that is sent twice is from one holder */
        note_ahead(broker, question);
    if (broker->stopping) {
        answer(broker, question, SPN_E_STOPPING);
    } else if (producer && question->token != 0 && question->token == producer->token) {
        producer->stale = false;
        settle(broker, producer, sender_known_end(sender_of(producer), question->base));
        answer_state(broker, question, producer);
    } else if (producer && question->token != 0 && producer->token != 0 && !ahead) {
        answer(broker, question, SPN_E_FENCED);
    } else {
        /* A holder that is ahead may have a newer token than the one here. */
        spn_err err = producer ? SPN_OK : add_producer(broker, question, ahead, &producer);
        if (err == SPN_OK)
            give_producer(broker, question, producer);
        else
            answer(broker, question, err);
    }
}

static void look_at_producer(struct broker *broker, struct holder_question *question)
{
    struct producers *producers = &broker->state->producers;
    struct producer *producer = producers_find_token(producers, question->token);
    if (!producer || producer->stale) {
        answer(broker, question, SPN_E_STALE_TOKEN);
        return;
    }
    producer_heard(producers, producer, clock_database_ns(broker->options->clock));
    settle(broker, producer, sender_known_end(sender_of(producer), question->base));
    answer_state(broker, question, producer);
}

void holders_answer(struct broker *broker, struct holder_question *question)
{
    if (question->asker.type == WIRE_OPEN)
        open_producer(broker, question);
    else
        look_at_producer(broker, question);
}

/* forget_left forgets the producer once nothing of it is on its way. */
spn_err holders_leave(struct broker *broker, struct wire_in in)
{
    uint64_t token;
    wire_get_leave(&in, &token);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    struct producer *producer = producers_find_token(&broker->state->producers, token);
    if (producer)
        producer_leave(&broker->state->producers, producer);
    return SPN_OK;
}

/* -- producers that nobody uses ---------------------------------------------------------------- */

static bool is_unused(const struct producer *producer, uint64_t now_ns, uint64_t ttl_ns)
{
    return sender_is_idle(producer) && now_ns > producer->heard_ns &&
           now_ns - producer->heard_ns >= ttl_ns;
}

/* Producers whose holder has ended come first in their lists, and stay until nothing of them is on
 * its way. */
static void forget_left_in(struct broker *broker, const struct producer_list *list)
{
    struct producer *producer = list->first;
    for (int i = 0; i < LEFT_PER_TURN && producer && producer->left; i++) {
        struct producer *next = producer->after;
        if (sender_is_idle(producer) && remove_producer(broker, producer) == SPN_OK)
            metrics_add(&broker->options->metrics->producers_left, 1);
        producer = next;
    }
}

void holders_forget_left(struct broker *broker)
{
    if (broker->stopping)
        return;
    forget_left_in(broker, &broker->state->producers.unwritten);
    forget_left_in(broker, &broker->state->producers.random);
}

/* A sixteenth of the producers' time to live. */
static uint64_t look_interval_ns(const struct broker *broker)
{
    uint64_t part_ns = broker->options->producer_ttl_ns / 16;
    return part_ns > LOOK_MS_MIN * 1000000ull ? part_ns : LOOK_MS_MIN * 1000000ull;
}

/* Looks at a part of the table in each turn. */
void holders_forget_unused(struct broker *broker)
{
    struct producers *producers = &broker->state->producers;
    uint64_t ttl_ns = broker->options->producer_ttl_ns;
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    if (ttl_ns == 0 || broker->stopping || now_ns < broker->holders.look_due_ns)
        return;
    uint64_t now_database_ns = clock_database_ns(broker->options->clock);
    uint32_t end = broker->holders.looked_at + PRODUCERS_PER_TURN;
    for (; broker->holders.looked_at < producers->count && broker->holders.looked_at < end;
         broker->holders.looked_at++) {
        struct producer *producer =
            producers->slots[producers->count - 1 - broker->holders.looked_at];
        if (is_unused(producer, now_database_ns, ttl_ns) &&
            remove_producer(broker, producer) == SPN_OK)
            metrics_add(&broker->options->metrics->producers_expired, 1);
    }
    if (broker->holders.looked_at < producers->count)
        return;
    broker->holders.looked_at = 0;
    broker->holders.look_due_ns = now_ns + look_interval_ns(broker);
}

void holders_init(struct broker *broker)
{
    struct wire_mark *database = &broker->holders.database;
    memcpy(database->database, broker->options->database, sizeof(database->database));
    database->position = atomic_load(&broker->options->commits->durable);
    /* Nobody could send anything while nothing ran: holders may come back first. */
    broker->holders.look_due_ns = broker->options->clock->monotonic_ns() + look_interval_ns(broker);
}

uint64_t holders_due_ns(const struct broker *broker)
{
    return broker->options->producer_ttl_ns > 0 && !broker->stopping ? broker->holders.look_due_ns
                                                                     : UINT64_MAX;
}
