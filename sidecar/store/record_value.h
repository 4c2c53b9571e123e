/* SPDX-License-Identifier: Apache-2.0 */
/* record_value: what the encodings of all values share.
 *
 * All integers are little-endian. A value in an LMDB page may be only 2-byte aligned, so integers
 * are moved with memcpy. The checksum comes first (in meta after the magic and the format) and
 * covers the bytes after it.
 */
#ifndef SPN_RECORD_VALUE_H
#define SPN_RECORD_VALUE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "spn_err.h"

enum { CHECKSUM = 0 };

static inline void put_u16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof(value));
}

static inline void put_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static inline void put_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

static inline uint16_t get_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static inline uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static inline uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

/* memcpy with a NULL source is undefined even for no bytes. */
static inline uint8_t *put_bytes(uint8_t *at, struct spn_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* A value under another key, or in another table, must not pass: the seed is the key, mixed with a
 * number of the table's own. */
enum record_table {
    OF_ENTRY = 1,
    OF_ROW,
    OF_NAME,
    OF_PRODUCER,
    OF_BLOCK,
    OF_META,
    OF_SEGMENT,
    OF_ATTRIBUTES
};

static inline uint32_t record_checksum(const uint8_t *bytes, size_t size, enum record_table table,
                                       uint64_t key)
{
    const uint64_t golden = 0x9E3779B97F4A7C15u;
    return (uint32_t)XXH3_64bits_withSeed(bytes, size, key ^ ((uint64_t)table * golden));
}

#endif
