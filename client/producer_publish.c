/* SPDX-License-Identifier: Apache-2.0 */
/* producer_publish: events, closes and deletes that an app hands over. */
#include <string.h>

#include "event.h"
#include "producer_base.h"

struct spn_client *prod_client_of(const struct spn_producer *producer)
{
    return producer != NULL ? producer->client : NULL;
}

spn_err prod_check_usable(struct spn_producer *producer)
{
    spn_err err = client_check(prod_client_of(producer));
    if (err != SPN_OK || producer->delivery.failed == SPN_OK)
        return err;
    err = producer->delivery.failed;
    return producer->client->err == err ? err : client_fail(producer->client, err, NULL);
}

/* Waits for the sidecar's answer to the OPEN as it waits for room: without it there are no numbers,
 * and so no tickets. */
spn_err prod_check_open(struct spn_producer *producer)
{
    spn_err err = prod_check_usable(producer);
    if (err != SPN_OK || producer->open)
        return err;
    struct spn_client *client = producer->client;
    int timeout_ms = producer->options.latest_only ? 0 : producer->options.send_timeout_ms;
    err = client_wait(client, &producer->settled, client_deadline(client, timeout_ms));
    if (err == SPN_E_TIMEOUT)
        return client_fail(client, SPN_E_BACKPRESSURE, "the producer is not open yet");
    return err == SPN_OK ? prod_check_usable(producer) : err;
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

/* Whether the event has another kind than SPN_EVENT and is not a valid marker or reset. */
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

spn_err prod_check_event(struct spn_client *client, const struct spn_event *event, size_t data_max)
{
    if (is_no_marker(event))
        return client_fail(client, SPN_E_INVALID,
                           "a marker has an id or a retry, and nothing else; a reset has no id");
    spn_err err = event->id.size > 0 ? wire_check_id(event->id) : SPN_OK;
    if (err == SPN_OK && event->type.size > 0)
        err = wire_check_type(event->type);
    if (err == SPN_OK)
        err = wire_check_note(event->note);
    if (err == SPN_OK)
        err = wire_check_data(event->data, data_max > 0 ? data_max : WIRE_EVENT_DATA_MAX);
    if (err == SPN_E_EVENT_TOO_LARGE)
        return client_fail(client, err,
                           "event data has %zu bytes, the limit is %zu (sponsond's "
                           "--event-data-max)",
                           event->data.size, data_max);
    return err == SPN_OK ? SPN_OK : client_fail(client, err, NULL);
}

/* Every member is named: what is left out is cleared at a cost. */
struct wire_entry prod_entry_of(struct spn_bytes session, const struct spn_event *event)
{
    static const uint8_t kinds[] = {
        [SPN_EVENT] = WIRE_EVENT, [SPN_MARKER] = WIRE_MARKER, [SPN_RESET] = WIRE_RESET};
    return (struct wire_entry){.kind = kinds[event->kind],
                               .flags = event->note.size > 0 ? WIRE_FLAG_NOTE : 0,
                               .session = session,
                               .id = event->id,
                               .type = event->type,
                               .data = event->data,
                               .reason = {NULL, 0},
                               .note = event->note,
                               .life = {{0}},
                               .seq = 0,
                               .depends = 0,
                               .retry_ms = event->retry_ms};
}

/* After an event was taken: is it time for a turn? */
static bool should_look(const struct spn_producer *producer)
{
    if (!producer->blocked && delivery_ready(&producer->delivery))
        return true;
    return producer->client->now_ns() - producer->client->looked_ns >= PRODUCER_LOOK_NS;
}

/* Pending entries go first. false: not now. */
static bool put_entry(struct spn_producer *producer, struct wire_entry *entry, uint64_t *ret_ticket)
{
    return producer->pending.count == 0 && prod_put(producer, entry, ret_ticket);
}

/* The window is full: sends everything in it, and then waits for the sidecar. */
static spn_err wait_for_room(struct spn_producer *producer, struct wire_entry *entry,
                             uint64_t *ret_ticket)
{
    struct spn_client *client = producer->client;
    uint64_t deadline_ns = client_deadline(client, producer->options.send_timeout_ms);
    spn_err err;
    for (;;) {
        delivery_hurry(&producer->delivery);
        err = client_turn(client);
        if (err == SPN_OK)
            err = prod_check_usable(producer);
        if (err != SPN_OK || put_entry(producer, entry, ret_ticket))
            return err;
        if (client_sleep(client, deadline_ns, TRANSPORT_NEVER) != SPN_OK)
            break;
    }
    delivery_note_backpressure(&producer->delivery);
    return client_fail(
        client, SPN_E_BACKPRESSURE, "%llu events wait for the sidecar%s",
        (unsigned long long)(producer->delivery.window.next - producer->delivery.window.base),
        client->transport.ingest.connected ? "" : ", which is not connected");
}

/* Latest only: takes the entry into the window now, or when there is room, unless a newer entry of
 * its session replaces it until then. The events in the window go out, to make room. */
static spn_err take_latest(struct spn_producer *producer, struct wire_entry *entry,
                           uint64_t *ret_ticket)
{
    unsigned replaced;
    if (put_entry(producer, entry, ret_ticket))
        return SPN_OK;
    if (producer->client->now_ns() - producer->client->looked_ns >= PRODUCER_LOOK_NS) {
        spn_err err = client_turn(producer->client);
        if (err == SPN_OK)
            err = prod_check_usable(producer);
        if (err != SPN_OK || put_entry(producer, entry, ret_ticket))
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

/* Takes the entry into the window as soon as there is room. */
static spn_err take_entry(struct spn_producer *producer, struct wire_entry *entry,
                          uint64_t *ret_ticket)
{
    if (producer->options.latest_only)
        return take_latest(producer, entry, ret_ticket);
    if (put_entry(producer, entry, ret_ticket))
        return SPN_OK;
    return wait_for_room(producer, entry, ret_ticket);
}

/* A sidecar that was restarted may take larger events than the window has room for. */
size_t prod_data_max(const struct spn_producer *producer)
{
    size_t most = producer->client->data_max;
    return producer->open && producer->data_max < most ? producer->data_max : most;
}

static spn_err publish(struct spn_producer *producer, struct spn_bytes session,
                       const struct spn_event *given, uint64_t *ret_ticket)
{
    struct spn_event copy;
    const struct spn_event *event = event_given(given, &copy);
    if (event == NULL)
        return client_fail(producer->client, SPN_E_INVALID, EVENT_WITHOUT_SIZE);
    spn_err err = check_session(producer, session);
    if (err == SPN_OK)
        err = prod_check_event(producer->client, event, prod_data_max(producer));
    if (err != SPN_OK)
        return err;
    struct wire_entry entry = prod_entry_of(session, event);
    return take_entry(producer, &entry, ret_ticket);
}

/* The event was taken already, so a failure of this turn does not matter to it. The next call
 * reports a failure that lasts. */
static void look(struct spn_producer *producer)
{
    if (should_look(producer) && client_turn(producer->client) != SPN_OK)
        return;
}

spn_err spn_publish(spn_producer *producer, struct spn_bytes session, const struct spn_event *event,
                    uint64_t *ret_ticket)
{
    uint64_t ticket = 0;
    spn_err err = prod_check_open(producer);
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
    const char *at = (const char *)events;
    spn_err err = prod_check_open(producer);
    if (ret_taken == NULL)
        return SPN_E_INVALID;
    if (err == SPN_OK && events == NULL && count > 0)
        err = client_refuse(producer->client, "there are no events");
    /* The app's header may be of another version: then its array has other steps. */
    for (; err == SPN_OK && taken < count; taken++, at += events->size) {
        uint64_t ticket = 0;
        err = publish(producer, session, (const struct spn_event *)(const void *)at, &ticket);
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

spn_err prod_take(struct spn_producer *producer, struct wire_entry *entry, uint64_t *ret_ticket)
{
    uint64_t ticket = 0;
    spn_err err = check_session(producer, entry->session);
    if (err == SPN_OK)
        err = take_entry(producer, entry, &ticket);
    if (err != SPN_OK)
        return err;
    look(producer);
    if (ret_ticket != NULL)
        *ret_ticket = ticket;
    return SPN_OK;
}
