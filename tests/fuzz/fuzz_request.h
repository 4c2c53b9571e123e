/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_request: what the fuzz targets of requests share. */
#ifndef SPN_TESTS_FUZZ_REQUEST_H
#define SPN_TESTS_FUZZ_REQUEST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fuzz_check.h"
#include "http/problem.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* Memory of exactly this size with these bytes. The caller frees it. */
static inline char *copy_of(const void *bytes, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* A refusal can be answered: it has a status, and its detail is one line of text. */
static inline void check_problem(const struct problem *problem)
{
    size_t size = strnlen(problem->detail, sizeof(problem->detail));
    CHECK(problem->status >= 400 && problem->status < 500);
    CHECK(size > 0 && size < sizeof(problem->detail));
    CHECK(text_is_utf8((struct spn_bytes){problem->detail, size}));
    for (size_t i = 0; i < size; i++)
        CHECK((unsigned char)problem->detail[i] >= ' ');
}

#endif
