/* SPDX-License-Identifier: Apache-2.0 */
#include "generation.h"

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

struct generation *generation_new(uint32_t serial)
{
    struct generation *generation = calloc(1, sizeof(*generation));
    if (!generation)
        return NULL;
    atomic_init(&generation->references, 1);
    generation->serial = serial;
    generation->entries = reserve(ENTRIES_BYTES);
    generation->sessions = reserve(SESSIONS_BYTES);
    if (generation->entries && generation->sessions)
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
    free(generation);
}

bool generation_has_room(const struct generation *generation, size_t entries)
{
    return generation->entry_count + entries <= GENERATION_ENTRIES_MAX &&
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

void generation_end(struct generation *generation, struct generation_session *touched,
                    uint64_t position, enum record_state state)
{
    generation_reach(generation, position);
    touched->state = (uint8_t)state;
    touched->state_position = position;
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
    touched->count++;
}
