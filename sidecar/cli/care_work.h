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

/* Begins to show progress, if stderr is a terminal, and to catch signals. */
void care_begin(struct care *care);
/* Removes the line. */
void care_end(void);
/* Prints care->why; returns an exit code. */
int care_failed(const struct care *care, spn_err err);

#endif
