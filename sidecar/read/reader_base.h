/* SPDX-License-Identifier: Apache-2.0 */
/* reader_base: the reader's state, and what its files do for each other.
 *
 * reader.c is the loop. reader_requests.c takes what is asked on read.sock, and answers what needs
 * neither disk nor broker. reader_answers.c answers the rest when the broker has.
 *
 * Threads  the reader's.
 */
#ifndef SPN_READER_BASE_H
#define SPN_READER_BASE_H

#include "base/slack.h"
#include "net/outbox.h"
#include "net/router.h"
#include "read/fetch.h"
#include "read/listing.h"
#include "read/reader.h"
#include "mail/load.h"
#include "read/subscription.h"

enum {
    OPENING_MAX =
        256,          /* answered by a commit, which a full disk delays: they may not take it all */
    ASKED_MAX = 1024, /* at the broker; above it read.sock is not read */
    RECEIVE_PER_TURN = 64,
    UNANSWERED_MAX = 64, /* messages of peers that have no room, before a pause */
    PAUSE_MS = 1,
    ANSWER_MAX = 8192, /* of answers whose size is bounded by their fields */
    ANSWER_MIN = 128,
    STATE_SIZE_MAX = WIRE_HEADER_SIZE + 96 + WIRE_RUNS_MAX * WIRE_RUN_SIZE,
    WORDS_MAX = 128,
};

struct reader {
    struct reader_options options;
    struct router router; /* read.sock */
    struct journal_reader *journal;
    pthread_t thread;
    atomic_bool stop;
    size_t asked;
    size_t opening; /* of them, producers */
    uint64_t started_ns;
    size_t unanswered; /* since the last pause: messages of peers that had no room */
    uint64_t pause_ns; /* its end; 0: there is none */
    struct slack slack;
    struct outbox *outbox;
    struct subscriptions *subscriptions;
    struct fetch fetch;
    struct listing listing;
    struct slice slice; /* scratch, valid in one snapshot */
};

/* Where an answer goes. */
struct caller {
    struct outbox_peer *peer;
    uint64_t request;
};

/* reader_requests.c */

void reader_take_request(struct reader *reader, struct outbox_peer *peer, zmq_msg_t *frame);

/* reader_answers.c */

/* Nothing is done for an answer that has no room. */
bool reader_has_room(struct reader *reader, struct caller caller, size_t size);
void reader_send_bytes(struct reader *reader, struct caller caller, const struct wire_out *out);
void reader_send_error(struct reader *reader, struct caller caller, spn_err err);

/* To the broker, for a caller: it is counted until it comes back. */
void reader_ask(struct reader *reader, struct message *question);
/* They have come back. */
void reader_finish_sessions(struct reader *reader, struct session_question *question);
void reader_finish_subscription(struct reader *reader, struct session_question *question);
void reader_finish_generations(struct reader *reader, struct generations_question *question);
void reader_finish_holder(struct reader *reader, struct holder_question *question);
/* The broker wants it, and gets it back. */
void reader_load(struct reader *reader, struct load *load);

#endif
