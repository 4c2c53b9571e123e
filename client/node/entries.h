/* SPDX-License-Identifier: Apache-2.0 */
/* entries: what is published, out of the arguments of a call.
 *
 * Borrows  bytes that `texts` keeps, or the caller's arrays.
 * Errors   a function that returns false has left an exception for JavaScript.
 */
#ifndef SPONSON_NODE_ENTRIES_H
#define SPONSON_NODE_ENTRIES_H

#include "values.h"

/* Arguments in a row: kind, id, type, data, retry, note. */
enum { EVENT_ARGS = 6 };
bool take_event(struct texts *texts, const napi_value args[EVENT_ARGS], struct spn_event *ret);

/* {ifNew, ifSeq, life, dependent, closes, reason}. */
struct conditions {
    struct spn_publish_options options;
    struct spn_life life;
};
bool take_conditions(struct texts *texts, napi_value object, struct conditions *ret);

/* {ttlMs, idleCloseMs, contentType, note}. */
bool take_attributes(struct texts *texts, napi_value object, struct spn_attributes *ret);

#endif
