/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/watch.h"

#include <errno.h>
#include <string.h>

#include "err.h"
#include "base/log.h"

#define INTERVAL_NS (UINT64_C(2000) * 1000000)

uint64_t watch_due_ns(const struct watch *watch)
{
    return watch->due_ns;
}

/* -- sockets ----------------------------------------------------------------------------------- */

static const char *words_of(spn_err err)
{
    return err == SPN_E_SYSTEM ? strerror(errno) : err_text(err);
}

/* An obstacle in its place is not deleted: the daemon waits until somebody removes it. */
static void say_blocked(const struct endpoint *endpoint, bool is_there, bool *told)
{
    char quoted[2][LOG_QUOTED_MAX];
    const char *why = atomic_load_explicit(&endpoint->obstacle, memory_order_relaxed);
    if (!is_there && why && !*told)
        log_warning("socket_blocked", "name=%s dir=%s reason=%s", endpoint->options.name,
                    log_quote(endpoint->options.dir, quoted[0]), log_quote(why, quoted[1]));
    *told = !is_there && why;
}

static void say_socket(const struct endpoint *endpoint, bool is_there, bool *told)
{
    char quoted[LOG_QUOTED_MAX];
    if (is_there == !*told)
        return;
    *told = !is_there;
    if (is_there)
        log_info("socket_back", "name=%s dir=%s", endpoint->options.name,
                 log_quote(endpoint->options.dir, quoted));
    else
        log_warning("socket_gone",
                    "name=%s dir=%s reason=\"removed or replaced: binding it again\"",
                    endpoint->options.name, log_quote(endpoint->options.dir, quoted));
}

static void look_at_sockets(struct watch *watch)
{
    if (!endpoint_is_there(watch->ingest)) {
        say_socket(watch->ingest, false, &watch->told_socket[0]);
        atomic_store(&watch->ingest->is_wanted, true);
        endpoint_bind_wanted(watch->ingest);
    }
    bool is_there = endpoint_is_there(watch->ingest);
    say_socket(watch->ingest, is_there, &watch->told_socket[0]);
    say_blocked(watch->ingest, is_there, &watch->told_blocked[0]);
    metrics_set(&watch->metrics->ingest_blocked, watch->told_blocked[0]);
    is_there = endpoint_is_there(watch->read);
    say_socket(watch->read, is_there, &watch->told_socket[1]);
    say_blocked(watch->read, is_there, &watch->told_blocked[1]);
    if (is_there)
        return;
    atomic_store(&watch->read->is_wanted, true);
    mailbox_nudge(watch->reader);
}

/* -- locks ------------------------------------------------------------------------------------- */

static spn_err look_at_lock(struct lockfile *lock, bool *told)
{
    bool renewed;
    char quoted[2][LOG_QUOTED_MAX];
    spn_err err = lockfile_look(lock, &renewed);
    if (renewed)
        log_warning("lock_gone",
                    "dir=%s reason=\"removed or replaced: it is created and locked again\"",
                    log_quote(lock->dir, quoted[0]));
    if (err == SPN_E_IN_USE)
        log_error("lock_gone", "dir=%s reason=\"another daemon has taken it\"",
                  log_quote(lock->dir, quoted[0]));
    else if (err != SPN_OK && !*told)
        log_warning("lock_gone", "dir=%s reason=%s", log_quote(lock->dir, quoted[0]),
                    log_quote(words_of(err), quoted[1]));
    *told = err != SPN_OK;
    return err == SPN_E_IN_USE ? err : SPN_OK;
}

static spn_err look_at_locks(struct watch *watch)
{
    for (size_t i = 0; i < WATCH_LOCKS; i++) {
        spn_err err = look_at_lock(watch->locks[i], &watch->told_lock[i]);
        if (err != SPN_OK)
            return err;
    }
    return SPN_OK;
}

static spn_err look_at_database(const struct watch *watch)
{
    char quoted[2][LOG_QUOTED_MAX];
    spn_err err = journal_look(watch->journal);
    if (err != SPN_OK)
        log_error("database_gone", "code=%s dir=%s reason=%s", err_name(err),
                  log_quote(watch->locks[0]->dir, quoted[0]), log_quote(err_text(err), quoted[1]));
    return err;
}

spn_err watch_look(struct watch *watch, uint64_t now_ns)
{
    if (now_ns < watch->due_ns)
        return SPN_OK;
    watch->due_ns = now_ns + INTERVAL_NS;
    spn_err err = look_at_database(watch);
    if (err == SPN_OK)
        err = look_at_locks(watch);
    if (err == SPN_OK)
        look_at_sockets(watch);
    return err;
}
