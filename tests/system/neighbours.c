/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "neighbours.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "until.h"

enum {
    WAIT_MS = 10000,
    TURN_US = 2000, /* between two turns */
    REPLAY_EVERY = 4,
    VISIT_EVERY = 16,
    SHELF = 50,
    SHELF_DATA = 6000, /* in all more than an answer takes: the sidecar has to find room for it */
};

const char *const neighbours_names[NEIGHBOURS_KINDS] = {"publish", "deliver", "replay", "visit"};

static const char session[] = "modest";
static const char shelf[] = "shelf";

static int patience_ms(void)
{
    return until_left_ms(until_in(WAIT_MS));
}

static void expect_ok(const struct neighbours *neighbours, spn_err err, const char *what)
{
    if (err != SPN_OK)
        fail_msg("%s: turn %llu: %s: %s: %s", neighbours->place,
                 (unsigned long long)neighbours->turns, what, spn_err_name(err),
                 neighbours->client ? spn_client_detail(neighbours->client) : "");
}

static void note(struct neighbours *neighbours, enum neighbours_kind kind, uint64_t since_ns)
{
    if (neighbours->counts[kind] < NEIGHBOURS_WAITS_MAX)
        neighbours->waits_ns[kind][neighbours->counts[kind]++] = until_now_ns() - since_ns;
}

/* -- what they do ------------------------------------------------------------------------------ */

static void publish(struct neighbours *neighbours, const char *name, const char *data)
{
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_ack *ack;
    uint64_t ticket;
    event.data = spn_text(data);
    expect_ok(neighbours, spn_publish(neighbours->producer, spn_text(name), &event, &ticket),
              "publish");
    expect_ok(neighbours, spn_producer_wait(neighbours->producer, ticket, patience_ms(), &ack),
              "acknowledgement");
    assert_int_equal(ack->result, SPN_STORED);
}

static void take_delivery(struct neighbours *neighbours)
{
    const struct spn_item *item;
    do
        expect_ok(neighbours, spn_subscription_next(neighbours->subscription, patience_ms(), &item),
                  "delivery");
    while (item->kind == SPN_ITEM_VERDICT || item->kind == SPN_ITEM_CAUGHT_UP);
    assert_int_equal(item->kind, SPN_ITEM_EVENT);
    assert_int_equal(item->event->seq, neighbours->published);
}

/* Returns how many events it has. */
static uint64_t replay(struct neighbours *neighbours, const char *name)
{
    spn_replay *replay;
    const struct spn_event *event;
    uint64_t seq = 0;
    spn_err err;
    expect_ok(
        neighbours,
        spn_replay_open(&replay, neighbours->client, spn_text(name), spn_text(""), patience_ms()),
        "replay");
    while ((err = spn_replay_next(replay, patience_ms(), &event)) == SPN_OK)
        assert_int_equal(event->seq, ++seq);
    spn_replay_close(replay);
    if (err != SPN_E_END)
        expect_ok(neighbours, err, "replay");
    return seq;
}

static void visit(struct neighbours *neighbours)
{
    char detail[256] = "";
    spn_client *visitor;
    spn_producer *producer;
    spn_err err = spn_client_open(&visitor, NULL, patience_ms(), detail, sizeof(detail));
    if (err != SPN_OK)
        fail_msg("%s: a new client: %s: %s", neighbours->place, spn_err_name(err), detail);
    err = spn_producer_open(&producer, visitor, NULL, patience_ms());
    if (err != SPN_OK)
        fail_msg("%s: a new producer: %s: %s", neighbours->place, spn_err_name(err),
                 spn_client_detail(visitor));
    assert_int_equal(spn_producer_close(producer, patience_ms(), NULL), SPN_OK);
    spn_client_close(visitor);
}

/* -- all of it --------------------------------------------------------------------------------- */

void neighbours_open(struct neighbours *neighbours, const char *place)
{
    static char data[SHELF_DATA + 1];
    struct spn_subscription_options options = {.size = sizeof(options), .otherwise = SPN_WAIT};
    memset(data, 'd', SHELF_DATA);
    memset(neighbours, 0, sizeof(*neighbours));
    neighbours->place = place;
    expect_ok(neighbours, spn_client_open(&neighbours->client, NULL, patience_ms(), NULL, 0),
              "client");
    expect_ok(neighbours,
              spn_producer_open(&neighbours->producer, neighbours->client, NULL, patience_ms()),
              "producer");
    expect_ok(
        neighbours,
        spn_subscribe(&neighbours->subscription, neighbours->client, spn_text(session), &options),
        "subscription");
    for (int i = 0; i < SHELF; i++)
        publish(neighbours, shelf, data);
}

void neighbours_close(struct neighbours *neighbours)
{
    assert_int_equal(replay(neighbours, session), neighbours->published);
    spn_unsubscribe(neighbours->subscription);
    assert_int_equal(spn_producer_close(neighbours->producer, patience_ms(), NULL), SPN_OK);
    spn_client_close(neighbours->client);
}

void neighbours_look(struct neighbours *neighbours)
{
    memset(neighbours->counts, 0, sizeof(neighbours->counts));
}

void neighbours_turn(struct neighbours *neighbours)
{
    uint64_t since_ns = until_now_ns();
    neighbours->published++;
    publish(neighbours, session, "undisturbed");
    note(neighbours, NEIGHBOURS_PUBLISH, since_ns);
    take_delivery(neighbours);
    note(neighbours, NEIGHBOURS_DELIVER, since_ns);
    if (neighbours->turns % REPLAY_EVERY == 0) {
        since_ns = until_now_ns();
        assert_int_equal(replay(neighbours, shelf), SHELF);
        note(neighbours, NEIGHBOURS_REPLAY, since_ns);
    }
    if (neighbours->turns++ % VISIT_EVERY == 0) {
        since_ns = until_now_ns();
        visit(neighbours);
        note(neighbours, NEIGHBOURS_VISIT, since_ns);
    }
    until_passed_us(TURN_US);
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

uint64_t neighbours_p99_ns(struct neighbours *neighbours, enum neighbours_kind kind)
{
    size_t count = neighbours->counts[kind];
    if (count == 0)
        return 0;
    qsort(neighbours->waits_ns[kind], count, sizeof(uint64_t), compare);
    return neighbours->waits_ns[kind][(count * 99 + 99) / 100 - 1];
}
