/* SPDX-License-Identifier: Apache-2.0 */
#include "crowd_plan.h"

#include <stdio.h>

void crowd_event(const struct crowd_plan *plan, uint32_t member, uint64_t number,
                 char session[CROWD_NAME_SIZE], char id[CROWD_NAME_SIZE])
{
    uint64_t place = (number * (plan->members + 1) + member) % plan->sessions;
    snprintf(session, CROWD_NAME_SIZE, "s%llu", (unsigned long long)place);
    if (plan->lone_every > 0 && number % plan->lone_every == 0)
        snprintf(session, CROWD_NAME_SIZE, "l%u-%llu", member, (unsigned long long)number);
    id[0] = '\0';
    if (member >= plan->without_ids)
        snprintf(id, CROWD_NAME_SIZE, "%u-%llu", member, (unsigned long long)number);
}
