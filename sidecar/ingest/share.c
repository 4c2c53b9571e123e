/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/share.h"

#include "ingest/sender.h"

enum {
    MODEST_MS = 100,
    SHARED_PART = 1024, /* of the queue: 64 KiB, for producers flooding beside one that does not */
    FLOOD_BYTES = 32768,
};

static bool is_recent(uint64_t then_ns, uint64_t now_ns)
{
    return then_ns > 0 && now_ns - then_ns < MODEST_MS * 1000000ull;
}

bool share_is_used_up(const struct share *share, const struct producer *producer,
                      size_t queue_bytes_max, uint64_t now_ns)
{
    if (sender_of_const(producer)->queued_bytes < FLOOD_BYTES || share->modest == producer ||
        !is_recent(share->modest_ns, now_ns))
        return false;
    uint64_t part = queue_bytes_max / SHARED_PART;
    if (share->waiting > 1)
        part /= share->waiting;
    return sender_of_const(producer)->queued_bytes >= part;
}

void share_hear(struct share *share, struct producer *producer, uint64_t now_ns)
{
    if (sender_of(producer)->queued_bytes >= FLOOD_BYTES)
        sender_of(producer)->flooded_ns = now_ns;
    bool floods = is_recent(sender_of(producer)->flooded_ns, now_ns);
    if (floods && share->modest != producer)
        return;
    share->modest = producer;
    share->modest_ns = floods ? 0 : now_ns;
}

void share_forget(struct share *share, const struct producer *producer)
{
    if (share->modest == producer)
        share->modest = NULL;
}
