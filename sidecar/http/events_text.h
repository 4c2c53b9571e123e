/* SPDX-License-Identifier: Apache-2.0 */
/* events_text: the stream of all sessions as text: a place in the log, and what happened there.
 *
 * A place is `DATABASE:POSITION`: the database's id in 32 hexadecimal digits, then a number. The
 * position alone would mean something else after the database was replaced.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_EVENTS_TEXT_H
#define SPN_HTTP_EVENTS_TEXT_H

#include "sponson.h"

#include "base/out.h"

struct events_place {
    unsigned char database[SPN_DATABASE_ID_SIZE];
    uint64_t position;
};

enum { EVENTS_PLACE_SIZE = 2 * SPN_DATABASE_ID_SIZE + sizeof(":18446744073709551615") };

/* Where the log stands after this item. */
struct events_place events_place_of(const struct spn_item *item);

void events_place_format(const struct events_place *place, char ret_text[EVENTS_PLACE_SIZE]);
/* False: it is not the text of a place. */
bool events_place_parse(struct spn_bytes text, struct events_place *ret_place);

/* Appends an event without a type. Its data is
 * {"session":…,"life":…,"seq":…,"kind":…,"id":…,"type":…,"data":…,"time":…}; the id, the type and
 * the data only where there are any. kind: event, marker, reset, open, close, delete, expire,
 * attributes or touch. */
void events_text_item(struct out *out, const struct spn_item *item);

#endif
