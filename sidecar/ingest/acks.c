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

static spn_err send_ack(struct acks *acks, struct sender *sender)
{
    struct producer *producer = &sender->producer;
    static_assert(sizeof(struct wire_run) >= WIRE_RUN_SIZE,
                  "the buffer below holds the encoded runs");
    bool early = sender->acks.level == WIRE_ACCEPTED && producer->on_disk;
    uint64_t up_to = early ? producer->accepted : producer->durable;
    if (sender->acks.level == WIRE_NONE || up_to <= producer->acked)
        return SPN_OK;
    spn_err err = router_send_address(acks->router, &sender->acks.peer);
    if (err != SPN_OK)
        return err;
    static struct wire_run runs[WIRE_RUNS_MAX];
    static uint8_t bytes[WIRE_HEADER_SIZE + WIRE_ACK_HEAD_SIZE + WIRE_RUNS_MAX * WIRE_RUN_SIZE];
    size_t count = producer_runs(producer, producer->acked + 1, up_to, runs);
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_ACK, 0);
    wire_put_ack(&out, &(struct wire_ack){.token = producer->token,
                                          .from = producer->acked,
                                          .up_to = up_to,
                                          .run_count = (uint32_t)count,
                                          .level = sender->acks.level,
                                          .position = atomic_load(&acks->commits->durable)});
    for (size_t i = 0; i < count; i++)
        wire_put_run(&out, &runs[i]);
    assert(!out.bad);
    err = router_send_body(acks->router, bytes, wire_out_size(&out));
    if (err == SPN_OK)
        producer->acked = up_to;
    return err;
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

/* A refusal answers its round even while it waits for the disk: the batches after it in the same
 * round are no holes to report. */
void acks_refusal_waits(struct producer *producer, const struct wire_refused *refused)
{
    struct sender *sender = sender_of(producer);
    if (!sender->acks.round_answered || refused->round > sender->acks.round)
        sender->acks.round = refused->round;
    sender->acks.round_answered = true;
}

static void count_refusal(struct metrics *metrics, spn_err why)
{
    metrics_add(why == SPN_E_CLOSED            ? &metrics->refused_closed
                : why == SPN_E_UNKNOWN_SESSION ? &metrics->refused_unknown_session
                : why == SPN_E_OTHER_EPOCH     ? &metrics->refused_other_epoch
                : why == SPN_E_CORRUPT         ? &metrics->refused_damaged
                                               : &metrics->refused_contents,
                1);
}

/* Lost if the peer's pipe is full: the peer requests its state when it makes no progress. */
void acks_refuse(struct acks *acks, const struct producer *producer,
                 const struct wire_refused *refused)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 24];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    if (refused->token != producer->token)
        return;
    wire_put_header(&out, WIRE_REFUSED, 0);
    wire_put_refused(&out, refused);
    count_refusal(acks->metrics, (spn_err)refused->code);
    spn_err err = router_send(acks->router, &sender_of_const(producer)->acks.peer, bytes,
                              wire_out_size(&out));
    (void)err;
}

void acks_error(struct acks *acks, const struct peer *peer, uint64_t request, uint64_t token,
                spn_err err, const char *detail)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 16 + 255];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_ERROR, request);
    wire_put_error(&out, &(struct wire_error){.token = token,
                                              .code = (uint32_t)err,
                                              .detail = {detail, strlen(detail)}});
    /* Lost if the peer's pipe is full: the peer asks again when it makes no progress. */
    spn_err sent = router_send(acks->router, peer, bytes, wire_out_size(&out));
    (void)sent;
}
