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

struct outgoing *outgoing_resize(struct outgoing *outgoing, size_t room)
{
    assert(!outgoing || !outgoing->account);
    struct outgoing *resized = realloc(outgoing, sizeof(*outgoing) + room);
    if (resized)
        resized->account = NULL;
    return resized;
}

/* Called by ZeroMQ after the last byte was sent or the connection was lost. */
static void let_go(void *bytes, void *hint)
{
    struct outgoing *outgoing = hint;
    (void)bytes;
    size_t charged = atomic_load_explicit(&outgoing->charged, memory_order_acquire);
    account_discharge(outgoing->account, charged);
    account_let_go(outgoing->account);
    free(outgoing);
}

spn_err outgoing_seal(struct outgoing *outgoing, size_t size, struct account *account)
{
    outgoing->next = NULL;
    outgoing->account = account;
    atomic_store_explicit(&outgoing->charged, OUTGOING_COST + size, memory_order_release);
    if (zmq_msg_init_data(&outgoing->message, outgoing->bytes, size, let_go, outgoing) != 0) {
        outgoing->account = NULL;
        return SPN_E_NOMEM;
    }
    atomic_fetch_add_explicit(&account->owners, 1, memory_order_relaxed);
    return SPN_OK;
}

void outgoing_take_message(struct outgoing *outgoing, zmq_msg_t *ret_message)
{
    zmq_msg_init(ret_message);
    zmq_msg_move(ret_message, &outgoing->message);
    size_t charged = atomic_load_explicit(&outgoing->charged, memory_order_relaxed);
    atomic_store_explicit(&outgoing->charged, charged, memory_order_release);
}

void outgoing_put_back(struct outgoing *outgoing, zmq_msg_t *message)
{
    zmq_msg_init(&outgoing->message);
    zmq_msg_move(&outgoing->message, message);
    zmq_msg_close(message);
}

void outgoing_free(struct outgoing *outgoing)
{
    if (!outgoing)
        return;
    if (!outgoing->account) {
        free(outgoing);
        return;
    }
    zmq_msg_t message; /* not outgoing->message: closing this one frees outgoing */
    outgoing_take_message(outgoing, &message);
    zmq_msg_close(&message);
}
