/* SPDX-License-Identifier: Apache-2.0 */
#include "context.h"

#include <errno.h>
#include <pthread.h>
#include <zmq.h>

/* A client that reads and writes has six sockets, with its monitors; ZeroMQ's own default is enough
 * for 255 clients. */
enum { SOCKETS_MAX = 16384 };

static struct {
    pthread_mutex_t mutex;
    pthread_once_t once;
    int atfork_error;
    void *context; /* NULL: it has no users */
    size_t users;
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void lock(void)
{
    pthread_mutex_lock(&shared.mutex);
}

static void unlock(void)
{
    pthread_mutex_unlock(&shared.mutex);
}

static void forget_in_child(void)
{
    shared.context = NULL;
    shared.users = 0;
    unlock();
}

static void prepare(void)
{
    shared.atfork_error = pthread_atfork(lock, unlock, forget_in_child);
}

static void *new_context(void)
{
    void *context = zmq_ctx_new();
    if (context != NULL)
        (void)zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    return context;
}

spn_err context_get(void **ret_context)
{
    pthread_once(&shared.once, prepare);
    if (shared.atfork_error != 0)
        return SPN_E_NOMEM;
    lock();
    if (shared.context == NULL)
        shared.context = new_context();
    spn_err err = shared.context != NULL ? SPN_OK : errno == ENOMEM ? SPN_E_NOMEM : SPN_E_SYSTEM;
    if (err == SPN_OK)
        shared.users++;
    *ret_context = shared.context;
    unlock();
    return err;
}

void context_put(void)
{
    void *unused = NULL;
    lock();
    if (--shared.users == 0) {
        unused = shared.context;
        shared.context = NULL;
    }
    unlock();
    while (unused != NULL && zmq_ctx_term(unused) != 0 && errno == EINTR)
        continue;
}
