/* SPDX-License-Identifier: Apache-2.0 */
/* core: the library's objects as Python's: Client, Producer, Subscription, Question, Sse.
 *
 * No method waits: where the library may have to, it is called with a timeout of 0, and the Python
 * above waits for the client's descriptor. So every call of the library is made with the GIL held,
 * which makes it one thread at a time. The exception is closing a client, which has no other user
 * by then.
 *
 * An object keeps its client alive. A client that is closed first closes what was opened through
 * it; those objects then raise SPN_E_INVALID. So objects can be closed, forgotten and collected in
 * any order.
 *
 * A new object may start the collector, and that any finalizer, which may close just the object
 * whose method runs. So what is lent is read with the collector disabled, and an object is looked
 * at again after arguments were taken.
 *
 * Owns     each object what it wraps, until it is closed or freed.
 * Errors   as in CPython.
 * Threads  any that holds the GIL.
 */
#ifndef SPN_PY_CORE_H
#define SPN_PY_CORE_H

#include "state.h"

struct py_child;

/* Threads that wait for one client: see core_wait.c. */
struct py_waiting {
    int bell;
    unsigned sleeping; /* threads that wait, the leader among them */
    bool led;
    bool ringing;
};

struct py_client {
    PyObject_HEAD struct py_state *state;
    spn_client *client;        /* NULL: closed */
    struct py_child *children; /* those that are open */
    uint64_t turns;            /* how often it was stepped */
    struct py_waiting waiting;
};

/* What every object that was opened through a client begins with. */
struct py_child {
    PyObject_HEAD struct py_client *owner; /* NULL: its constructor failed, or it was cleared */
    PyObject *context; /* what Python knows of it; never one that refers to the object */
    struct py_child *before, *next;
    void (*release)(struct py_child *child); /* closes what it wraps; NULL: closed already */
};

/* A subscription takes items from the library when somebody asks for them, one after the other,
 * until there is none. From then on the client's turns deliver them, each when it comes. If one
 * came while nobody waited, the library pauses the subscription, which then takes items itself
 * again. For threads, which have no turns, it always takes them itself. */
struct py_subscription {
    struct py_child child; /* its context makes the loop's futures; None: it is for threads */
    spn_subscription *subscription;
    unsigned long thread; /* the loop's */
    PyObject *items;      /* a list: what was delivered, and nobody took yet; NULL: nothing */
    PyObject *waiter;     /* the future of who waits for the next item; NULL: nobody does */
    PyObject *failure;    /* raised after the items; NULL: none */
    unsigned at_once;     /* items returned since the loop had a turn */
    bool of_log;          /* spn_follow */
    bool ended;
    bool unasked; /* the library may have items, and was not asked since */
    bool waiting; /* there is a waiter, for whom no item was taken yet */
    bool paused;  /* an item was taken that nobody waited for */
};

/* -- the life of a child ----------------------------------------------------------------------- */

/* Checks that the client is open, and gives the child its client and its context. The child is not
 * among the client's children yet. */
bool py_child_begin(struct py_child *child, PyObject *client, PyObject *context);
/* What it wraps is open: release will close it. */
void py_child_open(struct py_child *child, void (*release)(struct py_child *child));
void py_child_close(struct py_child *child); /* closing twice is closing once */
/* The client's, for calls and for the description of a failure. NULL, with an exception set: the
 * child or its client is closed. */
spn_client *py_child_client(struct py_child *child);
PyObject *py_child_raise(struct py_child *child, spn_err err);
struct py_state *py_child_state(struct py_child *child);

int py_child_traverse(PyObject *self, visitproc visit, void *arg);
int py_child_clear(PyObject *self);
void py_child_dealloc(PyObject *self);
/* Methods that every child has. */
PyObject *py_child_close_method(PyObject *self, PyObject *unused);
PyObject *py_child_closed(PyObject *self, void *unused);

/* -- items ------------------------------------------------------------------------------------- */

/* The library's next item. NULL without an exception: it has none yet. */
PyObject *py_subscription_ask(struct py_subscription *subscription);
/* The next of all, or what it raises instead. NULL without an exception: there is none yet. */
PyObject *py_subscription_take(struct py_subscription *subscription);
/* Keeps an item for who asks next, and runs nothing of Python if the collector is disabled. */
bool py_subscription_keep(struct py_subscription *subscription, PyObject *item);
/* Whoever waits for an item goes on. False, with an exception set. */
bool py_subscription_wake(struct py_subscription *subscription);
void py_subscription_end(struct py_subscription *subscription);
PyObject *py_next_new(struct py_subscription *subscription); /* of its __anext__ */

/* -- waiting ----------------------------------------------------------------------------------- */

bool py_waiting_init(struct py_waiting *waiting); /* false, with an exception set */
void py_waiting_release(struct py_waiting *waiting);
/* All threads that wait wake, and try again. */
void py_waiting_ring(struct py_waiting *waiting);
/* wait(turn, timeout_ms): returns when the client was stepped since this turn, or earlier. */
PyObject *py_client_wait(PyObject *self, PyObject *arguments);

/* -- the types --------------------------------------------------------------------------------- */

extern PyType_Spec py_client_spec;
extern PyType_Spec py_producer_spec;
extern PyType_Spec py_subscription_spec;
extern PyType_Spec py_next_spec;
extern PyType_Spec py_question_spec;
extern PyType_Spec py_sse_spec;

/* format_sse(event) and others that need no object: see _sponson.pyi. */
PyObject *py_format_sse(PyObject *module, PyObject *event);
PyObject *py_format_cursor(PyObject *module, PyObject *arguments);
PyObject *py_parse_cursor(PyObject *module, PyObject *text);

#endif
