/* SPDX-License-Identifier: Apache-2.0 */
#include "read/opened_names.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 256 };

int opened_names_compare(struct spn_bytes a, struct spn_bytes b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static struct spn_bytes text_at(const uint8_t *texts, uint32_t at)
{
    return (struct spn_bytes){texts + at + 1, texts[at]};
}

struct spn_bytes opened_names_at(const struct opened_names *names, size_t i)
{
    return text_at(names->texts, names->sorted[i].at);
}

size_t opened_names_seek(const struct opened_names *names, struct spn_bytes name)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (opened_names_compare(opened_names_at(names, middle), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void opened_names_begin(struct opened_names *names, struct generation *generation)
{
    opened_names_release(names);
    names->generation = generation_keep(generation);
}

void opened_names_release(struct opened_names *names)
{
    generation_drop(names->generation);
    free(names->sorted);
    free(names->texts);
    *names = (struct opened_names){.generation = NULL};
}

/* -- reading ----------------------------------------------------------------------------------- */

static spn_err reserve(struct opened_names *names, size_t text_size)
{
    if (names->count == names->room) {
        size_t room = names->room > 0 ? names->room * 2 : ROOM_FIRST;
        struct opened_name *sorted = realloc(names->sorted, room * sizeof(*sorted));
        if (!sorted)
            return SPN_E_NOMEM;
        names->sorted = sorted;
        names->room = room;
    }
    if (names->texts_size + text_size > names->texts_room) {
        size_t room = 2 * (names->texts_size + text_size);
        uint8_t *texts = realloc(names->texts, room);
        if (!texts)
            return SPN_E_NOMEM;
        names->texts = texts;
        names->texts_room = room;
    }
    return SPN_OK;
}

static spn_err append(struct opened_names *names, struct spn_bytes name, uint64_t epoch)
{
    spn_err err = reserve(names, 1 + name.size);
    if (err != SPN_OK)
        return err;
    uint8_t *text = names->texts + names->texts_size;
    text[0] = (uint8_t)name.size;
    memcpy(text + 1, name.data, name.size);
    names->sorted[names->count++] =
        (struct opened_name){.epoch = epoch, .at = (uint32_t)names->texts_size};
    names->texts_size += 1 + name.size;
    return SPN_OK;
}

/* Reads one record's name. SPN_E_BACKPRESSURE: the snapshot does not have it yet. */
static spn_err read_one(struct opened_names *names, struct journal_reader *reader, uint64_t epoch)
{
    struct record_entry open;
    if (epoch <= journal_reader_meta(reader)->checkpoint)
        return SPN_OK; /* the names on disk have it */
    if (epoch > journal_reader_newest(reader))
        return SPN_E_BACKPRESSURE;
    spn_err err = journal_read_entry(reader, epoch, &open);
    if (err == SPN_OK)
        err = append(names, open.data, epoch);
    return err == SPN_E_END ? SPN_OK : err; /* trimmed: the session is gone, too */
}

static int compare_sorted(const void *a, const void *b, void *texts)
{
    const struct opened_name *left = a;
    const struct opened_name *right = b;
    return opened_names_compare(text_at(texts, left->at), text_at(texts, right->at));
}

/* Sorts the names from `sorted` on, which were added last, and merges them in. */
static spn_err merge(struct opened_names *names, size_t sorted)
{
    size_t added = names->count - sorted;
    if (added == 0)
        return SPN_OK;
    struct opened_name *tail = malloc(added * sizeof(*tail));
    if (!tail)
        return SPN_E_NOMEM;
    memcpy(tail, names->sorted + sorted, added * sizeof(*tail));
    qsort_r(tail, added, sizeof(*tail), compare_sorted, names->texts);
    size_t to = names->count;
    while (added > 0) {
        bool old = sorted > 0 &&
                   compare_sorted(&names->sorted[sorted - 1], &tail[added - 1], names->texts) > 0;
        names->sorted[--to] = old ? names->sorted[--sorted] : tail[--added];
    }
    free(tail);
    return SPN_OK;
}

spn_err opened_names_read(struct opened_names *names, struct journal_reader *reader,
                          uint32_t session_count)
{
    size_t sorted = names->count;
    size_t looked = 0;
    spn_err err = SPN_OK;
    uint32_t seen = names->seen;
    while (err == SPN_OK && seen < session_count && looked++ < OPENED_NAMES_AT_A_TIME) {
        err = read_one(names, reader, names->generation->sessions[seen].epoch);
        seen += err == SPN_OK ? 1 : 0;
    }
    spn_err merged = merge(names, sorted);
    if (merged != SPN_OK) {
        names->count = sorted; /* so these records are read again */
        return merged;
    }
    names->seen = seen;
    if (err == SPN_E_BACKPRESSURE)
        return SPN_OK;
    return err == SPN_OK && seen < session_count ? SPN_E_END : err;
}
