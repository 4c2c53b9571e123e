/* SPDX-License-Identifier: Apache-2.0 */
/* bench_index: what do segments and rows cost the log, and what does a replay cost with them?
 *
 * Builds a database the way the worker does: events of random sessions in commits of 4,096, and
 * beside them, in steps of 2 ms, the frozen generation as a segment. Then replays 100 events each
 * at random points of random sessions, and counts the values read.
 *
 *   bench_index [events] [dir]      10,000,000 events; in a directory made in dir and removed
 */
#include "index/chain.h"
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMMIT_EVENTS = 4096,
    GENERATION_MAX = 512 * 1024,
    SESSIONS_MAX = 128 * 1024,
    DATA_SIZE = 200,
    STEP_NS = 2 * 1000 * 1000,
    REPLAYS = 5000,
    REPLAY_EVENTS = 100,
    NAME_SIZE = 16,
    ID_SIZE = 32,
};

#define NONE UINT32_MAX

struct session {
    uint64_t epoch; /* 0: not opened yet */
    uint64_t seq;
    uint64_t bytes;
    uint64_t position;
    uint32_t segment;
    uint32_t segment_before;
};

struct link {
    uint64_t position;
    uint32_t before; /* index of the session's entry before, or NONE */
    uint32_t fingerprint;
};

/* What a session got in one generation. */
struct touched {
    uint64_t epoch;
    uint64_t seq; /* and the rest: its state when the generation was frozen */
    uint64_t bytes;
    uint64_t position;
    uint32_t session;
    uint32_t newest;
    uint32_t count;
    bool opened;
};

struct generation {
    struct link links[GENERATION_MAX];
    uint32_t count;
    struct touched touched[SESSIONS_MAX];
    uint32_t touched_count;
    uint32_t slots[SESSIONS_MAX]; /* session -> index in touched, or NONE */
    uint32_t named;               /* how far writing got */
    uint32_t written;
};

struct bench {
    const char *dir;
    uint64_t events;
    uint32_t session_count;
    bool index;
    struct journal *journal;
    struct session *sessions;
    struct generation *active;
    struct generation *frozen; /* being written while writing is true */
    bool writing;
    uint64_t position;
    uint32_t segment;
    uint64_t random;
};

static void must(spn_err err, const char *doing)
{
    if (err != SPN_OK)
        die("%s: error %d: %s", doing, (int)err, journal_detail());
}

static uint64_t next_random(struct bench *bench)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return bench->random;
}

static struct spn_bytes name_of(uint32_t session, char *name)
{
    /* Names come in no order of their own. */
    int size = snprintf(name, NAME_SIZE, "s-%08x", session * 2654435761u);
    return (struct spn_bytes){name, (size_t)size};
}

/* Made by hand: snprintf would be half of the measured time. */
static struct spn_bytes id_of(uint32_t session, uint64_t seq, char *id)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = (uint64_t)session << 32 | seq;
    for (size_t i = 0; i < 16; i++)
        id[i] = digits[value >> (60 - 4 * i) & 15];
    return (struct spn_bytes){id, 16};
}

static void generation_clear(struct generation *generation)
{
    generation->count = 0;
    generation->touched_count = 0;
    generation->named = 0;
    generation->written = 0;
    memset(generation->slots, 0xff, sizeof(generation->slots));
}

/* -- the log ----------------------------------------------------------------------------------- */

static struct touched *touch(struct bench *bench, uint32_t session)
{
    struct generation *generation = bench->active;
    uint32_t slot = generation->slots[session];
    if (slot == NONE) {
        slot = generation->touched_count++;
        generation->slots[session] = slot;
        generation->touched[slot] = (struct touched){.session = session, .newest = NONE};
    }
    return &generation->touched[slot];
}

static void append_open(struct bench *bench, uint32_t number)
{
    struct session *session = &bench->sessions[number];
    char name[NAME_SIZE];
    struct record_entry entry = {.kind = RECORD_OPEN, .data = name_of(number, name)};

    session->epoch = entry.epoch = ++bench->position;
    session->position = session->epoch;
    entry.data_hash = record_hash(entry.data);
    must(journal_append(bench->journal, bench->position, &entry), "append");
    if (bench->index)
        touch(bench, number)->opened = true;
}

static void append_event(struct bench *bench, uint32_t number, uint8_t *event)
{
    struct session *session = &bench->sessions[number];
    if (session->epoch == 0)
        append_open(bench, number);
    session->position = ++bench->position;
    session->seq++;
    session->bytes += DATA_SIZE;

    /* As in a batch that came over the wire, id, type and data lie one behind the other. */
    struct spn_bytes id = id_of(number, session->seq, (char *)event);
    memcpy(event + id.size + 8, &session->position, sizeof(session->position));
    struct record_entry entry = {
        .kind = RECORD_EVENT,
        .epoch = session->epoch,
        .seq = session->seq,
        .bytes = session->bytes,
        .time_ns = session->position,
        .retry_ms = UINT32_MAX,
        .id = id,
        .type = {event + id.size, 0},
        .data = {event + id.size, DATA_SIZE},
    };
    entry.data_hash = record_hash(entry.data);
    must(journal_append(bench->journal, bench->position, &entry), "append");
    if (!bench->index)
        return;
    struct generation *generation = bench->active;
    struct touched *touched = touch(bench, number);
    generation->links[generation->count] =
        (struct link){bench->position, touched->newest, (uint32_t)record_hash(id)};
    touched->newest = generation->count++;
    touched->count++;
}

/* -- segments ---------------------------------------------------------------------------------- */

static int by_epoch(const void *left, const void *right)
{
    const struct touched *a = left, *b = right;
    return (a->epoch > b->epoch) - (a->epoch < b->epoch);
}

static int by_text(const void *left, const void *right)
{
    return strcmp(left, right);
}

struct named {
    char name[NAME_SIZE];
    uint64_t epoch;
};

static void freeze(struct bench *bench)
{
    struct generation *generation = bench->active;
    bench->active = bench->frozen;
    bench->frozen = generation;
    generation_clear(bench->active);
    for (uint32_t i = 0; i < generation->touched_count; i++) {
        struct touched *touched = &generation->touched[i];
        const struct session *session = &bench->sessions[touched->session];
        touched->epoch = session->epoch;
        touched->seq = session->seq;
        touched->bytes = session->bytes;
        touched->position = session->position;
    }
    qsort(generation->touched, generation->touched_count, sizeof(generation->touched[0]), by_epoch);
    bench->segment++;
    bench->writing = true;
}

/* New sessions are few after the first generations, so that this is one step. */
static void write_names(struct bench *bench)
{
    struct generation *generation = bench->frozen;
    struct named *names = must_have(generation->touched_count * sizeof(*names) + 1);
    size_t count = 0;

    for (uint32_t i = 0; i < generation->touched_count; i++) {
        const struct touched *touched = &generation->touched[i];
        if (!touched->opened)
            continue;
        name_of(touched->session, names[count].name);
        names[count++].epoch = touched->epoch;
    }
    qsort(names, count, sizeof(*names), by_text);
    for (size_t i = 0; i < count; i++) {
        struct spn_bytes name = {names[i].name, strlen(names[i].name)};
        must(journal_put_name(bench->journal, name, names[i].epoch), "name");
    }
    free(names);
    generation->named = 1;
}

static void write_session(struct bench *bench, const struct touched *touched)
{
    static struct record_block_item items[GENERATION_MAX];
    struct session *session = &bench->sessions[touched->session];
    char name[NAME_SIZE], id[ID_SIZE];

    uint32_t at = touched->newest;
    for (uint32_t i = touched->count; i-- > 0;) {
        const struct link *link = &bench->frozen->links[at];
        items[i] = (struct record_block_item){link->position, link->fingerprint};
        at = link->before;
    }
    session->segment_before = session->segment;
    session->segment = bench->segment;
    must(journal_append_blocks(bench->journal, bench->segment, touched->epoch,
                               touched->seq - touched->count + 1, session->segment_before, items,
                               touched->count),
         "blocks");
    struct record_row row = {
        .seq = touched->seq,
        .position = touched->position,
        .bytes = touched->bytes,
        .segment = session->segment,
        .segment_before = session->segment_before,
        .name = name_of(touched->session, name),
        .last_id = id_of(touched->session, touched->seq, id),
    };
    must(journal_put_row(bench->journal, touched->epoch, &row), "row");
}

/* Inside a commit of events; until due_ns or the segment is complete. */
static void write_segment(struct bench *bench, uint64_t due_ns)
{
    struct generation *generation = bench->frozen;
    if (generation->named == 0)
        write_names(bench);
    while (generation->written < generation->touched_count) {
        if (generation->written % 16 == 0 && now_ns() >= due_ns)
            return;
        write_session(bench, &generation->touched[generation->written++]);
    }
    struct record_meta meta = *journal_meta(bench->journal);
    meta.checkpoint = generation->links[generation->count - 1].position;
    meta.segment = bench->segment;
    meta.next_position = bench->position + 1;
    must(journal_put_meta(bench->journal, &meta), "meta");
    bench->writing = false;
}

/* -- building ---------------------------------------------------------------------------------- */

static void finish_segments(struct bench *bench)
{
    if (bench->active->count > 0) {
        if (bench->writing) {
            must(journal_begin(bench->journal), "begin");
            write_segment(bench, UINT64_MAX);
            must(journal_commit(bench->journal), "commit");
        }
        freeze(bench);
    }
    while (bench->writing) {
        must(journal_begin(bench->journal), "begin");
        write_segment(bench, UINT64_MAX);
        must(journal_commit(bench->journal), "commit");
    }
}

static void commit_events(struct bench *bench, uint64_t count)
{
    uint8_t event[ID_SIZE + DATA_SIZE];
    memset(event, 'x', sizeof(event));

    must(journal_begin(bench->journal), "begin");
    for (uint64_t i = 0; i < count; i++)
        append_event(bench, (uint32_t)(next_random(bench) % bench->session_count), event);
    if (bench->index && bench->active->count > GENERATION_MAX - COMMIT_EVENTS) {
        if (bench->writing)
            write_segment(bench, UINT64_MAX); /* both are full: ingest waits */
        freeze(bench);
    }
    if (bench->writing)
        write_segment(bench, now_ns() + STEP_NS);
    must(journal_commit(bench->journal), "commit");
}

/* Returns events per second. */
static double build(struct bench *bench)
{
    uint64_t start_ns = now_ns();
    for (uint64_t done = 0; done < bench->events; done += COMMIT_EVENTS) {
        uint64_t left = bench->events - done;
        commit_events(bench, left < COMMIT_EVENTS ? left : COMMIT_EVENTS);
    }
    if (bench->index)
        finish_segments(bench);
    return (double)bench->events * 1e9 / (double)(now_ns() - start_ns);
}

static void open_journal(struct bench *bench)
{
    struct journal_options options = {.dir = bench->dir, .size_max = (size_t)64 << 30};
    bench->position = 0;
    bench->segment = 0;
    bench->random = 88172645463325252u;
    memset(bench->sessions, 0, bench->session_count * sizeof(*bench->sessions));
    generation_clear(bench->active);
    generation_clear(bench->frozen);
    must(journal_open(&bench->journal, &options), "open");
}

static void close_journal(struct bench *bench)
{
    journal_close(bench->journal);
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", bench->dir, files[i]);
        remove(path);
    }
}

/* -- replays ----------------------------------------------------------------------------------- */

struct replay {
    uint64_t find_reads; /* from a name and an id to a position */
    uint64_t reads;      /* all of them */
    uint64_t took_ns;
};

/* What the reader does for a client that comes back with its last id. */
static struct replay replay_once(struct bench *bench, struct journal_reader *reader)
{
    static uint64_t positions[REPLAY_EVENTS];
    uint32_t number;
    do
        number = (uint32_t)(next_random(bench) % bench->session_count);
    while (bench->sessions[number].seq < 2);
    uint64_t last = bench->sessions[number].seq;
    uint64_t range = last > REPLAY_EVENTS ? last - REPLAY_EVENTS : 1;
    uint64_t wanted = 1 + next_random(bench) % range;
    char name[NAME_SIZE], id[ID_SIZE];
    struct spn_bytes want_id = id_of(number, wanted, id);
    uint64_t epoch, seq, position, first_seq, reads = journal_reader_reads(reader);
    size_t count;
    struct record_row row;
    struct replay replay;

    uint64_t start_ns = now_ns();
    must(journal_reader_begin(reader), "snapshot");
    must(journal_read_name(reader, name_of(number, name), &epoch), "name");
    must(journal_read_row(reader, epoch, &row), "row");
    uint32_t segment = journal_row_segment(reader, &row);
    must(chain_find(reader, epoch, segment, (uint32_t)record_hash(want_id), want_id, &seq,
                    &position),
         "find");
    replay.find_reads = journal_reader_reads(reader) - reads;
    must(chain_collect(reader, epoch, segment, seq + 1, REPLAY_EVENTS, positions, &first_seq,
                       &count),
         "collect");
    for (size_t i = 0; i < count; i++) {
        struct record_entry entry;
        must(journal_read_entry(reader, positions[i], &entry), "entry");
        if (entry.epoch != epoch || entry.seq != wanted + 1 + i)
            die("replay of session %u from %zu: entry %zu is another's", number, (size_t)wanted, i);
    }
    journal_reader_end(reader);
    replay.took_ns = now_ns() - start_ns;
    if (seq != wanted || first_seq != wanted + 1 ||
        count != (last - wanted < REPLAY_EVENTS ? last - wanted : REPLAY_EVENTS))
        die("replay of session %u: %zu events from %zu", number, count, (size_t)first_seq);
    replay.reads = journal_reader_reads(reader) - reads;
    return replay;
}

static int by_number(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void print_replays(struct bench *bench)
{
    struct journal_reader *reader = NULL;
    uint64_t *took_ns = must_have(REPLAYS * sizeof(*took_ns));
    uint64_t *reads = must_have(REPLAYS * sizeof(*reads));
    uint64_t *find_reads = must_have(REPLAYS * sizeof(*find_reads));

    must(journal_reader_open(&reader, bench->journal), "reader");
    uint64_t random = bench->random;
    for (int pass = 0; pass < 2; pass++) { /* the first warms what the second reads */
        bench->random = random;
        for (size_t i = 0; i < REPLAYS; i++) {
            struct replay replay = replay_once(bench, reader);
            took_ns[i] = replay.took_ns;
            reads[i] = replay.reads;
            find_reads[i] = replay.find_reads;
        }
    }
    journal_reader_close(reader);
    qsort(took_ns, REPLAYS, sizeof(*took_ns), by_number);
    qsort(reads, REPLAYS, sizeof(*reads), by_number);
    qsort(find_reads, REPLAYS, sizeof(*find_reads), by_number);
    size_t median = REPLAYS / 2;
    size_t p99 = REPLAYS * 99 / 100;
    printf("  replay of %d by id: values read median %zu, p99 %zu, max %zu "
           "(of them to find the id: %zu, %zu, %zu)\n",
           REPLAY_EVENTS, (size_t)reads[median], (size_t)reads[p99], (size_t)reads[REPLAYS - 1],
           (size_t)find_reads[median], (size_t)find_reads[p99], (size_t)find_reads[REPLAYS - 1]);
    printf("  warm: median %.1f us, p99 %.1f us\n", (double)took_ns[median] / 1e3,
           (double)took_ns[p99] / 1e3);
    free(took_ns);
    free(reads);
    free(find_reads);
}

static void run(struct bench *bench, uint32_t session_count)
{
    uint64_t used_bytes, map_bytes;

    bench->session_count = session_count;
    printf("%zu events, %u sessions\n", (size_t)bench->events, session_count);
    bench->index = false;
    open_journal(bench);
    printf("  log alone: %.0f events/s\n", build(bench));
    close_journal(bench);

    bench->index = true;
    open_journal(bench);
    printf("  with segments and rows: %.0f events/s, ", build(bench));
    journal_usage(bench->journal, &used_bytes, &map_bytes);
    printf("%u segments, %.0f bytes on disk per event\n", bench->segment,
           (double)used_bytes / (double)bench->events);
    print_replays(bench);
    close_journal(bench);
}

int main(int count, char **arguments)
{
    static struct bench bench;
    char dir[4096];

    bench.events = count > 1 ? strtoull(arguments[1], NULL, 10) : 10000000;
    snprintf(dir, sizeof(dir), "%s/bench_index.XXXXXX", count > 2 ? arguments[2] : "/tmp");
    if (bench.events == 0 || !mkdtemp(dir))
        die("usage: [events] [dir]: %s", strerror(errno));
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench.dir = dir;
    bench.sessions = must_have(SESSIONS_MAX * sizeof(*bench.sessions));
    bench.active = must_have(sizeof(*bench.active));
    bench.frozen = must_have(sizeof(*bench.frozen));
    run(&bench, 1000);
    run(&bench, 100000);
    free(bench.sessions);
    free(bench.active);
    free(bench.frozen);
    remove(dir);
    return 0;
}
