/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/epochs.h"

#include <stdlib.h>

enum { ROOM_FIRST = 64 };

void epochs_release(struct epochs *epochs)
{
    free(epochs->list);
    *epochs = (struct epochs){.count = 0};
}

spn_err epochs_add(struct epochs *epochs, uint64_t epoch)
{
    if (epochs->count == epochs->room) {
        size_t room = epochs->room > 0 ? epochs->room * 2 : ROOM_FIRST;
        uint64_t *list = realloc(epochs->list, room * sizeof(*list));
        if (!list)
            return SPN_E_NOMEM;
        epochs->list = list;
        epochs->room = room;
    }
    epochs->list[epochs->count++] = epoch;
    return SPN_OK;
}

bool epochs_has(const struct epochs *epochs, uint64_t epoch)
{
    for (size_t i = 0; i < epochs->count; i++)
        if (epochs->list[i] == epoch)
            return true;
    return false;
}
