/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/query.h"

#include "base/text.h"
#include "http/word.h"

static bool parse_mode(const struct query *query, enum ds_mode *ret_mode,
                       struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    *ret_mode = DS_MODE_CHUNK;
    if (query->live.data == NULL)
        return true;
    if (word_is(query->live, "long-poll"))
        *ret_mode = DS_MODE_POLL;
    else if (word_is(query->live, "sse"))
        *ret_mode = DS_MODE_LIVE;
    else
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "query parameter live is %s; it may be: long-poll sse",
                           text_quote(query->live, quoted));
    return query->offset.data != NULL ||
           problem_set(ret_problem, 400, SPN_E_INVALID,
                       "query parameter live needs the query parameter offset");
}

bool ds_query_parse(const struct query *query, struct ds_query *ret_query,
                    struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    struct ds_query parsed = {.start = DS_OFFSET_BEGIN};
    if (!parse_mode(query, &parsed.mode, ret_problem))
        return false;
    if (query->offset.data != NULL)
        parsed.start = ds_offset_parse(query->offset, &parsed.place);
    if (parsed.start == DS_OFFSET_BAD)
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "query parameter offset is %s, which is no offset",
                           text_quote(query->offset, quoted));
    *ret_query = parsed;
    return true;
}
