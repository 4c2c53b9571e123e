/* SPDX-License-Identifier: Apache-2.0 */
/* session_json: what is known of a session as a JSON object, the same in `sessions` and `info`. */
#ifndef SPN_CLI_SESSION_JSON_H
#define SPN_CLI_SESSION_JSON_H

#include "cli/cli.h"

/* Its keys, as --help lists them. */
#define SESSION_JSON_KEYS                                                                          \
    "session, state, epoch, seq, markers, position, bytes, duplicates, conflicts, last_event_id, " \
    "opened, "                                                                                     \
    "last"

/* What is not known is null: all but the name and the state of a session that was given up.
 * info: what is retained of it, which adds the keys first_seq, retained and retained_markers; NULL:
 * not known. Returns NULL: out of memory. */
json_t *session_json(const struct spn_session *session, const struct spn_session_info *info);

#endif
