/* SPDX-License-Identifier: Apache-2.0 */
/* given_id: ids for events that are published without one. */
#include <assert.h>
#include <string.h>

#include "producer_base.h"

static_assert(PRODUCER_PREFIX_SIZE + DECIMAL_MAX + 1 <= SPN_GIVEN_ID_MAX, "room for a given id");

void prod_encode_prefix(const uint8_t id[WIRE_PRODUCER_ID_SIZE], char out[PRODUCER_PREFIX_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t used = 0;
    for (size_t i = 0; i < WIRE_PRODUCER_ID_SIZE; i += 3) {
        uint32_t group = (uint32_t)id[i] << 16;
        if (i + 2 < WIRE_PRODUCER_ID_SIZE)
            group |= (uint32_t)id[i + 1] << 8 | id[i + 2];
        for (int shift = 18; shift >= 0 && used < PRODUCER_PREFIX_SIZE - 1; shift -= 6)
            out[used++] = digits[(group >> shift) & 63];
    }
    out[used] = '-';
}

size_t prod_write_given_id(const struct spn_producer *producer, uint64_t number,
                           char out[SPN_GIVEN_ID_MAX])
{
    char decimal[DECIMAL_MAX];
    size_t at = DECIMAL_MAX;
    do {
        decimal[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(out, producer->prefix, PRODUCER_PREFIX_SIZE);
    memcpy(out + PRODUCER_PREFIX_SIZE, decimal + at, DECIMAL_MAX - at);
    return PRODUCER_PREFIX_SIZE + DECIMAL_MAX - at;
}

size_t spn_given_id(const spn_producer *producer, uint64_t ticket, char ret_id[SPN_GIVEN_ID_MAX])
{
    if (ret_id == NULL)
        return 0;
    size_t length = producer != NULL ? prod_write_given_id(producer, ticket, ret_id) : 0;
    ret_id[length] = '\0';
    return length;
}
