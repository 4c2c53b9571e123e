/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

enum {
    WAIT_MS = 1000,    /* for a manager whose queue is full */
    FEEDS = 3,         /* in the time of the watchdog, so that two may come late */
    PART_REQUESTS = 4, /* in the time that is asked for */
    MESSAGE_MAX = NOTIFY_STATUS_MAX + 64,
};

/* -- the environment --------------------------------------------------------------------------- */

/* A path, or with @ first an abstract name, which has a NUL there. False: it is neither. */
static bool read_address(struct notify *notify, const char *name)
{
    size_t size = name ? strlen(name) : 0;
    if (size < 2 || size >= sizeof(notify->address.sun_path) || (name[0] != '/' && name[0] != '@'))
        return false;
    notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify->address.sun_path, name, size);
    if (name[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_size = (unsigned)(offsetof(struct sockaddr_un, sun_path) + size);
    return true;
}

/* 0: there is none, or it is no number. */
static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    uint64_t number = 0;
    return text && text_count(text, 0, UINT64_MAX, &number) ? number : 0;
}

/* A child inherits the variables; the watchdog is for the process with this pid alone. */
static uint64_t watchdog_ns(void)
{
    uint64_t usec = number_of("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    bool is_ours = !pid || number_of("WATCHDOG_PID") == (uint64_t)getpid();
    return is_ours && usec < UINT64_MAX / US ? usec * US : 0;
}

void notify_init(struct notify *notify)
{
    const struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    *notify = (struct notify)NOTIFY_INIT;
    if (!read_address(notify, getenv("NOTIFY_SOCKET")))
        return;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0)
        return;
    (void)setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    notify->watchdog_ns = watchdog_ns();
}

void notify_release(struct notify *notify)
{
    if (!notify)
        return;
    if (notify->fd >= 0)
        (void)close(notify->fd);
    *notify = (struct notify)NOTIFY_INIT;
}

/* -- messages ---------------------------------------------------------------------------------- */

static bool send_text(const struct notify *notify, const char *text, int flags)
{
    if (!notify || notify->fd < 0)
        return false;
    return sendto(notify->fd, text, strlen(text), flags | MSG_NOSIGNAL,
                  (const struct sockaddr *)&notify->address, notify->address_size) >= 0;
}

void notify_ready(struct notify *notify)
{
    (void)send_text(notify, "READY=1", 0);
}

/* The time orders this message with the signal that asked for it. */
void notify_reloading(struct notify *notify)
{
    char text[MESSAGE_MAX];
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   clock_monotonic_ns() / US);
    (void)send_text(notify, text, 0);
}

void notify_stopping(struct notify *notify)
{
    (void)send_text(notify, "STOPPING=1", 0);
}

void notify_extend(struct notify *notify, uint64_t more_ns)
{
    char text[MESSAGE_MAX];
    (void)snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%" PRIu64, more_ns / US);
    (void)send_text(notify, text, 0);
}

void notify_progress(struct notify *notify, uint64_t now_ns)
{
    if (!notify)
        return;
    if (notify->extended_ns > 0 &&
        now_ns - notify->extended_ns < NOTIFY_PART_MS * MS / PART_REQUESTS)
        return;
    notify->extended_ns = now_ns;
    notify_extend(notify, NOTIFY_PART_MS * MS);
}

void notify_status(struct notify *notify, uint64_t now_ns, const char *format, ...)
{
    char text[MESSAGE_MAX];
    char status[NOTIFY_STATUS_MAX];
    va_list values;
    if (!notify || notify->fd < 0 ||
        (notify->status_ns > 0 && now_ns - notify->status_ns < NOTIFY_STATUS_EVERY_MS * MS))
        return;
    va_start(values, format);
    (void)vsnprintf(status, sizeof(status), format, values);
    va_end(values);
    if (strcmp(status, notify->status) == 0)
        return;
    (void)snprintf(text, sizeof(text), "STATUS=%s", status);
    if (!send_text(notify, text, MSG_DONTWAIT))
        return;
    memcpy(notify->status, status, sizeof(status));
    notify->status_ns = now_ns;
}

/* -- the watchdog ------------------------------------------------------------------------------ */

uint64_t notify_due_ns(const struct notify *notify)
{
    return notify && notify->watchdog_ns > 0 ? notify->fed_ns + notify->watchdog_ns / FEEDS
                                             : UINT64_MAX;
}

void notify_turn(struct notify *notify, uint64_t now_ns)
{
    if (!notify || now_ns < notify_due_ns(notify))
        return;
    (void)send_text(notify, "WATCHDOG=1", MSG_DONTWAIT);
    notify->fed_ns = now_ns;
}

void notify_starve(struct notify *notify, uint64_t now_ns)
{
    if (notify)
        notify->fed_ns = now_ns;
}
