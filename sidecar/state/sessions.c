/* SPDX-License-Identifier: Apache-2.0 */
#include "state/sessions.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { ROOM_FIRST = 1024 };

static uint64_t hash_of_slot(const void *owner, uint32_t slot)
{
    const struct sessions *sessions = owner;
    return sessions->slots[slot].hash;
}

spn_err sessions_init(struct sessions *sessions, uint64_t seed, uint16_t window_max)
{
    *sessions = (struct sessions){.seed = seed, .window_max = window_max, .free_first = SLOT_NONE};
    return slot_index_init(&sessions->by_name, hash_of_slot, sessions);
}

void sessions_release(struct sessions *sessions)
{
    for (uint32_t i = 0; i < sessions->count; i++)
        tracker_free(sessions->slots[i].tracker);
    free(sessions->slots);
    sessions->slots = NULL;
    sessions->count = 0;
    slot_index_release(&sessions->by_name);
}

uint64_t sessions_hash(const struct sessions *sessions, struct spn_bytes name)
{
    return XXH3_64bits_withSeed(name.data, name.size, sessions->seed);
}

static bool has_name(const struct tracker *tracker, struct spn_bytes name)
{
    struct spn_bytes own = tracker_name(tracker);
    return own.size == name.size && memcmp(own.data, name.data, name.size) == 0;
}

enum sessions_found sessions_find(const struct sessions *sessions, struct spn_bytes name,
                                  uint64_t hash, uint32_t *ret_slot)
{
    enum sessions_found found = SESSIONS_ABSENT;
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&sessions->by_name, hash, &cursor)) != SLOT_NONE) {
        const struct session *session = &sessions->slots[slot];
        if (session->hash != hash)
            continue;
        if (session->tracker && has_name(session->tracker, name)) {
            *ret_slot = slot;
            return SESSIONS_HOT;
        }
        if (!session->tracker && found == SESSIONS_ABSENT) {
            *ret_slot = slot;
            found = SESSIONS_COLD;
        }
    }
    return found;
}

uint32_t sessions_find_epoch(const struct sessions *sessions, uint64_t hash, uint64_t epoch)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&sessions->by_name, hash, &cursor)) != SLOT_NONE)
        if (!sessions->slots[slot].tracker && sessions->slots[slot].epoch == epoch)
            return slot;
    return SLOT_NONE;
}

static spn_err make_room(struct sessions *sessions)
{
    spn_err err = slot_index_reserve(&sessions->by_name, 1);
    if (err != SPN_OK || sessions->free_count > 0 || sessions->count < sessions->room)
        return err;
    if (sessions->room >= SLOT_NONE / 2)
        return SPN_E_NOMEM;
    uint32_t room = sessions->room > 0 ? sessions->room * 2 : ROOM_FIRST;
    struct session *slots = realloc(sessions->slots, room * sizeof(*slots));
    if (!slots)
        return SPN_E_NOMEM;
    sessions->slots = slots;
    sessions->room = room;
    return SPN_OK;
}

static uint32_t take_slot(struct sessions *sessions, uint64_t hash)
{
    uint32_t slot = sessions->free_first;
    if (sessions->free_count > 0) {
        sessions->free_first = sessions->slots[slot].touched[0];
        sessions->free_count--;
    } else {
        slot = sessions->count++;
    }
    sessions->slots[slot] = (struct session){.hash = hash, .touched = {SLOT_NONE, SLOT_NONE}};
    slot_index_add(&sessions->by_name, hash, slot);
    return slot;
}

spn_err sessions_add(struct sessions *sessions, struct spn_bytes name, uint64_t hash,
                     uint32_t *ret_slot)
{
    spn_err err = make_room(sessions);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = tracker_new(name, sessions->window_max);
    if (!tracker)
        return SPN_E_NOMEM;
    uint32_t slot = take_slot(sessions, hash);
    sessions_put_tracker(sessions, slot, tracker);
    *ret_slot = slot;
    return SPN_OK;
}

spn_err sessions_know(struct sessions *sessions, uint64_t hash, uint64_t epoch, uint32_t *ret_slot)
{
    spn_err err = make_room(sessions);
    if (err != SPN_OK)
        return err;
    uint32_t slot = take_slot(sessions, hash);
    sessions->slots[slot].epoch = epoch;
    *ret_slot = slot;
    return SPN_OK;
}

void sessions_put_tracker(struct sessions *sessions, uint32_t slot, struct tracker *tracker)
{
    assert(slot < sessions->count && !sessions->slots[slot].tracker);
    tracker->recent = true;
    sessions->slots[slot].tracker = tracker;
    sessions->hot++;
    sessions->tracker_bytes += tracker_size(tracker);
}

/* -- getting rid of ---------------------------------------------------------------------------- */

static void cool(struct sessions *sessions, uint32_t slot)
{
    struct session *session = &sessions->slots[slot];
    session->epoch = session->tracker->epoch;
    sessions->hot--;
    sessions->tracker_bytes -= tracker_size(session->tracker);
    tracker_free(session->tracker);
    session->tracker = NULL;
}

void sessions_forget(struct sessions *sessions, uint32_t slot)
{
    struct session *session = &sessions->slots[slot];
    if (session->tracker)
        cool(sessions, slot);
    slot_index_remove(&sessions->by_name, session->hash, slot);
    *session = (struct session){.touched = {sessions->free_first, SLOT_NONE}};
    sessions->free_first = slot;
    sessions->free_count++;
}

size_t sessions_evict(struct sessions *sessions, uint32_t hot_max, size_t slots_max,
                      bool (*pinned)(const void *owner, uint32_t slot), const void *owner)
{
    size_t evicted = 0;
    for (size_t i = 0; i < slots_max && sessions->hot > hot_max; i++) {
        uint32_t slot = sessions->hand++ % sessions->count;
        sessions->hand %= sessions->count;
        struct tracker *tracker = sessions->slots[slot].tracker;
        if (!tracker)
            continue;
        if (tracker->recent || pinned(owner, slot)) {
            tracker->recent = false;
            continue;
        }
        evicted++;
        if (tracker->epoch == 0)
            sessions_forget(sessions, slot);
        else
            cool(sessions, slot);
    }
    return evicted;
}

uint32_t sessions_known(const struct sessions *sessions)
{
    return sessions->count - sessions->free_count;
}

/* -- the rest ---------------------------------------------------------------------------------- */

spn_err sessions_remember(struct sessions *sessions, uint32_t slot, struct fingerprint id,
                          uint32_t tag)
{
    struct tracker **tracker = &sessions->slots[slot].tracker;
    size_t before = tracker_size(*tracker);
    spn_err err = tracker_add(tracker, id, tag);
    sessions->tracker_bytes += tracker_size(*tracker) - before;
    return err;
}

uint64_t sessions_epoch(const struct sessions *sessions, uint32_t slot)
{
    const struct session *session = &sessions->slots[slot];
    return session->tracker ? session->tracker->epoch : session->epoch;
}
