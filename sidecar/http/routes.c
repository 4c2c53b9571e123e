/* SPDX-License-Identifier: Apache-2.0 */
#include "http/routes.h"

#include <stdlib.h>
#include <string.h>

#include "http/accept.h"
#include "http/admin.h"
#include "http/answer.h"
#include "http/attributes.h"
#include "http/change.h"
#include "http/ds/ds.h"
#include "http/etag.h"
#include "http/events.h"
#include "http/gate.h"
#include "http/info.h"
#include "http/listing.h"
#include "http/names.h"
#include "http/pages.h"
#include "http/publish.h"
#include "http/reader.h"
#include "http/start.h"
#include "http/word.h"

enum {
    SESSION_MEDIA =
        ACCEPT_BIT(ACCEPT_EVENT_STREAM) | ACCEPT_BIT(ACCEPT_JSON) | ACCEPT_BIT(ACCEPT_NDJSON)
};

/* -- sessions ---------------------------------------------------------------------------------- */

static bool conditions(struct route *route, struct etag_conditions *ret_conditions)
{
    const struct etag_headers headers = {
        .if_none_match = route_header(route, name_IF_NONE_MATCH),
        .if_match = route_header(route, name_IF_MATCH),
        .if_seq = route_header(route, name_IF_SEQ),
    };
    return etag_parse(&headers, ret_conditions, &route->problem);
}

static bool check_level(struct route *route)
{
    return route->target.query.level != QUERY_LEVEL_REPLICATED ||
           problem_set(&route->problem, 501, SPN_E_UNSUPPORTED,
                       "level=replicated: no upstream is configured");
}

/* Whether our own lines are comments. Clients that ask by stream=true take every event for one of
 * the app. */
static bool has_comments(const struct query *query)
{
    return query->control == QUERY_CONTROL_COMMENT ||
           (query->control == 0 && query->stream == QUERY_STREAM_TRUE);
}

/* stream=true outweighs Accept: OpenAI's clients accept JSON alone, whatever they ask for. */
static bool choose_media(struct route *route, enum accept_media *ret_media)
{
    if (route->target.query.stream == QUERY_STREAM_TRUE) {
        *ret_media = ACCEPT_EVENT_STREAM;
        return true;
    }
    return accept_choose(route_header(route, name_ACCEPT), SESSION_MEDIA, ret_media,
                         &route->problem);
}

static struct stream_options stream_options(const struct route *route)
{
    return (struct stream_options){
        .session = route->target.name,
        .token = route->needs_token ? route->credential.token : (struct spn_bytes){NULL, 0},
        .comments = has_comments(&route->target.query),
        .expires_s = route->needs_token ? route->grant.expires_s : 0,
        .key_mark = route->needs_token ? route->grant.key_mark : 0,
    };
}

static bool read_session(struct route *route)
{
    const struct query *query = &route->target.query;
    enum accept_media media;
    struct start start;
    if (!gate_may(route, GRANT_READ, route->target.name) ||
        !start_choose(route_header(route, name_LAST_EVENT_ID), query, &start, &route->problem) ||
        !choose_media(route, &media))
        return false;
    if (!check_level(route))
        return false;
    if (media != ACCEPT_EVENT_STREAM) {
        const struct pages_request request = {
            .session = route->target.name,
            .start = start,
            .limit = query->limit,
            .as_lines = media == ACCEPT_NDJSON,
        };
        pages_begin(route->gateway, route->exchange, &request);
        return true;
    }
    const struct reader_request request = {
        .session = route->target.name,
        .start = start,
        .fails_if_unknown_id = query->unknown_id == QUERY_UNKNOWN_FAIL,
        .fails_if_unknown = query->wait == QUERY_NO,
        .active_only = query_is_on(query->active),
        .until_caught_up = query->until == QUERY_UNTIL_CAUGHT_UP,
        .primes = query_is_on(query->prime),
        .stream = stream_options(route),
    };
    reader_begin(route->gateway, route->exchange, &request);
    return true;
}

/* "true", as the field is used elsewhere; anything else is not guessed at. */
static bool wants_close(struct route *route, bool *ret_closes)
{
    struct spn_bytes value = route_header(route, name_STREAM_CLOSED);
    *ret_closes = value.data != NULL && word_is_caseless(word_trim(value), "true");
    if (value.data == NULL || *ret_closes)
        return true;
    return problem_set(&route->problem, 400, SPN_E_INVALID, "%s: must be true", name_STREAM_CLOSED);
}

static bool post_events(struct route *route, const struct etag_conditions *conditions_of)
{
    static const spn_level levels[] = {
        [0] = SPN_DURABLE,
        [QUERY_ACK_DURABLE] = SPN_DURABLE,
        [QUERY_ACK_ACCEPTED] = SPN_ACCEPTED,
        [QUERY_ACK_NONE] = SPN_NONE,
    };
    static const enum body_kind kinds[] = {
        [ACCEPT_BODY_EVENTS] = BODY_SSE,
        [ACCEPT_BODY_JSON] = BODY_JSON,
        [ACCEPT_BODY_RAW] = BODY_RAW,
    };
    const struct query *query = &route->target.query;
    const struct http_options *options = route->gateway->options;
    enum accept_body kind;
    struct publish_request request = {
        .session = route->target.name,
        .options = conditions_of->options,
        .level = levels[query->ack],
        .is_empty = !exchange_has_body(route->exchange),
    };
    if (!accept_body(route_header(route, name_CONTENT_TYPE), &kind, &route->problem) ||
        !wants_close(route, &request.options.closes))
        return false;
    size_t data_max = spn_client_data_max(route->gateway->client);
    request.body = (struct body_options){
        .kind = kinds[kind],
        .data_max = data_max > 0 ? data_max : options->event_max,
        .json_max = options->body_max,
        .length = exchange_length(route->exchange),
        .newlines_lf = query->newlines == QUERY_NEWLINES_LF,
        .key = route_header(route, name_IDEMPOTENCY_KEY),
        .id = route_header(route, name_EVENT_ID),
        .type = route_header(route, name_EVENT_TYPE),
    };
    publish_begin(route->gateway, route->exchange, &request);
    return true;
}

static bool post_session(struct route *route)
{
    struct etag_conditions found;
    if (!gate_may(route, GRANT_WRITE, route->target.name) || !conditions(route, &found))
        return false;
    if (!query_is_on(route->target.query.touch))
        return post_events(route, &found);
    change_own(route->exchange,
               change_touch(route->gateway, route->exchange, route->target.name, &found.options));
    return true;
}

static bool delete_session(struct route *route)
{
    struct etag_conditions found;
    if (!gate_may(route, GRANT_DELETE, route->target.name) || !conditions(route, &found))
        return false;
    change_own(route->exchange,
               change_delete(route->gateway, route->exchange, route->target.name, &found.options));
    return true;
}

static bool set_session(struct route *route, bool patches)
{
    struct etag_conditions found;
    if (!gate_may(route, GRANT_WRITE, route->target.name) || !conditions(route, &found))
        return false;
    attributes_begin(route->gateway, route->exchange, route->target.name, &found.options, patches);
    return true;
}

static bool route_method(struct route *route, const char *allow)
{
    exchange_add(route->exchange, "Allow", allow);
    if (route_has_method(route, "OPTIONS")) {
        exchange_answer(route->exchange, 204, NULL, 0);
        return true;
    }
    return problem_set(&route->problem, 405, SPN_E_INVALID, "this path has: %s", allow);
}

static bool changes(const struct route *route)
{
    return route_has_method(route, "POST") || route_has_method(route, "PUT") ||
           route_has_method(route, "PATCH") || route_has_method(route, "DELETE");
}

static bool route_session(struct route *route)
{
    if (route_has_method(route, "GET"))
        return read_session(route);
    if (changes(route) && ds_has(route->target.name))
        return problem_set(&route->problem, 409, SPN_E_INVALID,
                           "the session is a Durable Stream: change it under /v1/stream/");
    if (route_has_method(route, "POST"))
        return post_session(route);
    if (route_has_method(route, "DELETE"))
        return delete_session(route);
    if (route_has_method(route, "PUT") || route_has_method(route, "PATCH"))
        return set_session(route, route_has_method(route, "PATCH"));
    if (!route_has_method(route, "HEAD"))
        return route_method(route, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    if (!gate_may(route, GRANT_READ, route->target.name))
        return false;
    info_begin(route->gateway, route->exchange, route->target.name);
    return true;
}

static bool route_sessions(struct route *route)
{
    const struct query *query = &route->target.query;
    if (!route_has_method(route, "GET"))
        return route_method(route, "GET, OPTIONS");
    if (!gate_may_prefix(route, GRANT_LIST, query->prefix))
        return false;
    listing_begin(route->gateway, route->exchange, query->prefix, query->after, query->limit);
    return true;
}

/* -- Durable Streams --------------------------------------------------------------------------- */

static bool route_stream(struct route *route)
{
    char room[TARGET_NAME_MAX];
    const struct ds_request request = {
        .session = ds_session(route->target.name, room),
        .method = exchange_method(route->exchange),
        .query = &route->target.query,
        .stream = stream_options(route),
    };
    unsigned right = ds_right(request.method);
    ds_begin(route->exchange);
    if (right == 0)
        return route_method(route, DS_METHODS);
    if (!gate_may(route, right, request.session))
        return false;
    ds_answer(route->gateway, route->exchange, &request);
    return true;
}

/* -- all sessions ------------------------------------------------------------------------------ */

static bool choose_place(struct route *route, struct events_request *request)
{
    static const spn_start starts[] = {
        [START_EARLIEST] = SPN_EARLIEST,     [START_NOW] = SPN_NOW,
        [START_ID] = SPN_AFTER_POSITION,     [START_CURSOR] = SPN_AFTER_POSITION,
        [START_ABSENT] = SPN_AFTER_POSITION,
    };
    struct start start;
    if (!start_choose(route_header(route, name_LAST_EVENT_ID), &route->target.query, &start,
                      &route->problem))
        return false;
    request->start = starts[start.kind];
    return request->start != SPN_AFTER_POSITION || events_place_parse(start.id, &request->place) ||
           problem_set(&route->problem, 400, SPN_E_BAD_POSITION,
                       "where to begin is not the id of an event of this stream");
}

static bool route_events(struct route *route)
{
    const struct query *query = &route->target.query;
    struct events_request request = {
        .prefix = query->prefix,
        .fails_if_unknown = query->unknown_id == QUERY_UNKNOWN_FAIL,
        .until_caught_up = query->until == QUERY_UNTIL_CAUGHT_UP,
        .primes = query_is_on(query->prime),
        .stream = stream_options(route),
    };
    enum accept_media media;
    if (!route_has_method(route, "GET"))
        return route_method(route, "GET, OPTIONS");
    if (!gate_may_prefix(route, GRANT_LIST | GRANT_READ, query->prefix) ||
        !choose_place(route, &request) ||
        !accept_choose(route_header(route, name_ACCEPT), ACCEPT_BIT(ACCEPT_EVENT_STREAM), &media,
                       &route->problem) ||
        !check_level(route))
        return false;
    events_begin(route->gateway, route->exchange, &request);
    return true;
}

/* -- all --------------------------------------------------------------------------------------- */

static bool route_target(struct route *route)
{
    switch (route->target.route) {
    case TARGET_SESSION:
        return route_session(route);
    case TARGET_SESSIONS:
        return route_sessions(route);
    case TARGET_EVENTS:
        return route_events(route);
    case TARGET_STREAM:
        return route_stream(route);
    case TARGET_PROBLEMS:
        if (!route_has_method(route, "GET"))
            return route_method(route, "GET, OPTIONS");
        admin_problems(route->exchange);
        return true;
    default:
        return problem_set(&route->problem, 404, SPN_E_INVALID, "there is no such path");
    }
}

/* Pages that are served on another port of this host are of the same site, and the browser gives
 * them the cookie. */
static bool check_admin_site(struct route *route)
{
    struct spn_bytes site = word_trim(route_header(route, name_FETCH_SITE));
    if (site.size == 0 || word_is_caseless(site, "same-origin") || word_is_caseless(site, "none"))
        return true;
    problem_set(&route->problem, 403, SPN_E_DENIED,
                "the admin listener serves no page but its own");
    return gate_deny(route, DENIAL_ORIGIN);
}

static bool route_admin(struct route *route)
{
    enum target_route where = route->target.route;
    if (!check_admin_site(route))
        return false;
    if (!route_has_method(route, "GET"))
        return route_method(route, "GET");
    if (admin_begin(route->gateway, route->exchange, &route->target))
        return true;
    if (where != TARGET_SESSION && where != TARGET_SESSIONS && where != TARGET_EVENTS &&
        where != TARGET_STREAM)
        return problem_set(&route->problem, 404, SPN_E_INVALID, "there is no such path");
    if (admin_is_known(route->gateway, route->exchange))
        return route_target(route);
    problem_set(&route->problem, 401, SPN_E_DENIED, "the cookie %s is needed: see the page",
                ADMIN_KEY_COOKIE);
    return gate_deny(route, DENIAL_ADMIN);
}

void routes_begin(void *context, struct exchange *exchange)
{
    struct route route = {.gateway = context, .exchange = exchange};
    bool is_admin = exchange_door(exchange)->is_admin;
    bool is_routed = gate_check(&route) && (is_admin ? route_admin(&route) : route_target(&route));
    if (!is_routed)
        answer_problem(exchange, &route.problem);
    free(route.text);
}
