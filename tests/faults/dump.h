/* SPDX-License-Identifier: Apache-2.0 */
/* dump: what is on disk, told to a history.
 *
 * Runs `sponson dump --data-dir` and reads its lines as they come.
 *
 * Errors   a line that is no event fails the test. How the command ended is for the caller.
 * Threads  the test's main thread.
 */
#ifndef SPN_DUMP_H
#define SPN_DUMP_H

#include "history.h"

/* It printed far more than was ever sent, and was killed. */
enum { DUMP_ENDLESS = -2 };

/* The command's exit code, or DUMP_ENDLESS; what it said goes to error_path. */
int dump_into(struct history *history, const char *data_dir, const char *error_path);

#endif
