/* SPDX-License-Identifier: Apache-2.0 */
/* option_value: the values of a program's options.
 *
 * option_read_* returns false for a value that is wrong, and writes the reason. option_number and
 * option_fail report it on stderr, with the program, the option and the value, and end the program
 * with exit code 2: these are only for the start of a program.
 *
 * Owns     nothing.
 * Threads  any for option_read_*, but only one at a time for groups.
 */
#ifndef SPN_OPTION_VALUE_H
#define SPN_OPTION_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    OPTION_EXIT_USAGE = 2,
    OPTION_WHY_SIZE = 96, /* bytes of a reason */
};

/* Ends the program: "sponsond: --option value: why". */
void option_fail(const char *option, const char *value, const char *why) __attribute__((noreturn));

/* Parses a whole number, with an optional K, M or G for powers of 1,024 after it. */
bool option_read_number(const char *value, uint64_t least, uint64_t most, uint64_t *ret_number,
                        char *ret_why);
uint64_t option_number(const char *option, const char *value, uint64_t least, uint64_t most);

/* Parses a whole number with ms, s, m, h or d after it; without a unit it is in seconds. Returns
 * milliseconds. */
bool option_read_duration_ms(const char *value, uint64_t most_ms, uint64_t *ret_ms, char *ret_why);

/* A path: not empty, and shorter than PATH_MAX. */
bool option_read_path(const char *value, char *ret_why);

/* An octal mode, 0 to 777. */
bool option_read_mode(const char *value, mode_t *ret_mode, char *ret_why);

/* The id of a group: its name, or else a number. (gid_t)-1, which means none, is not taken. */
bool option_read_group(const char *value, gid_t *ret_group, char *ret_why);

#endif
