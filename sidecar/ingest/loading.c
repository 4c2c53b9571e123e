/* SPDX-License-Identifier: Apache-2.0 */
/* loading: sessions that come back from disk for a batch or a one-shot that waits for them. */

#include "ingest/broker_base.h"

static void wait_for_memory(struct broker *broker, struct producer *producer)
{
    parking_set_ready_later(&broker->parking, producer, broker->options->clock->monotonic_ns());
}

/* NULL: out of memory. */
static struct load *new_load(struct broker *broker, struct spn_bytes name, uint64_t hash,
                             uint32_t slot)
{
    struct load *load = load_new(name);
    if (!load)
        return NULL;
    load->hash = hash;
    struct views views = broker_views(broker);
    views_fill(&views, slot, &load->view);
    metrics_add(&broker->options->metrics->sessions_loaded, 1);
    return load;
}

static void load_session(struct broker *broker, struct producer *producer, struct spn_bytes name,
                         uint64_t hash, uint32_t slot)
{
    struct load *load = new_load(broker, name, hash, slot);
    if (!load) {
        wait_for_memory(broker, producer);
        return;
    }
    load->waiting = producer;
    sender_of(producer)->parking.loading++;
    mailbox_put(broker->options->reader, &load->message);
}

void loading_begin(struct broker *broker, struct producer *producer)
{
    const struct intake *intake = &broker->intake;
    for (uint32_t i = 0; i < intake->cold_count; i++) {
        uint32_t at = intake->cold[i];
        load_session(broker, producer, intake->entries[at].session, intake->hashes[at],
                     intake->slots[at]);
    }
}

static bool load_for_one(struct broker *broker, struct one_shot *one, uint64_t hash, uint32_t slot)
{
    struct load *load = new_load(broker, one->name, hash, slot);
    if (!load)
        return false;
    load->one = one;
    mailbox_put(broker->options->reader, &load->message);
    return true;
}

bool loading_begin_one(struct broker *broker, struct one_shot *one)
{
    return load_for_one(broker, one, broker->intake.hashes[0], broker->intake.slots[0]);
}

/* Takes the answer: the session's tracker, or that another epoch has the name (0: none has).
 * *ret_again: SLOT_NONE, or the session of that epoch, which has to be loaded. SPN_E_NOMEM. */
static spn_err take_tracker(struct broker *broker, struct load *load, uint32_t *ret_again)
{
    struct sessions *sessions = &broker->state->sessions;
    uint32_t slot;
    *ret_again = SLOT_NONE;
    if (sessions_find(sessions, load->name, load->hash, &slot) == SESSIONS_HOT)
        return SPN_OK; /* loaded already, for another frame */
    slot = load->epoch != 0 ? sessions_find_epoch(sessions, load->hash, load->epoch) : SLOT_NONE;
    if (slot != SLOT_NONE && load->tracker) {
        const struct span *span = spans_find(&broker->state->spans, slot, load->epoch);
        load->tracker->closed |= span && span->closed; /* since the view was taken */
        load->tracker->wanted = true;
        sessions_put_tracker(sessions, slot, load->tracker);
        load->tracker = NULL;
    } else if (slot != SLOT_NONE) {
        *ret_again = slot;
    } else {
        return sessions_add(sessions, load->name, load->hash, &slot);
    }
    return SPN_OK;
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
    load->tracker->life = load->life;
    load->tracker->damaged = true;
    metrics_add(&metrics->sessions_damaged, 1);
    metrics_count(&metrics->damaged_reads);
}

/* Returns the one-shot if it may go on, or failed; NULL: it waits for another session. */
static struct one_shot *go_on_with_one(struct broker *broker, struct load *load, uint32_t again)
{
    struct one_shot *one = load->one;
    load->one = NULL;
    one->err = load->err;
    if (again == SLOT_NONE)
        return one;
    if (load_for_one(broker, one, load->hash, again))
        return NULL;
    one->err = SPN_E_NOMEM;
    return one;
}

static void go_on_with_producer(struct broker *broker, const struct load *load, uint32_t again)
{
    struct producer *producer = load->waiting;
    if (load->err == SPN_E_NOMEM)
        wait_for_memory(broker, producer);
    if (again != SLOT_NONE)
        load_session(broker, producer, load->name, load->hash, again);
    if (--sender_of(producer)->parking.loading == 0)
        parking_set_ready(&broker->parking, producer);
}

spn_err loading_end(struct broker *broker, struct load *load, struct one_shot **ret_one)
{
    uint32_t again = SLOT_NONE;
    if (load->err == SPN_E_CORRUPT)
        give_up(broker, load);
    if (load->err == SPN_OK)
        load->err = take_tracker(broker, load, &again);
    *ret_one = load->one ? go_on_with_one(broker, load, again) : NULL;
    if (load->waiting)
        go_on_with_producer(broker, load, again);
    spn_err err = load->err == SPN_E_NOMEM ? SPN_OK : load->err;
    load_free(load);
    return err;
}
