/* SPDX-License-Identifier: Apache-2.0 */
/* sse_text: spn_sse_*, the parser and formatter of text/event-stream for users of the library.
 *
 * Owns     one parser per spn_sse.
 * Lends    an event and its bytes: until the next call on the same parser.
 */
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "sse.h"
#include "wire.h"

/* An event of the sidecar's default limit fits, whatever its id and its type. */
enum { EVENT_MAX_DEFAULT = 4 * 1024 * 1024 + WIRE_ID_MAX + WIRE_TYPE_MAX };

struct spn_sse {
    struct sse_parser parser;
    struct spn_event event; /* the one returned last */
};

spn_err spn_sse_open(spn_sse **ret_sse, size_t event_max)
{
    if (ret_sse == NULL || event_max > SIZE_MAX / 4)
        return SPN_E_INVALID;
    struct spn_sse *sse = calloc(1, sizeof(*sse));
    if (sse == NULL)
        return SPN_E_NOMEM;
    sse_parser_init(&sse->parser, event_max > 0 ? event_max : EVENT_MAX_DEFAULT);
    *ret_sse = sse;
    return SPN_OK;
}

void spn_sse_close(spn_sse *sse)
{
    if (sse == NULL)
        return;
    sse_parser_release(&sse->parser);
    free(sse);
}

static bool is_reset(const struct sse_event *event)
{
    return event->id.data != NULL && event->id.size == 0;
}

static spn_event_kind kind_of(const struct sse_event *event)
{
    if (!event->marker)
        return SPN_EVENT;
    return is_reset(event) ? SPN_RESET : SPN_MARKER;
}

spn_err spn_sse_next(spn_sse *sse, const void *bytes, size_t size, size_t *ret_used,
                     const struct spn_event **ret_event)
{
    struct sse_event event;
    bool ready = false;
    if (sse == NULL || ret_used == NULL || ret_event == NULL || (bytes == NULL && size > 0))
        return SPN_E_INVALID;
    spn_err err = sse_parser_feed(&sse->parser, bytes, size, ret_used, &ready, &event);
    if (err != SPN_OK)
        return err;
    if (!ready)
        return SPN_E_END;
    sse->event = (struct spn_event){
        .size = sizeof(sse->event),
        .kind = kind_of(&event),
        .id = event.id,
        .type = event.type,
        .data = event.data,
        .retry_ms = event.has_retry ? event.retry_ms : SPN_RETRY_NONE,
        .resets_id = !event.marker && is_reset(&event),
    };
    *ret_event = &sse->event;
    return SPN_OK;
}

struct spn_bytes spn_sse_last_id(const spn_sse *sse)
{
    if (sse == NULL)
        return (struct spn_bytes){NULL, 0};
    return (struct spn_bytes){sse->parser.last_id.data, sse->parser.last_id.size};
}

spn_err spn_sse_format(const struct spn_event *given, void *out, size_t out_size, size_t *ret_size)
{
    struct spn_event copy;
    if (given == NULL || ret_size == NULL || (out == NULL && out_size > 0))
        return SPN_E_INVALID;
    const struct spn_event *event = event_given(given, &copy);
    *ret_size = 0;
    if (event == NULL)
        return SPN_E_INVALID;
    struct sse_event text = {.marker = event->kind != SPN_EVENT,
                             .type = event->type,
                             .data = event->data,
                             .has_retry = event->retry_ms != SPN_RETRY_NONE,
                             .retry_ms = event->retry_ms};
    bool resets = event->kind == SPN_RESET || (event->kind == SPN_EVENT && event->resets_id);
    if (event->id.size > 0 && event->kind != SPN_RESET)
        text.id = event->id;
    else if (resets)
        text.id = (struct spn_bytes){"", 0};
    *ret_size = sse_format_size(&text);
    if (*ret_size > out_size)
        return SPN_E_INVALID;
    return sse_format(&text, out, out_size, ret_size);
}
