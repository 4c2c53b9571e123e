/* SPDX-License-Identifier: Apache-2.0 */
/* take: values of Python, for the library.
 *
 * Each function has the name of the argument, and puts it at the beginning of its TypeError or
 * ValueError. What the library itself judges (a session's name, an id) is left to it.
 *
 * Owns     a py_hold keeps alive what the bytes point to, until py_hold_release.
 * Borrows  the arguments: the caller keeps them alive as long as what was taken from them.
 * Errors   false, with an exception set.
 * Threads  one that holds the GIL.
 */
#ifndef SPN_PY_TAKE_H
#define SPN_PY_TAKE_H

#include "state.h"

/* Keeps alive what was taken of one call's arguments: texts with surrogates, which have to be
 * encoded, and buffers. Most calls need neither. */
struct py_hold {
    PyObject *objects; /* a list, or NULL */
};

void py_hold_release(struct py_hold *hold); /* takes a struct that was only zeroed */

/* A str as UTF-8, bytes as they are, and everything else with a buffer. */
bool py_take_bytes(struct py_hold *hold, PyObject *value, const char *name,
                   struct spn_bytes *ret_bytes);

bool py_take_bool(PyObject *value, const char *name, bool *ret_bool);
/* An int of 0 .. max. */
bool py_take_number(PyObject *value, const char *name, uint64_t max, uint64_t *ret_number);
bool py_take_size(PyObject *value, const char *name, size_t *ret_size);
/* One of the words, which end with NULL, as its index. */
bool py_take_word(PyObject *value, const char *name, const char *const *words, int *ret_index);
/* 32 hexadecimal digits; None: zeros. */
bool py_take_life(PyObject *value, const char *name, struct spn_life *ret_life);
/* Exactly so many bytes. */
bool py_take_exactly(PyObject *value, const char *name, void *ret_bytes, size_t size);

extern const char *const py_levels[];
extern const char *const py_starts[];

/* An Event, or the data of one. */
bool py_take_event(const struct py_state *state, struct py_hold *hold, PyObject *value,
                   struct spn_event *ret_event);
/* The fields of an event one by one: data, id, type, retry_ms, note. With an Event in the place of
 * data the others have to be left out ("" and None). */
bool py_take_fields(const struct py_state *state, struct py_hold *hold, PyObject *const *fields,
                    struct spn_event *ret_event);

/* Options or None. ret_life is room for a life that the options may point to. *ret_options is NULL
 * for None. */
bool py_take_options(const struct py_state *state, struct py_hold *hold, PyObject *value,
                     struct spn_publish_options *room, struct spn_life *ret_life,
                     const struct spn_publish_options **ret_options);

bool py_take_attributes(const struct py_state *state, struct py_hold *hold, PyObject *value,
                        struct spn_attributes *ret_attributes);

#endif
