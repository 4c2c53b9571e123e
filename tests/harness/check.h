/* SPDX-License-Identifier: Apache-2.0 */
/* check: cmocka, with the headers that it wants before it, and what its own leaves unsaid. */
#ifndef SPN_CHECK_H
#define SPN_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What fail and fail_msg end in jumps out of the test and never returns: the analyzers should know.
 */
__attribute__((noreturn)) void _fail(const char *const file, const int line);

#endif
