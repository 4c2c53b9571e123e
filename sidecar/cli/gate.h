/* SPDX-License-Identifier: Apache-2.0 */
/* gate: threads that begin together, or not at all.
 *
 * Unlike a barrier it need not know how many threads come: if one cannot be started, the others are
 * cancelled.
 *
 * Owns     a mutex and a condition.
 * Threads  any.
 */
#ifndef SPN_CLI_GATE_H
#define SPN_CLI_GATE_H

#include <pthread.h>
#include <stdbool.h>

enum gate_state { GATE_SHUT, GATE_OPEN, GATE_CANCELLED };

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    enum gate_state state;
};

#define GATE_INIT                                                                                  \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER                      \
    }

/* Call it once, with GATE_OPEN or GATE_CANCELLED. */
void gate_move(struct gate *gate, enum gate_state state);
/* Waits until the gate moves. False: it was cancelled. */
bool gate_pass(struct gate *gate);

#endif
