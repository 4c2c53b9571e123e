/* SPDX-License-Identifier: Apache-2.0 */
/* wire: bytes <-> messages, as PROTOCOL.md lays them out.
 *
 * One struct per message. wire_put_X appends a message to a buffer, wire_get_X reads one. Decoding
 * copies no payload: the spn_bytes in a decoded struct point into the frame it was read from and
 * are valid as long as the frame is.
 *
 * Owns     nothing; works on the caller's memory.
 * Units    sizes in bytes, wall times in milliseconds since 1970.
 * Errors   a get never reads outside its frame. A field that does not fit, or has a value that the
 *          protocol does not allow, sets wire_in.bad; from there on gets return zeros. A put that
 *          does not fit sets wire_out.bad. Check the flag once, at the end.
 * Threads  pure functions.
 */
#ifndef SPN_PROTO_WIRE_H
#define SPN_PROTO_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "spn_err.h"

enum {
    WIRE_MAJOR = 3,
    WIRE_MINOR = 0,

    WIRE_HEADER_SIZE = 16,
    WIRE_BATCH_HEAD_SIZE = 40,
    WIRE_PUBLISH_HEAD_SIZE = 16,
    WIRE_ENTRY_HEAD_SIZE = 16,
    WIRE_ACK_HEAD_SIZE = 40,
    WIRE_RUN_SIZE = 16,
    WIRE_SLICE_HEAD_SIZE = 48,
    WIRE_ITEM_HEAD_SIZE = 40, /* with that of the entry in it */
    WIRE_DELIVERIES_HEAD_SIZE = 8,
    WIRE_DELIVER_HEAD_SIZE = 48,
    WIRE_GRANT_SIZE = 24,

    WIRE_SESSION_MAX = 255,
    WIRE_ID_MAX = 4096,
    WIRE_TYPE_MAX = 255,
    WIRE_REASON_MAX = 64,
    WIRE_NOTE_MAX = 512,
    WIRE_EXTRA_MAX = 16 + 8 + 1 + WIRE_REASON_MAX + 8 + 2 + WIRE_NOTE_MAX, /* all parts */
    WIRE_SESSION_NOTE_MAX = 4096,
    WIRE_CONTENT_TYPE_MAX = 255,
    WIRE_ATTRIBUTES_MAX = 8 + 8 + 1 + WIRE_CONTENT_TYPE_MAX + 2 + WIRE_SESSION_NOTE_MAX + 2,
    WIRE_PRODUCER_ID_SIZE = 16,
    WIRE_DATABASE_ID_SIZE = 16,
    WIRE_SESSION_ROW_SIZE_MAX = 2 + 9 * 8 + 16 + 3 * 4 + 1 + WIRE_REASON_MAX + 1 +
                                WIRE_CONTENT_TYPE_MAX + 1 + WIRE_SESSION_MAX + 2 + WIRE_ID_MAX,

    WIRE_EVENT_DATA_MAX = 16 * 1024 * 1024, /* the hard limit; the sidecar's own is in WELCOME */
    WIRE_EVENT_DATA_DEFAULT = 4 * 1024 * 1024,
    WIRE_BATCH_BYTES_MAX = 1024 * 1024, /* of entries; one event of the maximum size always fits */
    WIRE_BATCH_EVENTS_MAX = 4096,
    WIRE_RUNS_MAX = 4096, /* result runs one message may carry */
    WIRE_GRANTS_MAX = 4096,
    WIRE_HEARTBEAT_MS = 5000,
    WIRE_LEASE_MS = 30000,
};

#define WIRE_RETRY_NONE UINT32_MAX
#define WIRE_REASON_IDLE "idle" /* given by the sidecar alone */

/* X(name, number): s is sent by the sidecar, c by the client. */
#define WIRE_TYPE_MAP(X)                                                                           \
    X(BATCH, 1)         /* c ingest.sock: numbered events of one producer */                       \
    X(ACK, 2)           /* s */                                                                    \
    X(EXPECT, 3)        /* s: there is a hole; go back to this number */                           \
    X(ERROR, 5)         /* s, both sockets */                                                      \
    X(HELLO, 16)        /* c, both sockets */                                                      \
    X(WELCOME, 17)      /* s */                                                                    \
    X(OPEN, 18)         /* c ingest.sock: take a producer id */                                    \
    X(OPENED, 19)       /* s */                                                                    \
    X(STATE, 20)        /* c, both sockets: how far did my events get */                           \
    X(STATE_IS, 21)     /* s */                                                                    \
    X(LAST, 22)         /* c read.sock from here on: last durable event */                         \
    X(LAST_IS, 23)      /* s */                                                                    \
    X(FETCH, 24)        /* c: a slice of a session */                                              \
    X(SLICE, 25)        /* s */                                                                    \
    X(SESSIONS, 26)     /* c: list sessions */                                                     \
    X(SESSIONS_ARE, 27) /* s */                                                                    \
    X(HEALTH, 28)       /* c */                                                                    \
    X(HEALTH_IS, 29)    /* s */                                                                    \
    X(STATS, 30)        /* c */                                                                    \
    X(STATS_ARE, 31)    /* s */                                                                    \
    X(SUBSCRIBE, 32)    /* c: a cursor with credit */                                              \
    X(DELIVER, 33)      /* s: what a subscription gets */                                          \
    X(CREDIT, 34)       /* c: how far subscriptions may be served; renews the lease */             \
    X(UNSUBSCRIBE, 35)  /* c */                                                                    \
    X(INFO, 36)         /* c: all that is known of one session */                                  \
    X(INFO_IS, 37)      /* s */                                                                    \
    X(LEAVE, 38)        /* c, ingest.sock: this producer ends */                                   \
    X(ALIVE, 39)        /* s: how many subscriptions this connection has */                        \
    X(PUBLISH, 40)      /* c, ingest.sock: one entry without a producer */                         \
    X(PUBLISHED, 41)    /* s */                                                                    \
    X(FOLLOW, 42)       /* c: a cursor on the log, with credit */                                  \
    X(CLIENTS, 43)      /* c: who is connected */                                                  \
    X(CLIENTS_ARE, 44)  /* s */

enum wire_type {
#define WIRE_TYPE_ENUM(name, number) WIRE_##name = (number),
    WIRE_TYPE_MAP(WIRE_TYPE_ENUM)
#undef WIRE_TYPE_ENUM
};

/* The sockets, as bits. */
enum wire_socket { WIRE_INGEST = 1, WIRE_READ = 2 };

/* On which sockets the sidecar takes messages of this type; 0: it takes none. */
unsigned wire_sockets(uint8_t type);
/* The detail of an ERROR SPN_E_DENIED to a message that came on the other socket. */
const char *wire_denial(uint8_t type);

/* What an entry or an item is. */
enum wire_kind {
    WIRE_EVENT = 1,
    WIRE_CLOSE = 3,       /* no more events in this life of a session; the stored events stay */
    WIRE_DELETE = 4,      /* ends this life of a session and removes everything in it */
    WIRE_MARKER = 5,      /* not an event: an id that is in force from here on, a retry, or both */
    WIRE_RESET = 6,       /* a marker with an empty id: from here on no id is in force */
    WIRE_ATTRIBUTES = 7,  /* the whole set of a session's attributes */
    WIRE_TOUCH = 8,       /* activity without an event */
    WIRE_ITEM_OPEN = 9,   /* in items only: a session was opened */
    WIRE_ITEM_EXPIRE = 10 /* in items only: a session expired */
};

/* Each puts its part into the extra bytes of an entry or an item, in this order. */
enum wire_flag {
    WIRE_FLAG_LIFE = 1,     /* in an entry a condition: the session must have this life */
    WIRE_FLAG_SEQ = 2,      /* a condition: the session's newest seq must be this; not in items */
    WIRE_FLAG_NEW = 4,      /* a condition: no such session exists yet; no part; not in items */
    WIRE_FLAG_CLOSES = 8,   /* the session is closed, with this reason */
    WIRE_FLAG_DEPENDS = 16, /* refused if this earlier number of the producer was; not in items */
    WIRE_FLAG_NOTE = 32,    /* bytes of the app's own */
    WIRE_FLAGS_CONDITIONS = WIRE_FLAG_LIFE | WIRE_FLAG_SEQ | WIRE_FLAG_NEW | WIRE_FLAG_DEPENDS,
    WIRE_FLAGS_OF_ITEMS = WIRE_FLAG_LIFE | WIRE_FLAG_CLOSES | WIRE_FLAG_NOTE,
    WIRE_FLAGS = WIRE_FLAGS_CONDITIONS | WIRE_FLAGS_OF_ITEMS,
};

/* Whether an entry has a seq in its session. Events have one, and so do markers, which are stored
 * as events are; readers can distinguish the two. */
static inline bool wire_is_stored(uint8_t kind)
{
    return kind == WIRE_EVENT || kind == WIRE_MARKER || kind == WIRE_RESET;
}

enum wire_level {
    WIRE_NONE = 0,
    WIRE_ACCEPTED = 1,
    WIRE_DURABLE = 2,
    WIRE_REPLICATED = 3, /* offered by nobody yet: no feature bit says so */
};

/* Bits of what a peer can do. Unknown bits are ignored. */
enum wire_feature { WIRE_FEATURE_REPLICATED = 1 }; /* the level of that name is offered */

enum wire_result {
    WIRE_STORED = 0,
    WIRE_DUPLICATE = 1,
    WIRE_CONFLICT = 2,
    WIRE_REFUSED = 3, /* not stored; the run has the reason */
    WIRE_LOST = 4,
};

/* -- buffers ----------------------------------------------------------------------------------- */

/* Why a wire_in is bad; `at` is where. */
enum wire_fault { WIRE_BAD_VALUE, WIRE_TOO_SHORT, WIRE_NOT_ZERO };

struct wire_in {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
    uint8_t fault; /* enum wire_fault */
};

struct wire_out {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool bad;
};

struct wire_in wire_in(const void *bytes, size_t size);
struct wire_out wire_out(void *bytes, size_t size);
size_t wire_out_size(const struct wire_out *out);
/* True if everything was read and nothing was bad. */
bool wire_in_done(const struct wire_in *in);

enum { WIRE_FAULT_SIZE = 96 };

/* Where and why this frame is no valid request, for the detail of an ERROR: words, or a constant
 * string. NULL: its fields are as they should be. */
const char *wire_fault_words(const void *bytes, size_t size, char words[WIRE_FAULT_SIZE]);

/* -- checks, the same in client and sidecar ---------------------------------------------------- */

/* All of them return SPN_E_INVALID for bytes with a size and no data.
 *
 * SPN_E_BAD_SESSION: empty, over WIRE_SESSION_MAX, not UTF-8, or with control characters (U+0000 to
 * U+001F, U+007F to U+009F). */
spn_err wire_check_session(struct spn_bytes session) SPN_MUST_USE;
/* SPN_E_BAD_ID: over WIRE_ID_MAX, or with NUL, CR or LF (HTML standard 9.2.6 cannot carry them). */
spn_err wire_check_id(struct spn_bytes id) SPN_MUST_USE;
/* SPN_E_BAD_TYPE: over WIRE_TYPE_MAX, or with NUL, CR or LF. */
spn_err wire_check_type(struct spn_bytes type) SPN_MUST_USE;
/* SPN_E_EVENT_TOO_LARGE: over data_max; SPN_E_BAD_DATA: has a CR. */
spn_err wire_check_data(struct spn_bytes data, size_t data_max) SPN_MUST_USE;
/* SPN_E_BAD_REASON: over WIRE_REASON_MAX, not UTF-8, with control characters, or WIRE_REASON_IDLE;
 * it may be empty. */
spn_err wire_check_reason(struct spn_bytes reason) SPN_MUST_USE;
/* SPN_E_BAD_NOTE: over WIRE_NOTE_MAX. */
spn_err wire_check_note(struct spn_bytes note) SPN_MUST_USE;

/* SPN_E_BAD_PREFIX: over WIRE_SESSION_MAX, or not UTF-8; it may be empty. */
spn_err wire_check_prefix(struct spn_bytes prefix) SPN_MUST_USE;

/* -- lives ------------------------------------------------------------------------------------- */

static inline bool wire_same_life(struct spn_life a, struct spn_life b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

static inline bool wire_has_life(struct spn_life life)
{
    return !wire_same_life(life, (struct spn_life){{0}});
}

/* -- header ------------------------------------------------------------------------------------ */

struct wire_header {
    uint8_t major;
    uint8_t minor;
    uint8_t type;
    uint64_t request; /* chosen by the client, echoed in the answer */
};

/* SPN_E_PROTOCOL: shorter than a header, or another magic. SPN_E_VERSION: a major version that is
 * not ours; *ret_header is filled nevertheless, because the answer echoes its request number. */
spn_err wire_get_header(struct wire_in *in, struct wire_header *ret_header) SPN_MUST_USE;
void wire_put_header(struct wire_out *out, enum wire_type type, uint64_t request);

/* -- ingest ------------------------------------------------------------------------------------ */

struct wire_batch {
    uint64_t token;
    uint64_t first;        /* number of the first entry */
    uint64_t base;         /* lowest number that the client still holds; <= first */
    uint32_t round;        /* counts how often the client went back */
    uint32_t count;        /* entries that follow */
    uint8_t level;         /* enum wire_level */
    uint32_t backpressure; /* publish calls that ended without room since the batch before */
};

/* Of the members that name a flag, only those whose flag is set are used; reading fills in no
 * others, but for an empty reason and note. */
struct wire_entry {
    uint8_t kind;             /* enum wire_kind */
    uint8_t flags;            /* enum wire_flag */
    struct spn_bytes session; /* after wire_get_entry never empty */
    struct spn_bytes id;
    struct spn_bytes type;
    struct spn_bytes data;
    struct spn_life life;    /* WIRE_FLAG_LIFE */
    uint64_t seq;            /* WIRE_FLAG_SEQ */
    uint64_t depends;        /* WIRE_FLAG_DEPENDS: a number of the same producer */
    struct spn_bytes reason; /* WIRE_FLAG_CLOSES; may be empty */
    struct spn_bytes note;   /* WIRE_FLAG_NOTE; not empty */
    uint32_t retry_ms;       /* WIRE_RETRY_NONE: none */
};

/* An entry as it is delivered. */
struct wire_item {
    uint64_t seq;
    uint64_t position;
    uint64_t time_ms;
    struct wire_entry entry; /* its session is empty where the request names the session */
};

/* The data of WIRE_ATTRIBUTES. */
struct wire_attributes {
    uint64_t ttl_ms;        /* 0: the sidecar's own */
    uint64_t idle_close_ms; /* 0: never */
    struct spn_bytes content_type;
    struct spn_bytes note;
};

/* One entry without a producer: a one-shot. */
struct wire_publish {
    uint64_t features;
    uint8_t level; /* enum wire_level */
    struct wire_entry entry;
};

/* What became of it. */
struct wire_published {
    uint8_t result; /* enum wire_result */
    uint8_t state;  /* enum wire_session_state */
    uint16_t code;  /* spn_err; not SPN_OK exactly if it was refused */
    struct spn_life life;
    uint64_t seq;      /* of the entry; of a repeat: of the entry that is stored, 0 if that is not
                          retained; refused: of the session's last one */
    uint64_t position; /* of the entry; of a repeat: as the seq; refused: 0 */
    struct spn_bytes id;
};

void wire_put_batch(struct wire_out *out, const struct wire_batch *batch);
void wire_get_batch(struct wire_in *in, struct wire_batch *ret_batch);

/* The number of bytes that wire_put_entry will write. An empty session means the same session as in
 * the entry before it in the batch. */
size_t wire_entry_size(const struct wire_entry *entry);
void wire_put_entry(struct wire_out *out, const struct wire_entry *entry);
/* session: of the entry before, or empty for the first. These entries are bad: one with wrong inner
 * lengths, an unknown kind or flag, or flags that its kind or each other exclude; a first entry
 * without a session; a close, a delete or a touch with an id, a type, data or a retry; a close
 * without WIRE_FLAG_CLOSES; attributes with an id, a type or a retry; a marker with a type or data;
 * a marker with neither id nor retry; a reset with an id; a life of zeros; an empty note. Contents
 * are not checked. */
void wire_get_entry(struct wire_in *in, struct spn_bytes session, struct wire_entry *ret_entry);

void wire_put_publish(struct wire_out *out, const struct wire_publish *publish);
void wire_get_publish(struct wire_in *in, struct wire_publish *ret_publish);
void wire_put_published(struct wire_out *out, const struct wire_published *published);
void wire_get_published(struct wire_in *in, struct wire_published *ret_published);

size_t wire_item_size(const struct wire_item *item);
void wire_put_item(struct wire_out *out, const struct wire_item *item);
/* Unknown flags and their parts are skipped. */
void wire_get_item(struct wire_in *in, struct wire_item *ret_item);

void wire_put_attributes(struct wire_out *out, const struct wire_attributes *attributes);
void wire_get_attributes(struct wire_in *in, struct wire_attributes *ret_attributes);

/* Numbers first .. first + count - 1 ended in this result. Numbers that an ACK covers and that are
 * in no run were stored; at level none, numbers in no run were not refused. */
struct wire_run {
    uint64_t first;
    uint32_t count;
    uint8_t result; /* enum wire_result */
    uint16_t code;  /* spn_err: the reason, exactly if the result is WIRE_REFUSED; else 0 */
};

struct wire_ack {
    uint64_t token;
    uint64_t from; /* covers the numbers from + 1 .. up_to */
    uint64_t up_to;
    uint32_t run_count; /* runs that follow, ascending */
    uint8_t level;      /* the level they have reached */
    uint64_t position;  /* the durable mark of the sidecar */
};

struct wire_expect {
    uint64_t token;
    uint64_t number;
    uint32_t round; /* of the batch that showed the hole */
};

struct wire_error {
    uint64_t token;          /* of the batch it answers; 0 if there is none */
    uint32_t code;           /* spn_err */
    struct spn_bytes detail; /* at most 255 bytes of UTF-8 for a person */
};

void wire_put_run(struct wire_out *out, const struct wire_run *run);
void wire_get_run(struct wire_in *in, struct wire_run *ret_run);
void wire_put_ack(struct wire_out *out, const struct wire_ack *ack);
void wire_get_ack(struct wire_in *in, struct wire_ack *ret_ack);
void wire_put_expect(struct wire_out *out, const struct wire_expect *expect);
void wire_get_expect(struct wire_in *in, struct wire_expect *ret_expect);
void wire_put_error(struct wire_out *out, const struct wire_error *error);
void wire_get_error(struct wire_in *in, struct wire_error *ret_error);

/* -- read.sock --------------------------------------------------------------------------------- */

/* How far a database has come. */
struct wire_mark {
    uint8_t database[WIRE_DATABASE_ID_SIZE];
    uint64_t position; /* the highest durable one */
};

struct wire_welcome {
    uint64_t instance; /* random, a new one at each start of the sidecar */
    uint64_t features; /* enum wire_feature */
    uint32_t data_max;
    uint32_t batch_bytes_max;
    uint32_t batch_events_max;
    uint32_t frame_max;    /* bytes: the largest frame that this socket takes */
    uint32_t window;       /* ids that are kept of each session */
    uint32_t heartbeat_ms; /* a client with subscriptions sends CREDIT at least this often */
    uint32_t lease_ms;     /* after this long without CREDIT they are forgotten */
    struct wire_mark mark;
    struct spn_bytes version; /* text, at most 63 bytes */
};

struct wire_open {
    uint8_t producer[WIRE_PRODUCER_ID_SIZE];
    uint64_t token; /* held before, to continue after a restart; 0: a new holder, fences others */
    uint64_t base;  /* as in a batch */
    bool kept;      /* the app's own id, for as long as it may be remembered; else random */
    struct wire_mark known; /* the mark that the holder has seen; zeros: none */
    uint64_t instance;      /* of the sidecar that sent the newest state; 0: none */
    uint64_t features;      /* enum wire_feature: of the client */
};

/* OPENED and STATE_IS: how far a producer's numbers got. */
struct wire_state {
    uint64_t token;
    uint64_t instance;
    uint64_t accepted;  /* highest number taken into memory */
    uint64_t durable;   /* highest number committed */
    uint32_t run_count; /* results of the numbers base .. durable that were not stored */
    struct wire_mark mark;
};

struct wire_ask { /* STATE */
    uint64_t token;
    uint64_t base;
};

struct wire_last_is {
    struct spn_life life;
    uint64_t seq;      /* 0: opened, no event yet */
    uint64_t position; /* of that event */
    uint64_t time_ms;
    uint8_t state; /* enum wire_session_state */
    struct spn_bytes id;
};

enum wire_start {
    WIRE_EARLIEST = 0,
    WIRE_AFTER_ID = 1,
    WIRE_AFTER_SEQ = 2, /* a cursor: life and seq */
    WIRE_NOW = 3,       /* SUBSCRIBE only: after the newest durable event */
};

struct wire_fetch {
    uint8_t start;        /* enum wire_start */
    uint32_t bytes_max;   /* of the slice; one event always fits */
    struct spn_life life; /* with WIRE_AFTER_SEQ */
    uint64_t seq;         /* with WIRE_AFTER_SEQ: the last one that the client has */
    struct spn_bytes session;
    struct spn_bytes id; /* with WIRE_AFTER_ID */
};

enum wire_verdict {
    WIRE_RESUMED = 0,
    WIRE_TRIMMED = 1,    /* `missing` events between the start and the first item are gone */
    WIRE_UNKNOWN_ID = 2, /* no retained event has it; `missing` of this life are not retained */
    WIRE_UNKNOWN_SESSION = 3,
    WIRE_OTHER_LIFE = 4,
    WIRE_CLOSED = 5,           /* END: the session was closed, and everything was delivered */
    WIRE_DELETED = 6,          /* END: deleted or expired */
    WIRE_UNSUBSCRIBED = 7,     /* END: no such subscription here: subscribe again */
    WIRE_FAILED = 8,           /* END: the sidecar cannot read the session */
    WIRE_DAMAGED = 9,          /* END: the data to be read next is damaged */
    WIRE_REFUSED_VERDICT = 10, /* END: the SUBSCRIBE was refused, see its code */
};

struct wire_slice {
    uint8_t verdict; /* enum wire_verdict */
    uint8_t state;   /* enum wire_session_state */
    uint32_t count;  /* items that follow */
    struct spn_life life;
    uint64_t seq;      /* of the last item, or where the cursor stands if there are no items */
    uint64_t seq_last; /* the newest durable one: seq == seq_last means caught up */
    uint64_t missing;
};

/* Bits: what to do when the subscription cannot begin at its start. Without the bit that is needed,
 * it ends with the verdict. */
enum wire_otherwise {
    WIRE_RESTART = 1, /* unknown id, other life: begin with the earliest */
    WIRE_WAIT = 2,    /* no such session yet: wait until it is opened */
};

struct wire_subscribe {
    uint64_t subscription; /* number of the client's choice */
    uint32_t incarnation;  /* higher each time the client subscribes again with this number */
    uint8_t start;         /* enum wire_start */
    uint8_t otherwise;     /* bits of enum wire_otherwise */
    struct spn_life life;  /* with WIRE_AFTER_SEQ */
    uint64_t seq;          /* with WIRE_AFTER_SEQ */
    uint64_t credit;       /* bytes of items that may be delivered in this incarnation, in all */
    uint64_t features;     /* bits; unknown ones are ignored */
    struct spn_bytes session;
    struct spn_bytes id; /* with WIRE_AFTER_ID */
};

/* Where a log subscription begins. */
enum wire_follow_start {
    WIRE_LOG_EARLIEST = 0,
    WIRE_LOG_AFTER = 1, /* after a position of a database */
    WIRE_LOG_NOW = 2,   /* after the newest durable entry */
};

enum wire_follow_flag { WIRE_FOLLOW_TOUCHES = 1 }; /* touches are delivered too */

struct wire_follow {
    uint64_t subscription; /* numbers and incarnations are those of SUBSCRIBE */
    uint32_t incarnation;
    uint8_t start;            /* enum wire_follow_start */
    uint8_t flags;            /* bits of enum wire_follow_flag */
    struct spn_life database; /* with WIRE_LOG_AFTER: the id of the database ... */
    uint64_t position;        /* ... and the last position that the client has */
    uint64_t credit;
    uint64_t features;       /* bits; unknown ones are ignored */
    struct spn_bytes prefix; /* of the names of sessions that are followed; empty: all */
};

/* What follows the head of a GAP of the log: these positions are gone. */
struct wire_log_gap {
    uint64_t first;
    uint64_t last;
};

enum { WIRE_LOG_GAP_SIZE = 16 };

enum wire_delivery {
    WIRE_VERDICT = 0, /* the first, unless it ends at once; followed by a standing */
    WIRE_EVENTS = 1,  /* followed by items */
    WIRE_GAP = 2,     /* `missing` events were trimmed under the cursor; of the log: followed by a
                         struct wire_log_gap */
    WIRE_END = 3,     /* the last one: `verdict` says why; followed by a standing */
};

/* One of the deliveries in a DELIVER; they follow one another. */
struct wire_deliver {
    uint64_t subscription;
    uint32_t incarnation;
    uint8_t kind;     /* enum wire_delivery */
    uint8_t verdict;  /* VERDICT, END: enum wire_verdict */
    uint16_t code;    /* END with WIRE_REFUSED_VERDICT: spn_err; else 0 */
    uint32_t count;   /* EVENTS: items that follow */
    uint32_t size;    /* bytes that follow the head */
    uint64_t seq;     /* where the cursor stands after this */
    uint64_t bytes;   /* counted for credit in this incarnation, these included */
    uint64_t missing; /* VERDICT, GAP, END by an unknown id or another life */
};

/* How many bytes a gap of the log counts for credit: its head and what follows it. */
enum { WIRE_LOG_GAP_CREDIT = WIRE_DELIVER_HEAD_SIZE + WIRE_LOG_GAP_SIZE };

/* How the session stands: follows the head of a VERDICT and of an END. Zeros and empty: not known,
 * or there is none. */
struct wire_standing {
    struct spn_life life;
    uint64_t newest;         /* seq of the newest durable event or marker */
    uint8_t state;           /* enum wire_session_state */
    struct spn_bytes reason; /* that the session was closed with */
    struct spn_bytes id;     /* VERDICT: in force where the cursor stands */
};

struct wire_alive {
    uint64_t instance;
    uint32_t subscriptions; /* of this connection */
};

struct wire_grant {
    uint64_t subscription;
    uint32_t incarnation;
    uint64_t credit;
};

struct wire_sessions {
    uint32_t count_max;
    struct spn_bytes after; /* names greater than this one, in byte order */
    struct spn_bytes prefix;
};

struct wire_sessions_are {
    uint32_t count; /* rows that follow, in byte order of their names */
    uint8_t more;
};

enum wire_session_state {
    WIRE_LIVE = 0,
    WIRE_SESSION_CLOSED = 1,  /* takes no more events; the stored events can be read */
    WIRE_SESSION_DAMAGED = 2, /* in a list: part of it is unreadable; with epoch 0 all of it */
};

struct wire_session_row {
    uint64_t epoch;
    struct spn_life life;
    uint64_t seq;
    uint64_t markers; /* of the seqs 1 .. seq */
    uint64_t position;
    uint64_t bytes; /* of all data it ever stored */
    uint64_t opened_ms;
    uint64_t last_ms;
    uint32_t duplicates;
    uint32_t conflicts;
    uint8_t state;           /* enum wire_session_state */
    uint64_t ttl_ms;         /* the session's own; 0: the sidecar's */
    uint64_t idle_close_ms;  /* 0: never */
    struct spn_bytes reason; /* why it is closed; may be empty */
    struct spn_bytes content_type;
    struct spn_bytes name;
    struct spn_bytes last_id;
};

struct wire_info_is {
    struct wire_session_row row;
    uint64_t first_seq;      /* of the oldest retained entry; row.seq + 1: no entry is retained */
    uint64_t markers;        /* retained markers */
    uint64_t life_first_seq; /* the first one of this life: 1 unless it came from another host */
    struct spn_bytes note;   /* of the session's attributes */
};

enum wire_health_status { WIRE_OK = 0, WIRE_DEGRADED = 1, WIRE_STOPPING = 2 };

struct wire_health {
    uint8_t status; /* enum wire_health_status */
    uint32_t pid;
    uint64_t instance;
    uint64_t uptime_ms;
    uint64_t durable;    /* position */
    uint64_t checkpoint; /* position */
    struct spn_bytes version;
    struct spn_bytes reason; /* why it is degraded; while ok a warning, or empty */
};

struct wire_stats_are {
    uint32_t count; /* stats that follow */
};

struct wire_stat {
    uint64_t value;
    struct spn_bytes name; /* at most 255 bytes */
};

struct wire_clients {
    uint32_t after; /* connections whose number is higher; 0: from the first */
    uint32_t count_max;
};

struct wire_clients_are {
    uint32_t count;  /* rows that follow, in the order of their numbers */
    uint32_t next;   /* what to ask after for those that follow; 0: there are no more */
    uint32_t hidden; /* connections of other users, which the client may not see */
};

/* One connection. */
struct wire_client {
    uint32_t number; /* of the connection: not 0; another one may get it later */
    uint32_t pid;    /* 0: not known */
    uint32_t uid;
    uint8_t socket;         /* enum wire_socket: one of them */
    uint32_t subscriptions; /* that it has */
    uint32_t behind;        /* of these: have events to get that they did not get yet */
    uint64_t lag;     /* the most events, or positions of the log, that one of them is behind */
    uint64_t waiting; /* bytes of answers and deliveries on their way to it */
    struct spn_bytes program; /* its name; empty: not known */
};

enum { WIRE_CLIENT_SIZE_MAX = 5 * 4 + 4 + 2 * 8 + 1 + UINT8_MAX };

/* HELLO: the client's features. */
void wire_put_hello(struct wire_out *out, uint64_t features);
void wire_get_hello(struct wire_in *in, uint64_t *ret_features);
void wire_put_welcome(struct wire_out *out, const struct wire_welcome *welcome);
void wire_get_welcome(struct wire_in *in, struct wire_welcome *ret_welcome);
void wire_put_leave(struct wire_out *out, uint64_t token);
void wire_get_leave(struct wire_in *in, uint64_t *ret_token);
void wire_put_open(struct wire_out *out, const struct wire_open *open);
void wire_get_open(struct wire_in *in, struct wire_open *ret_open);
void wire_put_state(struct wire_out *out, const struct wire_state *state);
void wire_get_state(struct wire_in *in, struct wire_state *ret_state);
void wire_put_ask(struct wire_out *out, const struct wire_ask *ask);
void wire_get_ask(struct wire_in *in, struct wire_ask *ret_ask);
void wire_put_last(struct wire_out *out, struct spn_bytes session);
void wire_get_last(struct wire_in *in, struct spn_bytes *ret_session);
void wire_put_last_is(struct wire_out *out, const struct wire_last_is *last);
void wire_get_last_is(struct wire_in *in, struct wire_last_is *ret_last);
void wire_put_fetch(struct wire_out *out, const struct wire_fetch *fetch);
void wire_get_fetch(struct wire_in *in, struct wire_fetch *ret_fetch);
void wire_put_slice(struct wire_out *out, const struct wire_slice *slice);
void wire_get_slice(struct wire_in *in, struct wire_slice *ret_slice);
void wire_put_subscribe(struct wire_out *out, const struct wire_subscribe *subscribe);
void wire_get_subscribe(struct wire_in *in, struct wire_subscribe *ret_subscribe);
/* count: the number of deliveries that follow. */
void wire_put_deliveries(struct wire_out *out, uint32_t count);
void wire_get_deliveries(struct wire_in *in, uint32_t *ret_count);
void wire_put_deliver(struct wire_out *out, const struct wire_deliver *deliver);
/* *ret_rest: what follows its head; in then stands after that. Both are bad if it is incomplete. */
void wire_get_deliver(struct wire_in *in, struct wire_deliver *ret_deliver,
                      struct wire_in *ret_rest);
size_t wire_standing_size(const struct wire_standing *standing);
void wire_put_standing(struct wire_out *out, const struct wire_standing *standing);
/* in: the rest of one delivery. What is beyond the known fields is skipped. */
void wire_get_standing(struct wire_in *in, struct wire_standing *ret_standing);
/* in: the rest of a delivery, after its head. */
void wire_put_log_gap(struct wire_out *out, const struct wire_log_gap *gap);
void wire_get_log_gap(struct wire_in *in, struct wire_log_gap *ret_gap);
void wire_put_follow(struct wire_out *out, const struct wire_follow *follow);
void wire_get_follow(struct wire_in *in, struct wire_follow *ret_follow);
void wire_put_alive(struct wire_out *out, const struct wire_alive *alive);
void wire_get_alive(struct wire_in *in, struct wire_alive *ret_alive);
/* CREDIT: a count of 4 bytes, then grants. UNSUBSCRIBE: one grant, whose credit is 0. */
void wire_put_grants(struct wire_out *out, uint32_t count);
void wire_get_grants(struct wire_in *in, uint32_t *ret_count);
void wire_put_grant(struct wire_out *out, const struct wire_grant *grant);
void wire_get_grant(struct wire_in *in, struct wire_grant *ret_grant);
void wire_put_sessions(struct wire_out *out, const struct wire_sessions *sessions);
void wire_get_sessions(struct wire_in *in, struct wire_sessions *ret_sessions);
void wire_put_sessions_are(struct wire_out *out, const struct wire_sessions_are *sessions);
void wire_get_sessions_are(struct wire_in *in, struct wire_sessions_are *ret_sessions);
void wire_put_session_row(struct wire_out *out, const struct wire_session_row *row);
void wire_get_session_row(struct wire_in *in, struct wire_session_row *ret_row);
void wire_put_info(struct wire_out *out, struct spn_bytes session);
void wire_get_info(struct wire_in *in, struct spn_bytes *ret_session);
void wire_put_info_is(struct wire_out *out, const struct wire_info_is *info);
void wire_get_info_is(struct wire_in *in, struct wire_info_is *ret_info);
void wire_put_clients(struct wire_out *out, const struct wire_clients *clients);
void wire_get_clients(struct wire_in *in, struct wire_clients *ret_clients);
void wire_put_clients_are(struct wire_out *out, const struct wire_clients_are *clients);
void wire_get_clients_are(struct wire_in *in, struct wire_clients_are *ret_clients);
void wire_put_client(struct wire_out *out, const struct wire_client *client);
void wire_get_client(struct wire_in *in, struct wire_client *ret_client);
void wire_put_health(struct wire_out *out, const struct wire_health *health);
void wire_get_health(struct wire_in *in, struct wire_health *ret_health);
void wire_put_stats_are(struct wire_out *out, const struct wire_stats_are *stats);
void wire_get_stats_are(struct wire_in *in, struct wire_stats_are *ret_stats);
void wire_put_stat(struct wire_out *out, const struct wire_stat *stat);
void wire_get_stat(struct wire_in *in, struct wire_stat *ret_stat);

#endif
