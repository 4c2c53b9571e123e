/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "care/rescue_base.h"

/* Positions that the new log does not have, both included. */
struct range {
    uint64_t from;
    uint64_t to;
};

struct plan {
    struct rescue *rescue;
    struct range *ranges; /* ascending */
    size_t count;
    size_t room;
    uint64_t next; /* position after the last one that is kept */
};

static spn_err make_room(struct plan *plan)
{
    if (plan->count < plan->room)
        return SPN_OK;
    size_t room = plan->room > 0 ? plan->room * 2 : 64;
    struct range *ranges = realloc(plan->ranges, room * sizeof(*ranges));
    if (!ranges)
        return SPN_E_NOMEM;
    plan->ranges = ranges;
    plan->room = room;
    return SPN_OK;
}

static spn_err add_range(struct plan *plan, uint64_t from, uint64_t to)
{
    spn_err err = from <= to ? make_room(plan) : SPN_OK;
    if (err == SPN_OK && from <= to)
        plan->ranges[plan->count++] = (struct range){from, to};
    return err;
}

/* The first range that has positions above `after`. */
static size_t range_after(const struct plan *plan, uint64_t after)
{
    size_t low = 0;
    size_t high = plan->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->ranges[middle].to > after)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void remove_range(struct plan *plan, size_t i)
{
    memmove(plan->ranges + i, plan->ranges + i + 1, (--plan->count - i) * sizeof(*plan->ranges));
}

/* Takes the first free position above `after`. 0: there is none. */
static spn_err take_position(struct plan *plan, uint64_t after, uint64_t *ret_position)
{
    size_t i = range_after(plan, after);
    *ret_position = 0;
    if (i == plan->count)
        return SPN_OK;
    spn_err err = make_room(plan); /* a range may become two */
    if (err != SPN_OK)
        return err;
    struct range *range = &plan->ranges[i];
    uint64_t position = range->from > after ? range->from : after + 1;
    *ret_position = position;
    if (range->from == range->to) {
        remove_range(plan, i);
    } else if (position == range->from) {
        range->from++;
    } else if (position == range->to) {
        range->to--;
    } else {
        memmove(range + 1, range, (plan->count++ - i) * sizeof(*range));
        range[0].to = position - 1;
        range[1].from = position + 1;
    }
    return SPN_OK;
}

static spn_err add_hole(struct rescue *rescue, uint64_t position, uint64_t epoch)
{
    if (rescue->hole_count == rescue->hole_room) {
        size_t room = rescue->hole_room > 0 ? rescue->hole_room * 2 : 64;
        struct hole *holes = realloc(rescue->holes, room * sizeof(*holes));
        if (!holes)
            return SPN_E_NOMEM;
        rescue->holes = holes;
        rescue->hole_room = room;
    }
    rescue->holes[rescue->hole_count++] = (struct hole){position, epoch};
    return SPN_OK;
}

/* Events are given in the order of their positions, so the hole that must end first comes first. If
 * it takes the lowest free positions, there are enough for all: at least those of the lost events
 * themselves. */
static spn_err fill(struct plan *plan, struct rescued_session *session, uint64_t count)
{
    uint64_t after = session->position;
    spn_err err = SPN_OK;
    for (uint64_t i = 0; i < count && err == SPN_OK; i++) {
        err = take_position(plan, after, &after);
        if (err == SPN_OK && after == 0)
            return SPN_OK;
        if (err == SPN_OK)
            err = add_hole(plan->rescue, after, session->epoch);
    }
    return err;
}

static spn_err look_at(void *owner, uint64_t position, struct record_entry *entry)
{
    struct plan *plan = owner;
    struct rescued_session *session = rescued_find(&plan->rescue->rescued, entry->epoch);
    if (!rescue_keeps(plan->rescue, session, position, entry) || session->row.name.size == 0)
        return SPN_OK;
    spn_err err = add_range(plan, plan->next, position - 1);
    plan->next = position + 1;
    if (!record_is_stored(entry->kind))
        return err;
    uint64_t before = session->newest.seq;
    if (err == SPN_OK && session->position > 0 && entry->seq > before + 1)
        err = fill(plan, session, entry->seq - before - 1);
    session->newest.seq = entry->seq;
    session->position = position;
    return err;
}

/* After the newest event that is left, any position will do. */
static spn_err fill_ends(struct plan *plan)
{
    struct rescued *rescued = &plan->rescue->rescued;
    spn_err err = add_range(plan, plan->next, UINT64_MAX / 2);
    for (size_t i = 0; i < rescued->count && err == SPN_OK; i++) {
        struct rescued_session *session = &rescued->sessions[i];
        bool lacks = session->position > 0 && session->row.seq > session->newest.seq;
        if (lacks && !session->dead)
            err = fill(plan, session, session->row.seq - session->newest.seq);
        session->newest = (struct record_entry){.seq = 0};
        session->position = 0;
    }
    return err;
}

static int by_position(const void *a, const void *b)
{
    const struct hole *left = a;
    const struct hole *right = b;
    return (left->position > right->position) - (left->position < right->position);
}

spn_err rescue_find_holes(struct rescue *rescue)
{
    struct plan plan = {.rescue = rescue, .next = 1};
    spn_err err = rescue_each(rescue, look_at, &plan);
    if (err == SPN_OK)
        err = fill_ends(&plan);
    if (rescue->hole_count > 1)
        qsort(rescue->holes, rescue->hole_count, sizeof(*rescue->holes), by_position);
    free(plan.ranges);
    return err;
}
