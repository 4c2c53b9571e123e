/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slack.h"

#include <malloc.h>

uint64_t slack_tick(struct slack *slack, uint64_t now_ns, bool happened)
{
    if (slack->due_ns > 0 && now_ns >= slack->due_ns) {
        (void)malloc_trim(0);
        slack->due_ns = 0;
    }
    if (happened && slack->due_ns == 0)
        slack->due_ns = now_ns + SLACK_MS * 1000000ull;
    return slack->due_ns > 0 ? slack->due_ns : UINT64_MAX;
}
