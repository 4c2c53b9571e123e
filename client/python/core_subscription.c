/* SPDX-License-Identifier: Apache-2.0 */
/* Subscription, to a session or to the log. */
#include "core.h"
#include "take.h"

static struct py_subscription *subscription_of(PyObject *self)
{
    return (struct py_subscription *)self;
}

static void release_subscription(struct py_child *child)
{
    struct py_subscription *subscription = (struct py_subscription *)child;
    spn_subscription *closing = subscription->subscription;
    subscription->subscription = NULL;
    spn_unsubscribe(closing);
}

/* (session, start, after, after_life, after_seq, otherwise, window_bytes) */
static spn_err begin_session(struct py_subscription *subscription, PyObject *arguments)
{
    static const char *const otherwise[] = {"fail", "restart", "wait", "restart+wait", NULL};
    PyObject *values[7];
    struct py_hold hold = {0};
    struct spn_bytes session;
    struct spn_subscription_options options = {.size = sizeof(options)};
    int start;
    int bits;
    spn_err err = SPN_E_INVALID;
    if (PyArg_ParseTuple(arguments, "OOOOOOO:subscribe", &values[0], &values[1], &values[2],
                         &values[3], &values[4], &values[5], &values[6]) &&
        py_take_bytes(&hold, values[0], "session", &session) &&
        py_take_word(values[1], "start", py_starts, &start) &&
        py_take_bytes(&hold, values[2], "after", &options.after) &&
        py_take_life(values[3], "after", &options.after_life) &&
        py_take_number(values[4], "after", UINT64_MAX, &options.after_seq) &&
        py_take_word(values[5], "otherwise", otherwise, &bits) &&
        py_take_size(values[6], "window_bytes", &options.window_bytes)) {
        options.start = (spn_start)start;
        options.otherwise = (unsigned)bits;
        err = spn_subscribe(&subscription->subscription, subscription->child.owner->client, session,
                            &options);
    }
    py_hold_release(&hold);
    return err;
}

/* (start, database, position, prefix, touches, window_bytes) */
static spn_err begin_log(struct py_subscription *subscription, PyObject *arguments)
{
    PyObject *values[6];
    struct py_hold hold = {0};
    struct spn_follow_options options = {.size = sizeof(options)};
    int start;
    spn_err err = SPN_E_INVALID;
    if (PyArg_ParseTuple(arguments, "OOOOOO:follow", &values[0], &values[1], &values[2], &values[3],
                         &values[4], &values[5]) &&
        py_take_word(values[0], "start", py_starts, &start) &&
        (values[1] == Py_None ||
         py_take_exactly(values[1], "after", options.database, SPN_DATABASE_ID_SIZE)) &&
        py_take_number(values[2], "after", UINT64_MAX, &options.position) &&
        py_take_bytes(&hold, values[3], "prefix", &options.prefix) &&
        py_take_bool(values[4], "touches", &options.touches) &&
        py_take_size(values[5], "window_bytes", &options.window_bytes)) {
        options.start = (spn_start)start;
        err = spn_follow(&subscription->subscription, subscription->child.owner->client, &options);
    }
    py_hold_release(&hold);
    return err;
}

/* Subscription(client, create_future, of_log, arguments) */
static PyObject *subscription_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    PyObject *client;
    PyObject *create_future;
    PyObject *options;
    int of_log;
    (void)named;
    if (!PyArg_ParseTuple(arguments, "OOpO!:Subscription", &client, &create_future, &of_log,
                          &PyTuple_Type, &options))
        return NULL;
    PyObject *self = PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    struct py_subscription *subscription = subscription_of(self);
    spn_err err = SPN_E_INVALID;
    subscription->of_log = of_log != 0;
    subscription->unasked = true;
    subscription->thread = PyThread_get_thread_ident();
    if (py_child_begin(&subscription->child, client, create_future))
        err = of_log ? begin_log(subscription, options) : begin_session(subscription, options);
    if (err == SPN_OK) {
        spn_subscription_set_context(subscription->subscription, subscription);
        py_child_open(&subscription->child, release_subscription);
        return self;
    }
    if (PyErr_Occurred() == NULL)
        py_child_raise(&subscription->child, err);
    Py_DECREF(self);
    return NULL;
}

/* -- methods ----------------------------------------------------------------------------------- */

/* _take() -> the next item; None: there is none yet. For threads. */
static PyObject *subscription_take(PyObject *self, PyObject *unused)
{
    PyObject *item = py_subscription_ask(subscription_of(self));
    (void)unused;
    return item != NULL || PyErr_Occurred() != NULL ? item : Py_NewRef(Py_None);
}

/* _fail(error): it raises this after what it has. */
static PyObject *subscription_fail(PyObject *self, PyObject *error)
{
    struct py_subscription *subscription = subscription_of(self);
    if (!PyObject_TypeCheck(error, (PyTypeObject *)PyExc_BaseException))
        return PyErr_Format(PyExc_TypeError, "_fail: expected an exception");
    PyObject *old = subscription->failure;
    subscription->failure = Py_NewRef(error);
    Py_XDECREF(old);
    return py_subscription_wake(subscription) ? Py_NewRef(Py_None) : NULL;
}

/* _end(wakes): it ends at once, whatever it has, and so does a wait for its next item. */
static PyObject *subscription_end(PyObject *self, PyObject *wakes)
{
    struct py_subscription *subscription = subscription_of(self);
    py_subscription_end(subscription);
    Py_CLEAR(subscription->items);
    return wakes != Py_True || py_subscription_wake(subscription) ? Py_NewRef(Py_None) : NULL;
}

static PyObject *subscription_next(PyObject *self)
{
    return py_next_new(subscription_of(self));
}

/* How many items it has that nobody took. */
static PyObject *subscription_delivered(PyObject *self, void *unused)
{
    const struct py_subscription *subscription = subscription_of(self);
    (void)unused;
    return PyLong_FromSsize_t(subscription->items != NULL ? PyList_Size(subscription->items) : 0);
}

static PyObject *subscription_unasked(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(subscription_of(self)->unasked);
}

static int subscription_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct py_subscription *subscription = subscription_of(self);
    Py_VISIT(subscription->items);
    Py_VISIT(subscription->waiter);
    Py_VISIT(subscription->failure);
    return py_child_traverse(self, visit, arg);
}

static int subscription_clear(PyObject *self)
{
    struct py_subscription *subscription = subscription_of(self);
    Py_CLEAR(subscription->items);
    Py_CLEAR(subscription->waiter);
    Py_CLEAR(subscription->failure);
    return py_child_clear(self);
}

static void subscription_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    (void)subscription_clear(self);
    py_child_dealloc(self);
}

static PyMethodDef subscription_methods[] = {
    {"_take", subscription_take, METH_NOARGS, NULL},
    {"_fail", subscription_fail, METH_O, NULL},
    {"_end", subscription_end, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef subscription_fields[] = {
    {"_closed", py_child_closed, NULL, NULL, NULL},
    {"_delivered", subscription_delivered, NULL, NULL, NULL},
    {"_unasked", subscription_unasked, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot subscription_slots[] = {
    {Py_tp_new, (void *)subscription_new},
    {Py_tp_dealloc, (void *)subscription_dealloc},
    {Py_tp_traverse, (void *)subscription_traverse},
    {Py_tp_clear, (void *)subscription_clear},
    {Py_am_anext, (void *)subscription_next},
    {Py_tp_methods, subscription_methods},
    {Py_tp_getset, subscription_fields},
    {0, NULL},
};

PyType_Spec py_subscription_spec = {
    .name = "sponson._sponson.Subscription",
    .basicsize = sizeof(struct py_subscription),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = subscription_slots,
};
