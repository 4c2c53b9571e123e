/* SPDX-License-Identifier: Apache-2.0 */
#include "index/trim.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_WORK = 4, /* see base/step.h */
    BLOCKS_FIRST = 64,
    WORTHWHILE = 4, /* one event in so many is dead */
};

/* A block that has no event left. */
struct dead_block {
    uint64_t epoch;
    uint64_t first_seq;
};

/* What a step changes, so that an aborted transaction is undone by one assignment. */
struct progress {
    enum { LOOKING, ENTRIES, BLOCKS } phase;
    uint64_t position; /* next */
    size_t block;      /* next */
};

/* The session whose blocks are looked at. */
struct owner {
    uint64_t epoch; /* 0: none yet */
    bool gone;
    uint64_t seq;
    uint64_t bytes;
};

struct trim {
    struct journal *journal;
    struct journal_reader *reader;
    const struct clock *clock;
    size_t to_look_at;
    uint32_t number; /* the newest segment that was looked at, or is being looked at */
    bool inside;     /* it is being looked at */
    bool stepped;    /* since the last settlement something was deleted, or nothing was left */
    uint64_t now_ns; /* of the look: one time for the whole segment, so that the oldest go first */

    struct record_segment segment;
    struct owner owner;
    uint64_t epoch; /* next block: at or after this */
    uint64_t seq;
    uint8_t *live; /* bit per position of the segment: an event that stays */
    uint32_t live_count;
    struct dead_block *dead;
    size_t dead_count;
    size_t dead_room;

    struct progress now;
    struct progress committed;
};

spn_err trim_new(struct trim **ret_trim, struct journal *journal, const struct clock *clock)
{
    struct trim *trim = calloc(1, sizeof(*trim));
    if (!trim)
        return SPN_E_NOMEM;
    trim->journal = journal;
    trim->clock = clock;
    spn_err err = journal_reader_open(&trim->reader, journal);
    if (err != SPN_OK) {
        trim_free(trim);
        return err;
    }
    *ret_trim = trim;
    return SPN_OK;
}

static void forget_segment(struct trim *trim)
{
    free(trim->live);
    free(trim->dead);
    trim->live = NULL;
    trim->dead = NULL;
    trim->dead_count = trim->dead_room = 0;
    trim->live_count = 0;
    trim->inside = false;
    trim->stepped = false;
    trim->now = trim->committed = (struct progress){.phase = LOOKING};
}

void trim_free(struct trim *trim)
{
    if (!trim)
        return;
    forget_segment(trim);
    journal_reader_close(trim->reader);
    free(trim);
}

/* An event without a block would count as hidden: if damage took blocks, only the quota trims. */
static bool may_look(const struct trim *trim)
{
    return !journal_damage(trim->journal)->blocks_lost;
}

void trim_look(struct trim *trim, size_t segments)
{
    if (may_look(trim))
        trim->to_look_at += segments;
}

void trim_look_at_all(struct trim *trim)
{
    if (trim->inside || !may_look(trim))
        return;
    trim->to_look_at = SIZE_MAX / 2; /* until the round is over */
    trim->number = 0;
}

void trim_cancel(struct trim *trim)
{
    forget_segment(trim);
}

enum trim_need trim_need(const struct trim *trim)
{
    if (trim->now.phase != LOOKING)
        return TRIM_TO_WRITE;
    return trim->inside || trim->to_look_at > 0 ? TRIM_TO_READ : TRIM_NOTHING;
}

/* -- looking ----------------------------------------------------------------------------------- */

static bool get_bit(const struct trim *trim, uint64_t position)
{
    uint64_t bit = position - trim->segment.first;
    return trim->live[bit / 8] & 1u << bit % 8;
}

static void set_bit(struct trim *trim, uint64_t position)
{
    uint64_t bit = position - trim->segment.first;
    trim->live[bit / 8] |= (uint8_t)(1u << bit % 8);
}

/* The next segment; after the newest, the oldest. SPN_E_END: there is none, or a round is over. */
static spn_err enter(struct trim *trim)
{
    bool round = trim->to_look_at >= SIZE_MAX / 4;
    trim->to_look_at--; /* a segment that does not read back counts as looked at too */
    spn_err err =
        journal_read_segment_after(trim->reader, trim->number, &trim->number, &trim->segment);
    if (err == SPN_E_END && trim->number > 0 && !round) {
        trim->number = 0;
        err = journal_read_segment_after(trim->reader, 0, &trim->number, &trim->segment);
    }
    if (err != SPN_OK)
        return err;
    trim->inside = true;
    trim->live = calloc((trim->segment.last - trim->segment.first) / 8 + 1, 1);
    if (!trim->live)
        return SPN_E_NOMEM;
    trim->owner.epoch = 0;
    trim->epoch = trim->seq = 0;
    trim->now_ns = clock_database_ns(trim->clock);
    return SPN_OK;
}

static spn_err know_owner(struct trim *trim, uint64_t epoch)
{
    struct record_row row;
    if (trim->owner.epoch == epoch)
        return SPN_OK;
    spn_err err = journal_read_row(trim->reader, epoch, &row);
    if (err != SPN_OK && err != SPN_E_END)
        return err;
    trim->owner = (struct owner){.epoch = epoch, .gone = true};
    if (err == SPN_OK)
        trim->owner = (struct owner){
            .epoch = epoch,
            .gone = row.state == RECORD_DELETED &&
                    row.state_position <= journal_reader_meta(trim->reader)->checkpoint,
            .seq = row.seq,
            .bytes = row.bytes,
        };
    return SPN_OK;
}

/* Whether an event stays. Its entry is read only if more than its seq counts. */
static spn_err stays(struct trim *trim, uint64_t seq, uint64_t position, bool *ret_stays)
{
    uint64_t now_ns = trim->now_ns;
    const struct retention *rule = &journal_reader_meta(trim->reader)->retention;
    const struct owner *owner = &trim->owner;
    struct record_entry event = {.seq = seq, .bytes = owner->bytes, .time_ns = now_ns};
    bool by_bytes = rule->bytes_max > 0 && owner->bytes >= rule->bytes_max;
    *ret_stays = false;
    if (owner->gone || !retention_keeps(rule, &event, owner->seq, owner->bytes, now_ns))
        return SPN_OK;
    if (by_bytes || rule->age_max_ns > 0) {
        spn_err err = journal_read_entry(trim->reader, position, &event);
        if (err == SPN_E_END)
            return SPN_OK; /* trimmed already */
        if (err != SPN_OK)
            return err;
    }
    *ret_stays = retention_keeps(rule, &event, owner->seq, owner->bytes, now_ns);
    return SPN_OK;
}

/* The first item of a block that stays: events go oldest first. */
static spn_err find_first(struct trim *trim, const struct record_block *block,
                          const struct record_block_item *items, uint32_t *ret_first)
{
    uint32_t low = 0;
    uint32_t high = block->count;
    while (low < high) {
        /* Most blocks are complete: test the first item first. */
        uint32_t middle = low == 0 && high == block->count ? 0 : low + (high - low) / 2;
        bool is;
        spn_err err = stays(trim, block->first_seq + middle, items[middle].position, &is);
        if (err != SPN_OK)
            return err;
        if (is)
            high = middle;
        else
            low = middle + 1;
    }
    *ret_first = low;
    return SPN_OK;
}

static spn_err note_dead(struct trim *trim, uint64_t epoch, uint64_t first_seq)
{
    if (trim->dead_count == trim->dead_room) {
        size_t room = trim->dead_room > 0 ? trim->dead_room * 2 : BLOCKS_FIRST;
        struct dead_block *dead = realloc(trim->dead, room * sizeof(*dead));
        if (!dead)
            return SPN_E_NOMEM;
        trim->dead = dead;
        trim->dead_room = room;
    }
    trim->dead[trim->dead_count++] = (struct dead_block){.epoch = epoch, .first_seq = first_seq};
    return SPN_OK;
}

/* SPN_E_END: the last block was the segment's last. */
static spn_err look_at_next(struct trim *trim)
{
    struct record_block block;
    struct record_block_item items[RECORD_BLOCK_ITEMS_MAX];
    uint64_t epoch;
    uint32_t first;
    spn_err err = journal_read_segment_block(trim->reader, trim->number, trim->epoch, trim->seq,
                                             &epoch, &block);
    if (err == SPN_OK)
        err = record_get_items(&block, items);
    if (err == SPN_OK)
        err = know_owner(trim, epoch);
    if (err == SPN_OK)
        err = find_first(trim, &block, items, &first);
    if (err != SPN_OK)
        return err;
    trim->epoch = epoch;
    trim->seq = block.first_seq + 1;
    if (first == block.count)
        return note_dead(trim, epoch, block.first_seq);
    for (uint32_t i = first; i < block.count; i++) {
        if (items[i].position < trim->segment.first || items[i].position > trim->segment.last)
            return SPN_E_CORRUPT;
        set_bit(trim, items[i].position);
    }
    trim->live_count += block.count - first;
    return SPN_OK;
}

static void decide(struct trim *trim)
{
    uint32_t events = trim->segment.events;
    uint32_t dead = events > trim->live_count ? events - trim->live_count : 0;
    if (trim->live_count > 0 && (dead == 0 || dead < events / WORTHWHILE)) {
        forget_segment(trim);
        return;
    }
    trim->now = trim->committed =
        (struct progress){.phase = ENTRIES, .position = trim->segment.first};
}

static spn_err look(struct trim *trim, struct step *step)
{
    spn_err err = trim->inside ? SPN_OK : enter(trim);
    if (err == SPN_E_END)
        trim->to_look_at = 0;
    for (bool over = false; err == SPN_OK && !over; over = step_is_over(step, BLOCK_WORK)) {
        err = look_at_next(trim);
        if (err == SPN_E_END) {
            decide(trim);
            return SPN_OK;
        }
    }
    return err == SPN_E_END ? SPN_OK : err;
}

/* The segment that was being looked at becomes the next one again. */
static void look_again(struct trim *trim)
{
    if (trim->inside) {
        trim->number--;
        trim->to_look_at++;
    }
    forget_segment(trim);
}

spn_err trim_read(struct trim *trim, struct step *step)
{
    spn_err err = journal_reader_begin(trim->reader);
    if (err == SPN_OK)
        err = look(trim, step);
    journal_reader_end(trim->reader);
    if (err == SPN_E_NOMEM)
        look_again(trim);
    if (err == SPN_E_CORRUPT) { /* a damaged segment stays until the quota deletes it */
        forget_segment(trim);
        err = SPN_OK;
    }
    return err;
}

/* -- deleting ---------------------------------------------------------------------------------- */

static bool keep(const void *owner, uint64_t position)
{
    return get_bit(owner, position);
}

static spn_err write_entries(struct trim *trim, size_t count_max, size_t *ret_count)
{
    struct journal_deletion deletion = {.count_max = count_max, .bytes_max = UINT64_MAX};
    spn_err err = journal_delete_entries(trim->journal, trim->now.position, trim->segment.last,
                                         keep, trim, &deletion, &trim->now.position);
    *ret_count = deletion.count;
    if (err == SPN_OK && trim->now.position > trim->segment.last)
        trim->now.phase = BLOCKS;
    return err;
}

static spn_err write_blocks(struct trim *trim, size_t count_max)
{
    spn_err err = SPN_OK;
    for (size_t i = 0; err == SPN_OK && i < count_max && trim->now.block < trim->dead_count; i++) {
        const struct dead_block *dead = &trim->dead[trim->now.block++];
        err = journal_delete_block(trim->journal, trim->number, dead->epoch, dead->first_seq);
    }
    if (err != SPN_OK || trim->now.block < trim->dead_count)
        return err;
    size_t left;
    struct record_segment segment = trim->segment;
    segment.events = trim->live_count;
    trim->now.phase = LOOKING;
    return trim->live_count > 0
               ? journal_put_segment(trim->journal, trim->number, &segment)
               : journal_delete_segment(trim->journal, trim->number, SIZE_MAX, &left);
}

spn_err trim_write(struct trim *trim, size_t count_max, size_t *ret_trimmed)
{
    *ret_trimmed = 0;
    trim->stepped = true;
    if (trim->now.phase == ENTRIES)
        return write_entries(trim, count_max, ret_trimmed);
    return write_blocks(trim, count_max);
}

void trim_settle(struct trim *trim, bool committed)
{
    if (!trim->stepped)
        return;
    trim->stepped = false;
    if (committed)
        trim->committed = trim->now;
    else
        trim->now = trim->committed;
    if (trim->now.phase == LOOKING)
        forget_segment(trim);
}

/* -- the quota --------------------------------------------------------------------------------- */

/* Deletes entries of the oldest segment. */
static spn_err drop_entries(struct journal *journal, uint64_t oldest, uint64_t last,
                            struct journal_deletion *deletion)
{
    uint64_t next;
    spn_err err = journal_delete_entries(journal, oldest, last, NULL, NULL, deletion, &next);
    return err == SPN_OK ? journal_note_taken(journal, next - 1) : err;
}

/* Deletes one kind of thing from the oldest segment: entries while it has any, then blocks. If the
 * segment's record is damaged, its entries are not known: they go with those of the segment after
 * it. */
static spn_err drop_some(struct journal *journal, struct journal_deletion *deletion)
{
    uint32_t number;
    struct record_segment segment;
    uint64_t oldest;
    size_t blocks;
    spn_err err = journal_oldest_segment(journal, &number, &segment);
    bool damaged = err == SPN_E_CORRUPT;
    if (err != SPN_OK && !damaged)
        return err;
    err = journal_oldest_entry(journal, &oldest);
    if (err == SPN_OK && !damaged && oldest <= segment.last)
        return drop_entries(journal, oldest, segment.last, deletion);
    if (err != SPN_OK && err != SPN_E_END)
        return err;
    err = journal_delete_segment(journal, number, deletion->count_max - deletion->count, &blocks);
    if (err == SPN_OK)
        deletion->count += blocks > 0 ? blocks : 1; /* its record */
    return err;
}

spn_err trim_oldest(struct journal *journal, struct journal_deletion *deletion)
{
    spn_err err = SPN_OK;
    bool some = true;
    while (err == SPN_OK && some && !journal_deletion_is_over(deletion)) {
        size_t before = deletion->count;
        err = drop_some(journal, deletion);
        some = deletion->count > before;
    }
    return err == SPN_E_END ? SPN_OK : err;
}
