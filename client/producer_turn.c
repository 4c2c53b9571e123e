/* SPDX-License-Identifier: Apache-2.0 */
/* producer_turn: a producer's batches and requests, and the answers to them. */
#include <string.h>

#include "producer_base.h"
#include "too_large.h"

static struct spn_producer *producer_of(struct client_part *part)
{
    return (struct spn_producer *)part;
}

static const struct spn_producer *const_producer_of(const struct client_part *part)
{
    return (const struct spn_producer *)part;
}

/* Sets the text of spn_client_detail when the sidecar's error ended the producer. */
static void note_failure(struct spn_producer *producer, struct spn_bytes detail)
{
    if (producer->delivery.failed != SPN_OK && detail.size > 0)
        client_fail(producer->client, producer->delivery.failed, "sidecar: %.*s", (int)detail.size,
                    (const char *)detail.data);
}

/* An invalid message is dropped as a whole. If it mattered, the state a second later reports the
 * same. */
static bool part_take(struct client_part *part, enum transport_name name, zmq_msg_t *message)
{
    struct spn_producer *producer = producer_of(part);
    struct wire_in body = wire_in(zmq_msg_data(message), zmq_msg_size(message));
    struct wire_header header;
    struct spn_bytes detail;
    if (name != TRANSPORT_INGEST || !producer->open)
        return false;
    spn_err err = wire_get_header(&body, &header);
    if (err == SPN_E_VERSION && header.type == WIRE_ERROR)
        err = SPN_OK; /* its layout is the same in every version */
    if (err != SPN_OK || !delivery_owns(&producer->delivery, header.type, body))
        return false;
    if (delivery_take(&producer->delivery, header.type, body, &detail) == SPN_OK)
        note_failure(producer, detail);
    return true;
}

/* These tickets already had their result. The loss of their events is counted, and reported in the
 * text of spn_client_detail. */
static void note_gone(struct spn_producer *producer)
{
    uint64_t gone = producer->delivery.gone;
    if (gone == producer->gone_told)
        return;
    client_note(producer->client,
                "the sidecar has an older copy of its database, or another database: %llu "
                "acknowledged events are not in it",
                (unsigned long long)(gone - producer->gone_told));
    producer->gone_told = gone;
}

static void take_answer(struct spn_producer *producer)
{
    bool opened = producer->asked == DELIVERY_OPEN;
    struct wire_in in;
    struct spn_bytes detail;
    spn_err err = calls_read(&producer->call, opened ? WIRE_OPENED : WIRE_STATE_IS, &in, &detail);
    if (err == SPN_OK)
        err = delivery_take_state(&producer->delivery, opened, in);
    else
        delivery_take_error(&producer->delivery, err);
    if (err == SPN_OK)
        client_note_instance(producer->client, TRANSPORT_INGEST, producer->delivery.instance);
    note_failure(producer, detail);
    calls_clear(&producer->client->calls, &producer->call);
    note_gone(producer);
    uint64_t now_ns = producer->client->now_ns();
    if (err != SPN_OK) /* not now; requested again after a pause */
        producer->call.again_ns = now_ns + PRODUCER_SILENCE_NS;
    producer->asked = DELIVERY_NOTHING;
    producer->heard_ns = now_ns; /* the next request also waits for a second of silence */
}

/* A small window limits how much may be on its way, not how many sessions there are. So the pending
 * entries have the default limits at least. The token is the seed: it is random, and unknown to
 * those who choose the session names. */
static void start_pending(struct spn_producer *producer, uint64_t token)
{
    size_t count_max = producer->options.window_events;
    size_t bytes_max = producer->options.window_bytes;
    if (count_max < WINDOW_EVENTS_DEFAULT)
        count_max = WINDOW_EVENTS_DEFAULT;
    if (bytes_max < WINDOW_BYTES_DEFAULT)
        bytes_max = WINDOW_BYTES_DEFAULT;
    pending_init(&producer->pending, count_max, bytes_max, token);
}

static spn_err start(struct spn_producer *producer, const struct wire_state *state)
{
    struct spn_client *client = producer->client;
    const struct spn_producer_options *options = &producer->options;
    const struct delivery_options limits = {
        .level = options->level,
        .window_bytes = options->window_bytes,
        .window_events = options->window_events,
        .entry_max = WIRE_ENTRY_HEAD_SIZE + WIRE_SESSION_MAX + WIRE_ID_MAX + WIRE_TYPE_MAX +
                     WIRE_EXTRA_MAX + client->data_max,
        .batch_bytes_max = client->batch_bytes_max,
        .batch_events_max = client->batch_events_max,
    };
    spn_err err = delivery_init(&producer->delivery, &limits, state);
    if (err != SPN_OK)
        return err;
    client_note_instance(client, TRANSPORT_INGEST, state->instance);
    producer->data_max = client->data_max;
    producer->committed = state->durable;
    producer->beat_ns = producer->client->now_ns() + PRODUCER_BEAT_NS;
    start_pending(producer, state->token);
    if (options->level == SPN_NONE)
        client->linger_ms = LINGER_MS;
    producer->open = producer->settled = true;
    return SPN_OK;
}

static void fail_to_open(struct spn_producer *producer, spn_err err)
{
    producer->delivery.failed = err;
    producer->settled = true;
    producer->client->news = true;
}

/* The answer to the first OPEN. A failure is final, and its answer is kept for
 * spn_producer_ready. */
static void take_first_answer(struct spn_producer *producer)
{
    struct wire_in in;
    struct wire_state state;
    struct spn_bytes detail;
    spn_err err = calls_read(&producer->call, WIRE_OPENED, &in, &detail);
    if (calls_will_pass(&producer->call, err)) {
        calls_put_off(&producer->call, producer->client->looked_ns + PRODUCER_OPEN_PAUSE_NS);
        return;
    }
    if (err == SPN_OK) {
        wire_get_state(&in, &state);
        if (in.bad || state.durable >= UINT64_MAX / 2)
            err = SPN_E_PROTOCOL;
    }
    if (err == SPN_OK)
        err = start(producer, &state);
    producer->asked = DELIVERY_NOTHING;
    if (err == SPN_OK) {
        calls_clear(&producer->client->calls, &producer->call);
        return;
    }
    fail_to_open(producer, err);
}

static void ask(struct spn_producer *producer, uint64_t now_ns)
{
    struct delivery *delivery = &producer->delivery;
    uint8_t bytes[96];
    struct wire_out body = wire_out(bytes, sizeof(bytes));
    bool open = delivery->need == DELIVERY_OPEN;
    if (open) {
        /* The first OPEN has token 0: we are the new holder. Its base requests results that are
         * not used here, but base must have a value. */
        struct wire_open message = {.token = delivery->token,
                                    .base = producer->open ? delivery_base(delivery) : 1,
                                    .kept = producer->kept,
                                    .known = delivery->seen,
                                    .instance = delivery->instance};
        memcpy(message.producer, producer->id, sizeof(message.producer));
        wire_put_open(&body, &message);
    } else {
        const struct wire_ask message = {.token = delivery->token, .base = delivery_base(delivery)};
        wire_put_ask(&body, &message);
    }
    if (calls_ask(&producer->client->calls, &producer->call, &producer->client->transport.ingest,
                  open ? WIRE_OPEN : WIRE_STATE, &body, now_ns) != SPN_OK)
        producer->call.again_ns = now_ns + PRODUCER_SILENCE_NS; /* no memory: later */
    producer->asked = delivery->need;
    producer->beat_ns = now_ns + PRODUCER_BEAT_NS;
    delivery_asked(delivery);
}

/* SPN_E_BACKPRESSURE: ingest.sock takes nothing now. */
static spn_err send_batch(struct spn_producer *producer)
{
    struct wire_batch batch;
    struct wire_entry part;
    struct window_cut cut = delivery_cut(&producer->delivery, &batch);
    bool in_part = cut.count == 1 && too_large(producer->client, cut.bytes, cut.size, &part);
    size_t size =
        WIRE_HEADER_SIZE + WIRE_BATCH_HEAD_SIZE + (in_part ? wire_entry_size(&part) : cut.size);
    zmq_msg_t message;
    if (zmq_msg_init_size(&message, size) != 0)
        return SPN_E_NOMEM;
    struct wire_out out = wire_out(zmq_msg_data(&message), size);
    wire_put_header(&out, WIRE_BATCH, 0);
    wire_put_batch(&out, &batch);
    if (in_part)
        too_large_put(&out, &part);
    else
        memcpy(out.at, cut.bytes, cut.size);
    spn_err err = transport_send(&producer->client->transport.ingest, &message);
    if (err != SPN_OK) {
        zmq_msg_close(&message);
        return err;
    }
    delivery_sent(&producer->delivery, &batch);
    return SPN_OK;
}

/* What an entry depends on may have got its result meanwhile. If that was a refusal, the sidecar
 * still refuses the entry, since the number is one whose result it need not know any more. */
static void settle_dependent(const struct delivery *delivery, struct wire_entry *entry)
{
    bool ended = entry->depends < delivery->window.base;
    if (ended && !results_has_refused(&delivery->results, entry->depends))
        entry->flags &= (uint8_t)~WIRE_FLAG_DEPENDS;
}

bool prod_put(struct spn_producer *producer, struct wire_entry *entry, uint64_t *ret_ticket)
{
    struct delivery *delivery = &producer->delivery;
    char given[SPN_GIVEN_ID_MAX];
    struct spn_bytes id = entry->id;
    uint8_t flags = entry->flags;
    if ((flags & WIRE_FLAG_DEPENDS) != 0) {
        if (!depends_reserve(&delivery->depends))
            return false; /* as if there were no room */
        settle_dependent(delivery, entry);
    }
    if (entry->kind == WIRE_EVENT && id.size == 0)
        entry->id =
            (struct spn_bytes){given, prod_write_given_id(producer, delivery->window.next, given)};
    size_t entry_size = wire_entry_size(entry);
    bool has_room = window_has_room(&delivery->window, entry_size);
    if (has_room)
        *ret_ticket = delivery_put(delivery, entry, entry_size);
    entry->id = id;
    entry->flags = flags;
    return has_room;
}

/* Moves pending entries into the window, the oldest first, as far as there is room. They have
 * waited enough and go out without gathering. True: at least one was moved. */
static bool admit_pending(struct spn_producer *producer)
{
    struct delivery *delivery = &producer->delivery;
    uint64_t next = delivery->window.next;
    struct wire_entry *first;
    uint64_t ticket;
    while ((first = pending_first(&producer->pending)) != NULL &&
           prod_put(producer, first, &ticket))
        pending_drop_first(&producer->pending);
    if (delivery->window.next == next)
        return false;
    delivery_hurry(delivery);
    return true;
}

/* A socket that is full shows by itself when it takes more. Memory does not: then it waits. */
static bool send_ready(struct spn_producer *producer, uint64_t now_ns)
{
    spn_err err = SPN_OK;
    while (err == SPN_OK && delivery_ready(&producer->delivery))
        err = send_batch(producer);
    producer->blocked = err == SPN_E_BACKPRESSURE;
    producer->short_ns = err != SPN_OK && !producer->blocked ? now_ns + PRODUCER_SHORT_PAUSE_NS : 0;
    return err == SPN_OK;
}

/* With level none, sending makes room for more pending entries. */
static void send_batches(struct spn_producer *producer, uint64_t now_ns)
{
    struct delivery *delivery = &producer->delivery;
    delivery->options.batch_bytes_max = producer->client->batch_bytes_max;
    delivery->options.batch_events_max = producer->client->batch_events_max;
    if (delivery_in_flight(delivery) == 0)
        producer->heard_ns = now_ns;
    (void)admit_pending(producer);
    while (send_ready(producer, now_ns) && admit_pending(producer))
        continue;
}

/* Until the WELCOME is there, the limits that a producer needs are not known. */
static void turn_to_open(struct spn_producer *producer, uint64_t now_ns)
{
    const struct spn_client *client = producer->client;
    if (!producer->settled && client->failed != SPN_OK)
        fail_to_open(producer, client->failed);
    if (producer->settled || !client->welcomed)
        return;
    if (producer->call.answered)
        take_first_answer(producer);
    if (producer->settled || !calls_due(&producer->call, now_ns))
        return;
    producer->delivery.need = DELIVERY_OPEN;
    ask(producer, now_ns);
}

static void part_turn(struct client_part *part, uint64_t now_ns)
{
    struct spn_producer *producer = producer_of(part);
    struct delivery *delivery = &producer->delivery;
    if (!producer->open)
        turn_to_open(producer, now_ns);
    if (!producer->open)
        return;
    if (producer->call.answered)
        take_answer(producer);
    if (delivery->failed != SPN_OK)
        return;
    if (delivery->moved)
        producer->heard_ns = now_ns;
    delivery->moved = false;
    if (delivery->need < DELIVERY_STATE && delivery_in_flight(delivery) > 0 &&
        now_ns >= producer->heard_ns + PRODUCER_SILENCE_NS)
        delivery->need = DELIVERY_STATE;
    if (delivery_in_flight(delivery) > 0)
        producer->beat_ns = now_ns + PRODUCER_BEAT_NS;
    else if (delivery->need == DELIVERY_NOTHING && now_ns >= producer->beat_ns)
        delivery->need = DELIVERY_STATE;
    if (delivery->need == DELIVERY_NOTHING && delivery_owes_base(delivery))
        delivery->need = DELIVERY_BASE;
    if (delivery->need != DELIVERY_NOTHING &&
        (producer->asked != delivery->need || calls_due(&producer->call, now_ns)))
        ask(producer, now_ns);
    send_batches(producer, now_ns);
}

/* At level accepted even acknowledged events may be gone. */
static void part_reconnected(struct client_part *part, enum transport_name name)
{
    struct spn_producer *producer = producer_of(part);
    if (name != TRANSPORT_INGEST)
        return;
    struct delivery *delivery = &producer->delivery;
    calls_lost(&producer->call);
    if (!producer->open)
        return;
    bool may_lose = delivery_in_flight(delivery) > 0 || delivery->options.level == SPN_ACCEPTED;
    if (delivery->need < DELIVERY_STATE && may_lose)
        delivery->need = DELIVERY_STATE;
}

static uint64_t part_due_ns(const struct client_part *part)
{
    const struct spn_producer *producer = const_producer_of(part);
    const struct delivery *delivery = &producer->delivery;
    if (delivery->failed != SPN_OK || (!producer->open && !producer->client->welcomed))
        return TRANSPORT_NEVER;
    uint64_t due_ns = producer->short_ns > 0 ? producer->short_ns : TRANSPORT_NEVER;
    if (delivery->need != DELIVERY_NOTHING)
        return producer->call.blocked ? due_ns : client_earlier(due_ns, producer->call.again_ns);
    return client_earlier(due_ns, delivery_in_flight(delivery) > 0
                                      ? producer->heard_ns + PRODUCER_SILENCE_NS
                                      : producer->beat_ns);
}

/* One that failed sends nothing more, whatever it wanted to send. */
static bool part_blocked(const struct client_part *part, enum transport_name name)
{
    const struct spn_producer *producer = const_producer_of(part);
    bool waits = producer->blocked || producer->call.blocked;
    return name == TRANSPORT_INGEST && producer->delivery.failed == SPN_OK && waits;
}

static spn_err part_failed(const struct client_part *part)
{
    return const_producer_of(part)->delivery.failed;
}

const struct client_part_ops prod_part_ops = {
    .take = part_take,
    .turn = part_turn,
    .reconnected = part_reconnected,
    .due_ns = part_due_ns,
    .blocked = part_blocked,
    .failed = part_failed,
};
