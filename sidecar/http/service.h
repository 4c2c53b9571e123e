/* SPDX-License-Identifier: Apache-2.0 */
/* service: tells the service manager how the gateway is (base/notify.h).
 *
 * A deadline of the gateway's loop feeds the watchdog and renews the status, so a loop that does
 * not turn feeds nothing.
 *
 * Owns     the connection to the manager.
 * Borrows  the gateway.
 * Threads  the gateway's.
 */
#ifndef SPN_HTTP_SERVICE_H
#define SPN_HTTP_SERVICE_H

#include "base/notify.h"
#include "http/gateway.h"

struct service {
    struct waiter waiter;
    struct gateway *gateway;
    struct notify notify;
};

/* Connections are taken. Without a manager nothing happens, now and later. */
void service_ready(struct service *service, struct gateway *gateway);
void service_reloading(struct service *service);
void service_reloaded(struct service *service);
void service_stopping(struct service *service);
/* Call it before the gateway is closed. */
void service_close(struct service *service);

#endif
