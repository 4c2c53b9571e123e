/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds_answer.h"

#include <string.h>

#include "http/answer.h"
#include "http/names.h"

enum { VALUE_MAX = 511 };

static const char yes[] = "true";

void ds_answer_add_safety(struct exchange *exchange)
{
    exchange_add(exchange, "X-Content-Type-Options", "nosniff");
    exchange_add(exchange, "Cross-Origin-Resource-Policy", "cross-origin");
    exchange_add(exchange, "Content-Security-Policy", "default-src 'none'; sandbox");
    exchange_add(exchange, "Referrer-Policy", "no-referrer");
}

void ds_answer_add_offset(struct exchange *exchange, const struct ds_stream *stream, uint64_t seq)
{
    char text[DS_OFFSET_SIZE];
    exchange_add(exchange, name_STREAM_NEXT_OFFSET, ds_stream_offset(stream, seq, text));
}

void ds_answer_add_closed(struct exchange *exchange, bool is_closed)
{
    if (is_closed)
        exchange_add(exchange, name_STREAM_CLOSED, yes);
}

void ds_answer_add_up_to_date(struct exchange *exchange)
{
    exchange_add(exchange, name_STREAM_UP_TO_DATE, yes);
}

void ds_answer_add_bytes(struct exchange *exchange, const char *name, struct spn_bytes value)
{
    char text[VALUE_MAX + 1];
    if (value.size == 0 || value.size > VALUE_MAX)
        return;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    if (strlen(text) == value.size && strpbrk(text, "\r\n") == NULL)
        exchange_add(exchange, name, text);
}

void ds_answer_absent(struct exchange *exchange)
{
    struct problem problem;
    problem_set(&problem, 404, SPN_E_UNKNOWN_SESSION, "there is no such stream");
    answer_problem(exchange, &problem);
}
