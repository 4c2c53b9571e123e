/* SPDX-License-Identifier: Apache-2.0 */
/* flat_json: JSON objects that have only texts and numbers in them.
 *
 * jansson takes up to 100 times the size of a hostile text (`[{},{},...`) in memory. So an object
 * is scanned before jansson gets it: the scan finds its end, and refuses what is nested and what
 * has too many keys. What is left costs little more than its text. All else that is wrong with it
 * is found by jansson.
 *
 * Borrows  bytes, during the call.
 * Threads  pure functions on the caller's memory.
 */
#ifndef SPN_HTTP_FLAT_JSON_H
#define SPN_HTTP_FLAT_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/out.h"
#include "http/problem.h"

enum { FLAT_JSON_KEYS_MAX = 16 };

/* Zeros: after the object's `{`. */
struct flat_scan {
    bool in_text;
    bool escaped; /* the byte after a backslash comes */
    unsigned commas;
};

enum flat_found { FLAT_MORE, FLAT_WHOLE, FLAT_NESTED, FLAT_MANY_KEYS };

/* Takes bytes until the object ends, which is FLAT_WHOLE, or something is wrong. */
enum flat_found flat_scan_take(struct flat_scan *scan, const char *bytes, size_t size,
                               size_t *ret_used);

/* What JSON allows between values. */
bool flat_json_is_space(char byte);

/* In the functions below `what` names the object in details, such as "event 3". */

/* The problem that a scan found. Returns false. */
bool flat_json_refuse(enum flat_found found, const char *what, struct problem *ret_problem);

/* An object that was scanned; its keys are among these. NULL: see the problem. */
json_t *flat_json_load(struct spn_bytes text, const char *const *keys, size_t keys_count,
                       const char *what, struct problem *ret_problem);

/* The bytes of `key`, or of `base64_key`, which are decoded into *decoded. Absent and null: data is
 * NULL. They are valid as long as the object and *decoded. */
bool flat_json_bytes(const json_t *object, const char *key, const char *base64_key,
                     struct out *decoded, const char *what, struct spn_bytes *ret_bytes,
                     struct problem *ret_problem);

/* A number from 0 to max, which is below 2^63. Absent and null: *ret_number stays as it is. */
bool flat_json_number(const json_t *object, const char *key, uint64_t max, const char *what,
                      uint64_t *ret_number, struct problem *ret_problem);

#endif
