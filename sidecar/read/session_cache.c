/* SPDX-License-Identifier: Apache-2.0 */
#include "read/session_cache.h"

#include <stdlib.h>
#include <string.h>

void session_cache_init(struct session_cache *cache, struct journal_reader *journal)
{
    *cache = (struct session_cache){.journal = journal};
}

void session_cache_release(struct session_cache *cache)
{
    free(cache->places);
    cache->places = NULL;
}

static struct cached_session *place_of(const struct session_cache *cache, uint64_t epoch)
{
    uint64_t hash = epoch * UINT64_C(0x9E3779B97F4A7C15);
    return &cache->places[hash >> 40 & (SESSION_CACHE_PLACES - 1)];
}

static void set_name(struct cached_session *session, struct spn_bytes name)
{
    session->name_size = (uint8_t)name.size;
    if (name.size > 0)
        memcpy(session->name, name.data, name.size);
}

/* The index does not have the session yet: the entry that opened it says who it is. */
static spn_err read_opening(const struct session_cache *cache, struct cached_session *session)
{
    struct record_entry open;
    spn_err err = journal_read_entry(cache->journal, session->epoch, &open);
    if (err == SPN_OK && open.kind == RECORD_OPEN) {
        session->life = open.life;
        set_name(session, open.data);
    } else if (err == SPN_OK || err == SPN_E_CORRUPT) {
        session->given_up = true;
    } else if (err == SPN_E_END) {
        session->gone = true;
    } else {
        return err;
    }
    return SPN_OK;
}

static spn_err read(const struct session_cache *cache, struct cached_session *session)
{
    struct record_row row;
    spn_err err = journal_read_row(cache->journal, session->epoch, &row);
    if (err == SPN_E_END && session->epoch > session->checkpoint)
        return read_opening(cache, session);
    if (err == SPN_E_END || err == SPN_E_CORRUPT) {
        session->gone = err == SPN_E_END;
        session->given_up = !session->gone;
        return SPN_OK;
    }
    if (err != SPN_OK)
        return err;
    session->gone = row.state == RECORD_DELETED;
    session->given_up = row.state == RECORD_DAMAGED;
    session->seq = row.seq;
    session->bytes = row.bytes;
    session->life = row.life;
    set_name(session, row.name);
    return SPN_OK;
}

spn_err session_cache_find(struct session_cache *cache, uint64_t epoch, bool fresh,
                           const struct cached_session **ret_session)
{
    if (!cache->places)
        cache->places = calloc(SESSION_CACHE_PLACES, sizeof(*cache->places));
    if (!cache->places)
        return SPN_E_NOMEM;
    struct cached_session *place = place_of(cache, epoch);
    uint64_t checkpoint = journal_reader_meta(cache->journal)->checkpoint;
    if (place->epoch != epoch || (fresh && place->checkpoint != checkpoint)) {
        struct cached_session found = {.epoch = epoch, .checkpoint = checkpoint};
        spn_err err = read(cache, &found);
        if (err != SPN_OK)
            return err;
        *place = found;
    }
    *ret_session = place;
    return SPN_OK;
}
