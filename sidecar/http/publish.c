/* SPDX-License-Identifier: Apache-2.0 */
#include "http/publish_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "http/answer.h"

/* A body that is whole before its events go is held so many times: its bytes and the event that is
 * made of them, later the question and its message on the way. */
enum { TIMES = 2 };

/* -- events ------------------------------------------------------------------------------------ */

/* Events without an id get one here, and not from the library: its ids repeat when the sidecar has
 * forgotten the producer, and so they would be those of other events. What is random is drawn for
 * each POST, so an id says nothing of other POSTs. */
static bool name(struct post *post, struct spn_event *event)
{
    if (event->kind != SPN_EVENT || event->id.size > 0)
        return true;
    if (post->start[0] == '\0') {
        uint64_t random;
        if (random_fill(&random, sizeof(random)) != SPN_OK) {
            post_refuse_err(post, SPN_E_SYSTEM);
            return false;
        }
        (void)snprintf(post->start, sizeof(post->start), "%016" PRIx64, random);
    }
    int size = snprintf(post->id, sizeof(post->id), "%s-%" PRIu64, post->start, post->tally->taken);
    event->id = (struct spn_bytes){post->id, (size_t)size};
    return true;
}

/* The condition is that of the first event; each other one is stored only if the one before was.
 * Once that has its result, nothing may depend on it any more: if it was a refusal, the post stops.
 */
static struct spn_publish_options options_of(const struct post *post)
{
    struct spn_publish_options options = post->options;
    bool is_conditional = options.if_new || options.has_if_seq;
    if (post->tally->taken > 0) {
        options.if_new = options.has_if_seq = false;
        options.if_seq = 0;
        options.dependent = is_conditional && post->tally->outstanding > 0 ? post->ticket : 0;
    }
    options.closes =
        post->options.closes && body_is_last(post->body) && post->next->kind == SPN_EVENT;
    if (!options.closes)
        options.reason = (struct spn_bytes){NULL, 0};
    return options;
}

/* The only event of its body. */
static void ask(struct post *post)
{
    struct spn_event event = *post->next;
    if (!name(post, &event))
        return;
    const struct spn_publish_options options = options_of(post);
    gateway_wait(post->gateway, &post->waiter, 0); /* the question has its own time */
    post->change =
        change_publish(post->gateway, post->exchange, post->session, &event, &options, post->level);
    size_t size = event.id.size + event.type.size + event.data.size;
    post_drop_body(post);
    memory_hold(&post->share, post->change != NULL ? TIMES * size : 0);
}

static bool end_body(struct post *post)
{
    struct problem problem;
    post->is_ended = true;
    if (body_finish(post->body, &problem))
        return true;
    post_refuse(post, &problem);
    return false;
}

/* The next event into post->next; NULL: there is none now. False: refused. */
static bool find_next(struct post *post)
{
    struct problem problem;
    if (post->next != NULL)
        return true;
    enum body_found found = body_next(post->body, &post->next, &problem);
    if (found == BODY_NONE && post->has_finished && !post->is_ended) {
        if (!end_body(post))
            return false;
        found = body_next(post->body, &post->next, &problem);
    }
    if (found == BODY_BAD)
        post_refuse(post, &problem);
    if (found != BODY_EVENT)
        post->next = NULL;
    post->is_taken = post->is_ended && found == BODY_NONE;
    return found != BODY_BAD;
}

/* Takes events from the body until there are none, or there is no room. False: refused. */
static bool publish_all(struct post *post)
{
    while (!post->stops && post->body != NULL) {
        if (!find_next(post))
            return false;
        if (post->next == NULL)
            return true;
        struct spn_event event = *post->next;
        if (!name(post, &event))
            return false;
        const struct spn_publish_options options = options_of(post);
        spn_err err =
            lane_publish(post->lane, post->tally, post->session, &event, &options, &post->ticket);
        if (err == SPN_E_BACKPRESSURE)
            return true;
        if (err != SPN_OK) {
            post_refuse_err(post, err);
            return false;
        }
        post->last_id.size = 0;
        out_put(&post->last_id, event.id.data, event.id.size);
        post->must_close = post->options.closes && !options.closes;
        post->next = NULL;
    }
    return true;
}

static void post_pump(struct post *post)
{
    if (exchange_is_answered(post->exchange) || !publish_all(post))
        return;
    if (post->kind == BODY_SSE)
        memory_hold(&post->share, body_held(post->body));
    post_answer_if_done(post);
}

static void on_result(void *owner, uint64_t index, const struct spn_ack *ack)
{
    struct post *post = owner;
    bool is_newest = index + 1 == post->tally->taken;
    struct spn_bytes id = {post->last_id.data, is_newest ? post->last_id.size : 0};
    answer_json_count(&post->results, index, ack->result, ack->code, id);
    /* What comes after it would be refused too: who publishes without an end should know now. */
    unsigned status = ack->result == SPN_REFUSED ? problem_status(ack->code) : 0;
    post->stops = post->stops || status == 404 || status == 409 || status == 412;
}

static void on_news(void *owner)
{
    struct post *post = owner;
    post_pump(post); /* the event that found no room may be the last that has come for long */
    if (!post->has_finished && post->next == NULL)
        exchange_go_on(post->exchange);
}

const struct lane_calls publish_lane_calls = {.on_result = on_result, .on_news = on_news};

/* -- room -------------------------------------------------------------------------------------- */

static void refuse_for_room(struct post *post)
{
    struct problem problem;
    memory_refuse(&post->share, &problem);
    post_refuse(post, &problem);
}

/* A body that has no room is read to its end, so that the peer sees the answer; but not one that
 * may have no end. */
static void lose_room(struct post *post)
{
    post->has_no_room = post->kind != BODY_SSE;
    if (post->has_no_room)
        post_drop_body(post);
    else
        refuse_for_room(post);
}

static size_t drop(struct post *post, size_t size)
{
    post->dropped += size;
    if (post->dropped > post->gateway->options->body_max)
        refuse_for_room(post);
    return size;
}

/* The room for a body of a known length was taken when it began. */
static bool has_room(struct post *post)
{
    size_t held = body_held(post->body);
    if (post->kind == BODY_SSE)
        return memory_reserve(&post->share, held);
    return TIMES * held <= post->share.size || memory_reserve(&post->share, TIMES * held);
}

/* -- the exchange ------------------------------------------------------------------------------ */

static size_t post_take(struct exchange *exchange, const void *bytes, size_t size)
{
    struct post *post = exchange_state(exchange);
    struct problem problem;
    size_t taken = 0;
    if (post->has_no_room)
        return drop(post, size);
    gateway_wait(post->gateway, &post->waiter, 0);
    while (taken < size && publish_all(post) && post->next == NULL && !post->stops) {
        size_t used = 0;
        if (!body_feed(post->body, (const char *)bytes + taken, size - taken, &used, &problem)) {
            post_refuse(post, &problem);
            return size;
        }
        taken += used;
    }
    if (!exchange_is_answered(exchange))
        (void)publish_all(post);
    if (!exchange_is_answered(exchange) && !has_room(post))
        lose_room(post);
    if (!exchange_is_answered(exchange) && post->options.closes && post->kind == BODY_SSE)
        gateway_wait(post->gateway, &post->waiter, 1);
    return exchange_is_answered(exchange) ? size : taken;
}

static void post_finish(struct exchange *exchange)
{
    struct post *post = exchange_state(exchange);
    post->has_finished = true;
    gateway_wait(post->gateway, &post->waiter, post->gateway->options->publish_ns);
    if (post->has_no_room) {
        refuse_for_room(post);
        return;
    }
    bool is_whole = post->kind != BODY_SSE; /* its events come only now */
    if (is_whole && (!end_body(post) || !find_next(post)))
        return;
    if (is_whole && post->next != NULL && body_is_last(post->body) && post->level != SPN_NONE)
        ask(post);
    else
        post_pump(post);
}

/* The body pauses, or there is no answer. An event that is followed by nothing yet is published as
 * it is, since the next one may come much later; then the session is closed by itself at the end.
 */
static void post_due(struct waiter *waiter)
{
    struct post *post = LINK_OWNER(waiter, struct post, waiter);
    if (post->has_finished) {
        post_refuse_err(post, SPN_E_TIMEOUT);
        return;
    }
    if (post->body == NULL)
        return;
    body_let_go(post->body);
    post_pump(post);
}

static void post_free(struct post *post)
{
    gateway_wait(post->gateway, &post->waiter, 0);
    link_leave(&post->link);
    change_free(post->change);
    tally_leave(post->tally);
    body_close(post->body);
    memory_release(&post->share);
    out_release(&post->last_id);
    answer_json_release(&post->results);
    free(post);
}

static void post_over(struct exchange *exchange)
{
    post_free(exchange_state(exchange));
}

static const struct exchange_calls post_calls = {
    .take = post_take, .finish = post_finish, .over = post_over};

static struct spn_bytes keep(char **at, struct spn_bytes bytes)
{
    struct spn_bytes kept = {*at, bytes.size};
    if (bytes.size > 0)
        memcpy(*at, bytes.data, bytes.size);
    *at += bytes.size;
    return kept;
}

static struct post *post_new(struct gateway *gateway, struct exchange *exchange,
                             const struct publish_request *request)
{
    struct post *post =
        calloc(1, sizeof(*post) + request->session.size + request->options.reason.size);
    if (post == NULL)
        return NULL;
    char *at = post->bytes;
    post->gateway = gateway;
    post->exchange = exchange;
    post->session = keep(&at, request->session);
    post->options = request->options;
    post->options.reason = keep(&at, request->options.reason);
    if (request->options.life != NULL) {
        post->life = *request->options.life;
        post->options.life = &post->life;
    }
    post->level = request->level;
    post->lane = request->level == SPN_ACCEPTED ? &gateway->accepted : &gateway->durable;
    post->kind = request->body.kind;
    post->waiter = (struct waiter){.deadline = DEADLINE_INIT, .on_due = post_due};
    memory_share_init(&post->share, &gateway->memory[MEMORY_BODIES], NULL);
    out_init(&post->last_id, -1);
    answer_json_init(&post->results, request->level);
    link_init(&post->link);
    link_join(&gateway->posts, &post->link);
    return post;
}

/* For a body of this length, which was looked at. */
static bool take_room(struct post *post, uint64_t length)
{
    return post->kind == BODY_SSE || memory_reserve(&post->share, TIMES * (size_t)length);
}

void publish_begin(struct gateway *gateway, struct exchange *exchange,
                   const struct publish_request *request)
{
    if (request->is_empty && request->options.closes) {
        change_own(exchange, change_close(gateway, exchange, request->session, &request->options));
        return;
    }
    struct problem problem = {0};
    struct body_options body = request->body;
    body.holds_last = request->options.closes || body.kind != BODY_SSE;
    struct post *post = post_new(gateway, exchange, request);
    if (post != NULL) {
        post->body = body_open(&body, &problem);
        post->tally = tally_new(post);
    }
    if (post == NULL || post->tally == NULL || post->body == NULL) {
        if (problem.status == 0)
            problem_set(&problem, 503, SPN_E_NOMEM, "%s", spn_err_text(SPN_E_NOMEM));
        if (post != NULL)
            post_free(post);
        answer_problem(exchange, &problem);
        return;
    }
    if (body.kind == BODY_SSE)
        exchange_is_endless(exchange);
    exchange_set(exchange, &post_calls, post);
    if (!take_room(post, request->body.length))
        lose_room(post);
}

void publish_end_all(struct gateway *gateway)
{
    for (struct link *link = gateway->posts.next; link != &gateway->posts; link = link->next) {
        struct post *post = LINK_OWNER(link, struct post, link);
        if (post->has_finished || post->kind != BODY_SSE)
            continue;
        post->stops = true;
        post_answer_if_done(post);
    }
}
