/* SPDX-License-Identifier: Apache-2.0 */
/* replace_file: a file that others read at any time, written anew.
 *
 * A reader sees all of the old file or all of the new one, also after a power loss.
 *
 * Threads  any.
 */
#ifndef SPN_CLI_REPLACE_FILE_H
#define SPN_CLI_REPLACE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/out.h"

/* Writes text, whose descriptor is -1, to a temporary file beside path, "path.XXXXXX", and gives it
 * path's name when it is on disk. mode: of the file, whatever the umask is. False: see errno; the
 * temporary file is gone, and path is as it was, unless only its directory could not be synced:
 * then it has the new text, which a power loss may take. EEXIST: path is there, and is not a file:
 * a link, a directory, a device. */
bool replace_file(const char *path, struct out *text, mode_t mode);

#endif
