/* SPDX-License-Identifier: Apache-2.0 */
/* test_chain: the chain of blocks says the same as a list of all entries read from end to end.
 *
 * `listed` is that list. Databases of random sessions in random segments are built from it, trimmed
 * with LMDB itself, and asked for every seq and every id.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/chain.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PATH_SIZE = 512, LISTED_MAX = 40000, SESSIONS_MAX = 20, ID_SIZE = 12, MIB = 1024 * 1024 };

/* -- a directory per test ---------------------------------------------------------------------- */

static char dir[PATH_SIZE - 32];

static int make_dir(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/test_chain.XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    remove(path);
    snprintf(path, sizeof(path), "%s/lock.mdb", dir);
    remove(path);
    return rmdir(dir);
}

static uint64_t random_state;

/* 0 .. below - 1 */
static uint64_t any(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* -- the list of all entries ------------------------------------------------------------------- */

struct listed {
    uint64_t epoch;
    uint64_t seq;
    uint64_t position;
    uint32_t id; /* as a number; not unique */
    uint32_t segment;
    bool gone; /* its block is */
};

static struct listed listed[LISTED_MAX];
static size_t listed_count;
static uint64_t positions_trimmed; /* log entries up to this one are gone */
static uint32_t segments_trimmed;  /* and blocks of segments up to this one */

static struct spn_bytes id_text(uint32_t id)
{
    static char text[ID_SIZE];
    return (struct spn_bytes){text, (size_t)snprintf(text, sizeof(text), "%x", (unsigned)id)};
}

/* Poor on purpose: many ids of a session have the same. */
static uint32_t fingerprint_of(uint32_t id)
{
    return id % 7 == 0 ? 0 : id;
}

/* What chain_collect is to return, by reading the list. */
static size_t scan_collect(uint64_t epoch, uint64_t seq_from, size_t positions_max,
                           uint64_t *positions, uint64_t *ret_first_seq)
{
    size_t count = 0;
    *ret_first_seq = seq_from;
    for (size_t i = 0; i < listed_count && count < positions_max; i++) {
        const struct listed *entry = &listed[i];
        if (entry->epoch != epoch || entry->segment <= segments_trimmed || entry->seq < seq_from ||
            entry->gone)
            continue;
        if (count == 0)
            *ret_first_seq = entry->seq;
        if (entry->seq != *ret_first_seq + count)
            break;
        positions[count++] = entry->position;
    }
    return count;
}

static const struct listed *scan_find(uint64_t epoch, uint32_t id)
{
    for (size_t i = listed_count; i-- > 0;) {
        const struct listed *entry = &listed[i];
        if (entry->epoch == epoch && entry->id == id && entry->segment > segments_trimmed &&
            entry->position > positions_trimmed && !entry->gone)
            return entry;
    }
    return NULL;
}

/* -- databases --------------------------------------------------------------------------------- */

static struct journal *journal;
static struct journal_reader *reader;
static uint32_t newest_segment[SESSIONS_MAX + 1]; /* by epoch: epochs are 1, 2, 3 … */

static void open_journal(void)
{
    struct journal_options options = {.dir = dir, .size_max = 256 * MIB};
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
}

static void close_journal(void)
{
    journal_reader_close(reader);
    journal_close(journal);
}

static void forget_all(uint64_t seed)
{
    random_state = seed * 0x9E3779B97F4A7C15u + 1;
    listed_count = 0;
    positions_trimmed = 0;
    segments_trimmed = 0;
    memset(newest_segment, 0, sizeof(newest_segment));
}

static void put_event(uint64_t epoch, uint64_t seq, uint32_t id, uint32_t segment)
{
    static uint64_t position;
    position = listed_count == 0 ? SESSIONS_MAX : position;
    position += 1 + any(any(50) == 0 ? 100000 : 3);
    struct record_entry entry = {
        .kind = RECORD_EVENT, .epoch = epoch, .seq = seq, .id = id_text(id)};
    entry.data_hash = record_hash(entry.data);
    assert_int_equal(journal_append(journal, position, &entry), SPN_OK);
    listed[listed_count++] = (struct listed){
        .epoch = epoch, .seq = seq, .position = position, .id = id, .segment = segment};
}

/* The blocks of one session in one segment. */
static void put_blocks(uint64_t epoch, uint32_t segment)
{
    static struct record_block_item items[LISTED_MAX];
    uint64_t first_seq = 0;
    size_t count = 0;
    for (size_t i = 0; i < listed_count; i++) {
        if (listed[i].epoch != epoch || listed[i].segment != segment)
            continue;
        if (count == 0)
            first_seq = listed[i].seq;
        items[count++] =
            (struct record_block_item){listed[i].position, fingerprint_of(listed[i].id)};
    }
    if (count == 0)
        return;
    assert_int_equal(journal_append_blocks(journal, segment, epoch, first_seq,
                                           newest_segment[epoch], items, count),
                     SPN_OK);
    newest_segment[epoch] = segment;
}

static void complete_segment(uint32_t segment)
{
    struct record_meta meta = *journal_meta(journal);
    meta.segment = segment;
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
}

/* Segments numbered 1, 2, 3 …, or with holes; events of random sessions, with ids out of few. */
static void build(uint32_t segments, uint64_t sessions, uint64_t events_max, uint32_t ids)
{
    uint64_t seqs[SESSIONS_MAX + 1] = {0};
    uint32_t segment = 0;
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint32_t i = 0; i < segments; i++) {
        segment += 1 + (uint32_t)(any(10) == 0 ? any(1000) : 0);
        for (uint64_t events = 1 + any(events_max); events > 0; events--) {
            uint64_t epoch = 1 + any(1 + any(sessions)); /* some are busier */
            put_event(epoch, ++seqs[epoch], (uint32_t)any(ids), segment);
        }
        for (uint64_t epoch = 1; epoch <= sessions; epoch++)
            put_blocks(epoch, segment);
    }
    complete_segment(segment);
    assert_int_equal(journal_commit(journal), SPN_OK);
}

static void drop_below(MDB_txn *txn, const char *table, uint64_t limit, bool big_endian)
{
    MDB_dbi dbi;
    MDB_cursor *cursor;
    MDB_val key, value;
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_FIRST) == 0) {
        uint32_t segment;
        uint64_t position;
        memcpy(&segment, key.mv_data, sizeof(segment));
        memcpy(&position, key.mv_data, sizeof(position));
        if ((big_endian ? be32toh(segment) : position) > limit)
            break;
        assert_int_equal(mdb_cursor_del(cursor, 0), 0);
    }
    mdb_cursor_close(cursor);
}

/* Takes the front away, as trimming will. */
static void trim(uint32_t segment, uint64_t position)
{
    MDB_env *env;
    MDB_txn *txn;
    close_journal();
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 10), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 256 * MIB), 0);
    assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    drop_below(txn, "blocks", segment, true);
    drop_below(txn, "log", position, false);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    segments_trimmed = segment;
    positions_trimmed = position;
    open_journal();
}

/* Takes out single blocks, as the trimming of a segment does that others are spared from: never a
 * session's last one of a segment, without which older segments are out of reach. */
static void make_holes(uint32_t segments)
{
    size_t holes = 0;
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint32_t segment = 1; segment <= segments; segment++) {
        struct record_block block, next;
        uint64_t epoch = 0;
        uint64_t seq = 0;
        while (journal_read_segment_block(reader, segment, epoch, seq, &epoch, &block) == SPN_OK) {
            seq = block.first_seq + 1;
            if (any(2) == 0 ||
                journal_read_block_from(reader, segment, epoch, seq, &next) != SPN_OK)
                continue;
            assert_int_equal(journal_delete_block(journal, segment, epoch, block.first_seq),
                             SPN_OK);
            holes++;
            for (size_t i = 0; i < listed_count; i++)
                if (listed[i].epoch == epoch && listed[i].seq >= block.first_seq &&
                    listed[i].seq < block.first_seq + block.count)
                    listed[i].gone = true;
        }
    }
    journal_reader_end(reader);
    assert_int_equal(journal_commit(journal), SPN_OK);
    assert_true(holes > 0);
}

/* -- asking ------------------------------------------------------------------------------------ */

static void check_collect(uint64_t epoch, uint64_t seq_from, size_t positions_max)
{
    static uint64_t positions[LISTED_MAX], expected[LISTED_MAX];
    uint64_t first_seq = 0, expected_first_seq;
    size_t count = 0;
    size_t expected_count =
        scan_collect(epoch, seq_from, positions_max, expected, &expected_first_seq);
    assert_int_equal(chain_collect(reader, epoch, newest_segment[epoch], seq_from, positions_max,
                                   positions, &first_seq, &count),
                     SPN_OK);
    assert_int_equal(count, expected_count);
    assert_memory_equal(positions, expected, count * sizeof(positions[0]));
    if (positions_max > 0)
        assert_int_equal(first_seq, expected_first_seq);
}

static void check_find(uint64_t epoch, uint32_t id)
{
    uint64_t seq = 0, position = 0;
    const struct listed *expected = scan_find(epoch, id);
    spn_err err = chain_find(reader, epoch, newest_segment[epoch], fingerprint_of(id), id_text(id),
                             &seq, &position);
    assert_int_equal(err, expected ? SPN_OK : SPN_E_END);
    if (expected) {
        assert_int_equal(seq, expected->seq);
        assert_int_equal(position, expected->position);
    }
}

static void check_all(uint64_t sessions, uint32_t ids)
{
    static const size_t counts[] = {0, 1, 2, 100, 377, LISTED_MAX};
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint64_t epoch = 1; epoch <= sessions; epoch++) {
        uint64_t last = 0;
        for (size_t i = 0; i < listed_count; i++)
            last = listed[i].epoch == epoch ? listed[i].seq : last;
        for (uint64_t seq = 0; seq <= last + 2; seq += 1 + any(1 + last / 50))
            check_collect(epoch, seq, counts[any(COUNT(counts))]);
        check_collect(epoch, last, 2);
        check_collect(epoch, UINT64_MAX, 2);
        for (uint32_t id = 0; id < ids + 2; id += 1 + (uint32_t)any(1 + ids / 50))
            check_find(epoch, id);
    }
    journal_reader_end(reader);
}

/* -- random databases -------------------------------------------------------------------------- */

static const struct shape {
    const char *name;
    uint64_t sessions;
    uint64_t events_max; /* in a segment */
    size_t rounds;
    uint32_t segments;
    uint32_t ids;
} shapes[] = {
    {"one event", 1, 1, 3, 1, 3},
    {"one session, one segment", 1, 5000, 3, 1, 2000},
    {"one session, few events in many segments", 1, 3, 3, 150, 100},
    {"several blocks in each of several segments", 2, 4000, 3, 8, 10000},
    {"many sessions", 20, 200, 5, 30, 300},
    {"few ids, used again and again", 3, 300, 5, 10, 8},
    {"ids that are all different", 5, 100, 5, 20, 1000000},
};

static struct shape_round {
    const struct shape *shape;
    uint64_t seed;
} shape_rounds[64];

static void run_shape(void **state)
{
    const struct shape_round *round = *state;
    const struct shape *shape = round->shape;
    forget_all(round->seed);
    open_journal();
    build(shape->segments, shape->sessions, shape->events_max, shape->ids);
    check_all(shape->sessions, shape->ids);

    /* First only log entries, then blocks too, and more of them. */
    const struct listed *middle = &listed[any(listed_count)];
    trim(0, middle->position);
    check_all(shape->sessions, shape->ids);
    trim(middle->segment - 1, middle->position);
    check_all(shape->sessions, shape->ids);
    trim(middle->segment, middle->position);
    check_all(shape->sessions, shape->ids);
    trim(UINT32_MAX, UINT64_MAX);
    check_all(shape->sessions, shape->ids);
    close_journal();
}

static const uint64_t hole_seeds[] = {1, 2, 3};

/* A newer segment has lost its first blocks, an older one has its last: each run of events between
 * two holes is found. */
static void holes_below_the_retained_events(void **state)
{
    const uint64_t *seed = *state;
    forget_all(*seed);
    open_journal();
    build(8, 2, 4000, 10000);
    make_holes(listed[listed_count - 1].segment);
    check_all(2, 10000);
    close_journal();
}

/* -- what it costs ----------------------------------------------------------------------------- */

enum { LONG = 1000, IN_EACH = 3 };

/* A session that is touched in each of a thousand segments, among others. */
static void a_chain_of_a_thousand_segments(void **state)
{
    (void)state;
    static uint64_t positions[100];
    uint64_t seq, position, first_seq;
    size_t count;
    forget_all(1);
    open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint32_t segment = 1; segment <= LONG; segment++) {
        for (uint64_t epoch = 1; epoch <= 3; epoch++)
            for (uint64_t i = 1; i <= IN_EACH; i++)
                put_event(epoch, (segment - 1) * IN_EACH + i, (segment - 1) * IN_EACH + (uint32_t)i,
                          segment);
        for (uint64_t epoch = 1; epoch <= 3; epoch++)
            put_blocks(epoch, segment);
    }
    complete_segment(LONG);
    assert_int_equal(journal_commit(journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint64_t from = 1; from <= LONG * IN_EACH; from += 61) {
        uint64_t reads = journal_reader_reads(reader);
        check_collect(2, from, COUNT(positions));
        /* back once, one value per segment, and forward over those that have what was asked for */
        uint64_t back = LONG - (from - 1) / IN_EACH;
        assert_true(journal_reader_reads(reader) - reads <= back + COUNT(positions) / IN_EACH + 2);

        reads = journal_reader_reads(reader);
        struct spn_bytes id = id_text((uint32_t)from);
        assert_int_equal(
            chain_find(reader, 2, LONG, fingerprint_of((uint32_t)from), id, &seq, &position),
            SPN_OK);
        assert_int_equal(seq, from);
        /* one block per segment, and the entries whose fingerprint is the same */
        uint64_t same = fingerprint_of((uint32_t)from) == 0 ? LONG * IN_EACH / 7 + 1 : 1;
        assert_true(journal_reader_reads(reader) - reads <= back + same);
    }
    uint64_t reads = journal_reader_reads(reader);
    assert_int_equal(chain_collect(reader, 2, LONG, LONG * IN_EACH - 5, COUNT(positions), positions,
                                   &first_seq, &count),
                     SPN_OK);
    assert_int_equal(count, 6);
    assert_true(journal_reader_reads(reader) - reads <= 4);
    close_journal();
}

/* Linked with -Wl,--wrap=realloc: here memory runs out when told. */
static bool realloc_fails;

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
    return realloc_fails ? NULL : __real_realloc(memory, size);
}

static void memory_runs_out_on_a_long_chain(void **state)
{
    (void)state;
    uint64_t positions[2], first_seq;
    size_t count;
    forget_all(1);
    open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint32_t segment = 1; segment <= 65; segment++) {
        put_event(1, segment, 1, segment);
        put_blocks(1, segment);
    }
    complete_segment(65);
    assert_int_equal(journal_commit(journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    realloc_fails = true;
    spn_err near = chain_collect(reader, 1, 65, 2, 2, positions, &first_seq, &count);
    spn_err far = chain_collect(reader, 1, 65, 1, 2, positions, &first_seq, &count);
    realloc_fails = false;
    assert_int_equal(near, SPN_OK); /* 64 segments need none */
    assert_int_equal(far, SPN_E_NOMEM);
    close_journal();
}

/* -- chains that contradict themselves --------------------------------------------------------- */

struct piece {
    uint32_t segment;
    uint32_t segment_before;
    uint64_t first_seq;
    size_t count;
};

/* Asked for seqs 1 to 20 and for an id, from segment 5. */
static const struct broken {
    const char *name;
    struct piece pieces[3];
    size_t count;
    spn_err collect_err;
    spn_err find_err;
} brokens[] = {
    {"a sound chain", {{3, 0, 1, 4}, {5, 3, 5, 6}}, 2, SPN_OK, SPN_E_END},
    {"a segment before itself", {{5, 5, 5, 6}}, 1, SPN_E_CORRUPT, SPN_E_CORRUPT},
    {"a segment before a later one", {{5, 6, 5, 6}, {6, 5, 1, 4}}, 2, SPN_E_CORRUPT, SPN_E_CORRUPT},
    {"a hole between segments", {{3, 0, 1, 3}, {5, 3, 5, 6}}, 2, SPN_OK, SPN_E_END},
    {"an overlap of segments", {{3, 0, 1, 5}, {5, 3, 5, 6}}, 2, SPN_E_CORRUPT, SPN_E_END},
    {"a hole in a segment", {{5, 0, 1, 4}, {5, 0, 6, 6}}, 2, SPN_OK, SPN_E_END},
    {"an end that is trimmed", {{5, 3, 5, 6}}, 1, SPN_OK, SPN_E_END},
};

static void run_broken(void **state)
{
    const struct broken *broken = *state;
    struct record_block_item items[20];
    uint64_t positions[20], first_seq, seq, position;
    size_t count;
    forget_all(1);
    open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (size_t i = 0; i < broken->count; i++) {
        const struct piece *piece = &broken->pieces[i];
        for (size_t k = 0; k < COUNT(items); k++)
            items[k] = (struct record_block_item){piece->first_seq + k, 0};
        assert_int_equal(journal_append_blocks(journal, piece->segment, 1, piece->first_seq,
                                               piece->segment_before, items, piece->count),
                         SPN_OK);
    }
    complete_segment(6);
    assert_int_equal(journal_commit(journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(
        chain_collect(reader, 1, 5, 1, COUNT(positions), positions, &first_seq, &count),
        broken->collect_err);
    assert_int_equal(chain_find(reader, 1, 5, 0, id_text(1), &seq, &position), broken->find_err);
    close_journal();
}

/* The block says so, and the entry there is another session's, or another event's. */
static void entries_that_are_not_what_the_block_says(void **state)
{
    (void)state;
    static const struct {
        uint64_t epoch, seq;
        spn_err err;
    } entries[] = {{1, 1, SPN_OK}, {2, 1, SPN_E_CORRUPT}, {1, 2, SPN_E_CORRUPT}};
    struct record_block_item item;
    uint64_t seq, position;
    forget_all(1);
    open_journal();
    for (uint32_t i = 0; i < COUNT(entries); i++) {
        assert_int_equal(journal_begin(journal), SPN_OK);
        put_event(entries[i].epoch, entries[i].seq, 9, i + 1);
        item = (struct record_block_item){listed[i].position, 9};
        assert_int_equal(journal_append_blocks(journal, i + 1, 1, 1, 0, &item, 1), SPN_OK);
        complete_segment(i + 1);
        assert_int_equal(journal_commit(journal), SPN_OK);
        assert_int_equal(journal_reader_begin(reader), SPN_OK);
        assert_int_equal(chain_find(reader, 1, i + 1, 9, id_text(9), &seq, &position),
                         entries[i].err);
        journal_reader_end(reader);
    }
    close_journal();
}

/* -- all of them ------------------------------------------------------------------------------- */

static struct CMUnitTest tests[128];
static size_t test_count;

static void add(const char *name, CMUnitTestFunction function, const void *row)
{
    tests[test_count++] =
        (struct CMUnitTest){name, function, make_dir, remove_dir, (void *)(uintptr_t)row};
}

static void add_shapes(void)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (uint64_t seed = 1; seed <= shapes[i].rounds; seed++) {
            shape_rounds[count] = (struct shape_round){&shapes[i], seed};
            add(shapes[i].name, run_shape, &shape_rounds[count++]);
        }
}

#define ADD(function) add(#function, function, NULL)

int main(void)
{
    add_shapes();
    for (size_t i = 0; i < COUNT(brokens); i++)
        add(brokens[i].name, run_broken, &brokens[i]);
    for (size_t i = 0; i < COUNT(hole_seeds); i++)
        add("holes_below_the_retained_events", holes_below_the_retained_events, &hole_seeds[i]);
    ADD(a_chain_of_a_thousand_segments);
    ADD(memory_runs_out_on_a_long_chain);
    ADD(entries_that_are_not_what_the_block_says);
    return _cmocka_run_group_tests("chain", tests, test_count, NULL, NULL);
}
