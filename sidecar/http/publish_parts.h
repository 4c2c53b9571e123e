/* SPDX-License-Identifier: Apache-2.0 */
/* publish_parts: what the files of a POST share; nobody else includes this.
 *
 *     publish.c         its body, and the events of that
 *     publish_answer.c  what it is answered with, and when
 *
 * Owns     nothing: see publish.h.
 * Threads  one.
 */
#ifndef SPN_HTTP_PUBLISH_PARTS_H
#define SPN_HTTP_PUBLISH_PARTS_H

#include "http/answer_json.h"
#include "http/change.h"
#include "http/publish.h"

enum {
    START_SIZE = sizeof("0123456789abcdef"),
    ID_SIZE = START_SIZE + sizeof("-18446744073709551615"),
};

struct post {
    struct waiter waiter;
    struct link link;
    struct gateway *gateway;
    struct exchange *exchange;
    struct spn_bytes session;
    struct spn_publish_options options;
    struct spn_life life; /* where options.life points to */
    spn_level level;
    struct lane *lane;
    enum body_kind kind;
    struct body *body;            /* NULL: it is not needed any more */
    struct memory_share share;    /* of the body; later of the question's event */
    bool has_no_room;             /* the body is dropped as it comes, and refused at its end */
    uint64_t dropped;             /* bytes of it */
    const struct spn_event *next; /* of the body; not published yet */
    struct tally *tally;
    uint64_t ticket; /* of the event before */
    bool has_finished;
    bool must_close;        /* the event before did not close the session: it was given before the
                               end was known, or is a marker */
    bool stops;             /* no more is taken of the body */
    bool is_ended;          /* the body knows that it is complete */
    bool is_taken;          /* all of its events are */
    struct change *change;  /* if the body is one event */
    char start[START_SIZE]; /* of the ids of events that have none; "": not drawn */
    char id[ID_SIZE];       /* of the next event, if it has none */
    struct out last_id;     /* of the newest event that was taken */
    struct answer_json results;
    char bytes[]; /* the session, the reason */
};

/* The body is not needed any more; what it held is given back. */
void post_drop_body(struct post *post);

/* If the POST has no answer yet, this is it. */
void post_refuse(struct post *post, const struct problem *problem);
void post_refuse_err(struct post *post, spn_err err);

void post_answer_if_done(struct post *post);

#endif
