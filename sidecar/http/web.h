/* SPDX-License-Identifier: Apache-2.0 */
/* web: all of libmicrohttpd: doors, connections, requests and their answers.
 *
 * An exchange is one request with its answer. It begins when its head has arrived; the handler
 * gives it its functions. From then on each step is a call of one of them:
 *
 *     begin -> take ... take -> finish -> give, wrote ... -> over
 *
 * take and give may say that they cannot go on; exchange_go_on continues then. Nothing is called
 * before that, and no byte is read or written: so the socket itself slows the peer down.
 * An exchange may be answered in any step before `give`. An answer that comes while the body is
 * still on its way closes the connection.
 *
 * Owns     its doors, connections and exchanges.
 * Borrows  the listening sockets; the handler.
 * Threads  one.
 */
#ifndef SPN_HTTP_WEB_H
#define SPN_HTTP_WEB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/out.h"

struct web;
struct exchange;

enum {
    EXCHANGE_WAIT = 0, /* give: nothing yet */
    EXCHANGE_END = -1, /* give: the answer is complete */
    EXCHANGE_CUT = -2, /* give: the connection ends without a proper end */
};

struct exchange_calls {
    /* Takes bytes of the body. Returns how many; fewer than size: wait. NULL: there may be none. */
    size_t (*take)(struct exchange *exchange, const void *bytes, size_t size);
    /* The request is complete. */
    void (*finish)(struct exchange *exchange);
    /* The bytes of a stream that are to be written next. Returns how many, or one of the values
     * above. They stay, and may become more, until `wrote` has said that some of them, or all, were
     * written. */
    ssize_t (*give)(struct exchange *exchange, const char **ret_bytes);
    void (*wrote)(struct exchange *exchange, size_t size);
    /* The peer is gone, or everything was written. The last call. NULL: nothing to do. */
    void (*over)(struct exchange *exchange);
};

/* Where connections come in. */
struct web_door {
    int fd;           /* a listening socket */
    bool is_tcp;      /* anybody on this host, or beyond, can reach it */
    const char *host; /* the address that it listens on, without its port; NULL: a Unix socket */
    bool is_admin;
};

/* A request that is over. */
struct web_record {
    const char *method; /* "": the head was refused before it was read */
    const char *target; /* as it came; the same */
    unsigned status;    /* 0: the peer left before */
    uint64_t bytes;     /* of the answer's body; of a stream those that were taken from it */
    uint64_t duration_ns;
};

enum web_slow {
    WEB_SILENT, /* nothing came */
    WEB_SLOW,   /* it had not its rate */
    WEB_HELD,   /* we did not read it, and its peer, which may be gone, sends no more */
};

struct web_options {
    unsigned connections_max; /* of each door */
    size_t header_limit;      /* bytes of the target and all headers together */
    uint64_t header_ns;       /* the time for them */
    uint64_t body_idle_ns;    /* the longest silence in a body that is read */
    uint64_t body_rate;       /* the fewest bytes a second in each body_idle_ns of it */
    uint64_t stall_ns;        /* the longest time in which a peer takes nothing of its answer */
    uint64_t (*now_ns)(void);
    /* The head of a request has arrived. Sets the exchange's calls and state, or answers it. */
    void (*begin)(void *context, struct exchange *exchange);
    /* The body took too long. Answers the exchange; then the connection ends. */
    void (*slow)(void *context, struct exchange *exchange, enum web_slow why);
    /* A request is over. NULL: nobody wants to know. */
    void (*over)(void *context, const struct web_record *record);
    void *context;
};

enum { WEB_STATUS_MAX = 600, WEB_DOORS_MAX = 12 };

struct web_counts {
    uint64_t accepted;
    uint64_t refused;               /* heads and framings that are invalid */
    uint64_t timeouts;              /* heads and bodies that took too long */
    unsigned open;                  /* connections */
    uint64_t posts[WEB_STATUS_MAX]; /* by the status of their answers; 0: the peer left before */
};

/* SPN_E_NOMEM, SPN_E_SYSTEM. Doors are copied; their descriptors are closed with the web. */
spn_err web_open(struct web **ret_web, const struct web_options *options,
                 const struct web_door *doors, size_t doors_count) SPN_MUST_USE;
void web_close(struct web *web); /* ends all exchanges; takes NULL */

/* Readable when web_turn has something to do. */
int web_fd(const struct web *web);
/* When web_turn is due by itself; UINT64_MAX: only when the descriptor is readable. */
uint64_t web_due_ns(const struct web *web);
void web_turn(struct web *web);

/* No connection is accepted any more. Those that are open stay. */
void web_quiesce(struct web *web);

const struct web_counts *web_counts(const struct web *web);

/* -- the request ------------------------------------------------------------------------------- */

void exchange_set(struct exchange *exchange, const struct exchange_calls *calls, void *state);
void *exchange_state(const struct exchange *exchange);

const struct web_door *exchange_door(const struct exchange *exchange);

const char *exchange_method(const struct exchange *exchange);
const char *exchange_target(const struct exchange *exchange); /* as it came, in raw bytes */
bool exchange_has_body(const struct exchange *exchange);
uint64_t exchange_length(const struct exchange *exchange); /* of the body; 0: it is not said */
/* The body may have any rate: it is a stream of events that may be rare. */
void exchange_is_endless(struct exchange *exchange);

/* The value of a header, the first of that name; data NULL: none. Valid until `over`. */
struct spn_bytes exchange_header(const struct exchange *exchange, const char *name);

/* Calls each(context, ...) for each header until that returns false. False: it did. */
bool exchange_each_header(const struct exchange *exchange,
                          bool (*each)(void *context, const char *name, struct spn_bytes value),
                          void *context);

/* For exchange_calls.take: takes all of a body, and does nothing with it. */
size_t exchange_ignore(struct exchange *exchange, const void *bytes, size_t size);

/* Words, if the raw head was one that no gateway may take: answer 400. NULL: it was fine. */
const char *exchange_fault(const struct exchange *exchange);

/* -- the answer -------------------------------------------------------------------------------- */

/* A header of the answer. name: a constant. value is copied; it must have no CR and no LF. */
void exchange_add(struct exchange *exchange, const char *name, const char *value);

/* Answers with a body, which may be empty. The bytes are copied. */
void exchange_answer(struct exchange *exchange, unsigned status, const void *body, size_t size);

/* The same with bytes that become the exchange's; *body is empty then. */
void exchange_answer_out(struct exchange *exchange, unsigned status, struct out *body);

/* Answers with what `give` writes. */
void exchange_stream(struct exchange *exchange, unsigned status);

bool exchange_is_answered(const struct exchange *exchange);

/* Continues after take or give could not, or after an answer was added outside of a call. */
void exchange_go_on(struct exchange *exchange);

/* Ends the connection, soon and without a proper end: `over` follows. */
void exchange_cut(struct exchange *exchange);

#endif
