/* SPDX-License-Identifier: Apache-2.0 */
/* help: what the command line says of itself: wrong options with the right ones, and examples.
 *
 * Owns     nothing.
 * Threads  one.
 */
#ifndef SPN_CLI_HELP_H
#define SPN_CLI_HELP_H

#include <argp.h>
#include <stdbool.h>

/* Checks that the options are ones of argp or its children, and have values where they need them. A
 * wrong one is a usage error that names the option that was probably meant. in_order: only those
 * before the first word. Turns -h into --help. */
void help_check_options(const struct argp *argp, int argc, char **argv, bool in_order);

/* Ends the program with the verb that was probably meant. names: of all verbs. */
_Noreturn void help_unknown_verb(const char *typed, const char *const *names, size_t count);

/* A help_filter for argp, which adds the examples of the current verb (examples.h). */
char *help_filter(int key, const char *text, void *input);

#endif
