/* SPDX-License-Identifier: Apache-2.0 */
/* client_turn: the turn, what waits for it, and the text of a failure. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "err.h"

enum {
    TURN_MESSAGES_MAX = 256, /* from each socket, so that a step stays short */
};

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
/* A sidecar that starts creates its sockets first and opens them to its group afterwards. */
#define DENIED_FOR_NS (500 * NS_PER_MS)

#define OPENING "opening a socket"

/* -- failures ---------------------------------------------------------------------------------- */

spn_err client_check_process(struct spn_client *client)
{
    return fork_guard_is_child(&client->guard) ? client_fail(client, SPN_E_FORKED, NULL) : SPN_OK;
}

spn_err client_fail(struct spn_client *client, spn_err err, const char *format, ...)
{
    client->err = err;
    client->words[0] = '\0';
    if (format != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(client->words, sizeof(client->words), format, arguments);
        va_end(arguments);
    }
    return err;
}

void client_note(struct spn_client *client, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(client->words, sizeof(client->words), format, arguments);
    va_end(arguments);
}

spn_err client_fail_system(struct spn_client *client, spn_err err, const char *what)
{
    char text[128];
    if (err != SPN_E_SYSTEM)
        return client_fail(client, err, NULL);
    return client_fail(client, err, "%s: %s", what, strerror_r(errno, text, sizeof(text)));
}

const char *spn_client_detail(const spn_client *client)
{
    if (client == NULL)
        return err_text(SPN_E_INVALID);
    return client->words[0] != '\0' ? client->words : err_text(client->err);
}

/* -- parts ------------------------------------------------------------------------------------- */

spn_err client_use(struct spn_client *client, enum transport_name name)
{
    spn_err err = transport_use(&client->transport, name);
    if (err == SPN_OK || client_is_short(client)) /* else the step opens it */
        return SPN_OK;
    return client_fail_system(client, err, OPENING);
}

void client_add(struct spn_client *client, struct client_part *part)
{
    struct client_part **at = &client->parts;
    while (*at != NULL)
        at = &(*at)->next;
    part->next = NULL;
    *at = part;
}

void client_remove(struct spn_client *client, struct client_part *part)
{
    for (struct client_part **at = &client->parts; *at != NULL; at = &(*at)->next)
        if (*at == part) {
            *at = part->next;
            return;
        }
}

/* -- a turn ------------------------------------------------------------------------------------ */

/* A message of an unknown type, or an invalid one, is dropped: the sidecar may be newer. */
static void hand_over(struct spn_client *client, enum transport_name name, zmq_msg_t *message)
{
    if (calls_take(&client->calls, message))
        return;
    for (struct client_part *part = client->parts; part != NULL; part = part->next)
        if (part->ops->take != NULL && part->ops->take(part, name, message))
            return;
}

static spn_err take_messages(struct spn_client *client, enum transport_name name)
{
    struct transport_socket *socket = transport_socket(&client->transport, name);
    zmq_msg_t message;
    zmq_msg_init(&message);
    spn_err err = SPN_OK;
    for (int i = 0; i < TURN_MESSAGES_MAX; i++) {
        err = transport_receive(&socket->port, &message);
        if (err != SPN_OK)
            break;
        client->news = true;
        hand_over(client, name, &message);
    }
    zmq_msg_close(&message);
    return err == SPN_E_END ? SPN_OK : err;
}

/* Requests and answers are lost with a connection. The parts send again at once. */
static void notice_connection(struct spn_client *client, enum transport_name name)
{
    if (!transport_is_fresh(transport_socket(&client->transport, name)))
        return;
    for (struct client_part *part = client->parts; part != NULL; part = part->next)
        if (part->ops->reconnected != NULL)
            part->ops->reconnected(part, name);
}

static bool is_blocked(const struct spn_client *client, enum transport_name name)
{
    for (const struct client_part *part = client->parts; part != NULL; part = part->next)
        if (part->ops->blocked != NULL && part->ops->blocked(part, name))
            return true;
    return false;
}

static bool is_ready(struct spn_client *client, enum transport_name name)
{
    const struct transport_socket *socket = transport_socket(&client->transport, name);
    return transport_has_news(socket) || (transport_has_room(socket) && is_blocked(client, name));
}

/* Any call that touched a socket may have used up the edge of ZeroMQ's descriptor. So the events of
 * the sockets themselves are read, as the last step. */
static void settle(struct spn_client *client)
{
    client->due_ns = TRANSPORT_NEVER;
    for (struct client_part *part = client->parts; part != NULL; part = part->next)
        client->due_ns = client_earlier(client->due_ns, part->ops->due_ns(part));
    transport_look_again(&client->transport);
    client->ready = is_ready(client, TRANSPORT_INGEST) || is_ready(client, TRANSPORT_READ);
    transport_settle(&client->transport, client->ready || client->news, client->due_ns,
                     client->now_ns());
}

static spn_err work(struct spn_client *client)
{
    client->looked_ns = client->now_ns();
    transport_look(&client->transport);
    notice_connection(client, TRANSPORT_INGEST);
    notice_connection(client, TRANSPORT_READ);
    spn_err err = take_messages(client, TRANSPORT_INGEST);
    if (err == SPN_OK)
        err = take_messages(client, TRANSPORT_READ);
    for (struct client_part *part = client->parts; part != NULL; part = part->next)
        part->ops->turn(part, client->looked_ns);
    return err == SPN_OK ? SPN_OK : client_fail_system(client, err, "receiving");
}

spn_err client_turn(struct spn_client *client)
{
    spn_err err = work(client);
    settle(client);
    return err;
}

spn_err spn_client_step(spn_client *client)
{
    spn_err err = client_check(client);
    if (err != SPN_OK)
        return err;
    err = work(client);
    client->news = false;
    settle(client);
    for (struct client_part *part = client->parts; part != NULL && err == SPN_OK; part = part->next)
        err = part->ops->failed(part);
    if (err != SPN_OK && err != client->err)
        client_fail(client, err, NULL);
    return err;
}

/* -- waiting ----------------------------------------------------------------------------------- */

uint64_t client_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t client_deadline(const struct spn_client *client, int timeout_ms)
{
    return client == NULL || timeout_ms < 0 ? TRANSPORT_NEVER
                                            : client->now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
}

spn_err client_sleep(struct spn_client *client, uint64_t deadline_ns, uint64_t wake_ns)
{
    uint64_t now_ns = client->now_ns();
    if (now_ns >= deadline_ns)
        return client_fail(client, SPN_E_TIMEOUT, NULL);
    if (!client->ready)
        transport_sleep(&client->transport,
                        client_earlier(client_earlier(deadline_ns, wake_ns), client->due_ns),
                        now_ns);
    return SPN_OK;
}

spn_err client_wait(struct spn_client *client, const bool *done, uint64_t deadline_ns)
{
    spn_err err = client_turn(client);
    while (err == SPN_OK && !*done) {
        err = client_sleep(client, deadline_ns, TRANSPORT_NEVER);
        if (err == SPN_OK)
            err = client_turn(client);
    }
    return err;
}

spn_err client_check_right(struct spn_client *client, enum transport_name name)
{
    char words[CLIENT_WORDS_SIZE] = "";
    char dir[TRANSPORT_DIR_SIZE];
    if (transport_socket(&client->transport, name)->connected)
        return SPN_OK;
    spn_err err = client->dir != NULL
                      ? transport_check(client->dir, name, words, sizeof(words))
                      : transport_find(client->socket_dir, dir, words, sizeof(words));
    bool denied = err == SPN_E_PATH || err == SPN_E_SYSTEM;
    return denied ? client_fail(client, SPN_E_PATH, "%s", words) : SPN_OK;
}

spn_err client_not_yet(struct spn_client *client, enum transport_name name)
{
    if (client_check_right(client, name) == SPN_OK)
        return client_fail(client, SPN_E_TIMEOUT, NULL);
    client->err = SPN_E_TIMEOUT;
    return SPN_E_TIMEOUT;
}

/* A right that is missing is waited for as long as a sidecar may take to start, and to the deadline
 * if nobody knows yet where the sockets are. */
spn_err client_sleep_on(struct spn_client *client, enum transport_name name, int timeout_ms,
                        struct client_wait *wait)
{
    uint64_t now_ns = client->now_ns();
    if (wait->deadline_ns == 0) {
        wait->deadline_ns = client_deadline(client, timeout_ms);
        wait->check_ns = timeout_ms == 0
                             ? TRANSPORT_NEVER
                             : client_earlier(wait->deadline_ns, now_ns + DENIED_FOR_NS);
    }
    if (now_ns >= wait->check_ns && (client->dir != NULL || now_ns >= wait->deadline_ns)) {
        spn_err err = client_check_right(client, name);
        if (err != SPN_OK)
            return err;
    }
    if (now_ns >= wait->check_ns)
        wait->check_ns = wait->deadline_ns;
    spn_err err = client_sleep(client, wait->deadline_ns, wait->check_ns);
    return err == SPN_E_TIMEOUT ? client_not_yet(client, name) : err;
}

static spn_err explain(struct spn_client *client, enum transport_name name, char *words,
                       size_t words_size)
{
    char dir[TRANSPORT_DIR_SIZE];
    words[0] = '\0';
    if (client->open_errno != 0) {
        snprintf(words, words_size, OPENING ": %s",
                 strerror_r(client->open_errno, dir, sizeof(dir)));
        return SPN_E_SYSTEM;
    }
    spn_err err = client->dir != NULL ? transport_probe(client->dir, name, words, words_size)
                                      : transport_find(client->socket_dir, dir, words, words_size);
    if (err == SPN_OK || err == SPN_E_TIMEOUT) {
        snprintf(words, words_size, "a process listens there, but does not answer");
        return SPN_E_TIMEOUT;
    }
    return err == SPN_E_SYSTEM ? SPN_E_PATH : err;
}

spn_err client_explain(struct spn_client *client, enum transport_name name)
{
    char words[CLIENT_WORDS_SIZE];
    spn_err err = explain(client, name, words, sizeof(words));
    return client_fail(client, err, words[0] != '\0' ? "%s" : NULL, words);
}

static spn_err wait_and_explain(struct spn_client *client, enum transport_name name,
                                const bool *done, uint64_t deadline_ns)
{
    spn_err err = client_wait(client, done, deadline_ns);
    bool connected = transport_socket(&client->transport, name)->connected;
    return err == SPN_E_TIMEOUT && !connected ? client_explain(client, name) : err;
}

/* A permission error will not go away, so stop waiting early. */
spn_err client_wait_on(struct spn_client *client, enum transport_name name, const bool *done,
                       uint64_t deadline_ns)
{
    uint64_t denied_ns = client_earlier(deadline_ns, client->now_ns() + DENIED_FOR_NS);
    spn_err err = wait_and_explain(client, name, done, denied_ns);
    bool goes_on = err == SPN_E_UNAVAILABLE || err == SPN_E_TIMEOUT ||
                   (err == SPN_E_PATH && client->dir == NULL) ||
                   (err == SPN_E_SYSTEM && client_is_short(client));
    return goes_on && denied_ns < deadline_ns ? wait_and_explain(client, name, done, deadline_ns)
                                              : err;
}
