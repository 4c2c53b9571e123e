/* SPDX-License-Identifier: Apache-2.0 */
/* ds_writing: what the requests that change a Durable Stream have in common.
 *
 * Each is decided by what the stream is: its end, whether it is closed, who has appended what. So
 * it takes its turn, looks, decides, and makes a change that holds only if the stream is still
 * as it was. If it is not, since another gateway changed it, the request looks again:
 *
 *     body -> turn -> look -> (learn ->) change -> done
 *                      ^                            |
 *                      +---------- again -----------+
 *
 * The id of the event stays the same, and so does the result: a change that was made, and whose
 * answer was lost, is found again by it. For the same reason an append or a deletion is tried on
 * one life of the stream alone: if that is gone, nobody knows any more whether it was carried out
 * there. Nor if the event's place is no longer retained: then it is not made again, either.
 *
 * Owns     the body, its questions, its subscription.
 * Borrows  the gateway; the request's headers, which live as long as the exchange.
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_WRITING_H
#define SPN_HTTP_DS_WRITING_H

#include "http/ds/state.h"
#include "http/ds/stream.h"
#include "http/gateway.h"

enum { DS_ID_SIZE = 32, DS_CLOSED_SIZE = sizeof(DS_STREAM_CLOSED) - 1 };

struct ds_writing;

struct ds_writing_calls {
    /* The body has come. False: the request was answered. NULL: nothing to do. */
    bool (*check)(struct ds_writing *writing);
    /* What is there now is in writing->stream. */
    void (*look)(struct ds_writing *writing, enum ds_presence presence);
    /* writing->turn.state knows the stream up to its newest event. */
    void (*know)(struct ds_writing *writing);
    /* The change was made, or refused. */
    void (*done)(struct ds_writing *writing, const struct spn_published *published);
};

struct ds_writing {
    const struct ds_writing_calls *calls;
    struct waiter waiter;
    struct taker taker;
    struct ds_turn turn;
    struct link link; /* among the gateway's publishers */
    struct gateway *gateway;
    struct exchange *exchange;
    spn_question *info;   /* `stream` borrows from its answer */
    spn_question *change; /* NULL: none is under way */
    spn_subscription *subscription;
    struct ds_stream stream;
    unsigned tries;
    struct out body;
    struct memory_share share; /* of it, and of the event that is made of it */
    uint64_t taken;            /* bytes of it, also of those that are dropped */
    bool is_too_large;         /* it is dropped; so with the next */
    bool has_no_room;
    struct spn_bytes data;   /* of the body: what is appended */
    bool has_changed;        /* a change was asked for, and may have been made: ... */
    struct spn_life changed; /* ... to the stream with this life, ... */
    uint64_t changed_after;  /* ... after this seq */
    bool was_seen;           /* which event follows that seq; ... */
    uint64_t found;          /* ... it is this one, with this seq; 0: it is another one */
    bool is_publishing;      /* the change is the event */
    bool closes;
    struct ds_note note;
    struct ds_config config;
    char id[DS_CLOSED_SIZE + DS_ID_SIZE]; /* DS_STREAM_CLOSED and one that is drawn */
    struct spn_bytes session;
    char name[];
};

/* NULL: no memory; the exchange was answered. The exchange frees it when it is over. */
struct ds_writing *ds_writing_begin(struct gateway *gateway, struct exchange *exchange,
                                    struct spn_bytes session, const struct ds_writing_calls *calls);

/* What nobody else has: this, and the id of the event, which is the same unless it only closes. */
struct spn_bytes ds_writing_id(const struct ds_writing *writing);
struct spn_bytes ds_writing_event_id(const struct ds_writing *writing);
/* Whether it closes the stream without data. */
bool ds_writing_only_closes(const struct ds_writing *writing);

/* Steps: each ends with one of the calls. One more is in ds/learn.h. */
void ds_writing_look(struct ds_writing *writing);
/* Whether the stream that a change was asked for is not there any more. */
bool ds_writing_is_gone(const struct ds_writing *writing, enum ds_presence presence);
/* Appends writing->data, if the stream is as writing->stream has it. */
void ds_writing_publish(struct ds_writing *writing);
/* The same for other changes: err is that of the call which set writing->change. */
void ds_writing_asked(struct ds_writing *writing, spn_err err);

/* The change was refused. Looks again, if the stream is not as it was; otherwise answers why. */
void ds_writing_again(struct ds_writing *writing, spn_err code);

/* After each call in which something may have been decided: who is answered leaves its turn. */
void ds_writing_settle(struct ds_writing *writing);

void ds_writing_refuse(struct ds_writing *writing, unsigned status, spn_err err,
                       const char *detail);

/* The messages of a JSON body, or the body. False: it is no JSON, and was answered. */
bool ds_writing_read_body(struct ds_writing *writing, struct spn_bytes content_type);

#endif
