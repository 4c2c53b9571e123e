/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/acks.h"

#include <assert.h>
#include <string.h>

#include "ingest/sender.h"

enum { OWED_RETRY_MS = 10 }; /* an acknowledgement that met a full pipe is tried again */

void acks_init(struct acks *acks, struct router *router, const struct commit_state *commits,
               struct metrics *metrics)
{
    *acks = (struct acks){.router = router, .commits = commits, .metrics = metrics};
    acks->due_end = &acks->due_first;
    acks->owed_end = &acks->owed_first;
}

uint64_t acks_due_ns(const struct acks *acks)
{
    return acks->owed_first ? acks->owed_due_ns : UINT64_MAX;
}

void acks_add(struct acks *acks, struct producer *producer)
{
    struct sender *sender = sender_of(producer);
    if (sender->acks.due)
        return;
    sender->acks.due = true;
    sender->acks.next = NULL;
    *acks->due_end = sender;
    acks->due_end = &sender->acks.next;
}

static uint64_t reached(const struct sender *sender)
{
    const struct producer *producer = &sender->producer;
    bool early = sender->acks.level == WIRE_ACCEPTED && producer->on_disk;
    return early ? producer_accepted_end(producer) : producer->durable;
}

static size_t keep_refusals(struct wire_run *runs, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (runs[i].result == WIRE_REFUSED)
            runs[kept++] = runs[i];
    return kept;
}

static spn_err send_runs(struct acks *acks, const struct sender *sender, uint64_t up_to,
                         const struct wire_run *runs, size_t count)
{
    static_assert(sizeof(struct wire_run) >= WIRE_RUN_SIZE,
                  "the buffer below holds the encoded runs");
    static uint8_t bytes[WIRE_HEADER_SIZE + WIRE_ACK_HEAD_SIZE + WIRE_RUNS_MAX * WIRE_RUN_SIZE];
    spn_err err = router_send_address(acks->router, &sender->acks.peer);
    if (err != SPN_OK)
        return err;
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_ACK, 0);
    wire_put_ack(&out, &(struct wire_ack){.token = sender->producer.token,
                                          .from = sender->producer.acked,
                                          .up_to = up_to,
                                          .run_count = (uint32_t)count,
                                          .level = sender->acks.level,
                                          .position = atomic_load(&acks->commits->durable)});
    for (size_t i = 0; i < count; i++)
        wire_put_run(&out, &runs[i]);
    assert(!out.bad);
    return router_send_body(acks->router, bytes, wire_out_size(&out));
}

/* A holder of level none keeps nothing. A refusal that finds no room on the way to it is lost, and
 * its next numbers do not wait for that. */
static spn_err send_ack(struct acks *acks, struct sender *sender)
{
    static struct wire_run runs[WIRE_RUNS_MAX];
    struct producer *producer = &sender->producer;
    uint64_t up_to = reached(sender);
    if (up_to <= producer->acked)
        return SPN_OK;
    size_t count = producer_runs(producer, producer->acked + 1, up_to, runs);
    bool none = sender->acks.level == WIRE_NONE;
    if (none)
        count = keep_refusals(runs, count);
    spn_err err = none && count == 0 ? SPN_OK : send_runs(acks, sender, up_to, runs, count);
    if (err == SPN_OK || none)
        producer->acked = up_to;
    return none ? SPN_OK : err;
}

/* Until owed_due_ns none of them is retried: finding that a thousand pipes are full takes a while
 * too. */
static void owe(struct acks *acks, struct sender *sender, uint64_t now_ns)
{
    metrics_add(&acks->metrics->acks_owed, 1);
    if (!acks->owed_first)
        acks->owed_due_ns = now_ns + OWED_RETRY_MS * 1000000ull;
    sender->acks.due = true;
    sender->acks.next = NULL;
    *acks->owed_end = sender;
    acks->owed_end = &sender->acks.next;
}

static void take_owed(struct acks *acks, uint64_t now_ns)
{
    if (!acks->owed_first || now_ns < acks->owed_due_ns)
        return;
    *acks->due_end = acks->owed_first;
    acks->due_end = acks->owed_end;
    acks->owed_first = NULL;
    acks->owed_end = &acks->owed_first;
}

void acks_send(struct acks *acks, uint64_t now_ns)
{
    take_owed(acks, now_ns);
    struct sender *sender = acks->due_first;
    acks->due_first = NULL;
    acks->due_end = &acks->due_first;
    while (sender) {
        struct sender *next = sender->acks.next;
        sender->acks.due = false;
        if (send_ack(acks, sender) == SPN_E_BACKPRESSURE)
            owe(acks, sender, now_ns);
        sender = next;
    }
}

void acks_hole(struct acks *acks, struct producer *producer, uint32_t round)
{
    struct sender *sender = sender_of(producer);
    metrics_add(&acks->metrics->holes, 1);
    if (sender->acks.round_answered && round <= sender->acks.round)
        return;
    uint8_t bytes[WIRE_HEADER_SIZE + 24];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_EXPECT, 0);
    wire_put_expect(&out, &(struct wire_expect){.token = producer->token,
                                                .number = producer->accepted + 1,
                                                .round = round});
    if (router_send(acks->router, &sender->acks.peer, bytes, wire_out_size(&out)) != SPN_OK)
        return;
    sender->acks.round_answered = true;
    sender->acks.round = round;
}
