/* SPDX-License-Identifier: Apache-2.0 */
#include "http/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void lane_init(struct lane *lane, spn_client *client, spn_level level, const uint8_t *id,
               const struct lane_calls *calls)
{
    *lane = (struct lane){.client = client, .level = level, .calls = *calls};
    lane->has_id = id != NULL;
    if (id != NULL)
        memcpy(lane->id, id, sizeof(lane->id));
    link_init(&lane->waiting);
}

static struct lane_entry *entry_at(struct lane *lane, uint64_t ticket)
{
    return &lane->entries[ticket % LANE_WINDOW_EVENTS];
}

struct tally *tally_new(void *owner)
{
    struct tally *tally = calloc(1, sizeof(*tally));
    if (tally == NULL)
        return NULL;
    tally->owner = owner;
    link_init(&tally->waiting);
    return tally;
}

static void free_if_done(struct tally *tally)
{
    if (tally->owner == NULL && tally->outstanding == 0)
        free(tally);
}

void tally_leave(struct tally *tally)
{
    if (tally == NULL)
        return;
    link_leave(&tally->waiting);
    tally->owner = NULL;
    free_if_done(tally);
}

/* -- publishing -------------------------------------------------------------------------------- */

static spn_err open_producer(struct lane *lane)
{
    if (lane->entries == NULL)
        lane->entries = calloc(LANE_WINDOW_EVENTS, sizeof(*lane->entries));
    if (lane->entries == NULL)
        return SPN_E_NOMEM;
    struct spn_producer_options options = spn_producer_defaults();
    options.level = lane->level;
    options.id = lane->has_id ? lane->id : NULL;
    options.window_events = LANE_WINDOW_EVENTS;
    options.window_bytes = LANE_WINDOW_BYTES;
    options.send_timeout_ms = 0;
    return spn_producer_begin(&lane->producer, lane->client, &options);
}

static bool has_room(const struct lane *lane, const struct tally *tally)
{
    return tally->outstanding < LANE_WINDOW_EVENTS / LANE_SHARE &&
           tally->outstanding_bytes < LANE_WINDOW_BYTES / LANE_SHARE &&
           lane->next_ticket - lane->first_ticket < LANE_WINDOW_EVENTS;
}

static spn_err wait_for_room(struct lane *lane, struct tally *tally)
{
    link_join(&lane->waiting, &tally->waiting);
    return SPN_E_BACKPRESSURE;
}

spn_err lane_publish(struct lane *lane, struct tally *tally, struct spn_bytes session,
                     const struct spn_event *event, const struct spn_publish_options *options,
                     uint64_t *ret_ticket)
{
    spn_err err = lane->producer == NULL ? open_producer(lane) : SPN_OK;
    if (err != SPN_OK)
        return err;
    if (!has_room(lane, tally))
        return wait_for_room(lane, tally);
    err = spn_publish_with(lane->producer, session, event, options, ret_ticket);
    if (err == SPN_E_BACKPRESSURE)
        return wait_for_room(lane, tally);
    if (err != SPN_OK)
        return err;
    if (lane->next_ticket == 0)
        lane->first_ticket = *ret_ticket;
    size_t bytes = event->id.size + event->type.size + event->data.size;
    *entry_at(lane, *ret_ticket) = (struct lane_entry){tally, tally->taken, bytes};
    lane->next_ticket = *ret_ticket + 1;
    tally->taken++;
    tally->outstanding++;
    tally->outstanding_bytes += bytes;
    return SPN_OK;
}

/* -- results ----------------------------------------------------------------------------------- */

static void take_result(struct lane *lane, const struct spn_ack *ack)
{
    assert(ack->ticket == lane->first_ticket && ack->ticket < lane->next_ticket);
    struct lane_entry *entry = entry_at(lane, ack->ticket);
    struct tally *tally = entry->tally;
    lane->first_ticket++;
    tally->outstanding--;
    tally->outstanding_bytes -= entry->bytes;
    if (tally->owner != NULL)
        lane->calls.on_result(tally->owner, entry->index, ack);
    if (tally->owner != NULL && tally->outstanding == 0)
        lane->calls.on_news(tally->owner);
    else
        free_if_done(tally);
}

/* Each that waits is called once, in turn; one that still finds no room joins the end of the ring.
 */
static void call_waiting(struct lane *lane)
{
    struct link called;
    link_init(&called);
    if (link_alone(&lane->waiting))
        return;
    called = lane->waiting;
    called.next->previous = called.previous->next = &called;
    link_init(&lane->waiting);
    while (!link_alone(&called)) {
        struct tally *tally = LINK_OWNER(called.next, struct tally, waiting);
        link_leave(&tally->waiting);
        lane->calls.on_news(tally->owner);
    }
}

spn_err lane_turn(struct lane *lane)
{
    if (lane->producer == NULL)
        return SPN_OK;
    const struct spn_ack *ack;
    spn_err err;
    while ((err = spn_producer_next_ack(lane->producer, 0, &ack)) == SPN_OK)
        take_result(lane, ack);
    if (err != SPN_E_TIMEOUT && err != SPN_E_END)
        return err;
    call_waiting(lane);
    err = spn_producer_flush(lane->producer, 0);
    return err == SPN_E_TIMEOUT ? SPN_OK : err;
}

/* Whoever is left has no answer: the process ends. */
void lane_release(struct lane *lane)
{
    for (uint64_t ticket = lane->first_ticket; ticket < lane->next_ticket; ticket++) {
        struct tally *tally = entry_at(lane, ticket)->tally;
        tally->outstanding--;
        free_if_done(tally);
    }
    if (lane->producer != NULL)
        (void)spn_producer_close(lane->producer, 0, NULL);
    free(lane->entries);
}
