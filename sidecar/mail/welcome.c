/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/welcome.h"

#include <string.h>

#include "base/version.h"

void welcome_put(struct wire_out *out, uint64_t request, const struct welcome *welcome)
{
    struct wire_welcome wire = {.instance = welcome->instance,
                                .data_max = (uint32_t)welcome->data_max,
                                .batch_bytes_max = WIRE_BATCH_BYTES_MAX,
                                .batch_events_max = WIRE_BATCH_EVENTS_MAX,
                                .frame_max = (uint32_t)welcome->frame_max,
                                .window = welcome->window_max,
                                .heartbeat_ms = WIRE_HEARTBEAT_MS,
                                .lease_ms = WIRE_LEASE_MS,
                                .version = {SPONSON_VERSION, strlen(SPONSON_VERSION)}};
    memcpy(wire.mark.database, welcome->database, sizeof(wire.mark.database));
    wire.mark.position = atomic_load(&welcome->commits->durable);
    wire_put_header(out, WIRE_WELCOME, request);
    wire_put_welcome(out, &wire);
}
