/* SPDX-License-Identifier: Apache-2.0 */
/* reload: SIGHUP reads the configuration file again, while everything runs.
 *
 * It is called by the broker, in whose thread it changes the broker's options. The worker gets its
 * own by mail, the reader has one number that is atomic. */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/log.h"
#include "daemon/main_base.h"
#include "mail/settings.h"

enum { MAPS = 2 }; /* of the database: LMDB's, and the one in which pages are checked */

/* Whether the process has addresses for this map beside the one that it has. */
static bool has_addresses(uint64_t bytes)
{
    void *tried =
        mmap(NULL, MAPS * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return tried != MAP_FAILED && munmap(tried, MAPS * bytes) == 0;
}

static void say_bound(const char *option, const char *reason)
{
    log_warning("needs_restart", "option=%s reason=\"%s\"", option, reason);
}

/* What the sockets and the address space of this process do not allow. */
static bool bound(void *context, void *fresh_options)
{
    const struct daemon *daemon = context;
    struct options *fresh = fresh_options;
    bool is_bound = false;
    if (fresh->quota_bytes > daemon->options.quota_bytes &&
        !has_addresses(daemon_map_bytes(fresh))) {
        say_bound("quota", "there are no addresses for so large a file");
        fresh->quota_bytes = daemon->options.quota_bytes;
        is_bound = true;
    }
    if (!daemon_fits_frame(fresh, daemon->broker.frame_max)) {
        say_bound("event-data-max", "the sockets take no message so large");
        fresh->event_data_max = options_event_data(&daemon->options);
        is_bound = true;
    }
    return is_bound;
}

void daemon_follow_options(struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    struct broker_options *broker = &daemon->broker;
    atomic_store_explicit(&daemon->data_max, options_event_data(options), memory_order_relaxed);
    broker->data_max = options_event_data(options);
    broker->queue_events_max = options->queue_events_max;
    broker->queue_bytes_max = options->queue_bytes_max;
    broker->row_interval_ns = options->row_interval_ms * 1000000ull;
    broker->generation_bytes_max = options->quota_bytes / 8;
    broker->hot_max = options->hot_sessions_max;
    broker->session_ttl_ns = options->session_ttl_ms * 1000000u;
    broker->producer_ttl_ns = options->producer_ttl_ms * 1000000u;
    broker->producers_max = options->producers_max;
}

void daemon_set_log(const struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    uint32_t bytes = options_event_data(options);
    log_set((enum log_level)options->log_level, (enum log_format)options->log_format);
    if (bytes < options->event_data_max)
        log_warning("limited", "option=--event-data-max bytes=%u reason=\"a quarter of --quota\"",
                    bytes);
}

void daemon_reload(void *context)
{
    struct daemon *daemon = context;
    struct options fresh;
    struct settings *settings = calloc(1, sizeof(*settings));
    if (!settings) {
        log_error("reload_failed", "reason=\"out of memory: nothing is changed\"");
        return;
    }
    if (!config_reload(daemon->config, &daemon->options, &fresh, bound, daemon)) {
        free(settings);
        return;
    }
    daemon_set_log(daemon);
    daemon_follow_options(daemon);
    *settings = (struct settings){
        .message.kind = MESSAGE_SETTINGS,
        .quota_bytes = daemon->options.quota_bytes,
        .map_bytes = daemon_map_bytes(&daemon->options),
        .session_ttl_ns = daemon->broker.session_ttl_ns,
        .flush_interval_ns = daemon->options.flush_interval_ms * 1000000ull,
        .retention = daemon_rule(&daemon->options),
    };
    mailbox_put(&daemon->to_worker, &settings->message);
}
