/* SPDX-License-Identifier: Apache-2.0 */
/* config_reload: what SIGHUP does with the options. A file with an error changes nothing. The log
 * has each change, and each difference that only a restart brings into force. */
#include "config/config.h"

#include <string.h>

#include "base/log.h"

struct counts {
    size_t changed;
    size_t left; /* for a restart */
};

static const char *shown(const char *text, char quoted[LOG_QUOTED_MAX])
{
    return log_quote(text ? text : "null", quoted);
}

static void report(void *context, const struct config_change *change)
{
    struct counts *counts = context;
    char quoted[2][LOG_QUOTED_MAX];
    const char *old_text = shown(change->old_text, quoted[0]);
    const char *new_text = shown(change->new_text, quoted[1]);
    if (change->taken) {
        log_info("changed", "option=%s old=%s new=%s", change->option, old_text, new_text);
        counts->changed++;
    } else {
        log_warning("needs_restart", "option=%s in_force=%s wanted=%s", change->option, old_text,
                    new_text);
        counts->left++;
    }
}

static void report_errors(const struct config *fresh)
{
    char quoted[LOG_QUOTED_MAX];
    for (size_t i = 0; i < fresh->error_count && i < CONFIG_ERRORS_MAX; i++)
        log_error("config", "reason=%s", shown(fresh->errors[i], quoted));
    log_error("reload_failed", "errors=%zu reason=\"nothing is changed\"", fresh->error_count);
}

bool config_reload(struct config *config, void *running, void *fresh_options,
                   bool (*bound)(void *context, void *fresh_options), void *context)
{
    char quoted[LOG_QUOTED_MAX];
    struct counts counts = {0};
    struct config *fresh = config_read_again(config, fresh_options);
    if (!fresh) {
        log_error("reload_failed", "reason=\"out of memory: nothing is changed\"");
        return false;
    }
    bool taken = fresh->error_count == 0;
    if (!taken) {
        report_errors(fresh);
    } else {
        memcpy(config->file, fresh->file, sizeof(config->file));
        if (bound && bound(context, fresh_options))
            counts.left++;
        config_take(config->program, running, fresh_options, report, &counts);
        log_info("reloaded", "file=%s changed=%zu need_restart=%zu", log_quote(fresh->file, quoted),
                 counts.changed, counts.left);
    }
    config_free(fresh);
    return taken;
}
