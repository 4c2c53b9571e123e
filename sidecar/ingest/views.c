/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/views.h"

/* What the generations have of an epoch. slot: the one that they name. */
static void fill_epoch(const struct views *views, const struct session *session, uint32_t slot,
                       uint64_t epoch, struct view *view)
{
    struct generation *generations[2] = {views->frozen, views->state->active};
    *view = (struct view){.epoch = epoch};
    for (size_t i = 0; i < 2; i++) {
        if (!generations[i])
            continue;
        const struct generation_session *touched = generation_find(generations[i], session, slot);
        if (!touched || touched->epoch != view->epoch)
            continue;
        view->duplicates += touched->duplicates;
        view->conflicts += touched->conflicts;
        if (touched->state == RECORD_CLOSED)
            view->closed_position = touched->state_position;
        if (touched->count > 0 || touched->attributes != GENERATION_NONE)
            view->parts[i] = (struct view_part){.generation = generation_keep(generations[i]),
                                                .first_seq = touched->first_seq,
                                                .newest = touched->newest,
                                                .mark = touched->mark,
                                                .count = touched->count,
                                                .attributes = touched->attributes};
    }
}

void views_fill(const struct views *views, uint32_t slot, struct view *view)
{
    const struct sessions *sessions = &views->state->sessions;
    uint64_t epoch = sessions_epoch(sessions, slot);
    *view = (struct view){.epoch = 0};
    if (epoch != 0) /* else the session was deleted */
        fill_epoch(views, &sessions->slots[slot], slot, epoch, view);
}

/* An epoch whose end is not on disk, as far as the broker knows. */
static void fill_ending(const struct views *views, const struct ending *ending, struct view *view)
{
    fill_epoch(views, &ending->session, ending->slot, ending->epoch, view);
    view->ended_position = ending->position;
    if (ending->closed_position > 0)
        view->closed_position = ending->closed_position;
}

void views_sessions(const struct views *views, const struct endings *endings,
                    struct session_question *question)
{
    const struct sessions *sessions = &views->state->sessions;
    for (size_t i = 0; i < question->count; i++) {
        struct session_asked *session = &question->sessions[i];
        uint64_t hash = sessions_hash(sessions, session->name);
        const struct ending *ending = endings_find(endings, session->name, hash);
        struct view *newest = &session->view;
        uint32_t slot = SLOT_NONE;
        if (ending) {
            fill_ending(views, ending, &session->view);
            newest = &session->next;
            session->view.next = newest;
        }
        if (sessions_find(sessions, session->name, hash, &slot) != SESSIONS_HOT)
            slot = session->epoch != 0 ? sessions_find_epoch(sessions, hash, session->epoch)
                                       : SLOT_NONE;
        if (slot != SLOT_NONE)
            views_fill(views, slot, newest);
    }
    question->horizon = views->state->next_position - 1;
}

void views_generations(const struct views *views, struct generations_question *question)
{
    struct generation *generations[2] = {views->frozen, views->state->active};
    for (size_t i = 0; i < 2; i++)
        if (generations[i])
            question->view.parts[i] =
                (struct view_part){.generation = generation_keep(generations[i]),
                                   .session_count = generations[i]->session_count};
}
