/* SPDX-License-Identifier: Apache-2.0 */
/* other_pid: LMDB locks by process id, and the daemon in another container may have the same one:
 * usually both are 1. So whoever is refused goes on as a child, which has another one.
 *
 * Owns     in the parent, which only waits: its signals, which it hands on.
 * Threads  one; no other may exist.
 */
#ifndef SPN_CLI_OTHER_PID_H
#define SPN_CLI_OTHER_PID_H

#include <stdbool.h>

#include "spn_err.h"

/* After a database could not be opened, with its error and errno, for the tries-th time, from 0 on.
 * True: this is a child now, and the database is to be opened again. The parent never returns: it
 * ends with the child's exit code. False: another reason, or too many tries. */
bool other_pid_take(spn_err err, int tries);

#endif
