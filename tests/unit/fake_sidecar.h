/* SPDX-License-Identifier: Apache-2.0 */
/* fake_sidecar: the other end of the wire, as the test wants it.
 *
 * Two ROUTER sockets in a directory of their own. The test steps it: requests are answered from the
 * fields below, batches are kept for the test to look at, and nothing else goes out but what the
 * test sends. A message on the wrong socket fails the test. For calls that block there is
 * fake_begin: a thread steps it until fake_end, and the test keeps its hands off meanwhile.
 *
 * Errors   the test fails.
 */
#ifndef SPN_TESTS_FAKE_SIDECAR_H
#define SPN_TESTS_FAKE_SIDECAR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <zmq.h>

#include "wire.h"

enum {
    FAKE_HELD_MAX = 1024,
    FAKE_BATCHES_MAX = 512,
    FAKE_RUNS_MAX = 16,
    FAKE_ITEMS_MAX = 64,
    FAKE_GRANTS_MAX = 16384
};

struct fake_batch {
    zmq_msg_t frame;
    struct wire_batch head;
};

/* An answer that was not sent yet. */
struct fake_held {
    uint8_t *bytes;
    size_t size;
    bool ingest; /* the socket that it goes out on */
};

struct fake_item {
    uint64_t seq;
    const char *id;
    const char *data;
};

struct fake {
    char dir[64];
    void *context;
    void *ingest;
    void *read;
    zmq_msg_t ingest_peer; /* routing ids of who spoke last */
    zmq_msg_t read_peer;

    /* What was received. */
    struct fake_batch batches[FAKE_BATCHES_MAX];
    size_t batch_count;
    unsigned hellos, opens, states, fetches, leaves, lasts;
    struct fake_held held[FAKE_HELD_MAX]; /* while `holds` is set */
    size_t held_count;
    struct wire_open open; /* the last of each */
    struct wire_ask ask;
    struct wire_fetch fetch;
    unsigned lists, infos;
    unsigned publishes;
    uint8_t publish[4096]; /* how the body of the last PUBLISH begins ... */
    size_t publish_size;
    unsigned publish_changes; /* ... and how often it was another than the one before */
    unsigned subscribes, credits, unsubscribes;
    uint64_t subscribe_request;                   /* of the last SUBSCRIBE, ... */
    struct wire_subscribe subscribe;              /* ... whose session and id are not kept ... */
    char subscribe_session[WIRE_SESSION_MAX + 1]; /* ... but here */
    char subscribe_id[WIRE_ID_MAX + 8];
    unsigned follows;
    struct wire_follow follow; /* the last one, whose prefix is ... */
    char follow_prefix[WIRE_SESSION_MAX + 1];
    struct wire_grant grants[FAKE_GRANTS_MAX]; /* of all CREDITs */
    size_t grant_count;
    void (*subscribed)(const struct wire_subscribe *subscribe); /* at each SUBSCRIBE; may be NULL */
    uint64_t credit_request;                                    /* of the last CREDIT */
    struct wire_grant unsubscribe;

    /* What is answered. */
    bool deaf;                       /* takes questions and answers none */
    bool deaf_ingest;                /* the same on ingest.sock alone */
    bool mute;                       /* answers no CREDIT */
    uint32_t alive;                  /* subscriptions, in ALIVE */
    bool holds;                      /* makes the answers, and keeps them for fake_send_held */
    bool last_names;                 /* the last id of a session is the session's name */
    struct wire_published published; /* to each PUBLISH, with its id */
    uint8_t major;
    uint32_t data_max;
    uint32_t batch_events_max;
    uint32_t heartbeat_ms; /* 0: none is named */
    uint64_t token;
    uint64_t instance;
    uint64_t accepted;
    uint64_t durable;
    struct wire_mark mark;
    struct wire_run runs[FAKE_RUNS_MAX];
    uint32_t run_count;
    spn_err read_err;   /* not SPN_OK: the answer to OPEN, STATE, LAST, FETCH, INFO, PUBLISH */
    unsigned err_count; /* that often; 0: always */
    spn_err hello_err;  /* not SPN_OK: the answer to HELLO */
    bool acks;          /* acknowledges each batch as durable at once */
    const struct fake_item *items; /* the session that there is, "s"; ascending */
    size_t item_count;
    size_t slice_items; /* in one slice */
    uint8_t verdict;
    uint64_t missing; /* in front of the first slice */
    struct spn_life life;
    const char *const *names; /* for the session list, ascending */
    size_t name_count;
    size_t page_rows;
    struct wire_info_is info; /* of a session that is asked for by its name */

    pthread_t thread;
    atomic_bool running;
};

void fake_open(struct fake *fake);
void fake_close(struct fake *fake);
/* As another process would: gone with everything that was queued, then here again. */
void fake_stop(struct fake *fake);
void fake_start(struct fake *fake);

/* Takes at most one message of each socket; waits up to wait_ms for one. True: there was some. */
bool fake_step(struct fake *fake, int wait_ms);

/* Sends an answer that was held, as often as it is called; and forgets all of them. */
void fake_send_held(struct fake *fake, size_t index);
void fake_drop_held(struct fake *fake);

/* A clock for the client: CLOCK_MONOTONIC, and what was passed beyond it. */
uint64_t fake_now(void);
void fake_pass(uint64_t ns);

void fake_begin(struct fake *fake);
void fake_end(struct fake *fake);

/* The entry at this index of a batch. */
struct wire_entry fake_entry(struct fake *fake, size_t batch, size_t index);
void fake_drop_batches(struct fake *fake);

void fake_ack(struct fake *fake, uint64_t from, uint64_t up_to, uint8_t level,
              const struct wire_run *runs, uint32_t run_count);
void fake_expect(struct fake *fake, uint64_t number, uint32_t round);
void fake_error(struct fake *fake, uint64_t token, spn_err code, const char *detail);
void fake_send_raw(struct fake *fake, const void *bytes, size_t size);
/* What is delivered between the two goes out in one message. */
void fake_pack(void);
void fake_send_pack(struct fake *fake);

/* A DELIVER on read.sock as it is told, bytes included. Of EVENTS, head.count items from
 * seq_first on; data_size bytes of data each, with the seq in front. Of VERDICT and END, a
 * standing with fake.life, whose newest seq is the head's. */
void fake_deliver(struct fake *fake, const struct wire_deliver *head, uint64_t seq_first,
                  size_t data_size);
void fake_deliver_standing(struct fake *fake, const struct wire_deliver *head,
                           const struct wire_standing *standing);
/* With this after its head, whatever it is. */
void fake_deliver_rest(struct fake *fake, const struct wire_deliver *head, const void *rest,
                       size_t size);
/* The bytes of such items. */
size_t fake_items_size(uint32_t count, size_t data_size);
/* The answer to a CREDIT, as it is told. */
void fake_alive(struct fake *fake, uint64_t request, uint32_t subscriptions);
void fake_read_error(struct fake *fake, uint64_t request, spn_err code);
void fake_read_raw(struct fake *fake, const void *bytes, size_t size);

#endif
