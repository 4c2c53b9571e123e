/* SPDX-License-Identifier: Apache-2.0 */
/* raw: the wire protocol spoken byte by byte, from PROTOCOL.md alone.
 *
 * Shares no code with the sidecar or the library, so that both may be wrong in the same way and it
 * shows. What it builds may be nonsense: tests want that. What it receives is checked strictly.
 *
 * Owns     a ZeroMQ context and two DEALER sockets.
 * Errors   an answer that does not come in time, or is not as the document says, fails the test.
 * Threads  one.
 */
#ifndef SPN_RAW_H
#define SPN_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAW_MAJOR = 3 };

enum raw_type {
    RAW_BATCH = 1,
    RAW_ACK = 2,
    RAW_EXPECT = 3,
    RAW_ERROR = 5,
    RAW_HELLO = 16,
    RAW_WELCOME = 17,
    RAW_OPEN = 18,
    RAW_OPENED = 19,
    RAW_STATE = 20,
    RAW_STATE_IS = 21,
    RAW_LAST = 22,
    RAW_LAST_IS = 23,
    RAW_FETCH = 24,
    RAW_SLICE = 25,
    RAW_SESSIONS = 26,
    RAW_SESSIONS_ARE = 27,
    RAW_HEALTH = 28,
    RAW_HEALTH_IS = 29,
    RAW_STATS = 30,
    RAW_STATS_ARE = 31,
    RAW_SUBSCRIBE = 32,
    RAW_DELIVER = 33,
    RAW_CREDIT = 34,
    RAW_UNSUBSCRIBE = 35,
    RAW_INFO = 36,
    RAW_INFO_IS = 37,
    RAW_LEAVE = 38,
    RAW_ALIVE = 39,
    RAW_PUBLISH = 40,
    RAW_PUBLISHED = 41,
    RAW_FOLLOW = 42,
    RAW_CLIENTS = 43,
    RAW_CLIENTS_ARE = 44,
};

/* The sockets that take this type from a client, as bits; 0: none does. */
enum raw_socket { RAW_ON_INGEST = 1, RAW_ON_READ = 2 };
unsigned raw_sockets(uint8_t type);

/* Codes, as the document numbers them. */
enum raw_code {
    RAW_E_INVALID = 2,
    RAW_E_PROTOCOL = 16,
    RAW_E_VERSION = 17,
    RAW_E_UNSUPPORTED = 18,
    RAW_E_STALE_TOKEN = 19,
    RAW_E_FENCED = 20,
    RAW_E_DENIED = 21,
    RAW_E_BAD_SESSION = 32,
    RAW_E_BAD_ID = 33,
    RAW_E_BAD_TYPE = 34,
    RAW_E_BAD_DATA = 35,
    RAW_E_TOO_LARGE = 36,
    RAW_E_BAD_PREFIX = 40,
    RAW_E_BAD_POSITION = 41,
    RAW_E_UNKNOWN_SESSION = 48,
    RAW_E_CLOSED = 52,
};

enum raw_result { RAW_STORED = 0, RAW_DUPLICATE = 1, RAW_CONFLICT = 2, RAW_REFUSED = 3 };
enum raw_level { RAW_NONE = 0, RAW_ACCEPTED = 1, RAW_DURABLE = 2 };

#define RAW_RETRY_NONE 0xffffffffu

struct raw {
    void *context;
    void *ingest;
    void *read;
    uint64_t request; /* of the last ask */
    bool random_ids;  /* what OPEN says of its ids */
};

/* Connects to the sidecar in $SPONSON_SOCKET_DIR. */
void raw_open(struct raw *raw);
void raw_close(struct raw *raw);
/* New sockets: nothing that was queued in the old ones is sent or received any more. */
void raw_reconnect(struct raw *raw);

/* -- frames to send ---------------------------------------------------------------------------- */

struct raw_out {
    uint8_t *bytes;
    size_t size;
    size_t room;
};

void raw_release(struct raw_out *out);
void raw_clear(struct raw_out *out);
void raw_put(struct raw_out *out, const void *bytes, size_t size);
void raw_put_number(struct raw_out *out, uint64_t number, size_t size); /* little-endian */
void raw_put_zeros(struct raw_out *out, size_t size);
void raw_put_short(struct raw_out *out, const char *text); /* short bytes */
void raw_put_header(struct raw_out *out, uint8_t type, uint64_t request);
void raw_put_hello(struct raw_out *out); /* the body: no features, no fields */
/* The body up to the session: start, bytes, life (NULL: zeros) and seq. */
void raw_put_fetch(struct raw_out *out, uint8_t start, uint32_t bytes_max, const void *life,
                   uint64_t seq);

struct raw_batch {
    uint64_t token;
    uint64_t first;
    uint64_t base;
    uint32_t round;
    uint32_t count;
    uint8_t level;
};

/* The header and the head; the entries follow. */
void raw_put_batch(struct raw_out *out, const struct raw_batch *batch);

enum { RAW_LIFE_SIZE = 16 };

struct raw_entry {
    uint8_t kind;      /* 0 means event */
    uint8_t flags;     /* as they are; a close gets CLOSES and an empty reason if it has none */
    const void *extra; /* the parts of the flags */
    size_t extra_size;
    const char *session; /* NULL: as before */
    const char *id;
    const char *type;
    const char *data;
    size_t session_size; /* these: 0 means as long as the string */
    size_t id_size;
    size_t data_size;
};

void raw_put_entry(struct raw_out *out, const struct raw_entry *entry);
/* An event of the session before that is refused with RAW_E_BAD_ID: its id is a line feed. */
void raw_put_refused(struct raw_out *out);
/* A close of the session's current life. */
void raw_put_close(struct raw_out *out, const char *session);
/* An event with the id "e<number>" and the data "<session> <number>". */
void raw_put_event(struct raw_out *out, const char *session, uint64_t number);

void raw_send(void *socket, const void *bytes, size_t size);
void raw_send_out(void *socket, const struct raw_out *out);
/* A batch of the events first .. first + count - 1 of a session, as raw_put_event makes them, of
 * level durable. */
void raw_send_events(struct raw *raw, const struct raw_batch *batch, const char *session);

/* -- frames received --------------------------------------------------------------------------- */

struct raw_in {
    uint8_t *bytes;
    size_t size;
    size_t at;
    uint8_t major;
    uint8_t minor;
    uint8_t type;
    uint64_t request;
};

/* The next frame, with its header read. False: none came in time. Free with raw_drop. */
bool raw_receive(void *socket, int ms, struct raw_in *ret_in);
/* The same, and it has this type. */
struct raw_in raw_expect(void *socket, enum raw_type type);
uint64_t raw_get_number(struct raw_in *in, size_t size);
void raw_get_zeros(struct raw_in *in, size_t size);
/* Points into the frame. */
const char *raw_get(struct raw_in *in, size_t size);
/* All of it was read. */
void raw_end(const struct raw_in *in);
void raw_drop(struct raw_in *in);

/* -- whole answers ----------------------------------------------------------------------------- */

enum { RAW_RUNS_MAX = 64 };

struct raw_run {
    uint64_t first;
    uint32_t count;
    uint8_t result;
    uint16_t code;
};

struct raw_state {
    uint64_t token;
    uint64_t instance;
    uint64_t accepted;
    uint64_t durable;
    uint8_t database[16];
    uint64_t position;
    uint32_t run_count;
    struct raw_run runs[RAW_RUNS_MAX];
};

struct raw_ack {
    uint64_t token;
    uint64_t from;
    uint64_t up_to;
    uint8_t level;
    uint64_t position;
    uint32_t run_count;
    struct raw_run runs[RAW_RUNS_MAX];
};

struct raw_hole { /* EXPECT */
    uint64_t token;
    uint64_t number;
    uint32_t round;
};

struct raw_error {
    uint64_t request;
    uint64_t token;
    uint32_t code;
    char detail[256];
};

/* Asks with a request number of its own and gives the answer, which has this type. */
struct raw_in raw_ask(struct raw *raw, struct raw_out *out, enum raw_type ask,
                      enum raw_type answer);
/* A PUBLISH of one entry, with its header. */
void raw_put_publish(struct raw_out *out, uint64_t request, uint8_t level,
                     const struct raw_entry *entry);

struct raw_published {
    uint64_t request;
    uint8_t result;
    uint8_t state;
    uint16_t code;
    uint8_t life[16];
    uint64_t seq;
    uint64_t position;
    char id[64];
};

struct raw_published raw_expect_published(struct raw *raw);

/* Asks for a producer; in no case fails. False: ERROR, *ret_code says why. Drops what comes on
 * ingest.sock before the answer. */
bool raw_try_producer(struct raw *raw, const char *id16, uint64_t token,
                      struct raw_state *ret_state, uint32_t *ret_code);
/* The same as a new holder; fails the test when it is refused. */
struct raw_state raw_take_producer(struct raw *raw, const char *id16);
struct raw_state raw_get_state(struct raw_in *in); /* and drops it */

/* The ACKs up to one that reaches this number, all of that token; the last one's, with the runs of
 * all of them. Nothing else may come between. */
struct raw_ack raw_expect_acks(struct raw *raw, uint64_t token, uint64_t up_to);
struct raw_hole raw_expect_hole(struct raw *raw);
struct raw_error raw_expect_error(void *socket, uint32_t code);

#endif
