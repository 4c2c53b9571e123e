/* SPDX-License-Identifier: Apache-2.0 */
/* loading: sessions that come back from disk for a batch that waits for them. */

#include "ingest/broker_base.h"

static void wait_for_memory(struct broker *broker, struct producer *producer)
{
    parking_set_ready_later(&broker->parking, producer, broker->options->clock->monotonic_ns());
}

static void load_session(struct broker *broker, struct producer *producer, struct spn_bytes name,
                         uint64_t hash, uint32_t slot)
{
    struct load *load = load_new(name);
    if (!load) {
        wait_for_memory(broker, producer);
        return;
    }
    load->waiting = producer;
    load->hash = hash;
    load->slot = slot;
    struct views views = broker_views(broker);
    views_fill(&views, slot, &load->view);
    sender_of(producer)->parking.loading++;
    metrics_add(&broker->options->metrics->sessions_loaded, 1);
    mailbox_put(broker->options->reader, &load->message);
}

void loading_begin(struct broker *broker, struct producer *producer)
{
    const struct intake *intake = &broker->intake;
    for (uint32_t i = 0; i < intake->cold_count; i++) {
        uint32_t at = intake->cold[i];
        struct spn_bytes name = intake->entries[at].session;
        load_session(broker, producer, name, sessions_hash(&broker->state->sessions, name),
                     intake->slots[at]);
    }
}

/* Takes the answer: the session's tracker, or that another epoch has the name (0: none has). */
static void take_tracker(struct broker *broker, struct load *load)
{
    struct sessions *sessions = &broker->state->sessions;
    uint32_t slot;
    if (sessions_find(sessions, load->name, load->hash, &slot) == SESSIONS_HOT)
        return; /* loaded already, for another producer's frame */
    slot = load->epoch != 0 ? sessions_find_epoch(sessions, load->hash, load->epoch) : SLOT_NONE;
    if (slot != SLOT_NONE && load->tracker) {
        load->tracker->wanted = true;
        sessions_put_tracker(sessions, slot, load->tracker);
        load->tracker = NULL;
    } else if (slot != SLOT_NONE) {
        load_session(broker, load->waiting, load->name, load->hash, slot);
    } else if (sessions_add(sessions, load->name, load->hash, &slot) != SPN_OK) {
        wait_for_memory(broker, load->waiting);
    }
}

/* The state of the session cannot be read: it takes nothing more until it is deleted. */
static void give_up(struct broker *broker, struct load *load)
{
    struct metrics *metrics = broker->options->metrics;
    if (load->epoch != load->view.epoch)
        return; /* its name cannot be read: nobody knows which session it is */
    load->tracker = tracker_new(load->name, broker->state->sessions.window_max);
    load->err = load->tracker ? SPN_OK : SPN_E_NOMEM;
    if (!load->tracker)
        return;
    load->tracker->epoch = load->epoch;
    load->tracker->damaged = true;
    metrics_add(&metrics->sessions_damaged, 1);
    metrics_count(&metrics->damaged_reads);
}

spn_err loading_end(struct broker *broker, struct load *load)
{
    struct producer *producer = load->waiting;
    if (load->err == SPN_E_CORRUPT)
        give_up(broker, load);
    if (load->err == SPN_OK)
        take_tracker(broker, load);
    else if (load->err == SPN_E_NOMEM)
        wait_for_memory(broker, producer);
    if (--sender_of(producer)->parking.loading == 0)
        parking_set_ready(&broker->parking, producer);
    spn_err err = load->err == SPN_E_NOMEM ? SPN_OK : load->err;
    load_free(load);
    return err;
}
