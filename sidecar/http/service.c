/* SPDX-License-Identifier: Apache-2.0 */
#include "http/service.h"

/* So that the status is not much older than notify lets it be. */
#define STATUS_NS ((uint64_t)NOTIFY_STATUS_EVERY_MS * 1000000)

static void feed(struct service *service, uint64_t now_ns)
{
    notify_turn(&service->notify, now_ns);
    uint64_t due_ns = notify_due_ns(&service->notify);
    gateway_wait(service->gateway, &service->waiter,
                 due_ns - now_ns < STATUS_NS ? due_ns - now_ns : STATUS_NS);
}

static void turn(struct waiter *waiter)
{
    struct service *service = LINK_OWNER(waiter, struct service, waiter);
    struct gateway *gateway = service->gateway;
    uint64_t now_ns = gateway_now_ns();
    feed(service, now_ns);
    notify_status(&service->notify, now_ns, "connections: %u, streams: %u%s",
                  web_counts(gateway->web)->open, gateway->counts.streams,
                  gateway_hears_daemon(gateway) ? "" : "; the daemon does not answer");
}

void service_ready(struct service *service, struct gateway *gateway)
{
    *service =
        (struct service){.waiter = {.deadline = DEADLINE_INIT, .on_due = turn}, .gateway = gateway};
    notify_init(&service->notify);
    notify_ready(&service->notify);
    if (service->notify.fd >= 0)
        feed(service, gateway_now_ns()); /* whether the daemon answers is not known yet */
}

void service_reloading(struct service *service)
{
    notify_reloading(&service->notify);
}

void service_reloaded(struct service *service)
{
    notify_ready(&service->notify);
}

void service_stopping(struct service *service)
{
    notify_stopping(&service->notify);
}

void service_close(struct service *service)
{
    gateway_wait(service->gateway, &service->waiter, 0);
    notify_release(&service->notify);
}
