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
    OPENING_MAX = 256, /* OPENs that wait for a commit, which a full disk delays */
    STATE_SIZE_MAX = WIRE_HEADER_SIZE + 96 + WIRE_RUNS_MAX * WIRE_RUN_SIZE,
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

/* An OPEN that is being taken. */
struct open_request {
    const struct peer *peer;
    uint64_t number;
    struct wire_open open;
    struct producer_owner owner;
    const char *detail; /* more text for an error; NULL: the code's own */
};

static void refuse(struct broker *broker, const struct open_request *request, spn_err err)
{
    answers_error(&broker->answers, request->peer, request->number, 0, err, request->detail);
}

/* runs: room for WIRE_RUNS_MAX. */
static struct wire_state state_of(const struct broker *broker, const struct producer *producer,
                                  uint64_t base, struct wire_run *runs)
{
    struct wire_state state = {
        .token = producer->token,
        .instance = broker->options->instance,
        .accepted = producer->accepted,
        .durable = producer->durable,
        .run_count = (uint32_t)producer_runs(producer, base, producer->durable, runs),
        .mark = broker->holders.database,
    };
    state.mark.position = atomic_load(&broker->options->commits->durable);
    return state;
}

static void send_state(struct broker *broker, const struct peer *peer, uint64_t number,
                       enum wire_type type, const struct producer *producer, uint64_t base)
{
    static struct wire_run runs[WIRE_RUNS_MAX];
    static uint8_t bytes[STATE_SIZE_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_state state = state_of(broker, producer, base, runs);
    wire_put_header(&out, type, number);
    wire_put_state(&out, &state);
    for (uint32_t i = 0; i < state.run_count; i++)
        wire_put_run(&out, &runs[i]);
    answers_send(&broker->answers, peer, &out);
}

static void opened(struct broker *broker, const struct open_request *request,
                   const struct producer *producer)
{
    send_state(broker, request->peer, request->number, WIRE_OPENED, producer, request->open.base);
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

static struct opening *new_opening(const struct open_request *request, uint64_t token)
{
    struct opening *opening = malloc(sizeof(*opening));
    if (opening)
        *opening = (struct opening){.peer = *request->peer,
                                    .request = request->number,
                                    .token = token,
                                    .base = request->open.base};
    return opening;
}

/* A batch that writes the new token, and then answers. NULL: out of memory. */
static struct batch *opening_batch(struct broker *broker, const struct open_request *request,
                                   struct producer *producer, uint64_t token)
{
    struct batch *batch = intake_producer_batch(&broker->intake, producer);
    if (!batch)
        return NULL;
    batch->record.token = token;
    batch->opened = new_opening(request, token);
    if (batch->opened)
        return batch;
    batch_free(batch);
    return NULL;
}

/* Gives the producer to a new holder. The old holder is fenced off at once. The new one gets its
 * answer when its token, and so everything accepted before it, is on disk. An id under which
 * nothing was published yet is not written: reopening it costs nothing, and floods of such ids stay
 * in memory. A holder that brings a token for an unknown id keeps that token: the answer may be
 * lost, and then the holder comes again with the same token. An error: it was not given. */
static spn_err give_producer(struct broker *broker, const struct open_request *request,
                             struct producer *producer)
{
    struct producers *producers = &broker->state->producers;
    uint64_t token = request->open.token;
    bool keeps = producer->token == 0 && token != 0 && !producers_find_token(producers, token);
    if (!keeps)
        token = random_token(producers);
    producer_heard(producers, producer, clock_database_ns(broker->options->clock));
    if (producer->written && broker->holders.opening >= OPENING_MAX)
        return SPN_E_BACKPRESSURE;
    struct batch *batch =
        producer->written ? opening_batch(broker, request, producer, token) : NULL;
    if ((producer->written && !batch) || producers_give(producers, producer, token) != SPN_OK) {
        batch_free(batch);
        return SPN_E_NOMEM;
    }
    parking_set_held(&broker->parking, producer, 0);
    sender_begin(sender_of(producer));
    if (!batch) {
        opened(broker, request, producer);
        return SPN_OK;
    }
    broker->holders.opening++;
    producer->acked = producer->accepted; /* earlier numbers were the previous holder's */
    batches_hand_over(broker, batch);
    return SPN_OK;
}

/* The token of this OPEN is on disk. If somebody has opened the same id since, this holder is
 * fenced. */
void holders_opened(struct broker *broker, const struct opening *opening,
                    const struct producer *producer)
{
    broker->holders.opening--;
    if (opening->token == producer->token)
        send_state(broker, &opening->peer, opening->request, WIRE_OPENED, producer, opening->base);
    else
        answers_error(&broker->answers, &opening->peer, opening->request, 0, SPN_E_FENCED, NULL);
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

static spn_err refuse_producer(struct broker *broker, struct open_request *request, bool all)
{
    const struct broker_options *options = broker->options;
    metrics_add(&options->metrics->producers_refused, 1);
    report_limit(&broker->report,
                 &(struct report_limit){
                     .option = "--producers",
                     .max = options->producers_max,
                     .uid = request->owner.uid,
                     .held = producers_of(&broker->state->producers, request->owner.uid),
                     .refused = metrics_get(&options->metrics->producers_refused),
                     .now_ns = options->clock->monotonic_ns(),
                 });
    request->detail =
        all ? "the maximum of --producers is reached; an unused producer is forgotten "
              "an hour after its last message or, if its id is kept, after "
              "--producer-ttl"
            : "the processes of this user have reached the limit for one user: "
              "seven eighths of --producers";
    return SPN_E_LIMIT;
}

/* At the limit, removes a producer that nobody misses: one of this user's, if the user's own limit
 * is met. */
static spn_err make_room(struct broker *broker, struct open_request *request)
{
    struct producers *producers = &broker->state->producers;
    uint32_t uid = request->owner.uid;
    bool all = producers->count >= broker->options->producers_max;
    if (!all && (uid == PEER_NO_UID || producers_of(producers, uid) < share_max(broker)))
        return SPN_OK;
    struct producer *gone = producers_expendable(producers, all ? UINT32_MAX : uid,
                                                 clock_database_ns(broker->options->clock));
    if (!gone)
        return refuse_producer(broker, request, all);
    metrics_add(&broker->options->metrics->producers_evicted, 1);
    return remove_producer(broker, gone);
}

/* -- a database that went back ----------------------------------------------------------------- */

static bool is_other_database(const struct broker *broker, const struct open_request *request)
{
    return memcmp(request->open.known.database, broker->holders.database.database,
                  sizeof(request->open.known.database)) != 0;
}

/* How far the database was when the holder can have seen it last. For a holder that has no answer
 * from this instance yet, positions added since the start do not count: others may have continued
 * where an older copy ends, beyond what this holder has seen. */
static uint64_t seen_at_most(const struct broker *broker, const struct open_request *request)
{
    return request->open.instance == broker->options->instance
               ? atomic_load(&broker->options->commits->durable)
               : broker->holders.database.position;
}

/* The holder has seen more of this database than there was, or has seen another one: events that it
 * knows as durable are not here. */
static bool is_ahead(const struct broker *broker, const struct open_request *request)
{
    static const struct wire_mark nothing;
    if (memcmp(&request->open.known, &nothing, sizeof(nothing)) == 0)
        return false;
    return is_other_database(broker, request) ||
           request->open.known.position > seen_at_most(broker, request);
}

static void note_ahead(struct broker *broker, const struct open_request *request)
{
    metrics_add(&broker->options->metrics->went_back, 1);
    report_ahead(&broker->report, request->open.known.position, seen_at_most(broker, request),
                 is_other_database(broker, request), broker->options->clock->monotonic_ns());
}

/* -- OPEN and STATE ---------------------------------------------------------------------------- */

/* A token for an unknown id: the producer was forgotten after everything it sent was on disk, so
 * nothing below its base is missing. If the holder is ahead, all of it is missing: its numbers
 * start from 1, which reports that. */
static spn_err add_producer(struct broker *broker, struct open_request *request, bool ahead,
                            struct producer **ret_producer)
{
    struct producers *producers = &broker->state->producers;
    spn_err err = make_room(broker, request);
    if (err == SPN_OK)
        err = producers_add(producers, request->open.producer, &request->owner, ret_producer);
    if (err != SPN_OK || request->open.token == 0 || ahead)
        return err;
    struct producer *producer = *ret_producer;
    (void)producer_skip(producer, request->open.base);
    producer_settle(producer, request->open.base);
    producer->durable = producer->acked = producer->accepted;
    return SPN_OK;
}

static void open_producer(struct broker *broker, struct open_request *request)
{
    struct producers *producers = &broker->state->producers;
    struct producer *producer = producers_find_id(producers, request->open.producer);
    uint64_t token = request->open.token;
    bool ahead = token != 0 && is_ahead(broker, request);
    bool again = producer && token == producer->token && !producer->stale;
    if (ahead && !again) /* an OPEN that is sent twice is from one holder */
        note_ahead(broker, request);
    spn_err why = SPN_OK;
    if (broker->stopping) {
        why = SPN_E_STOPPING;
    } else if (producer && token != 0 && token == producer->token) {
        producer->stale = false;
        settle(broker, producer, sender_known_end(sender_of(producer), request->open.base));
        opened(broker, request, producer);
    } else if (producer && token != 0 && producer->token != 0 && !ahead) {
        why = SPN_E_FENCED;
    } else {
        /* A holder that is ahead may have a newer token than the one here. */
        why = producer ? SPN_OK : add_producer(broker, request, ahead, &producer);
        if (why == SPN_OK)
            why = give_producer(broker, request, producer);
    }
    if (why != SPN_OK)
        refuse(broker, request, why);
    report_producer(&broker->debug, why == SPN_OK ? "producer_opened" : "producer_refused",
                    request->open.producer, request->owner.uid, why,
                    broker->options->clock->monotonic_ns());
}

spn_err holders_open(struct broker *broker, const struct peer *peer, uint64_t number, uint32_t uid,
                     struct wire_in in)
{
    struct open_request request = {.peer = peer, .number = number};
    wire_get_open(&in, &request.open);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    request.owner = (struct producer_owner){.uid = uid, .kept = request.open.kept};
    open_producer(broker, &request);
    return SPN_OK;
}

/* The producer that a STATE is about; NULL: its token is stale. */
static struct producer *look_at(struct broker *broker, uint64_t token, uint64_t base)
{
    struct producers *producers = &broker->state->producers;
    struct producer *producer = producers_find_token(producers, token);
    if (!producer || producer->stale)
        return NULL;
    producer_heard(producers, producer, clock_database_ns(broker->options->clock));
    settle(broker, producer, sender_known_end(sender_of(producer), base));
    return producer;
}

spn_err holders_state(struct broker *broker, const struct peer *peer, uint64_t number,
                      struct wire_in in)
{
    struct wire_ask ask;
    wire_get_ask(&in, &ask);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    const struct producer *producer = look_at(broker, ask.token, ask.base);
    if (producer)
        send_state(broker, peer, number, WIRE_STATE_IS, producer, ask.base);
    else
        answers_error(&broker->answers, peer, number, 0, SPN_E_STALE_TOKEN, NULL);
    return SPN_OK;
}

void holders_answer(struct broker *broker, struct holder_question *question)
{
    const struct producer *producer = look_at(broker, question->token, question->base);
    question->err = SPN_E_STALE_TOKEN;
    if (producer) {
        question->runs = malloc(WIRE_RUNS_MAX * sizeof(*question->runs));
        question->err = question->runs ? SPN_OK : SPN_E_NOMEM;
    }
    if (question->err == SPN_OK)
        question->state = state_of(broker, producer, question->base, question->runs);
    mailbox_put(broker->options->reader, &question->message);
}

/* forget_left forgets the producer once nothing of it is on its way. */
spn_err holders_leave(struct broker *broker, struct wire_in in)
{
    uint64_t token;
    wire_get_leave(&in, &token);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    struct producer *producer = producers_find_token(&broker->state->producers, token);
    if (!producer)
        return SPN_OK;
    report_producer(&broker->debug, "producer_left", producer->id, producer->uid, SPN_OK,
                    broker->options->clock->monotonic_ns());
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

void holders_follow_options(struct broker *broker)
{
    uint64_t due_ns = broker->options->clock->monotonic_ns() + look_interval_ns(broker);
    if (due_ns < broker->holders.look_due_ns)
        broker->holders.look_due_ns = due_ns;
}

uint64_t holders_due_ns(const struct broker *broker)
{
    return broker->options->producer_ttl_ns > 0 && !broker->stopping ? broker->holders.look_due_ns
                                                                     : UINT64_MAX;
}
