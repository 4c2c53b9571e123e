/* SPDX-License-Identifier: Apache-2.0 */
/* give: what the library lends, as values of Python.
 *
 * Everything is copied. Ids, types, data, names and reasons are str. Bytes that are not UTF-8
 * become lone surrogates ("surrogateescape"), which take.h turns back into the same bytes. Notes
 * are bytes. A life is 32 hexadecimal digits, or "" if it is not known. An error code is its name,
 * or None for SPN_OK.
 *
 * Owns     nothing.
 * Errors   NULL, with an exception set.
 * Threads  one that holds the GIL.
 */
#ifndef SPN_PY_GIVE_H
#define SPN_PY_GIVE_H

#include "state.h"

PyObject *py_give_text(struct spn_bytes bytes);
PyObject *py_give_code(spn_err err);

PyObject *py_give_event(const struct py_state *state, const struct spn_event *event);
/* An item of a subscription to a session; of spn_follow. */
PyObject *py_give_item(const struct py_state *state, const struct spn_item *item);
PyObject *py_give_log_item(const struct py_state *state, const struct spn_item *item);

PyObject *py_give_published(const struct py_state *state, const struct spn_published *published);
PyObject *py_give_last(const struct py_state *state, const struct spn_last *last);
PyObject *py_give_session(const struct py_state *state, const struct spn_session *session);
PyObject *py_give_session_info(const struct py_state *state, const struct spn_session_info *info);
PyObject *py_give_health(const struct py_state *state, const struct spn_health *health);
PyObject *py_give_counters(const struct py_state *state, const struct spn_counters *counters);
/* A dict. */
PyObject *py_give_stats(const struct spn_stat *stats, size_t count);

#endif
