/* SPDX-License-Identifier: Apache-2.0 */
/* rig: a daemon on storage that fails when it is told to.
 *
 * Starts sponsond with libfaults between it and its database, stores rules for it, and reads what
 * became of them. One rig serves one daemon after the other: the rule and its counts outlive them.
 *
 * Owns     the control file, which is in the stage's directory, and its mapping.
 * Errors   what cannot be done fails the test.
 * Threads  the test's main thread.
 */
#ifndef SPN_RIG_H
#define SPN_RIG_H

#include "faults.h"
#include "stage.h"

struct rig {
    struct stage *stage;
    struct faults_control *control;
    const char *control_path;
    const char *tape_path; /* NULL: nothing is recorded */
};

void rig_open(struct rig *rig, struct stage *stage);
void rig_close(struct rig *rig);

/* From the next start on, calls are recorded in this file of the stage's directory. */
void rig_record(struct rig *rig, const char *name);

/* Puts the library under a daemon that is to be started. */
void rig_under(const struct rig *rig, struct stage_daemon *options);
/* For a variable more: "FAULTS_HWM=1". */
void rig_add_word(struct stage_daemon *options, const char *word);

/* The rule from now on; calls are counted from zero. */
void rig_arm(struct rig *rig, const struct faults_rule *rule);
void rig_clear(struct rig *rig);

uint64_t rig_hits(const struct rig *rig);
uint64_t rig_calls(const struct rig *rig); /* made since rig_open */
/* Waits until a call is held by a delay. */
void rig_wait_held(const struct rig *rig);

#endif
