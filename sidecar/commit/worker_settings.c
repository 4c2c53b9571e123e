/* SPDX-License-Identifier: Apache-2.0 */
/* worker_settings: the worker's options, changed while it runs. */
#include <stdlib.h>
#include <string.h>

#include "commit/worker_base.h"

void worker_follow_quota(struct worker *worker)
{
    worker->commit_bytes_max = WORKER_COMMIT_BYTES_MAX;
    if (worker->commit_bytes_max > worker->options.quota_bytes / 16)
        worker->commit_bytes_max = worker->options.quota_bytes / 16;
    worker_note_usage(worker);
    worker->names_full = worker_is_names_full(worker);
}

static void insert_again(struct worker *worker, struct deadline *deadline, uint64_t wait_ns)
{
    deadline_heap_remove(&worker->heap, deadline);
    deadline_heap_insert(&worker->heap, deadline, worker->options.clock->monotonic_ns() + wait_ns);
}

/* While sessions did not expire, touches were not noted: those of the next time to live are waited
 * for. */
static void set_ttl(struct worker *worker, uint64_t ttl_ns)
{
    bool was_off = worker->options.session_ttl_ns == 0;
    if (ttl_ns == worker->options.session_ttl_ns)
        return;
    worker->options.session_ttl_ns = ttl_ns;
    worker->idle.ttl_ns = ttl_ns;
    worker->walking = worker->walking && ttl_ns > 0;
    if (ttl_ns > 0 && !worker->walking)
        insert_again(worker, &worker->walk, was_off ? ttl_ns : WALK_FIRST_MS * MS);
    else
        deadline_heap_remove(&worker->heap, &worker->walk);
}

/* A commit that failed for want of room may have it now. */
static spn_err set_quota(struct worker *worker, const struct settings *settings)
{
    if (settings->quota_bytes == worker->options.quota_bytes)
        return SPN_OK;
    worker->options.quota_bytes = settings->quota_bytes;
    const struct journal_options sizes = {
        .size_max = settings->map_bytes,
        .reserve = settings->map_bytes - settings->quota_bytes,
        .headroom_max = settings->quota_bytes,
    };
    spn_err err = journal_resize(worker->options.journal, &sizes);
    if (err != SPN_OK)
        return err;
    worker_follow_quota(worker);
    worker->trim_stuck = false;
    if (worker_trouble(worker) == SPN_E_QUOTA_FULL)
        worker_end_trouble(worker);
    deadline_heap_remove(&worker->heap, &worker->early_again);
    deadline_heap_remove(&worker->heap, &worker->retry);
    return SPN_OK;
}

spn_err worker_take_settings(struct worker *worker)
{
    struct settings *settings = worker->settings;
    const struct retention *rule = &journal_meta(worker->options.journal)->retention;
    spn_err err = set_quota(worker, settings);
    set_ttl(worker, settings->session_ttl_ns);
    worker->options.flush_interval_ns = settings->flush_interval_ns;
    worker->rule = settings->retention;
    worker->rule_due = memcmp(rule, &worker->rule, sizeof(*rule)) != 0;
    worker->settings = NULL;
    free(settings);
    return err;
}

spn_err worker_write_rule(struct worker *worker)
{
    struct journal *journal = worker->options.journal;
    struct record_meta meta = *journal_meta(journal);
    record_set_rule(&meta, &worker->rule);
    spn_err err = journal_begin(journal);
    if (err == SPN_OK)
        err = journal_put_meta(journal, &meta);
    if (err == SPN_OK)
        err = journal_commit(journal);
    journal_abort(journal);
    if (err != SPN_OK)
        return err;
    worker->rule_due = false;
    worker->attempts = 0;
    worker_end_trouble(worker);
    insert_again(worker, &worker->round, 0);
    return SPN_OK;
}
