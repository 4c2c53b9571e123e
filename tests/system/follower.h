/* SPDX-License-Identifier: Apache-2.0 */
/* follower: a reader of an event stream that costs little, so that a test can have thousands.
 *
 * It checks as it reads. The data of an event begins with its number; numbers ascend by one, and
 * what the stream says is missing counts as received. Framing is checked as strictly as
 * http_client does it. What it has read is not kept.
 *
 * Owns     a socket, and what is not complete of a line.
 * Errors   what breaks the rules fails the test.
 * Threads  one.
 */
#ifndef SPN_FOLLOWER_H
#define SPN_FOLLOWER_H

#include "stage.h"

enum { FOLLOWER_WORD = 64, FOLLOWER_HEAD = 2048 };

struct follower {
    int fd;
    unsigned status;  /* 0: the head has not come */
    bool has_ended;   /* the answer is complete */
    bool is_cut;      /* it ended before that */
    bool is_anywhere; /* the first number may be any */
    uint64_t next;    /* number that is expected */
    uint64_t received;
    uint64_t missing;
    uint64_t comments;                           /* heartbeats are */
    char ended[FOLLOWER_WORD];                   /* the reason in sponson-end */
    char id[FOLLOWER_WORD];                      /* of the last event */
    void (*on_event)(struct follower *follower); /* its data is in `data`; NULL: nobody asks */
    void *context;

    /* What is being read. */
    char type[FOLLOWER_WORD];
    char new_id[FOLLOWER_WORD];
    char data[FOLLOWER_WORD]; /* its beginning */
    char *line;
    size_t line_size;
    size_t line_room;
    size_t chunk_left;
    unsigned chunk_step; /* of the framing */
};

/* Connects and asks for the stream. after: the Last-Event-ID; NULL: none. The numbers begin with
 * `first`. */
void follower_open(struct follower *follower, struct stage *stage, const char *path,
                   const char *after, uint64_t first);
void follower_close(struct follower *follower);

/* Reads what is there. False: there was nothing, or it is over. */
bool follower_read(struct follower *follower);
bool follower_is_over(const struct follower *follower);

/* Reads until all of them have seen this many events, with those that are missing; or fails the
 * test. */
void follower_read_to(struct follower *const *followers, size_t count, uint64_t next,
                      uint64_t due_ns);

/* This process may have as many descriptors as the system lets it. */
void follower_allow_many(void);

#endif
