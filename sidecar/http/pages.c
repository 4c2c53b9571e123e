/* SPDX-License-Identifier: Apache-2.0 */
#include "http/pages.h"

#include <stdlib.h>

#include "http/answer.h"
#include "http/page.h"
#include "http/session_start.h"

struct pages {
    struct waiter waiter;
    struct taker taker;
    struct gateway *gateway;
    struct exchange *exchange;
    struct session_start start;
    spn_subscription *subscription;
    struct out out;
    struct memory_share share;
    struct page page;
    struct page_end end;
    uint32_t limit;
    uint32_t count;
    bool is_closed; /* at the verdict */
};

static void answer(struct pages *pages)
{
    struct exchange *exchange = pages->exchange;
    page_end_events(&pages->page, &pages->end);
    if (pages->out.error != 0) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    exchange_add(exchange, "Content-Type",
                 pages->page.format == PAGE_LINES ? "application/x-ndjson" : "application/json");
    exchange_add(exchange, "Cache-Control", "no-store");
    memory_hold(&pages->share, pages->out.size); /* its peer may take long to read it */
    exchange_answer_out(exchange, 200, &pages->out);
}

static void give_up_for_room(struct pages *pages)
{
    out_release(&pages->out);
    memory_hold(&pages->share, 0);
    answer_no_room(pages->exchange, &pages->share);
}

static void take_verdict(struct pages *pages, const struct spn_item *item)
{
    if (session_start_is_ahead(&pages->start, item)) {
        answer_err(pages->exchange, SPN_E_UNKNOWN_ID);
        return;
    }
    answer_add_session(pages->exchange, &item->life, item->newest, item->state);
    pages->is_closed = item->state == SPN_CLOSED;
    pages->end.missing = item->missing;
    pages->end.life = item->life;
    pages->end.seq = item->seq;
}

static void take_event(struct pages *pages, const struct spn_item *item)
{
    if (!memory_reserve(&pages->share, pages->out.size + item->event->data.size)) {
        give_up_for_room(pages);
        return;
    }
    page_event(&pages->page, item->event);
    memory_hold(&pages->share, pages->out.size);
    pages->end.life = item->life;
    pages->end.seq = item->seq;
    pages->count++;
    if (item->event->closes) {
        pages->end.closed = true;
        pages->end.reason = item->event->reason;
    }
    if (item->event->closes || pages->count == pages->limit || pages->out.size >= PAGES_BYTES_MAX)
        answer(pages);
}

static void take_end(struct pages *pages, const struct spn_item *item)
{
    if (item->why == SPN_E_CLOSED) {
        pages->end.closed = true;
        pages->end.reason = item->reason;
        answer(pages);
    } else if (session_start_again(&pages->start, item->why)) {
        spn_unsubscribe(pages->subscription);
        pages->subscription = NULL;
        spn_err err =
            session_start_subscribe(&pages->start, pages->gateway, &pages->subscription, SPN_FAIL);
        if (err != SPN_OK)
            answer_err(pages->exchange, err);
        else
            spn_subscription_set_context(pages->subscription, &pages->taker);
    } else {
        answer_err(pages->exchange, item->why);
    }
}

static void on_item(struct taker *taker, const struct spn_item *item)
{
    struct pages *pages = LINK_OWNER(taker, struct pages, taker);
    if (exchange_is_answered(pages->exchange))
        return;
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        take_verdict(pages, item);
        break;
    case SPN_ITEM_EVENT:
        take_event(pages, item);
        break;
    case SPN_ITEM_GAP:
        pages->end.missing += item->missing;
        break;
    case SPN_ITEM_CAUGHT_UP:
        if (!pages->is_closed)
            answer(pages);
        break; /* else the end follows, with its reason */
    case SPN_ITEM_END:
        take_end(pages, item);
        break;
    default:
        break;
    }
}

static void on_due(struct waiter *waiter)
{
    struct pages *pages = LINK_OWNER(waiter, struct pages, waiter);
    if (!exchange_is_answered(pages->exchange))
        answer_err(pages->exchange, SPN_E_UNAVAILABLE);
}

static void over(struct exchange *exchange)
{
    struct pages *pages = exchange_state(exchange);
    gateway_wait(pages->gateway, &pages->waiter, 0);
    spn_unsubscribe(pages->subscription);
    session_start_release(&pages->start);
    out_release(&pages->out);
    memory_release(&pages->share);
    free(pages);
}

static const struct exchange_calls calls = {.take = exchange_ignore, .over = over};

void pages_begin(struct gateway *gateway, struct exchange *exchange,
                 const struct pages_request *request)
{
    struct pages *pages = calloc(1, sizeof(*pages));
    if (pages == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    pages->waiter = (struct waiter){.deadline = DEADLINE_INIT, .on_due = on_due};
    pages->taker.on_item = on_item;
    pages->gateway = gateway;
    pages->exchange = exchange;
    pages->limit = request->limit > 0 ? request->limit : PAGES_LIMIT_DEFAULT;
    out_init(&pages->out, -1);
    memory_share_init(&pages->share, &gateway->memory[MEMORY_ANSWERS], NULL);
    page_begin(&pages->page, &pages->out, request->as_lines ? PAGE_LINES : PAGE_JSON, "events");
    exchange_set(exchange, &calls, pages);
    spn_err err = session_start_keep(&pages->start, request->session, &request->start);
    if (err == SPN_OK)
        err = session_start_subscribe(&pages->start, gateway, &pages->subscription, SPN_FAIL);
    if (err != SPN_OK) {
        answer_err(exchange, err);
        return;
    }
    spn_subscription_set_context(pages->subscription, &pages->taker);
    gateway_wait(gateway, &pages->waiter, gateway->options->ask_ns);
}
