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

/* X(field, name) */
#define METRICS_MAP(X)                                                                             \
    /* the broker's */                                                                             \
    X(batches, "sponson_batches_total")                                                            \
    X(events_accepted, "sponson_events_accepted_total")                                            \
    X(bytes_accepted, "sponson_bytes_accepted_total")                                              \
    X(events_durable, "sponson_events_durable_total")                                              \
    X(duplicates, "sponson_events_duplicate_total")                                                \
    X(conflicts, "sponson_events_conflict_total")                                                  \
    X(refused_contents, "sponson_events_refused_total{reason=\"contents\"}")                       \
    X(refused_closed, "sponson_events_refused_total{reason=\"closed\"}")                           \
    X(refused_unknown_session, "sponson_events_refused_total{reason=\"unknown_session\"}")         \
    X(refused_other_epoch, "sponson_events_refused_total{reason=\"other_epoch\"}")                 \
    X(refused_condition, "sponson_events_refused_total{reason=\"condition\"}")                     \
    X(refused_dependent, "sponson_events_refused_total{reason=\"dependent\"}")                     \
    X(refused_damaged, "sponson_events_refused_total{reason=\"damaged\"}")                         \
    X(sessions_damaged, "sponson_sessions_damaged_total")                                          \
    X(lost, "sponson_events_lost_total")                                                           \
    X(resent, "sponson_events_resent_total")                                                       \
    X(holes, "sponson_holes_total")                                                                \
    X(stale_tokens, "sponson_stale_tokens_total")                                                  \
    X(bad_frames, "sponson_ingest_bad_frames_total")                                               \
    X(one_shots, "sponson_one_shots_total")                                                        \
    X(batches_dropped, "sponson_batches_dropped_total")                                            \
    X(acks_owed, "sponson_acks_owed_total")                                                        \
    X(backpressure, "sponson_backpressure_timeouts_total") /* reported by clients */               \
    X(queue_events, "sponson_queue_events")                                                        \
    X(queue_bytes, "sponson_queue_bytes")                                                          \
    X(queue_events_max, "sponson_queue_events_max")                                                \
    X(queue_bytes_max, "sponson_queue_bytes_max")                                                  \
    X(queue_above_mark, "sponson_queue_above_mark")                                                \
    X(queue_high_water, "sponson_queue_high_water_total")                                          \
    X(ingest_hwm, "sponson_ingest_hwm")                                                            \
    X(read_hwm, "sponson_read_hwm")                                                                \
    X(sessions_known, "sponson_sessions_known")                                                    \
    X(sessions_hot, "sponson_sessions_hot")                                                        \
    X(sessions_opened, "sponson_sessions_opened_total")                                            \
    X(sessions_closed, "sponson_sessions_closed_total")                                            \
    X(sessions_closed_idle, "sponson_sessions_closed_idle_total")                                  \
    X(sessions_deleted, "sponson_sessions_deleted_total")                                          \
    X(sessions_expired, "sponson_sessions_expired_total")                                          \
    X(sessions_expired_early, "sponson_sessions_expired_early_total")                              \
    X(sessions_evicted, "sponson_sessions_evicted_total")                                          \
    X(sessions_loaded, "sponson_sessions_loaded_total")                                            \
    X(tracker_bytes, "sponson_tracker_bytes")                                                      \
    X(producers, "sponson_producers")                                                              \
    X(producers_max, "sponson_producers_max")                                                      \
    X(producers_expired, "sponson_producers_expired_total")                                        \
    X(producers_left, "sponson_producers_left_total")                                              \
    X(producers_evicted, "sponson_producers_evicted_total")                                        \
    X(producers_refused, "sponson_producers_refused_total")                                        \
    X(went_back, "sponson_holders_ahead_total")                                                    \
    X(ingest_blocked, "sponson_ingest_blocked")                                                    \
    /* the worker's */                                                                             \
    X(commits, "sponson_commits_total")                                                            \
    X(commit_ns, "sponson_commit_nanoseconds_total")                                               \
    X(commit_le_500us, "sponson_commit_seconds_bucket{le=\"0.0005\"}")                             \
    X(commit_le_1ms, "sponson_commit_seconds_bucket{le=\"0.001\"}")                                \
    X(commit_le_2ms, "sponson_commit_seconds_bucket{le=\"0.002\"}")                                \
    X(commit_le_5ms, "sponson_commit_seconds_bucket{le=\"0.005\"}")                                \
    X(commit_le_10ms, "sponson_commit_seconds_bucket{le=\"0.01\"}")                                \
    X(commit_le_50ms, "sponson_commit_seconds_bucket{le=\"0.05\"}")                                \
    X(commit_le_500ms, "sponson_commit_seconds_bucket{le=\"0.5\"}")                                \
    X(commit_le_inf, "sponson_commit_seconds_bucket{le=\"+Inf\"}")                                 \
    X(commit_failures, "sponson_commit_failures_total")                                            \
    X(commit_retries, "sponson_commit_retries_total")                                              \
    X(segments, "sponson_segments_total")                                                          \
    X(trimmed, "sponson_entries_trimmed_total")                                                    \
    X(rows_written, "sponson_rows_written_total")                                                  \
    X(blocks_written, "sponson_blocks_written_total")                                              \
    X(index_writes, "sponson_index_writes_total") /* rows and blocks */                            \
    X(index_entries_written, "sponson_index_entries_written_total")                                \
    X(database_used_bytes, "sponson_database_used_bytes")                                          \
    X(database_free_bytes, "sponson_database_free_bytes")                                          \
    X(database_map_bytes, "sponson_database_map_bytes")                                            \
    X(reader_lag, "sponson_oldest_reader_lag_commits")                                             \
    X(durable_position, "sponson_durable_position")                                                \
    X(checkpoint_position, "sponson_checkpoint_position")                                          \
    /* the reader's */                                                                             \
    X(requests, "sponson_requests_total")                                                          \
    X(read_bad_frames, "sponson_read_bad_frames_total")                                            \
    X(replayed, "sponson_events_replayed_total")                                                   \
    X(unsent, "sponson_answers_unsent_bytes") /* lowered by ZeroMQ's thread */                     \
    X(answers_dropped, "sponson_answers_dropped_total")                                            \
    X(stalled_cut, "sponson_stalled_connections_cut_total")                                        \
    X(damaged_reads, "sponson_damaged_reads_total") /* also the broker's and the worker's */       \
    X(connections_refused, "sponson_connections_refused_total")                                    \
    X(connections_cut, "sponson_connections_cut_total")                                            \
    X(subscriptions, "sponson_subscriptions")                                                      \
    X(live, "sponson_events_live_total")                                                           \
    X(gaps, "sponson_gaps_total")                                                                  \
    X(credit_stalls, "sponson_credit_stalls_total")

/* X(dividend, divisor, name): also reported, as whole numbers; 0 while the divisor is 0. */
#define METRICS_RATIO_MAP(X)                                                                       \
    X(events_durable, commits, "sponson_events_per_commit")                                        \
    X(index_entries_written, index_writes, "sponson_coalescing_ratio")                             \
    X(tracker_bytes, sessions_hot, "sponson_tracker_bytes_per_session")

struct metrics {
#define METRICS_FIELD(field, name) atomic_uint_fast64_t field;
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
