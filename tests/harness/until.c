/* SPDX-License-Identifier: Apache-2.0 */
#include "until.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_US_MIN = 3000, /* between two looks */
    LOOK_US_MAX = 100000,
    LOOKS = 32,          /* in the time that has passed: so long is the next pause */
    LEFT_MAX_MS = 60000, /* callers ask again */
    SANITIZED_PATIENCE = 8,
    SANITIZED_WORK = 10,
    BUSY_MAX = 8,
    BUSY_LOOK_NS = 1000000000,
};

uint64_t until_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool until_sanitized(void)
{
    return HARNESS_SANITIZED != 0;
}

size_t until_scaled(size_t amount)
{
    return until_sanitized() ? (amount + SANITIZED_WORK - 1) / SANITIZED_WORK : amount;
}

/* 1 on a quiet machine, and one more for each process that waits on each processor. */
static unsigned busyness(void)
{
    static atomic_uint_fast64_t looked_ns;
    static atomic_uint times = 1;
    uint64_t now_ns = until_now_ns();
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    double load;
    if (now_ns - atomic_load(&looked_ns) >= BUSY_LOOK_NS && processors > 0 &&
        getloadavg(&load, 1) == 1) {
        double found = 1 + load / (double)processors;
        atomic_store(&times, found < BUSY_MAX ? (unsigned)found : BUSY_MAX);
        atomic_store(&looked_ns, now_ns);
    }
    return atomic_load(&times);
}

int until_patient_ms(int ms)
{
    return ms * (int)busyness() * (until_sanitized() ? SANITIZED_PATIENCE : 1);
}

uint64_t until_in(int ms)
{
    uint64_t now_ns = until_now_ns();
    return ms > 0 ? now_ns + (uint64_t)until_patient_ms(ms) * 1000000u : now_ns;
}

bool until_over(uint64_t due_ns)
{
    return until_now_ns() >= due_ns;
}

int until_left_ms(uint64_t due_ns)
{
    uint64_t now_ns = until_now_ns();
    if (now_ns >= due_ns)
        return 0;
    uint64_t left_ms = (due_ns - now_ns + 999999u) / 1000000u;
    return left_ms < LEFT_MAX_MS ? (int)left_ms : LEFT_MAX_MS;
}

bool until_readable(uint64_t due_ns, int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    for (;;) {
        int ready = poll(&item, 1, until_left_ms(due_ns));
        if (ready > 0)
            return true;
        if (ready == 0 && until_over(due_ns))
            return false;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

void until_passed_us(unsigned us)
{
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    (void)ppoll(NULL, 0, &left, NULL); /* a signal only makes it shorter */
}

/* A look may be a program that is started: while a wait is long, looks are rare. */
static unsigned look_pause_us(uint64_t since_ns)
{
    uint64_t part_us = (until_now_ns() - since_ns) / 1000 / LOOKS;
    if (part_us < LOOK_US_MIN)
        return LOOK_US_MIN;
    return part_us < LOOK_US_MAX ? (unsigned)part_us : LOOK_US_MAX;
}

bool until_true(uint64_t due_ns, bool (*look)(void *argument), void *argument)
{
    uint64_t since_ns = until_now_ns();
    for (;;) {
        if (look(argument))
            return true;
        if (until_over(due_ns))
            return false;
        until_passed_us(look_pause_us(since_ns));
    }
}
