/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"

enum { SHOW_MS = 200 };

int crew_start_thread(pthread_t *ret_thread, void *(*run)(void *), void *argument)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return CLI_OK;
    errno = error;
    return cli_fail_errno("thread");
}

void crew_name(struct crew *crew)
{
    uint64_t run = publisher_now_ns() * 31 + (uint64_t)getpid();
    snprintf(crew->load.name, sizeof(crew->load.name), "bench-%012llx-",
             (unsigned long long)(run & UINT64_C(0xffffffffffff)));
}

int crew_open(struct crew *crew, uint64_t events)
{
    struct publisher_load *load = &crew->load;
    crew->gate = (struct gate)GATE_INIT;
    load->gate = &crew->gate;
    crew->publishers = calloc(load->publisher_count, sizeof(*crew->publishers));
    crew->threads = calloc(load->publisher_count, sizeof(*crew->threads));
    if (!crew->publishers || !crew->threads)
        return cli_fail("memory", SPN_E_NOMEM, NULL);
    for (uint64_t i = 0; i < load->publisher_count; i++) {
        struct publisher *publisher = &crew->publishers[i];
        publisher->load = load;
        publisher->index = i;
        publisher->count =
            events / load->publisher_count + (i < events % load->publisher_count ? 1 : 0);
        spn_err err = publisher_open(publisher);
        if (err != SPN_OK)
            return cli_fail("sidecar", err, publisher->detail);
    }
    return CLI_OK;
}

void crew_close(struct crew *crew)
{
    for (uint64_t i = 0; crew->publishers && i < crew->load.publisher_count; i++)
        publisher_close(&crew->publishers[i]);
    free(crew->publishers);
    free(crew->threads);
    crew->publishers = NULL;
    crew->threads = NULL;
}

int crew_warm_up(struct crew *crew)
{
    for (uint64_t i = 0; i < crew->load.publisher_count; i++) {
        struct publisher *publisher = &crew->publishers[i];
        spn_err err = publisher_warm_up(publisher);
        if (err != SPN_OK)
            return cli_fail("warming up", err, publisher->detail);
    }
    return CLI_OK;
}

static uint64_t shown(const struct crew *crew)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < crew->load.publisher_count; i++)
        count += atomic_load_explicit(&crew->publishers[i].shown, memory_order_relaxed);
    return count;
}

/* Waits for the threads. A person at a terminal sees how far they are. */
static void join(struct crew *crew, uint64_t started)
{
    struct progress progress;
    uint64_t total = 0;
    for (uint64_t i = 0; i < crew->load.publisher_count; i++)
        total += crew->publishers[i].count;
    progress_init(&progress, "events", total, false);
    for (uint64_t i = 0; i < started; i++) {
        bool ended = false;
        while (progress.on && !ended) {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += SHOW_MS * 1000000L;
            until.tv_sec += until.tv_nsec / 1000000000L;
            until.tv_nsec %= 1000000000L;
            ended = pthread_timedjoin_np(crew->threads[i], NULL, &until) != ETIMEDOUT;
            progress_set(&progress, shown(crew));
        }
        if (!progress.on)
            pthread_join(crew->threads[i], NULL);
    }
    progress_clear(&progress);
}

int crew_run(struct crew *crew)
{
    uint64_t count = crew->load.publisher_count;
    uint64_t started = 0;
    int exit_code = CLI_OK;
    for (; exit_code == CLI_OK && started < count; started += exit_code == CLI_OK)
        exit_code =
            crew_start_thread(&crew->threads[started], publisher_run, &crew->publishers[started]);
    crew->started_ns = publisher_now_ns();
    gate_move(&crew->gate, exit_code == CLI_OK ? GATE_OPEN : GATE_CANCELLED);
    join(crew, started);
    for (uint64_t i = 0; exit_code == CLI_OK && i < count; i++) {
        const struct publisher *publisher = &crew->publishers[i];
        if (publisher->err != SPN_OK)
            exit_code = cli_fail("publish", publisher->err, publisher->detail);
        if (publisher->err == SPN_E_TIMEOUT)
            cli_tell_trouble(publisher->client);
    }
    return exit_code;
}

void crew_add_up(const struct crew *crew, struct crew_result *result)
{
    uint64_t finished_ns = crew->started_ns + 1;
    *result = (struct crew_result){0};
    for (uint64_t i = 0; i < crew->load.publisher_count; i++) {
        const struct publisher *publisher = &crew->publishers[i];
        if (publisher->finished_ns > finished_ns)
            finished_ns = publisher->finished_ns;
        result->events += publisher->ended;
        result->stored += publisher->counters.stored - publisher->warmed_up;
        result->resent += publisher->counters.resent;
        hist_merge(&result->latency, &publisher->latency);
    }
    result->seconds = (double)(finished_ns - crew->started_ns) / 1e9;
}
