/* SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <string.h>

#include "handle.h"

enum {
    PORTION_ITEMS_MAX = 64,
    PORTION_BYTES_MAX = 128 * 1024,
};

bool portion_has_room(const struct portion *portion)
{
    return portion->count < portion->room && portion->count < PORTION_ITEMS_MAX &&
           portion->bytes < PORTION_BYTES_MAX;
}

static bool set(struct portion *portion, enum item_value which, napi_value value)
{
    uint32_t index = (uint32_t)(portion->count * ITEM_VALUES) + which;
    return value != NULL &&
           ok(portion->env, napi_set_element(portion->env, portion->values, index, value));
}

/* The same of a value that is rare. */
static bool set_rare(struct portion *portion, enum item_value which, enum item_has has,
                     napi_value value)
{
    double *numbers = portion->numbers + portion->count * ITEM_NUMBERS;
    numbers[ITEM_HAS] += (double)has;
    return set(portion, which, value);
}

static double *numbers_of(struct portion *portion)
{
    double *numbers = portion->numbers + portion->count * ITEM_NUMBERS;
    memset(numbers, 0, ITEM_NUMBERS * sizeof(*numbers));
    numbers[ITEM_EVENT_KIND] = NO_EVENT;
    return numbers;
}

/* -- what is rare ------------------------------------------------------------------------------ */

/* The object for it is made when the first is met. */
static napi_value more_of(struct portion *portion, napi_value *more)
{
    if (*more == NULL)
        *more = make_object(portion->env);
    return *more;
}

static bool put_more(struct portion *portion, napi_value *more, const char *name, napi_value value)
{
    return more_of(portion, more) != NULL && put(portion->env, *more, name, value);
}

static bool put_more_text(struct portion *portion, napi_value *more, const char *name,
                          struct spn_bytes text)
{
    return text.size == 0 || put_more(portion, more, name, make_text(portion->env, text));
}

static bool put_new_life(struct portion *portion, struct reading *reading, napi_value *more,
                         struct spn_life life)
{
    if (memcmp(&life, &reading->life, sizeof(life)) == 0)
        return true;
    reading->life = life;
    return put_more(portion, more, "life", make_life(portion->env, life.bytes));
}

static bool put_event_more(struct portion *portion, const struct reading *reading,
                           const struct spn_event *event, napi_value *more)
{
    napi_env env = portion->env;
    napi_value closes = NULL;
    if (event->note.size > 0 &&
        !put_more(portion, more, "note", make_content(env, event->note, reading->as_bytes)))
        return false;
    if (!event->closes)
        return true;
    return ok(env, napi_get_boolean(env, true, &closes)) &&
           put_more(portion, more, "closes", closes) &&
           put_more(portion, more, "reason", make_text(env, event->reason));
}

static napi_value make_attributes(napi_env env, const struct spn_attributes *attributes,
                                  bool as_bytes)
{
    napi_value object = make_object(env);
    bool made = object != NULL && put_number(env, object, "ttlMs", attributes->ttl_ms) &&
                put_number(env, object, "idleCloseMs", attributes->idle_close_ms) &&
                put_text(env, object, "contentType", attributes->content_type) &&
                put(env, object, "note", make_content(env, attributes->note, as_bytes));
    return made ? object : NULL;
}

static bool put_follow_more(struct portion *portion, const struct reading *reading,
                            const struct spn_item *item, napi_value *more)
{
    static const unsigned char none[SPN_DATABASE_ID_SIZE];
    if (!put_more_text(portion, more, "session", item->session))
        return false;
    if (memcmp(item->database, none, sizeof(none)) != 0 &&
        !put_more(portion, more, "database", make_life(portion->env, item->database)))
        return false;
    return item->attributes == NULL ||
           put_more(portion, more, "attributes",
                    make_attributes(portion->env, item->attributes, reading->as_bytes));
}

static bool put_item_more(struct portion *portion, struct reading *reading,
                          const struct spn_item *item, napi_value *more)
{
    if (!put_new_life(portion, reading, more, item->life) ||
        !put_follow_more(portion, reading, item, more) ||
        !put_more_text(portion, more, "reason", item->reason))
        return false;
    return item->kind != SPN_ITEM_VERDICT || put_more_text(portion, more, "id", item->id);
}

/* -- items ------------------------------------------------------------------------------------- */

static bool set_event(struct portion *portion, const struct reading *reading,
                      const struct spn_event *event, double *numbers)
{
    napi_env env = portion->env;
    size_t size = event->id.size + event->type.size + event->data.size + event->note.size;
    numbers[ITEM_EVENT_KIND] = event->kind;
    numbers[ITEM_RETRY] = event->retry_ms == SPN_RETRY_NONE ? -1 : (double)event->retry_ms;
    numbers[ITEM_EVENT_SEQ] = (double)event->seq;
    numbers[ITEM_POSITION] = (double)event->position;
    numbers[ITEM_TIME] = (double)event->time_ms;
    numbers[ITEM_SIZE] = (double)size;
    portion->bytes += size;
    return set(portion, ITEM_ID, make_text(env, event->id)) &&
           (event->type.size == 0 ||
            set_rare(portion, ITEM_TYPE, ITEM_HAS_TYPE, make_text(env, event->type))) &&
           set(portion, ITEM_DATA, make_content(env, event->data, reading->as_bytes));
}

static bool finish(struct portion *portion, napi_value more)
{
    if (more != NULL && !set_rare(portion, ITEM_MORE, ITEM_HAS_MORE, more))
        return false;
    portion->count++;
    return true;
}

bool portion_put_event(struct portion *portion, struct reading *reading,
                       const struct spn_event *event)
{
    double *numbers = numbers_of(portion);
    napi_value more = NULL;
    numbers[ITEM_KIND] = SPN_ITEM_EVENT;
    numbers[ITEM_SEQ] = (double)event->seq;
    return set_event(portion, reading, event, numbers) &&
           put_new_life(portion, reading, &more, event->life) &&
           put_event_more(portion, reading, event, &more) && finish(portion, more);
}

bool portion_put_item(struct portion *portion, struct reading *reading, const struct spn_item *item)
{
    double *numbers = numbers_of(portion);
    napi_value more = NULL;
    numbers[ITEM_OWNER] = reading->owner;
    numbers[ITEM_KIND] = item->kind;
    numbers[ITEM_MISSING] = (double)item->missing;
    numbers[ITEM_SEQ] = (double)item->seq;
    numbers[ITEM_WHY] = item->why;
    numbers[ITEM_NEWEST] = (double)item->newest;
    numbers[ITEM_STATE] = item->state;
    numbers[ITEM_FIRST] = (double)item->first;
    numbers[ITEM_LAST] = (double)item->last;
    if (item->event != NULL && !(set_event(portion, reading, item->event, numbers) &&
                                 put_event_more(portion, reading, item->event, &more)))
        return false;
    return put_item_more(portion, reading, item, &more) && finish(portion, more);
}
