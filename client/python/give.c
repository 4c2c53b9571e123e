/* SPDX-License-Identifier: Apache-2.0 */
#include "give.h"

#include <string.h>

#include "take.h"

static const char *const event_kinds[] = {"event", "marker", "reset", NULL};

/* -- single values ----------------------------------------------------------------------------- */

PyObject *py_give_text(struct spn_bytes bytes)
{
    return PyUnicode_DecodeUTF8(bytes.data, (Py_ssize_t)bytes.size, "surrogateescape");
}

PyObject *py_give_code(spn_err err)
{
    return err == SPN_OK ? Py_NewRef(Py_None) : PyUnicode_InternFromString(spn_err_name(err));
}

static PyObject *give_raw(struct spn_bytes bytes)
{
    return PyBytes_FromStringAndSize(bytes.data, (Py_ssize_t)bytes.size);
}

static PyObject *give_number(uint64_t number)
{
    return PyLong_FromUnsignedLongLong(number);
}

static PyObject *give_life(const struct spn_life *life)
{
    static const struct spn_life none;
    char text[SPN_LIFE_TEXT_SIZE] = "";
    if (memcmp(life, &none, sizeof(none)) != 0)
        spn_life_format(life, text);
    return PyUnicode_FromString(text);
}

static PyObject *give_word(const char *word)
{
    return PyUnicode_InternFromString(word);
}

/* The word of a number. The words end with NULL, and a later sidecar may have more of them. */
static PyObject *give_named(const char *const *words, unsigned number)
{
    while (*words != NULL && number > 0) {
        words++;
        number--;
    }
    return give_word(*words != NULL ? *words : "?");
}

static PyObject *give_state(spn_session_state state)
{
    return give_word(spn_session_state_name(state));
}

static PyObject *give_database(const struct spn_item *item)
{
    return PyBytes_FromStringAndSize((const char *)item->database, SPN_DATABASE_ID_SIZE);
}

/* -- records ----------------------------------------------------------------------------------- */

/* A record that is being filled, field after field. NULL: something failed. */
struct row {
    PyObject *record;
    Py_ssize_t at;
};

static struct row begin(const struct py_state *state, enum py_record record)
{
    PyTypeObject *type = (PyTypeObject *)state->records[record];
    if (type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the records are not registered");
        return (struct row){NULL, 0};
    }
    return (struct row){PyType_GenericAlloc(type, state->field_counts[record]), 0};
}

/* Takes the reference. */
static void add(struct row *row, PyObject *value)
{
    if (value == NULL || row->record == NULL) {
        Py_XDECREF(value);
        Py_CLEAR(row->record);
    } else if (PyTuple_SetItem(row->record, row->at++, value) != 0) {
        Py_CLEAR(row->record);
    }
}

static void add_numbers(struct row *row, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(row, give_number(numbers[i]));
}

#define NUMBERS(...) ((const uint64_t[]){__VA_ARGS__})
#define ADD_NUMBERS(row, ...)                                                                      \
    add_numbers(row, NUMBERS(__VA_ARGS__), sizeof(NUMBERS(__VA_ARGS__)) / sizeof(uint64_t))

PyObject *py_give_event(const struct py_state *state, const struct spn_event *event)
{
    struct row row = begin(state, PY_EVENT);
    add(&row, give_named(event_kinds, event->kind));
    add(&row, py_give_text(event->id));
    add(&row, py_give_text(event->type));
    add(&row, py_give_text(event->data));
    add(&row, event->retry_ms == SPN_RETRY_NONE ? Py_NewRef(Py_None)
                                                : PyLong_FromUnsignedLong(event->retry_ms));
    add(&row, PyBool_FromLong(event->resets_id));
    add(&row, give_raw(event->note));
    ADD_NUMBERS(&row, event->seq, event->position);
    add(&row, give_life(&event->life));
    add(&row, give_number(event->time_ms));
    add(&row, PyBool_FromLong(event->closes));
    add(&row, py_give_text(event->reason));
    return row.record;
}

/* A verdict or an end, up to where they differ. */
static struct row begin_judged(const struct py_state *state, enum py_record record,
                               const char *kind, const struct spn_item *item)
{
    struct row row = begin(state, record);
    add(&row, give_word(kind));
    add(&row, py_give_code(item->why));
    ADD_NUMBERS(&row, item->missing, item->seq);
    add(&row, give_life(&item->life));
    add(&row, give_number(item->newest));
    add(&row, give_state(item->state));
    add(&row, py_give_text(item->reason));
    return row;
}

static PyObject *give_verdict(const struct py_state *state, const struct spn_item *item)
{
    struct row row = begin_judged(state, PY_VERDICT, "verdict", item);
    add(&row, py_give_text(item->id));
    add(&row, give_named(py_starts, item->start));
    add(&row, py_give_text(item->after));
    add(&row, give_life(&item->after_life));
    add(&row, give_number(item->after_seq));
    add(&row, give_database(item));
    return row.record;
}

static PyObject *give_end(const struct py_state *state, const struct spn_item *item)
{
    struct row row = begin_judged(state, PY_END, "end", item);
    add(&row, give_database(item));
    return row.record;
}

static PyObject *give_gap(const struct py_state *state, const struct spn_item *item)
{
    struct row row = begin(state, PY_GAP);
    add(&row, give_word("gap"));
    ADD_NUMBERS(&row, item->missing, item->seq);
    add(&row, give_life(&item->life));
    ADD_NUMBERS(&row, item->first, item->last);
    add(&row, give_database(item));
    return row.record;
}

static PyObject *give_caught_up(const struct py_state *state, const struct spn_item *item)
{
    struct row row = begin(state, PY_CAUGHT_UP);
    add(&row, give_word("caught_up"));
    add(&row, give_number(item->seq));
    add(&row, give_life(&item->life));
    add(&row, give_database(item));
    return row.record;
}

PyObject *py_give_item(const struct py_state *state, const struct spn_item *item)
{
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        return give_verdict(state, item);
    case SPN_ITEM_EVENT:
        return py_give_event(state, item->event);
    case SPN_ITEM_GAP:
        return give_gap(state, item);
    case SPN_ITEM_CAUGHT_UP:
        return give_caught_up(state, item);
    case SPN_ITEM_END:
        return give_end(state, item);
    default:
        return PyErr_Format(PyExc_SystemError, "no item of a session: %d", (int)item->kind);
    }
}

static PyObject *give_attributes(const struct py_state *state, const struct spn_attributes *given)
{
    if (given == NULL)
        return Py_NewRef(Py_None);
    struct row row = begin(state, PY_ATTRIBUTES);
    ADD_NUMBERS(&row, given->ttl_ms, given->idle_close_ms);
    add(&row, py_give_text(given->content_type));
    add(&row, give_raw(given->note));
    return row.record;
}

/* What the entry is: of an event or a marker, which one. */
static PyObject *give_entry_kind(const struct spn_item *item)
{
    static const char *const others[] = {
        [SPN_ITEM_OPEN] = "open",     [SPN_ITEM_CLOSE] = "close",
        [SPN_ITEM_DELETE] = "delete", [SPN_ITEM_EXPIRE] = "expire",
        [SPN_ITEM_TOUCH] = "touch",   [SPN_ITEM_ATTRIBUTES] = "attributes",
    };
    return item->kind == SPN_ITEM_EVENT ? give_named(event_kinds, item->event->kind)
                                        : give_word(others[item->kind]);
}

PyObject *py_give_log_item(const struct py_state *state, const struct spn_item *item)
{
    if (item->kind != SPN_ITEM_EVENT && item->kind < SPN_ITEM_OPEN)
        return py_give_item(state, item);
    if (item->kind > SPN_ITEM_TOUCH)
        return PyErr_Format(PyExc_SystemError, "no item of the log: %d", (int)item->kind);
    struct row row = begin(state, PY_ENTRY);
    add(&row, give_entry_kind(item));
    add(&row, py_give_text(item->session));
    add(&row, give_life(&item->life));
    ADD_NUMBERS(&row, item->seq, item->missing);
    add(&row, item->event != NULL ? py_give_event(state, item->event) : Py_NewRef(Py_None));
    add(&row, py_give_text(item->reason));
    add(&row, give_attributes(state, item->attributes));
    add(&row, give_database(item));
    return row.record;
}

/* -- answers ----------------------------------------------------------------------------------- */

PyObject *py_give_published(const struct py_state *state, const struct spn_published *published)
{
    struct row row = begin(state, PY_PUBLISHED);
    add(&row, give_word(spn_result_name(published->result)));
    add(&row, py_give_code(published->code));
    add(&row, give_state(published->state));
    add(&row, give_life(&published->life));
    ADD_NUMBERS(&row, published->seq, published->position);
    add(&row, py_give_text(published->id));
    return row.record;
}

PyObject *py_give_last(const struct py_state *state, const struct spn_last *last)
{
    struct row row = begin(state, PY_LAST);
    add(&row, py_give_text(last->id));
    add(&row, give_number(last->seq));
    add(&row, give_life(&last->life));
    ADD_NUMBERS(&row, last->position, last->time_ms);
    add(&row, give_state(last->state));
    return row.record;
}

PyObject *py_give_session(const struct py_state *state, const struct spn_session *session)
{
    struct row row = begin(state, PY_SESSION);
    add(&row, py_give_text(session->name));
    add(&row, py_give_text(session->last_id));
    add(&row, give_life(&session->life));
    ADD_NUMBERS(&row, session->epoch, session->seq, session->markers, session->position,
                session->bytes, session->opened_ms, session->last_ms, session->duplicates,
                session->conflicts);
    add(&row, give_state(session->state));
    add(&row, py_give_text(session->reason));
    add(&row, py_give_text(session->content_type));
    ADD_NUMBERS(&row, session->ttl_ms, session->idle_close_ms);
    return row.record;
}

PyObject *py_give_session_info(const struct py_state *state, const struct spn_session_info *info)
{
    struct row row = begin(state, PY_SESSION_INFO);
    add(&row, py_give_session(state, info->session));
    ADD_NUMBERS(&row, info->first_seq, info->markers, info->life_first_seq);
    add(&row, give_raw(info->note));
    return row.record;
}

PyObject *py_give_health(const struct py_state *state, const struct spn_health *health)
{
    static const char *const statuses[] = {"healthy", "degraded", "stopping", NULL};
    struct row row = begin(state, PY_HEALTH);
    add(&row, give_named(statuses, health->status));
    add(&row, py_give_text(spn_text(health->reason)));
    add(&row, py_give_text(spn_text(health->version)));
    ADD_NUMBERS(&row, health->pid, health->instance, health->uptime_ms, health->durable,
                health->checkpoint);
    return row.record;
}

PyObject *py_give_counters(const struct py_state *state, const struct spn_counters *counters)
{
    struct row row = begin(state, PY_COUNTERS);
    ADD_NUMBERS(&row, counters->taken, counters->stored, counters->duplicates, counters->conflicts,
                counters->refused, counters->lost, counters->resent, counters->backpressure,
                counters->unacknowledged, counters->pending, counters->replaced);
    return row.record;
}

PyObject *py_give_stats(const struct spn_stat *stats, size_t count)
{
    PyObject *all = PyDict_New();
    for (size_t i = 0; all != NULL && i < count; i++) {
        PyObject *value = give_number(stats[i].value);
        if (value == NULL || PyDict_SetItemString(all, stats[i].name, value) != 0)
            Py_CLEAR(all);
        Py_XDECREF(value);
    }
    return all;
}
