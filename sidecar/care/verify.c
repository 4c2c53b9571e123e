/* SPDX-License-Identifier: Apache-2.0 */
#include "care/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "store/pin.h"
#include "store/table_value.h"

enum {
    GO_ON_EVERY = 4096, /* values */
    WORDS_SIZE = 400,
    KEPT_MAX = 1 << 20, /* bytes of words */
};

static const char *const table_names[] = JOURNAL_TABLE_NAMES;

struct verify {
    const char *path;
    struct pin *pin;
    struct pages_snapshot snapshot;
    size_t trees[JOURNAL_TABLES];
    verify_tell *tell;
    void *owner;
    struct care *care;
    struct verify_found found;
    char *kept; /* words of findings, each with its end */
    size_t kept_size;
    size_t kept_room;
    uint64_t unkept; /* findings */
    uint64_t pages;
    uint64_t page; /* of the last value */
    size_t table;  /* that is read; JOURNAL_TABLES: LMDB's own */
};

/* -- findings: kept until the commit is let go, since whoever reads them may take any time -------
 */

static bool make_room(struct verify *verify, size_t size)
{
    size_t room = verify->kept_room;
    if (verify->kept_size + size <= room)
        return true;
    room = room > 0 ? 2 * room : KEPT_MAX / 64;
    char *kept = room <= KEPT_MAX ? realloc(verify->kept, room) : NULL;
    if (!kept)
        return false;
    verify->kept = kept;
    verify->kept_room = room;
    return true;
}

static void tell(struct verify *verify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void tell(struct verify *verify, const char *format, ...)
{
    char words[WORDS_SIZE];
    va_list list;
    va_start(list, format);
    vsnprintf(words, sizeof(words), format, list);
    va_end(list);
    verify->found.findings++;
    size_t size = strlen(words) + 1;
    if (verify->unkept > 0 || !make_room(verify, size)) {
        verify->unkept++;
        return;
    }
    memcpy(verify->kept + verify->kept_size, words, size);
    verify->kept_size += size;
}

static void tell_kept(struct verify *verify)
{
    char words[WORDS_SIZE];
    for (size_t at = 0; at < verify->kept_size; at += strlen(verify->kept + at) + 1)
        verify->tell(verify->owner, verify->kept + at);
    snprintf(words, sizeof(words), "and %" PRIu64 " more", verify->unkept);
    if (verify->unkept > 0)
        verify->tell(verify->owner, words);
    free(verify->kept);
}

/* -- pages ------------------------------------------------------------------------------------- */

static const char *name_tree(const struct verify *verify, size_t tree)
{
    if (tree == PAGES_FREE)
        return "the list of free pages";
    return tree == PAGES_MAIN ? "the list of tables" : verify->snapshot.trees[tree].name;
}

static uint64_t number_of(const struct pages_key *key, uint64_t otherwise)
{
    return key->size == sizeof(uint64_t)
               ? table_value_number((struct spn_bytes){key->bytes, key->size})
               : otherwise;
}

/* Of the log, which positions may be gone. */
static void tell_page(void *owner, const struct pages_damage *damage)
{
    struct verify *verify = owner;
    const char *name = name_tree(verify, damage->tree);
    const char *what = damage->leaf ? "is damaged" : "is damaged, with all pages below it";
    if (damage->tree != verify->trees[TABLE_VALUE_LOG]) {
        tell(verify, "%s: page %" PRIu64 " %s", name, damage->page, what);
        return;
    }
    uint64_t from = number_of(&damage->first, 1);
    uint64_t end = number_of(&damage->end, 0);
    if (end > 0)
        tell(verify, "%s: page %" PRIu64 " %s: positions %" PRIu64 " to %" PRIu64, name,
             damage->page, what, from, end - 1);
    else
        tell(verify, "%s: page %" PRIu64 " %s: positions from %" PRIu64 " on", name, damage->page,
             what, from);
}

static void ignore_page(void *owner, const struct pages_damage *damage)
{
    (void)owner;
    (void)damage;
}

/* -- values ------------------------------------------------------------------------------------ */

static void tell_value(struct verify *verify, uint64_t page, struct spn_bytes key, spn_err err)
{
    const char *name = table_names[verify->table];
    const char *what = err == SPN_E_END ? "was lost to damage at an earlier time" : "does not read";
    verify->found.lost += err == SPN_E_END;
    if (key.size == sizeof(uint64_t) && verify->table != TABLE_VALUE_NAMES)
        tell(verify, "%s: page %" PRIu64 ": the value of %s %" PRIu64 " %s", name, page,
             verify->table == TABLE_VALUE_LOG ? "position" : "number", table_value_number(key),
             what);
    else
        tell(verify, "%s: page %" PRIu64 ": a value %s", name, page, what);
}

static bool goes_on(struct verify *verify)
{
    const struct care *care = verify->care;
    if (verify->found.values % GO_ON_EVERY != 0 || !care->go_on)
        return true;
    size_t size = pages_size(pin_pages(verify->pin));
    return care->go_on(care->owner, verify->pages * size, verify->found.bytes);
}

static spn_err take_value(void *owner, uint64_t page, struct spn_bytes key, struct spn_bytes value)
{
    struct verify *verify = owner;
    verify->found.values++;
    verify->pages += verify->page != page;
    verify->page = page;
    spn_err err = table_value_check(verify->table, key, value);
    if (err == SPN_E_NEWER_FORMAT || err == SPN_E_OLDER_FORMAT)
        return care_fail(verify->care, err, verify->path, err_text(err));
    if (err != SPN_OK)
        tell_value(verify, page, key, err);
    return goes_on(verify) ? SPN_OK
                           : care_fail(verify->care, SPN_E_STOPPING, verify->path, "interrupted");
}

/* Meta first: its format says whether the others are to be read. */
static spn_err read_tables(struct verify *verify)
{
    const struct pages_walk walk = {.take = take_value, .tell = tell_page, .owner = verify};
    const struct pages *pages = pin_pages(verify->pin);
    spn_err err = SPN_OK;
    for (size_t i = JOURNAL_TABLES; i-- > 0 && err == SPN_OK;) {
        verify->table = i;
        if (verify->trees[i] == SIZE_MAX)
            tell(verify, "%s: the table is not there, or not as this program makes it",
                 table_names[i]);
        else
            err = pages_walk(pages, &verify->snapshot, verify->trees[i], &walk);
    }
    return err;
}

/* -- the tree as a whole ----------------------------------------------------------------------- */

/* A page of an earlier time looks whole: the number of values shows it, or the list of free pages,
 * which has it. */
static spn_err check_whole(struct verify *verify)
{
    uint64_t entries[PAGES_TREES_MAX], marks[PAGES_TREES_MAX];
    bool free_whole;
    const struct pages_snapshot *snapshot = &verify->snapshot;
    spn_err err = pages_check(pin_pages(verify->pin), snapshot, SIZE_MAX, ignore_page, verify,
                              entries, marks, &free_whole);
    if (err == SPN_E_CORRUPT)
        tell(verify, "two places of the index have the same page");
    else if (err != SPN_OK)
        return care_fail(verify->care, err, verify->path, "out of memory");
    for (size_t tree = PAGES_MAIN + 1; tree < snapshot->count; tree++)
        if (entries[tree] != snapshot->trees[tree].entries)
            tell(verify, "%s: %" PRIu64 " values are there, %" PRIu64 " were counted",
                 snapshot->trees[tree].name, entries[tree], snapshot->trees[tree].entries);
    if (!free_whole)
        tell(verify, "the list of free pages is damaged, or has pages that are in use");
    if (snapshot->trees[PAGES_FREE].flags != PAGES_FREE_FLAGS ||
        snapshot->trees[PAGES_MAIN].flags != 0)
        tell(verify, "the flags of LMDB's own trees are damaged");
    return SPN_OK;
}

/* A commit whose list of free pages has a later number has a damaged one itself, and may be the
 * newest. */
static void check_number(struct verify *verify, uint64_t txnid)
{
    struct pages_snapshot snapshot;
    if (pages_snapshot(pin_pages(verify->pin), txnid, &snapshot, NULL) != SPN_OK)
        return; /* a daemon goes on, or it is reported already */
    if (txnid != verify->snapshot.txnid && pages_same_trees(&snapshot, &verify->snapshot))
        return; /* a backup has one commit twice */
    uint64_t freed = pages_freed_last(pin_pages(verify->pin), &snapshot);
    if (freed > txnid)
        tell(verify, "the number of a commit is damaged: %" PRIu64 " has pages of %" PRIu64, txnid,
             freed);
}

static void check_metas(struct verify *verify)
{
    uint64_t needed, map;
    uint64_t txnid = verify->snapshot.txnid;
    if (pages_measure(pin_fd(verify->pin), &needed, &map) != SPN_OK)
        tell(verify, "the first two pages do not fit together");
    if (txnid > 0)
        check_number(verify, txnid);
    if (txnid > 1)
        check_number(verify, txnid - 1);
}

/* -- all of it --------------------------------------------------------------------------------- */

static spn_err run(struct verify *verify)
{
    struct pages_damage damage = {.tree = PAGES_MAIN};
    spn_err err = pin_open(&verify->pin, verify->path);
    if (err == SPN_E_CORRUPT) {
        (void)care_fail_store(verify->care, err, verify->path);
        tell(verify, "%s", verify->care->why);
        return SPN_OK;
    }
    if (err != SPN_OK)
        return care_fail_store(verify->care, err, verify->path);
    err = pin_snapshot(verify->pin, &verify->snapshot, &damage);
    if (err == SPN_E_CORRUPT) {
        tell_page(verify, &damage);
        return SPN_OK;
    }
    if (err != SPN_OK)
        return care_fail_store(verify->care, err, verify->path);
    verify->found.bytes = pages_used_bytes(pin_pages(verify->pin), &verify->snapshot, false);
    table_value_trees(&verify->snapshot, verify->trees);
    err = read_tables(verify);
    if (err == SPN_OK)
        err = check_whole(verify);
    if (err == SPN_OK)
        check_metas(verify);
    return err;
}

spn_err verify_run(const char *path, verify_tell *tell_finding, void *owner, struct care *care,
                   struct verify_found *ret_found)
{
    struct verify verify = {.path = path, .tell = tell_finding, .owner = owner, .care = care};
    for (size_t i = 0; i < JOURNAL_TABLES; i++)
        verify.trees[i] = SIZE_MAX;
    care->why[0] = '\0';
    spn_err err = run(&verify);
    *ret_found = verify.found;
    pin_close(verify.pin);
    tell_kept(&verify);
    return err;
}
