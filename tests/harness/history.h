/* SPDX-License-Identifier: Apache-2.0 */
/* history: was anything lost, stored twice, or put out of order?
 *
 * Told what the producers sent, what was acknowledged as durable, and the dump of the log, it
 * judges one by the others. Producers are numbered from 0, a producer's events 1, 2, 3 …, each of
 * them sent by the app once, however often the library sent it again. The dump is matched to what
 * was sent by the data, which begins with words that history_put_data writes.
 *
 * Owns     copies of what it is told; 24 bytes per event.
 * Errors   no memory, or an event sent out of order, fails the test.
 * Threads  one.
 */
#ifndef SPN_HISTORY_H
#define SPN_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

struct history;

struct history *history_new(uint32_t producers);
void history_free(struct history *history); /* takes NULL */

/* The data of an event: words that name it, and dots up to size - 1 bytes. Returns its length: what
 * the words need, when size is too small for dots. Writes a NUL. */
enum { HISTORY_WORDS_SIZE = 48 };
size_t history_put_data(char *data, size_t size, uint32_t producer, uint64_t number);

/* The producer's next event. id NULL: published without one, so that the log must have one that
 * nobody else has. */
void history_sent(struct history *history, uint32_t producer, uint64_t number, const char *session,
                  const char *id);

/* The log keeps the newest so many events of each session and hides the others; 0, as at first: it
 * keeps all of them. What is hidden is judged by the numbers of what is not: a session's last seq
 * says how many events it was given. */
void history_retains(struct history *history, uint64_t events_max);

/* The producer was told that the event ended so. */
enum history_result { HISTORY_STORED, HISTORY_NOT_STORED };
void history_acked(struct history *history, uint32_t producer, uint64_t number,
                   enum history_result result);

/* The next event of the log. */
struct history_entry {
    struct spn_bytes session;
    struct spn_bytes id;
    struct spn_bytes data;
    uint64_t seq;
    uint64_t position;
};
void history_dumped(struct history *history, const struct history_entry *entry);

/* What was acknowledged and dumped is forgotten; what was sent stays. */
void history_forget(struct history *history);

struct history_verdict {
    uint64_t sent;
    uint64_t acked;
    uint64_t stored; /* different events in the log */

    uint64_t lost;        /* acknowledged as stored, and not in the log */
    uint64_t doubled;     /* in the log again */
    uint64_t reordered;   /* behind an event of its producer with a higher number, in a session */
    uint64_t skipped;     /* not in the log, and it should be: a later one of its producer is; where
                             some are hidden, an earlier one of its producer and session */
    uint64_t foreign;     /* in the log, and nobody sent it, or with another session or id */
    uint64_t misnumbered; /* its seq or its position does not follow the one before */
    uint64_t denied;      /* sent once, and said to be a duplicate, a conflict or lost */
    uint64_t troubles;    /* the sum of these seven */
    char first[160];      /* the first of them that was met, in words */
};

struct history_verdict history_judge(struct history *history);
/* Fails the test, with the first trouble, when there is any. */
void history_expect_whole(const char *what, const struct history_verdict *verdict);

#endif
