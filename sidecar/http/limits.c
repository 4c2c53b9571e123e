/* SPDX-License-Identifier: Apache-2.0 */
#include "http/limits.h"

#include <inttypes.h>

#include "base/clock.h"
#include "http/answer.h"

/* -- numbers ----------------------------------------------------------------------------------- */

/* Streams and long polls leave a tenth of the connections to all other requests. One that has no
 * answer yet keeps its connection too. */
static bool are_too_many(const struct gateway *gateway)
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

void limits_leave(struct gateway *gateway, struct limits_seat *seat)
{
    places_leave(&gateway->sessions, seat->session);
    places_leave(&gateway->tokens, seat->token);
    *seat = (struct limits_seat){0};
}

enum counts_end limits_enter(struct gateway *gateway, struct limits_seat *seat,
                             struct spn_bytes session, struct spn_bytes token)
{
    const struct http_options *options = gateway->options;
    enum counts_end why = END_PEER;
    *seat = (struct limits_seat){0};
    if (are_too_many(gateway))
        why = END_TOO_MANY;
    else if (!enter(&gateway->sessions, session, options->readers_per_session, &seat->session))
        why = END_SESSION_FULL;
    else if (!enter(&gateway->tokens, token, options->readers_per_token, &seat->token))
        why = END_TOKEN_FULL;
    if (why != END_PEER)
        limits_leave(gateway, seat);
    return why;
}

/* -- time -------------------------------------------------------------------------------------- */

uint64_t limits_expires_ns(uint64_t expires_s)
{
    uint64_t now_ms = clock_wall_ms();
    if (expires_s == 0)
        return 0;
    uint64_t expires_ms = expires_s * 1000;
    uint64_t left_ms = expires_ms > now_ms ? expires_ms - now_ms : 0;
    return gateway_now_ns() + left_ms * 1000000 + 1;
}

void limits_slow(void *context, struct exchange *exchange, enum web_slow why)
{
    const struct http_options *options = ((const struct gateway *)context)->options;
    uint64_t idle_ms = options->body_idle_ns / 1000000;
    struct problem problem;
    switch (why) {
    case WEB_SILENT:
        problem_set(&problem, 408, SPN_E_TIMEOUT,
                    "nothing of the body came for %" PRIu64 " ms: see --body-idle", idle_ms);
        break;
    case WEB_SLOW:
        problem_set(&problem, 408, SPN_E_TIMEOUT,
                    "the body is slower than %" PRIu64 " bytes a second: see --body-rate",
                    options->body_rate);
        break;
    case WEB_HELD:
        problem_set(&problem, 408, SPN_E_TIMEOUT,
                    "the daemon is behind, and took no more of the body for %" PRIu64
                    " ms after the peer closed its side: see --body-idle",
                    idle_ms);
        break;
    }
    answer_problem(exchange, &problem);
}
