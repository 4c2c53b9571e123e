/* SPDX-License-Identifier: Apache-2.0 */
/* Client: the connection, its turns, and what has come for all of its objects. */
#include "core.h"

#include <string.h>

#include "give.h"
#include "take.h"

enum {
    DETAIL_SIZE = 512,
    /* Of one call of deliver_items: about a millisecond. */
    ITEM_BYTES_MAX = 256 * 1024,
};

static struct py_client *client_of(PyObject *self)
{
    return (struct py_client *)self;
}

/* NULL, with an exception set: it is closed. */
static spn_client *open_client(PyObject *self)
{
    struct py_client *client = client_of(self);
    if (client->client == NULL)
        py_raise_text(client->state, SPN_E_INVALID, "the client is closed");
    return client->client;
}

static PyObject *fail(PyObject *self, spn_err err)
{
    return py_raise(client_of(self)->state, err, client_of(self)->client);
}

/* -- life -------------------------------------------------------------------------------------- */

/* The last client of a process waits for what level none has on its way. Nobody else can reach this
 * one any more, so others may run meanwhile. */
static void close_client(struct py_client *client)
{
    while (client->children != NULL)
        py_child_close(client->children);
    spn_client *closing = client->client;
    client->client = NULL;
    if (closing == NULL)
        return;
    py_waiting_ring(&client->waiting);
    Py_BEGIN_ALLOW_THREADS spn_client_close(closing);
    Py_END_ALLOW_THREADS
}

static bool take_client_options(PyObject *const *values, struct spn_client_options *options,
                                struct py_hold *hold)
{
    struct spn_bytes dir = {NULL, 0};
    uint64_t send_hwm;
    if (values[0] != Py_None && !py_take_bytes(hold, values[0], "socket_dir", &dir))
        return false;
    /* Bytes of Python end with a NUL. */
    if (dir.data != NULL && strlen(dir.data) != dir.size) {
        PyErr_SetString(PyExc_ValueError, "socket_dir: has a NUL");
        return false;
    }
    options->socket_dir = dir.data;
    if (!py_take_bool(values[1], "at_once", &options->at_once) ||
        !py_take_number(values[2], "send_hwm", INT_MAX, &send_hwm) ||
        !py_take_size(values[3], "read_bytes_max", &options->read_bytes_max) ||
        !py_take_size(values[4], "questions_max", &options->questions_max))
        return false;
    options->send_hwm = (int)send_hwm;
    return true;
}

static PyObject *client_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    PyObject *values[5];
    struct spn_client_options options = {.size = sizeof(options)};
    struct py_hold hold = {0};
    char detail[DETAIL_SIZE] = "";
    (void)named;
    if (!PyArg_ParseTuple(arguments, "OOOOO:Client", &values[0], &values[1], &values[2], &values[3],
                          &values[4]))
        return NULL;
    PyObject *self = PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    struct py_client *client = client_of(self);
    client->state = PyType_GetModuleState(type);
    bool opened = py_waiting_init(&client->waiting) && take_client_options(values, &options, &hold);
    if (opened) {
        spn_err err = spn_client_begin(&client->client, &options, detail, sizeof(detail));
        opened = err == SPN_OK;
        if (!opened)
            py_raise_text(client->state, err, detail[0] != '\0' ? detail : spn_err_text(err));
    }
    py_hold_release(&hold);
    if (!opened)
        Py_CLEAR(self);
    return self;
}

static void client_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    close_client(client_of(self));
    py_waiting_release(&client_of(self)->waiting);
    release(self);
    Py_DECREF(type);
}

static PyObject *client_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    close_client(client_of(self));
    return Py_NewRef(Py_None);
}

static PyObject *client_closed(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(client_of(self)->client == NULL);
}

/* -- turns ------------------------------------------------------------------------------------- */

static PyObject *client_fileno(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_client *client = open_client(self);
    return client != NULL ? PyLong_FromLong(spn_client_fd(client)) : NULL;
}

static PyObject *client_ready(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_client *client = open_client(self);
    if (client == NULL)
        return NULL;
    spn_err err = spn_client_ready(client);
    return err == SPN_OK || err == SPN_E_TIMEOUT ? PyBool_FromLong(err == SPN_OK) : fail(self, err);
}

static PyObject *client_step(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_client *client = open_client(self);
    if (client == NULL)
        return NULL;
    spn_err err = spn_client_step(client);
    client_of(self)->turns++;
    return err == SPN_OK ? Py_NewRef(Py_None) : fail(self, err);
}

static PyObject *client_turns(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(client_of(self)->turns);
}

static PyObject *client_detail(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_client *client = open_client(self);
    return client != NULL ? py_give_text(spn_text(spn_client_detail(client))) : NULL;
}

static PyObject *client_data_max(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_client *client = open_client(self);
    return client != NULL ? PyLong_FromSize_t(spn_client_data_max(client)) : NULL;
}

/* -- what has come ----------------------------------------------------------------------------- */

static bool is_nothing_yet(spn_err err)
{
    return err == SPN_E_TIMEOUT || err == SPN_E_END || err == SPN_E_PATH;
}

static PyObject *client_take_answers(PyObject *self, PyObject *limit)
{
    uint64_t left;
    PyObject *contexts = py_take_number(limit, "limit", UINT32_MAX, &left) ? PyList_New(0) : NULL;
    spn_client *client = open_client(self);
    if (client == NULL)
        Py_CLEAR(contexts);
    while (contexts != NULL && left-- > 0) {
        spn_question *question;
        spn_err err = spn_next_answered(client, 0, &question);
        if (is_nothing_yet(err))
            break;
        struct py_child *child = err == SPN_OK ? spn_question_context(question) : NULL;
        if (err != SPN_OK)
            fail(self, err);
        if (err != SPN_OK ||
            PyList_Append(contexts, child->context != NULL ? child->context : Py_None) != 0)
            Py_CLEAR(contexts);
    }
    return contexts;
}

/* The event that was given last in this call. Of one event to many subscriptions, all get the same
 * record. */
struct given {
    const spn_subscription *subscription;
    const struct spn_event *event; /* valid until its subscription is called again; NULL: none */
    PyObject *record;              /* its subscription keeps it */
};

static bool same_bytes(struct spn_bytes one, struct spn_bytes other)
{
    return one.size == other.size && (one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

static bool same_event(const struct spn_event *one, const struct spn_event *other)
{
    return one->position == other->position && one->seq == other->seq &&
           memcmp(&one->life, &other->life, sizeof(one->life)) == 0 && one->kind == other->kind &&
           one->time_ms == other->time_ms && one->retry_ms == other->retry_ms &&
           one->resets_id == other->resets_id && one->closes == other->closes &&
           same_bytes(one->id, other->id) && same_bytes(one->type, other->type) &&
           same_bytes(one->data, other->data) && same_bytes(one->note, other->note) &&
           same_bytes(one->reason, other->reason);
}

static PyObject *give_item(struct py_subscription *subscription, const struct spn_item *item,
                           struct given *given)
{
    const struct py_state *state = py_child_state(&subscription->child);
    if (subscription->of_log)
        return py_give_log_item(state, item);
    if (item->kind != SPN_ITEM_EVENT)
        return py_give_item(state, item);
    if (given->event == NULL || given->subscription == subscription->subscription ||
        !same_event(given->event, item->event)) {
        given->record = py_give_item(state, item);
        given->event = given->record != NULL ? item->event : NULL;
        given->subscription = subscription->subscription;
        return given->record;
    }
    return Py_NewRef(given->record);
}

/* Gives it the item, and adds it to those whose waiter is to be woken. A subscription whose item
 * nobody waited for is paused after it, so that at most one such item is kept here, and the rest
 * under the limits of the library. */
static bool add_item(PyObject *woken, struct py_subscription *subscription,
                     const struct spn_item *item, struct given *given)
{
    PyObject *record = give_item(subscription, item, given);
    bool added = record != NULL && py_subscription_keep(subscription, record) &&
                 (!subscription->waiting || PyList_Append(woken, (PyObject *)subscription) == 0);
    Py_XDECREF(record);
    if (!subscription->waiting && !subscription->paused) {
        if (given->subscription == subscription->subscription)
            given->event = NULL;
        subscription->paused = spn_subscription_pause(subscription->subscription, true) == SPN_OK;
        subscription->unasked = true;
    }
    subscription->waiting = false;
    return added;
}

/* Returns whether there may be more, or -1 with an exception set. */
static int take_items(PyObject *self, PyObject *woken, uint64_t count_max)
{
    size_t bytes = 0;
    struct given given = {0};
    while (count_max-- > 0 && bytes < ITEM_BYTES_MAX) {
        spn_subscription *subscription;
        const struct spn_item *item;
        spn_err err = spn_next_of_any(client_of(self)->client, 0, &subscription, &item);
        if (is_nothing_yet(err))
            return 0;
        if (err != SPN_OK) {
            fail(self, err);
            return -1;
        }
        bytes += item->event != NULL ? item->event->data.size : 0;
        struct py_subscription *found = spn_subscription_context(subscription);
        /* One that is being freed is called by none, and not to be referred to again. */
        if (Py_REFCNT((PyObject *)found) > 0 && !add_item(woken, found, item, &given))
            return -1;
    }
    return 1;
}

/* Waking calls the loop, which may do anything: so all of them have their items by then. */
static bool wake(PyObject *woken)
{
    for (Py_ssize_t i = 0; i < PyList_Size(woken); i++)
        if (!py_subscription_wake((struct py_subscription *)PyList_GetItem(woken, i)))
            return false;
    return true;
}

/* deliver_items(limit) -> whether there may be more. If it raises, one may be lost, and some may be
 * asleep that have an item. */
static PyObject *client_deliver_items(PyObject *self, PyObject *limit)
{
    uint64_t count_max;
    if (open_client(self) == NULL || !py_take_number(limit, "limit", UINT32_MAX, &count_max))
        return NULL;
    PyObject *woken = PyList_New(0);
    int collects = PyGC_Disable(); /* see core.h */
    int more = woken != NULL ? take_items(self, woken, count_max) : -1;
    if (collects)
        PyGC_Enable();
    bool delivered = more >= 0 && wake(woken);
    Py_XDECREF(woken);
    return delivered ? PyBool_FromLong(more) : NULL;
}

/* -- the type ---------------------------------------------------------------------------------- */

static PyMethodDef client_methods[] = {
    {"fileno", client_fileno, METH_NOARGS, NULL},
    {"ready", client_ready, METH_NOARGS, NULL},
    {"step", client_step, METH_NOARGS, NULL},
    {"wait", py_client_wait, METH_VARARGS, NULL},
    {"detail", client_detail, METH_NOARGS, NULL},
    {"data_max", client_data_max, METH_NOARGS, NULL},
    {"take_answers", client_take_answers, METH_O, NULL},
    {"deliver_items", client_deliver_items, METH_O, NULL},
    {"close", client_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef client_fields[] = {
    {"closed", client_closed, NULL, NULL, NULL},
    {"turns", client_turns, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot client_slots[] = {
    {Py_tp_new, (void *)client_new},
    {Py_tp_dealloc, (void *)client_dealloc},
    {Py_tp_methods, client_methods},
    {Py_tp_getset, client_fields},
    {0, NULL},
};

PyType_Spec py_client_spec = {
    .name = "sponson._sponson.Client",
    .basicsize = sizeof(struct py_client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = client_slots,
};
