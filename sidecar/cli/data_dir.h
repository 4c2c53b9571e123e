/* SPDX-License-Identifier: Apache-2.0 */
/* data_dir: finds the database on this host and opens it for reading.
 *
 * Owns     nothing; the journal is the caller's.
 * Threads  one.
 */
#ifndef SPN_CLI_DATA_DIR_H
#define SPN_CLI_DATA_DIR_H

#include "store/journal.h"

#define DATA_DIR_HELP                                                                              \
    "directory of the database (default: $SPONSON_DATA_DIR; if that is not set, the first of "     \
    "/var/lib/sponson and $XDG_DATA_HOME/sponson, by default ~/.local/share/sponson, that has a "  \
    "database)"

enum { DATA_DIR_PATH_SIZE = 4096 };

/* Finds the directory without opening the database: ret_path is given, the environment's, or the
 * first that has a database. Prints what went wrong; returns an exit code. */
int data_dir_find(const char *given, char ret_path[DATA_DIR_PATH_SIZE]);

/* given: from the command line, or NULL. Prints what went wrong; returns an exit code. *ret_whole:
 * false if the file was cut. That is printed, too: not everything can be read. */
int data_dir_open(const char *given, struct journal **ret_journal, bool *ret_whole);

#endif
