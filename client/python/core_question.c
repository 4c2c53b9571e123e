/* SPDX-License-Identifier: Apache-2.0 */
/* Question, of each kind. */
#include "core.h"
#include "give.h"
#include "take.h"

enum kind { LAST, SESSION, SESSIONS, HEALTH, STATS, PUBLISH, CLOSE, DELETE, TOUCH, SET };
static const char *const kinds[] = {"last",  "session", "sessions", "health", "stats", "publish",
                                    "close", "delete",  "touch",    "set",    NULL};

struct py_question {
    struct py_child child;
    spn_question *question;
    int kind;
};

static struct py_question *question_of(PyObject *self)
{
    return (struct py_question *)self;
}

static void release_question(struct py_child *child)
{
    struct py_question *question = (struct py_question *)child;
    spn_question *closing = question->question;
    question->question = NULL;
    spn_question_close(closing);
}

/* What a question is asked with: which of these depends on its kind. */
struct asked {
    struct spn_bytes name;
    struct spn_bytes prefix;
    struct spn_event event;
    struct spn_attributes attributes;
    struct spn_publish_options room;
    struct spn_life life;
    const struct spn_publish_options *options;
    int level;
};

/* (session, what, options, level): `what` is the prefix, the event or the attributes. */
static bool take_asked(struct py_question *question, struct py_hold *hold, PyObject *arguments,
                       struct asked *asked)
{
    PyObject *values[4];
    const struct py_state *state = py_child_state(&question->child);
    if (!PyArg_ParseTuple(arguments, "OOOO:Question", &values[0], &values[1], &values[2],
                          &values[3]) ||
        !py_take_bytes(hold, values[0], question->kind == SESSIONS ? "after" : "session",
                       &asked->name) ||
        !py_take_options(state, hold, values[2], &asked->room, &asked->life, &asked->options) ||
        !py_take_word(values[3], "level", py_levels, &asked->level))
        return false;
    switch (question->kind) {
    case SESSIONS:
        return py_take_bytes(hold, values[1], "prefix", &asked->prefix);
    case PUBLISH:
        return py_take_event(state, hold, values[1], &asked->event);
    case SET:
        return py_take_attributes(state, hold, values[1], &asked->attributes);
    default:
        return true;
    }
}

static spn_err ask(struct py_question *question, const struct asked *asked)
{
    spn_client *client = question->child.owner->client;
    spn_question **ret_question = &question->question;
    switch (question->kind) {
    case LAST:
        return spn_ask_last(ret_question, client, asked->name);
    case SESSION:
        return spn_ask_session(ret_question, client, asked->name);
    case SESSIONS:
        return spn_ask_sessions(ret_question, client, asked->name, asked->prefix);
    case HEALTH:
        return spn_ask_health(ret_question, client);
    case STATS:
        return spn_ask_stats(ret_question, client);
    case PUBLISH:
        return spn_ask_publish_with(ret_question, client, asked->name, &asked->event,
                                    asked->options, (spn_level)asked->level);
    case CLOSE:
        return spn_ask_close_with(ret_question, client, asked->name, asked->options);
    case DELETE:
        return spn_ask_delete_with(ret_question, client, asked->name, asked->options);
    case TOUCH:
        return spn_ask_touch(ret_question, client, asked->name, asked->options);
    default:
        return spn_ask_set(ret_question, client, asked->name, &asked->attributes, asked->options);
    }
}

/* Question(client, context, kind, arguments) */
static PyObject *question_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    PyObject *client;
    PyObject *context;
    PyObject *kind;
    PyObject *options;
    struct py_hold hold = {0};
    struct asked asked = {0};
    (void)named;
    if (!PyArg_ParseTuple(arguments, "OOOO!:Question", &client, &context, &kind, &PyTuple_Type,
                          &options))
        return NULL;
    PyObject *self = PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    struct py_question *question = question_of(self);
    spn_err err = SPN_E_INVALID;
    if (py_take_word(kind, "kind", kinds, &question->kind) &&
        py_child_begin(&question->child, client, context) &&
        take_asked(question, &hold, options, &asked)) {
        err = ask(question, &asked);
        if (err != SPN_OK)
            py_child_raise(&question->child, err);
    }
    py_hold_release(&hold);
    if (err != SPN_OK) {
        Py_DECREF(self);
        return NULL;
    }
    spn_question_set_context(question->question, question);
    py_child_open(&question->child, release_question);
    return self;
}

/* -- answers ----------------------------------------------------------------------------------- */

/* (the sessions of the page, whether there are more after it) */
static spn_err answer_sessions(struct py_question *question, PyObject **ret_answer)
{
    const struct spn_session *session;
    bool more = false;
    spn_err err = spn_answer_more_sessions(question->question, &more);
    if (err != SPN_OK)
        return err;
    PyObject *list = PyList_New(0);
    while (list != NULL &&
           (err = spn_answer_next_session(question->question, &session)) == SPN_OK) {
        PyObject *given = py_give_session(py_child_state(&question->child), session);
        if (given == NULL || PyList_Append(list, given) != 0)
            Py_CLEAR(list);
        Py_XDECREF(given);
    }
    if (list != NULL && err == SPN_E_END)
        *ret_answer = Py_BuildValue("(OO)", list, more ? Py_True : Py_False);
    Py_XDECREF(list);
    return err == SPN_E_END ? SPN_OK : err;
}

static spn_err answer_about_session(struct py_question *question, PyObject **ret_answer)
{
    const struct py_state *state = py_child_state(&question->child);
    const struct spn_last *last;
    const struct spn_session_info *info;
    spn_err err;
    if (question->kind == LAST) {
        err = spn_answer_last(question->question, &last);
        if (err == SPN_OK)
            *ret_answer = py_give_last(state, last);
        return err;
    }
    err = spn_answer_session(question->question, &info);
    if (err == SPN_OK)
        *ret_answer = py_give_session_info(state, info);
    return err;
}

static spn_err answer_about_sidecar(struct py_question *question, PyObject **ret_answer)
{
    const struct spn_health *health;
    const struct spn_stat *stats;
    size_t count;
    spn_err err;
    if (question->kind == HEALTH) {
        err = spn_answer_health(question->question, &health);
        if (err == SPN_OK)
            *ret_answer = py_give_health(py_child_state(&question->child), health);
        return err;
    }
    err = spn_answer_stats(question->question, &stats, &count);
    if (err == SPN_OK)
        *ret_answer = py_give_stats(stats, count);
    return err;
}

static spn_err answer_published(struct py_question *question, PyObject **ret_answer)
{
    const struct spn_published *published;
    spn_err err = spn_answer_published(question->question, &published);
    if (err == SPN_OK)
        *ret_answer = py_give_published(py_child_state(&question->child), published);
    return err;
}

static spn_err answer(struct py_question *question, PyObject **ret_answer)
{
    switch (question->kind) {
    case LAST:
    case SESSION:
        return answer_about_session(question, ret_answer);
    case SESSIONS:
        return answer_sessions(question, ret_answer);
    case HEALTH:
    case STATS:
        return answer_about_sidecar(question, ret_answer);
    default:
        return answer_published(question, ret_answer);
    }
}

/* answer() -> it; None: not yet. */
static PyObject *question_answer(PyObject *self, PyObject *unused)
{
    struct py_question *question = question_of(self);
    PyObject *given = NULL;
    (void)unused;
    if (py_child_client(&question->child) == NULL)
        return NULL;
    int collects = PyGC_Disable(); /* see core.h */
    spn_err err = answer(question, &given);
    if (collects)
        PyGC_Enable();
    if (err == SPN_E_TIMEOUT)
        return Py_NewRef(Py_None);
    return err == SPN_OK ? given : py_child_raise(&question->child, err);
}

static PyMethodDef question_methods[] = {
    {"answer", question_answer, METH_NOARGS, NULL},
    {"close", py_child_close_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef question_fields[] = {
    {"closed", py_child_closed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot question_slots[] = {
    {Py_tp_new, (void *)question_new},
    {Py_tp_dealloc, (void *)py_child_dealloc},
    {Py_tp_traverse, (void *)py_child_traverse},
    {Py_tp_clear, (void *)py_child_clear},
    {Py_tp_methods, question_methods},
    {Py_tp_getset, question_fields},
    {0, NULL},
};

PyType_Spec py_question_spec = {
    .name = "sponson._sponson.Question",
    .basicsize = sizeof(struct py_question),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = question_slots,
};
