/* SPDX-License-Identifier: Apache-2.0 */
#include "producer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "err.h"
#include "sized.h"

enum {
    WINDOW_BYTES_DEFAULT = 4 * 1024 * 1024,
    WINDOW_EVENTS_DEFAULT = 65536,
    LINGER_MS = 100,  /* what ZeroMQ gets for what it has not written at the close */
    DECIMAL_MAX = 20, /* digits of UINT64_MAX */
};

static_assert(PRODUCER_PREFIX_SIZE + DECIMAL_MAX + 1 <= SPN_GIVEN_ID_MAX, "room for a given id");
static_assert(SPN_PRODUCER_ID_SIZE == WIRE_PRODUCER_ID_SIZE, "one producer id");

/* -- ids that the library gives ---------------------------------------------------------------- */

/* RFC 4648, section 5, without padding: 16 bytes give 22 characters. */
static void encode_prefix(const uint8_t id[WIRE_PRODUCER_ID_SIZE], char out[PRODUCER_PREFIX_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t used = 0;
    for (size_t i = 0; i < WIRE_PRODUCER_ID_SIZE; i += 3) {
        uint32_t group = (uint32_t)id[i] << 16;
        if (i + 2 < WIRE_PRODUCER_ID_SIZE)
            group |= (uint32_t)id[i + 1] << 8 | id[i + 2];
        for (int shift = 18; shift >= 0 && used < PRODUCER_PREFIX_SIZE - 1; shift -= 6)
            out[used++] = digits[(group >> shift) & 63];
    }
    out[used] = '-';
}

/* Written without a NUL; returns its length. */
static size_t write_given_id(const struct spn_producer *producer, uint64_t number,
                             char out[SPN_GIVEN_ID_MAX])
{
    char decimal[DECIMAL_MAX];
    size_t at = DECIMAL_MAX;
    do {
        decimal[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(out, producer->prefix, PRODUCER_PREFIX_SIZE);
    memcpy(out + PRODUCER_PREFIX_SIZE, decimal + at, DECIMAL_MAX - at);
    return PRODUCER_PREFIX_SIZE + DECIMAL_MAX - at;
}

size_t spn_given_id(const spn_producer *producer, uint64_t ticket, char ret_id[SPN_GIVEN_ID_MAX])
{
    if (ret_id == NULL)
        return 0;
    size_t length = producer != NULL ? write_given_id(producer, ticket, ret_id) : 0;
    ret_id[length] = '\0';
    return length;
}

/* -- its part of a turn ------------------------------------------------------------------------ */

static struct spn_producer *producer_of(struct client_part *part)
{
    return (struct spn_producer *)part;
}

static const struct spn_producer *const_producer_of(const struct client_part *part)
{
    return (const struct spn_producer *)part;
}

/* Words for spn_client_detail, when the sidecar's error ended the producer. */
static void note_failure(struct spn_producer *producer, struct spn_bytes detail)
{
    if (producer->delivery.failed != SPN_OK && detail.size > 0)
        client_fail(producer->client, producer->delivery.failed, "sidecar: %.*s", (int)detail.size,
                    (const char *)detail.data);
}

/* A message that lies is dropped whole: if it mattered, the state a second later says so again. */
static bool part_take(struct client_part *part, uint8_t type, struct wire_in body)
{
    struct spn_producer *producer = producer_of(part);
    struct spn_bytes detail;
    if (!delivery_owns(&producer->delivery, type, body))
        return false;
    if (delivery_take(&producer->delivery, type, body, &detail) == SPN_OK)
        note_failure(producer, detail);
    return true;
}

/* Each ticket has had its result: that the event is gone all the same is counted, and said. */
static void note_gone(struct spn_producer *producer)
{
    uint64_t gone = producer->delivery.gone;
    if (gone == producer->gone_told)
        return;
    client_note(producer->client,
                "the sidecar has an older copy of its database, or another one: %llu events that "
                "were acknowledged are not in it",
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
    note_failure(producer, detail);
    calls_clear(&producer->call);
    note_gone(producer);
    if (err != SPN_OK) /* not now; asked again after a pause */
        producer->call.again_ns = transport_now() + PRODUCER_SILENCE_NS;
    producer->asked = DELIVERY_NOTHING;
    producer->heard_ns = transport_now(); /* the next question waits for a second of silence too */
}

static void ask(struct spn_producer *producer, uint64_t now_ns)
{
    struct delivery *delivery = &producer->delivery;
    uint8_t bytes[96];
    struct wire_out body = wire_out(bytes, sizeof(bytes));
    bool open = delivery->need == DELIVERY_OPEN;
    if (open) {
        struct wire_open message = {.token = delivery->token,
                                    .base = delivery->window.base,
                                    .kept = producer->kept,
                                    .known = delivery->seen,
                                    .instance = delivery->instance};
        memcpy(message.producer, producer->id, sizeof(message.producer));
        wire_put_open(&body, &message);
    } else {
        const struct wire_ask message = {.token = delivery->token, .base = delivery->window.base};
        wire_put_ask(&body, &message);
    }
    if (calls_ask(&producer->client->calls, &producer->call, &producer->client->transport.read,
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
    struct window_cut cut = delivery_cut(&producer->delivery, &batch);
    zmq_msg_t message;
    if (zmq_msg_init_size(&message, WIRE_HEADER_SIZE + WIRE_BATCH_HEAD_SIZE + cut.size) != 0)
        return SPN_E_NOMEM;
    struct wire_out out = wire_out(zmq_msg_data(&message), WIRE_HEADER_SIZE + WIRE_BATCH_HEAD_SIZE);
    wire_put_header(&out, WIRE_BATCH, 0);
    wire_put_batch(&out, &batch);
    memcpy(out.at, cut.bytes, cut.size);
    spn_err err = transport_send(&producer->client->transport.ingest, &message);
    if (err != SPN_OK) {
        zmq_msg_close(&message);
        return err;
    }
    delivery_sent(&producer->delivery, &batch);
    return SPN_OK;
}

static void give_id(const struct spn_producer *producer, struct wire_entry *entry,
                    char given[SPN_GIVEN_ID_MAX])
{
    if (entry->kind == WIRE_EVENT && entry->id.size == 0)
        entry->id = (struct spn_bytes){
            given, write_given_id(producer, producer->delivery.window.next, given)};
}

/* Moves what is pending into the window, the oldest first, as far as there is room. It has waited
 * enough: it is not gathered. True: there was some. */
static bool admit_pending(struct spn_producer *producer)
{
    struct delivery *delivery = &producer->delivery;
    uint64_t next = delivery->window.next;
    const struct wire_entry *first;
    while ((first = pending_first(&producer->pending)) != NULL) {
        char given[SPN_GIVEN_ID_MAX];
        struct wire_entry entry = *first;
        give_id(producer, &entry, given);
        size_t entry_size = wire_entry_size(&entry);
        if (!window_has_room(&delivery->window, entry_size))
            break;
        delivery_put(delivery, &entry, entry_size);
        pending_drop_first(&producer->pending);
    }
    if (delivery->window.next == next)
        return false;
    delivery_hurry(delivery);
    return true;
}

/* With level none sending makes room. */
static void send_batches(struct spn_producer *producer, uint64_t now_ns)
{
    struct delivery *delivery = &producer->delivery;
    if (delivery_in_flight(delivery) == 0)
        producer->heard_ns = now_ns;
    producer->blocked = false;
    (void)admit_pending(producer);
    do {
        while (!producer->blocked && delivery_ready(delivery))
            producer->blocked = send_batch(producer) != SPN_OK;
    } while (!producer->blocked && admit_pending(producer));
}

static void part_turn(struct client_part *part, uint64_t now_ns)
{
    struct spn_producer *producer = producer_of(part);
    struct delivery *delivery = &producer->delivery;
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

/* At level accepted even what was acknowledged may be gone. */
static void part_reconnected(struct client_part *part)
{
    struct delivery *delivery = &producer_of(part)->delivery;
    bool may_lose = delivery_in_flight(delivery) > 0 || delivery->options.level == SPN_ACCEPTED;
    if (delivery->need < DELIVERY_STATE && may_lose)
        delivery->need = DELIVERY_STATE;
}

static uint64_t part_due_ns(const struct client_part *part)
{
    const struct spn_producer *producer = const_producer_of(part);
    const struct delivery *delivery = &producer->delivery;
    if (delivery->failed != SPN_OK)
        return TRANSPORT_NEVER;
    if (delivery->need != DELIVERY_NOTHING)
        return producer->call.blocked ? TRANSPORT_NEVER : producer->call.again_ns;
    return delivery_in_flight(delivery) > 0 ? producer->heard_ns + PRODUCER_SILENCE_NS
                                            : producer->beat_ns;
}

static bool part_blocked(const struct client_part *part)
{
    return const_producer_of(part)->blocked;
}

static spn_err part_failed(const struct client_part *part)
{
    return const_producer_of(part)->delivery.failed;
}

static const struct client_part_ops part_ops = {
    .take = part_take,
    .turn = part_turn,
    .reconnected = part_reconnected,
    .due_ns = part_due_ns,
    .blocked = part_blocked,
    .failed = part_failed,
};

/* -- open -------------------------------------------------------------------------------------- */

static spn_err read_options(struct spn_client *client, const struct spn_producer_options *options,
                            struct spn_producer_options *ret_options)
{
    *ret_options = spn_producer_defaults();
    if (options != NULL && !sized_take(ret_options, sizeof(*ret_options),
                                       SIZED_THROUGH(struct spn_producer_options, level), options))
        return client_fail(client, SPN_E_INVALID,
                           "spn_producer_options.size is not set, or of a later version that sets "
                           "what this one does not know");
    if (ret_options->window_bytes == 0)
        ret_options->window_bytes = WINDOW_BYTES_DEFAULT;
    if (ret_options->window_events == 0)
        ret_options->window_events = WINDOW_EVENTS_DEFAULT;
    if (ret_options->send_timeout_ms < -1)
        return client_fail(client, SPN_E_INVALID,
                           "send_timeout_ms is %d: 0 is not to wait, -1 to "
                           "wait for ever",
                           ret_options->send_timeout_ms);
    if (ret_options->level < SPN_NONE || ret_options->level > SPN_DURABLE)
        return client_fail(client, SPN_E_INVALID, "no such level: %d", (int)ret_options->level);
    if (ret_options->window_bytes > WINDOW_BYTES_MAX ||
        ret_options->window_events > WINDOW_EVENTS_MAX)
        return client_fail(client, SPN_E_INVALID, "window over %d bytes or %d events",
                           WINDOW_BYTES_MAX, WINDOW_EVENTS_MAX);
    return SPN_OK;
}

static spn_err choose_id(struct spn_producer *producer, const uint8_t *id)
{
    producer->kept = id != NULL;
    if (id != NULL)
        memcpy(producer->id, id, sizeof(producer->id));
    else if (getrandom(producer->id, sizeof(producer->id), 0) != (ssize_t)sizeof(producer->id))
        return client_fail(producer->client, SPN_E_SYSTEM, "no random bytes");
    encode_prefix(producer->id, producer->prefix);
    return SPN_OK;
}

/* Token 0: we are the new holder. Base 1 asks for results that are of no use here, but must be
 * something. */
static spn_err take_id(struct spn_producer *producer, int timeout_ms, struct wire_state *ret_state)
{
    uint8_t bytes[96];
    struct wire_out body = wire_out(bytes, sizeof(bytes));
    struct wire_open open = {.token = 0, .base = 1, .kept = producer->kept};
    struct wire_in in;
    memcpy(open.producer, producer->id, sizeof(open.producer));
    wire_put_open(&body, &open);
    const struct client_question question = {WIRE_OPEN, WIRE_OPENED, &body};
    spn_err err =
        client_ask(producer->client, &producer->call, &question, client_deadline(timeout_ms), &in);
    if (err != SPN_OK)
        return err;
    wire_get_state(&in, ret_state);
    if (in.bad || ret_state->durable >= UINT64_MAX / 2)
        return client_fail(producer->client, SPN_E_PROTOCOL, "the sidecar's OPENED cannot be read");
    calls_clear(&producer->call);
    return SPN_OK;
}

/* A small window says how much may be on its way, not how many sessions there are. The token is the
 * seed: random, and none of those who choose names know it. */
static void start_pending(struct spn_producer *producer, const struct spn_producer_options *options,
                          uint64_t token)
{
    size_t count_max = options->window_events;
    size_t bytes_max = options->window_bytes;
    if (count_max < WINDOW_EVENTS_DEFAULT)
        count_max = WINDOW_EVENTS_DEFAULT;
    if (bytes_max < WINDOW_BYTES_DEFAULT)
        bytes_max = WINDOW_BYTES_DEFAULT;
    pending_init(&producer->pending, count_max, bytes_max, token);
}

static spn_err start(struct spn_producer *producer, const struct spn_producer_options *options,
                     const struct wire_state *state)
{
    struct spn_client *client = producer->client;
    const struct delivery_options limits = {
        .level = options->level,
        .window_bytes = options->window_bytes,
        .window_events = options->window_events,
        .entry_max = WIRE_ENTRY_HEAD_SIZE + WIRE_SESSION_MAX + WIRE_ID_MAX + WIRE_TYPE_MAX +
                     client->data_max,
        .batch_bytes_max = client->batch_bytes_max,
        .batch_events_max = client->batch_events_max,
    };
    producer->committed = state->durable;
    producer->beat_ns = transport_now() + PRODUCER_BEAT_NS;
    producer->send_timeout_ms = options->send_timeout_ms;
    producer->latest_only = options->latest_only;
    start_pending(producer, options, state->token);
    if (options->level == SPN_NONE)
        client->linger_ms = LINGER_MS;
    spn_err err = delivery_init(&producer->delivery, &limits, state);
    return err == SPN_OK ? SPN_OK : client_fail(client, err, NULL);
}

static void free_producer(struct spn_producer *producer)
{
    client_remove(producer->client, &producer->part);
    calls_remove(&producer->client->calls, &producer->call);
    delivery_release(&producer->delivery);
    pending_release(&producer->pending);
    free(producer);
}

spn_err spn_producer_open(spn_producer **ret_producer, spn_client *client,
                          const struct spn_producer_options *options, int timeout_ms)
{
    struct spn_producer_options chosen;
    struct wire_state state;
    spn_err err = client_check_for(client, ret_producer);
    if (err == SPN_OK)
        err = read_options(client, options, &chosen);
    if (err != SPN_OK)
        return err;
    struct spn_producer *producer = calloc(1, sizeof(*producer));
    if (producer == NULL)
        return client_fail(client, SPN_E_NOMEM, NULL);
    producer->client = client;
    producer->part.ops = &part_ops;
    calls_add(&client->calls, &producer->call);
    err = choose_id(producer, chosen.id);
    if (err != SPN_OK)
        goto cleanup;
    err = take_id(producer, timeout_ms, &state);
    if (err != SPN_OK)
        goto cleanup;
    err = start(producer, &chosen, &state);
cleanup:
    if (err != SPN_OK) {
        free_producer(producer);
        return err;
    }
    client_add(client, &producer->part);
    *ret_producer = producer;
    return SPN_OK;
}

uint64_t spn_producer_committed(const spn_producer *producer)
{
    return producer != NULL ? producer->committed : 0;
}

/* -- publish ----------------------------------------------------------------------------------- */

static struct spn_client *client_of(const struct spn_producer *producer)
{
    return producer != NULL ? producer->client : NULL;
}

static spn_err check_usable(struct spn_producer *producer)
{
    spn_err err = client_check(client_of(producer));
    if (err != SPN_OK || producer->delivery.failed == SPN_OK)
        return err;
    err = producer->delivery.failed;
    return producer->client->err == err ? err : client_fail(producer->client, err, NULL);
}

static spn_err check_session(struct spn_producer *producer, struct spn_bytes session)
{
    if (session.size > 0 && session.size == producer->session_size &&
        memcmp(session.data, producer->session, session.size) == 0)
        return SPN_OK;
    spn_err err = wire_check_session(session);
    if (err != SPN_OK)
        return client_fail(producer->client, err, NULL);
    memcpy(producer->session, session.data, session.size);
    producer->session_size = session.size;
    return SPN_OK;
}

/* What a marker cannot say. */
static bool is_no_marker(const struct spn_event *event)
{
    if (event->kind == SPN_EVENT)
        return false;
    if (event->kind != SPN_MARKER && event->kind != SPN_RESET)
        return true;
    bool says_nothing = event->id.size == 0 && event->retry_ms == SPN_RETRY_NONE;
    return event->type.size > 0 || event->data.size > 0 ||
           (event->kind == SPN_RESET ? event->id.size > 0 : says_nothing);
}

static spn_err check_event(struct spn_producer *producer, const struct spn_event *event)
{
    if (is_no_marker(event))
        return client_fail(producer->client, SPN_E_INVALID,
                           "a marker has an id or a retry, and nothing else; a reset has no id");
    spn_err err = event->id.size > 0 ? wire_check_id(event->id) : SPN_OK;
    if (err == SPN_OK && event->type.size > 0)
        err = wire_check_type(event->type);
    if (err == SPN_OK)
        err = wire_check_data(event->data, producer->client->data_max);
    if (err == SPN_E_EVENT_TOO_LARGE)
        return client_fail(producer->client, err,
                           "event data has %zu bytes, the limit is %zu (sponsond's "
                           "--event-data-max)",
                           event->data.size, producer->client->data_max);
    return err == SPN_OK ? SPN_OK : client_fail(producer->client, err, NULL);
}

/* After an event was taken: is it time for a turn? */
static bool should_look(const struct spn_producer *producer)
{
    if (!producer->blocked && delivery_ready(&producer->delivery))
        return true;
    return transport_now() - producer->client->looked_ns >= PRODUCER_LOOK_NS;
}

/* An entry that was checked, under the number that is next; false: there is no room for it. */
static bool put_entry(struct spn_producer *producer, struct wire_entry entry, uint64_t *ret_ticket)
{
    char given[SPN_GIVEN_ID_MAX];
    give_id(producer, &entry, given);
    size_t entry_size = wire_entry_size(&entry);
    if (producer->pending.count > 0 || !window_has_room(&producer->delivery.window, entry_size))
        return false;
    *ret_ticket = delivery_put(&producer->delivery, &entry, entry_size);
    return true;
}

/* The window is full: everything in it goes out, and then it is the sidecar's turn. */
static spn_err wait_for_room(struct spn_producer *producer, const struct wire_entry *entry,
                             uint64_t *ret_ticket)
{
    struct spn_client *client = producer->client;
    uint64_t deadline_ns = client_deadline(producer->send_timeout_ms);
    spn_err err;
    for (;;) {
        delivery_hurry(&producer->delivery);
        err = client_turn(client);
        if (err == SPN_OK)
            err = check_usable(producer);
        if (err != SPN_OK || put_entry(producer, *entry, ret_ticket))
            return err;
        if (client_sleep(client, deadline_ns, TRANSPORT_NEVER) != SPN_OK)
            break;
    }
    delivery_note_backpressure(&producer->delivery);
    return client_fail(
        client, SPN_E_BACKPRESSURE, "%llu events wait for the sidecar%s",
        (unsigned long long)(producer->delivery.window.next - producer->delivery.window.base),
        client->connected ? "" : ", which is not connected");
}

/* Latest only: now, or when there is room, if nothing newer of the session comes until then. What
 * is in the window goes out, to make room. */
static spn_err take_latest(struct spn_producer *producer, const struct wire_entry *entry,
                           uint64_t *ret_ticket)
{
    unsigned replaced;
    if (put_entry(producer, *entry, ret_ticket))
        return SPN_OK;
    if (transport_now() - producer->client->looked_ns >= PRODUCER_LOOK_NS) {
        spn_err err = client_turn(producer->client);
        if (err == SPN_OK)
            err = check_usable(producer);
        if (err != SPN_OK || put_entry(producer, *entry, ret_ticket))
            return err;
    }
    spn_err err = pending_put(&producer->pending, entry, &replaced);
    if (err == SPN_E_TOO_MANY)
        return client_fail(producer->client, err, "%zu entries with %zu bytes wait for room",
                           producer->pending.count, producer->pending.bytes);
    if (err != SPN_OK)
        return client_fail(producer->client, err, NULL);
    producer->delivery.counters.replaced += replaced;
    delivery_hurry(&producer->delivery);
    *ret_ticket = 0;
    return SPN_OK;
}

/* As soon as there is room. */
static spn_err take_entry(struct spn_producer *producer, const struct wire_entry *entry,
                          uint64_t *ret_ticket)
{
    if (producer->latest_only)
        return take_latest(producer, entry, ret_ticket);
    if (put_entry(producer, *entry, ret_ticket))
        return SPN_OK;
    return wait_for_room(producer, entry, ret_ticket);
}

static spn_err publish(struct spn_producer *producer, struct spn_bytes session,
                       const struct spn_event *event, uint64_t *ret_ticket)
{
    static const uint8_t kinds[] = {
        [SPN_EVENT] = WIRE_EVENT, [SPN_MARKER] = WIRE_MARKER, [SPN_RESET] = WIRE_RESET};
    spn_err err = check_session(producer, session);
    if (err == SPN_OK)
        err = check_event(producer, event);
    if (err != SPN_OK)
        return err;
    struct wire_entry entry = {.kind = kinds[event->kind],
                               .session = session,
                               .id = event->id,
                               .type = event->type,
                               .data = event->data,
                               .retry_ms = event->retry_ms};
    return take_entry(producer, &entry, ret_ticket);
}

/* An event that was taken has its ticket, whatever the turn after it finds: a failure that lasts is
 * reported by the next call. */
static void look(struct spn_producer *producer)
{
    if (should_look(producer) && client_turn(producer->client) != SPN_OK)
        return;
}

spn_err spn_publish(spn_producer *producer, struct spn_bytes session, const struct spn_event *event,
                    uint64_t *ret_ticket)
{
    uint64_t ticket = 0;
    spn_err err = check_usable(producer);
    if (err == SPN_OK && event == NULL)
        err = client_refuse(producer->client, "there is no event");
    if (err == SPN_OK)
        err = publish(producer, session, event, &ticket);
    if (err != SPN_OK)
        return err;
    look(producer);
    if (ret_ticket != NULL)
        *ret_ticket = ticket;
    return SPN_OK;
}

spn_err spn_publish_many(spn_producer *producer, struct spn_bytes session,
                         const struct spn_event *events, size_t count, size_t *ret_taken,
                         uint64_t *ret_first)
{
    size_t taken = 0;
    spn_err err = check_usable(producer);
    if (ret_taken == NULL)
        return SPN_E_INVALID;
    if (err == SPN_OK && events == NULL && count > 0)
        err = client_refuse(producer->client, "there are no events");
    for (; err == SPN_OK && taken < count; taken++) {
        uint64_t ticket = 0;
        err = publish(producer, session, &events[taken], &ticket);
        if (err != SPN_OK)
            break;
        if (ret_first != NULL && (taken == 0 || ticket == 0))
            *ret_first = ticket;
        if (delivery_gathered(&producer->delivery))
            look(producer);
    }
    if (taken > 0)
        look(producer);
    *ret_taken = taken;
    return err;
}

/* -- ending sessions --------------------------------------------------------------------------- */

static spn_err end_session(struct spn_producer *producer, enum wire_kind kind,
                           struct spn_bytes session, uint64_t epoch, uint64_t *ret_ticket)
{
    const struct wire_entry entry = {.kind = (uint8_t)kind, .session = session, .epoch = epoch};
    uint64_t ticket = 0;
    spn_err err = check_usable(producer);
    if (err == SPN_OK)
        err = check_session(producer, session);
    if (err == SPN_OK)
        err = take_entry(producer, &entry, &ticket);
    if (err != SPN_OK)
        return err;
    look(producer);
    if (ret_ticket != NULL)
        *ret_ticket = ticket;
    return SPN_OK;
}

spn_err spn_session_close(spn_producer *producer, struct spn_bytes session, uint64_t epoch,
                          uint64_t *ret_ticket)
{
    return end_session(producer, WIRE_CLOSE, session, epoch, ret_ticket);
}

spn_err spn_session_delete(spn_producer *producer, struct spn_bytes session, uint64_t epoch,
                           uint64_t *ret_ticket)
{
    return end_session(producer, WIRE_DELETE, session, epoch, ret_ticket);
}

/* -- results ----------------------------------------------------------------------------------- */

static uint64_t unended(const struct spn_producer *producer)
{
    return producer->delivery.window.next - producer->delivery.window.base +
           producer->pending.count;
}

/* A call that is about to wait: what is gathered goes out, since nobody will add to it. */
static spn_err turn_and_sleep(struct spn_producer *producer, uint64_t deadline_ns)
{
    spn_err err = client_sleep(producer->client, deadline_ns, TRANSPORT_NEVER);
    if (err == SPN_OK)
        err = client_turn(producer->client);
    return err;
}

spn_err spn_producer_next_ack(spn_producer *producer, int timeout_ms, struct spn_ack *ret_ack)
{
    spn_err err = client_check_for(client_of(producer), ret_ack);
    if (err != SPN_OK)
        return err;
    struct delivery *delivery = &producer->delivery;
    if (results_next(&delivery->results, ret_ack))
        return SPN_OK;
    uint64_t deadline_ns = client_deadline(timeout_ms);
    if (timeout_ms != 0)
        delivery_hurry(delivery);
    err = client_turn(producer->client);
    for (;;) {
        if (results_next(&delivery->results, ret_ack))
            return SPN_OK;
        if (err == SPN_OK)
            err = check_usable(producer);
        if (err == SPN_OK && unended(producer) == 0)
            err = SPN_E_END;
        if (err == SPN_OK)
            err = turn_and_sleep(producer, deadline_ns);
        if (err != SPN_OK)
            return producer->client->err == err ? err : client_fail(producer->client, err, NULL);
    }
}

spn_err spn_producer_flush(spn_producer *producer, int timeout_ms)
{
    uint64_t deadline_ns = client_deadline(timeout_ms);
    spn_err err = client_check(client_of(producer));
    if (err != SPN_OK)
        return err;
    delivery_hurry(&producer->delivery);
    err = client_turn(producer->client);
    while (err == SPN_OK && unended(producer) > 0) {
        err = check_usable(producer);
        if (err == SPN_OK)
            err = turn_and_sleep(producer, deadline_ns);
    }
    return err;
}

spn_err spn_producer_wait(spn_producer *producer, uint64_t ticket, int timeout_ms,
                          struct spn_ack *ret_ack)
{
    uint64_t deadline_ns = client_deadline(timeout_ms);
    spn_err err = client_check_for(client_of(producer), ret_ack);
    if (err != SPN_OK)
        return err;
    struct delivery *delivery = &producer->delivery;
    if (ticket > delivery->acked && ticket < delivery->window.next) {
        delivery_hurry(delivery);
        err = client_turn(producer->client);
    }
    while (err == SPN_OK && ticket > delivery->acked && ticket < delivery->window.next) {
        err = check_usable(producer);
        if (err == SPN_OK)
            err = turn_and_sleep(producer, deadline_ns);
    }
    if (err == SPN_OK && !results_take(&delivery->results, ticket, ret_ack))
        err = client_fail(producer->client, SPN_E_INVALID, "ticket %llu has no result to fetch",
                          (unsigned long long)ticket);
    return err;
}

struct spn_counters spn_producer_counters(const spn_producer *producer)
{
    if (producer == NULL)
        return (struct spn_counters){0};
    struct spn_counters counters = producer->delivery.counters;
    counters.unacknowledged = unended(producer);
    counters.pending = producer->pending.count;
    return counters;
}

/* Nothing is outstanding: with a random id the sidecar need not remember it. If it does not get
 * there the sidecar forgets it in time. */
static void leave(struct spn_producer *producer)
{
    struct spn_client *client = producer->client;
    zmq_msg_t message;
    if (producer->kept || !client->connected || producer->delivery.failed != SPN_OK ||
        zmq_msg_init_size(&message, WIRE_HEADER_SIZE + sizeof(producer->delivery.token)) != 0)
        return;
    struct wire_out out = wire_out(zmq_msg_data(&message), zmq_msg_size(&message));
    wire_put_header(&out, WIRE_LEAVE, 0);
    wire_put_leave(&out, producer->delivery.token);
    if (transport_send(&client->transport.ingest, &message) != SPN_OK)
        zmq_msg_close(&message);
    else
        client->linger_ms = LINGER_MS;
}

spn_err spn_producer_close(spn_producer *producer, int timeout_ms, uint64_t *ret_unacknowledged)
{
    if (producer == NULL) {
        if (ret_unacknowledged != NULL)
            *ret_unacknowledged = 0;
        return SPN_OK;
    }
    spn_err err = spn_producer_flush(producer, timeout_ms);
    if (ret_unacknowledged != NULL)
        *ret_unacknowledged = unended(producer);
    if (err == SPN_OK)
        leave(producer);
    free_producer(producer);
    return err;
}
