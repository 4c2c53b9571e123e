/* SPDX-License-Identifier: Apache-2.0 */
/* machine: what figures were taken on; without it they mean nothing.
 *
 * Owns     nothing; reads /proc.
 * Units    bytes.
 * Threads  any.
 */
#ifndef SPN_CLI_MACHINE_H
#define SPN_CLI_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { MACHINE_TEXT_SIZE = 128 };

struct machine {
    long cores;
    char cpu[MACHINE_TEXT_SIZE];    /* the model; "unknown" where /proc/cpuinfo names none */
    char kernel[MACHINE_TEXT_SIZE]; /* "Linux 6.1.0 x86_64" */
};

void machine_look(struct machine *machine);

/* The value of "key: value" in a text like /proc/cpuinfo, up to the end of the line, without the
 * blanks around it and cut to fit. False: there is no such line. */
bool machine_field(const char *text, const char *key, char ret_value[MACHINE_TEXT_SIZE]);

/* Anonymous resident memory of a process: the database's map is left out. False: not to be had. */
bool machine_rss_anon(pid_t pid, uint64_t *ret_bytes);

#endif
