/* SPDX-License-Identifier: Apache-2.0 */
/* once: the headers that a request may have only once. Of two, a proxy in front, or the client's
 * next program, may mean the other one than we.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_ONCE_H
#define SPN_HTTP_ONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/problem.h"

/* A header of the request. *seen: zero before the first one. False: it was there before. */
bool once_take(uint32_t *seen, const char *name, struct problem *ret_problem);

#endif
