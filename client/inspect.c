/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "client.h"

struct inspect {
    spn_question *question; /* of the last call other than spn_next_session; NULL: none */
    spn_question *page;     /* of the list; NULL: none */
    spn_question *next;     /* for another page; NULL: none */
    uint8_t prefix[WIRE_SESSION_MAX];
    size_t prefix_size;
    uint8_t name[WIRE_SESSION_MAX]; /* of the row that the last call returned */
    size_t name_size;
};

void inspect_free(struct inspect *inspect)
{
    if (inspect == NULL)
        return;
    spn_question_close(inspect->question);
    spn_question_close(inspect->page);
    spn_question_close(inspect->next);
    free(inspect);
}

static spn_err prepare(struct spn_client *client, const void *filled)
{
    spn_err err = client_check_for(client, filled);
    if (err != SPN_OK || client->inspect != NULL)
        return err;
    client->inspect = calloc(1, sizeof(*client->inspect));
    return client->inspect != NULL ? SPN_OK : client_fail(client, SPN_E_NOMEM, NULL);
}

/* *question: the question that was kept here, which is replaced. It is kept further if it has an
 * answer, or if the same call may come back for it. */
static spn_err ask(struct spn_client *client, spn_question **question,
                   const struct question_request *request, int timeout_ms)
{
    bool goes_on = timeout_ms == 0 && *question != NULL && (*question)->state != QUESTION_TAKEN &&
                   question_is(*question, request);
    spn_err err = SPN_OK;
    if (!goes_on) {
        spn_question_close(*question);
        *question = NULL;
        err = question_new(question, client, request);
    }
    if (err == SPN_OK)
        err = question_wait(*question, client_deadline(client, timeout_ms));
    if (err != SPN_OK && timeout_ms != 0) {
        spn_question_close(*question);
        *question = NULL;
    }
    return err;
}

spn_err inspect_ask(struct spn_client *client, const struct question_request *request,
                    int timeout_ms, spn_question **ret_question)
{
    spn_err err = prepare(client, ret_question);
    if (err == SPN_OK)
        err = ask(client, &client->inspect->question, request, timeout_ms);
    if (err == SPN_OK)
        *ret_question = client->inspect->question;
    return err;
}

static spn_err ask_of(struct spn_client *client, enum wire_type type, struct spn_bytes session,
                      int timeout_ms)
{
    struct ask what;
    spn_err err = ask_of_session(&what, type, session);
    if (err != SPN_OK)
        return client_fail(client, err, NULL);
    return ask(client, &client->inspect->question, &what.request, timeout_ms);
}

spn_err spn_last_event(spn_client *client, struct spn_bytes session, int timeout_ms,
                       const struct spn_last **ret_last)
{
    spn_err err = prepare(client, ret_last);
    if (err == SPN_OK)
        err = ask_of(client, WIRE_LAST, session, timeout_ms);
    return err == SPN_OK ? spn_answer_last(client->inspect->question, ret_last) : err;
}

spn_err spn_get_session(spn_client *client, struct spn_bytes name, int timeout_ms,
                        const struct spn_session_info **ret_info)
{
    spn_err err = prepare(client, ret_info);
    if (err == SPN_OK)
        err = ask_of(client, WIRE_INFO, name, timeout_ms);
    return err == SPN_OK ? spn_answer_session(client->inspect->question, ret_info) : err;
}

spn_err spn_get_health(spn_client *client, int timeout_ms, const struct spn_health **ret_health)
{
    struct ask what;
    spn_err err = prepare(client, ret_health);
    ask_of_sidecar(&what, WIRE_HEALTH);
    if (err == SPN_OK)
        err = ask(client, &client->inspect->question, &what.request, timeout_ms);
    return err == SPN_OK ? spn_answer_health(client->inspect->question, ret_health) : err;
}

spn_err spn_get_stats(spn_client *client, int timeout_ms, const struct spn_stat **ret_stats,
                      size_t *ret_count)
{
    struct ask what;
    spn_err err = prepare(client, ret_stats != NULL ? (const void *)ret_count : NULL);
    ask_of_sidecar(&what, WIRE_STATS);
    if (err == SPN_OK)
        err = ask(client, &client->inspect->question, &what.request, timeout_ms);
    return err == SPN_OK ? spn_answer_stats(client->inspect->question, ret_stats, ret_count) : err;
}

/* -- the list ---------------------------------------------------------------------------------- */

static bool same(struct spn_bytes a, const uint8_t *bytes, size_t size)
{
    return a.size == size && (size == 0 || memcmp(a.data, bytes, size) == 0);
}

static void keep(struct spn_bytes from, uint8_t *bytes, size_t *size)
{
    if (from.size > 0)
        memmove(bytes, from.data, from.size);
    *size = from.size;
}

/* Gets the page that begins after this name. The name may lie in the page before it, which stays
 * until there is another one. */
static spn_err get_page(struct spn_client *client, struct spn_bytes after, struct spn_bytes prefix,
                        int timeout_ms)
{
    struct inspect *inspect = client->inspect;
    struct ask what;
    spn_err err = ask_of_sessions(&what, after, prefix);
    if (err != SPN_OK)
        return client_fail(client, err, NULL);
    err = ask(client, &inspect->next, &what.request, timeout_ms);
    if (err != SPN_OK)
        return err;
    keep(after, inspect->name, &inspect->name_size);
    keep(prefix, inspect->prefix, &inspect->prefix_size);
    spn_question_close(inspect->page);
    inspect->page = inspect->next;
    inspect->next = NULL;
    return SPN_OK;
}

static void drop_page(struct inspect *inspect)
{
    spn_question_close(inspect->page);
    inspect->page = NULL;
}

/* The next row of the page that is there. SPN_E_END: there is none, and none after the page. */
static spn_err next_row(struct spn_client *client, bool *ret_more,
                        const struct spn_session **ret_session)
{
    struct inspect *inspect = client->inspect;
    const struct spn_session *session;
    spn_err err = spn_answer_next_session(inspect->page, &session);
    if (err == SPN_OK) {
        keep(session->name, inspect->name, &inspect->name_size);
        *ret_session = session;
        return SPN_OK;
    }
    if (err != SPN_E_END || spn_answer_more_sessions(inspect->page, ret_more) != SPN_OK)
        *ret_more = false;
    if (!*ret_more) /* the next walk requests a page again */
        drop_page(inspect);
    return err;
}

spn_err spn_next_session(spn_client *client, struct spn_bytes after, struct spn_bytes prefix,
                         int timeout_ms, const struct spn_session **ret_session)
{
    bool more = true;
    spn_err err = prepare(client, ret_session);
    if (err != SPN_OK)
        return err;
    struct inspect *inspect = client->inspect;
    bool goes_on = after.size > 0 && after.data != NULL && inspect->page != NULL &&
                   same(after, inspect->name, inspect->name_size) &&
                   (prefix.size == 0 || prefix.data != NULL) &&
                   same(prefix, inspect->prefix, inspect->prefix_size);
    if (goes_on) {
        err = next_row(client, &more, ret_session);
        if (err != SPN_E_END || !more)
            return err;
    }
    err = get_page(client, after, prefix, timeout_ms);
    return err == SPN_OK ? next_row(client, &more, ret_session) : err;
}
