/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_salvage: whatever is damaged in a database, `sponson verify` reports it if it changes
 * anything that can be read, and `sponson salvage` saves all that is left, and nothing else.
 *
 * A daemon's database has sessions that live, of which retention hides the oldest events, and
 * sessions that were deleted. One to three places of it are damaged: a bit, a bit in a page's head,
 * a page of zeros, two pages in each other's place, a page in the place of another. If a dump or a
 * replay then differs from that of the whole database, verify must have exited with 1. What salvage
 * makes must be whole, have every event whose bytes are somewhere where they may have been moved,
 * and no event that the whole database did not show.
 *
 *     system_fault_salvage [campaign [seed]]    the seed is printed */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "stage.h"
#include "store/pages_base.h"

enum {
    SESSIONS = 60,
    DELETED = 6, /* the first sessions */
    EVENTS = 3600,
    PAGE = 4096,
    HEAD = 16,
    SMALL = 150,
    MIDDLE = 3000, /* one page of its own */
    LARGE = 9000,  /* several */
    ROUNDS = 14,
    ROUNDS_CAMPAIGN = 300,
    DAMAGES_MAX = 3,
    MOVES_MAX = 2 * DAMAGES_MAX,
    END_MS = 20000,
    REPLAYED = 4, /* sessions */
};

enum kind { BIT, HEADER, ZEROED, SWAPPED, COPIED, KINDS };

static bool campaign;
static uint64_t seed;

/* Where an event is in the whole file. */
struct location {
    uint64_t position;
    size_t node; /* offset, and size with the value or the number of its pages */
    size_t node_size;
    size_t large; /* offset of a large value; 0: it is in the node */
    size_t large_size;
};

struct rest {
    struct stage *stage;
    struct event_list whole; /* what a dump of the whole database gives */
    struct spn_bytes replays[REPLAYED];
    struct location *locations;
    size_t location_count;
    uint8_t *file;
    size_t size;
    size_t used;    /* pages */
    uint8_t *bytes; /* damaged */
    size_t moves[MOVES_MAX][2];
    size_t move_count;
    char what[400];
    uint64_t random;
    const char *dir;
    const char *said; /* by the last replay that failed */
    size_t reported, differed, lost, salvaged, short_of;
};

static uint64_t draw(struct rest *rest, uint64_t below)
{
    rest->random ^= rest->random << 13;
    rest->random ^= rest->random >> 7;
    rest->random ^= rest->random << 17;
    return rest->random % below;
}

/* -- what goes in ------------------------------------------------------------------------------ */

static const char *name_of(uint64_t number, char name[128])
{
    snprintf(name, 128, "s%02d-%0100d", (int)(number % SESSIONS), 0); /* several pages of rows */
    return name;
}

static void put(struct feeder *feeder, uint64_t number)
{
    static char data[LARGE + 1];
    char name[128], id[32];
    size_t size = number % 40 == 0 ? LARGE : number % 23 == 0 ? MIDDLE : SMALL;
    memset(data, '.', size);
    data[size] = '\0';
    data[snprintf(data, sizeof(data), "%d", (int)number)] = '.';
    snprintf(id, sizeof(id), "e%d", (int)number);
    feeder_put(feeder, name_of(number, name), id, data);
}

static void delete_some(struct stage *stage, uint64_t from, uint64_t end)
{
    char name[128];
    for (uint64_t i = from; i < end; i++) {
        struct outcome outcome = stage_run(stage, "delete", name_of(i, name), "--yes");
        stage_expect_code(&outcome, 0);
    }
}

static const struct stage_daemon daemon_trims = {
    .more = {"--retention-events", "40", "--row-interval", "50"}};
/* Nothing is indexed, and so nothing is trimmed: what is hidden is still there. */
static const struct stage_daemon daemon_options = {
    .more = {"--retention-events", "30", "--row-interval", "86400000"}};

static void put_all(struct stage *stage)
{
    struct feeder feeder;
    feeder_open(&feeder);
    for (uint64_t number = 1; number <= EVENTS; number++) {
        bool gone = number > EVENTS * 3 / 4 && number % SESSIONS < DELETED / 2;
        if (number == EVENTS * 3 / 4) {
            (void)feeder_settle(&feeder);
            delete_some(stage, 0, DELETED / 2);
        }
        if (!gone)
            put(&feeder, number);
        if (number % 50 == 0)
            (void)feeder_settle(&feeder);
    }
    feeder_close(&feeder);
}

/* Some sessions are deleted in the middle, so that pages of them are used again, and others are
 * not; some at the end, when their rows say nothing of it. */
static void live(struct stage *stage)
{
    struct process *daemon = stage_start(stage, &daemon_trims);
    put_all(stage);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, &daemon_options);
    delete_some(stage, DELETED / 2, DELETED);
    process_kill(daemon);
}

static spn_err locate(void *owner, uint64_t page, struct spn_bytes key, struct spn_bytes value)
{
    struct rest *rest = owner;
    const uint8_t *map = rest->file;
    struct location *at = &rest->locations[rest->location_count++];
    const uint8_t *node = (const uint8_t *)key.data - NODE_KEY;
    bool large = (pages_get_u16(node + NODE_FLAGS) & HAS_OVERFLOW) != 0;
    (void)page;
    memcpy(&at->position, key.data, sizeof(at->position));
    at->node = (size_t)(node - map);
    at->node_size = NODE_KEY + key.size + (large ? sizeof(uint64_t) : value.size);
    at->large = large ? (size_t)((const uint8_t *)value.data - map) : 0;
    at->large_size = large ? value.size : 0;
    return SPN_OK;
}

static void expect_no_damage(void *owner, const struct pages_damage *damage)
{
    (void)owner;
    (void)damage;
    fail_msg("the whole database is damaged");
}

static void locate_all(struct rest *rest, const char *path)
{
    struct pages *pages;
    struct pages_snapshot snapshot;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const struct pages_walk walk = {.take = locate, .tell = expect_no_damage, .owner = rest};
    assert_true(fd >= 0);
    assert_int_equal(pages_open(&pages, fd, rest->size), SPN_OK);
    assert_int_equal(pages_snapshot(pages, 0, &snapshot, NULL), SPN_OK);
    rest->used = (size_t)snapshot.last + 1;
    rest->locations = stage_keep(rest->stage, calloc(EVENTS * 2, sizeof(*rest->locations)));
    uint8_t *copy = rest->file;
    rest->file = (uint8_t *)(uintptr_t)pages->map; /* for the offsets */
    assert_int_equal(pages_walk(pages, &snapshot, pages_find(&snapshot, "log"), &walk), SPN_OK);
    rest->file = copy;
    pages_close(pages);
    close(fd);
}

/* -- reading ----------------------------------------------------------------------------------- */

static struct outcome dump(struct rest *rest, const char *dir)
{
    return stage_run(rest->stage, "dump", "--data-dir", dir);
}

static void replay_some(struct rest *rest, struct spn_bytes outputs[REPLAYED], int codes[REPLAYED])
{
    char name[128];
    for (uint64_t i = 0; i < REPLAYED; i++) {
        uint64_t number = DELETED + i * (SESSIONS - DELETED) / REPLAYED;
        struct outcome outcome = stage_run(rest->stage, "replay", name_of(number, name));
        outputs[i] = outcome.output;
        codes[i] = outcome.code;
        rest->said = outcome.code != 0 ? outcome.err : rest->said;
    }
}

static void take_whole(struct rest *rest)
{
    int codes[REPLAYED];
    struct stage *stage = rest->stage;
    live(stage);
    const char *path = stage_format(stage, "%s/data.mdb", stage->data_dir);
    struct spn_bytes file = stage_read_file(stage, path);
    rest->size = file.size / PAGE * PAGE;
    rest->file = (uint8_t *)(uintptr_t)file.data;
    rest->bytes = stage_keep(stage, malloc(rest->size));
    locate_all(rest, path);
    struct outcome whole = dump(rest, stage->data_dir);
    stage_expect_code(&whole, 0);
    event_list_add_json(&rest->whole, whole.output, NULL);
    struct process *daemon = stage_start(stage, &daemon_options);
    replay_some(rest, rest->replays, codes);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- damage ------------------------------------------------------------------------------------ */

static void note_move(struct rest *rest, size_t from, size_t to)
{
    rest->moves[rest->move_count][0] = from;
    rest->moves[rest->move_count++][1] = to;
}

/* Any page in use; half of the time one that has events. */
static size_t draw_page(struct rest *rest)
{
    if (draw(rest, 2) == 0)
        return draw(rest, rest->used);
    return rest->locations[draw(rest, rest->location_count)].node / PAGE;
}

static void damage_once(struct rest *rest)
{
    enum kind kind = (enum kind)draw(rest, KINDS);
    size_t page = draw_page(rest), other = draw(rest, rest->used);
    size_t at = draw(rest, kind == HEADER ? HEAD : PAGE);
    uint8_t *bytes = rest->bytes + page * PAGE, *others = rest->bytes + other * PAGE;
    uint8_t held[PAGE];
    size_t size = strlen(rest->what);
    snprintf(rest->what + size, sizeof(rest->what) - size, "%d: page %zu byte %zu other %zu; ",
             (int)kind, page, at, other);
    memcpy(held, bytes, PAGE);
    switch (kind) {
    case BIT:
    case HEADER:
        bytes[at] ^= (uint8_t)(1u << draw(rest, 8));
        break;
    case ZEROED:
        memset(bytes, 0, PAGE);
        break;
    case SWAPPED:
        memmove(bytes, others, PAGE);
        memcpy(others, held, PAGE);
        note_move(rest, other, page);
        note_move(rest, page, other);
        break;
    case COPIED:
    case KINDS:
        memmove(others, bytes, PAGE);
        note_move(rest, page, other);
        break;
    }
}

static void write_damaged(struct rest *rest)
{
    const char *path = stage_format(rest->stage, "%s/data.mdb", rest->dir);
    uint64_t count = 1 + draw(rest, DAMAGES_MAX);
    memcpy(rest->bytes, rest->file, rest->size);
    rest->move_count = 0;
    rest->what[0] = '\0';
    for (uint64_t i = 0; i < count; i++)
        damage_once(rest);
    (void)unlink(stage_format(rest->stage, "%s/lock.mdb", rest->dir));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, rest->bytes, rest->size), rest->size);
    close(fd);
}

/* -- what is left ------------------------------------------------------------------------------ */

static bool is_at(const struct rest *rest, const struct location *location, size_t page)
{
    size_t offset = page * PAGE + location->node % PAGE;
    return memcmp(rest->bytes + offset, rest->file + location->node, location->node_size) == 0;
}

/* Whether the event's bytes are in its page, or in a page to which that was moved. */
static bool is_left(const struct rest *rest, uint64_t position)
{
    const struct location *location = NULL;
    for (size_t i = 0; i < rest->location_count && !location; i++)
        if (rest->locations[i].position == position)
            location = &rest->locations[i];
    assert_non_null(location);
    size_t page = location->node / PAGE;
    bool left = is_at(rest, location, page);
    for (size_t i = 0; i < rest->move_count && !left; i++)
        left = rest->moves[i][0] == page && is_at(rest, location, rest->moves[i][1]);
    return left && memcmp(rest->bytes + location->large, rest->file + location->large,
                          location->large_size) == 0;
}

static unsigned long session_of(const struct event_item *item)
{
    return strtoul((const char *)item->session.data + 1, NULL, 10);
}

/* Of the sessions that were deleted last, only the log's last entries know that. Without its entry
 * such a session lives again. */
static bool may_come_back(const struct rest *rest, const struct event_item *item)
{
    unsigned long number = session_of(item);
    if (number < DELETED / 2 || number >= DELETED)
        return false;
    size_t entry = rest->location_count - DELETED + number;
    return !is_left(rest, rest->locations[entry].position);
}

static size_t skip_extra(const struct rest *rest, const struct event_list *got, size_t next)
{
    while (next < got->count && (got->items[next].marker || /* in the place of one that is lost */
                                 may_come_back(rest, &got->items[next])))
        next++;
    return next;
}

static void expect_same(const struct rest *rest, const struct event_item *got,
                        const struct event_item *wanted)
{
    if (got->position != wanted->position || got->seq != wanted->seq ||
        !event_bytes_same(got->session, wanted->session) ||
        !event_bytes_same(got->id, wanted->id) || !event_bytes_same(got->data, wanted->data))
        fail_msg("%s: position %" PRIu64 ", seq %" PRIu64 ", id %.*s was not there before",
                 rest->what, got->position, got->seq, (int)got->id.size,
                 (const char *)got->id.data);
}

static void compare(struct rest *rest, const struct event_list *got, bool nameless)
{
    size_t next = 0;
    for (size_t i = 0; i < rest->whole.count; i++) {
        const struct event_item *wanted = &rest->whole.items[i];
        next = skip_extra(rest, got, next);
        bool there = next < got->count && got->items[next].position <= wanted->position;
        if (there) {
            expect_same(rest, &got->items[next++], wanted);
            rest->salvaged++;
        } else if (!is_left(rest, wanted->position)) {
            rest->lost++;
        } else if (!nameless) {
            fail_msg("%s: position %" PRIu64 " of %.3s is left, and is not salvaged", rest->what,
                     wanted->position, (const char *)wanted->session.data);
        }
    }
    next = skip_extra(rest, got, next);
    if (next < got->count)
        fail_msg("%s: position %" PRIu64 " was not there before", rest->what,
                 got->items[next].position);
}

/* Readers take a missing event for one that was deleted with all before it. */
static void expect_no_hole(struct rest *rest, const struct event_list *got)
{
    uint64_t newest[SESSIONS] = {0};
    for (size_t i = 0; i < got->count; i++) {
        const struct event_item *item = &got->items[i];
        unsigned long number = session_of(item);
        assert_true(number < SESSIONS);
        if (newest[number] > 0 && item->seq != newest[number] + 1)
            fail_msg("%s: session %lu goes on with seq %" PRIu64 " after %" PRIu64, rest->what,
                     number, item->seq, newest[number]);
        newest[number] = item->seq;
    }
}

/* -- verify and salvage ------------------------------------------------------------------------ */

static void expect_end(struct rest *rest, const char *command, const struct outcome *outcome)
{
    if (outcome->code > 1)
        fail_msg("%s: %s ends with %d: %s", rest->what, command, outcome->code, outcome->err);
}

static struct event_list events_of(struct outcome *outcome)
{
    struct event_list list = EVENT_LIST_INIT;
    while (outcome->output.size > 0 &&
           ((const char *)outcome->output.data)[outcome->output.size - 1] != '\n')
        outcome->output.size--; /* a line that was begun when it died */
    event_list_add_json(&list, outcome->output, NULL);
    return list;
}

static bool dump_differs(struct rest *rest)
{
    struct outcome outcome = dump(rest, rest->dir);
    struct event_list list = events_of(&outcome);
    bool differs = outcome.code != 0 || list.count != rest->whole.count;
    for (size_t i = 0; i < list.count && !differs; i++)
        differs = list.items[i].position != rest->whole.items[i].position ||
                  !event_bytes_same(list.items[i].data, rest->whole.items[i].data);
    event_list_release(&list);
    return differs;
}

static bool replays_differ(struct rest *rest)
{
    struct stage_daemon options = daemon_options;
    struct spn_bytes outputs[REPLAYED];
    int codes[REPLAYED];
    int ready_fd;
    options.data_dir = rest->dir;
    struct process *daemon = stage_begin(rest->stage, &options, &ready_fd);
    bool differs = !stage_is_ready(ready_fd, until_in(END_MS));
    if (!differs) {
        replay_some(rest, outputs, codes);
        for (size_t i = 0; i < REPLAYED; i++)
            differs = differs || codes[i] != 0 || !event_bytes_same(outputs[i], rest->replays[i]);
        process_signal(daemon, SIGTERM);
    }
    (void)process_wait(daemon, until_in(END_MS));
    return differs;
}

/* The daemon goes on with it: what it replays is what the dump has, though seqs may be missing. */
static void expect_replays(struct rest *rest, const char *dir, const struct event_list *dumped)
{
    struct stage_daemon options = daemon_options;
    struct spn_bytes outputs[REPLAYED];
    int codes[REPLAYED];
    options.data_dir = dir;
    struct process *daemon = stage_start(rest->stage, &options);
    replay_some(rest, outputs, codes);
    for (uint64_t i = 0; i < REPLAYED; i++) {
        char name[128];
        size_t wanted = 0;
        struct event_list list = EVENT_LIST_INIT;
        event_list_add_json(&list, outputs[i], NULL);
        name_of(DELETED + i * (SESSIONS - DELETED) / REPLAYED, name);
        for (size_t k = 0; k < dumped->count; k++)
            wanted += event_bytes_same(dumped->items[k].session, spn_text(name));
        if (list.count != wanted || (codes[i] != 0 && wanted > 0))
            fail_msg("%s: a replay of what was salvaged gives %zu of %zu events, and exits with "
                     "%d: %s",
                     rest->what, list.count, wanted, codes[i], rest->said);
        event_list_release(&list);
    }
    assert_int_equal(stage_stop(daemon), 0);
}

static void try_salvage(struct rest *rest, int round)
{
    const char *to = stage_path(rest->stage, stage_format(rest->stage, "salvaged%d", round));
    struct outcome outcome = stage_run(rest->stage, "salvage", rest->dir, to);
    if (outcome.code != 0)
        fail_msg("%s: salvage ends with %d: %s", rest->what, outcome.code, outcome.err);
    bool nameless = strstr(outcome.err, "whose names are lost") != NULL;
    rest->short_of += nameless;
    struct outcome verified = stage_run(rest->stage, "verify", to);
    if (verified.code != 0)
        fail_msg("%s: what was salvaged is damaged: %s", rest->what, verified.out);
    struct outcome dumped = stage_run(rest->stage, "dump", "--all", "--data-dir", to);
    if (dumped.code != 0)
        fail_msg("%s: what was salvaged cannot be read: %s", rest->what, dumped.err);
    struct event_list list = events_of(&dumped);
    compare(rest, &list, nameless);
    expect_no_hole(rest, &list);
    expect_replays(rest, to, &list);
    event_list_release(&list);
    assert_int_equal(unlink(stage_format(rest->stage, "%s/data.mdb", to)), 0);
}

static void all_that_is_left_is_salvaged(struct stage *stage)
{
    struct rest rest = {.stage = stage, .random = seed, .whole = EVENT_LIST_INIT};
    size_t least = until_scaled(campaign ? ROUNDS_CAMPAIGN : ROUNDS);
    size_t rounds = 0;
    print_message("seed %" PRIu64 "\n", seed);
    take_whole(&rest);
    rest.dir = stage_make_dir(stage, "damaged");
    /* A few rounds may happen to lose nothing: so there are more until one does. */
    for (; rounds < least || (rounds < ROUNDS_CAMPAIGN && (rest.differed == 0 || rest.lost == 0));
         rounds++) {
        write_damaged(&rest);
        struct outcome verified = stage_run(stage, "verify", rest.dir);
        expect_end(&rest, "verify", &verified);
        try_salvage(&rest, (int)rounds);
        bool differs = dump_differs(&rest);
        differs = replays_differ(&rest) || differs; /* last: a daemon mends */
        rest.reported += verified.code != 0;
        rest.differed += differs;
        if (differs && verified.code == 0)
            fail_msg("%s: verify finds nothing", rest.what);
        (void)unlink(stage->log_path);
    }
    print_message(
        "%zu copies: %zu differed, %zu were reported; of %zu events each %zu were lost in "
        "all, %zu salvaged; %zu copies had events without a name\n",
        rounds, rest.differed, rest.reported, rest.whole.count, rest.lost, rest.salvaged,
        rest.short_of);
    assert_true(rest.differed > 0 && rest.lost > 0);
    event_list_release(&rest.whole);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {STAGE_TEST(all_that_is_left_is_salvaged)};
    campaign = argc > 1 && strcmp(argv[1], "campaign") == 0;
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    while (seed == 0)
        assert_int_equal(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
