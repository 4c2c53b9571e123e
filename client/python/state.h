/* SPDX-License-Identifier: Apache-2.0 */
/* state: what the module knows: the Python classes that it fills, and those that it raises.
 *
 * The classes are written in Python (sponson/_records.py, sponson/_errors.py), where people read
 * them, and are registered when the package is imported. The fields of a record are compared then
 * with the list below, so that a record is always filled as it is named.
 *
 * Owns     references to the classes, as long as the module lives. There is one state for each
 *          interpreter.
 * Errors   as in CPython: NULL or false, with an exception set.
 * Threads  one that holds the GIL.
 */
#ifndef SPN_PY_STATE_H
#define SPN_PY_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

#include "sponson.h"

/* X(name, class, fields) */
#define PY_RECORDS(X)                                                                              \
    X(EVENT, "Event",                                                                              \
      "kind id type data retry_ms resets_id note seq position life time_ms closes reason")         \
    X(VERDICT, "Verdict",                                                                          \
      "kind why missing seq life newest state reason id start after after_life after_seq "         \
      "database")                                                                                  \
    X(GAP, "Gap", "kind missing seq life first last database")                                     \
    X(CAUGHT_UP, "CaughtUp", "kind seq life database")                                             \
    X(END, "End", "kind why missing seq life newest state reason database")                        \
    X(ENTRY, "Entry", "kind session life seq missing event reason attributes database")            \
    X(ATTRIBUTES, "Attributes", "ttl_ms idle_close_ms content_type note")                          \
    X(OPTIONS, "Options", "if_new if_seq life depends closes reason")                              \
    X(PUBLISHED, "Published", "result code state life seq position id")                            \
    X(LAST, "Last", "id seq life position time_ms state")                                          \
    X(SESSION, "Session",                                                                          \
      "name last_id life epoch seq markers position bytes opened_ms last_ms duplicates conflicts " \
      "state reason content_type ttl_ms idle_close_ms")                                            \
    X(SESSION_INFO, "SessionInfo", "session first_seq markers life_first_seq note")                \
    X(HEALTH, "Health", "status reason version pid instance uptime_ms durable checkpoint")         \
    X(COUNTERS, "Counters",                                                                        \
      "taken stored duplicates conflicts refused lost resent backpressure unacknowledged pending " \
      "replaced")

enum py_record {
#define PY_RECORD_ENUM(name, class, fields) PY_##name,
    PY_RECORDS(PY_RECORD_ENUM)
#undef PY_RECORD_ENUM
        PY_RECORD_COUNT
};

/* Names that are looked up often. */
enum py_word { PY_DONE, PY_SET_RESULT, PY_BLOCKING, PY_CHECK_THREAD, PY_WORD_COUNT };

struct py_state {
    PyObject *records[PY_RECORD_COUNT];
    Py_ssize_t field_counts[PY_RECORD_COUNT];
    PyObject *errors; /* a dict: the number of an error is the key of its class */
    PyObject *words[PY_WORD_COUNT];
    PyObject *client_type;
    PyTypeObject *next_type;
};

bool py_state_init(struct py_state *state); /* makes the words */
/* Takes the classes: {"Event": class, ...} and {number: class}. */
bool py_state_register(struct py_state *state, PyObject *records, PyObject *errors);
int py_state_traverse(struct py_state *state, visitproc visit, void *arg);
void py_state_clear(struct py_state *state); /* takes a state that was only zeroed */

/* The state of the module that this object's type, or the nearest of its bases, belongs to. */
struct py_state *py_state_of(PyObject *object);

/* Raises the class of this error, and returns NULL. The text is the client's description of its
 * last failure, or, without a client, that of the error. */
PyObject *py_raise(const struct py_state *state, spn_err err, const spn_client *client);
PyObject *py_raise_text(const struct py_state *state, spn_err err, const char *text);

/* A list of (name, number, text) of all errors. */
PyObject *py_error_list(void);

#endif
