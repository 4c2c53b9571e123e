/* SPDX-License-Identifier: Apache-2.0 */
/* last_words: a line on stderr before a signal ends the process.
 *
 * A file that is truncated while it is mapped, and damaged pages in it, show as SIGBUS, SIGSEGV or,
 * from LMDB's assertions, SIGABRT. The cause cannot be undone, but it can be reported.
 *
 * Threads  for the whole process, once.
 */
#ifndef SPN_LAST_WORDS_H
#define SPN_LAST_WORDS_H

/* words: constant; written to stderr, then the signal's number and a line end. exit_code 0: the
 * process then dies of the signal; otherwise it exits with this code. */
void last_words_init(const char *words, int exit_code);

#endif
