/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session_pick.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { KEPT_MIN = 256 };

/* -- which ------------------------------------------------------------------------------------- */

const char *session_pick_set_state(struct session_pick *pick, const char *text)
{
    static const spn_session_state states[] = {SPN_LIVE, SPN_CLOSED, SPN_DAMAGED};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        const char *name = spn_session_state_name(states[i]);
        if (strcmp(text, name) != 0)
            continue;
        pick->has_state = true;
        pick->state = states[i];
        return name;
    }
    return NULL;
}

bool session_pick_takes(const struct session_pick *pick, const struct spn_session *session,
                        uint64_t now_ms)
{
    struct spn_bytes prefix = pick->prefix;
    if (session->name.size < prefix.size ||
        (prefix.size > 0 && memcmp(session->name.data, prefix.data, prefix.size) != 0))
        return false;
    if (pick->has_state && session->state != pick->state)
        return false;
    if (pick->older_than_ms == 0)
        return true;
    return session->last_ms > 0 && session->last_ms <= now_ms &&
           now_ms - session->last_ms >= pick->older_than_ms;
}

/* -- in which order ---------------------------------------------------------------------------- */

bool session_order_parse(const char *text, enum session_order_by *ret_by)
{
    static const char *const names[] = {
#define SESSION_ORDER_NAME(name, option) option,
        SESSION_ORDER_MAP(SESSION_ORDER_NAME)
#undef SESSION_ORDER_NAME
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], text) != 0)
            continue;
        *ret_by = (enum session_order_by)i;
        return true;
    }
    return false;
}

static uint64_t number_of(const struct spn_session *session, enum session_order_by by)
{
    switch (by) {
    case SESSION_BY_EVENTS:
        return session->seq - session->markers;
    case SESSION_BY_BYTES:
        return session->bytes;
    case SESSION_BY_NEWEST:
        return session->last_ms;
    case SESSION_BY_OPENED:
        return session->opened_ms;
    case SESSION_BY_DUPLICATES:
        return session->duplicates;
    case SESSION_BY_CONFLICTS:
        return session->conflicts;
    case SESSION_BY_NAME:
        break;
    }
    return 0;
}

/* Of equal ones, by name, so that the order is always the same. */
static int compare(const void *left, const void *right, void *argument)
{
    const struct session_order *order = argument;
    const struct spn_session *a = &((const struct session_kept *)left)->session;
    const struct spn_session *b = &((const struct session_kept *)right)->session;
    uint64_t of_a = number_of(a, order->by);
    uint64_t of_b = number_of(b, order->by);
    int first = of_a != of_b ? (of_a > of_b ? -1 : 1) : text_compare(a->name, b->name);
    return order->reverse ? -first : first;
}

void session_order_end(struct session_order *order)
{
    if (order->count > 1)
        qsort_r(order->kept, order->count, sizeof(*order->kept), compare, order);
    while (order->limit > 0 && order->count > order->limit)
        free(order->kept[--order->count].text);
}

static spn_err make_room(struct session_order *order)
{
    if (order->count < order->capacity)
        return SPN_OK;
    if (order->limit > 0 && order->limit <= order->count / 2) {
        session_order_end(order);
        return SPN_OK;
    }
    size_t capacity = order->capacity > 0 ? 2 * order->capacity : KEPT_MIN;
    struct session_kept *more = reallocarray(order->kept, capacity, sizeof(*more));
    if (!more)
        return SPN_E_NOMEM;
    order->kept = more;
    order->capacity = capacity;
    return SPN_OK;
}

spn_err session_order_add(struct session_order *order, const struct spn_session *session)
{
    spn_err err = make_room(order);
    if (err != SPN_OK)
        return err;
    struct session_kept kept = {.session = *session};
    err = session_keep_texts(&kept.session, &kept.text);
    if (err == SPN_OK)
        order->kept[order->count++] = kept;
    return err;
}

void session_order_release(struct session_order *order)
{
    for (size_t i = 0; i < order->count; i++)
        free(order->kept[i].text);
    free(order->kept);
    order->kept = NULL;
    order->count = 0;
    order->capacity = 0;
}

/* -- texts ------------------------------------------------------------------------------------- */

spn_err session_keep_texts(struct spn_session *session, char **text)
{
    struct spn_bytes *texts[] = {&session->name, &session->last_id, &session->reason,
                                 &session->content_type};
    size_t size = 1;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        size += texts[i]->size;
    char *piece = malloc(size);
    char *to = piece;
    if (!piece)
        return SPN_E_NOMEM;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i]->size > 0)
            memcpy(to, texts[i]->data, texts[i]->size);
        texts[i]->data = to;
        to += texts[i]->size;
    }
    free(*text);
    *text = piece;
    return SPN_OK;
}
