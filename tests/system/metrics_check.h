/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_check: is it what Prometheus reads? Text exposition format 0.0.4, checked strictly.
 *
 * Shares no code with the gateway.
 *
 * Threads  pure functions.
 */
#ifndef SPN_METRICS_CHECK_H
#define SPN_METRICS_CHECK_H

/* NULL: it is. Otherwise words and the line, valid until the next call. Each family has one HELP,
 * then one TYPE, then its values, all together; counters, and only they, end in `_total`; a
 * histogram's buckets go up to +Inf, never down, and agree with its count; no value is there twice.
 */
const char *metrics_check(const char *text);

/* The value of a name with its labels; -1: it is not there. */
double metrics_value(const char *text, const char *name);

#endif
