/* SPDX-License-Identifier: Apache-2.0 */
/* one_thread: preloaded into tests that say that only one thread runs in them, which
 * ThreadSanitizer is spared for: a thread that is begun all the same ends the program. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((visibility("default"), noreturn)) int
pthread_create(pthread_t *thread, /* NOLINT: as the real one has it */
               const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    static const char words[] = "one_thread: a thread is begun: this test is for "
                                "ThreadSanitizer too\n";
    (void)thread, (void)attributes, (void)run, (void)argument;
    (void)!write(STDERR_FILENO, words, sizeof(words) - 1);
    _exit(EXIT_FAILURE);
}
