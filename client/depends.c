/* SPDX-License-Identifier: Apache-2.0 */
#include "depends.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void depends_release(struct depends *depends)
{
    free(depends->pairs);
    *depends = (struct depends){.count = 0};
}

bool depends_reserve(struct depends *depends)
{
    if (depends->head + depends->count < depends->room)
        return true;
    if (depends->head > 0) {
        memmove(depends->pairs, depends->pairs + depends->head,
                depends->count * sizeof(*depends->pairs));
        depends->head = 0;
        return true;
    }
    size_t room = depends->room > 0 ? 2 * depends->room : 16;
    struct depends_pair *pairs = realloc(depends->pairs, room * sizeof(*pairs));
    if (pairs == NULL)
        return false;
    depends->pairs = pairs;
    depends->room = room;
    return true;
}

void depends_add(struct depends *depends, uint64_t number, uint64_t on)
{
    struct depends_pair *pairs = depends->pairs + depends->head;
    assert(depends->head + depends->count < depends->room && on < number);
    while (depends->count > 0 && pairs[depends->count - 1].on >= on)
        depends->count--;
    pairs[depends->count++] = (struct depends_pair){number, on};
}

uint64_t depends_base(struct depends *depends, uint64_t base)
{
    while (depends->count > 0 && depends->pairs[depends->head].number < base) {
        depends->head++;
        depends->count--;
    }
    if (depends->count == 0) {
        depends->head = 0;
        return base;
    }
    uint64_t on = depends->pairs[depends->head].on;
    return on < base ? on : base;
}
