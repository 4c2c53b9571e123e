/* SPDX-License-Identifier: Apache-2.0 */
/* allocations: memory that runs out after so many calls. A test that includes this is linked with
 * --wrap=malloc,--wrap=realloc and, with ALLOCATIONS_CALLOC defined, --wrap=calloc. */
#ifndef SPN_TESTS_ALLOCATIONS_H
#define SPN_TESTS_ALLOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static unsigned allocations_left = UINT32_MAX; /* UINT32_MAX: all that are asked for */

static inline bool allocate(void)
{
    if (allocations_left == 0)
        return false;
    allocations_left -= allocations_left < UINT32_MAX;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
    return allocate() ? __real_realloc(memory, size) : NULL;
}

#ifdef ALLOCATIONS_CALLOC
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return allocate() ? __real_calloc(count, size) : NULL;
}
#endif

#endif
