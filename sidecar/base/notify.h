/* SPDX-License-Identifier: Apache-2.0 */
/* notify: tells the service manager how this program is, as systemd wants it (sd_notify(3)).
 *
 * A message is one datagram of KEY=VALUE lines to the socket in $NOTIFY_SOCKET. Without that
 * variable nobody listens, and every call does nothing. So a program works the same under systemd,
 * under another manager, in a container and in a terminal.
 *
 * Not libsystemd: for one datagram it would bring seven more shared libraries into the process.
 *
 * The watchdog is fed from the program's main loop, and from nowhere else: silence means that the
 * loop does not turn. The manager then ends the program and starts it again.
 *
 * All functions but notify_init take NULL: nobody listens then either.
 *
 * Messages about the state wait up to a second for a manager that is slow. The others do not wait,
 * since they come again.
 *
 * Owns     a datagram socket.
 * Units    nanoseconds of the monotonic clock.
 * Errors   what cannot be sent is lost, as nobody could be told.
 * Threads  one.
 */
#ifndef SPN_NOTIFY_H
#define SPN_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

enum { NOTIFY_STATUS_MAX = 256, NOTIFY_STATUS_EVERY_MS = 5000 };

struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    unsigned address_size;
    uint64_t watchdog_ns; /* silence that the manager bears; 0: it has no watchdog */
    uint64_t fed_ns;      /* when the watchdog was fed last */
    uint64_t extended_ns; /* when more time for the start was asked for last; 0: never */
    uint64_t status_ns;   /* when the status was sent last; 0: never */
    char status[NOTIFY_STATUS_MAX];
};

#define NOTIFY_INIT                                                                                \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID. */
void notify_init(struct notify *notify);
void notify_release(struct notify *notify);

/* The program serves; also the end of a reload. */
void notify_ready(struct notify *notify);
/* It reads its configuration again. notify_ready must follow, whatever becomes of that. */
void notify_reloading(struct notify *notify);
/* It ends. */
void notify_stopping(struct notify *notify);

/* The start takes longer: this much from now on. */
void notify_extend(struct notify *notify, uint64_t more_ns);
/* The same for work that makes progress: call it after each part. Asks for NOTIFY_PART_MS at a
 * time, and again after a quarter of it. */
enum { NOTIFY_PART_MS = 60000 };
void notify_progress(struct notify *notify, uint64_t now_ns);

/* A line for people. Sent if it is another one than the last, every NOTIFY_STATUS_EVERY_MS at most.
 */
void notify_status(struct notify *notify, uint64_t now_ns, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* When the loop has to turn next for the watchdog; UINT64_MAX: there is none. */
uint64_t notify_due_ns(const struct notify *notify);
/* Feeds the watchdog if that is due. Call it once in each turn of the loop. */
void notify_turn(struct notify *notify, uint64_t now_ns);
/* Leaves the feeding out that is due: something else than the loop hangs. */
void notify_starve(struct notify *notify, uint64_t now_ns);

#endif
