/* SPDX-License-Identifier: Apache-2.0 */
#include "http/refusal.h"

#include <stdio.h>

#include "http/problem.h"

void refusal_write_head(struct out *out, unsigned status, size_t body_size)
{
    char line[96];
    (void)snprintf(line, sizeof(line),
                   "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Length: %zu\r\n", status,
                   problem_title(status), body_size);
    out_text(out, line);
}

static void describe(struct problem *problem, unsigned status, const char *fault,
                     size_t header_limit)
{
    if (fault != NULL)
        problem_set(problem, 400, SPN_E_INVALID, "%s", fault);
    else if (status == 414 || status == 431)
        problem_set(problem, status, SPN_E_LIMIT,
                    "%s, with what the server notes of it, is over %zu bytes: see --header-limit",
                    status == 414 ? "the target of the request" : "the head of the request",
                    header_limit);
    else if (status == 408)
        problem_set(problem, status, SPN_E_TIMEOUT,
                    "the head of the request took too long: see --header-timeout");
    else
        problem_set(problem, status, SPN_E_INVALID, "the request is malformed");
}

void refusal_write(struct out *out, unsigned status, const char *fault, size_t header_limit)
{
    struct problem problem;
    struct out body;
    out_init(&body, -1);
    describe(&problem, status, fault, header_limit);
    problem_write(&problem, &body);
    refusal_write_head(out, problem.status, body.size);
    out_text(out, "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n\r\n");
    out_put(out, body.data, body.size);
    if (body.error != 0)
        out->error = body.error;
    out_release(&body);
}
