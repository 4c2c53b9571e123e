/* SPDX-License-Identifier: Apache-2.0 */
/* script: the commands of the fake sidecar, one a line; README.md has the list.
 *
 * Owns     nothing: all state is the fake's.
 * Errors   a command that is not understood, and one whose expectation does not hold, fails with
 *          words.
 * Threads  one.
 */
#ifndef CONFORMANCE_SCRIPT_H
#define CONFORMANCE_SCRIPT_H

#include "fake.h"

enum script_outcome { SCRIPT_OK, SCRIPT_FAILED, SCRIPT_QUIT };

/* Carries out one line, which it changes. Blank lines and remarks are fine. */
enum script_outcome script_run(struct fake *fake, char *line, char ret_words[WORDS_SIZE]);

#endif
