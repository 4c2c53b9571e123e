/* SPDX-License-Identifier: Apache-2.0 */
/* admin_page: page.html in the program. CMake makes the other half (embed.cmake).
 *
 * Threads  constants.
 */
#ifndef SPN_HTTP_ADMIN_PAGE_H
#define SPN_HTTP_ADMIN_PAGE_H

#include <stddef.h>

extern const char admin_page_html[];
extern const size_t admin_page_size;

/* The Content-Security-Policy, with the hashes of the page's script and style. */
extern const char admin_page_policy[];

#endif
