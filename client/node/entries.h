/* SPDX-License-Identifier: Apache-2.0 */
/* entries: what is published, out of the arguments of a call.
 *
 * Borrows  bytes that `texts` keeps, or the caller's arrays.
 * Errors   a function that returns false has left an exception for JavaScript.
 */
#ifndef SPONSON_NODE_ENTRIES_H
#define SPONSON_NODE_ENTRIES_H

#include "values.h"

/* Arguments in a row: data, id, type, retryMs, note, kind. Of those beyond count nothing is asked:
 * each question costs as much as a short string. */
enum { EVENT_ARGS = 6 };
bool take_event(struct texts *texts, const napi_value args[EVENT_ARGS], size_t count,
                struct spn_event *ret);

/* {ifNew, ifSeq, life, dependent, closes, reason}. */
struct conditions {
    struct spn_publish_options options;
    struct spn_life life;
};
bool take_conditions(struct texts *texts, napi_value object, struct conditions *ret);

/* {ttlMs, idleCloseMs, contentType, note}. */
bool take_attributes(struct texts *texts, napi_value object, struct spn_attributes *ret);

#endif
