/* SPDX-License-Identifier: Apache-2.0 */
#include "http/credential.h"

#include <string.h>

#include "http/word.h"

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

/* Other schemes are not ours: a proxy before us may ask for a password. */
bool credential_take_authorization(struct credential *credential, struct spn_bytes value,
                                   struct problem *ret_problem)
{
    static const char scheme[] = "Bearer";
    size_t size = strlen(scheme);
    value = word_trim(value);
    if (value.size < size || !word_is_caseless((struct spn_bytes){value.data, size}, scheme))
        return true;
    struct spn_bytes rest = {(const char *)value.data + size, value.size - size};
    struct spn_bytes token = word_trim(rest);
    bool is_longer_word = rest.size > 0 && token.size == rest.size;
    return is_longer_word || take(credential, CREDENTIAL_BEARER, token, ret_problem);
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
    struct spn_bytes value = word_trim(pair);
    struct spn_bytes name = word_cut(&value, '=');
    if (!word_is(name, CREDENTIAL_COOKIE_NAME) || value.data == NULL)
        return true;
    return take(credential, CREDENTIAL_COOKIE, without_quotes(value), ret_problem);
}

bool credential_take_cookie(struct credential *credential, struct spn_bytes value,
                            struct problem *ret_problem)
{
    while (value.size > 0)
        if (!take_pair(credential, word_cut(&value, ';'), ret_problem))
            return false;
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
