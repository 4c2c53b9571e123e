/* SPDX-License-Identifier: Apache-2.0 */
/* Producer: what it takes, and how its tickets end. */
#include "core.h"
#include "give.h"
#include "take.h"

enum {
    /* Of one call of publish_many: about a millisecond. */
    MANY_MAX = 1024,
    MANY_BYTES_MAX = 256 * 1024,
};

struct py_producer {
    struct py_child child;
    spn_producer *producer;
};

static struct py_producer *producer_of(PyObject *self)
{
    return (struct py_producer *)self;
}

/* NULL, with an exception set: it is closed. */
static spn_producer *open_producer(PyObject *self)
{
    struct py_producer *producer = producer_of(self);
    return py_child_client(&producer->child) != NULL ? producer->producer : NULL;
}

static PyObject *fail(PyObject *self, spn_err err)
{
    return py_child_raise(&producer_of(self)->child, err);
}

/* -- life -------------------------------------------------------------------------------------- */

static void release(struct py_child *child)
{
    struct py_producer *producer = (struct py_producer *)child;
    spn_producer *closing = producer->producer;
    producer->producer = NULL;
    (void)!spn_producer_close(closing, 0, NULL); /* dropped: nobody asks for what is outstanding */
}

static bool take_options(PyObject *const *values, struct spn_producer_options *options,
                         uint8_t id[SPN_PRODUCER_ID_SIZE])
{
    int level;
    if (values[0] != Py_None) {
        if (!py_take_exactly(values[0], "id", id, SPN_PRODUCER_ID_SIZE))
            return false;
        options->id = id;
    }
    if (!py_take_word(values[1], "level", py_levels, &level) ||
        !py_take_size(values[2], "window_bytes", &options->window_bytes) ||
        !py_take_size(values[3], "window_events", &options->window_events) ||
        !py_take_bool(values[4], "latest_only", &options->latest_only))
        return false;
    options->level = (spn_level)level;
    options->send_timeout_ms = 0;
    return true;
}

static PyObject *producer_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    PyObject *client;
    PyObject *values[5];
    uint8_t id[SPN_PRODUCER_ID_SIZE];
    struct spn_producer_options options = spn_producer_defaults();
    (void)named;
    if (!PyArg_ParseTuple(arguments, "OOOOOO:Producer", &client, &values[0], &values[1], &values[2],
                          &values[3], &values[4]) ||
        !take_options(values, &options, id))
        return NULL;
    PyObject *self = PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    struct py_producer *producer = producer_of(self);
    spn_err err = SPN_E_INVALID;
    bool begun = py_child_begin(&producer->child, client, Py_None);
    if (begun)
        err = spn_producer_begin(&producer->producer, producer->child.owner->client, &options);
    if (begun && err != SPN_OK)
        fail(self, err);
    if (err == SPN_OK)
        py_child_open(&producer->child, release);
    else
        Py_CLEAR(self);
    return self;
}

/* Returns how many events have no result; they are dropped. */
static PyObject *producer_close(PyObject *self, PyObject *unused)
{
    struct py_producer *producer = producer_of(self);
    uint64_t left = 0;
    (void)unused;
    if (producer->producer != NULL)
        left = spn_producer_counters(producer->producer)->unacknowledged;
    py_child_close(&producer->child);
    return PyLong_FromUnsignedLongLong(left);
}

static PyObject *producer_ready(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_producer *producer = open_producer(self);
    if (producer == NULL)
        return NULL;
    spn_err err = spn_producer_ready(producer);
    return err == SPN_OK || err == SPN_E_TIMEOUT ? PyBool_FromLong(err == SPN_OK) : fail(self, err);
}

static PyObject *producer_committed(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_producer *producer = open_producer(self);
    return producer != NULL ? PyLong_FromUnsignedLongLong(spn_producer_committed(producer)) : NULL;
}

/* -- publishing -------------------------------------------------------------------------------- */

/* The ticket; None: there is no room now. */
static PyObject *give_ticket(PyObject *self, spn_err err, uint64_t ticket)
{
    if (err == SPN_E_BACKPRESSURE)
        return Py_NewRef(Py_None);
    return err == SPN_OK ? PyLong_FromUnsignedLongLong(ticket) : fail(self, err);
}

/* publish(session, data, id, type, retry_ms, note, options) */
static PyObject *producer_publish(PyObject *self, PyObject *const *values, Py_ssize_t count)
{
    struct py_hold hold = {0};
    struct spn_bytes session;
    struct spn_event event;
    struct spn_publish_options room;
    struct spn_life life;
    const struct spn_publish_options *options;
    uint64_t ticket = 0;
    const struct py_state *state = py_child_state(&producer_of(self)->child);
    spn_producer *producer;
    if (count != 7)
        return PyErr_Format(PyExc_TypeError, "publish: expected 7 arguments, not %zd", count);
    PyObject *result = NULL;
    if (py_take_bytes(&hold, values[0], "session", &session) &&
        py_take_fields(state, &hold, values + 1, &event) &&
        py_take_options(state, &hold, values[6], &room, &life, &options) &&
        (producer = open_producer(self)) != NULL) {
        spn_err err = spn_publish_with(producer, session, &event, options, &ticket);
        result = give_ticket(self, err, ticket);
    }
    py_hold_release(&hold);
    return result;
}

struct many {
    struct spn_event events[MANY_MAX];
    size_t count;
};

/* Takes events of the list from this index on, as many as one call may have. One that is none ends
 * them, and is an error if it is the first. */
static bool take_many(const struct py_state *state, struct py_hold *hold, PyObject *list,
                      Py_ssize_t at, size_t count_max, struct many *many)
{
    size_t bytes = 0;
    Py_ssize_t size = PyList_Size(list);
    if (count_max > MANY_MAX)
        count_max = MANY_MAX;
    while (at < size && many->count < count_max && bytes < MANY_BYTES_MAX) {
        struct spn_event *event = &many->events[many->count];
        if (!py_take_event(state, hold, PyList_GetItem(list, at++), event)) {
            if (many->count > 0)
                PyErr_Clear();
            return many->count > 0;
        }
        bytes += event->data.size;
        many->count++;
    }
    return true;
}

/* (how many were taken, the first ticket, whether there was no room for more) */
static PyObject *publish_taken(PyObject *self, struct spn_bytes session, const struct many *many)
{
    size_t taken = 0;
    uint64_t first = 0;
    spn_err err = SPN_OK;
    spn_producer *producer = open_producer(self);
    if (producer == NULL)
        return NULL;
    if (many->count > 0)
        err = spn_publish_many(producer, session, many->events, many->count, &taken, &first);
    if (err != SPN_OK && err != SPN_E_BACKPRESSURE && taken == 0)
        return fail(self, err);
    return Py_BuildValue("(nKO)", (Py_ssize_t)taken, (unsigned long long)first,
                         err == SPN_E_BACKPRESSURE ? Py_True : Py_False);
}

/* publish_many(session, list, at, limit). If the library refuses to take one of them, the call that
 * begins with it raises: those before it are taken. */
static PyObject *producer_publish_many(PyObject *self, PyObject *arguments)
{
    PyObject *name;
    PyObject *list;
    Py_ssize_t at;
    Py_ssize_t limit;
    struct py_hold hold = {0};
    struct spn_bytes session;
    if (!PyArg_ParseTuple(arguments, "OO!nn:publish_many", &name, &PyList_Type, &list, &at, &limit))
        return NULL;
    if (at < 0 || limit < 0)
        return PyErr_Format(PyExc_ValueError, "%s: below 0", at < 0 ? "at" : "limit");
    struct many *many = PyMem_Malloc(sizeof(*many));
    if (many == NULL)
        return PyErr_NoMemory();
    many->count = 0;
    int collects = PyGC_Disable(); /* see core.h: the list lends its events */
    const struct py_state *state = py_child_state(&producer_of(self)->child);
    PyObject *result = NULL;
    if (py_take_bytes(&hold, name, "session", &session) &&
        take_many(state, &hold, list, at, (size_t)limit, many))
        result = publish_taken(self, session, many);
    if (collects)
        PyGC_Enable();
    py_hold_release(&hold);
    PyMem_Free(many);
    return result;
}

/* -- sessions ---------------------------------------------------------------------------------- */

/* What a session is changed with. */
struct change {
    struct py_hold hold;
    struct spn_bytes session;
    struct spn_attributes attributes; /* only of set */
    struct spn_publish_options room;
    struct spn_life life;
    const struct spn_publish_options *options;
};

enum change_kind { CLOSE, DELETE, TOUCH, SET };

/* (session, options), or (session, attributes, options) */
static bool take_change(PyObject *self, PyObject *arguments, enum change_kind kind,
                        struct change *change)
{
    PyObject *name;
    PyObject *given = NULL;
    PyObject *values;
    const struct py_state *state = py_child_state(&producer_of(self)->child);
    bool parsed = kind == SET ? PyArg_ParseTuple(arguments, "OOO:set", &name, &given, &values) != 0
                              : PyArg_ParseTuple(arguments, "OO:change", &name, &values) != 0;
    return parsed && py_take_bytes(&change->hold, name, "session", &change->session) &&
           (given == NULL ||
            py_take_attributes(state, &change->hold, given, &change->attributes)) &&
           py_take_options(state, &change->hold, values, &change->room, &change->life,
                           &change->options);
}

static spn_err apply(spn_producer *producer, enum change_kind kind, const struct change *change,
                     uint64_t *ret_ticket)
{
    switch (kind) {
    case CLOSE:
        return spn_session_close_with(producer, change->session, change->options, ret_ticket);
    case DELETE:
        return spn_session_delete_with(producer, change->session, change->options, ret_ticket);
    case TOUCH:
        return spn_session_touch(producer, change->session, change->options, ret_ticket);
    default:
        return spn_session_set(producer, change->session, &change->attributes, change->options,
                               ret_ticket);
    }
}

static PyObject *change(PyObject *self, PyObject *arguments, enum change_kind kind)
{
    struct change change = {0};
    uint64_t ticket = 0;
    spn_producer *producer;
    PyObject *result = NULL;
    if (take_change(self, arguments, kind, &change) && (producer = open_producer(self)) != NULL) {
        spn_err err = apply(producer, kind, &change, &ticket);
        result = give_ticket(self, err, ticket);
    }
    py_hold_release(&change.hold);
    return result;
}

static PyObject *producer_close_session(PyObject *self, PyObject *arguments)
{
    return change(self, arguments, CLOSE);
}

static PyObject *producer_delete_session(PyObject *self, PyObject *arguments)
{
    return change(self, arguments, DELETE);
}

static PyObject *producer_touch(PyObject *self, PyObject *arguments)
{
    return change(self, arguments, TOUCH);
}

static PyObject *producer_set(PyObject *self, PyObject *arguments)
{
    return change(self, arguments, SET);
}

/* -- results ----------------------------------------------------------------------------------- */

/* Consecutive tickets that ended alike. */
struct run {
    uint64_t first;
    uint64_t count;
    spn_result result;
    spn_err code;
};

static bool add_run(PyObject *runs, const struct run *run)
{
    PyObject *row =
        Py_BuildValue("(KKsN)", (unsigned long long)run->first, (unsigned long long)run->count,
                      spn_result_name(run->result), py_give_code(run->code));
    bool added = row != NULL && PyList_Append(runs, row) == 0;
    Py_XDECREF(row);
    return added;
}

static bool continues(const struct run *run, const struct spn_ack *ack)
{
    return run->count > 0 && ack->ticket == run->first + run->count && ack->result == run->result &&
           ack->code == run->code;
}

/* Adds the runs of at most so many tickets. False: out of memory. *ret_err is why it ended. */
static bool add_runs(spn_producer *producer, PyObject *runs, uint64_t left, spn_err *ret_err)
{
    struct run run = {0};
    bool going = true;
    while (going && left-- > 0) {
        const struct spn_ack *ack;
        *ret_err = spn_producer_next_ack(producer, 0, &ack);
        if (*ret_err != SPN_OK)
            break;
        if (continues(&run, ack)) {
            run.count++;
            continue;
        }
        going = run.count == 0 || add_run(runs, &run);
        run = (struct run){ack->ticket, 1, ack->result, ack->code};
    }
    return going && (run.count == 0 || add_run(runs, &run));
}

/* take_acks(limit) -> [(first, count, result, code)], of at most so many tickets. A lasting error
 * is raised by a call that finds no result before it. */
static PyObject *producer_take_acks(PyObject *self, PyObject *limit)
{
    uint64_t left;
    spn_err err = SPN_OK;
    PyObject *runs = py_take_number(limit, "limit", UINT32_MAX, &left) ? PyList_New(0) : NULL;
    spn_producer *producer = runs != NULL ? open_producer(self) : NULL;
    int collects = PyGC_Disable(); /* see core.h */
    bool whole = producer != NULL && add_runs(producer, runs, left, &err);
    if (collects)
        PyGC_Enable();
    bool lasting = err != SPN_OK && err != SPN_E_TIMEOUT && err != SPN_E_END;
    if (whole && lasting && PyList_Size(runs) == 0) {
        fail(self, err);
        whole = false;
    }
    if (!whole)
        Py_CLEAR(runs);
    return runs;
}

/* ack(ticket) -> (result, code); None: it has none yet. */
static PyObject *producer_ack(PyObject *self, PyObject *value)
{
    uint64_t ticket;
    const struct spn_ack *ack;
    spn_producer *producer = open_producer(self);
    if (producer == NULL || !py_take_number(value, "ticket", UINT64_MAX, &ticket))
        return NULL;
    spn_err err = spn_producer_wait(producer, ticket, 0, &ack);
    if (err == SPN_E_TIMEOUT)
        return Py_NewRef(Py_None);
    return err == SPN_OK
               ? Py_BuildValue("(sN)", spn_result_name(ack->result), py_give_code(ack->code))
               : fail(self, err);
}

/* Whether every event taken so far has ended. */
static PyObject *producer_flush(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_producer *producer = open_producer(self);
    if (producer == NULL)
        return NULL;
    spn_err err = spn_producer_flush(producer, 0);
    return err == SPN_OK || err == SPN_E_TIMEOUT ? PyBool_FromLong(err == SPN_OK) : fail(self, err);
}

static PyObject *producer_given_id(PyObject *self, PyObject *value)
{
    uint64_t ticket;
    char id[SPN_GIVEN_ID_MAX];
    spn_producer *producer = open_producer(self);
    if (producer == NULL || !py_take_number(value, "ticket", UINT64_MAX, &ticket))
        return NULL;
    size_t size = spn_given_id(producer, ticket, id);
    return PyUnicode_FromStringAndSize(id, (Py_ssize_t)size);
}

static PyObject *producer_counters(PyObject *self, PyObject *unused)
{
    (void)unused;
    spn_producer *producer = open_producer(self);
    return producer != NULL ? py_give_counters(py_child_state(&producer_of(self)->child),
                                               spn_producer_counters(producer))
                            : NULL;
}

/* -- the type ---------------------------------------------------------------------------------- */

static PyMethodDef producer_methods[] = {
    {"ready", producer_ready, METH_NOARGS, NULL},
    {"committed", producer_committed, METH_NOARGS, NULL},
    {"publish", (PyCFunction)(void (*)(void))producer_publish, METH_FASTCALL, NULL},
    {"publish_many", producer_publish_many, METH_VARARGS, NULL},
    {"close_session", producer_close_session, METH_VARARGS, NULL},
    {"delete_session", producer_delete_session, METH_VARARGS, NULL},
    {"touch", producer_touch, METH_VARARGS, NULL},
    {"set", producer_set, METH_VARARGS, NULL},
    {"take_acks", producer_take_acks, METH_O, NULL},
    {"ack", producer_ack, METH_O, NULL},
    {"flush", producer_flush, METH_NOARGS, NULL},
    {"given_id", producer_given_id, METH_O, NULL},
    {"counters", producer_counters, METH_NOARGS, NULL},
    {"close", producer_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef producer_fields[] = {
    {"closed", py_child_closed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot producer_slots[] = {
    {Py_tp_new, (void *)producer_new},
    {Py_tp_dealloc, (void *)py_child_dealloc},
    {Py_tp_traverse, (void *)py_child_traverse},
    {Py_tp_clear, (void *)py_child_clear},
    {Py_tp_methods, producer_methods},
    {Py_tp_getset, producer_fields},
    {0, NULL},
};

PyType_Spec py_producer_spec = {
    .name = "sponson._sponson.Producer",
    .basicsize = sizeof(struct py_producer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = producer_slots,
};
