/* SPDX-License-Identifier: Apache-2.0 */
#include "index/generation.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

static_assert(sizeof(struct generation_entry) == 16, "bounds the memory of a generation");

static void *reserve(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

#define ENTRIES_BYTES (GENERATION_ENTRIES_MAX * sizeof(struct generation_entry))
#define SESSIONS_BYTES (GENERATION_SESSIONS_MAX * sizeof(struct generation_session))
#define MARKS_BYTES (GENERATION_MARKS_MAX * sizeof(struct generation_mark))
#define ATTRIBUTES_BYTES (GENERATION_ENTRIES_MAX * sizeof(struct generation_attributes))

struct generation *generation_new(uint32_t serial)
{
    struct generation *generation = calloc(1, sizeof(*generation));
    if (!generation)
        return NULL;
    atomic_init(&generation->references, 1);
    generation->serial = serial;
    generation->entries = reserve(ENTRIES_BYTES);
    generation->sessions = reserve(SESSIONS_BYTES);
    generation->marks = reserve(MARKS_BYTES);
    generation->attributes = reserve(ATTRIBUTES_BYTES);
    if (generation->entries && generation->sessions && generation->marks && generation->attributes)
        return generation;
    generation_drop(generation);
    return NULL;
}

struct generation *generation_keep(struct generation *generation)
{
    atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
    return generation;
}

void generation_drop(struct generation *generation)
{
    if (!generation ||
        atomic_fetch_sub_explicit(&generation->references, 1, memory_order_acq_rel) > 1)
        return;
    if (generation->entries)
        munmap(generation->entries, ENTRIES_BYTES);
    if (generation->sessions)
        munmap(generation->sessions, SESSIONS_BYTES);
    if (generation->marks)
        munmap(generation->marks, MARKS_BYTES);
    if (generation->attributes)
        munmap(generation->attributes, ATTRIBUTES_BYTES);
    free(generation);
}

bool generation_has_room(const struct generation *generation, size_t entries)
{
    return generation->entry_count + entries <= GENERATION_ENTRIES_MAX &&
           generation->attributes_count + entries <= GENERATION_ENTRIES_MAX &&
           generation->session_count + entries <= GENERATION_SESSIONS_MAX;
}

struct generation_session *generation_find(const struct generation *generation,
                                           const struct session *session, uint32_t slot)
{
    uint32_t place = session->touched[generation->serial & 1];
    if (place >= generation->session_count || generation->sessions[place].slot != slot)
        return NULL;
    return &generation->sessions[place];
}

struct generation_session *generation_touch(struct generation *generation, struct session *session,
                                            uint32_t slot, uint64_t epoch)
{
    struct generation_session *touched = generation_find(generation, session, slot);
    if (touched && touched->epoch == epoch)
        return touched;
    assert(generation->session_count < GENERATION_SESSIONS_MAX);
    uint32_t place = generation->session_count++;
    session->touched[generation->serial & 1] = place;
    generation->sessions[place] = (struct generation_session){
        .epoch = epoch,
        .slot = slot,
        .newest = GENERATION_NONE,
        .mark = GENERATION_NONE,
        .attributes = GENERATION_NONE,
    };
    return &generation->sessions[place];
}

void generation_reach(struct generation *generation, uint64_t position)
{
    assert(position > generation->last_position);
    if (generation->first_position == 0)
        generation->first_position = position;
    generation->last_position = position;
}

void generation_note_state(struct generation_session *touched, uint64_t position,
                           enum record_state state)
{
    touched->state = (uint8_t)state;
    touched->state_position = position;
}

void generation_note_attributes(struct generation *generation, struct generation_session *touched,
                                uint64_t position)
{
    assert(generation->attributes_count < GENERATION_ENTRIES_MAX);
    generation_reach(generation, position);
    uint32_t place = generation->attributes_count++;
    generation->attributes[place] =
        (struct generation_attributes){.position = position, .previous = touched->attributes};
    touched->attributes = place;
}

uint64_t generation_attributes_of(const struct generation *generation,
                                  const struct generation_session *touched)
{
    return touched->attributes != GENERATION_NONE
               ? generation->attributes[touched->attributes].position
               : 0;
}

void generation_note_touch(struct generation *generation, struct generation_session *touched,
                           uint64_t position)
{
    generation_reach(generation, position);
    touched->touch_position = position;
}

void generation_end(struct generation *generation, struct generation_session *touched,
                    uint64_t position, enum record_state state)
{
    generation_reach(generation, position);
    generation_note_state(touched, position, state);
}

/* How many marks the first count events of a session have. */
static uint32_t marks_of(uint32_t count)
{
    return count > 0 ? (count - 1) / GENERATION_MARK_EVERY : 0;
}

static void put_mark(struct generation *generation, struct generation_session *touched,
                     uint32_t entry)
{
    uint32_t place = generation->mark_count++;
    generation->marks[place] = (struct generation_mark){.entry = entry, .previous = touched->mark};
    touched->mark = place;
}

void generation_append(struct generation *generation, struct generation_session *touched,
                       uint64_t position, uint64_t seq, uint32_t fingerprint)
{
    assert(generation->entry_count < GENERATION_ENTRIES_MAX);
    generation_reach(generation, position);
    uint32_t place = generation->entry_count++;
    generation->entries[place] = (struct generation_entry){
        .position = position,
        .previous = touched->newest,
        .fingerprint = fingerprint,
    };
    if (touched->newest == GENERATION_NONE)
        touched->first_seq = seq;
    assert(seq == touched->first_seq + touched->count);
    touched->newest = place;
    if (marks_of(touched->count + 1) > marks_of(touched->count))
        put_mark(generation, touched, place);
    touched->count++;
}

uint32_t generation_mark_back(const struct generation *generation, uint32_t mark, uint32_t had,
                              uint32_t count)
{
    for (uint32_t hops = marks_of(had) - marks_of(count); hops > 0; hops--)
        mark = generation->marks[mark].previous;
    return mark;
}

uint32_t generation_seek(const struct generation *generation, uint32_t newest, uint32_t mark,
                         uint32_t count, uint32_t index)
{
    uint32_t place = newest;
    uint32_t at = count - 1;
    /* Start from the nearest mark at or after the event, if there is one. */
    uint32_t wanted = (index + GENERATION_MARK_EVERY - 1) / GENERATION_MARK_EVERY;
    if (wanted > 0 && wanted <= marks_of(count)) {
        at = wanted * GENERATION_MARK_EVERY;
        mark = generation_mark_back(generation, mark, count, at + 1);
        place = generation->marks[mark].entry;
    }
    for (; at > index; at--)
        place = generation->entries[place].previous;
    return place;
}
