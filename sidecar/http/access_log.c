/* SPDX-License-Identifier: Apache-2.0 */
#include "http/access_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"

/* `http://user@host/path` -> `/path`; `*` and what has no path stay without one. */
static const char *skip_host(const char *target)
{
    if (target[0] == '/')
        return target;
    const char *host = strstr(target, "://");
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    return path != NULL ? path : "";
}

static bool begins_token(const char *text)
{
    return strncasecmp(text, "token=", 6) == 0 || strncasecmp(text, "token%3d", 8) == 0;
}

const char *access_log_path(const char *target, char path[ACCESS_LOG_PATH_SIZE])
{
    size_t size = 0;
    for (const char *at = skip_host(target); *at != '\0' && *at != '?' && *at != '#'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (size + 4 > ACCESS_LOG_PATH_SIZE || begins_token(at))
            break;
        if (byte > ' ' && byte < 0x7F)
            path[size++] = (char)byte;
        else
            size += (size_t)snprintf(path + size, 4, "%%%02X", byte);
    }
    path[size] = '\0';
    return path;
}

void access_log_over(void *context, const struct web_record *record)
{
    (void)context;
    char path[ACCESS_LOG_PATH_SIZE];
    char method[LOG_QUOTED_MAX];
    char quoted[LOG_QUOTED_MAX];
    log_info("access", "method=%s path=%s status=%u bytes=%" PRIu64 " ms=%" PRIu64,
             log_quote(record->method, method),
             log_quote(access_log_path(record->target, path), quoted), record->status,
             record->bytes, record->duration_ns / 1000000);
}
