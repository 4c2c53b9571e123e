/* SPDX-License-Identifier: Apache-2.0 */
/* top_screen: the pages of `sponson top` on the whole terminal, and its keys.
 *
 * Owns     the terminal, during the call.
 * Threads  one.
 */
#ifndef SPN_CLI_TOP_SCREEN_H
#define SPN_CLI_TOP_SCREEN_H

#include "cli/top.h"

/* Returns when a person quits, with an exit code. */
int top_screen_run(struct top *top, struct top_choice *choice, int interval_ms);

#endif
