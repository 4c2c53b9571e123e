/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

bool py_child_begin(struct py_child *child, PyObject *client, PyObject *context)
{
    const struct py_state *state = py_state_of((PyObject *)child);
    if (state == NULL)
        return false;
    if ((PyObject *)Py_TYPE(client) != state->client_type) {
        PyErr_SetString(PyExc_TypeError, "client: expected a Client");
        return false;
    }
    struct py_client *owner = (struct py_client *)client;
    if (owner->client == NULL) {
        py_raise_text(state, SPN_E_INVALID, "the client is closed");
        return false;
    }
    child->owner = (struct py_client *)Py_NewRef(client);
    child->context = Py_NewRef(context);
    return true;
}

void py_child_open(struct py_child *child, void (*release)(struct py_child *child))
{
    struct py_client *owner = child->owner;
    child->release = release;
    child->before = NULL;
    child->next = owner->children;
    if (child->next != NULL)
        child->next->before = child;
    owner->children = child;
}

void py_child_close(struct py_child *child)
{
    void (*release)(struct py_child * child) = child->release;
    if (release == NULL)
        return;
    child->release = NULL;
    if (child->before != NULL)
        child->before->next = child->next;
    else
        child->owner->children = child->next;
    if (child->next != NULL)
        child->next->before = child->before;
    child->before = child->next = NULL;
    py_waiting_ring(&child->owner->waiting); /* a thread may wait for just this one */
    release(child);
}

struct py_state *py_child_state(struct py_child *child)
{
    return child->owner->state;
}

spn_client *py_child_client(struct py_child *child)
{
    if (child->release != NULL)
        return child->owner->client;
    py_raise_text(py_child_state(child), SPN_E_INVALID, "it is closed");
    return NULL;
}

PyObject *py_child_raise(struct py_child *child, spn_err err)
{
    return py_raise(py_child_state(child), err, child->owner->client);
}

int py_child_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct py_child *child = (struct py_child *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(child->owner);
    Py_VISIT(child->context);
    return 0;
}

/* The client stays: it refers to nothing, so it is part of no cycle. */
int py_child_clear(PyObject *self)
{
    Py_CLEAR(((struct py_child *)self)->context);
    return 0;
}

void py_child_dealloc(PyObject *self)
{
    struct py_child *child = (struct py_child *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    PyObject_GC_UnTrack(self);
    py_child_close(child);
    Py_CLEAR(child->context);
    Py_CLEAR(child->owner);
    release(self);
    Py_DECREF(type);
}

PyObject *py_child_close_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    py_child_close((struct py_child *)self);
    return Py_NewRef(Py_None);
}

PyObject *py_child_closed(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct py_child *)self)->release == NULL);
}
