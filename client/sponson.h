/* SPDX-License-Identifier: Apache-2.0 */
/* sponson.h: publish server-sent events to the sidecar on this host, and read them back.
 *
 * A client is a connection to one sidecar. A producer publishes through it: each event gets a
 * ticket (1, 2, 3 ...) and ends in exactly one result. A replay reads a session. A subscription
 * reads a session and continues with its new events. A question has one answer.
 *
 * Calls with a timeout wait. The others return at once, and an event loop needs no more than them:
 * spn_client_begin, spn_producer_begin, spn_replay_begin, spn_subscribe and spn_ask_* open and ask
 * without waiting; spn_client_step does the work; a timeout of 0 takes what is there.
 *
 * Owns     an object that a call returns through a ret_ pointer is yours until you close it. Close
 *          producers, replays and subscriptions before their client. Its questions and
 *          subscriptions that are left are freed with it.
 * Lends    what a const pointer points to, and bytes that the library fills in, are valid until the
 *          next call on the object they came from, unless said otherwise. Later versions add fields
 *          at the end of such structs, so do not copy them by their size into files or arrays that
 *          programs of other versions read.
 * Borrows  what you pass in is copied before the call returns.
 * Units    timeouts in milliseconds: 0 never waits, -1 waits for ever.
 * Errors   every call that can fail returns an spn_err, which must be checked. On failure the
 *          target of a ret_ pointer is unchanged unless said otherwise. spn_client_detail describes
 *          the failure. NULL for a required object, event or place for the answer is
 *          SPN_E_INVALID; a call that returns no spn_err then returns 0, -1 for a descriptor, or
 *          nothing. Bytes with a size and no data are SPN_E_INVALID too.
 * Sizes    a struct of options begins with its size, which tells the library what fields the app
 *          knows. Fields missing from a smaller struct take their defaults. A larger struct comes
 *          from a later version: the fields that this version does not know must be zero.
 * Threads  one thread at a time may use a client and the objects that came from it. The library
 *          starts no threads of its own (libzmq runs one I/O thread for all clients of a process)
 *          and has no callbacks. After a fork the child gets SPN_E_FORKED and may only close what
 *          it inherited; a client that it opens itself works.
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
typedef struct spn_question spn_question;
typedef struct spn_replay spn_replay;
typedef struct spn_sse spn_sse;
typedef struct spn_subscription spn_subscription;

/* A code's name, such as "SPN_E_TIMEOUT", and a short sentence about it. Constant strings. */
SPN_API const char *spn_err_name(spn_err err);
SPN_API const char *spn_err_text(spn_err err);

/* The version of the linked library, as "major.minor.patch". */
SPN_API const char *spn_version(void);

/* -- events ------------------------------------------------------------------------------------ */

#define SPN_RETRY_NONE UINT32_MAX

/* What is published and read. */
typedef enum spn_event_kind {
    SPN_EVENT = 0,
    /* Not an event: a block of an event stream without data. It has an id, a retry, or both. Its id
     * is in force from here on: readers can resume after it, and it is the session's last id.
     * Without an id, the id in force stays. A marker has a seq and is retained as an event is. It
     * is written back as it came, and dispatches nothing. */
    SPN_MARKER = 1,
    SPN_RESET = 2, /* a marker after which no id is in force: an `id:` without a value */
} spn_event_kind;

/* One server-sent event, or a marker, which has no type and no data. The sidecar fills in the
 * second half; publishing ignores it. */
struct spn_event {
    size_t size; /* sizeof(struct spn_event): SPN_EVENT_INIT sets it. Later versions add fields */
    spn_event_kind kind;
    struct spn_bytes id;   /* up to 4,096 bytes without NUL, CR, LF; empty: the library gives the
                              event an id, but not a marker */
    struct spn_bytes type; /* the `event:` field, up to 255 bytes; empty: "message" */
    struct spn_bytes data; /* any bytes but CR, up to the sidecar's limit, 4 MiB by default */
    uint32_t retry_ms;     /* SPN_RETRY_NONE: none; 0 means 0 ms; at most 4,294,967,294 (49 days).
                              SPN_EVENT_INIT sets none */
    bool resets_id;        /* only in text: see spn_sse_next. Publishing ignores it */
    struct spn_bytes note; /* up to 512 bytes of the app's own: stored and delivered with the event,
                              not compared for duplicates, and no part of the event stream */

    uint64_t seq;            /* number in its session: 1, 2, 3 ... */
    uint64_t position;       /* number in the sidecar's log */
    struct spn_life life;    /* the life of the session that the event belongs to */
    uint64_t time_ms;        /* wall time at the sidecar, since 1970; for people only */
    bool closes;             /* the event closed its session: it is the last one ... */
    struct spn_bytes reason; /* ... and this is why; may be empty */
};

#ifdef __cplusplus /* before C++20 it has no designated initialisers */
#define SPN_EVENT_INIT                                                                             \
    {                                                                                              \
        sizeof(struct spn_event), SPN_EVENT, {nullptr, 0}, {nullptr, 0}, {nullptr, 0},             \
            SPN_RETRY_NONE, false, {nullptr, 0}, 0, 0, {{0}}, 0, false,                            \
        {                                                                                          \
            nullptr, 0                                                                             \
        }                                                                                          \
    }
#else
#define SPN_EVENT_INIT                                                                             \
    {                                                                                              \
        .size = sizeof(struct spn_event), .retry_ms = SPN_RETRY_NONE                               \
    }
#endif

/* The bytes of a C string, without its NUL. */
SPN_API struct spn_bytes spn_text(const char *text);

/* A life as text is 32 hexadecimal digits in lower case. A cursor as text is `spn:<life>:<seq>`: it
 * names the event of that seq in that life, here and wherever the session is copied to. The sizes
 * include the NUL. */
#define SPN_LIFE_TEXT_SIZE 33
#define SPN_CURSOR_TEXT_SIZE 58

SPN_API void spn_life_format(const struct spn_life *life, char ret_text[SPN_LIFE_TEXT_SIZE]);
/* SPN_E_INVALID: it is not the text of a life. */
SPN_API spn_err spn_life_parse(struct spn_bytes text, struct spn_life *ret_life) SPN_MUST_USE;

SPN_API void spn_cursor_format(const struct spn_life *life, uint64_t seq,
                               char ret_text[SPN_CURSOR_TEXT_SIZE]);
/* SPN_E_INVALID: it is not the text of a cursor. */
SPN_API spn_err spn_cursor_parse(struct spn_bytes text, struct spn_life *ret_life,
                                 uint64_t *ret_seq) SPN_MUST_USE;

/* -- client ------------------------------------------------------------------------------------ */

struct spn_client_options {
    size_t size; /* sizeof(struct spn_client_options): later versions add fields at the end */
    const char *socket_dir; /* NULL: $SPONSON_SOCKET_DIR; if that is not set, /run/sponson or
                               $XDG_RUNTIME_DIR/sponson, the first that has sockets in it */
    bool at_once;           /* if nobody listens, fail instead of waiting for a sidecar to start */
    int send_hwm;          /* batches that ZeroMQ may queue on the way to the sidecar (ZMQ_SNDHWM of
                              ingest.sock); 0: 128. It bounds level none, which keeps no window */
    size_t read_bytes_max; /* most bytes of items, on their way and unread, of all subscriptions of
                              the client together, and in addition one event of each subscription;
                              0: 64 MiB. The least is 1,024. See spn_subscription_pause */
    size_t questions_max;  /* how many questions may be open; 0: 10,000. One takes about 600 bytes
                              and its answer */
};

/* A client uses ingest.sock to write and read.sock to read, and connects to each when it is first
 * used. The two may have different rights. The handshake is done on read.sock, or on ingest.sock if
 * this process may only use that. What needs the other one, and does not wait, is taken all the
 * same, and goes on when the right comes. Until then spn_producer_ready, spn_answer_*,
 * spn_subscription_next and the like return SPN_E_TIMEOUT, and spn_client_detail names the socket
 * and the permission. A call that waits for it, also for ever, returns SPN_E_PATH with the same
 * detail, within half a second.
 *
 * Connects and does the handshake, within timeout_ms. A sidecar that starts during that time is
 * found. options may be NULL.
 * SPN_E_UNAVAILABLE: nobody listens there. SPN_E_TIMEOUT: somebody listens but did not answer in
 * time. SPN_E_PATH: the sockets may not be opened (the detail says which, and why), or their path
 * is too long for a Unix socket. SPN_E_VERSION: the sidecar speaks another major version.
 * SPN_E_INVALID: options without a size, or a value out of its bounds. SPN_E_NOMEM.
 * SPN_E_SYSTEM: a system call failed; the detail says which. With fewer than 16 free descriptors no
 * socket is opened, because libzmq aborts the process if it finds none: the call tries again until
 * timeout_ms, and then fails this way.
 * ret_detail, if not NULL, receives a description for a person (at most detail_size bytes with the
 * NUL) when the call fails, since there is then no client for spn_client_detail. */
SPN_API spn_err spn_client_open(spn_client **ret_client, const struct spn_client_options *options,
                                int timeout_ms, char *ret_detail, size_t detail_size) SPN_MUST_USE;

/* Does the same without waiting. The client connects, and does the handshake, in the turns that
 * follow (spn_client_step, or any call on it). Until then it takes everything that does not wait:
 * questions, subscriptions, producers and replays can be created at once, and go on as soon as
 * there is a sidecar. spn_client_data_max is 0 until then. A lack of descriptors is waited for in
 * the same way, but for the three that the client itself needs. SPN_E_UNAVAILABLE: only with
 * at_once. SPN_E_PATH, SPN_E_INVALID, SPN_E_NOMEM, SPN_E_SYSTEM. */
SPN_API spn_err spn_client_begin(spn_client **ret_client, const struct spn_client_options *options,
                                 char *ret_detail, size_t detail_size) SPN_MUST_USE;

/* SPN_OK: the handshake is done. SPN_E_TIMEOUT: not yet, and spn_client_detail has the reason: no
 * sidecar, no permission, no answer, no descriptors; none of these is final. Other errors are
 * final, and spn_client_step returns them too: SPN_E_VERSION, SPN_E_PATH (too long),
 * SPN_E_PROTOCOL. A client that was ready stays ready while its sidecar restarts. */
SPN_API spn_err spn_client_ready(spn_client *client) SPN_MUST_USE;

/* Takes NULL. Close the client's producers first: a producer that was not closed occupies a place
 * in the sidecar's table of producers for an hour or longer. Events that are not acknowledged yet
 * are dropped: see spn_producer_close. The last events of level none have 100 ms to leave the
 * process. The last client to be closed waits for them, so a process that wants them sent closes
 * all its clients before it exits. */
SPN_API void spn_client_close(spn_client *client);

/* Describes the last failure on this client. Never NULL; valid until the client's next call. */
SPN_API const char *spn_client_detail(const spn_client *client);

/* The largest event data the sidecar accepts, in bytes; 0: not known yet. Another one follows after
 * a restart of the sidecar with another limit. A producer that was open by then keeps the lower of
 * the two. */
SPN_API size_t spn_client_data_max(const spn_client *client);

/* A file descriptor for poll, epoll and the like, owned by the client. It is readable
 * (level-triggered) whenever spn_client_step has something to do, including the client's own
 * timers. It is also readable if another call received something since the last step: results,
 * items or answers may be waiting. It stays readable until spn_client_step is called. Only wait on
 * it: do not read from it. */
SPN_API int spn_client_fd(const spn_client *client);

/* Does what is due and returns at once: sends, receives answers, reconnects. Never blocks. Results
 * then wait in spn_producer_next_ack, items in spn_next_of_any, answers in spn_next_answered: after
 * each step call those until they return SPN_E_TIMEOUT or SPN_E_END. SPN_E_FORKED and other lasting
 * errors are returned each time. So is SPN_E_FENCED while a producer that was fenced is open: all
 * else goes on, spn_producer_ready of each producer says which one it is, and once that is closed
 * the step returns SPN_OK again. A sidecar that is gone is not an error here: the library keeps
 * trying. */
SPN_API spn_err spn_client_step(spn_client *client) SPN_MUST_USE;

/* -- publishing -------------------------------------------------------------------------------- */

/* What an acknowledgement means. */
typedef enum spn_level {
    SPN_NONE = 0,     /* only refusals are reported, as far as they arrive; nothing is sent again */
    SPN_ACCEPTED = 1, /* in the sidecar's memory, in order, checked for duplicates */
    SPN_DURABLE = 2,  /* committed to disk with default sync: survives kill -9 and power loss */
} spn_level;

/* How an event ended. Each event ends in exactly one result. */
typedef enum spn_result {
    SPN_STORED = 0,
    SPN_DUPLICATE = 1, /* same id, data, type, and closing with its reason, within the session's
                          window: not stored again. An id is certain to be recognised while its
                          entry is retained and fewer entries with an id followed it in the same
                          life than the window has (128, the default of --window) */
    SPN_CONFLICT = 2,  /* same id, and another one of these differs: not stored */
    SPN_REFUSED = 3,   /* not stored: see spn_ack.code. It holds up no other event */
    SPN_LOST = 4,      /* below level durable: accepted, and lost with the sidecar's memory. At any
                          level: the sidecar has an older copy of its database, or another one */
} spn_result;

SPN_API const char *spn_result_name(spn_result result);

struct spn_ack {
    uint64_t ticket;
    spn_result result;
    spn_err code; /* SPN_OK; the reason of a refusal; SPN_E_LOST. A reason that only a later version
                     of the library knows is SPN_E_PROTOCOL */
};

#define SPN_PRODUCER_ID_SIZE 16

struct spn_producer_options {
    size_t size;          /* sizeof(struct spn_producer_options) */
    spn_level level;      /* zero-initialised means none; spn_producer_defaults sets durable */
    const uint8_t *id;    /* 16 bytes of your own, kept across restarts of the app; NULL: random.
                             Opening an id fences its previous holder. */
    size_t window_bytes;  /* most bytes in flight, up to 1 GiB; 0: 4 MiB. One event always fits */
    size_t window_events; /* most events in flight, up to 16,777,216; 0: 65,536 */
    int send_timeout_ms;  /* how long spn_publish waits for room; 0 never waits, -1 waits for ever;
                             less is SPN_E_INVALID */
    bool latest_only;     /* see below; send_timeout_ms is then not used */
};

/* Latest only is for apps that must never stall. While the sidecar is behind, only the newest event
 * of each session gets through. An example is a proxy that only needs to know where its sessions
 * stand.
 *
 * spn_publish then never waits and, once the producer is open, never returns SPN_E_BACKPRESSURE.
 * While the window is full, an event is held back as its session's pending event, and replaces the
 * event that was pending before. Pending events are sent as soon as there is room, before anything
 * that is published later. The session that has waited longest goes first.
 *
 * Tickets are the numbers on the wire. So a pending event has no ticket yet (*ret_ticket is 0), and
 * gets the next one when it leaves. A replaced event never has a ticket, a result, a seq or a given
 * id. It is counted in spn_counters.replaced; the sidecar never sees it. So there is still one
 * result for each ticket, in order, and successful publish calls = taken + pending + replaced. To
 * make sure that the newest event is on disk, flush.
 *
 * Whatever has a condition or closes its session replaces nothing and is not replaced, nor do
 * closes, deletes and attributes. They go after their session's pending event, and events published
 * afterwards are pending after them.
 *
 * A marker replaces its session's pending marker, and waits after its session's pending event. The
 * next event replaces both. A marker with only a retry leaves the pending marker's id in place.
 *
 * The pending entries are bounded in number and in bytes: by the window, or by the default window
 * (65,536 and 4 MiB) if that is larger. A single entry may have any size. Beyond the bound
 * spn_publish returns SPN_E_TOO_MANY at once, and the event is not taken. Sessions that have a
 * pending event can still replace it. */

/* Level durable, random id, default windows, send timeout 100 ms. Inline, because a newer library
 * must not write fields that the app's struct does not have. Maintainers: the default of a new
 * field is 0, and nothing is set here, because older libraries refuse any other value. */
static inline struct spn_producer_options spn_producer_defaults(void)
{
    static struct spn_producer_options zero; /* a list would warn in C or in C++ */
    struct spn_producer_options options = zero;
    options.size = sizeof(options);
    options.level = SPN_DURABLE;
    options.send_timeout_ms = 100;
    return options;
}

/* Opens a producer: it becomes the holder of its id at the sidecar. options may be NULL for the
 * defaults.
 * SPN_E_UNAVAILABLE, SPN_E_TIMEOUT, SPN_E_INVALID, SPN_E_NOMEM.
 * SPN_E_LIMIT: the sidecar has as many producer ids as it may have, and all of them are in use.
 *
 * The sidecar remembers an id that the app supplies, and its last number, until it has received
 * nothing from its holder for --producer-ttl (a week by default). It forgets a random id when the
 * producer is closed with nothing outstanding. */
SPN_API spn_err spn_producer_open(spn_producer **ret_producer, spn_client *client,
                                  const struct spn_producer_options *options,
                                  int timeout_ms) SPN_MUST_USE;

/* Does the same without waiting: the id is taken in the turns that follow, once the client is
 * ready. SPN_E_INVALID, SPN_E_NOMEM. */
SPN_API spn_err spn_producer_begin(spn_producer **ret_producer, spn_client *client,
                                   const struct spn_producer_options *options) SPN_MUST_USE;

/* SPN_OK: the producer is open. SPN_E_TIMEOUT: not yet. Other errors are final: SPN_E_LIMIT,
 * SPN_E_FENCED, SPN_E_PROTOCOL, SPN_E_NOMEM, those of the client. Close the producer then.
 *
 * Until it is open, tickets are not known, since they follow the committed number. spn_publish and
 * the calls like it then wait for up to the send timeout, as for room, and return
 * SPN_E_BACKPRESSURE: nothing was taken. With latest_only they return that at once. The calls that
 * wait for results find that nothing is outstanding. */
SPN_API spn_err spn_producer_ready(spn_producer *producer) SPN_MUST_USE;

/* The last number that the sidecar had committed for this producer id when it was opened. The first
 * ticket is one higher. 0 for a new id, and until the producer is open. */
SPN_API uint64_t spn_producer_committed(const spn_producer *producer);

/* Takes one event to be sent. ret_ticket may be NULL. While the in-flight window is full, the call
 * waits for up to the send timeout.
 * SPN_E_BACKPRESSURE: there was no room in time. The event was not taken and nothing else is lost:
 * publish it again.
 * SPN_E_INVALID: a marker with a type or data, with neither id nor retry, or a reset with an id; an
 * event without a size, or with fields that this version of the library does not know.
 * SPN_E_TOO_MANY: only with latest_only. SPN_E_NOMEM. SPN_E_BAD_SESSION, SPN_E_BAD_ID,
 * SPN_E_BAD_TYPE, SPN_E_BAD_DATA, SPN_E_EVENT_TOO_LARGE: not taken, no ticket used. SPN_E_FENCED:
 * somebody else opened the same id. Never SPN_E_UNAVAILABLE: the library waits for a sidecar that
 * restarts.
 *
 * An event is sent at once when nothing is in flight. While an acknowledgement is outstanding,
 * events gather. They are sent when there are 256 of them or 64 KiB, or by the next call that finds
 * that the acknowledgement has arrived: spn_publish, spn_client_step or any call that waits. Before
 * an app stops calling, it calls spn_producer_flush(producer, 0); or it watches spn_client_fd. A
 * call that waits for results sends the gathered events before it sleeps. */
SPN_API spn_err spn_publish(spn_producer *producer, struct spn_bytes session,
                            const struct spn_event *event, uint64_t *ret_ticket) SPN_MUST_USE;

/* Conditions of an entry, and whether an event closes its session. Zeros: none.
 *
 * The sidecar compares them with the session when it decides the entry, after all entries that it
 * took before. So of several producers that try the same, one wins. An entry whose condition does
 * not hold is SPN_REFUSED and changes nothing; the entries after it are taken all the same, except
 * those that depend on it. An event whose id is known already is a duplicate or a conflict,
 * whatever its conditions are. The result of such an entry is sent when it is durable, at every
 * level. */
struct spn_publish_options {
    size_t size; /* sizeof(struct spn_publish_options) */
    bool if_new; /* there is no such session: SPN_E_CONDITION. One that is closed is there. Not with
                    the next two */
    bool has_if_seq;
    uint64_t if_seq; /* with has_if_seq: the session's newest event or marker has this seq, or there
                        is none and it is 0: SPN_E_CONDITION, SPN_E_UNKNOWN_SESSION */
    const struct spn_life *life; /* the session has this life: SPN_E_OTHER_LIFE,
                                    SPN_E_UNKNOWN_SESSION. NULL: whichever it has */
    uint64_t dependent; /* an earlier ticket of this producer: SPN_E_DEPENDENT if that was refused.
                           0: none. It is at most 2,048 tickets before this one, and its result was
                           not fetched yet. Not with level none or latest_only */
    bool closes; /* the event closes its session: it is the last one. Stored both or neither */
    struct spn_bytes
        reason; /* why, for readers: up to 64 bytes of UTF-8 without control characters,
                   may be empty. "idle" is the sidecar's own: SPN_E_BAD_REASON */
};

/* Does the same as spn_publish, with options; NULL: none. Whether it closes is compared for
 * duplicates, and the reason too: the same id without it is a conflict. Also SPN_E_INVALID: options
 * that exclude each other, or that this version does not know; a marker that closes; a ticket that
 * nothing may depend on. SPN_E_BAD_REASON. */
SPN_API spn_err spn_publish_with(spn_producer *producer, struct spn_bytes session,
                                 const struct spn_event *event,
                                 const struct spn_publish_options *options,
                                 uint64_t *ret_ticket) SPN_MUST_USE;

/* Does the same for count events of one session, all of the size of the first. *ret_taken is always
 * set: so many events from the first one on were taken, with consecutive tickets from *ret_first
 * on. ret_first may be NULL. *ret_first is set if any event was taken; it is 0 with latest_only if
 * one of them was held back. SPN_E_BACKPRESSURE: there was no room for the rest. */
SPN_API spn_err spn_publish_many(spn_producer *producer, struct spn_bytes session,
                                 const struct spn_event *events, size_t count, size_t *ret_taken,
                                 uint64_t *ret_first) SPN_MUST_USE;

/* Closes a session: it takes no more events, from any producer (SPN_REFUSED, SPN_E_CLOSED). An
 * event whose id is in the window is a duplicate or a conflict as before. The stored events stay
 * and can be read. A subscription delivers all of them and then SPN_ITEM_END with SPN_E_CLOSED.
 *
 * The call does not wait for an answer. A close takes a ticket as an event does, is carried out in
 * order with this producer's events, and is sent again until it has a result:
 * SPN_STORED. SPN_DUPLICATE: this life was closed before. SPN_REFUSED with SPN_E_UNKNOWN_SESSION:
 * there is no such session. SPN_REFUSED with SPN_E_OTHER_LIFE: the session has another life now.
 *
 * life: the session's life, as spn_last_event and others return it; NULL: the life that is current
 * when the sidecar decides. A producer that has just published to the session passes NULL.
 *
 * Fails as spn_publish does: SPN_E_BAD_SESSION, SPN_E_BACKPRESSURE, SPN_E_FENCED; then no ticket
 * is used. ret_ticket may be NULL. */
SPN_API spn_err spn_session_close(spn_producer *producer, struct spn_bytes session,
                                  const struct spn_life *life, uint64_t *ret_ticket) SPN_MUST_USE;

/* Deletes a session, closed or not, with all its events. Its subscriptions get SPN_ITEM_END with
 * SPN_E_DELETED. The next event for this name opens a new session: with another life, seqs from 1,
 * and no duplicates of deleted events. All else is as with spn_session_close, except that a delete
 * is never a duplicate. */
SPN_API spn_err spn_session_delete(spn_producer *producer, struct spn_bytes session,
                                   const struct spn_life *life, uint64_t *ret_ticket) SPN_MUST_USE;

/* Both with conditions, and a close with a reason. options may be NULL; `closes` is not used. */
SPN_API spn_err spn_session_close_with(spn_producer *producer, struct spn_bytes session,
                                       const struct spn_publish_options *options,
                                       uint64_t *ret_ticket) SPN_MUST_USE;
SPN_API spn_err spn_session_delete_with(spn_producer *producer, struct spn_bytes session,
                                        const struct spn_publish_options *options,
                                        uint64_t *ret_ticket) SPN_MUST_USE;

/* Spans are at most this long: some 290 years. */
#define SPN_SPAN_MS_MAX UINT64_C(9223372036854)

/* What holds of a session beside its events. Retention never takes it. */
struct spn_attributes {
    size_t size;     /* sizeof(struct spn_attributes) */
    uint64_t ttl_ms; /* deleted when nothing came for so long; 0: the sidecar's --session-ttl */
    uint64_t
        idle_close_ms; /* closed with the reason "idle" when nothing came for so long; 0: never */
    struct spn_bytes
        content_type;      /* up to 255 bytes of UTF-8 without control characters, or empty */
    struct spn_bytes note; /* up to 4,096 bytes of the app's own */
};

/* Sets all attributes of a session. A session that does not exist is opened, without an event: with
 * if_new that is all that it does. What comes is an event, a marker, a touch, or attributes; a
 * close counts for the time to live too. A closed session takes attributes. options may be NULL;
 * `closes` and `reason` are not used. A ticket and a result as for spn_session_close: SPN_STORED or
 * SPN_REFUSED. Also SPN_E_BAD_ATTRIBUTES. */
SPN_API spn_err spn_session_set(spn_producer *producer, struct spn_bytes session,
                                const struct spn_attributes *attributes,
                                const struct spn_publish_options *options,
                                uint64_t *ret_ticket) SPN_MUST_USE;

/* Keeps a session from its idle close and its time to live, without an event. It may be called
 * often: the sidecar stores few touches, and answers SPN_STORED to all. SPN_REFUSED with
 * SPN_E_UNKNOWN_SESSION. A closed session lives longer, and stays closed. */
SPN_API spn_err spn_session_touch(spn_producer *producer, struct spn_bytes session,
                                  const struct spn_publish_options *options,
                                  uint64_t *ret_ticket) SPN_MUST_USE;

/* Room for an id that the library gives to an event, with its NUL. */
#define SPN_GIVEN_ID_MAX 48

/* The id of this ticket's event if it was published without one. It is known at once, and stays the
 * same across resends and restarts. Returns its length; writes a NUL-terminated string. */
SPN_API size_t spn_given_id(const spn_producer *producer, uint64_t ticket,
                            char ret_id[SPN_GIVEN_ID_MAX]);

/* Returns the next known result, in ticket order. *ret_ack is the library's, and valid until the
 * next call on the producer. Each ticket is reported once; with level none only refusals are.
 * SPN_E_TIMEOUT: none yet. SPN_E_END: nothing is outstanding. SPN_E_FENCED and other lasting errors
 * come after the results that were known before.
 * Results wait until they are fetched, up to window_events of them. Beyond that the oldest are
 * dropped unread (spn_producer_counters still counts them). */
SPN_API spn_err spn_producer_next_ack(spn_producer *producer, int timeout_ms,
                                      const struct spn_ack **ret_ack) SPN_MUST_USE;

/* Sends the gathered events, and waits until every event taken so far has ended. With timeout_ms 0
 * it only sends. With level none an event has ended when it was sent. Results stay for
 * spn_producer_next_ack. SPN_E_TIMEOUT; SPN_E_FENCED. */
SPN_API spn_err spn_producer_flush(spn_producer *producer, int timeout_ms) SPN_MUST_USE;

/* Waits for the result of one ticket and returns it. *ret_ack is the library's, and valid until the
 * next call on the producer. The other results stay for spn_producer_next_ack. SPN_E_INVALID: no
 * such ticket, or its result was already dropped or fetched. */
SPN_API spn_err spn_producer_wait(spn_producer *producer, uint64_t ticket, int timeout_ms,
                                  const struct spn_ack **ret_ack) SPN_MUST_USE;

struct spn_counters {
    uint64_t taken;  /* tickets given */
    uint64_t stored; /* events, and the closes and deletes that were carried out */
    uint64_t duplicates;
    uint64_t conflicts;
    uint64_t refused;
    uint64_t lost;         /* also events that were lost after you had fetched their result. Above 0
                              with level durable: the sidecar's database was replaced by an older
                              copy, or by another one; spn_client_detail describes it */
    uint64_t resent;       /* events sent more than once */
    uint64_t backpressure; /* publish calls that found the window full until their timeout */
    uint64_t unacknowledged; /* without a result yet; with level none: not sent yet */
    uint64_t pending;  /* of the unacknowledged: held back without a ticket; see latest_only */
    uint64_t replaced; /* pending events that a newer one of their session replaced */
};

/* Returns the counters of now. They are the library's, and valid until the next call on the
 * producer. All are 0 if producer is NULL. */
SPN_API const struct spn_counters *spn_producer_counters(spn_producer *producer);

/* Flushes for up to timeout_ms, then frees the producer whatever the outcome. If nothing is
 * outstanding, the sidecar is informed that a random id is no longer used. *ret_unacknowledged is
 * the number of events without a result (the pointer may be NULL). SPN_E_TIMEOUT: there were some.
 * SPN_E_FENCED: somebody else opened the same id. Takes NULL. */
SPN_API spn_err spn_producer_close(spn_producer *producer, int timeout_ms,
                                   uint64_t *ret_unacknowledged);

/* -- reading ----------------------------------------------------------------------------------- */

typedef enum spn_session_state {
    SPN_LIVE = 0,
    SPN_CLOSED = 1, /* takes no more events */
    /* Only in a list: part of the session is unreadable. With a life of zeros the whole session
     * was given up: only its name is known, it takes nothing more, and it can be deleted. Otherwise
     * its newest event is unreadable: the numbers are older, the id is missing, and the session
     * continues. */
    SPN_DAMAGED = 2,
} spn_session_state;

struct spn_last {
    struct spn_bytes id; /* in force after the newest durable event or marker; empty: no id is */
    uint64_t seq;        /* of that event or marker; 0 while there is none */
    struct spn_life life;
    uint64_t position;
    uint64_t time_ms;
    spn_session_state state; /* SPN_LIVE or SPN_CLOSED */
};

/* Asks for the last event, waits, and returns the answer. *ret_last is valid until spn_last_event,
 * spn_get_session, spn_get_health or spn_get_stats is called again; the same holds for those. With
 * a timeout of 0 the same call, made again, goes on with the question that it asked before: it
 * returns the answer once that is there, and the answer is as old as the first of these calls. With
 * another timeout it asks anew.
 * SPN_E_UNKNOWN_SESSION, SPN_E_BAD_SESSION, SPN_E_TIMEOUT, SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_last_event(spn_client *client, struct spn_bytes session, int timeout_ms,
                               const struct spn_last **ret_last) SPN_MUST_USE;

/* Starts reading a session up to its newest durable event. after: the id to resume after; empty or
 * data NULL: start with the earliest retained event.
 * SPN_E_UNKNOWN_ID: no retained event has this id; spn_client_detail says how many events of the
 * session are no longer retained. SPN_E_UNKNOWN_SESSION, SPN_E_BAD_SESSION, SPN_E_BAD_ID,
 * SPN_E_TIMEOUT, SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_replay_open(spn_replay **ret_replay, spn_client *client,
                                struct spn_bytes session, struct spn_bytes after,
                                int timeout_ms) SPN_MUST_USE;

/* Does the same without waiting: the first spn_replay_next that finds an answer returns the errors
 * above. SPN_E_BAD_SESSION, SPN_E_BAD_ID, SPN_E_NOMEM. */
SPN_API spn_err spn_replay_begin(spn_replay **ret_replay, spn_client *client,
                                 struct spn_bytes session, struct spn_bytes after) SPN_MUST_USE;

/* The same two after a cursor: the event of this seq in this life, or before the life's first event
 * with seq 0. A seq beyond the newest counts as the newest. SPN_E_OTHER_LIFE: the session has
 * another life. SPN_E_INVALID: no life, or one of zeros. The other errors are those above. */
SPN_API spn_err spn_replay_open_after(spn_replay **ret_replay, spn_client *client,
                                      struct spn_bytes session, const struct spn_life *life,
                                      uint64_t seq, int timeout_ms) SPN_MUST_USE;
SPN_API spn_err spn_replay_begin_after(spn_replay **ret_replay, spn_client *client,
                                       struct spn_bytes session, const struct spn_life *life,
                                       uint64_t seq) SPN_MUST_USE;

/* Returns the next event or marker. SPN_E_END: caught up with what was durable when the sidecar
 * was last asked; the next call asks again. SPN_E_OTHER_LIFE: a new session with this name was
 * opened meanwhile. SPN_E_UNKNOWN_SESSION: the session was deleted. SPN_E_PROTOCOL: the sidecar
 * left an event out, or sent one that this version cannot read; no event after it is returned. The
 * call continues across a restart of the sidecar within the timeout; after SPN_E_TIMEOUT call
 * again. After another error the next call asks again. */
SPN_API spn_err spn_replay_next(spn_replay *replay, int timeout_ms,
                                const struct spn_event **ret_event) SPN_MUST_USE;

/* How many events and markers between the start and the last returned event were no longer
 * retained. */
SPN_API uint64_t spn_replay_missing(const spn_replay *replay);

SPN_API void spn_replay_close(spn_replay *replay); /* takes NULL */

/* -- one-shots --------------------------------------------------------------------------------- */

/* For a program that publishes now and then, or ends at once: one entry, one answer. It needs no
 * producer, so it takes no place in the sidecar's table, keeps no window and has no order with
 * other one-shots under way. An app that publishes a stream uses a producer, which is faster.
 *
 * The sidecar decides a one-shot as it decides the events of a producer, in the order of arrival:
 * by its id, in the same window (see SPN_DUPLICATE). So it is safe to repeat. After SPN_E_TIMEOUT
 * nobody knows whether it was stored: repeat it with the same id and data. The library repeats it
 * by itself until the timeout. Of two programs that want to be first, each uses an id of its own;
 * with the same id and data the second one is answered as a duplicate. */

/* What became of a one-shot. */
struct spn_published {
    spn_result result;       /* never SPN_LOST */
    spn_err code;            /* of a refusal, else SPN_OK */
    spn_session_state state; /* of the session afterwards; a delete: that it was in */
    struct spn_life life;    /* of the session; a delete: that it had; zeros: there is none */
    uint64_t seq;      /* of the event; of a duplicate or a conflict: of the event that has the id,
                          0 if that is not retained any more; refused, or an entry that has no seq,
                          such as a delete: of the session's newest */
    uint64_t position; /* of the entry, as the seq; refused: 0 */
    struct spn_bytes id;
};

/* Publishes one event or marker. An event has an id. level: SPN_ACCEPTED or SPN_DURABLE. Valid
 * until the client's next call: *ret_published and what it points to. SPN_E_INVALID: level none;
 * what spn_publish returns it for. SPN_E_BAD_SESSION, SPN_E_BAD_ID, SPN_E_BAD_TYPE, SPN_E_BAD_DATA,
 * SPN_E_EVENT_TOO_LARGE: it was not sent. SPN_E_TIMEOUT, SPN_E_UNAVAILABLE: it may have been
 * stored. SPN_E_LIMIT: the processes of this user have too many under way. SPN_E_PATH: this process
 * may not use ingest.sock.
 *
 * A timeout of 0 is as with spn_last_event: the first call sends it, and the same call, made again,
 * returns the answer once that is there. The same holds for all calls below that wait. */
SPN_API spn_err spn_publish_once(spn_client *client, struct spn_bytes session,
                                 const struct spn_event *event, spn_level level, int timeout_ms,
                                 const struct spn_published **ret_published) SPN_MUST_USE;

/* The same without waiting: spn_answer_published takes the answer of each of these questions (see
 * spn_ask_last). Its errors are those of the calls that wait. */
SPN_API spn_err spn_ask_publish(spn_question **ret_question, spn_client *client,
                                struct spn_bytes session, const struct spn_event *event,
                                spn_level level) SPN_MUST_USE;
SPN_API spn_err spn_ask_close(spn_question **ret_question, spn_client *client,
                              struct spn_bytes session, const struct spn_life *life) SPN_MUST_USE;
SPN_API spn_err spn_ask_delete(spn_question **ret_question, spn_client *client,
                               struct spn_bytes session, const struct spn_life *life) SPN_MUST_USE;
SPN_API spn_err spn_ask_publish_with(spn_question **ret_question, spn_client *client,
                                     struct spn_bytes session, const struct spn_event *event,
                                     const struct spn_publish_options *options,
                                     spn_level level) SPN_MUST_USE;
SPN_API spn_err spn_ask_close_with(spn_question **ret_question, spn_client *client,
                                   struct spn_bytes session,
                                   const struct spn_publish_options *options) SPN_MUST_USE;
SPN_API spn_err spn_ask_delete_with(spn_question **ret_question, spn_client *client,
                                    struct spn_bytes session,
                                    const struct spn_publish_options *options) SPN_MUST_USE;
SPN_API spn_err spn_ask_touch(spn_question **ret_question, spn_client *client,
                              struct spn_bytes session,
                              const struct spn_publish_options *options) SPN_MUST_USE;
SPN_API spn_err spn_ask_set(spn_question **ret_question, spn_client *client,
                            struct spn_bytes session, const struct spn_attributes *attributes,
                            const struct spn_publish_options *options) SPN_MUST_USE;
SPN_API spn_err spn_answer_published(spn_question *question,
                                     const struct spn_published **ret_published) SPN_MUST_USE;

/* Close or delete a session: see spn_session_close and spn_session_delete. They are answered when
 * that is on disk. A close that is repeated is a duplicate. A delete that is repeated finds no
 * session, or, if it names no life, a new session that was opened meanwhile: name the life. */
SPN_API spn_err spn_close_once(spn_client *client, struct spn_bytes session,
                               const struct spn_life *life, int timeout_ms,
                               const struct spn_published **ret_published) SPN_MUST_USE;
SPN_API spn_err spn_delete_once(spn_client *client, struct spn_bytes session,
                                const struct spn_life *life, int timeout_ms,
                                const struct spn_published **ret_published) SPN_MUST_USE;

/* One-shots with conditions, and closes with a reason: see spn_publish_with,
 * spn_session_close_with, spn_session_delete_with, spn_session_touch and spn_session_set. options
 * may be NULL; `dependent` is SPN_E_INVALID. The answer to a loser says what is there: its life,
 * state and seq. Those with a condition or a close are answered when they are on disk, at every
 * level. */
SPN_API spn_err spn_publish_once_with(spn_client *client, struct spn_bytes session,
                                      const struct spn_event *event,
                                      const struct spn_publish_options *options, spn_level level,
                                      int timeout_ms,
                                      const struct spn_published **ret_published) SPN_MUST_USE;
SPN_API spn_err spn_close_once_with(spn_client *client, struct spn_bytes session,
                                    const struct spn_publish_options *options, int timeout_ms,
                                    const struct spn_published **ret_published) SPN_MUST_USE;
SPN_API spn_err spn_delete_once_with(spn_client *client, struct spn_bytes session,
                                     const struct spn_publish_options *options, int timeout_ms,
                                     const struct spn_published **ret_published) SPN_MUST_USE;
SPN_API spn_err spn_touch_once(spn_client *client, struct spn_bytes session,
                               const struct spn_publish_options *options, int timeout_ms,
                               const struct spn_published **ret_published) SPN_MUST_USE;
SPN_API spn_err spn_set_once(spn_client *client, struct spn_bytes session,
                             const struct spn_attributes *attributes,
                             const struct spn_publish_options *options, int timeout_ms,
                             const struct spn_published **ret_published) SPN_MUST_USE;

/* -- subscriptions ----------------------------------------------------------------------------- */

/* Where a subscription begins. */
typedef enum spn_start {
    SPN_EARLIEST = 0,
    SPN_AFTER_ID = 1,  /* what a browser requests with Last-Event-ID */
    SPN_AFTER_SEQ = 2, /* a cursor: the life of an item and its seq */
    SPN_NOW = 3, /* after the newest event that is durable when the sidecar gets the request */
    SPN_AFTER_POSITION = 4, /* spn_follow only: a cursor of the log */
} spn_start;

/* What to do when the subscription cannot begin at its start. Bits: both may be set. Where the bit
 * that is needed is not set, the subscription ends. */
typedef enum spn_otherwise {
    SPN_FAIL = 0,    /* no bit */
    SPN_RESTART = 1, /* an unknown id, or another life: begin with the earliest event */
    SPN_WAIT = 2, /* an unknown session: wait until it is opened, and begin with its first event */
} spn_otherwise;

struct spn_subscription_options {
    size_t size; /* sizeof(struct spn_subscription_options) */
    spn_start start;
    struct spn_bytes after; /* with SPN_AFTER_ID; not empty then: SPN_E_BAD_ID */
    unsigned otherwise;     /* SPN_RESTART and SPN_WAIT, one, both or neither */
    size_t window_bytes; /* most bytes on their way and unread; 0: 256 KiB. One event always fits.
                            Many subscriptions get less each, see read_bytes_max */
    struct spn_life after_life; /* with SPN_AFTER_SEQ; not all zeros then */
    uint64_t after_seq;         /* with SPN_AFTER_SEQ; 0: before the first event of that life */
};

typedef enum spn_item_kind {
    SPN_ITEM_VERDICT = 0, /* the first: where it begins, and why there */
    SPN_ITEM_EVENT = 1,   /* an event or a marker: event->kind says which */
    SPN_ITEM_GAP = 2,     /* `missing` events were trimmed before they could be delivered */
    SPN_ITEM_END = 3,     /* the last */
    /* The event that was the newest at the verdict has been given, or a gap has gone past it. Comes
     * once: right after the verdict if nothing was newer than the start, and not again after a
     * restart of the sidecar. Does not come if the subscription ends earlier. */
    SPN_ITEM_CAUGHT_UP = 4,

    /* Only of spn_follow: what else happened to sessions. */
    SPN_ITEM_OPEN = 5,
    SPN_ITEM_CLOSE = 6,
    SPN_ITEM_DELETE = 7,
    SPN_ITEM_EXPIRE = 8,
    SPN_ITEM_ATTRIBUTES = 9, /* all of them, as they are from now on */
    SPN_ITEM_TOUCH = 10,
} spn_item_kind;

#define SPN_DATABASE_ID_SIZE 16

struct spn_item {
    spn_item_kind kind;
    const struct spn_event *event; /* SPN_ITEM_EVENT, and each entry of spn_follow; valid as long as
                                      the item. Else NULL */
    uint64_t missing;     /* events and markers that are no longer retained; in a verdict, a gap,
                             and an end by an unknown id or another life */
    uint64_t seq;         /* where the cursor stands after this item; 0: before the first event */
    struct spn_life life; /* of the session; zeros: not known. With seq it is a cursor */

    /* Why. In a verdict:
     *   SPN_OK             it begins at its start
     *   SPN_E_TRIMMED      so it does, but `missing` events after the start are gone
     *   SPN_E_UNKNOWN_ID   no retained event has the id: it begins again with the earliest
     *   SPN_E_OTHER_LIFE   the session has another life: it begins again with the earliest of that
     * After the last two, `missing` events of the present life are gone; after an unknown id, 0
     * means that this life never had the id.
     * In an end: SPN_E_UNKNOWN_SESSION, SPN_E_UNKNOWN_ID, SPN_E_OTHER_LIFE (it could not begin),
     * SPN_E_CLOSED (everything was delivered), SPN_E_DELETED (or expired), SPN_E_LIMIT (its user
     * already has as many subscriptions as are still free), SPN_E_CORRUPT (what it would read next
     * is damaged), SPN_E_PROTOCOL (the sidecar sent what it must not: more than it was
     * granted, or an item that this version cannot read; subscribing again would give the same),
     * SPN_E_IO. */
    spn_err why;

    /* In a verdict and an end; the reason in SPN_ITEM_CLOSE too. */
    uint64_t newest;         /* the newest seq of the life; 0: none, or not known */
    spn_session_state state; /* of that life */
    struct spn_bytes reason; /* that the session was closed with; empty: none */

    /* In a verdict: what was asked for, as in the options, and the id where it begins. */
    spn_start start;
    struct spn_bytes after;
    struct spn_life after_life;
    uint64_t after_seq;
    struct spn_bytes id; /* in force at seq; empty: none, or its event is no longer retained */

    /* Of spn_follow. `seq` is a position then: with `database` it is the cursor. `life` is that of
     * the item's session, and `event` has the seq, the position and the time of any entry. */
    unsigned char database[SPN_DATABASE_ID_SIZE];
    struct spn_bytes session; /* whose entry it is; empty: an item of no session */
    uint64_t first;           /* SPN_ITEM_GAP: these positions are gone */
    uint64_t last;
    const struct spn_attributes *attributes; /* SPN_ITEM_ATTRIBUTES; otherwise NULL */
};

/* Subscribes to a session and returns at once. The first item is the verdict; while the
 * subscription waits for its session there is none yet. The subscription survives restarts of the
 * sidecar, and a lease that ran out: it continues after the last event it returned, without another
 * verdict, as long as the app steps its client. options may be NULL: SPN_EARLIEST, SPN_FAIL. Credit
 * is granted as items are taken.
 * SPN_E_BAD_SESSION, SPN_E_BAD_ID (SPN_AFTER_ID with an empty id too), SPN_E_INVALID (SPN_AFTER_SEQ
 * with a life of zeros too), SPN_E_NOMEM, SPN_E_SYSTEM. Never SPN_E_PATH: it waits for the right.
 */
SPN_API spn_err spn_subscribe(spn_subscription **ret_subscription, spn_client *client,
                              struct spn_bytes session,
                              const struct spn_subscription_options *options) SPN_MUST_USE;

struct spn_follow_options {
    size_t size;                                  /* sizeof(struct spn_follow_options) */
    spn_start start;                              /* SPN_EARLIEST, SPN_NOW or SPN_AFTER_POSITION */
    unsigned char database[SPN_DATABASE_ID_SIZE]; /* with SPN_AFTER_POSITION: of an item, so not
                                                     all zeros: SPN_E_INVALID ... */
    uint64_t position;                            /* ... and its seq */
    struct spn_bytes prefix; /* only sessions whose names begin with these bytes: UTF-8, up to 255
                                bytes; empty: all */
    bool touches;            /* touches too */
    size_t window_bytes;     /* as for a session */
};

/* Follows the log: everything that is durable, of all sessions, in the order of the log: sessions
 * that are opened, their events and markers, closes, deletes, expiries and attributes. Calls,
 * credit and restarts are those of a subscription to a session. The differences:
 *   - The verdict's `newest` is the newest position, and SPN_ITEM_CAUGHT_UP says that it is
 *     reached.
 *   - A gap has the first and the last position that are gone, and no number: retention deletes in
 *     the middle of the log, too. It counts as 64 bytes in the window and in read_bytes_max.
 *   - Events that retention hides and that are not deleted yet, and what is left of sessions that
 *     are gone, are left out: `missing` of an item says how many entries since the item before it.
 *     An event that is delivered as it comes is never hidden.
 *   - It ends only for an error: SPN_E_BAD_POSITION (the position is not of this log, or the
 *     database is another one), SPN_E_CORRUPT (`missing` positions after `seq` are damaged; it
 *     may be followed from after those), SPN_E_LIMIT, SPN_E_PROTOCOL, SPN_E_IO.
 * options may be NULL: SPN_EARLIEST, all sessions.
 * SPN_E_BAD_PREFIX, SPN_E_INVALID, SPN_E_NOMEM, SPN_E_SYSTEM. */
SPN_API spn_err spn_follow(spn_subscription **ret_subscription, spn_client *client,
                           const struct spn_follow_options *options) SPN_MUST_USE;

/* Returns the next item of this subscription. *ret_item and its bytes are valid until the next call
 * for the same subscription, or a call of spn_next_of_any that returns an item of it.
 * SPN_E_TIMEOUT: none yet; at once if it is paused. SPN_E_END: the subscription ended, and
 * SPN_ITEM_END was already returned. SPN_E_PATH: this process may not use read.sock; if it may
 * later, the subscription goes on. */
SPN_API spn_err spn_subscription_next(spn_subscription *subscription, int timeout_ms,
                                      const struct spn_item **ret_item) SPN_MUST_USE;

/* Returns the next item of any subscription of the client that is not paused, in turn. The item is
 * valid as long as one of spn_subscription_next. SPN_E_TIMEOUT; SPN_E_PATH; SPN_E_END: no
 * subscription can have another item, a paused one included. */
SPN_API spn_err spn_next_of_any(spn_client *client, int timeout_ms,
                                spn_subscription **ret_subscription,
                                const struct spn_item **ret_item) SPN_MUST_USE;

/* Returns the subscription that spn_next_of_any would take its next item from, and how many bytes
 * of items wait in it. 0: its next item has no event, such as a verdict, and may be taken whatever
 * there is room for. The call takes nothing and does not wait. It is for an app that takes an event
 * only when it has room for it: then spn_subscription_next takes it. Else spn_subscription_pause
 * lets the next subscription be found. SPN_E_TIMEOUT: none has an item now; SPN_E_PATH, SPN_E_END:
 * as spn_next_of_any. */
SPN_API spn_err spn_next_ready(spn_client *client, spn_subscription **ret_subscription,
                               size_t *ret_bytes) SPN_MUST_USE;

/* Pauses a subscription, or lets it go on. A paused one keeps its place and its lease. It gives no
 * item, also not its end, and grants no credit. What it had been granted before may still arrive
 * and is kept, unless what other paused ones have fills read_bytes_max. Then it is dropped, and
 * comes again from the sidecar when the subscription goes on. What a paused one has does not make
 * the client's descriptor readable. When it goes on with items to give, the descriptor becomes
 * readable. Pausing twice is pausing once. An item of this subscription is valid no longer than
 * until it is paused.
 *
 * What paused ones have counts in read_bytes_max. While that fills it, each of the others gets one
 * event at a time beside it, and the next one once that is taken: slower, but none of them waits
 * for a paused one to go on. SPN_E_SYSTEM. */
SPN_API spn_err spn_subscription_pause(spn_subscription *subscription, bool paused) SPN_MUST_USE;

/* A pointer for the app's own use with spn_next_of_any; NULL at first. */
SPN_API void spn_subscription_set_context(spn_subscription *subscription, void *context);
SPN_API void *spn_subscription_context(const spn_subscription *subscription);

SPN_API void spn_unsubscribe(spn_subscription *subscription); /* frees it; takes NULL */

/* -- sessions ---------------------------------------------------------------------------------- */

SPN_API const char *spn_session_state_name(spn_session_state state);

struct spn_session {
    struct spn_bytes name;
    struct spn_bytes last_id; /* in force after the newest event or marker; empty: no id is */
    struct spn_life life;
    uint64_t epoch;      /* position of the entry that opened it: only this database knows it */
    uint64_t seq;        /* of the newest event or marker of this life */
    uint64_t markers;    /* how many of these are markers */
    uint64_t position;   /* of that event or marker */
    uint64_t bytes;      /* of data, of all events of this life */
    uint64_t opened_ms;  /* wall time at the sidecar, since 1970 */
    uint64_t last_ms;    /* of the newest event, the same; without one as opened_ms */
    uint32_t duplicates; /* in this life. They are no entries of the log: after a kill of the
                            sidecar both numbers fall back to those that the index had on disk */
    uint32_t conflicts;
    spn_session_state state;
    struct spn_bytes reason;       /* why it is closed; may be empty */
    struct spn_bytes content_type; /* of its attributes; may be empty */
    uint64_t ttl_ms;               /* the session's own time to live; 0: the sidecar's */
    uint64_t idle_close_ms;        /* closed after this long without activity; 0: never */
};

struct spn_session_info {
    const struct spn_session *session;
    uint64_t first_seq; /* of the oldest retained entry; session.seq + 1: no entry is retained */
    uint64_t markers;   /* retained markers */
    uint64_t life_first_seq; /* of this life: 1 unless it came from another host */
    struct spn_bytes note;   /* of its attributes; may be empty */
};

/* Returns all that is known of one session. Waits, lends and repeats as spn_last_event does.
 * SPN_E_UNKNOWN_SESSION, SPN_E_BAD_SESSION, SPN_E_TIMEOUT, SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_get_session(spn_client *client, struct spn_bytes name, int timeout_ms,
                                const struct spn_session_info **ret_info) SPN_MUST_USE;

/* Returns the first session, in byte order of names, whose name is greater than `after` and begins
 * with prefix (either may be empty). To walk the list, pass the last name as `after`; the library
 * fetches and keeps pages internally. *ret_session is valid until spn_next_session returns SPN_OK
 * or SPN_E_END again. A timeout of 0 is as with spn_last_event. SPN_E_END: there is none.
 * SPN_E_TIMEOUT, SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_next_session(spn_client *client, struct spn_bytes after,
                                 struct spn_bytes prefix, int timeout_ms,
                                 const struct spn_session **ret_session) SPN_MUST_USE;

/* -- the sidecar ------------------------------------------------------------------------------- */

typedef enum spn_status { SPN_HEALTHY = 0, SPN_DEGRADED = 1, SPN_STOPPING = 2 } spn_status;

struct spn_health {
    spn_status status;
    const char *reason;  /* why it is degraded; while healthy a warning of what becomes trouble if
                            it goes on, or "" */
    const char *version; /* the sidecar's */
    uint32_t pid;
    uint64_t instance; /* random, a new one at each start */
    uint64_t uptime_ms;
    uint64_t durable;    /* highest position on disk */
    uint64_t checkpoint; /* position up to which the index is written */
};

/* Waits, lends and repeats as spn_last_event does. SPN_E_TIMEOUT, SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_get_health(spn_client *client, int timeout_ms,
                               const struct spn_health **ret_health) SPN_MUST_USE;

/* One of an array, so no later version adds fields. */
struct spn_stat {
    const char *name;
    uint64_t value;
};

/* Returns all counters. Waits, lends and repeats as spn_last_event does. SPN_E_TIMEOUT,
 * SPN_E_UNAVAILABLE. */
SPN_API spn_err spn_get_stats(spn_client *client, int timeout_ms, const struct spn_stat **ret_stats,
                              size_t *ret_count) SPN_MUST_USE;

/* -- questions that do not block --------------------------------------------------------------- */

/* A question is asked by spn_ask_*, which returns at once, and answered once. Any number may be
 * open. The library sends at most 100 at a time on each socket; the others wait in it, in the order
 * in which they were asked. A question is sent again after a restart of the sidecar, and while
 * there is no answer, less and less often; it never times out. Close it to give it up.
 *
 * Its answer is taken by the spn_answer_* of the same kind: SPN_E_TIMEOUT, not yet; SPN_OK; or why
 * the sidecar refused it. It can be taken any number of times, and is valid until the question is
 * closed, whatever other calls are made.
 *
 * spn_ask_*: SPN_E_TOO_MANY: as many questions are open as spn_client_options.questions_max.
 * SPN_E_BAD_SESSION, SPN_E_INVALID, SPN_E_NOMEM, SPN_E_SYSTEM.
 * spn_answer_*: SPN_E_INVALID: the question was another one. SPN_E_PROTOCOL: the answer cannot be
 * read. SPN_E_NOMEM, SPN_E_SYSTEM, and what the call that waits has. */

SPN_API spn_err spn_ask_last(spn_question **ret_question, spn_client *client,
                             struct spn_bytes session) SPN_MUST_USE;
SPN_API spn_err spn_answer_last(spn_question *question,
                                const struct spn_last **ret_last) SPN_MUST_USE;

SPN_API spn_err spn_ask_session(spn_question **ret_question, spn_client *client,
                                struct spn_bytes name) SPN_MUST_USE;
SPN_API spn_err spn_answer_session(spn_question *question,
                                   const struct spn_session_info **ret_info) SPN_MUST_USE;

/* Asks for a page of the list, as spn_next_session has it: sessions after `after`, with this
 * prefix. */
SPN_API spn_err spn_ask_sessions(spn_question **ret_question, spn_client *client,
                                 struct spn_bytes after, struct spn_bytes prefix) SPN_MUST_USE;
/* Returns the next session of the page, each once. *ret_session is valid until the next session is
 * returned; its bytes, as long as the answer. SPN_E_END: the page has no more. */
SPN_API spn_err spn_answer_next_session(spn_question *question,
                                        const struct spn_session **ret_session) SPN_MUST_USE;
/* Whether there are sessions after the page: ask again, after the last name. */
SPN_API spn_err spn_answer_more_sessions(spn_question *question, bool *ret_more) SPN_MUST_USE;

SPN_API spn_err spn_ask_health(spn_question **ret_question, spn_client *client) SPN_MUST_USE;
SPN_API spn_err spn_answer_health(spn_question *question,
                                  const struct spn_health **ret_health) SPN_MUST_USE;

SPN_API spn_err spn_ask_stats(spn_question **ret_question, spn_client *client) SPN_MUST_USE;
SPN_API spn_err spn_answer_stats(spn_question *question, const struct spn_stat **ret_stats,
                                 size_t *ret_count) SPN_MUST_USE;

/* Which socket a connection came in on. */
typedef enum spn_socket { SPN_SOCKET_INGEST = 1, SPN_SOCKET_READ = 2 } spn_socket;

/* A connection to the sidecar: a client has up to two. */
struct spn_connection {
    uint32_t number;   /* of the connection; another one may get it later */
    uint32_t pid;      /* of the process that made it; 0: it is in another pid namespace */
    uint32_t uid;      /* of that process */
    spn_socket socket; /* a client that publishes also has one to read.sock, for its questions */
    uint32_t subscriptions; /* that it has */
    uint32_t behind;        /* of these: have not got all that is there */
    uint64_t lag;     /* the most that one of them has to get: events and markers of its session,
                         or positions of the log */
    uint64_t waiting; /* bytes on their way to it */
    struct spn_bytes program; /* the process's name; empty: not known */
};

/* Asks for a page of the list of connections: those whose number is above `after`, 0 for the first
 * page. Uid 0 and the sidecar's own uid see all of them, others those of their own uid. */
SPN_API spn_err spn_ask_clients(spn_question **ret_question, spn_client *client,
                                uint32_t after) SPN_MUST_USE;
/* Returns the next connection of the page, each once, in the order of their numbers.
 * *ret_connection is valid until the next one is returned; its bytes, as long as the answer.
 * SPN_E_END: the page has no more. */
SPN_API spn_err spn_answer_next_client(spn_question *question,
                                       const struct spn_connection **ret_connection) SPN_MUST_USE;
/* What to ask after for the next page (0: there is none), and how many connections of other users
 * were left out of this one. A page without connections may have one after it. */
SPN_API spn_err spn_answer_more_clients(spn_question *question, uint32_t *ret_after,
                                        uint32_t *ret_hidden) SPN_MUST_USE;

/* Returns a question whose answer came, in the order in which the answers came. Each question is
 * returned at most once, and not if its answer was taken before. SPN_E_TIMEOUT: none yet.
 * SPN_E_PATH: this process may not use any socket that an answer could come from. SPN_E_END: none
 * is without an answer. */
SPN_API spn_err spn_next_answered(spn_client *client, int timeout_ms,
                                  spn_question **ret_question) SPN_MUST_USE;

/* A pointer for the app's own use with spn_next_answered; NULL at first. */
SPN_API void spn_question_set_context(spn_question *question, void *context);
SPN_API void *spn_question_context(const spn_question *question);

/* Frees the question and its answer, or gives the question up: an answer that comes later is
 * dropped. Takes NULL. */
SPN_API void spn_question_close(spn_question *question);

/* -- text/event-stream ------------------------------------------------------------------------- */

/* An incremental parser after the HTML standard, section 9.2. event_max: the most bytes of data,
 * type and id that one event may have together; 0: room for 4 MiB of data beside the longest id and
 * type, so that whatever a sidecar takes by default is parsed. The parser holds at most
 * five times event_max, also while a line or an event has no end. Nothing is kept of comments and
 * of fields that the standard does not know. SPN_E_INVALID: event_max is above SIZE_MAX / 4.
 * SPN_E_NOMEM. */
SPN_API spn_err spn_sse_open(spn_sse **ret_sse, size_t event_max) SPN_MUST_USE;
SPN_API void spn_sse_close(spn_sse *sse); /* takes NULL */

/* Consumes bytes until an event or a marker is complete or the input is used up. *ret_used is the
 * number of bytes consumed; it is set on every return but SPN_E_INVALID. SPN_OK: *ret_event points
 * to the event, which the parser owns; it and its bytes are valid until the next call. Its id is
 * set only if the event itself has one (an id: field). A marker's id is its own, and is empty if
 * the marker has only a retry. SPN_E_END: all bytes were used, no event yet. SPN_E_EVENT_TOO_LARGE:
 * an event over the limit ended and was skipped; its id is in force nevertheless, unless it alone
 * is over the limit. Continue with the rest. SPN_E_NOMEM: nothing is lost; continue with the rest.
 *
 * An `id:` field without a value resets the id in force. In a block without data it is a marker of
 * kind SPN_RESET. In the block of an event it sets resets_id, and spn_sse_format writes it back.
 * Published, such an event gets an id from the library, as every event without one.
 *
 * A retry above 4,294,967,294 is taken as that: the standard sets no bound. One that is not made of
 * digits only is ignored. */
SPN_API spn_err spn_sse_next(spn_sse *sse, const void *bytes, size_t size, size_t *ret_used,
                             const struct spn_event **ret_event) SPN_MUST_USE;

/* The last event id in force: what a browser would send as Last-Event-ID. */
SPN_API struct spn_bytes spn_sse_last_id(const spn_sse *sse);

/* Writes the event as text with its blank line; spn_sse_next reads it back as the same event, whose
 * seq, position, life and time are not written. resets_id counts for an event without an id; a
 * reset's id is not written. *ret_size is the number of bytes needed, also when out is too small
 * (SPN_E_INVALID; out then holds nothing useful) or NULL with out_size 0; 0 with SPN_E_INVALID: the
 * event has no size, or fields that this version of the library does not know. SPN_E_BAD_ID,
 * SPN_E_BAD_TYPE, SPN_E_BAD_DATA: the event cannot be written. */
SPN_API spn_err spn_sse_format(const struct spn_event *event, void *out, size_t out_size,
                               size_t *ret_size) SPN_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
