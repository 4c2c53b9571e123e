/* SPDX-License-Identifier: Apache-2.0 */
#include "http/once.h"

#include <assert.h>

#include "http/names.h"
#include "http/word.h"
#include "sponson.h"

static const char *const names[] = {
    name_CONTENT_TYPE,    name_EVENT_ID,          name_EVENT_TYPE,
    name_IDEMPOTENCY_KEY, name_IF_MATCH,          name_LAST_EVENT_ID,
    name_PRODUCER_ID,     name_PRODUCER_EPOCH,    name_PRODUCER_SEQ,
    name_IF_SEQ,          name_STREAM_TTL,        name_STREAM_CLOSED,
    name_STREAM_SEQ,      name_STREAM_EXPIRES_AT, name_ORIGIN,
    name_FETCH_SITE,
};

enum { NAMES = sizeof(names) / sizeof(names[0]) };
static_assert(NAMES <= 32, "a bit for each");

bool once_take(uint32_t *seen, const char *name, struct problem *ret_problem)
{
    for (unsigned i = 0; i < NAMES; i++) {
        if (!word_is_caseless(spn_text(name), names[i]))
            continue;
        uint32_t bit = UINT32_C(1) << i;
        if ((*seen & bit) != 0)
            return problem_set(ret_problem, 400, SPN_E_INVALID, "two %s headers", names[i]);
        *seen |= bit;
        return true;
    }
    return true;
}
