/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: the daemon's counters, with Prometheus names.
 *
 * Each counter has one writing thread; any thread may read it. So an addition is a plain load and
 * store. Other threads may see it late, never torn.
 *
 * Owns     nothing: one struct, made by main, lent to every thread.
 */
#ifndef SPN_METRICS_H
#define SPN_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/version.h"

/* X(field, name, help). A name with labels is one of a family, whose rows stand together; they have
 * the same help. */
#define METRICS_MAP(X)                                                                             \
    /* the broker's */                                                                             \
    X(batches, "sponson_batches_total", "Batches that arrived.")                                   \
    X(events_accepted, "sponson_events_accepted_total",                                            \
      "Numbers of batches and one-shots that arrived, whatever became of them.")                   \
    X(bytes_accepted, "sponson_bytes_accepted_total", "Bytes of data of the events to be stored.") \
    X(events_durable, "sponson_events_durable_total", "Numbers whose commit has returned.")        \
    X(duplicates, "sponson_events_duplicate_total", "Events that are there already.")              \
    X(conflicts, "sponson_events_conflict_total",                                                  \
      "Events with the id of one that is there, and different from it.")                           \
    X(refused_contents, "sponson_events_refused_total{reason=\"contents\"}",                       \
      "Numbers that were refused, by reason.")                                                     \
    X(refused_closed, "sponson_events_refused_total{reason=\"closed\"}",                           \
      "Numbers that were refused, by reason.")                                                     \
    X(refused_unknown_session, "sponson_events_refused_total{reason=\"unknown_session\"}",         \
      "Numbers that were refused, by reason.")                                                     \
    X(refused_other_epoch, "sponson_events_refused_total{reason=\"other_epoch\"}",                 \
      "Numbers that were refused, by reason.")                                                     \
    X(refused_condition, "sponson_events_refused_total{reason=\"condition\"}",                     \
      "Numbers that were refused, by reason.")                                                     \
    X(refused_dependent, "sponson_events_refused_total{reason=\"dependent\"}",                     \
      "Numbers that were refused, by reason.")                                                     \
    X(refused_damaged, "sponson_events_refused_total{reason=\"damaged\"}",                         \
      "Numbers that were refused, by reason.")                                                     \
    X(sessions_damaged, "sponson_sessions_damaged_total",                                          \
      "Sessions that were given up because of damage.")                                            \
    X(lost, "sponson_events_lost_total",                                                           \
      "Events lost with a sidecar's memory, or with a newer copy of the database.")                \
    X(resent, "sponson_events_resent_total",                                                       \
      "Numbers that were sent again and were there already.")                                      \
    X(holes, "sponson_holes_total", "Batches that began too high.")                                \
    X(stale_tokens, "sponson_stale_tokens_total", "Batches of a holder that has to open again.")   \
    X(bad_frames, "sponson_ingest_bad_frames_total",                                               \
      "Frames on ingest.sock that are not valid messages.")                                        \
    X(one_shots, "sponson_one_shots_total", "One-shots, whatever became of them.")                 \
    X(batches_dropped, "sponson_batches_dropped_total",                                            \
      "Batches dropped for want of room, or while stopping.")                                      \
    X(acks_owed, "sponson_acks_owed_total", "Acknowledgements that met a full connection.")        \
    X(backpressure, "sponson_backpressure_timeouts_total",                                         \
      "Publish calls that timed out because the window was full.") /* reported by clients */       \
    X(queue_events, "sponson_queue_events", "Events accepted and not on disk yet.")                \
    X(queue_bytes, "sponson_queue_bytes", "Bytes accepted and not on disk yet.")                   \
    X(queue_events_max, "sponson_queue_events_max", "The mark of the queue, in events.")           \
    X(queue_bytes_max, "sponson_queue_bytes_max", "The mark of the queue, in bytes.")              \
    X(queue_above_mark, "sponson_queue_above_mark",                                                \
      "1 from the mark of the queue until half of it.")                                            \
    X(queue_high_water, "sponson_queue_high_water_total", "How often the queue reached its mark.") \
    X(ingest_hwm, "sponson_ingest_hwm",                                                            \
      "High-water mark of ingest.sock, in messages of each client.")                               \
    X(read_hwm, "sponson_read_hwm", "High-water mark of read.sock, in messages of each client.")   \
    X(sessions_known, "sponson_sessions_known", "Sessions.")                                       \
    X(sessions_hot, "sponson_sessions_hot", "Sessions with a tracker in memory.")                  \
    X(sessions_opened, "sponson_sessions_opened_total", "Sessions that were opened.")              \
    X(sessions_closed, "sponson_sessions_closed_total", "Sessions that were closed.")              \
    X(sessions_closed_idle, "sponson_sessions_closed_idle_total",                                  \
      "Sessions that were closed because they were idle.")                                         \
    X(sessions_deleted, "sponson_sessions_deleted_total", "Sessions that were deleted.")           \
    X(sessions_expired, "sponson_sessions_expired_total", "Sessions that expired.")                \
    X(sessions_expired_early, "sponson_sessions_expired_early_total",                              \
      "Sessions that expired before their time, for the quota.")                                   \
    X(sessions_evicted, "sponson_sessions_evicted_total",                                          \
      "Trackers evicted because there were too many.")                                             \
    X(sessions_loaded, "sponson_sessions_loaded_total", "Trackers requested from disk.")           \
    X(tracker_bytes, "sponson_tracker_bytes", "Memory of the trackers.")                           \
    X(producers, "sponson_producers", "Producer ids that are known.")                              \
    X(producers_max, "sponson_producers_max", "How many producer ids there may be.")               \
    X(producers_expired, "sponson_producers_expired_total",                                        \
      "Producer ids forgotten after their time.")                                                  \
    X(producers_left, "sponson_producers_left_total",                                              \
      "Producer ids forgotten because their holder closed them.")                                  \
    X(producers_evicted, "sponson_producers_evicted_total",                                        \
      "Producer ids forgotten at the limit, for others.")                                          \
    X(producers_refused, "sponson_producers_refused_total",                                        \
      "Opens refused because there were too many producer ids.")                                   \
    X(went_back, "sponson_holders_ahead_total",                                                    \
      "Holders with acknowledgements for events that are not there.")                              \
    X(ingest_blocked, "sponson_ingest_blocked",                                                    \
      "1 while something else lies in the place of ingest.sock.")                                  \
    /* the worker's */                                                                             \
    X(commits, "sponson_commits_total", "Commits.")                                                \
    X(commit_ns, "sponson_commit_nanoseconds_total", "How long the commits took in all.")          \
    X(commit_le_500us, "sponson_commit_seconds_bucket{le=\"0.0005\"}", "How long commits took.")   \
    X(commit_le_1ms, "sponson_commit_seconds_bucket{le=\"0.001\"}", "How long commits took.")      \
    X(commit_le_2ms, "sponson_commit_seconds_bucket{le=\"0.002\"}", "How long commits took.")      \
    X(commit_le_5ms, "sponson_commit_seconds_bucket{le=\"0.005\"}", "How long commits took.")      \
    X(commit_le_10ms, "sponson_commit_seconds_bucket{le=\"0.01\"}", "How long commits took.")      \
    X(commit_le_50ms, "sponson_commit_seconds_bucket{le=\"0.05\"}", "How long commits took.")      \
    X(commit_le_500ms, "sponson_commit_seconds_bucket{le=\"0.5\"}", "How long commits took.")      \
    X(commit_le_inf, "sponson_commit_seconds_bucket{le=\"+Inf\"}", "How long commits took.")       \
    X(commit_failures, "sponson_commit_failures_total", "Commits that failed.")                    \
    X(commit_retries, "sponson_commit_retries_total", "Commits that were tried again.")            \
    X(segments, "sponson_segments_total", "Segments that were written.")                           \
    X(trimmed, "sponson_entries_trimmed_total",                                                    \
      "Entries and blocks deleted by retention and quota.")                                        \
    X(rows_written, "sponson_rows_written_total", "Rows written in segments.")                     \
    X(blocks_written, "sponson_blocks_written_total", "Blocks written in segments.")               \
    X(index_writes, "sponson_index_writes_total", "Rows and blocks written in segments.")          \
    X(index_entries_written, "sponson_index_entries_written_total",                                \
      "Entries of the log that the written rows and blocks cover.")                                \
    X(database_used_bytes, "sponson_database_used_bytes", "Pages in use, which the quota limits.") \
    X(database_free_bytes, "sponson_database_free_bytes", "Free pages in the file.")               \
    X(database_quota_bytes, "sponson_database_quota_bytes", "How many pages may be in use.")       \
    X(database_map_bytes, "sponson_database_map_bytes", "Size of the map.")                        \
    X(reader_lag, "sponson_oldest_reader_lag_commits",                                             \
      "How many commits ago the oldest snapshot in use was taken.")                                \
    X(durable_position, "sponson_durable_position", "The highest position on disk.")               \
    X(checkpoint_position, "sponson_checkpoint_position",                                          \
      "The position up to which the index is written.")                                            \
    /* the reader's */                                                                             \
    X(build_info, "sponson_build_info{version=\"" SPONSON_VERSION "\"}",                           \
      "Always 1; the label is the daemon's version.")                                              \
    X(uptime_seconds, "sponson_uptime_seconds", "How long the daemon has been running.")           \
    X(degraded, "sponson_degraded",                                                                \
      "1 while nothing is acknowledged, or nobody can publish: health has the reason.")            \
    X(requests, "sponson_requests_total", "Requests on read.sock.")                                \
    X(read_bad_frames, "sponson_read_bad_frames_total",                                            \
      "Frames on read.sock that are not valid messages.")                                          \
    X(replayed, "sponson_events_replayed_total", "Events delivered from disk.")                    \
    X(unsent, "sponson_answers_unsent_bytes",                                                      \
      "Bytes waiting for clients to read.") /* lowered by ZeroMQ's thread */                       \
    X(answers_dropped, "sponson_answers_dropped_total",                                            \
      "Answers that had no room because of their client.")                                         \
    X(stalled_cut, "sponson_stalled_connections_cut_total",                                        \
      "Connections cut because their client took nothing.")                                        \
    X(damaged_reads, "sponson_damaged_reads_total",                                                \
      "Reads that met damage in the database.") /* also the broker's and the worker's */           \
    X(connections_refused, "sponson_connections_refused_total",                                    \
      "Connections refused for want of descriptors.")                                              \
    X(connections_cut, "sponson_connections_cut_total",                                            \
      "Connections that ended because of what came in.")                                           \
    X(subscriptions, "sponson_subscriptions", "Subscriptions.")                                    \
    X(live, "sponson_events_live_total", "Events delivered to subscriptions that had caught up.")  \
    X(gaps, "sponson_gaps_total", "Gaps reported to subscriptions.")                               \
    X(credit_stalls, "sponson_credit_stalls_total",                                                \
      "How often a subscription that had caught up had no credit.")

/* X(dividend, divisor, name, help): also reported, as whole numbers; 0 while the divisor is 0. */
#define METRICS_RATIO_MAP(X)                                                                       \
    X(events_durable, commits, "sponson_events_per_commit", "Events in each commit, on average.")  \
    X(index_entries_written, index_writes, "sponson_coalescing_ratio",                             \
      "Entries for each row or block, on average.")                                                \
    X(tracker_bytes, sessions_hot, "sponson_tracker_bytes_per_session",                            \
      "Memory of each tracker, on average.")

struct metrics {
#define METRICS_FIELD(field, name, help) atomic_uint_fast64_t field;
    METRICS_MAP(METRICS_FIELD)
#undef METRICS_FIELD
};

static inline uint64_t metrics_get(const atomic_uint_fast64_t *metric)
{
    return atomic_load_explicit(metric, memory_order_relaxed);
}

static inline void metrics_set(atomic_uint_fast64_t *metric, uint64_t value)
{
    atomic_store_explicit(metric, value, memory_order_relaxed);
}

static inline void metrics_add(atomic_uint_fast64_t *metric, uint64_t value)
{
    metrics_set(metric, metrics_get(metric) + value);
}

/* Adds one to a metric that several threads write. */
static inline void metrics_count(atomic_uint_fast64_t *metric)
{
    atomic_fetch_add_explicit(metric, 1, memory_order_relaxed);
}

#endif
