/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_check: what a fuzz target ends with when something is wrong. */
#ifndef SPN_TESTS_FUZZ_CHECK_H
#define SPN_TESTS_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
