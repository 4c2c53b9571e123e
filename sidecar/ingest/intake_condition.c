/* SPDX-License-Identifier: Apache-2.0 */
/* intake_condition: decides whether the conditions of an entry hold.
 *
 * They are compared with the session as the entries before it leave it, in the same batch or an
 * earlier one, durable or not. So the results of such entries wait until they are durable.
 */
#include "ingest/intake_base.h"

uint32_t intake_find(const struct intake *intake, uint32_t i)
{
    const struct sessions *sessions = &intake->state->sessions;
    uint32_t slot = intake->slots[i];
    if (slot != SLOT_NONE)
        return slot;
    enum sessions_found found =
        sessions_find(sessions, intake->entries[i].session, intake->hashes[i], &slot);
    return found == SESSIONS_HOT ? slot : SLOT_NONE;
}

struct tracker *intake_tracker(const struct intake *intake, uint32_t slot)
{
    return slot != SLOT_NONE ? intake->state->sessions.slots[slot].tracker : NULL;
}

spn_err intake_make_slot(struct intake *intake, uint32_t i, uint32_t *ret_slot)
{
    return *ret_slot != SLOT_NONE
               ? SPN_OK
               : sessions_add(&intake->state->sessions, intake->entries[i].session,
                              intake->hashes[i], ret_slot);
}

bool intake_is_decisive(const struct wire_entry *entry)
{
    return (entry->flags & (WIRE_FLAGS_CONDITIONS | WIRE_FLAG_CLOSES)) != 0;
}

/* Damage may have taken the life of a session that was given up: then nobody can say that it has
 * another one, and whoever means it may delete it. */
static spn_err check_life(const struct tracker *tracker, bool exists, struct spn_life life)
{
    if (!exists)
        return SPN_E_UNKNOWN_SESSION;
    bool lost = tracker->damaged && !wire_has_life(tracker->life);
    return lost || wire_same_life(life, tracker->life) ? SPN_OK : SPN_E_OTHER_LIFE;
}

/* A session that does not exist has no event: its newest seq is 0. That of one that was given up is
 * not known. */
static spn_err check_seq(const struct tracker *tracker, bool exists, uint64_t seq)
{
    if (!exists)
        return seq == 0 ? SPN_OK : SPN_E_UNKNOWN_SESSION;
    if (tracker->damaged)
        return SPN_E_CORRUPT;
    return seq == tracker->seq ? SPN_OK : SPN_E_CONDITION;
}

spn_err intake_check_conditions(const struct taking *taking, const struct wire_entry *entry,
                                const struct tracker *tracker)
{
    bool exists = tracker && tracker->epoch != 0;
    spn_err err = SPN_OK;
    if (tracker && tracker->damaged && entry->kind != WIRE_DELETE)
        return SPN_E_CORRUPT;
    if ((entry->flags & WIRE_FLAG_DEPENDS) != 0 && taking->producer &&
        producer_may_have_refused(taking->producer, entry->depends))
        return SPN_E_DEPENDENT;
    if ((entry->flags & WIRE_FLAG_NEW) != 0 && exists)
        return SPN_E_CONDITION;
    if ((entry->flags & WIRE_FLAG_LIFE) != 0)
        err = check_life(tracker, exists, entry->life);
    if (err == SPN_OK && (entry->flags & WIRE_FLAG_SEQ) != 0)
        err = check_seq(tracker, exists, entry->seq);
    return err;
}
