/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pages_rest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/pages_base.h"

enum { PAGE_SIZE_USUAL = 4096 };

/* Keys between which values of a table may be lost. */
struct lost {
    size_t table;
    bool one; /* `first` alone */
    struct pages_key first;
    struct pages_key end;
};

struct pages_rest {
    struct pages *pages;
    struct pages_snapshot snapshot;
    size_t trees[JOURNAL_TABLES];
    bool listed;      /* the list of tables reads */
    bool later;       /* there may be a later commit than the snapshot */
    uint64_t newest;  /* position that is reached */
    uint8_t *used;    /* bit per page: a tree leads to it, ... */
    uint8_t *damaged; /* ... and it is damaged */
    uint8_t *free;    /* the list of free pages has it */
    struct lost *lost;
    size_t lost_count;
    uint64_t damages[JOURNAL_TABLES];
    spn_err failed; /* of a callback that returns nothing */
};

static bool has(const uint8_t *bits, uint64_t page)
{
    return (bits[page / 8] & 1u << page % 8) != 0;
}

static void set(uint8_t *bits, uint64_t page)
{
    bits[page / 8] |= (uint8_t)(1u << page % 8);
}

/* -- which commit ------------------------------------------------------------------------------ */

/* What a meta page leads to. */
struct commit {
    struct pages_snapshot snapshot;
    bool is_meta;
    bool listed;
    uint64_t number; /* pages_freed_last, or else its own */
};

static struct commit look_at(const struct pages *pages, uint64_t page)
{
    struct commit commit = {.is_meta = false};
    if (page >= pages->count)
        return commit;
    const uint8_t *meta = pages->map + page * pages->page_size;
    commit.listed = pages_read_meta(pages, meta, &commit.snapshot, NULL) == SPN_OK;
    commit.is_meta = commit.snapshot.trees[PAGES_FREE].numbers; /* set once the trees were read */
    uint64_t freed = commit.is_meta ? pages_freed_last(pages, &commit.snapshot) : 0;
    commit.number = freed > 0 ? freed : commit.snapshot.txnid;
    return commit;
}

static bool is_better(const struct commit *than, const struct commit *commit)
{
    if (commit->listed != than->listed)
        return commit->listed;
    if (commit->is_meta != than->is_meta)
        return commit->is_meta;
    return commit->number > than->number ||
           (commit->number == than->number && commit->snapshot.txnid > than->snapshot.txnid);
}

static spn_err choose_commit(struct pages_rest *rest)
{
    struct commit commits[METAS] = {look_at(rest->pages, 0), look_at(rest->pages, 1)};
    size_t best = is_better(&commits[0], &commits[1]);
    rest->snapshot = commits[best].snapshot;
    rest->listed = commits[best].listed;
    rest->later = !commits[1 - best].listed;
    if (!commits[best].is_meta) {
        rest->snapshot = (struct pages_snapshot){.count = 2};
        rest->snapshot.trees[PAGES_FREE].root = rest->snapshot.trees[PAGES_MAIN].root = PAGES_NONE;
    }
    if (rest->snapshot.last >= rest->pages->count || !commits[best].is_meta)
        rest->snapshot.last = rest->pages->count - 1;
    return rest->pages->count > METAS ? SPN_OK : SPN_E_CORRUPT;
}

/* -- what is lost ------------------------------------------------------------------------------ */

static void add_lost(struct pages_rest *rest, size_t table, const struct pages_damage *damage)
{
    struct lost *lost = realloc(rest->lost, (rest->lost_count + 1) * sizeof(*lost));
    rest->damages[table]++;
    if (!lost) {
        rest->failed = SPN_E_NOMEM;
        return;
    }
    rest->lost = lost;
    lost[rest->lost_count++] =
        (struct lost){.table = table, .first = damage->first, .end = damage->end};
}

static size_t table_of(const struct pages_rest *rest, size_t tree)
{
    for (size_t table = 0; table < JOURNAL_TABLES; table++)
        if (rest->trees[table] == tree)
            return table;
    return SIZE_MAX;
}

/* A value that is damaged in a whole page is lost. */
struct reading {
    struct pages_rest *rest;
    size_t table;
    pages_rest_take *take; /* NULL: look only */
    void *owner;
};

static void note_damage(void *owner, const struct pages_damage *damage)
{
    struct pages_rest *rest = ((struct reading *)owner)->rest;
    size_t table = table_of(rest, damage->tree);
    if (damage->page <= rest->snapshot.last)
        set(rest->damaged, damage->page);
    if (table != SIZE_MAX)
        add_lost(rest, table, damage);
}

static bool numbers_of(size_t table)
{
    return table != TABLE_VALUE_BLOCKS && table != TABLE_VALUE_NAMES &&
           table != TABLE_VALUE_PRODUCERS && table != TABLE_VALUE_META;
}

static bool is_in(const struct lost *lost, struct spn_bytes key)
{
    bool numbers = numbers_of(lost->table);
    if (numbers && key.size != sizeof(uint64_t))
        return false;
    if (lost->one)
        return key.size == lost->first.size && memcmp(key.data, lost->first.bytes, key.size) == 0;
    return (lost->first.size == 0 ||
            pages_compare(numbers, lost->first.bytes, lost->first.size, key.data, key.size) <= 0) &&
           (lost->end.size == 0 ||
            pages_compare(numbers, key.data, key.size, lost->end.bytes, lost->end.size) < 0);
}

bool pages_rest_lacks(const struct pages_rest *rest, size_t table, struct spn_bytes key)
{
    for (size_t i = 0; i < rest->lost_count; i++)
        if (rest->lost[i].table == table && is_in(&rest->lost[i], key))
            return true;
    return false;
}

uint64_t pages_rest_damages(const struct pages_rest *rest, size_t table)
{
    return rest->damages[table];
}

/* -- what is reached --------------------------------------------------------------------------- */

/* Which positions are lost is not asked one by one, and they may be many. */
static void lose_value(struct reading *reading, struct spn_bytes key)
{
    struct pages_rest *rest = reading->rest;
    struct pages_damage damage = {.first = {.size = (uint16_t)key.size}};
    if (reading->table == TABLE_VALUE_LOG) {
        rest->damages[reading->table]++;
        return;
    }
    memcpy(damage.first.bytes, key.data, key.size);
    add_lost(rest, reading->table, &damage);
    if (rest->failed == SPN_OK)
        rest->lost[rest->lost_count - 1].one = true;
}

static spn_err take_reached(void *owner, uint64_t page, struct spn_bytes key,
                            struct spn_bytes value)
{
    struct reading *reading = owner;
    struct pages_rest *rest = reading->rest;
    (void)page;
    spn_err err = table_value_check(reading->table, key, value);
    if (err == SPN_E_NEWER_FORMAT || err == SPN_E_OLDER_FORMAT)
        return err;
    if (err != SPN_OK) {
        if (!reading->take)
            lose_value(reading, key);
        return SPN_OK;
    }
    if (reading->table == TABLE_VALUE_LOG && table_value_number(key) > rest->newest)
        rest->newest = table_value_number(key);
    return reading->take ? reading->take(reading->owner, key, value) : SPN_OK;
}

static spn_err skip_value(void *owner, uint64_t page, struct spn_bytes key, struct spn_bytes value)
{
    (void)owner;
    (void)page;
    (void)key;
    (void)value;
    return SPN_OK;
}

static spn_err read_tree(struct reading *reading, size_t tree)
{
    struct pages_rest *rest = reading->rest;
    const struct pages_walk walk = {
        .take = tree <= PAGES_MAIN ? skip_value : take_reached, /* LMDB's own have no table */
        .tell = note_damage,
        .owner = reading,
        .seen = rest->used,
    };
    return pages_walk(rest->pages, &rest->snapshot, tree, &walk);
}

static spn_err read_trees(struct pages_rest *rest)
{
    static const struct pages_damage everything;
    struct reading reading = {.rest = rest};
    spn_err err = SPN_OK;
    for (size_t table = 0; table < JOURNAL_TABLES && err == SPN_OK; table++) {
        reading.table = table;
        if (rest->trees[table] == SIZE_MAX)
            add_lost(rest, table, &everything);
        else
            err = read_tree(&reading, rest->trees[table]);
    }
    for (size_t tree = 0; tree <= PAGES_MAIN && err == SPN_OK; tree++)
        err = read_tree(&reading, tree);
    return err == SPN_OK ? rest->failed : err;
}

spn_err pages_rest_reached(struct pages_rest *rest, size_t table, pages_rest_take *take,
                           void *owner)
{
    struct reading reading = {.rest = rest, .table = table, .take = take, .owner = owner};
    const struct pages_walk walk = {.take = take_reached, .owner = &reading};
    if (rest->trees[table] == SIZE_MAX)
        return SPN_OK;
    return pages_walk(rest->pages, &rest->snapshot, rest->trees[table], &walk);
}

/* -- the list of free pages -------------------------------------------------------------------- */

/* A value is a count and as many page numbers. What of it is damaged is passed over. */
static spn_err take_free(void *owner, uint64_t page, struct spn_bytes key, struct spn_bytes value)
{
    struct pages_rest *rest = owner;
    const uint8_t *at = value.data;
    (void)page;
    (void)key;
    if (value.size < sizeof(uint64_t))
        return SPN_OK;
    uint64_t count = pages_get_u64(at);
    for (uint64_t i = 1; i <= count && i < value.size / sizeof(uint64_t); i++) {
        uint64_t number = pages_get_u64(at + i * sizeof(uint64_t));
        if (number >= METAS && number <= rest->snapshot.last)
            set(rest->free, number);
    }
    return SPN_OK;
}

/* -- what is found ----------------------------------------------------------------------------- */

static const uint8_t *page_of(const struct pages_rest *rest, uint64_t number)
{
    return rest->pages->map + number * rest->pages->page_size;
}

static uint64_t number_in(const struct pages_rest *rest, uint64_t page)
{
    return pages_get_u64(page_of(rest, page) + PAGE_NUMBER);
}

/* Pages to which damage led: it is not known what they have. */
static bool is_open(const struct pages_rest *rest, uint64_t page)
{
    if (page < METAS || page > rest->snapshot.last)
        return false;
    return has(rest->damaged, page) || (!has(rest->used, page) && !has(rest->free, page));
}

/* Whether what is in this page was that of a page in use. A page that has another one's number is
 * that page, in a wrong place, or its number is damaged. */
static bool is_wanted(const struct pages_rest *rest, uint64_t page)
{
    uint64_t number = number_in(rest, page);
    if (number == page)
        return is_open(rest, page);
    if (is_open(rest, number))
        return true;
    if (!is_open(rest, page))
        return false;
    if (number < METAS || number >= rest->pages->count)
        return true;
    bool swapped = number_in(rest, number) == page;
    bool copied = memcmp(page_of(rest, number), page_of(rest, page), rest->pages->page_size) == 0;
    return !swapped && !copied;
}

struct search {
    struct pages_rest *rest;
    size_t table;
    pages_rest_take *take;
    void *owner;
    bool elsewhere; /* in a page of another time */
    spn_err err;
};

static bool take_node(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct search *search = owner;
    struct pages_rest *rest = search->rest;
    bool later =
        search->table == TABLE_VALUE_META ||
        (search->table == TABLE_VALUE_LOG && rest->later && table_value_number(key) > rest->newest);
    if (!(later || (!search->elsewhere && pages_rest_lacks(rest, search->table, key))))
        return true;
    if (table_value_check(search->table, key, value) == SPN_OK)
        search->err = search->take(search->owner, key, value);
    return search->err == SPN_OK;
}

spn_err pages_rest_found(struct pages_rest *rest, size_t table, pages_rest_take *take, void *owner)
{
    struct search search = {.rest = rest, .table = table, .take = take, .owner = owner};
    bool everywhere = table == TABLE_VALUE_META || (rest->later && table == TABLE_VALUE_LOG);
    uint64_t count = rest->pages->count;
    if (rest->damages[table] == 0 && !rest->later)
        return SPN_OK;
    for (uint64_t page = METAS; page < count && search.err == SPN_OK; page++) {
        search.elsewhere = !is_wanted(rest, page);
        if (!search.elsewhere || (everywhere && number_in(rest, page) == page))
            pages_nodes(rest->pages, page_of(rest, page), take_node, &search);
    }
    return search.err;
}

/* -- opening ----------------------------------------------------------------------------------- */

static uint64_t page_size_of(int fd)
{
    static const uint64_t places[] = {0, PAGE_SIZE_USUAL};
    uint8_t bytes[META_END];
    for (size_t i = 0; i < 2; i++) {
        if (pread(fd, bytes, META_END, (off_t)places[i]) != META_END)
            continue;
        uint64_t size = pages_get_u32(bytes + META_TREES + DB_PAD);
        if (pages_is_meta(bytes) && pages_is_page_size(size))
            return size;
    }
    return PAGE_SIZE_USUAL;
}

static spn_err open_pages(struct pages_rest *rest, const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? SPN_E_END : SPN_E_SYSTEM;
    spn_err err = SPN_E_CORRUPT;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        err = pages_open_raw(&rest->pages, fd, (size_t)info.st_size, page_size_of(fd));
    if (err != SPN_OK)
        close(fd);
    return err;
}

static spn_err allocate(struct pages_rest *rest)
{
    size_t size = rest->pages->count / 8 + 1;
    rest->used = calloc(size, 1);
    rest->damaged = calloc(size, 1);
    rest->free = calloc(size, 1);
    return rest->used && rest->damaged && rest->free ? SPN_OK : SPN_E_NOMEM;
}

static spn_err look(struct pages_rest *rest)
{
    const struct pages_walk walk = {.take = take_free, .owner = rest};
    spn_err err = choose_commit(rest);
    if (err == SPN_OK)
        err = allocate(rest);
    if (err == SPN_OK)
        err = pages_walk(rest->pages, &rest->snapshot, PAGES_FREE, &walk);
    if (err != SPN_OK)
        return err;
    for (size_t table = 0; table < JOURNAL_TABLES; table++)
        rest->trees[table] = SIZE_MAX;
    if (rest->listed)
        table_value_trees(&rest->snapshot, rest->trees);
    return read_trees(rest);
}

spn_err pages_rest_open(struct pages_rest **ret_rest, const char *path)
{
    struct pages_rest *rest = calloc(1, sizeof(*rest));
    if (!rest)
        return SPN_E_NOMEM;
    spn_err err = open_pages(rest, path);
    if (err == SPN_OK)
        err = look(rest);
    if (err != SPN_OK) {
        int errno_kept = errno;
        pages_rest_close(rest);
        errno = errno_kept;
        return err;
    }
    *ret_rest = rest;
    return SPN_OK;
}

void pages_rest_close(struct pages_rest *rest)
{
    if (!rest)
        return;
    if (rest->pages)
        close(rest->pages->fd);
    pages_close(rest->pages);
    free(rest->used);
    free(rest->damaged);
    free(rest->free);
    free(rest->lost);
    free(rest);
}
