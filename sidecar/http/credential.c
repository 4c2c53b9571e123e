/* SPDX-License-Identifier: Apache-2.0 */
#include "http/credential.h"

#include <string.h>
#include <strings.h>

static const char *const places[] = {
    [CREDENTIAL_NONE] = "",
    [CREDENTIAL_BEARER] = "Authorization: Bearer",
    [CREDENTIAL_COOKIE] = ("the cookie " CREDENTIAL_COOKIE_NAME),
    [CREDENTIAL_QUERY] = "?token=",
};

/* -- taking ------------------------------------------------------------------------------------ */

static bool take(struct credential *credential, enum credential_place place, struct spn_bytes token,
                 struct problem *ret_problem)
{
    if (token.size == 0)
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s has no token", places[place]);
    if (credential->place != CREDENTIAL_NONE && !token_is_same(credential->token, token))
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "two tokens that differ: one in %s, one in %s",
                           places[credential->place], places[place]);
    if (place == CREDENTIAL_COOKIE)
        credential->in_cookie = true;
    if (credential->place == CREDENTIAL_NONE || place < credential->place)
        credential->place = place;
    credential->token = token;
    return true;
}

static bool is_space(char character)
{
    return character == ' ' || character == '\t';
}

static struct spn_bytes without_spaces(struct spn_bytes text)
{
    const char *bytes = text.data;
    while (text.size > 0 && is_space(bytes[text.size - 1]))
        text.size--;
    while (text.size > 0 && is_space(*bytes)) {
        bytes++;
        text.size--;
    }
    return (struct spn_bytes){bytes, text.size};
}

/* Other schemes are not ours: a proxy before us may ask for a password. */
bool credential_take_authorization(struct credential *credential, struct spn_bytes value,
                                   struct problem *ret_problem)
{
    static const char scheme[] = "Bearer";
    size_t size = strlen(scheme);
    value = without_spaces(value);
    const char *bytes = value.data;
    if (value.size < size || strncasecmp(bytes, scheme, size) != 0 ||
        (value.size > size && !is_space(bytes[size])))
        return true;
    struct spn_bytes token = without_spaces((struct spn_bytes){bytes + size, value.size - size});
    return take(credential, CREDENTIAL_BEARER, token, ret_problem);
}

/* The value of a cookie may stand in quotes (RFC 6265, 4.1.1). */
static struct spn_bytes without_quotes(struct spn_bytes value)
{
    const char *bytes = value.data;
    if (value.size < 2 || bytes[0] != '"' || bytes[value.size - 1] != '"')
        return value;
    return (struct spn_bytes){bytes + 1, value.size - 2};
}

/* One name=value of a Cookie header. */
static bool take_pair(struct credential *credential, struct spn_bytes pair,
                      struct problem *ret_problem)
{
    size_t size = strlen(CREDENTIAL_COOKIE_NAME);
    pair = without_spaces(pair);
    const char *bytes = pair.data;
    if (pair.size <= size || memcmp(bytes, CREDENTIAL_COOKIE_NAME, size) != 0 || bytes[size] != '=')
        return true;
    struct spn_bytes value = {bytes + size + 1, pair.size - size - 1};
    return take(credential, CREDENTIAL_COOKIE, without_quotes(value), ret_problem);
}

bool credential_take_cookie(struct credential *credential, struct spn_bytes value,
                            struct problem *ret_problem)
{
    const char *at = value.data;
    size_t left = value.size;
    while (left > 0) {
        const char *end = memchr(at, ';', left);
        size_t size = end ? (size_t)(end - at) : left;
        if (!take_pair(credential, (struct spn_bytes){at, size}, ret_problem))
            return false;
        at += end ? size + 1 : size;
        left -= end ? size + 1 : size;
    }
    return true;
}

bool credential_take_query(struct credential *credential, struct spn_bytes value,
                           struct problem *ret_problem)
{
    return take(credential, CREDENTIAL_QUERY, value, ret_problem);
}

/* -- checking ---------------------------------------------------------------------------------- */

bool credential_check(const struct credential *credential, const struct keys *keys, uint64_t now_s,
                      struct grant *ret_grant, struct problem *ret_problem)
{
    if (credential->place == CREDENTIAL_NONE)
        return problem_set(ret_problem, 401, SPN_E_DENIED,
                           "a token is needed: Authorization: Bearer, the cookie %s, or ?token=",
                           CREDENTIAL_COOKIE_NAME);
    const char *why = token_check(keys, now_s, credential->token, ret_grant);
    return !why || problem_set(ret_problem, 401, SPN_E_DENIED, "the token in %s: %s",
                               places[credential->place], why);
}
