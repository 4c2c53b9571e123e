/* SPDX-License-Identifier: Apache-2.0 */
/* journal: the only module that knows LMDB exists. In four files: journal.c opens and closes,
 * journal_check.c finds damage, journal_write.c writes and deletes, journal_read.c reads.
 *
 * Eight tables: log (position -> entry, append-only at its head), blocks (segment, epoch, first seq
 * -> block), segments (number -> what it covers), rows (epoch -> row), names (name -> epoch),
 * attributes (epoch -> what the row lacks of them), producers (id -> record), meta.
 *
 * Owns     the LMDB environment and every file under the data directory but the daemon's lock file.
 * Borrows  bytes passed in: copied before the call returns.
 * Lends    bytes to readers: valid until journal_reader_end.
 * Units    sizes in bytes.
 * Threads  one writer (the worker). Each reader belongs to one thread.
 * Errors   SPN_E_DISK_FULL: no room on the disk; SPN_E_QUOTA_FULL: no room in the map. In both
 *          cases the transaction is lost, but the environment is not. SPN_E_IO: storage failed or
 *          LMDB panicked; only a restart shows what is on disk. SPN_E_CORRUPT: bytes that we did
 *          not write. SPN_E_IN_USE: LMDB's table of readers is full (126 slots; a reader takes
 *          two); with errno EAGAIN: a process of another container has the same id, by which LMDB
 *          locks. SPN_E_SYSTEM: see errno.
 */
#ifndef SPN_JOURNAL_H
#define SPN_JOURNAL_H

#include "store/record_attributes.h"
#include "store/record_block.h"
#include "store/record_entry.h"
#include "store/record_meta.h"
#include "store/record_producer.h"
#include "store/record_row.h"

struct journal;
struct journal_reader;

struct journal_options {
    const char *dir;
    size_t size_max; /* of the map: quota and reserve. Ignored when read-only, as the reserve is */
    size_t reserve;  /* the map has so much behind the last page of the file, even above size_max */
    uint64_t headroom_max; /* up to this size, room is made in the file ahead of need; 0: none */
    bool read_only; /* for the command line: works beside a running daemon and after a kill -9 */
    /* Called now and then while the journal is opened and recovered, as long as there is progress.
     * May be NULL. */
    void (*went_on)(void *context);
    void *context;
};

/* Creates the database if there is none (not when read-only), and reads meta. SPN_E_PATH: the
 * directory is missing or not accessible, or read-only and there is no database. SPN_E_CORRUPT:
 * another program's database. SPN_E_NEWER_FORMAT, SPN_E_OLDER_FORMAT. After all of these the files
 * are unchanged; a creation that fails leaves no data file. A writable open syncs the directory and
 * its parent. It also deletes the blocks above meta.segment that a crash left (on a full disk they
 * stay until the next segment is written). */
spn_err journal_open(struct journal **ret_journal,
                     const struct journal_options *options) SPN_MUST_USE;
void journal_close(struct journal *journal); /* takes NULL */

/* One step more of a recovery that may have millions: now and then calls options.went_on. */
void journal_went_on(struct journal *journal);

/* Whether the value of meta is damaged. A read-only journal is opened all the same, without a rule
 * of retention; for a writable one that is SPN_E_CORRUPT. */
bool journal_lacks_meta(const struct journal *journal);

/* For a caller that reads what is left of a database. Call it before journal_open, which may fail
 * on what is missing. SPN_E_CORRUPT: the file ends before a page that is in use (the detail
 * has both sizes), or its last page is not known. A writable open fails then. */
spn_err journal_check_whole(const char *dir) SPN_MUST_USE;

/* Returns once the names of the directory's files, and its own in its parent, are on disk. */
spn_err journal_sync_dirs(const char *dir) SPN_MUST_USE;

/* Makes the map larger or smaller, but never smaller than the file and the reserve, once no reader
 * has a snapshot; readers wait meanwhile. Of the options only the three sizes count. The writer's
 * thread, outside a transaction, and without a snapshot of its own. SPN_E_IO, SPN_E_SYSTEM: there
 * is no map any more; every later journal_begin and journal_reader_begin is SPN_E_IO. */
spn_err journal_resize(struct journal *journal, const struct journal_options *options) SPN_MUST_USE;

/* What a writable open found damaged and mended: for the daemon's log. By table, in the order of
 * JOURNAL_TABLE_NAMES. */
#define JOURNAL_TABLE_NAMES                                                                        \
    {                                                                                              \
        "log", "blocks", "segments", "rows", "names", "attributes", "producers", "meta"            \
    }
enum { JOURNAL_TABLES = 8 };
struct journal_damage {
    uint64_t leaves[JOURNAL_TABLES];  /* pages of values that are lost */
    uint64_t missing[JOURNAL_TABLES]; /* values that were counted but are not there; 0 if that is
                                       * not known: for a large log, or if more are there */
    bool miscounted[JOURNAL_TABLES];  /* the number of values is not the one that was counted */
    uint64_t lost_from;               /* positions; 0: none */
    uint64_t lost_to;
    bool free_list;   /* the list of free pages was damaged: they are not used again */
    bool blocks_lost; /* now or at an earlier start: an event without a block may be retained */
};
const struct journal_damage *journal_damage(const struct journal *journal);

/* The words for the calling thread's last error, for a person: what was being done, and LMDB's or
 * errno's text. Like errno it takes no object: a failed open leaves none, and each reader has its
 * own thread. Valid until this thread's next failure. */
const char *journal_detail(void);

/* SPN_E_DISK_FULL or SPN_E_QUOTA_FULL: the error may pass. */
bool journal_lacks_room(spn_err err);

/* Meta as of open, or as of the last successful commit after it. Writer's thread. */
const struct record_meta *journal_meta(const struct journal *journal);

/* Whether the directory still leads to the open files. SPN_E_GONE: it does not; commits go to a
 * file that nobody finds. A commit checks this itself. Any thread. */
spn_err journal_look(const struct journal *journal) SPN_MUST_USE;

/* -- writing: one transaction at a time -------------------------------------------------------- */

spn_err journal_begin(struct journal *journal) SPN_MUST_USE;
/* Returns after the data and the meta page are on disk. On failure the transaction is gone.
 * SPN_E_GONE: it is on disk, but in a file to which the directory no longer leads. */
spn_err journal_commit(struct journal *journal) SPN_MUST_USE;
void journal_abort(struct journal *journal); /* no transaction: does nothing */

/* Positions must ascend. A failure of any of these poisons the transaction: abort it. */
spn_err journal_append(struct journal *journal, uint64_t position,
                       const struct record_entry *entry) SPN_MUST_USE;
spn_err journal_put_producer(struct journal *journal, const uint8_t *id,
                             const struct record_producer *producer) SPN_MUST_USE;
spn_err journal_put_name(struct journal *journal, struct spn_bytes name,
                         uint64_t epoch) SPN_MUST_USE;
spn_err journal_put_row(struct journal *journal, uint64_t epoch,
                        const struct record_row *row) SPN_MUST_USE;
/* Attributes without a content type and a note are deleted. */
spn_err journal_put_attributes(struct journal *journal, uint64_t epoch,
                               const struct record_attributes *attributes) SPN_MUST_USE;
/* Keys must ascend within a segment and from one segment to the next. Writes one block, of as many
 * of the items as fit: *ret_done, at least one; RECORD_BLOCK_ITEMS_MAX or more fill it. */
spn_err journal_append_block(struct journal *journal, uint32_t segment, uint64_t epoch,
                             uint64_t first_seq, uint32_t segment_before,
                             const struct record_block_item *items, size_t count,
                             size_t *ret_done) SPN_MUST_USE;
/* The same, with as many blocks as the items need. */
spn_err journal_append_blocks(struct journal *journal, uint32_t segment, uint64_t epoch,
                              uint64_t first_seq, uint32_t segment_before,
                              const struct record_block_item *items, size_t count) SPN_MUST_USE;
spn_err journal_put_segment(struct journal *journal, uint32_t number,
                            const struct record_segment *segment) SPN_MUST_USE;
/* Writes all of meta but format, secret, database id and what the quota took, which stay. */
spn_err journal_put_meta(struct journal *journal, const struct record_meta *meta) SPN_MUST_USE;
/* Makes it another database: with an id of its own, and without positions below this one. */
spn_err journal_renew(struct journal *journal, uint64_t next_position) SPN_MUST_USE;
/* The quota deletes the log up to this position: meta has the highest one. */
spn_err journal_note_taken(struct journal *journal, uint64_t position) SPN_MUST_USE;

/* The writer's own view, inside its transaction. SPN_E_END: not there. Bytes are valid until the
 * next put. */
spn_err journal_get_row(struct journal *journal, uint64_t epoch,
                        struct record_row *ret_row) SPN_MUST_USE;
spn_err journal_get_entry(struct journal *journal, uint64_t position,
                          struct record_entry *ret_entry) SPN_MUST_USE;

/* -- deleting, in the writer's transaction: what is not there counts as deleted ---------------- */

/* How much may be deleted, and how much was. */
struct journal_deletion {
    size_t count_max;
    uint64_t bytes_max; /* of entries; the one that reaches it is deleted too */
    size_t count;
    uint64_t bytes;
};

static inline bool journal_deletion_is_over(const struct journal_deletion *deletion)
{
    return deletion->count >= deletion->count_max || deletion->bytes >= deletion->bytes_max;
}

/* Deletes entries of the log from `from` to `to`, oldest first, until the deletion is over, and
 * adds them to it. Entries for which keep (may be NULL) returns true stay. Looks at 8 * count_max
 * entries at most. *ret_next: where to go on; above `to` when all were looked at. */
spn_err journal_delete_entries(struct journal *journal, uint64_t from, uint64_t to,
                               bool (*keep)(const void *owner, uint64_t position),
                               const void *owner, struct journal_deletion *deletion,
                               uint64_t *ret_next) SPN_MUST_USE;
spn_err journal_delete_block(struct journal *journal, uint32_t segment, uint64_t epoch,
                             uint64_t first_seq) SPN_MUST_USE;
/* Deletes a segment's blocks, at most count_max, and its record with the last of them. *ret_count
 * 0: the segment is gone. */
spn_err journal_delete_segment(struct journal *journal, uint32_t number, size_t count_max,
                               size_t *ret_count) SPN_MUST_USE;
spn_err journal_delete_producer(struct journal *journal, const uint8_t *id) SPN_MUST_USE;
/* The session's row and its attributes. */
spn_err journal_delete_row(struct journal *journal, uint64_t epoch) SPN_MUST_USE;
/* Deletes the name only if it still has this epoch, or is damaged. */
spn_err journal_delete_name(struct journal *journal, struct spn_bytes name,
                            uint64_t epoch) SPN_MUST_USE;

/* The position of the log's oldest entry, and the segment with the lowest number, in the writer's
 * own view. SPN_E_END: there is none. SPN_E_CORRUPT: the segment's record is damaged, but
 * *ret_number is filled in. */
spn_err journal_oldest_entry(struct journal *journal, uint64_t *ret_position) SPN_MUST_USE;
spn_err journal_oldest_segment(struct journal *journal, uint32_t *ret_number,
                               struct record_segment *ret_segment) SPN_MUST_USE;

/* Clears the slots of readers whose process died. Until then those keep LMDB from reusing pages.
 * Done at open; call it every few seconds. */
void journal_check_readers(struct journal *journal);

/* Bytes of pages in use (not free), and of the map: as of the last commit, or of the transaction
 * under way. Writer's thread; costs nothing. */
void journal_usage(struct journal *journal, uint64_t *ret_used_bytes, uint64_t *ret_map_bytes);
/* The part of the bytes in use that names, rows and attributes take, as of the last commit. */
uint64_t journal_names_bytes(const struct journal *journal);

/* Blocks written and committed since open. Writer's thread. */
uint64_t journal_blocks_written(const struct journal *journal);

/* Bytes of the file that are not in use, and by how many commits the oldest reader's snapshot is
 * older than the newest commit. That reader keeps LMDB from reusing the pages freed since. Reads
 * LMDB's table of readers: call it every few seconds. */
void journal_slack(struct journal *journal, uint64_t *ret_free_bytes, uint64_t *ret_reader_lag);

/* -- reading ----------------------------------------------------------------------------------- */

spn_err journal_reader_open(struct journal_reader **ret_reader,
                            struct journal *journal) SPN_MUST_USE;
void journal_reader_close(struct journal_reader *reader); /* takes NULL */

/* Begins a snapshot, which lasts until journal_reader_end. It has only commits whose sync has
 * returned, and is never older than the snapshot before. Keep it short: it keeps LMDB from reusing
 * pages. Fills in the snapshot's meta and the newest position that reached the disk, trimmed or not
 * (0: none). A read-only journal follows a map that the daemon has made larger; for that it may
 * have only one snapshot at a time. */
spn_err journal_reader_begin(struct journal_reader *reader) SPN_MUST_USE;
void journal_reader_end(struct journal_reader *reader); /* outside a snapshot: does nothing */
const struct record_meta *journal_reader_meta(const struct journal_reader *reader);
uint64_t journal_reader_newest(const struct journal_reader *reader);
/* Values read since open: what a replay costs, for tests and counters. */
uint64_t journal_reader_reads(const struct journal_reader *reader);

/* SPN_E_END: it is not there. SPN_E_CORRUPT: it is there, but damaged. */
spn_err journal_read_entry(struct journal_reader *reader, uint64_t position,
                           struct record_entry *ret_entry) SPN_MUST_USE;
/* The first entry at or after position, for walking the log. SPN_E_CORRUPT: *ret_position is the
 * last damaged position; a walk goes on after it. */
spn_err journal_read_entry_from(struct journal_reader *reader, uint64_t position,
                                uint64_t *ret_position,
                                struct record_entry *ret_entry) SPN_MUST_USE;
/* The session to which a damaged entry may have belonged. 0: not known. */
uint64_t journal_guess_epoch(struct journal_reader *reader, uint64_t position);
spn_err journal_read_name(struct journal_reader *reader, struct spn_bytes name,
                          uint64_t *ret_epoch) SPN_MUST_USE;
/* The first name greater than `after` in byte order; empty: the very first. SPN_E_CORRUPT: if
 * *ret_name was set, the walk can go on after it. */
spn_err journal_read_name_after(struct journal_reader *reader, struct spn_bytes after,
                                struct spn_bytes *ret_name, uint64_t *ret_epoch) SPN_MUST_USE;
spn_err journal_read_row(struct journal_reader *reader, uint64_t epoch,
                         struct record_row *ret_row) SPN_MUST_USE;
/* The session's life: from its row or, if that is lost, from the entry that opened it. SPN_E_END:
 * both are gone, or do not read. */
spn_err journal_read_life(struct journal_reader *reader, uint64_t epoch,
                          struct spn_life *ret_life) SPN_MUST_USE;
spn_err journal_read_attributes(struct journal_reader *reader, uint64_t epoch,
                                struct record_attributes *ret_attributes) SPN_MUST_USE;
/* The lowest epoch above `after` that has attributes. They are not read. */
spn_err journal_read_attributes_after(struct journal_reader *reader, uint64_t after,
                                      uint64_t *ret_epoch) SPN_MUST_USE;
/* The row with the lowest epoch above `after`. SPN_E_CORRUPT: if *ret_epoch is above `after`, the
 * walk can go on after it. The same holds for segments and producers. */
spn_err journal_read_row_after(struct journal_reader *reader, uint64_t after, uint64_t *ret_epoch,
                               struct record_row *ret_row) SPN_MUST_USE;
/* The complete segment with the lowest number above `after`. */
spn_err journal_read_segment_after(struct journal_reader *reader, uint32_t after,
                                   uint32_t *ret_number,
                                   struct record_segment *ret_segment) SPN_MUST_USE;
/* Every producer in turn: reads the one after *id and sets *id to it (all zeros and first = true:
 * the first). */
spn_err journal_read_producer_after(struct journal_reader *reader, bool first, uint8_t *id,
                                    struct record_run *runs,
                                    struct record_producer *ret_producer) SPN_MUST_USE;

/* The segment at which a row's chain of blocks begins in this snapshot: row->segment, or
 * row->segment_before while row->segment is above the snapshot's meta.segment. 0: none. */
uint32_t journal_row_segment(const struct journal_reader *reader, const struct record_row *row);
/* The session's block in this segment that has seq, or else the last one with lower seqs.
 * SPN_E_END: neither. seq UINT64_MAX: the last block there. */
spn_err journal_read_block(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                           uint64_t seq, struct record_block *ret_block) SPN_MUST_USE;
/* The session's first block in this segment with a first seq of seq or more. SPN_E_END: none. */
spn_err journal_read_block_from(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                                uint64_t seq, struct record_block *ret_block) SPN_MUST_USE;
/* A segment's blocks in turn, of any session: the first one at or after (epoch, seq). */
spn_err journal_read_segment_block(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                                   uint64_t seq, uint64_t *ret_epoch,
                                   struct record_block *ret_block) SPN_MUST_USE;

#endif
