/* SPDX-License-Identifier: Apache-2.0 */
/* reader_base: the reader's state, and what its files share.
 *
 * reader.c is the loop. reader_requests.c takes the requests on read.sock, and answers those that
 * need neither disk nor broker. reader_answers.c answers the others after the broker has answered.
 *
 * Threads  the reader's.
 */
#ifndef SPN_READER_BASE_H
#define SPN_READER_BASE_H

#include "base/slack.h"
#include "net/outbox.h"
#include "net/roster.h"
#include "net/router.h"
#include "read/fetch.h"
#include "read/listing.h"
#include "read/reader.h"
#include "mail/load.h"
#include "read/subscription.h"

enum {
    ASKED_MAX = 1024, /* questions at the broker; at this limit read.sock is not read */
    RECEIVE_PER_TURN = 64,
    UNANSWERED_MAX = 64, /* messages of peers whose outbox has no room, before a pause */
    PAUSE_MS = 1,
    ANSWER_MAX = 12288, /* bytes: of answers whose size is bounded by their fields */
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
    uint64_t started_ns;
    size_t unanswered; /* since the last pause: messages of peers whose outbox had no room */
    uint64_t pause_ns; /* end of the pause; 0: there is none */
    bool listed;       /* a page of clients was made in this turn */
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

/* reader_clients.c. SPN_E_PROTOCOL. */
spn_err reader_request_clients(struct reader *reader, struct caller caller,
                               struct wire_in in) SPN_MUST_USE;

/* reader_answers.c */

/* False: there is no room for the answer, so do no work for it. It is counted as dropped. */
bool reader_has_room(struct reader *reader, struct caller caller, size_t size);
void reader_send_bytes(struct reader *reader, struct caller caller, const struct wire_out *out);
void reader_send_error(struct reader *reader, struct caller caller, spn_err err);
/* detail: NULL: the error code's own text. */
void reader_send_words(struct reader *reader, struct caller caller, spn_err err,
                       const char *detail);

/* Sends a question to the broker for a caller. It counts as asked until it comes back. */
void reader_ask(struct reader *reader, struct message *question);
/* These questions have come back from the broker. */
void reader_finish_session(struct reader *reader, struct session_question *question);
void reader_finish_subscription(struct reader *reader, struct session_question *question);
void reader_finish_generations(struct reader *reader, struct generations_question *question);
void reader_finish_holder(struct reader *reader, struct holder_question *question);
/* Finds the entry with the id of a one-shot for the broker, and returns that. */
void reader_seek(struct reader *reader, struct one_shot *one);
/* Loads a tracker for the broker, and returns it. */
void reader_load(struct reader *reader, struct load *load);

#endif
