/* SPDX-License-Identifier: Apache-2.0 */
/* Sse, the parser of event streams; events, lives and cursors as text. */
#include "core.h"
#include "give.h"
#include "take.h"

struct py_sse {
    PyObject_HEAD struct py_state *state;
    spn_sse *sse;
};

static struct py_sse *sse_of(PyObject *self)
{
    return (struct py_sse *)self;
}

static PyObject *sse_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    PyObject *value;
    size_t event_max;
    (void)named;
    if (!PyArg_ParseTuple(arguments, "O:Sse", &value) ||
        !py_take_size(value, "event_max", &event_max))
        return NULL;
    PyObject *self = PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    sse_of(self)->state = PyType_GetModuleState(type);
    spn_err err = spn_sse_open(&sse_of(self)->sse, event_max);
    if (err != SPN_OK) {
        py_raise(sse_of(self)->state, err, NULL);
        Py_CLEAR(self);
    }
    return self;
}

static void sse_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    spn_sse_close(sse_of(self)->sse);
    release(self);
    Py_DECREF(type);
}

/* The error as its number, for a caller that first wants to know how many bytes were used. */
static PyObject *give_parsed(struct py_sse *sse, spn_err err, size_t used,
                             const struct spn_event *event)
{
    PyObject *given = err == SPN_OK ? py_give_event(sse->state, event) : Py_NewRef(Py_None);
    return Py_BuildValue("(nNN)", (Py_ssize_t)used, given,
                         py_give_code(err == SPN_E_END ? SPN_OK : err));
}

/* next(bytes, at, size_max) -> (bytes used, the event or None, the name of an error or None) */
static PyObject *sse_next(PyObject *self, PyObject *arguments)
{
    const char *data;
    Py_ssize_t size;
    Py_ssize_t at;
    Py_ssize_t size_max;
    size_t used = 0;
    const struct spn_event *event = NULL;
    if (!PyArg_ParseTuple(arguments, "y#nn:next", &data, &size, &at, &size_max))
        return NULL;
    if (at < 0 || at > size || size_max < 0)
        return PyErr_Format(PyExc_ValueError, "at: out of range");
    Py_ssize_t part = size - at < size_max ? size - at : size_max;
    spn_err err = spn_sse_next(sse_of(self)->sse, data + at, (size_t)part, &used, &event);
    return give_parsed(sse_of(self), err, used, event);
}

static PyObject *sse_last_id(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py_give_text(spn_sse_last_id(sse_of(self)->sse));
}

static PyMethodDef sse_methods[] = {
    {"next", sse_next, METH_VARARGS, NULL},
    {"last_id", sse_last_id, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot sse_slots[] = {
    {Py_tp_new, (void *)sse_new},
    {Py_tp_dealloc, (void *)sse_dealloc},
    {Py_tp_methods, sse_methods},
    {0, NULL},
};

PyType_Spec py_sse_spec = {
    .name = "sponson._sponson.Sse",
    .basicsize = sizeof(struct py_sse),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = sse_slots,
};

/* -- as text ----------------------------------------------------------------------------------- */

static PyObject *format_event(const struct py_state *state, const struct spn_event *event)
{
    size_t size = 0;
    PyObject *text = NULL;
    spn_err err = spn_sse_format(event, NULL, 0, &size);
    if (err == SPN_E_INVALID && size > 0) {
        text = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
        if (text == NULL)
            return NULL;
        err = spn_sse_format(event, PyBytes_AsString(text), size, &size);
    }
    if (err != SPN_OK) {
        Py_CLEAR(text);
        py_raise(state, err, NULL);
    }
    return text;
}

PyObject *py_format_sse(PyObject *module, PyObject *value)
{
    const struct py_state *state = PyModule_GetState(module);
    struct py_hold hold = {0};
    struct spn_event event;
    PyObject *text =
        py_take_event(state, &hold, value, &event) ? format_event(state, &event) : NULL;
    py_hold_release(&hold);
    return text;
}

PyObject *py_format_cursor(PyObject *module, PyObject *arguments)
{
    PyObject *values[2];
    struct spn_life life;
    uint64_t seq;
    char text[SPN_CURSOR_TEXT_SIZE];
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OO:format_cursor", &values[0], &values[1]) ||
        !py_take_life(values[0], "life", &life) ||
        !py_take_number(values[1], "seq", UINT64_MAX, &seq))
        return NULL;
    spn_cursor_format(&life, seq, text);
    return PyUnicode_FromString(text);
}

/* parse_cursor(text) -> (life, seq) */
PyObject *py_parse_cursor(PyObject *module, PyObject *value)
{
    struct py_hold hold = {0};
    struct spn_bytes text;
    struct spn_life life;
    uint64_t seq;
    char name[SPN_LIFE_TEXT_SIZE];
    if (!py_take_bytes(&hold, value, "text", &text))
        return NULL;
    spn_err err = spn_cursor_parse(text, &life, &seq);
    py_hold_release(&hold);
    if (err != SPN_OK)
        return py_raise_text(PyModule_GetState(module), err, "text: not a cursor");
    spn_life_format(&life, name);
    return Py_BuildValue("(sK)", name, (unsigned long long)seq);
}
