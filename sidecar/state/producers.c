/* SPDX-License-Identifier: Apache-2.0 */
#include "state/producers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { ROOM_FIRST = 64, RUNS_FIRST = 8 };

static_assert((int)RECORD_RUNS_MAX <= (int)WIRE_RUNS_MAX, "all runs fit one message");

static uint64_t hash_of_id(const uint8_t *id)
{
    return XXH3_64bits(id, WIRE_PRODUCER_ID_SIZE);
}

static uint64_t id_hash_of_slot(const void *owner, uint32_t slot)
{
    const struct producers *producers = owner;
    return hash_of_id(producers->slots[slot]->id);
}

static uint64_t token_of_slot(const void *owner, uint32_t slot)
{
    const struct producers *producers = owner;
    return producers->slots[slot]->token; /* random: usable as a hash */
}

spn_err producers_init(struct producers *producers, size_t producer_size,
                       bool (*is_idle)(const struct producer *))
{
    assert(producer_size >= sizeof(struct producer));
    *producers = (struct producers){.producer_size = producer_size, .is_idle = is_idle};
    spn_err err = slot_index_init(&producers->by_id, id_hash_of_slot, producers);
    if (err == SPN_OK)
        err = slot_index_init(&producers->by_token, token_of_slot, producers);
    return err;
}

void producers_release(struct producers *producers)
{
    for (uint32_t i = 0; i < producers->count; i++) {
        free(producers->slots[i]->runs);
        free(producers->slots[i]);
    }
    free(producers->slots);
    free(producers->shares);
    slot_index_release(&producers->by_id);
    slot_index_release(&producers->by_token);
    producers->slots = NULL;
    producers->shares = NULL;
    producers->count = 0;
    producers->share_count = 0;
}

/* -- lists ------------------------------------------------------------------------------------- */

static void unlink_from_list(struct producer *producer)
{
    struct producer_list *list = producer->list;
    if (!list)
        return;
    *(producer->before ? &producer->before->after : &list->first) = producer->after;
    *(producer->after ? &producer->after->before : &list->last) = producer->before;
    producer->list = NULL;
    producer->before = producer->after = NULL;
}

static void append_to(struct producer_list *list, struct producer *producer)
{
    unlink_from_list(producer);
    producer->list = list;
    producer->before = list->last;
    *(list->last ? &list->last->after : &list->first) = producer;
    list->last = producer;
}

static void put_first(struct producer_list *list, struct producer *producer)
{
    unlink_from_list(producer);
    producer->list = list;
    producer->after = list->first;
    *(list->first ? &list->first->before : &list->last) = producer;
    list->first = producer;
}

void producer_written(struct producers *producers, struct producer *producer)
{
    if (producer->written)
        return;
    producer->written = true;
    if (producer->kept)
        unlink_from_list(producer);
    else
        append_to(&producers->random, producer);
}

void producer_heard(struct producers *producers, struct producer *producer, uint64_t now_ns)
{
    producer->heard_ns = now_ns;
    producer->left = false;
    if (producer->list == &producers->random)
        append_to(&producers->random, producer);
}

void producer_leave(struct producers *producers, struct producer *producer)
{
    producer->left = true;
    if (!producer->kept)
        put_first(producer->written ? &producers->random : &producers->unwritten, producer);
}

static struct producer *first_idle(const struct producers *producers,
                                   const struct producer_list *list, uint32_t uid,
                                   uint64_t heard_before_ns)
{
    struct producer *producer = list->first;
    for (int i = 0; producer && i < PRODUCERS_LOOK_MAX; i++, producer = producer->after)
        if ((uid == UINT32_MAX || producer->uid == uid) && producers->is_idle(producer) &&
            (producer->left || producer->heard_ns <= heard_before_ns))
            return producer;
    return NULL;
}

struct producer *producers_expendable(const struct producers *producers, uint32_t uid,
                                      uint64_t now_ns)
{
    struct producer *producer = first_idle(producers, &producers->unwritten, uid, UINT64_MAX);
    if (producer || now_ns < PRODUCERS_UNHEARD_NS)
        return producer ? producer : first_idle(producers, &producers->random, uid, 0);
    return first_idle(producers, &producers->random, uid, now_ns - PRODUCERS_UNHEARD_NS);
}

/* -- shares ------------------------------------------------------------------------------------ */

static struct producer_share *find_share(const struct producers *producers, uint32_t uid)
{
    for (size_t i = 0; i < producers->share_count; i++)
        if (producers->shares[i].count > 0 && producers->shares[i].uid == uid)
            return &producers->shares[i];
    return NULL;
}

uint32_t producers_of(const struct producers *producers, uint32_t uid)
{
    const struct producer_share *share = find_share(producers, uid);
    return share ? share->count : 0;
}

/* NULL: out of memory. */
static struct producer_share *make_share(struct producers *producers, uint32_t uid)
{
    struct producer_share *share = find_share(producers, uid);
    for (size_t i = 0; !share && i < producers->share_count; i++)
        if (producers->shares[i].count == 0)
            share = &producers->shares[i];
    if (!share) {
        size_t count = producers->share_count + 1;
        struct producer_share *shares = realloc(producers->shares, count * sizeof(*shares));
        if (!shares)
            return NULL;
        producers->shares = shares;
        producers->share_count = count;
        share = &shares[count - 1];
        share->count = 0;
    }
    share->uid = uid;
    return share;
}

static uint32_t find_slot(const struct producers *producers, const uint8_t *id)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&producers->by_id, hash_of_id(id), &cursor)) != SLOT_NONE)
        if (memcmp(producers->slots[slot]->id, id, WIRE_PRODUCER_ID_SIZE) == 0)
            return slot;
    return SLOT_NONE;
}

struct producer *producers_find_id(const struct producers *producers, const uint8_t *id)
{
    uint32_t slot = find_slot(producers, id);
    return slot == SLOT_NONE ? NULL : producers->slots[slot];
}

struct producer *producers_find_token(const struct producers *producers, uint64_t token)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&producers->by_token, token, &cursor)) != SLOT_NONE)
        if (producers->slots[slot]->token == token)
            return producers->slots[slot];
    return NULL;
}

static spn_err make_room(struct producers *producers)
{
    spn_err err = slot_index_reserve(&producers->by_id, 1);
    if (err != SPN_OK || producers->count < producers->room)
        return err;
    uint32_t room = producers->room > 0 ? producers->room * 2 : ROOM_FIRST;
    struct producer **slots = realloc(producers->slots, room * sizeof(struct producer *));
    if (!slots)
        return SPN_E_NOMEM;
    producers->slots = slots;
    producers->room = room;
    return SPN_OK;
}

spn_err producers_add(struct producers *producers, const uint8_t *id,
                      const struct producer_owner *owner, struct producer **ret_producer)
{
    spn_err err = make_room(producers);
    if (err != SPN_OK)
        return err;
    struct producer_share *share = make_share(producers, owner->uid);
    struct producer *producer = share ? calloc(1, producers->producer_size) : NULL;
    if (!producer)
        return SPN_E_NOMEM;
    share->count++;
    producer->uid = owner->uid;
    producer->kept = owner->kept;
    append_to(&producers->unwritten, producer);
    memcpy(producer->id, id, WIRE_PRODUCER_ID_SIZE);
    producer->base = 1;
    producers->slots[producers->count] = producer;
    slot_index_add(&producers->by_id, hash_of_id(id), producers->count);
    producers->count++;
    *ret_producer = producer;
    return SPN_OK;
}

/* Moves the last slot into a hole, so that there are no holes. */
static void move_slot(struct producers *producers, uint32_t from, uint32_t to)
{
    struct producer *moved = producers->slots[from];
    uint64_t id_hash = hash_of_id(moved->id);
    slot_index_remove(&producers->by_id, id_hash, from);
    if (moved->token != 0)
        slot_index_remove(&producers->by_token, moved->token, from);
    producers->slots[to] = moved;
    slot_index_add(&producers->by_id, id_hash, to);
    if (moved->token != 0)
        slot_index_add(&producers->by_token, moved->token, to);
}

void producers_remove(struct producers *producers, struct producer *producer)
{
    uint32_t slot = find_slot(producers, producer->id);
    uint32_t last = producers->count - 1;
    assert(slot != SLOT_NONE && producers->slots[slot] == producer);
    slot_index_remove(&producers->by_id, hash_of_id(producer->id), slot);
    if (producer->token != 0)
        slot_index_remove(&producers->by_token, producer->token, slot);
    if (slot != last)
        move_slot(producers, last, slot);
    producers->count--;
    unlink_from_list(producer);
    find_share(producers, producer->uid)->count--;
    free(producer->runs);
    free(producer);
}

spn_err producers_give(struct producers *producers, struct producer *producer, uint64_t token)
{
    assert(token != 0);
    spn_err err = slot_index_reserve(&producers->by_token, 1);
    if (err != SPN_OK)
        return err;
    uint32_t slot = find_slot(producers, producer->id);
    if (producer->token != 0)
        slot_index_remove(&producers->by_token, producer->token, slot);
    producer->token = token;
    producer->stale = false;
    slot_index_add(&producers->by_token, token, slot);
    return SPN_OK;
}

/* Forgets the oldest runs. */
static void drop_runs(struct producer *producer, size_t count)
{
    if (!producer->runs || count == 0)
        return;
    producer->run_count -= count;
    memmove(producer->runs, producer->runs + count, producer->run_count * sizeof(*producer->runs));
}

uint64_t producer_skip(struct producer *producer, uint64_t base)
{
    uint64_t lost = base > producer->accepted + 1 ? base - 1 - producer->accepted : 0;
    producer->accepted += lost;
    return lost;
}

void producer_settle(struct producer *producer, uint64_t base)
{
    if (base > producer->accepted + 1)
        base = producer->accepted + 1;
    if (base <= producer->base)
        return;
    producer->base = base;
    size_t gone = 0;
    while (producer->runs && gone < producer->run_count &&
           producer->runs[gone].first + producer->runs[gone].count <= base)
        gone++;
    drop_runs(producer, gone);
}

static spn_err make_run_room(struct producer *producer)
{
    if (producer->run_count == RECORD_RUNS_MAX)
        return SPN_E_TOO_MANY;
    if (producer->runs && producer->run_count < producer->run_room)
        return SPN_OK;
    size_t room = producer->run_room > 0 ? producer->run_room * 2 : RUNS_FIRST;
    struct record_run *runs = realloc(producer->runs, room * sizeof(*runs));
    if (!runs)
        return SPN_E_NOMEM;
    producer->runs = runs;
    producer->run_room = room;
    return SPN_OK;
}

spn_err producer_note(struct producer *producer, uint64_t number, enum wire_result result,
                      spn_err code)
{
    assert((result == WIRE_REFUSED) == (code != SPN_OK));
    struct record_run *last =
        producer->run_count > 0 ? &producer->runs[producer->run_count - 1] : NULL;
    if (last && last->result == result && last->code == code &&
        last->first + last->count == number && last->count < UINT32_MAX) {
        last->count++;
        return SPN_OK;
    }
    spn_err err = make_run_room(producer);
    if (err == SPN_OK)
        producer->runs[producer->run_count++] = (struct record_run){
            .first = number, .count = 1, .result = (uint8_t)result, .code = (uint16_t)code};
    return err;
}

bool producer_may_have_refused(const struct producer *producer, uint64_t number)
{
    if (number < producer->base)
        return true;
    for (size_t i = producer->run_count; i > 0; i--) {
        const struct record_run *run = &producer->runs[i - 1];
        if (run->first <= number)
            return run->result == WIRE_REFUSED && number - run->first < run->count;
    }
    return false;
}

void producer_withhold(struct producer *producer, uint64_t number)
{
    if (producer->withheld_last <= producer->durable)
        producer->withheld_first = number;
    producer->withheld_last = number;
}

/* Runs ascend, so those with numbers that are not durable are the last ones. */
uint64_t producer_accepted_end(const struct producer *producer)
{
    uint64_t end = producer->accepted;
    if (producer->withheld_last > producer->durable)
        end = producer->withheld_first > producer->durable ? producer->withheld_first - 1
                                                           : producer->durable;
    for (size_t i = producer->run_count; i > 0; i--) {
        const struct record_run *run = &producer->runs[i - 1];
        if (run->first + run->count <= producer->durable + 1)
            break;
        if (run->result == WIRE_REFUSED && run->first <= end)
            end = run->first > producer->durable ? run->first - 1 : producer->durable;
    }
    return end;
}

size_t producer_runs(const struct producer *producer, uint64_t from, uint64_t up_to,
                     struct wire_run *ret_runs)
{
    size_t count = 0;
    for (size_t i = 0; i < producer->run_count && count < WIRE_RUNS_MAX; i++) {
        const struct record_run *run = &producer->runs[i];
        uint64_t first = run->first < from ? from : run->first;
        uint64_t end = run->first + run->count; /* after the last */
        if (end > up_to + 1)
            end = up_to + 1;
        struct wire_run clipped = {.first = first, .count = (uint32_t)(end - first)};
        clipped.result = run->result;
        clipped.code = run->code;
        if (first < end)
            ret_runs[count++] = clipped;
    }
    return count;
}
