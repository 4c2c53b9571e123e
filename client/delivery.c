/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery.h"

#include <assert.h>
#include <string.h>

#include "err.h"

/* Two: after a pause one event goes out alone, so a probe of one event would show nothing. */
enum { PROBE_EVENTS = 2 };

spn_err delivery_init(struct delivery *delivery, const struct delivery_options *options,
                      const struct wire_state *state)
{
    *delivery = (struct delivery){.options = *options,
                                  .token = state->token,
                                  .acked = state->durable,
                                  .sent = state->durable + 1,
                                  .sent_end = state->durable + 1,
                                  .accepted = state->durable,
                                  .lost_end = state->durable + 1,
                                  .refusals_end = state->durable + 1,
                                  .seen = state->mark,
                                  .instance = state->instance};
    results_init(&delivery->results, options->window_events);
    return window_init(&delivery->window, options->window_bytes, options->window_events,
                       options->entry_max, state->durable + 1);
}

void delivery_release(struct delivery *delivery)
{
    window_release(&delivery->window);
    results_release(&delivery->results);
    depends_release(&delivery->depends);
}

uint64_t delivery_put(struct delivery *delivery, const struct wire_entry *entry, size_t entry_size)
{
    if ((entry->flags & WIRE_FLAG_DEPENDS) != 0)
        depends_add(&delivery->depends, delivery->window.next, entry->depends);
    window_put(&delivery->window, entry, entry_size);
    delivery->counters.taken++;
    return delivery->window.next - 1;
}

uint64_t delivery_base(struct delivery *delivery)
{
    return depends_base(&delivery->depends, delivery->window.base);
}

/* -- results ----------------------------------------------------------------------------------- */

static void count_result(struct delivery *delivery, spn_result result, uint64_t count)
{
    struct spn_counters *counters = &delivery->counters;
    uint64_t *const by_result[] = {&counters->stored, &counters->duplicates, &counters->conflicts,
                                   &counters->refused, &counters->lost};
    *by_result[result] += count;
}

static void add_results(struct delivery *delivery, uint64_t first, uint64_t count,
                        spn_result result, spn_err code)
{
    count_result(delivery, result, count);
    results_add(&delivery->results, first, count, result, code);
}

/* The code of a result that came over the wire. */
static spn_err code_of(const struct wire_run *run)
{
    if (run->result == WIRE_LOST)
        return SPN_E_LOST;
    return run->result == WIRE_REFUSED ? err_from_wire(run->code) : SPN_OK;
}

/* A probe sends a few events again, to see whether the first sending got lost. The sidecar takes
 * batches whole and in order. If it now has exactly the events of the probe, they may come from the
 * probe or from the first sending, and a full batch as the next probe will show which. If it has
 * fewer or more, it has what was sent first. */
static void judge_probe(struct delivery *delivery, uint64_t up_to)
{
    if (delivery->probe == 0 || up_to < delivery->probe)
        return;
    bool told = up_to + 1 != delivery->sent || delivery->sent == delivery->sent_end;
    delivery->probe = told ? 0 : delivery->sent;
    delivery->probe_events = delivery->options.batch_events_max;
    if (told)
        delivery->sent = delivery->sent_end;
}

/* Reads the next run, clipped to first .. last. False: nothing of it is in there. */
static bool next_run(struct wire_in *runs, uint64_t first, uint64_t last, struct wire_run *ret_run)
{
    struct wire_run run;
    wire_get_run(runs, &run);
    uint64_t end = run.first + run.count; /* after the last */
    if (end > last + 1)
        end = last + 1;
    if (run.first < first)
        run.first = first;
    if (run.first >= end)
        return false;
    run.count = (uint32_t)(end - run.first);
    *ret_run = run;
    return true;
}

/* Everything up to up_to has ended. The runs give the results; numbers in no run were stored. The
 * runs were checked before. */
static void end_up_to(struct delivery *delivery, uint64_t up_to, struct wire_in runs,
                      uint32_t run_count)
{
    uint64_t next = delivery->acked + 1;
    delivery->runs_untold += run_count;
    judge_probe(delivery, up_to);
    for (uint32_t i = 0; i < run_count; i++) {
        struct wire_run run;
        if (!next_run(&runs, next, up_to, &run))
            continue;
        if (run.first > next)
            add_results(delivery, next, run.first - next, SPN_STORED, SPN_OK);
        add_results(delivery, run.first, run.count, (spn_result)run.result, code_of(&run));
        next = run.first + run.count;
    }
    if (next <= up_to)
        add_results(delivery, next, up_to + 1 - next, SPN_STORED, SPN_OK);
    delivery->acked = up_to;
    if (delivery->sent <= up_to)
        delivery->sent = up_to + 1;
    if (delivery->accepted < up_to)
        delivery->accepted = up_to;
    window_forget(&delivery->window, up_to + 1);
    delivery->moved = true;
}

/* With level none only a refusal is a result. After a restart the sidecar sends those again that it
 * may have sent before. */
static void take_refusals(struct delivery *delivery, uint64_t up_to, struct wire_in runs,
                          uint32_t run_count)
{
    for (uint32_t i = 0; i < run_count; i++) {
        struct wire_run run;
        if (next_run(&runs, delivery->refusals_end, up_to, &run) && run.result == WIRE_REFUSED)
            add_results(delivery, run.first, run.count, SPN_REFUSED, code_of(&run));
    }
    if (delivery->refusals_end <= up_to)
        delivery->refusals_end = up_to + 1;
}

/* With level none an event has ended once it is sent. */
static void forget_sent(struct delivery *delivery)
{
    delivery->acked = delivery->sent - 1;
    window_forget(&delivery->window, delivery->sent);
}

/* -- sending ----------------------------------------------------------------------------------- */

uint64_t delivery_in_flight(const struct delivery *delivery)
{
    return delivery->sent - 1 - delivery->acked;
}

bool delivery_gathered(const struct delivery *delivery)
{
    const struct window *window = &delivery->window;
    return window->next - delivery->sent >= DELIVERY_GATHER_EVENTS ||
           window_bytes_from(window, delivery->sent) >= DELIVERY_GATHER_BYTES;
}

bool delivery_ready(const struct delivery *delivery)
{
    const struct window *window = &delivery->window;
    if (delivery->sent == window->next || delivery->failed != SPN_OK ||
        delivery->need == DELIVERY_OPEN)
        return false;
    if (delivery->probe != 0 && delivery->sent > delivery->probe)
        return false;
    return delivery_in_flight(delivery) == 0 || delivery->sent < delivery->sent_end ||
           delivery->sent <= delivery->urgent || delivery_gathered(delivery);
}

struct window_cut delivery_cut(struct delivery *delivery, struct wire_batch *ret_batch)
{
    assert(delivery_ready(delivery));
    uint32_t events_max =
        delivery->probe != 0 ? delivery->probe_events : delivery->options.batch_events_max;
    struct window_cut cut = window_cut(&delivery->window, delivery->sent,
                                       delivery->options.batch_bytes_max, events_max);
    *ret_batch = (struct wire_batch){.token = delivery->token,
                                     .first = delivery->sent,
                                     .base = delivery_base(delivery),
                                     .round = delivery->round,
                                     .count = cut.count,
                                     .level = (uint8_t)delivery->options.level,
                                     .backpressure = delivery->backpressure};
    return cut;
}

void delivery_sent(struct delivery *delivery, const struct wire_batch *batch)
{
    delivery->sent = batch->first + batch->count;
    delivery->backpressure = 0;
    delivery->runs_untold = 0;
    if (batch->first < delivery->sent_end) {
        uint64_t again_end =
            delivery->sent < delivery->sent_end ? delivery->sent : delivery->sent_end;
        delivery->counters.resent += again_end - batch->first;
    }
    if (delivery->sent_end < delivery->sent)
        delivery->sent_end = delivery->sent;
    if (delivery->options.level == SPN_NONE)
        forget_sent(delivery);
}

void delivery_note_backpressure(struct delivery *delivery)
{
    delivery->counters.backpressure++;
    if (delivery->backpressure < UINT32_MAX)
        delivery->backpressure++;
}

void delivery_hurry(struct delivery *delivery)
{
    delivery->urgent = delivery->window.next - 1;
}

/* -- what came back ---------------------------------------------------------------------------- */

static void go_back(struct delivery *delivery, uint64_t number)
{
    if (number < delivery->window.base)
        number = delivery->window.base;
    delivery->sent = number;
    delivery->round++;
    delivery->probe = 0;
}

/* Reads the runs once without acting, so that an invalid message is dropped as a whole. */
static bool runs_are_good(struct wire_in runs, uint32_t run_count)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < run_count && !runs.bad; i++) {
        struct wire_run run;
        wire_get_run(&runs, &run);
        if (run.first < end)
            return false;
        end = run.first + run.count;
    }
    return wire_in_done(&runs);
}

static spn_err take_ack(struct delivery *delivery, struct wire_in in)
{
    struct wire_ack ack;
    wire_get_ack(&in, &ack);
    if (in.bad || !runs_are_good(in, ack.run_count))
        return SPN_E_PROTOCOL;
    if (delivery->seen.position < ack.position)
        delivery->seen.position = ack.position;
    if (ack.up_to >= delivery->sent_end)
        return SPN_E_PROTOCOL; /* never sent */
    if (delivery->options.level == SPN_NONE)
        take_refusals(delivery, ack.up_to, in, ack.run_count);
    if (ack.level < (uint8_t)delivery->options.level || ack.up_to <= delivery->acked)
        return SPN_OK;
    if (ack.from <= delivery->acked)
        end_up_to(delivery, ack.up_to, in, ack.run_count);
    else if (delivery->need < DELIVERY_STATE)
        delivery->need = DELIVERY_STATE; /* an earlier ACK got lost, and its runs with it */
    return SPN_OK;
}

static spn_err take_expect(struct delivery *delivery, struct wire_in in)
{
    struct wire_expect expect;
    wire_get_expect(&in, &expect);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    if (expect.round == delivery->round && expect.number < delivery->sent)
        go_back(delivery, expect.number);
    return SPN_OK;
}

bool delivery_owns(const struct delivery *delivery, uint8_t type, struct wire_in in)
{
    uint64_t token = 0;
    if (in.end - in.at < (ptrdiff_t)sizeof(token))
        return false;
    for (size_t i = 0; i < sizeof(token); i++)
        token |= (uint64_t)in.at[i] << (8 * i);
    return token == delivery->token || (type == WIRE_ERROR && token == 0);
}

spn_err delivery_take(struct delivery *delivery, uint8_t type, struct wire_in in,
                      struct spn_bytes *ret_detail)
{
    struct wire_error error;
    *ret_detail = (struct spn_bytes){0};
    if (delivery->failed != SPN_OK)
        return SPN_OK;
    switch (type) {
    case WIRE_ACK:
        return take_ack(delivery, in);
    case WIRE_EXPECT:
        return take_expect(delivery, in);
    case WIRE_ERROR:
        wire_get_error(&in, &error);
        if (!wire_in_done(&in))
            return SPN_E_PROTOCOL;
        *ret_detail = error.detail;
        delivery_take_error(delivery, err_from_wire(error.code));
        return SPN_OK;
    default:
        return SPN_E_PROTOCOL;
    }
}

/* An error that will not pass ends the producer. Other errors are left to the next state. */
void delivery_take_error(struct delivery *delivery, spn_err code)
{
    switch (code) {
    case SPN_E_STALE_TOKEN:
        delivery->need = DELIVERY_OPEN;
        break;
    case SPN_E_FENCED:
    case SPN_E_VERSION:
    case SPN_E_PROTOCOL:
    case SPN_E_INVALID:
        delivery->failed = code;
        break;
    default:
        break;
    }
}

/* Of the events that were acknowledged when the request went out, those above accepted are lost:
 * the sidecar restarted, and the level was accepted (at level durable: see take_mark). True: there
 * are lost events. Events that were acknowledged after the request are not counted: their
 * acknowledgement overtook the answer. */
static bool lose_above(struct delivery *delivery, uint64_t accepted)
{
    uint64_t by_result[SPN_LOST + 1] = {0};
    struct spn_counters *counters = &delivery->counters;
    uint64_t first = accepted + 1 > delivery->lost_end ? accepted + 1 : delivery->lost_end;
    uint64_t last = delivery->asked_acked;
    if (delivery->options.level == SPN_NONE || accepted >= last)
        return false;
    if (first > last)
        return true; /* it was counted before */
    delivery->lost_end = last + 1;
    results_lose(&delivery->results, first, last, by_result);
    counters->stored -= by_result[SPN_STORED];
    counters->duplicates -= by_result[SPN_DUPLICATE];
    counters->conflicts -= by_result[SPN_CONFLICT];
    counters->refused -= by_result[SPN_REFUSED];
    counters->lost += last - first + 1;
    return true;
}

bool delivery_owes_base(const struct delivery *delivery)
{
    return delivery->runs_untold >= DELIVERY_RUNS_UNTOLD_MAX && delivery_in_flight(delivery) > 0 &&
           !delivery_ready(delivery);
}

/* An older copy of the database, or another one, shows in its mark, or in the loss of durable
 * events. The events that it lacks are lost as events that were only accepted are. But no app
 * expects this loss, so it is counted in gone too.
 */
static void take_mark(struct delivery *delivery, const struct wire_mark *mark, uint64_t lost)
{
    struct wire_mark *seen = &delivery->seen;
    bool same = memcmp(seen->database, mark->database, sizeof(seen->database)) == 0;
    if (!same || mark->position < seen->position || delivery->options.level == SPN_DURABLE)
        delivery->gone += lost;
    *seen = *mark;
}

void delivery_asked(struct delivery *delivery)
{
    delivery->asked_acked = delivery->acked;
    delivery->telling = delivery->need == DELIVERY_BASE;
    delivery->runs_untold = 0;
}

/* known: the highest number that the sidecar was known to have before. If it has more now it is
 * slow, not deaf, and the events that were sent are on their way. They are also on their way if the
 * request only reported the base. */
static void resend(struct delivery *delivery, bool opened, uint64_t accepted, uint64_t known)
{
    if (lose_above(delivery, accepted) || opened) {
        go_back(delivery, accepted + 1);
    } else if (!delivery->telling && accepted >= delivery->acked && accepted <= known &&
               accepted + 1 < delivery->sent) {
        go_back(delivery, accepted + 1);
        delivery->probe = delivery->sent;
        delivery->probe_events = PROBE_EVENTS;
    }
}

spn_err delivery_take_state(struct delivery *delivery, bool opened, struct wire_in in)
{
    struct wire_state state;
    wire_get_state(&in, &state);
    if (in.bad || !runs_are_good(in, state.run_count))
        return SPN_E_PROTOCOL;
    if (!opened && state.token != delivery->token)
        return SPN_OK;
    delivery->token = state.token;
    delivery->instance = state.instance;
    delivery->need = DELIVERY_NOTHING;

    uint64_t sent_last = delivery->sent_end - 1; /* numbers that were never sent have no result */
    uint64_t durable = state.durable < sent_last ? state.durable : sent_last;
    uint64_t accepted = state.accepted < sent_last ? state.accepted : sent_last;
    uint64_t known = delivery->accepted;
    judge_probe(delivery, accepted);
    if (delivery->options.level != SPN_NONE && durable > delivery->acked)
        end_up_to(delivery, durable, in, state.run_count);
    uint64_t lost = delivery->counters.lost;
    resend(delivery, opened, accepted, known);
    if (opened)
        take_mark(delivery, &state.mark, delivery->counters.lost - lost);
    delivery->accepted = accepted > delivery->acked ? accepted : delivery->acked;
    return SPN_OK;
}
