/* SPDX-License-Identifier: Apache-2.0 */
/* option_value: the values of a program's options.
 *
 * A value that is wrong is reported on stderr, with the program, the option and the value, and ends
 * the program with exit code 2. So these are only for the start of a program.
 *
 * Owns     nothing.
 * Threads  the first one, while it is alone.
 */
#ifndef SPN_OPTION_VALUE_H
#define SPN_OPTION_VALUE_H

#include <stdint.h>
#include <sys/types.h>

enum { OPTION_EXIT_USAGE = 2 };

/* Ends the program: "sponsond: --option value: why". */
void option_fail(const char *option, const char *value, const char *why) __attribute__((noreturn));

/* Parses a whole number, with an optional K, M or G for powers of 1,024 after it. */
uint64_t option_number(const char *option, const char *value, uint64_t least, uint64_t most);

/* Parses a whole number with ms, s, m, h or d after it; without a unit it is in seconds. Returns
 * milliseconds. */
uint64_t option_duration_ms(const char *option, const char *value, uint64_t most_ms);

/* Copies a path, which must not be empty, into PATH_MAX bytes. */
void option_path(const char *option, const char *value, char *ret_path);

/* An octal mode, 0 to 777. */
mode_t option_mode(const char *option, const char *value);

/* The id of a group: its name, or else a number. (gid_t)-1, which means none, is not taken. */
gid_t option_group(const char *option, const char *value);

#endif
