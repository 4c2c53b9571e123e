/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static uint64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_boot_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

uint64_t clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / MS;
}

/* -- which boot -------------------------------------------------------------------------------- */

static int hex_of(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit ? strchr(digits, digit) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Reads 32 hex digits with dashes between them. Anything else gives all zeros. */
static void parse_boot_id(const char *text, uint8_t *ret_id)
{
    size_t digits = 0;
    memset(ret_id, 0, CLOCK_BOOT_ID_SIZE);
    for (; *text && digits < (size_t)2 * CLOCK_BOOT_ID_SIZE; text++) {
        int value = hex_of(*text);
        if (value < 0)
            continue;
        ret_id[digits / 2] = (uint8_t)(ret_id[digits / 2] << 4 | value);
        digits++;
    }
    if (digits < (size_t)2 * CLOCK_BOOT_ID_SIZE)
        memset(ret_id, 0, CLOCK_BOOT_ID_SIZE);
}

static void read_boot_id(uint8_t *ret_id)
{
    char text[64] = {0};
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, text, sizeof(text) - 1) < 0)
            text[0] = '\0';
        close(fd);
    }
    parse_boot_id(text, ret_id);
}

struct clock_moment clock_now(void)
{
    struct clock_moment now = {.wall_ms = clock_wall_ms(), .boot_ns = clock_boot_ns()};
    read_boot_id(now.boot_id);
    return now;
}

uint64_t clock_database_ns(const struct clock *clock)
{
    return clock->database_base_ns + (clock->boot_ns() - clock->started_ns);
}
