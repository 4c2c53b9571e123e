/* SPDX-License-Identifier: Apache-2.0 */
#include "net/outgoing.h"

#include <assert.h>
#include <stdlib.h>

struct account *account_new(struct metrics *metrics, struct account *parent)
{
    struct account *account = calloc(1, sizeof(*account));
    if (!account)
        return NULL;
    account->metrics = metrics;
    account->parent = parent;
    atomic_init(&account->owners, 1);
    if (parent)
        atomic_fetch_add_explicit(&parent->owners, 1, memory_order_relaxed);
    return account;
}

void account_let_go(struct account *account)
{
    while (account && atomic_fetch_sub_explicit(&account->owners, 1, memory_order_acq_rel) == 1) {
        struct account *parent = account->parent;
        free(account);
        account = parent;
    }
}

void account_charge(struct account *account, size_t size)
{
    atomic_fetch_add_explicit(&account->metrics->unsent, size, memory_order_relaxed);
    for (; account; account = account->parent)
        atomic_fetch_add_explicit(&account->held, size, memory_order_relaxed);
}

void account_discharge(struct account *account, size_t size)
{
    atomic_fetch_sub_explicit(&account->metrics->unsent, size, memory_order_relaxed);
    for (; account; account = account->parent) {
        atomic_fetch_sub_explicit(&account->held, size, memory_order_relaxed);
        atomic_fetch_add_explicit(&account->taken, size, memory_order_relaxed);
    }
}

struct parcel *parcel_resize(struct parcel *parcel, size_t room)
{
    assert(!parcel || !parcel->account);
    struct parcel *resized = realloc(parcel, sizeof(*parcel) + room);
    if (resized)
        resized->account = NULL;
    return resized;
}

/* Called by ZeroMQ after the last byte was sent or the connection was lost. */
static void let_go(void *bytes, void *hint)
{
    struct parcel *parcel = hint;
    (void)bytes;
    size_t charged = atomic_load_explicit(&parcel->charged, memory_order_acquire);
    account_discharge(parcel->account, charged);
    account_let_go(parcel->account);
    free(parcel);
}

spn_err parcel_seal(struct parcel *parcel, size_t size, struct account *account)
{
    parcel->next = NULL;
    parcel->account = account;
    atomic_store_explicit(&parcel->charged, PARCEL_COST + size, memory_order_release);
    if (zmq_msg_init_data(&parcel->message, parcel->bytes, size, let_go, parcel) != 0) {
        parcel->account = NULL;
        return SPN_E_NOMEM;
    }
    atomic_fetch_add_explicit(&account->owners, 1, memory_order_relaxed);
    return SPN_OK;
}

void parcel_take_message(struct parcel *parcel, zmq_msg_t *ret_message)
{
    zmq_msg_init(ret_message);
    zmq_msg_move(ret_message, &parcel->message);
    size_t charged = atomic_load_explicit(&parcel->charged, memory_order_relaxed);
    atomic_store_explicit(&parcel->charged, charged, memory_order_release);
}

void parcel_put_back(struct parcel *parcel, zmq_msg_t *message)
{
    zmq_msg_init(&parcel->message);
    zmq_msg_move(&parcel->message, message);
    zmq_msg_close(message);
}

void parcel_free(struct parcel *parcel)
{
    if (!parcel)
        return;
    if (!parcel->account) {
        free(parcel);
        return;
    }
    zmq_msg_t message; /* not the parcel's own: closing it frees the parcel */
    parcel_take_message(parcel, &message);
    zmq_msg_close(&message);
}
