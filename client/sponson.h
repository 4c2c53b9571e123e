/* SPDX-License-Identifier: Apache-2.0 */
/* sponson.h: hand server-sent events to the sidecar on this host, and get them back.
 *
 * A client is a connection to one sidecar. A producer publishes through it: each event gets a
 * ticket (1, 2, 3 ...) and ends in exactly one result. A replay reads a session, a subscription
 * reads it and goes on with what happens next.
 *
 * Owns     what a call gives out through a ret_ pointer is yours until you close it. Close
 *          producers, replays and subscriptions before their client.
 * Lends    bytes in a struct spn_event, spn_last or spn_session that the library fills are valid
 *          until the next call on the object they came from.
 * Borrows  what you pass in is copied before the call returns.
 * Units    timeouts in milliseconds: 0 never waits, -1 waits for ever.
 * Errors   every fallible call returns an spn_err that must be looked at; on failure what a ret_
 *          pointer names is untouched unless said otherwise. spn_client_detail has the words.
 *          NULL where an object, an event or a place for the answer is wanted is SPN_E_INVALID; a
 *          call that returns no spn_err then gives 0, -1 for a descriptor, or nothing. Bytes with a
 *          size and no data are SPN_E_INVALID too.
 * Sizes    a struct of options begins with its size, which says what the app knows of it: fields
 *          that a smaller one does not have are taken as their default, and fields of a larger one,
 *          of a later version, must be zero as long as this version does not know them.
 * Threads  one client, with all that came from it, per thread at a time. The library starts no
 *          threads of its own (libzmq runs one I/O thread for all clients of a process), and has no
 *          callbacks. After a fork the child gets SPN_E_FORKED, and may only close what it
 *          inherited; a client that it opens itself works.
 */
#ifndef SPONSON_H
#define SPONSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SPN_API __attribute__((visibility("default")))
#else
#define SPN_API
#endif

#define SPN_VERSION "0.1.0"

typedef struct spn_client spn_client;
typedef struct spn_producer spn_producer;
typedef struct spn_replay spn_replay;
typedef struct spn_sse spn_sse;
typedef struct spn_subscription spn_subscription;

/* "SPN_E_TIMEOUT", and a short sentence. Constant strings. */
SPN_API const char *spn_err_name(spn_err err);
SPN_API const char *spn_err_text(spn_err err);

/* The version of the library that is linked, as "major.minor.patch". */
SPN_API const char *spn_version(void);

/* -- events ------------------------------------------------------------------------------------ */

#define SPN_RETRY_NONE UINT32_MAX

/* What is published, and what is read. */
typedef enum spn_event_kind {
    SPN_EVENT = 0,
    /* No event: what a block of an event stream says that has no data. An id, which is in force
     * from here on (a reader can go on after it, and it is the session's last id), a retry, or
     * both; without an id the one in force stays. It has a seq and is retained as an event is, is
     * written again as it came, and dispatches nothing. */
    SPN_MARKER = 1,
    SPN_RESET = 2, /* a marker after which no id is in force: an `id:` without a value */
} spn_event_kind;

/* One server-sent event, or a marker, which has no type and no data. The second half is the
 * sidecar's and ignored on publish. */
struct spn_event {
    spn_event_kind kind;
    struct spn_bytes id;   /* up to 4,096 bytes without NUL, CR, LF; empty: the library gives one,
                              but not to a marker */
    struct spn_bytes type; /* the `event:` field, up to 255 bytes; empty: "message" */
    struct spn_bytes data; /* any bytes but CR; the sidecar's limit, 4 MiB by default */
    uint32_t retry_ms;     /* SPN_RETRY_NONE: none. Mind that 0 is a value: use SPN_EVENT_INIT */

    uint64_t seq;      /* number in its session: 1, 2, 3 ... */
    uint64_t position; /* number in the sidecar's log */
    uint64_t epoch;    /* the life of the session that it belongs to */
    uint64_t time_ms;  /* wall time at the sidecar, since 1970; for people only */
};

#ifdef __cplusplus /* which names fields in a list from C++20 on only */
#define SPN_EVENT_INIT                                                                             \
    {                                                                                              \
        SPN_EVENT, {nullptr, 0}, {nullptr, 0}, {nullptr, 0}, SPN_RETRY_NONE, 0, 0, 0, 0            \
    }
#else
#define SPN_EVENT_INIT                                                                             \
    {                                                                                              \
        .retry_ms = SPN_RETRY_NONE                                                                 \
    }
#endif

/* Bytes of a C string, without its NUL. */
SPN_API struct spn_bytes spn_text(const char *text);

/* -- client ------------------------------------------------------------------------------------ */

struct spn_client_options {
    size_t size; /* sizeof(struct spn_client_options): later versions add fields at the end */
    const char *socket_dir; /* NULL: $SPONSON_SOCKET_DIR; if that is not set, /run/sponson or
                               $XDG_RUNTIME_DIR/sponson, the first that has sockets in it */
    bool at_once;           /* where nobody listens, fail instead of waiting for a start */
    int send_hwm; /* batches that ZeroMQ may hold on their way to the sidecar (ZMQ_SNDHWM of
                     ingest.sock); 0: 128. Bounds level none, which keeps no window */
};

/* Connects and shakes hands, up to timeout_ms; a sidecar that starts meanwhile is found. options
 * may be NULL.
 * SPN_E_UNAVAILABLE: nobody listens there. SPN_E_TIMEOUT: somebody does, and did not answer in
 * time. SPN_E_PATH: the sockets may not be opened (the detail says which, and why), or their path
 * is too long for a Unix socket. SPN_E_VERSION: the sidecar speaks another major version.
 * SPN_E_INVALID: options without a size.
 * SPN_E_SYSTEM: a system call failed, as the detail says. With fewer than 16 free descriptors that
 * is so before any is used: libzmq would abort the process where it finds none. SPN_E_NOMEM.
 * ret_detail, if not NULL, gets words for a person (at most detail_size bytes with the NUL) when
 * the call fails, since there is no client to ask. */
SPN_API spn_err spn_client_open(spn_client **ret_client, const struct spn_client_options *options,
                                int timeout_ms, char *ret_detail, size_t detail_size) SPN_MUST_USE;

/* Takes NULL. Close its producers before: one that is not closed keeps its place among those that
 * the sidecar knows for an hour or longer. Events that are not acknowledged yet are dropped: see
 * spn_producer_close. The last
 * events of level none have 100 ms to leave the process: the last client to be closed waits for
 * them, and so a process that wants them gone closes all its clients before it exits. */
SPN_API void spn_client_close(spn_client *client);

/* Words about the last failure on this client; never NULL, valid until its next call. */
SPN_API const char *spn_client_detail(const spn_client *client);

/* The largest event data the sidecar takes, in bytes. */
SPN_API size_t spn_client_data_max(const spn_client *client);

/* A file descriptor for poll, epoll and the like, owned by the client: readable (level-triggered)
 * whenever spn_client_step has something to do, its own timers included, and also when another call
 * took something in since the last step: results may be waiting. It stays readable until
 * spn_client_step is called. Only for waiting: do not read from it. */
SPN_API int spn_client_fd(const spn_client *client);

/* Does what is due and returns at once: sends, takes answers, reconnects. Never blocks. Results
 * then wait in spn_producer_next_ack. SPN_E_FENCED, SPN_E_FORKED and other errors that last are
 * returned each time; a sidecar that is gone is not an error here: the library goes on trying. */
SPN_API spn_err spn_client_step(spn_client *client) SPN_MUST_USE;

/* -- publishing -------------------------------------------------------------------------------- */

/* What an acknowledgement means. */
typedef enum spn_level {
    SPN_NONE = 0,     /* nothing is reported, and nothing is sent again */
    SPN_ACCEPTED = 1, /* in the sidecar's memory, in order, duplicates decided */
    SPN_DURABLE = 2,  /* committed to disk with default sync: survives kill -9 and power loss */
} spn_level;

/* How an event ended; each ends in exactly one. */
typedef enum spn_result {
    SPN_STORED = 0,
    SPN_DUPLICATE = 1, /* same id and same data within the session's window: not stored again. An
                          id is recognised for certain while fewer than 128 entries with an id
                          followed it in this life and its entry is retained */
    SPN_CONFLICT = 2,  /* same id, other data: not stored */
    SPN_REFUSED = 3,   /* see spn_ack.code */
    SPN_LOST = 4,      /* below level durable: accepted, and lost with the sidecar's memory. At any
                          level: the sidecar has an older copy of its database, or another one */
} spn_result;

SPN_API const char *spn_result_name(spn_result result);

struct spn_ack {
    uint64_t ticket;
    spn_result result;
    spn_err code; /* SPN_OK; why it was refused; SPN_E_LOST */
};

#define SPN_PRODUCER_ID_SIZE 16

struct spn_producer_options {
    size_t size;          /* sizeof(struct spn_producer_options) */
    spn_level level;      /* 0-initialised means none; spn_producer_defaults says durable */
    const uint8_t *id;    /* 16 bytes of your own, kept over restarts of the app; NULL: random.
                             Opening an id fences whoever held it before. */
    size_t window_bytes;  /* in flight at most, up to 1 GiB; 0: 4 MiB. One event always fits */
    size_t window_events; /* in flight at most, up to 16,777,216; 0: 65,536 */
    int send_timeout_ms;  /* how long spn_publish waits for room; 0 never waits, -1 for ever; less
                             is SPN_E_INVALID */
    bool latest_only;     /* see below; send_timeout_ms is not looked at then */
};

/* Latest only is for apps that must never stall and want, while the sidecar is behind, only the
 * newest event of each session to get through: a proxy that only needs to know where its sessions
 * stand.
 *
 * spn_publish then never waits and never returns SPN_E_BACKPRESSURE. While the window is full an
 * event is held back as its session's pending one, and takes the place of the one that was pending
 * before. What is pending goes out as soon as there is room, before anything that is published
 * later, the session that has waited longest first.
 *
 * Tickets are the numbers that go over the wire, so what is pending has none yet (*ret_ticket is 0)
 * and gets the next one when it leaves. An event that was replaced never has a ticket, a result, a
 * seq or a given id: it is counted in spn_counters.replaced and never existed for the sidecar. So
 * results stay one for each ticket, in order, and publish calls that succeeded = taken + pending +
 * replaced. To learn that the newest is on disk, flush.
 *
 * spn_session_close and spn_session_delete do not wait either, and replace nothing: they go after
 * their session's pending event, are not replaced, and what is published afterwards is pending
 * after them.
 *
 * A marker takes the place of its session's pending marker, and waits after its pending event; the
 * next event takes the place of both. One with a retry alone leaves the pending marker its id.
 *
 * As many entries and bytes may be pending as the window has, or as the default window would have
 * if that is more (65,536 and 4 MiB), and one of any size. Beyond that spn_publish returns
 * SPN_E_TOO_MANY at once, and the event is not taken; sessions that have a pending event can still
 * replace it. */

/* Level durable, random id, default windows, send timeout 100 ms. Part of the app: a library that
 * has more fields could not return them to one that has no room for them.
 * For who adds a field: its default is 0, and nothing is set here; a library from before the field
 * refuses anything else. */
static inline struct spn_producer_options spn_producer_defaults(void)
{
    static struct spn_producer_options zero; /* a list would warn in C or in C++ */
    struct spn_producer_options options = zero;
    options.size = sizeof(options);
    options.level = SPN_DURABLE;
    options.send_timeout_ms = 100;
    return options;
}

/* Takes the producer id at the sidecar. options may be NULL for the defaults.
 * SPN_E_UNAVAILABLE, SPN_E_TIMEOUT, SPN_E_INVALID, SPN_E_NOMEM.
 * SPN_E_LIMIT: the sidecar knows as many ids as it may, and all of them are in use.
 *
 * The sidecar remembers an id that the app gives, and how far it got, until it has not heard of it
 * for --producer-ttl (a week by default). A random id is forgotten when its producer is closed with
 * nothing outstanding. */
SPN_API spn_err spn_producer_open(spn_producer **ret_producer, spn_client *client,
                                  const struct spn_producer_options *options,
                                  int timeout_ms) SPN_MUST_USE;

/* The number the sidecar last committed for this producer id when it was opened: the first ticket
 * is one more. 0 for a new id. */
SPN_API uint64_t spn_producer_committed(const spn_producer *producer);

/* Hands one event over to be sent. ret_ticket may be NULL. While the in-flight window is full it
 * waits up to the send timeout.
 * SPN_E_BACKPRESSURE: no room in time, not taken, nothing else lost: publish it again.
 * SPN_E_INVALID: a marker with a type or data, with neither id nor retry, or a reset with an id.
 * SPN_E_TOO_MANY: with latest_only only. SPN_E_NOMEM. SPN_E_BAD_SESSION, SPN_E_BAD_ID,
 * SPN_E_BAD_TYPE, SPN_E_BAD_DATA, SPN_E_EVENT_TOO_LARGE: not taken, no ticket used. SPN_E_FENCED:
 * somebody else opened the same id. Never SPN_E_UNAVAILABLE: a sidecar that restarts is ridden out.
 *
 * An event goes out at once when nothing is in flight; while an acknowledgement is outstanding
 * events gather, and go out when there are 256 of them or 64 KiB, or with the next call that finds
 * it arrived: spn_publish, spn_client_step or any call that waits. An app that stops calling calls
 * spn_producer_flush(producer, 0) first, or watches spn_client_fd. A call that waits for results
 * sends what is gathered before it sleeps. */
SPN_API spn_err spn_publish(spn_producer *producer, struct spn_bytes session,
                            const struct spn_event *event, uint64_t *ret_ticket) SPN_MUST_USE;

/* The same for count events of one session. *ret_taken, always set, says how many of the first
 * ones were taken, with consecutive tickets from *ret_first (may be NULL; set when any was; 0 with
 * latest_only when one of them was held back). SPN_E_BACKPRESSURE: the rest found no room. */
SPN_API spn_err spn_publish_many(spn_producer *producer, struct spn_bytes session,
                                 const struct spn_event *events, size_t count, size_t *ret_taken,
                                 uint64_t *ret_first) SPN_MUST_USE;

/* Closes a session: it takes no more events, whoever publishes them (SPN_REFUSED, SPN_E_CLOSED;
 * what was on its way after the first that is refused is refused with it; an id that is in the
 * window is a duplicate or a conflict as before). What it has stays and can be read; who subscribes
 * gets all of it and then SPN_ITEM_END with SPN_E_CLOSED.
 *
 * A close is not a call that waits for an answer. It takes a ticket as an event does, is carried
 * out in order with this producer's events, and is sent again until it has ended: SPN_STORED; or
 * SPN_DUPLICATE: that life was closed before; or SPN_REFUSED with SPN_E_UNKNOWN_SESSION: there is
 * none, or SPN_E_OTHER_EPOCH: it has another life now. epoch: the life that is meant, as
 * spn_last_event and others return it; 0: whichever is current when the sidecar decides, which is
 * what a producer wants that has just published to it.
 *
 * Fails as spn_publish does: SPN_E_BAD_SESSION, SPN_E_BACKPRESSURE, SPN_E_FENCED; then no ticket
 * is used. ret_ticket may be NULL. */
SPN_API spn_err spn_session_close(spn_producer *producer, struct spn_bytes session, uint64_t epoch,
                                  uint64_t *ret_ticket) SPN_MUST_USE;

/* Deletes a session, closed or not, with all its events; who subscribes to it gets SPN_ITEM_END
 * with SPN_E_DELETED. The next event for this name opens a new life: another epoch, seqs from 1,
 * and no duplicates of what was deleted. All else is as with spn_session_close, but that nothing is
 * a duplicate. */
SPN_API spn_err spn_session_delete(spn_producer *producer, struct spn_bytes session, uint64_t epoch,
                                   uint64_t *ret_ticket) SPN_MUST_USE;

/* Room for an id that the library gives, with its NUL. */
#define SPN_GIVEN_ID_MAX 48

/* The id that the event of this ticket has when it was published without one: known at once, the
 * same over resends and restarts. Returns its length; writes a NUL-terminated string. */
SPN_API size_t spn_given_id(const spn_producer *producer, uint64_t ticket,
                            char ret_id[SPN_GIVEN_ID_MAX]);

/* The next result that is known, in ticket order; each ticket is reported once. With level none
 * only refusals are. SPN_E_TIMEOUT: none yet. SPN_E_END: nothing is outstanding. SPN_E_FENCED and
 * other errors that last: after the results that were known before.
 * Results wait until they are fetched, up to window_events of them; beyond that the oldest are
 * dropped unread (spn_producer_counters still counts them). */
SPN_API spn_err spn_producer_next_ack(spn_producer *producer, int timeout_ms,
                                      struct spn_ack *ret_ack) SPN_MUST_USE;

/* Waits until every event taken so far has ended, and sends what is gathered; with timeout_ms 0 it
 * only sends. With level none an event has ended when it was sent. Results stay for
 * spn_producer_next_ack. SPN_E_TIMEOUT; SPN_E_FENCED. */
SPN_API spn_err spn_producer_flush(spn_producer *producer, int timeout_ms) SPN_MUST_USE;

/* Waits for one ticket's result and gives it, leaving the others' for spn_producer_next_ack.
 * SPN_E_INVALID: no such ticket, or its result was dropped or fetched already. */
SPN_API spn_err spn_producer_wait(spn_producer *producer, uint64_t ticket, int timeout_ms,
                                  struct spn_ack *ret_ack) SPN_MUST_USE;

struct spn_counters {
    uint64_t taken;  /* tickets given */
    uint64_t stored; /* events, closes, deletes: a close that was carried out counts here */
    uint64_t duplicates;
    uint64_t conflicts;
    uint64_t refused;
    uint64_t lost;         /* also those whose result you had fetched before they were lost. Above 0
                              with level durable: the sidecar's database was replaced by an older
                              copy, or another one; spn_client_detail has the words */
    uint64_t resent;       /* events sent more than once */
    uint64_t backpressure; /* publish calls that met a full window past the timeout */
    uint64_t unacknowledged; /* without a result yet; with level none: not sent yet */
    uint64_t pending;        /* of these, held back without a ticket; see latest_only */
    uint64_t replaced;       /* events that a newer one of their session replaced meanwhile */
};

SPN_API struct spn_counters spn_producer_counters(const spn_producer *producer);

/* Flushes for up to timeout_ms, then frees the producer whatever the outcome. With nothing
 * outstanding the sidecar learns that a random id is not used any more. ret_unacknowledged
 * (may be NULL) is how many events have no result. SPN_E_TIMEOUT: there were some. Takes NULL. */
SPN_API spn_err spn_producer_close(spn_producer *producer, int timeout_ms,
                                   uint64_t *ret_unacknowledged);

/* -- reading ----------------------------------------------------------------------------------- */

struct spn_last {
    struct spn_bytes id; /* in force after the newest durable event or marker; empty: none is */
    uint64_t seq;        /* of that one; 0 while there is none */
    uint64_t epoch;
    uint64_t position;
    uint64_t time_ms;
};

/* SPN_E_UNKNOWN_SESSION, SPN_E_BAD_SESSION, SPN_E_TIMEOUT, SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_last_event(spn_client *client, struct spn_bytes session, int timeout_ms,
                               struct spn_last *ret_last) SPN_MUST_USE;

/* Starts reading a session up to its newest durable event. after: the id to go on after; empty or
 * data NULL: from the earliest retained.
 * SPN_E_UNKNOWN_ID: no retained event has it; the words say how many events of the session are not
 * retained any more. SPN_E_UNKNOWN_SESSION, SPN_E_BAD_SESSION, SPN_E_BAD_ID, SPN_E_TIMEOUT,
 * SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_replay_open(spn_replay **ret_replay, spn_client *client,
                                struct spn_bytes session, struct spn_bytes after,
                                int timeout_ms) SPN_MUST_USE;

/* The next event or marker. SPN_E_END: caught up with what was durable when it was asked; calling
 * again asks again. SPN_E_OTHER_EPOCH: the session was opened anew meanwhile;
 * SPN_E_UNKNOWN_SESSION: it was deleted. SPN_E_PROTOCOL: the sidecar left an event out; nothing
 * after it is given. Rides through a restart of the sidecar within the timeout; after SPN_E_TIMEOUT
 * call again. */
SPN_API spn_err spn_replay_next(spn_replay *replay, int timeout_ms,
                                struct spn_event *ret_event) SPN_MUST_USE;

/* How many events between the start and the last one given were no longer retained, markers among
 * them. */
SPN_API uint64_t spn_replay_missing(const spn_replay *replay);

SPN_API void spn_replay_close(spn_replay *replay); /* takes NULL */

/* -- subscriptions ----------------------------------------------------------------------------- */

/* Where a subscription begins. */
typedef enum spn_start {
    SPN_EARLIEST = 0,
    SPN_AFTER_ID = 1, /* what a browser asks for with Last-Event-ID */
    SPN_NOW = 3,      /* after the newest event that is durable when the sidecar is asked */
} spn_start;

/* What it means when the start cannot be had. */
typedef enum spn_otherwise {
    SPN_FAIL = 0,    /* the subscription ends */
    SPN_RESTART = 1, /* an unknown id: go on from the earliest */
    SPN_WAIT = 2,    /* an unknown session: wait until it is opened */
} spn_otherwise;

struct spn_subscription_options {
    size_t size; /* sizeof(struct spn_subscription_options) */
    spn_start start;
    struct spn_bytes after; /* with SPN_AFTER_ID; not empty then */
    spn_otherwise otherwise;
    size_t window_bytes; /* that may be on their way unread; 0: 256 KiB. One event always fits */
};

typedef enum spn_item_kind {
    SPN_ITEM_VERDICT = 0, /* the first: where it begins; missing: events trimmed before that */
    SPN_ITEM_EVENT = 1,   /* or a marker: event.kind says which */
    SPN_ITEM_GAP = 2,     /* `missing` events were trimmed before they could be delivered */
    SPN_ITEM_END = 3, /* the last; why: SPN_E_UNKNOWN_SESSION, SPN_E_UNKNOWN_ID (no retained event
                         has it; of the session `missing` events are not retained any more: 0: it
                         never had it), SPN_E_CLOSED (all of it was delivered), SPN_E_DELETED (or
                         expired), SPN_E_LIMIT (its user has as many subscriptions as are left to
                         others), SPN_E_IO */
} spn_item_kind;

struct spn_item {
    spn_item_kind kind;
    struct spn_event event; /* SPN_ITEM_EVENT: valid until the next call on the subscription */
    uint64_t missing;       /* events and markers; of a verdict, a gap, an end by an unknown id */
    uint64_t seq;           /* where the cursor stands */
    uint64_t epoch;
    spn_err why; /* SPN_ITEM_END */
};

/* Subscribes to a session and returns at once; the first item is the verdict. The subscription
 * rides through restarts of the sidecar: it goes on after the last event it gave, without another
 * verdict. options may be NULL: from the earliest, fail. Credit is granted as items are taken.
 * SPN_E_BAD_SESSION, SPN_E_BAD_ID, SPN_E_INVALID, SPN_E_NOMEM. */
SPN_API spn_err spn_subscribe(spn_subscription **ret_subscription, spn_client *client,
                              struct spn_bytes session,
                              const struct spn_subscription_options *options) SPN_MUST_USE;

/* The next item of this subscription. SPN_E_TIMEOUT: none yet. SPN_E_END: it ended, and that was
 * given. */
SPN_API spn_err spn_subscription_next(spn_subscription *subscription, int timeout_ms,
                                      struct spn_item *ret_item) SPN_MUST_USE;

/* The next item of any subscription of the client, in turn. SPN_E_TIMEOUT; SPN_E_END: there is no
 * subscription that could have one. */
SPN_API spn_err spn_next_of_any(spn_client *client, int timeout_ms,
                                spn_subscription **ret_subscription,
                                struct spn_item *ret_item) SPN_MUST_USE;

/* A place of the app's own, for spn_next_of_any; NULL at first. */
SPN_API void spn_subscription_set_context(spn_subscription *subscription, void *context);
SPN_API void *spn_subscription_context(const spn_subscription *subscription);

SPN_API void spn_unsubscribe(spn_subscription *subscription); /* frees it; takes NULL */

/* -- sessions ---------------------------------------------------------------------------------- */

typedef enum spn_session_state {
    SPN_LIVE = 0,
    SPN_CLOSED = 1, /* takes no more events */
    /* Of a list: something of it does not read. With an epoch of 0 all of it was given up: no more
     * than its name is known, it takes nothing more, and can be deleted. With another one its
     * newest event does not read: the numbers are older, the id is missing, and it goes on. */
    SPN_DAMAGED = 2,
} spn_session_state;

SPN_API const char *spn_session_state_name(spn_session_state state);

struct spn_session {
    struct spn_bytes name;
    struct spn_bytes last_id;
    uint64_t epoch;
    uint64_t seq;     /* events and markers ever stored in this epoch */
    uint64_t markers; /* of them */
    uint64_t position;
    uint64_t bytes;
    uint64_t opened_ms;
    uint64_t last_ms;
    uint32_t duplicates;
    uint32_t conflicts;
    spn_session_state state;
};

struct spn_session_info {
    struct spn_session session;
    uint64_t first_seq; /* of the oldest entry that is retained; session.seq + 1: none is */
    uint64_t markers;   /* of those that are retained */
};

/* All that is known of one session. SPN_E_UNKNOWN_SESSION, SPN_E_BAD_SESSION, SPN_E_TIMEOUT,
 * SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_get_session(spn_client *client, struct spn_bytes name, int timeout_ms,
                                struct spn_session_info *ret_info) SPN_MUST_USE;

/* The first session, in byte order of names, whose name is greater than `after` and begins with
 * prefix (either may be empty). Walk the list by passing the last name as `after`; pages are
 * fetched and kept behind the scenes. SPN_E_END: there is none. SPN_E_TIMEOUT, SPN_E_UNAVAILABLE.
 */
SPN_API spn_err spn_next_session(spn_client *client, struct spn_bytes after,
                                 struct spn_bytes prefix, int timeout_ms,
                                 struct spn_session *ret_session) SPN_MUST_USE;

/* -- the sidecar ------------------------------------------------------------------------------- */

typedef enum spn_status { SPN_HEALTHY = 0, SPN_DEGRADED = 1, SPN_STOPPING = 2 } spn_status;

struct spn_health {
    spn_status status;
    const char *reason;  /* why it is degraded; while healthy what will be trouble if it goes on, or
                            ""; valid until the next call */
    const char *version; /* the sidecar's; valid until the next call */
    uint32_t pid;
    uint64_t instance; /* random, one per start */
    uint64_t uptime_ms;
    uint64_t durable;    /* highest position on disk */
    uint64_t checkpoint; /* position up to which the index is written */
};

/* SPN_E_TIMEOUT, SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_get_health(spn_client *client, int timeout_ms,
                               struct spn_health *ret_health) SPN_MUST_USE;

struct spn_stat {
    const char *name;
    uint64_t value;
};

/* All counters. *ret_stats and its names are valid until the next call on the client.
 * SPN_E_TIMEOUT, SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_get_stats(spn_client *client, int timeout_ms, const struct spn_stat **ret_stats,
                              size_t *ret_count) SPN_MUST_USE;

/* -- text/event-stream ------------------------------------------------------------------------- */

/* An incremental parser after the HTML standard, section 9.2. event_max: 0 for 4 MiB. */
SPN_API spn_err spn_sse_open(spn_sse **ret_sse, size_t event_max) SPN_MUST_USE;
SPN_API void spn_sse_close(spn_sse *sse); /* takes NULL */

/* Consumes bytes until an event or a marker is complete or the input is used up; *ret_used says how
 * many, and is set on every return. SPN_OK: *ret_event is filled, its id only when the event itself
 * set one (an id: field); the bytes are valid until the next call. SPN_E_END: all used, no event
 * yet. A marker's id is its own, and empty where only the retry is. SPN_E_EVENT_TOO_LARGE: an event
 * over the limit is being skipped; go on with the rest. */
SPN_API spn_err spn_sse_next(spn_sse *sse, const void *bytes, size_t size, size_t *ret_used,
                             struct spn_event *ret_event) SPN_MUST_USE;

/* The last event id in force: what a browser would send as Last-Event-ID. */
SPN_API struct spn_bytes spn_sse_last_id(const spn_sse *sse);

/* Writes the event as text with its blank line. *ret_size is the bytes needed, also when out is
 * too small (SPN_E_INVALID; nothing useful is in out then) or NULL with out_size 0.
 * SPN_E_BAD_ID, SPN_E_BAD_TYPE, SPN_E_BAD_DATA: it cannot be written. */
SPN_API spn_err spn_sse_format(const struct spn_event *event, void *out, size_t out_size,
                               size_t *ret_size) SPN_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
