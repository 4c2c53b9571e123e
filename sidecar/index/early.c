/* SPDX-License-Identifier: Apache-2.0 */
#include "index/early.h"

#include <stdlib.h>
#include <string.h>

#include "index/idle.h"

enum {
    REMEMBERED_MAX = 16384, /* 256 KiB */
    PART = 16,              /* at most one session in so many is given out by one walk */
};

struct early_session {
    uint64_t last_ns;
    uint64_t epoch;
};

spn_err early_init(struct early *early, struct journal *journal, const struct clock *clock)
{
    *early = (struct early){.clock = clock};
    return journal_reader_open(&early->reader, journal);
}

void early_release(struct early *early)
{
    journal_reader_close(early->reader);
    free(early->oldest);
    early->reader = NULL;
    early->oldest = NULL;
}

/* -- the oldest so far ------------------------------------------------------------------------- */

static void swap(struct early_session *a, struct early_session *b)
{
    struct early_session other = *a;
    *a = *b;
    *b = other;
}

static void sift_up(struct early_session *heap, size_t at)
{
    for (; at > 0 && heap[at].last_ns > heap[(at - 1) / 2].last_ns; at = (at - 1) / 2)
        swap(&heap[at], &heap[(at - 1) / 2]);
}

static void sift_down(struct early_session *heap, size_t count)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1].last_ns > heap[child].last_ns)
            child++;
        if (heap[at].last_ns >= heap[child].last_ns)
            return;
        swap(&heap[at], &heap[child]);
    }
}

static void remember(struct early *early, uint64_t epoch, uint64_t last_ns)
{
    struct early_session session = {.last_ns = last_ns, .epoch = epoch};
    if (early->count < REMEMBERED_MAX) {
        early->oldest[early->count] = session;
        sift_up(early->oldest, early->count++);
    } else if (last_ns < early->oldest[0].last_ns) {
        early->oldest[0] = session;
        sift_down(early->oldest, early->count);
    }
}

static int by_age(const void *a, const void *b)
{
    const struct early_session *left = a;
    const struct early_session *right = b;
    return (left->last_ns > right->last_ns) - (left->last_ns < right->last_ns);
}

/* -- walking ----------------------------------------------------------------------------------- */

static void begin_again(struct early *early)
{
    early->count = early->next = 0;
    early->rows = early->epoch = 0;
    early->looked = false;
}

/* Damaged rows stay for ever: they are passed. SPN_E_END: there are no more. */
static spn_err look(struct early *early, struct step *step)
{
    struct record_row row = {.seq = 0};
    do {
        uint64_t before = early->epoch;
        spn_err err = journal_read_row_after(early->reader, before, &early->epoch, &row);
        bool damaged = err == SPN_E_CORRUPT && early->epoch > before;
        if (err != SPN_OK && !damaged)
            return err;
        early->rows++;
        /* A row that names an incomplete segment belongs to a session with new events. */
        if (!damaged && row.state != RECORD_DELETED &&
            row.segment <= journal_reader_meta(early->reader)->segment)
            remember(early, early->epoch, row.activity_ns);
    } while (!step_is_over(step, 1));
    return SPN_OK;
}

/* Gives out the sessions that got nothing since they were looked at. */
static spn_err give(struct early *early, struct idle_sessions *found)
{
    size_t count_max = early->rows / PART + 1;
    while (early->next < early->count && found->count < count_max &&
           found->count < IDLE_SESSIONS_MAX) {
        const struct early_session *session = &early->oldest[early->next++];
        struct record_row row = {.seq = 0};
        spn_err err = journal_read_row(early->reader, session->epoch, &row);
        if (err == SPN_E_END || err == SPN_E_CORRUPT)
            continue;
        if (err != SPN_OK)
            return err;
        if (row.state != RECORD_DELETED && row.activity_ns == session->last_ns)
            idle_note(found, session->epoch, &row);
    }
    return SPN_OK;
}

static spn_err walk(struct early *early, struct step *step, struct idle_sessions *found,
                    bool *ret_over)
{
    if (!early->looked) {
        spn_err err = look(early, step);
        if (err != SPN_E_END)
            return err;
        qsort(early->oldest, early->count, sizeof(*early->oldest), by_age);
        early->looked = true;
        *ret_over = early->count == 0;
    }
    spn_err err = give(early, found);
    /* What was remembered becomes outdated. It is not kept if looking at all rows takes no time. */
    if (err == SPN_OK && (early->next == early->count || early->rows <= REMEMBERED_MAX))
        begin_again(early);
    return err;
}

spn_err early_walk(struct early *early, struct step *step, struct idle_sessions **ret_found,
                   bool *ret_over)
{
    *ret_found = NULL;
    *ret_over = false;
    if (!early->oldest)
        early->oldest = calloc(REMEMBERED_MAX, sizeof(*early->oldest));
    struct idle_sessions *found = early->oldest ? malloc(sizeof(*found)) : NULL;
    if (!found)
        return SPN_E_NOMEM;
    found->early = true;
    found->count = 0;
    spn_err err = journal_reader_begin(early->reader);
    if (err == SPN_OK)
        err = walk(early, step, found, ret_over);
    journal_reader_end(early->reader);
    if (err == SPN_OK && found->count > 0) {
        *ret_found = found;
        return SPN_OK;
    }
    free(found);
    return err;
}
