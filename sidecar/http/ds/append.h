/* SPDX-License-Identifier: Apache-2.0 */
/* ds_append: POST to a Durable Stream: appends, closes, or both.
 *
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_APPEND_H
#define SPN_HTTP_DS_APPEND_H

#include "http/gateway.h"

void ds_append_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session);

#endif
