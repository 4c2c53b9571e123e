/* SPDX-License-Identifier: Apache-2.0 */
/* spans: which sessions end by themselves, and when?
 *
 * A session that has a time to live or an idle close of its own, or was touched, has a span here.
 * An event or a touch only notes the time. A deadline that comes too early for that is set again,
 * so a deadline moves at most once for each of its spans, however many events there are.
 *
 * A span knows all that the entry needs which ends the session, so the session's tracker may be
 * evicted meanwhile.
 *
 * Owns     the spans.
 * Lends    a span: until it is removed.
 * Units    nanoseconds of the database clock.
 * Threads  the broker's (recovery fills it before the broker runs).
 */
#ifndef SPN_SPANS_H
#define SPN_SPANS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/deadline_heap.h"
#include "spn_err.h"
#include "store/record_entry.h"

struct span {
    struct deadline deadline;
    uint64_t epoch;
    struct spn_life life;
    uint64_t ttl_ns;    /* of its own; 0: the default */
    uint64_t idle_ns;   /* 0: it is never closed */
    uint64_t active_ns; /* newest event, touch, close or attributes */
    uint64_t stored_ns; /* the same, as far as the log has it */
    struct record_extent extent;
    uint32_t slot;
    bool closed;
    uint8_t name_size;
    uint8_t name[];
};

struct spans {
    struct deadline_heap heap;
    struct span **by_slot;
    uint32_t room; /* of by_slot */
    uint32_t count;
    uint64_t default_ttl_ns; /* 0: sessions do not expire */
    uint64_t started_ns;     /* no session is closed in the first quarter of its span after that */
};

/* What a due session needs. */
enum span_end { SPAN_CLOSE, SPAN_EXPIRE };

/* Which session a span is for. */
struct span_session {
    uint32_t slot;
    uint64_t epoch;
    struct spn_life life;
    struct record_extent extent;
    struct spn_bytes name;
};

spn_err spans_init(struct spans *spans) SPN_MUST_USE;
void spans_release(struct spans *spans); /* takes an object that was only zeroed */

/* NULL: there is none. */
struct span *spans_find(const struct spans *spans, uint32_t slot, uint64_t epoch);

/* The session's span, made if there is none; then it is active at now_ns. Without spans of its own
 * it has no deadline. SPN_E_NOMEM. */
spn_err spans_make(struct spans *spans, const struct span_session *session, uint64_t now_ns,
                   struct span **ret_span) SPN_MUST_USE;
/* Takes NULL. */
void spans_remove(struct spans *spans, struct span *span);

/* Sets the session's own spans. A span that serves for nothing any more is removed. */
void spans_set(struct spans *spans, struct span *span, uint64_t ttl_ns, uint64_t idle_ns);

/* Something of the session went into the log at this time; then it had come so far. */
void span_store(struct span *span, const struct record_extent *extent, uint64_t now_ns);
/* The session is closed: from here on only its time to live counts. */
void span_close(struct span *span, const struct record_extent *extent, uint64_t now_ns);
/* The session is touched. True: the touch has to go into the log, since what is there is older than
 * a quarter of the shorter span. */
bool spans_touch(struct spans *spans, struct span *span, uint64_t now_ns);

/* Whether the session was active within the default time to live, or has one of its own. */
bool spans_keep(const struct spans *spans, const struct span *span, uint64_t now_ns);

/* The next session that is due; NULL: none is. Its deadline is not set then: close it and call
 * spans_rearm, remove it, or call spans_retry. */
struct span *spans_next(struct spans *spans, uint64_t now_ns, enum span_end *ret_end);
void spans_rearm(struct spans *spans, struct span *span);
void spans_retry(struct spans *spans, struct span *span, uint64_t due_ns);

/* When to call spans_next; UINT64_MAX: never. */
uint64_t spans_due_ns(const struct spans *spans);

#endif
