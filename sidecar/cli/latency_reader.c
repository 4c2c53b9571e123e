/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/latency_reader.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 20,                       /* how often `last` is checked while no event comes */
    LOG_WINDOW_BYTES = 4 * 1024 * 1024, /* as a producer's */
};

static spn_err fail(struct latency_reader *reader, spn_err err)
{
    reader->err = err;
    if (reader->client)
        snprintf(reader->detail, sizeof(reader->detail), "%s", spn_client_detail(reader->client));
    return err;
}

static spn_err subscribe(struct latency_reader *reader, uint64_t number)
{
    char name[SPN_GIVEN_ID_MAX];
    const struct spn_subscription_options options = {
        .size = sizeof(options), .start = SPN_EARLIEST, .otherwise = SPN_WAIT};
    return spn_subscribe(&reader->subscriptions[number], reader->client,
                         publisher_session(reader->load, number, name), &options);
}

/* Returns when it has begun: later events are delivered. */
static spn_err follow(struct latency_reader *reader)
{
    const struct spn_follow_options options = {.size = sizeof(options),
                                               .start = SPN_NOW,
                                               .prefix = spn_text(reader->load->name),
                                               .window_bytes = LOG_WINDOW_BYTES};
    const struct spn_item *verdict;
    spn_err err = spn_follow(&reader->subscriptions[0], reader->client, &options);
    if (err != SPN_OK)
        return err;
    return spn_subscription_next(reader->subscriptions[0], reader->load->timeout_ms, &verdict);
}

static spn_err subscribe_all(struct latency_reader *reader)
{
    spn_err err = SPN_OK;
    if (reader->follows) {
        reader->count = 1;
        return follow(reader);
    }
    for (; err == SPN_OK && reader->count < reader->load->session_count; reader->count++)
        err = subscribe(reader, reader->count);
    return err;
}

spn_err latency_reader_open(struct latency_reader *reader, const struct publisher_load *load)
{
    struct spn_client_options options = {.size = sizeof(options), .socket_dir = load->socket_dir};
    reader->load = load;
    atomic_init(&reader->last, UINT64_MAX);
    reader->subscriptions = calloc(load->session_count, sizeof(spn_subscription *));
    if (!reader->subscriptions)
        return fail(reader, SPN_E_NOMEM);
    spn_err err = spn_client_open(&reader->client, &options, load->timeout_ms, reader->detail,
                                  sizeof(reader->detail));
    if (err != SPN_OK) {
        reader->err = err;
        return err;
    }
    err = subscribe_all(reader);
    return err == SPN_OK ? SPN_OK : fail(reader, err);
}

void latency_reader_close(struct latency_reader *reader)
{
    for (uint64_t i = 0; i < reader->count; i++)
        spn_unsubscribe(reader->subscriptions[i]);
    free(reader->subscriptions);
    spn_client_close(reader->client);
}

/* An event without a stamp is a warm-up. */
static spn_err next_event(struct latency_reader *reader, int timeout_ms, uint64_t *ret_stamp_ns)
{
    spn_subscription *from;
    const struct spn_item *item;
    for (;;) {
        spn_err err = spn_next_of_any(reader->client, timeout_ms, &from, &item);
        if (err != SPN_OK)
            return err;
        if (item->kind == SPN_ITEM_END)
            return item->why != SPN_OK ? item->why : SPN_E_END;
        if (item->kind != SPN_ITEM_EVENT)
            continue;
        *ret_stamp_ns = publisher_stamp(item->event->id);
        return SPN_OK;
    }
}

spn_err latency_reader_warm_up(struct latency_reader *reader)
{
    uint64_t stamp_ns = 0;
    spn_err err = SPN_OK;
    for (uint64_t i = 0; err == SPN_OK && i < reader->load->publisher_count; i++)
        err = next_event(reader, reader->load->timeout_ms, &stamp_ns);
    return err == SPN_OK ? SPN_OK : fail(reader, err);
}

/* While publishers run, an event may take any time. After they have ended, the other events are on
 * disk and must come in time. */
static spn_err receive(struct latency_reader *reader)
{
    uint64_t stamp_ns = 0;
    int quiet_ms = 0;
    while (reader->received < atomic_load(&reader->last)) {
        spn_err err = next_event(reader, LOOK_MS, &stamp_ns);
        if (err == SPN_OK) {
            hist_add(&reader->latency, publisher_now_ns() - stamp_ns);
            reader->received++;
            quiet_ms = 0;
            continue;
        }
        if (err != SPN_E_TIMEOUT || quiet_ms > reader->load->timeout_ms)
            return fail(reader, err);
        quiet_ms = atomic_load(&reader->last) == UINT64_MAX ? 0 : quiet_ms + LOOK_MS;
    }
    return SPN_OK;
}

void *latency_reader_run(void *argument)
{
    struct latency_reader *reader = argument;
    if (gate_pass(reader->load->gate) && receive(reader) != SPN_OK)
        return NULL; /* err has the reason */
    return NULL;
}

void latency_reader_end(struct latency_reader *reader, uint64_t events)
{
    atomic_store(&reader->last, events);
}
