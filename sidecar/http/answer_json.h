/* SPDX-License-Identifier: Apache-2.0 */
/* answer_json: what became of the events of a POST, and the answer that says it.
 *
 *     {"stored":3,"duplicates":0,"conflicts":0,"refused":1,"lost":0,"last_id":"7","last_seq":7,
 *      "life":"...","refusals":[{"event":3,"result":"refused","code":"SPN_E_CLOSED"}]}
 *
 * What is not known to be on disk is not called stored: at level accepted the first key is
 * "accepted", at level none "sent". Conflicts and losses are listed with the refusals. The first
 * few are listed; "refusals_omitted" counts the others. "unfinished" is true if the body, an event
 * stream, ended inside an event: that one was dropped.
 *
 * Owns     the last id.
 * Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_ANSWER_JSON_H
#define SPN_HTTP_ANSWER_JSON_H

#include "sponson.h"

#include "base/out.h"

enum { ANSWER_REFUSALS_MAX = 16 };

struct answer_refusal {
    uint64_t event; /* the first event of the body is 0 */
    spn_result result;
    spn_err code;
};

struct answer_json {
    spn_level level;
    uint64_t counts[SPN_LOST + 1]; /* by result */
    struct answer_refusal refusals[ANSWER_REFUSALS_MAX];
    uint64_t refusals_count; /* listed or not */
    struct out last_id;      /* of the newest that was stored, or was there already */
    uint64_t last_seq;       /* 0: not known */
    struct spn_life life;    /* zeros: not known */
    bool is_cut;
};

void answer_json_init(struct answer_json *answer, spn_level level);
void answer_json_release(struct answer_json *answer);

/* An event of the body has ended. At level none: it was sent. id: its id, which is the last one if
 * it was stored or is a duplicate; it may be empty. */
void answer_json_count(struct answer_json *answer, uint64_t event, spn_result result, spn_err code,
                       struct spn_bytes id);

/* Appends the answer. */
void answer_json_write(const struct answer_json *answer, struct out *out);

#endif
