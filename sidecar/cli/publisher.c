/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SAMPLE_EVERY = 16,
    SAMPLE_ALL_MAX = 64, /* with so few in flight there is time to measure each */
    TAKE_EVERY = 64,
    SEND_TIMEOUT_MS = 100,
};

uint64_t publisher_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static spn_err fail(struct publisher *publisher, spn_err err)
{
    publisher->err = err;
    if (publisher->client)
        snprintf(publisher->detail, sizeof(publisher->detail), "%s",
                 spn_client_detail(publisher->client));
    return err;
}

spn_err publisher_open(struct publisher *publisher)
{
    const struct publisher_load *load = publisher->load;
    struct spn_client_options options = {.size = sizeof(options), .socket_dir = load->socket_dir};
    struct spn_producer_options producer = spn_producer_defaults();
    producer.level = load->level;
    producer.window_events = (size_t)load->in_flight_max;
    producer.send_timeout_ms = SEND_TIMEOUT_MS;
    publisher->sample_every = load->in_flight_max <= SAMPLE_ALL_MAX ? 1 : SAMPLE_EVERY;
    publisher->sent_count = load->in_flight_max / publisher->sample_every + 1;
    publisher->sent_ns = calloc(publisher->sent_count, sizeof(*publisher->sent_ns));
    if (!publisher->sent_ns)
        return fail(publisher, SPN_E_NOMEM);
    spn_err err = spn_client_open(&publisher->client, &options, load->timeout_ms, publisher->detail,
                                  sizeof(publisher->detail));
    if (err != SPN_OK) {
        publisher->err = err;
        return err;
    }
    err = spn_producer_open(&publisher->producer, publisher->client, &producer, load->timeout_ms);
    return err == SPN_OK ? SPN_OK : fail(publisher, err);
}

void publisher_close(struct publisher *publisher)
{
    spn_err ignored = spn_producer_close(publisher->producer, 0, NULL);
    (void)ignored;
    spn_client_close(publisher->client);
    free(publisher->sent_ns);
}

/* Takes a result; waits for one when wait_ms says so. False: none, or it failed (see err). */
static bool take_ack(struct publisher *publisher, int wait_ms)
{
    struct spn_ack ack;
    spn_err err = spn_producer_next_ack(publisher->producer, wait_ms, &ack);
    if (err != SPN_OK) {
        if (err != SPN_E_END && (err != SPN_E_TIMEOUT || wait_ms > 0))
            fail(publisher, err);
        return false;
    }
    uint64_t n = publisher->ended++;
    if (n % publisher->sample_every == 0) {
        uint64_t slot = n / publisher->sample_every % publisher->sent_count;
        hist_add(&publisher->latency, publisher_now_ns() - publisher->sent_ns[slot]);
    }
    return true;
}

static void publish(struct publisher *publisher)
{
    const struct publisher_load *load = publisher->load;
    struct spn_event event = SPN_EVENT_INIT;
    uint64_t n = publisher->published;
    size_t session = (publisher->index + n * load->publisher_count) % load->session_count;
    event.data = load->data;
    if (n % publisher->sample_every == 0)
        publisher->sent_ns[n / publisher->sample_every % publisher->sent_count] =
            publisher_now_ns();
    spn_err err = spn_publish(publisher->producer, load->sessions[session], &event, NULL);
    if (err == SPN_OK)
        publisher->published++;
    else if (err == SPN_E_BACKPRESSURE) /* no room: an acknowledgement makes some */
        take_ack(publisher, load->timeout_ms);
    else
        fail(publisher, err);
}

void *publisher_run(void *argument)
{
    struct publisher *publisher = argument;
    const struct publisher_load *load = publisher->load;
    pthread_barrier_wait(load->start);
    while (publisher->err == SPN_OK && publisher->published < publisher->count &&
           !atomic_load_explicit(load->stop, memory_order_relaxed)) {
        if (publisher->published - publisher->ended == load->in_flight_max)
            take_ack(publisher, load->timeout_ms);
        else
            publish(publisher);
        if (publisher->published % TAKE_EVERY == 0)
            while (publisher->err == SPN_OK && take_ack(publisher, 0))
                continue;
    }
    while (publisher->err == SPN_OK && publisher->ended < publisher->published)
        take_ack(publisher, load->timeout_ms);
    publisher->finished_ns = publisher_now_ns();
    publisher->counters = spn_producer_counters(publisher->producer);
    return NULL;
}
