/* SPDX-License-Identifier: Apache-2.0 */
/* Next: what one __anext__ of a subscription returns, to be awaited once. It behaves as a coroutine
 * would:
 *
 *   after 64 items without a turn of the loop: let it have one
 *   while there is no item:
 *       raise what ended or failed the subscription
 *       await a future, which the next delivery ends
 *   return the item
 *
 * An item leaves its subscription only when it is returned, so cancelling loses none. It is written
 * in C because a thousand readers of one event run it a thousand times. */
#include "core.h"

enum {
    AT_ONCE_MAX = 64, /* items that one subscription returns before the loop has a turn */
};

enum next_step { BEGINS, HAD_TURN, WAITS, DONE };

struct py_next {
    PyObject_HEAD struct py_subscription *subscription;
    PyObject *waiter; /* while it waits */
    enum next_step step;
};

static struct py_next *next_of(PyObject *self)
{
    return (struct py_next *)self;
}

PyObject *py_next_new(struct py_subscription *subscription)
{
    PyObject *self = PyType_GenericAlloc(py_child_state(&subscription->child)->next_type, 0);
    if (self != NULL)
        next_of(self)->subscription = (struct py_subscription *)Py_NewRef((PyObject *)subscription);
    return self;
}

/* It does not wait any more. */
static void leave(struct py_next *next)
{
    struct py_subscription *subscription = next->subscription;
    if (next->waiter != NULL && subscription != NULL && subscription->waiter == next->waiter) {
        Py_CLEAR(subscription->waiter);
        subscription->waiting = false;
    }
    Py_CLEAR(next->waiter);
}

/* A future as the loop's tasks expect it of who awaits one. */
static PyObject *new_future(struct py_subscription *subscription)
{
    const struct py_state *state = py_child_state(&subscription->child);
    PyObject *future = PyObject_CallNoArgs(subscription->child.context);
    if (future != NULL && PyObject_SetAttr(future, state->words[PY_BLOCKING], Py_True) != 0)
        Py_CLEAR(future);
    return future;
}

static PySendResult finish(struct py_next *next, PyObject *item, PyObject **ret)
{
    struct py_subscription *subscription = next->subscription;
    const struct py_state *state = py_child_state(&subscription->child);
    next->step = DONE;
    *ret = item;
    if (item != NULL && (PyObject *)Py_TYPE(item) == state->records[PY_END])
        py_subscription_end(subscription);
    return item != NULL ? PYGEN_RETURN : PYGEN_ERROR;
}

/* In the loop's thread. Python knows who may call it, and what it says to others. */
static bool check_thread(struct py_subscription *subscription)
{
    if (PyThread_get_thread_ident() == subscription->thread)
        return true;
    const struct py_state *state = py_child_state(&subscription->child);
    PyObject *checked =
        PyObject_CallMethodObjArgs((PyObject *)subscription, state->words[PY_CHECK_THREAD], NULL);
    Py_XDECREF(checked);
    return checked != NULL;
}

static bool check_alone(struct py_subscription *subscription)
{
    if (subscription->waiter != NULL)
        PyErr_SetString(PyExc_RuntimeError,
                        "another task waits for the next item of this subscription");
    return subscription->waiter == NULL;
}

/* There is no item. What makes the future is Python, and the collector may run: by the time there
 * is one, an item may have come, the subscription may have ended, or somebody else may wait. */
static PySendResult wait_for_delivery(struct py_next *next, PyObject **ret)
{
    struct py_subscription *subscription = next->subscription;
    PyObject *future = new_future(subscription);
    PyObject *item = NULL;
    if (future != NULL && check_alone(subscription))
        item = py_subscription_take(subscription);
    if (item != NULL || PyErr_Occurred() != NULL) {
        Py_XDECREF(future);
        return finish(next, item, ret);
    }
    subscription->at_once = 0;
    next->step = WAITS;
    next->waiter = Py_NewRef(future);
    subscription->waiter = Py_NewRef(future);
    subscription->waiting = true;
    *ret = future;
    return PYGEN_NEXT;
}

static PySendResult next_resume(PyObject *self, PyObject *value, PyObject **ret)
{
    struct py_next *next = next_of(self);
    struct py_subscription *subscription = next->subscription;
    (void)value;
    *ret = NULL;
    if (next->step == DONE || subscription == NULL || subscription->child.context == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot await the same __anext__() again");
        return PYGEN_ERROR;
    }
    if (next->step == BEGINS) {
        if (!check_thread(subscription))
            return finish(next, NULL, ret);
        if (++subscription->at_once > AT_ONCE_MAX) {
            subscription->at_once = 0;
            next->step = HAD_TURN;
            *ret = Py_NewRef(Py_None);
            return PYGEN_NEXT;
        }
    }
    bool waited = next->step == WAITS;
    leave(next);
    if (!waited && !check_alone(subscription))
        return finish(next, NULL, ret);
    PyObject *item = py_subscription_take(subscription);
    if (item == NULL && PyErr_Occurred() == NULL)
        return wait_for_delivery(next, ret);
    return finish(next, item, ret);
}

static PyObject *next_send(PyObject *self, PyObject *value)
{
    PyObject *result;
    PySendResult sent = next_resume(self, value, &result);
    if (sent != PYGEN_RETURN)
        return result;
    /* Made here: a record is a tuple, which PyErr_SetObject takes for the arguments. */
    PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, result, NULL);
    if (stop != NULL)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(result);
    return NULL;
}

static PyObject *next_iternext(PyObject *self)
{
    return next_send(self, Py_None);
}

/* What is restored without a check, and is no exception, crashes where Python takes it for one. */
static bool check_thrown(PyObject *type, PyObject *value, PyObject *traceback)
{
    if (PyExceptionInstance_Check(type) && value != Py_None)
        PyErr_SetString(PyExc_TypeError, "throw: an exception has no separate value");
    else if (!PyExceptionInstance_Check(type) && !PyExceptionClass_Check(type))
        PyErr_SetString(PyExc_TypeError, "throw: expected an exception or its class");
    else if (traceback != Py_None && !PyTraceBack_Check(traceback))
        PyErr_SetString(PyExc_TypeError, "throw: expected a traceback");
    else
        return true;
    return false;
}

/* throw(exception), or throw(type, value, traceback) */
static PyObject *next_throw(PyObject *self, PyObject *arguments)
{
    PyObject *type;
    PyObject *value = Py_None;
    PyObject *traceback = Py_None;
    if (!PyArg_ParseTuple(arguments, "O|OO:throw", &type, &value, &traceback) ||
        !check_thrown(type, value, traceback))
        return NULL;
    leave(next_of(self));
    next_of(self)->step = DONE;
    if (PyExceptionInstance_Check(type))
        PyErr_SetObject(PyExceptionInstance_Class(type), type);
    else
        PyErr_Restore(Py_NewRef(type), Py_NewRef(value),
                      Py_XNewRef(traceback == Py_None ? NULL : traceback));
    return NULL;
}

static PyObject *next_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    leave(next_of(self));
    next_of(self)->step = DONE;
    return Py_NewRef(Py_None);
}

static PyObject *next_await(PyObject *self)
{
    return Py_NewRef(self);
}

static int next_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)next_of(self)->subscription);
    Py_VISIT(next_of(self)->waiter);
    return 0;
}

static int next_clear(PyObject *self)
{
    struct py_next *next = next_of(self);
    leave(next);
    Py_CLEAR(next->subscription);
    return 0;
}

static void next_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    PyObject_GC_UnTrack(self);
    (void)next_clear(self);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef next_methods[] = {
    {"send", next_send, METH_O, NULL},
    {"throw", next_throw, METH_VARARGS, NULL},
    {"close", next_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot next_slots[] = {
    {Py_tp_dealloc, (void *)next_dealloc},
    {Py_tp_traverse, (void *)next_traverse},
    {Py_tp_clear, (void *)next_clear},
    {Py_tp_iter, (void *)next_await},
    {Py_tp_iternext, (void *)next_iternext},
    {Py_am_await, (void *)next_await},
    {Py_am_send, (void *)next_resume},
    {Py_tp_methods, next_methods},
    {0, NULL},
};

PyType_Spec py_next_spec = {
    .name = "sponson._sponson.Next",
    .basicsize = sizeof(struct py_next),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = next_slots,
};
