/* SPDX-License-Identifier: Apache-2.0 */
/* event: the events that an app gives, and those that it gets.
 *
 * Lends    the bytes of what it was made from.
 * Threads  pure functions.
 */
#ifndef SPN_CLIENT_EVENT_H
#define SPN_CLIENT_EVENT_H

#include "sized.h"
#include "sponson.h"
#include "wire.h"

/* Whether this is an item that a session's readers may get. */
static inline bool item_is_readable(const struct wire_item *item)
{
    return wire_is_stored(item->entry.kind);
}

static inline struct spn_event item_event(const struct wire_item *item, struct spn_life life)
{
    const struct wire_entry *entry = &item->entry;
    return (struct spn_event){.size = sizeof(struct spn_event),
                              .kind = entry->kind == WIRE_EVENT    ? SPN_EVENT
                                      : entry->kind == WIRE_MARKER ? SPN_MARKER
                                                                   : SPN_RESET,
                              .id = entry->id,
                              .type = entry->type,
                              .data = entry->data,
                              .note = entry->note,
                              .closes = (entry->flags & WIRE_FLAG_CLOSES) != 0,
                              .reason = entry->reason,
                              .retry_ms = entry->retry_ms,
                              .resets_id = false,
                              .seq = item->seq,
                              .position = item->position,
                              .life = life,
                              .time_ms = item->time_ms};
}

#define EVENT_WITHOUT_SIZE                                                                         \
    "spn_event.size is not set, or it is of a later version and sets fields unknown to this "      \
    "version"

/* An event that the app gave, as this version of the library knows it: itself, or filled in *copy.
 * NULL: its size is not set, or it sets fields that this version does not know. */
static inline const struct spn_event *event_given(const struct spn_event *event,
                                                  struct spn_event *copy)
{
    if (event->size == sizeof(*event))
        return event;
    bool known = sized_take(copy, sizeof(*copy), SIZED_THROUGH(struct spn_event, retry_ms), event);
    return known ? copy : NULL;
}

#endif
