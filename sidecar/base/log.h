/* SPDX-License-Identifier: Apache-2.0 */
/* log: one fact a line, logfmt, on stderr: time, level, event, keys.
 *
 * Called by main, by prepare, by mended and, for the loop, by report and watch. Other modules
 * return errors and do not log.
 */
#ifndef SPN_LOG_H
#define SPN_LOG_H

/* format: the keys, as `key=%s other=%d`. Values that a person wrote go through log_quote. */
void log_info(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_error(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum { LOG_QUOTED_MAX = 512 };

/* Writes "text" with quotes and escapes, cut to fit. Returns quoted. */
const char *log_quote(const char *text, char quoted[LOG_QUOTED_MAX]);

#endif
