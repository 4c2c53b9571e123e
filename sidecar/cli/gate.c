/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gate.h"

void gate_move(struct gate *gate, enum gate_state state)
{
    pthread_mutex_lock(&gate->mutex);
    gate->state = state;
    pthread_cond_broadcast(&gate->moved);
    pthread_mutex_unlock(&gate->mutex);
}

bool gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    while (gate->state == GATE_SHUT)
        pthread_cond_wait(&gate->moved, &gate->mutex);
    bool open = gate->state == GATE_OPEN;
    pthread_mutex_unlock(&gate->mutex);
    return open;
}
