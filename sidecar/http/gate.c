/* SPDX-License-Identifier: Apache-2.0 */
#include "http/gate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/names.h"
#include "http/once.h"
#include "http/origin.h"
#include "http/word.h"

static bool check_head(struct route *route)
{
    const char *fault = exchange_fault(route->exchange);
    if (fault == NULL)
        return true;
    exchange_add(route->exchange, name_CONNECTION, "close");
    return problem_set(&route->problem, 400, SPN_E_INVALID, "%s", fault);
}

static bool each_once(void *context, const char *name, struct spn_bytes value)
{
    (void)value;
    struct route *route = context;
    return once_take(&route->seen, name, &route->problem);
}

static bool check_once(struct route *route)
{
    return exchange_each_header(route->exchange, each_once, route);
}

static bool check_target(struct route *route)
{
    route->text = strdup(exchange_target(route->exchange));
    if (route->text == NULL)
        return problem_set(&route->problem, 503, SPN_E_NOMEM, "%s", spn_err_text(SPN_E_NOMEM));
    return target_parse(route->text, strlen(route->text), &route->target, &route->problem);
}

static bool each_credential(void *context, const char *name, struct spn_bytes value)
{
    struct route *route = context;
    if (word_is_caseless(spn_text(name), name_AUTHORIZATION))
        return credential_take_authorization(&route->credential, value, &route->problem);
    if (word_is_caseless(spn_text(name), name_COOKIE))
        return credential_take_cookie(&route->credential, value, &route->problem);
    return true;
}

bool gate_deny(struct route *route, enum counts_denial why)
{
    route->gateway->counts.denials[why]++;
    return false;
}

static bool take_credential(struct route *route)
{
    const struct query *query = &route->target.query;
    return exchange_each_header(route->exchange, each_credential, route) &&
           (!query->has_token ||
            credential_take_query(&route->credential, query->token, &route->problem));
}

static bool check_origin(struct route *route)
{
    const struct http_options *options = route->gateway->options;
    const struct web_door *door = exchange_door(route->exchange);
    const struct origin_rules rules = {
        .origins = options->origins.items,
        .origin_count = door->is_admin ? 0 : options->origins.count,
        .hosts = options->hosts.items,
        .host_count = options->hosts.count,
        .listen = door->is_tcp ? door->host : NULL,
    };
    const struct origin_request request = {
        .method = spn_text(exchange_method(route->exchange)),
        .host = route_header(route, name_HOST),
        .authority = route->target.authority,
        .origin = route_header(route, name_ORIGIN),
        .fetch_site = route_header(route, name_FETCH_SITE),
        .has_cookie = route->credential.in_cookie,
    };
    if (!origin_check(&rules, &request, &route->problem))
        return gate_deny(route, DENIAL_ORIGIN);
    struct origin_header headers[ORIGIN_HEADERS_MAX];
    size_t count =
        origin_headers(&rules, request.origin, route_has_method(route, "OPTIONS"), headers);
    for (size_t i = 0; i < count; i++)
        exchange_add(route->exchange, headers[i].name, headers[i].value);
    return true;
}

static uint64_t now_s(void)
{
    return clock_wall_ms() / 1000;
}

/* OPTIONS has no token: browsers send none. */
static bool check_token(struct route *route)
{
    const struct gateway *gateway = route->gateway;
    route->needs_token = gateway->keys != NULL;
    if (!route->needs_token || route_has_method(route, "OPTIONS"))
        return true;
    return credential_check(&route->credential, gateway->keys, now_s(), &route->grant,
                            &route->problem) ||
           gate_deny(route, DENIAL_TOKEN);
}

bool gate_may(struct route *route, unsigned rights, struct spn_bytes name)
{
    if (!route->needs_token || grant_allows(&route->grant, rights, name, now_s()))
        return true;
    problem_set(&route->problem, 403, SPN_E_DENIED,
                "the token does not allow this method for this session");
    return gate_deny(route, DENIAL_RIGHTS);
}

bool gate_may_prefix(struct route *route, unsigned rights, struct spn_bytes prefix)
{
    if (!route->needs_token || grant_allows_prefix(&route->grant, rights, prefix, now_s()))
        return true;
    problem_set(&route->problem, 403, SPN_E_DENIED,
                "the token does not allow this for all sessions with this prefix");
    return gate_deny(route, DENIAL_RIGHTS);
}

bool gate_check(struct route *route)
{
    bool is_admin = exchange_door(route->exchange)->is_admin;
    return check_head(route) && check_once(route) && check_target(route) &&
           (is_admin || take_credential(route)) && check_origin(route) &&
           (is_admin || check_token(route));
}
