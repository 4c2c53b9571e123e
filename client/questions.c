/* SPDX-License-Identifier: Apache-2.0 */
#include "questions.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "too_large.h"

#define NS_PER_MS UINT64_C(1000000)
#define PASSING_PAUSE_NS (100 * NS_PER_MS)
/* How old the last look at the sockets may be for a call that does not wait. */
#define LOOK_NS UINT64_C(50000)

static struct spn_question *question_of(struct ring *place)
{
    return (struct spn_question *)((char *)place - offsetof(struct spn_question, place));
}

static struct questions_lane *lane_of(const struct spn_question *question)
{
    return &question->client->questions.lanes[question->socket];
}

/* What spn_next_answered returns is found without a walk over the library's own questions. */
static void move(struct spn_question *question, enum question_state state)
{
    struct questions *all = &question->client->questions;
    struct questions_lane *lane = lane_of(question);
    if (question->state == QUESTION_SENT)
        lane->sent--;
    if (state == QUESTION_SENT)
        lane->sent++;
    question->state = state;
    if (state == QUESTION_ANSWERED && !question->by_app)
        state = QUESTION_TAKEN;
    ring_move(state == QUESTION_QUEUED ? &lane->queued : &all->by_state[state], &question->place);
}

static void free_question(struct spn_question *question)
{
    if (question->state == QUESTION_SENT)
        lane_of(question)->sent--;
    ring_leave(&question->place);
    calls_remove(&question->client->calls, &question->call);
    free(question->made);
    free(question);
}

/* -- answers ----------------------------------------------------------------------------------- */

/* Runs in the client's turn, which takes the messages before it lets the parts send. */
static void take_answer(struct call *call)
{
    struct spn_question *question = (struct spn_question *)call;
    struct questions *all = &question->client->questions;
    struct wire_in in;
    struct spn_bytes detail;
    if (question->closed) {
        free_question(question);
        return;
    }
    if (calls_will_pass(call, calls_read(call, question->answer, &in, &detail))) {
        calls_put_off(call, question->client->looked_ns + PASSING_PAUSE_NS);
        all->due_ns = client_earlier(all->due_ns, call->again_ns);
        return;
    }
    move(question, QUESTION_ANSWERED);
    if (question->by_app)
        all->unanswered--;
}

spn_err question_read(spn_question *question, struct wire_in *ret_in)
{
    struct spn_client *client = question->client;
    struct spn_bytes detail;
    if (question->state < QUESTION_ANSWERED)
        return client_not_yet(client, question->socket);
    move(question, QUESTION_TAKEN);
    spn_err err = calls_read(&question->call, question->answer, ret_in, &detail);
    if (err == SPN_OK)
        return SPN_OK;
    if (detail.size > 0)
        return client_fail(client, err, "sidecar: %.*s", (int)detail.size,
                           (const char *)detail.data);
    return client_fail(client, err, NULL);
}

spn_err question_open(spn_question *question, enum wire_type type, const void *filled,
                      struct wire_in *ret_in)
{
    struct spn_client *client = question != NULL ? question->client : NULL;
    spn_err err = client_check_for(client, filled);
    if (err != SPN_OK)
        return err;
    if (question->type != type)
        return client_refuse(client, "the question was another one");
    bool looks = client->ready || client->now_ns() - client->looked_ns >= LOOK_NS;
    if (question->state < QUESTION_ANSWERED && looks)
        err = client_turn(client);
    return err == SPN_OK ? question_read(question, ret_in) : err;
}

void *question_room(spn_question *question, size_t size)
{
    if (question->made == NULL)
        question->made = calloc(1, size);
    if (question->made == NULL)
        client_fail(question->client, SPN_E_NOMEM, NULL);
    return question->made;
}

spn_err question_bad_answer(spn_question *question)
{
    return client_fail(question->client, SPN_E_PROTOCOL, "the sidecar's answer cannot be read");
}

/* -- the part ---------------------------------------------------------------------------------- */

static spn_err ask_with(struct questions *all, struct spn_question *question,
                        const struct wire_out *body, uint64_t now_ns)
{
    return calls_ask(&all->client->calls, &question->call,
                     transport_socket(&all->client->transport, question->socket), question->type,
                     body, now_ns);
}

/* Of a one-shot, with this part in the place of its entry. */
static spn_err ask_with_part(struct questions *all, struct spn_question *question,
                             const struct wire_entry *entry, uint64_t now_ns)
{
    size_t size = WIRE_PUBLISH_HEAD_SIZE + wire_entry_size(entry);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return SPN_E_NOMEM;
    struct wire_out body = wire_out(bytes, size);
    memcpy(bytes, question->body, WIRE_PUBLISH_HEAD_SIZE);
    body.at += WIRE_PUBLISH_HEAD_SIZE;
    too_large_put(&body, entry);
    spn_err err = ask_with(all, question, &body, now_ns);
    free(bytes);
    return err;
}

static spn_err ask(struct questions *all, struct spn_question *question, uint64_t now_ns)
{
    struct wire_entry part;
    struct wire_out body = wire_out(question->body, question->body_size);
    body.at += question->body_size;
    if (question->type == WIRE_PUBLISH &&
        too_large(question->client, question->body + WIRE_PUBLISH_HEAD_SIZE,
                  question->body_size - WIRE_PUBLISH_HEAD_SIZE, &part))
        return ask_with_part(all, question, &part, now_ns);
    return ask_with(all, question, &body, now_ns);
}

/* False: not now. */
static bool send(struct questions *all, struct spn_question *question, uint64_t now_ns)
{
    struct call *call = &question->call;
    struct questions_lane *lane = lane_of(question);
    spn_err err = ask(all, question, now_ns);
    if (err != SPN_OK)
        all->due_ns = client_earlier(all->due_ns, now_ns + PASSING_PAUSE_NS);
    else if (!call->blocked)
        all->due_ns = client_earlier(all->due_ns, call->again_ns);
    lane->blocked = lane->blocked || call->blocked;
    return err == SPN_OK && !call->blocked;
}

/* Sends one again that is due. A closed question whose patience has ended is given up. What its
 * socket did not take stays due, and waits for the connection, not for a time. */
static void send_one_again(struct questions *all, struct spn_question *question, uint64_t now_ns)
{
    if (question->closed)
        free_question(question);
    else if (!lane_of(question)->blocked)
        (void)send(all, question, now_ns);
}

static void send_again(struct questions *all, uint64_t now_ns)
{
    struct ring *ring = &all->by_state[QUESTION_SENT];
    all->due_ns = TRANSPORT_NEVER;
    for (struct ring *at = ring->next, *next; at != ring; at = next) {
        struct spn_question *question = question_of(at);
        next = at->next;
        if (calls_due(&question->call, now_ns))
            send_one_again(all, question, now_ns);
        else
            all->due_ns = client_earlier(all->due_ns, question->call.again_ns);
    }
}

static void send_queued(struct questions *all, struct questions_lane *lane, uint64_t now_ns)
{
    while (!lane->blocked && lane->sent < QUESTIONS_SENT_MAX && !ring_alone(&lane->queued) &&
           send(all, question_of(lane->queued.next), now_ns))
        move(question_of(lane->queued.next), QUESTION_SENT);
}

static void part_turn(struct client_part *part, uint64_t now_ns)
{
    struct questions *all = (struct questions *)part;
    bool was_blocked = all->lanes[TRANSPORT_READ].blocked || all->lanes[TRANSPORT_INGEST].blocked;
    all->lanes[TRANSPORT_READ].blocked = all->lanes[TRANSPORT_INGEST].blocked = false;
    if (was_blocked || now_ns >= all->due_ns)
        send_again(all, now_ns);
    send_queued(all, &all->lanes[TRANSPORT_READ], now_ns);
    send_queued(all, &all->lanes[TRANSPORT_INGEST], now_ns);
}

static void part_reconnected(struct client_part *part, enum transport_name name)
{
    struct questions *all = (struct questions *)part;
    struct ring *ring = &all->by_state[QUESTION_SENT];
    for (struct ring *at = ring->next; at != ring; at = at->next)
        if (question_of(at)->socket == name)
            calls_lost(&question_of(at)->call);
    all->due_ns = 0;
}

static uint64_t part_due_ns(const struct client_part *part)
{
    return ((const struct questions *)part)->due_ns;
}

static bool part_blocked(const struct client_part *part, enum transport_name name)
{
    return ((const struct questions *)part)->lanes[name].blocked;
}

static spn_err part_failed(const struct client_part *part)
{
    (void)part;
    return SPN_OK;
}

static const struct client_part_ops part_ops = {
    .turn = part_turn,
    .reconnected = part_reconnected,
    .due_ns = part_due_ns,
    .blocked = part_blocked,
    .failed = part_failed,
};

void questions_init(struct questions *all, struct spn_client *client, size_t asked_max)
{
    *all = (struct questions){.part = {.ops = &part_ops},
                              .client = client,
                              .asked_max = asked_max > 0 ? asked_max : QUESTIONS_MAX_DEFAULT,
                              .due_ns = TRANSPORT_NEVER};
    for (size_t state = 0; state <= QUESTION_TAKEN; state++)
        ring_init(&all->by_state[state]);
    ring_init(&all->lanes[TRANSPORT_READ].queued);
    ring_init(&all->lanes[TRANSPORT_INGEST].queued);
    client_add(client, &all->part);
}

static void free_all(struct ring *ring)
{
    struct ring *next;
    for (struct ring *at = ring->next; at != ring; at = next) {
        next = at->next;
        free_question(question_of(at));
    }
}

void questions_release(struct questions *all)
{
    if (all->client == NULL)
        return;
    for (size_t state = 0; state <= QUESTION_TAKEN; state++)
        free_all(&all->by_state[state]);
    free_all(&all->lanes[TRANSPORT_READ].queued);
    free_all(&all->lanes[TRANSPORT_INGEST].queued);
    client_remove(all->client, &all->part);
}

/* -- one question ------------------------------------------------------------------------------ */

static enum transport_name socket_of(const struct spn_client *client, enum wire_type type)
{
    if (type == WIRE_HELLO)
        return client->first;
    return (wire_sockets((uint8_t)type) & WIRE_READ) != 0 ? TRANSPORT_READ : TRANSPORT_INGEST;
}

spn_err question_new(spn_question **ret_question, struct spn_client *client,
                     const struct question_request *request)
{
    size_t body_size = request->body != NULL ? wire_out_size(request->body) : 0;
    if (request->body != NULL && request->body->bad)
        return client_refuse(client, "the request is too long");
    spn_err err = SPN_OK;
    if (request->type != WIRE_HELLO) /* its socket is chosen once the sockets are found */
        err = client_use(client, socket_of(client, request->type));
    if (err != SPN_OK)
        return err;
    struct spn_question *question = calloc(1, sizeof(*question) + body_size);
    if (question == NULL) {
        client_fail(client, SPN_E_NOMEM, NULL);
        return SPN_E_NOMEM;
    }
    calls_init(&question->call, true, take_answer);
    question->client = client;
    question->type = request->type;
    question->answer = request->answer;
    question->socket = socket_of(client, request->type);
    question->body_size = body_size;
    if (body_size > 0)
        memcpy(question->body, request->body->start, body_size);
    ring_init(&question->place);
    move(question, QUESTION_QUEUED);
    *ret_question = question;
    return SPN_OK;
}

spn_err question_ask(spn_question **ret_question, struct spn_client *client,
                     const struct question_request *request)
{
    struct questions *all = &client->questions;
    struct spn_question *question;
    if (all->asked >= all->asked_max)
        return client_fail(client, SPN_E_TOO_MANY, "%zu questions are open (see questions_max)",
                           all->asked);
    spn_err err = question_new(&question, client, request);
    if (err != SPN_OK)
        return err;
    question->by_app = true;
    all->asked++;
    all->unanswered++;
    if (lane_of(question)->sent < QUESTIONS_SENT_MAX)
        err = client_turn(client);
    if (err != SPN_OK) {
        spn_question_close(question);
        return err;
    }
    *ret_question = question;
    return SPN_OK;
}

bool question_is(const spn_question *question, const struct question_request *request)
{
    size_t size = request->body != NULL ? wire_out_size(request->body) : 0;
    return question->type == request->type && question->body_size == size &&
           (size == 0 || memcmp(question->body, request->body->start, size) == 0);
}

void question_restart(spn_question *question)
{
    calls_clear(&question->client->calls, &question->call);
    ring_leave(&question->place);
    if (question->state == QUESTION_SENT)
        lane_of(question)->sent--;
    question->state = QUESTION_QUEUED;
    question->socket = socket_of(question->client, question->type);
    ring_init(&question->place);
    move(question, QUESTION_QUEUED);
}

spn_err question_wait(spn_question *question, uint64_t deadline_ns)
{
    return client_wait_on(question->client, question->socket, &question->call.answered,
                          deadline_ns);
}

/* The body of an answer lives as long as its question, so that what was lent from it does too. */
void spn_question_close(spn_question *question)
{
    if (question == NULL)
        return;
    struct questions *all = &question->client->questions;
    if (question->by_app) {
        all->asked--;
        all->unanswered -= question->state < QUESTION_ANSWERED;
    }
    if (question->state == QUESTION_SENT)
        question->closed = true;
    else
        free_question(question);
}

void spn_question_set_context(spn_question *question, void *context)
{
    if (question != NULL)
        question->context = context;
}

void *spn_question_context(const spn_question *question)
{
    return question != NULL ? question->context : NULL;
}

/* The socket that an answer may come from: if it can be, one that this process may use. */
static enum transport_name awaited(struct spn_client *client)
{
    enum transport_name found = TRANSPORT_READ;
    for (unsigned name = 0; name < TRANSPORT_NAMES; name++) {
        const struct questions_lane *lane = &client->questions.lanes[name];
        if (lane->sent == 0 && ring_alone(&lane->queued))
            continue;
        found = (enum transport_name)name;
        if (client_check_right(client, found) == SPN_OK)
            break;
    }
    return found;
}

spn_err spn_next_answered(spn_client *client, int timeout_ms, spn_question **ret_question)
{
    struct client_wait wait = {0};
    spn_err err = client_check_for(client, ret_question);
    while (err == SPN_OK) {
        struct ring *answered = &client->questions.by_state[QUESTION_ANSWERED];
        if (!ring_alone(answered)) {
            *ret_question = question_of(answered->next);
            move(*ret_question, QUESTION_TAKEN);
            return SPN_OK;
        }
        if (client->questions.unanswered == 0)
            return client_fail(client, SPN_E_END, NULL);
        err = client_turn(client);
        if (err == SPN_OK && ring_alone(answered))
            err = client_sleep_on(client, awaited(client), timeout_ms, &wait);
    }
    return err;
}
