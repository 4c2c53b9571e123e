/* SPDX-License-Identifier: Apache-2.0 */
#include "answers.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"

enum {
    PAGE_ROWS_MAX = 1024,
    TEXT_SIZE = UINT8_MAX + 1, /* short bytes and a NUL */
    STAT_SIZE_MIN = 8 + 1,     /* on the wire */
};

struct info {
    struct spn_session_info info; /* first: it is what is lent */
    struct spn_session session;
};

struct health {
    struct spn_health health; /* first: it is what is lent */
    char reason[TEXT_SIZE];
    char version[TEXT_SIZE];
};

struct page {
    struct spn_session row;
    struct wire_in rows; /* after the one that was lent last */
    uint32_t left;
    bool more; /* there are rows after this page */
};

struct clients {
    struct spn_connection row;
    struct wire_in rows; /* after the one that was lent last */
    uint32_t left;
    uint32_t next;
    uint32_t hidden;
};

struct stats {
    size_t count;
    struct spn_stat stats[]; /* followed by their names */
};

/* -- asking ------------------------------------------------------------------------------------ */

/* The type of an answer is the number after that of its request. */
static struct wire_out *begin(struct ask *ask, enum wire_type type)
{
    ask->out = wire_out(ask->bytes, sizeof(ask->bytes));
    ask->request = (struct question_request){
        .type = type, .answer = (enum wire_type)(type + 1), .body = &ask->out};
    return &ask->out;
}

spn_err ask_of_session(struct ask *ask, enum wire_type type, struct spn_bytes session)
{
    struct wire_out *out = begin(ask, type);
    spn_err err = wire_check_session(session);
    if (err != SPN_OK)
        return err;
    if (type == WIRE_LAST)
        wire_put_last(out, session);
    else
        wire_put_info(out, session);
    return SPN_OK;
}

spn_err ask_of_sessions(struct ask *ask, struct spn_bytes after, struct spn_bytes prefix)
{
    const struct wire_sessions page = {
        .count_max = PAGE_ROWS_MAX, .after = after, .prefix = prefix};
    if ((after.data == NULL && after.size > 0) || (prefix.data == NULL && prefix.size > 0))
        return SPN_E_INVALID;
    if (after.size > WIRE_SESSION_MAX || prefix.size > WIRE_SESSION_MAX)
        return SPN_E_BAD_SESSION;
    wire_put_sessions(begin(ask, WIRE_SESSIONS), &page);
    return SPN_OK;
}

void ask_of_sidecar(struct ask *ask, enum wire_type type)
{
    (void)begin(ask, type);
}

spn_err spn_ask_last(spn_question **ret_question, spn_client *client, struct spn_bytes session)
{
    struct ask ask;
    spn_err err = client_check_for(client, ret_question);
    if (err != SPN_OK)
        return err;
    err = ask_of_session(&ask, WIRE_LAST, session);
    return err == SPN_OK ? question_ask(ret_question, client, &ask.request)
                         : client_fail(client, err, NULL);
}

spn_err spn_ask_session(spn_question **ret_question, spn_client *client, struct spn_bytes name)
{
    struct ask ask;
    spn_err err = client_check_for(client, ret_question);
    if (err != SPN_OK)
        return err;
    err = ask_of_session(&ask, WIRE_INFO, name);
    return err == SPN_OK ? question_ask(ret_question, client, &ask.request)
                         : client_fail(client, err, NULL);
}

spn_err spn_ask_sessions(spn_question **ret_question, spn_client *client, struct spn_bytes after,
                         struct spn_bytes prefix)
{
    struct ask ask;
    spn_err err = client_check_for(client, ret_question);
    if (err != SPN_OK)
        return err;
    err = ask_of_sessions(&ask, after, prefix);
    return err == SPN_OK ? question_ask(ret_question, client, &ask.request)
                         : client_fail(client, err, NULL);
}

static spn_err ask_sidecar(spn_question **ret_question, spn_client *client, enum wire_type type)
{
    struct ask ask;
    spn_err err = client_check_for(client, ret_question);
    if (err != SPN_OK)
        return err;
    ask_of_sidecar(&ask, type);
    return question_ask(ret_question, client, &ask.request);
}

spn_err spn_ask_health(spn_question **ret_question, spn_client *client)
{
    return ask_sidecar(ret_question, client, WIRE_HEALTH);
}

spn_err spn_ask_stats(spn_question **ret_question, spn_client *client)
{
    return ask_sidecar(ret_question, client, WIRE_STATS);
}

spn_err spn_ask_clients(spn_question **ret_question, spn_client *client, uint32_t after)
{
    struct ask ask;
    spn_err err = client_check_for(client, ret_question);
    if (err != SPN_OK)
        return err;
    wire_put_clients(begin(&ask, WIRE_CLIENTS),
                     &(struct wire_clients){.after = after, .count_max = PAGE_ROWS_MAX});
    return question_ask(ret_question, client, &ask.request);
}

/* -- answers ----------------------------------------------------------------------------------- */

spn_err spn_answer_last(spn_question *question, const struct spn_last **ret_last)
{
    struct wire_in in;
    struct wire_last_is last;
    spn_err err = question_open(question, WIRE_LAST, ret_last, &in);
    if (err != SPN_OK)
        return err;
    wire_get_last_is(&in, &last);
    if (!wire_in_done(&in))
        return question_bad_answer(question);
    struct spn_last *made = question_room(question, sizeof(*made));
    if (made == NULL)
        return SPN_E_NOMEM;
    *made = (struct spn_last){.id = last.id,
                              .seq = last.seq,
                              .life = last.life,
                              .position = last.position,
                              .time_ms = last.time_ms,
                              .state = (spn_session_state)last.state};
    *ret_last = made;
    return SPN_OK;
}

static struct spn_session session_of(const struct wire_session_row *row)
{
    return (struct spn_session){.name = row->name,
                                .last_id = row->last_id,
                                .life = row->life,
                                .epoch = row->epoch,
                                .seq = row->seq,
                                .markers = row->markers,
                                .position = row->position,
                                .bytes = row->bytes,
                                .opened_ms = row->opened_ms,
                                .last_ms = row->last_ms,
                                .duplicates = row->duplicates,
                                .conflicts = row->conflicts,
                                .state = (spn_session_state)row->state,
                                .reason = row->reason,
                                .content_type = row->content_type,
                                .ttl_ms = row->ttl_ms,
                                .idle_close_ms = row->idle_close_ms};
}

spn_err spn_answer_session(spn_question *question, const struct spn_session_info **ret_info)
{
    struct wire_in in;
    struct wire_info_is info;
    spn_err err = question_open(question, WIRE_INFO, ret_info, &in);
    if (err != SPN_OK)
        return err;
    wire_get_info_is(&in, &info);
    if (!wire_in_done(&in) || info.row.name.size == 0)
        return question_bad_answer(question);
    struct info *made = question_room(question, sizeof(*made));
    if (made == NULL)
        return SPN_E_NOMEM;
    made->session = session_of(&info.row);
    made->info = (struct spn_session_info){.session = &made->session,
                                           .first_seq = info.first_seq,
                                           .markers = info.markers,
                                           .life_first_seq = info.life_first_seq,
                                           .note = info.note};
    *ret_info = &made->info;
    return SPN_OK;
}

/* The first call opens the page of the list, which is then what the question has made. */
static spn_err open_page(spn_question *question, const void *filled)
{
    struct wire_in in;
    struct wire_sessions_are head;
    spn_err err = question_open(question, WIRE_SESSIONS, filled, &in);
    if (err != SPN_OK || question->made != NULL)
        return err;
    wire_get_sessions_are(&in, &head);
    if (in.bad || (head.count == 0 && head.more != 0))
        return question_bad_answer(question);
    struct page *page = question_room(question, sizeof(*page));
    if (page == NULL)
        return SPN_E_NOMEM;
    *page = (struct page){.rows = in, .left = head.count, .more = head.more != 0};
    return SPN_OK;
}

spn_err spn_answer_next_session(spn_question *question, const struct spn_session **ret_session)
{
    struct wire_session_row row;
    spn_err err = open_page(question, ret_session);
    if (err != SPN_OK)
        return err;
    struct page *page = question->made;
    if (page->left == 0)
        return client_fail(question->client, SPN_E_END, NULL);
    struct wire_in rows = page->rows;
    wire_get_session_row(&rows, &row);
    if (rows.bad || row.name.size == 0)
        return question_bad_answer(question);
    page->rows = rows;
    page->left--;
    page->row = session_of(&row);
    *ret_session = &page->row;
    return SPN_OK;
}

spn_err spn_answer_more_sessions(spn_question *question, bool *ret_more)
{
    spn_err err = open_page(question, ret_more);
    if (err == SPN_OK)
        *ret_more = ((const struct page *)question->made)->more;
    return err;
}

static const char *keep_text(struct spn_bytes from, char text[TEXT_SIZE])
{
    if (from.size > 0)
        memcpy(text, from.data, from.size);
    text[from.size] = '\0';
    return text;
}

spn_err spn_answer_health(spn_question *question, const struct spn_health **ret_health)
{
    struct wire_in in;
    struct wire_health health;
    spn_err err = question_open(question, WIRE_HEALTH, ret_health, &in);
    if (err != SPN_OK)
        return err;
    wire_get_health(&in, &health);
    if (!wire_in_done(&in))
        return question_bad_answer(question);
    struct health *made = question_room(question, sizeof(*made));
    if (made == NULL)
        return SPN_E_NOMEM;
    made->health = (struct spn_health){
        .status = (spn_status)health.status,
        .reason = keep_text(health.reason, made->reason),
        .version = keep_text(health.version, made->version),
        .pid = health.pid,
        .instance = health.instance,
        .uptime_ms = health.uptime_ms,
        .durable = health.durable,
        .checkpoint = health.checkpoint,
    };
    *ret_health = &made->health;
    return SPN_OK;
}

/* One block: the counters, then their names with a NUL each. The names take less room than on the
 * wire, where each also has a length byte and a value of eight bytes. */
static spn_err make_stats(spn_question *question, struct wire_in in, uint32_t count)
{
    size_t left = (size_t)(in.end - in.at);
    struct stats *made;
    if (count > left / STAT_SIZE_MIN)
        return question_bad_answer(question);
    made = question_room(question, sizeof(*made) + count * sizeof(made->stats[0]) + left + 1);
    if (made == NULL)
        return SPN_E_NOMEM;
    char *names = (char *)&made->stats[count];
    for (uint32_t i = 0; i < count && !in.bad; i++) {
        struct wire_stat stat;
        wire_get_stat(&in, &stat);
        if (stat.name.size > 0)
            memcpy(names, stat.name.data, stat.name.size);
        names[stat.name.size] = '\0';
        made->stats[i] = (struct spn_stat){.name = names, .value = stat.value};
        names += stat.name.size + 1;
    }
    made->count = count;
    return wire_in_done(&in) ? SPN_OK : question_bad_answer(question);
}

spn_err spn_answer_stats(spn_question *question, const struct spn_stat **ret_stats,
                         size_t *ret_count)
{
    struct wire_in in;
    struct wire_stats_are head;
    if (ret_stats == NULL || ret_count == NULL)
        return question_open(question, WIRE_STATS, NULL, &in);
    spn_err err = question_open(question, WIRE_STATS, ret_stats, &in);
    if (err != SPN_OK)
        return err;
    wire_get_stats_are(&in, &head);
    if (in.bad)
        return question_bad_answer(question);
    err = make_stats(question, in, head.count);
    if (err != SPN_OK)
        return err;
    const struct stats *made = question->made;
    *ret_stats = made->stats;
    *ret_count = made->count;
    return SPN_OK;
}

/* As with the list of sessions, the first call opens the page. */
static spn_err open_clients(spn_question *question, const void *filled)
{
    struct wire_in in;
    struct wire_clients_are head;
    spn_err err = question_open(question, WIRE_CLIENTS, filled, &in);
    if (err != SPN_OK || question->made != NULL)
        return err;
    wire_get_clients_are(&in, &head);
    if (in.bad)
        return question_bad_answer(question);
    struct clients *made = question_room(question, sizeof(*made));
    if (made == NULL)
        return SPN_E_NOMEM;
    *made =
        (struct clients){.rows = in, .left = head.count, .next = head.next, .hidden = head.hidden};
    return SPN_OK;
}

spn_err spn_answer_next_client(spn_question *question, const struct spn_connection **ret_connection)
{
    struct wire_client row;
    spn_err err = open_clients(question, ret_connection);
    if (err != SPN_OK)
        return err;
    struct clients *made = question->made;
    if (made->left == 0)
        return client_fail(question->client, SPN_E_END, NULL);
    struct wire_in rows = made->rows;
    wire_get_client(&rows, &row);
    if (rows.bad)
        return question_bad_answer(question);
    made->rows = rows;
    made->left--;
    made->row = (struct spn_connection){.number = row.number,
                                        .pid = row.pid,
                                        .uid = row.uid,
                                        .socket = (spn_socket)row.socket,
                                        .subscriptions = row.subscriptions,
                                        .behind = row.behind,
                                        .lag = row.lag,
                                        .waiting = row.waiting,
                                        .program = row.program};
    *ret_connection = &made->row;
    return SPN_OK;
}

spn_err spn_answer_more_clients(spn_question *question, uint32_t *ret_after, uint32_t *ret_hidden)
{
    if (ret_after == NULL || ret_hidden == NULL)
        return open_clients(question, NULL);
    spn_err err = open_clients(question, ret_after);
    if (err != SPN_OK)
        return err;
    const struct clients *made = question->made;
    *ret_after = made->next;
    *ret_hidden = made->hidden;
    return SPN_OK;
}
