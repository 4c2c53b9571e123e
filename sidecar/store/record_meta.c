/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_meta.h"

#include <assert.h>

#include "store/record_value.h"

enum {
    /* The first 12 bytes are the same in every format, so that an old program can tell a newer
     * database from a foreign one. */
    META_MAGIC = 0,
    META_FORMAT = 8,
    META_CHECKSUM = 12,
    META_CHECKPOINT = 16,
    META_NEXT_POSITION = 24,
    META_CLOCK = 32,
    META_SEGMENT = 40,
    META_SECRET = 48,
    META_RETENTION_EVENTS = 240,
    META_RETENTION_BYTES = 248,
    META_RETENTION_AGE = 256,
    META_NARROWEST_EVENTS = 264,
    META_NARROWEST_BYTES = 272,
    META_NARROWEST_AGE = 280,
    META_WALL = 288,
    META_BOOT_TIME = 296,
    META_BOOT_ID = 304,
    META_CATCH_UP = 320,
    META_DATABASE = 328,
    META_TAKEN = 344,
    META_END = 352,
};

static_assert((int)META_SECRET + (int)RECORD_SECRET_SIZE == (int)META_RETENTION_EVENTS, "meta");
static_assert((int)META_END <= (int)RECORD_META_SIZE, "meta");

static const uint8_t magic[8] = {'S', 'P', 'O', 'N', 'S', 'O', 'N', 0};

static uint32_t meta_checksum(const uint8_t *value, size_t size, uint32_t format)
{
    return record_checksum(value + META_CHECKPOINT, size - META_CHECKPOINT, OF_META, format);
}

void record_put_meta(void *value, const struct record_meta *meta)
{
    uint8_t *at = value;

    memset(at, 0, RECORD_META_SIZE);
    memcpy(at + META_MAGIC, magic, sizeof(magic));
    put_u32(at + META_FORMAT, meta->format);
    put_u64(at + META_CHECKPOINT, meta->checkpoint);
    put_u64(at + META_NEXT_POSITION, meta->next_position);
    put_u64(at + META_CLOCK, meta->clock_ns);
    put_u32(at + META_SEGMENT, meta->segment);
    memcpy(at + META_SECRET, meta->secret, RECORD_SECRET_SIZE);
    put_u64(at + META_RETENTION_EVENTS, meta->retention.events_max);
    put_u64(at + META_RETENTION_BYTES, meta->retention.bytes_max);
    put_u64(at + META_RETENTION_AGE, meta->retention.age_max_ns);
    put_u64(at + META_NARROWEST_EVENTS, meta->narrowest.events_max);
    put_u64(at + META_NARROWEST_BYTES, meta->narrowest.bytes_max);
    put_u64(at + META_NARROWEST_AGE, meta->narrowest.age_max_ns);
    put_u64(at + META_WALL, meta->clock_at.wall_ms);
    put_u64(at + META_BOOT_TIME, meta->clock_at.boot_ns);
    memcpy(at + META_BOOT_ID, meta->clock_at.boot_id, CLOCK_BOOT_ID_SIZE);
    put_u64(at + META_CATCH_UP, meta->catch_up_max_ns);
    memcpy(at + META_DATABASE, meta->database, RECORD_DATABASE_ID_SIZE);
    put_u64(at + META_TAKEN, meta->taken);
    put_u32(at + META_CHECKSUM, meta_checksum(at, RECORD_META_SIZE, meta->format));
}

/* Whether the value has this format, whatever its number of the format says. */
static bool is_ours(struct spn_bytes value)
{
    const uint8_t *at = value.data;
    return value.size == RECORD_META_SIZE &&
           get_u32(at + META_CHECKSUM) == meta_checksum(at, value.size, RECORD_FORMAT);
}

spn_err record_get_meta(struct spn_bytes value, struct record_meta *ret_meta)
{
    const uint8_t *at = value.data;

    if (value.size < META_CHECKSUM || memcmp(at + META_MAGIC, magic, sizeof(magic)) != 0)
        return SPN_E_CORRUPT;
    uint32_t format = get_u32(at + META_FORMAT);
    bool ours = is_ours(value);
    if (format != RECORD_FORMAT && !ours)
        return format > RECORD_FORMAT ? SPN_E_NEWER_FORMAT : SPN_E_OLDER_FORMAT;
    if (format != RECORD_FORMAT || !ours)
        return SPN_E_CORRUPT;

    struct record_meta meta = {
        .format = RECORD_FORMAT,
        .checkpoint = get_u64(at + META_CHECKPOINT),
        .next_position = get_u64(at + META_NEXT_POSITION),
        .clock_ns = get_u64(at + META_CLOCK),
        .segment = get_u32(at + META_SEGMENT),
        .retention = {.events_max = get_u64(at + META_RETENTION_EVENTS),
                      .bytes_max = get_u64(at + META_RETENTION_BYTES),
                      .age_max_ns = get_u64(at + META_RETENTION_AGE)},
        .narrowest = {.events_max = get_u64(at + META_NARROWEST_EVENTS),
                      .bytes_max = get_u64(at + META_NARROWEST_BYTES),
                      .age_max_ns = get_u64(at + META_NARROWEST_AGE)},
        .clock_at = {.wall_ms = get_u64(at + META_WALL), .boot_ns = get_u64(at + META_BOOT_TIME)},
        .catch_up_max_ns = get_u64(at + META_CATCH_UP),
        .taken = get_u64(at + META_TAKEN),
    };
    memcpy(meta.secret, at + META_SECRET, RECORD_SECRET_SIZE);
    memcpy(meta.database, at + META_DATABASE, RECORD_DATABASE_ID_SIZE);
    memcpy(meta.clock_at.boot_id, at + META_BOOT_ID, CLOCK_BOOT_ID_SIZE);
    *ret_meta = meta;
    return SPN_OK;
}

void record_set_rule(struct record_meta *meta, const struct retention *rule)
{
    meta->retention = *rule;
    retention_narrow(&meta->narrowest, rule);
}
