/* SPDX-License-Identifier: Apache-2.0 */
/* gateway: what all requests share: the web, the client, the producers, and the time.
 *
 * Its turn takes what the sidecar sent and hands it to the requests that wait for it. A request
 * keeps what it waits for in a struct of its own; the context of a subscription or a question leads
 * back to it.
 *
 * Owns     the client, the producers, the heap of deadlines.
 * Borrows  the options.
 * Units    nanoseconds of the monotonic clock.
 * Threads  one.
 */
#ifndef SPN_HTTP_GATEWAY_H
#define SPN_HTTP_GATEWAY_H

#include "base/deadline_heap.h"
#include "base/link.h"
#include "http/admin_key.h"
#include "http/counts.h"
#include "http/ds/state.h"
#include "http/feed.h"
#include "http/lane.h"
#include "http/memory.h"
#include "http/options.h"
#include "http/places.h"
#include "http/state_dir.h"
#include "http/web.h"
#include "sponson.h"
#include "token/keys.h"

/* Somebody who waits for the time, or for an answer of the sidecar. */
struct waiter {
    struct deadline deadline;
    void (*on_due)(struct waiter *waiter);
    void (*on_answer)(struct waiter *waiter, spn_question *question);
};

struct gateway {
    const struct http_options *options;
    struct web *web;
    spn_client *client;
    struct keys *keys; /* NULL: no token is needed */
    struct state_dir state;
    struct lane accepted; /* for POSTs that are answered before their events are on disk */
    struct lane durable;  /* for all others */
    struct deadline_heap deadlines;
    struct feeds feeds;
    struct link streams;
    struct places sessions; /* with streams, if there is a limit; so for tokens */
    struct places tokens;
    struct link posts;      /* their bodies, and their answers */
    struct link polls;      /* of Durable Streams, while they wait */
    struct link publishers; /* all other requests that change something */
    struct ds_states ds_states;
    struct gateway_counts counts;
    struct admin_key admin_key;
    struct memory memory[MEMORY_USES];
    struct waiter pressed; /* streams wait for memory */
    void (*on_pressed)(struct gateway *gateway);
    struct waiter probe; /* asks the daemon every few seconds whether it is there */
    spn_question *probe_question;
    uint64_t heard_ns; /* when it last answered; 0: never */
    bool is_stopping;
};

/* The parts that requests go to. The gateway knows them only by these. */
struct gateway_parts {
    void (*begin)(void *gateway, struct exchange *exchange); /* of web_options; so is the next */
    void (*slow)(void *gateway, struct exchange *exchange, enum web_slow why);
    /* Streams wait for memory: called after each second of it. */
    void (*pressed)(struct gateway *gateway);
    struct lane_calls lane;
};

/* On failure ret_detail has a description for a person. */
spn_err gateway_open(struct gateway *gateway, const struct http_options *options,
                     const struct gateway_parts *parts, const struct web_door *doors,
                     size_t doors_count, char *ret_detail, size_t detail_size) SPN_MUST_USE;
void gateway_close(struct gateway *gateway);

/* Waits until there is something to do, or until a signal's descriptor is readable (stop_fd), and
 * does it. */
spn_err gateway_turn(struct gateway *gateway, int stop_fd, bool *ret_signal) SPN_MUST_USE;

uint64_t gateway_now_ns(void);

/* Whether the daemon answered lately. */
bool gateway_hears_daemon(const struct gateway *gateway);

/* Reads the key file, at the start and again later. False: ret_why says why not, and the keys stay.
 */
bool gateway_read_keys(struct gateway *gateway, char *ret_why, size_t why_size);

/* on_due is called once, after so many nanoseconds; 0: not any more. */
void gateway_wait(struct gateway *gateway, struct waiter *waiter, uint64_t after_ns);

#endif
