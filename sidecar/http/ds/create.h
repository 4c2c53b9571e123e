/* SPDX-License-Identifier: Apache-2.0 */
/* ds_create: PUT of a Durable Stream: creates it, with content and closed if the request says so;
 * or says whether it is there as the request wants it.
 *
 * Creation with content is two entries of the log: the attributes, which say that content follows,
 * and the event. Until the event is there the stream is not: all other requests are answered with
 * 404, and the next PUT removes what is left and begins again.
 *
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_CREATE_H
#define SPN_HTTP_DS_CREATE_H

#include "http/gateway.h"

void ds_create_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session);

#endif
