/* SPDX-License-Identifier: Apache-2.0 */
#include "take.h"

#include <string.h>

const char *const py_levels[] = {"none", "accepted", "durable", NULL};
const char *const py_starts[] = {"earliest", "id", "seq", "now", "position", NULL};

/* -- one value --------------------------------------------------------------------------------- */

void py_hold_release(struct py_hold *hold)
{
    Py_CLEAR(hold->objects);
}

/* Takes the reference. */
static bool keep(struct py_hold *hold, PyObject *object)
{
    if (object != NULL && hold->objects == NULL)
        hold->objects = PyList_New(0);
    bool kept =
        object != NULL && hold->objects != NULL && PyList_Append(hold->objects, object) == 0;
    Py_XDECREF(object);
    return kept;
}

static bool wrong_type(PyObject *value, const char *name, const char *expected)
{
    PyObject *type = PyType_GetName(Py_TYPE(value));
    if (type != NULL)
        PyErr_Format(PyExc_TypeError, "%s: expected %s, not %U", name, expected, type);
    Py_XDECREF(type);
    return false;
}

static bool take_bytes_object(PyObject *value, struct spn_bytes *ret_bytes)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(value, &data, &size) != 0)
        return false;
    *ret_bytes = (struct spn_bytes){data, (size_t)size};
    return true;
}

/* Bytes that are not UTF-8 are lone surrogates in a str: see give.h. */
static bool take_text(struct py_hold *hold, PyObject *value, const char *name,
                      struct spn_bytes *ret_bytes)
{
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(value, &size);
    if (data != NULL) {
        *ret_bytes = (struct spn_bytes){data, (size_t)size};
        return true;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        return false;
    PyErr_Clear();
    PyObject *bytes = PyUnicode_AsEncodedString(value, "utf-8", "surrogateescape");
    if (bytes == NULL && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s: has a surrogate that stands for no byte", name);
    }
    return bytes != NULL && take_bytes_object(bytes, ret_bytes) && keep(hold, bytes);
}

bool py_take_bytes(struct py_hold *hold, PyObject *value, const char *name,
                   struct spn_bytes *ret_bytes)
{
    if (PyUnicode_Check(value))
        return take_text(hold, value, name, ret_bytes);
    if (PyBytes_Check(value))
        return take_bytes_object(value, ret_bytes);
    if (!PyObject_CheckBuffer(value))
        return wrong_type(value, name, "str or bytes");
    PyObject *bytes = PyBytes_FromObject(value); /* a bytearray may change; a view may be strided */
    return bytes != NULL && take_bytes_object(bytes, ret_bytes) && keep(hold, bytes);
}

bool py_take_bool(PyObject *value, const char *name, bool *ret_bool)
{
    if (!PyBool_Check(value))
        return wrong_type(value, name, "bool");
    *ret_bool = value == Py_True;
    return true;
}

bool py_take_number(PyObject *value, const char *name, uint64_t max, uint64_t *ret_number)
{
    if (!PyLong_Check(value) || PyBool_Check(value))
        return wrong_type(value, name, "int");
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    if (number == (unsigned long long)-1 && PyErr_Occurred() != NULL) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return false;
        PyErr_Clear();
    } else if (number <= max) {
        *ret_number = number;
        return true;
    }
    PyErr_Format(PyExc_ValueError, "%s: expected 0 to %llu, not %S", name, (unsigned long long)max,
                 value);
    return false;
}

bool py_take_size(PyObject *value, const char *name, size_t *ret_size)
{
    uint64_t number;
    if (!py_take_number(value, name, SIZE_MAX, &number))
        return false;
    *ret_size = (size_t)number;
    return true;
}

/* The words as a sentence, for a message. */
static PyObject *list_words(const char *const *words)
{
    PyObject *text = PyUnicode_FromString(words[0]);
    for (size_t i = 1; text != NULL && words[i] != NULL; i++) {
        PyObject *longer = PyUnicode_FromFormat("%U, %s", text, words[i]);
        Py_DECREF(text);
        text = longer;
    }
    return text;
}

bool py_take_word(PyObject *value, const char *name, const char *const *words, int *ret_index)
{
    if (!PyUnicode_Check(value))
        return wrong_type(value, name, "str");
    for (int i = 0; words[i] != NULL; i++)
        if (PyUnicode_CompareWithASCIIString(value, words[i]) == 0) {
            *ret_index = i;
            return true;
        }
    PyObject *known = list_words(words);
    if (known != NULL)
        PyErr_Format(PyExc_ValueError, "%s: expected one of %U, not %R", name, known, value);
    Py_XDECREF(known);
    return false;
}

bool py_take_life(PyObject *value, const char *name, struct spn_life *ret_life)
{
    struct spn_bytes text;
    *ret_life = (struct spn_life){{0}};
    if (value == Py_None)
        return true;
    if (!PyUnicode_Check(value))
        return wrong_type(value, name, "str or None");
    struct py_hold none = {0};
    if (!take_text(&none, value, name, &text))
        return false;
    bool good = spn_life_parse(text, ret_life) == SPN_OK;
    py_hold_release(&none);
    if (!good)
        PyErr_Format(PyExc_ValueError, "%s: expected 32 hexadecimal digits, not %R", name, value);
    return good;
}

bool py_take_exactly(PyObject *value, const char *name, void *ret_bytes, size_t size)
{
    struct spn_bytes bytes;
    if (!PyBytes_Check(value))
        return wrong_type(value, name, "bytes");
    if (!take_bytes_object(value, &bytes))
        return false;
    if (bytes.size != size) {
        PyErr_Format(PyExc_ValueError, "%s: expected %zu bytes, not %zu", name, size, bytes.size);
        return false;
    }
    memcpy(ret_bytes, bytes.data, size);
    return true;
}

/* -- records ----------------------------------------------------------------------------------- */

static bool is_record(const struct py_state *state, PyObject *value, enum py_record record)
{
    return (PyObject *)Py_TYPE(value) == state->records[record];
}

static bool take_retry(PyObject *value, uint32_t *ret_retry_ms)
{
    uint64_t number = SPN_RETRY_NONE;
    if (value != Py_None && !py_take_number(value, "retry_ms", SPN_RETRY_NONE - 1, &number))
        return false;
    *ret_retry_ms = (uint32_t)number;
    return true;
}

static bool take_event_record(struct py_hold *hold, PyObject *record, struct spn_event *event)
{
    static const char *const kinds[] = {"event", "marker", "reset", NULL};
    int kind;
    if (!py_take_word(PyTuple_GetItem(record, 0), "kind", kinds, &kind) ||
        !py_take_bytes(hold, PyTuple_GetItem(record, 1), "id", &event->id) ||
        !py_take_bytes(hold, PyTuple_GetItem(record, 2), "type", &event->type) ||
        !py_take_bytes(hold, PyTuple_GetItem(record, 3), "data", &event->data) ||
        !take_retry(PyTuple_GetItem(record, 4), &event->retry_ms) ||
        !py_take_bool(PyTuple_GetItem(record, 5), "resets_id", &event->resets_id) ||
        !py_take_bytes(hold, PyTuple_GetItem(record, 6), "note", &event->note))
        return false;
    event->kind = (spn_event_kind)kind;
    return true;
}

bool py_take_event(const struct py_state *state, struct py_hold *hold, PyObject *value,
                   struct spn_event *ret_event)
{
    *ret_event = (struct spn_event)SPN_EVENT_INIT;
    if (is_record(state, value, PY_EVENT))
        return take_event_record(hold, value, ret_event);
    return py_take_bytes(hold, value, "data", &ret_event->data);
}

/* Whether a field was left out. */
static bool is_default(PyObject *value)
{
    return value == Py_None || (PyUnicode_Check(value) && PyUnicode_GetLength(value) == 0) ||
           (PyBytes_Check(value) && PyBytes_Size(value) == 0);
}

bool py_take_fields(const struct py_state *state, struct py_hold *hold, PyObject *const *fields,
                    struct spn_event *ret_event)
{
    if (!py_take_event(state, hold, fields[0], ret_event))
        return false;
    if (is_record(state, fields[0], PY_EVENT)) {
        static const char *const names[] = {"data", "id", "type", "retry_ms", "note"};
        for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
            if (!is_default(fields[i])) {
                PyErr_Format(PyExc_TypeError, "%s: data is an Event, which has its own", names[i]);
                return false;
            }
        return true;
    }
    return py_take_bytes(hold, fields[1], "id", &ret_event->id) &&
           py_take_bytes(hold, fields[2], "type", &ret_event->type) &&
           take_retry(fields[3], &ret_event->retry_ms) &&
           (is_default(fields[4]) || py_take_bytes(hold, fields[4], "note", &ret_event->note));
}

bool py_take_options(const struct py_state *state, struct py_hold *hold, PyObject *value,
                     struct spn_publish_options *room, struct spn_life *ret_life,
                     const struct spn_publish_options **ret_options)
{
    *ret_options = NULL;
    if (value == Py_None)
        return true;
    if (!is_record(state, value, PY_OPTIONS))
        return wrong_type(value, "options", "Options or None");
    *room = (struct spn_publish_options){.size = sizeof(*room)};
    PyObject *if_seq = PyTuple_GetItem(value, 1);
    PyObject *life = PyTuple_GetItem(value, 2);
    room->has_if_seq = if_seq != Py_None;
    if (!py_take_bool(PyTuple_GetItem(value, 0), "if_new", &room->if_new) ||
        (room->has_if_seq && !py_take_number(if_seq, "if_seq", UINT64_MAX, &room->if_seq)) ||
        !py_take_life(life, "life", ret_life) ||
        !py_take_number(PyTuple_GetItem(value, 3), "depends", UINT64_MAX, &room->dependent) ||
        !py_take_bool(PyTuple_GetItem(value, 4), "closes", &room->closes) ||
        !py_take_bytes(hold, PyTuple_GetItem(value, 5), "reason", &room->reason))
        return false;
    room->life = life == Py_None ? NULL : ret_life;
    *ret_options = room;
    return true;
}

bool py_take_attributes(const struct py_state *state, struct py_hold *hold, PyObject *value,
                        struct spn_attributes *ret_attributes)
{
    if (!is_record(state, value, PY_ATTRIBUTES))
        return wrong_type(value, "attributes", "Attributes");
    *ret_attributes = (struct spn_attributes){.size = sizeof(*ret_attributes)};
    return py_take_number(PyTuple_GetItem(value, 0), "ttl_ms", UINT64_MAX,
                          &ret_attributes->ttl_ms) &&
           py_take_number(PyTuple_GetItem(value, 1), "idle_close_ms", UINT64_MAX,
                          &ret_attributes->idle_close_ms) &&
           py_take_bytes(hold, PyTuple_GetItem(value, 2), "content_type",
                         &ret_attributes->content_type) &&
           py_take_bytes(hold, PyTuple_GetItem(value, 3), "note", &ret_attributes->note);
}
