/* SPDX-License-Identifier: Apache-2.0 */
/* stream: an event stream that is answered from a subscription: what the streams of a session and
 * of all sessions have in common.
 *
 *     WAITING -> BEHIND -> LIVE -> ENDING, or from any of them to ENDING
 *
 * An item is taken only when the socket can be written, and there is memory for its text. So a peer
 * that is slow slows nobody else down, and needs no more memory than its subscription's window and
 * one event. While streams wait for memory, those whose peers take nothing are cut sooner. The
 * answer may come in WAITING: then the sidecar is gone or the session does not exist yet, and the
 * stream is held.
 *
 * A stream that is live may be fed: it has no subscription of its own then, see feed.h.
 *
 * Owns     its subscription, and the text that is not written yet. The struct is its owner's, who
 *          frees it when `over` is called.
 * Borrows  the gateway.
 * Units    nanoseconds of the monotonic clock.
 * Threads  one.
 */
#ifndef SPN_HTTP_STREAM_H
#define SPN_HTTP_STREAM_H

#include "http/limits.h"

enum stream_phase {
    STREAM_WAITING, /* there is no verdict yet */
    STREAM_BEHIND,  /* what was the newest at the verdict has not come yet */
    STREAM_LIVE,
    STREAM_ENDING, /* the answer ends after its text */
};

struct stream;

struct stream_calls {
    /* Adds the headers of the answer, and puts its first text. NULL: those of a session's stream.
     */
    void (*open)(struct stream *stream);
    /* Puts an item into the text, or ends the stream. */
    void (*take)(struct stream *stream, const struct spn_item *item);
    /* There is no such session, and the time to wait for it is over: stream_end_for follows. */
    void (*give_up)(struct stream *stream);
    /* It is in no feed any more: see feed_next. NULL: it is never in one. */
    void (*left)(struct stream *stream, spn_err why);
    /* The exchange is over. */
    void (*over)(struct stream *stream);
};

/* Names are used only during stream_begin. */
struct stream_options {
    struct spn_bytes session; /* size 0: the stream is not of one session */
    struct spn_bytes token;   /* size 0: none was needed */
    bool comments;            /* events of our own are comments */
    bool refuses;             /* of one too many: 429, instead of a stream that ends at once */
    uint64_t expires_s;       /* the token's end, in seconds since 1970; 0: none */
    uint64_t key_mark;        /* of the token's key; see keys_have; 0: none */
    uint64_t age_ns;          /* the stream ends after so long; 0: as the gateway's option has it */
};

struct stream {
    const struct stream_calls *calls;
    struct stream_options options;
    struct waiter waiter;
    struct taker taker;
    struct link link;
    struct gateway *gateway;
    struct exchange *exchange;
    spn_subscription *subscription; /* NULL: none, or it is fed */
    struct feed_member member;
    struct limits_seat seat;
    struct memory_share share;
    enum stream_phase phase;
    enum counts_end why; /* it ended; END_PEER: it has not */
    bool is_open;        /* counted among those that were opened */
    bool has_text;
    struct feed_block *block; /* of the feed: on its way to the socket; NULL: none */
    struct out text;          /* the same, after the block */
    size_t written;           /* of the block; without one, of the text */
    uint64_t events;          /* in it */
    uint64_t time_ms;         /* of the first of them, if the stream is live */
    uint64_t opened_ns;
    uint64_t written_ns; /* when something was last written, or there was something to write again
                          */
    uint64_t expires_ns; /* 0: never */
    uint64_t give_up_ns; /* when it ends because there is no such session; 0: never */
};

/* The exchange is the stream's from now on. False: there are too many, and it ends. */
bool stream_begin(struct stream *stream, struct gateway *gateway, struct exchange *exchange,
                  const struct stream_calls *calls, const struct stream_options *options);

/* Takes its items from this subscription, which is the stream's, and from no other. */
void stream_follow(struct stream *stream, spn_subscription *subscription);

/* Everything up to this cursor was taken from the subscription, and the stream is live: it may
 * share a feed with others. */
void stream_share(struct stream *stream, struct spn_bytes session, const struct spn_life *life,
                  uint64_t seq);

/* How long to wait for the session. */
void stream_give_up_after(struct stream *stream, uint64_t after_ns);

/* Answers with the stream, if there is no answer yet. */
void stream_open(struct stream *stream);

/* Ends after its text; stream_end_for says why in an event, or a comment. */
void stream_end(struct stream *stream, enum counts_end why);
void stream_end_for(struct stream *stream, enum counts_end why, const char *reason);
/* The same by a status; an open stream has its status, so it gets the event. */
void stream_refuse(struct stream *stream, unsigned status, spn_err err, const char *detail);
void stream_answer_nothing(struct stream *stream); /* 204 */

/* An event of this time, as the sidecar gave it, was put into the text. It counts as delivered when
 * the text is written: the delay is measured up to there, for what is live. */
void stream_has_event(struct stream *stream, uint64_t time_ms);
void stream_has_resumed(struct stream *stream, enum counts_resume how);

/* How many streams there are by phase: those that end, and those whose peer has taken nothing for a
 * second, are behind. */
void stream_phases(const struct gateway *gateway, uint64_t ret_counts[STREAM_ENDING]);

/* Streams wait for memory: cuts those that hold some and whose peers have taken nothing for 5 s. */
void stream_cut_holders(struct gateway *gateway);

/* Ends all streams properly, each with a time to come back that is drawn for it. */
void stream_end_all(struct gateway *gateway);

/* Ends the streams whose token was signed by a key that is there no more. */
void stream_end_revoked(struct gateway *gateway);

#endif
