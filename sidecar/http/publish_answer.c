/* SPDX-License-Identifier: Apache-2.0 */
#include "http/publish_parts.h"

#include "http/answer.h"

void post_drop_body(struct post *post)
{
    body_close(post->body);
    post->body = NULL;
    post->next = NULL;
    memory_hold(&post->share, 0);
}

void post_refuse(struct post *post, const struct problem *problem)
{
    if (exchange_is_answered(post->exchange))
        return;
    answer_problem(post->exchange, problem);
    post_drop_body(post);
}

void post_refuse_err(struct post *post, spn_err err)
{
    struct problem problem;
    const char *detail = err == SPN_E_SYSTEM || err == SPN_E_NOMEM
                             ? spn_client_detail(post->gateway->client)
                             : spn_err_text(err);
    problem_set(&problem, problem_status(err), err, "%s", detail);
    post_refuse(post, &problem);
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
        post_refuse(post, &problem);
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
        post_refuse_err(post, SPN_E_STOPPING);
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

void post_answer_if_done(struct post *post)
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
