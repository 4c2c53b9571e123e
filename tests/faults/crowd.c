/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "crowd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STOP_MS = 120000, WORDS_AT_ONCE = 4096 };

void crowd_open(struct crowd *crowd, struct stage *stage, const struct crowd_plan *plan)
{
    assert_true(plan->members <= CROWD_MAX);
    *crowd = (struct crowd){.stage = stage, .page_path = stage_path(stage, "crowd")};
    int fd = open(crowd->page_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*crowd->page)) != 0)
        fail_msg("%s: %s", crowd->page_path, strerror(errno));
    crowd->page = mmap(NULL, sizeof(*crowd->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (crowd->page == MAP_FAILED)
        fail_msg("mmap: %s", strerror(errno));
    crowd->page->plan = *plan;
    crowd_allow(crowd, UINT64_MAX);
    for (uint32_t i = 0; i < CROWD_MAX; i++)
        crowd->processes[i] = (struct process)PROCESS_INIT;
}

void crowd_close(struct crowd *crowd)
{
    for (uint32_t i = 0; i < CROWD_MAX; i++)
        process_release(&crowd->processes[i]);
    munmap(crowd->page, sizeof(*crowd->page));
}

/* -- members ----------------------------------------------------------------------------------- */

void crowd_start(struct crowd *crowd, uint32_t member)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", member);
    const char *words[] = {CROWD_MEMBER, crowd->page_path, number, NULL};
    struct process_options options = {.argv = words, .error_path = crowd->stage->log_path};
    process_release(&crowd->processes[member]);
    if (process_start(&crowd->processes[member], &options) != SPN_OK)
        fail_msg("cannot start %s: %s", words[0], strerror(errno));
}

void crowd_start_all(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->page->plan.members; i++)
        crowd_start(crowd, i);
}

void crowd_kill(struct crowd *crowd, uint32_t member)
{
    process_kill(&crowd->processes[member]);
}

void crowd_check(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->page->plan.members; i++) {
        struct process *process = &crowd->processes[i];
        if (process->pidfd >= 0 && !process_runs(process))
            fail_msg("member %u ended with code %d", i, process->code);
    }
}

void crowd_stop(struct crowd *crowd)
{
    uint64_t due_ns = until_in(STOP_MS);
    atomic_store(&crowd->page->stopping, 1);
    for (uint32_t i = 0; i < crowd->page->plan.members; i++) {
        int code = process_wait(&crowd->processes[i], due_ns);
        if (code != 0)
            fail_msg("member %u: exit code %d, taken %llu, acknowledged %llu", i, code,
                     (unsigned long long)atomic_load(&crowd->page->members[i].taken),
                     (unsigned long long)atomic_load(&crowd->page->members[i].acked));
    }
}

/* -- how far they are -------------------------------------------------------------------------- */

uint64_t crowd_taken(const struct crowd *crowd)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < crowd->page->plan.members; i++)
        sum += atomic_load(&crowd->page->members[i].taken);
    return sum;
}

uint64_t crowd_acked(const struct crowd *crowd)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < crowd->page->plan.members; i++)
        sum += atomic_load(&crowd->page->members[i].acked);
    return sum;
}

uint64_t crowd_backpressure(const struct crowd *crowd)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < crowd->page->plan.members; i++)
        sum += atomic_load(&crowd->page->members[i].backpressure);
    return sum;
}

struct acked_look {
    struct crowd *crowd;
    uint64_t count;
};

static bool look_acked(void *argument)
{
    const struct acked_look *look = argument;
    crowd_check(look->crowd);
    return crowd_acked(look->crowd) >= look->count;
}

void crowd_wait_acked(struct crowd *crowd, uint64_t count, int ms)
{
    struct acked_look look = {crowd, count};
    if (!until_true(until_in(ms), look_acked, &look))
        fail_msg("%llu acknowledged, not %llu", (unsigned long long)crowd_acked(crowd),
                 (unsigned long long)count);
}

void crowd_allow(struct crowd *crowd, uint64_t number)
{
    for (uint32_t i = 0; i < CROWD_MAX; i++)
        atomic_store(&crowd->page->members[i].allowed, number);
}

/* -- its history ------------------------------------------------------------------------------- */

static void tell_acks(const struct crowd *crowd, struct history *history, uint32_t member)
{
    static uint64_t words[WORDS_AT_ONCE];
    const uint64_t stored = UINT64_C(1) << CROWD_STORED_BIT;
    const char *path = stage_format(crowd->stage, CROWD_LOG_FORMAT, crowd->page_path, member);
    FILE *log = fopen(path, "re");
    if (!log)
        return; /* it was not acknowledged anything yet */
    size_t count;
    while ((count = fread(words, sizeof(words[0]), WORDS_AT_ONCE, log)) > 0)
        for (size_t i = 0; i < count; i++)
            history_acked(history, member, words[i] & ~stored,
                          words[i] & stored ? HISTORY_STORED : HISTORY_NOT_STORED);
    fclose(log);
}

struct history *crowd_history(struct crowd *crowd)
{
    const struct crowd_plan *plan = &crowd->page->plan;
    struct history *history = history_new(plan->members);
    char session[CROWD_NAME_SIZE], id[CROWD_NAME_SIZE];
    for (uint32_t member = 0; member < plan->members; member++) {
        uint64_t taken = atomic_load(&crowd->page->members[member].taken);
        for (uint64_t number = 1; number <= taken; number++) {
            crowd_event(plan, member, number, session, id);
            history_sent(history, member, number, session, id[0] ? id : NULL);
        }
        tell_acks(crowd, history, member);
    }
    return history;
}
