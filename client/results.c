/* SPDX-License-Identifier: Apache-2.0 */
#include "results.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 16 };

void results_init(struct results *results, uint64_t unread_max)
{
    *results = (struct results){.unread_max = unread_max};
}

void results_release(struct results *results)
{
    free(results->runs);
    *results = (struct results){0};
}

static struct results_run *run_at(const struct results *results, size_t index)
{
    return results->runs + results->head + index;
}

static uint64_t last_of(const struct results_run *run)
{
    return run->first + run->count - 1;
}

/* Removes the first `count` tickets of a run, and the run when it has none left. */
static void shorten(struct results *results, size_t index, uint32_t count)
{
    struct results_run *run = run_at(results, index);
    run->first += count;
    run->count -= count;
    results->unread -= count;
    if (run->count > 0)
        return;
    if (index == 0)
        results->head++;
    else
        memmove(run, run + 1, (results->count - index - 1) * sizeof(*run));
    results->count--;
    if (results->count == 0)
        results->head = 0;
}

/* Makes room for one more run after the last. */
static bool make_room(struct results *results)
{
    if (results->head + results->count < results->capacity)
        return true;
    if (results->runs != NULL && results->head > results->capacity / 2) {
        memmove(results->runs, run_at(results, 0), results->count * sizeof(*results->runs));
        results->head = 0;
        return true;
    }
    size_t capacity = results->capacity > 0 ? results->capacity * 2 : CAPACITY_MIN;
    struct results_run *runs = realloc(results->runs, capacity * sizeof(*runs));
    if (runs == NULL)
        return false;
    results->runs = runs;
    results->capacity = capacity;
    return true;
}

static bool append(struct results *results, uint64_t first, uint32_t count, spn_result result,
                   spn_err code)
{
    struct results_run *last = results->count > 0 ? run_at(results, results->count - 1) : NULL;
    if (last && last_of(last) + 1 == first && last->result == result && last->code == code &&
        count <= UINT32_MAX - last->count) {
        last->count += count;
    } else {
        if (!make_room(results))
            return false;
        *run_at(results, results->count) = (struct results_run){first, count, result, code};
        results->count++;
    }
    results->unread += count;
    return true;
}

void results_add(struct results *results, uint64_t first, uint64_t count, spn_result result,
                 spn_err code)
{
    if (count > results->unread_max) { /* the oldest of these would be dropped at once */
        first += count - results->unread_max;
        count = results->unread_max;
    }
    while (results->unread + count > results->unread_max) {
        uint64_t excess = results->unread + count - results->unread_max;
        uint32_t oldest = run_at(results, 0)->count;
        shorten(results, 0, excess < oldest ? (uint32_t)excess : oldest);
    }
    while (count > 0 && !append(results, first, (uint32_t)count, result, code)) {
        if (results->count == 0)
            return;
        shorten(results, 0, run_at(results, 0)->count);
        if (results->count > 0 && results->head > 0) {
            memmove(results->runs, run_at(results, 0), results->count * sizeof(*results->runs));
            results->head = 0;
        }
    }
}

bool results_next(struct results *results, struct spn_ack *ret_ack)
{
    if (results->count == 0)
        return false;
    const struct results_run *run = run_at(results, 0);
    *ret_ack = (struct spn_ack){run->first, run->result, run->code};
    shorten(results, 0, 1);
    return true;
}

/* Index of the first run that ends at or after the ticket; results->count if there is none. */
static size_t find(const struct results *results, uint64_t ticket)
{
    size_t low = 0;
    size_t high = results->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (last_of(run_at(results, middle)) < ticket)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct results_run *run_of(const struct results *results, uint64_t ticket)
{
    size_t index = find(results, ticket);
    const struct results_run *run = index < results->count ? run_at(results, index) : NULL;
    return run != NULL && run->first <= ticket ? run : NULL;
}

bool results_has(const struct results *results, uint64_t ticket)
{
    return run_of(results, ticket) != NULL;
}

bool results_has_refused(const struct results *results, uint64_t ticket)
{
    const struct results_run *run = run_of(results, ticket);
    return run != NULL && run->result == SPN_REFUSED;
}

/* Cuts a run in two so that one begins at the ticket. False: no memory, the run stays whole. */
static bool split(struct results *results, size_t index, uint64_t ticket)
{
    struct results_run *run = run_at(results, index);
    if (run->first == ticket)
        return true;
    if (!make_room(results))
        return false;
    run = run_at(results, index);
    memmove(run + 1, run, (results->count - index) * sizeof(*run));
    results->count++;
    run[0].count = (uint32_t)(ticket - run->first);
    run[1].count -= run[0].count;
    run[1].first = ticket;
    return true;
}

bool results_take(struct results *results, uint64_t ticket, struct spn_ack *ret_ack)
{
    size_t index = find(results, ticket);
    if (index == results->count || run_at(results, index)->first > ticket)
        return false;
    const struct results_run *run = run_at(results, index);
    *ret_ack = (struct spn_ack){ticket, run->result, run->code};
    if (ticket == last_of(run) && run->count > 1) { /* at the end: no need to split */
        run_at(results, index)->count--;
        results->unread--;
        return true;
    }
    if (!split(results, index, ticket)) {
        /* No memory for the second half: the run's older tickets are dropped, as when there are too
         * many. */
        shorten(results, index, (uint32_t)(ticket - run_at(results, index)->first));
        shorten(results, index, 1);
        return true;
    }
    if (run_at(results, index)->first < ticket)
        index++;
    shorten(results, index, 1);
    return true;
}

void results_lose(struct results *results, uint64_t first, uint64_t last,
                  uint64_t by_result[SPN_LOST + 1])
{
    for (size_t index = find(results, first); index < results->count; index++) {
        struct results_run *run = run_at(results, index);
        if (run->first > last)
            return;
        if (run->first < first && split(results, index, first))
            continue; /* the second half is next */
        if (last_of(run) > last && !split(results, index, last + 1))
            return;
        run = run_at(results, index);
        by_result[run->result] += run->count;
        run->result = SPN_LOST;
        run->code = SPN_E_LOST;
    }
}
