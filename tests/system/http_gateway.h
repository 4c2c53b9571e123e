/* SPDX-License-Identifier: Apache-2.0 */
/* http_gateway: sponson-http on a stage.
 *
 * Owns     nothing: processes and paths are the stage's.
 * Errors   a gateway that does not get ready fails the test.
 * Threads  the test's main thread.
 */
#ifndef SPN_HTTP_GATEWAY_H
#define SPN_HTTP_GATEWAY_H

#include "stage.h"

/* Starts sponson-http on the stage's sockets with these further words, and waits until it is ready.
 */
#define http_start(stage, ...)                                                                     \
    http_start_words(stage, (const char *const[]){__VA_ARGS__, NULL}, http_socket(stage))
#define http_start_plain(stage)                                                                    \
    http_start_words(stage, (const char *const[]){NULL}, http_socket(stage))
struct process *http_start_words(struct stage *stage, const char *const *words, const char *socket);
/* The same for one that should not get ready: how it ended. */
#define http_run(stage, ...) http_run_words(stage, (const char *const[]){__VA_ARGS__, NULL})
struct outcome http_run_words(struct stage *stage, const char *const *words);
const char *http_program(void);
const char *http_socket(struct stage *stage);
/* A TCP port of loopback that nobody uses. */
unsigned http_free_port(void);
/* Descriptors that the process has. */
unsigned http_fds(const struct process *process);

#endif
