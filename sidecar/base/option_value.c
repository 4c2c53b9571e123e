/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option_value.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void option_fail(const char *option, const char *value, const char *why)
{
    (void)fprintf(stderr, "%s: --%s %s: %s\n", program_invocation_short_name, option, value, why);
    exit(OPTION_EXIT_USAGE);
}

uint64_t option_number(const char *option, const char *value, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(value, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (shift > 0)
        end++;
    if (end == value || *end != '\0' || value[0] == '-')
        option_fail(option, value, "not a whole number");
    if (errno == ERANGE || parsed > UINT64_MAX >> shift)
        option_fail(option, value, "too large");
    uint64_t result = (uint64_t)parsed << shift;
    if (result < least || result > most) {
        char why[96];
        (void)snprintf(why, sizeof(why), "must be from %llu to %llu", (unsigned long long)least,
                       (unsigned long long)most);
        option_fail(option, value, why);
    }
    return result;
}

uint64_t option_duration_ms(const char *option, const char *value, uint64_t most_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(value, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (end != value && value[0] != '-' && strcmp(end, units[i].unit) == 0) {
            if (errno == ERANGE || parsed > most_ms / units[i].ms)
                option_fail(option, value, "is too long");
            return (uint64_t)parsed * units[i].ms;
        }
    option_fail(option, value, "not a time such as 500ms, 90s, 30m, 12h or 7d");
}

void option_path(const char *option, const char *value, char *ret_path)
{
    if (value[0] == '\0')
        option_fail(option, "\"\"", "is empty");
    if (strlen(value) >= PATH_MAX)
        option_fail(option, value, "path is too long");
    (void)snprintf(ret_path, PATH_MAX, "%s", value);
}

mode_t option_mode(const char *option, const char *value)
{
    char *end;
    unsigned long parsed = strtoul(value, &end, 8);
    if (value[0] == '-' || end == value || *end != '\0' || parsed > 0777)
        option_fail(option, value, "not an octal mode from 0 to 777");
    return (mode_t)parsed;
}

gid_t option_group(const char *option, const char *value)
{
    const struct group *found = getgrnam(value); /* NOLINT(concurrency-mt-unsafe) */
    size_t size = strlen(value);
    if (found != NULL)
        return found->gr_gid;
    if (size == 0 || strspn(value, "0123456789") != size)
        option_fail(option, value, "no such group");
    return (gid_t)option_number(option, value, 0, (gid_t)-1 - UINT64_C(1));
}
