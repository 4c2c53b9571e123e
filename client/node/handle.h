/* SPDX-License-Identifier: Apache-2.0 */
/* handle: a client, and what came from it, as objects of JavaScript.
 *
 * JavaScript collects objects in any order, and the library wants a client closed last. So a client
 * lists its parts. Closing it closes them, and each stays as an empty struct until its own object
 * is collected.
 *
 * Owns     the structs: each belongs to its JavaScript object, a client also to its poll handle.
 * Errors   a function that returns false has left an exception for JavaScript.
 * Threads  that of the environment; each worker thread has its own.
 */
#ifndef SPONSON_NODE_HANDLE_H
#define SPONSON_NODE_HANDLE_H

#include <node_api.h>
#include <stdbool.h>
#include <uv.h>

#include <sponson.h>

struct part;

struct handle {
    napi_env env;
    spn_client *client; /* NULL: closed */
    struct part *parts;
    uv_poll_t *poll;   /* of the client's descriptor; NULL: closed */
    napi_ref turn;     /* called when the descriptor is readable */
    napi_ref room_ref; /* keeps `room` */
    double *room;      /* numbers that a call returns beside its value */
    size_t room_count;
    napi_async_cleanup_hook_handle hook; /* closes it when the environment ends */
    unsigned holders;                    /* the JavaScript object, the poll handle */
};

/* The first member of a producer, a subscription, a replay and a question. */
struct part {
    struct handle *handle; /* NULL: closed */
    struct part *before, *next;
    void (*close)(struct part *part); /* gives back what the library has of it */
};

/* One call from JavaScript. */
enum { CALL_ARGS_MAX = 10 };
struct call {
    napi_env env;
    size_t count;    /* of the arguments that were given */
    napi_value self; /* `this` */
    napi_value args[CALL_ARGS_MAX];
};

/* Reads `this` and the arguments; those that are missing are undefined. */
bool call_begin(struct call *call, napi_env env, napi_callback_info info);
/* The same of a constructor; it is a TypeError without `new`. */
bool call_begin_new(struct call *call, napi_env env, napi_callback_info info);
/* What `this` was made with; never NULL when true. */
bool call_unwrap(const struct call *call, void **ret_pointer);
/* `this` as an open client or an open part. */
bool call_handle(struct call *call, napi_env env, napi_callback_info info,
                 struct handle **ret_handle);
bool call_part(struct call *call, napi_env env, napi_callback_info info, struct part **ret_part);

/* A class of the addon's exports. */
bool handle_export(napi_env env, napi_value exports, const char *name, napi_callback make,
                   size_t count, const napi_property_descriptor *methods);

/* Adds a new part to the client that is the argument, and ties it to `this`. The part is the start
 * of a block of malloc, which is freed if this fails. */
bool part_check_client(const struct call *call, napi_value client, struct handle **ret_handle);
bool part_adopt(const struct call *call, struct handle *handle, struct part *part,
                void (*close)(struct part *part));
void part_close(struct part *part);

/* Ties a new handle, whose members up to here are zero, to `this`. On failure, and when `this` is
 * collected, handle_detach and handle_release are called. */
bool handle_adopt(const struct call *call, struct handle *handle);
/* Watches the descriptor of the handle's client. */
bool handle_watch(struct handle *handle);
/* Closes the parts, and takes the library's client out: it is to be closed with spn_client_close.
 * NULL: that was done before. */
spn_client *handle_detach(struct handle *handle);
/* One holder less: the JavaScript object, or the poll handle. */
void handle_release(struct handle *handle);

#endif
