/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <string.h>

static const struct {
    const char *name;
    const char *fields;
} records_known[PY_RECORD_COUNT] = {
#define PY_RECORD_ROW(name, class, fields) [PY_##name] = {class, fields},
    PY_RECORDS(PY_RECORD_ROW)
#undef PY_RECORD_ROW
};

/* -- registration ------------------------------------------------------------------------------ */

/* Whether the class is a named tuple with exactly these fields. */
static bool check_fields(PyObject *class, const char *name, const char *expected)
{
    PyObject *fields = PyObject_GetAttrString(class, "_fields");
    PyObject *space = PyUnicode_FromString(" ");
    PyObject *joined = fields != NULL && space != NULL ? PyUnicode_Join(space, fields) : NULL;
    bool same = joined != NULL && PyUnicode_CompareWithASCIIString(joined, expected) == 0;
    bool is_tuple = PyType_Check(class) && PyType_IsSubtype((PyTypeObject *)class, &PyTuple_Type);
    if (joined != NULL && (!same || !is_tuple))
        PyErr_Format(PyExc_ImportError, "the fields of %s are not those of the extension", name);
    Py_XDECREF(joined);
    Py_XDECREF(space);
    Py_XDECREF(fields);
    return same && is_tuple;
}

/* Takes the reference. */
static void put(PyObject **place, PyObject *object)
{
    PyObject *old = *place;
    *place = object;
    Py_XDECREF(old);
}

static Py_ssize_t count_fields(const char *fields)
{
    Py_ssize_t count = 1;
    for (const char *at = fields; *at != '\0'; at++)
        count += *at == ' ';
    return count;
}

bool py_state_init(struct py_state *state)
{
    static const char *const words[PY_WORD_COUNT] = {
        [PY_DONE] = "done",
        [PY_SET_RESULT] = "set_result",
        [PY_BLOCKING] = "_asyncio_future_blocking",
        [PY_CHECK_THREAD] = "_check_thread",
    };
    for (size_t i = 0; i < PY_WORD_COUNT; i++) {
        state->words[i] = PyUnicode_InternFromString(words[i]);
        if (state->words[i] == NULL)
            return false;
    }
    return true;
}

bool py_state_register(struct py_state *state, PyObject *records, PyObject *errors)
{
    for (size_t i = 0; i < PY_RECORD_COUNT; i++) {
        PyObject *class = PyMapping_GetItemString(records, records_known[i].name);
        if (class == NULL || !check_fields(class, records_known[i].name, records_known[i].fields)) {
            Py_XDECREF(class);
            return false;
        }
        put(&state->records[i], class);
        state->field_counts[i] = count_fields(records_known[i].fields);
    }
    put(&state->errors, Py_NewRef(errors));
    return true;
}

int py_state_traverse(struct py_state *state, visitproc visit, void *arg)
{
    for (size_t i = 0; i < PY_RECORD_COUNT; i++)
        Py_VISIT(state->records[i]);
    Py_VISIT(state->errors);
    Py_VISIT(state->client_type);
    Py_VISIT((PyObject *)state->next_type);
    return 0;
}

void py_state_clear(struct py_state *state)
{
    for (size_t i = 0; i < PY_RECORD_COUNT; i++)
        Py_CLEAR(state->records[i]);
    Py_CLEAR(state->errors);
    for (size_t i = 0; i < PY_WORD_COUNT; i++)
        Py_CLEAR(state->words[i]);
    Py_CLEAR(state->client_type);
    Py_CLEAR(state->next_type);
}

struct py_state *py_state_of(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    struct py_state *state = NULL;
    while (type != NULL && state == NULL) {
        PyErr_Clear();
        state = PyType_GetModuleState(type);
        type = PyType_GetSlot(type, Py_tp_base);
    }
    return state;
}

/* -- errors ------------------------------------------------------------------------------------ */

/* A new reference; NULL, without an exception: there is none, as while the interpreter ends. */
static PyObject *class_of(const struct py_state *state, spn_err err)
{
    PyObject *number = state->errors != NULL ? PyLong_FromLong((long)err) : NULL;
    PyObject *class = number != NULL ? PyObject_GetItem(state->errors, number) : NULL;
    Py_XDECREF(number);
    PyErr_Clear();
    return class;
}

PyObject *py_raise_text(const struct py_state *state, spn_err err, const char *text)
{
    PyObject *class = class_of(state, err);
    PyObject *words = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    if (words != NULL)
        PyErr_SetObject(class != NULL ? class : PyExc_RuntimeError, words);
    Py_XDECREF(words);
    Py_XDECREF(class);
    return NULL;
}

PyObject *py_raise(const struct py_state *state, spn_err err, const spn_client *client)
{
    if (err == SPN_E_FORKED)
        return py_raise_text(
            state, err, "this client was opened by the parent process: open one in this process");
    return py_raise_text(state, err,
                         client != NULL ? spn_client_detail(client) : spn_err_text(err));
}

PyObject *py_error_list(void)
{
    static const struct {
        const char *name;
        int number;
        const char *text;
    } all[] = {
#define PY_ERROR_ROW(name, number, text) {"SPN_" #name, number, text},
        SPN_ERR_MAP(PY_ERROR_ROW)
#undef PY_ERROR_ROW
    };
    size_t count = sizeof(all) / sizeof(all[0]);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *row = Py_BuildValue("(sis)", all[i].name, all[i].number, all[i].text);
        if (row == NULL)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)i, row);
    }
    return list;
}
