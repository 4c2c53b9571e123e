/* SPDX-License-Identifier: Apache-2.0 */
/* session_json: a session's properties as a JSON object, the same in `sessions` and `info`. */
#ifndef SPN_CLI_SESSION_JSON_H
#define SPN_CLI_SESSION_JSON_H

#include "cli/cli.h"

/* Its keys, as --help lists them. */
#define SESSION_JSON_KEYS                                                                          \
    "session, state, epoch, life, seq, markers, position, bytes, duplicates, conflicts, "          \
    "last_event_id, opened, last, reason (of a closed one), content_type, ttl_ms (its own), "      \
    "idle_close_ms"

/* Unknown properties are null: for a session that was given up, all except its name and state.
 * info: its retained events, and its note, which add the keys first_seq, retained, retained_markers
 * and note; NULL: not known. Returns NULL: out of memory. */
json_t *session_json(const struct spn_session *session, const struct spn_session_info *info);

#endif
