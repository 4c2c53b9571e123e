/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log_walk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_ENTRIES_MAX = 256,
    SLICE_SIZE_MAX = 1024 * 1024,
    NAMES = 8192,           /* a power of two: 2 MB of names */
    DAMAGED_RUN_MAX = 4096, /* damaged places in a row after which the walk gives up */
};

struct name {
    uint64_t epoch; /* 0: free, or of a session without a name */
    struct spn_life life;
    uint8_t size;
    char bytes[255];
};

/* What a walk knows of an entry's session. */
struct known {
    struct spn_bytes name; /* data NULL: not known */
    struct spn_life life;  /* zeros: not known */
};

struct log_walk {
    struct journal_reader *reader;
    uint64_t from;   /* the next position to read */
    uint64_t newest; /* the last position, fixed by the first snapshot */
    bool began;
    uint8_t only_size;
    char only[255];

    uint64_t damaged;
    uint64_t damaged_first;
    uint64_t damaged_run;

    struct log_item items[SLICE_ENTRIES_MAX];
    size_t item_count;
    char *bytes; /* the items point into it; never moved while it holds any */
    size_t bytes_size;
    size_t bytes_capacity;

    struct name names[NAMES]; /* a name's place is its epoch's hash; a later name replaces it */
};

spn_err log_walk_open(struct log_walk **ret_walk, struct journal *journal, struct spn_bytes only,
                      uint64_t from)
{
    struct log_walk *walk = calloc(1, sizeof(*walk));
    if (!walk)
        return SPN_E_NOMEM;
    assert(only.size <= sizeof(walk->only));
    walk->from = from;
    walk->only_size = (uint8_t)only.size;
    if (only.size > 0)
        memcpy(walk->only, only.data, only.size);
    spn_err err = journal_reader_open(&walk->reader, journal);
    if (err != SPN_OK) {
        log_walk_close(walk);
        return err;
    }
    *ret_walk = walk;
    return SPN_OK;
}

void log_walk_close(struct log_walk *walk)
{
    if (!walk)
        return;
    journal_reader_close(walk->reader);
    free(walk->bytes);
    free(walk);
}

/* -- names, inside a snapshot ------------------------------------------------------------------ */

static struct name *name_slot(struct log_walk *walk, uint64_t epoch)
{
    return &walk->names[(epoch * UINT64_C(0x9E3779B97F4A7C15)) >> 51 & (NAMES - 1)];
}

/* Reads name and life from the row or, for a session opened since the checkpoint, from the entry
 * that opened it. */
static spn_err read_session(struct log_walk *walk, uint64_t epoch, struct known *ret_known)
{
    struct record_row row;
    struct record_entry entry;
    *ret_known = (struct known){.name = {NULL, 0}};
    if (journal_read_row(walk->reader, epoch, &row) == SPN_OK) {
        *ret_known = (struct known){.name = row.name, .life = row.life};
        return SPN_OK;
    }
    spn_err err = journal_read_entry(walk->reader, epoch, &entry);
    if (err == SPN_OK && entry.kind == RECORD_OPEN)
        *ret_known = (struct known){.name = entry.data, .life = entry.life};
    return err == SPN_E_END || err == SPN_E_CORRUPT ? SPN_OK : err;
}

/* The entry itself may name its session: nothing else does once the session was deleted. */
static spn_err find_session(struct log_walk *walk, const struct record_entry *entry,
                            struct known *ret_known)
{
    uint64_t epoch = entry->epoch;
    struct name *slot = name_slot(walk, epoch);
    if (entry->kind == RECORD_OPEN) {
        *ret_known = (struct known){.name = entry->data, .life = entry->life};
        return SPN_OK;
    }
    if (record_has_name(entry->kind) && entry->name.size > 0) {
        *ret_known = (struct known){.name = entry->name, .life = entry->life};
        return SPN_OK;
    }
    if (slot->epoch == epoch) {
        *ret_known = (struct known){.name = {slot->bytes, slot->size}, .life = slot->life};
        return SPN_OK;
    }
    spn_err err = read_session(walk, epoch, ret_known);
    if (err != SPN_OK)
        return err;
    struct spn_bytes name = ret_known->name;
    if (name.data && name.size <= sizeof(slot->bytes)) {
        slot->epoch = epoch;
        slot->life = ret_known->life;
        slot->size = (uint8_t)name.size;
        memcpy(slot->bytes, name.data, name.size);
    }
    return SPN_OK;
}

static bool is_wanted(const struct log_walk *walk, struct spn_bytes name)
{
    if (walk->only_size == 0)
        return true;
    return name.size == walk->only_size && memcmp(name.data, walk->only, name.size) == 0;
}

/* -- one slice --------------------------------------------------------------------------------- */

static struct spn_bytes copy(struct log_walk *walk, struct spn_bytes bytes)
{
    char *to = walk->bytes + walk->bytes_size;
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    walk->bytes_size += bytes.size;
    return (struct spn_bytes){bytes.data ? to : NULL, bytes.size};
}

/* SPN_E_BACKPRESSURE: this slice has no room for it. */
static spn_err reserve(struct log_walk *walk, size_t size)
{
    if (walk->bytes_capacity - walk->bytes_size >= size)
        return SPN_OK;
    if (walk->bytes_size > 0)
        return SPN_E_BACKPRESSURE;
    size_t capacity = size > SLICE_SIZE_MAX ? size : SLICE_SIZE_MAX;
    char *bytes = realloc(walk->bytes, capacity);
    if (!bytes)
        return SPN_E_NOMEM;
    walk->bytes = bytes;
    walk->bytes_capacity = capacity;
    return SPN_OK;
}

static spn_err take_entry(struct log_walk *walk, uint64_t position,
                          const struct record_entry *entry)
{
    struct known known;
    spn_err err = find_session(walk, entry, &known);
    if (err != SPN_OK || !is_wanted(walk, known.name))
        return err;
    err = reserve(walk, known.name.size + entry->name.size + entry->id.size + entry->type.size +
                            entry->data.size + entry->reason.size + entry->note.size);
    if (err != SPN_OK)
        return err;
    struct log_item *item = &walk->items[walk->item_count++];
    item->position = position;
    item->session = copy(walk, known.name);
    item->life = known.life;
    item->entry = *entry;
    item->entry.name = copy(walk, entry->name);
    item->entry.reason = copy(walk, entry->reason);
    item->entry.note = copy(walk, entry->note);
    item->entry.id = copy(walk, entry->id);
    item->entry.type = copy(walk, entry->type);
    item->entry.data = copy(walk, entry->data);
    return SPN_OK;
}

/* Leaves out damaged entries up to this position. The entries after them may be all that is left of
 * somebody's data. */
static spn_err pass_damaged(struct log_walk *walk, uint64_t last)
{
    if (last > walk->newest)
        last = walk->newest;
    if (walk->damaged == 0)
        walk->damaged_first = walk->from;
    walk->damaged += last - walk->from + 1;
    walk->damaged_run++;
    walk->from = last + 1;
    return walk->damaged_run > DAMAGED_RUN_MAX ? SPN_E_CORRUPT : SPN_OK;
}

static spn_err step(struct log_walk *walk)
{
    struct record_entry entry;
    uint64_t position;
    if (walk->from > walk->newest)
        return SPN_E_END;
    spn_err err = journal_read_entry_from(walk->reader, walk->from, &position, &entry);
    if (err == SPN_E_CORRUPT)
        return pass_damaged(walk, position);
    if (err == SPN_OK && position > walk->newest)
        return SPN_E_END;
    if (err == SPN_OK)
        err = take_entry(walk, position, &entry);
    if (err == SPN_OK) {
        walk->damaged_run = 0;
        walk->from = position + 1;
    }
    return err;
}

static void begin(struct log_walk *walk)
{
    if (walk->began)
        return;
    walk->began = true;
    walk->newest = journal_reader_newest(walk->reader);
    if (walk->from == LOG_WALK_ABOVE_CHECKPOINT)
        walk->from = journal_reader_meta(walk->reader)->checkpoint + 1;
}

spn_err log_walk_next(struct log_walk *walk, const struct log_item **ret_items, size_t *ret_count)
{
    walk->item_count = 0;
    walk->bytes_size = 0;
    spn_err err = journal_reader_begin(walk->reader);
    if (err != SPN_OK)
        return err;
    begin(walk);
    for (size_t i = 0; i < SLICE_ENTRIES_MAX && err == SPN_OK; i++)
        err = step(walk);
    journal_reader_end(walk->reader);

    bool more = err == SPN_OK || err == SPN_E_BACKPRESSURE;
    if (!more && walk->item_count == 0)
        return err;
    *ret_items = walk->items;
    *ret_count = walk->item_count;
    return SPN_OK;
}

uint64_t log_walk_damaged(const struct log_walk *walk, uint64_t *ret_first)
{
    *ret_first = walk->damaged_first;
    return walk->damaged;
}

uint64_t log_walk_position(const struct log_walk *walk, uint64_t *ret_last)
{
    *ret_last = walk->began ? walk->newest : 0;
    return walk->began ? walk->from - 1 : 0;
}

spn_err log_walk_find(struct log_walk *walk, struct spn_bytes name)
{
    uint64_t epoch;
    spn_err err = journal_reader_begin(walk->reader);
    if (err != SPN_OK)
        return err;
    err = journal_read_name(walk->reader, name, &epoch);
    journal_reader_end(walk->reader);
    return err;
}

spn_err log_walk_above_checkpoint(struct journal *journal, log_walk_take *take, void *context,
                                  uint64_t *ret_damaged)
{
    struct log_walk *walk;
    const struct log_item *items;
    size_t count;
    uint64_t first;
    spn_err err =
        log_walk_open(&walk, journal, (struct spn_bytes){NULL, 0}, LOG_WALK_ABOVE_CHECKPOINT);
    if (err != SPN_OK)
        return err;
    while (err == SPN_OK && (err = log_walk_next(walk, &items, &count)) == SPN_OK)
        for (size_t i = 0; i < count && err == SPN_OK; i++)
            err = take(context, &items[i]);
    *ret_damaged = log_walk_damaged(walk, &first);
    log_walk_close(walk);
    return err == SPN_E_END ? SPN_OK : err;
}
