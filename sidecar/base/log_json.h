/* SPDX-License-Identifier: Apache-2.0 */
/* log_json: a line of the log as JSON.
 *
 * The keys of a line are written as logfmt, by printf. Here they are taken apart again: a value in
 * quotes is a string, a number is a number, all others are strings.
 *
 * Threads  pure functions.
 */
#ifndef SPN_LOG_JSON_H
#define SPN_LOG_JSON_H

#include <stddef.h>

/* Writes an object without a line end into size bytes, at least 256; returns how many it took. Keys
 * that do not fit are left out. */
size_t log_json(char *line, size_t size, const char *time, const char *level, const char *event,
                const char *keys);

#endif
