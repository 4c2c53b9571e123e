/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "sized.h"
#include "inspect.h"
#include "subscription.h"

#define NS_PER_MS UINT64_C(1000000)
#define LOOK_AGAIN_NS (20 * NS_PER_MS)
/* A sidecar that starts creates its sockets first and opens them to its group afterwards. */
#define DENIED_FOR_NS (500 * NS_PER_MS)

/* -- open and close ---------------------------------------------------------------------------- */

/* A permission error will not go away, so stop waiting early. */
static spn_err say_hello(struct spn_client *client, uint64_t deadline_ns, struct wire_in *ret_in)
{
    const struct client_question hello = {WIRE_HELLO, WIRE_WELCOME, NULL};
    uint64_t denied_ns = client_earlier(deadline_ns, client->now_ns() + DENIED_FOR_NS);
    spn_err err = client_ask(client, &client->call, &hello, denied_ns, ret_in);
    if (err != SPN_E_UNAVAILABLE && err != SPN_E_TIMEOUT)
        return err;
    return client_ask(client, &client->call, &hello, deadline_ns, ret_in);
}

static spn_err shake_hands(struct spn_client *client, uint64_t deadline_ns)
{
    struct wire_in in;
    struct wire_welcome welcome;
    spn_err err = say_hello(client, deadline_ns, &in);
    if (err != SPN_OK)
        return err;
    wire_get_welcome(&in, &welcome);
    if (!wire_in_done(&in))
        return client_fail(client, SPN_E_PROTOCOL, "the sidecar's WELCOME cannot be read");
    client->data_max = welcome.data_max;
    client->batch_bytes_max = welcome.batch_bytes_max;
    client->batch_events_max = welcome.batch_events_max < WIRE_BATCH_EVENTS_MAX
                                   ? welcome.batch_events_max
                                   : WIRE_BATCH_EVENTS_MAX;
    calls_clear(&client->call);
    return SPN_OK;
}

/* Looks again while there is time: the sidecar may be about to start. */
static spn_err find_dir(struct spn_client *client, const struct spn_client_options *options,
                        uint64_t deadline_ns, char ret_dir[TRANSPORT_DIR_SIZE])
{
    const char *own = options->socket_dir;
    bool at_once = options->at_once;
    const struct timespec pause = {.tv_nsec = (long)LOOK_AGAIN_NS};
    for (;;) {
        spn_err err = transport_find(own, ret_dir, client->words, sizeof(client->words));
        if (err == SPN_OK && at_once)
            err = transport_probe(ret_dir, client->words, sizeof(client->words));
        if (err == SPN_E_TIMEOUT)
            err = SPN_OK; /* somebody listens */
        bool again = (err == SPN_E_UNAVAILABLE || err == SPN_E_SYSTEM) && !at_once;
        client->err = err == SPN_E_SYSTEM ? SPN_E_PATH : err;
        if (!again || client->now_ns() >= deadline_ns)
            return client->err;
        nanosleep(&pause, NULL);
    }
}

static void copy_detail(const struct spn_client *client, spn_err err, const char *dir, char *out,
                        size_t out_size)
{
    if (out == NULL || out_size == 0)
        return;
    const char *words = client != NULL ? spn_client_detail(client) : err_text(err);
    if (err == SPN_E_UNAVAILABLE && dir[0] != '\0')
        snprintf(out, out_size, "%s in %s", words, dir);
    else
        snprintf(out, out_size, "%s", words);
}

spn_err client_open(spn_client **ret_client, const struct spn_client_options *options,
                    int timeout_ms, uint64_t (*now_ns)(void), char *ret_detail, size_t detail_size)
{
    char dir[TRANSPORT_DIR_SIZE] = "";
    spn_err err = SPN_OK;
    struct spn_client_options chosen = {.size = sizeof(chosen)};
    if (ret_client == NULL) {
        copy_detail(NULL, SPN_E_INVALID, dir, ret_detail, detail_size);
        return SPN_E_INVALID;
    }
    struct spn_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        copy_detail(NULL, SPN_E_NOMEM, dir, ret_detail, detail_size);
        return SPN_E_NOMEM;
    }
    client->now_ns = now_ns;
    uint64_t deadline_ns = client_deadline(client, timeout_ms);
    fork_guard_init(&client->guard);
    if (options != NULL &&
        !sized_take(&chosen, sizeof(chosen), SIZED_THROUGH(struct spn_client_options, socket_dir),
                    options)) {
        err =
            client_fail(client, SPN_E_INVALID,
                        "spn_client_options.size is not set, or it is of a later version and sets "
                        "options unknown to this version");
        goto cleanup;
    }
    if (chosen.send_hwm < 0) {
        err = client_fail(client, SPN_E_INVALID, "spn_client_options.send_hwm is negative");
        goto cleanup;
    }
    client->read_bytes_max =
        chosen.read_bytes_max > 0 ? chosen.read_bytes_max : SUBSCRIPTIONS_BYTES_DEFAULT;
    if (client->read_bytes_max < SUBSCRIPTIONS_BYTES_LEAST) {
        err = client_fail(client, SPN_E_INVALID, "spn_client_options.read_bytes_max is below %d",
                          SUBSCRIPTIONS_BYTES_LEAST);
        goto cleanup;
    }
    err = find_dir(client, &chosen, deadline_ns, dir);
    if (err != SPN_OK)
        goto cleanup;
    client->dir = strdup(dir);
    if (client->dir == NULL) {
        err = client_fail(client, SPN_E_NOMEM, NULL);
        goto cleanup;
    }
    err = transport_open(&client->transport, dir, chosen.send_hwm);
    if (err != SPN_OK) {
        client_fail_system(client, err, "opening sockets");
        goto cleanup;
    }
    calls_add(&client->calls, &client->call);
    err = shake_hands(client, deadline_ns);
cleanup:
    if (err != SPN_OK) {
        copy_detail(client, err, dir, ret_detail, detail_size);
        spn_client_close(client);
        return err;
    }
    *ret_client = client;
    return SPN_OK;
}

spn_err spn_client_open(spn_client **ret_client, const struct spn_client_options *options,
                        int timeout_ms, char *ret_detail, size_t detail_size)
{
    return client_open(ret_client, options, timeout_ms, client_monotonic_ns, ret_detail,
                       detail_size);
}

/* In a child process ZeroMQ's context and its memory are left alone: its threads do not exist
 * here. */
void spn_client_close(spn_client *client)
{
    if (client == NULL)
        return;
    calls_remove(&client->calls, &client->call);
    subscriptions_free(client->subscriptions);
    inspect_free(client->inspect);
    if (client->transport.context != NULL && fork_guard_is_child(&client->guard))
        transport_abandon(&client->transport);
    else
        transport_close(&client->transport, client->linger_ms);
    fork_guard_release(&client->guard);
    free(client->dir);
    free(client);
}

/* -- for event loops --------------------------------------------------------------------------- */

size_t spn_client_data_max(const spn_client *client)
{
    return client != NULL ? client->data_max : 0;
}

int spn_client_fd(const spn_client *client)
{
    return client != NULL ? client->transport.epoll_fd : -1;
}
