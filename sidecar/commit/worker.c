/* SPDX-License-Identifier: Apache-2.0 */
#include "commit/worker.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "commit/worker_base.h"

/* -- the loop ---------------------------------------------------------------------------------- */

static uint64_t interval(uint64_t span_ns)
{
    uint64_t part_ns = span_ns / SPAN_PARTS;
    return part_ns > INTERVAL_MS_MIN * MS ? part_ns : INTERVAL_MS_MIN * MS;
}

static uint64_t walk_interval_ns(const struct worker *worker)
{
    return interval(worker->options.session_ttl_ns);
}

/* Runs some time after a segment was written. Events also expire by age, without a new segment, so
 * a maximum age schedules the next round. */
static void begin_round(struct worker *worker, uint64_t now_ns)
{
    uint64_t age_max_ns = journal_meta(worker->options.journal)->retention.age_max_ns;
    trim_look_at_all(worker->trim);
    if (age_max_ns > 0)
        deadline_heap_insert(&worker->heap, &worker->round, now_ns + interval(age_max_ns));
}

static void run_due(struct worker *worker)
{
    uint64_t now_ns = worker->options.clock->monotonic_ns();
    struct deadline *due;
    while ((due = deadline_heap_pop(&worker->heap, now_ns)) != NULL)
        if (due == &worker->flush)
            worker->flush_due = true;
        else if (due == &worker->gather)
            worker->gathered = true;
        else if (due == &worker->round)
            begin_round(worker, now_ns);
        else if (due == &worker->walk)
            worker->walking = true; /* the other deadlines need no action */
}

/* -- reading beside the commits ---------------------------------------------------------------- */

static void give_idle(struct worker *worker, struct idle_sessions *found)
{
    found->message.kind = MESSAGE_IDLE;
    mailbox_put(worker->options.broker, &found->message);
}

static spn_err walk_rows(struct worker *worker, struct step *step)
{
    struct idle_sessions *found;
    bool over;
    spn_err err = idle_walk(&worker->idle, step, &found, &over);
    if (err != SPN_OK) /* the next walk continues from here */
        return err;
    if (found)
        give_idle(worker, found);
    worker->walking = !over;
    if (over)
        deadline_heap_insert(&worker->heap, &worker->walk,
                             worker->options.clock->monotonic_ns() + walk_interval_ns(worker));
    return SPN_OK;
}

/* A few sessions at a time: the room that they free is known only after the segment with their ends
 * is written. */
static bool wants_early(const struct worker *worker)
{
    return worker->near_quota && (worker->trim_stuck || worker->names_full) &&
           !deadline_is_set(&worker->early_again);
}

static spn_err walk_early(struct worker *worker, struct step *step)
{
    struct idle_sessions *found;
    bool over;
    spn_err err = early_walk(&worker->early, step, &found, &over);
    if (err == SPN_E_NOMEM)
        over = true; /* try again later */
    else if (err != SPN_OK)
        return err;
    else if (found)
        give_idle(worker, found);
    if (over || found)
        deadline_heap_insert(&worker->heap, &worker->early_again,
                             worker->options.clock->monotonic_ns() + EARLY_AGAIN_MS * MS);
    return SPN_OK;
}

static bool has_reading(const struct worker *worker)
{
    return !worker->stopping && !deadline_is_set(&worker->reread) &&
           (worker->walking || wants_early(worker) || trim_need(worker->trim) == TRIM_TO_READ);
}

static void read_on(struct worker *worker)
{
    if (!has_reading(worker))
        return;
    struct step step = worker_step(worker);
    spn_err err = worker->walking       ? walk_rows(worker, &step)
                  : wants_early(worker) ? walk_early(worker, &step)
                                        : trim_read(worker->trim, &step);
    if (err == SPN_E_NOMEM) /* nobody waits for it: retry later, and commits go on */
        deadline_heap_insert(&worker->heap, &worker->reread,
                             worker->options.clock->monotonic_ns() + READ_AGAIN_MS * MS);
    else if (err != SPN_OK)
        worker_fail(worker, err);
}

/* Producers with one batch in flight send their next batch when they get an acknowledgement. If the
 * first of these were committed alone, the others would wait for two commits. */
static bool should_gather(struct worker *worker)
{
    size_t expected =
        worker->expected[0] > worker->expected[1] ? worker->expected[0] : worker->expected[1];
    if (worker->gathered || worker->pending_batches >= expected)
        return false;
    if (!deadline_is_set(&worker->gather)) {
        uint64_t wait_ns = worker->commit_mean_ns < GATHER_MAX_MS * MS ? worker->commit_mean_ns
                                                                       : GATHER_MAX_MS * MS;
        deadline_heap_insert(&worker->heap, &worker->gather,
                             worker->options.clock->monotonic_ns() + wait_ns);
    }
    return true;
}

/* True: commit now. False: there is nothing to commit, or not yet: a deadline says when. */
static bool wants_commit(struct worker *worker)
{
    if (deadline_is_set(&worker->retry))
        return false;
    if (worker->rule_due || worker->segment || (worker->near_quota && !worker->trim_stuck) ||
        trim_need(worker->trim) == TRIM_TO_WRITE)
        return true;
    if (!worker_has_batches(worker))
        return false;
    if (worker->flush_due || worker->pending_bytes >= worker->commit_bytes_max)
        return true;
    if (worker->waited_for || atomic_load_explicit(&worker->state.watched, memory_order_relaxed))
        return !should_gather(worker);
    if (!deadline_is_set(&worker->flush))
        deadline_heap_insert(&worker->heap, &worker->flush,
                             worker->options.clock->monotonic_ns() +
                                 worker->options.flush_interval_ns);
    return false;
}

static void wait_for_work(struct worker *worker)
{
    const struct deadline *next = deadline_heap_first(&worker->heap);
    struct timespec wait = {0};
    if (next) {
        uint64_t now_ns = worker->options.clock->monotonic_ns();
        uint64_t wait_ns = next->due_ns > now_ns ? next->due_ns - now_ns : 0;
        wait.tv_sec = (time_t)(wait_ns / 1000000000u);
        wait.tv_nsec = (long)(wait_ns % 1000000000u);
    }
    struct pollfd queue = {.fd = worker->options.mailbox->event_fd, .events = POLLIN};
    /* A signal or a spurious wake-up only makes the loop turn once more. */
    int ready = ppoll(&queue, 1, next ? &wait : NULL, NULL);
    (void)ready;
}

static bool is_done(const struct worker *worker)
{
    return (worker->stopping && !worker->pending && !worker->segment) ||
           atomic_load_explicit(&worker->state.fatal, memory_order_relaxed) != SPN_OK;
}

static void commit(struct worker *worker)
{
    if (!worker->rule_due) {
        worker_commit(worker);
        return;
    }
    spn_err err = worker_write_rule(worker);
    if (err != SPN_OK)
        worker_fail(worker, err);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    (void)prctl(PR_SET_NAME, "spn-worker");
    pulse_begin(worker->options.pulse, "worker");
    while (!is_done(worker)) {
        pulse_turn(worker->options.pulse);
        worker_take_work(worker);
        spn_err err = worker->settings ? worker_take_settings(worker) : SPN_OK;
        if (err == SPN_OK && !deadline_is_set(&worker->retry))
            err = worker_take_other_work(worker);
        if (err != SPN_OK) {
            worker_fail(worker, err);
            continue; /* the journal may be unusable */
        }
        run_due(worker);
        read_on(worker);
        if (wants_commit(worker))
            commit(worker);
        else if (!is_done(worker) && !has_reading(worker))
            wait_for_work(worker);
    }
    pulse_end(worker->options.pulse);
    if (worker->stop)
        mailbox_put(worker->options.broker, worker->stop);
    return NULL;
}

static void release(struct worker *worker)
{
    free(worker->settings);
    trim_free(worker->trim);
    idle_release(&worker->idle);
    early_release(&worker->early);
    deadline_heap_release(&worker->heap);
}

static spn_err prepare(struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    uint64_t now_ns = options->clock->monotonic_ns();
    worker_follow_quota(worker);
    spn_err err = deadline_heap_init(&worker->heap, DEADLINES_MAX);
    if (err == SPN_OK)
        err = trim_new(&worker->trim, options->journal, options->clock);
    if (err == SPN_OK)
        err = idle_init(&worker->idle, options->journal, options->clock, options->session_ttl_ns);
    if (err == SPN_OK)
        err = early_init(&worker->early, options->journal, options->clock);
    if (err != SPN_OK)
        return err;
    deadline_heap_insert(&worker->heap, &worker->round, now_ns + ROUND_FIRST_MS * MS);
    uint64_t walk_ns = walk_interval_ns(worker);
    if (options->session_ttl_ns > 0)
        deadline_heap_insert(&worker->heap, &worker->walk,
                             now_ns +
                                 (walk_ns < WALK_FIRST_MS * MS ? walk_ns : WALK_FIRST_MS * MS));
    return SPN_OK;
}

spn_err worker_start(struct worker *worker, const struct worker_options *options)
{
    *worker = (struct worker){
        .options = *options,
        .flush = DEADLINE_INIT,
        .retry = DEADLINE_INIT,
        .gather = DEADLINE_INIT,
        .round = DEADLINE_INIT,
        .walk = DEADLINE_INIT,
        .early_again = DEADLINE_INIT,
        .reread = DEADLINE_INIT,
        .random = options->clock->monotonic_ns() | 1,
    };
    worker->pending_end = &worker->pending;
    uint64_t checkpoint = journal_meta(options->journal)->checkpoint;
    atomic_init(&worker->state.durable, options->durable);
    atomic_init(&worker->state.checkpoint, checkpoint);
    atomic_init(&worker->state.watched, false);
    metrics_set(&options->metrics->durable_position, options->durable);
    metrics_set(&options->metrics->checkpoint_position, checkpoint);
    spn_err err = prepare(worker);
    if (err == SPN_OK && pthread_create(&worker->thread, NULL, run, worker) != 0)
        err = SPN_E_SYSTEM;
    if (err != SPN_OK)
        release(worker);
    return err;
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    segment_free(worker->segment);
    release(worker);
}
