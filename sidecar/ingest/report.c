/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/report.h"

#include "err.h"
#include "base/log.h"
#include "base/metrics.h"

#define MS 1000000ull

enum { CALM_MS = 1000, AGAIN_MS = 60000, CONNECTIONS_EVERY_MS = 5000, DAMAGE_EVERY_MS = 10000 };

static void say_degraded(spn_err trouble, uint64_t events_waiting)
{
    char quoted[LOG_QUOTED_MAX];
    log_warning("degraded", "code=%s reason=%s events_waiting=%llu", err_name(trouble),
                log_quote(err_text(trouble), quoted), (unsigned long long)events_waiting);
}

void report_trouble(struct report *report, const struct commit_state *commits,
                    uint64_t events_waiting, uint64_t now_ns)
{
    spn_err trouble = (spn_err)atomic_load_explicit(&commits->trouble, memory_order_relaxed);
    if (trouble != SPN_OK) {
        if (trouble != report->told)
            say_degraded(trouble, events_waiting);
        report->told = trouble;
        report->healthy_ns = 0;
    } else if (report->told != SPN_OK && report->healthy_ns == 0) {
        report->healthy_ns = now_ns + CALM_MS * MS;
    } else if (report->told != SPN_OK && now_ns >= report->healthy_ns) {
        log_info("healthy", "was=%s events_waiting=%llu", err_name(report->told),
                 (unsigned long long)events_waiting);
        report->told = SPN_OK;
        report->healthy_ns = 0;
    }
}

static bool may_say(uint64_t *next_ns, uint64_t now_ns)
{
    if (now_ns < *next_ns)
        return false;
    *next_ns = now_ns + AGAIN_MS * MS;
    return true;
}

void report_limit(struct report *report, const struct report_limit *limit)
{
    if (may_say(&report->limit_ns, limit->now_ns))
        log_warning("limit", "option=%s max=%llu uid=%u held=%u refused=%llu", limit->option,
                    (unsigned long long)limit->max, limit->uid, limit->held,
                    (unsigned long long)limit->refused);
}

void report_ahead(struct report *report, uint64_t seen, uint64_t durable, bool other,
                  uint64_t now_ns)
{
    if (may_say(&report->ahead_ns, now_ns))
        log_warning(
            other ? "other_database" : "older_database", "seen=%llu durable=%llu what=%s",
            (unsigned long long)seen, (unsigned long long)durable,
            "\"a producer has acknowledgements of durable events that are not in the database: "
            "they are reported to its app as lost\"");
}

void report_damage(struct report *report, uint64_t reads, uint64_t now_ns)
{
    if (reads == report->damaged ||
        (report->damaged > 0 && now_ns - report->damaged_ns < DAMAGE_EVERY_MS * MS))
        return;
    log_error("damaged",
              "code=SPN_E_CORRUPT reads=%llu reason=\"a part of the database is damaged: requests "
              "that need it get this code, others are served; sponson dump counts it\"",
              (unsigned long long)reads);
    report->damaged = reads;
    report->damaged_ns = now_ns;
}

uint64_t report_due_ns(const struct report *report)
{
    return report->healthy_ns > 0 ? report->healthy_ns : UINT64_MAX;
}

void report_hangup(struct notify *notify)
{
    notify_reloading(notify);
    notify_ready(notify);
    log_info("hangup", "what=%s", "\"SIGHUP is ignored: nothing is reloaded while it stops\"");
}

static unsigned get(const atomic_uint *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

void report_connections(struct report *report, const struct connections_news *news, uint64_t now_ns)
{
    char quoted[LOG_QUOTED_MAX];
    uint64_t refused = metrics_get(news->refused_count);
    uint64_t cut = metrics_get(news->cut_count);
    uint64_t stalled = metrics_get(news->stalled_count);
    if (now_ns < report->connections_ns ||
        (refused == report->refused && cut == report->cut && stalled == report->stalled))
        return;
    if (refused > report->refused)
        log_warning("connections_refused", "count=%llu newest_uid=%u reason=%s",
                    (unsigned long long)(refused - report->refused), get(&news->refused_uid),
                    log_quote(connections_door_words(get(&news->door)), quoted));
    if (cut > report->cut)
        log_warning("connections_cut", "count=%llu newest_uid=%u reason=%s",
                    (unsigned long long)(cut - report->cut), get(&news->cut_uid),
                    log_quote(zmtp_words(get(&news->verdict)), quoted));
    if (stalled > report->stalled)
        log_warning("connections_stalled", "count=%llu newest_uid=%u reason=%s",
                    (unsigned long long)(stalled - report->stalled), get(&news->stalled_uid),
                    "\"closed: the clients read none of their waiting answers\"");
    report->refused = refused;
    report->cut = cut;
    report->stalled = stalled;
    report->connections_ns = now_ns + CONNECTIONS_EVERY_MS * MS;
}

void report_stopping(struct notify *notify, uint64_t timeout_ns, uint64_t events_waiting)
{
    notify_stopping(notify);
    log_info("stopping", "timeout_ms=%llu events_waiting=%llu",
             (unsigned long long)(timeout_ns / MS), (unsigned long long)events_waiting);
}

/* Within the time that the manager bears, so that it ends the daemon after at most twice that. */
static const struct pulse *find_stuck(const struct report_service *service)
{
    for (size_t i = 0; i < service->pulse_count; i++)
        if (pulse_is_stuck(&service->pulses[i], service->notify->watchdog_ns))
            return &service->pulses[i];
    return NULL;
}

static void feed(struct report *report, const struct report_service *service, uint64_t now_ns)
{
    if (now_ns < notify_due_ns(service->notify))
        return;
    const struct pulse *stuck = find_stuck(service);
    if (!stuck) {
        report->stuck = false;
        notify_turn(service->notify, now_ns);
        return;
    }
    notify_starve(service->notify, now_ns);
    if (!report->stuck)
        log_error("stuck",
                  "thread=%s reason=\"it computes without an end: the watchdog is not fed "
                  "meanwhile\"",
                  stuck->name);
    report->stuck = true;
}

void report_service(struct report *report, const struct report_service *service, uint64_t now_ns)
{
    const struct metrics *metrics = service->metrics;
    bool troubled = report->told != SPN_OK;
    feed(report, service, now_ns);
    notify_status(service->notify, now_ns,
                  "sessions: %llu, events on disk since the start: %llu%s%s",
                  (unsigned long long)metrics_get(&metrics->sessions_known),
                  (unsigned long long)metrics_get(&metrics->events_durable), troubled ? "; " : "",
                  troubled ? err_text(report->told) : "");
}
