/* SPDX-License-Identifier: Apache-2.0 */
#include "parcel.h"

#include <stdlib.h>

struct parcel *parcel_resize(struct parcel *parcel, size_t room)
{
    return realloc(parcel, sizeof(*parcel) + room);
}

void parcel_free(struct parcel *parcel)
{
    free(parcel);
}

static void let_go(void *bytes, void *hint)
{
    struct parcel *parcel = hint;
    (void)bytes;
    size_t size = atomic_load_explicit(&parcel->size, memory_order_acquire);
    atomic_fetch_sub_explicit(&parcel->metrics->unsent, size, memory_order_relaxed);
    free(parcel);
}

spn_err parcel_message(zmq_msg_t *ret_message, struct parcel *parcel, size_t size,
                       struct metrics *metrics)
{
    uint64_t before = metrics_get(&metrics->unsent);
    spn_err err = before > 0 && before + size > PARCEL_UNSENT_MAX ? SPN_E_BACKPRESSURE : SPN_OK;
    parcel->metrics = metrics;
    atomic_store_explicit(&parcel->size, size, memory_order_release);
    if (err == SPN_OK && zmq_msg_init_data(ret_message, parcel->bytes, size, let_go, parcel) != 0)
        err = SPN_E_NOMEM;
    if (err != SPN_OK) {
        free(parcel);
        return err;
    }
    atomic_fetch_add_explicit(&metrics->unsent, size, memory_order_relaxed);
    return SPN_OK;
}
