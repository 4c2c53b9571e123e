/* SPDX-License-Identifier: Apache-2.0 */
#include "http/gateway.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/publish.h"
#include "http/reader.h"
#include "http/routes.h"

enum { ITEMS_PER_TURN = 4096 };

uint64_t gateway_now_ns(void)
{
    return clock_monotonic_ns();
}

void gateway_wait(struct gateway *gateway, struct waiter *waiter, uint64_t after_ns)
{
    deadline_heap_remove(&gateway->deadlines, &waiter->deadline);
    if (after_ns > 0)
        deadline_heap_insert(&gateway->deadlines, &waiter->deadline, gateway_now_ns() + after_ns);
}

spn_err gateway_open(struct gateway *gateway, const struct http_options *options,
                     const struct web_door *doors, size_t doors_count, char *ret_detail,
                     size_t detail_size)
{
    *gateway = (struct gateway){.options = options};
    link_init(&gateway->readers);
    link_init(&gateway->publishers);
    size_t waiters_max = (size_t)options->connections_max * doors_count;
    spn_err err = deadline_heap_init(&gateway->deadlines, waiters_max);
    const struct spn_client_options client_options = {
        .size = sizeof(client_options),
        .socket_dir = options->socket_dir,
        .questions_max = waiters_max + 1,
    };
    if (err == SPN_OK)
        err = spn_client_begin(&gateway->client, &client_options, ret_detail, detail_size);
    const struct web_options web_options = {
        .connections_max = options->connections_max,
        .header_limit = options->header_limit,
        .header_ns = options->header_ns,
        .body_idle_ns = options->body_idle_ns,
        .now_ns = gateway_now_ns,
        .begin = routes_begin,
        .context = gateway,
    };
    lane_init(&gateway->lane, gateway->client, &publish_lane_calls);
    if (err == SPN_OK)
        err = web_open(&gateway->web, &web_options, doors, doors_count);
    if (err != SPN_OK)
        gateway_close(gateway);
    return err;
}

void gateway_close(struct gateway *gateway)
{
    web_close(gateway->web);
    lane_release(&gateway->lane);
    spn_client_close(gateway->client);
    deadline_heap_release(&gateway->deadlines);
}

/* -- a turn ------------------------------------------------------------------------------------ */

/* How long poll may wait: until the first deadline of the requests or of the web. */
static int wait_ms(const struct gateway *gateway)
{
    const struct deadline *first = deadline_heap_first(&gateway->deadlines);
    uint64_t due_ns = web_due_ns(gateway->web);
    if (first != NULL && first->due_ns < due_ns)
        due_ns = first->due_ns;
    if (due_ns == UINT64_MAX)
        return -1;
    uint64_t now_ns = gateway_now_ns();
    uint64_t left_ms = due_ns <= now_ns ? 0 : (due_ns - now_ns) / 1000000 + 1;
    return left_ms > 1000000 ? 1000000 : (int)left_ms;
}

static void take_items(struct gateway *gateway)
{
    spn_subscription *subscription;
    const struct spn_item *item;
    for (int i = 0; i < ITEMS_PER_TURN; i++) {
        if (spn_next_of_any(gateway->client, 0, &subscription, &item) != SPN_OK)
            return;
        struct taker *taker = spn_subscription_context(subscription);
        taker->on_item(taker, item);
    }
}

static void take_answers(struct gateway *gateway)
{
    spn_question *question;
    while (spn_next_answered(gateway->client, 0, &question) == SPN_OK) {
        struct waiter *waiter = spn_question_context(question);
        waiter->on_answer(waiter, question);
    }
}

static void take_due(struct gateway *gateway)
{
    struct deadline *due;
    uint64_t now_ns = gateway_now_ns();
    while ((due = deadline_heap_pop(&gateway->deadlines, now_ns)) != NULL) {
        struct waiter *waiter = LINK_OWNER(due, struct waiter, deadline);
        waiter->on_due(waiter);
    }
}

spn_err gateway_turn(struct gateway *gateway, int stop_fd, bool *ret_signal)
{
    struct pollfd fds[] = {
        {.fd = web_fd(gateway->web), .events = POLLIN},
        {.fd = spn_client_fd(gateway->client), .events = POLLIN},
        {.fd = stop_fd, .events = POLLIN},
    };
    int count = poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(gateway));
    *ret_signal = count > 0 && fds[2].revents != 0;
    spn_err err = spn_client_step(gateway->client);
    if (err == SPN_OK)
        err = lane_turn(&gateway->lane);
    take_answers(gateway);
    take_items(gateway);
    take_due(gateway);
    web_turn(gateway->web);
    return err;
}
