/* SPDX-License-Identifier: Apache-2.0 */
/* items: what is read, as JavaScript gets it.
 *
 * Many small objects made here would cost more than all else, so a portion of items is an array of
 * numbers, ITEM_NUMBERS each, and an array of values, ITEM_VALUES each; what is rare is a property
 * of the last of those, an object. JavaScript makes its own objects out of them.
 *
 * Errors   a function that returns false has left an exception for JavaScript.
 */
#ifndef SPONSON_NODE_ITEMS_H
#define SPONSON_NODE_ITEMS_H

#include "values.h"

enum item_number {
    ITEM_OWNER, /* which subscription: the number that JavaScript gave it */
    ITEM_KIND,
    ITEM_MISSING,
    ITEM_SEQ,
    ITEM_WHY,
    ITEM_EVENT_KIND, /* NO_EVENT: it has none */
    ITEM_RETRY,      /* -1: none */
    ITEM_EVENT_SEQ,
    ITEM_POSITION,
    ITEM_TIME,
    ITEM_SIZE, /* bytes of its texts */
    ITEM_NEWEST,
    ITEM_STATE,
    ITEM_FIRST,
    ITEM_LAST,
    ITEM_HAS, /* which of the values below are given: each that is not costs nothing */
    ITEM_NUMBERS,
};
enum item_value { ITEM_ID, ITEM_TYPE, ITEM_DATA, ITEM_MORE, ITEM_VALUES };
enum item_has { ITEM_HAS_TYPE = 1, ITEM_HAS_MORE = 2 };
#define NO_EVENT (-1.0)

/* Where a portion of items goes. */
struct portion {
    napi_env env;
    double *numbers;
    size_t room; /* items for which there are numbers */
    napi_value values;
    size_t count;
    size_t bytes;
};

/* Is there room for one more, and was not too much taken for one turn of the loop? */
bool portion_has_room(const struct portion *portion);

/* as_bytes: data and note are Buffers. A life that is that of the item before it is left out. */
struct reading {
    double owner;
    bool as_bytes;
    struct spn_life life;
};
bool portion_put_item(struct portion *portion, struct reading *reading,
                      const struct spn_item *item);
bool portion_put_event(struct portion *portion, struct reading *reading,
                       const struct spn_event *event);

#endif
