/* SPDX-License-Identifier: Apache-2.0 */
#include "read/survey.h"

#include <stdlib.h>

#include "index/generation.h"

enum {
    SESSIONS_FIRST = 64,
    /* More than lie above the checkpoint: some of them lie below a newer one. */
    SESSIONS_MANY = 4 * GENERATION_SESSIONS_MAX,
};

static uint64_t hash_epoch(uint64_t epoch)
{
    epoch *= UINT64_C(0x9E3779B97F4A7C15);
    return epoch ^ epoch >> 32;
}

static uint64_t hash_of(const void *owner, uint32_t slot)
{
    return hash_epoch(((const struct survey *)owner)->sessions[slot].epoch);
}

spn_err survey_init(struct survey *survey, struct journal_reader *journal)
{
    *survey = (struct survey){.scan = {.journal = journal}};
    return slot_index_init(&survey->by_epoch, hash_of, survey);
}

void survey_release(struct survey *survey)
{
    slot_index_release(&survey->by_epoch);
    free(survey->sessions);
    survey->sessions = NULL;
    survey->count = survey->room = 0;
}

void survey_clear(struct survey *survey)
{
    slot_index_clear(&survey->by_epoch);
    slot_index_shrink(&survey->by_epoch);
    free(survey->sessions);
    survey->sessions = NULL;
    survey->count = survey->room = 0;
    survey->after = survey->scan.position = 0;
    survey->reading = false;
    survey->serial++;
}

static struct surveyed *find(const struct survey *survey, uint64_t epoch)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&survey->by_epoch, hash_epoch(epoch), &cursor)) != SLOT_NONE)
        if (survey->sessions[slot].epoch == epoch)
            return &survey->sessions[slot];
    return NULL;
}

const struct surveyed *survey_find(const struct survey *survey, uint64_t epoch)
{
    return find(survey, epoch);
}

static spn_err add(struct survey *survey, uint64_t epoch, struct surveyed **ret_session)
{
    spn_err err = slot_index_reserve(&survey->by_epoch, 1);
    if (err != SPN_OK)
        return err;
    if (survey->count == survey->room) {
        size_t room = survey->room > 0 ? 2 * survey->room : SESSIONS_FIRST;
        struct surveyed *sessions = realloc(survey->sessions, room * sizeof(*sessions));
        if (!sessions)
            return SPN_E_NOMEM;
        survey->sessions = sessions;
        survey->room = room;
    }
    survey->sessions[survey->count] = (struct surveyed){.epoch = epoch};
    slot_index_add(&survey->by_epoch, hash_epoch(epoch), (uint32_t)survey->count);
    *ret_session = &survey->sessions[survey->count++];
    return SPN_OK;
}

static spn_err note(struct survey *survey, const struct record_entry *entry)
{
    bool ends = entry->kind == RECORD_DELETE || entry->kind == RECORD_EXPIRE;
    if (!ends && !record_is_stored(entry->kind))
        return SPN_OK;
    struct surveyed *session = find(survey, entry->epoch);
    spn_err err = session ? SPN_OK : add(survey, entry->epoch, &session);
    if (err != SPN_OK)
        return err;
    session->gone = session->gone || ends;
    if (!ends && entry->seq > session->seq) {
        session->seq = entry->seq;
        session->bytes = entry->bytes;
    }
    return SPN_OK;
}

/* Whether reading on gives what is after this position. One that somebody else waits for goes on
 * also if it has not come so far yet: two that began it again in turn would never see its end. */
static bool serves(const struct survey *survey, uint64_t after, uint64_t checkpoint)
{
    bool large = survey->count >= SESSIONS_MANY && after > survey->after;
    bool awaited = survey->reading && survey->scan.position >= checkpoint;
    return after >= survey->after && (after <= survey->scan.position || awaited) && !large;
}

/* Begins again where needed: it has not read far enough back, or would read entries that nobody
 * needs, or has become large. */
static void place(struct survey *survey, uint64_t after, uint64_t checkpoint)
{
    if (serves(survey, after, checkpoint))
        return;
    survey_clear(survey);
    survey->after = survey->scan.position = after;
}

spn_err survey_read(struct survey *survey, uint64_t after, struct step *step, bool *ret_done)
{
    struct journal_reader *journal = survey->scan.journal;
    uint64_t checkpoint = journal_reader_meta(journal)->checkpoint;
    struct record_entry entry;
    spn_err err = SPN_OK;
    *ret_done = false;
    place(survey, after > checkpoint ? after : checkpoint, checkpoint);
    while (err == SPN_OK && !*ret_done && !step_is_over(step, 1)) {
        uint64_t before = survey->scan.position;
        enum scan_found found = scan_next(&survey->scan, &entry);
        if (found == SCAN_ENTRY)
            err = note(survey, &entry);
        if (err != SPN_OK)
            survey->scan.position = before;
        *ret_done = found == SCAN_END;
    }
    if (*ret_done && survey->scan.position < journal_reader_newest(journal)) {
        *ret_done = false;
        err = SPN_E_IO;
    }
    survey->reading = !*ret_done;
    return err;
}
