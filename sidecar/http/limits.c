/* SPDX-License-Identifier: Apache-2.0 */
#include "http/limits.h"

#include <inttypes.h>

#include "http/answer.h"

/* -- numbers ----------------------------------------------------------------------------------- */

/* Streams leave a tenth of the connections to all other requests. One that has no answer yet keeps
 * its connection too. */
bool limits_are_too_many(const struct gateway *gateway)
{
    unsigned most = gateway->options->connections_max;
    return gateway->counts.streams + gateway->counts.polls > most - most / 10;
}

/* Counts in the place. False: there are too many in it, or there is no memory. */
static bool enter(struct places *places, struct spn_bytes name, unsigned most,
                  struct place **ret_place)
{
    if (name.size == 0 || most == 0)
        return true;
    *ret_place = places_enter(places, name);
    return *ret_place != NULL && (*ret_place)->count <= most;
}

void limits_leave(struct stream *stream)
{
    places_leave(&stream->gateway->sessions, stream->session);
    places_leave(&stream->gateway->tokens, stream->token);
    stream->session = stream->token = NULL;
}

enum counts_end limits_enter(struct stream *stream)
{
    struct gateway *gateway = stream->gateway;
    const struct http_options *options = gateway->options;
    enum counts_end why = END_PEER;
    if (limits_are_too_many(gateway))
        why = END_TOO_MANY;
    else if (!enter(&gateway->sessions, stream->options.session, options->readers_per_session,
                    &stream->session))
        why = END_SESSION_FULL;
    else if (!enter(&gateway->tokens, stream->options.token, options->readers_per_token,
                    &stream->token))
        why = END_TOKEN_FULL;
    stream->options.session = stream->options.token = (struct spn_bytes){NULL, 0};
    if (why != END_PEER)
        limits_leave(stream);
    return why;
}

/* -- time -------------------------------------------------------------------------------------- */

void limits_slow(void *context, struct exchange *exchange, bool is_silent)
{
    const struct http_options *options = ((const struct gateway *)context)->options;
    struct problem problem;
    if (is_silent)
        problem_set(&problem, 408, SPN_E_TIMEOUT,
                    "nothing of the body came for %" PRIu64 " ms: see --body-idle",
                    options->body_idle_ns / 1000000);
    else
        problem_set(&problem, 408, SPN_E_TIMEOUT,
                    "the body is slower than %" PRIu64 " bytes a second: see --body-rate",
                    options->body_rate);
    answer_problem(exchange, &problem);
}
