/* SPDX-License-Identifier: Apache-2.0 */
#include "producer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sized.h"
#include "producer_base.h"

static_assert(SPN_PRODUCER_ID_SIZE == WIRE_PRODUCER_ID_SIZE, "one producer id");

/* -- open -------------------------------------------------------------------------------------- */

static spn_err read_options(struct spn_client *client, const struct spn_producer_options *options,
                            struct spn_producer_options *ret_options)
{
    *ret_options = spn_producer_defaults();
    if (options != NULL && !sized_take(ret_options, sizeof(*ret_options),
                                       SIZED_THROUGH(struct spn_producer_options, level), options))
        return client_fail(client, SPN_E_INVALID,
                           "spn_producer_options.size is not set, or it is of a later version and "
                           "sets options unknown to this version");
    if (ret_options->window_bytes == 0)
        ret_options->window_bytes = WINDOW_BYTES_DEFAULT;
    if (ret_options->window_events == 0)
        ret_options->window_events = WINDOW_EVENTS_DEFAULT;
    if (ret_options->send_timeout_ms < -1)
        return client_fail(client, SPN_E_INVALID,
                           "send_timeout_ms is %d: use 0 for no wait, -1 to wait for ever",
                           ret_options->send_timeout_ms);
    if (ret_options->level < SPN_NONE || ret_options->level > SPN_DURABLE)
        return client_fail(client, SPN_E_INVALID, "no such level: %d", (int)ret_options->level);
    if (ret_options->window_bytes > WINDOW_BYTES_MAX ||
        ret_options->window_events > WINDOW_EVENTS_MAX)
        return client_fail(client, SPN_E_INVALID, "the window is larger than %d bytes or %d events",
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
    prod_encode_prefix(producer->id, producer->prefix);
    return SPN_OK;
}

static void free_producer(struct spn_producer *producer)
{
    client_remove(producer->client, &producer->part);
    calls_remove(&producer->client->calls, &producer->call);
    delivery_release(&producer->delivery);
    pending_release(&producer->pending);
    free(producer);
}

spn_err spn_producer_begin(spn_producer **ret_producer, spn_client *client,
                           const struct spn_producer_options *options)
{
    struct spn_producer_options chosen;
    spn_err err = client_check_for(client, ret_producer);
    if (err == SPN_OK)
        err = read_options(client, options, &chosen);
    if (err != SPN_OK)
        return err;
    struct spn_producer *producer = calloc(1, sizeof(*producer));
    if (producer == NULL) {
        client_fail(client, SPN_E_NOMEM, NULL);
        return SPN_E_NOMEM;
    }
    producer->client = client;
    producer->part.ops = &prod_part_ops;
    producer->options = chosen;
    producer->options.id = NULL; /* the app's */
    calls_init(&producer->call, false, NULL);
    client_add(client, &producer->part);
    err = choose_id(producer, chosen.id);
    if (err == SPN_OK)
        err = client_use(client, TRANSPORT_INGEST);
    if (err == SPN_OK)
        err = client_turn(client);
    if (err != SPN_OK) {
        free_producer(producer);
        return err;
    }
    *ret_producer = producer;
    return SPN_OK;
}

/* Records why the producer did not open, in the sidecar's words if it has any. */
static spn_err opening_failure(struct spn_producer *producer)
{
    struct wire_in in;
    struct spn_bytes detail = {0};
    spn_err err = client_failure(producer->client);
    if (err != SPN_OK)
        return err;
    err = producer->delivery.failed;
    if (producer->call.answered && calls_read(&producer->call, WIRE_OPENED, &in, &detail) == err &&
        detail.size > 0)
        return client_fail(producer->client, err, "sidecar: %.*s", (int)detail.size,
                           (const char *)detail.data);
    return client_fail(producer->client, err, NULL);
}

spn_err spn_producer_ready(spn_producer *producer)
{
    struct spn_client *client = prod_client_of(producer);
    spn_err err = client_check(client);
    if (err == SPN_OK && !producer->settled)
        err = client_turn(client);
    if (err != SPN_OK)
        return err;
    if (producer->open)
        return prod_check_usable(producer);
    if (producer->settled)
        return opening_failure(producer);
    return client_not_yet(client, TRANSPORT_INGEST);
}

spn_err spn_producer_open(spn_producer **ret_producer, spn_client *client,
                          const struct spn_producer_options *options, int timeout_ms)
{
    struct spn_producer *producer;
    spn_err err = client_check_for(client, ret_producer);
    uint64_t deadline_ns = client_deadline(client, timeout_ms);
    if (err == SPN_OK)
        err = spn_producer_begin(&producer, client, options);
    if (err != SPN_OK)
        return err;
    err = client_wait_on(client, TRANSPORT_INGEST, &producer->settled, deadline_ns);
    if (err == SPN_OK)
        err = spn_producer_ready(producer);
    if (err != SPN_OK) {
        free_producer(producer);
        return err;
    }
    *ret_producer = producer;
    return SPN_OK;
}

uint64_t spn_producer_committed(const spn_producer *producer)
{
    return producer != NULL ? producer->committed : 0;
}

/* -- results ----------------------------------------------------------------------------------- */

static uint64_t unended(const struct spn_producer *producer)
{
    return producer->delivery.window.next - producer->delivery.window.base +
           producer->pending.count;
}

static spn_err turn_and_sleep(struct spn_producer *producer, uint64_t deadline_ns)
{
    spn_err err = client_sleep(producer->client, deadline_ns, TRANSPORT_NEVER);
    if (err == SPN_OK)
        err = client_turn(producer->client);
    return err;
}

static bool lend_next(struct spn_producer *producer, const struct spn_ack **ret_ack)
{
    if (!results_next(&producer->delivery.results, &producer->ack))
        return false;
    *ret_ack = &producer->ack;
    return true;
}

spn_err spn_producer_next_ack(spn_producer *producer, int timeout_ms,
                              const struct spn_ack **ret_ack)
{
    spn_err err = client_check_for(prod_client_of(producer), ret_ack);
    if (err != SPN_OK)
        return err;
    if (lend_next(producer, ret_ack))
        return SPN_OK;
    uint64_t deadline_ns = client_deadline(prod_client_of(producer), timeout_ms);
    if (timeout_ms != 0) /* about to wait: send what is gathered, since nobody will add to it */
        delivery_hurry(&producer->delivery);
    err = client_turn(producer->client);
    for (;;) {
        if (lend_next(producer, ret_ack))
            return SPN_OK;
        if (err == SPN_OK)
            err = prod_check_usable(producer);
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
    uint64_t deadline_ns = client_deadline(prod_client_of(producer), timeout_ms);
    spn_err err = client_check(prod_client_of(producer));
    if (err != SPN_OK)
        return err;
    delivery_hurry(&producer->delivery);
    err = client_turn(producer->client);
    while (err == SPN_OK && unended(producer) > 0) {
        err = prod_check_usable(producer);
        if (err == SPN_OK)
            err = turn_and_sleep(producer, deadline_ns);
    }
    return err;
}

spn_err spn_producer_wait(spn_producer *producer, uint64_t ticket, int timeout_ms,
                          const struct spn_ack **ret_ack)
{
    uint64_t deadline_ns = client_deadline(prod_client_of(producer), timeout_ms);
    spn_err err = client_check_for(prod_client_of(producer), ret_ack);
    if (err != SPN_OK)
        return err;
    struct delivery *delivery = &producer->delivery;
    if (ticket > delivery->acked && ticket < delivery->window.next) {
        delivery_hurry(delivery);
        err = client_turn(producer->client);
    }
    while (err == SPN_OK && ticket > delivery->acked && ticket < delivery->window.next) {
        err = prod_check_usable(producer);
        if (err == SPN_OK)
            err = turn_and_sleep(producer, deadline_ns);
    }
    if (err == SPN_OK && !results_take(&delivery->results, ticket, &producer->ack))
        err = client_fail(producer->client, SPN_E_INVALID, "ticket %llu has no result to fetch",
                          (unsigned long long)ticket);
    if (err == SPN_OK)
        *ret_ack = &producer->ack;
    return err;
}

const struct spn_counters *spn_producer_counters(spn_producer *producer)
{
    static const struct spn_counters nothing;
    if (producer == NULL)
        return &nothing;
    producer->counters = producer->delivery.counters;
    producer->counters.unacknowledged = unended(producer);
    producer->counters.pending = producer->pending.count;
    return &producer->counters;
}

/* Nothing is outstanding, so the sidecar need not remember a random id. If the LEAVE does not
 * arrive, the sidecar forgets the id in time. */
static void leave(struct spn_producer *producer)
{
    struct spn_client *client = producer->client;
    zmq_msg_t message;
    if (producer->kept || !producer->open || !client->transport.ingest.connected ||
        producer->delivery.failed != SPN_OK ||
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
