/* SPDX-License-Identifier: Apache-2.0 */
/* child: a program that is spoken to in lines.
 *
 * Owns     its process and the two pipes; child_end kills what is left of it.
 * Errors   what the machine cannot do ends the process with words.
 * Threads  one.
 */
#ifndef CONFORMANCE_CHILD_H
#define CONFORMANCE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
    const char *name; /* stands before its lines in the trace */
    pid_t pid;
    int in_fd;  /* what it reads */
    int out_fd; /* what it writes; -1: it closed that */
    char *text; /* received */
    size_t size, room;
    size_t taken; /* as lines */
};

void child_start(struct child *child, const char *name, char *const *arguments);
/* A monotonic clock. */
uint64_t child_now_ms(void);
void child_write(struct child *child, const char *line);
/* The next whole line, without its end, valid until the next call. Meanwhile `other` (may be NULL)
 * is read too, so that it is never kept waiting. NULL: none in time, or it ended. */
const char *child_line(struct child *child, struct child *other, int timeout_ms);
/* Whether a line that was not taken yet begins with these words. Does not wait. */
bool child_wrote(struct child *child, const char *words);
/* Waits for its end. The exit code, or 128 and the signal's number; -1: it had to be killed. */
int child_end(struct child *child, int timeout_ms);

#endif
