/* SPDX-License-Identifier: Apache-2.0 */
/* journal: the only module that knows LMDB exists. In three files: journal.c opens and closes,
 * journal_write.c writes and deletes, journal_read.c reads.
 *
 * Seven tables: log (position -> entry, append-only at its head), blocks (segment, epoch, first seq
 * -> block), segments (number -> what it covers), rows (epoch -> row), names (name -> epoch),
 * producers (id -> record), meta.
 *
 * Owns     the LMDB environment and every file under the data directory but the daemon's lock file.
 * Borrows  bytes passed in: copied before the call returns.
 * Lends    bytes to readers: valid until journal_reader_end.
 * Units    sizes in bytes.
 * Threads  one writer (the worker). Each reader belongs to one thread.
 * Errors   SPN_E_DISK_FULL: no room on the disk, SPN_E_QUOTA_FULL: none in the map; the transaction
 *          is lost, the environment is not. SPN_E_IO: storage failed or LMDB panicked; only a
 * restart tells what is on disk. SPN_E_CORRUPT: bytes that we did not write. SPN_E_IN_USE: LMDB's
 * table of readers is full (126 slots; a reader takes two); with errno EAGAIN, a process of another
 * container has the same id, by which LMDB locks. SPN_E_SYSTEM: see errno.
 */
#ifndef SPN_JOURNAL_H
#define SPN_JOURNAL_H

#include "store/record_block.h"
#include "store/record_entry.h"
#include "store/record_meta.h"
#include "store/record_producer.h"
#include "store/record_row.h"

struct journal;
struct journal_reader;

struct journal_options {
    const char *dir;
    size_t size_max;       /* of the map: quota and reserve. Ignored when read-only */
    uint64_t headroom_max; /* up to here room is made in the file ahead of need; 0: none is */
    bool read_only; /* for the command line: works beside a running daemon and after a kill -9 */
};

/* Creates the database where there is none (not when read-only), and reads meta. SPN_E_PATH: the
 * directory is missing or not accessible, or read-only and there is no database; SPN_E_CORRUPT:
 * another program's database; SPN_E_NEWER_FORMAT, SPN_E_OLDER_FORMAT. All are left unchanged; a
 * creation that fails leaves no data file. A writable open syncs the directory and its parent, and
 * deletes blocks above meta.segment, which a crash left behind (on a full disk they stay until the
 * next segment is written). */
spn_err journal_open(struct journal **ret_journal,
                     const struct journal_options *options) SPN_MUST_USE;
void journal_close(struct journal *journal); /* takes NULL */

/* For who reads what is left, before journal_open: what is missing may be in its way.
 * SPN_E_CORRUPT: the file ends before its last page, as the detail says with both sizes, or that is
 * not known. A writable open fails then. */
spn_err journal_check_whole(const char *dir) SPN_MUST_USE;

/* What a writable open found damaged and mended: for the log of the daemon. By table, in the order
 * of JOURNAL_TABLES. */
#define JOURNAL_TABLE_NAMES                                                                        \
    {                                                                                              \
        "log", "blocks", "segments", "rows", "names", "producers", "meta"                          \
    }
enum { JOURNAL_TABLES = 7 };
struct journal_damage {
    uint64_t leaves[JOURNAL_TABLES];  /* pages of values that are lost */
    uint64_t missing[JOURNAL_TABLES]; /* values that were counted and are not there; 0 where that
                                       * is not known: of a large log, or where more are there */
    bool miscounted[JOURNAL_TABLES];  /* another number is there than was counted */
    uint64_t lost_from;               /* positions; 0: none */
    uint64_t lost_to;
    bool free_list;   /* the list of free pages: they are not used again */
    bool blocks_lost; /* now or at an earlier start: what has no block may be retained all the same
                       */
};
const struct journal_damage *journal_damage(const struct journal *journal);

/* The words behind the calling thread's last error, for a person: what was being done, and LMDB's
 * or errno's text. Like errno it takes no object: a failed open leaves none, and readers have
 * threads of their own. Valid until this thread's next failure. */
const char *journal_detail(void);

/* SPN_E_DISK_FULL or SPN_E_QUOTA_FULL: it may pass. */
bool journal_lacks_room(spn_err err);

/* Meta as of open, and as of the last successful commit after it. Writer's thread. */
const struct record_meta *journal_meta(const struct journal *journal);

/* Does the directory still lead to the files that are open? SPN_E_GONE: no; what is committed goes
 * where nobody finds it. A commit looks by itself. Any thread. */
spn_err journal_look(const struct journal *journal) SPN_MUST_USE;

/* -- writing: one transaction at a time -------------------------------------------------------- */

spn_err journal_begin(struct journal *journal) SPN_MUST_USE;
/* Returns after the data and the meta page are on disk. On failure the transaction is gone.
 * SPN_E_GONE: it is on disk, in a file that is no longer there. */
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
/* Keys must ascend within and over segments. One block, of as many of the items as fit: *ret_done,
 * at least one; RECORD_BLOCK_ITEMS_MAX or more fill it. */
spn_err journal_append_block(struct journal *journal, uint32_t segment, uint64_t epoch,
                             uint64_t first_seq, uint32_t segment_before,
                             const struct record_block_item *items, size_t count,
                             size_t *ret_done) SPN_MUST_USE;
/* The same, as many blocks as the items need. */
spn_err journal_append_blocks(struct journal *journal, uint32_t segment, uint64_t epoch,
                              uint64_t first_seq, uint32_t segment_before,
                              const struct record_block_item *items, size_t count) SPN_MUST_USE;
spn_err journal_put_segment(struct journal *journal, uint32_t number,
                            const struct record_segment *segment) SPN_MUST_USE;
/* checkpoint, segment, next_position, clock_ns, retention; format and secret stay. */
spn_err journal_put_meta(struct journal *journal, const struct record_meta *meta) SPN_MUST_USE;

/* The writer's own view, inside its transaction. SPN_E_END: not there. Bytes until the next put. */
spn_err journal_get_row(struct journal *journal, uint64_t epoch,
                        struct record_row *ret_row) SPN_MUST_USE;
spn_err journal_get_entry(struct journal *journal, uint64_t position,
                          struct record_entry *ret_entry) SPN_MUST_USE;

/* -- deleting, in the writer's transaction: what is not there counts as deleted ---------------- */

/* Entries of the log from `from` to `to`, oldest first, at most count_max; but those stay that keep
 * (may be NULL) says so of. Of these it passes 8 * count_max at most. *ret_next is where to go on:
 * above `to` when all were looked at. */
spn_err journal_delete_entries(struct journal *journal, uint64_t from, uint64_t to,
                               bool (*keep)(const void *owner, uint64_t position),
                               const void *owner, size_t count_max, uint64_t *ret_next,
                               size_t *ret_count) SPN_MUST_USE;
spn_err journal_delete_block(struct journal *journal, uint32_t segment, uint64_t epoch,
                             uint64_t first_seq) SPN_MUST_USE;
/* A segment's blocks, at most count_max, and its record with the last of them. *ret_count 0: it is
 * gone. */
spn_err journal_delete_segment(struct journal *journal, uint32_t number, size_t count_max,
                               size_t *ret_count) SPN_MUST_USE;
spn_err journal_delete_producer(struct journal *journal, const uint8_t *id) SPN_MUST_USE;
spn_err journal_delete_row(struct journal *journal, uint64_t epoch) SPN_MUST_USE;
/* Only if it still names this epoch, or is damaged. */
spn_err journal_delete_name(struct journal *journal, struct spn_bytes name,
                            uint64_t epoch) SPN_MUST_USE;

/* Positions of the oldest entry of the log, and the segment with the lowest number, in the writer's
 * own view. SPN_E_END: there is none. SPN_E_CORRUPT: the segment's record is damaged; *ret_number
 * is filled all the same. */
spn_err journal_oldest_entry(struct journal *journal, uint64_t *ret_position) SPN_MUST_USE;
spn_err journal_oldest_segment(struct journal *journal, uint32_t *ret_number,
                               struct record_segment *ret_segment) SPN_MUST_USE;

/* Clears the slots of readers whose process died: until then they stop LMDB from using pages again.
 * Done at open; call it every few seconds. */
void journal_check_readers(struct journal *journal);

/* Bytes of pages in use (not free), and of the map: as of the last commit, or of the transaction
 * under way. Writer's thread; costs nothing. */
void journal_usage(struct journal *journal, uint64_t *ret_used_bytes, uint64_t *ret_map_bytes);
/* Of the bytes in use, those of names and rows, as of the last commit. */
uint64_t journal_names_bytes(const struct journal *journal);

/* Blocks written and committed since it was opened. Writer's thread. */
uint64_t journal_blocks_written(const struct journal *journal);

/* Bytes of the file that are not in use, and how many commits the oldest reader is behind: it stops
 * LMDB from using the pages again that went since. Looks through LMDB's table: every few seconds.
 */
void journal_slack(struct journal *journal, uint64_t *ret_free_bytes, uint64_t *ret_reader_lag);

/* -- reading ----------------------------------------------------------------------------------- */

spn_err journal_reader_open(struct journal_reader **ret_reader,
                            struct journal *journal) SPN_MUST_USE;
void journal_reader_close(struct journal_reader *reader); /* takes NULL */

/* A snapshot, until journal_reader_end, of commits whose sync has returned, and never an older one
 * than the one before. Keep it short: it stops LMDB from using pages again. Fills the snapshot's
 * meta and the newest position that came to disk, trimmed or not (0: none). A read-only journal
 * follows a map that the daemon has made larger; for that it may have one snapshot at a time. */
spn_err journal_reader_begin(struct journal_reader *reader) SPN_MUST_USE;
void journal_reader_end(struct journal_reader *reader); /* outside a snapshot: does nothing */
const struct record_meta *journal_reader_meta(const struct journal_reader *reader);
uint64_t journal_reader_newest(const struct journal_reader *reader);
/* Values looked at since open: what a replay costs, for tests and counters. */
uint64_t journal_reader_reads(const struct journal_reader *reader);

/* SPN_E_END: no such thing. SPN_E_CORRUPT: it is there, but damaged. */
spn_err journal_read_entry(struct journal_reader *reader, uint64_t position,
                           struct record_entry *ret_entry) SPN_MUST_USE;
/* The first entry at or after position, for walking the log. SPN_E_CORRUPT: *ret_position is the
 * last position of what is damaged; whoever goes on does so after it. */
spn_err journal_read_entry_from(struct journal_reader *reader, uint64_t position,
                                uint64_t *ret_position,
                                struct record_entry *ret_entry) SPN_MUST_USE;
/* Of an entry that is damaged: the session that it may have been of. 0: no telling. */
uint64_t journal_guess_epoch(struct journal_reader *reader, uint64_t position);
spn_err journal_read_name(struct journal_reader *reader, struct spn_bytes name,
                          uint64_t *ret_epoch) SPN_MUST_USE;
/* The first name greater than `after` in byte order; empty: the very first. SPN_E_CORRUPT: when
 * *ret_name is another one, the walk can go on after it. */
spn_err journal_read_name_after(struct journal_reader *reader, struct spn_bytes after,
                                struct spn_bytes *ret_name, uint64_t *ret_epoch) SPN_MUST_USE;
spn_err journal_read_row(struct journal_reader *reader, uint64_t epoch,
                         struct record_row *ret_row) SPN_MUST_USE;
/* The row with the lowest epoch above `after`. SPN_E_CORRUPT: when *ret_epoch is above it, the walk
 * can go on after it; so with segments and producers. */
spn_err journal_read_row_after(struct journal_reader *reader, uint64_t after, uint64_t *ret_epoch,
                               struct record_row *ret_row) SPN_MUST_USE;
/* The complete segment with the lowest number above `after`. */
spn_err journal_read_segment_after(struct journal_reader *reader, uint32_t after,
                                   uint32_t *ret_number,
                                   struct record_segment *ret_segment) SPN_MUST_USE;
/* Every producer in turn: *id is where to go on after (all zeros and first = true: the first). */
spn_err journal_read_producer_after(struct journal_reader *reader, bool first, uint8_t *id,
                                    struct record_run *runs,
                                    struct record_producer *ret_producer) SPN_MUST_USE;

/* The segment that a row's chain of blocks begins at in this snapshot: row->segment, or
 * row->segment_before while the former is above the snapshot's checkpoint. 0: none. */
uint32_t journal_row_segment(const struct journal_reader *reader, const struct record_row *row);
/* The block of the session in this segment that has seq, or else the last one with lower seqs;
 * SPN_E_END: neither. seq UINT64_MAX: the last block there. */
spn_err journal_read_block(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                           uint64_t seq, struct record_block *ret_block) SPN_MUST_USE;
/* The session's first block in this segment with a first seq of seq or more. SPN_E_END: none. */
spn_err journal_read_block_from(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                                uint64_t seq, struct record_block *ret_block) SPN_MUST_USE;
/* A segment's blocks in turn, whatever their sessions: the first one at or behind (epoch, seq). */
spn_err journal_read_segment_block(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                                   uint64_t seq, uint64_t *ret_epoch,
                                   struct record_block *ret_block) SPN_MUST_USE;

#endif
