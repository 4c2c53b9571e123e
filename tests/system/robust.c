/* SPDX-License-Identifier: Apache-2.0 */
#include "robust.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "stage.h"

#define NO_COUNTER UINT64_MAX

enum { SMALL_FILE = 1 << 20 };

/* -- load -------------------------------------------------------------------------------------- */

void robust_send_large(struct raw *raw, uint64_t token, uint64_t number, const char *session,
                       size_t size)
{
    struct raw_out out = {NULL, 0, 0};
    char id[32];
    char *data = malloc(size);
    assert_non_null(data);
    memset(data, 'd', size);
    snprintf(id, sizeof(id), "e%llu", (unsigned long long)number);
    raw_put_batch(&out, &(struct raw_batch){token, number, number, 0, 1, RAW_DURABLE});
    raw_put_entry(
        &out, &(struct raw_entry){.session = session, .id = id, .data = data, .data_size = size});
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
    free(data);
}

void robust_put_open(struct raw_out *out, uint64_t request, const char *id16)
{
    raw_put_header(out, RAW_OPEN, request);
    raw_put(out, id16, 16);
    raw_put_number(out, 0, 8); /* no token held before */
    raw_put_number(out, 1, 8);
    raw_put_number(out, 1, 1); /* kept */
    raw_put_zeros(out, 7 + 16 + 8 + 8 + 8);
}

void robust_know_producer(struct raw *raw, const char *id16)
{
    struct raw_out out = {NULL, 0, 0};
    uint64_t token = raw_take_producer(raw, id16).token;
    raw_put_batch(&out, &(struct raw_batch){token, 1, 1, 0, 1, RAW_DURABLE});
    raw_put_entry(&out, &(struct raw_entry){.session = "refused", .id = "\n"});
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
    raw_expect_acks(raw, token, 1);
}

void robust_put_fetch(struct raw_out *out, uint64_t request, const char *session, const char *after)
{
    size_t after_size = after ? strlen(after) : 0;
    raw_put_header(out, RAW_FETCH, request);
    raw_put_fetch(out, after ? 1 : 0, UINT32_MAX, NULL, 0);
    raw_put_short(out, session);
    raw_put_number(out, after_size, 2);
    raw_put(out, after, after_size);
}

/* -- what the daemon says ---------------------------------------------------------------------- */

static struct raw_in ask_plain(struct raw *raw, enum raw_type ask, enum raw_type answer)
{
    struct raw_out nothing = {NULL, 0, 0};
    return raw_ask(raw, &nothing, ask, answer);
}

uint64_t robust_counter(struct raw *raw, const char *name)
{
    uint64_t found = NO_COUNTER;
    struct raw_in in = ask_plain(raw, RAW_STATS, RAW_STATS_ARE);
    for (uint64_t left = raw_get_number(&in, 4); left > 0; left--) {
        uint64_t value = raw_get_number(&in, 8);
        size_t size = (size_t)raw_get_number(&in, 1);
        const char *text = raw_get(&in, size);
        if (size == strlen(name) && memcmp(text, name, size) == 0)
            found = value;
    }
    raw_end(&in);
    raw_drop(&in);
    if (found == NO_COUNTER)
        fail_msg("no counter %s", name);
    return found;
}

struct counter_look {
    struct raw *raw;
    const char *name;
    uint64_t least;
    uint64_t value;
};

static bool look_at_counter(void *argument)
{
    struct counter_look *look = argument;
    look->value = robust_counter(look->raw, look->name);
    return look->value >= look->least;
}

uint64_t robust_wait_counter(struct raw *raw, const char *name, uint64_t least)
{
    struct counter_look look = {.raw = raw, .name = name, .least = least};
    if (!until_true(until_in(STAGE_WAIT_MS), look_at_counter, &look))
        fail_msg("%s is %llu, not %llu", name, (unsigned long long)look.value,
                 (unsigned long long)least);
    return look.value;
}

static bool look_at_gauge(void *argument)
{
    struct counter_look *look = argument;
    look->value = robust_counter(look->raw, look->name);
    return look->value == look->least;
}

void robust_wait_gauge(struct raw *raw, const char *name, uint64_t value)
{
    struct counter_look look = {.raw = raw, .name = name, .least = value};
    if (!until_true(until_in(STAGE_WAIT_MS), look_at_gauge, &look))
        fail_msg("%s is %llu, not %llu", name, (unsigned long long)look.value,
                 (unsigned long long)value);
}

int robust_status(struct raw *raw)
{
    struct raw_in in = ask_plain(raw, RAW_HEALTH, RAW_HEALTH_IS);
    int status = (int)raw_get_number(&in, 1);
    raw_drop(&in);
    return status;
}

struct status_look {
    struct raw *raw;
    int status;
};

static bool look_at_status(void *argument)
{
    const struct status_look *look = argument;
    return robust_status(look->raw) == look->status;
}

void robust_wait_status(struct raw *raw, int status)
{
    struct status_look look = {raw, status};
    if (!until_true(until_in(STAGE_WAIT_MS), look_at_status, &look))
        fail_msg("the daemon's status did not become %d", status);
}

uint64_t robust_durable(struct raw *raw, uint64_t token)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_number(&out, token, 8);
    raw_put_number(&out, 1, 8);
    struct raw_in in = raw_ask(raw, &out, RAW_STATE, RAW_STATE_IS);
    raw_release(&out);
    return raw_get_state(&in).durable;
}

uint64_t robust_last_seq(struct raw *raw, const char *session)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_short(&out, session);
    struct raw_in in = raw_ask(raw, &out, RAW_LAST, RAW_LAST_IS);
    raw_release(&out);
    (void)raw_get(&in, RAW_LIFE_SIZE);
    uint64_t seq = raw_get_number(&in, 8);
    raw_drop(&in);
    return seq;
}

/* -- its disk ---------------------------------------------------------------------------------- */

/* Without the signal, which would kill, a write beyond the limit fails. */
void robust_bear_full_disk(void)
{
    signal(SIGXFSZ, SIG_IGN);
}

void robust_begin_full_disk(void)
{
    struct rlimit limit;
    robust_bear_full_disk();
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return;
    limit.rlim_cur = SMALL_FILE;
    setrlimit(RLIMIT_FSIZE, &limit);
}

void robust_limit_files(const struct process *daemon, rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(prlimit(daemon->pid, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(prlimit(daemon->pid, RLIMIT_FSIZE, &limit, NULL), 0);
}
