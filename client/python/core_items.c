/* SPDX-License-Identifier: Apache-2.0 */
/* The items of a subscription: how they get to those who wait for them. */
#include "core.h"
#include "give.h"

static PyObject *give(struct py_subscription *subscription, const struct spn_item *item)
{
    const struct py_state *state = py_child_state(&subscription->child);
    int collects = PyGC_Disable(); /* see core.h */
    PyObject *given =
        subscription->of_log ? py_give_log_item(state, item) : py_give_item(state, item);
    if (collects)
        PyGC_Enable();
    return given;
}

PyObject *py_subscription_ask(struct py_subscription *subscription)
{
    const struct spn_item *item;
    spn_err err = SPN_OK;
    if (py_child_client(&subscription->child) == NULL)
        return NULL;
    if (subscription->paused)
        err = spn_subscription_pause(subscription->subscription, false);
    if (err == SPN_OK) {
        subscription->paused = false;
        err = spn_subscription_next(subscription->subscription, 0, &item);
    }
    if (err == SPN_OK)
        return give(subscription, item);
    if (err != SPN_E_TIMEOUT && err != SPN_E_END && err != SPN_E_PATH)
        py_child_raise(&subscription->child, err);
    return NULL;
}

/* The oldest of those that turns delivered. */
static PyObject *take_delivered(struct py_subscription *subscription)
{
    PyObject *item = Py_NewRef(PyList_GetItem(subscription->items, 0));
    if (PyList_SetSlice(subscription->items, 0, 1, NULL) != 0)
        Py_CLEAR(item);
    return item;
}

PyObject *py_subscription_take(struct py_subscription *subscription)
{
    PyObject *item = NULL;
    if (subscription->items != NULL && PyList_Size(subscription->items) > 0) {
        item = take_delivered(subscription);
    } else if (subscription->ended) {
        PyErr_SetNone(PyExc_StopAsyncIteration);
    } else if (subscription->failure != NULL) {
        (void)PyException_SetTraceback(subscription->failure, Py_None); /* or it would grow */
        PyErr_SetObject((PyObject *)Py_TYPE(subscription->failure), subscription->failure);
    } else if (subscription->unasked) {
        item = py_subscription_ask(subscription);
        subscription->unasked = item != NULL;
    }
    return item;
}

bool py_subscription_keep(struct py_subscription *subscription, PyObject *item)
{
    if (subscription->items == NULL)
        subscription->items = PyList_New(0);
    return subscription->items != NULL && PyList_Append(subscription->items, item) == 0;
}

/* It stays the waiter if this is interrupted: whatever ends the client wakes it then. */
bool py_subscription_wake(struct py_subscription *subscription)
{
    if (subscription->waiter == NULL)
        return true;
    const struct py_state *state = py_child_state(&subscription->child);
    PyObject *waiter = Py_NewRef(subscription->waiter);
    PyObject *done = PyObject_CallMethodObjArgs(waiter, state->words[PY_DONE], NULL);
    int is_done = done != NULL ? PyObject_IsTrue(done) : -1;
    PyObject *set = NULL;
    if (is_done == 0)
        set = PyObject_CallMethodObjArgs(waiter, state->words[PY_SET_RESULT], Py_None, NULL);
    bool woken = set != NULL || is_done > 0;
    if (woken && subscription->waiter == waiter)
        Py_CLEAR(subscription->waiter);
    Py_XDECREF(set);
    Py_XDECREF(done);
    Py_DECREF(waiter);
    return woken;
}

void py_subscription_end(struct py_subscription *subscription)
{
    subscription->ended = true;
    py_child_close(&subscription->child);
}
