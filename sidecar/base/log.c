/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static size_t clip(int written, size_t room)
{
    if (written < 0)
        return 0;
    return (size_t)written < room ? (size_t)written : room - 1;
}

/* One write per line, so that lines of several processes do not mix. */
static void write_line(const char *level, const char *event, const char *format, va_list keys)
{
    char line[LINE_MAX_BYTES];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t size = strftime(line, sizeof(line), "time=%Y-%m-%dT%H:%M:%S", &utc);
    size += clip(snprintf(line + size, sizeof(line) - size, ".%03ldZ level=%s event=%s ",
                          now.tv_nsec / 1000000, level, event),
                 sizeof(line) - size);
    size += clip(vsnprintf(line + size, sizeof(line) - size, format, keys), sizeof(line) - size);
    if (size > sizeof(line) - 2)
        size = sizeof(line) - 2;
    line[size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written; /* a failure cannot be reported anywhere */
}

void log_info(const char *event, const char *format, ...)
{
    va_list keys;
    va_start(keys, format);
    write_line("info", event, format, keys);
    va_end(keys);
}

void log_warning(const char *event, const char *format, ...)
{
    va_list keys;
    va_start(keys, format);
    write_line("warning", event, format, keys);
    va_end(keys);
}

void log_error(const char *event, const char *format, ...)
{
    va_list keys;
    va_start(keys, format);
    write_line("error", event, format, keys);
    va_end(keys);
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
