/* SPDX-License-Identifier: Apache-2.0 */
/* care_work: what the verbs share that work on a database as a whole: progress at a terminal,
 * signals that end the work cleanly, and exit codes.
 *
 * Owns     the handlers of SIGINT, SIGTERM and SIGHUP, from care_begin on.
 * Threads  one.
 */
#ifndef SPN_CLI_CARE_WORK_H
#define SPN_CLI_CARE_WORK_H

#include "care/care.h"

/* Begins to show progress, if stderr is a terminal, and to catch signals. doing: a word for the
 * line, borrowed. */
void care_begin(struct care *care, const char *doing);
/* Removes the line. */
void care_end(void);
/* Prints care->why; returns an exit code. */
int care_failed(const struct care *care, spn_err err);

/* "12.3 MB" for people. Returns ret_text. */
enum { CARE_SIZE_TEXT = 32 };
const char *care_size(uint64_t bytes, char ret_text[CARE_SIZE_TEXT]);

#endif
