/* SPDX-License-Identifier: Apache-2.0 */
/* client: one connection to one sidecar, and the turn in which all other parts do their work.
 *
 * A turn takes what arrived, lets every part (a producer, all subscriptions) do what is due, and
 * brings the client's descriptor up to date. It never blocks. A call that has to wait repeats:
 * turn, check, sleep.
 *
 * client.c opens and closes; client_turn.c has the turn and what waits for it.
 *
 * Owns     transport, calls, the text of the last failure.
 * Borrows  parts: they live in their owners, and are removed before the client is closed.
 * Units    nanoseconds of the clock that it was opened with, CLOCK_MONOTONIC except in tests;
 *          TRANSPORT_NEVER for a deadline that never comes.
 * Threads  one at a time.
 */
#ifndef SPN_CLIENT_CLIENT_H
#define SPN_CLIENT_CLIENT_H

#include "calls.h"
#include "fork_guard.h"
#include "sponson.h"
#include "transport.h"

enum { CLIENT_WORDS_SIZE = 512 };

struct client_part;

struct client_part_ops {
    /* A message of ingest.sock, after its header; true: it was for this part alone. NULL: the part
     * does not use that socket. */
    bool (*take)(struct client_part *part, uint8_t type, struct wire_in body);
    /* A message of read.sock that no call waited for; true: it was for this part, which may have
     * moved the message. NULL: the part gets no such messages. */
    bool (*take_answer)(struct client_part *part, zmq_msg_t *message);
    void (*turn)(struct client_part *part, uint64_t now_ns);
    /* The connection broke and came back: messages that were on their way may be lost. */
    void (*reconnected)(struct client_part *part);
    uint64_t (*due_ns)(const struct client_part *part);
    bool (*blocked)(const struct client_part *part);      /* ingest.sock took nothing */
    bool (*read_blocked)(const struct client_part *part); /* the same for read.sock; NULL: never */
    spn_err (*failed)(const struct client_part *part);    /* a lasting failure, or SPN_OK */
};

struct client_part {
    struct client_part *next;
    const struct client_part_ops *ops;
};

struct subscriptions; /* see subscription_base.h */
struct inspect;       /* what the calls about the sidecar lend; see inspect.c */

struct spn_client {
    uint64_t (*now_ns)(void);
    struct fork_guard guard;
    struct transport transport;
    struct calls calls;
    struct call call; /* of the API call that waits for an answer */
    struct client_part *parts;
    struct subscriptions *subscriptions; /* NULL: there never was a subscription */
    struct inspect *inspect;
    size_t data_max;
    size_t batch_bytes_max;
    uint32_t batch_events_max;
    int linger_ms;
    size_t read_bytes_max;
    char *dir; /* where the sockets are */

    bool connected;     /* read.sock was connected at the last turn */
    bool ready;         /* there is more to do at once */
    bool news;          /* something arrived since spn_client_step was last called */
    uint64_t due_ns;    /* when a turn is due even if nothing arrives */
    uint64_t looked_ns; /* when the last turn began */

    spn_err err; /* of the last failure */
    char words[CLIENT_WORDS_SIZE];
};

/* As spn_client_open, with this clock. */
spn_err client_open(spn_client **ret_client, const struct spn_client_options *options,
                    int timeout_ms, uint64_t (*now_ns)(void), char *ret_detail,
                    size_t detail_size) SPN_MUST_USE;
uint64_t client_monotonic_ns(void);

/* SPN_E_FORKED in a child process. */
spn_err client_check_process(struct spn_client *client) SPN_MUST_USE;

/* The same. SPN_E_INVALID: there is no client. */
static inline spn_err client_check(struct spn_client *client)
{
    return client != NULL ? client_check_process(client) : SPN_E_INVALID;
}

/* Records a failure for spn_client_detail and returns it; format NULL: the code's own text. */
spn_err client_fail(struct spn_client *client, spn_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same; for SPN_E_SYSTEM the text is what was done, and the error in errno. */
spn_err client_fail_system(struct spn_client *client, spn_err err, const char *what);

/* Sets the text of spn_client_detail where no call fails. */
void client_note(struct spn_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Records what the app did wrong and returns SPN_E_INVALID. */
static inline spn_err client_refuse(struct spn_client *client, const char *words)
{
    client->err = SPN_E_INVALID;
    client_note(client, "%s", words);
    return SPN_E_INVALID;
}

/* client_check for calls that write an answer to filled. SPN_E_INVALID: filled is NULL. */
static inline spn_err client_check_for(struct spn_client *client, const void *filled)
{
    spn_err err = client_check(client);
    if (err == SPN_OK && filled == NULL)
        err = client_refuse(client, "there is nothing to put the answer in");
    return err;
}

void client_add(struct spn_client *client, struct client_part *part);
void client_remove(struct spn_client *client, struct client_part *part);

/* SPN_E_SYSTEM, SPN_E_NOMEM. */
spn_err client_turn(struct spn_client *client) SPN_MUST_USE;
static inline uint64_t client_earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

uint64_t client_deadline(const struct spn_client *client, int timeout_ms);
/* Sleeps until a turn has something to do, but not beyond deadline_ns or wake_ns.
 * SPN_E_TIMEOUT: deadline_ns has come. */
spn_err client_sleep(struct spn_client *client, uint64_t deadline_ns,
                     uint64_t wake_ns) SPN_MUST_USE;

struct client_question {
    enum wire_type type;
    enum wire_type answer;
    const struct wire_out *body; /* NULL: none */
};

/* Sends the request, and sends it again when that is due, until there is an answer. *ret_in stands
 * at the answer's body and is valid until the call is used again. If the call has sent its request
 * already, this goes on waiting.
 * SPN_E_TIMEOUT: the deadline came. Without a connection at that time: the code of transport_probe.
 * If the answer is an ERROR: its code. */
spn_err client_ask(struct spn_client *client, struct call *call,
                   const struct client_question *question, uint64_t deadline_ns,
                   struct wire_in *ret_in) SPN_MUST_USE;

#endif
