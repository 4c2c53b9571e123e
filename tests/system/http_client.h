/* SPDX-License-Identifier: Apache-2.0 */
/* http_client: HTTP spoken with the gateway of a stage, byte by byte.
 *
 * Shares no code with the gateway. What is sent may be nonsense: tests want that. What is received
 * is checked strictly: a status line, headers that end in CR LF, a body as its framing says.
 *
 * Owns     a socket and what came from it; answers and events are kept with the stage.
 * Errors   what does not come in time, or breaks the rules of HTTP, fails the test.
 * Threads  one.
 */
#ifndef SPN_HTTP_CLIENT_H
#define SPN_HTTP_CLIENT_H

#include "stage.h"

/* -- a connection ------------------------------------------------------------------------------ */

enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_TO_END };

struct http {
    struct stage *stage;
    int fd;
    char *in; /* bytes that came and were not used */
    size_t in_size;
    char *body; /* of the answer under way, without its framing; not used yet */
    size_t body_size;
    enum http_framing framing;
    uint64_t left;    /* of the body or the chunk */
    bool is_at_chunk; /* a chunk's line comes next */
    bool has_ended;   /* the body is complete */
    bool is_cut;      /* the connection ended before that */
};

/* Connects to the stage's gateway. Freed with the stage, or before by http_close. */
struct http *http_open(struct stage *stage);
struct http *http_open_tcp(struct stage *stage, unsigned port);
void http_close(struct http *http);

void http_send(struct http *http, const char *text);
void http_send_bytes(struct http *http, const void *bytes, size_t size);
/* As many as the socket takes now. A gateway that closed the connection takes all: that shows when
 * the answer is read. */
size_t http_send_some(struct http *http, const void *bytes, size_t size);
/* No more is sent. */
void http_finish(struct http *http);

/* -- answers ----------------------------------------------------------------------------------- */

struct http_answer {
    unsigned status;
    const char *head;      /* all of it */
    struct spn_bytes body; /* NUL-terminated */
};

/* The next answer with its whole body. */
struct http_answer http_read(struct http *http);
/* To a HEAD, which has none. */
struct http_answer http_read_head_only(struct http *http);
/* The next answer without its body: see http_next and http_rest. */
struct http_answer http_begin(struct http *http);
/* False: the connection ended without an answer. */
bool http_try_begin(struct http *http, uint64_t due_ns, struct http_answer *ret_answer);
/* The rest of the body. Fails the test if it is cut. */
struct spn_bytes http_rest(struct http *http);
/* Receives more of the body under way into http->body. False: it is complete or cut, or nothing
 * came until then. */
bool http_more(struct http *http, uint64_t due_ns);
/* The value of a header; NULL: none. Kept with the stage. */
const char *http_header(struct stage *stage, const struct http_answer *answer, const char *name);
/* True: the peer closed the connection, and nothing more came before that. */
bool http_is_closed(struct http *http, uint64_t due_ns);

/* The same without reading what came before that. */
bool http_has_left(struct http *http, uint64_t due_ns);

/* One request on a connection of its own. */
struct http_answer http_ask(struct stage *stage, const char *request);
/* The same, put together: method, path, further headers (each with CR LF), body (NULL: none). */
struct http_answer http_do(struct stage *stage, const char *method, const char *path,
                           const char *headers, const char *body);
void http_send_request(struct http *http, const char *method, const char *path, const char *headers,
                       const char *body);
/* Fails the test, with the body, unless it has this status. */
void http_expect(const struct http_answer *answer, unsigned status);
/* Fails the test unless the body has these words. */
void http_expect_words(const struct http_answer *answer, const char *words);
/* A POST that is answered with 200. */
struct http_answer http_post(struct stage *stage, const char *path, const char *headers,
                             const char *body);
/* Of the session's newest event; 0: there is no such session. */
uint64_t http_seq(struct stage *stage, const char *session);

/* -- event streams ----------------------------------------------------------------------------- */

/* A block of a stream, or a comment line. What is not there is "". */
struct http_event {
    const char *id;
    const char *type;
    const char *data;
    const char *retry;
    const char *comment; /* NULL: this is no comment */
    bool has_data;
};

/* The next block. False: the answer ended, properly or not (see has_ended). */
bool http_next(struct http *http, struct http_event *ret_event);
/* False: nothing came until then, or the answer ended. */
bool http_next_until(struct http *http, uint64_t due_ns, struct http_event *ret_event);
/* The next block that has data. Fails the test if there is none. */
struct http_event http_next_data(struct http *http);
/* The next blocks with data have these data. */
#define http_expect_data(http, ...)                                                                \
    http_expect_data_words(http, (const char *const[]){__VA_ARGS__, NULL})
void http_expect_data_words(struct http *http, const char *const *data);
/* The answer ends here, properly, with nothing but comments and fields without data before. */
void http_expect_end(struct http *http);

/* Opens a stream and reads its head. headers: as http_do's. */
struct http *http_stream(struct stage *stage, const char *path, const char *headers,
                         struct http_answer *ret_answer);

#endif
