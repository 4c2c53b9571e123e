/* SPDX-License-Identifier: Apache-2.0 */
/* access_log: a line for each request that is over, if --access-log wants it.
 *
 *     event=access method="GET" path="/v1/sessions/a" status=200 bytes=91 ms=12
 *
 * Tokens come in headers and in queries. Neither is written.
 *
 * Owns     nothing.
 * Threads  one.
 */
#ifndef SPN_HTTP_ACCESS_LOG_H
#define SPN_HTTP_ACCESS_LOG_H

#include <stddef.h>

#include "http/web.h"

enum { ACCESS_LOG_PATH_SIZE = 400 };

/* The path of a target as it came: without scheme and host, since a user may stand there, and
 * without query. It is cut before what looks like a token that got into the path. Whatever is not
 * printable ASCII is percent-encoded. What does not fit is left out. Returns path. */
const char *access_log_path(const char *target, char path[ACCESS_LOG_PATH_SIZE]);

/* For web_options.over. */
void access_log_over(void *context, const struct web_record *record);

#endif
