/* SPDX-License-Identifier: Apache-2.0 */
/* body_run: a body fed in pieces, and what came of it as text, so that two runs can be compared. */
#ifndef SPN_TESTS_BODY_RUN_H
#define SPN_TESTS_BODY_RUN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/body.h"

/* A seed: byte by byte, and the body pauses after each. */
#define BODY_RUN_PAUSING UINT32_MAX

/* 0: whole; 1: byte by byte; otherwise by chance. */
static inline size_t body_run_piece(uint32_t *seed, size_t left)
{
    if (*seed < 2)
        return *seed == 0 ? left : 1;
    *seed = (*seed * 1664525 + 1013904223) | 2;
    size_t piece = 1 + ((*seed >> 24) < 200 ? (*seed >> 16) % 5 : (*seed >> 16) % 300);
    return piece < left ? piece : left;
}

static inline void body_run_bytes(struct out *log, const char *name, struct spn_bytes bytes)
{
    out_text(log, name);
    out_put(log, bytes.data, bytes.size);
}

static inline void body_run_event(struct out *log, bool is_last, const struct spn_event *event)
{
    out_text(log, event->kind == SPN_EVENT    ? "event"
                  : event->kind == SPN_MARKER ? "marker"
                                              : "reset");
    body_run_bytes(log, " id=", event->id);
    body_run_bytes(log, " type=", event->type);
    body_run_bytes(log, " data=", event->data);
    if (event->retry_ms != SPN_RETRY_NONE) {
        out_text(log, " retry=");
        out_number(log, event->retry_ms);
    }
    if (event->resets_id)
        out_text(log, " resets");
    if (is_last)
        out_text(log, " last");
    out_text(log, "\n");
}

typedef void body_run_look(const struct spn_event *event);

static inline enum body_found body_run_take(struct body *body, const struct body_options *options,
                                            struct out *log, body_run_look *look,
                                            struct problem *problem)
{
    const struct spn_event *event;
    enum body_found found;
    while ((found = body_next(body, &event, problem)) == BODY_EVENT) {
        body_run_event(log, options->holds_last && body_is_last(body), event);
        if (look)
            look(event);
    }
    return found;
}

/* Each piece lies in memory of exactly its size, which is gone before the events are taken. */
static inline bool body_run_feed(struct body *body, const struct body_options *options,
                                 struct spn_bytes bytes, uint32_t seed, struct out *log,
                                 body_run_look *look, struct problem *problem)
{
    const char *from = bytes.data;
    size_t piece = 0;
    bool pauses = seed == BODY_RUN_PAUSING;
    if (pauses)
        seed = 1;
    for (size_t at = 0; at < bytes.size;) {
        size_t used = 0;
        if (piece == 0)
            piece = body_run_piece(&seed, bytes.size - at);
        char *copy = malloc(piece > 0 ? piece : 1);
        if (!copy)
            abort();
        memcpy(copy, from + at, piece);
        bool fed = body_feed(body, copy, piece, &used, problem);
        free(copy);
        if (!fed)
            return false;
        if (pauses)
            body_let_go(body);
        if (body_run_take(body, options, log, look, problem) == BODY_BAD)
            return false;
        at += used;
        piece -= used;
    }
    return body_finish(body, problem) &&
           body_run_take(body, options, log, look, problem) == BODY_NONE;
}

/* One line for each event, and one for the end: "end", with "cut"; or status, code and detail. */
static inline void body_run(const struct body_options *options, struct spn_bytes bytes,
                            uint32_t seed, struct out *log, body_run_look *look)
{
    struct problem problem = {0};
    struct body *body = body_open(options, &problem);
    if (body && body_run_feed(body, options, bytes, seed, log, look, &problem)) {
        out_text(log, body_is_cut(body) ? "end cut\n" : "end\n");
    } else {
        out_number(log, problem.status);
        out_text(log, " ");
        out_text(log, problem.code);
        out_text(log, " ");
        out_text(log, problem.detail);
        out_text(log, "\n");
    }
    body_close(body);
}

#endif
