/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/publisher.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum {
    SAMPLE_EVERY = 16,
    SAMPLE_ALL_MAX = 64, /* with so few in flight there is time to measure every event */
    TAKE_EVERY = 64,
    SEND_TIMEOUT_MS = 100,
    LOOK_NS = 100000000, /* `stop` is read at least this often */
};

#define NS_PER_S UINT64_C(1000000000)

uint64_t publisher_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* -- names and ids ----------------------------------------------------------------------------- */

/* snprintf would take longer than the rest of publishing an event. */
struct spn_bytes publisher_session(const struct publisher_load *load, uint64_t number,
                                   char ret_name[SPN_GIVEN_ID_MAX])
{
    char digits[20]; /* of UINT64_MAX */
    size_t start = sizeof(digits);
    size_t size = strlen(load->name);
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(ret_name, load->name, size);
    memcpy(ret_name + size, digits + start, sizeof(digits) - start);
    return (struct spn_bytes){ret_name, size + sizeof(digits) - start};
}

static struct spn_bytes write_stamp(uint64_t ns, char out[PUBLISHER_STAMP_SIZE])
{
    for (size_t i = PUBLISHER_STAMP_SIZE; i-- > 0; ns >>= 4)
        out[i] = "0123456789abcdef"[ns & 15];
    return (struct spn_bytes){out, PUBLISHER_STAMP_SIZE};
}

uint64_t publisher_stamp(struct spn_bytes id)
{
    char text[PUBLISHER_STAMP_SIZE + 1];
    char *end;
    if (id.size != PUBLISHER_STAMP_SIZE)
        return 0;
    memcpy(text, id.data, PUBLISHER_STAMP_SIZE);
    text[PUBLISHER_STAMP_SIZE] = '\0';
    unsigned long long ns = strtoull(text, &end, 16);
    return *end == '\0' ? ns : 0;
}

static struct spn_bytes session_of(const struct publisher *publisher, uint64_t n,
                                   char name[SPN_GIVEN_ID_MAX])
{
    const struct publisher_load *load = publisher->load;
    uint64_t number = (publisher->index + n * load->publisher_count) % load->session_count;
    return publisher_session(load, number, name);
}

/* -- opening ----------------------------------------------------------------------------------- */

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
    bool all = load->in_flight_max <= SAMPLE_ALL_MAX || load->rate > 0 || load->stamped;
    publisher->sample_every = all ? 1 : SAMPLE_EVERY;
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
    if (load->one_shot)
        return SPN_OK;
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

/* Publishes the n-th event as a one-shot and waits for its answer. */
static spn_err publish_once(struct publisher *publisher, uint64_t n, struct spn_bytes id)
{
    const struct publisher_load *load = publisher->load;
    char name[SPN_GIVEN_ID_MAX];
    const struct spn_published *published;
    struct spn_event event = *payloads_at(load->payloads, n);
    event.id = id;
    spn_err err = spn_publish_once(publisher->client, session_of(publisher, n, name), &event,
                                   load->level, load->timeout_ms, &published);
    if (err == SPN_OK && published->result == SPN_STORED)
        publisher->counters.stored++;
    return err;
}

static spn_err publish_and_wait(struct publisher *publisher)
{
    const struct publisher_load *load = publisher->load;
    char name[SPN_GIVEN_ID_MAX];
    const struct spn_ack *ack;
    uint64_t ticket;
    struct spn_bytes session = session_of(publisher, 0, name);
    spn_err err =
        spn_publish(publisher->producer, session, payloads_at(load->payloads, 0), &ticket);
    return err == SPN_OK ? spn_producer_wait(publisher->producer, ticket, load->timeout_ms, &ack)
                         : err;
}

spn_err publisher_warm_up(struct publisher *publisher)
{
    spn_err err = publisher->load->one_shot ? publish_once(publisher, 0, spn_text("warm-up"))
                                            : publish_and_wait(publisher);
    if (err != SPN_OK)
        return fail(publisher, err);
    publisher->warmed_up = 1;
    return SPN_OK;
}

/* -- acknowledgements -------------------------------------------------------------------------- */

/* When the n-th event is due. Publishers take turns, each at its share of the rate. */
static uint64_t due_ns(const struct publisher *publisher, uint64_t n)
{
    const struct publisher_load *load = publisher->load;
    double turn = (double)(n * load->publisher_count + publisher->index);
    return publisher->started_ns + (uint64_t)(turn * (double)NS_PER_S / (double)load->rate);
}

static void note_latency(struct publisher *publisher, uint64_t n, uint64_t now_ns)
{
    if (n % publisher->sample_every != 0)
        return;
    uint64_t slot = n / publisher->sample_every % publisher->sent_count;
    hist_add(&publisher->latency, now_ns - publisher->sent_ns[slot]);
}

static void show(struct publisher *publisher)
{
    atomic_store_explicit(&publisher->shown, publisher->ended, memory_order_relaxed);
}

/* Takes the results that are known already, without receiving more. */
static void take_known(struct publisher *publisher)
{
    const struct spn_ack *ack;
    uint64_t open = spn_producer_counters(publisher->producer)->unacknowledged;
    uint64_t known = publisher->published - open;
    if (known == publisher->ended)
        return;
    uint64_t now_ns = publisher_now_ns();
    while (publisher->ended < known) {
        spn_err err = spn_producer_next_ack(publisher->producer, 0, &ack);
        if (err != SPN_OK) {
            fail(publisher, err);
            return;
        }
        note_latency(publisher, publisher->ended++, now_ns);
    }
    show(publisher);
}

/* Waits for one acknowledgement, and takes those that came with it. */
static void wait_for_ack(struct publisher *publisher)
{
    const struct spn_ack *ack;
    spn_err err = spn_producer_next_ack(publisher->producer, publisher->load->timeout_ms, &ack);
    if (err != SPN_OK) {
        fail(publisher, err);
        return;
    }
    note_latency(publisher, publisher->ended++, publisher_now_ns());
    show(publisher);
    take_known(publisher);
}

/* -- publishing -------------------------------------------------------------------------------- */

static bool stopped(const struct publisher *publisher)
{
    return publisher->err != SPN_OK ||
           atomic_load_explicit(publisher->load->stop, memory_order_relaxed);
}

/* Uses ppoll, because whole milliseconds would be too coarse. */
static void sleep_until(struct publisher *publisher, uint64_t due)
{
    struct pollfd ready = {.fd = spn_client_fd(publisher->client), .events = POLLIN};
    uint64_t now_ns;
    while (!stopped(publisher) && (now_ns = publisher_now_ns()) < due) {
        uint64_t left_ns = due - now_ns < LOOK_NS ? due - now_ns : LOOK_NS;
        const struct timespec left = {.tv_nsec = (long)left_ns};
        if (ppoll(&ready, 1, &left, NULL) <= 0)
            continue;
        spn_err err = spn_client_step(publisher->client);
        if (err != SPN_OK)
            fail(publisher, err);
        else
            take_known(publisher);
    }
}

static void publish(struct publisher *publisher)
{
    const struct publisher_load *load = publisher->load;
    char name[SPN_GIVEN_ID_MAX];
    char stamp[PUBLISHER_STAMP_SIZE];
    uint64_t n = publisher->published;
    struct spn_event event = *payloads_at(load->payloads, n);
    if (n % publisher->sample_every == 0) {
        uint64_t from_ns = load->rate > 0 ? due_ns(publisher, n) : publisher_now_ns();
        publisher->sent_ns[n / publisher->sample_every % publisher->sent_count] = from_ns;
        if (load->stamped)
            event.id = write_stamp(from_ns, stamp);
    }
    spn_err err = spn_publish(publisher->producer, session_of(publisher, n, name), &event, NULL);
    if (err == SPN_OK)
        publisher->published++;
    else if (err == SPN_E_BACKPRESSURE) /* no room: an acknowledgement makes some */
        wait_for_ack(publisher);
    else
        fail(publisher, err);
}

static void publish_all(struct publisher *publisher)
{
    const struct publisher_load *load = publisher->load;
    while (publisher->published < publisher->count && !stopped(publisher)) {
        if (load->rate > 0)
            sleep_until(publisher, due_ns(publisher, publisher->published));
        if (publisher->published - publisher->ended == load->in_flight_max)
            wait_for_ack(publisher);
        else
            publish(publisher);
        if (publisher->published % TAKE_EVERY == 0)
            take_known(publisher);
    }
    while (publisher->err == SPN_OK && publisher->ended < publisher->published)
        wait_for_ack(publisher);
}

/* An event's id is its number: nobody else publishes to the session. */
static void publish_one_shots(struct publisher *publisher)
{
    char id[PUBLISHER_STAMP_SIZE];
    while (publisher->published < publisher->count && !stopped(publisher)) {
        uint64_t from_ns = publisher_now_ns();
        spn_err err =
            publish_once(publisher, publisher->published, write_stamp(publisher->published, id));
        if (err != SPN_OK) {
            fail(publisher, err);
            return;
        }
        hist_add(&publisher->latency, publisher_now_ns() - from_ns);
        publisher->published++;
        publisher->ended++;
        show(publisher);
    }
}

void *publisher_run(void *argument)
{
    struct publisher *publisher = argument;
    if (!gate_pass(publisher->load->gate))
        return NULL;
    prctl(PR_SET_TIMERSLACK, 1); /* by default a sleep may last 50 us longer than requested */
    publisher->started_ns = publisher_now_ns();
    if (publisher->load->one_shot)
        publish_one_shots(publisher);
    else
        publish_all(publisher);
    publisher->finished_ns = publisher_now_ns();
    if (!publisher->load->one_shot)
        publisher->counters = *spn_producer_counters(publisher->producer);
    return NULL;
}
