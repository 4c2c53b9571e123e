/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/connections.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MIN = 64 };

static struct connected row_of(const struct spn_connection *from)
{
    struct connected row = {
        .pid = from->pid,
        .uid = from->uid,
        .connections = 1,
        .writes = from->socket == SPN_SOCKET_INGEST,
        .subscriptions = from->subscriptions,
        .behind = from->behind,
        .lag = from->lag,
        .waiting = from->waiting,
    };
    size_t size =
        from->program.size < sizeof(row.program) - 1 ? from->program.size : sizeof(row.program) - 1;
    memcpy(row.program, size > 0 ? from->program.data : "", size);
    return row;
}

static spn_err add(struct connected_list *list, const struct spn_connection *from)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? 2 * list->capacity : ROWS_MIN;
        struct connected *more = reallocarray(list->rows, capacity, sizeof(*more));
        if (!more)
            return SPN_E_NOMEM;
        list->rows = more;
        list->capacity = capacity;
    }
    list->rows[list->count++] = row_of(from);
    return SPN_OK;
}

/* A page: *ret_after is what to ask after next; 0: that was all. */
static spn_err add_page(struct connected_list *list, spn_question *answered, uint32_t *ret_after)
{
    const struct spn_connection *connection;
    uint32_t hidden = 0;
    spn_err err;
    while ((err = spn_answer_next_client(answered, &connection)) == SPN_OK) {
        err = add(list, connection);
        if (err != SPN_OK)
            return err;
    }
    if (err != SPN_E_END)
        return err;
    err = spn_answer_more_clients(answered, ret_after, &hidden);
    list->hidden += hidden;
    return err;
}

static int compare(const void *left, const void *right)
{
    const struct connected *a = left;
    const struct connected *b = right;
    if (a->uid != b->uid)
        return a->uid < b->uid ? -1 : 1;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

static void merge(struct connected *into, const struct connected *from)
{
    into->connections += from->connections;
    into->writes = into->writes || from->writes;
    into->subscriptions += from->subscriptions;
    into->behind += from->behind;
    into->lag = from->lag > into->lag ? from->lag : into->lag;
    into->waiting += from->waiting;
}

/* All are there: one row for each process, in order. */
static void merge_rows(struct connected_list *list)
{
    size_t count = 0;
    if (list->count > 1)
        qsort(list->rows, list->count, sizeof(*list->rows), compare);
    for (size_t i = 0; i < list->count; i++) {
        struct connected *last = count > 0 ? &list->rows[count - 1] : NULL;
        if (last && last->pid != 0 && compare(last, &list->rows[i]) == 0)
            merge(last, &list->rows[i]);
        else
            list->rows[count++] = list->rows[i];
    }
    list->count = count;
}

void connected_release(struct connected_list *list)
{
    free(list->rows);
    *list = (struct connected_list){0};
}

spn_err connected_ask(struct connected_list *list, spn_client *client, int timeout_ms)
{
    uint32_t after = 0;
    spn_err err = SPN_OK;
    list->count = 0;
    list->hidden = 0;
    do {
        spn_question *question = NULL;
        spn_question *answered;
        err = spn_ask_clients(&question, client, after);
        if (err == SPN_OK)
            err = spn_next_answered(client, timeout_ms, &answered);
        if (err == SPN_OK)
            err = add_page(list, question, &after);
        spn_question_close(question);
    } while (err == SPN_OK && after != 0);
    merge_rows(list);
    return err;
}
