/* SPDX-License-Identifier: Apache-2.0 */
#include "pending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 64 };

struct pending_entry {
    struct wire_entry entry; /* its bytes lie in `bytes`, one after the other */
    struct pending_entry *next;
    struct pending_entry *before;
    struct pending_entry *chain; /* next in its bucket */
    uint64_t hash;
    uint8_t *bytes;
    size_t capacity;
};

void pending_init(struct pending *pending, size_t count_max, size_t bytes_max, uint64_t seed)
{
    *pending = (struct pending){.count_max = count_max, .bytes_max = bytes_max, .seed = seed};
}

static void free_entry(struct pending_entry *held)
{
    free(held->bytes);
    free(held);
}

void pending_release(struct pending *pending)
{
    while (pending->first != NULL) {
        struct pending_entry *next = pending->first->next;
        free_entry(pending->first);
        pending->first = next;
    }
    free(pending->buckets);
    *pending = (struct pending){0};
}

/* -- by session -------------------------------------------------------------------------------- */

/* FNV-1a. The seed is unknown to those who choose the session names. */
static uint64_t hash_of(const struct pending *pending, struct spn_bytes session)
{
    const uint8_t *bytes = session.data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ pending->seed;
    for (size_t i = 0; i < session.size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static struct pending_entry **bucket_of(const struct pending *pending, uint64_t hash)
{
    return &pending->buckets[hash & (pending->bucket_count - 1)];
}

static void link_entry(struct pending *pending, struct pending_entry *held)
{
    struct pending_entry **bucket = bucket_of(pending, held->hash);
    held->chain = *bucket;
    *bucket = held;
}

static void unlink_entry(struct pending *pending, const struct pending_entry *held)
{
    struct pending_entry **at = bucket_of(pending, held->hash);
    while (*at != held)
        at = &(*at)->chain;
    *at = held->chain;
}

/* Links from the oldest to the newest, so that the newest is first in its bucket again. */
static spn_err grow(struct pending *pending)
{
    size_t count = pending->bucket_count > 0 ? pending->bucket_count * 2 : BUCKETS_MIN;
    struct pending_entry **buckets = calloc(count, sizeof(struct pending_entry *));
    if (buckets == NULL)
        return SPN_E_NOMEM;
    free(pending->buckets);
    pending->buckets = buckets;
    pending->bucket_count = count;
    for (struct pending_entry *held = pending->first; held != NULL; held = held->next)
        link_entry(pending, held);
    return SPN_OK;
}

/* The first entry of the session from held on in its bucket; NULL: there is none. */
static struct pending_entry *find(struct pending_entry *held, uint64_t hash,
                                  struct spn_bytes session)
{
    for (; held != NULL; held = held->chain)
        if (held->hash == hash && held->entry.session.size == session.size &&
            memcmp(held->entry.session.data, session.data, session.size) == 0)
            break;
    return held;
}

static struct pending_entry *newest_of(const struct pending *pending, uint64_t hash,
                                       struct spn_bytes session)
{
    return pending->bucket_count > 0 ? find(*bucket_of(pending, hash), hash, session) : NULL;
}

/* -- entries ----------------------------------------------------------------------------------- */

static struct spn_bytes copy(uint8_t **at, struct spn_bytes from)
{
    const struct spn_bytes to = {*at, from.size};
    if (from.size > 0)
        memcpy(*at, from.data, from.size);
    *at += from.size;
    return to;
}

static spn_err fill(struct pending_entry *held, const struct wire_entry *entry)
{
    size_t size = entry->session.size + entry->id.size + entry->type.size + entry->data.size +
                  entry->reason.size + entry->note.size;
    if (held->bytes == NULL || size > held->capacity) {
        uint8_t *bytes = malloc(size);
        if (bytes == NULL)
            return SPN_E_NOMEM;
        free(held->bytes);
        held->bytes = bytes;
        held->capacity = size;
    }
    uint8_t *at = held->bytes;
    held->entry = *entry;
    held->entry.session = copy(&at, entry->session);
    held->entry.id = copy(&at, entry->id);
    held->entry.type = copy(&at, entry->type);
    held->entry.data = copy(&at, entry->data);
    held->entry.reason = copy(&at, entry->reason);
    held->entry.note = copy(&at, entry->note);
    return SPN_OK;
}

static bool has_room(const struct pending *pending, size_t bytes, size_t count)
{
    return count <= pending->count_max && (bytes <= pending->bytes_max || count == 1);
}

static spn_err replace(struct pending *pending, struct pending_entry *held,
                       const struct wire_entry *entry)
{
    size_t bytes = pending->bytes - wire_entry_size(&held->entry) + wire_entry_size(entry);
    if (!has_room(pending, bytes, pending->count))
        return SPN_E_TOO_MANY;
    spn_err err = fill(held, entry);
    if (err == SPN_OK)
        pending->bytes = bytes;
    return err;
}

static spn_err append(struct pending *pending, const struct wire_entry *entry, uint64_t hash)
{
    size_t bytes = pending->bytes + wire_entry_size(entry);
    if (!has_room(pending, bytes, pending->count + 1))
        return SPN_E_TOO_MANY;
    if (pending->count >= pending->bucket_count && grow(pending) != SPN_OK)
        return SPN_E_NOMEM;
    struct pending_entry *held = calloc(1, sizeof(*held));
    if (held == NULL)
        return SPN_E_NOMEM;
    held->hash = hash;
    if (fill(held, entry) != SPN_OK) {
        free_entry(held);
        return SPN_E_NOMEM;
    }
    link_entry(pending, held);
    *(pending->first != NULL ? &pending->last->next : &pending->first) = held;
    held->before = pending->count > 0 ? pending->last : NULL;
    pending->last = held;
    pending->count++;
    pending->bytes = bytes;
    return SPN_OK;
}

static void drop(struct pending *pending, struct pending_entry *held)
{
    unlink_entry(pending, held);
    *(held->before != NULL ? &held->before->next : &pending->first) = held->next;
    *(held->next != NULL ? &held->next->before : &pending->last) = held->before;
    pending->count--;
    pending->bytes -= wire_entry_size(&held->entry);
    free_entry(held);
}

/* Whoever has a condition, or closes, waits for its result. */
static bool is_decisive(const struct wire_entry *entry)
{
    return (entry->flags & (WIRE_FLAGS_CONDITIONS | WIRE_FLAG_CLOSES)) != 0;
}

static bool is_marker(const struct pending_entry *held)
{
    return held != NULL && !is_decisive(&held->entry) &&
           (held->entry.kind == WIRE_MARKER || held->entry.kind == WIRE_RESET);
}

static bool is_event(const struct pending_entry *held)
{
    return held != NULL && !is_decisive(&held->entry) && held->entry.kind == WIRE_EVENT;
}

/* newest: the newest entry of the session; NULL: it has none. */
static spn_err put_event(struct pending *pending, const struct wire_entry *entry, uint64_t hash,
                         struct pending_entry *newest, unsigned *ret_replaced)
{
    struct pending_entry *marker = is_marker(newest) ? newest : NULL;
    struct pending_entry *event = marker ? find(marker->chain, hash, entry->session) : newest;
    struct pending_entry *place = is_event(event) ? event : marker;
    spn_err err = place ? replace(pending, place, entry) : append(pending, entry, hash);
    if (err != SPN_OK)
        return err;
    *ret_replaced = place != NULL;
    if (marker && place != marker) {
        drop(pending, marker);
        ++*ret_replaced;
    }
    return SPN_OK;
}

static spn_err put_marker(struct pending *pending, const struct wire_entry *entry, uint64_t hash,
                          struct pending_entry *newest, unsigned *ret_replaced)
{
    spn_err err = SPN_OK;
    bool replaces = is_marker(newest);
    if (replaces && entry->kind == WIRE_MARKER && entry->id.size == 0)
        newest->entry.retry_ms = entry->retry_ms; /* the pending marker keeps its id */
    else
        err = replaces ? replace(pending, newest, entry) : append(pending, entry, hash);
    if (err == SPN_OK)
        *ret_replaced = replaces;
    return err;
}

spn_err pending_put(struct pending *pending, const struct wire_entry *entry, unsigned *ret_replaced)
{
    uint64_t hash = hash_of(pending, entry->session);
    struct pending_entry *newest = newest_of(pending, hash, entry->session);
    bool decisive = is_decisive(entry);
    if (entry->kind == WIRE_TOUCH && !decisive && newest != NULL &&
        newest->entry.kind == WIRE_TOUCH && !is_decisive(&newest->entry)) {
        *ret_replaced = 1; /* the one that waits does the same */
        return SPN_OK;
    }
    if (entry->kind == WIRE_EVENT && !decisive)
        return put_event(pending, entry, hash, newest, ret_replaced);
    if ((entry->kind == WIRE_MARKER || entry->kind == WIRE_RESET) && !decisive)
        return put_marker(pending, entry, hash, newest, ret_replaced);
    spn_err err = append(pending, entry, hash);
    if (err == SPN_OK)
        *ret_replaced = 0;
    return err;
}

struct wire_entry *pending_first(const struct pending *pending)
{
    return pending->first != NULL ? &pending->first->entry : NULL;
}

void pending_drop_first(struct pending *pending)
{
    assert(pending->first != NULL);
    drop(pending, pending->first);
}
