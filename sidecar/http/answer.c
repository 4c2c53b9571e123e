/* SPDX-License-Identifier: Apache-2.0 */
#include "http/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "http/etag.h"
#include "http/names.h"

enum {
    LAST_ID_MAX = 1024, /* bytes, before they are encoded */
    NUMBER_SIZE = sizeof("18446744073709551615"),
    RETRY_AFTER_S = 1,
};

static void add_problem_headers(struct exchange *exchange, const struct problem *problem)
{
    exchange_add(exchange, "Content-Type", "application/problem+json");
    exchange_add(exchange, "Cache-Control", "no-store");
    if (problem->status == 429 || problem->status == 503)
        answer_add_number(exchange, name_RETRY_AFTER, RETRY_AFTER_S);
    if (problem->status == 401)
        exchange_add(exchange, "WWW-Authenticate", "Bearer");
}

void answer_problem(struct exchange *exchange, const struct problem *problem)
{
    struct out out;
    out_init(&out, -1);
    problem_write(problem, &out);
    add_problem_headers(exchange, problem);
    exchange_answer(exchange, problem->status, out.data, out.size);
    out_release(&out);
}

void answer_err(struct exchange *exchange, spn_err err)
{
    struct problem problem;
    problem_set(&problem, problem_status(err), err, "%s", spn_err_text(err));
    answer_problem(exchange, &problem);
}

void answer_no_room(struct exchange *exchange, struct memory_share *share)
{
    struct problem problem;
    memory_refuse(share, &problem);
    answer_problem(exchange, &problem);
}

void answer_add_number(struct exchange *exchange, const char *name, uint64_t number)
{
    char text[NUMBER_SIZE];
    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    exchange_add(exchange, name, text);
}

void answer_add_stream_headers(struct exchange *exchange)
{
    exchange_add(exchange, "Content-Type", "text/event-stream");
    exchange_add(exchange, "Cache-Control", "no-store");
    exchange_add(exchange, "X-Accel-Buffering", "no");
    exchange_add(exchange, "X-Content-Type-Options", "nosniff");
    exchange_add(exchange, "Referrer-Policy", "no-referrer");
}

void answer_add_session(struct exchange *exchange, const struct spn_life *life, uint64_t seq,
                        spn_session_state state)
{
    static const struct spn_life none;
    char text[ETAG_SIZE];
    if (memcmp(life, &none, sizeof(none)) == 0)
        return;
    exchange_add(exchange, name_ETAG, etag_format(life, text));
    spn_life_format(life, text);
    exchange_add(exchange, name_LIFE, text);
    answer_add_number(exchange, name_SEQ, seq);
    exchange_add(exchange, name_STATE, spn_session_state_name(state));
}

void answer_add_last_id(struct exchange *exchange, struct spn_bytes id)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char digits[] = "0123456789ABCDEF";
    char text[3 * LAST_ID_MAX + 1];
    size_t size = 0;
    if (id.size > LAST_ID_MAX) {
        exchange_add(exchange, name_LAST_ID_OMITTED, "1");
        return;
    }
    for (size_t i = 0; i < id.size; i++) {
        unsigned char byte = ((const unsigned char *)id.data)[i];
        if (byte != 0 && strchr(plain, byte) != NULL) {
            text[size++] = (char)byte;
            continue;
        }
        text[size++] = '%';
        text[size++] = digits[byte >> 4];
        text[size++] = digits[byte & 15];
    }
    text[size] = '\0';
    if (size > 0)
        exchange_add(exchange, name_LAST_ID, text);
}
