/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/writing.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "http/answer.h"
#include "http/ds/json.h"

enum {
    TRIES_MAX = 100,
    READ_FACTOR = 8, /* times the largest body are read of one that is too large */
    TIMES = 3, /* a body is held: since the change may have to be tried again, as the question,
                  and as its message on the way */
};

void ds_writing_settle(struct ds_writing *writing)
{
    if (!exchange_is_answered(writing->exchange))
        return;
    gateway_wait(writing->gateway, &writing->waiter, 0);
    ds_turn_leave(&writing->gateway->ds_states, &writing->turn);
}

void ds_writing_refuse(struct ds_writing *writing, unsigned status, spn_err err, const char *detail)
{
    struct problem problem;
    problem_set(&problem, status, err, "%s", detail);
    answer_problem(writing->exchange, &problem);
}

static void close_question(spn_question **question)
{
    spn_question_close(*question);
    *question = NULL;
}

struct spn_bytes ds_writing_id(const struct ds_writing *writing)
{
    return (struct spn_bytes){writing->id + DS_CLOSED_SIZE, DS_ID_SIZE};
}

bool ds_writing_only_closes(const struct ds_writing *writing)
{
    return writing->closes && writing->data.size == 0;
}

struct spn_bytes ds_writing_event_id(const struct ds_writing *writing)
{
    return ds_writing_only_closes(writing) ? (struct spn_bytes){writing->id, sizeof(writing->id)}
                                           : ds_writing_id(writing);
}

/* -- look -------------------------------------------------------------------------------------- */

void ds_writing_look(struct ds_writing *writing)
{
    close_question(&writing->info);
    spn_err err = SPN_E_UNAVAILABLE;
    if (writing->tries++ < TRIES_MAX)
        err = spn_ask_session(&writing->info, writing->gateway->client, writing->session);
    if (err != SPN_OK)
        answer_err(writing->exchange, err);
    else
        spn_question_set_context(writing->info, &writing->waiter);
}

static void take_info(struct ds_writing *writing)
{
    const struct spn_session_info *info = NULL;
    spn_err err = spn_answer_session(writing->info, &info);
    if (err == SPN_OK || err == SPN_E_UNKNOWN_SESSION)
        writing->calls->look(writing, ds_stream_read(err == SPN_OK ? info : NULL, clock_wall_ms(),
                                                     &writing->stream));
    else
        answer_err(writing->exchange, err);
}

void ds_writing_again(struct ds_writing *writing, spn_err code)
{
    if (code == SPN_E_CONDITION || code == SPN_E_OTHER_LIFE || code == SPN_E_UNKNOWN_SESSION ||
        code == SPN_E_CLOSED)
        ds_writing_look(writing);
    else
        answer_err(writing->exchange, code);
}

bool ds_writing_is_gone(const struct ds_writing *writing, enum ds_presence presence)
{
    return writing->has_changed &&
           (presence == DS_ABSENT ||
            memcmp(&writing->changed, &writing->stream.life, sizeof(writing->changed)) != 0);
}

/* -- change ------------------------------------------------------------------------------------ */

void ds_writing_asked(struct ds_writing *writing, spn_err err)
{
    writing->has_changed = true;
    writing->changed = writing->stream.life;
    writing->changed_after = writing->stream.seq;
    writing->was_seen = false;
    writing->is_publishing = false;
    if (err != SPN_OK)
        answer_err(writing->exchange, err);
    else
        spn_question_set_context(writing->change, &writing->waiter);
}

void ds_writing_publish(struct ds_writing *writing)
{
    uint8_t note[DS_NOTE_SIZE];
    struct out escaped;
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_publish_options options = {
        .size = sizeof(options),
        .has_if_seq = true,
        .if_seq = writing->stream.seq,
        .life = &writing->stream.life,
        .closes = writing->closes,
    };
    out_init(&escaped, -1);
    ds_text_escape(&escaped, writing->data);
    event.id = ds_writing_event_id(writing);
    event.data = (struct spn_bytes){escaped.data, escaped.size};
    event.note = (struct spn_bytes){note, ds_note_write(&writing->note, note)};
    spn_err err = escaped.error == 0 ? SPN_OK : SPN_E_NOMEM;
    if (err == SPN_OK)
        err = spn_ask_publish_with(&writing->change, writing->gateway->client, writing->session,
                                   &event, &options, SPN_DURABLE);
    out_release(&escaped); /* the question has a copy */
    ds_writing_asked(writing, err);
    writing->is_publishing = true;
}

/* What was appended is known without being read, if everything before it is. */
static void note_own(struct ds_writing *writing, uint64_t seq)
{
    uint8_t note[DS_NOTE_SIZE];
    struct ds_state *state = writing->turn.state;
    struct spn_event event = SPN_EVENT_INIT;
    if (memcmp(&state->life, &writing->stream.life, sizeof(state->life)) != 0 ||
        state->seq != writing->stream.seq || seq != state->seq + 1)
        return;
    event.note = (struct spn_bytes){note, ds_note_write(&writing->note, note)};
    event.seq = seq;
    event.closes = writing->closes;
    (void)ds_state_note(state, &event); /* it is read again then */
}

static void take_change(struct ds_writing *writing)
{
    const struct spn_published *published;
    spn_question *question = writing->change;
    writing->change = NULL; /* `done` may make another change */
    spn_err err = spn_answer_published(question, &published);
    if (err == SPN_OK && published->result == SPN_STORED && writing->is_publishing)
        note_own(writing, published->seq);
    if (err == SPN_OK)
        writing->calls->done(writing, published);
    else
        answer_err(writing->exchange, err);
    spn_question_close(question);
}

/* -- the exchange ------------------------------------------------------------------------------ */

static void on_answer(struct waiter *waiter, spn_question *question)
{
    struct ds_writing *writing = LINK_OWNER(waiter, struct ds_writing, waiter);
    if (exchange_is_answered(writing->exchange))
        return;
    if (question == writing->change)
        take_change(writing);
    else
        take_info(writing);
    ds_writing_settle(writing);
}

/* Whether it was carried out is not known: the request may be repeated. */
static void on_due(struct waiter *waiter)
{
    struct ds_writing *writing = LINK_OWNER(waiter, struct ds_writing, waiter);
    if (!exchange_is_answered(writing->exchange))
        answer_err(writing->exchange, SPN_E_TIMEOUT);
    ds_writing_settle(writing);
}

static void begin_turn(struct ds_turn *turn)
{
    struct ds_writing *writing = LINK_OWNER(turn, struct ds_writing, turn);
    ds_writing_look(writing);
    ds_writing_settle(writing);
}

/* No larger body is an event. */
static size_t body_max(const struct gateway *gateway)
{
    size_t max = spn_client_data_max(gateway->client);
    return max > 0 ? max : gateway->options->event_max;
}

static void drop_body(struct ds_writing *writing)
{
    out_release(&writing->body);
    memory_hold(&writing->share, 0);
}

static bool reserve(struct ds_writing *writing, uint64_t size)
{
    return memory_reserve(&writing->share, TIMES * (size_t)size);
}

/* A body that is too large, or has no room, is read to its end, within a bound: fetch, as browsers
 * and Node have it, gives its app an error instead of the answer to a request that it could not
 * send. */
static size_t take(struct exchange *exchange, const void *bytes, size_t size)
{
    struct ds_writing *writing = exchange_state(exchange);
    size_t max = body_max(writing->gateway);
    if (exchange_is_answered(exchange))
        return size;
    writing->taken += size;
    writing->is_too_large = writing->is_too_large || writing->taken > max;
    if (!writing->is_too_large && !writing->has_no_room &&
        TIMES * writing->taken > writing->share.size)
        writing->has_no_room = !reserve(writing, writing->taken);
    if (!writing->is_too_large && !writing->has_no_room)
        out_put(&writing->body, bytes, size);
    else if (writing->taken / READ_FACTOR > max)
        answer_err(exchange, SPN_E_EVENT_TOO_LARGE);
    else
        drop_body(writing);
    return size;
}

/* The body has come. False: the request was answered. */
static bool check_body(struct ds_writing *writing)
{
    if (writing->is_too_large)
        answer_err(writing->exchange, SPN_E_EVENT_TOO_LARGE);
    else if (writing->has_no_room)
        answer_no_room(writing->exchange, &writing->share);
    else if (writing->body.error != 0)
        answer_err(writing->exchange, SPN_E_NOMEM);
    else
        return writing->calls->check == NULL || writing->calls->check(writing);
    return false;
}

static void finish(struct exchange *exchange)
{
    struct ds_writing *writing = exchange_state(exchange);
    struct gateway *gateway = writing->gateway;
    writing->data = (struct spn_bytes){writing->body.data, writing->body.size};
    gateway_wait(gateway, &writing->waiter, gateway->options->publish_ns);
    if (check_body(writing) && !ds_turn_join(&gateway->ds_states, &writing->turn, writing->session))
        answer_err(exchange, SPN_E_NOMEM);
    ds_writing_settle(writing);
}

static void over(struct exchange *exchange)
{
    struct ds_writing *writing = exchange_state(exchange);
    gateway_wait(writing->gateway, &writing->waiter, 0);
    ds_turn_leave(&writing->gateway->ds_states, &writing->turn);
    link_leave(&writing->link);
    spn_unsubscribe(writing->subscription);
    close_question(&writing->info);
    close_question(&writing->change);
    out_release(&writing->body);
    memory_release(&writing->share);
    free(writing);
}

static const struct exchange_calls exchange_calls = {.take = take, .finish = finish, .over = over};

static spn_err draw_id(char id[DS_CLOSED_SIZE + DS_ID_SIZE])
{
    struct spn_life drawn; /* as random, and as large */
    char text[SPN_LIFE_TEXT_SIZE];
    spn_err err = random_fill(drawn.bytes, sizeof(drawn.bytes));
    if (err == SPN_OK) {
        spn_life_format(&drawn, text);
        memcpy(id, DS_STREAM_CLOSED, DS_CLOSED_SIZE);
        memcpy(id + DS_CLOSED_SIZE, text, DS_ID_SIZE);
    }
    return err;
}

struct ds_writing *ds_writing_begin(struct gateway *gateway, struct exchange *exchange,
                                    struct spn_bytes session, const struct ds_writing_calls *calls)
{
    struct ds_writing *writing = calloc(1, sizeof(*writing) + session.size);
    spn_err err = writing != NULL ? draw_id(writing->id) : SPN_E_NOMEM;
    if (err != SPN_OK) {
        free(writing);
        answer_err(exchange, err);
        return NULL;
    }
    writing->calls = calls;
    writing->waiter =
        (struct waiter){.deadline = DEADLINE_INIT, .on_due = on_due, .on_answer = on_answer};
    writing->turn.begin = begin_turn;
    writing->gateway = gateway;
    writing->exchange = exchange;
    memory_share_init(&writing->share, &gateway->memory[MEMORY_BODIES], NULL);
    out_init(&writing->body, -1);
    memcpy(writing->name, session.data, session.size);
    writing->session = (struct spn_bytes){writing->name, session.size};
    link_init(&writing->turn.link);
    link_init(&writing->link);
    link_join(&gateway->publishers, &writing->link);
    exchange_set(exchange, &exchange_calls, writing);
    uint64_t length = exchange_length(exchange);
    if (length / READ_FACTOR > body_max(gateway))
        answer_err(exchange, SPN_E_EVENT_TOO_LARGE);
    else if (length <= body_max(gateway))
        writing->has_no_room = !reserve(writing, length);
    return writing;
}

bool ds_writing_read_body(struct ds_writing *writing, struct spn_bytes content_type)
{
    struct problem problem;
    size_t where;
    struct spn_bytes body = {writing->body.data, writing->body.size};
    writing->data = body;
    if (ds_media_form(content_type) != DS_FORM_JSON || body.size == 0)
        return true;
    if (ds_json_messages(body, &writing->data, &where))
        return true;
    problem_set(&problem, 400, SPN_E_BAD_DATA, "the body is no JSON: see its byte %zu", where);
    answer_problem(writing->exchange, &problem);
    return false;
}
