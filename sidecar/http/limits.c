/* SPDX-License-Identifier: Apache-2.0 */
#include "http/limits.h"

#include <inttypes.h>

#include "http/answer.h"

void limits_slow(void *context, struct exchange *exchange, bool is_silent)
{
    const struct http_options *options = ((const struct gateway *)context)->options;
    struct problem problem;
    if (is_silent)
        problem_set(&problem, 408, SPN_E_TIMEOUT,
                    "nothing of the body came for %" PRIu64 " ms: see --body-idle",
                    options->body_idle_ns / 1000000);
    else
        problem_set(&problem, 408, SPN_E_TIMEOUT,
                    "the body is slower than %" PRIu64 " bytes a second: see --body-rate",
                    options->body_rate);
    answer_problem(exchange, &problem);
}
