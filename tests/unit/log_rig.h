/* SPDX-License-Identifier: Apache-2.0 */
/* log_rig: a journal with sessions in it, put together by hand.
 *
 * Does what broker and worker do together, in one thread and a step at a time: an event gets its
 * position, goes into the log and into the active generation; a generation is frozen and written.
 * Beside it every session has a plain list of its events and a tracker that lived through them:
 * what is found on disk and in generations is compared with those.
 *
 * Owns     a directory, the journal in it, generations, lists.
 * Errors   whatever fails fails the test.
 * Threads  one.
 */
#ifndef SPN_TESTS_LOG_RIG_H
#define SPN_TESTS_LOG_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/step.h"
#include "index/view.h"
#include "index/generation.h"
#include "store/journal.h"
#include "state/tracker.h"
#include "wire.h"

enum {
    RIG_PATH_MAX = 256,
    RIG_TEXT_MAX = 32,
    RIG_LIVES_MAX = 8,
    RIG_MAP_BYTES = 256 * 1024 * 1024
};

#define RIG_REASON "error" /* of every close */

struct rig_event {
    uint64_t position;
    uint64_t bytes; /* of the session, up to and with it */
    bool durable;
    char id[RIG_TEXT_MAX];
    char data[RIG_TEXT_MAX];
};

struct rig_session {
    char name[RIG_TEXT_MAX];
    uint64_t epoch; /* 0: not opened */
    struct spn_life life;
    uint64_t seq_before; /* of a life that is opened: it came from elsewhere with so many */
    bool durable;        /* its opening is */
    uint64_t bytes;
    uint64_t closed_position;     /* 0: it is not */
    uint64_t activity_position;   /* of the newest entry of any kind */
    uint32_t attributes;          /* the number of its attributes: rig_attributes_of; 0: none */
    uint64_t dead[RIG_LIVES_MAX]; /* epochs of lives that were deleted */
    size_t dead_count;
    struct session session; /* its places in generations, as the broker keeps them */
    struct tracker *tracker;
    struct rig_event *events;
    size_t count;
    size_t room;
};

struct rig {
    char dir[RIG_PATH_MAX];
    struct journal *journal;
    struct rig_session *sessions; /* slot numbers are indices */
    uint32_t session_count;
    struct generation *active;
    struct generation *frozen; /* NULL: none */
    uint64_t next_position;
    bool lagging;             /* what comes now is not written to the log */
    bool writing;             /* a transaction is open */
    uint64_t (*now_ns)(void); /* the time of entries; NULL: rig_time_ns of their positions */
};

/* window_max: of the trackers. Names are unique, of several lengths, and not in order. */
void rig_init(struct rig *rig, uint32_t session_count, uint16_t window_max);
void rig_release(struct rig *rig); /* and removes the directory; a second time does nothing */

void rig_open(struct rig *rig);
void rig_close(struct rig *rig); /* as a crash does: without finishing anything */

/* The database as it is now, to come back to. Closes the journal; rig_restore opens it. */
void rig_save(struct rig *rig);
void rig_restore(struct rig *rig);

struct spn_bytes rig_text(const char *text);
struct spn_bytes rig_name(const struct rig *rig, uint32_t session);
struct fingerprint rig_fingerprint(const struct rig *rig, const char *id);
uint32_t rig_tag(const struct rig *rig, const char *data); /* of an event without a type */
struct spn_life rig_life(uint64_t epoch);
uint64_t rig_time_ns(uint64_t position); /* of the entry there */
uint64_t rig_wall_ms(uint64_t position);

/* Into the open transaction, which is begun when there is none. */
void rig_open_session(struct rig *rig, uint32_t session);
/* Opens the session first if need be. id, data: NULL: made up, unique. An id that the window knows
 * is only counted, as in the broker. */
void rig_event(struct rig *rig, uint32_t session, const char *id, const char *data);
void rig_events(struct rig *rig, uint32_t session, size_t count);
/* Gives it the attributes of this number, which says all of them; opens it if need be. */
void rig_put_attributes(struct rig *rig, uint32_t session, uint32_t number);
struct wire_attributes rig_attributes_of(uint32_t number);
void rig_touch(struct rig *rig, uint32_t session);
/* Closes it with an event. */
void rig_closing_event(struct rig *rig, uint32_t session);
/* Closes, deletes or expires it. A deleted one is as if it had never been, but for its epoch. */
void rig_end(struct rig *rig, uint32_t session, enum record_kind kind);
/* Attributes or a touch of it. data: of attributes. */
void rig_note(struct rig *rig, uint32_t session, enum record_kind kind, struct spn_bytes data);
void rig_commit(struct rig *rig);
/* The rule, in a transaction of its own. */
void rig_retain(struct rig *rig, struct retention rule);

/* The active generation becomes the frozen one; there must be none. */
void rig_freeze(struct rig *rig);
void rig_drop_frozen(struct rig *rig);
/* Writes the frozen one as the next segment, in one transaction. */
void rig_write_frozen(struct rig *rig);
/* Its first steps only, a transaction each; false: it needed fewer. */
bool rig_write_some(struct rig *rig, size_t steps);
/* Its first steps, until the session's row is written; then it stays unfinished. */
void rig_write_up_to_row(struct rig *rig, uint32_t session);

/* What the broker would tell the reader. Release it. */
void rig_view(struct rig *rig, uint32_t session, struct view *ret_view);

/* A step by a clock that stands at 0: over as soon as the clock is read, or never. */
struct step *rig_step(bool short_one);

/* All of names, rows, blocks, segments and meta as text, to be compared. Free it. */
char *rig_dump(struct rig *rig);

#endif
