/* SPDX-License-Identifier: Apache-2.0 */
#include "state/spans.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of a span: how long it lasts at least after a start, and how old what the log has may be. */
enum { ROOM_FIRST = 1024, GRACE = 4, STORED = 4 };

spn_err spans_init(struct spans *spans)
{
    *spans = (struct spans){.count = 0};
    return deadline_heap_init(&spans->heap, 1);
}

void spans_release(struct spans *spans)
{
    for (uint32_t slot = 0; slot < spans->room; slot++)
        free(spans->by_slot[slot]);
    free(spans->by_slot);
    spans->by_slot = NULL;
    spans->room = spans->count = 0;
    deadline_heap_release(&spans->heap);
}

struct span *spans_find(const struct spans *spans, uint32_t slot, uint64_t epoch)
{
    struct span *span = slot < spans->room ? spans->by_slot[slot] : NULL;
    return span && span->epoch == epoch ? span : NULL;
}

static spn_err make_room(struct spans *spans, uint32_t slot)
{
    uint64_t room = spans->room > 0 ? spans->room : ROOM_FIRST;
    while (room <= slot)
        room *= 2;
    spn_err err = deadline_heap_reserve(&spans->heap, (size_t)spans->count + 1);
    if (err != SPN_OK || room == spans->room)
        return err;
    struct span **by_slot = realloc(spans->by_slot, room * sizeof(struct span *));
    if (!by_slot)
        return SPN_E_NOMEM;
    memset(by_slot + spans->room, 0, (room - spans->room) * sizeof(struct span *));
    spans->by_slot = by_slot;
    spans->room = (uint32_t)room;
    return SPN_OK;
}

spn_err spans_make(struct spans *spans, const struct span_session *session, uint64_t now_ns,
                   struct span **ret_span)
{
    struct span *span = spans_find(spans, session->slot, session->epoch);
    if (span) {
        *ret_span = span;
        return SPN_OK;
    }
    spn_err err = make_room(spans, session->slot);
    span = err == SPN_OK ? malloc(sizeof(*span) + session->name.size) : NULL;
    if (!span)
        return SPN_E_NOMEM;
    *span = (struct span){.deadline = DEADLINE_INIT,
                          .epoch = session->epoch,
                          .life = session->life,
                          .active_ns = now_ns,
                          .stored_ns = now_ns,
                          .extent = session->extent,
                          .slot = session->slot,
                          .name_size = (uint8_t)session->name.size};
    memcpy(span->name, session->name.data, session->name.size);
    spans_remove(spans, spans->by_slot[session->slot]); /* of a session that is gone */
    spans->by_slot[session->slot] = span;
    spans->count++;
    *ret_span = span;
    return SPN_OK;
}

void spans_remove(struct spans *spans, struct span *span)
{
    if (!span)
        return;
    deadline_heap_remove(&spans->heap, &span->deadline);
    spans->by_slot[span->slot] = NULL;
    spans->count--;
    free(span);
}

/* -- when -------------------------------------------------------------------------------------- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool may_close(const struct span *span)
{
    return span->idle_ns > 0 && !span->closed;
}

static uint64_t close_due_ns(const struct spans *spans, const struct span *span)
{
    return may_close(span)
               ? later(span->active_ns + span->idle_ns, spans->started_ns + span->idle_ns / GRACE)
               : UINT64_MAX;
}

static uint64_t expire_due_ns(const struct span *span)
{
    return span->ttl_ns > 0 ? span->active_ns + span->ttl_ns : UINT64_MAX;
}

/* A span without a purpose of its own only keeps a touch, until the default time to live is over
 * since then. */
static bool only_keeps(const struct span *span)
{
    return span->ttl_ns == 0 && !may_close(span);
}

static uint64_t due_ns(const struct spans *spans, const struct span *span)
{
    if (only_keeps(span))
        return spans->default_ttl_ns > 0 ? span->active_ns + spans->default_ttl_ns : UINT64_MAX;
    uint64_t close_ns = close_due_ns(spans, span);
    uint64_t expire_ns = expire_due_ns(span);
    return close_ns < expire_ns ? close_ns : expire_ns;
}

void spans_rearm(struct spans *spans, struct span *span)
{
    uint64_t due = due_ns(spans, span);
    deadline_heap_remove(&spans->heap, &span->deadline);
    if (due != UINT64_MAX)
        deadline_heap_insert(&spans->heap, &span->deadline, due);
}

void spans_retry(struct spans *spans, struct span *span, uint64_t retry_ns)
{
    deadline_heap_insert(&spans->heap, &span->deadline, retry_ns);
}

void spans_set(struct spans *spans, struct span *span, uint64_t ttl_ns, uint64_t idle_ns)
{
    span->ttl_ns = ttl_ns;
    span->idle_ns = idle_ns;
    if (only_keeps(span) && (span->active_ns == span->stored_ns || spans->default_ttl_ns == 0) &&
        idle_ns == 0)
        spans_remove(spans, span);
    else
        spans_rearm(spans, span);
}

void span_store(struct span *span, const struct record_extent *extent, uint64_t now_ns)
{
    span->extent = *extent;
    span->active_ns = later(span->active_ns, now_ns);
    span->stored_ns = later(span->stored_ns, now_ns);
}

void span_close(struct span *span, const struct record_extent *extent, uint64_t now_ns)
{
    span_store(span, extent, now_ns);
    span->closed = true;
}

bool spans_touch(struct spans *spans, struct span *span, uint64_t now_ns)
{
    uint64_t shorter_ns = span->ttl_ns > 0 ? span->ttl_ns : spans->default_ttl_ns;
    if (may_close(span) && (shorter_ns == 0 || span->idle_ns < shorter_ns))
        shorter_ns = span->idle_ns;
    span->active_ns = later(span->active_ns, now_ns);
    if (!deadline_is_set(&span->deadline))
        spans_rearm(spans, span);
    return shorter_ns > 0 && now_ns - span->stored_ns >= shorter_ns / STORED;
}

bool spans_keep(const struct spans *spans, const struct span *span, uint64_t now_ns)
{
    return span->ttl_ns > 0 || now_ns < span->active_ns + spans->default_ttl_ns;
}

struct span *spans_next(struct spans *spans, uint64_t now_ns, enum span_end *ret_end)
{
    struct deadline *deadline;
    while ((deadline = deadline_heap_pop(&spans->heap, now_ns)) != NULL) {
        struct span *span = (struct span *)deadline; /* the first member */
        if (expire_due_ns(span) <= now_ns) {
            *ret_end = SPAN_EXPIRE;
            return span;
        }
        if (close_due_ns(spans, span) <= now_ns) {
            *ret_end = SPAN_CLOSE;
            return span;
        }
        if (only_keeps(span) && due_ns(spans, span) <= now_ns && span->idle_ns == 0)
            spans_remove(spans, span);
        else if (due_ns(spans, span) > now_ns)
            spans_rearm(spans, span);
    }
    return NULL;
}

uint64_t spans_due_ns(const struct spans *spans)
{
    const struct deadline *first = deadline_heap_first(&spans->heap);
    return first ? first->due_ns : UINT64_MAX;
}
