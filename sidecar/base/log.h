/* SPDX-License-Identifier: Apache-2.0 */
/* log: one fact a line, on stderr: time, level, event, keys.
 *
 * The format is logfmt or JSON, with the same names. If stderr is the journal, each line begins
 * with its priority, as `<4>`, which the journal takes off.
 *
 * Called by main, by prepare, by reload and config_reload, by mended and, for the loop, by report,
 * report_debug and watch; in the gateway by main, admin and access_log. Other modules return errors
 * and do not log.
 *
 * Threads  any. The level and the format may be set at any time.
 */
#ifndef SPN_LOG_H
#define SPN_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* Their names, in this order, with NULL at the end. */
extern const char *const log_levels[];
extern const char *const log_formats[];

/* What is less urgent than level is not logged. At first: LOG_INFO, LOG_LOGFMT. */
void log_set(enum log_level level, enum log_format format);
bool log_is_on(enum log_level level);

/* format: the keys, as `key=%s other=%d`. Values that a person wrote go through log_quote. */
void log_debug(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_error(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lines that may come thousands of times a second: a few in each second are logged. */
struct log_rate {
    uint64_t second_ends_ns;
    unsigned in_second;
    uint64_t left_out; /* since the last line */
};

enum { LOG_RATE_MAX = 10 }; /* lines a second */

/* Whether such a line may be logged now. *ret_left_out: how many were left out before it, which it
 * has to tell. now_ns: of the monotonic clock. */
bool log_may(struct log_rate *rate, uint64_t now_ns, uint64_t *ret_left_out);

enum { LOG_QUOTED_MAX = 512 };

/* Writes "text" with quotes and escapes, cut to fit. Returns quoted. */
const char *log_quote(const char *text, char quoted[LOG_QUOTED_MAX]);

#endif
