/* SPDX-License-Identifier: Apache-2.0 */
#include "http/metrics.h"

#include <stdio.h>

#include "base/metrics_text.h"
#include "http/asking.h"
#include "http/stream.h"

#define WAIT_NS UINT64_C(2000000000) /* for the daemon's counters; a scrape has some seconds */

enum { STATUS_SIZE = 4 };

/* The values of a family with a label, in the order of its labels. */
static void put_labelled(struct out *out, const char *name, const char *help, const char *label,
                         const char *const *labels, const uint64_t *values, size_t count)
{
    metrics_text_family(out, name, help);
    for (size_t i = 0; i < count; i++)
        metrics_text_value(out, name, label, labels[i], values[i]);
}

static void put_connections(struct out *out, const struct web_counts *counts)
{
    metrics_text_one(out, "sponson_http_connections", "Connections that are open.", counts->open);
    metrics_text_one(out, "sponson_http_connections_total", "Connections that were accepted.",
                     counts->accepted);
    metrics_text_one(out, "sponson_http_connection_timeouts_total",
                     "Connections that ended because a head or a body took too long.",
                     counts->timeouts);
    metrics_text_one(out, "sponson_http_heads_refused_total", "Heads that are not valid.",
                     counts->refused);
}

/* Only statuses that there were. Those of a family that has none yet: one with 0. */
static void put_posts(struct out *out, const struct web_counts *counts)
{
    static const char name[] = "sponson_http_posts_total";
    metrics_text_family(out, name, "POSTs by the status of their answers; none: the client left.");
    metrics_text_value(out, name, "status", "none", counts->posts[0]);
    for (unsigned status = 1; status < WEB_STATUS_MAX; status++) {
        char text[STATUS_SIZE];
        (void)snprintf(text, sizeof(text), "%03u", status);
        if (counts->posts[status] > 0)
            metrics_text_value(out, name, "status", text, counts->posts[status]);
    }
}

static void put_streams(struct out *out, const struct gateway *gateway)
{
#define LABEL(name, label) label,
    static const char *const ends[] = {COUNTS_END_MAP(LABEL)};
    static const char *const resumes[] = {COUNTS_RESUME_MAP(LABEL)};
#undef LABEL
    static const char *const phases[] = {
        [STREAM_WAITING] = "waiting", [STREAM_BEHIND] = "behind", [STREAM_LIVE] = "live"};
    const struct gateway_counts *counts = &gateway->counts;
    uint64_t by_phase[STREAM_ENDING];
    stream_phases(gateway, by_phase);
    put_labelled(out, "sponson_http_streams",
                 "Streams: waiting for the session or the daemon; behind, with events to catch up "
                 "with; live.",
                 "phase", phases, by_phase, STREAM_ENDING);
    metrics_text_one(out, "sponson_http_long_polls", "Long polls of Durable Streams that wait.",
                     counts->polls);
    metrics_text_one(out, "sponson_http_streams_opened_total", "Streams that were opened.",
                     counts->streams_opened);
    put_labelled(out, "sponson_http_streams_ended_total",
                 "Streams that ended, by reason; peer: the client left; slow: it was cut because "
                 "it did not read.",
                 "reason", ends, counts->streams_ended, END_COUNT);
    put_labelled(out, "sponson_http_resumes_total",
                 "Requests for a stream after an event or a place, by what became of them.",
                 "result", resumes, counts->resumes, RESUME_COUNT);
    metrics_text_one(out, "sponson_http_gaps_total", "Gaps that streams had.", counts->gaps);
    metrics_text_one(out, "sponson_http_resets_total",
                     "Streams that began again instead of being resumed.", counts->resets);
    metrics_text_one(out, "sponson_http_events_written_total", "Events written to streams.",
                     counts->events_written);
    metrics_text_one(out, "sponson_http_bytes_written_total", "Bytes written to streams.",
                     counts->bytes_written);
    histogram_put(out, "sponson_http_delivery_seconds",
                  "How long after the daemon took an event it was written to a live stream; its "
                  "commit is in that.",
                  &counts->delay);
}

static void put_memory(struct out *out, const struct gateway *gateway)
{
#define LABEL(name, label, part) label,
    static const char *const uses[] = {MEMORY_MAP(LABEL)};
#undef LABEL
    uint64_t used[MEMORY_USES];
    uint64_t full[MEMORY_USES];
    for (size_t i = 0; i < MEMORY_USES; i++) {
        used[i] = gateway->memory[i].used;
        full[i] = gateway->memory[i].full;
    }
    put_labelled(out, "sponson_http_memory_bytes",
                 "Bytes that requests hold; what is small is not counted.", "use", uses, used,
                 MEMORY_USES);
    put_labelled(
        out, "sponson_http_memory_full_total",
        "Times that there was no memory: bodies and answers that were refused, streams that "
        "had to wait.",
        "use", uses, full, MEMORY_USES);
}

static void put_own(struct out *out, const struct gateway *gateway)
{
#define LABEL(name, label) label,
    static const char *const denials[] = {COUNTS_DENIAL_MAP(LABEL)};
#undef LABEL
    const struct gateway_counts *counts = &gateway->counts;
    put_connections(out, web_counts(gateway->web));
    put_streams(out, gateway);
    put_posts(out, web_counts(gateway->web));
    put_memory(out, gateway);
    metrics_text_one(out, "sponson_http_events_published_total", "Events stored for POSTs.",
                     counts->published);
    put_labelled(out, "sponson_http_denials_total", "Requests that were not let in, by reason.",
                 "reason", denials, counts->denials, DENIAL_COUNT);
}

static void answer_with(struct gateway *gateway, struct exchange *exchange,
                        const struct spn_stat *stats, size_t count)
{
    struct out out;
    struct metrics_text_daemon daemon;
    out_init(&out, -1);
    put_own(&out, gateway);
    metrics_text_daemon_begin(&daemon, &out, stats != NULL);
    for (size_t i = 0; stats != NULL && i < count; i++)
        metrics_text_daemon_put(&daemon, stats[i].name, stats[i].value);
    exchange_add(exchange, "Content-Type", METRICS_TEXT_TYPE);
    exchange_add(exchange, "Cache-Control", "no-store");
    exchange_add(exchange, "X-Content-Type-Options", "nosniff");
    exchange_answer(exchange, 200, out.data, out.size);
    out_release(&out);
}

static spn_err answer(struct asking *asking)
{
    const struct spn_stat *stats;
    size_t count;
    spn_err err = spn_answer_stats(asking->question, &stats, &count);
    if (err == SPN_OK)
        answer_with(asking->gateway, asking->exchange, stats, count);
    return err;
}

static void give_up(struct asking *asking, spn_err err)
{
    (void)err;
    answer_with(asking->gateway, asking->exchange, NULL, 0);
}

void metrics_begin(struct gateway *gateway, struct exchange *exchange)
{
    if (!gateway_hears_daemon(gateway)) {
        answer_with(gateway, exchange, NULL, 0);
        return;
    }
    struct asking *asking = asking_begin(gateway, exchange, answer);
    if (asking == NULL)
        return;
    asking->give_up = give_up;
    asking_asked(asking, spn_ask_stats(&asking->question, gateway->client));
    if (!exchange_is_answered(exchange))
        gateway_wait(gateway, &asking->waiter, WAIT_NS);
}
