/* SPDX-License-Identifier: Apache-2.0 */
#include "http/etag.h"

#include <string.h>

#include "base/text.h"
#include "http/word.h"

enum { LIFE_DIGITS = SPN_LIFE_TEXT_SIZE - 1 };

static bool refuse(const char *header, const char *form, struct spn_bytes value,
                   struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    return problem_set(ret_problem, 400, SPN_E_INVALID, "%s must be %s, not %s", header, form,
                       text_quote(value, quoted));
}

static bool parse_none_match(struct spn_bytes value, struct etag_conditions *conditions,
                             struct problem *ret_problem)
{
    if (!word_is(word_trim(value), "*"))
        return refuse("If-None-Match", "*", value, ret_problem);
    conditions->options.if_new = true;
    return true;
}

static bool is_zeros(const struct spn_life *life)
{
    static const struct spn_life zeros;
    return memcmp(life, &zeros, sizeof(zeros)) == 0;
}

static bool parse_match(struct spn_bytes value, struct etag_conditions *conditions,
                        struct problem *ret_problem)
{
    struct spn_bytes tag = word_trim(value);
    const char *at = tag.data;
    bool is_tag =
        tag.size == LIFE_DIGITS + 2 && at[0] == '"' && at[LIFE_DIGITS + 1] == '"' &&
        spn_life_parse((struct spn_bytes){at + 1, LIFE_DIGITS}, &conditions->life) == SPN_OK &&
        !is_zeros(&conditions->life);
    if (!is_tag)
        return refuse("If-Match", "the life of a session in double quotes, as its ETag has it",
                      value, ret_problem);
    conditions->options.life = &conditions->life;
    return true;
}

static bool parse_seq(struct spn_bytes value, struct etag_conditions *conditions,
                      struct problem *ret_problem)
{
    char digits[sizeof("18446744073709551615")];
    struct spn_bytes number = word_trim(value);
    bool fits = number.size > 0 && number.size < sizeof(digits) &&
                memchr(number.data, '\0', number.size) == NULL;
    if (fits) {
        memcpy(digits, number.data, number.size);
        digits[number.size] = '\0';
    }
    if (!fits || !text_count(digits, 0, UINT64_MAX, &conditions->options.if_seq))
        return refuse("Sponson-If-Seq", "a number", value, ret_problem);
    conditions->options.has_if_seq = true;
    return true;
}

bool etag_parse(const struct etag_headers *headers, struct etag_conditions *ret_conditions,
                struct problem *ret_problem)
{
    *ret_conditions =
        (struct etag_conditions){.options = {.size = sizeof(ret_conditions->options)}};
    if (headers->if_none_match.data && (headers->if_match.data || headers->if_seq.data))
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "If-None-Match: * does not go with %s: a new session has neither a life "
                           "nor a seq",
                           headers->if_match.data ? "If-Match" : "Sponson-If-Seq");
    if (headers->if_none_match.data &&
        !parse_none_match(headers->if_none_match, ret_conditions, ret_problem))
        return false;
    if (headers->if_match.data && !parse_match(headers->if_match, ret_conditions, ret_problem))
        return false;
    return !headers->if_seq.data || parse_seq(headers->if_seq, ret_conditions, ret_problem);
}

char *etag_format(const struct spn_life *life, char ret_text[ETAG_SIZE])
{
    ret_text[0] = '"';
    spn_life_format(life, ret_text + 1);
    memcpy(ret_text + ETAG_SIZE - 2, "\"", 2);
    return ret_text;
}
