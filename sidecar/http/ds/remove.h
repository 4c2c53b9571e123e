/* SPDX-License-Identifier: Apache-2.0 */
/* ds_remove: DELETE of a Durable Stream.
 *
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_REMOVE_H
#define SPN_HTTP_DS_REMOVE_H

#include "http/gateway.h"

void ds_remove_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session);

#endif
