/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "sized.h"
#include "inspect.h"
#include "subscription.h"

#define NS_PER_MS UINT64_C(1000000)
enum { HELLO_BODY_SIZE = 8 + 2 };

#define LOOK_AGAIN_NS (20 * NS_PER_MS)
#define EXPLAIN_AGAIN_NS (1000 * NS_PER_MS)
#define CHOOSE_AGAIN_NS (1000 * NS_PER_MS)

/* -- coming up --------------------------------------------------------------------------------- */

static struct spn_client *client_of(struct client_part *part)
{
    return (struct spn_client *)((char *)part - offsetof(struct spn_client, part));
}

static const struct spn_client *const_client_of(const struct client_part *part)
{
    return (const struct spn_client *)((const char *)part - offsetof(struct spn_client, part));
}

/* A lasting failure. The next spn_client_step reports it. */
static void fail_for_good(struct spn_client *client, spn_err err)
{
    client->failed = err;
    client->settled = true;
    client->news = true;
}

static spn_err find(struct spn_client *client, char *words, size_t words_size)
{
    char dir[TRANSPORT_DIR_SIZE];
    spn_err err = transport_find(client->socket_dir, dir, words, words_size);
    if (err != SPN_OK)
        return err;
    client->dir = strdup(dir);
    return client->dir != NULL ? SPN_OK : SPN_E_NOMEM;
}

/* Begins to connect, if the sockets are found. Errors as in transport_find, and SPN_E_NOMEM. */
static spn_err connect_if_found(struct spn_client *client, char *words, size_t words_size)
{
    spn_err err = client->dir == NULL ? find(client, words, words_size) : SPN_OK;
    if (err != SPN_OK)
        return err;
    if (!client->settled)
        client->first = transport_first(client->dir);
    err = transport_use(&client->transport, client->first);
    if (err == SPN_OK)
        err = transport_connect(&client->transport, client->dir);
    client->open_errno = err == SPN_E_SYSTEM ? errno : err == SPN_E_NOMEM ? ENOMEM : 0;
    return err;
}

/* The handshake is done on the socket that this process may use. Which one that is may become known
 * while it waits for a sidecar. */
static void choose_again(struct spn_client *client, uint64_t now_ns)
{
    enum transport_name first = transport_first(client->dir);
    client->seek_ns = now_ns + CHOOSE_AGAIN_NS;
    if (first == client->first || transport_use(&client->transport, first) != SPN_OK)
        return;
    client->first = first;
    question_restart(client->hello);
}

/* The sidecar may be about to start, or descriptors and memory become free. */
static bool may_pass(const struct spn_client *client, spn_err err)
{
    if (client->dir == NULL)
        return err == SPN_E_UNAVAILABLE || err == SPN_E_SYSTEM || err == SPN_E_NOMEM;
    return client_is_short(client);
}

static void look_for_sockets(struct spn_client *client)
{
    char words[CLIENT_WORDS_SIZE];
    spn_err err = connect_if_found(client, words, sizeof(words));
    if (err == SPN_OK && !client->settled && client->hello->socket != client->first)
        question_restart(client->hello);
    client->seek_ns = client->looked_ns + (client->settled ? CHOOSE_AGAIN_NS : LOOK_AGAIN_NS);
    if (err != SPN_OK && !client->settled && !may_pass(client, err))
        fail_for_good(client, err);
}

static spn_err read_welcome(struct spn_client *client)
{
    struct wire_in in;
    struct wire_welcome welcome;
    spn_err err = question_read(client->hello, &in);
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
    client->heartbeat_ns =
        welcome.heartbeat_ms > 0 ? welcome.heartbeat_ms * NS_PER_MS : CLIENT_HEARTBEAT_NS;
    client->instance = welcome.instance;
    return SPN_OK;
}

static void end_hello(struct spn_client *client)
{
    spn_question_close(client->hello);
    client->hello = NULL;
}

/* If it is a refusal, the question is kept for client_failure. */
static void take_welcome(struct spn_client *client)
{
    spn_err err = read_welcome(client);
    if (err != SPN_OK) {
        fail_for_good(client, err);
        return;
    }
    client->welcomed = client->settled = true;
    end_hello(client);
}

/* After a failure the limits stay, and the next message of that instance leads to another HELLO. */
static void take_welcome_again(struct spn_client *client)
{
    if (read_welcome(client) == SPN_OK)
        client->news = true;
    end_hello(client);
}

static spn_err say_hello(struct spn_client *client)
{
    uint8_t bytes[HELLO_BODY_SIZE];
    struct wire_out body = wire_out(bytes, sizeof(bytes));
    const struct question_request hello = {WIRE_HELLO, WIRE_WELCOME, &body};
    wire_put_hello(&body, 0);
    return question_new(&client->hello, client, &hello);
}

void client_note_instance(struct spn_client *client, enum transport_name name, uint64_t instance)
{
    if (!client->welcomed || client->hello != NULL || instance == client->instance)
        return;
    client->first = name;
    spn_err err = say_hello(client); /* without memory: at the next message */
    (void)err;
}

spn_err client_failure(struct spn_client *client)
{
    char dir[TRANSPORT_DIR_SIZE];
    if (client->failed == SPN_OK)
        return SPN_OK;
    if (client->hello->call.answered)
        return read_welcome(client);
    client_fail(client, client->failed, NULL);
    if (client->failed == SPN_E_PATH &&
        transport_find(client->socket_dir, dir, client->words, sizeof(client->words)) == SPN_OK)
        client->words[0] = '\0'; /* the path is good by now; this client does not look again */
    return client->failed;
}

static void part_turn(struct client_part *part, uint64_t now_ns)
{
    struct spn_client *client = client_of(part);
    bool is_open = client->dir != NULL && client->open_errno == 0;
    if (client->welcomed && client->hello != NULL && client->hello->call.answered)
        take_welcome_again(client);
    if (client->stale && client->hello == NULL)
        client->stale = say_hello(client) != SPN_OK; /* without memory: in the next turn */
    if (client->failed == SPN_OK && !is_open && now_ns >= client->seek_ns)
        look_for_sockets(client);
    if (client->settled)
        return;
    if (is_open && now_ns >= client->seek_ns)
        choose_again(client, now_ns);
    if (client->hello != NULL && client->hello->call.answered)
        take_welcome(client);
}

static uint64_t part_due_ns(const struct client_part *part)
{
    const struct spn_client *client = const_client_of(part);
    bool seeks = !client->settled || (client->open_errno != 0 && client->failed == SPN_OK);
    return seeks ? client->seek_ns : TRANSPORT_NEVER;
}

/* A sidecar that starts again may have other limits. Without a producer or a subscription no other
 * message has its instance. */
static void part_reconnected(struct client_part *part, enum transport_name name)
{
    struct spn_client *client = client_of(part);
    if (client->welcomed && client->met[name]) {
        client->stale = true;
        client->first = name;
    }
    client->met[name] = true;
}

static spn_err part_failed(const struct client_part *part)
{
    return const_client_of(part)->failed;
}

static const struct client_part_ops part_ops = {
    .turn = part_turn,
    .reconnected = part_reconnected,
    .due_ns = part_due_ns,
    .failed = part_failed,
};

/* -- open and close ---------------------------------------------------------------------------- */

static void copy_detail(const struct spn_client *client, spn_err err, char *out, size_t out_size)
{
    if (out == NULL || out_size == 0)
        return;
    const char *words = client != NULL ? spn_client_detail(client) : err_text(err);
    if (err == SPN_E_UNAVAILABLE && client != NULL && client->dir != NULL)
        snprintf(out, out_size, "%s in %s", words, client->dir);
    else
        snprintf(out, out_size, "%s", words);
}

static spn_err read_options(struct spn_client *client, const struct spn_client_options *options,
                            struct spn_client_options *ret_options)
{
    *ret_options = (struct spn_client_options){.size = sizeof(*ret_options)};
    if (options != NULL &&
        !sized_take(ret_options, sizeof(*ret_options),
                    SIZED_THROUGH(struct spn_client_options, socket_dir), options))
        return client_fail(client, SPN_E_INVALID,
                           "spn_client_options.size is not set, or it is of a later version and "
                           "sets options unknown to this version");
    if (ret_options->send_hwm < 0)
        return client_fail(client, SPN_E_INVALID, "spn_client_options.send_hwm is negative");
    client->read_bytes_max =
        ret_options->read_bytes_max > 0 ? ret_options->read_bytes_max : SUBSCRIPTIONS_BYTES_DEFAULT;
    if (client->read_bytes_max < SUBSCRIPTIONS_BYTES_LEAST)
        return client_fail(client, SPN_E_INVALID, "spn_client_options.read_bytes_max is below %d",
                           SUBSCRIPTIONS_BYTES_LEAST);
    return SPN_OK;
}

/* Looks for the sockets once. What is not found yet is looked for in each turn. */
static spn_err begin_to_connect(struct spn_client *client, bool at_once)
{
    spn_err err = connect_if_found(client, client->words, sizeof(client->words));
    if (err == SPN_OK && at_once)
        err = transport_probe(client->dir, client->first, client->words, sizeof(client->words));
    if (err == SPN_E_TIMEOUT) /* somebody listens */
        err = SPN_OK;
    client->seek_ns = client->now_ns() + LOOK_AGAIN_NS;
    if (!at_once && err != SPN_E_NOMEM && may_pass(client, err))
        return SPN_OK;
    if (err == SPN_E_SYSTEM && client->dir != NULL)
        return client_fail_system(client, err, "opening a socket");
    client->err = err == SPN_E_SYSTEM ? SPN_E_PATH : err;
    return client->err;
}

static spn_err start(struct spn_client *client, const struct spn_client_options *options)
{
    struct spn_client_options chosen;
    client->part.ops = &part_ops;
    client_add(client, &client->part); /* first, so that the others find what it brings */
    fork_guard_init(&client->guard);
    spn_err err = read_options(client, options, &chosen);
    if (err != SPN_OK)
        return err;
    questions_init(&client->questions, client, chosen.questions_max);
    if (chosen.socket_dir != NULL && (client->socket_dir = strdup(chosen.socket_dir)) == NULL)
        return client_fail(client, SPN_E_NOMEM, NULL);
    err = transport_open(&client->transport, chosen.send_hwm);
    if (err != SPN_OK)
        return client_fail_system(client, err, "opening sockets");
    err = begin_to_connect(client, chosen.at_once);
    if (err == SPN_OK)
        err = say_hello(client);
    if (err == SPN_OK)
        err = client_turn(client);
    return err;
}

spn_err client_begin(spn_client **ret_client, const struct spn_client_options *options,
                     uint64_t (*now_ns)(void), char *ret_detail, size_t detail_size)
{
    if (ret_client == NULL) {
        copy_detail(NULL, SPN_E_INVALID, ret_detail, detail_size);
        return SPN_E_INVALID;
    }
    struct spn_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        copy_detail(NULL, SPN_E_NOMEM, ret_detail, detail_size);
        return SPN_E_NOMEM;
    }
    client->now_ns = now_ns;
    client->heartbeat_ns = CLIENT_HEARTBEAT_NS;
    spn_err err = start(client, options);
    if (err != SPN_OK) {
        copy_detail(client, err, ret_detail, detail_size);
        spn_client_close(client);
        return err;
    }
    *ret_client = client;
    return SPN_OK;
}

static spn_err wait_until_ready(struct spn_client *client, uint64_t deadline_ns)
{
    spn_err err = client_wait_on(client, client->first, &client->settled, deadline_ns);
    return err == SPN_OK ? client_failure(client) : err;
}

spn_err client_open(spn_client **ret_client, const struct spn_client_options *options,
                    int timeout_ms, uint64_t (*now_ns)(void), char *ret_detail, size_t detail_size)
{
    struct spn_client *client;
    spn_err err =
        client_begin(ret_client != NULL ? &client : NULL, options, now_ns, ret_detail, detail_size);
    if (err != SPN_OK)
        return err;
    err = wait_until_ready(client, client_deadline(client, timeout_ms));
    if (err != SPN_OK) {
        copy_detail(client, err, ret_detail, detail_size);
        spn_client_close(client);
        return err;
    }
    *ret_client = client;
    return SPN_OK;
}

spn_err spn_client_begin(spn_client **ret_client, const struct spn_client_options *options,
                         char *ret_detail, size_t detail_size)
{
    return client_begin(ret_client, options, client_monotonic_ns, ret_detail, detail_size);
}

spn_err spn_client_open(spn_client **ret_client, const struct spn_client_options *options,
                        int timeout_ms, char *ret_detail, size_t detail_size)
{
    return client_open(ret_client, options, timeout_ms, client_monotonic_ns, ret_detail,
                       detail_size);
}

/* Connecting, to see why there is no connection, costs the sidecar something too. */
static spn_err not_ready(struct spn_client *client)
{
    uint64_t now_ns = client->now_ns();
    if (transport_socket(&client->transport, client->first)->connected)
        return client_fail(client, SPN_E_TIMEOUT, "the sidecar has not answered yet");
    if (now_ns >= client->explain_ns) {
        (void)client_explain(client, client->first);
        snprintf(client->trouble, sizeof(client->trouble), "%.*s", CLIENT_TROUBLE_SIZE - 1,
                 spn_client_detail(client));
        client->explain_ns = now_ns + EXPLAIN_AGAIN_NS;
    }
    return client_fail(client, SPN_E_TIMEOUT, "%s", client->trouble);
}

spn_err spn_client_ready(spn_client *client)
{
    spn_err err = client_check(client);
    if (err == SPN_OK && !client->settled)
        err = client_turn(client);
    if (err == SPN_OK)
        err = client_failure(client);
    if (err == SPN_OK && !client->welcomed)
        err = not_ready(client);
    return err;
}

/* In a child process ZeroMQ's context and its memory are left alone: its threads do not exist
 * here. */
void spn_client_close(spn_client *client)
{
    if (client == NULL)
        return;
    subscriptions_free(client->subscriptions);
    inspect_free(client->inspect);
    questions_release(&client->questions);
    if (client->transport.context != NULL && fork_guard_is_child(&client->guard))
        transport_abandon(&client->transport);
    else
        transport_close(&client->transport, client->linger_ms);
    fork_guard_release(&client->guard);
    free(client->socket_dir);
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
