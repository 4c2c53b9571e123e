/* SPDX-License-Identifier: Apache-2.0 */
/* _sponson: the extension module. sponson/_sponson.pyi describes it from the side of Python. */
#include "core.h"

static struct py_state *state_of(PyObject *module)
{
    return PyModule_GetState(module);
}

/* register(records, errors) */
static PyObject *module_register(PyObject *module, PyObject *arguments)
{
    PyObject *records;
    PyObject *errors;
    if (!PyArg_ParseTuple(arguments, "O!O!:register", &PyDict_Type, &records, &PyDict_Type,
                          &errors) ||
        !py_state_register(state_of(module), records, errors))
        return NULL;
    return Py_NewRef(Py_None);
}

static PyMethodDef module_methods[] = {
    {"register", module_register, METH_VARARGS, NULL},
    {"format_sse", py_format_sse, METH_O, NULL},
    {"format_cursor", py_format_cursor, METH_VARARGS, NULL},
    {"parse_cursor", py_parse_cursor, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* Takes the reference. */
static bool add(PyObject *module, const char *name, PyObject *object)
{
    bool added = object != NULL && PyModule_AddObjectRef(module, name, object) == 0;
    Py_XDECREF(object);
    return added;
}

static bool add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    return add(module, name, PyType_FromModuleAndSpec(module, spec, NULL));
}

static int module_exec(PyObject *module)
{
    struct py_state *state = state_of(module);
    PyObject *client = PyType_FromModuleAndSpec(module, &py_client_spec, NULL);
    state->client_type = Py_XNewRef(client);
    state->next_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &py_next_spec, NULL);
    return add(module, "Client", client) && state->next_type != NULL && py_state_init(state) &&
                   add_type(module, "Producer", &py_producer_spec) &&
                   add_type(module, "Subscription", &py_subscription_spec) &&
                   add_type(module, "Question", &py_question_spec) &&
                   add_type(module, "Sse", &py_sse_spec) &&
                   add(module, "ERRORS", py_error_list()) &&
                   PyModule_AddStringConstant(module, "VERSION", spn_version()) == 0
               ? 0
               : -1;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    return py_state_traverse(state_of(module), visit, arg);
}

static int module_clear(PyObject *module)
{
    py_state_clear(state_of(module));
    return 0;
}

static void module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,       .m_name = "sponson._sponson", .m_size = sizeof(struct py_state),
    .m_methods = module_methods, .m_slots = module_slots,      .m_traverse = module_traverse,
    .m_clear = module_clear,     .m_free = module_free,
};

PyMODINIT_FUNC PyInit__sponson(void)
{
    return PyModuleDef_Init(&module_def);
}
