/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_json.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 2048, PREFIX_SIZE = 3, SECOND_NS = 1000000000 };

const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
const char *const log_formats[] = {"logfmt", "json", NULL};

static atomic_uint least = LOG_INFO;
static atomic_uint form = LOG_LOGFMT;
static atomic_uint journal; /* of enum journal */

enum journal { JOURNAL_UNKNOWN, JOURNAL_NO, JOURNAL_YES };

void log_set(enum log_level level, enum log_format format)
{
    atomic_store_explicit(&least, level, memory_order_relaxed);
    atomic_store_explicit(&form, format, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return level <= atomic_load_explicit(&least, memory_order_relaxed);
}

static bool is_stream(const char *stream, const struct stat *status)
{
    char *end;
    unsigned long long device = strtoull(stream, &end, 10);
    unsigned long long inode = *end == ':' ? strtoull(end + 1, &end, 10) : 0;
    return *end == '\0' && device == status->st_dev && inode == status->st_ino;
}

/* $JOURNAL_STREAM has the device and the inode of the journal's socket: stderr may have been
 * redirected since it was set. */
static bool is_journal(void)
{
    unsigned found = atomic_load_explicit(&journal, memory_order_relaxed);
    if (found == JOURNAL_UNKNOWN) {
        const char *stream = getenv("JOURNAL_STREAM"); /* NOLINT(concurrency-mt-unsafe) */
        struct stat status;
        bool same = stream && fstat(STDERR_FILENO, &status) == 0 && is_stream(stream, &status);
        found = same ? JOURNAL_YES : JOURNAL_NO;
        atomic_store_explicit(&journal, found, memory_order_relaxed);
    }
    return found == JOURNAL_YES;
}

static size_t clip(int written, size_t room)
{
    if (written < 0)
        return 0;
    return (size_t)written < room ? (size_t)written : room - 1;
}

/* One write per line, so that lines of several processes do not mix. */
static void write_line(enum log_level level, const char *event, const char *format, va_list keys)
{
    /* as syslog has them: LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG */
    static const char priorities[][PREFIX_SIZE + 1] = {"<3>", "<4>", "<6>", "<7>"};
    char time[TEXT_TIME_SIZE];
    char text[LINE_MAX_BYTES];
    char line[PREFIX_SIZE + LINE_MAX_BYTES];
    size_t size = 0;
    if (!log_is_on(level))
        return;
    if (is_journal()) {
        memcpy(line, priorities[level], PREFIX_SIZE);
        size = PREFIX_SIZE;
    }
    size_t room = sizeof(line) - size - 1; /* for the line's end */
    text_time(clock_wall_ms(), time);
    (void)vsnprintf(text, sizeof(text), format, keys);
    if (atomic_load_explicit(&form, memory_order_relaxed) == LOG_JSON)
        size += log_json(line + size, room, time, log_levels[level], event, text);
    else
        size += clip(snprintf(line + size, room, "time=%s level=%s event=%s %s", time,
                              log_levels[level], event, text),
                     room);
    line[size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written; /* a failure cannot be reported anywhere */
}

void log_debug(const char *event, const char *format, ...)
{
    va_list keys;
    va_start(keys, format);
    write_line(LOG_DEBUG, event, format, keys);
    va_end(keys);
}

void log_info(const char *event, const char *format, ...)
{
    va_list keys;
    va_start(keys, format);
    write_line(LOG_INFO, event, format, keys);
    va_end(keys);
}

void log_warning(const char *event, const char *format, ...)
{
    va_list keys;
    va_start(keys, format);
    write_line(LOG_WARNING, event, format, keys);
    va_end(keys);
}

void log_error(const char *event, const char *format, ...)
{
    va_list keys;
    va_start(keys, format);
    write_line(LOG_ERROR, event, format, keys);
    va_end(keys);
}

bool log_may(struct log_rate *rate, uint64_t now_ns, uint64_t *ret_left_out)
{
    if (now_ns >= rate->second_ends_ns) {
        rate->second_ends_ns = now_ns + SECOND_NS;
        rate->in_second = 0;
    }
    if (rate->in_second >= LOG_RATE_MAX) {
        rate->left_out++;
        return false;
    }
    rate->in_second++;
    *ret_left_out = rate->left_out;
    rate->left_out = 0;
    return true;
}

const char *log_quote(const char *text, char quoted[LOG_QUOTED_MAX])
{
    size_t at = 0;
    quoted[at++] = '"';
    for (; *text && at < LOG_QUOTED_MAX - 4; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            quoted[at++] = '\\';
        quoted[at++] = (char)(c < 0x20 || c == 0x7F ? ' ' : c);
    }
    quoted[at++] = '"';
    quoted[at] = '\0';
    return quoted;
}
