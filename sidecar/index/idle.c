/* SPDX-License-Identifier: Apache-2.0 */
#include "index/idle.h"

#include <stdlib.h>
#include <string.h>

spn_err idle_init(struct idle *idle, struct journal *journal, const struct clock *clock,
                  uint64_t ttl_ns)
{
    *idle = (struct idle){.clock = clock, .ttl_ns = ttl_ns};
    return journal_reader_open(&idle->reader, journal);
}

void idle_release(struct idle *idle)
{
    journal_reader_close(idle->reader);
    idle->reader = NULL;
}

/* Sessions with a time to live of their own are the broker's: see state/spans.h. */
static bool is_idle(const struct idle *idle, const struct record_row *row, uint64_t now_ns)
{
    return row->state != RECORD_DELETED && row->ttl_ms == 0 && now_ns > row->activity_ns &&
           now_ns - row->activity_ns >= idle->ttl_ns;
}

void idle_note(struct idle_sessions *found, uint64_t epoch, const struct record_row *row)
{
    struct idle_session *session = &found->sessions[found->count++];
    session->epoch = epoch;
    session->life = row->life;
    session->extent =
        (struct record_extent){.seq = row->seq, .bytes = row->bytes, .markers = row->markers};
    session->name_size = (uint8_t)row->name.size;
    memcpy(session->name, row->name.data, row->name.size);
}

static spn_err walk(struct idle *idle, struct step *step, struct idle_sessions *found)
{
    uint64_t now_ns = clock_database_ns(idle->clock);
    struct record_row row;
    for (bool over = false; found->count < IDLE_SESSIONS_MAX && !over;
         over = step_is_over(step, 1)) {
        uint64_t before = idle->epoch;
        spn_err err = journal_read_row_after(idle->reader, before, &idle->epoch, &row);
        bool damaged = err == SPN_E_CORRUPT && idle->epoch > before; /* the row stays for ever */
        if (err != SPN_OK && !damaged)
            return err;
        if (!damaged && is_idle(idle, &row, now_ns))
            idle_note(found, idle->epoch, &row);
    }
    return SPN_OK;
}

spn_err idle_walk(struct idle *idle, struct step *step, struct idle_sessions **ret_found,
                  bool *ret_over)
{
    struct idle_sessions *found = malloc(sizeof(*found));
    if (!found)
        return SPN_E_NOMEM;
    found->early = false;
    found->count = 0;
    *ret_over = false;
    spn_err err = journal_reader_begin(idle->reader);
    if (err == SPN_OK)
        err = walk(idle, step, found);
    journal_reader_end(idle->reader);
    if (err == SPN_E_END) {
        idle->epoch = 0;
        *ret_over = true;
        err = SPN_OK;
    }
    if (err != SPN_OK || found->count == 0) {
        free(found);
        found = NULL;
    }
    *ret_found = found;
    return err;
}
