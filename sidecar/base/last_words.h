/* SPDX-License-Identifier: Apache-2.0 */
/* last_words: no end by a signal without a line that says so.
 *
 * A file that is cut while it is mapped, and pages that are damaged under it, show as SIGBUS,
 * SIGSEGV or, from LMDB's assertions, SIGABRT. What led there cannot be taken back; it can be said.
 *
 * Threads  for the whole process, once.
 */
#ifndef SPN_LAST_WORDS_H
#define SPN_LAST_WORDS_H

/* words: constant; the signal's number and a line end follow them on stderr. exit_code 0: the
 * process then dies of the signal; else it exits with this code. */
void last_words_init(const char *words, int exit_code);

#endif
