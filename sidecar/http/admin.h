/* SPDX-License-Identifier: Apache-2.0 */
/* admin: what operators ask the gateway: is it alive, is it ready, what has it done; the page; and
 * the list of problems.
 *
 * A daemon that is gone does not make the gateway unready: it holds its streams until the daemon is
 * back, and a balancer that took it out would cut them.
 *
 * Owns     nothing.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_ADMIN_H
#define SPN_HTTP_ADMIN_H

#include "http/gateway.h"
#include "http/target.h"

/* Logs the page's address with a new token, for each admin door on TCP. */
void admin_print(struct gateway *gateway, const struct web_door *doors, size_t doors_count);

/* Answers a GET of the admin listener. False: it has no such path. */
bool admin_begin(struct gateway *gateway, struct exchange *exchange, const struct target *target);

/* Whether the request has the page's cookie. */
bool admin_is_known(const struct gateway *gateway, struct exchange *exchange);

/* Answers with the page that lists every code. */
void admin_problems(struct exchange *exchange);

#endif
