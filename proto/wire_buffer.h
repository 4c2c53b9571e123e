/* SPDX-License-Identifier: Apache-2.0 */
/* wire_buffer: integers and strings in messages, for all encodings.
 *
 * A get that does not fit sets wire_in.bad and returns zeros. A put that does not fit sets
 * wire_out.bad.
 */
#ifndef SPN_PROTO_WIRE_BUFFER_H
#define SPN_PROTO_WIRE_BUFFER_H

#include <endian.h>
#include <string.h>

#include "wire.h"

static inline const uint8_t *take(struct wire_in *in, size_t size)
{
    if (in->bad || size > (size_t)(in->end - in->at)) {
        in->fault = in->bad ? in->fault : WIRE_TOO_SHORT;
        in->bad = true;
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += size;
    return at;
}

static inline uint8_t *room(struct wire_out *out, size_t size)
{
    if (out->bad || size > (size_t)(out->end - out->at)) {
        out->bad = true;
        return NULL;
    }
    uint8_t *at = out->at;
    out->at += size;
    return at;
}

static inline uint8_t get_u8(struct wire_in *in)
{
    const uint8_t *at = take(in, 1);
    return at ? *at : 0;
}

static inline uint16_t get_u16(struct wire_in *in)
{
    uint16_t value = 0;
    const uint8_t *at = take(in, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static inline uint32_t get_u32(struct wire_in *in)
{
    uint32_t value = 0;
    const uint8_t *at = take(in, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static inline uint64_t get_u64(struct wire_in *in)
{
    uint64_t value = 0;
    const uint8_t *at = take(in, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static inline struct spn_bytes get_bytes(struct wire_in *in, size_t size)
{
    const uint8_t *at = take(in, size);
    return (struct spn_bytes){.data = at, .size = at ? size : 0};
}

static inline void put_uint(struct wire_out *out, const void *value, size_t size)
{
    uint8_t *at = room(out, size);
    if (at)
        memcpy(at, value, size);
}

static inline void put_u8(struct wire_out *out, uint8_t value)
{
    put_uint(out, &value, sizeof(value));
}

static inline void put_u16(struct wire_out *out, uint16_t value)
{
    value = htole16(value);
    put_uint(out, &value, sizeof(value));
}

static inline void put_u32(struct wire_out *out, uint32_t value)
{
    value = htole32(value);
    put_uint(out, &value, sizeof(value));
}

static inline void put_u64(struct wire_out *out, uint64_t value)
{
    value = htole64(value);
    put_uint(out, &value, sizeof(value));
}

static inline void put_bytes(struct wire_out *out, struct spn_bytes bytes)
{
    uint8_t *at = room(out, bytes.size);
    if (at && bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
}

/* A length of one or two bytes, then the bytes. More bytes than the field allows are bad. */
static inline void put_short(struct wire_out *out, struct spn_bytes bytes)
{
    if (bytes.size > UINT8_MAX)
        out->bad = true;
    put_u8(out, (uint8_t)bytes.size);
    put_bytes(out, bytes);
}

static inline struct spn_bytes get_short(struct wire_in *in)
{
    return get_bytes(in, get_u8(in));
}

static inline void get_zeros(struct wire_in *in, size_t size)
{
    const uint8_t *at = take(in, size);
    for (size_t i = 0; at && i < size; i++)
        if (at[i] != 0) {
            in->bad = true;
            in->fault = WIRE_NOT_ZERO;
            in->at = at + i;
            return;
        }
}

static inline void put_zeros(struct wire_out *out, size_t size)
{
    uint8_t *at = room(out, size);
    if (at)
        memset(at, 0, size);
}

static inline struct spn_life get_life(struct wire_in *in)
{
    struct spn_life life = {{0}};
    const uint8_t *at = take(in, sizeof(life.bytes));
    if (at)
        memcpy(life.bytes, at, sizeof(life.bytes));
    return life;
}

static inline void put_life(struct wire_out *out, struct spn_life life)
{
    put_uint(out, life.bytes, sizeof(life.bytes));
}

/* Fields that a later minor version may add: a size of two bytes, then the fields, each a number
 * and a size of two bytes, and its bytes. No field is known yet: all are skipped, and none is sent.
 */
static inline void get_fields(struct wire_in *in)
{
    struct spn_bytes all = get_bytes(in, get_u16(in));
    struct wire_in fields = wire_in(all.data, all.size);
    while (!fields.bad && fields.at != fields.end) {
        (void)get_u16(&fields);
        (void)get_bytes(&fields, get_u16(&fields));
    }
    in->bad |= fields.bad;
}

static inline void put_fields(struct wire_out *out)
{
    put_u16(out, 0);
}

static inline void put_id(struct wire_out *out, struct spn_bytes id)
{
    if (id.size > WIRE_ID_MAX)
        out->bad = true;
    put_u16(out, (uint16_t)id.size);
    put_bytes(out, id);
}

static inline struct spn_bytes get_id(struct wire_in *in)
{
    uint16_t size = get_u16(in);
    if (size > WIRE_ID_MAX)
        in->bad = true;
    return get_bytes(in, size);
}

#endif
