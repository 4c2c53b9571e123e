/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/report_debug.h"

#include <stdio.h>

#include "err.h"

#define SECOND_NS UINT64_C(1000000000)

static void put_hex(const uint8_t *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

void report_producer(struct report_debug *debug, const char *event,
                     const uint8_t id[RECORD_PRODUCER_ID_SIZE], uint32_t uid, spn_err why,
                     uint64_t now_ns)
{
    char hex[2 * RECORD_PRODUCER_ID_SIZE + 1];
    char code[64] = "";
    char others[32] = "";
    uint64_t left_out;
    if (!log_is_on(LOG_DEBUG) || !log_may(&debug->producers, now_ns, &left_out))
        return;
    put_hex(id, RECORD_PRODUCER_ID_SIZE, hex);
    if (why != SPN_OK)
        (void)snprintf(code, sizeof(code), " code=%s", err_name(why));
    if (left_out > 0)
        (void)snprintf(others, sizeof(others), " left_out=%llu", (unsigned long long)left_out);
    log_debug(event, "producer=%s uid=%ld%s%s", hex, uid == UINT32_MAX ? -1L : (long)uid, code,
              others);
}

static void report_refusals(struct report_debug *debug, const struct metrics *metrics, bool quiet)
{
    const struct {
        const char *reason;
        const atomic_uint_fast64_t *count;
    } rows[REPORT_REFUSALS] = {
        {"contents", &metrics->refused_contents},
        {"closed", &metrics->refused_closed},
        {"unknown_session", &metrics->refused_unknown_session},
        {"other_epoch", &metrics->refused_other_epoch},
        {"condition", &metrics->refused_condition},
        {"dependent", &metrics->refused_dependent},
        {"damaged", &metrics->refused_damaged},
        {"bad_frame", &metrics->bad_frames},
        {"batch_dropped", &metrics->batches_dropped},
    };
    for (size_t i = 0; i < REPORT_REFUSALS; i++) {
        uint64_t count = metrics_get(rows[i].count);
        if (!quiet && count > debug->refused[i])
            log_debug("refused", "reason=%s count=%llu", rows[i].reason,
                      (unsigned long long)(count - debug->refused[i]));
        debug->refused[i] = count;
    }
}

static void report_comings(struct report_debug *debug, const struct connections_news *news,
                           bool quiet)
{
    uint64_t entered = atomic_load_explicit(&news->entered, memory_order_relaxed);
    uint64_t left = atomic_load_explicit(&news->left, memory_order_relaxed);
    if (!quiet && (entered > debug->entered || left > debug->left))
        log_debug("connections", "entered=%llu left=%llu newest_uid=%u",
                  (unsigned long long)(entered - debug->entered),
                  (unsigned long long)(left - debug->left),
                  atomic_load_explicit(&news->entered_uid, memory_order_relaxed));
    debug->entered = entered;
    debug->left = left;
}

void report_counts(struct report_debug *debug, const struct metrics *metrics,
                   const struct connections_news *news, uint64_t now_ns)
{
    bool was_on = debug->counts;
    debug->counts = log_is_on(LOG_DEBUG);
    if (!debug->counts || (was_on && now_ns < debug->next_ns))
        return;
    debug->next_ns = now_ns + SECOND_NS;
    report_refusals(debug, metrics, !was_on);
    report_comings(debug, news, !was_on);
}
