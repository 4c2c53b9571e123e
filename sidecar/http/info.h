/* SPDX-License-Identifier: Apache-2.0 */
/* info: HEAD of a session: what is known of it, as headers.
 *
 * Owns     its questions.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_INFO_H
#define SPN_HTTP_INFO_H

#include "http/gateway.h"

void info_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session);

#endif
