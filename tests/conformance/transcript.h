/* SPDX-License-Identifier: Apache-2.0 */
/* transcript: a conversation as it is written down; README.md says how.
 *
 * Owns     its steps.
 * Errors   a file that cannot be read ends the process with words.
 * Threads  one.
 */
#ifndef CONFORMANCE_TRANSCRIPT_H
#define CONFORMANCE_TRANSCRIPT_H

#include "message.h"

enum { TRANSCRIPT_LINE_SIZE = 8192 };

enum step_kind {
    STEP_REMARK,
    STEP_TELL,    /* a line for the client */
    STEP_EXPECT,  /* a line from it */
    STEP_RESTART, /* of the sidecar */
    STEP_CLIENT,  /* the client's frame */
    STEP_SIDECAR,
};

/* Bytes that differ from run to run. With a name they are repeated: the same golden bytes under the
 * same name stand for the same value all over. */
struct mark {
    size_t at, size;
    char name[LAYOUT_NAME_SIZE];
};

struct step {
    enum step_kind kind;
    unsigned line;
    char *text; /* of a remark, or for the client and from it */
    enum socket socket;
    const struct layout *layout;
    bool lost; /* it is sent and does not arrive */
    struct bytes golden;
    struct mark *marks;
    size_t mark_count;
    struct message values; /* of the remarks */
};

struct transcript {
    struct step *steps;
    size_t count;
};

void transcript_read(struct transcript *transcript, const char *path);
void transcript_release(struct transcript *transcript);
void transcript_mark(struct step *step, size_t at, size_t size, const char *name);
/* Writes a step as it stands in a file. A frame is taken apart field by field. */
void transcript_write(FILE *file, const struct step *step);

#endif
