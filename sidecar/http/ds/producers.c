/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/producers.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct producer {
    struct spn_bytes id; /* first: what is looked for is one without the rest */
    struct link link;
    struct ds_progress progress;
    char bytes[];
};

static int compare(const void *a, const void *b)
{
    const struct spn_bytes *one = a;
    const struct spn_bytes *other = b;
    return text_compare(*one, *other);
}

void ds_producers_init(struct ds_producers *producers)
{
    *producers = (struct ds_producers){0};
    link_init(&producers->ring);
}

void ds_producers_release(struct ds_producers *producers)
{
    tdestroy(producers->tree, free);
    ds_producers_init(producers);
}

static struct producer *find(const struct ds_producers *producers, const struct spn_bytes *id)
{
    void *const *node = tfind(id, &producers->tree, compare);
    return node != NULL ? *node : NULL;
}

bool ds_producers_find(const struct ds_producers *producers, struct spn_bytes id,
                       struct ds_progress *ret_progress)
{
    const struct producer *producer = find(producers, &id);
    if (producer != NULL)
        *ret_progress = producer->progress;
    return producer != NULL;
}

static void drop_oldest(struct ds_producers *producers)
{
    struct producer *oldest = LINK_OWNER(producers->ring.next, struct producer, link);
    (void)tdelete(oldest, &producers->tree, compare);
    link_leave(&oldest->link);
    producers->count--;
    producers->bytes -= sizeof(*oldest) + oldest->id.size;
    free(oldest);
}

static struct producer *add(struct ds_producers *producers, struct spn_bytes id)
{
    struct producer *producer = calloc(1, sizeof(*producer) + id.size);
    if (producer == NULL)
        return NULL;
    memcpy(producer->bytes, id.data, id.size);
    producer->id = (struct spn_bytes){producer->bytes, id.size};
    link_init(&producer->link);
    if (tsearch(producer, &producers->tree, compare) == NULL) {
        free(producer);
        return NULL;
    }
    if (producers->count == DS_PRODUCERS_MAX)
        drop_oldest(producers);
    producers->count++;
    producers->bytes += sizeof(*producer) + id.size;
    return producer;
}

bool ds_producers_note(struct ds_producers *producers, const struct ds_append *append)
{
    struct producer *producer = find(producers, &append->id);
    if (producer == NULL)
        producer = add(producers, append->id);
    if (producer == NULL)
        return false;
    producer->progress = (struct ds_progress){append->epoch, append->seq};
    link_leave(&producer->link);
    link_join(&producers->ring, &producer->link);
    return true;
}

enum ds_verdict ds_producers_judge(const struct ds_producers *producers,
                                   const struct ds_append *append, struct ds_progress *ret_progress,
                                   uint64_t *ret_expected)
{
    struct ds_progress progress = {0};
    bool is_known = ds_producers_find(producers, append->id, &progress);
    *ret_progress = progress;
    *ret_expected = is_known ? progress.seq + 1 : 0;
    if (is_known && append->epoch < progress.epoch)
        return DS_STALE_EPOCH;
    if (is_known && append->epoch > progress.epoch)
        return append->seq == 0 ? DS_ACCEPTED : DS_BAD_START;
    if (is_known && append->seq <= progress.seq)
        return DS_DUPLICATE;
    return append->seq == *ret_expected ? DS_ACCEPTED : DS_GAP;
}
