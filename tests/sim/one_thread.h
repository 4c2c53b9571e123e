/* SPDX-License-Identifier: Apache-2.0 */
/* one_thread: the daemon's three loops in one thread, with a world around them that is made up.
 *
 * Broker, worker and reader are the daemon's own, with a database in a directory. Each is a fiber
 * that runs until it waits for something, or commits. The world says which one goes on and when
 * time does, puts frames into the sockets and takes what the daemon sends. Whoever links it wraps
 * the functions in ONE_THREAD_WRAPS of CMakeLists.txt.
 *
 * Owns     the daemon, its fibers, what waits in its sockets.
 * Borrows  the world and its directory.
 * Units    nanoseconds of the clock one_thread_now_ns.
 * Errors   the world's `wrong`.
 * Threads  one; one daemon at a time.
 */
#ifndef SPN_TESTS_ONE_THREAD_H
#define SPN_TESTS_ONE_THREAD_H

#include <stdbool.h>

#include "ingest/broker.h"
#include "recover/recovery.h"
#include "wire.h"

#define ONE_THREAD_MS UINT64_C(1000000)

enum one_thread_socket { ONE_THREAD_INGEST = 1, ONE_THREAD_READ = 2 };
enum { ONE_THREAD_FRAMES_MAX = 64, ONE_THREAD_FRAME_MAX = 16384 };

/* A pointer that is NULL stands for a world in which that does not happen. */
struct one_thread_world {
    uint64_t (*roll)(uint64_t sides); /* never NULL */
    /* A message of the daemon; never NULL. */
    void (*take)(enum one_thread_socket socket, uint8_t peer, const void *bytes, size_t size);
    bool (*is_full)(enum one_thread_socket socket, uint8_t peer);
    bool (*has_no_room)(void);                   /* the outbox, for any peer */
    void (*commits)(bool done);                  /* before and after each commit */
    spn_err (*random)(void *bytes, size_t size); /* never NULL */
    void (*ended)(enum broker_end end);          /* the broker; never NULL */
    void (*wrong)(const char *what);             /* never NULL */
};

struct one_thread_options {
    const struct one_thread_world *world;
    const char *dir;
    uint64_t seed; /* of the sessions' table */
    uint64_t instance;
    struct retention rule;
    uint64_t session_ttl_ns;
    uint64_t producer_ttl_ns;
};

extern uint64_t one_thread_now_ns;

/* Opens the database, recovers, and makes the fibers; none has run yet. */
void one_thread_start(const struct one_thread_options *options, struct recovered *ret_recovered);
/* Ends it after `ended` was called: nothing of it stays in memory. */
void one_thread_end(void);
/* A signal to stop. */
void one_thread_signal(void);

/* Lets one fiber go on. False: none can at this time. */
bool one_thread_turn(void);
/* When the next fiber goes on by itself; UINT64_MAX: none does. */
uint64_t one_thread_due_ns(void);

/* False: there is no room, as if it was lost. */
bool one_thread_send(enum one_thread_socket socket, uint8_t peer, const void *bytes, size_t size);
/* How many frames wait in a socket, and forgets those from this one on. */
size_t one_thread_waiting(enum one_thread_socket socket);
void one_thread_drop(enum one_thread_socket socket, size_t from);

struct journal *one_thread_journal(void);

#endif
