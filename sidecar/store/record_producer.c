/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_producer.h"

#include <assert.h>

#include "store/record_entry.h"
#include "store/record_value.h"

enum {
    PRODUCER_RUN_COUNT = 4,
    PRODUCER_TOKEN = 8,
    PRODUCER_NUMBER = 16,
    PRODUCER_BASE = 24,
    PRODUCER_TIME = 32,
    PRODUCER_RUNS = 40, /* then the owner */
    OWNER_UID = 0,
    OWNER_KEPT = 4,
    OWNER_ZERO = 5,
    OWNER_SIZE = 8,
    RUN_FIRST = 0,
    RUN_COUNT = 8,
    RUN_RESULT = 12,
    RUN_CODE = 13,
    RUN_SIZE = 15,
};

size_t record_producer_size(const struct record_producer *producer)
{
    return PRODUCER_RUNS + producer->run_count * RUN_SIZE + OWNER_SIZE;
}

static uint32_t producer_checksum(const uint8_t *value, size_t size, const uint8_t *id)
{
    uint64_t key = record_hash((struct spn_bytes){id, RECORD_PRODUCER_ID_SIZE});
    return record_checksum(value + PRODUCER_RUN_COUNT, size - PRODUCER_RUN_COUNT, OF_PRODUCER, key);
}

void record_put_producer(void *value, const uint8_t *id, const struct record_producer *producer)
{
    uint8_t *at = value;

    assert(producer->run_count <= RECORD_RUNS_MAX);
    put_u32(at + PRODUCER_RUN_COUNT, (uint32_t)producer->run_count);
    put_u64(at + PRODUCER_TOKEN, producer->token);
    put_u64(at + PRODUCER_NUMBER, producer->number);
    put_u64(at + PRODUCER_BASE, producer->base);
    put_u64(at + PRODUCER_TIME, producer->time_ns);
    for (size_t i = 0; i < producer->run_count; i++) {
        uint8_t *run = at + PRODUCER_RUNS + i * RUN_SIZE;
        put_u64(run + RUN_FIRST, producer->runs[i].first);
        put_u32(run + RUN_COUNT, producer->runs[i].count);
        run[RUN_RESULT] = producer->runs[i].result;
        put_u16(run + RUN_CODE, producer->runs[i].code);
    }
    uint8_t *owner = at + PRODUCER_RUNS + producer->run_count * RUN_SIZE;
    put_u32(owner + OWNER_UID, producer->uid);
    owner[OWNER_KEPT] = producer->kept;
    memset(owner + OWNER_ZERO, 0, OWNER_SIZE - OWNER_ZERO);
    put_u32(at + CHECKSUM, producer_checksum(at, record_producer_size(producer), id));
}

spn_err record_get_producer(struct spn_bytes value, const uint8_t *id, struct record_run *runs,
                            struct record_producer *ret_producer)
{
    const uint8_t *at = value.data;

    if (value.size < PRODUCER_RUNS + OWNER_SIZE)
        return SPN_E_CORRUPT;
    size_t run_count = get_u32(at + PRODUCER_RUN_COUNT);
    size_t runs_end = PRODUCER_RUNS + run_count * RUN_SIZE;
    if (run_count > RECORD_RUNS_MAX || value.size != runs_end + OWNER_SIZE)
        return SPN_E_CORRUPT;
    if (get_u32(at + CHECKSUM) != producer_checksum(at, value.size, id))
        return SPN_E_CORRUPT;
    for (size_t i = 0; i < run_count; i++) {
        const uint8_t *run = at + PRODUCER_RUNS + i * RUN_SIZE;
        runs[i] = (struct record_run){
            .first = get_u64(run + RUN_FIRST),
            .count = get_u32(run + RUN_COUNT),
            .result = run[RUN_RESULT],
            .code = get_u16(run + RUN_CODE),
        };
    }
    *ret_producer = (struct record_producer){
        .token = get_u64(at + PRODUCER_TOKEN),
        .number = get_u64(at + PRODUCER_NUMBER),
        .base = get_u64(at + PRODUCER_BASE),
        .time_ns = get_u64(at + PRODUCER_TIME),
        .runs = runs,
        .run_count = run_count,
        .kept = at[runs_end + OWNER_KEPT],
        .uid = get_u32(at + runs_end + OWNER_UID),
    };
    return SPN_OK;
}
