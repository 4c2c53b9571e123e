/* SPDX-License-Identifier: Apache-2.0 */
#include "http/start.h"

#include <string.h>

#include "http/names.h"
#include "http/word.h"
#include "sponson.h"

static bool has(struct spn_bytes bytes, char byte)
{
    return memchr(bytes.data, byte, bytes.size) != NULL;
}

static bool is_zeros(const struct spn_life *life)
{
    static const struct spn_life none;
    return memcmp(life, &none, sizeof(none)) == 0;
}

bool start_choose(struct spn_bytes last_event_id, const struct query *query,
                  struct start *ret_start, struct problem *ret_problem)
{
    bool by_header = last_event_id.size > 0;
    struct start start = {.id = by_header ? last_event_id : query->after};
    const char *source = by_header ? name_LAST_EVENT_ID : query->after_key;
    if (start.id.size == 0) {
        start.id = (struct spn_bytes){NULL, 0};
        start.kind = query->from == QUERY_FROM_NOW ? START_NOW : START_EARLIEST;
        *ret_start = start;
        return true;
    }
    if (start.id.size > START_ID_MAX)
        return problem_set(ret_problem, 400, SPN_E_BAD_ID, "%s has %zu bytes; ids have at most %d",
                           source, start.id.size, START_ID_MAX);
    if (has(start.id, '\0') || has(start.id, '\r') || has(start.id, '\n'))
        return problem_set(ret_problem, 400, SPN_E_BAD_ID, "%s has a NUL, CR or LF", source);
    struct spn_life life;
    uint64_t seq;
    start.kind = START_ID;
    if (spn_cursor_parse(start.id, &life, &seq) == SPN_OK && !is_zeros(&life)) {
        start.kind = START_CURSOR;
        start.life = life;
        start.seq = seq;
    } else if (word_is(start.id, START_ABSENT_TEXT)) {
        start.kind = START_ABSENT;
    }
    *ret_start = start;
    return true;
}
