/* SPDX-License-Identifier: Apache-2.0 */
#include "http/origin.h"

#include <string.h>

#include "base/text.h"
#include "http/names.h"
#include "http/word.h"

static bool refuse(unsigned status, const char *header, struct spn_bytes value, const char *what,
                   struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    return problem_set(ret_problem, status, SPN_E_DENIED, "%s %s %s", header,
                       text_quote(value, quoted), what);
}

/* -- hosts ------------------------------------------------------------------------------------- */

static bool is_port(struct spn_bytes port)
{
    const char *bytes = port.data;
    for (size_t i = 0; i < port.size; i++)
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
    return port.size > 0 && port.size <= 5;
}

/* Without its port. An IPv6 address is in brackets. What is malformed stays whole, and so equals
 * nothing that is listed. */
static struct spn_bytes host_without_port(struct spn_bytes host)
{
    const char *bytes = host.data;
    size_t size = host.size;
    while (size > 0 && bytes[size - 1] != ':' && bytes[size - 1] != ']')
        size--;
    if (size == 0 || bytes[size - 1] == ']')
        return host;
    return is_port((struct spn_bytes){bytes + size, host.size - size})
               ? (struct spn_bytes){bytes, size - 1}
               : host;
}

/* The listen address "::1" is "[::1]" in a Host header. */
static bool is_address(struct spn_bytes name, const char *listen)
{
    const char *bytes = name.data;
    if (strchr(listen, ':') == NULL || listen[0] == '[')
        return word_is_caseless(name, listen);
    return name.size > 2 && bytes[0] == '[' && bytes[name.size - 1] == ']' &&
           word_is_caseless((struct spn_bytes){bytes + 1, name.size - 2}, listen);
}

static bool is_our_host(const struct origin_rules *rules, struct spn_bytes host)
{
    struct spn_bytes name = host_without_port(host);
    if (word_is_caseless(name, "localhost") || is_address(name, rules->listen))
        return true;
    for (size_t i = 0; i < rules->host_count; i++)
        if (word_is_caseless(host, rules->hosts[i]) || word_is_caseless(name, rules->hosts[i]))
            return true;
    return false;
}

static bool check_host(const struct origin_rules *rules, const struct origin_request *request,
                       struct problem *ret_problem)
{
    struct spn_bytes host = word_trim(request->host);
    if (request->authority.size > 0 && !word_equals_caseless(request->authority, host))
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "the target of the request and its Host header name two hosts");
    if (rules->listen == NULL || is_our_host(rules, host))
        return true;
    return refuse(421, name_HOST, host, "is not a host that is served here", ret_problem);
}

/* -- origins ----------------------------------------------------------------------------------- */

/* The entry of the list that is this origin; NULL: there is none. */
static const char *listed(const struct origin_rules *rules, struct spn_bytes origin)
{
    for (size_t i = 0; i < rules->origin_count; i++)
        if (word_is(word_trim(origin), rules->origins[i]))
            return rules->origins[i];
    return NULL;
}

static bool only_reads(struct spn_bytes method)
{
    return word_is(method, "GET") || word_is(method, "HEAD") || word_is(method, "OPTIONS");
}

bool origin_check(const struct origin_rules *rules, const struct origin_request *request,
                  struct problem *ret_problem)
{
    if (!check_host(rules, request, ret_problem))
        return false;
    if (listed(rules, request->origin))
        return true;
    if (request->origin.size > 0)
        return refuse(403, name_ORIGIN, request->origin, "is not listed (--allow-origin)",
                      ret_problem);
    if (word_is_caseless(word_trim(request->fetch_site), "cross-site"))
        return problem_set(ret_problem, 403, SPN_E_DENIED,
                           "Sec-Fetch-Site is cross-site, and there is no Origin that is listed");
    if (request->has_cookie && !only_reads(request->method))
        return problem_set(ret_problem, 403, SPN_E_DENIED,
                           "a cookie may change something only with an Origin that is listed");
    return true;
}

bool origin_is_valid(const char *origin)
{
    struct spn_bytes host = {origin, strlen(origin)};
    struct spn_bytes scheme = word_cut(&host, ':');
    const char *bytes = host.data;
    if (!word_is_token(scheme) || host.size < 3 || bytes[0] != '/' || bytes[1] != '/')
        return false;
    for (size_t i = 2; i < host.size; i++)
        if (bytes[i] <= ' ' || bytes[i] > '~' || (bytes[i] >= 'A' && bytes[i] <= 'Z') ||
            strchr("/?#@\\,", bytes[i]) != NULL)
            return false;
    return true;
}

/* -- answers ----------------------------------------------------------------------------------- */

#define WITH_COMMA(name, text) ", " text
static const char allowed[] = NAMES_ALLOWED_MAP(WITH_COMMA);
static const char exposed[] = NAMES_EXPOSED_MAP(WITH_COMMA) NAMES_ALSO_EXPOSED;
#undef WITH_COMMA

size_t origin_headers(const struct origin_rules *rules, struct spn_bytes origin, bool preflight,
                      struct origin_header ret_headers[ORIGIN_HEADERS_MAX])
{
    enum { COMMA = 2 };
    const char *entry = listed(rules, origin);
    size_t count = 0;
    ret_headers[count++] = (struct origin_header){"Vary", preflight ? "Origin" : "Origin, Accept"};
    if (!entry)
        return count;
    ret_headers[count++] = (struct origin_header){"Access-Control-Allow-Origin", entry};
    ret_headers[count++] = (struct origin_header){"Access-Control-Allow-Credentials", "true"};
    if (!preflight) {
        ret_headers[count++] =
            (struct origin_header){"Access-Control-Expose-Headers", exposed + COMMA};
        return count;
    }
    ret_headers[count++] = (struct origin_header){"Access-Control-Allow-Methods",
                                                  "GET, HEAD, POST, PUT, PATCH, DELETE"};
    ret_headers[count++] = (struct origin_header){"Access-Control-Allow-Headers", allowed + COMMA};
    ret_headers[count++] = (struct origin_header){"Access-Control-Max-Age", "600"};
    return count;
}
