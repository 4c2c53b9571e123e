/* SPDX-License-Identifier: Apache-2.0 */
/* client: one connection to one sidecar, and the turn in which all other parts do their work.
 *
 * A turn takes what arrived, lets every part (a producer, all questions, all subscriptions) do what
 * is due, and brings the client's descriptor up to date. It never blocks. A call that has to wait
 * repeats: turn, check, sleep.
 *
 * client.c opens and closes, and brings the client up; client_turn.c has the turn and what waits
 * for it.
 *
 * Owns     transport, calls, questions, the text of the last failure.
 * Borrows  parts: they live in their owners, and are removed before the client is closed.
 * Units    nanoseconds of the clock that it was opened with, CLOCK_MONOTONIC except in tests;
 *          TRANSPORT_NEVER for a deadline that never comes.
 * Threads  one at a time.
 */
#ifndef SPN_CLIENT_CLIENT_H
#define SPN_CLIENT_CLIENT_H

#include <errno.h>

#include "calls.h"
#include "client_part.h"
#include "fork_guard.h"
#include "questions.h"
#include "sponson.h"
#include "transport.h"

#define CLIENT_HEARTBEAT_NS UINT64_C(5000000000) /* until the sidecar's own is known */

enum { CLIENT_WORDS_SIZE = 512, CLIENT_TROUBLE_SIZE = 256 };

struct subscriptions; /* see subscription_base.h */
struct inspect;       /* the questions of the calls that wait; see inspect.c */

struct spn_client {
    uint64_t (*now_ns)(void);
    struct fork_guard guard;
    struct transport transport;
    struct calls calls;
    struct questions questions;
    struct client_part part;             /* client.c's */
    struct client_part *parts;           /* in the order of their turns */
    struct subscriptions *subscriptions; /* NULL: there never was a subscription */
    struct inspect *inspect;
    size_t data_max;
    size_t batch_bytes_max;
    uint32_t batch_events_max;
    uint64_t heartbeat_ns; /* of subscriptions */
    uint64_t instance;     /* the sidecar that the limits are of; 0: not known yet */
    int linger_ms;
    size_t read_bytes_max;

    /* client.c brings the client up: it finds the sockets, connects to them and shakes hands. */
    char *socket_dir;          /* the app's choice; NULL: none */
    char *dir;                 /* where the sockets are; NULL: they were not found yet */
    int open_errno;            /* why a socket could not be opened there yet; 0: it could */
    uint64_t seek_ns;          /* when to look for them again, or to open them */
    enum transport_name first; /* the socket of the handshake */
    spn_question *hello;       /* NULL: it is answered */
    bool welcomed;             /* the limits above are known */
    bool met[TRANSPORT_NAMES]; /* this socket was connected before */
    bool stale;                /* another sidecar may be there, with other limits */
    bool settled;              /* welcomed or failed */
    spn_err failed;            /* lasting */
    uint64_t explain_ns;       /* when to find out again why there is no connection */
    char trouble[CLIENT_TROUBLE_SIZE];

    bool ready;         /* there is more to do at once */
    bool news;          /* something arrived since spn_client_step was last called */
    uint64_t due_ns;    /* when a turn is due even if nothing arrives */
    uint64_t looked_ns; /* when the last turn began */

    spn_err err; /* of the last failure */
    char words[CLIENT_WORDS_SIZE];
};

/* As spn_client_begin and spn_client_open, with this clock. */
spn_err client_begin(spn_client **ret_client, const struct spn_client_options *options,
                     uint64_t (*now_ns)(void), char *ret_detail, size_t detail_size) SPN_MUST_USE;
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

/* Whether a socket could not be opened because descriptors or memory are short. The step tries
 * again. */
static inline bool client_is_short(const struct spn_client *client)
{
    return client->open_errno == EMFILE || client->open_errno == ENFILE ||
           client->open_errno == ENOMEM || client->open_errno == ENOBUFS;
}

/* Opens a socket if it is not open, before a part uses it. SPN_E_NOMEM, SPN_E_SYSTEM. */
spn_err client_use(struct spn_client *client, enum transport_name name) SPN_MUST_USE;

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

/* Turns and sleeps until *done, which a turn sets. SPN_E_TIMEOUT: the deadline came. */
spn_err client_wait(struct spn_client *client, const bool *done, uint64_t deadline_ns) SPN_MUST_USE;

/* The same, for an answer on this socket. Without a connection at that time: as client_explain.
 * SPN_E_PATH: this process may not use the socket; returned before the deadline. */
spn_err client_wait_on(struct spn_client *client, enum transport_name name, const bool *done,
                       uint64_t deadline_ns) SPN_MUST_USE;

/* A wait of a call with a timeout. All zeros: not begun. */
struct client_wait {
    uint64_t deadline_ns;
    uint64_t check_ns; /* when to find out whether the socket may be used */
};

/* Begins it, if it is not begun, and does as client_sleep until then. SPN_E_TIMEOUT: as
 * client_not_yet. SPN_E_PATH: this process may not use the socket; never with a timeout of 0. */
spn_err client_sleep_on(struct spn_client *client, enum transport_name name, int timeout_ms,
                        struct client_wait *wait) SPN_MUST_USE;

/* SPN_E_PATH: there is no connection on this socket, and this process may not use it. */
spn_err client_check_right(struct spn_client *client, enum transport_name name) SPN_MUST_USE;

/* SPN_E_TIMEOUT, with the reason of client_check_right if there is one. */
spn_err client_not_yet(struct spn_client *client, enum transport_name name);

/* Why there is no answer on this socket. SPN_E_UNAVAILABLE: nobody listens. SPN_E_TIMEOUT: somebody
 * listens. SPN_E_PATH: connecting is not possible. */
spn_err client_explain(struct spn_client *client, enum transport_name name);

/* client.c */

/* A message on this socket has the sidecar's instance. If another one gave the limits, they are
 * requested again there. */
void client_note_instance(struct spn_client *client, enum transport_name name, uint64_t instance);

/* Records why the client failed for good, and returns it; SPN_OK: it did not. */
spn_err client_failure(struct spn_client *client);

#endif
