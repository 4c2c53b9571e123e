/* SPDX-License-Identifier: Apache-2.0 */
/* top_take: asks the sidecar for a sample, and finds the rates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"
#include "base/clock.h"
#include "base/text.h"
#include "wire.h"

enum { ROWS_MIN = 256 };

static int64_t now_ms(void)
{
    return (int64_t)(clock_monotonic_ns() / 1000000u);
}

static struct spn_bytes name_in(const struct top_walk *walk, const struct top_session *session)
{
    return (struct spn_bytes){walk->names.data + session->name, session->name_size};
}

struct spn_bytes top_name(const struct top *top, const struct top_session *session)
{
    return name_in(&top->walk, session);
}

/* -- counters ---------------------------------------------------------------------------------- */

/* A counter that went back is one of a sidecar that started anew. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
    uint64_t more = now >= before ? now - before : now;
    return seconds > 0 ? (double)more / seconds : 0;
}

static spn_err take_stats(struct top *top)
{
    static const char *const names[TOP_METRICS] = {
#define TOP_METRIC_NAME(field, name, help) [TOP_##field] = (name),
        METRICS_MAP(TOP_METRIC_NAME)
#undef TOP_METRIC_NAME
    };
    const struct spn_stat *stats;
    size_t count;
    spn_err err = spn_get_stats(top->client, top->timeout_ms, &stats, &count);
    int64_t at_ms = now_ms();
    if (err != SPN_OK)
        return err;
    top->has_rates = top->known;
    top->seconds = (double)(at_ms - top->at_ms) / 1000;
    top->at_ms = at_ms;
    for (size_t i = 0; i < count; i++) {
        size_t metric = 0;
        while (metric < TOP_METRICS && strcmp(names[metric], stats[i].name) != 0)
            metric++;
        if (metric == TOP_METRICS)
            continue;
        top->rates[metric] = rate(stats[i].value, top->values[metric], top->seconds);
        top->values[metric] = stats[i].value;
    }
    top->known = true;
    return SPN_OK;
}

static spn_err take_health(struct top *top)
{
    const struct spn_health *health;
    spn_err err = spn_get_health(top->client, top->timeout_ms, &health);
    if (err != SPN_OK)
        return err;
    top->status = health->status;
    top->pid = health->pid;
    top->uptime_ms = health->uptime_ms;
    snprintf(top->reason, sizeof(top->reason), "%s", health->reason);
    snprintf(top->version, sizeof(top->version), "%s", health->version);
    return SPN_OK;
}

/* -- sessions ---------------------------------------------------------------------------------- */

static void walk_release(struct top_walk *walk)
{
    free(walk->rows);
    out_release(&walk->names);
    *walk = (struct top_walk){0};
}

static spn_err add_session(struct top_walk *walk, const struct spn_session *session)
{
    if (walk->count == walk->capacity) {
        size_t capacity = walk->capacity > 0 ? 2 * walk->capacity : ROWS_MIN;
        struct top_session *more = reallocarray(walk->rows, capacity, sizeof(*more));
        if (!more)
            return SPN_E_NOMEM;
        walk->rows = more;
        walk->capacity = capacity;
    }
    walk->rows[walk->count++] = (struct top_session){
        .name = walk->names.size,
        .name_size = (uint8_t)session->name.size,
        .state = (uint8_t)session->state,
        .epoch = session->epoch,
        .seq = session->seq,
        .events = session->seq - session->markers,
        .bytes = session->bytes,
        .last_ms = session->last_ms,
        .life = session->life,
    };
    walk->live += session->state == SPN_LIVE;
    out_put(&walk->names, session->name.data, session->name.size);
    return walk->names.error ? SPN_E_NOMEM : SPN_OK;
}

/* Both are in the order of names. A session that was not there before, or has another life, has got
 * all its events since. */
static void find_rates(struct top_walk *walk, const struct top_walk *before)
{
    double seconds = (double)(walk->at_ms - before->at_ms) / 1000;
    size_t j = 0;
    for (size_t i = 0; i < walk->count; i++) {
        struct top_session *row = &walk->rows[i];
        struct spn_bytes name = name_in(walk, row);
        while (j < before->count && text_compare(name_in(before, &before->rows[j]), name) < 0)
            j++;
        const struct top_session *old = j < before->count ? &before->rows[j] : NULL;
        bool same =
            old && old->epoch == row->epoch && text_compare(name_in(before, old), name) == 0;
        row->events_rate = rate(row->events, same ? old->events : 0, seconds);
        row->bytes_rate = rate(row->bytes, same ? old->bytes : 0, seconds);
    }
}

static spn_err walk_sessions(struct top *top, struct top_walk *walk)
{
    const struct spn_session *session;
    char after[WIRE_SESSION_MAX] = "";
    size_t after_size = 0;
    spn_err err = SPN_OK;
    while (err == SPN_OK && walk->count < TOP_SESSIONS_MAX) {
        err = spn_next_session(top->client, (struct spn_bytes){after, after_size}, top->prefix,
                               top->timeout_ms, &session);
        if (err != SPN_OK)
            break;
        after_size = session->name.size;
        memcpy(after, session->name.data, after_size);
        err = add_session(walk, session);
    }
    walk->more = err == SPN_OK;
    return err == SPN_E_END ? SPN_OK : err;
}

static spn_err take_sessions(struct top *top)
{
    struct top_walk walk = {.at_ms = now_ms()};
    out_init(&walk.names, -1);
    spn_err err = walk_sessions(top, &walk);
    if (err != SPN_OK) {
        walk_release(&walk);
        return err;
    }
    if (top->has_rates)
        find_rates(&walk, &top->walk);
    walk_release(&top->walk);
    top->walk = walk;
    return SPN_OK;
}

/* -- all of it --------------------------------------------------------------------------------- */

void top_init(struct top *top, spn_client *client, int timeout_ms, struct spn_bytes prefix)
{
    *top = (struct top){.client = client, .timeout_ms = timeout_ms, .prefix = prefix};
    for (size_t i = 0; i < TOP_EVENTS_MAX; i++)
        out_init(&top->lines[i], -1);
}

void top_release(struct top *top)
{
    spn_unsubscribe(top->events);
    walk_release(&top->walk);
    connected_release(&top->clients);
    for (size_t i = 0; i < TOP_EVENTS_MAX; i++)
        out_release(&top->lines[i]);
}

spn_err top_take(struct top *top)
{
    top->err = take_stats(top);
    if (top->err == SPN_OK)
        top->err = take_health(top);
    if (top->err == SPN_OK)
        top->err = take_sessions(top);
    if (top->err == SPN_OK)
        top->err = connected_ask(&top->clients, top->client, top->timeout_ms);
    if (top->err == SPN_OK)
        return SPN_OK;
    top->has_rates = false; /* what was known is shown on, but nothing happens now */
    snprintf(top->why, sizeof(top->why), "%s", spn_client_detail(top->client));
    return top->err;
}
