/* SPDX-License-Identifier: Apache-2.0 */
/* machine: describes the machine on which figures were taken; without it they mean nothing.
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
    char cpu[MACHINE_TEXT_SIZE];    /* the model; "unknown" if /proc/cpuinfo has none */
    char kernel[MACHINE_TEXT_SIZE]; /* "Linux 6.1.0 x86_64" */
};

void machine_look(struct machine *machine);

/* Finds the value of "key: value" in a text like /proc/cpuinfo: up to the end of the line, without
 * the blanks around it, cut to fit. False: there is no such line. */
bool machine_field(const char *text, const char *key, char ret_value[MACHINE_TEXT_SIZE]);

/* Reads the anonymous resident memory of a process, without the database's map. False: it is not
 * available. */
bool machine_rss_anon(pid_t pid, uint64_t *ret_bytes);

#endif
