/* SPDX-License-Identifier: Apache-2.0 */
/* delete_many: deletes all sessions that are picked, after a question.
 *
 * They are listed first, and the question says how many there are. Then exactly the lives that were
 * listed are deleted, many at a time. A session that was picked for its age is kept if an event
 * came meanwhile.
 *
 * Owns     the client, the producer and the list, during the call.
 * Threads  one.
 */
#ifndef SPN_CLI_DELETE_MANY_H
#define SPN_CLI_DELETE_MANY_H

#include "cli/cli.h"
#include "cli/session_pick.h"

struct delete_many {
    const struct cli_common *common;
    struct session_pick pick;
    bool dry_run; /* print the names, and delete nothing */
    bool yes;     /* do not ask */
};

/* Prints what went wrong; returns an exit code. */
int delete_many_run(const struct delete_many *many);

/* Asks at the terminal; question: without "[y/N]". Only "y" and "yes" are a yes. */
bool delete_asked(const char *question);

#endif
