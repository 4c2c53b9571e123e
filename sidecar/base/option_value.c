/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option_value.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool because(char *ret_why, const char *why)
{
    (void)snprintf(ret_why, OPTION_WHY_SIZE, "%s", why);
    return false;
}

void option_fail(const char *option, const char *value, const char *why)
{
    (void)fprintf(stderr, "%s: --%s %s: %s\n", program_invocation_short_name, option, value, why);
    exit(OPTION_EXIT_USAGE);
}

bool option_read_number(const char *value, uint64_t least, uint64_t most, uint64_t *ret_number,
                        char *ret_why)
{
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(value, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (shift > 0)
        end++;
    if (end == value || *end != '\0' || strspn(value, "0123456789") == 0)
        return because(ret_why, "not a whole number");
    if (errno == ERANGE || parsed > UINT64_MAX >> shift)
        return because(ret_why, "too large");
    uint64_t result = (uint64_t)parsed << shift;
    if (result < least || result > most) {
        (void)snprintf(ret_why, OPTION_WHY_SIZE, "must be from %llu to %llu",
                       (unsigned long long)least, (unsigned long long)most);
        return false;
    }
    *ret_number = result;
    return true;
}

uint64_t option_number(const char *option, const char *value, uint64_t least, uint64_t most)
{
    char why[OPTION_WHY_SIZE];
    uint64_t number;
    if (!option_read_number(value, least, most, &number, why))
        option_fail(option, value, why);
    return number;
}

bool option_read_duration_ms(const char *value, uint64_t most_ms, uint64_t *ret_ms, char *ret_why)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(value, &end, 10);
    if (strspn(value, "0123456789") > 0)
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if (strcmp(end, units[i].unit) != 0)
                continue;
            if (errno == ERANGE || parsed > most_ms / units[i].ms)
                return because(ret_why, "is too long");
            *ret_ms = (uint64_t)parsed * units[i].ms;
            return true;
        }
    return because(ret_why, "not a time such as 500ms, 90s, 30m, 12h or 7d");
}

bool option_read_path(const char *value, char *ret_why)
{
    if (value[0] == '\0')
        return because(ret_why, "is empty");
    return strlen(value) < PATH_MAX || because(ret_why, "path is too long");
}

bool option_read_mode(const char *value, mode_t *ret_mode, char *ret_why)
{
    char *end;
    unsigned long parsed = strtoul(value, &end, 8);
    if (strspn(value, "01234567") == 0 || *end != '\0' || parsed > 0777)
        return because(ret_why, "not an octal mode from 0 to 777");
    *ret_mode = (mode_t)parsed;
    return true;
}

bool option_read_group(const char *value, gid_t *ret_group, char *ret_why)
{
    const struct group *found = getgrnam(value); /* NOLINT(concurrency-mt-unsafe) */
    size_t size = strlen(value);
    uint64_t number;
    if (found != NULL) {
        *ret_group = found->gr_gid;
        return true;
    }
    if (size == 0 || strspn(value, "0123456789") != size)
        return because(ret_why, "no such group");
    if (!option_read_number(value, 0, (gid_t)-1 - UINT64_C(1), &number, ret_why))
        return false;
    *ret_group = (gid_t)number;
    return true;
}
