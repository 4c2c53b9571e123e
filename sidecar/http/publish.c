/* SPDX-License-Identifier: Apache-2.0 */
#include "http/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "http/answer.h"
#include "http/answer_json.h"
#include "http/change.h"

enum {
    START_SIZE = sizeof("0123456789abcdef"),
    ID_SIZE = START_SIZE + sizeof("-18446744073709551615"),
};

struct post {
    struct waiter waiter;
    struct link link;
    struct gateway *gateway;
    struct exchange *exchange;
    struct spn_bytes session;
    struct spn_publish_options options;
    struct spn_life life; /* where options.life points to */
    spn_level level;
    struct lane *lane;
    enum body_kind kind;
    struct body *body;
    const struct spn_event *next; /* of the body; not published yet */
    struct tally *tally;
    uint64_t ticket; /* of the event before */
    bool has_finished;
    bool must_close;        /* the event before did not close the session: it was given before the
                               end was known, or is a marker */
    bool stops;             /* no more is taken of the body */
    bool is_ended;          /* the body knows that it is complete */
    bool is_taken;          /* all of its events are */
    struct change *change;  /* if the body is one event */
    char start[START_SIZE]; /* of the ids of events that have none; "": not drawn */
    char id[ID_SIZE];       /* of the next event, if it has none */
    struct out last_id;     /* of the newest event that was taken */
    struct answer_json results;
    char bytes[]; /* the session, the reason */
};

/* -- the answer -------------------------------------------------------------------------------- */

static void refuse(struct post *post, const struct problem *problem)
{
    if (!exchange_is_answered(post->exchange))
        answer_problem(post->exchange, problem);
}

static void refuse_err(struct post *post, spn_err err)
{
    struct problem problem;
    const char *detail = err == SPN_E_SYSTEM || err == SPN_E_NOMEM
                             ? spn_client_detail(post->gateway->client)
                             : spn_err_text(err);
    problem_set(&problem, problem_status(err), err, "%s", detail);
    refuse(post, &problem);
}

/* What rests on the session is answered with what is known of that. */
static void refuse_result(struct post *post, const struct answer_refusal *refusal)
{
    struct problem problem;
    if (refusal->result == SPN_CONFLICT)
        (void)problem_conflict(&problem);
    else
        problem_set(&problem, problem_status(refusal->code), refusal->code, "%s",
                    spn_err_text(refusal->code));
    if (problem.status != 409 && problem.status != 412) {
        refuse(post, &problem);
        return;
    }
    gateway_wait(post->gateway, &post->waiter, 0); /* the question has its own time */
    post->change = change_refuse(post->gateway, post->exchange, post->session, &problem);
}

/* For the answer, once. */
static void write_results(struct post *post, struct out *out)
{
    out_init(out, -1);
    post->gateway->counts.published += post->results.counts[SPN_STORED];
    post->results.is_cut = !post->is_taken || body_is_cut(post->body);
    answer_json_write(&post->results, out);
}

/* All results are there, and each is a refusal. */
static bool nothing_is_stored(const struct post *post)
{
    const struct answer_json *results = &post->results;
    return results->counts[SPN_STORED] + results->counts[SPN_DUPLICATE] == 0 &&
           results->refusals_count > 0;
}

/* All results are there. If nothing was stored, the answer is that of the first refusal. */
static void answer(struct post *post)
{
    const struct answer_json *results = &post->results;
    if (post->stops && post->tally->taken == 0) {
        refuse_err(post, SPN_E_STOPPING);
        return;
    }
    if (nothing_is_stored(post)) {
        refuse_result(post, &results->refusals[0]);
        return;
    }
    struct out out;
    write_results(post, &out);
    exchange_add(post->exchange, "Content-Type", "application/json");
    exchange_answer(post->exchange, 200, out.data, out.size);
    out_release(&out);
}

static void close_session(struct post *post)
{
    const struct spn_publish_options options = {
        .size = sizeof(options), .life = post->options.life, .reason = post->options.reason};
    gateway_wait(post->gateway, &post->waiter, 0); /* the question has its own time */
    post->change = change_close(post->gateway, post->exchange, post->session, &options);
    if (post->change == NULL || post->level == SPN_NONE)
        return;
    struct out out;
    write_results(post, &out);
    change_answer_json(post->change, &out);
}

static void answer_if_done(struct post *post)
{
    bool is_complete = post->stops || (post->has_finished && post->next == NULL);
    if (!is_complete || exchange_is_answered(post->exchange))
        return;
    bool must_close = post->must_close && !post->stops;
    if (post->level == SPN_NONE && !post->stops && !must_close)
        exchange_answer(post->exchange, 202, NULL, 0);
    else if (post->tally->outstanding > 0 || post->change != NULL)
        return;
    else if (must_close && !nothing_is_stored(post))
        close_session(post);
    else
        answer(post);
}

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
            refuse_err(post, SPN_E_SYSTEM);
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
    post->next = NULL;
    gateway_wait(post->gateway, &post->waiter, 0); /* the question has its own time */
    post->change =
        change_publish(post->gateway, post->exchange, post->session, &event, &options, post->level);
}

static bool end_body(struct post *post)
{
    struct problem problem;
    post->is_ended = true;
    if (body_finish(post->body, &problem))
        return true;
    refuse(post, &problem);
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
        refuse(post, &problem);
    if (found != BODY_EVENT)
        post->next = NULL;
    post->is_taken = post->is_ended && found == BODY_NONE;
    return found != BODY_BAD;
}

/* Takes events from the body until there are none, or there is no room. False: refused. */
static bool publish_all(struct post *post)
{
    while (!post->stops) {
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
            refuse_err(post, err);
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
    answer_if_done(post);
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

/* -- the exchange ------------------------------------------------------------------------------ */

static size_t post_take(struct exchange *exchange, const void *bytes, size_t size)
{
    struct post *post = exchange_state(exchange);
    struct problem problem;
    size_t taken = 0;
    gateway_wait(post->gateway, &post->waiter, 0);
    while (taken < size && publish_all(post) && post->next == NULL && !post->stops) {
        size_t used = 0;
        if (!body_feed(post->body, (const char *)bytes + taken, size - taken, &used, &problem)) {
            refuse(post, &problem);
            return size;
        }
        taken += used;
    }
    if (!exchange_is_answered(exchange))
        (void)publish_all(post);
    if (!exchange_is_answered(exchange) && post->options.closes && post->kind == BODY_SSE)
        gateway_wait(post->gateway, &post->waiter, 1);
    return exchange_is_answered(exchange) ? size : taken;
}

static void post_finish(struct exchange *exchange)
{
    struct post *post = exchange_state(exchange);
    post->has_finished = true;
    gateway_wait(post->gateway, &post->waiter, post->gateway->options->publish_ns);
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
        refuse_err(post, SPN_E_TIMEOUT);
        return;
    }
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
    out_init(&post->last_id, -1);
    answer_json_init(&post->results, request->level);
    link_init(&post->link);
    link_join(&gateway->posts, &post->link);
    return post;
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
}

void publish_end_all(struct gateway *gateway)
{
    for (struct link *link = gateway->posts.next; link != &gateway->posts; link = link->next) {
        struct post *post = LINK_OWNER(link, struct post, link);
        if (post->has_finished || post->kind != BODY_SSE)
            continue;
        post->stops = true;
        answer_if_done(post);
    }
}
