/* SPDX-License-Identifier: Apache-2.0 */
#include "http/query.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "http/word.h"

/* A key and its value, decoded. */
struct pair {
    struct spn_bytes key;
    struct spn_bytes value;
};

static bool twice(const char *key, struct problem *ret_problem)
{
    return problem_set(ret_problem, 400, SPN_E_INVALID, "query parameter %s is there twice", key);
}

/* -- choices ----------------------------------------------------------------------------------- */

static const struct choice {
    const char *key;
    const char *values;
    size_t offset;
} choices[] = {
#define CHOICE(field, key, values) {key, values, offsetof(struct query, field)},
    QUERY_CHOICE_MAP(CHOICE)
#undef CHOICE
};

/* The number of the value; 0: the key does not have it. */
static uint8_t choice_of(const struct choice *choice, const struct pair *pair)
{
    struct spn_bytes left = {choice->values, strlen(choice->values)};
    for (uint8_t number = 1; left.size > 0; number++) {
        struct spn_bytes value = word_cut(&left, ' ');
        if (word_is(value, "-") ? pair->value.size == 0
                                : pair->value.size > 0 && word_equals(value, pair->value))
            return number;
    }
    return 0;
}

static bool take_choice(const struct choice *choice, const struct pair *pair, struct query *query,
                        struct problem *ret_problem)
{
    uint8_t *field = (uint8_t *)query + choice->offset;
    char quoted[TEXT_QUOTED_SIZE];
    if (*field != 0)
        return twice(choice->key, ret_problem);
    *field = choice_of(choice, pair);
    return *field != 0 ||
           problem_set(ret_problem, 400, SPN_E_INVALID, "query parameter %s is %s; it may be: %s",
                       choice->key, text_quote(pair->value, quoted), choice->values);
}

/* -- values ------------------------------------------------------------------------------------ */

/* The same place under two names is borne where both say the same. */
static bool take_after(const char *key, const struct pair *pair, struct query *query,
                       struct problem *ret_problem)
{
    const char *before = query->after_key;
    if (before && strcmp(before, key) == 0)
        return twice(key, ret_problem);
    if (before && !word_equals(query->after, pair->value))
        return problem_set(ret_problem, 400, SPN_E_INVALID, "query parameters %s and %s differ",
                           before, key);
    query->after = pair->value;
    query->after_key = key;
    return true;
}

static bool take_prefix(const char *key, const struct pair *pair, struct query *query,
                        struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    if (query->has_prefix)
        return twice(key, ret_problem);
    if (pair->value.size > QUERY_PREFIX_MAX || !word_is_text(pair->value))
        return problem_set(ret_problem, 400, SPN_E_BAD_PREFIX,
                           "query parameter prefix is %s; it may be at most %d bytes of UTF-8 "
                           "without control characters",
                           text_quote(pair->value, quoted), QUERY_PREFIX_MAX);
    query->prefix = pair->value;
    query->has_prefix = true;
    return true;
}

static bool take_token(const char *key, const struct pair *pair, struct query *query,
                       struct problem *ret_problem)
{
    if (query->has_token)
        return twice(key, ret_problem);
    query->token = pair->value;
    query->has_token = true;
    return true;
}

/* Read where they are used: data NULL says that the key is not there, so an empty value has some.
 */
static bool take_raw(struct spn_bytes *value, const char *key, const struct pair *pair,
                     struct problem *ret_problem)
{
    if (value->data != NULL)
        return twice(key, ret_problem);
    *value = pair->value.size > 0 ? pair->value : (struct spn_bytes){"", 0};
    return true;
}

static bool take_offset(const char *key, const struct pair *pair, struct query *query,
                        struct problem *ret_problem)
{
    return take_raw(&query->offset, key, pair, ret_problem);
}

static bool take_live(const char *key, const struct pair *pair, struct query *query,
                      struct problem *ret_problem)
{
    return take_raw(&query->live, key, pair, ret_problem);
}

static bool take_cursor(const char *key, const struct pair *pair, struct query *query,
                        struct problem *ret_problem)
{
    return take_raw(&query->cursor, key, pair, ret_problem);
}

/* A number that text_count reads, from bytes without a NUL at their end. */
static uint32_t limit_of(struct spn_bytes value)
{
    char text[sizeof("1000000")];
    uint64_t limit;
    if (value.size >= sizeof(text) || value.size == 0)
        return 0;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    if (strlen(text) != value.size || !text_count(text, 1, QUERY_LIMIT_MAX, &limit))
        return 0;
    return (uint32_t)limit;
}

static bool take_limit(const char *key, const struct pair *pair, struct query *query,
                       struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    if (query->limit != 0)
        return twice(key, ret_problem);
    query->limit = limit_of(pair->value);
    return query->limit != 0 || problem_set(ret_problem, 400, SPN_E_INVALID,
                                            "query parameter limit is %s; it may be 1 to %d",
                                            text_quote(pair->value, quoted), QUERY_LIMIT_MAX);
}

static const struct value {
    const char *key;
    bool (*take)(const char *key, const struct pair *pair, struct query *query,
                 struct problem *ret_problem);
} values[] = {
    {"after", take_after},          {"last_event_id", take_after}, {"lastEventId", take_after},
    {"starting_after", take_after}, {"prefix", take_prefix},       {"limit", take_limit},
    {"token", take_token},          {"offset", take_offset},       {"live", take_live},
    {"cursor", take_cursor},
};

/* -- pairs ------------------------------------------------------------------------------------- */

static const struct choice *find_choice(struct spn_bytes key)
{
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
        if (word_is(key, choices[i].key))
            return &choices[i];
    return NULL;
}

static const struct value *find_value(struct spn_bytes key)
{
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (word_is(key, values[i].key))
            return &values[i];
    return NULL;
}

static bool take_pair(char *key, size_t key_size, char *value, size_t value_size,
                      struct query *query, struct problem *ret_problem)
{
    struct pair pair;
    if (!word_decode(key, &key_size))
        return true; /* it is none of ours */
    pair.key = (struct spn_bytes){key, key_size};
    const struct choice *choice = find_choice(pair.key);
    const struct value *known = find_value(pair.key);
    if (!choice && !known)
        return true;
    if (value && !word_decode(value, &value_size))
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "query parameter %s has a %% without two hexadecimal digits",
                           choice ? choice->key : known->key);
    pair.value = (struct spn_bytes){value, value_size};
    return choice ? take_choice(choice, &pair, query, ret_problem)
                  : known->take(known->key, &pair, query, ret_problem);
}

bool query_parse(char *text, size_t size, struct query *ret_query, struct problem *ret_problem)
{
    struct query query = {0};
    for (size_t at = 0; at < size;) {
        char *key = text + at;
        char *end = memchr(key, '&', size - at);
        size_t pair_size = end ? (size_t)(end - key) : size - at;
        char *equals = pair_size > 0 ? memchr(key, '=', pair_size) : NULL;
        size_t key_size = equals ? (size_t)(equals - key) : pair_size;
        size_t value_size = equals ? pair_size - key_size - 1 : 0;
        if (!take_pair(key, key_size, equals ? equals + 1 : NULL, value_size, &query, ret_problem))
            return false;
        at += pair_size + 1;
    }
    *ret_query = query;
    return true;
}
