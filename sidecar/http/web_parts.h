/* SPDX-License-Identifier: Apache-2.0 */
/* web_parts: what the files of the web share. All of libmicrohttpd is in them: nobody else
 * includes this.
 *
 *     web.c             doors and turns
 *     web_connection.c  connections: their time, their end, and what the library answers by itself
 *     web_request.c     requests: from the first bytes of a head to the end of its exchange
 *     web_answer.c      answers
 *     web_stream.c      bodies of streams, and whether and until when an exchange waits
 *
 * libmicrohttpd 0.9.75 is used without threads, one daemon for each door, whose epoll descriptors
 * are in ours. A connection that cannot go on is suspended. Suspended ones are not watched by the
 * library, so each connection's socket is in our epoll too, for the moment when the peer leaves.
 *
 * Owns     nothing: see web.h.
 * Threads  one.
 */
#ifndef SPN_HTTP_WEB_PARTS_H
#define SPN_HTTP_WEB_PARTS_H

#include <microhttpd.h>
#include <stddef.h>

#include "base/deadline_heap.h"
#include "base/link.h"
#include "http/head.h"
#include "http/web.h"

struct door {
    struct web *web;
    struct web_door given;
    struct MHD_Daemon *daemon;
    bool is_due; /* the library has something to do, and does not say so */
};

struct connection {
    struct link link; /* of all */
    struct door *door;
    struct deadline deadline; /* of its head, its body, or what is drained */
    struct exchange *exchange;
    int fd;
    bool is_half_closed; /* the peer sends no more */
    unsigned refused;    /* the status that we gave in the place of the library's; 0: none */
    uint32_t requests;   /* that began */
    bool is_refusing;    /* we do so now */
    bool waits_for_room; /* in its socket, to write more of a stream */
    struct head head;    /* follows the raw bytes */
};

/* A chunk of a stream's body that is being written. Without chunks it is only bytes. */
struct chunk {
    char head[20]; /* the line with its size */
    unsigned char head_size;
    unsigned char head_left;
    unsigned char tail_left;
    size_t left; /* of its bytes */
};

struct exchange {
    struct connection *connection;
    struct MHD_Connection *handle;
    struct MHD_Response *response; /* once it is queued */
    const struct exchange_calls *calls;
    void *state;
    const char *method;
    char *target;
    struct out headers; /* of the answer: name NUL value NUL ... */
    struct out body;
    unsigned status; /* of the answer; 0: there is none yet */
    bool is_stream;  /* the answer's body comes from give */
    bool is_suspended;
    bool is_in_call; /* of exchange_on_request */
    bool has_begun;
    bool has_finished; /* the request is complete */
    bool is_queued;    /* the library has the answer */
    bool is_draining;  /* the answer was written by ourselves, in the middle of the body */
    bool is_cut;
    bool is_ours;    /* the stream's head is written, and its body is written by us */
    bool is_chunked; /* so the head says */
    bool is_writing;
    int ending; /* EXCHANGE_END, EXCHANGE_CUT: give returned that; 0: not yet */
    struct chunk chunk;
    bool is_post;
    bool is_endless; /* its body has no least rate */
    size_t drained;
    uint64_t began_ns;
    uint64_t bytes;      /* of the answer's body */
    uint64_t span_ns;    /* since when the body's rate is measured ... */
    uint64_t span_bytes; /* ... and what has come since */
    uint32_t number;     /* of the connection's requests, from 1 */
};

struct web {
    struct web_options options;
    struct web_counts counts;
    struct door doors[WEB_DOORS_MAX];
    size_t doors_count;
    struct link connections;
    struct deadline_heap deadlines;
    int epoll;
    bool is_closing;
};

/* -- connections ------------------------------------------------------------------------------- */

void connection_on_deadline(struct connection *connection);
/* Of the socket, as epoll gives them. */
void connection_on_event(struct connection *connection, uint32_t events);

/* Functions that the library and head_guard call have the types that these want. */
void connection_on_change(void *context, struct MHD_Connection *handle, void **ret_connection,
                          enum MHD_ConnectionNotificationCode code);
bool connection_replace_answer(struct head *head, const char *bytes, size_t size);
void connection_on_fault(struct head *head);

/* -- requests ---------------------------------------------------------------------------------- */

void *exchange_on_target(void *context, const char *target, struct MHD_Connection *handle);
size_t exchange_unescape_nothing(void *context, struct MHD_Connection *handle, char *text);
enum MHD_Result exchange_on_request(void *context, struct MHD_Connection *handle, const char *url,
                                    const char *method, const char *version, const char *bytes,
                                    size_t *size, void **state);
void exchange_on_over(void *context, struct MHD_Connection *handle, void **state,
                      enum MHD_RequestTerminationCode code);

/* -- answers ----------------------------------------------------------------------------------- */

/* connection_on_deadline is due after so much time; 0: not any more. */
void connection_set_deadline(struct connection *connection, uint64_t after_ns);

/* The body goes on from now: so long it may be silent, and from now its rate is measured. */
void exchange_await_body(struct exchange *exchange);

/* Of a suspended exchange: a body that we do not read keeps the connection for as long as the
 * daemon is behind; but only for so long if its peer, which sends no more, may be gone. */
void exchange_limit_holding(struct exchange *exchange);

/* Nothing is read or written until exchange_go_on. A body that we do not read cannot be too slow.
 */
void exchange_suspend(struct exchange *exchange);

/* Hands the answer to the library. MHD_NO, and with it the end of the connection, if there is no
 * memory. */
enum MHD_Result exchange_queue_answer(struct exchange *exchange);

/* Writes the answer in the middle of a body. */
void exchange_answer_now(struct exchange *exchange);

/* -- bodies of streams ------------------------------------------------------------------------- */

/* These bytes, which begin with the head of the answer, are on their way. */
void stream_body_see_head(struct exchange *exchange, const char *bytes, size_t size);
/* The socket has room again. */
void stream_body_on_room(struct connection *connection);
/* For the library: instead of a body. */
ssize_t stream_body_on_give(void *context, uint64_t position, char *out, size_t room);

#endif
